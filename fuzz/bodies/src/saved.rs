//! What do adapter and subscriber make of the grants that they saved?
//!
//! Refused, or read; and what was read, written again, is read alike. The digest over an adapter's file keeps a fuzzer
//! out, so that is tried a second time with the digest put right.

use twinfeed_feed_adapter::state::Held;

use crate::input::Input;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.byte() % 3 {
        0 => {
            if let Ok(text) = std::str::from_utf8(input.rest()) {
                held(text);
            }
        }
        1 => {
            let body = input.rest();
            if let Ok(it) = serde_json::from_slice::<Held>(body) {
                match it.text() {
                    Ok(text) => assert!(held(&text), "what was written is read"),
                    Err(error) => panic!("{it:?} cannot be written: {error}"),
                }
            }
        }
        _ => {
            if let Ok(written) = twinfeed_subscriber::rewritten(input.rest()) {
                match twinfeed_subscriber::rewritten(&written) {
                    Ok(again) => assert!(written == again, "what was read is read alike"),
                    Err(error) => panic!("what was written is refused: {error}"),
                }
            }
        }
    }
}

fn held(text: &str) -> bool {
    match Held::parse(text) {
        Ok(held) => {
            let again = held.text().ok().and_then(|text| Held::parse(&text).ok());
            assert_eq!(again, Some(held));
            true
        }
        Err(fault) => {
            assert!(!fault.is_empty());
            false
        }
    }
}
