//! Which messages does a Nasdaq BinaryFILE hold?
//!
//! ```text
//!  (length u16 | message)* [length 0]
//! ```
//!
//! Big-endian; a length of 0 ends the session, and so does the end of the file between two
//! messages. The file numbers nothing: its first message is 1 unless the reader is told otherwise.
//! Nothing here knows what a message says or when it was sent.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use twinfeed_protocol::digest;
use twinfeed_wire::Epoch;

use crate::decode::TradingDay;

/// The epoch of a file of a trading day (wire format, section 5). A file names no session, and holds
/// one day.
#[must_use]
pub fn epoch(day: &TradingDay) -> Epoch {
    let mut key = *b"fileYYYYMMDD";
    key[4..].copy_from_slice(&day.digits());
    digest::epoch(&key)
}

/// Reads a BinaryFILE, message by message, from anything that can be read.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    /// What to call the input in errors.
    name: PathBuf,
    /// Bytes read so far.
    offset: u64,
    buffer: Vec<u8>,
    ended: Option<End>,
}

/// How a file came to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// A message of length 0.
    Marker,
    /// No more bytes, between two messages.
    File,
}

impl Reader<std::io::BufReader<std::fs::File>> {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let file = std::fs::File::open(path).map_err(|error| ReadError::Input {
            name: path.to_owned(),
            offset: 0,
            error,
        })?;
        Ok(Self::new(
            std::io::BufReader::with_capacity(1 << 16, file),
            path,
        ))
    }
}

impl<R: Read> Reader<R> {
    /// Reads from `input`, which errors call `name`. Buffer it: messages are read one by one.
    pub fn new(input: R, name: impl Into<PathBuf>) -> Self {
        let buffer = Vec::with_capacity(usize::from(u16::MAX));
        Self {
            input,
            name: name.into(),
            offset: 0,
            buffer,
            ended: None,
        }
    }

    /// The next message; `None` at the end.
    ///
    /// # Errors
    ///
    /// When the input ends within a message, or cannot be read. The file and the place are named.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, ReadError> {
        if self.ended.is_some() {
            return Ok(None);
        }
        let start = self.offset;
        let mut length = [0_u8; 2];
        match self.fill(start, 2)? {
            0 => {
                self.ended = Some(End::File);
                return Ok(None);
            }
            2 => length.copy_from_slice(&self.buffer),
            had => return Err(self.truncated(start, 2, had)),
        }
        let length = usize::from(u16::from_be_bytes(length));
        if length == 0 {
            self.ended = Some(End::Marker);
            return Ok(None);
        }
        let had = self.fill(start, length)?;
        if had < length {
            return Err(self.truncated(start, length + 2, had + 2));
        }
        Ok(Some(&self.buffer))
    }

    /// How the file ended, once it has.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.ended
    }

    /// Bytes read so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads up to `wanted` bytes into the buffer and says how many there were.
    fn fill(&mut self, start: u64, wanted: usize) -> Result<usize, ReadError> {
        self.buffer.resize(wanted, 0);
        let mut had = 0;
        while had < wanted {
            match self.input.read(&mut self.buffer[had..]) {
                Ok(0) => break,
                Ok(more) => had += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(ReadError::Input {
                        name: self.name.clone(),
                        offset: start,
                        error,
                    });
                }
            }
        }
        self.offset += had as u64;
        Ok(had)
    }

    fn truncated(&self, offset: u64, expected: usize, actual: usize) -> ReadError {
        ReadError::Truncated {
            name: self.name.clone(),
            offset,
            expected,
            actual,
        }
    }
}

/// Why a BinaryFILE could not be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The input ends within a message.
    #[error(
        "{name}: truncated: the message at offset {offset} has {actual} of {expected} bytes; \
         fetch the file again",
        name = name.display()
    )]
    Truncated {
        /// The file.
        name: PathBuf,
        /// Where the message begins, bytes.
        offset: u64,
        /// Its length with its length field, bytes.
        expected: usize,
        /// How many of them there are.
        actual: usize,
    },
    /// The operating system said no.
    #[error("{name}: cannot be read at offset {offset}: {error}", name = name.display())]
    Input {
        /// The file.
        name: PathBuf,
        /// Where, bytes.
        offset: u64,
        /// What it said.
        error: std::io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An input that gives one byte at a time.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = buffer.len().min(1);
            self.0.read(&mut buffer[..length])
        }
    }

    #[test]
    fn messages_come_in_order_until_the_marker() {
        let bytes = b"\0\x01A\0\x02BC\0\0\0\x01never";
        let mut reader = Reader::new(Trickle(bytes), "x");
        assert_eq!(reader.next_message().unwrap(), Some(&b"A"[..]));
        assert_eq!(reader.next_message().unwrap(), Some(&b"BC"[..]));
        assert_eq!(reader.end(), None);
        assert_eq!(reader.next_message().unwrap(), None);
        assert_eq!(reader.next_message().unwrap(), None);
        assert_eq!(reader.end(), Some(End::Marker));
        assert_eq!(reader.offset(), 9);
    }

    #[test]
    fn a_file_may_end_between_messages() {
        let mut reader = Reader::new(&b"\0\x01A"[..], "x");
        assert!(reader.next_message().unwrap().is_some());
        assert!(reader.next_message().unwrap().is_none());
        assert_eq!(reader.end(), Some(End::File));
        let mut reader = Reader::new(&b""[..], "x");
        assert!(reader.next_message().unwrap().is_none());
    }

    #[test]
    fn a_truncated_file_names_itself_and_the_place() {
        let mut reader = Reader::new(&b"\0\x01A\0\x05BC"[..], "day.itch");
        assert!(reader.next_message().unwrap().is_some());
        let error = reader.next_message().unwrap_err().to_string();
        assert_eq!(
            error,
            "day.itch: truncated: the message at offset 3 has 4 of 7 bytes; fetch the file again"
        );
        let mut reader = Reader::new(&b"\0"[..], "day.itch");
        let error = reader.next_message().unwrap_err().to_string();
        assert!(error.contains("offset 0 has 1 of 2 bytes"), "{error}");
    }

    #[test]
    fn an_epoch_is_a_day() {
        let day: TradingDay = "2019-12-30".parse().unwrap();
        let digest = xxhash_rust::xxh3::xxh3_64(b"file20191230");
        assert_eq!(epoch(&day), Epoch(digest));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Reader::open(Path::new("/nowhere/day.itch"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("/nowhere/day.itch: cannot be read at offset 0"),
            "{error}"
        );
    }
}
