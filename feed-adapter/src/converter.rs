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
use twinfeed_protocol::line::Source;
use twinfeed_protocol::sequencer::{Body, Now, Sequencer, Transmit};
use twinfeed_wire::{Epoch, Sid};

use crate::decode::{DecodeError, Decoder, LONGEST_MESSAGE, Parts, TradingDay, itch50};
use crate::note::{News, Notes};
use crate::source::moldudp64::Session;

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
    /// What tests make of the decoder.
    #[cfg(debug_assertions)]
    fault: Option<crate::fault::WrongPrice>,
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
            #[cfg(debug_assertions)]
            fault: None,
        }
    }

    /// Makes it convert wrongly from here on.
    #[cfg(debug_assertions)]
    #[must_use]
    pub fn with_fault(self, fault: crate::fault::WrongPrice) -> Self {
        Self {
            fault: Some(fault),
            ..self
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

impl<T: Transmit> Source for At<'_, T> {
    fn begin(&mut self, start: EpochStart) {
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
            #[cfg(debug_assertions)]
            fault,
            ..
        } = &mut *self.converter;
        if refused.is_some() {
            return;
        }
        if let Err(error) = decoder.convert(sseq, bytes, parts) {
            if error.refuses() {
                *refused = Some(error);
                *stale = true;
                notes.leave(*sid, News::Refused(error));
                sequencer.set_source_stale(self.now, true, self.out);
                return;
            }
            if !std::mem::replace(undecodable, true) {
                notes.leave(*sid, News::Undecodable(error));
            }
        }
        #[cfg(debug_assertions)]
        if let Some(fault) = fault {
            fault.apply(sseq, parts);
        }
        let bodies = parts.iter().map(|part| Body {
            kind: part.kind,
            bytes: part.bytes,
        });
        sequencer.message(self.now, sseq, received_at, bodies, self.out);
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
