//! Which of the arbiter's limits may an application set, and which values are refused?

use std::ops::RangeInclusive;
use std::time::Duration;

use twinfeed_protocol::{JoinLimits, Limits, Policy, SlowPolicy};

use crate::error::Error;
use crate::pace::Pace;
use crate::snapshots::SnapshotSettings;

/// The arbiter's knobs that an application may set; what is `None` comes from the feed's constraints, and
/// failing those from [`twinfeed_protocol::Limits`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tuning {
    /// Whose records are delivered.
    pub policy: Policy,
    /// An alive leg this many source numbers behind is abandoned, see [`Tuning::lag_time`].
    pub lag_messages: Option<u64>,
    /// For how long it must be behind.
    pub lag_time: Option<Duration>,
    /// How long a hole is kept open after every live leg has passed it.
    pub reorder_hold: Option<Duration>,
    /// Most records held per leg.
    pub held_records: Option<usize>,
    /// Most bytes held per leg.
    pub held_bytes: Option<usize>,
    /// A jump of more source numbers than this is absurd until confirmed; of an unordered source one of
    /// [`Tuning::seen_window`] is, too.
    pub window: Option<u64>,
    /// Numbers of an unordered source that are told apart, from the lowest missing one on, within
    /// [`SEEN_WINDOW`]; one bit each per source stream. What comes further ahead declares the lowest missing
    /// ones as a gap. Default 65,536.
    pub seen_window: Option<usize>,
    /// Most messages of an unordered source that may be half delivered, within [`HALF_MESSAGES`]. One more
    /// declares the rest of the lowest one as a gap. Default 64.
    pub half_messages: Option<usize>,
    /// How long a leg that came back must behave before it is preferred again, and a degraded leg's score be high before
    /// it is fit. Default 1 s.
    pub hold_down: Option<Duration>,
    /// A leg whose score (0 to 100) is below this is degraded: under prefer-active it is left for a fit one, and not gone
    /// back to. 0: no leg ever is. Default 50.
    pub health_low: Option<u8>,
    /// A degraded leg is fit again once its score was this or more for [`Tuning::hold_down`]; at least
    /// [`Tuning::health_low`], at most 100. Default 75.
    pub health_high: Option<u8>,
    /// Ranges of 4,096 source numbers in a row that must agree before legs that diverged are merged again. Default 2.
    pub agreed_ranges: Option<u32>,
    /// How long the leg that is pinned in a divergence may be behind before the other one follows, with a
    /// `Discontinuity`. Default 1 s.
    pub pinned_lag_time: Option<Duration>,
    /// How long adapters may be asked for a hole before it is declared; zero: nobody is asked. Default 500 ms.
    pub repair_time: Option<Duration>,
    /// How long an answer may take at first, at least 10 µs. Default 5 ms.
    pub fill_patience: Option<Duration>,
    /// Requests in vain before a hole is declared. Default 12.
    pub fill_attempts: Option<u32>,
    /// Most source numbers in one range of a request, at least 1. Default 65,536.
    pub fill_range: Option<u64>,
    /// Most datagrams that one request asks for, at least 1. Default 64.
    pub fill_datagrams: Option<u32>,
    /// Most records and events of a source stream that are kept while it joins with a snapshot, at least 1. Full: joining begins
    /// again, with [`crate::Event::JoinRestarted`]. Default 1,048,576.
    pub join_items: Option<usize>,
    /// Most bytes of them, at least 64 KiB. Default 256 MiB, of which as much is taken as is needed.
    pub join_bytes: Option<usize>,
    /// How long joining may take before the application goes on without a snapshot, with [`crate::Event::NoSnapshot`]. Default 30 s.
    pub join_time: Option<Duration>,
    /// How long nothing may come of a source stream whose adapters are heard before its snapshot is asked for all the same, at least 1 ms. It
    /// takes at most twice as long. Default 100 ms.
    pub join_quiet: Option<Duration>,
    /// How many things (records, events, orders) of a snapshot and of what was kept behind it a poll tells, beyond as many as were
    /// kept in it, at least 1: one frame of orders, at most 2,730, may come on top. Default 4,096.
    pub join_told: Option<usize>,
    /// Longest snapshot of a source stream that is taken, bytes, at least 64 KiB: about 24 for each order. In memory are one for each
    /// source stream that is told one, and two on their way. Default 512 MiB.
    pub snapshot_bytes: Option<usize>,
    /// How long a server of snapshots may say nothing before another one is asked, at least 1 ms. Default 5 s.
    pub snapshot_patience: Option<Duration>,
    /// Whether a snapshot is asked for in place of a gap that adapters did not fill, where snapshots may be asked for. Default yes.
    pub snapshot_on_gap: Option<bool>,
    /// What happens when the application is too slow for what it is sent.
    pub slow: SlowPolicy,
    /// When it is: not everything that had come was taken for so long, at least 1 ms. Default 2 s.
    pub slow_time: Option<Duration>,
}

impl Tuning {
    /// Refuses what is not worth allocating, or would doubt or forget honest data.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let rules = [
            (
                "seen_window",
                self.seen_window,
                SEEN_WINDOW,
                "use 512 to 134217728 numbers, or leave it out for 65536",
            ),
            (
                "half_messages",
                self.half_messages,
                HALF_MESSAGES,
                "use 1 to 4096 messages, or leave it out for 64",
            ),
        ];
        for (name, value, range, remedy) in rules {
            if let Some(value) = value.filter(|value| !range.contains(value)) {
                let cause = format!("it is {value}");
                return Err(Error::Setting {
                    name,
                    cause,
                    remedy,
                });
            }
        }
        self.check_joining()?;
        if let Some(time) = self.slow_time.filter(|time| time.as_millis() == 0) {
            return Err(Error::Setting {
                name: "slow_time",
                cause: format!("it is {time:?}"),
                remedy: "use 1 ms or more, or leave it out for 2 s",
            });
        }
        let defaults = Limits::default();
        let low = self.health_low.unwrap_or(defaults.health_low);
        let high = self.health_high.unwrap_or(defaults.health_high);
        if low > high || high > 100 {
            return Err(Error::Setting {
                name: "health_low, health_high",
                cause: format!("they are {low} and {high}"),
                remedy: "use 0 to 100, the first no more than the second; without, 50 and 75",
            });
        }
        Ok(())
    }

    fn check_joining(&self) -> Result<(), Error> {
        let millis = |time: Option<Duration>| time.map(|it| it.as_millis() as usize);
        let patience = millis(self.snapshot_patience);
        let quiet = millis(self.join_quiet);
        let rules = [
            (
                "join_items",
                self.join_items,
                1,
                "use 1 or more, or leave it out for 1048576",
            ),
            (
                "join_bytes",
                self.join_bytes,
                LEAST_JOIN_BYTES,
                "use 65536 or more, or leave it out",
            ),
            (
                "join_told",
                self.join_told,
                1,
                "use 1 or more, or leave it out for 4096",
            ),
            (
                "snapshot_bytes",
                self.snapshot_bytes,
                LEAST_JOIN_BYTES,
                "use 65536 or more, or leave it out",
            ),
            (
                "snapshot_patience",
                patience,
                1,
                "use 1 ms or more, or leave it out for 5 s",
            ),
            (
                "join_quiet",
                quiet,
                1,
                "use 1 ms or more, or leave it out for 100 ms",
            ),
        ];
        for (name, value, least, remedy) in rules {
            if let Some(value) = value.filter(|value| *value < least) {
                return Err(Error::Setting {
                    name,
                    cause: format!("it is {value}"),
                    remedy,
                });
            }
        }
        Ok(())
    }

    /// What happens to an application that is too slow.
    pub(crate) fn pace(&self) -> Pace {
        let limit = self.slow_time.unwrap_or(Duration::from_secs(2));
        Pace::new(self.slow, limit)
    }

    /// What joining may cost.
    pub(crate) fn joining(&self) -> SnapshotSettings {
        let defaults = JoinLimits::default();
        SnapshotSettings {
            bytes: self.snapshot_bytes.unwrap_or(512 << 20),
            patience: self.snapshot_patience.unwrap_or(Duration::from_secs(5)),
            told: self.join_told.unwrap_or(4_096),
            limits: JoinLimits {
                kept_items: self.join_items.unwrap_or(defaults.kept_items),
                kept_bytes: self.join_bytes.unwrap_or(defaults.kept_bytes),
                time: self.join_time.unwrap_or(defaults.time),
                quiet: self.join_quiet.unwrap_or(defaults.quiet),
                on_gap: self.snapshot_on_gap.unwrap_or(true),
            },
        }
    }
}

/// Least of [`Tuning::join_bytes`] and [`Tuning::snapshot_bytes`]: the longest body finds room.
const LEAST_JOIN_BYTES: usize = 64 << 10;

/// What [`Tuning::seen_window`] may be: from more numbers than the longest jumbo frame has records, up to
/// 16 MiB per source stream.
pub const SEEN_WINDOW: RangeInclusive<usize> = 512..=1 << 27;
/// What [`Tuning::half_messages`] may be: every record is looked for in that list.
pub const HALF_MESSAGES: RangeInclusive<usize> = 1..=4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Builder;

    fn builder() -> Builder {
        Builder::new("http://127.0.0.1:1", "itch".parse().unwrap())
    }

    #[test]
    fn bounds_of_health_that_contradict_each_other_are_refused_by_name() {
        for (health_low, health_high, sound) in [
            (None, None, true),
            (Some(0), Some(0), true),
            (Some(75), None, true),
            (Some(76), None, false),
            (None, Some(50), true),
            (None, Some(49), false),
            (Some(100), Some(100), true),
            (Some(100), Some(101), false),
        ] {
            let opened = builder()
                .tuning(Tuning {
                    health_low,
                    health_high,
                    ..Tuning::default()
                })
                .open();
            let case = format!("{health_low:?} {health_high:?}");
            assert_eq!(opened.is_ok(), sound, "{case}");
            if let Err(error) = opened {
                assert_eq!(error.exit_code(), 78);
                assert!(error.to_string().contains("health_low"), "{case}: {error}");
            }
        }
    }

    #[test]
    fn absurd_limits_of_joining_are_refused_by_name() {
        type Set = fn(&mut Tuning, usize);
        let table: [(&str, Set, usize); 5] = [
            ("join_items", |it, value| it.join_items = Some(value), 1),
            (
                "join_bytes",
                |it, value| it.join_bytes = Some(value),
                65_536,
            ),
            ("join_told", |it, value| it.join_told = Some(value), 1),
            (
                "snapshot_bytes",
                |it, value| it.snapshot_bytes = Some(value),
                65_536,
            ),
            (
                "snapshot_patience",
                |it, value| it.snapshot_patience = Some(Duration::from_millis(value as u64)),
                1,
            ),
        ];
        for (name, set, least) in table {
            for (value, sound) in [(least, true), (least - 1, false)] {
                let mut tuning = Tuning::default();
                set(&mut tuning, value);
                let opened = builder().tuning(tuning).open();
                assert_eq!(opened.is_ok(), sound, "{name} {value}");
                if let Err(error) = opened {
                    assert_eq!(error.exit_code(), 78);
                    assert!(error.to_string().contains(name), "{error}");
                }
            }
        }
    }

    #[test]
    fn absurd_limits_of_an_unordered_source_are_refused_by_name() {
        type Set = fn(usize) -> Tuning;
        let seen: Set = |count| Tuning {
            seen_window: Some(count),
            ..Tuning::default()
        };
        let half: Set = |count| Tuning {
            half_messages: Some(count),
            ..Tuning::default()
        };
        for (name, set, range, default) in [
            (
                "seen_window",
                seen,
                SEEN_WINDOW,
                Limits::default().seen_window,
            ),
            (
                "half_messages",
                half,
                HALF_MESSAGES,
                Limits::default().half_messages,
            ),
        ] {
            let (least, most) = range.into_inner();
            for fits in [least, default, most] {
                assert!(builder().tuning(set(fits)).open().is_ok(), "{name} {fits}");
            }
            for absurd in [0, least - 1, most + 1, usize::MAX] {
                let error = builder().tuning(set(absurd)).open().unwrap_err();
                assert_eq!(error.exit_code(), 78);
                let error = error.to_string();
                let [culprit, value] = [format!("`{name}`"), absurd.to_string()];
                assert!(
                    error.contains(&culprit) && error.contains(&value),
                    "{error}"
                );
                for bound in [least, most, default] {
                    assert!(error.contains(&bound.to_string()), "{error}");
                }
            }
        }
    }
}
