//! What may faults do to a world?

use core::time::Duration;

use twinfeed_protocol::{Control, Leg};
use twinfeed_wire::Generation;

use super::adapters::State;
use super::exchange::Source;
use super::faults::clock::Whose;
use super::fills::Trick;
use super::ground::Happening;
use super::pair::Ending;
use super::snapshots;
use super::{Disk, World};
use crate::coverage::watch::Undecided;

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
        let now = self.now_of(leg);
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
        let generation = self.generation;
        self.start_first(leg);
        for leg in Leg::BOTH {
            let now = self.now_of(leg);
            self.adapters[leg.index()].set_generation(now, generation, &mut self.ground);
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
        let now = self.now_of(leg);
        if self.adapters[leg.index()].state() == State::Dead {
            let knows = self.pair.is_none() || self.disks[leg.index()] == Disk::Sound;
            self.ground.set_addressed(leg, knows);
            self.elders.note_birth(leg, self.ground.now());
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
        let now = self.now_of(leg);
        if self.adapters[leg.index()].state() == State::Stopped {
            self.adapters[leg.index()].resume(now, &mut self.ground);
            self.unhush(leg);
        }
    }

    /// The adapter of `leg` hears nothing for `span`.
    pub fn deafen(&mut self, leg: Leg, span: Duration) {
        let until = self.now_of(leg).time.after(span);
        self.adapters[leg.index()].deafen(until);
    }

    /// Whether the lines of the adapter of `leg`, which runs, have not decided this.
    #[must_use]
    pub fn has_undecided(&self, leg: Leg, what: Undecided) -> bool {
        let adapter = &self.adapters[leg.index()];
        adapter.state() == State::Running && adapter.has_undecided(what)
    }

    /// Stops the adapter of `leg`, which will not have heard what comes within `span`.
    pub fn stop_undecided(&mut self, leg: Leg, span: Duration) {
        self.ground.fault("undecided.stopped");
        self.stop(leg);
        self.deafen(leg, span + Duration::from_millis(1));
    }

    /// Whether a source is within a burst.
    #[must_use]
    pub fn is_in_burst(&self) -> bool {
        self.sources.iter().any(Source::is_in_burst)
    }

    /// Whether the life of a source is about to end, with so many messages to be said at most.
    #[must_use]
    pub fn says_at_most(&self, messages: u64) -> bool {
        let mut sources = self.sources.iter();
        sources.any(|source| source.says_at_most(messages))
    }

    /// Whether a life of a source that is not its first has said something, but not more than so much.
    #[must_use]
    pub fn has_begun_anew(&self, messages: u64) -> bool {
        let mut sources = self.sources.iter();
        sources.any(|source| source.has_begun_anew(messages))
    }

    /// Every subscriber is told once more who is active.
    pub fn say_roles_again(&mut self) {
        if let Some((active, generation)) = self.roles() {
            self.control(|| Control::Roles { active, generation });
        }
    }

    /// Nothing of `leg` reaches any subscriber for `span`.
    pub fn cut(&mut self, leg: Leg, span: Duration) {
        self.ground.cut(leg, span);
    }

    /// Nothing of `leg` reaches one subscriber, drawn by chance, for `span`.
    pub fn cut_one(&mut self, leg: Leg, span: Duration) {
        let number = self.chance.below(self.subscribers.len() as u64) as usize;
        self.ground.cut_one(leg, number, span);
    }

    /// The adapter of `leg` converts wrongly, or rightly again.
    pub fn misconvert(&mut self, leg: Leg, wrong: bool) {
        self.adapters[leg.index()].misconvert(wrong);
        if wrong {
            self.ground.note_misconversion();
        }
    }

    /// The fill server of `leg` does this from here on, if there is one.
    pub fn play(&mut self, leg: Leg, trick: Trick) {
        let now = self.ground.now();
        if let Some(fills) = self.ground.fills_mut() {
            fills.play(now, leg, trick);
        }
    }

    /// The snapshot server of the adapter of `leg` does this from here on, if there is one.
    pub fn play_snapshots(&mut self, leg: Leg, trick: snapshots::Trick) {
        if let Some(snapshots) = &mut self.ground.snapshots {
            snapshots.play(leg, trick);
        }
    }

    /// One subscriber, drawn by chance, wants a snapshot of everything.
    pub fn refresh_one(&mut self) {
        let number = self.chance.below(self.subscribers.len() as u64) as usize;
        let now = self.time_of(number);
        let mut watch = self.ground.watch(&mut self.violations);
        self.subscribers[number].refresh(now, &mut watch);
    }

    /// A clock runs so many parts of a million fast from here on.
    pub fn drift(&mut self, whose: Whose, fast_ppm: i64) {
        let now = self.ground.now();
        let clock = match whose {
            Whose::Adapter(leg) => &mut self.clocks[leg.index()],
            Whose::Subscriber => {
                let number = self.chance.below(self.watches.len() as u64) as usize;
                &mut self.watches[number]
            }
        };
        clock.drift(now, fast_ppm);
    }

    /// The wall clock of the adapter of `leg` is set.
    pub fn step_clock(&mut self, leg: Leg, by: Duration, back: bool) {
        self.clocks[leg.index()].step(by, back);
    }

    /// What the adapter of `leg` has on its disk cannot be read any more; `full`: nor can anything be written.
    pub fn lose_disk(&mut self, leg: Leg, full: bool) {
        self.disks[leg.index()] = if full { Disk::Full } else { Disk::Empty };
    }

    /// Stream-admin has told the adapter of `leg` where its subscribers are.
    pub(super) fn learn_addresses(&mut self, leg: Leg) {
        self.ground.set_addressed(leg, true);
        let disk = &mut self.disks[leg.index()];
        if *disk == Disk::Empty {
            *disk = Disk::Sound;
        }
    }

    /// One subscriber, drawn by chance, ends; the answer is its number.
    pub fn send_one_away(&mut self) -> usize {
        let number = self.chance.below(self.subscribers.len() as u64) as usize;
        self.send_away(number);
        number
    }

    /// The subscriber ends.
    pub fn send_away(&mut self, number: usize) {
        let now = self.time_of(number);
        let mut watch = self.ground.watch(&mut self.violations);
        self.subscribers[number].leave(now, &mut watch);
    }

    /// One subscriber, drawn by chance, keeps where it stands; the answer is its number.
    pub fn keep_one(&mut self) -> usize {
        let number = self.chance.below(self.subscribers.len() as u64) as usize;
        self.subscribers[number].keep();
        number
    }

    /// The subscriber that ended goes on from what it kept.
    pub fn come_back(&mut self, number: usize) {
        let now = self.time_of(number);
        let mut watch = self.ground.watch(&mut self.violations);
        if self.subscribers[number].come_back(now, &mut watch) {
            self.greet(number);
        }
    }

    /// The subscriber that ended joins again, as a new one.
    pub fn come(&mut self, number: usize) {
        if self.subscribers[number].come() {
            self.greet(number);
        }
    }

    /// Tells a subscriber what stream-admin tells whoever subscribes.
    fn greet(&mut self, number: usize) {
        let Some((active, generation)) = self.roles() else {
            return;
        };
        let (now, roles) = (self.time_of(number), Control::Roles { active, generation });
        let mut watch = self.ground.watch(&mut self.violations);
        self.subscribers[number].control(now, roles, &mut watch);
    }

    /// Tells the adapter of `leg` that its pair link was reset, or stands again.
    pub fn tell_of_peer(&mut self, leg: Leg, lost: bool) {
        let now = self.now_of(leg);
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
        let now = self.time_of(number);
        let mut watch = self.ground.watch(&mut self.violations);
        self.subscribers[number].unpause(now, &mut watch);
    }

    /// The subscriber polls again, and leaves out what waited.
    pub fn skip(&mut self, number: usize) {
        let now = self.time_of(number);
        let mut watch = self.ground.watch(&mut self.violations);
        self.subscribers[number].skip(now, &mut watch);
    }

    /// A control message for every subscriber.
    pub fn control(&mut self, control: impl Fn() -> Control) {
        let now = self.ground.now();
        for (subscriber, clock) in self.subscribers.iter_mut().zip(&self.watches) {
            let mut watch = self.ground.watch(&mut self.violations);
            subscriber.control(clock.time(now), control(), &mut watch);
        }
    }
}

/// How long a process's end takes to reach its peer.
const PAIR_LINK_DELAY: Duration = Duration::from_micros(60);
