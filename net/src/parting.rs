//! How does a process that is killed let go of its sockets first, and of its memory without disturbing anybody?
//!
//! ```text
//!  SIGKILL ─► all threads but one: end at once, and with the last of them every socket is closed ─► peers know
//!         └─► the last one: frees the memory, on whatever core has nothing else to do
//! ```
//!
//! The kernel takes a process apart in its last thread: the memory first, page by page, then the files. That takes
//! about a millisecond for 16 MiB in small pages, on a core that others may want, and until it is over no peer
//! hears of the death. A thread that holds no file and wants no core turns both around: the others close the
//! files because it holds none, and the memory is left to it because it runs last.
//!
//! The price: one thread that never runs; a killed process is gone for its *parent* only once a core was idle for
//! long enough.

use std::io;

use crate::sys::parting;

/// Makes the calling thread the last of its process: it holds no file, runs no signal handler, and runs only when
/// a core has nothing else to do. It should do nothing but wait from then on. The files of the process, those that
/// are open now and those that will be, are the other threads'.
///
/// # Errors
/// What the kernel says (Linux 5.9 and later allow all of it to everybody); the thread is to end then, and a
/// death is noticed a little later.
pub fn be_last() -> io::Result<()> {
    parting::block_signals()?;
    parting::own_files()?;
    parting::close_files()?;
    parting::yield_to_all()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn the_last_thread_holds_no_file_and_the_others_keep_theirs() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let (telling, told) = channel();
        let (ending, ended) = channel::<()>();
        let last = std::thread::spawn(move || {
            telling.send(be_last()).unwrap();
            // Its table is empty: what it opens now is number 0, and its own.
            let own = fs::File::open("/proc/thread-self/stat").unwrap();
            let mut stat = String::new();
            (&own).read_to_string(&mut stat).unwrap();
            telling.send(Ok(())).unwrap();
            let _ = ended.recv();
            (std::os::fd::AsRawFd::as_raw_fd(&own), stat)
        });
        told.recv().unwrap().unwrap();
        told.recv().unwrap().unwrap();
        // Nobody but this thread holds the far end: closing it is seen at once.
        drop(far);
        let mut byte = [0];
        assert_eq!(near.read(&mut byte).unwrap(), 0, "the end is seen");
        drop(ending);
        let (number, stat) = last.join().unwrap();
        assert_eq!(number, 0);
        // Field 41 of proc(5)'s stat is the policy; the name in parentheses is field 2.
        let behind = stat.rsplit_once(')').unwrap().1;
        let policy = behind.split_whitespace().nth(41 - 3).unwrap();
        assert_eq!(policy, "5", "SCHED_IDLE");
    }
}
