//! The product, on one leg or on two: framing, sender, receiver and arbiter, the poller's turn written out.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;

use twinfeed_net::clock::monotonic_ns;
use twinfeed_net::idle::{Idle, Idler};
use twinfeed_net::interface::Selector;
use twinfeed_net::udp::{
    DestinationKey, Destinations, Outbox, Receiver, ReceiverConfig, Sender, SenderConfig,
    Timestamps,
};
use twinfeed_protocol::arbiter::{Arbiter, Control};
use twinfeed_protocol::{Delivered, Event, Handler, Leg, Limits, OrderingClass, Time};
use twinfeed_wire::{
    BodyKind, ContextId, DEFAULT_DATAGRAM, Dsn, Epoch, Generation, Header, Incarnation, Msn,
    Record, RecordFlags, Sid, StreamId, Writer,
};

use super::Heard;
use super::floor::say_end;
use super::publisher::{END, Publish, addresses};
use super::subscriber::{BUFFER, Subscribe, Told};
use crate::breach::is_breach;
use crate::error::Error;

/// The one source stream.
pub(crate) const SID: Sid = Sid(1);

/// The stream of a leg.
pub(crate) fn stream(leg: usize) -> StreamId {
    StreamId(10 + leg as u32)
}

/// A sender for each leg.
pub(crate) struct Publisher {
    legs: Vec<Sending>,
    /// Where those legs lead: the end that came on another would overtake what waits on these.
    to: Vec<SocketAddr>,
    datagram: usize,
}

/// How one copy leaves.
struct Sending {
    sender: Box<Sender>,
    outbox: Outbox,
    destinations: Destinations,
}

impl Publisher {
    /// So many legs, for records of that size.
    pub(super) fn open(to: &[String], legs: usize, size: usize) -> Result<Self, Error> {
        let mut to = addresses(to)?;
        to.truncate(legs);
        let leg = |(leg, to)| Sending::open(leg, std::slice::from_ref(to));
        let legs = to.iter().enumerate().map(leg);
        Ok(Self {
            legs: legs.collect::<Result<_, _>>()?,
            to,
            datagram: datagram(size),
        })
    }

    /// One leg to everybody, for records of that size.
    pub(crate) fn to_all(to: &[String], size: usize) -> Result<Self, Error> {
        let to = addresses(to)?;
        Ok(Self {
            legs: vec![Sending::open(0, &to)?],
            to,
            datagram: datagram(size),
        })
    }
}

impl Sending {
    /// As an adapter opens it. A group is on the host itself.
    fn open(leg: usize, to: &[SocketAddr]) -> Result<Self, Error> {
        let mut config = SenderConfig::new((Ipv4Addr::LOCALHOST, 0).into()).connect(true);
        if to.iter().any(|to| to.ip().is_multicast()) {
            config = config.interface(loopback());
        }
        let sender = Sender::open(&config).map_err(net)?;
        let mut destinations = sender.destinations(to.len().max(1)).map_err(net)?;
        for (key, to) in (leg as u64..).map(DestinationKey).zip(to) {
            let inserted = destinations.insert(key, *to);
            inserted.map_err(|error| Error::Socket(std::io::Error::other(error)))?;
        }
        Ok(Self {
            sender: Box::new(sender),
            outbox: Outbox::new(1, DEFAULT_DATAGRAM),
            destinations,
        })
    }
}

impl Publish for Publisher {
    fn send(&mut self, number: u64, record: &[u8]) {
        for (leg, sending) in self.legs.iter_mut().enumerate() {
            let Sending {
                sender,
                outbox,
                destinations,
            } = sending;
            let _ = outbox.push_with(DEFAULT_DATAGRAM, |room| {
                frame(leg, number, record, monotonic_ns(), room)
            });
            sender.send(outbox, destinations);
            outbox.clear();
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        say_end(&self.to)
    }

    fn datagram(&self) -> Option<usize> {
        Some(self.datagram)
    }
}

/// Bytes of the datagram that carries one record of that size.
pub(crate) fn datagram(size: usize) -> usize {
    frame(0, 1, &vec![0; size], 0, &mut vec![0; DEFAULT_DATAGRAM])
}

/// Writes one datagram with one record; returns its length.
pub(crate) fn frame(leg: usize, number: u64, body: &[u8], sent_at: u64, room: &mut [u8]) -> usize {
    let header = Header {
        stream: stream(leg),
        generation: Generation(1),
        incarnation: Incarnation(7 + leg as u64),
        first_msn: Msn(number),
        sid: SID,
        epoch: Epoch(1),
        context: ContextId(1),
        first: 1,
        base_sseq: number,
        sent_at,
        ..Header::default()
    };
    let mut writer = Writer::begin(room, header);
    let pushed = writer.push(&Record {
        kind: BodyKind::Opaque,
        flags: RecordFlags::LAST,
        part: 0,
        sseq: number,
        prev: number - 1,
        adm: header.base_adm,
        body,
    });
    debug_assert!(pushed.is_ok(), "one short record fits");
    writer.finish(Dsn(number), header.flags, header.sent_at)
}

/// The legs' sockets in turn, and the arbiter.
pub(crate) struct Subscriber {
    /// One or two, the first leg's first.
    sockets: Vec<Receiver>,
    arbiter: Box<Arbiter>,
    turn: usize,
    /// Ends a turn in which nothing came; `None`: it spins.
    idler: Option<Idler>,
}

impl Subscriber {
    pub(super) fn open() -> Result<Self, Error> {
        let unicast = || ReceiverConfig::unicast((Ipv4Addr::LOCALHOST, 0).into());
        Self::over(vec![unicast(), unicast()])
    }

    /// One leg, which is a group's on this host.
    pub(crate) fn join(group: SocketAddr) -> Result<Self, Error> {
        Self::over(vec![ReceiverConfig::multicast(group, loopback())])
    }

    /// One leg.
    pub(crate) fn alone() -> Result<Self, Error> {
        Self::over(vec![ReceiverConfig::unicast(
            (Ipv4Addr::LOCALHOST, 0).into(),
        )])
    }

    fn over(sockets: Vec<ReceiverConfig>) -> Result<Self, Error> {
        let open = |config: ReceiverConfig| {
            let config = config.receive_buffer(BUFFER).timestamps(Timestamps::Off);
            Receiver::open(&config).map_err(net)
        };
        let sockets = sockets.into_iter().map(open).collect::<Result<_, _>>()?;
        let Ok(mut arbiter) = Arbiter::new(Limits::default()) else {
            unreachable!("the defaults can be worked with")
        };
        arbiter.add_source(SID, OrderingClass::Ordered);
        for leg in Leg::BOTH {
            arbiter.set_stream(SID, leg, stream(leg.index()));
        }
        Ok(Self {
            sockets,
            arbiter: Box::new(arbiter),
            turn: 0,
            idler: None,
        })
    }

    /// The same, which does this while nothing comes.
    pub(super) fn idling(self, idle: Option<Idle>) -> Self {
        Self {
            idler: idle.map(Idler::new),
            ..self
        }
    }
}

impl Subscribe for Subscriber {
    fn doors(&self) -> Result<Vec<String>, Error> {
        let door = |socket: &Receiver| socket.local_addr().to_string();
        Ok(self.sockets.iter().map(door).collect())
    }

    fn turn(&mut self, told: &mut Told) -> Result<bool, Error> {
        let (mut ended, mut taken) = (false, 0);
        let (sockets, arbiter) = (&mut self.sockets, &mut self.arbiter);
        let now = Time(monotonic_ns());
        for step in 0..sockets.len() {
            let at = (self.turn + step) % sockets.len();
            let leg = Leg::BOTH[at];
            let batch = sockets[at].receive().map_err(Error::Socket)?;
            for datagram in batch {
                taken += 1;
                if datagram.kernel_drops > 0 {
                    let datagrams = u64::from(datagram.kernel_drops);
                    told.heard.dropped += datagrams;
                    arbiter.on_control(Control::LocalDrops { leg, datagrams }, now, told);
                }
                if datagram.bytes == END {
                    ended = true;
                } else {
                    arbiter.on_datagram(leg, now, datagram.bytes, told);
                }
            }
        }
        self.turn = (self.turn + 1) % sockets.len();
        if arbiter.next_deadline().is_some_and(|due| due <= now) {
            arbiter.on_deadline(now, told);
        }
        if let Some(idler) = &mut self.idler {
            idler.idle(taken, self.sockets.iter().map(AsFd::as_fd));
        }
        Ok(ended)
    }

    fn finish(&mut self, heard: &mut Heard) {
        heard.copies = self.arbiter.counters().duplicates;
    }
}

impl Handler for Told {
    fn record(&mut self, record: &Delivered<'_>) {
        Self::record(self, record.pos.sseq, record.body);
    }

    fn event(&mut self, event: &Event) {
        self.heard.broken += u64::from(is_breach(event));
    }
}

fn loopback() -> Selector {
    Selector::Address(Ipv4Addr::LOCALHOST.into())
}

fn net(error: twinfeed_net::Error) -> Error {
    Error::Socket(std::io::Error::other(error))
}
