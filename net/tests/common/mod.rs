//! What the socket tests share: sockets on loopback, and waiting for arrivals without sleeping.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use twinfeed_net::udp::{
    DestinationKey, Destinations, Receiver, ReceiverConfig, Sender, SenderConfig,
};
use twinfeed_net::wait::{Interest, wait};

/// Ends a test that would otherwise hang; no test depends on how long something takes.
const HANG: Duration = Duration::from_secs(20);

/// One received datagram, owned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Owned {
    pub(crate) bytes: Vec<u8>,
    pub(crate) source: SocketAddr,
    pub(crate) kernel_drops: u32,
    pub(crate) truncated: bool,
}

pub(crate) fn loopback(v6: bool) -> SocketAddr {
    let text = if v6 { "[::1]:0" } else { "127.0.0.1:0" };
    text.parse().unwrap()
}

pub(crate) fn receiver(v6: bool) -> Receiver {
    Receiver::open(&ReceiverConfig::unicast(loopback(v6))).unwrap()
}

pub(crate) fn sender(v6: bool) -> Sender {
    Sender::open(&SenderConfig::new(loopback(v6))).unwrap()
}

/// Destinations with the keys 0, 1, 2, …
pub(crate) fn destinations(sender: &Sender, addresses: &[SocketAddr]) -> Destinations {
    let mut destinations = sender.destinations(addresses.len()).unwrap();
    for (key, &address) in (0..).zip(addresses) {
        destinations.insert(DestinationKey(key), address).unwrap();
    }
    destinations
}

/// Waits until `count` datagrams have arrived.
pub(crate) fn receive(receiver: &mut Receiver, count: usize) -> Vec<Owned> {
    let mut all = Vec::new();
    while all.len() < count {
        let ready = wait([Interest::readable(receiver.as_fd())], Some(HANG)).unwrap();
        assert!(
            !ready.is_empty(),
            "{} of {count} datagrams arrived",
            all.len()
        );
        all.extend(receiver.receive().unwrap().map(|datagram| Owned {
            bytes: datagram.bytes.to_vec(),
            source: datagram.source,
            kernel_drops: datagram.kernel_drops,
            truncated: datagram.truncated,
        }));
    }
    all
}

/// Waits until the socket has something.
pub(crate) fn ready(socket: &impl AsFd) {
    let ready = wait([Interest::readable(socket.as_fd())], Some(HANG)).unwrap();
    assert!(!ready.is_empty(), "nothing arrived");
}

/// `count` numbered payloads of `length` bytes.
pub(crate) fn numbered(count: usize, length: usize) -> Vec<Vec<u8>> {
    (0..count as u64)
        .map(|number| {
            let mut bytes = vec![number as u8; length.max(8)];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            bytes
        })
        .collect()
}

/// The same, as a sender takes them.
pub(crate) fn slices(payloads: &[Vec<u8>]) -> Vec<&[u8]> {
    payloads.iter().map(Vec::as_slice).collect()
}

/// Just the payloads.
pub(crate) fn payloads(received: Vec<Owned>) -> Vec<Vec<u8>> {
    received.into_iter().map(|owned| owned.bytes).collect()
}

/// Sets `SO_NO_CHECK`, which no safe crate names.
#[allow(unsafe_code, reason = "one socket option that no safe crate names")]
pub(crate) fn set_no_check(socket: std::os::fd::BorrowedFd<'_>) {
    use std::os::fd::AsRawFd as _;
    let on: libc::c_int = 1;
    // SAFETY: `on` is a live local of the length passed, and is only read.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NO_CHECK,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0);
}
