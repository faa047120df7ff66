//! What is wrong with a configuration, where, and what helps?

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A configuration that is refused, whole. Exit code 78.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError {
    /// The file at fault; `None` when a flag or the environment is.
    pub file: Option<PathBuf>,
    /// Line in it, from 1, where known.
    pub line: Option<usize>,
    /// The key at fault, dotted; empty when the file as a whole is.
    pub key: String,
    /// What is wrong.
    pub fault: String,
    /// What to do about it.
    pub remedy: String,
}

impl ConfigError {
    /// A fault of `key` in no particular file.
    pub fn new(
        key: impl Into<String>,
        fault: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            file: None,
            line: None,
            key: key.into(),
            fault: fault.into(),
            remedy: remedy.into(),
        }
    }

    /// Refuses what does not hold: the first of `rules` – a key, what its value must, whether it does – that is broken.
    pub(super) fn check(rules: &[(&str, &str, bool)]) -> Result<(), Self> {
        match rules.iter().find(|(_, _, holds)| !holds) {
            Some((key, must, _)) => {
                Err(Self::new(*key, "out of bounds", format!("it must {must}")))
            }
            None => Ok(()),
        }
    }

    /// What the file system said about `file`.
    pub(crate) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        let remedy = "check the path and its permissions, or write one with `twinfeed config init`";
        Self {
            file: Some(file.to_owned()),
            ..Self::new("", format!("cannot be read: {error}"), remedy)
        }
    }

    /// What the TOML parser said about the text of `file`.
    pub(crate) fn unparsable(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or_default();
        let message = error.message();
        let remedy = if message.starts_with("unknown field") {
            "correct the spelling or remove the key"
        } else if message.starts_with("missing field") {
            "add the key; `twinfeed config init` shows every key with its meaning"
        } else {
            "correct the value; `twinfeed config init` shows every key with its meaning"
        };
        // A missing key stands on no line: the span is that of the table it is missing from.
        let missing = message.starts_with("missing field");
        let key = if missing {
            String::new()
        } else {
            key_at(text, &span)
        };
        Self {
            file: Some(file.to_owned()),
            line: Some(line_of(text, span.start)),
            ..Self::new(key, message.trim(), remedy)
        }
    }

    /// Names the file, and the line on which the last part of the key stands there.
    pub(crate) fn found_in(mut self, file: &Path, text: &str) -> Self {
        let name = self.key.rsplit('.').next().unwrap_or_default();
        let stands = |line: &&str| {
            let start = line.trim_start().trim_start_matches(['[']);
            let rest = start.strip_prefix(name).filter(|_| !name.is_empty());
            rest.is_some_and(|rest| rest.trim_start().starts_with(['=', ']', '.']))
        };
        self.line = text.lines().position(|line| stands(&line)).map(|at| at + 1);
        self.file = Some(file.to_owned());
        self
    }
}

/// Line number, from 1, of the byte at `offset`.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

/// The key of the line on which `span` begins, or nothing if there is none.
fn key_at(text: &str, span: &Range<usize>) -> String {
    let line = text
        .lines()
        .nth(line_of(text, span.start) - 1)
        .unwrap_or_default();
    let key = line.split_once('=').map_or("", |(key, _)| key).trim();
    key.to_owned()
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        write!(f, "{}; {}", self.fault, self.remedy)
    }
}

impl std::error::Error for ConfigError {}
