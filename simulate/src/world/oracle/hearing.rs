//! Did an adapter give up what it had heard, or before its time?
//!
//! A number that did not come is not given up before it has been known for
//! `reorder_hold` that it is missing, for the other line may bring it (N5). Where an epoch ends, what is left of it goes
//! at once; and where a bound was reached, anything may.

use core::ops::Range;
use core::time::Duration;
use std::collections::BTreeMap;

use twinfeed_protocol::time::Time;
use twinfeed_wire::Epoch;

use super::witness::Judgement;
use crate::world::exchange::{Content, Packet};

/// What one process heard of one source, on all its lines.
#[derive(Debug, Default)]
pub struct Hearing {
    /// How far somebody spoke of an epoch, and since when.
    reached: BTreeMap<Epoch, Vec<(u64, Time)>>,
    /// Something came that no source had said.
    forged: bool,
    suspect: Option<String>,
}

impl Hearing {
    /// A packet is about to be heard.
    pub fn note(&mut self, now: Time, packet: &Packet) {
        self.forged |= !packet.genuine;
        if !packet.genuine {
            return;
        }
        let count = match &packet.content {
            Content::Messages(messages) => messages.len() as u64,
            Content::Heartbeat | Content::End => 0,
        };
        let next = packet.first.saturating_add(count);
        let reached = self.reached.entry(packet.epoch).or_default();
        if reached.last().is_none_or(|(before, _)| *before < next) {
            reached.push((next, now));
        }
    }

    /// The adapter gives `range` of `epoch` up; `hold`: how long it must wait for the other line, if there is one.
    pub fn abandoned(&mut self, now: Time, epoch: Epoch, range: &Range<u64>, hold: Duration) {
        let known = self.reached.get(&epoch).and_then(|reached| {
            let first = reached.partition_point(|(until, _)| *until < range.end);
            reached.get(first)
        });
        let waited = known.map(|&(_, since)| now.since(since));
        if let Some(waited) = waited.filter(|waited| *waited < hold) {
            self.suspect = Some(format!("{range:?} is given up after {waited:?}"));
        }
    }

    /// An epoch ends or begins: what was given up in the same breath was the rest of one.
    pub fn closed(&mut self) {
        self.suspect = None;
    }

    /// Everything that one packet or deadline brings was said. `excused`: a bound was reached.
    ///
    /// # Errors
    /// What was given up although it must not be.
    pub fn settle(&mut self, excused: bool) -> Judgement {
        match self.suspect.take().filter(|_| !excused && !self.forged) {
            Some(what) => Err(what),
            None => Ok(()),
        }
    }
}
