//! How does what the lines bring become a stream?
//!
//! ```text
//!  Lines ─► begin, message, abandoned, ended, stale ─► decoder ─► sequencer ─► outlet
//! ```
//!
//! One [`Converter`] per source: its decoder, its sequencer and what was counted between the two. It
//! knows no socket and no clock.

use std::ops::Range;

use twinfeed_protocol::EpochStart;
use twinfeed_protocol::digest::Context;
use twinfeed_protocol::line::Source;
use twinfeed_protocol::sequencer::{Body, Now, Sequencer, SequencerState, Transmit};
use twinfeed_wire::link::{ContextHead, ContextRequest, Frame, OverReason};
use twinfeed_wire::{Epoch, Sid};

use crate::decode::itch50::MEMORY_VERSION;
use crate::decode::{DecodeError, Decoder, LONGEST_MESSAGE, Parts, TradingDay, itch50};
use crate::fault_points;
use crate::note::{News, Notes};
use crate::source::moldudp64::{Messages, Session};
use crate::transfer::Whole;
use crate::transfer::giving::{Giving, Progress, Standing};
use crate::transfer::taking::{CatchUp, Taking};

/// One source's decoder and sequencer.
#[derive(Debug)]
pub struct Converter {
    sid: Sid,
    day: TradingDay,
    decoder: itch50::Converter,
    parts: Parts,
    /// The stream that comes out.
    pub sequencer: Sequencer,
    notes: Notes,
    /// The session of the packet at hand, for the log.
    pub session: Option<Session>,
    refused: Option<DecodeError>,
    undecodable: bool,
    stale: bool,
    /// While the peer is handed what is remembered here.
    giving: Option<Box<Giving>>,
    /// While the peer's is taken over.
    taking: Option<Taking>,
    /// Whether an epoch began since somebody asked.
    began: bool,
}

impl Converter {
    /// A converter that has seen nothing.
    #[must_use]
    pub fn new(
        sid: Sid,
        day: TradingDay,
        settings: itch50::Settings,
        sequencer: Sequencer,
        notes: Notes,
    ) -> Self {
        Self {
            sid,
            day,
            decoder: itch50::Converter::new(settings, day),
            // Never cut here: the sequencer cuts bodies, and marks the pieces.
            parts: Parts::new(LONGEST_MESSAGE + 1),
            sequencer,
            notes,
            session: None,
            refused: None,
            undecodable: false,
            stale: false,
            giving: None,
            taking: None,
            began: false,
        }
    }

    /// Ties it to the reading of one cycle and the way out, for the time of one call.
    pub fn at<'a, T: Transmit>(&'a mut self, now: Now, out: &'a mut T) -> At<'a, T> {
        At {
            converter: self,
            now,
            out,
        }
    }

    /// Why the source is refused, once it is: nothing more of it is converted.
    #[must_use]
    pub const fn refused(&self) -> Option<&DecodeError> {
        self.refused.as_ref()
    }

    /// Whether every line is silent, or nothing of the source may be sent.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.stale
    }

    /// What went wrong in conversion.
    #[must_use]
    pub fn faults(&self) -> crate::decode::Faults {
        self.decoder.faults()
    }

    /// Whether an epoch began since the last call.
    pub const fn began(&mut self) -> bool {
        std::mem::replace(&mut self.began, false)
    }

    /// Whether the context is incomplete, and could be taken over from somebody who has it.
    #[must_use]
    pub fn lacks_its_past(&self) -> bool {
        let open = self.sequencer.state() == SequencerState::Open;
        open && !self.sequencer.is_complete() && self.refused.is_none()
    }

    /// Whether a snapshot of the source's, whose own first number is `first`, would say more than is remembered.
    #[must_use]
    pub fn lacks_a_snapshot(&self, first: u64) -> bool {
        self.lacks_its_past() && self.sequencer.lacks_a_snapshot(first)
    }

    /// Begins to hand over what is remembered, or says why not.
    ///
    /// # Errors
    /// The reason, and `giving` back.
    pub fn begin_giving(
        &mut self,
        mut giving: Box<Giving>,
        request: &ContextRequest,
    ) -> Result<ContextHead, (Box<Giving>, OverReason)> {
        let start = self.sequencer.start();
        let (Some(start), Some(context), Some(pos)) = (
            start,
            self.sequencer.context_id(),
            self.sequencer.next_pos(),
        ) else {
            return Err((giving, OverReason::Epoch));
        };
        let open = self.sequencer.state() == SequencerState::Open;
        if start.epoch != request.epoch || !open {
            return Err((giving, OverReason::Epoch));
        }
        if !self.sequencer.is_complete() || self.refused.is_some() {
            return Err((giving, OverReason::Incomplete));
        }
        let head = ContextHead {
            sid: request.sid,
            transfer: request.transfer,
            format: ContextHead::ITCH50,
            version: MEMORY_VERSION,
            epoch: start.epoch,
            context,
            first: start.first,
            predecessor: start.predecessor,
            next: pos.sseq,
        };
        giving.begin(request, &head, self.decoder.memory());
        self.giving = Some(giving);
        Ok(head)
    }

    /// Goes on handing over; `None`: nothing is handed over.
    pub fn give(&mut self, say: impl FnMut(Frame)) -> Option<Progress> {
        let giving = self.giving.as_mut()?;
        let at = self.sequencer.next_pos().zip(self.sequencer.prev());
        let (next, prev) = at.map(|(pos, prev)| (pos.sseq, prev))?;
        if !self.sequencer.is_complete() || self.sequencer.state() != SequencerState::Open {
            giving.spoil(OverReason::Changed);
        }
        Some(giving.after_batch(self.decoder.memory(), Standing { next, prev }, say))
    }

    /// What is handed over.
    pub fn giving(&mut self) -> Option<&mut Giving> {
        self.giving.as_deref_mut()
    }

    /// Nothing is handed over any more.
    pub fn end_giving(&mut self) -> Option<Box<Giving>> {
        self.decoder.memory().drop_copy();
        self.giving.take()
    }

    /// Keeps messages until the peer's memory is taken over.
    pub fn begin_taking(&mut self, taking: Taking) {
        self.taking = Some(taking);
    }

    /// What is taken over.
    pub const fn taking(&mut self) -> Option<&mut Taking> {
        self.taking.as_mut()
    }

    /// Nothing is taken over any more.
    pub const fn end_taking(&mut self) -> Option<Taking> {
        self.taking.take()
    }

    /// Converts some of what was kept; `None`: nothing is taken over.
    pub fn catch_up(&mut self, most: usize) -> Option<CatchUp> {
        let next = self.sequencer.next_pos()?.sseq;
        let taking = self.taking.as_mut()?;
        Some(taking.catch_up(next, most, &mut self.parts))
    }

    /// Goes on with this memory, which is of this moment; `whole` then holds the one before. `false`, and nothing
    /// happened: it does not fit the stream.
    pub fn take_over(&mut self, now: Now, whole: &mut Whole, out: &mut impl Transmit) -> bool {
        let head = &whole.head;
        let start = EpochStart {
            epoch: head.epoch,
            first: head.first,
            complete: !whole.snapshot,
            predecessor: head.predecessor,
        };
        let context = match whole.snapshot {
            true => Context::of_snapshot(head.epoch, head.first),
            false => Context::new(head.epoch, head.first),
        };
        let taken =
            context.id() == head.context && self.sequencer.inherit(now, start, whole.prev, out);
        if taken {
            self.decoder.exchange_memory(&mut whole.decoder);
        }
        taken
    }

    /// What is remembered, or was, is not what it was: no transfer can be finished.
    fn upset_transfers(&mut self) {
        if let Some(giving) = &mut self.giving {
            giving.spoil(OverReason::Changed);
        }
        if let Some(taking) = &mut self.taking {
            taking.spoil(OverReason::Changed);
        }
    }
}

/// A [`Converter`] at one moment.
#[derive(Debug)]
pub struct At<'a, T> {
    converter: &'a mut Converter,
    now: Now,
    out: &'a mut T,
}

impl<T: Transmit> At<'_, T> {
    /// The packet at hand belongs to this session.
    pub fn in_session(&mut self, session: Session) {
        self.converter.session = Some(session);
    }
}

impl<T> At<'_, T> {
    /// These messages come very soon, unless they came before: begins to fetch what is remembered of their orders. Nothing
    /// changes.
    pub fn foresee(&self, messages: Messages<'_>) {
        let next = self.converter.sequencer.next_pos();
        let next = next.map_or(0, |pos| pos.sseq);
        if messages.next_sequence() > next {
            for (_, message) in messages {
                self.converter.decoder.foresee(message);
            }
        }
    }
}

impl<T: Transmit> Source for At<'_, T> {
    fn begin(&mut self, start: EpochStart) {
        self.converter.upset_transfers();
        self.converter.began = true;
        let Converter {
            decoder,
            sequencer,
            notes,
            sid,
            session,
            day,
            ..
        } = &mut *self.converter;
        decoder.reset(*day);
        sequencer.begin_epoch(self.now, start, self.out);
        let EpochStart {
            epoch,
            first,
            complete,
            ..
        } = start;
        notes.leave(
            *sid,
            News::Began {
                epoch,
                session: *session,
                first,
                complete,
            },
        );
    }

    fn message(&mut self, sseq: u64, bytes: &[u8], received_at: u64) {
        let Converter {
            decoder,
            parts,
            sequencer,
            notes,
            sid,
            refused,
            undecodable,
            stale,
            giving,
            taking,
            ..
        } = &mut *self.converter;
        if refused.is_some() {
            return;
        }
        if let Some(taking) = taking {
            taking.message(sseq, bytes);
        }
        if let Err(error) = decoder.convert(sseq, bytes, parts) {
            if error.refuses() {
                *refused = Some(error);
                *stale = true;
                notes.leave(*sid, News::Refused(error));
                sequencer.set_source_stale(self.now, true, self.out);
                self.converter.upset_transfers();
                return;
            }
            if !std::mem::replace(undecodable, true) {
                notes.leave(*sid, News::Undecodable(error));
            }
        }
        fault_points::converted(sseq, parts);
        let bodies = parts.iter().map(|part| Body {
            kind: part.kind,
            bytes: part.bytes,
        });
        sequencer.message(self.now, sseq, received_at, bodies, self.out);
        if let Some(giving) = giving {
            giving.after_message(decoder.memory(), sseq + 1);
        }
    }

    fn abandoned(&mut self, range: Range<u64>) {
        let converter = &mut *self.converter;
        if converter.refused.is_some() {
            return;
        }
        let (first, next) = (range.start, range.end);
        converter
            .notes
            .leave(converter.sid, News::Abandoned { first, next });
        if let Some(giving) = &mut converter.giving {
            giving.spoil(OverReason::Changed);
        }
        if let Some(taking) = &mut converter.taking {
            taking.lost(next);
        }
        converter.sequencer.abandon(self.now, range, self.out);
    }

    fn ended(&mut self, epoch: Epoch, next_sseq: u64) {
        let converter = &mut *self.converter;
        if converter.refused.is_some() {
            return;
        }
        converter.notes.leave(
            converter.sid,
            News::Ended {
                epoch,
                next: next_sseq,
            },
        );
        converter.sequencer.end_epoch(self.now, next_sseq, self.out);
        converter.upset_transfers();
    }

    fn stale(&mut self, stale: bool) {
        let converter = &mut *self.converter;
        converter.notes.leave(converter.sid, News::Stale(stale));
        // A refused source stays stale: nothing of it is sent.
        converter.stale = stale || converter.refused.is_some();
        let stale = converter.stale;
        converter
            .sequencer
            .set_source_stale(self.now, stale, self.out);
    }
}
