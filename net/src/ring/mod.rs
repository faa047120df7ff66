//! How do datagrams reach subscribers on the adapter's own host without the network?
//!
//! A ring in shared memory: one process writes what it also sends by UDP, any number of others read. A write costs the
//! writer a copy and three stores, whoever reads; it makes no system call, waits for nobody and reads nothing that a reader
//! could have written, for readers can write nowhere: the kernel maps the memory for them to read, and no handle that they
//! have gives more.
//!
//! ```text
//!                 memory of a sealed file
//!                ┌────────┬───────┬───────┬─────┬───────┐
//!  writer ──────►│ header │ slot 0│ slot 1│  …  │ slot s│──► reader ─► copy of its own ─► whole? ─► the application
//!                └────────┴───────┴───────┴─────┴───────┘──► reader ─► …
//!  offer ── the file, over a Unix socket ──► take
//! ```
//!
//! Datagram `n` stands in slot `n` modulo their number, whatever its length. So a length that lies leads nobody astray, a
//! reader that was lapped knows to the last one what it lost, and goes on with the newer half of what is held.
//!
//! No lock exists, so a writer that dies leaves none held: readers read what was written and then see silence. One that
//! starts again makes a ring of its own, with another incarnation, and readers ask for it anew.
//!
//! Readers poll. Waking one is a system call per datagram for the writer, or a word that readers write, and the sleeper's
//! wake-up alone takes ten times what UDP takes: who sleeps rather than spins is served by UDP, which wakes it.
//!
//! ```
//! use twinfeed_net::ring::{RingConfig, RingReader, RingWriter};
//! use std::os::fd::AsFd;
//!
//! let mut writer = RingWriter::create(&RingConfig::new(7).slots(64))?;
//! // In another process, by way of `RingOffer` and `RingTake`.
//! let mut reader = RingReader::open(writer.as_fd(), RingReader::DEFAULT_MOST_BYTES)?;
//!
//! writer.push(b"first")?;
//! let datagram = reader.receive()?.expect("it is there");
//! assert_eq!((datagram.bytes, datagram.lost), (&b"first"[..], 0));
//! assert_eq!(reader.receive()?, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cursor;
mod error;
mod handover;
mod layout;
mod reader;
mod slot;
#[cfg(test)]
mod trial;
mod writer;

pub use error::{Broken, RingError, TooLong};
pub use handover::{Asked, Peer, RingOffer, RingTake};
pub use reader::{RingCounters, RingDatagram, RingReader};
pub use writer::{Published, RingConfig, RingWriter};
