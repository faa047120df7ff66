//! Where does a snapshot stand until everybody who asked for it has it?
//!
//! In chunks of memory, as the frames that are sent; bounded. It is written once, by the follower, and read by as many as want it.

use std::fmt;

use twinfeed_wire::Sid;
use twinfeed_wire::snapshot::{Cursor, Digest, LONGEST_FRAME, Order, Snapshot, write_orders};

use super::walk::Abandoned;

/// A snapshot that is being written.
pub struct Spool {
    chunks: Vec<Vec<u8>>,
    bytes: usize,
    most: usize,
    digest: Digest,
    /// Where a frame is made.
    frame: Box<[u8]>,
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool")
            .field("bytes", &self.bytes)
            .field("most", &self.most)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Spool {
    /// An empty one that takes at most so many bytes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            chunks: Vec::new(),
            bytes: 0,
            most,
            digest: Digest::default(),
            frame: vec![0; LONGEST_FRAME].into_boxed_slice(),
        }
    }

    /// What the frames so far come to.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Writes a frame.
    ///
    /// # Errors
    /// [`Abandoned`] if it is full.
    pub fn push(&mut self, frame: &Snapshot<'_>) -> Result<(), Abandoned> {
        let length = frame.emit(&mut self.frame);
        self.keep(length)
    }

    /// Writes the orders of a book in as many frames as it takes.
    ///
    /// # Errors
    /// [`Abandoned`] if it is full.
    pub fn push_orders(
        &mut self,
        instrument: u32,
        mut orders: impl Iterator<Item = Order>,
    ) -> Result<(), Abandoned> {
        loop {
            match write_orders(&mut self.frame, instrument, orders.by_ref()) {
                0 => return Ok(()),
                length => self.keep(length)?,
            }
        }
    }

    /// Whole: nothing is written any more.
    #[must_use]
    pub fn finish(self, sid: Sid, cursor: Cursor) -> Given {
        Given {
            sid,
            cursor,
            chunks: self.chunks,
            bytes: self.bytes,
        }
    }

    fn keep(&mut self, length: usize) -> Result<(), Abandoned> {
        if self.bytes + length > self.most {
            return Err(Abandoned);
        }
        let fits = |chunk: &Vec<u8>| chunk.capacity() - chunk.len() >= length;
        if !self.chunks.last().is_some_and(fits) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let frame = &self.frame[..length];
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.extend_from_slice(frame);
        }
        self.digest.add(frame);
        self.bytes += length;
        Ok(())
    }
}

/// A snapshot that is whole.
pub struct Given {
    sid: Sid,
    cursor: Cursor,
    chunks: Vec<Vec<u8>>,
    bytes: usize,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given")
            .field("cursor", &self.cursor)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Given {
    /// Of which source stream.
    #[must_use]
    pub const fn sid(&self) -> Sid {
        self.sid
    }

    /// Where it stands.
    #[must_use]
    pub const fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// How long it is, bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes
    }

    /// Whether there is nothing in it: never.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Its frames, in chunks of whole frames.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        self.chunks.iter().map(Vec::as_slice)
    }

    /// What stands from this place on in the chunk of this number; `None` behind the last.
    #[must_use]
    pub fn rest(&self, chunk: usize, from: usize) -> Option<&[u8]> {
        self.chunks.get(chunk)?.get(from..)
    }
}

/// Length of a chunk, bytes.
const CHUNK: usize = 256 << 10;
const _: () = assert!(CHUNK >= LONGEST_FRAME);
