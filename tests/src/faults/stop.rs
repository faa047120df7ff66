//! SIGSTOP and SIGCONT: a process that stands still with everything open, and goes on as if no time had passed. What it
//! says then is a zombie's word if another one took its place.

use std::time::Duration;

use rustix::process::Signal;
use twinfeed_harness::Error;

use super::{Evidence, Fault, Scene};
use crate::lab::SUBSCRIBERS;

/// Who stands still.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The active, for longer than its lease.
    Active,
    /// The backup.
    Backup,
}

impl Stopped {
    pub(super) const fn active() -> Self {
        Self::Active
    }

    pub(super) const fn backup() -> Self {
        Self::Backup
    }
}

impl Fault for Stopped {
    fn strike(&mut self, scene: &mut Scene, _: usize) -> Result<Vec<Evidence>, Error> {
        let active = scene.active()?;
        let (seat, span) = match self {
            // An adapter's lease is three seconds.
            Self::Active => (active, Duration::from_secs(4)),
            Self::Backup => (active.other(), Duration::from_millis(1_500)),
        };
        let pid = scene.rig.adapter(seat)?.id();
        scene.rig.signal(seat, Signal::STOP)?;
        let flow = scene.flows(span, SUBSCRIBERS);
        let stopped = is_stopped(pid);
        scene.rig.signal(seat, Signal::CONT)?;
        Ok(vec![
            Evidence::of("processes stood still", u64::from(stopped)),
            flow?,
        ])
    }
}

/// Whether a process is stopped by a signal: state `T` in proc_pid_stat(5), behind its name in parentheses.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
    state.is_some_and(|rest| rest.starts_with('T'))
}
