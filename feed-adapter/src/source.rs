//! In what wrapping do the messages of a source arrive?
//!
//! The pure half of every source: views of packets and readers of files. Sockets, lines and the order
//! in which copies arrive are the business of others.

pub mod binaryfile;
pub mod moldudp64;
pub mod pace;
pub mod pcap;
