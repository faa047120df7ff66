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

use std::io;
use std::net::{SocketAddr, UdpSocket};

use serde::Serialize;

use crate::config::ExchangeConfig;
use crate::kept::Kept;
use crate::mold::{END_OF_SESSION, HEADER_LEN, Packer};
use crate::rng::Rng;

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
            packer: Packer::new(config.mold.max_payload),
            ignore_ppm,
            rng: Rng::new(config.seed, PURPOSE),
            counters: RequestCounters::default(),
        })
    }

    pub(crate) const fn counters(&self) -> RequestCounters {
        self.counters
    }

    /// Answers what has come, but for a bound, so that the lines do not wait.
    pub(crate) fn poll(&mut self, kept: &Kept) {
        let mut bytes = [0; HEADER_LEN + 1];
        for _ in 0..MOST_AT_ONCE {
            match self.socket.recv_from(&mut bytes) {
                Ok((length, from)) => self.answer(kept, &bytes[..length], from),
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return,
                // Whoever asked is gone: the next call is free of it.
                Err(_) => {}
            }
        }
    }

    fn answer(&mut self, kept: &Kept, bytes: &[u8], from: SocketAddr) {
        let Some((session, first, count)) = parse(bytes) else {
            self.counters.malformed += 1;
            return;
        };
        self.counters.requests += 1;
        if self.rng.chance_ppm(self.ignore_ppm) {
            self.counters.ignored += 1;
            return;
        }
        let current = kept.session().filter(|of| *of.as_bytes() == session);
        let packed = current.and_then(|session| kept.pack(session, first, count, &mut self.packer));
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
