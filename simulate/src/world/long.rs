//! What is in a long world?
//!
//! A minute of everything: a source that speaks in bursts and begins its numbering anew, a pair whose operator orders
//! messages, hands over and forces, subscribers that come and go, and many kinds of faults, the last of which is over well
//! before the end.

use core::time::Duration;

use twinfeed_protocol::line::LineLimits;
use twinfeed_protocol::sequencer::RetainLimits;
use twinfeed_protocol::standby::StandbyLimits;
use twinfeed_protocol::{Leg, OrderingClass, Policy};
use twinfeed_wire::Sid;

use super::adapters::Conduct;
use super::exchange::{Burst, Shape};
use super::faults::misconvert::Misconvert;
use super::faults::pause::Pause;
use super::faults::repeat::SameWord;
use super::faults::{self, Fault};
use super::line_faults;
use super::lines::LinePath;
use super::net::{self, mtu};
use super::pair::PairPlan;
use super::plan::{Application, Plan};
use super::rng::Rng;

/// In how many of a hundred worlds an adapter converts wrongly.
const MISCONVERTS: u64 = 20;

/// In how many of a hundred worlds moments are sought that seldom come.
const RARE: u64 = 50;

impl Plan {
    /// The same, with applications that now and then do not poll for a while, and leave out what waited.
    #[must_use]
    pub fn draw_slow(seed: u64) -> Self {
        let mut plan = Self::draw_long(seed);
        let mut rng = Rng::of(seed, "slow");
        for _ in 0..rng.between(3, 10) {
            let (short, long) = (rng.micros(500, 50_000), rng.micros(50_000, 3_000_000));
            let pause = Pause::that_skips(rng.pick(&[short, long]));
            let at = rng.micros(100_000, 50_000_000);
            plan.faults.push((at, Box::new(pause)));
        }
        plan
    }

    /// The plan of one seed whose world lasts a minute and more.
    #[must_use]
    pub fn draw_long(seed: u64) -> Self {
        let mut rng = Rng::of(seed, "long plan");
        let heartbeat = rng.pick(&[50, 100].map(Duration::from_millis));
        let pair = pair(seed, heartbeat, &mut rng);
        // Content is compared by ranges of 4,096 numbers: such a world has one long life.
        let misconverts = rng
            .chance(MISCONVERTS)
            .then(|| rng.micros(500_000, 25_000_000));
        let sources = sources(misconverts.is_some(), &mut rng);
        let gentle = misconverts.is_some();
        let faults = (0..rng.between(14, 22))
            .map(|_| {
                (
                    rng.micros(100_000, 50_000_000),
                    match gentle {
                        true => faults::draw_that_loses_nothing(&mut rng),
                        false => faults::draw_of_long(&mut rng),
                    },
                )
            })
            .collect();
        let two_lines = rng.chance(80) && !gentle;
        let mut faults: Vec<(Duration, Box<dyn Fault>)> = faults;
        if let Some(span) = misconverts {
            let leg = rng.pick(&Leg::BOTH);
            let fault = Misconvert::of(leg, span);
            faults.push((rng.micros(1_000_000, 20_000_000), Box::new(fault)));
        }
        let mut path = || LinePath {
            loss_percent: rng.pick(&[0, 0, 1, 2]),
            twice_percent: rng.pick(&[0, 2]),
            late_percent: rng.pick(&[0, 2]),
            delay_us: rng.between(20, 400),
        };
        let paths = [0, 1].map(|_| [0, 1].map(|_| path()));
        let plan = Self {
            sources,
            conduct: Conduct {
                max_datagram: rng.pick(&[1_200, 1_472]),
                heartbeat,
                lines: two_lines.then(|| lines(&mut rng)),
                servers: [false; 2],
                socket_packets: match gentle {
                    true => 10_000,
                    false => rng.pick(&[20, 10_000]),
                },
                pair: Some(pair.limits),
                standby: rng.chance(25).then(|| standby(&pair, &mut rng)),
            },
            starts: match gentle {
                true => [Duration::ZERO; 2],
                false => [Duration::ZERO, rng.micros(0, 200_000)],
            },
            paths,
            subscribers: applications(heartbeat, &mut rng),
            faults,
            calm_percent: 90,
            pair: Some(pair),
            line_faults: line_faults::draw(&mut rng),
            at_least: LEAST,
            settling: heartbeat * 30,
            ..Self::plain(seed, 1)
        };
        let mut plan = plan.with_rare_moments(gentle);
        if plan.pair.is_some_and(|pair| pair.writes_late) {
            plan.faults.extend(faults::draw_unwritten(seed));
        }
        let comebacks = faults::draw_comebacks(seed, WITHIN, LONG_AWAY);
        plan.faults.extend(comebacks);
        plan
    }

    /// The same plan, in some worlds, with what brings moments that seldom come. `gentle`: its adapters convert wrongly, and
    /// lose nothing.
    fn with_rare_moments(mut self, gentle: bool) -> Self {
        let seed = self.seed;
        let mut rng = Rng::of(seed, "rare moments");
        if !rng.chance(RARE) {
            return self;
        }
        if rng.chance(50) {
            let every = rng.micros(100_000, 1_000_000);
            let fault = SameWord::times(rng.between(10, 100) as u32, every);
            let at = rng.micros(100_000, 10_000_000);
            self.faults.push((at, Box::new(fault)));
        }
        if gentle {
            // Late enough for a range between that agrees.
            let fault = Misconvert::of(rng.pick(&Leg::BOTH), rng.micros(200_000, 3_000_000));
            let at = rng.micros(36_000_000, 47_000_000);
            self.faults.push((at, Box::new(fault)));
            return self;
        }
        self.faults.extend(faults::draw_rare(seed));
        if self.conduct.lines.is_some() {
            self.line_faults.extend(line_faults::draw_rare(seed));
        }
        for shape in &mut self.sources {
            shape.beats = rng.chance(50);
            shape.idles = rng.pick(&[0, 0, 3, 15, 40]);
            // A longer rest in which it said nothing would be silence.
            let times = if shape.beats { rng.pick(&[1, 4, 4]) } else { 1 };
            shape.burst = shape.burst.map(|burst| Burst {
                packets: burst.packets * times,
                rest_us: burst.rest_us * times,
            });
        }
        self
    }
}

fn standby(pair: &PairPlan, rng: &mut Rng) -> (StandbyLimits, RetainLimits) {
    let limits = StandbyLimits {
        report_every: pair.limits.report_every,
        missed_reports: 3,
        hold_down: rng.micros(50_000, 1_000_000),
    };
    let records = rng.pick(&[60, 400, 4_000]);
    let retain = RetainLimits {
        replay: rng.pick(&[5, 50]),
        records,
        bytes: 64 * records + 8_192,
    };
    (limits, retain)
}

fn pair(seed: u64, heartbeat: Duration, rng: &mut Rng) -> PairPlan {
    let admin_hold = rng.micros(20_000, 200_000);
    let plain = PairPlan::draw(rng);
    PairPlan {
        limits: twinfeed_protocol::pair::PairLimits {
            report_every: heartbeat / 2,
            resync_retry: rng.micros(10_000, 200_000),
            admin_hold,
            slot_hold: admin_hold.min(rng.micros(1_000, 10_000)),
            ..plain.limits
        },
        patience: heartbeat * 3,
        lease: rng.micros(500_000, 3_000_000),
        order_every: rng.micros(500_000, 4_000_000),
        names_generations: true,
        writes_late: Rng::of(seed, "late words").chance(50),
        ..plain
    }
}

/// One source or two, that say so many messages together.
fn sources(long_life: bool, rng: &mut Rng) -> Vec<Shape> {
    let count = match long_life {
        true => 1,
        false => rng.pick(&[1, 1, 1, 2]),
    };
    let rate = rng.between(215, 250) / u64::from(count);
    let source = |sid| {
        let batch = rng.pick(&[8, 16, 24]);
        let packets = rng.between(3, 12);
        // Half of the packets' room is used, and so many messages are due in that time.
        let rest_us = packets * (batch + 1) * 500_000 / rate;
        let all = rate * LEAST.as_secs() * 103 / 100;
        let lives = match long_life {
            true => vec![all - 200, 200],
            false => {
                let lives = rng.between(2, 4);
                lengths(all, lives, rng)
            }
        };
        let unordered = rng.chance(20);
        Shape {
            lives,
            batch,
            covered_percent: rng.pick(&[5, 30]),
            long_percent: rng.pick(&[0, 1]),
            pause_percent: 0,
            first: rng.pick(&[1, 1, 3_990, 1_000_001]),
            marked_percent: rng.pick(&[0, 70, 100]),
            ends: rng.chance(50),
            burst: Some(Burst { packets, rest_us }),
            ordering: match unordered {
                true => OrderingClass::Unordered,
                false => OrderingClass::Ordered,
            },
            ..Shape::plain(Sid(sid), 1)
        }
    };
    (1..=count).map(source).collect()
}

/// `all`, cut into lives of at least half their share.
fn lengths(all: u64, lives: u64, rng: &mut Rng) -> Vec<u64> {
    let weights: Vec<u64> = (0..lives).map(|_| rng.between(50, 150)).collect();
    let sum: u64 = weights.iter().sum();
    let share = |weight: u64| (all * weight).div_ceil(sum);
    weights.into_iter().map(share).collect()
}

fn lines(rng: &mut Rng) -> LineLimits {
    LineLimits {
        held_messages: 512,
        held_bytes: 64 << 10,
        window: rng.pick(&[64, 512]),
        silence: rng.pick(&[1_000, 3_000].map(Duration::from_millis)),
        lag_hold: Duration::from_millis(20),
        ..LineLimits::default()
    }
}

fn applications(heartbeat: Duration, rng: &mut Rng) -> Vec<Application> {
    let mut policies = vec![Policy::FirstArrival, Policy::PreferActive];
    if rng.chance(30) {
        policies.push(rng.pick(&[Policy::FirstArrival, Policy::PreferActive]));
    }
    let draw = |policy| {
        let mut application = Application::draw(policy, rng.chance(10), rng);
        let limits = &mut application.limits;
        limits.heartbeat = heartbeat;
        limits.lag_time = heartbeat * rng.pick(&[1_u32, 3]);
        limits.reorder_hold = rng.micros(200, 5_000);
        limits.hold_down = heartbeat * 5;
        limits.seen_window = rng.pick(&[64, 65_536]);
        limits.half_messages = rng.pick(&[1, 64]);
        application.ways = [0, 1].map(|_| net::draw(rng.below(3), rng));
        if rng.chance(50) {
            let longest = rng.pick(&[400, 800, 1_100]);
            let way = &mut application.ways[rng.below(2) as usize];
            way.push(Box::new(mtu::Mtu::of(longest, 400, 80)));
        }
        application
    };
    policies.into_iter().map(draw).collect()
}

/// When applications that come back go, and for how long.
const WITHIN: Duration = Duration::from_secs(45);
const LONG_AWAY: Duration = Duration::from_secs(8);
/// How long a long world lasts at least.
const LEAST: Duration = Duration::from_secs(60);
