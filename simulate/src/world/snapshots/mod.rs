//! Who gives an application that joins a state to begin with?
//!
//! Each adapter follows its own output and writes snapshots down while it goes on, by the rules of the production server; the
//! application asks, keeps what comes meanwhile and goes on behind the snapshot, by the production machine. In the world a snapshot has
//! no books: what it says is where it stands, and that is what can be wrong. In every fourth world a follower misses something of its
//! adapter's output now and then, and takes the other adapter's snapshot.
//!
//! ```text
//!  adapter ─ what it sends or withholds ─► follower ─► walk ─► given
//!                                                                │ answer, or a trick
//!  subscriber: Joins ─ wish ─► joiner ─ ask ─► server ───────────┘──► joiner ─► Joins ─► Reader (oracle)
//! ```

use core::time::Duration;
use std::rc::Rc;

use twinfeed_protocol::Leg;
use twinfeed_protocol::join::{JoinLimits, Wish};
use twinfeed_protocol::time::Time;
use twinfeed_wire::Sid;

use super::rng::Rng;

mod desk;
mod joiner;
mod trick;

pub use joiner::{Heard, Joiner, Part};
pub use trick::Trick;

use desk::Desk;

/// What a world's adapters give whoever joins, and how it asks.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotPlan {
    /// Which adapters serve.
    pub known: [bool; 2],
    /// How long a snapshot is written at least and at most.
    pub writes: (Duration, Duration),
    /// How long one that is written is kept for others.
    pub keeps: Duration,
    /// How long an asker is waited with for one that it can use.
    pub waits: Duration,
}

impl SnapshotPlan {
    /// Both adapters serve, and are quick.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            known: [true; 2],
            writes: (Duration::from_micros(50), Duration::from_micros(200)),
            keeps: Duration::from_millis(2),
            waits: Duration::from_millis(30),
        }
    }

    /// One drawn by chance.
    pub(super) fn draw(rng: &mut Rng) -> Self {
        Self {
            known: rng.pick(&[[true; 2], [true; 2], [true, false], [false, true]]),
            writes: (
                Duration::from_micros(20),
                rng.pick(&[100, 3_000, 20_000].map(Duration::from_micros)),
            ),
            keeps: rng.pick(&[0, 2, 20].map(Duration::from_millis)),
            waits: rng.pick(&[3, 30].map(Duration::from_millis)),
        }
    }
}

/// How one application joins.
#[derive(Clone, Copy, Debug)]
pub struct JoinPlan {
    /// What joining may cost.
    pub limits: JoinLimits,
    /// Whether it joins with a snapshot, or live until it wants one.
    pub at_first: bool,
    /// Things told in a poll beyond what was kept in it.
    pub told: usize,
    /// How long it waits for an answer.
    pub patience: Duration,
}

/// How long nothing may come before a snapshot is asked for all the same.
const QUIET: Duration = Duration::from_millis(2);

impl JoinPlan {
    /// With a snapshot, and room for everything.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            limits: JoinLimits {
                time: Duration::from_millis(100),
                quiet: QUIET,
                ..JoinLimits::default()
            },
            at_first: true,
            told: 16,
            patience: Duration::from_millis(10),
        }
    }

    /// One drawn by chance.
    pub(super) fn draw(rng: &mut Rng) -> Self {
        Self {
            limits: JoinLimits {
                kept_items: rng.pick(&[6, 60, 100_000, 100_000]),
                kept_bytes: rng.pick(&[4_096, 1 << 24, 1 << 24]),
                time: rng.pick(&[15, 60, 150].map(Duration::from_millis)),
                on_gap: rng.one_in(2),
                quiet: QUIET,
            },
            at_first: rng.chance(80),
            told: rng.pick(&[1, 16]),
            patience: rng.pick(&[3, 10].map(Duration::from_millis)),
        }
    }
}

/// As whom the adapter of a leg asks the other one.
#[must_use]
pub const fn asker(leg: Leg) -> usize {
    usize::MAX - leg.index()
}

/// Which adapter asked; `None`: an application did.
#[must_use]
pub fn adapter_that_asked(asker_number: usize) -> Option<Leg> {
    Leg::BOTH
        .into_iter()
        .find(|leg| asker(*leg) == asker_number)
}

/// A request of an application, or of an adapter.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Whose adapter is asked.
    pub leg: Leg,
    /// The application's number of it.
    pub request: u64,
    /// What it wishes for.
    pub wish: Wish,
}

/// What came back: frames, and then the connection's end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// To which request.
    pub request: u64,
    /// Of which source stream.
    pub sid: Sid,
    /// As they came.
    pub frames: Rc<[Box<[u8]>]>,
}

/// Both adapters' snapshot servers.
#[derive(Debug)]
pub struct Snapshots {
    known: [bool; 2],
    desks: [Desk; 2],
    rng: Rng,
}

impl Snapshots {
    /// As planned.
    #[must_use]
    pub fn new(plan: SnapshotPlan, seed: u64) -> Self {
        Self {
            known: plan.known,
            desks: [(); 2].map(|()| Desk::new(plan, seed % 4 == 3)),
            rng: Rng::of(seed, "snapshot servers"),
        }
    }

    /// Which adapters serve.
    #[must_use]
    pub const fn known(&self) -> [bool; 2] {
        self.known
    }

    /// How long the next word between an application and an adapter is under way.
    pub fn way(&mut self) -> Duration {
        self.rng.micros(20, 400)
    }

    /// The adapter of `leg` sent this, or withheld it.
    /// What it asks the other adapter for then, if anything.
    pub fn keep(&mut self, now: Time, leg: Leg, sid: Sid, bytes: &[u8]) -> Option<Ask> {
        let served = self.known[leg.other().index()];
        let desk = &mut self.desks[leg.index()];
        desk.keep(now, sid, bytes);
        desk.poll_ask(now, sid, leg.other()).filter(|_| served)
    }

    /// The other adapter answered that of `leg`, whose process runs.
    pub fn hear(&mut self, now: Time, leg: Leg, answer: &Answer) {
        self.desks[leg.index()].hear(now, answer);
    }

    /// The process of `leg` is no more.
    pub fn note_death(&mut self, leg: Leg) {
        self.desks[leg.index()].forget();
    }

    /// From now on the server of `leg` does this.
    pub fn play(&mut self, leg: Leg, trick: Trick) {
        self.desks[leg.index()].trick = trick;
    }

    /// Every server is honest.
    pub fn calm(&mut self) {
        for desk in &mut self.desks {
            desk.trick = Trick::Honest;
        }
    }

    /// A request reached the adapter of `leg`, whose process runs. The answer is how long until its server's next turn, if none was due.
    pub fn take(&mut self, now: Time, subscriber: usize, ask: Ask) -> Option<Duration> {
        let desk = &mut self.desks[ask.leg.index()];
        desk.take(now, subscriber, ask);
        desk.due(&mut self.rng)
    }

    /// The server of `leg` has its turn: what it answers whom, how much later, and how long until the next turn, if anybody waits.
    pub fn turn(
        &mut self,
        now: Time,
        leg: Leg,
    ) -> (Vec<(usize, Duration, Answer)>, Option<Duration>) {
        let desk = &mut self.desks[leg.index()];
        let said = desk.turn(now, &mut self.rng);
        let due = match desk.is_busy() {
            true => desk.due(&mut self.rng),
            false => None,
        };
        (said, due)
    }

    /// What a server did that it must not.
    pub fn take_wrong(&mut self) -> Option<(Leg, String)> {
        let wrong = |leg: Leg| Some((leg, self.desks[leg.index()].wrong.take()?));
        Leg::BOTH.into_iter().find_map(wrong)
    }

    /// Snapshots that were written, and that came to nothing, of both adapters.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 6] {
        let sum = |of: fn(&Desk) -> u64| self.desks.iter().map(of).sum();
        [
            ("snapshot.made", sum(|desk| desk.made)),
            ("snapshot.abandoned", sum(|desk| desk.abandoned)),
            ("snapshot.refused", sum(|desk| desk.refused)),
            ("snapshot.missed", sum(|desk| desk.missed)),
            ("snapshot.peer_asked", sum(|desk| desk.asked)),
            ("snapshot.restored", sum(|desk| desk.restored)),
        ]
    }
}
