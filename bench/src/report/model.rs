//! The one document of a bench: what was run where, what came out, what follows.
//!
//! Serialised, it is `report.json`; `docs/summary-json.md` says what its keys mean. Times are
//! nanoseconds. Values of single runs stay in it, so that whoever doubts a statistic can make another.

use std::collections::BTreeMap;

use serde::Serialize;
use twinfeed_control::TransmitMode;
use twinfeed_harness::probe::wire::Latency;

use super::claims::Claim;
use super::kills::KillLine;
use crate::chance::Chance;
use crate::failover::cells::{Setting, Trigger};
use crate::failover::outcome::{Counts, Run, Session, Standing};
use crate::failover::peers::Peer;
use crate::host::Host;
use crate::stats::{Comparison, Sample, compare};

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// `failover`.
    pub(crate) bench: &'static str,
    /// Version of this document's shape.
    pub(crate) version: u32,
    pub(crate) host: Host,
    pub(crate) options: Options,
    /// Sums over every session, used or not.
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// Over clean runs with a real trigger.
    pub(crate) stall_ns: Option<Spread>,
    /// The same.
    pub(crate) failover_gap_ns: Option<Spread>,
    /// Over every record of every setting.
    pub(crate) latency_ns: Option<LatencyOf>,
    /// Whether everything held that makes the exit code 0.
    pub(crate) ok: bool,
    /// Promises of the product that were broken, each with its session.
    pub(crate) broken: Vec<String>,
    /// What kept the bench from being complete: invalid runs, cells with too few clean ones.
    pub(crate) faults: Vec<String>,
    pub(crate) claims: Vec<Claim>,
    /// What a kill costs, of the product and of the other systems.
    pub(crate) kills: Vec<KillLine>,
    pub(crate) settings: Vec<SettingReport>,
    /// Other systems, killed in turns with the product.
    pub(crate) peers: Vec<PeerReport>,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) runs: u32,
    pub(crate) kill_runs: u32,
    pub(crate) window_ms: u64,
    pub(crate) rate: u64,
    pub(crate) burst: Option<String>,
    pub(crate) session_ms: u64,
    pub(crate) input: Option<String>,
    /// Which adapters transmit.
    pub(crate) transmit: TransmitMode,
    /// Idle strategy of the adapters' data threads.
    pub(crate) idle: String,
    /// Cores that the active and the backup adapter are pinned to.
    pub(crate) cores: [Option<usize>; 2],
}

/// One set of processes.
#[derive(Debug, Serialize)]
pub(crate) struct SettingReport {
    #[serde(flatten)]
    pub(crate) setting: Setting,
    pub(crate) sessions: u64,
    /// Sessions in which nothing was tried, and why not in the last of them.
    pub(crate) sessions_unused: u64,
    pub(crate) unused_because: Option<String>,
    /// From the adapter's receive time of the source packet to the delivery.
    pub(crate) latency_ns: LatencyOf,
    /// The whole of it, `[nanoseconds, count]`.
    #[serde(skip)]
    pub(crate) latency_counts: Vec<[u64; 2]>,
    pub(crate) cells: Vec<CellReport>,
}

/// Another system.
#[derive(Debug, Serialize)]
pub(crate) struct PeerReport {
    pub(crate) peer: Peer,
    /// How two publishers are merged on it.
    pub(crate) means: &'static str,
    pub(crate) sessions: u64,
    /// Sessions in which nothing was tried, and why not in the last of them.
    pub(crate) sessions_unused: u64,
    pub(crate) unused_because: Option<String>,
    pub(crate) cells: Vec<CellReport>,
}

/// One cell.
#[derive(Debug, Serialize)]
pub(crate) struct CellReport {
    pub(crate) trigger: Trigger,
    pub(crate) wanted: u32,
    pub(crate) clean: u32,
    pub(crate) overload: u32,
    pub(crate) invalid: u32,
    /// Sums over the sessions of the cell that were no overload.
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// Sums over those that were.
    pub(crate) overload_counts: Counts,
    /// Gaps declared in them: sid, first and last source number, cause.
    pub(crate) overload_gaps: Vec<String>,
    /// Over clean runs.
    pub(crate) stall_ns: Option<Spread>,
    /// Over clean runs; not of sham.
    pub(crate) failover_gap_ns: Option<Spread>,
    /// Clean runs in which the survivor delivered nothing new in the window.
    pub(crate) without_failover: u32,
    /// What decided the switches, and how often; `none` where there was none.
    pub(crate) switched_by: BTreeMap<String, u32>,
    /// With the sham runs of the same setting.
    pub(crate) comparison: Option<Comparison>,
    pub(crate) runs: Vec<Run>,
}

/// A distribution of few values, by nearest rank.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) count: u64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

/// A distribution of many values, to three figures.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct LatencyOf {
    pub(crate) count: u64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

impl Spread {
    pub(crate) fn of(sample: &Sample) -> Option<Self> {
        Some(Self {
            count: sample.len() as u64,
            p50: sample.percentile(50.0)?,
            p90: sample.percentile(90.0)?,
            p99: sample.percentile(99.0)?,
            max: sample.max()?,
        })
    }
}

impl From<&Latency> for LatencyOf {
    fn from(latency: &Latency) -> Self {
        let &Latency {
            count,
            p50,
            p90,
            p99,
            p999,
            max,
            ..
        } = latency;
        Self {
            count,
            p50,
            p90,
            p99,
            p999,
            max,
        }
    }
}

impl LatencyOf {
    /// Several distributions of `[value, count]` as one; `None` if they are empty.
    pub(crate) fn merged<'a>(parts: impl Iterator<Item = &'a [[u64; 2]]>) -> Option<Self> {
        let mut counts: Vec<[u64; 2]> = parts.flatten().copied().collect();
        counts.sort_unstable();
        let count: u64 = counts.iter().map(|[_, count]| count).sum();
        let at = |share: f64| {
            // Exact for counts below 2^53.
            let rank = ((count as f64 * share).ceil() as u64).max(1);
            let mut below = 0;
            let mut steps = counts.iter();
            steps.find(|[_, here]| {
                below += here;
                below >= rank
            })
        };
        let value = |share| at(share).map(|[value, _]| *value);
        Some(Self {
            count,
            p50: value(0.5)?,
            p90: value(0.9)?,
            p99: value(0.99)?,
            p999: value(0.999)?,
            max: value(1.0)?,
        })
    }
}

impl SettingReport {
    /// Sorts the sessions of a setting into its cells.
    pub(crate) fn new(
        setting: Setting,
        wanted: &[(Trigger, u32)],
        sessions: &[Session],
        latency: &[Latency],
        resamples: u32,
        chance: &mut Chance,
    ) -> Self {
        let latency_ns = match latency {
            [whole] => whole.into(),
            parts => LatencyOf::merged(parts.iter().map(|it| &it.counts[..])).unwrap_or_default(),
        };
        Self {
            setting,
            sessions: sessions.len() as u64,
            sessions_unused: unused(sessions),
            unused_because: None,
            latency_ns,
            latency_counts: latency.iter().flat_map(|it| it.counts.clone()).collect(),
            cells: cells(wanted, sessions, resamples, chance),
        }
    }

    pub(crate) fn cell(&self, trigger: Trigger) -> Option<&CellReport> {
        self.cells.iter().find(|cell| cell.trigger == trigger)
    }
}

impl PeerReport {
    /// Sorts the sessions of a peer into its cells.
    pub(crate) fn new(
        peer: Peer,
        wanted: &[(Trigger, u32)],
        sessions: &[Session],
        resamples: u32,
        chance: &mut Chance,
    ) -> Self {
        let mut cells = cells(wanted, sessions, resamples, chance);
        // Nobody decides a switch there, and nobody tells of one.
        cells.iter_mut().for_each(|cell| cell.switched_by.clear());
        Self {
            peer,
            means: peer.means(),
            sessions: sessions.len() as u64,
            sessions_unused: unused(sessions),
            unused_because: None,
            cells,
        }
    }
}

/// Sessions in which nothing was tried.
fn unused(sessions: &[Session]) -> u64 {
    sessions.iter().filter(|it| it.runs.is_empty()).count() as u64
}

/// Every trigger's sessions, held against the sham runs among them.
fn cells(
    wanted: &[(Trigger, u32)],
    sessions: &[Session],
    resamples: u32,
    chance: &mut Chance,
) -> Vec<CellReport> {
    let cell = |&(trigger, wanted)| CellReport::new(trigger, wanted, sessions);
    let mut cells: Vec<CellReport> = wanted.iter().map(cell).collect();
    let sham = cells.iter().find(|cell| cell.trigger == Trigger::Sham);
    let Some(sham) = sham.map(CellReport::stalls) else {
        return cells;
    };
    let real = |cell: &&mut CellReport| cell.trigger != Trigger::Sham;
    for cell in cells.iter_mut().filter(real) {
        cell.comparison = compare(&cell.stalls(), &sham, resamples, chance);
    }
    cells
}

impl CellReport {
    fn new(trigger: Trigger, wanted: u32, sessions: &[Session]) -> Self {
        let of_trigger = |run: &&Run| run.trigger == trigger;
        let runs: Vec<Run> = sessions
            .iter()
            .flat_map(|it| &it.runs)
            .filter(of_trigger)
            .cloned()
            .collect();
        let mut cell = Self {
            trigger,
            wanted,
            clean: 0,
            overload: 0,
            invalid: 0,
            counts: Counts::default(),
            overload_counts: Counts::default(),
            overload_gaps: Vec::new(),
            stall_ns: None,
            failover_gap_ns: None,
            without_failover: 0,
            switched_by: BTreeMap::new(),
            comparison: None,
            runs,
        };
        for session in sessions
            .iter()
            .filter(|it| it.belongs_to() == Some(trigger))
        {
            cell.add(session);
        }
        cell.sum_up();
        cell
    }

    fn add(&mut self, session: &Session) {
        let overload = session
            .runs
            .iter()
            .any(|it| matches!(it.standing, Standing::Overload(_)));
        if !overload {
            self.counts.add(&session.counts);
            return;
        }
        self.overload_counts.add(&session.counts);
        let words = session.declared_gaps.iter().map(|gap| {
            let (sid, from, until, cause) = (gap.sid, gap.from, gap.until, &gap.cause);
            format!(
                "{}: sid {sid}, {from} to {}, {cause}",
                session.name,
                until.saturating_sub(1)
            )
        });
        self.overload_gaps.extend(words);
    }

    fn sum_up(&mut self) {
        for run in &self.runs {
            match run.standing {
                Standing::Clean => self.clean += 1,
                Standing::Overload(_) => self.overload += 1,
                Standing::Invalid(_) => self.invalid += 1,
            }
        }
        self.stall_ns = Spread::of(&self.stalls());
        if self.trigger == Trigger::Sham {
            return;
        }
        let gaps: Vec<u64> = self.clean().filter_map(|run| run.failover_gap_ns).collect();
        self.without_failover = self.clean - gaps.len() as u32;
        self.failover_gap_ns = Spread::of(&Sample::new(gaps));
        let mut switched_by = BTreeMap::new();
        for run in self.clean() {
            let word = run
                .switch
                .as_ref()
                .map_or("none", |switch| switch.trigger.as_str());
            *switched_by.entry(word.to_owned()).or_default() += 1;
        }
        self.switched_by = switched_by;
    }

    /// The stalls of the runs that count.
    pub(crate) fn stalls(&self) -> Sample {
        Sample::new(self.clean().map(|run| run.stall_ns).collect())
    }

    /// What decided the switches, for people.
    pub(crate) fn switches_in_words(&self) -> String {
        let words = self.switched_by.iter();
        let words: Vec<_> = words
            .map(|(word, times)| format!("{word} {times}"))
            .collect();
        words.join(", ")
    }

    /// The runs that count.
    pub(crate) fn clean(&self) -> impl Iterator<Item = &Run> {
        self.runs
            .iter()
            .filter(|run| run.standing == Standing::Clean)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use twinfeed_control::Policy;

    use super::*;
    use crate::failover::cells::{Content, Link};
    use crate::failover::outcome::Switch;

    pub(in crate::report) fn run(trigger: Trigger, stall_ns: u64, standing: Standing) -> Run {
        let by = |trigger: &str| Switch {
            trigger: trigger.to_owned(),
            after_ns: 1,
            stall_ns: 1,
        };
        Run {
            trigger,
            leg: 0,
            active: true,
            at_ns: 0,
            stall_ns,
            failover_gap_ns: (stall_ns != 5).then_some(stall_ns * 2),
            records: 1,
            switch: (trigger != Trigger::Sham).then(|| by("transport_reset")),
            standing,
        }
    }

    pub(in crate::report) fn session(lost: u64, runs: Vec<Run>) -> Session {
        let counts = Counts {
            messages: 100,
            lost,
            ..Counts::default()
        };
        let (declared_gaps, broken) = (Vec::new(), Vec::new());
        Session {
            name: "S1".to_owned(),
            runs,
            counts,
            declared_gaps,
            broken,
        }
    }

    pub(in crate::report) fn report(policy: Policy, sessions: &[Session]) -> SettingReport {
        let setting = Setting {
            policy,
            content: Content::Flow,
            link: Link::Direct,
        };
        let wanted = [
            (Trigger::Kill, 2),
            (Trigger::HostLoss, 2),
            (Trigger::Sham, 2),
        ];
        let latency = Latency::default();
        SettingReport::new(
            setting,
            &wanted,
            sessions,
            &[latency],
            100,
            &mut Chance::seeded(1),
        )
    }

    #[test]
    fn overload_and_invalid_runs_are_counted_apart_from_clean_ones() {
        let overload = || Standing::Overload("drops".to_owned());
        let invalid = || Standing::Invalid("cold".to_owned());
        let report = report(
            Policy::FirstArrival,
            &[
                session(
                    0,
                    vec![
                        run(Trigger::Sham, 9, Standing::Clean),
                        run(Trigger::Kill, 10, Standing::Clean),
                    ],
                ),
                session(
                    7,
                    vec![
                        run(Trigger::Sham, 99, overload()),
                        run(Trigger::Kill, 1_000, overload()),
                    ],
                ),
                session(0, vec![run(Trigger::Kill, 5, Standing::Clean)]),
                session(0, vec![run(Trigger::Kill, 7, invalid())]),
                session(3, vec![]),
            ],
        );
        let kill = report.cell(Trigger::Kill).unwrap();
        assert_eq!(
            (
                kill.clean,
                kill.overload,
                kill.invalid,
                kill.without_failover
            ),
            (2, 1, 1, 1)
        );
        assert_eq!(
            kill.stall_ns,
            Some(Spread {
                count: 2,
                p50: 5,
                p90: 10,
                p99: 10,
                max: 10
            })
        );
        assert_eq!(kill.failover_gap_ns.map(|it| it.max), Some(20));
        assert_eq!(
            (
                kill.counts.messages,
                kill.counts.lost,
                kill.overload_counts.lost
            ),
            (300, 0, 7)
        );
        assert_eq!(
            kill.switched_by,
            BTreeMap::from([("transport_reset".to_owned(), 2)])
        );
        let sham = report.cell(Trigger::Sham).unwrap();
        assert_eq!((sham.clean, sham.overload, sham.counts.messages), (1, 1, 0));
        assert_eq!(sham.failover_gap_ns, None);
        assert_eq!((report.sessions, report.sessions_unused), (5, 1));
    }

    #[test]
    fn latencies_of_several_settings_are_one_distribution() {
        let (one, two) = ([[10, 50], [30, 1]], [[20, 48], [40, 1]]);
        let merged = LatencyOf::merged([&one[..], &two[..]].into_iter()).unwrap();
        let LatencyOf {
            count,
            p50,
            p90,
            p99,
            p999,
            max,
        } = merged;
        assert_eq!((count, p50, p90, p99, p999, max), (100, 10, 20, 30, 40, 40));
        assert_eq!(LatencyOf::merged(std::iter::empty()), None);
    }
}
