//! What did one session of a peer come to?
//!
//! Numbers are counted through from session to session, so that what happens between two of them, such as a publisher's return, belongs to the later one.

use super::ledger::Delivery;
use crate::failover::outcome::Counts;

/// Deliveries that are not judged yet.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// Everything up to this number is judged, or older than the first session.
    judged: u64,
    /// The highest number that was delivered.
    highest: u64,
    /// Numbers above `judged`.
    numbers: Vec<u64>,
    /// Since the last judgement.
    deliveries: u64,
    order_violations: u64,
    /// Copies of both legs at the last judgement.
    copies: u64,
}

impl Share {
    pub(super) fn take(&mut self, delivery: Delivery) {
        self.deliveries += 1;
        self.order_violations += u64::from(delivery.number < self.highest);
        self.highest = self.highest.max(delivery.number);
        if delivery.number > self.judged {
            self.numbers.push(delivery.number);
        }
    }

    /// The highest number so far: when it was delivered, the session is over.
    pub(super) const fn highest(&self) -> u64 {
        self.highest
    }

    /// Begins here: what was before is nobody's. `copies` have come so far, of both legs.
    pub(super) fn begin(&mut self, copies: u64) {
        self.judge(self.highest, copies);
    }

    /// Judges everything from the last judgement up to `last`.
    pub(super) fn judge(&mut self, last: u64, copies: u64) -> Counts {
        let mut ours: Vec<u64> = self
            .numbers
            .iter()
            .copied()
            .filter(|&it| it <= last)
            .collect();
        self.numbers.retain(|&number| number > last);
        let delivered = ours.len() as u64;
        ours.sort_unstable();
        ours.dedup();
        let different = ours.len() as u64;
        let messages = last.saturating_sub(self.judged);
        self.judged = self.judged.max(last);
        let came = copies.saturating_sub(self.copies);
        self.copies = copies;
        let told = std::mem::take(&mut self.deliveries);
        Counts {
            messages,
            lost: messages.saturating_sub(different),
            undeclared: messages.saturating_sub(different),
            duplicates_delivered: delivered - different,
            duplicates_dropped: came.saturating_sub(told),
            order_violations: std::mem::take(&mut self.order_violations),
            ..Counts::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(numbers: &[u64]) -> Share {
        let mut share = Share::default();
        for &number in numbers {
            let (at_ns, leg) = (number, 0);
            share.take(Delivery { at_ns, number, leg });
        }
        share
    }

    #[test]
    fn what_never_came_is_lost_and_what_came_twice_is_told() {
        let mut share = share(&[7, 8, 9]);
        share.begin(5);
        for number in [10, 12, 11, 12, 15] {
            let (at_ns, leg) = (number, 0);
            share.take(Delivery { at_ns, number, leg });
        }
        let counts = share.judge(14, 5 + 9);
        assert_eq!(
            (counts.messages, counts.lost, counts.duplicates_delivered),
            (5, 2, 1)
        );
        assert_eq!((counts.order_violations, counts.duplicates_dropped), (1, 4));
        // What was above is the next session's.
        let counts = share.judge(16, 14);
        assert_eq!((counts.messages, counts.lost), (2, 1));
    }
}
