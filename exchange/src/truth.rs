//! What was sent, for somebody else to judge by?
//!
//! One line per session: which numbers it had, and a digest of their content.
//! Lines written by two runs of one configuration are equal.
//!
//! The digest is XXH3-64, seed 0, over every message in order, each as
//!
//! ```text
//!  sequence number u64 LE │ length u16 LE │ bytes
//! ```

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::session::SessionId;

/// What one session carried. As JSON, one object on one line.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SessionTruth {
    /// The session's ten characters.
    pub session: String,
    /// Sequence number of its first message.
    pub first: u64,
    /// How many messages it had; the last one is number `first + count - 1`.
    pub count: u64,
    /// The content digest, 16 hexadecimal digits.
    pub digest: String,
}

/// Sums up messages into a [`SessionTruth`].
#[derive(Clone)]
pub struct Tally {
    first: u64,
    count: u64,
    digest: Xxh3,
}

impl Tally {
    /// Nothing sent yet; `first` will be the first number.
    pub fn new(first: u64) -> Self {
        Self {
            first,
            count: 0,
            digest: Xxh3::new(),
        }
    }

    /// Adds the next message and returns its number.
    pub fn add(&mut self, message: &[u8]) -> u64 {
        let number = self.first + self.count;
        self.count += 1;
        // A message longer than 65,535 bytes fits no packet, so its length is exact.
        let length = message.len() as u16;
        let mut prefix = [0; 10];
        prefix[..8].copy_from_slice(&number.to_le_bytes());
        prefix[8..].copy_from_slice(&length.to_le_bytes());
        self.digest.update(&prefix);
        self.digest.update(message);
        number
    }

    /// The number the next message will have.
    pub const fn next_number(&self) -> u64 {
        self.first + self.count
    }

    /// The sum so far.
    pub fn truth(&self, session: SessionId) -> SessionTruth {
        SessionTruth {
            session: session.to_string(),
            first: self.first,
            count: self.count,
            digest: format!("{:016x}", self.digest.digest()),
        }
    }
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tally")
            .field("first", &self.first)
            .field("count", &self.count)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    #[test]
    fn the_digest_is_that_of_the_documented_bytes() {
        let mut tally = Tally::new(1_000_001);
        assert_eq!(tally.add(b"ab"), 1_000_001);
        assert_eq!(tally.add(b""), 1_000_002);
        let bytes = b"\x41\x42\x0F\0\0\0\0\0\x02\0ab\x42\x42\x0F\0\0\0\0\0\0\0";
        let truth = tally.truth(SessionId::numbered("S", 1).unwrap());
        assert_eq!(truth.digest, format!("{:016x}", xxh3_64(bytes)));
        assert_eq!((truth.first, truth.count), (1_000_001, 2));
        assert_eq!(
            serde_json::to_string(&truth).unwrap(),
            format!(
                r#"{{"session":"S000000001","first":1000001,"count":2,"digest":"{}"}}"#,
                truth.digest
            )
        );
    }

    #[test]
    fn swapping_two_messages_changes_the_digest() {
        let digest = |messages: [&[u8]; 2]| {
            let mut tally = Tally::new(1);
            for message in messages {
                tally.add(message);
            }
            tally.truth(SessionId::numbered("S", 1).unwrap()).digest
        };
        assert_ne!(digest([b"a", b"b"]), digest([b"b", b"a"]));
        assert_ne!(digest([b"ab", b""]), digest([b"a", b"b"]));
    }
}
