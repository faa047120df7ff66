//! Is this jump real?
//!
//! One datagram with an absurd number, or of a new epoch, changes nothing. It waits here, whole, until the
//! other leg says the same or the sender has said it three times in a row and in a heartbeat. If it was
//! nonsense, it is dropped and counted.

use std::collections::VecDeque;

use twinfeed_wire::{Adm, Dsn, Epoch, Generation};

use crate::limits::Limits;

/// What a waiting datagram claims.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Claim {
    pub(super) dsn: Dsn,
    pub(super) epoch: Epoch,
    /// How far it jumps: the number behind the last hole that it opens.
    pub(super) lead: u64,
    /// How far it leads.
    pub(super) sseq: u64,
    pub(super) heartbeat: bool,
    pub(super) generation: Generation,
    /// The highest count of administrative messages.
    pub(super) adm: Adm,
    /// The epoch before, and the first number that it does not have, where it says so.
    pub(super) before: Option<(Epoch, u64)>,
}

/// How far a single datagram is believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stride {
    /// Source numbers beyond the next one.
    pub(super) sseq: u64,
    /// Administrative messages beyond every count known.
    pub(super) adm: u64,
    /// Generations beyond the newest.
    pub(super) generation: u32,
}

impl Claim {
    /// Whether both speak of the same place, give or take a stride.
    pub(super) fn agrees_with(&self, other: &Self, stride: Stride) -> bool {
        self.epoch == other.epoch
            && self.sseq.abs_diff(other.sseq) <= stride.sseq
            && self.adm.0.abs_diff(other.adm.0) <= stride.adm
            && self.generation.0.abs_diff(other.generation.0) <= stride.generation
    }

    /// Whether this may be believed once `confirmed` is: it leads no further, or is of the epoch before and within its end.
    pub(super) fn is_covered_by(&self, confirmed: &Self, stride: Stride) -> bool {
        let before = |(epoch, end): (Epoch, u64)| self.epoch == epoch && self.sseq < end;
        let same = self.epoch == confirmed.epoch
            && self.sseq <= confirmed.sseq.saturating_add(stride.sseq);
        (same || confirmed.before.is_some_and(before))
            && self.adm.0 <= confirmed.adm.0.saturating_add(stride.adm)
            && self.generation.0 <= confirmed.generation.0.saturating_add(stride.generation)
    }
}

/// Waiting datagrams of one leg, in order of arrival.
#[derive(Debug)]
pub(super) struct Quarantine {
    claims: VecDeque<(Claim, usize)>,
    slots: Vec<Vec<u8>>,
    free: Vec<usize>,
}

impl Quarantine {
    pub(super) fn new(limits: &Limits) -> Self {
        let count = limits.quarantined_datagrams;
        Self {
            claims: VecDeque::with_capacity(count),
            slots: (0..count)
                .map(|_| Vec::with_capacity(limits.max_datagram))
                .collect(),
            free: (0..count).collect(),
        }
    }

    /// Keeps a datagram; drops the oldest when full and returns what that claimed.
    pub(super) fn keep(&mut self, claim: Claim, bytes: &[u8]) -> Option<Claim> {
        let mut dropped = None;
        if self.free.is_empty() {
            dropped = self.drop_first();
        }
        if let Some(slot) = self.free.pop() {
            self.slots[slot].clear();
            self.slots[slot].extend_from_slice(bytes);
            self.claims.push_back((claim, slot));
        }
        dropped
    }

    /// Whether the sender has confirmed itself: three datagrams in a row that agree, a heartbeat among them. A
    /// loss between them takes nothing back: who goes on otherwise is dropped from here at once.
    pub(super) fn confirms_itself(&self, stride: Stride) -> bool {
        let Some(&(newest, _)) = self.claims.back() else {
            return false;
        };
        let mut run = 1;
        let mut heartbeat = newest.heartbeat;
        let mut after = newest.dsn;
        for &(claim, _) in self.claims.iter().rev().skip(1) {
            if claim.dsn == after || !claim.agrees_with(&newest, stride) {
                break;
            }
            after = claim.dsn;
            run += 1;
            heartbeat |= claim.heartbeat;
        }
        run >= 3 && heartbeat
    }

    /// Whether some waiting datagram claims the same as `claim`.
    pub(super) fn agrees_with(&self, claim: &Claim, stride: Stride) -> bool {
        self.claims
            .iter()
            .any(|(waiting, _)| waiting.agrees_with(claim, stride))
    }

    /// Drops what `keep` does not want and returns how many datagrams that was.
    pub(super) fn retain(&mut self, keep: impl Fn(&Claim) -> bool) -> u64 {
        let before = self.claims.len();
        let free = &mut self.free;
        self.claims.retain(|(claim, slot)| {
            let kept = keep(claim);
            if !kept {
                free.push(*slot);
            }
            kept
        });
        (before - self.claims.len()) as u64
    }

    /// The process that said what waits was replaced: the next one may take it back, whatever numbers it gives its own.
    pub(super) fn outlive(&mut self) {
        for (claim, _) in &mut self.claims {
            claim.dsn = Dsn(0);
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// What waits, in order of arrival.
    pub(super) fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.claims.iter().map(|(claim, _)| claim)
    }

    /// Highest dsn that waits; what was overtaken stands behind it.
    pub(super) fn newest(&self) -> Option<Dsn> {
        self.claims().map(|claim| claim.dsn).max()
    }

    /// Takes the datagram at `index` out; its bytes are read through [`Quarantine::lend`].
    pub(super) fn take(&mut self, index: usize) -> Option<usize> {
        let (_, slot) = self.claims.remove(index)?;
        self.free.push(slot);
        Some(slot)
    }

    fn drop_first(&mut self) -> Option<Claim> {
        let (claim, slot) = self.claims.pop_front()?;
        self.free.push(slot);
        Some(claim)
    }

    /// Lends the buffer of a datagram that was taken out; give it back with [`Quarantine::give_back`].
    pub(super) fn lend(&mut self, slot: usize) -> Vec<u8> {
        core::mem::take(&mut self.slots[slot])
    }

    pub(super) fn give_back(&mut self, slot: usize, buffer: Vec<u8>) {
        self.slots[slot] = buffer;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(dsn: u64, sseq: u64, heartbeat: bool) -> Claim {
        Claim {
            dsn: Dsn(dsn),
            epoch: Epoch(1),
            lead: sseq,
            sseq,
            heartbeat,
            generation: Generation(1),
            adm: Adm(0),
            before: None,
        }
    }

    const TEN: Stride = Stride {
        sseq: 10,
        adm: 10,
        generation: 10,
    };

    fn quarantine(claims: &[Claim]) -> Quarantine {
        let limits = Limits {
            quarantined_datagrams: 4,
            ..Limits::default()
        };
        let mut quarantine = Quarantine::new(&limits);
        for claim in claims {
            quarantine.keep(*claim, b"bytes");
        }
        quarantine
    }

    #[test]
    fn three_in_a_row_with_a_heartbeat_confirm() {
        let beat = claim(3, 902, true);
        let near = [claim(1, 900, false), claim(2, 901, false)];
        assert!(quarantine(&[near[0], near[1], beat]).confirms_itself(TEN));
        assert!(!quarantine(&[near[0], near[1], claim(3, 902, false)]).confirms_itself(TEN));
        assert!(!quarantine(&[near[1], beat]).confirms_itself(TEN));
        assert!(quarantine(&[claim(0, 900, false), near[1], beat]).confirms_itself(TEN));
        assert!(!quarantine(&[near[1], near[1], beat]).confirms_itself(TEN));
        assert!(!quarantine(&[claim(1, 9_000, false), near[1], beat]).confirms_itself(TEN));
    }

    #[test]
    fn the_end_of_an_epoch_covers_what_came_of_it() {
        let next = Claim {
            epoch: Epoch(2),
            before: Some((Epoch(1), 900)),
            ..claim(9, 1, true)
        };
        assert!(claim(5, 899, false).is_covered_by(&next, TEN));
        assert!(!claim(5, 900, false).is_covered_by(&next, TEN));
        assert!(!claim(5, 2, false).is_covered_by(
            &Claim {
                before: None,
                ..next
            },
            TEN
        ));
        assert!(claim(5, 12, false).is_covered_by(&claim(9, 2, false), TEN));
        assert!(!claim(5, 13, false).is_covered_by(&claim(9, 2, false), TEN));
    }

    #[test]
    fn what_was_overtaken_is_not_the_newest() {
        let dsns = [5, 2].map(|dsn| claim(dsn, 900, false));
        assert_eq!(quarantine(&dsns).newest(), Some(Dsn(5)));
        assert_eq!(quarantine(&[]).newest(), None);
    }

    #[test]
    fn a_full_quarantine_drops_its_oldest() {
        let mut full = quarantine(&[1, 2, 3, 4].map(|dsn| claim(dsn, 900, false)));
        let oldest = full.keep(claim(5, 900, true), b"newest");
        assert_eq!(oldest, Some(claim(1, 900, false)));
        assert!(full.confirms_itself(TEN));
        assert_eq!(full.retain(|claim| claim.dsn > Dsn(3)), 2);
        assert_eq!(full.retain(|_| false), 2);
        assert_eq!(full.retain(|_| false), 0);
    }
}
