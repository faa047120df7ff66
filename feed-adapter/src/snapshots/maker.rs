//! What would this adapter tell who joins, had it followed the source from the beginning?
//!
//! ```text
//!   messages of a session, or of the source's snapshot ─► decoder ─► Known: books, definitions, statuses ─► a snapshot
//! ```
//!
//! The records are those that the adapter sent, or would have: the same decoder makes them, from the same messages under the same numbers. So at
//! a place of the stream what is known is what the follower of somebody who was there knows, but for what no exchange sent: administrative
//! messages.

use twinfeed_protocol::join::{BadSpool, Spool as Proof, Step, Whole};
use twinfeed_protocol::retain::{Begun, Following};
use twinfeed_protocol::{Cursor, Delivered, Leg, Place};
use twinfeed_wire::snapshot::{FRAME_HEADER_LENGTH, frame_length};
use twinfeed_wire::{Adm, ContextId, Epoch, Pos, RecordFlags, Sid, StreamId};

use super::follower::Bounds;
use super::known::Known;
use super::spool::{Given, Spool};
use super::walk::Walk;
use crate::decode::Parts;

/// What is known of a source stream from the source alone.
#[derive(Debug)]
pub(super) struct Maker {
    known: Known,
    epoch: Epoch,
    context: ContextId,
}

/// Why there is no snapshot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NotMade {
    /// More orders or instruments than there is room for.
    Full,
    /// It would be longer than a snapshot may be.
    Spool,
    /// A defect of this program.
    Bad(BadSpool),
}

impl Maker {
    /// Of an epoch of which nothing was converted yet.
    pub(super) fn new(sid: Sid, bounds: Bounds, (epoch, context): (Epoch, ContextId)) -> Self {
        // It is sent by nobody.
        let mut known = Known::new(sid, StreamId(0), bounds);
        known.begins(&Begun {
            epoch,
            left: None,
            context,
            whole: true,
            adm: Adm(0),
        });
        Self {
            known,
            epoch,
            context,
        }
    }

    /// Takes what the source message of this number became.
    ///
    /// # Errors
    /// [`NotMade::Full`].
    pub(super) fn take(&mut self, sseq: u64, parts: &Parts) -> Result<(), NotMade> {
        for part in parts.iter() {
            let at = |sseq, part| Pos {
                sid: self.known.sid,
                epoch: self.epoch,
                sseq,
                part,
            };
            let next = match part.last {
                true => Place::start(sseq + 1),
                false => Place {
                    sseq,
                    part: part.part + 1,
                },
            };
            self.known.record(&Delivered {
                pos: at(sseq, part.part),
                kind: part.kind,
                flags: RecordFlags::default(),
                adm: Adm(0),
                leg: Leg::Zero,
                body: part.bytes,
                received_at: 0,
                sent_at: 0,
                next,
                context: self.context,
                complete: true,
                numbering: None,
            });
        }
        match self.known.lacking {
            None => Ok(()),
            // It began with the epoch, and misses nothing.
            Some(_) => Err(NotMade::Full),
        }
    }

    /// The snapshot that ends at this cursor, of at most `bound` bytes.
    ///
    /// # Errors
    /// [`NotMade`].
    pub(super) fn snapshot(self, cursor: Cursor) -> Result<Whole, NotMade> {
        let Known {
            sid,
            stream,
            bounds,
            books,
            kept,
            ..
        } = &self.known;
        let given = Walk::begin((*sid, *stream), cursor, books, Spool::new(bounds.spool))
            .and_then(|mut walk| match walk.step(usize::MAX, books, kept) {
                Ok(true) => walk.end(cursor, books).ok(),
                _ => None,
            })
            .ok_or(NotMade::Spool)?;
        let (sid, bound) = (*sid, bounds.spool);
        drop(self.known);
        prove(sid, bound, &given).map_err(NotMade::Bad)
    }
}

/// As it would be read from another adapter.
fn prove(sid: Sid, bound: usize, given: &Given) -> Result<Whole, BadSpool> {
    let mut proof = Proof::new(sid, bound);
    for chunk in given.chunks() {
        let mut rest = chunk;
        while let Some(header) = rest.first_chunk::<FRAME_HEADER_LENGTH>() {
            let length = frame_length(header).map_err(BadSpool::Frame)?;
            let (frame, behind) = rest.split_at(length.min(rest.len()));
            rest = behind;
            if let Step::Whole(whole) = proof.push(frame)? {
                return Ok(whole);
            }
        }
    }
    Err(BadSpool::Torn)
}
