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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use twinfeed_control::Epoch;
    use twinfeed_feed_adapter::decode::itch50;

    use super::*;
    use crate::probe::wire::Gap;
    use crate::truth::sessions;

    fn conversion() -> Conversion {
        let settings = itch50::Settings {
            publisher_id: 2,
            max_open_orders: 64,
        };
        Conversion {
            day: "2019-12-30".parse().unwrap(),
            settings,
        }
    }

    /// One session of four system events, numbers 7 to 10, as an exchange writes it down.
    fn sent(directory: &Path) -> Sent {
        let truth = directory.join("truth.jsonl");
        let line = r#"{"session":"S000000001","first":7,"count":4,"digest":"0"}"#;
        std::fs::write(&truth, line).unwrap();
        let mut file = Vec::new();
        for code in *b"OSQM" {
            file.extend([0, 12, b'S', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, code]);
        }
        std::fs::write(directory.join("S000000001.itch"), file).unwrap();
        let mut sent = sessions(&truth, directory, &conversion().day).unwrap();
        sent.remove(0)
    }

    /// What a probe says that got every number for which `delivered` holds, in order.
    fn seen(sent: &Sent, delivered: impl Fn(u64) -> bool + Copy) -> Summary {
        let expected = sent.expect(&conversion(), delivered).unwrap();
        let got = || (7..11).filter(|&sseq| delivered(sseq));
        let (first, next) = (got().min().unwrap(), got().max().unwrap() + 1);
        let absent = (first..next).filter(|&sseq| !delivered(sseq));
        Summary {
            duplicates_dropped: 1,
            epochs: vec![Epochs {
                epoch: sent.epoch,
                first,
                next,
                records: expected.records,
                messages: expected.messages,
                digest: expected.digest,
                absent: absent.map(|sseq| [sseq, sseq + 1]).collect(),
                ..Epochs::default()
            }],
            ..Summary::default()
        }
    }

    fn judged(change: impl FnOnce(&mut Summary)) -> Verdict {
        let directory = tempfile::tempdir().unwrap();
        let sent = sent(directory.path());
        let mut summary = seen(&sent, |_| true);
        change(&mut summary);
        judge(&[sent], &conversion(), &summary).unwrap()
    }

    #[test]
    fn all_is_well_when_everything_came_once() {
        let verdict = judged(|_| {});
        assert_eq!(verdict.broken(), Vec::<String>::new());
        assert_eq!((verdict.messages, verdict.lost), (4, 0));
        assert_eq!(verdict.sessions[0].content_equal, Some(true));
    }

    #[test]
    fn every_broken_promise_is_named() {
        for (change, word) in [
            (
                (|it| it.epochs[0].duplicates = 1) as fn(&mut Summary),
                "twice",
            ),
            (|it| it.epochs[0].order_violations = 1, "out of order"),
            (|it| it.epochs[0].digest = Epoch(1), "wrong content"),
            (|it| it.epochs[0].records += 1, "wrong content"),
            (|it| it.epochs[0].epoch = Epoch(1), "lost"),
            (|it| it.epochs[0].epoch = Epoch(1), "nobody sent"),
            (|it| it.epochs.clear(), "lost"),
            (|it| it.duplicates_dropped = 0, "no duplicate was dropped"),
        ] {
            let broken = judged(change).broken();
            assert!(
                broken.iter().any(|text| text.contains(word)),
                "{word}: {broken:?}"
            );
        }
    }

    #[test]
    fn what_is_missing_is_lost_wherever_it_stood_and_the_rest_is_still_compared() {
        let directory = tempfile::tempdir().unwrap();
        let sent = sent(directory.path());
        for missing in [7, 8, 10] {
            let summary = seen(&sent, |sseq| sseq != missing);
            let verdict = judge(std::slice::from_ref(&sent), &conversion(), &summary).unwrap();
            assert_eq!((verdict.lost, verdict.declared), (1, 0), "{missing}");
            assert_eq!(verdict.wrong_content, 0, "{missing}");
        }
    }

    #[test]
    fn a_declared_loss_is_a_loss() {
        let directory = tempfile::tempdir().unwrap();
        let sent = sent(directory.path());
        let mut summary = seen(&sent, |sseq| sseq != 8);
        summary.gaps.push(Gap {
            at_ns: 0,
            sid: 1,
            epoch: sent.epoch,
            from: 8,
            until: 9,
            cause: "lost_on_every_leg".to_owned(),
        });
        let verdict = judge(&[sent], &conversion(), &summary).unwrap();
        assert_eq!((verdict.lost, verdict.declared, verdict.gaps), (1, 1, 1));
        assert!(!verdict.broken().is_empty());
    }

    #[test]
    fn who_joins_late_is_owed_what_came_after() {
        let directory = tempfile::tempdir().unwrap();
        let sent = sent(directory.path());
        let summary = seen(&sent, |sseq| sseq >= 9);
        let verdict = judge_late(std::slice::from_ref(&sent), &conversion(), &summary).unwrap();
        assert_eq!(
            (verdict.messages, verdict.lost, verdict.wrong_content),
            (2, 0, 0)
        );
        let strict = judge(&[sent], &conversion(), &summary).unwrap();
        assert_eq!((strict.messages, strict.lost), (4, 2));
    }
}
