//! How does a process get its seat and its generation, and what follows from the news of its rules?

use twinfeed_protocol::pair::News;
use twinfeed_protocol::time::Time;
use twinfeed_protocol::{Control, Leg};
use twinfeed_wire::Generation;

use super::PairEvent;
use super::trap::Case;
use crate::world::World;
use crate::world::adapters::State;
use crate::world::ground::Happening;

impl World {
    pub(super) fn register(&mut self, leg: Leg, life: u64) {
        let now = self.ground.now();
        let (Some(pair), adapter) = (&mut self.pair, &self.adapters[leg.index()]) else {
            return;
        };
        if adapter.life() != life || adapter.state() == State::Dead {
            return;
        }
        if adapter.state() == State::Stopped || !pair.registry.answers(leg, now) {
            let after = pair.rng.micros(1_000, 8_000);
            let again = PairEvent::Register { leg, life };
            self.ground.schedule(after, Happening::Pair(again));
            return;
        }
        let raised = pair.registry.register(leg, life, now);
        self.grant(leg, now);
        if raised {
            self.ground.count("pair.generation_raised");
            self.raised();
            self.grant(leg.other(), now);
        }
    }

    pub(super) fn renew(&mut self, leg: Leg, life: u64) {
        let now = self.ground.now();
        let (Some(pair), adapter) = (&mut self.pair, &self.adapters[leg.index()]) else {
            return;
        };
        if adapter.life() != life || adapter.state() == State::Dead {
            return;
        }
        let after = pair.registry.renew_every();
        let again = PairEvent::Renew { leg, life };
        self.ground.schedule(after, Happening::Pair(again));
        if adapter.state() == State::Stopped || !pair.registry.answers(leg, now) {
            return;
        }
        if pair.registry.renew(leg, life, now) {
            self.grant(leg, now);
        } else {
            self.register(leg, life);
        }
    }

    /// The adapter of `leg` is told how things stand, in answer to something that it asked now.
    pub(super) fn grant(&mut self, leg: Leg, asked_at: Time) {
        let Some(pair) = &mut self.pair else { return };
        if !pair.registry.answers(leg, asked_at) {
            return; // it learns when it renews
        }
        let life = self.adapters[leg.index()].life();
        if !pair.registry.seats(leg, life) {
            return; // it hears when it registers
        }
        let grant = pair.registry.grant(leg, asked_at);
        let after = pair.rng.micros(100, 2_000);
        let granted = PairEvent::Granted { leg, life, grant };
        self.ground.schedule(after, Happening::Pair(granted));
    }

    /// Another generation began: subscribers are told.
    pub(super) fn raised(&mut self) {
        let Some(pair) = &mut self.pair else { return };
        let active = pair.registry.active();
        let generation = Generation(pair.registry.generation());
        let before = pair.told_active.replace(active);
        if before.is_some_and(|before| before != active) {
            self.ground.count("roles.changed");
        }
        self.ground
            .say(|| format!("generation {generation}, active {active}"));
        self.control(|| Control::Roles { active, generation });
    }

    pub(super) fn take_over(&mut self, leg: Leg, life: u64, from: u32, handed: bool) {
        let now = self.ground.now();
        let (Some(pair), adapter) = (&mut self.pair, &self.adapters[leg.index()]) else {
            return;
        };
        if adapter.life() != life || adapter.state() == State::Dead {
            return;
        }
        if adapter.state() == State::Stopped || !pair.registry.answers(leg, now) {
            let after = pair.rng.micros(500, 4_000);
            let again = PairEvent::TakeOver {
                leg,
                life,
                from,
                handed,
            };
            self.ground.schedule(after, Happening::Pair(again));
            return;
        }
        if pair.registry.take_over(leg, life, (from, handed), now) {
            self.ground.count("pair.takeover_granted");
            self.raised();
            self.grant(leg, now);
            self.register_soon(leg.other());
        } else {
            self.ground.count("pair.takeover_refused");
        }
    }

    /// Whoever sits there learns that the seat is vacant in the generation at hand.
    pub(super) fn register_soon(&mut self, leg: Leg) {
        let Some(pair) = &mut self.pair else { return };
        let life = self.adapters[leg.index()].life();
        let after = pair.rng.micros(300, 5_000);
        let asks = PairEvent::Register { leg, life };
        self.ground.schedule(after, Happening::Pair(asks));
    }

    /// What the rules told since somebody looked, and what follows from it.
    pub(in crate::world) fn look_at_pair(&mut self) {
        let Some(ground) = self.ground.pair_mut() else {
            return;
        };
        let news = core::mem::take(&mut ground.news);
        let mut severed = None;
        for leg in Leg::BOTH {
            if core::mem::take(&mut ground.severed[leg.index()]) {
                severed = Some(leg);
            }
        }
        for (leg, sid, news) in news {
            self.ground.note_news(leg, sid, &news);
            if let News::Opened { seamless: true, .. } = news {
                let waiting = self.adapters[leg.index()].waiting(sid);
                self.ground.count_many("pair.message_inherited", waiting);
            }
            if news == News::WantsGeneration {
                self.ask_for_generation(leg);
            }
        }
        if let Some(leg) = severed {
            self.die_at_the_moment(leg);
        }
    }

    pub(super) fn ask_for_generation(&mut self, leg: Leg) {
        let (Some(pair), adapter) = (&mut self.pair, &self.adapters[leg.index()]) else {
            return;
        };
        let Some(from) = adapter.takes_over() else {
            return self.ground.count("pair.no_takeover");
        };
        let (life, handed) = (adapter.life(), adapter.was_handed_over());
        let after = pair.rng.micros(100, 3_000);
        let asks = PairEvent::TakeOver {
            leg,
            life,
            from,
            handed,
        };
        self.ground.schedule(after, Happening::Pair(asks));
    }

    /// The trap has sprung: the process of `leg` is dead where it stood.
    pub(super) fn die_at_the_moment(&mut self, leg: Leg) {
        let trap = self.ground.pair_mut().and_then(|pair| pair.trap.take());
        let Some(case) = trap.map(|trap| trap.case()) else {
            return;
        };
        self.ground.fault(case.name());
        if case == Case::Alone {
            self.kill_host(leg);
        } else {
            self.kill(leg);
        }
    }
}
