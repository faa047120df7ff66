//! What should a subscriber have got?
//!
//! The exchange wrote down every session it sent. The adapters' own decoder turns each of them into
//! records again, offline, message by message; nothing else of the product is involved, so that
//! whatever lies between the decoder and the application is judged by it.
//!
//! Long opaque bodies are cut by the path, not by the decoder: a format with source messages longer than
//! a datagram cannot be compared record by record. TotalView-ITCH has none.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use twinfeed_control::Epoch;
use twinfeed_exchange::{Messages, SessionTruth};
use twinfeed_feed_adapter::decode::{Decoder as _, Parts, TradingDay, itch50};
use twinfeed_feed_adapter::source::moldudp64::Session;
use twinfeed_wire::BodyKind;
use xxhash_rust::xxh3::Xxh3;

use crate::error::Error;

/// Sums up records, in order.
///
/// XXH3-64, seed 0, over every record as
///
/// ```text
///  sseq u64 LE │ part u16 LE │ kind u8 │ 0 │ length u32 LE │ body
/// ```
#[derive(Clone, Default)]
pub struct Digest(Xxh3);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({:016x})", self.value())
    }
}

impl Digest {
    /// Adds the next record.
    pub fn add(&mut self, sseq: u64, part: u16, kind: BodyKind, body: &[u8]) {
        let mut head = [0_u8; 16];
        head[..8].copy_from_slice(&sseq.to_le_bytes());
        head[8..10].copy_from_slice(&part.to_le_bytes());
        head[10] = kind.code();
        // A body fits a datagram.
        head[12..].copy_from_slice(&(body.len() as u32).to_le_bytes());
        self.0.update(&head);
        self.0.update(body);
    }

    /// The sum so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.digest()
    }
}

/// What converts a session, as both adapters were told.
#[derive(Clone, Copy, Debug)]
pub struct Conversion {
    /// The day of the source's timestamps.
    pub day: TradingDay,
    /// The rest.
    pub settings: itch50::Settings,
}

/// One session that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What the exchange says of it.
    pub session: SessionTruth,
    /// The epoch that it is.
    pub epoch: Epoch,
    path: PathBuf,
}

/// What a session should have become.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Expected {
    /// Source messages that become records.
    pub messages: u64,
    /// Records.
    pub records: u64,
    /// [`Digest`] of those records.
    pub digest: Epoch,
}

/// What was delivered of a source message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Share {
    /// Nothing.
    Nothing,
    /// The parts in these ranges.
    Parts(Vec<Range<u16>>),
    /// All of it.
    Whole,
}

impl Share {
    fn has(&self, part: u16) -> bool {
        match self {
            Self::Nothing => false,
            Self::Parts(ranges) => ranges.iter().any(|range| range.contains(&part)),
            Self::Whole => true,
        }
    }
}

impl From<bool> for Share {
    fn from(whole: bool) -> Self {
        match whole {
            true => Self::Whole,
            false => Self::Nothing,
        }
    }
}

/// All sessions of an exchange that ended in order, as its truth file and its record of messages say.
///
/// # Errors
/// [`Error::Truth`] names the file that cannot be read or believed.
pub fn sessions(truth: &Path, sent: &Path, day: &TradingDay) -> Result<Vec<Sent>, Error> {
    let text = fs::read_to_string(truth).map_err(Error::file("read", truth))?;
    let session = |line: &str| {
        let session: SessionTruth =
            serde_json::from_str(line).map_err(|error| bad(truth, &error.to_string()))?;
        let name = <[u8; 10]>::try_from(session.session.as_bytes())
            .map_err(|_| bad(truth, "a session's name has ten letters"))?;
        Ok(Sent {
            epoch: Epoch(Session(name).epoch(day).0),
            path: sent.join(format!("{}.itch", session.session)),
            session,
        })
    };
    text.lines().map(session).collect()
}

impl Sent {
    /// Converts the session again from its first number, and sums up the records that were delivered of it, message by
    /// message as `delivered` says.
    ///
    /// # Errors
    /// [`Error::Truth`] when the record of the session is unreadable, or the decoder refuses it.
    pub fn expect(
        &self,
        conversion: &Conversion,
        mut delivered: impl FnMut(u64) -> Share,
    ) -> Result<Expected, Error> {
        let bytes = fs::read(&self.path).map_err(Error::file("read", &self.path))?;
        let messages = Messages::from_binaryfile(&bytes)
            .map_err(|error| bad(&self.path, &error.to_string()))?;
        if messages.len() as u64 != self.session.count {
            let fault = format!("{} messages, not {}", messages.len(), self.session.count);
            return Err(bad(&self.path, &fault));
        }
        let mut decoder = itch50::Converter::new(conversion.settings, conversion.day);
        let mut parts = Parts::new(usize::from(u16::MAX));
        let (mut expected, mut digest) = (Expected::default(), Digest::default());
        for (index, sseq) in (self.session.first..).take(messages.len()).enumerate() {
            let message = messages.get(index).unwrap_or_default();
            match decoder.convert(sseq, message, &mut parts) {
                Err(error) if error.refuses() => return Err(bad(&self.path, &error.to_string())),
                Ok(()) | Err(_) => {}
            }
            if parts.is_empty() {
                continue;
            }
            let share = delivered(sseq);
            expected.messages += u64::from(share == Share::Whole);
            for part in parts.iter().filter(|part| share.has(part.part)) {
                expected.records += 1;
                digest.add(sseq, part.part, part.kind, part.bytes);
            }
        }
        expected.digest = Epoch(digest.value());
        Ok(expected)
    }
}

fn bad(path: &Path, fault: &str) -> Error {
    Error::Truth {
        path: path.to_owned(),
        fault: fault.to_owned(),
    }
}
