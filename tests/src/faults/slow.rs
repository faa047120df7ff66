//! A subscriber that does not poll: its kernel drops what does not fit, of both legs alike. It is told so, and nobody else
//! is any slower for it.

use std::time::Duration;

use twinfeed_harness::Error;
use twinfeed_harness::process::{Seen, until};

use super::{Evidence, Fault, LIMIT, MEANWHILE, Scene};

/// It.
#[derive(Debug)]
pub(super) struct Slow;

impl Fault for Slow {
    fn strike(&mut self, scene: &mut Scene, _: usize) -> Result<Vec<Evidence>, Error> {
        let before = scene.third().status()?;
        scene.third().pause(PAUSE.as_millis() as u64)?;
        // Not asked meanwhile: it answers between two polls.
        let others = [scene.rig.probe().status()?, scene.others[0].status()?];
        scene.go_on(PAUSE)?;
        let after = [scene.rig.probe().status()?, scene.others[0].status()?];
        let got = after
            .iter()
            .zip(&others)
            .map(|(after, before)| after.messages - before.messages);
        let flow = got.min().unwrap_or(0);
        let stop = scene.stop.clone();
        // What its kernel dropped is told with the datagrams behind.
        let third = until("the third subscriber knows", LIMIT, &stop, || {
            let status = scene.third().status()?;
            let more = |leg: usize| status.kernel_drops[leg] > before.kernel_drops[leg];
            Ok(match more(0) && more(1) {
                true => Seen::Met(status),
                false => Seen::NotYet(format!("{status:?}")),
            })
        })?;
        let overrun = |leg: usize| third.kernel_drops[leg] - before.kernel_drops[leg];
        Ok(vec![
            Evidence::of("datagrams of leg 0 overran", overrun(0)),
            Evidence::of("datagrams of leg 1 overran", overrun(1)),
            Evidence::of(MEANWHILE, flow),
        ])
    }
}

/// Brings more than the socket's buffer holds.
const PAUSE: Duration = Duration::from_millis(1_500);
