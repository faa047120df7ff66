//! Which messages does a BinaryFILE hold, however it is read?
//!
//! The twin reads it from a slice.

use twinfeed_feed_adapter::source::binaryfile::{End, ReadError, Reader};

use crate::input::{Dribble, Input};

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let piece = usize::from(input.byte());
    let bytes = input.rest();
    let mut reader = Reader::new(Dribble { bytes, piece }, "fuzz");
    let mut rest = bytes;
    loop {
        let expected = twin(&mut rest);
        match (reader.next_message(), expected) {
            (Ok(Some(message)), Twin::Message(twin)) => assert_eq!(message, twin),
            (Ok(None), Twin::End(end)) => {
                assert_eq!(reader.end(), Some(end));
                let again = reader.next_message();
                assert!(matches!(again, Ok(None)), "an end is for good");
                return;
            }
            (Err(ReadError::Truncated { .. }), Twin::Cut) => return,
            (other, expected) => panic!("{other:?} where the twin finds {expected:?}"),
        }
    }
}

#[derive(Debug)]
enum Twin<'a> {
    Message(&'a [u8]),
    End(End),
    Cut,
}

fn twin<'a>(rest: &mut &'a [u8]) -> Twin<'a> {
    let (high, low) = match **rest {
        [] => return Twin::End(End::File),
        [_] => return Twin::Cut,
        [high, low, ..] => (high, low),
    };
    let length = usize::from(high) << 8 | usize::from(low);
    if length == 0 {
        return Twin::End(End::Marker);
    }
    match rest.get(2..2 + length) {
        Some(message) => {
            *rest = &rest[2 + length..];
            Twin::Message(message)
        }
        None => Twin::Cut,
    }
}
