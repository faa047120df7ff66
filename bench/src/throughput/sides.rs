//! The two processes: one sends as fast as the other one takes.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use twinfeed_net::affinity;
use twinfeed_net::clock::monotonic_ns;
use twinfeed_net::udp::{
    DestinationKey, Outbox, Receiver, ReceiverConfig, Sender, SenderConfig, Timestamps,
};
use twinfeed_protocol::arbiter::{Arbiter, Control};
use twinfeed_protocol::{Delivered, Event, Handler, Leg, Limits, OrderingClass, Time};
use twinfeed_wire::{
    BodyKind, ContextId, DEFAULT_DATAGRAM, Dsn, Epoch, Generation, HEADER_LENGTH, Header,
    Incarnation, Msn, RECORD_HEADER_LENGTH, Record, RecordFlags, Sid, StreamId, Writer,
};

#[cfg(feature = "aeron")]
use super::aeron;
use super::way::{Means, Sockets, Way};
use super::{Args, Heard};
use crate::breach::is_breach;
use crate::child::say;
use crate::error::Error;

const SID: Sid = Sid(1);
/// Bytes of kernel buffer that each socket asks for.
const BUFFER: usize = 8 << 20;
/// Datagrams of which one word back to the publisher is said.
const WORD_EVERY: u64 = 32;
/// How long either side waits for the other one.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The word behind the last record: no datagram is as short, and no record.
pub(super) const END: [u8; 1] = [0xff];
/// How often that is said.
const ENDS: usize = 20;

/// Records of so many bytes that a datagram holds.
pub(super) const fn together(size: usize) -> usize {
    (DEFAULT_DATAGRAM - HEADER_LENGTH) / (RECORD_HEADER_LENGTH + size.next_multiple_of(8))
}

fn stream(leg: usize) -> StreamId {
    StreamId(10 + leg as u32)
}

fn net(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Socket(std::io::Error::other(error))
}

/// What the subscriber has taken of each leg, as it says.
#[derive(Debug)]
pub(super) struct Credit {
    socket: UdpSocket,
    taken: u64,
}

impl Credit {
    pub(super) fn open() -> Result<Self, Error> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Socket)?;
        socket.set_nonblocking(true).map_err(Error::Socket)?;
        Ok(Self { socket, taken: 0 })
    }

    pub(super) fn address(&self) -> Result<SocketAddr, Error> {
        self.socket.local_addr().map_err(Error::Socket)
    }

    /// Takes one word, if one is here; returns how much was taken as far as it is known.
    pub(super) fn look(&mut self) -> u64 {
        let mut word = [0; 8];
        match self.socket.recv(&mut word) {
            Ok(_) => self.taken = self.taken.max(u64::from_le_bytes(word)),
            Err(_) => std::hint::spin_loop(),
        }
        self.taken
    }

    /// Waits until so many were taken; `false` when that does not come about.
    fn wait(&mut self, taken: u64) -> bool {
        let begun = Instant::now();
        while self.taken < taken {
            let before = self.taken;
            if self.look() == before && begun.elapsed() > PATIENCE {
                return false;
            }
        }
        true
    }
}

/// Sends for as long as is asked; returns how many records that was.
pub(super) fn publish(
    way: Sockets,
    doors: &[String],
    size: usize,
    args: &Args,
    mut credit: Credit,
) -> Result<u64, Error> {
    let to = addresses(doors)?;
    let mut legs = Vec::new();
    for (leg, &to) in to.iter().enumerate().take(way.legs) {
        let config = SenderConfig::new((Ipv4Addr::LOCALHOST, 0).into()).connect(true);
        let sender = Sender::open(&config).map_err(net)?;
        let mut destinations = sender.destinations(1).map_err(net)?;
        let key = DestinationKey(leg as u64);
        destinations.insert(key, to).map_err(net)?;
        legs.push((sender, destinations));
    }
    let mut outbox = Outbox::new(args.batch, args.batch * DEFAULT_DATAGRAM);
    let body = vec![7; size];
    let together = together(size);
    // What it would be framed as, once.
    let mut bare = vec![0; DEFAULT_DATAGRAM];
    let length = frame(0, (1, 1), together, &body, &mut bare);
    let (begun, mut datagrams) = (Instant::now(), 0_u64);
    while begun.elapsed() < Duration::from_millis(args.round_ms) {
        for (leg, (sender, destinations)) in legs.iter_mut().enumerate() {
            send(
                (way, leg),
                datagrams,
                (together, &body),
                &mut bare[..length],
                (&mut outbox, args.batch),
            );
            sender.send(&outbox, destinations);
            outbox.clear();
        }
        datagrams += args.batch as u64;
        if !credit.wait((datagrams + args.batch as u64).saturating_sub(args.window)) {
            break; // Something was lost, which the other side knows.
        }
    }
    let _ = credit.wait(datagrams);
    let last = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Socket)?;
    for _ in 0..ENDS {
        std::thread::sleep(Duration::from_millis(2));
        for to in &to {
            let _ = last.send_to(&END, to);
        }
    }
    Ok(datagrams * together as u64)
}

/// The addresses in what the subscriber said.
fn addresses(doors: &[String]) -> Result<Vec<SocketAddr>, Error> {
    let address = |text: &String| text.parse().map_err(net);
    doors.iter().map(address).collect()
}

/// Puts a batch of datagrams into the outbox.
fn send(
    (way, leg): (Sockets, usize),
    before: u64,
    (together, body): (usize, &[u8]),
    bare: &mut [u8],
    (outbox, batch): (&mut Outbox, usize),
) {
    for number in before + 1..=before + batch as u64 {
        let room = |room: &mut [u8]| {
            if way.product {
                let first = (number - 1) * together as u64 + 1;
                return frame(leg, (number, first), together, body, room);
            }
            bare[..8].copy_from_slice(&number.to_le_bytes());
            bare[8] = together as u8;
            room[..bare.len()].copy_from_slice(bare);
            bare.len()
        };
        // It was made for so many.
        let _ = outbox.push_with(DEFAULT_DATAGRAM, room);
    }
}

/// Writes one datagram full of records; returns its length.
fn frame(
    leg: usize,
    (dsn, first): (u64, u64),
    together: usize,
    body: &[u8],
    room: &mut [u8],
) -> usize {
    let header = Header {
        stream: stream(leg),
        generation: Generation(1),
        incarnation: Incarnation(7 + leg as u64),
        first_msn: Msn(first),
        sid: SID,
        epoch: Epoch(1),
        context: ContextId(1),
        first: 1,
        base_sseq: first,
        ..Header::default()
    };
    let mut writer = Writer::begin(room, header);
    for number in first..first + together as u64 {
        let pushed = writer.push(&Record {
            kind: BodyKind::Opaque,
            flags: RecordFlags::LAST,
            part: 0,
            sseq: number,
            prev: number - 1,
            adm: header.base_adm,
            body,
        });
        debug_assert!(pushed.is_ok(), "as many as fit");
    }
    writer.finish(Dsn(dsn), header.flags, monotonic_ns())
}

/// The subscriber's process: says its addresses, hears until the end, says what it heard.
pub(super) fn subscribe(what: &str) -> Result<(), Error> {
    let (way, core, to): (Way, usize, SocketAddr) =
        serde_json::from_str(what).map_err(|error| Error::Subscriber(error.into()))?;
    affinity::pin(core).map_err(net)?;
    match way.means() {
        Means::Sockets(way) => hear(way, to),
        #[cfg(feature = "aeron")]
        Means::Aeron(media) => aeron::subscribe(media, to),
    }
}

fn hear(way: Sockets, to: SocketAddr) -> Result<(), Error> {
    let open = || {
        let config = ReceiverConfig::unicast((Ipv4Addr::LOCALHOST, 0).into());
        let config = config.receive_buffer(BUFFER).timestamps(Timestamps::Off);
        let config = match way.merge {
            true => config.merge_under_load(),
            false => config,
        };
        Receiver::open(&config).map_err(net)
    };
    let mut sockets = [open()?, open()?];
    say(&sockets.each_ref().map(Receiver::local_addr))?;
    let word = back(to)?;
    let taken = &mut sockets[..way.legs];
    let heard = match way.product {
        true => arbitrated(taken, &word)?,
        false => bare(taken, &word)?,
    };
    say(&heard)
}

/// Where words back to the publisher are said.
pub(super) fn back(to: SocketAddr) -> Result<UdpSocket, Error> {
    let word = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Socket)?;
    word.connect(to).map_err(Error::Socket)?;
    Ok(word)
}

/// Says how many datagrams of both legs were taken, now and then.
#[derive(Debug)]
struct Word<'w> {
    socket: &'w UdpSocket,
    said: u64,
}

impl Word<'_> {
    fn say(&mut self, sockets: &[Receiver]) {
        let taken = |socket: &Receiver| {
            let counters = socket.counters();
            counters.datagrams + counters.kernel_drops
        };
        let taken = sockets.iter().map(taken).min().unwrap_or(0);
        if taken >= self.said + WORD_EVERY {
            self.said = taken;
            // One that is lost is made good by the next.
            let _ = self.socket.send(&taken.to_le_bytes());
        }
    }
}

/// Counts what comes.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) heard: Heard,
    last: u64,
    first_at: u64,
}

impl Handler for Told {
    fn record(&mut self, record: &Delivered<'_>) {
        self.heard.broken += u64::from(record.pos.sseq <= self.last);
        self.last = record.pos.sseq;
        self.heard.records += 1;
    }

    fn event(&mut self, event: &Event) {
        self.heard.broken += u64::from(is_breach(event));
    }
}

impl Told {
    /// One of several copies: the first of a number counts, as so many records.
    pub(super) fn copy(&mut self, number: u64, records: u64) {
        if number > self.last {
            self.heard.broken += u64::from(number != self.last + 1);
            self.last = number;
            self.heard.records += records;
        } else {
            self.heard.copies += records;
        }
    }

    /// Notes the time of a turn in which records came; returns whether nothing has come for too long.
    pub(super) fn clock(&mut self, now: u64, before: u64, begun: &Instant) -> bool {
        if self.heard.records > before {
            if self.first_at == 0 {
                self.first_at = now;
            }
            self.heard.ns = now - self.first_at;
        }
        self.heard.records == 0 && begun.elapsed() > PATIENCE
    }
}

fn arbitrated(sockets: &mut [Receiver], word: &UdpSocket) -> Result<Heard, Error> {
    let Ok(mut arbiter) = Arbiter::new(Limits::default()) else {
        unreachable!("the defaults can be worked with")
    };
    arbiter.add_source(SID, OrderingClass::Ordered);
    for leg in Leg::BOTH {
        arbiter.set_stream(SID, leg, stream(leg.index()));
    }
    let mut word = Word {
        socket: word,
        said: 0,
    };
    let (mut told, begun, mut ended) = (Told::default(), Instant::now(), false);
    while !ended {
        let now = Time(monotonic_ns());
        let before = told.heard.records;
        for (leg, socket) in Leg::BOTH.into_iter().zip(&mut *sockets) {
            for datagram in socket.receive().map_err(Error::Socket)? {
                if datagram.kernel_drops > 0 {
                    let datagrams = u64::from(datagram.kernel_drops);
                    told.heard.dropped += datagrams;
                    arbiter.on_control(Control::LocalDrops { leg, datagrams }, now, &mut told);
                }
                if datagram.bytes == END {
                    ended = true;
                } else {
                    arbiter.on_datagram(leg, now, datagram.bytes, &mut told);
                }
            }
        }
        word.say(sockets);
        if arbiter.next_deadline().is_some_and(|due| due <= now) {
            arbiter.on_deadline(now, &mut told);
        }
        if told.clock(now.0, before, &begun) {
            break;
        }
    }
    told.heard.copies = arbiter.counters().duplicates;
    Ok(told.heard)
}

/// The first copy of each number counts, as so many records as it would hold.
fn bare(sockets: &mut [Receiver], word: &UdpSocket) -> Result<Heard, Error> {
    let mut word = Word {
        socket: word,
        said: 0,
    };
    let (mut told, begun, mut ended) = (Told::default(), Instant::now(), false);
    // How many those are is seen from a datagram's head, which stays as it was framed.
    let together = |bytes: &[u8]| u64::from(bytes[8]);
    while !ended {
        let now = monotonic_ns();
        let before = told.heard.records;
        for socket in &mut *sockets {
            for datagram in socket.receive().map_err(Error::Socket)? {
                told.heard.dropped += u64::from(datagram.kernel_drops);
                let (Some(number), false) = (datagram.bytes.first_chunk(), datagram.bytes == END)
                else {
                    ended = true;
                    continue;
                };
                told.copy(u64::from_le_bytes(*number), together(datagram.bytes));
            }
        }
        word.say(sockets);
        if told.clock(now, before, &begun) {
            break;
        }
    }
    Ok(told.heard)
}
