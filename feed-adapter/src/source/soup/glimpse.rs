//! What is open at the source now, by its own account?
//!
//! ```text
//!  system event, directory, statuses, short sale ─┐
//!  an Add for every open order, with what is left ─┴─► memory      no record is made of any of it
//!  G, the number with which the lines go on ──────────► of which moment it is
//! ```
//!
//! A snapshot in the manner of Nasdaq's GLIMPSE 5.0 ("Nasdaq GLIMPSE 5.0", sections 1.1 to 1.7 and 2): messages of
//! TotalView-ITCH 5.0 over SoupBinTCP, in a session of its own from number 1 on, then one that says where the lines go on:
//! `G` and 20 ASCII digits behind spaces. The layout of that last one is from memory of the document, whose text could not be
//! read; the simulated exchange says it so.
//!
//! All that conversion remembers is in it – open orders, directory, dialect – so that whoever converts what follows one snapshot
//! remembers the same as whoever converts what follows a later one.

use twinfeed_protocol::digest::Context;
use twinfeed_wire::link::ContextHead;

use super::Why;
use super::packet::number_of;
use super::past::Begin;
use crate::decode::itch50::{Converter, MEMORY_VERSION};
use crate::decode::{Decoder as _, LONGEST_MESSAGE, Parts};
use crate::transfer::Whole;

/// A snapshot on its way.
#[derive(Debug)]
pub struct Picture {
    decoder: Box<Converter>,
    /// What the messages would become; said to nobody.
    parts: Parts,
    left: u64,
}

impl Picture {
    /// Nothing yet, for a converter that remembers nothing; at most so many messages.
    #[must_use]
    pub fn new(decoder: Converter, messages: u64) -> Self {
        Self {
            decoder: Box::new(decoder),
            parts: Parts::new(LONGEST_MESSAGE + 1),
            left: messages,
        }
    }

    /// Takes the next message. The number with which the lines go on, once it is said: the snapshot is whole.
    ///
    /// # Errors
    /// [`Why::Messages`], [`Why::Orders`], [`Why::Dialect`]; [`Why::Unfinished`] for a number that is none.
    pub fn take(&mut self, message: &[u8]) -> Result<Option<u64>, Why> {
        if let Some((b'G', number)) = message.split_first() {
            let number = number_of(number).filter(|&number| number > 0);
            return number.map(Some).ok_or(Why::Unfinished);
        }
        self.left = self.left.checked_sub(1).ok_or(Why::Messages)?;
        // Which number it has says nothing: that is the snapshot's own. What cannot be read may be an order that is open: the
        // memory would lack it, and be called what others have who lack nothing.
        let converted = self.decoder.convert(0, message, &mut self.parts);
        converted.map_err(Why::Dialect)?;
        match self.decoder.faults().orders_full {
            0 => Ok(None),
            _ => Err(Why::Orders),
        }
    }

    /// What the message that was taken last would become.
    #[must_use]
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The memory, of the moment in front of `number`.
    #[must_use]
    pub fn whole(self, begin: &Begin, number: u64) -> Box<Whole> {
        Box::new(Whole {
            decoder: *self.decoder,
            head: ContextHead {
                sid: begin.sid,
                transfer: begin.attempt,
                format: ContextHead::ITCH50,
                version: MEMORY_VERSION,
                epoch: begin.epoch,
                context: Context::of_snapshot(begin.epoch, begin.first).id(),
                first: begin.first,
                predecessor: begin.predecessor,
                next: number,
            },
            snapshot: true,
            next: number,
            // Every message of the source becomes a record, or opaque bytes.
            prev: number - 1,
        })
    }
}
