//! `protocol/tables/arbiter.md`: how a leg is doing, in a subscriber's eyes × what it says, what the other one says of it,
//! and what it does not say.
//!
//! The table's leg is any leg; its row for silence is met when that much time has passed since the leg was heard, whatever
//! comes next.

use core::time::Duration;

use twinfeed_protocol::time::Time;
use twinfeed_protocol::{LegState, LegStatus, Policy};

use super::{Cell, Machine, Table, page};

const PAGE: &str = include_str!("../../../protocol/tables/arbiter.md");

/// The table.
pub const TABLE: Table = Table {
    machine: Machine::Leg,
    name: "arbiter",
    cells: 2 * EVENTS.len() * STATES.len(),
    label,
    is_transition,
    excuse,
};

const STATES: [&str; 6] = [
    "unheard",
    "live",
    "live, hinted",
    "stalled",
    "lost",
    "stepped down",
];

const EVENTS: [&str; 10] = [
    "next record",
    "heartbeat",
    "record of a new incarnation",
    "other leg: peer lost",
    "other leg: not (any more) peer lost",
    "end of stream",
    "silent for 1.5 intervals",
    "silent for 3 intervals",
    "still while the other moves for `lag`",
    "source stale",
];

/// What happens to a leg.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Event {
    /// It brings a record.
    Record,
    /// It brings a heartbeat.
    Beat,
    /// Another process brings a record.
    Anew,
    /// The other leg says that this one's process is gone.
    PeerLost,
    /// The other leg does not say so.
    PeerThere,
    /// It ends.
    EndOfStream,
    /// It has said nothing for one and a half intervals.
    Quiet,
    /// It has said nothing for as long as a leg may.
    Silent,
    /// It stands still while the other one moves.
    Still,
    /// It says that its source is silent.
    SourceStale,
}

/// What one subscriber's eyes see of one leg, between what happens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    stepped_down: bool,
    /// Whether it has brought nothing but heartbeats since it was unheard.
    pub never_moved: bool,
    /// When it was heard.
    heard: Option<Time>,
    /// Which spans of silence have been noted since.
    noted: [bool; 2],
}

impl Watch {
    /// Something happens to the leg, whose status is that of before.
    #[must_use]
    pub fn meets(&self, policy: Policy, before: &LegStatus, event: Event) -> Cell {
        let state = match before.state {
            LegState::Unheard => 0,
            LegState::Live if before.peer_lost => 2,
            LegState::Live => 1,
            LegState::Stalled => 3,
            LegState::Lost if self.stepped_down => 5,
            LegState::Lost => 4,
        };
        cell(policy, state, event)
    }

    /// Something happens to a leg that was unheard before.
    #[must_use]
    pub fn unheard(policy: Policy, event: Event) -> Cell {
        cell(policy, 0, event)
    }

    /// The leg was heard; whether it said that it ends, and whether another process speaks.
    pub fn heard(&mut self, now: Time, farewell: bool, anew: bool) {
        self.heard = Some(now);
        self.stepped_down = farewell || self.stepped_down && !anew;
        self.noted = [false; 2];
    }

    /// Spans of silence that have passed and were not noted yet; before it is heard at all it counts from the beginning.
    pub fn silences(&mut self, now: Time, interval: Duration, missed: u32) -> Vec<Event> {
        let silence = now.since(self.heard.unwrap_or(Time::ZERO));
        if silence < interval && missed > 0 {
            return Vec::new(); // no span is shorter
        }
        let spans = [interval * 3 / 2, interval * missed];
        let mut events = Vec::new();
        for (place, event) in [Event::Quiet, Event::Silent].into_iter().enumerate() {
            if silence >= spans[place] && !self.noted[place] {
                self.noted[place] = true;
                events.push(event);
            }
        }
        events
    }
}

fn cell(policy: Policy, state: usize, event: Event) -> Cell {
    let section = usize::from(policy == Policy::PreferActive);
    Cell {
        machine: Machine::Leg,
        place: (section * EVENTS.len() + event as usize) * STATES.len() + state,
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

fn is_transition(place: usize) -> bool {
    let (row, state) = (place / STATES.len(), place % STATES.len());
    let section = &page(PAGE)[row / EVENTS.len()];
    section.rows[row % EVENTS.len()].1[state] != STATES[state]
}

fn excuse(_: usize) -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_labels_are_those_of_the_committed_table() {
        let pages = page(include_str!("../../../protocol/tables/arbiter.md"));
        let sections: Vec<&str> = pages.iter().map(|page| page.title.as_str()).collect();
        assert_eq!(sections, ["FirstArrival", "PreferActive"]);
        for section in pages {
            let events: Vec<&str> = section.rows.iter().map(|row| row.0.as_str()).collect();
            assert_eq!(section.columns, STATES);
            assert_eq!(events, EVENTS);
        }
    }
}
