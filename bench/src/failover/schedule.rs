//! Which trigger is next, and when is a setting done?
//!
//! The real triggers of a setting stand in random order, so that no drift of the host falls on one of
//! them alone, and every session has a sham run before its real one, so that noise is shared. A run that
//! was not clean is tried again, a bounded number of times.

use super::cells::Trigger;
use crate::chance::Chance;

/// What is still to be done in one setting.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// Real triggers, the next one last.
    queue: Vec<Trigger>,
    cells: Vec<Cell>,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    trigger: Trigger,
    wanted: u32,
    clean: u32,
    tried: u32,
}

/// What one session is used for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Session {
    /// Sham runs, which come first.
    pub(crate) shams: u32,
    /// The real one, at most one per session: the pair is protected again only in the next.
    pub(crate) real: Option<Trigger>,
}

impl Schedule {
    /// Of so many clean runs by trigger.
    pub(crate) fn new(wanted: &[(Trigger, u32)], chance: &mut Chance) -> Self {
        let cell = |&(trigger, wanted)| Cell {
            trigger,
            wanted,
            clean: 0,
            tried: 0,
        };
        let mut queue: Vec<Trigger> = wanted
            .iter()
            .filter(|(trigger, _)| *trigger != Trigger::Sham)
            .flat_map(|&(trigger, wanted)| std::iter::repeat_n(trigger, wanted as usize))
            .collect();
        chance.shuffle(&mut queue);
        Self {
            queue,
            cells: wanted.iter().map(cell).collect(),
        }
    }

    /// What to do in the next session; `None` when nothing is left.
    pub(crate) fn next(&self) -> Option<Session> {
        let real = self.queue.last().copied();
        let missing = self
            .cell(Trigger::Sham)
            .map_or(0, |cell| match cell.tried < cell.bound() {
                true => cell.wanted.saturating_sub(cell.clean),
                false => 0,
            });
        match real {
            Some(_) => Some(Session { shams: 1, real }),
            None if missing > 0 => Some(Session {
                shams: missing.min(MOST_SHAMS),
                real,
            }),
            None => None,
        }
    }

    /// How a run of `trigger` went.
    pub(crate) fn ran(&mut self, trigger: Trigger, clean: bool) {
        if trigger != Trigger::Sham && self.queue.last() == Some(&trigger) {
            self.queue.pop();
        }
        let Some(cell) = self.cells.iter_mut().find(|cell| cell.trigger == trigger) else {
            return;
        };
        cell.tried += 1;
        cell.clean += u32::from(clean);
        let queued = self.queue.iter().filter(|it| **it == trigger).count() as u32;
        if !clean && trigger != Trigger::Sham && cell.tried + queued < cell.bound() {
            self.queue.insert(0, trigger);
        }
    }

    /// Sessions still to come if every run is clean.
    pub(crate) fn sessions_left(&self) -> u64 {
        let real = self.queue.len() as u64;
        let shams = self
            .cell(Trigger::Sham)
            .map_or(0, |cell| cell.wanted.saturating_sub(cell.clean));
        real + u64::from(shams)
            .saturating_sub(real)
            .div_ceil(u64::from(MOST_SHAMS))
    }

    /// Cells with fewer clean runs than wanted: trigger, clean, wanted.
    pub(crate) fn short(&self) -> Vec<(Trigger, u32, u32)> {
        let short = self.cells.iter().filter(|cell| cell.clean < cell.wanted);
        short
            .map(|cell| (cell.trigger, cell.clean, cell.wanted))
            .collect()
    }

    fn cell(&self, trigger: Trigger) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.trigger == trigger)
    }
}

impl Cell {
    /// Most runs, clean or not.
    const fn bound(&self) -> u32 {
        self.wanted + self.wanted / 2 + 5
    }
}

/// Most sham runs of a session: their windows must not overlap.
const MOST_SHAMS: u32 = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedule(wanted: &[(Trigger, u32)], seed: u64) -> Schedule {
        Schedule::new(wanted, &mut Chance::seeded(seed))
    }

    /// Runs the schedule to its end; returns the real triggers in order and the number of shams.
    fn drive(
        schedule: &mut Schedule,
        mut clean: impl FnMut(Trigger) -> bool,
    ) -> (Vec<Trigger>, u32) {
        let (mut real, mut shams) = (Vec::new(), 0);
        while let Some(session) = schedule.next() {
            for _ in 0..session.shams {
                schedule.ran(Trigger::Sham, clean(Trigger::Sham));
                shams += 1;
            }
            if let Some(trigger) = session.real {
                schedule.ran(trigger, clean(trigger));
                real.push(trigger);
            }
        }
        (real, shams)
    }

    #[test]
    fn every_real_run_shares_its_session_with_a_sham() {
        let wanted = [(Trigger::Kill, 5), (Trigger::Stop, 2), (Trigger::Sham, 5)];
        let mut schedule = schedule(&wanted, 1);
        assert_eq!(schedule.sessions_left(), 7);
        let (real, shams) = drive(&mut schedule, |_| true);
        assert_eq!(real.iter().filter(|it| **it == Trigger::Kill).count(), 5);
        assert_eq!((real.len(), shams), (7, 7));
        assert!(schedule.short().is_empty());
    }

    #[test]
    fn a_sham_alone_fills_sessions() {
        let mut schedule = schedule(&[(Trigger::Sham, 7)], 1);
        assert_eq!(schedule.sessions_left(), 3);
        let sessions: Vec<_> = std::iter::from_fn(|| {
            let session = schedule.next()?;
            (0..session.shams).for_each(|_| schedule.ran(Trigger::Sham, true));
            Some(session.shams)
        })
        .collect();
        assert_eq!(sessions, [3, 3, 1]);
    }

    #[test]
    fn what_is_never_clean_is_given_up_and_reported() {
        let mut schedule = schedule(&[(Trigger::Kill, 4), (Trigger::Sham, 4)], 1);
        let (real, shams) = drive(&mut schedule, |trigger| trigger == Trigger::Sham);
        assert_eq!((real.len(), shams), (4 + 2 + 5, 11));
        assert_eq!(schedule.short(), [(Trigger::Kill, 0, 4)]);
    }

    proptest! {
        #[test]
        fn a_schedule_ends_with_everything_clean_or_reported(
            kills in 1_u32..20, stops in 0_u32..10, seed: u64, bad_in_ten in 0_u64..=10,
        ) {
            let wanted = [(Trigger::Kill, kills), (Trigger::Stop, stops), (Trigger::Sham, kills)];
            let mut schedule = schedule(&wanted, seed);
            let mut chance = Chance::seeded(seed);
            let mut clean = [0; 2];
            let (real, _) = drive(&mut schedule, |trigger| {
                let good = chance.below(10) >= bad_in_ten;
                clean[usize::from(trigger == Trigger::Stop)] +=
                    u32::from(good && trigger != Trigger::Sham);
                good
            });
            prop_assert!(real.len() as u32 <= (kills + stops) * 3 / 2 + 10);
            let short = schedule.short();
            let enough = |trigger| short.iter().all(|it| it.0 != trigger);
            prop_assert_eq!(enough(Trigger::Kill), clean[0] >= kills);
            prop_assert_eq!(enough(Trigger::Stop), clean[1] >= stops);
        }
    }
}
