//! What do a source's request servers give of what no line brought?
//!
//! ```text
//!  Lines::poll_request ─► request ─► request server of a line
//!  Lines::on_answer    ◄─ packet  ◄──┘
//! ```
//!
//! One socket of its own, read only while something is asked for. A packet of anybody else is counted and dropped. What
//! an answer may bring is the business of `Lines`.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd};

use twinfeed_protocol::line::{Line, LineAsk, Lines, Way};
use twinfeed_protocol::sequencer::{Now, Transmit};

use super::live::{Epochs, SLOT};
use super::moldudp64::{Kind, Packet, request};
use crate::converter::At;

/// What was counted of requests. All numbers only grow.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RequestCounters {
    /// Requests that left.
    pub sent: u64,
    /// Requests that did not: the kernel refused them, or their session is not known any more.
    pub failed: u64,
    /// Packets of others than the request servers.
    pub foreign: u64,
    /// Packets of the request servers that are no MoldUDP64.
    pub malformed: u64,
    /// Packets that came when nothing was asked for, or for what was asked before.
    pub late: u64,
}

/// The request servers of one live source.
#[derive(Debug)]
pub(super) struct Requests {
    socket: UdpSocket,
    servers: [Option<SocketAddr>; 2],
    buffer: Box<[u8]>,
    /// How many repairs the lines had opened when something was last asked for.
    opened: u64,
    counters: RequestCounters,
}

impl Requests {
    /// Opens the socket; `None` where no line has a request server.
    pub(super) fn open(servers: [Option<SocketAddr>; 2]) -> io::Result<Option<Self>> {
        let Some(server) = servers.iter().flatten().next() else {
            return Ok(None);
        };
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_nonblocking(true)?;
        Ok(Some(Self {
            socket,
            servers,
            buffer: vec![0; SLOT].into_boxed_slice(),
            opened: 0,
            counters: RequestCounters::default(),
        }))
    }

    /// Tells `lines` whom it can ask.
    pub(super) fn introduce(&self, lines: &mut Lines) {
        for line in Line::BOTH {
            lines.set_server(Way::Packets, line, self.servers[line.index()].is_some());
        }
    }

    /// Sends what `lines` asks for. What does not leave is as good as lost on its way, and asked for again. `opened`: how
    /// many repairs they have opened; what waits of an earlier one may be of another numbering.
    pub(super) fn ask(&mut self, ask: &LineAsk, opened: u64, epochs: &Epochs) {
        if opened != self.opened {
            self.opened = opened;
            self.drop_what_waits();
        }
        let server = self.servers[ask.line.index()];
        let left = server
            .zip(epochs.session_of(ask.epoch))
            .is_some_and(|(server, session)| {
                let bytes = request(session, ask.first, ask.count);
                self.socket.send_to(&bytes, server).is_ok()
            });
        match left {
            true => self.counters.sent += 1,
            false => self.counters.failed += 1,
        }
    }

    fn drop_what_waits(&mut self) {
        for _ in 0..MOST_DROPPED {
            match self.socket.recv_from(&mut self.buffer) {
                Ok(_) => self.counters.late += 1,
                Err(fault) if fault.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
        }
    }

    /// Takes in what has been answered and says how many packets there were.
    pub(super) fn poll<T: Transmit>(
        &mut self,
        now: Now,
        lines: &mut Lines,
        epochs: &Epochs,
        out: &mut At<'_, T>,
    ) -> usize {
        for packets in 0..MOST_AT_ONCE {
            let (length, sender) = match self.socket.recv_from(&mut self.buffer) {
                Ok(received) => received,
                // A server that is not there is reported at the socket; the next call is free.
                Err(fault) if fault.kind() == ErrorKind::ConnectionRefused => continue,
                Err(_) => return packets,
            };
            let line = Line::BOTH
                .into_iter()
                .find(|line| self.servers[line.index()] == Some(sender));
            let Some(line) = line else {
                self.counters.foreign += 1;
                continue;
            };
            let Ok(packet) = Packet::parse(&self.buffer[..length]) else {
                self.counters.malformed += 1;
                continue;
            };
            // A heartbeat or an end of session is no life of a line, and brings nothing.
            let messages = packet.messages().map(|(_, message)| message);
            let messages = messages.filter(|_| packet.kind() == Kind::Messages);
            let epoch = epochs.look_up(packet.session());
            let first = packet.sequence();
            let server = (Way::Packets, line);
            lines.on_answer(server, now.time, epoch, first, messages, now.unix_ns, out);
        }
        MOST_AT_ONCE
    }

    /// What was counted.
    pub(super) const fn counters(&self) -> &RequestCounters {
        &self.counters
    }

    /// The socket, to sleep on.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Most packets dropped at once: the rest is taken in, and is of no use.
const MOST_DROPPED: usize = 1_024;
/// Most packets taken in at once: the lines must not wait for a server.
const MOST_AT_ONCE: usize = 16;

#[cfg(test)]
mod tests {
    use twinfeed_wire::Epoch;

    use super::*;
    use crate::source::moldudp64::Session;

    #[test]
    fn what_waits_of_an_earlier_repair_is_dropped_before_something_else_is_asked_for() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let servers = [Some(server.local_addr().unwrap()), None];
        let mut requests = Requests::open(servers).unwrap().unwrap();
        let port = requests.socket.local_addr().unwrap().port();
        let session = Session(*b"S000000001");
        let mut epochs = Epochs::new("2019-12-30".parse().unwrap());
        let ask = LineAsk {
            way: Way::Packets,
            line: Line::A,
            epoch: epochs.of(session),
            first: 7,
            count: 2,
        };
        let counted = |requests: &Requests| {
            let counters = requests.counters();
            (counters.sent, counters.late, counters.failed)
        };
        let old = |server: &UdpSocket| server.send_to(&[1; 20], (Ipv4Addr::LOCALHOST, port));
        old(&server).unwrap();
        requests.ask(&ask, 1, &epochs);
        assert_eq!(counted(&requests), (1, 1, 0));
        let mut bytes = [0; 32];
        let (length, _) = server.recv_from(&mut bytes).unwrap();
        assert_eq!(bytes[..length], *b"S000000001\0\0\0\0\0\0\0\x07\0\x02");
        // Of the same repair what is late is of use.
        old(&server).unwrap();
        requests.ask(&ask, 1, &epochs);
        assert_eq!(counted(&requests), (2, 1, 0));
        requests.ask(&ask, 2, &epochs);
        assert_eq!(counted(&requests), (3, 2, 0));
        let gone = LineAsk {
            epoch: Epoch(1),
            ..ask
        };
        requests.ask(&gone, 2, &epochs);
        assert_eq!(counted(&requests), (3, 2, 1), "its session is not known");
        // The other line has no server.
        let other = LineAsk {
            line: Line::B,
            ..ask
        };
        requests.ask(&other, 2, &epochs);
        assert_eq!(counted(&requests), (3, 2, 2));
    }
}
