//! What does either side make of a frame of a snapshot?
//!
//! Refused, or read whole; and what was read, written again, is the same bytes. A reader asks a header how long the frame is before it
//! takes it: what it is told must be what is read, and bounded. The check over a frame keeps a fuzzer out, so the same bytes are tried
//! a second time with the check put right.

use twinfeed_wire::snapshot::{
    Digest, FRAME_HEADER_LENGTH, LONGEST_FRAME, MOST_ORDERS, SNAPSHOT_MAGIC, SNAPSHOT_VERSION,
    Snapshot, frame_length,
};
use xxhash_rust::xxh3::xxh3_64;

pub(crate) fn run(bytes: &[u8]) {
    judge(bytes);
    let mut whole = bytes.to_vec();
    if put_right(&mut whole) {
        judge(&whole);
    }
}

/// Makes of bytes a frame whose magic, version, length and check are right; `false`: no frame is as short.
fn put_right(bytes: &mut [u8]) -> bool {
    if bytes.len() < FRAME_HEADER_LENGTH {
        return false;
    }
    bytes[..2].copy_from_slice(&SNAPSHOT_MAGIC.to_le_bytes());
    bytes[2] = SNAPSHOT_VERSION;
    let length = (bytes.len() - FRAME_HEADER_LENGTH) as u32;
    bytes[4..CHECK_AT].copy_from_slice(&length.to_le_bytes());
    // By itself, not by the product's encoder: `docs/wire-format.md`, section 8.
    let check =
        xxh3_64(&bytes[FRAME_HEADER_LENGTH..]) ^ xxh3_64(&bytes[..CHECK_AT]).rotate_left(32);
    bytes[CHECK_AT..FRAME_HEADER_LENGTH].copy_from_slice(&check.to_le_bytes());
    true
}

fn judge(bytes: &[u8]) {
    let stated = bytes.first_chunk().map(frame_length);
    if let Some(Ok(length)) = stated {
        assert!((FRAME_HEADER_LENGTH..=LONGEST_FRAME).contains(&length));
    }
    let read = match Snapshot::parse(bytes) {
        Ok(read) => read,
        Err(bad) => return assert!(!bad.to_string().is_empty()),
    };
    assert!(
        stated == Some(Ok(bytes.len())),
        "a frame is as long as it says"
    );
    if let Snapshot::Orders(orders) = &read {
        assert!((1..=MOST_ORDERS).contains(&orders.len()));
        assert!(orders.iter().all(|order| order.size > 0));
    }
    let mut again = vec![0xA5; LONGEST_FRAME];
    let length = read.emit(&mut again);
    assert!(again[..length] == *bytes, "what was read is written alike");
    let mut digest = Digest::default();
    digest.add(bytes);
    assert!(digest.frames() == 1);
}

const CHECK_AT: usize = 8;
