//! What passes between the two adapters of a pair, and what do they make of silence?

use core::time::Duration;

use twinfeed_protocol::Leg;
use twinfeed_protocol::pair::Said;
use twinfeed_protocol::time::Time;
use twinfeed_wire::{Generation, Sid};

use super::end::Command;
use super::{Ending, PairEvent, PairGround};
use crate::world::World;
use crate::world::adapters::State;
use crate::world::ground::Happening;

impl World {
    /// Another thread of the adapter of `leg` tells the one that sequences.
    pub(super) fn tell(&mut self, leg: Leg, command: Command) {
        let now = self.now_of(leg);
        self.ground
            .say(|| format!("adapter {leg} is told {command:?}"));
        self.adapters[leg.index()].command(now, command, &mut self.ground);
    }

    pub(super) fn hear_word(
        &mut self,
        to: Leg,
        (pairing, place): (u64, u64),
        sid: Sid,
        said: Said,
    ) {
        let Some(pair) = self.ground.pair_mut() else {
            return;
        };
        if !pair.link.carries(to, pairing) || !pair.link.wrote(to, pairing, place) {
            return;
        }
        if let Some(trap) = &mut pair.trap {
            trap.on_heard(to, sid, &said);
        }
        self.tell(to, Command::Said(sid, said));
    }

    pub(super) fn hear_hands(
        &mut self,
        to: Leg,
        pairing: u64,
        generation: Generation,
        goes_on: bool,
    ) {
        let carries = |pair: &mut PairGround| pair.link.carries(to, pairing);
        if self.ground.pair_mut().is_some_and(carries) {
            self.tell(
                to,
                Command::Hands {
                    generation,
                    goes_on,
                },
            );
        }
    }

    /// What each end learns of the other one's generation when they begin to talk.
    fn name_generations(&mut self) {
        let names = self.pair.as_ref().map(|pair| pair.plan.names_generations);
        if names != Some(true) {
            return;
        }
        for leg in Leg::BOTH {
            let ours = self.adapters[leg.index()].active_of();
            let theirs = self.adapters[leg.other().index()].active_of();
            if let (Some(ours), Some(theirs)) = (ours, theirs)
                && theirs > ours
            {
                self.ground.count("pair.superseded_by_the_link");
                self.tell(leg, Command::Superseded(theirs));
            }
        }
    }

    pub(super) fn hear_end(&mut self, to: Leg, pairing: u64, ending: Ending) {
        let Some(pair) = self.ground.pair_mut() else {
            return;
        };
        if !pair.link.carries(to, pairing) {
            return;
        }
        pair.link.leave(to);
        if ending == Ending::Dead {
            self.tell(to, Command::PeerLost(true));
        }
        let gone = ending != Ending::GivenUp;
        self.tell(to, Command::Down { gone });
        self.connect_soon();
    }

    pub(super) fn judge_silence(&mut self, to: Leg) {
        let now = self.ground.now();
        let Some(pair) = self.ground.pair_mut() else {
            return;
        };
        if !pair.link.is_silent(now, to) || self.adapters[to.index()].state() != State::Running {
            return;
        }
        self.ground.count("pair.silence");
        self.give_up(to);
    }

    /// The adapter of `to` gives the connection up, and says goodbye.
    pub(super) fn give_up(&mut self, to: Leg) {
        let now = self.ground.now();
        let Some(pair) = self.ground.pair_mut() else {
            return;
        };
        pair.link.leave(to);
        let other = to.other();
        let (pairing, at) = (pair.link.pairing(), pair.link.arrival(now, other));
        let ending = Ending::GivenUp;
        self.ground.put_pair(
            at,
            PairEvent::End {
                to: other,
                pairing,
                ending,
            },
        );
        self.tell(to, Command::Down { gone: false });
        self.connect_soon();
    }

    pub(super) fn connect_soon(&mut self) {
        let Some(pair) = &mut self.pair else { return };
        if !pair.connecting {
            pair.connecting = true;
            let after = pair.rng.micros(200, 4_000);
            self.ground
                .schedule(after, Happening::Pair(PairEvent::Connect));
        }
    }

    pub(super) fn connect(&mut self) {
        let now = self.ground.now();
        let (Some(pair), Some(ground)) = (&mut self.pair, self.ground.pair_mut()) else {
            return;
        };
        pair.connecting = false;
        if Leg::BOTH.iter().all(|leg| ground.link.is_up(*leg)) {
            return;
        }
        let run = |leg: &Leg| self.adapters[leg.index()].state() == State::Running;
        if !Leg::BOTH.iter().all(run) || !ground.link.is_open(now) {
            self.connect_soon();
            return;
        }
        for leg in Leg::BOTH {
            // Who had not noticed yet learns now that the connection before is none any more.
            if self.ground.pair_mut().is_some_and(|it| it.link.leave(leg)) {
                self.tell(leg, Command::Down { gone: false });
            }
        }
        if let Some(ground) = self.ground.pair_mut() {
            ground.link.connect(now);
        }
        self.ground.count("pair.link_up");
        for leg in Leg::BOTH {
            self.tell(leg, Command::PeerLost(false));
            self.tell(leg, Command::Up);
        }
        self.name_generations();
    }

    /// The connection ends because the process of `leg` did.
    pub(in crate::world) fn end_of_process(&mut self, leg: Leg, ending: Ending) {
        let now = self.ground.now();
        let Some(ground) = self.ground.pair_mut() else {
            return;
        };
        ground.link.leave(leg);
        let to = leg.other();
        let lost = ending == Ending::Dead && ground.link.die(now, to);
        let (pairing, at) = (ground.link.pairing(), ground.link.arrival(now, to));
        if lost {
            self.ground.count("pair.words_unwritten");
        }
        let end = PairEvent::End {
            to,
            pairing,
            ending,
        };
        self.ground.put_pair(at, end);
    }

    /// A process of `leg` has started.
    pub(in crate::world) fn begin_of_process(&mut self, leg: Leg) {
        if self.pair.is_none() {
            return;
        }
        let now = self.ground.now();
        for to in Leg::BOTH {
            if let Some(ground) = self.ground.pair_mut() {
                ground.link.open(now, to);
            }
        }
        let life = self.adapters[leg.index()].life();
        self.register_soon(leg);
        let renew = PairEvent::Renew { leg, life };
        let after = self.pair.as_ref().map_or(Duration::ZERO, |pair| {
            pair.registry.renew_every() + Duration::from_millis(6)
        });
        self.ground.schedule(after, Happening::Pair(renew));
        self.connect_soon();
    }

    /// The process of `leg` was stopped: its peer hears nothing of it.
    pub(in crate::world) fn hush(&mut self, leg: Leg) {
        self.close_way(leg.other(), Time::NEVER);
    }

    /// The process of `leg` goes on.
    pub(in crate::world) fn unhush(&mut self, leg: Leg) {
        let now = self.ground.now();
        if let Some(ground) = self.ground.pair_mut() {
            ground.link.open(now, leg.other());
        }
        self.connect_soon();
    }

    pub(super) fn close_way(&mut self, to: Leg, until: Time) {
        let now = self.ground.now();
        let Some(ground) = self.ground.pair_mut() else {
            return;
        };
        ground.link.close(now, to, until);
        let after = ground.link.patience();
        let silence = PairEvent::Silence { to };
        self.ground.schedule(after, Happening::Pair(silence));
    }
}
