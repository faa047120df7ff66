//! Two builds of the product in one pair: another build's adapter beside ours, both of the other, and back, by hand-overs,
//! as `docs/upgrade.md` tells an operator to.

use rustix::process::Signal;
use twinfeed_harness::process::Program;
use twinfeed_harness::{Error, Seat};

use super::{Evidence, Fault, LIMIT, Scene};

/// Names the other build's `twinfeed`.
pub(super) const OTHER_BUILD: &str = "TWINFEED_OTHER_BUILD";

/// It.
#[derive(Debug, Default)]
pub(super) struct Mixed {
    /// The build under test.
    ours: Option<Program>,
}

impl Fault for Mixed {
    fn strike(&mut self, scene: &mut Scene, _: usize) -> Result<Vec<Evidence>, Error> {
        let other = std::env::var_os(OTHER_BUILD).map(Program::at);
        let missing = || Error::Run {
            key: OTHER_BUILD,
            fault: "name another build's twinfeed".to_owned(),
        };
        let other = other.ok_or_else(missing)?;
        let ours = self
            .ours
            .get_or_insert_with(|| scene.rig.program().clone())
            .clone();
        let (mut mixed, mut replaced) = (0, 0);
        for build in [&other, &ours] {
            scene.rig.set_program(build);
            for _ in Seat::BOTH {
                let backup = scene.active()?.other();
                replace(scene, backup)?;
                scene.until_whole()?;
                replaced += 1;
                let running = Seat::BOTH.map(|seat| runs(scene, seat));
                mixed += u64::from(running[0] != running[1]);
                scene.rig.hand_over()?;
                scene.rig.until_handed_over(LIMIT)?;
                scene.until_whole()?;
            }
        }
        Ok(vec![
            Evidence::of("adapters replaced", replaced),
            Evidence::of("pairs of two builds", mixed),
        ])
    }
}

/// The adapter leaves in order, and one of the build that is set takes its seat.
fn replace(scene: &mut Scene, seat: Seat) -> Result<(), Error> {
    scene.rig.signal(seat, Signal::TERM)?;
    scene.rig.adapter(seat)?.wait(LIMIT)?;
    scene.rig.restart(seat)
}

/// Which program an adapter is; the kernel knows.
fn runs(scene: &mut Scene, seat: Seat) -> Option<std::path::PathBuf> {
    let pid = scene.rig.adapter(seat).ok()?.id();
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}
