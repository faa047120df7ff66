//! What does a handler under test say?
//!
//! One record per line of text, as CSV or as a JSON object; `docs/certify.md` is the normative text. CSV:
//!
//! ```text
//!  ready
//!  message,SESSION,SEQUENCE,TYPE[,TIMESTAMP]
//!  gap,SESSION,FROM,TO
//!  reset,SESSION[,NEXT]
//!  end,SESSION[,NEXT]
//!  stale[,SESSION]
//!  live[,SESSION]
//! ```
//!
//! An empty SESSION means the one that the handler is in; empty fields at the end may be left out. Empty lines and
//! those that begin with `#` say nothing.

use serde::Deserialize;

/// One record of a handler's output.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(tag = "event", rename_all = "lowercase", deny_unknown_fields)]
pub enum Said {
    /// It listens to both lines, and what is sent from now on is owed.
    Ready {},
    /// A message is delivered.
    Message {
        /// Its session; empty: the one at hand.
        #[serde(default)]
        session: String,
        /// Its number.
        sequence: u64,
        /// Its ITCH type, one letter; empty: not told.
        #[serde(default, rename = "type")]
        kind: String,
        /// Its ITCH timestamp, nanoseconds since midnight.
        timestamp: Option<u64>,
    },
    /// Numbers `from` to `to`, both included, will never be delivered.
    Gap {
        /// Their session; empty: the one at hand.
        #[serde(default)]
        session: String,
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The numbering starts afresh.
    Reset {
        /// The session that begins; empty: whichever comes next.
        #[serde(default)]
        session: String,
        /// The number of the message that comes next.
        next: Option<u64>,
    },
    /// The session is over.
    End {
        /// Which; empty: the one at hand.
        #[serde(default)]
        session: String,
        /// The number behind its last message.
        next: Option<u64>,
    },
    /// No line speaks any more.
    Stale {
        /// Of which session.
        #[serde(default)]
        session: String,
    },
    /// A line speaks again.
    Live {
        /// Of which session.
        #[serde(default)]
        session: String,
    },
}

/// A line that is no record.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{line:?} is no record: {fault}; logs belong on standard error")]
pub struct NoRecord {
    /// Its beginning.
    pub line: String,
    /// What is wrong with it.
    pub fault: String,
}

/// Longest part of a bad line that is quoted, letters.
const QUOTED: usize = 120;

/// What a line says; `None`: nothing.
///
/// # Errors
/// [`NoRecord`] quotes it and says what is wrong.
pub fn parse(line: &str) -> Result<Option<Said>, NoRecord> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let said = match line.starts_with('{') {
        true => serde_json::from_str(line).map_err(|error| error.to_string()),
        false => csv(line),
    };
    said.map(Some).map_err(|fault| NoRecord {
        line: line.chars().take(QUOTED).collect(),
        fault,
    })
}

fn csv(line: &str) -> Result<Said, String> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let text = |at: usize| fields.get(at).copied().unwrap_or_default().to_owned();
    let maybe = |at: usize, what: &str| match fields.get(at).copied().unwrap_or_default() {
        "" => Ok(None),
        digits => match digits.parse::<u64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("{what} is no number: {digits:?}")),
        },
    };
    let number = |at, what| maybe(at, what)?.ok_or_else(|| format!("{what} is missing"));
    let most = |most: usize, form: &str| match fields.len() > most {
        true => Err(format!("more fields than `{form}` has")),
        false => Ok(()),
    };
    match fields[0] {
        "ready" => most(1, "ready").map(|()| Said::Ready {}),
        "message" => {
            most(5, "message,SESSION,SEQUENCE,TYPE,TIMESTAMP")?;
            Ok(Said::Message {
                session: text(1),
                sequence: number(2, "SEQUENCE")?,
                kind: text(3),
                timestamp: maybe(4, "TIMESTAMP")?,
            })
        }
        "gap" => {
            most(4, "gap,SESSION,FROM,TO")?;
            Ok(Said::Gap {
                session: text(1),
                from: number(2, "FROM")?,
                to: number(3, "TO")?,
            })
        }
        "reset" => {
            most(3, "reset,SESSION,NEXT")?;
            let (session, next) = (text(1), maybe(2, "NEXT")?);
            Ok(Said::Reset { session, next })
        }
        "end" => {
            most(3, "end,SESSION,NEXT")?;
            let (session, next) = (text(1), maybe(2, "NEXT")?);
            Ok(Said::End { session, next })
        }
        "stale" => most(2, "stale,SESSION").map(|()| Said::Stale { session: text(1) }),
        "live" => most(2, "live,SESSION").map(|()| Said::Live { session: text(1) }),
        _ => Err("a record begins with ready, message, gap, reset, end, stale or live".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let session = || "C000010101".to_owned();
        let table = [
            ("ready", r#"{"event":"ready"}"#, Said::Ready {}),
            (
                "message,C000010101,7,A,34200000000001",
                r#"{"event":"message","session":"C000010101","sequence":7,"type":"A","timestamp":34200000000001}"#,
                Said::Message {
                    session: session(),
                    sequence: 7,
                    kind: "A".to_owned(),
                    timestamp: Some(34_200_000_000_001),
                },
            ),
            (
                "message,,7",
                r#"{"event":"message","sequence":7}"#,
                Said::Message {
                    session: String::new(),
                    sequence: 7,
                    kind: String::new(),
                    timestamp: None,
                },
            ),
            (
                "gap, C000010101, 8, 9",
                r#"{"event":"gap","session":"C000010101","from":8,"to":9}"#,
                Said::Gap {
                    session: session(),
                    from: 8,
                    to: 9,
                },
            ),
            (
                "reset,C000010101,1",
                r#"{"event":"reset","session":"C000010101","next":1}"#,
                Said::Reset {
                    session: session(),
                    next: Some(1),
                },
            ),
            (
                "end,C000010101",
                r#"{"event":"end","session":"C000010101"}"#,
                Said::End {
                    session: session(),
                    next: None,
                },
            ),
            (
                "stale",
                r#"{"event":"stale"}"#,
                Said::Stale {
                    session: String::new(),
                },
            ),
            (
                "live",
                r#"{"event":"live"}"#,
                Said::Live {
                    session: String::new(),
                },
            ),
        ];
        for (csv, json, said) in table {
            assert_eq!(parse(csv), Ok(Some(said.clone())), "{csv}");
            assert_eq!(parse(json), Ok(Some(said)), "{json}");
        }
        assert_eq!((parse(""), parse("# a remark")), (Ok(None), Ok(None)));
    }

    #[test]
    fn what_is_no_record_is_quoted_with_its_fault() {
        for (line, fault) in [
            ("INFO joined 239.1.1.1", "begins with"),
            ("message,S,x", "SEQUENCE is no number"),
            ("gap,S,1", "TO is missing"),
            ("gap,S,1,2,3", "more fields"),
            (r#"{"event":"gap","from":1}"#, "missing field `to`"),
            (r#"{"event":"lost"}"#, "unknown variant"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.fault.contains(fault), "{line}: {error}");
            assert_eq!(error.line, line);
        }
    }
}
