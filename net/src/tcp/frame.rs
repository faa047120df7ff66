//! Where does one frame end and the next begin?
//!
//! The caller's protocol knows its header; this module knows how to gather bytes until a whole
//! frame stands there.
//!
//! ```text
//!            start              end             capacity = max_frame
//!  consumed │ header │ body ··· │ next one ··· │ free
//!           └── one frame ──────┘
//! ```

/// How to tell a frame's length from its first bytes.
pub trait Framing {
    /// How many bytes tell the length; at least 1.
    const HEADER: usize;

    /// Length of the whole frame, header included, told from its first [`Self::HEADER`] bytes.
    ///
    /// # Errors
    /// Why these bytes begin no frame; the link ends.
    fn frame_length(&self, header: &[u8]) -> Result<usize, FrameFault>;
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameFault {
    /// The header claims less than itself.
    #[error("the peer's frame claims {claimed} bytes, less than its header of {header}")]
    TooShort {
        /// Length claimed.
        claimed: usize,
        /// Length of a header.
        header: usize,
    },
    /// The header claims more than the link's limit.
    #[error("the peer's frame claims {claimed} bytes, above the limit max_frame = {limit}")]
    TooLong {
        /// Length claimed.
        claimed: usize,
        /// The limit.
        limit: usize,
    },
    /// The caller's protocol does not know such a header.
    #[error("the peer's frame begins with an unknown header: {0}")]
    Unknown(&'static str),
}

/// The plainest framing: a 32-bit little-endian length of what follows it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LengthPrefix;

impl Framing for LengthPrefix {
    const HEADER: usize = 4;

    fn frame_length(&self, header: &[u8]) -> Result<usize, FrameFault> {
        let prefix = header.first_chunk().copied().map_or(0, u32::from_le_bytes);
        // Lossless: usize has 64 bits here, and where it has 32 the limit catches the saturation.
        let body = usize::try_from(prefix).unwrap_or(usize::MAX);
        Ok(body.saturating_add(Self::HEADER))
    }
}

/// A bounded buffer that gives back whole frames: what a [`Link`](super::Link) is without its socket.
///
/// Ask [`Gatherer::peek`] until it finds no whole frame, [`Gatherer::take`] each that it finds; then read into
/// [`Gatherer::room`] and say with [`Gatherer::filled`] how much came.
#[derive(Debug)]
pub struct Gatherer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Gatherer {
    /// Gathers frames of at most `max_frame` bytes.
    #[must_use]
    pub fn new(max_frame: usize) -> Self {
        Self {
            bytes: vec![0; max_frame].into_boxed_slice(),
            start: 0,
            end: 0,
        }
    }

    /// The length of the frame that begins the gathered bytes, once it is whole.
    ///
    /// # Errors
    /// [`FrameFault`]: what was gathered begins no frame, and nothing after it can be read.
    pub fn peek<F: Framing>(&self, framing: &F) -> Result<Option<usize>, FrameFault> {
        let gathered = &self.bytes[self.start..self.end];
        let Some(header) = gathered.get(..F::HEADER) else {
            return Ok(None);
        };
        let (claimed, limit) = (framing.frame_length(header)?, self.bytes.len());
        if claimed < F::HEADER {
            let header = F::HEADER;
            return Err(FrameFault::TooShort { claimed, header });
        }
        if claimed > limit {
            return Err(FrameFault::TooLong { claimed, limit });
        }
        Ok((claimed <= gathered.len()).then_some(claimed))
    }

    /// Takes the `length` bytes of the frame that [`Self::peek`] found.
    pub fn take(&mut self, length: usize) -> &[u8] {
        let start = self.start;
        self.start += length;
        debug_assert!(self.start <= self.end, "took more than was gathered");
        &self.bytes[start..self.start]
    }

    /// Where the next bytes belong; never empty after [`Self::peek`] found no whole frame.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.bytes[self.end..]
    }

    /// Says that the first `count` bytes of the room are filled.
    pub fn filled(&mut self, count: usize) {
        self.end += count;
        debug_assert!(
            self.end <= self.bytes.len(),
            "filled more than there was room"
        );
    }

    /// Whether a part of a frame is waiting for its rest.
    #[must_use]
    pub fn is_amid(&self) -> bool {
        self.start < self.end
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap();
        [&length.to_le_bytes()[..], body].concat()
    }

    fn feed(gatherer: &mut Gatherer, bytes: &[u8]) {
        gatherer.room()[..bytes.len()].copy_from_slice(bytes);
        gatherer.filled(bytes.len());
    }

    #[test]
    fn the_limit_holds_at_the_edge_and_one_beyond() {
        let mut gatherer = Gatherer::new(8);
        feed(&mut gatherer, &frame(b"four"));
        assert_eq!(gatherer.peek(&LengthPrefix), Ok(Some(8)));
        assert_eq!(gatherer.take(8), frame(b"four"));
        assert!(!gatherer.is_amid());
        feed(&mut gatherer, &5_u32.to_le_bytes());
        let fault = FrameFault::TooLong {
            claimed: 9,
            limit: 8,
        };
        assert_eq!(gatherer.peek(&LengthPrefix), Err(fault));
        let mut largest = Gatherer::new(8);
        feed(&mut largest, &u32::MAX.to_le_bytes());
        assert!(largest.peek(&LengthPrefix).is_err());
    }

    #[test]
    fn a_frame_shorter_than_its_header_is_a_fault() {
        struct Lies;
        impl Framing for Lies {
            const HEADER: usize = 2;
            fn frame_length(&self, header: &[u8]) -> Result<usize, FrameFault> {
                Ok(usize::from(header[0]))
            }
        }
        let mut gatherer = Gatherer::new(8);
        feed(&mut gatherer, &[1, 0]);
        let fault = FrameFault::TooShort {
            claimed: 1,
            header: 2,
        };
        assert_eq!(gatherer.peek(&Lies), Err(fault));
    }

    proptest! {
        /// However the stream is cut, the frames come out whole and in order.
        #[test]
        fn frames_survive_any_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..28), 0..40),
            step in 1..40_usize,
        ) {
            let sent: Vec<Vec<u8>> = bodies.iter().map(|body| frame(body)).collect();
            let stream = sent.concat();
            let (mut gatherer, mut got, mut at) = (Gatherer::new(32), Vec::new(), 0);
            loop {
                while let Some(length) = gatherer.peek(&LengthPrefix).unwrap() {
                    got.push(gatherer.take(length).to_vec());
                }
                if at == stream.len() { break }
                let room = gatherer.room().len();
                prop_assert!(room > 0, "a gatherer without a whole frame has room");
                let next = step.min(room).min(stream.len() - at);
                feed(&mut gatherer, &stream[at..at + next]);
                at += next;
            }
            prop_assert_eq!(got, sent);
            prop_assert!(!gatherer.is_amid());
        }
    }
}
