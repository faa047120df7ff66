//! What does a thread ask the kernel for so that it is the last of its process, and holds no file?

use std::io;
use std::mem::MaybeUninit;

/// Gives the calling thread a table of files of its own, a copy of the process's as it is now.
pub(crate) fn own_files() -> io::Result<()> {
    // SAFETY: the call takes no pointer; it changes which table the calling thread's descriptors are
    // looked up in, and copies that table, so every descriptor known to anybody stays what it is.
    let result = unsafe { libc::unshare(libc::CLONE_FILES) };
    super::check(result).map(|_| ())
}

/// Closes every file of the calling thread's table, which must be its own ([`own_files`]).
pub(crate) fn close_files() -> io::Result<()> {
    // SAFETY: the table is the calling thread's own, by the contract above, so that no descriptor that
    // another thread owns is closed; this thread owns none, for it does nothing but wait.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 0_u32, u32::MAX, 0_u32) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Lets the calling thread run only when nobody else wants its core (`SCHED_IDLE`, sched(7)).
pub(crate) fn yield_to_all() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: `parameters` is a live local and is only read; 0 names the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) };
    super::check(result).map(|_| ())
}

/// Lets no signal that has a handler run it on the calling thread.
pub(crate) fn block_signals() -> io::Result<()> {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer leads to a live local of the type that the call fills.
    let filled = unsafe { libc::sigfillset(all.as_mut_ptr()) };
    super::check(filled)?;
    // SAFETY: the set was filled by the call above; a null old set is allowed.
    let result =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut()) };
    match result {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}
