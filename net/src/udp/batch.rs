//! What is known about each datagram of one receive call?

use std::net::{Ipv4Addr, SocketAddr};

use crate::sys::control::Said;
use crate::sys::receive::{Message, ReceiveBatch};

/// One datagram, borrowed from the receiver until its next call.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'r> {
    /// The payload, at an eight-byte aligned address (see
    /// [`ReceiverConfig::merge`](super::ReceiverConfig::merge) for the one exception).
    pub bytes: &'r [u8],
    /// Who sent it, as the network says.
    pub source: SocketAddr,
    /// When it was received, if the receiver asks for times.
    pub received: Option<Timestamp>,
    /// Datagrams this socket dropped between the one before and this one (`SO_RXQ_OVFL`): the
    /// thread came too late, or the buffer is too small. Where the kernel merges them, a merged message counts once.
    pub kernel_drops: u32,
    /// Whether the slot was too short: `bytes` is a prefix.
    pub truncated: bool,
}

/// A receive time with its clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timestamp {
    /// Nanoseconds since the Unix epoch on the clock of `origin`.
    pub ns: u64,
    /// Whose clock.
    pub origin: ClockOrigin,
}

/// Who took a receive time.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ClockOrigin {
    /// The network card, on its own clock.
    Hardware,
    /// The kernel, on the host's `CLOCK_REALTIME`.
    Kernel,
    /// This process after the receive call, on the host's `CLOCK_REALTIME`.
    User,
}

/// What a receiver has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReceiverCounters {
    /// Receive calls.
    pub calls: u64,
    /// Receive calls that found nothing.
    pub empty_calls: u64,
    /// Datagrams handed out.
    pub datagrams: u64,
    /// Bytes of payload handed out.
    pub bytes: u64,
    /// Datagrams handed out as a prefix.
    pub truncated: u64,
    /// Datagrams the kernel dropped at this socket, as far as later datagrams told.
    pub kernel_drops: u64,
    /// Messages of the kernel that a caller received and dropped with an unfinished batch.
    pub abandoned: u64,
}

/// The datagrams of one receive call, in order of arrival.
///
/// Iterate to the end: what is left when the batch is dropped is lost, and counted as abandoned.
#[derive(Debug)]
#[must_use]
pub struct Batch<'r> {
    pub(super) messages: &'r ReceiveBatch,
    pub(super) state: &'r mut BatchState,
    /// Time of day after the call, if the receiver asks for it.
    pub(super) user_ns: Option<u64>,
    pub(super) count: usize,
    pub(super) next: usize,
    pub(super) merged: Option<Merged<'r>>,
}

/// What outlives a batch.
#[derive(Debug, Default)]
pub(super) struct BatchState {
    pub(super) counters: ReceiverCounters,
    /// The kernel's count of drops when it last told.
    pub(super) drops_seen: u32,
}

/// The rest of a message into which the kernel merged several datagrams.
#[derive(Debug)]
pub(super) struct Merged<'r> {
    rest: Datagram<'r>,
    segment: usize,
}

impl Batch<'_> {
    /// Messages of the kernel in this batch: datagrams, unless merged.
    pub fn messages(&self) -> usize {
        self.count
    }

    /// Whether nothing had arrived.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn received(&self, said: &Said) -> Option<Timestamp> {
        let stamp = |origin| move |ns| Timestamp { ns, origin };
        said.hardware_ns
            .map(stamp(ClockOrigin::Hardware))
            .or_else(|| said.software_ns.map(stamp(ClockOrigin::Kernel)))
            .or_else(|| self.user_ns.map(stamp(ClockOrigin::User)))
    }

    /// Drops that the kernel newly reports; its count wraps.
    fn drops_since(&mut self, said: &Said) -> u32 {
        let total = said.drops.unwrap_or(self.state.drops_seen);
        let drops = total.wrapping_sub(self.state.drops_seen);
        self.state.drops_seen = total;
        self.state.counters.kernel_drops += u64::from(drops);
        drops
    }

    fn count(&mut self, datagram: &Datagram<'_>) {
        let counters = &mut self.state.counters;
        counters.datagrams += 1;
        counters.bytes += datagram.bytes.len() as u64;
        counters.truncated += u64::from(datagram.truncated);
    }
}

impl<'r> Batch<'r> {
    /// The payloads of all messages of the kernel, without taking them: for who looks ahead.
    pub fn payloads(&self) -> impl Iterator<Item = &'r [u8]> + use<'r> {
        let messages: &'r ReceiveBatch = self.messages;
        (0..self.count).map_while(|index| messages.payload(index))
    }

    fn next_message(&mut self) -> Option<Datagram<'r>> {
        let messages: &'r ReceiveBatch = self.messages;
        let Message {
            bytes,
            source,
            truncated,
            said,
        } = messages.message(self.next)?;
        self.next += 1;
        let whole = Datagram {
            bytes,
            source: source.unwrap_or(NO_SOURCE),
            received: self.received(&said),
            kernel_drops: self.drops_since(&said),
            truncated,
        };
        match said.segment.map(usize::from) {
            Some(segment) if segment < bytes.len() => Some(self.split(whole, segment)),
            _ => Some(whole),
        }
    }

    /// The first segment of `whole`; what remains waits for the next turn.
    fn split(&mut self, whole: Datagram<'r>, segment: usize) -> Datagram<'r> {
        if whole.bytes.len() <= segment {
            return whole;
        }
        let (first, rest) = whole.bytes.split_at(segment);
        let rest = Datagram {
            bytes: rest,
            kernel_drops: 0,
            ..whole
        };
        self.merged = Some(Merged { rest, segment });
        Datagram {
            bytes: first,
            truncated: false,
            ..whole
        }
    }
}

impl<'r> Iterator for Batch<'r> {
    type Item = Datagram<'r>;

    fn next(&mut self) -> Option<Datagram<'r>> {
        let datagram = match self.merged.take() {
            Some(Merged { rest, segment }) => self.split(rest, segment),
            None => self.next_message()?,
        };
        self.count(&datagram);
        Some(datagram)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let left = self.count - self.next + usize::from(self.merged.is_some());
        self.state.counters.abandoned += left as u64;
    }
}

/// UDP sockets of both families always name the source; this stands where a kernel did not.
const NO_SOURCE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
