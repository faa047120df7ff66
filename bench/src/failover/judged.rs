//! What did one session come to, when the probe only tells what all of them came to?
//!
//! The probe's summary is cumulative. One session's share is what is new since the session before, and
//! what bears its epoch; that share goes to the harness's judge. The exchange's record of a session is
//! deleted once judged, so that hours of flow do not fill the disk.

use std::fs;
use std::time::Duration;

use twinfeed_control::StopFlag;
use twinfeed_harness::Rig;
use twinfeed_harness::files::Files;
use twinfeed_harness::judge::judge;
use twinfeed_harness::probe::wire::{Gap, Summary};
use twinfeed_harness::truth::{Conversion, sessions};

use super::outcome::Counts;
use crate::error::Error;
use twinfeed_net::clock;

/// Keeps what was known after the last session.
#[derive(Debug)]
pub(crate) struct Judge {
    conversion: Conversion,
    before: Before,
}

/// Cumulative numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    duplicates_dropped: u64,
    kernel_drops: [u64; 2],
    receipts: usize,
    gaps: usize,
    breaks: usize,
    administrative_gaps: u64,
    divergences: u64,
}

/// One session, judged.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) name: String,
    pub(crate) counts: Counts,
    pub(crate) gaps: Vec<Gap>,
    /// The session's share of what the probe saw.
    pub(crate) seen: Summary,
}

impl Judge {
    pub(crate) fn new(rig: &Rig) -> Result<Self, Error> {
        Ok(Self {
            conversion: Files::conversion(rig.run())?,
            before: Before::default(),
        })
    }

    /// Judges session `number`, counted from 1, which the exchange has closed.
    pub(crate) fn session(
        &mut self,
        rig: &mut Rig,
        number: u64,
        stop: &StopFlag,
    ) -> Result<Judged, Error> {
        let (truth, folder) = (rig.files().path("truth.jsonl"), rig.files().path("sent"));
        let sent = sessions(&truth, &folder, &self.conversion.day)?;
        let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(session) = sent.get(index) else {
            let fault = format!("session {number} is closed and not in it");
            return Err(twinfeed_harness::Error::Truth { path: truth, fault }.into());
        };
        let deadline_ns = clock::monotonic_ns() + DELIVERY_LIMIT.as_nanos() as u64;
        // Whatever is missing at the deadline is lost, and the judge says so.
        while !rig.probe().status()?.ended.contains(&session.epoch)
            && clock::monotonic_ns() < deadline_ns
        {
            if stop.wait(LOOK_EVERY) {
                return Err(twinfeed_harness::Error::Interrupted.into());
            }
        }
        let seen = self.share(rig.probe().summary()?, |epoch| epoch == session.epoch);
        let verdict = judge(std::slice::from_ref(session), &self.conversion, &seen)?;
        let record = folder.join(format!("{}.itch", session.session.session));
        fs::remove_file(&record).map_err(Error::write(&record))?;
        let counts = Counts::of(&verdict);
        let name = session.session.session.clone();
        Ok(Judged {
            name,
            counts,
            gaps: seen.gaps.clone(),
            seen,
        })
    }

    /// What is new, and of what is told epoch by epoch, what is `ours`.
    fn share(&mut self, all: Summary, ours: impl Fn(twinfeed_control::Epoch) -> bool) -> Summary {
        let before = std::mem::replace(
            &mut self.before,
            Before {
                duplicates_dropped: all.duplicates_dropped,
                kernel_drops: all.kernel_drops,
                receipts: all.receipts.len(),
                gaps: all.gaps.len(),
                breaks: all.breaks.len(),
                administrative_gaps: all.administrative_gaps,
                divergences: all.divergences,
            },
        );
        let drops = |leg: usize| all.kernel_drops[leg].saturating_sub(before.kernel_drops[leg]);
        Summary {
            duplicates_dropped: all
                .duplicates_dropped
                .saturating_sub(before.duplicates_dropped),
            kernel_drops: [drops(0), drops(1)],
            epochs: all.epochs.into_iter().filter(|it| ours(it.epoch)).collect(),
            receipts: all.receipts.into_iter().skip(before.receipts).collect(),
            gaps: all.gaps.into_iter().skip(before.gaps).collect(),
            breaks: all.breaks.into_iter().skip(before.breaks).collect(),
            administrative_gaps: all
                .administrative_gaps
                .saturating_sub(before.administrative_gaps),
            divergences: all.divergences.saturating_sub(before.divergences),
            ..Summary::default()
        }
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long the last records of a session may be on their way.
const DELIVERY_LIMIT: Duration = Duration::from_secs(3);
