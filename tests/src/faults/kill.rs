//! SIGKILL, at a random moment of the flow: the process ends between two instructions, and its kernel closes what it had
//! open.

use std::os::unix::process::ExitStatusExt as _;

use rustix::process::Signal;
use twinfeed_harness::{Error, Seat};

use super::{Evidence, Fault, LIMIT, Scene};
use crate::lab::SUBSCRIBERS;

/// Whose.
#[derive(Debug)]
pub(super) enum Kill {
    /// The active adapter's.
    Active,
    /// The backup's.
    Backup,
    /// stream-admin's, and the active's while it is away.
    StreamAdmin,
}

impl Kill {
    pub(super) const fn active() -> Self {
        Self::Active
    }

    pub(super) const fn backup() -> Self {
        Self::Backup
    }

    pub(super) const fn stream_admin() -> Self {
        Self::StreamAdmin
    }
}

impl Fault for Kill {
    fn strike(&mut self, scene: &mut Scene, _: usize) -> Result<Vec<Evidence>, Error> {
        let active = scene.active()?;
        let seat = match self {
            Self::Active | Self::StreamAdmin => active,
            Self::Backup => active.other(),
        };
        let alone = matches!(self, Self::StreamAdmin);
        if alone {
            scene.rig.kill_stream_admin();
        }
        let killed = killed(scene, seat)?;
        let flow = scene.flows(AFTERWARDS, SUBSCRIBERS)?;
        if alone {
            scene.rig.restart_stream_admin()?;
        }
        scene.rig.restart(seat)?;
        Ok(vec![Evidence::of("deaths by SIGKILL", killed), flow])
    }
}

/// Kills an adapter; 1 if that is what it died of.
fn killed(scene: &mut Scene, seat: Seat) -> Result<u64, Error> {
    scene.rig.signal(seat, Signal::KILL)?;
    let status = scene.rig.adapter(seat)?.wait(LIMIT)?;
    Ok(u64::from(status.signal() == Some(Signal::KILL.as_raw())))
}

/// How long the survivor is alone at least: longer than the exchange rests between two sessions.
const AFTERWARDS: std::time::Duration = std::time::Duration::from_millis(700);
