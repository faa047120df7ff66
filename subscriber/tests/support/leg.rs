//! One leg made by hand: every datagram is written as the test says.

use std::net::{SocketAddr, UdpSocket};

use twinfeed_net::ring::RingWriter;
use twinfeed_subscriber::wire::{
    Adm, Beat, BodyKind, ContextId, Dsn, Epoch, Flags, Generation, Header, Incarnation, Msn,
    Record, RecordFlags, Sid, StreamId, Writer, write_heartbeat,
};

/// An adapter's output of source stream 1, from a socket of its own.
#[derive(Debug)]
pub struct LegDouble {
    socket: UdpSocket,
    to: SocketAddr,
    header: Header,
    dsn: u64,
    msn: u64,
    /// Written, but lost on the wire when set.
    pub cut: bool,
    /// What is sent stands there first, lost on the wire or not.
    pub ring: Option<RingWriter>,
}

impl LegDouble {
    /// Leg `index`, whose stream is `10 + index`, sending to `to`.
    pub fn new(index: u32, to: SocketAddr) -> Self {
        Self::from_address("127.0.0.1:0", index, to)
    }

    pub fn from_address(from: &str, index: u32, to: SocketAddr) -> Self {
        Self {
            socket: UdpSocket::bind(from).unwrap(),
            to,
            header: Header {
                stream: StreamId(10 + index),
                generation: Generation(1),
                incarnation: Incarnation(100 + u64::from(index)),
                sid: Sid(1),
                epoch: Epoch(77),
                context: ContextId(99),
                first: 1,
                received_at: 1_000_000,
                ..Header::default()
            },
            dsn: 0,
            msn: 1,
            cut: false,
            ring: None,
        }
    }

    /// The same leg under the number that stream-admin gave its stream.
    pub fn with_stream(mut self, stream: u32) -> Self {
        self.header.stream = StreamId(stream);
        self
    }

    /// Another life of the same adapter, whose numbers begin anew.
    pub fn live_again(&mut self, incarnation: u64) {
        self.header.incarnation = Incarnation(incarnation);
    }

    /// The same leg of another source stream.
    pub fn of_source(mut self, sid: u32) -> Self {
        self.header.sid = Sid(sid);
        self
    }

    /// Where it is sent to.
    pub fn to(&self) -> SocketAddr {
        self.to
    }

    /// One datagram with one opaque record per number; each directly follows the number below it.
    pub fn send(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.send_bodies(numbers, 8);
    }

    /// The same with bodies of this many bytes, which begin with their number.
    pub fn send_bodies(&mut self, numbers: impl IntoIterator<Item = u64>, length: usize) {
        self.send_with(numbers, BodyKind::Opaque, |sseq| {
            let mut body = vec![0; length];
            body[..8].copy_from_slice(&sseq.to_le_bytes());
            body
        });
    }

    /// The same with bodies of a kind, as the test makes them.
    pub fn send_with(
        &mut self,
        numbers: impl IntoIterator<Item = u64>,
        kind: BodyKind,
        body: impl Fn(u64) -> Vec<u8>,
    ) {
        let mut numbers = numbers.into_iter().peekable();
        let Some(&first) = numbers.peek() else { return };
        let mut buffer = [0; 9_216];
        let header = Header {
            base_sseq: first,
            first_msn: Msn(self.msn),
            ..self.header
        };
        let mut writer = Writer::begin(&mut buffer, header);
        for sseq in numbers {
            let body = body(sseq);
            let record = Record {
                kind,
                flags: RecordFlags::LAST,
                part: 0,
                sseq,
                prev: sseq - 1,
                adm: Adm(0),
                body: &body,
            };
            writer.push(&record).unwrap();
            self.msn += 1;
        }
        self.dsn += 1;
        let length = writer.finish(Dsn(self.dsn), Flags::default(), 1_000_001);
        self.transmit(&buffer[..length]);
    }

    /// A heartbeat: everything below `next` was sent.
    pub fn beat(&mut self, next: u64) {
        self.beat_with(next, Flags::default(), 10_000);
    }

    /// The same with flags and a stated interval, µs.
    pub fn beat_with(&mut self, next: u64, flags: Flags, interval_us: u32) {
        self.dsn += 1;
        let header = Header {
            flags,
            dsn: Dsn(self.dsn),
            first_msn: Msn(self.msn),
            base_sseq: next,
            sent_at: 1_000_001,
            received_at: 0,
            ..self.header
        };
        let beat = Beat {
            next_sseq: next,
            prev: next - 1,
            interval_us,
            ..Beat::default()
        };
        let mut buffer = [0; 1_472];
        let length = write_heartbeat(&mut buffer, &header, &beat, &[]);
        self.transmit(&buffer[..length]);
    }

    /// The four heartbeats with which an epoch begins at number 1, at an interval so long that silence is
    /// nobody's loss.
    pub fn begin(&mut self) {
        for _ in 0..4 {
            self.beat_with(1, Flags::default(), 60_000_000);
        }
    }

    /// Bytes as they are.
    pub fn transmit(&mut self, bytes: &[u8]) {
        if let Some(ring) = &mut self.ring {
            ring.push(bytes).unwrap();
        }
        if !self.cut {
            assert_eq!(self.socket.send_to(bytes, self.to).unwrap(), bytes.len());
        }
    }
}
