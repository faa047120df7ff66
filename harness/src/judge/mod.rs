//! Were the promises kept?
//!
//! Compares what a probe saw with what the exchange sent, number by number:
//!
//! ```text
//!                    in a gap of its epoch    in none
//!  delivered         belied                   fine
//!  not delivered     lost, declared           lost, undeclared
//!  never sent        a false gap              fine
//! ```
//!
//! and gap by gap: one that names nothing lost is false, one that names a part of what was lost in a row is
//! partial.
//!
//! What was delivered must be equal in content to what the decoder makes of the session, less what was
//! lost; content that could not be compared proves nothing, and an end must be told, where the session ended.
//! What an administrative message or a second opinion would break is counted as the library tells it:
//! nobody plants either unless a test says so.

mod losses;
mod ranges;

use serde::{Deserialize, Serialize};
use twinfeed_control::Epoch;

use crate::error::Error;
use crate::probe::wire::{Epochs, Gap, Summary};
use crate::truth::{Conversion, Sent, Share};
use losses::Losses;
use ranges::Ranges;

/// What came out, summed over all sessions.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Verdict {
    /// Source messages sent that become records.
    pub messages: u64,
    /// Of those, not delivered.
    pub lost: u64,
    /// Of the lost, those that a gap names.
    pub declared: u64,
    /// Of the lost, those that no gap names.
    pub undeclared: u64,
    /// Source messages that a gap names and that were delivered all the same.
    pub belied: u64,
    /// Gaps that name nothing lost, or numbers that nobody sent.
    pub false_gaps: u64,
    /// Messages lost in a row of which gaps name a part only: how many rows.
    pub partial_gaps: u64,
    /// Records delivered twice.
    pub duplicates_delivered: u64,
    /// Records that the library dropped as delivered before; 0 means that one leg was not there.
    pub duplicates_dropped: u64,
    /// Records out of order.
    pub order_violations: u64,
    /// Sessions whose delivered content is not what was sent.
    pub wrong_content: u64,
    /// Sessions of which nothing can be said of the content.
    pub uncompared: u64,
    /// Sessions that were said to have ended at a number at which they did not.
    pub wrong_ends: u64,
    /// Sessions that ended and were not said to have.
    pub missing_ends: u64,
    /// Administrative messages declared missing.
    pub administrative_gaps: u64,
    /// Ranges of source numbers in which both legs said different things.
    pub divergences: u64,
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
    /// Of the lost, those that a gap names.
    pub declared: u64,
    /// Named by a gap and delivered all the same.
    pub belied: u64,
    /// Gaps that name nothing lost, or numbers that nobody sent.
    pub false_gaps: u64,
    /// Messages lost in a row of which gaps name a part only.
    pub partial_gaps: u64,
    /// Whether the delivered content is what was sent; `null` if too many ranges are missing to say, or
    /// nothing was delivered.
    pub content_equal: Option<bool>,
    /// The number at which it was said to have ended, if it did not end there.
    pub wrong_end: Option<u64>,
    /// Whether it was not said to have ended at all.
    pub missing_end: bool,
}

impl Verdict {
    /// What was promised and not kept, in words; empty if all is well.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (count, what) in [
            (self.lost, "source messages lost"),
            (self.undeclared, UNDECLARED),
            (self.belied, BELIED),
            (self.false_gaps, FALSE_GAPS),
            (self.partial_gaps, PARTIAL_GAPS),
            (self.duplicates_delivered, "records delivered twice"),
            (self.order_violations, "records out of order"),
            (self.wrong_content, "sessions with wrong content"),
            (self.uncompared, UNCOMPARED),
            (self.wrong_ends, WRONG_ENDS),
            (self.missing_ends, MISSING_ENDS),
            (self.administrative_gaps, ADMINISTRATIVE_GAPS),
            (self.divergences, DIVERGENCES),
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
        administrative_gaps: seen.administrative_gaps,
        divergences: seen.divergences,
        switches: seen.receipts.len() as u64,
        kernel_drops: seen.kernel_drops,
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
        let ours = |gap: &&Gap| gap.epoch == session.epoch;
        let gaps: Vec<_> = seen.gaps.iter().filter(ours).collect();
        let judged = judge_session(session, conversion, epoch, &gaps, from)?;
        verdict.messages += judged.messages;
        verdict.lost += judged.lost;
        verdict.declared += judged.declared;
        verdict.undeclared += judged.lost - judged.declared;
        verdict.belied += judged.belied;
        verdict.false_gaps += judged.false_gaps;
        verdict.partial_gaps += judged.partial_gaps;
        verdict.wrong_content += u64::from(judged.content_equal == Some(false));
        verdict.uncompared += u64::from(judged.content_equal.is_none());
        verdict.wrong_ends += u64::from(judged.wrong_end.is_some());
        verdict.missing_ends += u64::from(judged.missing_end);
        verdict.sessions.push(judged);
    }
    let stray = |epoch: Epoch| sent.iter().all(|session| session.epoch != epoch);
    let strays = seen.epochs.iter().filter(|it| stray(it.epoch));
    verdict.strays = strays.map(|epoch| epoch.records).sum();
    verdict.false_gaps += seen.gaps.iter().filter(|gap| stray(gap.epoch)).count() as u64;
    Ok(verdict)
}

fn judge_session(
    session: &Sent,
    conversion: &Conversion,
    seen: Option<&Epochs>,
    gaps: &[&Gap],
    from: u64,
) -> Result<SessionVerdict, Error> {
    let absent = seen.map(|seen| Ranges::of(seen.absent.iter().map(|&[from, until]| from..until)));
    let share = |sseq| match (seen, &absent) {
        (Some(seen), Some(absent))
            if (seen.first..seen.next).contains(&sseq) && !absent.contains(sseq) =>
        {
            // In rising order, as they were delivered.
            let from = seen.torn.partition_point(|it| it.sseq < sseq);
            let of_it = seen.torn[from..].iter().take_while(|it| it.sseq == sseq);
            let pieces = of_it.map(|it| it.parts[0]..it.parts[1]);
            match pieces.collect::<Vec<_>>() {
                pieces if pieces.is_empty() => Share::Whole,
                pieces => Share::Parts(pieces),
            }
        }
        _ => Share::Nothing,
    };
    let told = Ranges::of(gaps.iter().map(|gap| gap.from..gap.until));
    let mut losses = Losses::default();
    // Called once per source message that becomes records.
    let delivered = session.expect(conversion, |sseq| {
        let share = share(sseq);
        if sseq >= from {
            losses.message(sseq, share == Share::Whole, told.contains(sseq));
        }
        share
    })?;
    let losses = losses.end();
    let end = session.session.first + session.session.count;
    let numbers = session.session.first..end;
    // With ranges left out of the report, what is missing passes for delivered.
    let known = seen.is_none_or(|seen| seen.absent_dropped == 0);
    let torn = seen.map_or(0, |seen| delivered.messages.saturating_sub(seen.messages));
    let messages = losses.messages;
    let (lost, declared, belied) = match known {
        true => (losses.lost + torn, losses.declared, losses.belied),
        false => {
            let lost = messages - seen.map_or(0, |seen| seen.messages).min(messages);
            (lost, lost.min(losses.declared + losses.belied), 0)
        }
    };
    let is_false = |gap: &&&Gap| {
        let names_others = gap.from < numbers.start || gap.until > numbers.end;
        names_others || known && !losses.any_in(gap.from..gap.until)
    };
    Ok(SessionVerdict {
        session: session.session.session.clone(),
        messages,
        lost,
        declared,
        belied,
        false_gaps: gaps.iter().filter(is_false).count() as u64,
        partial_gaps: if known { losses.partial } else { 0 },
        content_equal: seen
            .filter(|_| known)
            .map(|seen| delivered.records == seen.records && delivered.digest == seen.digest),
        wrong_end: seen
            .and_then(|seen| seen.ended_before)
            .filter(|told| *told != end),
        missing_end: seen.and_then(|seen| seen.ended_before).is_none(),
    })
}

/// Lost in silence.
pub const UNDECLARED: &str = "source messages lost without a declared gap";
/// Declared in vain.
pub const BELIED: &str = "source messages declared missing and delivered all the same";
/// Declared without cause.
pub const FALSE_GAPS: &str = "gaps that name nothing lost, or what nobody sent";
/// Declared in part.
pub const PARTIAL_GAPS: &str = "losses of which a gap names a part only";
/// Never ended.
pub const MISSING_ENDS: &str = "sessions that ended and were not said to have";
/// What adapters or operators said, and was lost.
pub const ADMINISTRATIVE_GAPS: &str = "administrative messages declared missing";
/// One number, two contents.
pub const DIVERGENCES: &str = "divergences between the legs";
/// Not proved.
pub const UNCOMPARED: &str = "sessions whose content could not be compared";
/// Ended too early, or too late.
pub const WRONG_ENDS: &str = "sessions said to have ended where they did not";

#[cfg(test)]
mod tests;
