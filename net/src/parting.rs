//! How does a process that is killed let go of its sockets at once, and of its memory without disturbing anybody?
//!
//! ```text
//!  SIGKILL ─► its threads end, its files are closed ─► peers know
//!                                    └─► companion: waits, then frees the memory on a core with nothing to do
//! ```
//!
//! The kernel takes the memory of a dying process apart page by page, and only then closes its files. That is
//! about a millisecond for 16 MiB in small pages, on a core that others want just then, for this is the moment of
//! a failover; and until it is over no peer hears of the death. A second process that shares the memory, and
//! nothing else, turns that around: the memory does not end with the first process, so its files are closed at
//! once; it ends with the second one, which waits until the failover is over and runs only where nobody else does.
//!
//! The price: a second process in the list, which never runs; the memory of a dead process is freed
//! [`MEMORY_OUTLIVES`] later, and once a core was idle for long enough.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::sys::parting;

/// How long the memory of a killed process stays after its files were closed.
pub const MEMORY_OUTLIVES: Duration = Duration::from_millis(250);

/// What a companion watches: it ends when this, and every copy of it, is closed.
#[derive(Debug)]
#[must_use = "dropping it ends the companion"]
pub struct Companion {
    _held: OwnedFd,
}

/// Starts the companion of this process. The calling thread lends it its thread-local storage, and is to do nothing
/// more than hand the result out and wait, not even to end: give it a thread of its own.
///
/// # Errors
/// What the kernel says; a death is noticed a little later then.
pub fn accompany() -> io::Result<Companion> {
    // A quarter of a second fits.
    let delay_ns = MEMORY_OUTLIVES.as_nanos() as i64;
    let held = parting::start_companion(delay_ns)?;
    Ok(Companion { _held: held })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::channel;

    use super::*;

    /// Children of this process that share its memory: by proc_pid_task_children(5) and the name of threads.
    fn children() -> Vec<u32> {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let of = |task: fs::DirEntry| fs::read_to_string(task.path().join("children"));
        let lists = tasks.flatten().filter_map(|task| of(task).ok());
        let all: String = lists.map(|list| list + " ").collect();
        all.split_whitespace()
            .map(|id| id.parse().unwrap())
            .collect()
    }

    fn files(process: u32) -> Vec<fs::DirEntry> {
        fs::read_dir(format!("/proc/{process}/fd"))
            .unwrap()
            .flatten()
            .collect()
    }

    #[test]
    fn a_companion_shares_the_memory_and_no_file_but_what_it_watches() {
        let before = children();
        let (mut near, far) = UnixStream::pair().unwrap();
        let (telling, told) = channel();
        std::thread::spawn(move || {
            telling.send(accompany()).unwrap();
            loop {
                std::thread::park();
            }
        });
        let companion = told.recv().unwrap().unwrap();
        let new: Vec<u32> = children()
            .into_iter()
            .filter(|id| !before.contains(id))
            .collect();
        assert_eq!(new.len(), 1, "one process was started");
        let policy = |id: u32| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
            // Field 41 of proc_pid_stat(5); the name in parentheses is field 2.
            let behind = stat.rsplit_once(')').unwrap().1;
            behind.split_whitespace().nth(41 - 3).unwrap().to_owned()
        };
        // It closes files and steps back as its first doings: nothing else makes it run.
        while policy(new[0]) != "5" || files(new[0]).len() > 1 {
            std::thread::yield_now();
        }
        drop(far);
        let mut byte = [0];
        assert_eq!(
            near.read(&mut byte).unwrap(),
            0,
            "nobody else holds the far end"
        );
        drop(companion);
        // A zombie has no files: it ended when what it watched was closed.
        while fs::read_dir(format!("/proc/{}/fd", new[0])).is_ok_and(|files| files.count() > 0) {
            std::thread::yield_now();
        }
    }
}
