//! How does an input of bytes become a course of events?
//!
//! Read from the front; behind the end everything is zero. So every input means something, and a shorter one means
//! nearly the same.

/// What is left of an input.
#[derive(Clone, Debug)]
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// So many bytes, or what is left.
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A run of bytes that says its own length in one byte, or in two when that is 255.
    pub(crate) fn run(&mut self) -> &'a [u8] {
        let length = match self.byte() {
            u8::MAX => usize::from(self.word()),
            short => usize::from(short),
        };
        self.take(length)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(crate) fn word(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(crate) fn long(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// Mostly a small number, sometimes any.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            u8::MAX => self.long(),
            0xFE => u64::MAX - u64::from(self.byte()),
            0xFD => u64::from(self.word()),
            small => u64::from(small),
        }
    }

    /// One of `choices`.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let taken = self.take(N);
        bytes[..taken.len()].copy_from_slice(taken);
        bytes
    }
}

/// Gives its bytes in pieces of at most so many, one after the other.
#[derive(Debug)]
pub(crate) struct Dribble<'a> {
    pub(crate) bytes: &'a [u8],
    /// At least 1.
    pub(crate) piece: usize,
}

impl std::io::Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.piece.max(1).min(self.bytes.len()).min(buffer.len());
        let (now, later) = self.bytes.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.bytes = later;
        Ok(count)
    }
}
