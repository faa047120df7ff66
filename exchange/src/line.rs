//! What does a line do to a packet?
//!
//! An exchange sends every packet on two lines, and the network treats each
//! copy differently. A [`Line`] is that treatment as a queue with a virtual
//! clock: packets go in with [`push`](Line::push) and come out, possibly never,
//! later, twice or in another order, with [`pop_due`](Line::pop_due).
//!
//! ```text
//!  push ─► lost? ─► held back? ──(after 1..=depth later packets)──┐
//!             │          └─► twice? ─► queue by (due time, order) ┴─► pop_due
//!             └─► counted
//! ```
//!
//! All faults are drawn from the line's own seed, four numbers per packet
//! whatever the outcome, so that a changed probability of one fault does not
//! move the others. Buffers are reused; the queue is bounded by
//! [`Faults::max_queued`], and a packet that finds it full is lost and counted.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// One of the two lines of an exchange.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum LineId {
    /// The first line.
    A,
    /// The second line.
    B,
}

impl LineId {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// 0 for A, 1 for B.
    pub const fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

impl FromStr for LineId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "A" | "a" => Ok(Self::A),
            "B" | "b" => Ok(Self::B),
            _ => Err(()),
        }
    }
}

/// What a line does to packets. Probabilities are parts per million.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Faults {
    /// Probability that a packet is lost.
    pub loss_ppm: u32,
    /// Probability that a packet is sent twice.
    pub duplicate_ppm: u32,
    /// Probability that a packet is held back until later ones have passed it.
    pub reorder_ppm: u32,
    /// How many later packets pass a packet that is held back, at most; at least 1.
    pub reorder_depth: u32,
    /// Delay of every packet, in nanoseconds: the skew against the other line.
    pub delay_ns: u64,
    /// Most packets that wait in the line at once.
    pub max_queued: usize,
}

impl Faults {
    /// A line without faults.
    pub const NONE: Self = Self {
        loss_ppm: 0,
        duplicate_ppm: 0,
        reorder_ppm: 0,
        reorder_depth: 1,
        delay_ns: 0,
        max_queued: 65_536,
    };
}

/// What became of the packets of a line.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct LineCounters {
    /// Packets that entered the line.
    pub packets_in: u64,
    /// Packets that left it, copies included.
    pub packets_out: u64,
    /// Packets lost on purpose.
    pub lost: u64,
    /// Copies made on purpose.
    pub duplicated: u64,
    /// Packets held back on purpose.
    pub reordered: u64,
    /// Packets lost because the line's queue was full.
    pub overflowed: u64,
}

/// Where a queued packet's bytes are.
type Slot = usize;

/// One line between the exchange and the world.
#[derive(Debug)]
pub struct Line {
    faults: Faults,
    rng: Rng,
    /// Every buffer ever needed; at most `max_queued` of them.
    buffers: Vec<Vec<u8>>,
    free: Vec<Slot>,
    /// Handed out by the last `pop_due`, free again with the next call.
    lent: Option<Slot>,
    /// Earliest first; the second number keeps equal times in order.
    queue: BinaryHeap<Reverse<(u64, u64, Slot)>>,
    order: u64,
    /// (packet count at which it is released, bytes), at most `reorder_depth`.
    held: VecDeque<(u64, Slot)>,
    counters: LineCounters,
}

impl Line {
    /// A line with these faults, drawn from `seed` for `id`.
    pub fn new(id: LineId, seed: u64, faults: Faults) -> Self {
        Self {
            faults,
            rng: Rng::new(seed, 0x4C49_4E45_0000 + id.index() as u64),
            buffers: Vec::new(),
            free: Vec::new(),
            lent: None,
            queue: BinaryHeap::new(),
            order: 0,
            held: VecDeque::new(),
            counters: LineCounters::default(),
        }
    }

    /// Puts a packet on the line at `now_ns`.
    pub fn push(&mut self, now_ns: u64, packet: &[u8]) {
        self.counters.packets_in += 1;
        let due_ns = now_ns.saturating_add(self.faults.delay_ns);
        let lost = self.rng.chance_ppm(self.faults.loss_ppm);
        let twice = self.rng.chance_ppm(self.faults.duplicate_ppm);
        let behind = self.rng.chance_ppm(self.faults.reorder_ppm);
        let passed_by = 1 + self.rng.below(self.faults.reorder_depth.max(1));
        if lost {
            self.counters.lost += 1;
        } else if behind {
            if let Some(slot) = self.store(packet) {
                self.counters.reordered += 1;
                let release = self.counters.packets_in + u64::from(passed_by);
                self.held.push_back((release, slot));
            }
        } else {
            self.enqueue(due_ns, packet);
            if twice && self.enqueue(due_ns, packet) {
                self.counters.duplicated += 1;
            }
        }
        self.release(due_ns, self.counters.packets_in);
    }

    /// The next packet that has arrived by `now_ns`, in order of arrival. Its
    /// bytes are valid until the next call.
    pub fn pop_due(&mut self, now_ns: u64) -> Option<&[u8]> {
        self.free.extend(self.lent.take());
        let &Reverse((due_ns, _, slot)) = self.queue.peek()?;
        if due_ns > now_ns {
            return None;
        }
        self.queue.pop();
        self.lent = Some(slot);
        self.counters.packets_out += 1;
        self.buffers.get(slot).map(Vec::as_slice)
    }

    /// Lets go of every packet held back for others to pass: none will follow.
    pub fn finish(&mut self, now_ns: u64) {
        self.release(now_ns.saturating_add(self.faults.delay_ns), u64::MAX);
    }

    /// When the next packet arrives.
    pub fn next_deadline(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse((due_ns, _, _))| *due_ns)
    }

    /// True when no packet waits in the line.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.held.is_empty()
    }

    /// What became of the packets so far.
    pub const fn counters(&self) -> LineCounters {
        self.counters
    }

    /// Queues every held packet that `passed` packets have gone by.
    fn release(&mut self, due_ns: u64, passed: u64) {
        let mut index = 0;
        while let Some(&(release, slot)) = self.held.get(index) {
            if release <= passed {
                self.held.remove(index);
                self.queue.push(Reverse((due_ns, self.order, slot)));
                self.order += 1;
            } else {
                index += 1;
            }
        }
    }

    fn enqueue(&mut self, due_ns: u64, packet: &[u8]) -> bool {
        let Some(slot) = self.store(packet) else {
            return false;
        };
        self.queue.push(Reverse((due_ns, self.order, slot)));
        self.order += 1;
        true
    }

    /// Copies the packet into a buffer; counts and refuses when all are taken.
    fn store(&mut self, packet: &[u8]) -> Option<Slot> {
        self.free.extend(self.lent.take());
        let slot = self.free.pop().or_else(|| {
            (self.buffers.len() < self.faults.max_queued).then(|| {
                self.buffers
                    .push(Vec::with_capacity(packet.len().max(1_500)));
                self.buffers.len() - 1
            })
        });
        let Some(buffer) = slot.and_then(|slot| self.buffers.get_mut(slot)) else {
            self.counters.overflowed += 1;
            return None;
        };
        buffer.clear();
        buffer.extend_from_slice(packet);
        slot
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn line(faults: Faults) -> Line {
        Line::new(LineId::B, 42, faults)
    }

    fn drain(line: &mut Line, now_ns: u64) -> Vec<u32> {
        let mut out = Vec::new();
        while let Some(packet) = line.pop_due(now_ns) {
            out.push(u32::from_be_bytes(packet.try_into().unwrap()));
        }
        out
    }

    /// Sends 0..count, one per microsecond, and notes what comes out.
    fn send(line: &mut Line, count: u32) -> Vec<u32> {
        let mut out = Vec::new();
        for number in 0..count {
            let now_ns = u64::from(number) * 1_000;
            line.push(now_ns, &number.to_be_bytes());
            out.extend(drain(line, now_ns));
        }
        line.finish(u64::from(count) * 1_000);
        out.extend(drain(line, u64::MAX));
        assert!(line.is_empty());
        out
    }

    #[test]
    fn a_line_without_faults_changes_nothing() {
        let mut line = line(Faults::NONE);
        assert_eq!(send(&mut line, 1_000), (0..1_000).collect::<Vec<_>>());
        assert_eq!(
            line.buffers.len(),
            1,
            "one buffer serves a line that never waits"
        );
    }

    #[test]
    fn skew_delays_to_the_nanosecond() {
        let mut line = line(Faults {
            delay_ns: 50,
            ..Faults::NONE
        });
        line.push(100, &7_u32.to_be_bytes());
        assert_eq!(line.next_deadline(), Some(150));
        assert!(drain(&mut line, 149).is_empty());
        assert_eq!(drain(&mut line, 150), [7]);
    }

    #[test]
    fn every_fault_fires_about_as_often_as_asked() {
        let faults = Faults {
            loss_ppm: 100_000,
            duplicate_ppm: 50_000,
            reorder_ppm: 20_000,
            reorder_depth: 3,
            ..Faults::NONE
        };
        let mut line = line(faults);
        let out = send(&mut line, 100_000);
        let counters = line.counters();
        assert!((9_500..10_500).contains(&counters.lost), "{counters:?}");
        assert!(
            (4_000..5_000).contains(&counters.duplicated),
            "{counters:?}"
        );
        assert!((1_600..2_000).contains(&counters.reordered), "{counters:?}");
        assert_eq!(counters.overflowed, 0);
        assert_eq!(
            out.len() as u64,
            100_000 - counters.lost + counters.duplicated
        );
        let behind = out.windows(2).filter(|pair| pair[1] < pair[0]).count();
        assert!(behind > 1_000, "{behind}");
    }

    #[test]
    fn a_packet_is_never_passed_by_more_than_the_depth() {
        for depth in 1..=4 {
            let faults = Faults {
                reorder_ppm: 300_000,
                reorder_depth: depth,
                ..Faults::NONE
            };
            let out = send(&mut line(faults), 10_000);
            let mut worst = 0;
            for (place, number) in out.iter().enumerate() {
                let passed_by = out[..place]
                    .iter()
                    .rev()
                    .take(64)
                    .filter(|n| *n > number)
                    .count();
                worst = worst.max(passed_by);
            }
            assert_eq!(worst, depth as usize);
        }
    }

    #[test]
    fn a_full_line_loses_and_says_so() {
        let mut line = line(Faults {
            delay_ns: 1_000_000,
            max_queued: 2,
            ..Faults::NONE
        });
        for number in 0..3_u32 {
            line.push(0, &number.to_be_bytes());
        }
        assert_eq!(line.counters().overflowed, 1);
        assert_eq!(drain(&mut line, u64::MAX), [0, 1]);
    }

    #[test]
    fn the_two_lines_of_one_seed_fail_independently() {
        let faults = Faults {
            loss_ppm: 500_000,
            ..Faults::NONE
        };
        let a = send(&mut Line::new(LineId::A, 1, faults), 64);
        let b = send(&mut Line::new(LineId::B, 1, faults), 64);
        assert_ne!(a, b);
        assert_eq!(a, send(&mut Line::new(LineId::A, 1, faults), 64));
    }

    proptest! {
        /// The naive twin is a sum: whatever the faults, every packet comes out
        /// as often as the counters say, and none is invented.
        #[test]
        fn packets_are_accounted_for(
            loss_ppm in 0_u32..=1_000_000,
            duplicate_ppm in 0_u32..=1_000_000,
            reorder_ppm in 0_u32..=1_000_000,
            reorder_depth in 0_u32..8,
            delay_ns in 0_u64..50_000,
            max_queued in 1_usize..64,
        ) {
            let mut line = line(Faults {
                loss_ppm, duplicate_ppm, reorder_ppm, reorder_depth, delay_ns, max_queued,
            });
            let mut copies = BTreeMap::new();
            for number in send(&mut line, 500) {
                *copies.entry(number).or_insert(0_u64) += 1;
            }
            let counters = line.counters();
            prop_assert!(copies.values().all(|&n| n <= 2));
            prop_assert!(line.buffers.len() <= max_queued);
            prop_assert_eq!(copies.values().sum::<u64>(), counters.packets_out);
            // A packet that overflows may be a copy, which is then not counted as one.
            let sum = counters.packets_out + counters.lost;
            prop_assert!(sum <= 500 + counters.duplicated);
            prop_assert!(sum + counters.overflowed >= 500 + counters.duplicated);
        }
    }
}
