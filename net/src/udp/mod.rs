//! How do datagrams come in and go out, many per system call, with nothing lost in silence?
//!
//! A [`Receiver`] is one socket: one group on one interface, from one source if wanted, or one
//! unicast port. A [`Sender`] is one socket with a bounded list of [`Destinations`], multicast
//! groups or unicast hosts alike. Neither ever blocks; neither allocates after it was opened.
//!
//! ```
//! use twinfeed_net::udp::{DestinationKey, Receiver, ReceiverConfig, Sender, SenderConfig};
//!
//! let mut receiver = Receiver::open(&ReceiverConfig::unicast("127.0.0.1:0".parse()?))?;
//! let mut sender = Sender::open(&SenderConfig::new("127.0.0.1:0".parse()?))?;
//! let mut destinations = sender.destinations(8)?;
//! destinations.insert(DestinationKey(1), receiver.local_addr())?;
//!
//! let datagrams: [&[u8]; 2] = [b"first", b"second"];
//! assert_eq!(sender.send(&datagrams[..], &mut destinations).taken, 2);
//! let received: Vec<_> = receiver.receive()?.map(|datagram| datagram.bytes.to_vec()).collect();
//! assert_eq!(received, datagrams);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod buffer;
mod config;
mod datagrams;
mod destinations;
mod lone;
mod merging;
mod pace;
mod receiver;
mod refusing;
mod sender;
mod train;

pub use batch::{Batch, ClockOrigin, Datagram, ReceiverCounters, Timestamp};
pub use buffer::{BufferReport, Direction};
pub use config::{ReceiverConfig, SenderConfig, Timestamps};
pub use datagrams::{Datagrams, Outbox, OutboxFull};
pub use destinations::{DestinationCounters, DestinationError, DestinationKey, Destinations};
pub use receiver::Receiver;
pub use sender::{Sender, SenderCounters, Sent};
