//! Where does one server-sent event end?
//!
//! ```text
//!   : keep-alive        a comment
//!   id: 17              fields, one per line
//!   data: {"…"}
//!                       an empty line: the event is complete
//! ```
//!
//! The subset of the HTML standard (section 9.2) that stream-admin sends: `data` and comments; other
//! fields are skipped. Lines may end in LF or CRLF. An event longer than [`EVENT_LIMIT`] is an error.

use std::io::{self, BufRead};

/// Longest event, in bytes; tens of thousands of destinations fit.
pub const EVENT_LIMIT: usize = 16 << 20;

/// One thing that arrived.
#[derive(Debug, Eq, PartialEq)]
pub enum Frame {
    /// A complete event's data.
    Data(String),
    /// A sign of life.
    Comment,
}

/// Reads the next frame; `None` at the end of the stream. An unfinished event at the end is dropped,
/// as the standard asks.
///
/// # Errors
/// What `input` says, and [`io::ErrorKind::InvalidData`] for what is no event or none of bounded length.
pub fn read_frame(input: &mut impl BufRead) -> io::Result<Option<Frame>> {
    let mut data: Option<String> = None;
    let mut line = Vec::new();
    let mut length = 0;
    loop {
        line.clear();
        let limit = (EVENT_LIMIT - length + 1) as u64;
        if io::Read::take(&mut *input, limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        length += line.len();
        if length > EVENT_LIMIT {
            return Err(invalid("an event is longer than the limit"));
        }
        let text = std::str::from_utf8(&line).map_err(|_| invalid("an event is not UTF-8"))?;
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            if let Some(data) = data.take() {
                return Ok(Some(Frame::Data(data)));
            }
        } else if text.starts_with(':') {
            if data.is_none() {
                return Ok(Some(Frame::Comment));
            }
        } else if let Some(value) = text.strip_prefix("data:") {
            let value = value.strip_prefix(' ').unwrap_or(value);
            let data = data.get_or_insert_default();
            if !data.is_empty() {
                data.push('\n');
            }
            data.push_str(value);
        }
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(mut input: &[u8]) -> Vec<Frame> {
        std::iter::from_fn(|| read_frame(&mut input).unwrap()).collect()
    }

    #[test]
    fn events_end_at_empty_lines() {
        let input =
            b": hi\n\nid: 1\ndata: {\"a\":1}\n\nevent: x\r\ndata:two\r\ndata: lines\r\n\r\n";
        let data = |text: &str| Frame::Data(text.to_owned());
        assert_eq!(
            frames(input),
            [Frame::Comment, data("{\"a\":1}"), data("two\nlines")]
        );
    }

    #[test]
    fn an_unfinished_event_is_dropped() {
        assert_eq!(frames(b"data: half"), []);
        assert_eq!(frames(b"data: half\n"), []);
        assert_eq!(frames(b""), []);
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut endless = io::BufReader::new(io::repeat(b'x'));
        assert!(read_frame(&mut endless).is_err());
        let mut endless = io::BufReader::new(RepeatLine);
        assert!(read_frame(&mut endless).is_err());
    }

    struct RepeatLine;
    impl io::Read for RepeatLine {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            for (slot, byte) in to.iter_mut().zip(b"data: x\n".iter().cycle()) {
                *slot = *byte;
            }
            Ok(to.len() / 8 * 8)
        }
    }
}
