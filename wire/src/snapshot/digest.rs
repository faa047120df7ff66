//! Is what came all that was said, in the order in which it was?

use xxhash_rust::xxh3::xxh3_64;
use zerocopy::IntoBytes;
use zerocopy::little_endian::U64;

use super::FRAME_HEADER_LENGTH;

/// A number for a row of frames: every frame's own check is chained to those before it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Digest {
    value: u64,
    frames: u64,
}

impl Digest {
    /// The next frame, whole: one that was just emitted, or has been parsed.
    ///
    /// # Panics
    /// When it is shorter than a frame's header.
    pub fn add(&mut self, frame: &[u8]) {
        let mut check = [0; 8];
        check.copy_from_slice(&frame[8..FRAME_HEADER_LENGTH]);
        let chain = [U64::new(self.value), U64::from_bytes(check)];
        self.value = xxh3_64(chain.as_bytes());
        self.frames += 1;
    }

    /// How many frames there were.
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// The number.
    #[must_use]
    pub const fn value(&self) -> u64 {
        self.value
    }
}
