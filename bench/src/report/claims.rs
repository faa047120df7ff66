//! What does a setting's report prove, refute, or leave open?

use serde::Serialize;
use twinfeed_control::Policy;

use super::model::SettingReport;
use crate::failover::cells::Trigger;
use crate::stats::{Distinction, LIMIT};

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
    let Some(kill) = setting.cell(Trigger::Kill) else {
        return Vec::new();
    };
    let what = setting.setting;
    match what.policy {
        Policy::FirstArrival => kill.comparison.map(|comparison| Claim {
            says: format!("{what}: the stall of a kill is not distinguishable from that of a sham"),
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
        }),
        Policy::PreferActive => {
            let by_reset = kill.switched_by.get(TRANSPORT_RESET).copied().unwrap_or(0);
            Some(Claim {
                says: format!("{what}: a kill is detected by the transport reset"),
                holds: (kill.clean > 0).then_some(by_reset == kill.clean),
                because: format!("{by_reset} of {} receipts say so", kill.clean),
            })
        }
    }
    .into_iter()
    .collect()
}

/// The library's word for the survivor's announcement.
const TRANSPORT_RESET: &str = "transport_reset";

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
}
