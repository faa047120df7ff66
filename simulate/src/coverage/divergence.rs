//! `protocol/tables/divergence.md`: where a source stands with a divergence, at a subscriber × what happens.
//!
//! The table's leg 0 is the one that is active, or that was pinned first; leg 1 is the other one.

use twinfeed_protocol::{Arbiter, Control, Event, Leg, LegState, LegStatus, Policy, ResetCause};
use twinfeed_wire::{Generation, Sid};

use super::{Cell, Coverage, Machine, Table};

/// The table.
pub const TABLE: Table = Table {
    machine: Machine::Divergence,
    name: "divergence",
    cells: 2 * EVENTS.len() * STATES.len(),
    label,
    is_transition: |_| true,
    excuse,
};

const STATES: [&str; 5] = [
    "merged",
    "merged, leg 1 lost",
    "pinned to 0",
    "pinned to 0, one range agrees",
    "pinned to 1, for 0 was lost",
];

const EVENTS: [&str; 9] = [
    "a range agrees",
    "a range differs",
    "leg 0 is lost",
    "leg 1 is lost",
    "leg 0 speaks",
    "leg 1 is active in a newer generation",
    "the same word again: leg 0 is active",
    "order: leg 1",
    "a new epoch, brought by leg 1 first",
];

/// What reaches an arbiter.
#[derive(Clone, Copy, Debug)]
pub enum Cause {
    /// A datagram on a leg.
    Datagram(Leg),
    /// A deadline.
    Deadline,
    /// A control message.
    Control(Control),
}

/// What an observer beside an arbiter knows of one source.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    sid: Sid,
    active: (Generation, Leg),
    /// Who was pinned when the legs parted, and whether a range agreed since one differed.
    parted: Option<(Leg, bool)>,
}

/// How things stood.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    state: usize,
    /// Who is the table's leg 0.
    zero: Leg,
    counted: (u64, u64),
}

impl Watch {
    /// Of the source `sid`.
    #[must_use]
    pub const fn of(sid: Sid) -> Self {
        Self {
            sid,
            active: (Generation(0), Leg::Zero),
            parted: None,
        }
    }

    /// Something is about to reach the arbiter.
    #[must_use]
    pub fn before(&self, arbiter: &Arbiter) -> Option<Before> {
        let status = |leg| arbiter.leg_status(self.sid, leg);
        let seen = |status: LegStatus| (status.apart, status.state);
        let both = [seen(status(Leg::Zero)?), seen(status(Leg::One)?)];
        let pinned = match (both[0].0, both[1].0) {
            (true, _) => Some(Leg::One),
            (_, true) => Some(Leg::Zero),
            _ => None,
        };
        let lost = |leg: Leg| both[leg.index()].1 == LegState::Lost;
        let (state, zero) = match (pinned, self.parted) {
            (Some(pinned), Some((first, agreed))) if pinned == first => {
                (2 + usize::from(agreed), first)
            }
            (Some(_), Some((first, _))) => (4, first),
            _ if lost(self.active.1.other()) => (1, self.active.1),
            // The table's leg that is lost is the one of which nothing is delivered.
            _ if lost(self.active.1) => (1, self.active.1.other()),
            _ => (0, self.active.1),
        };
        let counters = arbiter.counters();
        Some(Before {
            state,
            zero,
            counted: (counters.compared_ranges, counters.diverged_ranges),
        })
    }

    /// It has; `told`: what the application was told of this source.
    pub fn after<'a>(
        &mut self,
        before: Before,
        cause: Cause,
        told: impl Iterator<Item = &'a Event>,
        arbiter: &Arbiter,
        coverage: &mut Coverage,
    ) {
        let policy = arbiter.limits().policy;
        let mut meets = |event: usize| coverage.hit(cell(policy, before.state, event));
        let one = before.zero.other();
        match cause {
            Cause::Datagram(leg) if leg == before.zero => meets(4),
            Cause::Control(Control::Order { to }) if to == one => meets(7),
            Cause::Control(Control::Roles { active, generation }) => {
                if active == one && generation > self.active.0 {
                    meets(5);
                }
                if (generation, active) == self.active && active == before.zero {
                    meets(6);
                }
                if generation > self.active.0 {
                    self.active = (generation, active);
                }
            }
            _ => {}
        }
        let counters = arbiter.counters();
        let differ = counters.diverged_ranges > before.counted.1;
        if counters.compared_ranges > before.counted.0 {
            meets(usize::from(differ));
            self.parted = self.parted.map(|(first, _)| (first, !differ));
        }
        for event in told {
            match event {
                Event::Leg { leg, state, .. } if *state == LegState::Lost => {
                    meets(if *leg == before.zero { 2 } else { 3 });
                }
                Event::Reset {
                    cause: ResetCause::Epoch { .. },
                    ..
                } if matches!(cause, Cause::Datagram(leg) if leg == one) => meets(8),
                Event::Divergence { pinned, .. } => self.parted = Some((*pinned, false)),
                Event::Converged { .. } => self.parted = None,
                _ => {}
            }
        }
    }
}

fn cell(policy: Policy, state: usize, event: usize) -> Cell {
    let section = usize::from(policy == Policy::PreferActive);
    Cell {
        machine: Machine::Divergence,
        place: (section * EVENTS.len() + event) * STATES.len() + state,
    }
}

fn label(place: usize) -> String {
    let (row, state) = (place / STATES.len(), place % STATES.len());
    let section = ["FirstArrival", "PreferActive"][row / EVENTS.len()];
    format!(
        "{section}: {} × {}",
        STATES[state],
        EVENTS[row % EVENTS.len()]
    )
}

fn excuse(place: usize) -> Option<&'static str> {
    let (row, state) = (place / STATES.len(), place % STATES.len());
    match (STATES[state], EVENTS[row % EVENTS.len()]) {
        ("merged, leg 1 lost", "leg 1 is lost") => Some("a leg that is lost is not lost again"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::page;
    use super::*;

    #[test]
    fn the_labels_are_those_of_the_committed_table() {
        let pages = page(include_str!("../../../protocol/tables/divergence.md"));
        let sections: Vec<&str> = pages.iter().map(|page| page.title.as_str()).collect();
        assert_eq!(sections, ["FirstArrival", "PreferActive"]);
        for section in pages {
            let events: Vec<&str> = section.rows.iter().map(|row| row.0.as_str()).collect();
            assert_eq!(section.columns, STATES);
            assert_eq!(events, EVENTS);
        }
    }
}
