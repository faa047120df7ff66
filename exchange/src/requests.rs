//! Who is given messages again?
//!
//! ```text
//!  exchange ─ message ─► Kept, oldest first ─┐
//!  request (session, first, count) ──────────┴─► one packet, to whoever asked
//! ```
//!
//! A MoldUDP64 request server: a request names a session, a first number and a count ("MoldUDP64 Protocol Specification
//! V 1.00", request packet), and is answered by one ordinary packet with as many of these messages as fit. What is not kept
//! any more, and a request that is none, gets no answer.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};

use serde::Serialize;

use crate::config::ExchangeConfig;
use crate::mold::{END_OF_SESSION, HEADER_LEN, Packer};
use crate::rng::Rng;
use crate::session::SessionId;

/// What a request server has done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct RequestCounters {
    /// Requests that came.
    pub requests: u64,
    /// Requests that were answered.
    pub answered: u64,
    /// Messages given again.
    pub messages: u64,
    /// Requests for what is not kept.
    pub not_kept: u64,
    /// Requests left unanswered on purpose.
    pub ignored: u64,
    /// Datagrams that are no request.
    pub malformed: u64,
}

/// A session's latest messages.
#[derive(Clone, Debug)]
pub struct Kept {
    most: usize,
    session: Option<SessionId>,
    /// Number of the oldest one.
    first: u64,
    bytes: VecDeque<u8>,
    /// Bytes that were forgotten.
    gone: u64,
    /// Bytes up to the end of each message, those that were forgotten counted.
    ends: VecDeque<u64>,
}

impl Kept {
    /// Keeps `most` messages.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            session: None,
            first: 1,
            bytes: VecDeque::new(),
            gone: 0,
            ends: VecDeque::new(),
        }
    }

    /// Keeps a message; one of another session takes the place of all.
    pub fn keep(&mut self, session: SessionId, number: u64, message: &[u8]) {
        let next = self.first + self.ends.len() as u64;
        if self.session != Some(session) || number != next {
            (self.session, self.first) = (Some(session), number);
            self.bytes.clear();
            self.ends.clear();
            self.gone = 0;
        }
        if self.ends.len() == self.most
            && let Some(end) = self.ends.pop_front()
        {
            self.bytes.drain(..self.place(end));
            (self.gone, self.first) = (end, self.first + 1);
        }
        self.bytes.extend(message);
        self.ends.push_back(self.gone + self.bytes.len() as u64);
    }

    /// Where among the kept bytes so many lie in front.
    const fn place(&self, end: u64) -> usize {
        (end - self.gone) as usize
    }

    /// Packs `count` messages from `first` on, or as many as are kept and fit; `None` when that is none.
    pub fn pack<'p>(
        &self,
        session: SessionId,
        first: u64,
        count: u16,
        packer: &'p mut Packer,
    ) -> Option<(&'p [u8], u16)> {
        let skipped = usize::try_from(first.checked_sub(self.first)?).ok()?;
        if self.session != Some(session) || skipped >= self.ends.len() {
            return None;
        }
        let mut at = match skipped {
            0 => 0,
            _ => self.place(self.ends[skipped - 1]),
        };
        packer.begin(session, first);
        let mut message = Vec::new();
        for end in self.ends.range(skipped..).take(usize::from(count)) {
            let end = self.place(*end);
            message.clear();
            message.extend(self.bytes.range(at..end));
            if !packer.push(&message) {
                break;
            }
            at = end;
        }
        let count = packer.count();
        (count > 0).then(|| (packer.finish(), count))
    }
}

/// Takes a request apart; `None` for what is none.
pub fn parse(bytes: &[u8]) -> Option<([u8; 10], u64, u16)> {
    let bytes: &[u8; HEADER_LEN] = bytes.try_into().ok()?;
    let (session, rest) = bytes.split_first_chunk::<10>()?;
    let (first, count) = rest.split_first_chunk::<8>()?;
    let count = u16::from_be_bytes(count.try_into().ok()?);
    (count > 0 && count != END_OF_SESSION).then(|| (*session, u64::from_be_bytes(*first), count))
}

/// The request server of a running exchange.
#[derive(Debug)]
pub(crate) struct RequestServer {
    socket: UdpSocket,
    kept: Kept,
    packer: Packer,
    ignore_ppm: u32,
    rng: Rng,
    counters: RequestCounters,
}

impl RequestServer {
    /// Opens the socket; of `ignore_ppm` requests in a million nothing becomes.
    pub(crate) fn open(
        address: SocketAddr,
        ignore_ppm: u32,
        config: &ExchangeConfig,
    ) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            kept: Kept::new(config.requests.messages),
            packer: Packer::new(config.mold.max_payload),
            ignore_ppm,
            rng: Rng::new(config.seed, PURPOSE),
            counters: RequestCounters::default(),
        })
    }

    pub(crate) fn keep(&mut self, session: SessionId, number: u64, message: &[u8]) {
        self.kept.keep(session, number, message);
    }

    pub(crate) const fn counters(&self) -> RequestCounters {
        self.counters
    }

    /// Answers what has come, but for a bound, so that the lines do not wait.
    pub(crate) fn poll(&mut self) {
        let mut bytes = [0; HEADER_LEN + 1];
        for _ in 0..MOST_AT_ONCE {
            match self.socket.recv_from(&mut bytes) {
                Ok((length, from)) => self.answer(&bytes[..length], from),
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return,
                // Whoever asked is gone: the next call is free of it.
                Err(_) => {}
            }
        }
    }

    fn answer(&mut self, bytes: &[u8], from: SocketAddr) {
        let Some((session, first, count)) = parse(bytes) else {
            self.counters.malformed += 1;
            return;
        };
        self.counters.requests += 1;
        if self.rng.chance_ppm(self.ignore_ppm) {
            self.counters.ignored += 1;
            return;
        }
        let current = self.kept.session.filter(|of| *of.as_bytes() == session);
        let packed =
            current.and_then(|session| self.kept.pack(session, first, count, &mut self.packer));
        let Some((packet, messages)) = packed else {
            self.counters.not_kept += 1;
            return;
        };
        if self.socket.send_to(packet, from).is_ok() {
            self.counters.answered += 1;
            self.counters.messages += u64::from(messages);
        }
    }
}

/// Most requests answered between two looks at what is due.
const MOST_AT_ONCE: usize = 64;
/// Sets the draws apart from those of content and lines.
const PURPOSE: u64 = 0x7265_7175_6573_7473;

#[cfg(test)]
mod tests {
    use super::*;

    fn session(number: u64) -> SessionId {
        SessionId::numbered("S", number).unwrap()
    }

    fn numbers(packet: &[u8]) -> Vec<u8> {
        // Every message is one byte: its number.
        packet[HEADER_LEN..]
            .chunks(3)
            .map(|block| block[2])
            .collect()
    }

    #[test]
    fn the_latest_messages_of_the_session_are_given_again() {
        let (mut kept, mut packer) = (Kept::new(4), Packer::new(1_400));
        for number in 1..=6_u8 {
            kept.keep(session(1), u64::from(number), &[number]);
        }
        let mut given = |of, first, count| {
            let packed = kept.pack(session(of), first, count, &mut packer);
            packed.map(|(packet, count)| (numbers(packet), count))
        };
        assert_eq!(given(1, 3, 2), Some((vec![3, 4], 2)));
        assert_eq!(given(1, 5, 9), Some((vec![5, 6], 2)));
        assert_eq!(given(1, 2, 4), None, "2 is forgotten");
        assert_eq!(given(1, 7, 1), None, "not sent yet");
        assert_eq!(given(2, 3, 1), None, "another session");
    }

    #[test]
    fn an_answer_is_one_packet() {
        let (mut kept, mut packer) = (Kept::new(100), Packer::new(crate::mold::MIN_PAYLOAD));
        for number in 1..=60_u8 {
            kept.keep(session(1), u64::from(number), &[number]);
        }
        let (packet, count) = kept.pack(session(1), 1, 60, &mut packer).unwrap();
        assert_eq!((packet.len(), count), (HEADER_LEN + 36 * 3, 36));
    }

    #[test]
    fn another_session_takes_the_place() {
        let (mut kept, mut packer) = (Kept::new(4), Packer::new(1_400));
        kept.keep(session(1), 1, b"a");
        kept.keep(session(2), 1, b"b");
        assert!(kept.pack(session(1), 1, 1, &mut packer).is_none());
        assert!(kept.pack(session(2), 1, 1, &mut packer).is_some());
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let mut request = *b"S000000001\0\0\0\0\0\0\0\x07\0\x02";
        assert_eq!(parse(&request), Some((*b"S000000001", 7, 2)));
        assert_eq!(parse(&request[1..]), None);
        request[19] = 0;
        assert_eq!(parse(&request), None, "for nothing");
        request[18..].fill(0xFF);
        assert_eq!(parse(&request), None, "65535 ends a session");
    }
}
