//! How does SoupBinTCP look in bytes?
//!
//! ```text
//!  0 length u16, of what follows | 2 type | 3 payload
//!
//!  to the client                                          to the server
//!  A accepted: session [10] | next number [20]            L login: user [6] | password [10] | session [10] | number [20]
//!  J rejected: reason                                     R heartbeat
//!  S sequenced: a message    U unsequenced: a message     O logout
//!  H heartbeat   Z end of session   + debug: text
//! ```
//!
//! Big-endian; numbers are ASCII digits behind spaces, names stand behind spaces (session) or before them (user, password).
//! TCP cuts packets anywhere: [`Framer`] puts them together in a buffer of a fixed size, which no length can exceed. What a
//! message says, and which number it has, is not known here.
//!
//! Source: "SoupBinTCP 3.00", sections 1.1 (logical packets) and 2 (packet types).

use core::fmt;

use crate::source::moldudp64::Session;

/// Bytes of a length.
const LENGTH: usize = 2;
/// Longest packet, its length included.
pub const LONGEST_PACKET: usize = LENGTH + u16::MAX as usize;
/// Bytes that a framer holds: what one look at the socket brings, and a packet that has not come in full.
const BUFFER: usize = 2 * LONGEST_PACKET;

/// One packet of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Packet<'a> {
    /// Free text for people.
    Debug(&'a [u8]),
    /// The login was accepted.
    Accepted {
        /// The session that is given.
        session: Session,
        /// The number of the next message; 1 is the session's first.
        next: u64,
    },
    /// It was not.
    Rejected(Rejection),
    /// The next message.
    Sequenced(&'a [u8]),
    /// A message that has no number.
    Unsequenced(&'a [u8]),
    /// The server lives.
    Heartbeat,
    /// Nothing follows in this session.
    EndOfSession,
}

/// Why a login was rejected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rejection {
    /// `A`: wrong user or password.
    NotAuthorised,
    /// `S`: there is no such session.
    NoSession,
    /// A reason that the specification does not name.
    Other(u8),
}

impl<'a> Packet<'a> {
    /// Reads a packet without its length; it is not empty.
    fn read(packet: &'a [u8]) -> Result<Self, Malformed> {
        let (kind, payload) = packet.split_first().ok_or(Malformed::Empty)?;
        let of_length = |length: usize| match payload.len() == length {
            true => Ok(()),
            false => Err(Malformed::Size {
                kind: *kind,
                actual: payload.len(),
                must: length,
            }),
        };
        match kind {
            b'+' => Ok(Self::Debug(payload)),
            b'A' => {
                of_length(ACCEPTED)?;
                let (session, number) = payload.split_at(10);
                Ok(Self::Accepted {
                    session: session_of(session),
                    next: number_of(number).ok_or(Malformed::Number)?,
                })
            }
            b'J' => {
                of_length(1)?;
                Ok(Self::Rejected(match payload[0] {
                    b'A' => Rejection::NotAuthorised,
                    b'S' => Rejection::NoSession,
                    other => Rejection::Other(other),
                }))
            }
            b'S' => Ok(Self::Sequenced(payload)),
            b'U' => Ok(Self::Unsequenced(payload)),
            b'H' => of_length(0).map(|()| Self::Heartbeat),
            b'Z' => of_length(0).map(|()| Self::EndOfSession),
            other => Err(Malformed::Type(*other)),
        }
    }
}

/// Who logs in, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// At most 6 bytes.
    pub user: &'a str,
    /// At most 10 bytes.
    pub password: &'a str,
    /// Which session; `None`: the one that is on.
    pub session: Option<Session>,
    /// From which number on; 0: from what is generated next.
    pub first: u64,
}

/// Length of a login, bytes.
pub const LOGIN_LENGTH: usize = LENGTH + 1 + 46;

/// A login as it goes out. What is too long is cut: the configuration has refused it.
#[must_use]
pub fn login(login: &Login<'_>) -> [u8; LOGIN_LENGTH] {
    let mut bytes = [b' '; LOGIN_LENGTH];
    bytes[..3].copy_from_slice(&[0, 47, b'L']);
    left(&mut bytes[3..9], login.user.as_bytes());
    left(&mut bytes[9..19], login.password.as_bytes());
    let session = login.session.map_or([b' '; 10], |session| session.0);
    right(&mut bytes[19..29], session.trim_ascii());
    let mut number = [b' '; 20];
    let mut rest = login.first;
    for digit in number.iter_mut().rev() {
        // A digit, as it is below ten.
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    bytes[29..].copy_from_slice(&number);
    bytes
}

/// The client lives; to be sent once a second when nothing else is.
pub const HEARTBEAT: [u8; 3] = [0, 1, b'R'];
/// The client goes.
pub const LOGOUT: [u8; 3] = [0, 1, b'O'];

/// Payload of an accepted login, bytes.
const ACCEPTED: usize = 30;

fn left(field: &mut [u8], text: &[u8]) {
    field
        .iter_mut()
        .zip(text)
        .for_each(|(to, from)| *to = *from);
}

fn right(field: &mut [u8], text: &[u8]) {
    let from = field.len().saturating_sub(text.len());
    left(&mut field[from..], text);
}

/// A session's name as MoldUDP64 has it: spaces behind it.
fn session_of(padded: &[u8]) -> Session {
    let mut session = [b' '; 10];
    left(&mut session, padded.trim_ascii());
    Session(session)
}

pub(super) fn number_of(padded: &[u8]) -> Option<u64> {
    let digits = padded.trim_ascii_start();
    let digit = |byte: &u8| byte.is_ascii_digit();
    if digits.is_empty() || !digits.iter().all(digit) {
        return None;
    }
    let add = |sum: u64, byte: &u8| sum.checked_mul(10)?.checked_add(u64::from(byte - b'0'));
    digits.iter().try_fold(0, add)
}

/// What a server has sent, put together again.
///
/// Read from the socket into [`Framer::room`], say with [`Framer::filled`] how much came, and take what is whole with
/// [`Framer::next`] until there is nothing.
#[derive(Debug)]
pub struct Framer {
    buffer: Box<[u8]>,
    from: usize,
    to: usize,
}

impl Framer {
    /// An empty one; all that it will ever hold is allocated here.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            from: 0,
            to: 0,
        }
    }

    /// Forgets what came.
    pub const fn clear(&mut self) {
        (self.from, self.to) = (0, 0);
    }

    /// Where the next bytes go: never empty once [`Framer::next`] has said that there is nothing whole.
    pub fn room(&mut self) -> &mut [u8] {
        if self.from > 0 {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        &mut self.buffer[self.to..]
    }

    /// So many bytes came.
    pub fn filled(&mut self, bytes: usize) {
        self.to = (self.to + bytes).min(self.buffer.len());
    }

    /// The next packet that is whole; `None`: none is.
    ///
    /// # Errors
    /// [`Malformed`]: the connection is of no use any more, for nothing says where the next packet begins.
    #[allow(clippy::should_implement_trait, reason = "what comes out is borrowed")]
    pub fn next(&mut self) -> Result<Option<Packet<'_>>, Malformed> {
        let bytes = &self.buffer[self.from..self.to];
        let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 {
            return Err(Malformed::Empty);
        }
        let Some(packet) = rest.get(..length) else {
            return Ok(None);
        };
        self.from += LENGTH + length;
        Packet::read(packet).map(Some)
    }
}

impl Default for Framer {
    fn default() -> Self {
        Self::new()
    }
}

/// Why bytes are no SoupBinTCP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    /// A packet without a type.
    Empty,
    /// A type that no server sends.
    Type(u8),
    /// A packet of a known type with a payload of another length.
    Size {
        /// Its type.
        kind: u8,
        /// Bytes of payload at hand.
        actual: usize,
        /// Bytes of payload that it has.
        must: usize,
    },
    /// A number that is none, or beyond 2^64.
    Number,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a packet of length 0 has no type"),
            Self::Type(kind) => write!(
                f,
                "`{}` is no packet of a SoupBinTCP server: does another protocol listen there?",
                kind.escape_ascii()
            ),
            Self::Size { kind, actual, must } => write!(
                f,
                "packet `{}` with {actual} bytes of payload instead of {must}",
                kind.escape_ascii()
            ),
            Self::Number => f.write_str("the next number of an accepted login is no number"),
        }
    }
}

impl core::error::Error for Malformed {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(bytes: &[u8]) -> Framer {
        let mut framer = Framer::new();
        framer.room()[..bytes.len()].copy_from_slice(bytes);
        framer.filled(bytes.len());
        framer
    }

    #[test]
    fn a_login_byte_by_byte() {
        let of = Login {
            user: "TWIN",
            password: "secret",
            session: Some(Session(*b"S00000001 ")),
            first: 1_203,
        };
        let text = b"\0\x2fLTWIN  secret     S00000001                1203";
        assert_eq!(login(&of), *text);
        let now = Login {
            session: None,
            first: 0,
            ..of
        };
        assert_eq!(&login(&now)[19..], b"                             0");
        let last = Login {
            first: u64::MAX,
            ..of
        };
        assert_eq!(&login(&last)[29..], b"18446744073709551615");
    }

    #[test]
    fn every_packet_of_a_server_by_hand() {
        let table: [(&[u8], Packet<'_>); 8] = [
            (b"\0\x03+hi", Packet::Debug(b"hi")),
            (
                b"\0\x1fA S00000001                1203",
                Packet::Accepted {
                    session: Session(*b"S00000001 "),
                    next: 1_203,
                },
            ),
            (b"\0\x02JA", Packet::Rejected(Rejection::NotAuthorised)),
            (b"\0\x02JS", Packet::Rejected(Rejection::NoSession)),
            (b"\0\x04SABC", Packet::Sequenced(b"ABC")),
            (b"\0\x01S", Packet::Sequenced(b"")),
            (b"\0\x01H", Packet::Heartbeat),
            (b"\0\x01Z", Packet::EndOfSession),
        ];
        let all: Vec<u8> = table
            .iter()
            .flat_map(|(bytes, _)| *bytes)
            .copied()
            .collect();
        let mut framer = framed(&all);
        for (_, packet) in table {
            assert_eq!(framer.next().unwrap(), Some(packet));
        }
        assert_eq!(framer.next(), Ok(None));
    }

    #[test]
    fn what_is_no_packet_says_why() {
        let error = |bytes: &[u8]| framed(bytes).next().unwrap_err();
        assert_eq!(error(b"\0\0"), Malformed::Empty);
        assert_eq!(error(b"\0\x01L"), Malformed::Type(b'L'));
        let (kind, actual, must) = (b'H', 1, 0);
        assert_eq!(error(b"\0\x02H "), Malformed::Size { kind, actual, must });
        let (kind, actual, must) = (b'A', 29, 30);
        let short = b"\0\x1eAS000000001                  1";
        assert_eq!(error(short), Malformed::Size { kind, actual, must });
        for number in [
            "                    ",
            "                 1 2",
            "18446744073709551616",
        ] {
            let text = format!("\0\x1fAS000000001{number}");
            assert_eq!(error(text.as_bytes()), Malformed::Number, "{number:?}");
        }
    }

    #[test]
    fn the_longest_packet_finds_room_behind_what_was_not_taken() {
        let mut bytes = u16::MAX.to_be_bytes().to_vec();
        bytes.push(b'S');
        bytes.resize(LONGEST_PACKET, 7);
        let mut framer = framed(b"\0\x01H");
        assert_eq!(framer.next(), Ok(Some(Packet::Heartbeat)));
        for piece in bytes.chunks(1_000) {
            assert_eq!(framer.next(), Ok(None));
            framer.room()[..piece.len()].copy_from_slice(piece);
            framer.filled(piece.len());
        }
        let whole = Packet::Sequenced(&bytes[3..]);
        assert_eq!(framer.next(), Ok(Some(whole)));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
            cuts in prop::collection::vec(1_usize..30, 1..40),
        ) {
            let mut bytes = Vec::new();
            for message in &messages {
                bytes.extend((message.len() as u16 + 1).to_be_bytes());
                bytes.push(b'S');
                bytes.extend(message);
            }
            let (mut framer, mut read, mut rest) = (Framer::new(), Vec::new(), &bytes[..]);
            for cut in cuts.iter().cycle() {
                let (piece, behind) = rest.split_at((*cut).min(rest.len()));
                framer.room()[..piece.len()].copy_from_slice(piece);
                framer.filled(piece.len());
                while let Some(packet) = framer.next().unwrap() {
                    let Packet::Sequenced(message) = packet else { panic!("{packet:?}") };
                    read.push(message.to_vec());
                }
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(read, messages);
        }
    }
}
