//! What does a seed decide?
//!
//! A [`Plan`] is everything that a world begins with: sources, adapters' conduct, subscribers' limits, the
//! network, faults with their times. [`Plan::draw`] makes one from a seed; scenarios write one by hand,
//! from [`Plan::plain`].

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use twinfeed_protocol::line::LineLimits;
use twinfeed_protocol::{Leg, Limits, OrderingClass, Policy};
use twinfeed_wire::Sid;

use super::adapters::Conduct;
use super::exchange::Shape;
use super::faults::{self, Fault};
use super::fills::FillPlan;
use super::line_faults::LineFault;
use super::lines::LinePath;
use super::net::{self, Decorator, shift};
use super::pair::PairPlan;
use super::plant::Plant;
use super::requests::RequestPlan;
use super::rng::Rng;
use super::snapshots::{JoinPlan, SnapshotPlan};

/// Everything that a world begins with.
#[derive(Debug)]
pub struct Plan {
    /// From which all components draw.
    pub seed: u64,
    /// The source streams.
    pub sources: Vec<Shape>,
    /// The adapters.
    pub conduct: Conduct,
    /// When each adapter starts.
    pub starts: [Duration; 2],
    /// The way of each line into each adapter, by adapter and line.
    pub paths: [[LinePath; 2]; 2],
    /// The subscribers.
    pub subscribers: Vec<Application>,
    /// Process faults with their times.
    pub faults: Vec<(Duration, Box<dyn Fault>)>,
    /// Faults end when so many percent of all messages have been said.
    pub calm_percent: u64,
    /// The pair; none: each adapter is alone, and no message is originated.
    pub pair: Option<PairPlan>,
    /// How adapters are asked for what both streams lost; none: nobody can be asked.
    pub fills: Option<FillPlan>,
    /// How sources are asked for what both lines lost; none: nobody can be asked.
    pub requests: Option<RequestPlan>,
    /// What adapters give whoever joins; none: nobody can be asked.
    pub snapshots: Option<SnapshotPlan>,
    /// How each subscriber joins then.
    pub joins: Vec<JoinPlan>,
    /// What goes wrong between the exchange and the adapters, on several lines at once.
    pub line_faults: Vec<Box<dyn LineFault>>,
    /// How long the world lasts at least.
    pub at_least: Duration,
    /// How long after the last fault and the last message everything must be delivered or declared.
    pub settling: Duration,
}

/// One subscriber's part of a plan.
#[derive(Debug)]
pub struct Application {
    /// Its arbiter's limits.
    pub limits: Limits,
    /// When it joins.
    pub joins: Duration,
    /// Datagrams its socket keeps while it pauses.
    pub socket_room: usize,
    /// The network's faults on its way from each adapter.
    pub ways: [Vec<Box<dyn Decorator>>; 2],
    /// A promise to break, when the oracle is on trial.
    pub plant: Plant,
}

impl Application {
    /// A subscriber from the start, over a network without faults.
    #[must_use]
    pub fn plain(policy: Policy) -> Self {
        Self {
            limits: Limits {
                policy,
                held_records: 4_096,
                held_bytes: 1 << 20,
                quarantined_datagrams: 64,
                ..Limits::default()
            },
            joins: Duration::ZERO,
            socket_room: 1_000,
            ways: [Vec::new(), Vec::new()],
            plant: Plant::Nothing,
        }
    }

    /// One drawn by chance.
    pub(super) fn draw(policy: Policy, late: bool, rng: &mut Rng) -> Self {
        let plain = Self::plain(policy);
        let tiny = rng.chance(25);
        let limits = Limits {
            policy,
            lag_messages: rng.pick(&[20, 10_000]),
            lag_time: rng.pick(&[3, 20].map(Duration::from_millis)),
            reorder_hold: rng.pick(&[200, 2_000].map(Duration::from_micros)),
            held_records: if tiny {
                rng.between(1, 24) as usize
            } else {
                4_096
            },
            held_bytes: if tiny {
                1_472 * rng.between(1, 4) as usize
            } else {
                1 << 20
            },
            window: rng.pick(&[16, 200, 1_000_000]),
            quarantined_datagrams: rng.pick(&[4, 64]),
            hold_down: Duration::from_millis(50),
            ..plain.limits
        };
        let mut ways = [0, 1].map(|_| net::draw(rng.below(4), rng));
        if rng.chance(20) {
            let skew = rng.micros(100, 30_000);
            ways[rng.below(2) as usize].push(Box::new(shift::Skew::of(skew)));
        }
        Self {
            limits,
            joins: if late {
                rng.micros(5_000, 120_000)
            } else {
                Duration::ZERO
            },
            socket_room: rng.pick(&[2, 20, 1_000]),
            ways,
            plant: Plant::Nothing,
        }
    }
}

/// Which worlds a seed is drawn for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Two adapters that know nothing of each other.
    Alone,
    /// A pair.
    Pair,
    /// A pair for a minute and more, under many kinds of faults.
    Long,
    /// Either of the short ones, whose adapters can be asked for what both streams lost.
    Filled,
    /// A long one, whose applications leave out what waited when they were too slow.
    Slow,
    /// A filled one, whose applications join with snapshots.
    Joined,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alone => "alone",
            Self::Pair => "pair",
            Self::Long => "long",
            Self::Filled => "filled",
            Self::Slow => "slow",
            Self::Joined => "joined",
        })
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let kinds = [
            Self::Alone,
            Self::Pair,
            Self::Long,
            Self::Filled,
            Self::Slow,
            Self::Joined,
        ];
        let named = kinds.into_iter().find(|kind| kind.to_string() == word);
        named.ok_or(format!(
            "`{word}` is no kind of world: alone, pair, long, filled, slow, joined"
        ))
    }
}

impl Kind {
    /// How it is asked for on the command line.
    #[must_use]
    pub const fn option(self) -> &'static str {
        match self {
            Self::Alone => "",
            Self::Pair => "--pair ",
            Self::Long => "--long ",
            Self::Filled => "--filled ",
            Self::Slow => "--slow ",
            Self::Joined => "--joined ",
        }
    }

    /// The plan of one seed.
    #[must_use]
    pub fn draw(self, seed: u64) -> Plan {
        match self {
            Self::Alone => Plan::draw(seed),
            Self::Pair => Plan::draw_pair(seed),
            Self::Long => Plan::draw_long(seed),
            Self::Filled => Plan::draw_filled(seed),
            Self::Slow => Plan::draw_slow(seed),
            Self::Joined => Plan::draw_joined(seed),
        }
    }
}

impl Plan {
    /// One plain source of `messages` messages, two healthy adapters, one subscriber of each policy, no
    /// fault.
    #[must_use]
    pub fn plain(seed: u64, messages: u64) -> Self {
        Self {
            seed,
            sources: vec![Shape::plain(Sid(1), messages)],
            conduct: Conduct {
                max_datagram: 1_472,
                heartbeat: Limits::default().heartbeat,
                lines: None,
                servers: [false; 2],
                socket_packets: 10_000,
                pair: None,
                standby: None,
            },
            starts: [Duration::ZERO; 2],
            paths: [[LinePath {
                delay_us: 50,
                ..LinePath::default()
            }; 2]; 2],
            subscribers: [Policy::FirstArrival, Policy::PreferActive]
                .map(Application::plain)
                .into(),
            faults: Vec::new(),
            calm_percent: 100,
            pair: None,
            fills: None,
            requests: None,
            snapshots: None,
            joins: Vec::new(),
            line_faults: Vec::new(),
            at_least: Duration::ZERO,
            settling: SETTLING,
        }
    }

    /// The plan of one seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::of(seed, "plan");
        let sources = (1..=rng.pick(&[1, 1, 1, 2, 3]))
            .map(|sid| source(seed, Sid(sid)))
            .collect();
        let lines = rng.chance(40).then(|| LineLimits {
            held_messages: 512,
            held_bytes: 64 << 10,
            window: rng.pick(&[64, 512]),
            silence: Duration::from_millis(40),
            lag_hold: Duration::from_millis(5),
            ..LineLimits::default()
        });
        let mut path = Rng::of(seed, "paths");
        let late_start = rng.chance(25).then(|| rng.micros(1_000, 80_000));
        let starts = [Duration::ZERO, late_start.unwrap_or_default()];
        Self {
            sources,
            conduct: Conduct {
                max_datagram: rng.pick(&[1_200, 1_472]),
                lines,
                servers: [false; 2],
                socket_packets: rng.pick(&[3, 10_000]),
                ..Self::plain(seed, 1).conduct
            },
            starts: if rng.chance(50) {
                starts
            } else {
                [starts[1], starts[0]]
            },
            paths: [0, 1].map(|_| [0, 1].map(|_| LinePath::draw(&mut path))),
            subscribers: applications(seed, &mut rng),
            faults: strikes(seed, &mut rng),
            calm_percent: rng.pick(&[70, 90, 100]),
            seed,
            ..Self::plain(seed, 1)
        }
    }

    /// The plan of one seed whose adapters are a pair: shorter lives and gentler lines, so that it is synchronised
    /// most of the time.
    #[must_use]
    pub fn draw_pair(seed: u64) -> Self {
        let mut rng = Rng::of(seed, "pair plan");
        let plan = Self::draw(seed);
        let pair = PairPlan::draw(&mut rng);
        let mut faults = Vec::new();
        for _ in 0..rng.pick(&[1, 2, 3, 5, 5]) {
            let at = rng.micros(4_000, 250_000);
            faults.push((at, faults::draw_of_pair(&mut rng)));
        }
        if rng.chance(60) {
            for _ in 0..rng.pick(&[1, 2, 3]) {
                let at = rng.micros(4_000, 250_000);
                faults.push((at, faults::draw_of_split_pair(&mut rng)));
            }
        }
        let gentle = |path: LinePath| LinePath {
            loss_percent: path.loss_percent.min(1),
            ..path
        };
        let sources = plan.sources.into_iter().map(|shape| {
            let lives = rng.between(2, 6);
            Shape {
                lives: (0..lives).map(|_| rng.between(20, 120)).collect(),
                ..shape
            }
        });
        Self {
            sources: sources.collect(),
            conduct: Conduct {
                socket_packets: 10_000,
                pair: Some(pair.limits),
                ..plan.conduct
            },
            paths: plan.paths.map(|paths| paths.map(gentle)),
            faults,
            pair: Some(pair),
            ..plan
        }
    }

    /// One plain source and a pair whose operator orders messages, no fault.
    #[must_use]
    pub fn plain_pair(seed: u64, messages: u64) -> Self {
        let (plan, pair) = (Self::plain(seed, messages), PairPlan::plain());
        Self {
            conduct: Conduct {
                pair: Some(pair.limits),
                ..plan.conduct
            },
            pair: Some(pair),
            ..plan
        }
    }

    /// The same plan with one more fault.
    #[must_use]
    pub fn with(mut self, at: Duration, fault: impl Fault + 'static) -> Self {
        self.faults.push((at, Box::new(fault)));
        self
    }

    /// The same plan with one more network fault between the adapter of `leg` and every subscriber.
    #[must_use]
    pub fn with_way<D: Decorator + 'static>(
        mut self,
        leg: Leg,
        mut fault: impl FnMut() -> D,
    ) -> Self {
        for application in &mut self.subscribers {
            application.ways[leg.index()].push(Box::new(fault()));
        }
        self
    }

    /// The same plan with another source in place of its own.
    #[must_use]
    pub fn with_source(mut self, change: impl FnOnce(&mut Shape)) -> Self {
        change(&mut self.sources[0]);
        self
    }
}

fn source(seed: u64, sid: Sid) -> Shape {
    let unordered = Rng::of(seed, &format!("ordering {sid}")).chance(30);
    Shape {
        ordering: if unordered {
            OrderingClass::Unordered
        } else {
            OrderingClass::Ordered
        },
        ..Shape::draw(sid, &mut Rng::of(seed, &format!("shape {sid}")))
    }
}

fn applications(seed: u64, rng: &mut Rng) -> Vec<Application> {
    let mut draw = Rng::of(seed, "applications");
    let mut applications = vec![
        Application::draw(Policy::FirstArrival, false, &mut draw),
        Application::draw(Policy::PreferActive, false, &mut draw),
    ];
    if rng.chance(30) {
        let policy = rng.pick(&[Policy::FirstArrival, Policy::PreferActive]);
        applications.push(Application::draw(policy, true, &mut draw));
    }
    let mut seen = Rng::of(seed, "seen windows");
    for application in &mut applications {
        application.limits.seen_window = seen.pick(&[64, 65_536]);
        application.limits.half_messages = seen.pick(&[1, 64]);
    }
    applications
}

fn strikes(seed: u64, rng: &mut Rng) -> Vec<(Duration, Box<dyn Fault>)> {
    let mut draw = Rng::of(seed, "faults");
    (0..rng.pick(&[0, 1, 2, 4, 6]))
        .map(|_| (draw.micros(3_000, 280_000), faults::draw(&mut draw)))
        .collect()
}

/// The bound of a world whose adapters beat every 10 ms.
const SETTLING: Duration = Duration::from_millis(300);
