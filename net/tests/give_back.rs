//! Is large memory given back when it is freed? Alone in its process: it is to be said before anything large was made.
#![cfg(target_env = "gnu")]

use twinfeed_net::memory::give_back_what_is_large;

#[test]
fn what_is_large_has_a_mapping_of_its_own_also_after_one_was_freed() {
    assert!(give_back_what_is_large());
    // A piece that is mapped by itself begins behind its 16 bytes of header.
    let place = |()| {
        let piece = vec![1_u8; 4 << 20];
        piece.as_ptr().addr() % 4_096
    };
    assert_eq!([(); 8].map(place), [16; 8]);
}
