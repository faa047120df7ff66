//! Was a record told out of turn?
//!
//! Under prefer-active one leg is delivered and the other one held: what the other brings comes first only where the
//! preferred one has gone past it, has kept it waiting for `lag_time`, or cannot be relied on (RM-11). Which leg is
//! preferred, a receipt says; before the first one nobody here knows. A switch tells what it releases before its
//! receipt, so a record is judged when everything of the same moment was told.

use core::time::Duration;

use twinfeed_protocol::time::Time;
use twinfeed_protocol::{Leg, LegState, Policy, Receipt};

use super::claims::{NARROW_WINDOW, SMALL_HOLD};
use super::witness::{Judgement, Witness};
use super::{Copied, Ledger};

/// Whose turn it is, as far as an application was told.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    preferred: Option<Leg>,
    /// The first record that was told out of turn, by which leg.
    early: Option<(Leg, String)>,
}

impl Turns {
    /// A receipt names the leg that is preferred from here on.
    pub fn switched(&mut self, receipt: &Receipt) {
        let to = receipt.from_leg.other();
        self.preferred = Some(to);
        self.early.take_if(|(by, _)| *by == to);
    }

    /// A record of `leg` was told, out of turn for this reason if there is one.
    pub(super) fn record(&mut self, leg: Leg, early: Option<String>) {
        if self.early.is_none() {
            self.early = early.map(|what| (leg, what));
        }
    }

    /// Everything of one moment was told.
    ///
    /// # Errors
    /// A record was told out of turn.
    pub fn settle(&mut self) -> Judgement {
        self.early.take().map_or(Ok(()), |(_, what)| Err(what))
    }
}

/// Why a record is told out of turn, if it is.
pub(super) fn early(
    witness: &Witness,
    now: Time,
    record: &Copied,
    ledger: &Ledger,
) -> Option<String> {
    let (place, limits) = (record.place(), &witness.limits);
    let roomy = limits.held_records >= SMALL_HOLD && limits.window >= NARROW_WINDOW;
    let judged = limits.policy == Policy::PreferActive && witness.scattered.is_none();
    if !judged || !roomy || witness.overflowed {
        return None;
    }
    let preferred = witness.turns.preferred.filter(|it| *it != record.leg)?;
    let [this, other] = [preferred, record.leg].map(|leg| &witness.heard.legs[leg.index()]);
    let here = (witness.epoch, witness.context);
    let plain = [this, other].iter().all(|leg| leg.is_plain(here.0, here.1));
    let relied_on = this
        .last
        .is_some_and(|last| now.since(last) < limits.heartbeat)
        && this.state == LegState::Live
        && !this.stepped_down
        && !this.said_stale
        && !other.said_peer_lost
        && plain
        && !this.standby
        && witness.pinned.is_none()
        && this.context_since < now
        && !witness.has_passed(this.epoch, ledger);
    let came = other.brought_at(witness.epoch, witness.context, place);
    let waited = came.map_or(Duration::MAX, |came| now.since(came));
    let its_turn = this.progress == 0 || this.progress > place.sseq;
    (relied_on && !its_turn && waited < limits.lag_time).then(|| {
        let by = record.leg;
        format!("record {place} of leg {by} after {waited:?}, though leg {preferred} is preferred")
    })
}
