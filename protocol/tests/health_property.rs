//! A leg's score against a twin that keeps every fault for ever and looks through all of them at each tick.
#![allow(clippy::unwrap_used, reason = "a case that does not hold fails")]

use proptest::prelude::*;
use twinfeed_protocol::health::{Bearing, Behind, TICK, TICKS, Tally};
use twinfeed_protocol::time::nanos;
use twinfeed_protocol::{Health, Limits, Time};

/// What happened up to a tick: ticks gone by, and how much of each kind is new.
#[derive(Clone, Debug)]
struct Step {
    ticks: u64,
    new: Tally,
    /// Lost datagrams that came after all.
    late_arrivals: u64,
    bearing: Bearing,
}

fn step() -> impl Strategy<Value = Step> {
    let ticks = prop_oneof![8 => Just(1_u64), 3 => 2_u64..10, 1 => 30_u64..90];
    let counts = (0_u64..500, 0_u64..4, 0_u64..3, 0_u64..6);
    let rare = || prop_oneof![9 => Just(0_u64), 1 => 1_u64..3];
    let bearing = prop_oneof![
        1 => Just(Bearing::Unheard),
        2 => Just(Bearing::Out),
        12 => (0_u64..2_000, 0_u64..2_000)
            .prop_map(|(messages, time)| Bearing::Live(Behind { messages, time })),
    ];
    let rares = (rare(), rare(), rare(), rare());
    (ticks, counts, rares, 0_u64..4, bearing).prop_map(
        |(ticks, (sent, lost, dropped, late), rares, late_arrivals, bearing)| {
            let (silences, stalls, restarts, doubted) = rares;
            Step {
                ticks,
                new: Tally {
                    sent,
                    lost,
                    dropped,
                    late,
                    silences,
                    stalls,
                    restarts,
                    doubted,
                },
                late_arrivals,
                bearing,
            }
        },
    )
}

/// Everything that ever happened.
#[derive(Default)]
struct Twin {
    tick: u64,
    /// At which tick, and what the tally was then.
    tallies: Vec<(u64, Tally)>,
    /// When, and the score.
    scores: Vec<(Time, u8)>,
}

impl Twin {
    fn tally(&self) -> Tally {
        self.tallies.last().map(|it| it.1).unwrap_or_default()
    }

    fn take(&mut self, step: &Step) -> Tally {
        let (was, new) = (self.tally(), step.new);
        let now = Tally {
            sent: was.sent + new.sent,
            lost: (was.lost + new.lost).saturating_sub(step.late_arrivals),
            dropped: was.dropped + new.dropped,
            late: was.late + new.late,
            silences: was.silences + new.silences,
            stalls: was.stalls + new.stalls,
            restarts: was.restarts + new.restarts,
            doubted: was.doubted + new.doubted,
        };
        self.tick += step.ticks;
        self.tallies.push((self.tick, now));
        let live = match step.bearing {
            Bearing::Unheard => return now,
            Bearing::Out => None,
            Bearing::Live(behind) => Some(behind.points()),
        };
        // The newest tally that is as old as the span, or older.
        let old = |(tick, _): &&(u64, Tally)| tick + TICKS as u64 <= self.tick;
        let before = self.tallies.iter().rev().find(old).map(|it| it.1);
        let points = live.map(|behind| behind + now.since(&before.unwrap_or_default()).points());
        let score = points.map_or(0, |points| 100_u64.saturating_sub(points));
        self.scores.push((self.now(), u8::try_from(score).unwrap()));
        now
    }

    fn now(&self) -> Time {
        Time(self.tick * nanos(TICK))
    }

    /// Whether it was low once and was high for the hold-down at no time since.
    fn is_degraded(&self, limits: &Limits) -> bool {
        let low = |&(_, score): &(Time, u8)| score < limits.health_low;
        let Some(fell) = self.scores.iter().rposition(low) else {
            return false;
        };
        let since = &self.scores[fell..];
        let held = (0..since.len()).any(|from| {
            let high = since[from..]
                .iter()
                .take_while(|(_, score)| *score >= limits.health_high);
            high.last()
                .is_some_and(|(at, _)| at.since(since[from].0) >= limits.hold_down)
        });
        !held
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn it_says_what_one_says_who_remembers_everything(
        steps in prop::collection::vec(step(), 1..160),
        low in 0_u8..=100,
        above in 0_u8..=100,
        hold_down_ms in prop_oneof![Just(0_u64), Just(249), Just(250), Just(1_000), Just(5_000)],
    ) {
        let limits = Limits {
            health_low: low,
            health_high: low.saturating_add(above).min(100),
            hold_down: std::time::Duration::from_millis(hold_down_ms),
            ..Limits::default()
        };
        let (mut health, mut twin) = (Health::new(), Twin::default());
        for step in &steps {
            let tally = twin.take(step);
            health.tick(step.ticks, twin.now(), tally, step.bearing, &limits);
            let expected = twin.scores.last().map_or(100, |it| it.1);
            prop_assert_eq!(health.score(), expected, "{:?}", step);
            prop_assert_eq!(health.is_degraded(), twin.is_degraded(&limits), "{:?}", step);
        }
    }
}
