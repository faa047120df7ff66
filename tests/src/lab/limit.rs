//! How does a process run out of descriptors?
//!
//! Its own limit is lowered under what it has open: every one that it wants from then on is refused, although it closes
//! others. It goes on with what it has.

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use twinfeed_harness::Error;

/// A lowered limit; dropped, it is what it was.
#[derive(Debug)]
pub struct Limit {
    pid: Pid,
    before: Rlimit,
}

impl Limit {
    /// Lets process `pid` open no descriptor any more.
    ///
    /// # Errors
    /// When there is no such process, or it is not ours.
    pub fn lower(pid: u32) -> Result<Self, Error> {
        let gone = || failed(pid, std::io::ErrorKind::NotFound.into());
        let id = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(gone)?;
        let none = Rlimit {
            // Below the three that every process has.
            current: Some(3),
            // What an unprivileged process lowers it cannot raise: kept.
            maximum: hard_limit(pid),
        };
        let before =
            prlimit(Some(id), Resource::Nofile, none).map_err(|errno| failed(pid, errno.into()))?;
        Ok(Self { pid: id, before })
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // Nobody to tell when the process is gone.
        let _ = prlimit(Some(self.pid), Resource::Nofile, self.before);
    }
}

/// Descriptors that a process has open; `None` when it is gone.
#[must_use]
pub fn descriptors(pid: u32) -> Option<usize> {
    Some(std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

fn hard_limit(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(4)?.parse().ok()
}

fn failed(pid: u32, source: std::io::Error) -> Error {
    Error::Process {
        action: "limit",
        process: format!("process {pid}"),
        source,
    }
}
