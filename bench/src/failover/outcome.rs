//! What is left of one run, and does it count?
//!
//! A *run* is one trigger and its window. A *session* is judged as a whole, against what the exchange
//! sent in it; its verdict belongs to its real run, or to its sham runs when there is no other.

use serde::Serialize;
use twinfeed_harness::judge::{
    ADMINISTRATIVE_GAPS, BELIED, DIVERGENCES, FALSE_GAPS, MISSING_ENDS, PARTIAL_GAPS, UNCOMPARED,
    UNDECLARED, Verdict, WRONG_ENDS,
};
use twinfeed_harness::probe::wire::{Gap, Receipt};

use super::cells::Trigger;

/// One trigger and what the subscriber saw of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Run {
    pub(crate) trigger: Trigger,
    /// The leg at which it was aimed: the active adapter's, or under prefer-active the one delivered.
    pub(crate) leg: usize,
    /// Whether that was the active adapter's.
    pub(crate) active: bool,
    /// From the opening of the session to the trigger, nanoseconds.
    pub(crate) at_ns: u64,
    /// The longest silence towards the application that touched the window.
    pub(crate) stall_ns: u64,
    /// From the trigger to the first record from the survivor that the other leg had not delivered;
    /// `null` if there was none in the window. Of a sham run nothing follows from it.
    pub(crate) failover_gap_ns: Option<u64>,
    /// Records delivered in the window.
    pub(crate) records: u64,
    /// The switch away from the leg in or after the window, if there was one.
    pub(crate) switch: Option<Switch>,
    pub(crate) standing: Standing,
}

/// What the receipt of a switch says.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Switch {
    /// What decided it.
    pub(crate) trigger: String,
    /// From our trigger to the decision, nanoseconds.
    pub(crate) after_ns: u64,
    /// Longest silence by the library's own account, nanoseconds.
    pub(crate) stall_ns: u64,
}

/// Whether a run counts.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "because")]
pub(crate) enum Standing {
    /// It does.
    Clean,
    /// The host could not keep up: the kernel dropped datagrams at the sockets of every leg that was
    /// there. Says nothing about the product; counted apart.
    Overload(String),
    /// It shows nothing: the backup was not running, the log was too short, or the active would not hand over.
    Invalid(String),
}

/// The session of one or several runs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) runs: Vec<Run>,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// Gaps, as they were declared.
    pub(crate) declared_gaps: Vec<Gap>,
    /// Promises that were not kept, in words.
    pub(crate) broken: Vec<String>,
}

impl Session {
    /// The cell that its verdict belongs to; `None` if nothing was tried in it.
    pub(crate) fn belongs_to(&self) -> Option<Trigger> {
        let real = self.runs.iter().find(|run| run.trigger != Trigger::Sham);
        real.or(self.runs.first()).map(|run| run.trigger)
    }
}

impl Session {
    /// What helps to understand a broken promise.
    pub(crate) fn details(&self) -> String {
        let gaps = self.declared_gaps.iter().take(MOST_TOLD).map(|gap| {
            let last = gap.until.saturating_sub(1);
            format!("; gap {} to {last} ({})", gap.from, gap.cause)
        });
        let [zero, one] = self.counts.kernel_drops;
        let drops = (zero + one > 0).then(|| format!("; kernel drops {zero} and {one}"));
        gaps.chain(drops).collect()
    }
}

/// Most gaps told beside a broken promise.
const MOST_TOLD: usize = 4;

/// What was counted over one or several sessions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct Counts {
    /// Source messages sent that become records.
    pub(crate) messages: u64,
    /// Of those, not delivered, declared or not.
    pub(crate) lost: u64,
    /// Of the lost, not declared in a gap.
    pub(crate) undeclared: u64,
    /// Declared in a gap, and delivered all the same.
    pub(crate) belied: u64,
    /// Gaps that name nothing lost, or numbers that nobody sent.
    pub(crate) false_gaps: u64,
    /// Rows of lost messages of which gaps name a part only.
    pub(crate) partial_gaps: u64,
    pub(crate) duplicates_delivered: u64,
    pub(crate) duplicates_dropped: u64,
    pub(crate) order_violations: u64,
    /// Sessions whose delivered content is not what was sent.
    pub(crate) wrong_content: u64,
    /// Sessions of which nothing can be said of the content.
    pub(crate) uncompared: u64,
    /// Sessions that were said to have ended where they did not.
    pub(crate) wrong_ends: u64,
    /// Sessions that ended and were not said to have.
    pub(crate) missing_ends: u64,
    /// Administrative messages declared missing.
    pub(crate) administrative_gaps: u64,
    /// Ranges of source numbers in which both legs said different things.
    pub(crate) divergences: u64,
    /// Records of sessions that nobody sent.
    pub(crate) strays: u64,
    pub(crate) gaps: u64,
    /// Discontinuities and resets within a session.
    pub(crate) breaks: u64,
    pub(crate) switches: u64,
    /// Datagrams that the kernel dropped at the sockets of leg 0 and leg 1.
    pub(crate) kernel_drops: [u64; 2],
}

impl Counts {
    pub(crate) fn of(verdict: &Verdict) -> Self {
        Self {
            messages: verdict.messages,
            lost: verdict.lost,
            undeclared: verdict.undeclared,
            belied: verdict.belied,
            false_gaps: verdict.false_gaps,
            partial_gaps: verdict.partial_gaps,
            duplicates_delivered: verdict.duplicates_delivered,
            duplicates_dropped: verdict.duplicates_dropped,
            order_violations: verdict.order_violations,
            wrong_content: verdict.wrong_content,
            uncompared: verdict.uncompared,
            wrong_ends: verdict.wrong_ends,
            missing_ends: verdict.missing_ends,
            administrative_gaps: verdict.administrative_gaps,
            divergences: verdict.divergences,
            strays: verdict.strays,
            gaps: verdict.gaps,
            breaks: verdict.breaks,
            switches: verdict.switches,
            kernel_drops: verdict.kernel_drops,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.lost += other.lost;
        self.undeclared += other.undeclared;
        self.belied += other.belied;
        self.false_gaps += other.false_gaps;
        self.partial_gaps += other.partial_gaps;
        self.duplicates_delivered += other.duplicates_delivered;
        self.duplicates_dropped += other.duplicates_dropped;
        self.order_violations += other.order_violations;
        self.wrong_content += other.wrong_content;
        self.uncompared += other.uncompared;
        self.wrong_ends += other.wrong_ends;
        self.missing_ends += other.missing_ends;
        self.administrative_gaps += other.administrative_gaps;
        self.divergences += other.divergences;
        self.strays += other.strays;
        self.gaps += other.gaps;
        self.breaks += other.breaks;
        self.switches += other.switches;
        for (sum, drops) in self.kernel_drops.iter_mut().zip(other.kernel_drops) {
            *sum += drops;
        }
    }

    /// Why the session was an overload; `None` when it was none.
    ///
    /// With both legs there, both must have dropped. After a trigger that took a leg away, the survivor
    /// is every leg that is left: then its drops are enough, if the library said so too, by the cause of
    /// every gap.
    pub(crate) fn overload(&self, down: Option<usize>, gaps: &[Gap]) -> Option<String> {
        let [zero, one] = self.kernel_drops;
        if zero > 0 && one > 0 {
            return Some(format!(
                "kernel drops on both legs: {zero} and {one} datagrams"
            ));
        }
        let survivor = 1 - down?;
        let drops = *self.kernel_drops.get(survivor)?;
        let told = !gaps.is_empty() && gaps.iter().all(|gap| gap.cause == OVERRUN);
        (drops > 0 && told).then(|| {
            format!("kernel drops on leg {survivor}, the only one left: {drops} datagrams")
        })
    }

    /// Promises that were not kept. What overload did is forgiven if it was declared.
    pub(crate) fn broken(&self, overload: bool) -> Vec<String> {
        let (lost, breaks) = if overload {
            (0, 0)
        } else {
            (self.lost, self.breaks)
        };
        [
            (lost, "source messages lost"),
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
            (breaks, "discontinuities within a session"),
            (self.strays, "records of sessions that nobody sent"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
    }
}

/// The first switch away from `leg` at or after `from_ns`.
pub(crate) fn switch(receipts: &[Receipt], leg: usize, from_ns: u64) -> Option<Switch> {
    let ours = |it: &&Receipt| usize::from(it.from_leg) == leg && it.at_ns >= from_ns;
    receipts.iter().find(ours).map(|receipt| Switch {
        trigger: receipt.trigger.clone(),
        after_ns: receipt.at_ns - from_ns,
        stall_ns: receipt.stall_ns,
    })
}

/// The library's word for a gap that coincides with drops at its own socket.
const OVERRUN: &str = "receiver_overrun";

#[cfg(test)]
mod tests {
    use twinfeed_control::Epoch;

    use super::*;

    fn gap(cause: &str) -> Gap {
        let cause = cause.to_owned();
        Gap {
            at_ns: 1,
            sid: 1,
            epoch: Epoch(1),
            from: 5,
            until: 9,
            cause,
        }
    }

    #[test]
    fn an_overload_needs_every_leg_that_was_there() {
        let counts = |kernel_drops| Counts {
            kernel_drops,
            ..Counts::default()
        };
        let overrun = [gap(OVERRUN)];
        for (drops, down, gaps, expected) in [
            ([0, 0], None, &overrun[..], false),
            ([3, 0], None, &overrun, false),
            ([3, 1], None, &[], true),
            // Leg 0 was killed: leg 1 is all there is.
            ([0, 1], Some(0), &overrun, true),
            ([1, 0], Some(0), &overrun, false),
            // Nothing was missed, or it was missed for another reason.
            ([0, 1], Some(0), &[], false),
            ([0, 1], Some(0), &[gap("source")], false),
        ] {
            let overload = counts(drops).overload(down, gaps);
            assert_eq!(overload.is_some(), expected, "{drops:?}, {down:?}");
        }
    }

    #[test]
    fn overload_forgives_a_declared_loss_and_nothing_else() {
        let lost = Counts {
            lost: 4,
            ..Counts::default()
        };
        assert_eq!(lost.broken(false), ["4 source messages lost"]);
        assert!(lost.broken(true).is_empty());
        let silent = Counts {
            lost: 4,
            undeclared: 1,
            duplicates_delivered: 2,
            ..lost
        };
        assert_eq!(
            silent.broken(true),
            [
                "1 source messages lost without a declared gap",
                "2 records delivered twice"
            ]
        );
        let unproved = Counts {
            belied: 3,
            false_gaps: 1,
            partial_gaps: 1,
            uncompared: 1,
            wrong_ends: 1,
            missing_ends: 1,
            administrative_gaps: 2,
            divergences: 1,
            ..lost
        };
        assert_eq!(
            unproved.broken(true),
            [
                "3 source messages declared missing and delivered all the same",
                "1 gaps that name nothing lost, or what nobody sent",
                "1 losses of which a gap names a part only",
                "1 sessions whose content could not be compared",
                "1 sessions said to have ended where they did not",
                "1 sessions that ended and were not said to have",
                "2 administrative messages declared missing",
                "1 divergences between the legs",
            ]
        );
        assert!(
            Counts {
                gaps: 1,
                switches: 1,
                ..Counts::default()
            }
            .broken(false)
            .is_empty()
        );
    }

    #[test]
    fn a_switch_belongs_to_the_trigger_before_it() {
        let receipt = |at_ns, from_leg, trigger: &str| Receipt {
            at_ns,
            sid: 1,
            from_leg,
            trigger: trigger.to_owned(),
            from_sseq: 1,
            to_sseq: 1,
            duplicates_dropped: 0,
            held: 0,
            filled: 0,
            gaps_left: 0,
            stall_ns: 7,
        };
        let receipts = [
            receipt(10, 0, "lag"),
            receipt(20, 1, "lag"),
            receipt(30, 0, "step_down"),
        ];
        let found = |leg, from| switch(&receipts, leg, from).map(|it| (it.trigger, it.after_ns));
        assert_eq!(found(0, 10), Some(("lag".to_owned(), 0)));
        assert_eq!(found(0, 11), Some(("step_down".to_owned(), 19)));
        assert_eq!(found(1, 21), None);
    }
}
