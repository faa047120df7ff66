//! How do many datagrams reach many destinations in few system calls, and how does one that fails
//! stay alone with its failure?
//!
//! ```text
//!   datagrams   d0 d1 d2 │ d3        trains of one length, cut by the kernel (UDP_SEGMENT)
//!   messages    (d0‥d2 → A) (d0‥d2 → B) (d3 → A) (d3 → B)        one sendmmsg
//!                             ✗ counted for B, the rest goes on
//! ```
//!
//! Failures come back in two ways. The call itself refuses a message: counted for its
//! destination, and the sending goes on behind it. Or the network reports later (ICMP), which the
//! kernel then pins on whatever message comes next: `IP_RECVERR` keeps the report with the
//! address it is about, so it is counted for the right one and the innocent message is repeated.
//!
//! The socket stays unconnected, so one call serves the whole fan-out. A list with a single destination may have a connected one beside it
//! ([`super::lone`]). A lone datagram to a lone destination takes the short way, a plain send; if that fails, the long one, which knows what to
//! do about it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{SockAddr, Socket};

use super::buffer::{BufferReport, Direction};
use super::config::SenderConfig;
use super::datagrams::Datagrams;
use super::destinations::{Destinations, Entry, errno};
use super::receiver::{bound_address, socket};
use super::train::{Train, couple, uncouple};
use crate::Error;
use crate::interface::Interface;
use crate::sys::option;
use crate::sys::send::{Loading, SendBatch, send_one, take_queued_error};

/// One sending socket with its preallocated batch.
#[derive(Debug)]
pub struct Sender {
    socket: Socket,
    local: SocketAddr,
    buffer: BufferReport,
    batch: SendBatch,
    /// Invariant: neither list ever grows beyond the batch it was made for.
    trains: Vec<Train>,
    plan: Vec<Planned>,
    segment: bool,
    counters: SenderCounters,
    config: SenderConfig,
}

/// What a sender has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SenderCounters {
    /// Send calls.
    pub calls: u64,
    /// Datagrams the kernel accepted, counted once for each destination.
    pub taken: u64,
    /// Datagrams that were not sent, counted once for each destination.
    pub failed: u64,
    /// Failures that the network reported later.
    pub reported: u64,
    /// How often a path refused segmentation, after which it is off.
    pub segmentation_refused: u64,
}

/// What became of one [`Sender::send`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sent {
    /// Datagrams the kernel accepted, counted once for each destination.
    pub taken: usize,
    /// Datagrams that were not sent, counted once for each destination.
    pub failed: usize,
}

/// Which destination and which datagrams a message stands for.
#[derive(Clone, Copy, Debug)]
struct Planned {
    destination: usize,
    first: usize,
    count: usize,
}

impl Sender {
    /// Opens the socket.
    ///
    /// # Errors
    /// Says which setting is wrong and what helps; see [`Error`].
    pub fn open(config: &SenderConfig) -> Result<Self, Error> {
        Error::bounds("batch", config.batch, 1, SenderConfig::MAX_BATCH)?;
        let local = config.local;
        let socket = socket(local)?;
        let buffer = set_buffer(&socket, config)?;
        set_path(&socket, local)?;
        set_multicast(&socket, config)?;
        socket
            .bind(&SockAddr::from(local))
            .map_err(|reason| Error::bind(local, reason))?;
        let known = option::int(socket.as_fd(), libc::SOL_UDP, libc::UDP_SEGMENT).is_ok();
        Ok(Self {
            local: bound_address(&socket, local)?,
            buffer,
            batch: SendBatch::new(config.batch, config.batch),
            trains: Vec::with_capacity(config.batch),
            plan: Vec::with_capacity(config.batch),
            segment: config.segment && known,
            counters: SenderCounters::default(),
            config: config.clone(),
            socket,
        })
    }

    /// An empty list of destinations for this sender, for at most `limit` of them.
    ///
    /// # Errors
    /// If `limit` is 0 or above [`Destinations::MAX_LIMIT`].
    pub fn destinations(&self, limit: usize) -> Result<Destinations, Error> {
        Error::bounds("destinations", limit, 1, Destinations::MAX_LIMIT)?;
        Ok(Destinations::new(self.local.ip(), limit))
    }

    /// Sends every datagram to every destination, in order, without waiting.
    ///
    /// What cannot be sent now is not sent at all, and counted for its destination: the receiver
    /// sees an ordinary loss.
    pub fn send<D: Datagrams + ?Sized>(
        &mut self,
        datagrams: &D,
        destinations: &mut Destinations,
    ) -> Sent {
        let before = self.counters;
        let (count, step) = (datagrams.count(), self.batch.segments());
        if let Some(to) = destinations.only() {
            let (main, local) = (&self.socket, self.local);
            destinations.lone.try_once(main, local, &self.config, to);
            if count == 1 && self.send_alone(datagrams.datagram(0), destinations) {
                return Sent {
                    taken: 1,
                    failed: 0,
                };
            }
        }
        if !destinations.is_empty() {
            for first in (0..count).step_by(step) {
                self.send_some(datagrams, first, step.min(count - first), destinations);
            }
            if self.counters.failed > before.failed {
                let failed = destinations.entries.first();
                let errno = failed.map_or(0, |entry| entry.counters.last_errno);
                destinations.lone.failed(errno);
            }
        }
        Sent {
            taken: (self.counters.taken - before.taken) as usize,
            failed: (self.counters.failed - before.failed) as usize,
        }
    }

    /// Counts the failures that the network has reported meanwhile; for a sender that has nothing
    /// to send and wants to know who is gone. [`Self::send`] does so by itself.
    pub fn take_reports(&mut self, destinations: &mut Destinations) {
        let Destinations { entries, lone, .. } = destinations;
        for socket in [Some(self.socket.as_fd()), lone.socket()]
            .into_iter()
            .flatten()
        {
            self.counters.reported += take_reports(socket, entries);
        }
    }

    /// One datagram to the one destination, if nothing is in the way.
    fn send_alone(&mut self, bytes: &[u8], destinations: &mut Destinations) -> bool {
        let (socket, name) = match destinations.lone.socket() {
            Some(lone) => (lone, None),
            None => (self.socket.as_fd(), destinations.names.first()),
        };
        self.counters.calls += 1;
        match send_one(socket, bytes, name) {
            Ok(()) => {
                self.counters.taken += 1;
                destinations.entries[0].counters.taken += 1;
                true
            }
            Err(error) => {
                if may_concern_another(&error) {
                    let reported = take_reports(socket, &mut destinations.entries);
                    self.counters.reported += reported;
                }
                destinations.lone.failed(errno(&error));
                false
            }
        }
    }

    /// The same socket once more.
    ///
    /// # Errors
    /// Of a sender that connects sockets to the same port, which would take what arrives; and what the system says.
    pub(super) fn shared_socket(&self) -> Result<Socket, Error> {
        if self.config.connect {
            let reason = io::Error::new(
                io::ErrorKind::Unsupported,
                "its sender connects sockets to the port",
            );
            return Err(Error::socket("share", self.local)(reason));
        }
        let shared = self.socket.try_clone();
        shared.map_err(Error::socket("share", self.local))
    }

    /// The address it sends from, with the port the kernel chose if it was to choose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The send buffer as asked for and as granted.
    pub fn buffer(&self) -> BufferReport {
        self.buffer
    }

    /// What was counted so far.
    pub fn counters(&self) -> SenderCounters {
        self.counters
    }

    /// Whether runs of datagrams of one length go out as one message (`UDP_SEGMENT`).
    pub fn segments(&self) -> bool {
        self.segment
    }

    /// One load of at most a batch of datagrams.
    fn send_some<D: Datagrams + ?Sized>(
        &mut self,
        datagrams: &D,
        first: usize,
        count: usize,
        destinations: &mut Destinations,
    ) {
        let lengths = (first..first + count).map(|place| datagrams.datagram(place).len());
        if self.segment {
            couple(lengths, &mut self.trains);
        } else {
            uncouple(count, &mut self.trains);
        }
        let room = self.batch.messages();
        let Destinations {
            names,
            entries,
            lone,
            ..
        } = destinations;
        let connected = lone.socket();
        let mut round = Round {
            socket: connected.unwrap_or(self.socket.as_fd()),
            loading: self.batch.load(),
            plan: &mut self.plan,
            entries,
            counters: &mut self.counters,
            segment: &mut self.segment,
        };
        for place in first..first + count {
            round.loading.segment(datagrams.datagram(place));
        }
        for train in &self.trains {
            for (destination, name) in names.iter().enumerate() {
                if round.plan.len() == room {
                    round.flush();
                }
                let name = connected.is_none().then_some(name);
                round.loading.message(name, train.run.clone(), train.cut);
                round.plan.push(Planned {
                    destination,
                    first: train.run.start,
                    count: train.run.len(),
                });
            }
        }
        round.flush();
    }
}

impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// One load on its way out.
struct Round<'s, 'a> {
    socket: BorrowedFd<'s>,
    loading: Loading<'s, 'a>,
    plan: &'s mut Vec<Planned>,
    entries: &'s mut Vec<Entry>,
    counters: &'s mut SenderCounters,
    segment: &'s mut bool,
}

impl Round<'_, '_> {
    /// Offers every planned message to the kernel, then forgets the plan.
    ///
    /// Every turn moves on or uses up the one repetition of a message, so it ends.
    fn flush(&mut self) {
        let (mut next, mut repeated) = (0, false);
        while next < self.plan.len() {
            self.counters.calls += 1;
            match self.loading.send(self.socket, next) {
                Ok(taken) => {
                    let end = next + taken;
                    (next..end).for_each(|place| self.taken(self.plan[place]));
                    // Stopped short: by a report about an earlier message, or by this message.
                    if end < self.plan.len() {
                        self.take_reports();
                    }
                    (next, repeated) = (end, false);
                }
                Err(error) if !repeated && may_concern_another(&error) => {
                    self.take_reports();
                    repeated = true;
                }
                Err(error) => {
                    self.failed(next, &error);
                    (next, repeated) = (next + 1, false);
                }
            }
        }
        self.plan.clear();
        self.loading.clear_messages();
    }

    fn taken(&mut self, planned: Planned) {
        let datagrams = planned.count as u64;
        self.entries[planned.destination].counters.taken += datagrams;
        self.counters.taken += datagrams;
    }

    fn failed(&mut self, place: usize, error: &io::Error) {
        let planned = self.plan[place];
        if planned.count > 1 && may_be_about_segments(error) {
            self.send_apart(place, planned);
            return;
        }
        self.fail(planned.destination, errno(error), planned.count as u64);
    }

    /// Sends a refused train datagram by datagram. If that works it was the segmentation that was
    /// refused, and it stays off.
    fn send_apart(&mut self, place: usize, planned: Planned) {
        let mut any_taken = false;
        for segment in planned.first..planned.first + planned.count {
            self.counters.calls += 1;
            match self.loading.send_apart(self.socket, place, segment) {
                Ok(()) => {
                    any_taken = true;
                    self.taken(Planned {
                        count: 1,
                        ..planned
                    });
                }
                Err(error) => self.fail(planned.destination, errno(&error), 1),
            }
        }
        if any_taken {
            *self.segment = false;
            self.counters.segmentation_refused += 1;
        }
    }

    fn fail(&mut self, destination: usize, errno: i32, datagrams: u64) {
        self.entries[destination].counters.fail(errno, datagrams);
        self.counters.failed += datagrams;
    }

    fn take_reports(&mut self) {
        self.counters.reported += take_reports(self.socket, self.entries);
    }
}

/// Most reports counted at one go; the rest waits for the next.
const MAX_REPORTS: u64 = 64;

/// Counts what the network reported for the destinations it is about: how many reports.
fn take_reports(socket: BorrowedFd<'_>, entries: &mut [Entry]) -> u64 {
    let mut reported = 0;
    for _ in 0..MAX_REPORTS {
        let Some((address, error)) = take_queued_error(socket) else {
            break;
        };
        // What this host raised itself, the send call has returned and we have counted.
        if let (Some(address), Some(error)) = (address, error)
            && !error.local
        {
            Destinations::report(entries, address, error.errno);
            reported += 1;
        }
    }
    reported
}

/// Whether the kernel may have pinned a report about an earlier message on this one. A full
/// buffer and a length are always a message's own.
fn may_concern_another(error: &io::Error) -> bool {
    !matches!(errno(error), libc::EAGAIN | libc::ENOBUFS | libc::EMSGSIZE)
}

/// Whether a device or path without checksum offload, or with a smaller MTU, may be the cause.
fn may_be_about_segments(error: &io::Error) -> bool {
    matches!(
        errno(error),
        libc::EIO | libc::EINVAL | libc::EMSGSIZE | libc::EOPNOTSUPP
    )
}

pub(super) fn set_buffer(socket: &Socket, config: &SenderConfig) -> Result<BufferReport, Error> {
    let local = config.local;
    if let Some(bytes) = config.send_buffer {
        let set = socket.set_send_buffer_size(bytes);
        set.map_err(Error::option("SO_SNDBUF", local, "ask for less"))?;
    }
    let doubled = socket.send_buffer_size();
    let doubled = doubled.map_err(Error::socket("read SO_SNDBUF of", local))?;
    Ok(BufferReport {
        direction: Direction::Send,
        requested: config.send_buffer,
        granted: doubled / 2,
    })
}

/// Never fragment (ip(7): `IP_PMTUDISC_DO` sets DF); keep reports with their addresses.
pub(super) fn set_path(socket: &Socket, local: SocketAddr) -> Result<(), Error> {
    let options = if local.is_ipv4() {
        [
            (
                libc::SOL_IP,
                libc::IP_MTU_DISCOVER,
                libc::IP_PMTUDISC_DO,
                "IP_MTU_DISCOVER",
            ),
            (libc::SOL_IP, libc::IP_RECVERR, 1, "IP_RECVERR"),
        ]
    } else {
        [
            (
                libc::SOL_IPV6,
                libc::IPV6_MTU_DISCOVER,
                libc::IPV6_PMTUDISC_DO,
                "IPV6_MTU_DISCOVER",
            ),
            (libc::SOL_IPV6, libc::IPV6_RECVERR, 1, "IPV6_RECVERR"),
        ]
    };
    for (level, number, value, name) in options {
        option::set_int(socket.as_fd(), level, number, value).map_err(Error::option(
            name,
            local,
            "it takes a Linux kernel",
        ))?;
    }
    Ok(())
}

fn set_multicast(socket: &Socket, config: &SenderConfig) -> Result<(), Error> {
    let local = config.local;
    let (hops, loop_back) = (i32::from(config.hops), i32::from(config.loop_back));
    let index = match &config.interface {
        Some(selector) => Interface::find_for_multicast(selector)?.index,
        None => 0,
    };
    let failed = |name| Error::option(name, local, "check the interface and the number of hops");
    if local.is_ipv4() {
        socket
            .set_multicast_ttl_v4(u32::from(config.hops))
            .map_err(failed("IP_MULTICAST_TTL"))?;
        socket
            .set_multicast_loop_v4(config.loop_back)
            .map_err(failed("IP_MULTICAST_LOOP"))?;
        option::set_multicast_interface_v4(socket.as_fd(), index).map_err(failed("IP_MULTICAST_IF"))
    } else {
        let set = |number, value, name| {
            option::set_int(socket.as_fd(), libc::SOL_IPV6, number, value).map_err(failed(name))
        };
        set(libc::IPV6_MULTICAST_HOPS, hops, "IPV6_MULTICAST_HOPS")?;
        set(libc::IPV6_MULTICAST_LOOP, loop_back, "IPV6_MULTICAST_LOOP")?;
        set(
            libc::IPV6_MULTICAST_IF,
            index.cast_signed(),
            "IPV6_MULTICAST_IF",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_are_never_sent_in_either_family() {
        let table = [
            (
                "127.0.0.1:0",
                libc::SOL_IP,
                libc::IP_MTU_DISCOVER,
                libc::IP_PMTUDISC_DO,
            ),
            (
                "[::1]:0",
                libc::SOL_IPV6,
                libc::IPV6_MTU_DISCOVER,
                libc::IPV6_PMTUDISC_DO,
            ),
        ];
        for (local, level, number, value) in table {
            let sender = Sender::open(&SenderConfig::new(local.parse().unwrap())).unwrap();
            assert_eq!(
                option::int(sender.as_fd(), level, number).unwrap(),
                value,
                "{local}"
            );
        }
    }
}
