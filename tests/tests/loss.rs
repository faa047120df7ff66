//! Loss of some percent on every hop, at 100,000 messages a second and at ten times that: nothing is missing, nothing comes twice,
//! the order is kept, whether both adapters live or one.
//!
//! ```text
//!            loses      lines A, B          streams 0, 1
//!  exchange ───────────────────► adapters ────────────────► subscribers
//!     ▲  request servers │ ▲ ◄─────┘  ▲ ◄── fills, there and back ┘
//!     └──────────────────┘ └ loses    └ loses
//! ```
//!
//! The rules are the product's own, with its default limits; the time is virtual, so the rate holds on any machine. The oracle of
//! the simulated world judges every record.

use core::time::Duration;

use twinfeed_protocol::line::LineLimits;
use twinfeed_protocol::retain::RetentionLimits;
use twinfeed_protocol::{Leg, Limits, Policy, Time};
use twinfeed_tests::world::exchange::{Burst, Source};
use twinfeed_tests::world::faults::process::Kill;
use twinfeed_tests::world::fills::FillPlan;
use twinfeed_tests::world::net::{Decorator, loss};
use twinfeed_tests::world::plan::Application;
use twinfeed_tests::world::requests::RequestPlan;
use twinfeed_tests::world::{self, Outcome, Plan};

/// Messages of a run.
const MESSAGES: u64 = 80_000;
/// Most messages in a packet, so that packets of half as many every 150 µs are 108,000 messages a second.
const BATCH: u64 = 32;
const TENFOLD: u64 = 10 * BATCH;

/// What is lost.
#[derive(Clone, Copy, Debug)]
struct Loss {
    /// Percent of the packets and datagrams of every hop, each by itself.
    independent: u64,
    /// Percent of the datagrams that both streams lose alike.
    alike: u64,
}

impl Loss {
    fn of_streams(self) -> Vec<Box<dyn Decorator>> {
        let mut faults = self.of_fills();
        if self.alike > 0 {
            faults.push(Box::new(loss::Alike::of_percent(self.alike)));
        }
        faults
    }

    fn of_fills(self) -> Vec<Box<dyn Decorator>> {
        match self.independent {
            0 => Vec::new(),
            percent => vec![Box::new(loss::Independent::of_percent(percent))],
        }
    }
}

fn plan(seed: u64, batch: u64, loss: Loss) -> Plan {
    // A leg may lag for 20 ms before anybody else is asked: what comes meanwhile must find room.
    let tenfold = (batch / BATCH) as usize;
    let mut plan = Plan::plain(seed, MESSAGES);
    plan.sources[0].batch = batch;
    plan.sources[0].burst = Some(Burst {
        packets: u64::MAX,
        rest_us: 1,
    });
    let lines = LineLimits::default();
    plan.conduct.lines = Some(LineLimits {
        held_messages: tenfold * lines.held_messages,
        held_bytes: tenfold * lines.held_bytes,
        ..lines
    });
    plan.conduct.servers = [true; 2];
    plan.requests = Some(RequestPlan {
        known: [true; 2],
        limits: lines.recovery,
        loss_percent: loss.independent,
        wrong_percent: 0,
        kept: 1 << 18,
        answer: 40,
    });
    for path in plan.paths.as_flattened_mut() {
        path.loss_percent = loss.independent;
    }
    plan.subscribers = [Policy::FirstArrival, Policy::PreferActive]
        .map(|policy| Application {
            limits: Limits {
                policy,
                held_records: tenfold * Limits::default().held_records,
                held_bytes: tenfold * Limits::default().held_bytes,
                ..Limits::default()
            },
            ways: [loss.of_streams(), loss.of_streams()],
            ..Application::plain(policy)
        })
        .into();
    let mut fills = FillPlan::plain(plan.conduct.max_datagram, plan.subscribers.len());
    fills.retention = RetentionLimits::default();
    for ways in &mut fills.ways {
        *ways = [0, 1].map(|_| [0, 1].map(|_| loss.of_fills()));
    }
    plan.fills = Some(fills);
    plan.settling = Duration::from_secs(2);
    plan
}

/// Messages a second of a plan's source.
fn rate_of(plan: &Plan) -> f64 {
    let mut source = Source::new(plan.sources[0].clone(), plan.seed);
    let mut took = Duration::ZERO;
    while !source.is_spent() {
        took += source.speak(Time::ZERO).1;
    }
    MESSAGES as f64 / took.as_secs_f64()
}

/// Nothing was missing, although much was lost and had to be asked for.
fn nothing_is_missing(plan: Plan, loss: Loss, least_rate: u64) -> Outcome {
    let rate = rate_of(&plan);
    let outcome = world::run(plan, 40);
    let trace = || outcome.trace.join("\n");
    let broken = &outcome.violations;
    assert!(broken.is_empty(), "{loss:?}: {broken:#?}\n{}", trace());
    let count = |name: &str| outcome.stats.count(name);
    let told: Vec<_> = outcome.stats.iter().collect();
    for (name, times) in &told {
        let missing = name.starts_with("event.gap") || name.starts_with("event.reset");
        assert!(!missing, "{loss:?}: {name}, {times} times");
    }
    // The oracle counts in the end what each was told: all of it.
    let said = count("source.messages");
    assert_eq!(said, MESSAGES);
    let lost = count("loss") + count("alike_loss") + count("line_loss");
    println!(
        "{loss:?}: {rate:.0} messages a second; {lost} lost on the way, {} duplicates dropped, {} filled by adapters, \
         {} requests to them, {} to the source",
        count("count.duplicates"),
        count("count.filled"),
        count("fill.asked"),
        count("request"),
    );
    assert!(rate >= least_rate as f64, "{rate:.0} messages a second");
    assert!(lost > 0 && count("count.filled") > 0);
    outcome
}

const LOSSES: [Loss; 4] = [
    Loss {
        independent: 1,
        alike: 0,
    },
    Loss {
        independent: 5,
        alike: 0,
    },
    Loss {
        independent: 1,
        alike: 1,
    },
    Loss {
        independent: 5,
        alike: 5,
    },
];

#[test]
fn at_100_000_messages_a_second_every_loss_is_made_good() {
    for (seed, loss) in (1..).zip(LOSSES) {
        let outcome = nothing_is_missing(plan(seed, BATCH, loss), loss, 100_000);
        assert!(outcome.stats.count("count.duplicates") > MESSAGES);
    }
}

#[test]
fn with_one_adapter_dead_every_loss_is_made_good() {
    for (seed, loss) in (11..).zip(LOSSES) {
        let dead = if seed % 2 == 0 { Leg::Zero } else { Leg::One };
        let at = Duration::from_millis(150);
        let plan = plan(seed, BATCH, loss).with(at, Kill::for_good(dead));
        let outcome = nothing_is_missing(plan, loss, 100_000);
        assert_eq!(outcome.stats.count("kill"), 1);
    }
}

#[test]
fn at_ten_times_the_rate_every_loss_is_made_good() {
    for (seed, loss) in (21..).zip(LOSSES) {
        nothing_is_missing(plan(seed, TENFOLD, loss), loss, 1_000_000);
    }
}
