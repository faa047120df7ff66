//! The receiving side: the poller's turn written out (both sockets, the arbiter, what is due), or two bare sockets.

use std::io::Write;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Instant;

use hdrhistogram::Histogram;
use twinfeed_net::affinity;
use twinfeed_net::clock::monotonic_ns;
use twinfeed_net::udp::{Receiver, ReceiverConfig, Timestamps};
use twinfeed_protocol::arbiter::{Arbiter, Control};
use twinfeed_protocol::{Delivered, Event, Handler, Leg, Limits, OrderingClass, Time};

use super::publisher::{END, LEAST_SIZE, SID, stream};
use super::{Heard, PATIENCE, Way};
use crate::error::Error;
use crate::report::hgrm;

/// Bytes of kernel buffer that each socket asks for.
const BUFFER: usize = 4 << 20;

/// The process: says its addresses, hears until the end, says what it heard.
pub(super) fn run(what: &str) -> Result<(), Error> {
    let parts: Vec<&str> = what.split(':').collect();
    let flag = || Error::Flag {
        flag: "--subscribe",
        fault: "WAY:CORE".to_owned(),
    };
    let &[way, core] = parts.as_slice() else {
        return Err(flag());
    };
    let way = Way::named(way).ok_or_else(flag)?;
    let core = core.parse().map_err(|_| flag())?;
    affinity::pin(core).map_err(|_| flag())?;
    let heard = match way {
        Way::Floor => bare()?,
        Way::OneLeg | Way::TwoLegs => product()?,
    };
    say(&heard)
}

fn say(what: &impl serde::Serialize) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    let text = serde_json::to_string(what).unwrap_or_default();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(Error::Subscriber)
}

/// Counts what comes, and how late.
#[derive(Debug)]
struct Told {
    late: Histogram<u64>,
    heard: Heard,
    last: u64,
}

impl Told {
    fn new() -> Self {
        let mut late = hgrm::histogram(&[]);
        // Grown before it is needed.
        let _ = late.record(60_000_000_000);
        late.clear();
        Self {
            late,
            heard: Heard::default(),
            last: 0,
        }
    }

    fn record(&mut self, number: u64, due: &[u8]) {
        let now = monotonic_ns();
        let Some(due) = due.first_chunk::<LEAST_SIZE>() else {
            self.heard.broken += 1;
            return;
        };
        // Numbers come in order, or something is wrong; one that is missing is counted by who sent it.
        self.heard.broken += u64::from(number <= self.last);
        self.last = number;
        self.heard.records += 1;
        let _ = self
            .late
            .record(now.saturating_sub(u64::from_le_bytes(*due)));
    }

    fn finish(mut self) -> Heard {
        self.heard.late = hgrm::counts(&self.late);
        self.heard
    }
}

impl Handler for Told {
    fn record(&mut self, record: &Delivered<'_>) {
        Self::record(self, record.pos.sseq, record.body);
    }

    fn event(&mut self, event: &Event) {
        let usual = matches!(
            event,
            Event::Leg { .. } | Event::Discontinuity { .. } | Event::Recovered { .. }
        );
        self.heard.broken += u64::from(!usual);
    }
}

fn product() -> Result<Heard, Error> {
    let net = |error: twinfeed_net::Error| Error::Socket(std::io::Error::other(error));
    let open = || {
        let config = ReceiverConfig::unicast((Ipv4Addr::LOCALHOST, 0).into());
        let config = config.receive_buffer(BUFFER).timestamps(Timestamps::Off);
        Receiver::open(&config).map_err(net)
    };
    let mut sockets = [open()?, open()?];
    let Ok(mut arbiter) = Arbiter::new(Limits::default()) else {
        unreachable!("the defaults can be worked with")
    };
    arbiter.add_source(SID, OrderingClass::Ordered);
    for leg in Leg::BOTH {
        arbiter.set_stream(SID, leg, stream(leg.index()));
    }
    say(&sockets.each_ref().map(Receiver::local_addr))?;
    let (mut told, begun, mut ended, mut turn) = (Told::new(), Instant::now(), false, 0);
    while !ended {
        let now = Time(monotonic_ns());
        for step in 0..sockets.len() {
            let at = (turn + step) % sockets.len();
            let leg = Leg::BOTH[at];
            let batch = sockets[at].receive().map_err(Error::Socket)?;
            for datagram in batch {
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
        turn = (turn + 1) % sockets.len();
        if arbiter.next_deadline().is_some_and(|due| due <= now) {
            arbiter.on_deadline(now, &mut told);
        }
        if told.heard.records == 0 && begun.elapsed() > PATIENCE {
            break;
        }
    }
    told.heard.copies = arbiter.counters().duplicates;
    Ok(told.finish())
}

fn bare() -> Result<Heard, Error> {
    let open = || -> Result<UdpSocket, Error> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Socket)?;
        socket.set_nonblocking(true).map_err(Error::Socket)?;
        // As large as the other's; a refusal leaves what the kernel gives.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(BUFFER);
        Ok(socket)
    };
    let sockets = [open()?, open()?];
    let mut addresses = Vec::new();
    for socket in &sockets {
        addresses.push(socket.local_addr().map_err(Error::Socket)?);
    }
    say(&addresses)?;
    let (mut told, begun, mut ended) = (Told::new(), Instant::now(), false);
    let mut buffer = [0; 2_048];
    while !ended {
        for socket in &sockets {
            let Ok(length) = socket.recv(&mut buffer) else {
                continue;
            };
            if buffer[..length] == END {
                ended = true;
                continue;
            }
            let Some(number) = buffer.first_chunk::<8>() else {
                continue;
            };
            let number = u64::from_le_bytes(*number);
            if number > told.last {
                told.record(number, &buffer[8..16]);
            } else {
                told.heard.copies += 1;
            }
        }
        if told.heard.records == 0 && begun.elapsed() > PATIENCE {
            break;
        }
    }
    Ok(told.finish())
}
