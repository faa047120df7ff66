//! How is each trigger pulled, and what is to be mended afterwards?

use std::time::Duration;

use rustix::process::Signal;
use twinfeed_exchange::Command;
use twinfeed_exchange::command::Target;
use twinfeed_harness::{Error, Rig, Seat};

use super::cells::Trigger;

/// Pulls a trigger at the adapter in `seat`; returns the monotonic time read immediately before, ns.
///
/// A sham does all that a kill does: the same system call, with signal 0.
pub(crate) fn pull(rig: &mut Rig, seat: Seat, trigger: Trigger) -> Result<u64, Error> {
    match trigger {
        Trigger::Kill => rig.signal(seat, Signal::KILL),
        Trigger::Stop => rig.signal(seat, Signal::STOP),
        Trigger::Terminate => rig.signal(seat, Signal::TERM),
        Trigger::InputCut => rig.exchange().tell(Command::Cut(lines(seat))),
        Trigger::OutputCut => rig.probe().cut(seat.index(), true),
        Trigger::LinkCut => rig.cut_link(true),
        Trigger::HostLoss => {
            rig.cut_link(true)?;
            let at_ns = rig.probe().cut(seat.index(), true)?;
            rig.signal(seat, Signal::KILL)?;
            Ok(at_ns)
        }
        Trigger::HandOver => rig.hand_over(),
        Trigger::Sham => rig.adapter(seat)?.touch(),
    }
}

/// Brings back what a trigger took away; what it cost is back in the session after the next opening.
///
/// # Errors
/// An adapter that was told to leave and did not say 0 is an error: it did not leave in order.
pub(crate) fn mend(rig: &mut Rig, seat: Seat, trigger: Trigger) -> Result<(), Error> {
    match trigger {
        Trigger::Kill => rig.restart(seat),
        Trigger::Stop => rig.signal(seat, Signal::CONT).map(drop),
        Trigger::Terminate => {
            let process = rig.adapter(seat)?;
            let status = process.wait(LEAVE_LIMIT)?;
            if !status.success() {
                process.expect_running()?;
            }
            rig.restart(seat)
        }
        Trigger::InputCut => rig.exchange().tell(Command::Restore(lines(seat))).map(drop),
        Trigger::OutputCut => rig.probe().cut(seat.index(), false).map(drop),
        Trigger::LinkCut => rig.cut_link(false).map(drop),
        Trigger::HostLoss => {
            rig.probe().cut(seat.index(), false)?;
            rig.cut_link(false)?;
            rig.restart(seat)
        }
        // It was done within the window, or the run is none.
        Trigger::HandOver => rig.until_handed_over(LEAVE_LIMIT),
        Trigger::Sham => Ok(()),
    }
}

/// Both lines into an adapter.
const fn lines(seat: Seat) -> Target {
    Target {
        destination: seat.index(),
        line: None,
    }
}

/// How long an adapter may take to leave.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);
