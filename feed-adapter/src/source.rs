//! Where do a source's messages come from?
//!
//! The pure half are views of packets and readers of files: [`moldudp64`], [`binaryfile`],
//! [`pcap`], [`pace`]. The other half drives one source's `Lines`: [`live`] from sockets,
//! [`replay`] from a file; [`ahead`] looks at packets before their turn; `requests` asks the exchange for what every line lost.

pub mod ahead;
pub mod binaryfile;
pub mod live;
pub mod moldudp64;
pub mod pace;
pub mod pcap;
pub mod replay;
mod requests;
pub mod soup;
