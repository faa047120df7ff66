//! What does a session carry: flow, or recorded messages?
//!
//! Generated flow differs from session to session and depends on the seed;
//! recorded messages are the same in every session, byte for byte, and start
//! over when they run out. A recording is often a slice of a day, which is why a
//! session's first sequence number can be set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{ContentConfig, ExchangeConfig};
use crate::flow::{Flow, FlowConfig};

/// Why a recording cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A message's length runs past the end of the data.
    #[error(
        "the recording ends inside message {index} (counted from 0), which starts at byte \
         {offset}: it is truncated, or no BinaryFILE"
    )]
    Truncated {
        /// Which message.
        index: usize,
        /// Where its length stands.
        offset: usize,
    },
    /// No message at all.
    #[error("the recording holds no message: there is nothing to send")]
    Empty,
    /// A message that fits no packet.
    #[error(
        "message {index} (counted from 0) has {length} bytes, and a packet has room for {room}: \
         raise `mold.max_payload`"
    )]
    TooLong {
        /// Which message.
        index: usize,
        /// Its length in bytes.
        length: usize,
        /// The longest message that fits.
        room: usize,
    },
}

/// Recorded messages in one block of memory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Messages {
    bytes: Vec<u8>,
    /// Where each message ends.
    ends: Vec<usize>,
}

impl Messages {
    /// The messages of a Nasdaq BinaryFILE: `u16 length (big-endian) | message`,
    /// repeated, to the end of the data or to a length of 0.
    pub fn from_binaryfile(mut bytes: &[u8]) -> Result<Self, ContentError> {
        let size = bytes.len();
        let mut messages = Self::default();
        while !bytes.is_empty() {
            let offset = size - bytes.len();
            let truncated = ContentError::Truncated {
                index: messages.len(),
                offset,
            };
            let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
                return Err(truncated);
            };
            let length = usize::from(u16::from_be_bytes(*length));
            if length == 0 {
                break;
            }
            let Some((message, rest)) = rest.split_at_checked(length) else {
                return Err(truncated);
            };
            messages.push(message);
            bytes = rest;
        }
        Ok(messages)
    }

    /// Adds a message.
    pub fn push(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.ends.push(self.bytes.len());
    }

    /// How many messages.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True without messages.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Message `index`, counted from 0.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let start = index
            .checked_sub(1)
            .map_or(Some(0), |before| self.ends.get(before).copied());
        self.bytes.get(start?..*self.ends.get(index)?)
    }

    /// Refuses what cannot be looped through packets with `room` for a message.
    fn check(&self, room: usize) -> Result<(), ContentError> {
        if self.is_empty() {
            return Err(ContentError::Empty);
        }
        let lengths = (0..self.len())
            .filter_map(|index| self.get(index))
            .map(<[u8]>::len);
        match lengths.enumerate().find(|(_, length)| *length > room) {
            Some((index, length)) => Err(ContentError::TooLong {
                index,
                length,
                room,
            }),
            None => Ok(()),
        }
    }
}

impl<M: AsRef<[u8]>> FromIterator<M> for Messages {
    fn from_iter<I: IntoIterator<Item = M>>(iter: I) -> Self {
        let mut messages = Self::default();
        for message in iter {
            messages.push(message.as_ref());
        }
        messages
    }
}

/// Where the messages of every session come from.
#[derive(Clone, Debug)]
pub enum Content {
    /// Generated, anew for each session.
    Flow(FlowConfig),
    /// The same recording for each session, in a loop.
    Recorded(Arc<Messages>),
}

impl Content {
    /// The content a configuration asks for; reads the file if it names one.
    pub fn load(config: &ExchangeConfig) -> Result<Self, ContentError> {
        match &config.content {
            ContentConfig::Flow(flow) => Ok(Self::Flow(*flow)),
            ContentConfig::Binaryfile { path } => {
                let messages = Messages::from_binaryfile(&read(path)?)?;
                Self::recorded(messages, config.mold.max_payload)
            }
        }
    }

    /// Messages from elsewhere, a capture for example, refused if one of them
    /// does not fit a packet of `max_payload` bytes.
    pub fn recorded(messages: Messages, max_payload: usize) -> Result<Self, ContentError> {
        messages.check(crate::mold::Packer::max_message(max_payload))?;
        Ok(Self::Recorded(Arc::new(messages)))
    }

    /// The size of the market, if it is generated.
    pub(crate) fn flow(&self) -> Option<FlowConfig> {
        match self {
            Self::Flow(flow) => Some(*flow),
            Self::Recorded(_) => None,
        }
    }

    /// The messages of session `index`, `total` of them. A judge that knows the
    /// seed can make them again.
    pub fn session(&self, seed: u64, index: u64, total: u64) -> SessionContent {
        match self {
            Self::Flow(config) => {
                SessionContent::Flow(Box::new(Flow::new(*config, seed, index, total)))
            }
            Self::Recorded(messages) => SessionContent::Recorded {
                messages: Arc::clone(messages),
                next: 0,
            },
        }
    }
}

/// The messages of one session, one after another.
#[derive(Debug)]
pub enum SessionContent {
    /// Generated.
    Flow(Box<Flow>),
    /// Recorded.
    Recorded {
        /// The recording.
        messages: Arc<Messages>,
        /// Index of the next message in it.
        next: usize,
    },
}

impl SessionContent {
    /// The next message, sent `elapsed_ns` after the session opened. Valid until
    /// the next call.
    pub fn next(&mut self, elapsed_ns: u64) -> &[u8] {
        match self {
            Self::Flow(flow) => flow.next(elapsed_ns),
            Self::Recorded { messages, next } => {
                let index = *next;
                *next = if index + 1 < messages.len() {
                    index + 1
                } else {
                    0
                };
                // `Content::recorded` refuses an empty recording.
                messages.get(index).unwrap_or_default()
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ContentError> {
    std::fs::read(path).map_err(|source| ContentError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"\0\x02ab\0\x01c";

    #[test]
    fn a_binaryfile_is_read_to_its_end_or_to_its_end_mark() {
        let two: Messages = ["ab", "c"].into_iter().collect();
        assert_eq!(Messages::from_binaryfile(TWO).unwrap(), two);
        assert_eq!(
            Messages::from_binaryfile(b"\0\x02ab\0\x01c\0\0\0\x01d").unwrap(),
            two
        );
    }

    #[test]
    fn a_truncated_binaryfile_is_refused_with_the_place() {
        for cut in [5, 6] {
            let error = Messages::from_binaryfile(&TWO[..cut]).unwrap_err();
            assert!(
                matches!(
                    error,
                    ContentError::Truncated {
                        index: 1,
                        offset: 4
                    }
                ),
                "{cut}: {error}"
            );
        }
    }

    #[test]
    fn a_recording_starts_over_unchanged() {
        let content = Content::recorded(Messages::from_binaryfile(TWO).unwrap(), 1_400).unwrap();
        let mut session = content.session(1, 0, 5);
        let sent: Vec<Vec<u8>> = (0..5).map(|t| session.next(t).to_vec()).collect();
        assert_eq!(sent, [&b"ab"[..], b"c", b"ab", b"c", b"ab"]);
        let mut next_session = content.session(1, 1, 5);
        assert_eq!(
            next_session.next(0),
            b"ab",
            "every session begins at the beginning"
        );
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let empty = Content::recorded(Messages::default(), 1_400).unwrap_err();
        assert!(matches!(empty, ContentError::Empty));
        let long: Messages = [vec![0; 106], vec![0; 107]].into_iter().collect();
        let error = Content::recorded(long, 128).unwrap_err();
        assert!(
            matches!(
                error,
                ContentError::TooLong {
                    index: 1,
                    length: 107,
                    room: 106
                }
            ),
            "{error}"
        );
    }
}
