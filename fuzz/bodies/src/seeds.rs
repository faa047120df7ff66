//! With what does a fuzzer begin?
//!
//! Inputs that reach deep, made by the product's own encoders and by the simulated exchange; nothing of a real capture is
//! in them. `cargo run -p twinfeed-fuzz-bodies --bin seeds` writes them into a folder per target.

mod control;
mod fill;
mod link;
mod snapshot;
mod source;
mod stream;

/// The seeds of a target.
///
/// # Panics
/// When there is no such target, or an encoder refuses what it is given.
#[must_use]
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "datagram" => stream::datagrams(),
        "arbiter" => noises(6, 400),
        "legs" => noises(4, 200),
        "fill_frame" => fill::frames(),
        "snapshot_frame" => snapshot::frames(),
        "joining" => noises(8, 400),
        "fill_requests" => noises(6, 300),
        "fill_answers" => noises(8, 600),
        "moldudp64" => source::packets(),
        "soup" => source::sessions(),
        "lines" => noises(8, 300),
        "itch50" => source::messages(),
        "binaryfile" => source::binaryfiles(),
        "pcap" => source::captures(),
        "link_frame" => link::frames(),
        "link" => link::connections(),
        "pair" => noises(8, 300),
        "transfer" => link::transfers(),
        "documents" => control::documents(),
        "requests" => control::requests(),
        "answers" => control::answers(),
        "store" => control::rows(),
        "saved" => control::saved(),
        "configuration" => control::configurations(),
        "words" => control::words(),
        other => panic!("there is no target {other}"),
    }
}

/// Courses of events drawn at random, the same ones every time.
fn noises(count: u64, length: usize) -> Vec<Vec<u8>> {
    (1..=count).map(|seed| noise(seed, length)).collect()
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut next = || {
        // xorshift64: any generator does, as long as it never changes.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// What an encoder gives.
///
/// # Panics
/// When it refuses.
fn given<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("a seed is refused: {error:?}"),
    }
}
