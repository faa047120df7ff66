//! The other process of a bench: this program again, which says a line of JSON now and then.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// A process that says what it was asked for, line by line.
#[derive(Debug)]
pub(crate) struct Other {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Other {
    /// Starts this program with other arguments.
    pub(crate) fn start(args: &[&str]) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(Error::Subscriber)?;
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::Subscriber)?;
        let says = child.stdout.take().map(BufReader::new);
        let says = says.ok_or_else(|| Error::Subscriber(std::io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self { child, says })
    }

    /// Waits for its next line.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let mut line = String::new();
        self.says.read_line(&mut line).map_err(Error::Subscriber)?;
        serde_json::from_str(&line).map_err(|error| Error::Subscriber(error.into()))
    }

    /// Waits for its last line, and for its end.
    pub(crate) fn finish<T: DeserializeOwned>(mut self) -> Result<T, Error> {
        let last = self.hear();
        self.child.wait().map_err(Error::Subscriber)?;
        last
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It may be waiting for what never comes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In the other process: says a line.
pub(crate) fn say(what: &impl Serialize) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    let text = serde_json::to_string(what).unwrap_or_default();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(Error::Subscriber)
}
