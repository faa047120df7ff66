//! What may faults do to a world?

use core::time::Duration;

use twinfeed_protocol::{Control, Leg};
use twinfeed_wire::Generation;

use super::World;
use super::adapters::State;
use super::ground::Happening;
use super::pair::Ending;

/// What faults may do to a world.
impl World {
    /// Kills the adapter of `leg`; its peer learns of it through the pair link.
    pub fn kill(&mut self, leg: Leg) {
        let was = self.adapters[leg.index()].state();
        self.end_process(leg);
        if self.pair.is_some() {
            if was == State::Stopped {
                self.unhush(leg);
            }
            if was != State::Dead {
                self.end_of_process(leg, Ending::Dead);
            }
            return;
        }
        let news = Happening::PeerNews {
            leg: leg.other(),
            lost: true,
        };
        self.ground.schedule(PAIR_LINK_DELAY, news);
    }

    /// The process of `leg` is no more.
    pub(super) fn end_process(&mut self, leg: Leg) {
        self.adapters[leg.index()].kill();
        self.ground.note_death(leg);
    }

    /// Ends the adapter of `leg` in order.
    pub fn step_down(&mut self, leg: Leg) {
        let now = self.now();
        let was = self.adapters[leg.index()].state();
        self.adapters[leg.index()].step_down(now, &mut self.ground);
        if was == State::Running {
            self.ground.note_death(leg);
            self.end_of_process(leg, Ending::Left);
        }
    }

    /// Starts a new process for `leg`, under a new generation in which its peer is active.
    pub fn start(&mut self, leg: Leg) {
        if self.adapters[leg.index()].state() != State::Dead {
            return;
        }
        if self.pair.is_some() {
            self.start_first(leg);
            return;
        }
        self.generation = Generation(self.generation.0 + 1);
        let (generation, now) = (self.generation, self.now());
        self.start_first(leg);
        for adapter in &mut self.adapters {
            adapter.set_generation(now, generation, &mut self.ground);
        }
        let active = leg.other();
        self.control(|| Control::Roles { active, generation });
        for leg in Leg::BOTH {
            let news = Happening::PeerNews { leg, lost: false };
            self.ground.schedule(PAIR_LINK_DELAY, news);
        }
    }

    /// Starts the first process of `leg`.
    pub(super) fn start_first(&mut self, leg: Leg) {
        let now = self.now();
        if self.adapters[leg.index()].state() == State::Dead {
            self.adapters[leg.index()].start(now, &mut self.ground);
            self.begin_of_process(leg);
        }
    }

    /// Stops the adapter of `leg`.
    pub fn stop(&mut self, leg: Leg) {
        if self.adapters[leg.index()].state() == State::Running {
            self.adapters[leg.index()].stop();
            self.hush(leg);
        }
    }

    /// Lets the adapter of `leg` go on.
    pub fn resume(&mut self, leg: Leg) {
        let now = self.now();
        if self.adapters[leg.index()].state() == State::Stopped {
            self.adapters[leg.index()].resume(now, &mut self.ground);
            self.unhush(leg);
        }
    }

    /// The adapter of `leg` hears nothing for `span`.
    pub fn deafen(&mut self, leg: Leg, span: Duration) {
        let until = self.ground.now().after(span);
        self.adapters[leg.index()].deafen(until);
    }

    /// Nothing of `leg` reaches any subscriber for `span`.
    pub fn cut(&mut self, leg: Leg, span: Duration) {
        self.ground.cut(leg, span);
    }

    /// Tells the adapter of `leg` that its pair link was reset, or stands again.
    pub fn tell_of_peer(&mut self, leg: Leg, lost: bool) {
        let now = self.now();
        self.adapters[leg.index()].set_peer_lost(now, lost, &mut self.ground);
    }

    /// One subscriber, drawn by chance, stops polling; the answer is its number.
    pub fn pause_one(&mut self) -> usize {
        let number = self.chance.below(self.subscribers.len() as u64) as usize;
        self.subscribers[number].pause();
        number
    }

    /// The subscriber polls again.
    pub fn unpause(&mut self, number: usize) {
        let now = self.ground.now();
        let mut watch = self.ground.watch(&mut self.violations);
        self.subscribers[number].unpause(now, &mut watch);
    }

    /// A control message for every subscriber.
    pub fn control(&mut self, control: impl Fn() -> Control) {
        let now = self.ground.now();
        for subscriber in &mut self.subscribers {
            let mut watch = self.ground.watch(&mut self.violations);
            subscriber.control(now, control(), &mut watch);
        }
    }
}

/// How long a process's end takes to reach its peer.
const PAIR_LINK_DELAY: Duration = Duration::from_micros(60);
