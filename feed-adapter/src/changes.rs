//! How does the control thread always take the newest of what a watch told?
//!
//! What a watch tells is how things stand, whole. So one change waits at most, the newest; whoever is slow skips those between.
//! A watch that was ended has nothing to say any more: what it tells late is dropped.
//!
//! ```text
//!   watch 1 ──► 7, 8, 9 ──┐
//!                         ├─ slot: 9 ──► control thread
//!   watch 2 (begun) ──────┘  now watch 2's alone: what 1 tells from here on is dropped, and so is the 9
//! ```

use std::sync::{Arc, Mutex};

use crossbeam::channel::{Receiver, Sender, bounded};
use twinfeed_control::Assignment;

use crate::lock::lock;

/// Where the newest change waits.
#[derive(Clone, Debug)]
pub struct Changes {
    slot: Arc<Mutex<Slot>>,
    wakes: Sender<()>,
}

#[derive(Debug, Default)]
struct Slot {
    /// The watch that is heard.
    watch: u64,
    newest: Option<Box<Assignment>>,
}

/// One watch's way to tell.
#[derive(Debug)]
pub struct Telling {
    changes: Changes,
    watch: u64,
}

/// Nothing waits yet; the receiver is woken when something does.
#[must_use]
pub fn changes() -> (Changes, Receiver<()>) {
    let (wakes, woken) = bounded(1);
    let slot = Arc::default();
    (Changes { slot, wakes }, woken)
}

impl Changes {
    /// Another watch begins, and is the only one that is heard from here on.
    #[must_use]
    pub fn begin(&self) -> Telling {
        Telling {
            watch: self.end(),
            changes: self.clone(),
        }
    }

    /// No watch that has begun is heard any more, nor what waits of one; returns the number of the next.
    pub fn end(&self) -> u64 {
        let mut slot = lock(&self.slot);
        slot.newest = None;
        slot.watch += 1;
        slot.watch
    }

    /// The newest change, if one waits.
    #[must_use]
    pub fn take(&self) -> Option<Box<Assignment>> {
        lock(&self.slot).newest.take()
    }
}

impl Telling {
    /// How things stand; `false`: this watch is not heard any more.
    pub fn tell(&self, assignment: Assignment) -> bool {
        let mut slot = lock(&self.changes.slot);
        if slot.watch != self.watch {
            return false;
        }
        slot.newest = Some(Box::new(assignment));
        drop(slot);
        // Full: it is about to be woken. Gone: it takes nothing any more.
        let _ = self.changes.wakes.try_send(());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::held;

    fn at(revision: u64) -> Assignment {
        let mut assignment = held().assignment;
        assignment.revision = revision;
        assignment
    }

    fn taken(changes: &Changes) -> Option<u64> {
        changes.take().map(|it| it.revision)
    }

    #[test]
    fn of_many_changes_the_newest_is_taken_once() {
        let (changes, woken) = changes();
        let telling = changes.begin();
        assert!((1..=100).all(|revision| telling.tell(at(revision))));
        assert_eq!((woken.len(), taken(&changes)), (1, Some(100)));
        assert_eq!(taken(&changes), None);
        woken.recv().unwrap();
        assert!(telling.tell(at(101)));
        assert_eq!((woken.len(), taken(&changes)), (1, Some(101)));
    }

    #[test]
    fn a_watch_that_was_ended_is_not_heard_whatever_it_tells_late() {
        let (changes, _woken) = changes();
        let before = changes.begin();
        assert!(before.tell(at(1_000)));
        changes.end();
        assert_eq!(taken(&changes), None);
        assert!(!before.tell(at(1_001)));
        let after = changes.begin();
        assert!(after.tell(at(5)));
        assert!(!before.tell(at(1_002)));
        assert_eq!(taken(&changes), Some(5));
    }
}
