//! How long is a snapshot, how long does it take, and what does it cost to be ready to give one?
//!
//! ```text
//!  stream ─► tap ─► the adapter's follower ─► spool ─► its server ─ TCP, loopback ─► Spool ─► Books
//! ```
//!
//! Follower, server, frames, the taker's proof and the books are the product's own. Each size is measured in a process of its
//! own, for memory that was given back is not seen to be free. Orders rest in up to 2,000 instruments, on 200 prices a side.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;
use twinfeed_book::{Books, Settings};
use twinfeed_control::{StopFlag, StreamAssignment};
use twinfeed_feed_adapter::Role;
use twinfeed_feed_adapter::config::{Config, Overrides};
use twinfeed_feed_adapter::snapshots::{BoundSnapshots, Giver};
use twinfeed_feed_adapter::tap::Tap;
use twinfeed_protocol::Handler as _;
use twinfeed_protocol::join::{Spool, Step, Whole};
use twinfeed_wire::record::code::{action, side};
use twinfeed_wire::record::{DbnRecord, MboMsg};
use twinfeed_wire::snapshot::{
    FRAME_HEADER_LENGTH, LONGEST_FRAME, NotBefore, Request, Snapshot, frame_length,
};
use twinfeed_wire::{
    BodyKind, ContextId, Dsn, Epoch, Generation, Header, Incarnation, Msn, Record, RecordFlags,
    Writer,
};

use super::rig::{SID, STREAM, assignment};
use crate::error::Error;

/// What one size came to.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Size {
    /// Orders that rest.
    pub(super) orders: u64,
    /// Messages that led there.
    pub(super) messages: u64,
    /// Length of the snapshot, bytes.
    pub(super) snapshot_bytes: u64,
    /// From the request to the last frame, proven, ns: the middle of [`ROUNDS`].
    pub(super) whole_ns: u64,
    /// From there to books that are whole, ns: the middle of as many.
    pub(super) books_ns: u64,
    /// What the follower took in memory, bytes; 0 where that is too little to be seen.
    pub(super) follower_bytes: u64,
    /// What a taker's books took, bytes.
    pub(super) books_bytes: u64,
    /// What was followed, ns a message: the stream's pace is part of it.
    pub(super) followed_ns: u64,
}

/// Measures every size in a process of its own.
pub(super) fn sizes(of: &[u64], fewest: u64) -> Result<Vec<Size>, Error> {
    let churn = of.iter().filter(|messages| **messages > fewest);
    let churn = churn.map(|messages| (fewest, *messages));
    let grown = of.iter().map(|orders| (*orders, *orders));
    grown.chain(churn).map(in_a_process).collect()
}

fn in_a_process((orders, messages): (u64, u64)) -> Result<Size, Error> {
    let failed = |fault: String| Error::Flag {
        flag: "--orders",
        fault,
    };
    let program = std::env::current_exe().map_err(|it| failed(it.to_string()))?;
    let output = Command::new(program)
        .args(["repair", "--measure", &format!("{orders}:{messages}")])
        .output()
        .map_err(|it| failed(it.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{orders} orders: {}", said.trim())));
    }
    serde_json::from_slice(&output.stdout).map_err(|it| failed(it.to_string()))
}

/// Measures one size in this process, and prints it.
pub(super) fn measure(size: &str) -> Result<(), Error> {
    let failed = |fault: &str| Error::Flag {
        flag: "--measure",
        fault: fault.to_owned(),
    };
    let parts = size.split_once(':').and_then(|(orders, messages)| {
        let parts = (orders.parse().ok()?, messages.parse().ok()?);
        Some(parts).filter(|(orders, messages): &(u64, u64)| *orders > 0 && messages >= orders)
    });
    let Some((orders, messages)) = parts else {
        return Err(failed("ORDERS:MESSAGES, no fewer messages than orders"));
    };
    let asker = SocketAddr::from(([127, 0, 0, 1], 9));
    let mut rig = Rig::new(orders, asker)?;
    let before = resident();
    let begun = Instant::now();
    for number in 0..orders {
        rig.say(&add(number))?;
    }
    for number in 0..messages - orders {
        // One goes, and comes again at the end of its queue.
        let order = add(number / 2 % orders);
        let cancel = MboMsg {
            action: action::CANCEL,
            ..order
        };
        rig.say(if number % 2 == 0 { &cancel } else { &order })?;
    }
    rig.until_followed()?;
    let followed_ns = begun.elapsed().as_nanos() as u64 / messages;
    let follower_bytes = resident().saturating_sub(before);
    let (mut whole_ns, mut books_ns) = (Vec::new(), Vec::new());
    let (mut snapshot_bytes, mut books_bytes) = (0, 0);
    for _ in 0..ROUNDS {
        // One that is asked for behind all that was said before is none that is there already.
        rig.say(&add(0))?;
        rig.until_followed()?;
        let begun = Instant::now();
        let whole = rig.ask(asker)?;
        whole_ns.push(begun.elapsed().as_nanos() as u64);
        snapshot_bytes = whole.len() as u64;
        let (before, begun) = (resident(), Instant::now());
        let books = told(whole, orders);
        books_ns.push(begun.elapsed().as_nanos() as u64);
        books_bytes = books_bytes.max(resident().saturating_sub(before));
        let rest = books.orders(SID) as u64;
        if rest != rig.resting() {
            return Err(failed(&format!("{rest} orders came of {orders}")));
        }
    }
    let middle = |mut of: Vec<u64>| {
        of.sort_unstable();
        of[of.len() / 2]
    };
    let size = Size {
        orders,
        messages,
        snapshot_bytes,
        whole_ns: middle(whole_ns),
        books_ns: middle(books_ns),
        follower_bytes,
        books_bytes,
        followed_ns,
    };
    println!("{}", json!(size));
    Ok(())
}

/// An adapter's stream, its follower and its server of snapshots.
struct Rig {
    server: SocketAddr,
    giver: Giver,
    tap: Tap,
    stop: StopFlag,
    header: Header,
    /// Records that wait to be sent together.
    waiting: Vec<MboMsg>,
    /// Datagrams that were handed over since they were last known to be followed.
    ahead: usize,
    /// Orders that rest.
    resting: u64,
}

impl Rig {
    fn new(orders: u64, asker: SocketAddr) -> Result<Self, Error> {
        let text = CONFIG.replace("ORDERS", &(orders + 10).to_string());
        let config = Config::parse(Role::Active, &text, &Overrides::default())
            .map_err(twinfeed_feed_adapter::AdapterError::from)?;
        let Some(bound) = BoundSnapshots::bind(&config)? else {
            unreachable!("snapshots are served by default")
        };
        let (server, stop) = (bound.address(), StopFlag::new());
        let streams = [StreamAssignment {
            sid: twinfeed_control::Sid(SID.0),
            stream_id: twinfeed_control::StreamId(STREAM.0),
        }];
        let (giver, tap) = bound.start(&config, &streams, &stop)?;
        giver.granted(&assignment(&[asker]));
        Ok(Self {
            server,
            giver,
            tap,
            stop,
            header: Header {
                stream: STREAM,
                generation: Generation(1),
                incarnation: Incarnation(7),
                first_msn: Msn(1),
                sid: SID,
                epoch: EPOCH,
                context: CONTEXT,
                first: 1,
                base_sseq: 1,
                ..Header::default()
            },
            waiting: Vec::new(),
            ahead: 0,
            resting: 0,
        })
    }

    fn resting(&self) -> u64 {
        self.resting
    }

    /// Sends a record, with those before it as soon as a datagram is full.
    fn say(&mut self, record: &MboMsg) -> Result<(), Error> {
        match record.action {
            action::ADD if record.order_id.get() > self.resting => self.resting += 1,
            _ => {}
        }
        self.waiting.push(*record);
        if self.waiting.len() == TOGETHER {
            self.send();
        }
        if self.ahead == QUEUE / 2 {
            self.until_followed()?;
        }
        Ok(())
    }

    fn send(&mut self) {
        let mut buffer = [0; LONGEST];
        let mut writer = Writer::begin(&mut buffer, self.header);
        let (first, count) = (self.header.base_sseq, self.waiting.len() as u64);
        for (record, sseq) in self.waiting.iter().zip(first..) {
            let pushed = writer.push(&Record {
                kind: BodyKind::Dbn,
                flags: RecordFlags::LAST,
                part: 0,
                sseq,
                prev: sseq - 1,
                adm: self.header.base_adm,
                body: bytes_of(record),
            });
            debug_assert!(pushed.is_ok(), "a few short records fit");
        }
        self.waiting.clear();
        self.header.dsn = Dsn(self.header.dsn.0 + 1);
        let length = writer.finish(self.header.dsn, self.header.flags, 0);
        self.header.first_msn = Msn(self.header.first_msn.0 + count);
        self.header.base_sseq += count;
        self.tap.keep(&buffer[..length]);
        self.ahead += 1;
    }

    /// Waits until everything that was said is followed.
    fn until_followed(&mut self) -> Result<(), Error> {
        if !self.waiting.is_empty() {
            self.send();
        }
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let known = self.giver.counters().follower;
            if known.dropped > 0 {
                break;
            }
            if self.tap.is_idle() {
                self.ahead = 0;
                return Ok(());
            }
            std::thread::yield_now();
        }
        Err(Error::Flag {
            flag: "--measure",
            fault: "the follower does not keep up".to_owned(),
        })
    }

    /// Asks for what there is, as of what was said last.
    fn ask(&self, fills: SocketAddr) -> Result<Whole, Error> {
        let failed = |fault: String| Error::Flag {
            flag: "--measure",
            fault,
        };
        let io = |it: std::io::Error| failed(it.to_string());
        let mut stream = TcpStream::connect(self.server).map_err(io)?;
        let request = Snapshot::Request(Request {
            sid: SID,
            stream: STREAM,
            request: 1,
            fills,
            not_before: NotBefore {
                epoch: EPOCH,
                sseq: self.header.base_sseq,
                ..NotBefore::default()
            },
            context: CONTEXT,
        });
        let mut frame = vec![0; LONGEST_FRAME];
        let length = request.emit(&mut frame);
        stream.write_all(&frame[..length]).map_err(io)?;
        let mut spool = Spool::new(SID, SPOOL);
        loop {
            let mut header = [0; FRAME_HEADER_LENGTH];
            stream.read_exact(&mut header).map_err(io)?;
            let length = frame_length(&header).map_err(|it| failed(it.to_string()))?;
            let frame = &mut frame[..length];
            frame[..FRAME_HEADER_LENGTH].copy_from_slice(&header);
            stream
                .read_exact(&mut frame[FRAME_HEADER_LENGTH..])
                .map_err(io)?;
            match spool.push(frame).map_err(|it| failed(it.to_string()))? {
                Step::More => {}
                Step::Whole(whole) => return Ok(whole),
                Step::Refused(refused) => return Err(failed(format!("{refused:?}"))),
            }
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// The books that a snapshot comes to.
fn told(mut whole: Whole, orders: u64) -> Books {
    let mut books = Books::with_settings(Settings {
        max_orders: orders as usize + 10,
        ..Settings::default()
    });
    while let Some(piece) = whole.next_piece() {
        books.snapshot(SID, &piece);
    }
    books
}

/// An order by its number.
fn add(number: u64) -> MboMsg {
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let bid = scattered >> 63 == 0;
    let off = (scattered >> 40) % PRICES + 1;
    let price = if bid { MIDDLE - off } else { MIDDLE + off };
    let mut record = MboMsg {
        order_id: (number + 1).into(),
        price: (price as i64 * TICK).into(),
        size: 100.into(),
        action: action::ADD,
        side: if bid { side::BID } else { side::ASK },
        ..MboMsg::default()
    };
    record.hd.instrument_id = ((scattered >> 20) as u32 % INSTRUMENTS + 1).into();
    record
}

fn bytes_of(record: &impl DbnRecord) -> &[u8] {
    record.as_bytes()
}

/// Memory of this process that is there, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

const EPOCH: Epoch = Epoch(1);
const CONTEXT: ContextId = ContextId(1);
/// How often each size is asked for.
const ROUNDS: usize = 3;
const INSTRUMENTS: u32 = 2_000;
const PRICES: u64 = 200;
const MIDDLE: u64 = 10_000;
/// One tick, 1e-9.
const TICK: i64 = 10_000_000;
/// Records in a datagram.
const TOGETHER: usize = 16;
/// Longest datagram, bytes.
const LONGEST: usize = 1_472;
/// Longest snapshot, bytes.
const SPOOL: usize = 2 << 30;
/// Datagrams that may wait for the follower, as in the configuration below.
const QUEUE: usize = 4_096;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// A feed of one source, which is never opened.
const CONFIG: &str = r#"
feed = "bench"
format = "itch50"
trading_day = "2019-12-30"
publisher_id = 2
max_open_orders = ORDERS
[[source]]
sid = 1
type = "moldudp64"
line.A = { address = "127.0.0.1:0", source = "127.0.0.1" }
line.B = { address = "127.0.0.1:0", source = "127.0.0.1" }
[stream_admin]
url = "http://127.0.0.1:1"
[snapshots]
spool_bytes = 2147483648
rate = 17179869184
keep = "0ms"
"#;
