//! Were the promises kept?
//!
//! Compares what a probe saw with what the exchange sent. *Lost* is every source message that was sent
//! and not delivered, whether it was declared or not; what was delivered must be equal in content to
//! what the decoder makes of the session, less what was lost.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::probe::wire::{Epochs, Summary};
use crate::truth::{Conversion, Expected, Sent};

/// What came out, summed over all sessions.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Verdict {
    /// Source messages sent that become records.
    pub messages: u64,
    /// Of those, not delivered.
    pub lost: u64,
    /// Of the lost, declared in a gap.
    pub declared: u64,
    /// Records delivered twice.
    pub duplicates_delivered: u64,
    /// Records that the library dropped as delivered before; 0 means that one leg was not there.
    pub duplicates_dropped: u64,
    /// Records out of order.
    pub order_violations: u64,
    /// Sessions whose delivered content is not what was sent.
    pub wrong_content: u64,
    /// Records in epochs that nobody sent.
    pub strays: u64,
    /// Gaps declared.
    pub gaps: u64,
    /// Discontinuities and resets declared, other than joins and new epochs.
    pub breaks: u64,
    /// Switches.
    pub switches: u64,
    /// Datagrams dropped by the kernel at the sockets of leg 0 and leg 1.
    pub kernel_drops: [u64; 2],
    /// Session by session.
    pub sessions: Vec<SessionVerdict>,
}

/// One session.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SessionVerdict {
    /// Its name.
    pub session: String,
    /// Source messages sent that become records.
    pub messages: u64,
    /// Of those, not delivered.
    pub lost: u64,
    /// Whether the delivered content is what was sent; `null` if too many ranges are missing to say.
    pub content_equal: Option<bool>,
}

impl Verdict {
    /// What was promised and not kept, in words; empty if all is well.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (count, what) in [
            (self.lost, "source messages lost"),
            (self.duplicates_delivered, "records delivered twice"),
            (self.order_violations, "records out of order"),
            (self.wrong_content, "sessions with wrong content"),
            (self.breaks, "discontinuities within a session"),
            (self.strays, "records of sessions that nobody sent"),
        ] {
            if count > 0 {
                broken.push(format!("{count} {what}"));
            }
        }
        if self.messages == 0 {
            broken.push("nothing was sent: there was nothing to prove".to_owned());
        }
        if self.duplicates_dropped == 0 {
            broken.push("no duplicate was dropped: one of the legs was not there".to_owned());
        }
        broken
    }

    /// Whether the host could not keep up: both sockets of the probe lost datagrams in its kernel.
    /// Such a run says nothing about the product and is counted apart.
    #[must_use]
    pub fn overload(&self) -> bool {
        self.kernel_drops.iter().all(|drops| *drops > 0)
    }
}

/// Judges a probe that subscribed before the first session began.
///
/// # Errors
/// When what the exchange wrote down cannot be read or decoded.
pub fn judge(sent: &[Sent], conversion: &Conversion, seen: &Summary) -> Result<Verdict, Error> {
    judge_with(sent, conversion, seen, false)
}

/// Judges a probe that may have joined in mid-session: of the first session it saw, what went before its
/// first record does not count.
///
/// # Errors
/// As [`judge`].
pub fn judge_late(
    sent: &[Sent],
    conversion: &Conversion,
    seen: &Summary,
) -> Result<Verdict, Error> {
    judge_with(sent, conversion, seen, true)
}

fn judge_with(
    sent: &[Sent],
    conversion: &Conversion,
    seen: &Summary,
    late: bool,
) -> Result<Verdict, Error> {
    let joined = seen.epochs.first();
    let mut verdict = Verdict {
        duplicates_dropped: seen.duplicates_dropped,
        gaps: seen.gaps.len() as u64,
        breaks: seen.breaks.len() as u64,
        switches: seen.receipts.len() as u64,
        kernel_drops: seen.kernel_drops,
        declared: seen
            .gaps
            .iter()
            .map(|gap| gap.until.saturating_sub(gap.from))
            .sum(),
        duplicates_delivered: seen.epochs.iter().map(|epoch| epoch.duplicates).sum(),
        order_violations: seen.epochs.iter().map(|epoch| epoch.order_violations).sum(),
        ..Verdict::default()
    };
    let start = match (late, joined) {
        (true, Some(joined)) => sent
            .iter()
            .position(|it| it.epoch == joined.epoch)
            .unwrap_or(0),
        _ => 0,
    };
    for session in &sent[start..] {
        let epoch = seen
            .epochs
            .iter()
            .find(|epoch| epoch.epoch == session.epoch);
        let from = match joined {
            Some(joined) if late && joined.epoch == session.epoch => joined.first,
            _ => session.session.first,
        };
        let judged = judge_session(session, conversion, epoch, from)?;
        verdict.messages += judged.messages;
        verdict.lost += judged.lost;
        verdict.wrong_content += u64::from(judged.content_equal == Some(false));
        verdict.sessions.push(judged);
    }
    let known = |epoch: &&Epochs| sent.iter().all(|session| session.epoch != epoch.epoch);
    verdict.strays = seen
        .epochs
        .iter()
        .filter(known)
        .map(|epoch| epoch.records)
        .sum();
    Ok(verdict)
}

fn judge_session(
    session: &Sent,
    conversion: &Conversion,
    seen: Option<&Epochs>,
    from: u64,
) -> Result<SessionVerdict, Error> {
    let whole = session.expect(conversion, |sseq| sseq >= from)?;
    let mut verdict = SessionVerdict {
        session: session.session.session.clone(),
        messages: whole.messages,
        lost: whole.messages,
        content_equal: None,
    };
    let Some(seen) = seen else {
        return Ok(verdict);
    };
    let absent = |sseq| {
        seen.absent
            .iter()
            .any(|&[from, until]| (from..until).contains(&sseq))
    };
    let there = |sseq| (seen.first..seen.next).contains(&sseq) && !absent(sseq);
    let untouched = seen.absent.is_empty() && seen.first == from;
    let delivered: Expected = match untouched && whole.messages == seen.messages {
        true => whole,
        false => session.expect(conversion, there)?,
    };
    verdict.lost = whole.messages.saturating_sub(seen.messages);
    verdict.content_equal = (seen.absent_dropped == 0)
        .then_some(delivered.records == seen.records && delivered.digest == seen.digest);
    Ok(verdict)
}
