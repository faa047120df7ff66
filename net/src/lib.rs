//! How do bytes get from the network to a thread, and back, at what cost and with what honesty?
//!
//! ```text
//!  interface ──► names, addresses, flags       clock ──► one reading per duty cycle
//!                                              affinity ─► which core, which name
//!  group/port ─► udp::Receiver ─ recvmmsg ─► Batch ─► Datagram { bytes, source, received,
//!                     │                                          kernel_drops, truncated }
//!                     └─ as_fd ─► idle::Idler (spin · yield · backoff · block)
//!
//!  same host ──► ring::RingWriter ══ shared memory ══► ring::RingReader (many, read-only)
//!
//!                                              memory ──► large tables in huge pages
//!                                              parting ─► sockets first, memory last, when killed
//!  bytes ──────► udp::Sender ─── sendmmsg ─► Destinations (bounded, one counter set each)
//!
//!  peer ◄──────► tcp::Link ──── whole frames, Closed { EndOfStream | Reset | TimedOut }
//!                     └─ as_fd ─► wait::wait (one thread, many sockets, at once)
//!                                    ▲
//!  another thread ── ring ─► bell ───┘       sync ──► queues, cells and atomics, tried by loom
//! ```
//!
//! Receiving and sending take one system call for many datagrams and allocate nothing after
//! construction. What a socket was refused – a clamped buffer, a time stamp from another clock –
//! is a value the caller sees. Rings and queues between threads are crossbeam's; [`sync`] hands
//! them on.
//!
//! Invariant: this crate knows neither `wire` nor `protocol`. A datagram is bytes; that it holds
//! records, or that two sockets are the legs of one feed, is not known here.
//!
//! Invariant: `unsafe` stands in the private module `sys` and nowhere else.
//!
//! Invariant: nothing here logs, and no thread is started; one process is, on request, and never runs.
//!
//! Linux only: batches, drop counters and source filters have no portable equal.

#[cfg(not(target_os = "linux"))]
compile_error!("twinfeed-net needs Linux: recvmmsg, SO_RXQ_OVFL and IP_MULTICAST_ALL are Linux's");

pub mod affinity;
pub mod bell;
pub mod clock;
mod error;
pub mod host;
pub mod idle;
pub mod interface;
pub mod memory;
pub mod parting;
pub mod ring;
pub mod shared;
pub mod sync;
mod sys;
pub mod tcp;
pub mod udp;
pub mod wait;

pub use error::Error;
