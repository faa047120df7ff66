//! What of a grant must be on the disk before it is acted on, and what soon after?
//!
//! | what has changed | |
//! |---|---|
//! | generation, role, seat, streams, peer, constraints | written first: no restart may fall behind what was done under it |
//! | who is sent to | acted on at once; a thread of its own writes the newest soon after |
//!
//! Applications come and go by the hundred, and each changes who is sent to. A disk that takes its time over each would keep the
//! next ones waiting, and with them a lease or a takeover that is told behind them.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tracing::error;
use twinfeed_control::Assignment;

use crate::lock::lock;
use crate::state::{Held, StateError, StateFile};

/// Whether `now` must be written before it is acted on, where `before` was.
#[must_use]
pub fn comes_first(before: &Assignment, now: &Assignment) -> bool {
    let told_later = Assignment {
        destinations: now.destinations.clone(),
        fill_clients: now.fill_clients.clone(),
        revision: now.revision,
        ..before.clone()
    };
    told_later != *now
}

/// Writes grants to the state file. What waits when it is dropped is written before that ends.
#[derive(Debug)]
pub struct Remembering {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    file: StateFile,
    slot: Mutex<Slot>,
    filled: Condvar,
    /// Held while the file is replaced, so that nothing older is written over it.
    writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Slot {
    newest: Option<Box<Held>>,
    ends: bool,
}

impl Remembering {
    /// Starts the thread.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(file: StateFile) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            file,
            slot: Mutex::default(),
            filled: Condvar::new(),
            writing: Mutex::default(),
        });
        let writer = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("remembering".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Writes `held`, and waits until it is durable.
    ///
    /// # Errors
    /// [`StateError::Io`]; what was remembered before is still there.
    pub fn first(&self, held: &Held) -> Result<(), StateError> {
        // What waits is older, and is not waited for.
        lock(&self.shared.slot).newest = None;
        let _writing = lock(&self.shared.writing);
        self.shared.file.save(held)
    }

    /// Has `held` written, unless something newer is to be written by then.
    pub fn soon(&self, held: Held) {
        let mut slot = lock(&self.shared.slot);
        if !slot.ends {
            slot.newest = Some(Box::new(held));
            self.shared.filled.notify_one();
        }
    }

    /// Has nothing more written behind what is being written: the file is another process's.
    pub fn forget(&self) {
        let mut slot = lock(&self.shared.slot);
        (slot.newest, slot.ends) = (None, true);
        self.shared.filled.notify_one();
    }
}

impl Drop for Remembering {
    fn drop(&mut self) {
        lock(&self.shared.slot).ends = true;
        self.shared.filled.notify_one();
        if let Some(thread) = self.thread.take() {
            // It panics nowhere; if it did, that was said.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        while self.waits() {
            let _writing = lock(&self.writing);
            // What must come first may have taken its place.
            let Some(held) = lock(&self.slot).newest.take() else {
                continue;
            };
            if let Err(error) = self.file.save(&held) {
                note_unwritten(&error);
            }
        }
    }

    /// Waits for something to write; `false`: nothing follows.
    fn waits(&self) -> bool {
        let slot = lock(&self.slot);
        let empty = |slot: &mut Slot| slot.newest.is_none() && !slot.ends;
        let slot = self.filled.wait_while(slot, empty);
        slot.unwrap_or_else(PoisonError::into_inner)
            .newest
            .is_some()
    }
}

/// Says that a grant could not be written.
pub fn note_unwritten(error: &StateError) {
    error!("{error}; a restart without stream-admin would not find this grant");
}

#[cfg(test)]
mod tests {
    use twinfeed_control::{FeedName, Generation, Role};

    use super::*;
    use crate::state::tests::held;

    fn feed() -> FeedName {
        "f".parse().unwrap()
    }

    fn at(revision: u64) -> Held {
        let mut held = held();
        held.assignment.revision = revision;
        held
    }

    fn file() -> (tempfile::TempDir, StateFile) {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::in_directory(directory.path()).unwrap();
        (directory, file)
    }

    fn revision(file: &StateFile) -> Option<u64> {
        let held = file.load(&feed(), Role::Active).unwrap();
        held.map(|held| held.assignment.revision)
    }

    #[test]
    fn only_who_is_sent_to_may_be_written_later() {
        let before = held().assignment;
        let later: [fn(&mut Assignment); 3] = [
            |it| it.destinations.clear(),
            |it| it.fill_clients = it.destinations.clone(),
            |it| it.revision += 1,
        ];
        for change in later {
            let mut now = before.clone();
            change(&mut now);
            assert!(now != before && !comes_first(&before, &now));
        }
        let first: [fn(&mut Assignment); 4] = [
            |it| it.generation = Generation(it.generation.0 + 1),
            |it| it.role = Role::Active,
            |it| it.streams.clear(),
            |it| it.constraints.heartbeat_us += 1,
        ];
        for change in first {
            let mut now = before.clone();
            change(&mut now);
            now.destinations.clear();
            assert!(comes_first(&before, &now));
        }
    }

    #[test]
    fn the_newest_is_written_and_what_comes_first_is_not_overwritten_by_what_waits() {
        let (_directory, file) = file();
        let remembering = Remembering::start(file.clone()).unwrap();
        {
            // The disk takes its time.
            let _writing = lock(&remembering.shared.writing);
            (1..=100).for_each(|revision| remembering.soon(at(revision)));
            assert_eq!(revision(&file), None);
        }
        drop(remembering);
        assert_eq!(revision(&file), Some(100));

        let remembering = Remembering::start(file.clone()).unwrap();
        let writing = lock(&remembering.shared.writing);
        remembering.soon(at(101));
        thread::scope(|scope| {
            let first = scope.spawn(|| remembering.first(&at(102)));
            drop(writing);
            first.join().unwrap().unwrap();
            assert_eq!(revision(&file), Some(102));
        });
        drop(remembering);
        assert_eq!(revision(&file), Some(102));
    }

    #[test]
    fn whose_seat_is_gone_writes_nothing_more() {
        let (_directory, file) = file();
        let remembering = Remembering::start(file.clone()).unwrap();
        let writing = lock(&remembering.shared.writing);
        remembering.soon(at(1));
        remembering.forget();
        drop(writing);
        remembering.soon(at(2));
        drop(remembering);
        assert_eq!(revision(&file), None);
    }
}
