//! What does either side make of a frame of the fill socket?
//!
//! Refused, or read whole; and what was read, written again, is the same bytes. The check over a frame keeps a fuzzer out,
//! so the same bytes are tried a second time with the check put right.

use twinfeed_wire::VERSION;
use twinfeed_wire::fill::{
    FILL_MAGIC, Fill, LONGEST_REQUEST, MOST_RANGES, is_fill, write_reply, write_request,
};
use xxhash_rust::xxh3::xxh3_64;

pub(crate) fn run(bytes: &[u8]) {
    judge(bytes);
    let mut whole = bytes.to_vec();
    if put_right(&mut whole) {
        judge(&whole);
    }
}

/// Makes of bytes a frame whose magic, version and check are right; `false`: no frame is as short.
pub(crate) fn put_right(bytes: &mut [u8]) -> bool {
    if bytes.len() < HEADER_LENGTH {
        return false;
    }
    bytes[..2].copy_from_slice(&FILL_MAGIC.to_le_bytes());
    bytes[2] = VERSION;
    // By itself, not by the product's encoder: `docs/wire-format.md`, section 7.
    let check = xxh3_64(&bytes[HEADER_LENGTH..]) ^ xxh3_64(&bytes[..CHECK_AT]).rotate_left(32);
    bytes[CHECK_AT..HEADER_LENGTH].copy_from_slice(&check.to_le_bytes());
    true
}

fn judge(bytes: &[u8]) {
    match Fill::parse(bytes) {
        Ok(Fill::Request(request)) => {
            let ranges: Vec<_> = request.ranges().collect();
            assert!((1..=MOST_RANGES).contains(&ranges.len()));
            assert!(request.is_as(&request));
            let mut again = [0xA5; LONGEST_REQUEST];
            let length = write_request(&mut again, request.header(), &ranges);
            assert!(again[..length] == *bytes, "what was read is written alike");
            assert!(is_fill(bytes));
        }
        Ok(Fill::Reply(reply)) => {
            assert!(
                write_reply(&reply)[..] == *bytes,
                "what was read is written alike"
            );
            assert!(is_fill(bytes));
        }
        Err(bad) => assert!(!bad.to_string().is_empty()),
    }
}

const CHECK_AT: usize = 24;
const HEADER_LENGTH: usize = 32;
