//! What do adapters and subscribers make of stream-admin's answers?
//!
//! An event stream read in pieces gives the same events as read at once, and ends; a refusal of any status and body is an
//! error that says something. What an event or an answer says is a document: see [`crate::documents`].

use std::io::BufReader;

use twinfeed_control::Error;
use twinfeed_control::sse::{Frame, read_frame};

use crate::input::{Dribble, Input};

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    if input.byte() & 1 == 1 {
        let status = 300 + input.word() % 300;
        let error = Error::from_refusal(status, input.rest());
        assert!(!error.to_string().is_empty());
        assert_ne!(error.exit_code(), 0);
        let _ = error.is_worth_retrying();
        return;
    }
    let piece = usize::from(input.byte());
    let text = input.rest();
    let whole = events(text, usize::MAX);
    assert_eq!(whole, events(text, piece), "pieces make no difference");
    let said: usize = whole.0.iter().flatten().map(String::len).sum();
    assert!(said <= text.len(), "nothing is said that was not sent");
}

/// Data of the events, `None` for signs of life, and whether the stream ended in order.
fn events(bytes: &[u8], piece: usize) -> (Vec<Option<String>>, bool) {
    let mut reader = BufReader::with_capacity(64, Dribble { bytes, piece });
    let mut events = Vec::new();
    loop {
        match read_frame(&mut reader) {
            Ok(Some(Frame::Data(data))) => events.push(Some(data)),
            Ok(Some(Frame::Comment)) => events.push(None),
            Ok(None) => return (events, true),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
                return (events, false);
            }
        }
        assert!(
            events.len() <= bytes.len(),
            "an event costs a byte at least"
        );
    }
}
