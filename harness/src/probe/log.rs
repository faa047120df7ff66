//! What was delivered when, for as long as memory was set aside?
//!
//! A ring of fixed size, filled on the path that is measured: one entry per record, no allocation.

use super::wire::Window;

/// One delivery.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry {
    /// When, by the monotonic clock.
    pub at_ns: u64,
    /// Whose copy it was: 0 or 1.
    pub leg: u8,
}

/// The last deliveries.
#[derive(Debug)]
pub struct Log {
    ring: Box<[Entry]>,
    /// Deliveries ever logged.
    total: usize,
}

impl Log {
    /// A log of the last `capacity` deliveries; the memory is touched here, so that it is not later.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            ring: vec![Entry { at_ns: 1, leg: 0 }; capacity.max(1)].into(),
            total: 0,
        }
    }

    /// Adds a delivery, which is no earlier than the one before.
    pub fn push(&mut self, entry: Entry) {
        let slot = self.total % self.ring.len();
        self.ring[slot] = entry;
        self.total += 1;
    }

    /// What happened from `from_ns` for `length_ns`; `now_ns` ends a window that is not over.
    #[must_use]
    pub fn window(&self, from_ns: u64, length_ns: u64, now_ns: u64) -> Window {
        let until_ns = from_ns.saturating_add(length_ns);
        let kept = self.total.min(self.ring.len());
        let oldest = self.total - kept;
        let at = |index: usize| self.ring[index % self.ring.len()];
        let begin = partition(oldest, self.total, |index| at(index).at_ns < from_ns);
        let end = partition(begin, self.total, |index| at(index).at_ns < until_ns);
        let mut window = Window {
            forgotten: begin == oldest && oldest > 0,
            ..Window::default()
        };
        let mut before_ns = if begin > oldest {
            at(begin - 1).at_ns
        } else {
            from_ns
        };
        let mut first_after = [None; 2];
        for entry in (begin..end).map(at) {
            let leg = usize::from(entry.leg & 1);
            window.records += 1;
            window.legs[leg] += 1;
            window.longest_silence_ns = window
                .longest_silence_ns
                .max(entry.at_ns.saturating_sub(before_ns));
            before_ns = entry.at_ns;
            first_after[leg] = None;
            first_after[1 - leg].get_or_insert(entry.at_ns - from_ns);
        }
        let open_ns = until_ns.min(now_ns).saturating_sub(before_ns);
        window.longest_silence_ns = window.longest_silence_ns.max(open_ns);
        window.after_last_of_ns = first_after;
        window
    }
}

/// The first index in `low..high` for which `below` is false; it is true for a prefix.
fn partition(mut low: usize, mut high: usize, below: impl Fn(usize) -> bool) -> usize {
    while low < high {
        let middle = low + (high - low) / 2;
        if below(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(capacity: usize, deliveries: &[(u64, u8)]) -> Log {
        let mut log = Log::new(capacity);
        for &(at_ns, leg) in deliveries {
            log.push(Entry { at_ns, leg });
        }
        log
    }

    #[test]
    fn a_window_counts_what_lies_in_it_and_measures_what_reaches_into_it() {
        let log = log(16, &[(10, 0), (20, 1), (30, 0), (70, 1), (75, 1), (100, 0)]);
        let window = log.window(25, 60, 1_000);
        assert_eq!((window.records, window.legs), (3, [1, 2]));
        assert_eq!(window.longest_silence_ns, 40);
        assert_eq!(
            window.after_last_of_ns,
            [Some(45), None],
            "leg 0 was last heard at 30"
        );
        assert!(!window.forgotten);
    }

    #[test]
    fn a_silence_that_is_not_over_counts() {
        let log = log(16, &[(10, 0), (20, 0)]);
        assert_eq!(log.window(15, 100, 60).longest_silence_ns, 40);
        assert_eq!(log.window(15, 100, 500).longest_silence_ns, 95);
        let silent = log.window(200, 100, 500);
        assert_eq!((silent.records, silent.longest_silence_ns), (0, 280));
        assert_eq!(silent.after_last_of_ns, [None, None]);
    }

    #[test]
    fn a_full_ring_says_that_it_forgot() {
        let log = log(3, &[(10, 0), (20, 1), (30, 0), (40, 1)]);
        assert!(log.window(15, 100, 200).forgotten);
        assert!(
            !log.window(25, 100, 200).forgotten,
            "the delivery before the window is known"
        );
        assert_eq!(log.window(25, 10, 200).legs, [1, 0]);
    }
}
