//! Which datagrams does a capture hold, however it is read?
//!
//! Reading ends, and what is read does not depend on the pieces in which it came.

use twinfeed_feed_adapter::source::pcap::{Reader, Skipped};

use crate::input::{Dribble, Input};

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let piece = usize::from(input.byte());
    let bytes = input.rest();
    let whole = read(bytes, usize::MAX);
    assert_eq!(whole, read(bytes, piece), "pieces make no difference");
}

/// What came out: datagrams, what was skipped, and in which words it ended.
fn read(bytes: &[u8], piece: usize) -> (Vec<(u64, Vec<u8>)>, Skipped, String) {
    let mut reader = match Reader::new(Dribble { bytes, piece }, "fuzz") {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Skipped::default(), error.to_string()),
    };
    let mut datagrams = Vec::new();
    let end = loop {
        match reader.next_datagram() {
            Ok(Some(datagram)) => {
                assert!(datagram.payload.len() <= bytes.len());
                assert_eq!(datagram.source.is_ipv4(), datagram.destination.is_ipv4());
                datagrams.push((datagram.time, datagram.payload.to_vec()));
                assert!(
                    datagrams.len() <= bytes.len(),
                    "a datagram costs a byte at least"
                );
            }
            Ok(None) => break String::new(),
            Err(error) => break error.to_string(),
        }
    };
    (datagrams, reader.skipped(), end)
}
