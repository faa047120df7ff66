//! If it is not TotalView-ITCH 5.0, what is it?
//!
//! Many venues speak a protocol called ITCH, and their messages share letters but not lengths. A
//! byte stream of another dialect must be refused by name, never misread. The one evidence is the
//! pair of type and length; no pair of another dialect in this table is also a pair of
//! TotalView-ITCH 5.0, so that a match is a proof of strangeness. Two foreign dialects may share a
//! pair: then both are named.
//!
//! Nothing here decodes a foreign message, and nothing here decides when a refusal is due: a
//! session that has proven its dialect may still carry a type that Nasdaq added yesterday
//! (`convert` decides).

use core::fmt;

use super::message::{MESSAGES, length_of};

/// A protocol of the ITCH family that this decoder does not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Dialect {
    /// What the venue calls it.
    pub name: &'static str,
    /// Type and length, bytes, of messages that identify it.
    pub messages: &'static [(u8, usize)],
}

/// The dialects that can be named.
///
/// Sources: captures of the ASX 24 New Trading Platform, version 1.05; Nasdaq TotalView-ITCH 4.1,
/// whose messages carry neither locate nor tracking number, and 4 bytes of time.
pub const DIALECTS: &[Dialect] = &[
    Dialect {
        name: "ASX ITCH (NTP)",
        messages: &[
            (b'A', 40),
            (b'C', 53),
            (b'D', 20),
            (b'E', 56),
            (b'M', 222),
            (b'O', 12),
            (b'P', 46),
            (b'T', 5),
            (b'W', 59),
            (b'X', 24),
            (b'Z', 43),
            (b'e', 66),
            (b'f', 180),
            (b'h', 220),
            (b'j', 40),
            (b'k', 20),
            (b'l', 40),
            (b'p', 80),
            (b't', 55),
            (b'x', 113),
        ],
    },
    Dialect {
        name: "Nasdaq TotalView-ITCH 4.1",
        messages: &[
            (b'A', 30),
            (b'B', 13),
            (b'C', 30),
            (b'D', 13),
            (b'E', 25),
            (b'F', 34),
            (b'H', 19),
            (b'I', 44),
            (b'L', 20),
            (b'N', 14),
            (b'P', 38),
            (b'Q', 34),
            (b'R', 20),
            (b'S', 6),
            (b'T', 5),
            (b'U', 29),
            (b'X', 17),
            (b'Y', 14),
        ],
    },
];

/// A message that belongs to another dialect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Foreign {
    /// The letter that tells the message.
    pub message_type: u8,
    /// Its length, bytes.
    pub actual: usize,
    /// The length that TotalView-ITCH 5.0 gives this type, if it has the type.
    pub expected: Option<usize>,
}

impl Foreign {
    /// Recognises a message of a known foreign dialect; `None` for everything else, TotalView-ITCH
    /// 5.0 included.
    #[must_use]
    pub fn recognise(bytes: &[u8]) -> Option<Self> {
        let &message_type = bytes.first()?;
        let foreign = Self {
            message_type,
            actual: bytes.len(),
            expected: length_of(message_type),
        };
        foreign.dialects().next().is_some().then_some(foreign)
    }

    /// The dialects that have such a message.
    pub fn dialects(&self) -> impl Iterator<Item = &'static Dialect> + use<> {
        let pair = (self.message_type, self.actual);
        DIALECTS
            .iter()
            .filter(move |dialect| dialect.messages.contains(&pair))
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is ")?;
        for (index, dialect) in self.dialects().enumerate() {
            if index > 0 {
                f.write_str(" or ")?;
            }
            f.write_str(dialect.name)?;
        }
        let letter = self.message_type.escape_ascii();
        write!(
            f,
            ", not TotalView-ITCH 5.0: message type '{letter}' has {} bytes, ",
            self.actual
        )?;
        match self.expected {
            Some(expected) => write!(f, "TotalView-ITCH 5.0 has {expected}")?,
            None => f.write_str("TotalView-ITCH 5.0 has no such type")?,
        }
        f.write_str("; give the source the format of its venue, or another source")
    }
}

impl core::error::Error for Foreign {}

/// The table says nothing about TotalView-ITCH 5.0 itself: no pair is in both.
const _: () = {
    let mut dialect = 0;
    while dialect < DIALECTS.len() {
        let mut foreign = 0;
        while foreign < DIALECTS[dialect].messages.len() {
            let (letter, length) = DIALECTS[dialect].messages[foreign];
            let mut own = 0;
            while own < MESSAGES.len() {
                assert!(MESSAGES[own].0 != letter || MESSAGES[own].1 != length);
                own += 1;
            }
            foreign += 1;
        }
        dialect += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    fn message(letter: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[0] = letter;
        bytes
    }

    #[test]
    fn the_refusal_names_dialect_type_lengths_and_remedy() {
        let foreign = Foreign::recognise(&message(b'A', 40)).unwrap();
        assert_eq!(
            foreign.to_string(),
            "this is ASX ITCH (NTP), not TotalView-ITCH 5.0: message type 'A' has 40 bytes, \
             TotalView-ITCH 5.0 has 36; give the source the format of its venue, or another source"
        );
        let foreign = Foreign::recognise(&message(b'Z', 43)).unwrap();
        assert!(
            foreign
                .to_string()
                .contains("TotalView-ITCH 5.0 has no such type")
        );
    }

    #[test]
    fn a_pair_of_two_dialects_names_both() {
        let text = Foreign::recognise(&message(b'T', 5)).unwrap().to_string();
        assert!(
            text.starts_with("this is ASX ITCH (NTP) or Nasdaq TotalView-ITCH 4.1,"),
            "{text}"
        );
    }

    #[test]
    fn own_and_unknown_messages_are_not_foreign() {
        for &(letter, length, _) in MESSAGES {
            assert_eq!(Foreign::recognise(&message(letter, length)), None);
        }
        assert_eq!(Foreign::recognise(&message(b'A', 37)), None);
        assert_eq!(Foreign::recognise(&message(b'!', 40)), None);
        assert_eq!(Foreign::recognise(&[]), None);
    }
}
