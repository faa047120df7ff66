//! What does a setting's report prove, refute, or leave open?

use serde::Serialize;
use twinfeed_control::Policy;

use super::kills::Excess;
use super::model::{CellReport, SettingReport, Spread};
use crate::failover::cells::{Setting, Trigger};
use crate::failover::outcome::Run;
use crate::stats::{Distinction, LEAST_RUNS, LIMIT};

/// A statement that the bench can confirm or refute.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Claim {
    pub(crate) says: String,
    /// `null`: too few runs to tell.
    pub(crate) holds: Option<bool>,
    pub(crate) because: String,
}

/// Statements about a setting.
pub(crate) fn claims(setting: &SettingReport) -> Vec<Claim> {
    let what = setting.setting;
    let kill = setting.cell(Trigger::Kill);
    let of_kill = kill.and_then(|cell| match what.policy {
        Policy::FirstArrival => unseen(what, cell, "a kill"),
        Policy::PreferActive => Some(by_reset(what, cell)),
    });
    let little_more = kill.filter(|_| what.policy == Policy::PreferActive);
    let of_excess = little_more.and_then(|cell| {
        let sham = setting.cell(Trigger::Sham)?;
        Some(in_excess(what, cell.stall_ns?, sham.stall_ns?))
    });
    let link_cut = setting.cell(Trigger::LinkCut);
    let of_link_cut = link_cut.and_then(|cell| unseen(what, cell, "a cut link"));
    let host_loss = setting.cell(Trigger::HostLoss);
    let of_host_loss = host_loss.and_then(|cell| match what.policy {
        Policy::FirstArrival => unseen(what, cell, "a lost host"),
        Policy::PreferActive => Some(in_time(what, cell)),
    });
    let hand_over = setting.cell(Trigger::HandOver);
    let of_hand_over = hand_over.and_then(|cell| unseen(what, cell, "a hand-over"));
    [of_kill, of_excess, of_hand_over, of_link_cut, of_host_loss]
        .into_iter()
        .flatten()
        .collect()
}

fn unseen(what: Setting, cell: &CellReport, trigger: &str) -> Option<Claim> {
    cell.comparison.map(|comparison| Claim {
        says: format!("{what}: the stall of {trigger} is not distinguishable from that of a sham"),
        holds: match comparison.verdict {
            Distinction::NotDistinguishable => Some(true),
            Distinction::Distinguishable => Some(false),
            Distinction::TooFew => None,
        },
        because: format!(
            "medians' ratio {:.2} (limit {LIMIT}), 95 % interval of the p90 ratio {:.2} to {:.2} \
             (must reach below {LIMIT})",
            comparison.median_ratio, comparison.p90_interval[0], comparison.p90_interval[1],
        ),
    })
}

fn by_reset(what: Setting, cell: &CellReport) -> Claim {
    let by_reset = cell.switched_by.get(TRANSPORT_RESET).copied().unwrap_or(0);
    Claim {
        says: format!("{what}: a kill is detected by the transport reset"),
        holds: (cell.clean > 0).then_some(by_reset == cell.clean),
        because: format!("{by_reset} of {} receipts say so", cell.clean),
    }
}

fn in_excess(what: Setting, kill: Spread, sham: Spread) -> Claim {
    let excess = Excess::of(kill, sham).p90;
    let enough = kill.count.min(sham.count) >= LEAST_RUNS as u64;
    Claim {
        says: format!("{what}: a kill adds at most 1 ms to a sham's stall, at the 90th percentile"),
        holds: enough.then_some(excess <= MOST_EXCESS_NS),
        because: format!("{:.3} ms", excess as f64 / 1e6),
    }
}

/// No reset arrives when a host is gone; what is left is the silence of its stream.
fn in_time(what: Setting, cell: &CellReport) -> Claim {
    let after = |run: &Run| run.switch.as_ref().map_or(u64::MAX, |it| it.after_ns);
    let within = cell
        .clean()
        .filter(|run| after(run) <= THREE_HEARTBEATS_NS)
        .count() as u64;
    let clean = u64::from(cell.clean);
    let by: Vec<String> = cell
        .switched_by
        .iter()
        .map(|(by, count)| format!("{by} {count}"))
        .collect();
    Claim {
        says: format!("{what}: a lost host is left within three heartbeats (19 of 20 runs)"),
        holds: (clean > 0).then_some(within * 20 >= clean * 19),
        because: format!("{within} of {clean} within 30 ms; by {}", by.join(", ")),
    }
}

/// The library's word for the survivor's announcement.
const TRANSPORT_RESET: &str = "transport_reset";
const MOST_EXCESS_NS: i64 = 1_000_000;
/// Of stream-admin's default, 10 ms, with which every setting runs.
const THREE_HEARTBEATS_NS: u64 = 30_000_000;

#[cfg(test)]
mod tests {
    use super::super::model::tests::{report, run, session};
    use super::*;
    use crate::failover::outcome::{Session, Standing};

    #[test]
    fn a_claim_is_left_open_when_there_are_too_few_runs() {
        let sessions = |count, stall| -> Vec<Session> {
            let runs = || {
                vec![
                    run(Trigger::Sham, 100, Standing::Clean),
                    run(Trigger::Kill, stall, Standing::Clean),
                ]
            };
            (0..count).map(|_| session(0, runs())).collect()
        };
        for (count, stall, holds) in [
            (29, 100, None),
            (30, 100, Some(true)),
            (30, 130, Some(false)),
        ] {
            let claims = claims(&report(Policy::FirstArrival, &sessions(count, stall)));
            assert_eq!(claims[0].holds, holds, "{count} runs of {stall}");
        }
        let claims = claims(&report(Policy::PreferActive, &sessions(1, 100)));
        assert_eq!(claims[0].holds, Some(true));
    }

    #[test]
    fn a_kill_may_add_a_millisecond_under_prefer_active() {
        for (runs, stall, holds) in [
            (29, 100, None),
            (30, 100 + 1_000_000, Some(true)),
            (30, 101 + 1_000_000, Some(false)),
        ] {
            let session = |_| {
                let sham = run(Trigger::Sham, 100, Standing::Clean);
                session(0, vec![sham, run(Trigger::Kill, stall, Standing::Clean)])
            };
            let sessions: Vec<Session> = (0..runs).map(session).collect();
            let claims = claims(&report(Policy::PreferActive, &sessions));
            let claim = claims.iter().find(|it| it.says.contains("adds at most"));
            assert_eq!(claim.unwrap().holds, holds, "{runs} runs of {stall}");
        }
    }

    #[test]
    fn a_lost_host_must_be_left_in_nineteen_of_twenty_runs() {
        for (late, holds) in [(0, true), (1, true), (2, false)] {
            let lost = |after_ns| {
                let mut lost = run(Trigger::HostLoss, 100, Standing::Clean);
                if let Some(switch) = &mut lost.switch {
                    switch.after_ns = after_ns;
                }
                session(0, vec![run(Trigger::Sham, 100, Standing::Clean), lost])
            };
            let moments = (0..20).map(|index| match index < late {
                true => THREE_HEARTBEATS_NS + 1,
                false => THREE_HEARTBEATS_NS,
            });
            let sessions: Vec<Session> = moments.map(lost).collect();
            let claims = claims(&report(Policy::PreferActive, &sessions));
            let claim = claims.iter().find(|it| it.says.contains("lost host"));
            assert_eq!(claim.unwrap().holds, Some(holds), "{late} late");
        }
    }
}
