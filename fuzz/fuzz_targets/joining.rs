#![no_main]
//! See `fuzz/bodies`: the body of this target, as `cargo test` replays it.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    twinfeed_fuzz_bodies::run(twinfeed_fuzz_bodies::target("joining"), bytes);
});
