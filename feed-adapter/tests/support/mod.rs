//! An exchange, a subscriber and an adapter's data path in one thread.
//!
//! The packets are written here by hand, so that the decoder is not tested with its own encoder.
#![allow(dead_code, reason = "every test uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "only tests use this")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam::channel::Receiver;
use twinfeed_feed_adapter::Role;
use twinfeed_feed_adapter::config::{Config, Overrides};
use twinfeed_feed_adapter::link::voice::{Next, Spoken, voice};
use twinfeed_feed_adapter::mailbox::{
    Command, DestinationPlan, DestinationRow, Grant, Mailbox, mailbox,
};
use twinfeed_feed_adapter::note::Notes;
use twinfeed_feed_adapter::pairing::{MOST_WISHES, Wish};
use twinfeed_feed_adapter::pipeline::{Ends, Pipeline};
use twinfeed_feed_adapter::publish::{Exit, open_sender};
use twinfeed_feed_adapter::snapshot::{Board, Snapshots};
use twinfeed_feed_adapter::tap::tap;
use twinfeed_feed_adapter::transfer::workshop::{Errand, MOST_ERRANDS};
use twinfeed_protocol::Time;
use twinfeed_protocol::line::Line;
use twinfeed_wire::link::Frame;
use twinfeed_wire::{ContextId, Datagram, Generation, Incarnation, Pos, Sid, StreamId};

pub(crate) mod flow;

pub(crate) const SID: Sid = Sid(1);

/// One adapter's data path, driven cycle by cycle.
pub(crate) struct Rig {
    pub(crate) pipeline: Pipeline,
    pub(crate) mailbox: Mailbox,
    pub(crate) notes: Notes,
    pub(crate) board: Board,
    pub(crate) subscriber: UdpSocket,
    lines: [SocketAddr; 2],
    /// What the adapter says to its peer.
    pub(crate) spoken: Spoken,
    /// What it asks of its control thread.
    pub(crate) wished: Receiver<Wish>,
    /// What it asks of its workshop.
    pub(crate) errands: Receiver<Errand>,
}

/// As a backup whose lease never ends.
pub(crate) const GRANT: Grant = Grant {
    generation: Generation(3),
    active: false,
    authority: Time::NEVER,
};

pub(crate) fn config(role: Role, extra: &str) -> Config {
    let text = format!(
        r#"
feed = "f"
format = "itch50"
trading_day = "2019-12-30"
publisher_id = 2
max_open_orders = 1000
[[source]]
sid = 1
type = "moldudp64"
line.A = {{ address = "127.0.0.1:0", source = "127.0.0.1" }}
line.B = {{ address = "127.0.0.1:0", source = "127.0.0.1" }}
{extra}
[publish]
heartbeat = "10s"
[stream_admin]
url = "http://127.0.0.1:1"
[host]
idle = "spin"
receive_buffer = 65536
"#
    );
    Config::parse(role, &text, &Overrides::default()).unwrap()
}

impl Rig {
    pub(crate) fn new(role: Role, stream: u32) -> Self {
        Self::configured(&config(role, ""), stream)
    }

    pub(crate) fn configured(config: &Config, stream: u32) -> Self {
        let (mailbox, inbox) = mailbox().unwrap();
        let (notes, snapshots) = (Notes::new(), Snapshots::new(config));
        let board = Board::new(snapshots.clone());
        let sender = open_sender(config).unwrap();
        let (voice, spoken) = voice().unwrap();
        let (wishes, wished) = crossbeam::channel::bounded(MOST_WISHES);
        let (asking, errands) = crossbeam::channel::bounded(MOST_ERRANDS);
        let ends = Ends {
            exit: Exit::new(sender, None),
            inbox,
            notes: notes.clone(),
            snapshots,
            voice,
            wishes,
            errands: asking,
            // Nobody fetches a past.
            pasts: crossbeam::channel::bounded(1).0,
            // Nobody takes what goes in: once it is full, it is as if nobody kept up.
            taps: [config.fills.queue, config.snapshots.queue]
                .map(|queue| tap(queue, config.publish.max_datagram).0)
                .to_vec(),
        };
        let streams = |sid| (sid == SID).then_some(StreamId(stream));
        let incarnation = Incarnation(u64::from(stream));
        let pipeline = Pipeline::new(config, incarnation, streams, ends, &mut Vec::new()).unwrap();
        let subscriber = UdpSocket::bind("127.0.0.1:0").unwrap();
        subscriber
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        let row = DestinationRow {
            sid: SID,
            key: 1,
            address: subscriber.local_addr().unwrap(),
        };
        let plan = Arc::new(DestinationPlan { rows: vec![row] });
        assert!(mailbox.tell(Command::Grant(GRANT)));
        assert!(mailbox.tell(Command::Destinations(plan)));
        let lines = [Line::A, Line::B].map(|line| pipeline.line_addr(SID, line).unwrap());
        Self {
            pipeline,
            mailbox,
            notes,
            board,
            subscriber,
            lines,
            spoken,
            wished,
            errands,
        }
    }

    pub(crate) fn line(&self, line: Line) -> SocketAddr {
        self.lines[line as usize]
    }

    pub(crate) fn next_sseq(&self) -> u64 {
        self.pipeline.next_sseq(SID)
    }

    pub(crate) fn cycle(&mut self) -> bool {
        self.pipeline.cycle().unwrap()
    }

    /// One cycle, and what is said meanwhile in the first pairing, in order: taken by another thread, as the link's is, for
    /// whoever commits to something waits for that one.
    pub(crate) fn said_in_a_cycle(&mut self) -> Vec<Frame> {
        self.said_where(true)
    }

    /// The same; `written`: whether a nearer slot that is committed to can be sent at once.
    pub(crate) fn said_where(&mut self, written: bool) -> Vec<Frame> {
        let Self {
            pipeline, spoken, ..
        } = self;
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (over, spoken) = (&over, &*spoken);
            let link = scope.spawn(move || {
                let mut said = Vec::new();
                loop {
                    let last = over.load(Ordering::Acquire);
                    match spoken.next(1) {
                        Next::Frame(frame) => said.push(frame),
                        Next::Commitment(frame, ticket) => {
                            let written = written || !matches!(frame, Frame::Settled(_));
                            said.extend(Some(frame).filter(|_| written));
                            ticket.settle(written);
                        }
                        Next::Nothing | Next::Broken if last => return said,
                        Next::Nothing | Next::Broken => std::thread::yield_now(),
                    }
                }
            });
            pipeline.cycle().unwrap();
            over.store(true, Ordering::Release);
            link.join().unwrap()
        })
    }

    /// Cycles until the subscriber has something, and takes all of it.
    pub(crate) fn heard(&mut self, records: usize) -> Vec<Taken> {
        let mut taken = Vec::new();
        let mut buffer = [0; 2_048];
        while taken
            .iter()
            .filter(|taken: &&Taken| !taken.heartbeat)
            .count()
            < records
        {
            self.cycle();
            while let Ok(length) = self.subscriber.recv(&mut buffer) {
                taken.extend(Taken::all(&buffer[..length]));
            }
        }
        taken
    }
}

/// What a subscriber took: a record, or a heartbeat.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Taken {
    pub(crate) heartbeat: bool,
    pub(crate) pos: Pos,
    pub(crate) prev: u64,
    pub(crate) context: ContextId,
    pub(crate) complete: bool,
    pub(crate) flags: u16,
    pub(crate) generation: Generation,
    pub(crate) stream: StreamId,
    pub(crate) body: Vec<u8>,
}

impl Taken {
    fn all(bytes: &[u8]) -> Vec<Self> {
        let datagram = Datagram::parse(bytes).unwrap();
        let header = datagram.header();
        let of = |heartbeat, pos, prev, body: &[u8]| Self {
            heartbeat,
            pos,
            prev,
            context: header.context,
            complete: header.is_complete(),
            flags: header.flags.0,
            generation: header.generation,
            stream: header.stream,
            body: body.to_vec(),
        };
        if let Some(beat) = datagram.heartbeat() {
            let sseq = beat.beat.next_sseq;
            let pos = Pos {
                sid: header.sid,
                epoch: header.epoch,
                sseq,
                part: 0,
            };
            return vec![of(true, pos, beat.beat.prev, &[])];
        }
        let records = datagram.records();
        records
            .map(|record| of(false, record.pos(header), record.prev, record.body))
            .collect()
    }
}

/// A MoldUDP64 packet of `messages`, the first of which is number `first`.
pub(crate) fn packet(session: &[u8; 10], first: u64, messages: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = session.to_vec();
    bytes.extend(first.to_be_bytes());
    bytes.extend(u16::try_from(messages.len()).unwrap().to_be_bytes());
    for message in messages {
        bytes.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
        bytes.extend(message);
    }
    bytes
}

/// A MoldUDP64 end of session.
pub(crate) fn end(session: &[u8; 10], next: u64) -> Vec<u8> {
    let mut bytes = packet(session, next, &[]);
    bytes[18..].copy_from_slice(&u16::MAX.to_be_bytes());
    bytes
}

fn header(letter: u8, locate: u16, ns: u64) -> Vec<u8> {
    let mut bytes = vec![letter];
    bytes.extend(locate.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(&ns.to_be_bytes()[2..]);
    bytes
}

/// ITCH `A`: an order to buy 100 at 150.0000.
pub(crate) fn add_order(reference: u64) -> Vec<u8> {
    let mut bytes = header(b'A', 7, 34_200_000_000_000 + reference);
    bytes.extend(reference.to_be_bytes());
    bytes.push(b'B');
    bytes.extend(100_u32.to_be_bytes());
    bytes.extend(b"AAPL    ");
    bytes.extend(1_500_000_u32.to_be_bytes());
    bytes
}

/// ITCH `D`: the order is gone.
pub(crate) fn delete_order(reference: u64) -> Vec<u8> {
    let mut bytes = header(b'D', 7, 34_200_000_100_000 + reference);
    bytes.extend(reference.to_be_bytes());
    bytes
}
