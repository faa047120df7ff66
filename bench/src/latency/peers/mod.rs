//! Other systems, each with the same records, the same times and the same counting; built only where they are asked for.
//!
//! A message is the number, eight bytes, and the record behind it: who wants to know what is missing, or to merge two streams, brings a number along.

#[cfg(feature = "aeron")]
pub(super) mod aeron;
#[cfg(feature = "nats")]
pub(crate) mod nats;
#[cfg(feature = "zenoh")]
pub(super) mod zenoh;

#[cfg(any(feature = "nats", feature = "zenoh"))]
use crate::error::Error;

/// Before a record is due, a publisher gives no turn to what could be in its way, such as a driver. That is kind to a peer: a publisher that does not know
/// what comes when would run into such a turn now and then.
#[cfg(any(feature = "aeron", feature = "nats"))]
const QUIET_NS: u64 = 2_000;

/// The number and the record behind it.
#[cfg(any(feature = "nats", feature = "zenoh"))]
fn message(number: u64, record: &[u8]) -> Vec<u8> {
    [&number.to_le_bytes(), record].concat()
}

/// A TCP port of loopback that nobody has at the moment.
#[cfg(any(feature = "nats", feature = "zenoh"))]
pub(crate) fn free_port() -> Result<u16, Error> {
    let any = (std::net::Ipv4Addr::LOCALHOST, 0);
    let listener = std::net::TcpListener::bind(any).map_err(Error::Socket)?;
    let address = listener.local_addr().map_err(Error::Socket)?;
    Ok(address.port())
}
