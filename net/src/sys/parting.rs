//! How does a process get a companion that shares its memory, and nothing else?

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// Starts a process that shares this one's memory (`CLONE_VM`, clone(2)) and none of its files, and that does
/// nothing but wait until every copy of the returned file is closed, which the kernel does for a process that
/// dies. Then it waits `delay_ns` more and ends; with it ends the memory. It runs only when nobody else wants its
/// core.
///
/// The calling thread lends the companion its thread-local storage: it is to hand the result out and to wait for ever.
pub(crate) fn start_companion(delay_ns: i64) -> io::Result<OwnedFd> {
    // Where this call is unknown or forbidden the companion could not let go of the files it was born with, and
    // would keep them open for ever. No file has the number that is closed here.
    close_from_to(libc::c_uint::MAX, libc::c_uint::MAX)?;
    let mut ends = [0; 2];
    // SAFETY: the pointer leads to two live integers, which is what the call fills.
    let made = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    super::check(made)?;
    // SAFETY: the call above made both descriptors, and nobody else knows of them.
    let (listening, held) =
        unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
    block_signals()?;
    // Never freed: the companion runs on it until the memory is gone.
    let stack = Box::leak(vec![0_u128; STACK_BYTES / size_of::<u128>()].into_boxed_slice());
    let orders = Box::leak(Box::new(Orders {
        listening: listening.as_raw_fd(),
        delay_ns,
    }));
    let top = stack.as_mut_ptr_range().end;
    // SAFETY: `top` is the end of memory that is leaked, aligned to 16 bytes and large enough for `wait`, which
    // calls nothing but system calls; `orders` is leaked and read only. The companion shares the memory and the
    // caller's thread-local storage, of which it may write `errno`: by the contract above the caller hands the
    // result out and waits, and neither looks at `errno` after this call has. It has a file table and signal
    // handlers of its own, and every signal is blocked there.
    let started = unsafe {
        libc::clone(
            wait,
            top.cast(),
            libc::CLONE_VM,
            std::ptr::from_mut(orders).cast(),
        )
    };
    super::check(started)?;
    Ok(held)
}

/// What the companion must know.
struct Orders {
    listening: libc::c_int,
    delay_ns: i64,
}

/// All that the companion does.
extern "C" fn wait(orders: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the pointer is the one that `start_companion` leaked, and nobody writes there.
    let orders = unsafe { &*orders.cast::<Orders>() };
    // A descriptor is never negative.
    let listening = orders.listening.cast_unsigned();
    let below = listening
        .checked_sub(1)
        .map_or(Ok(()), |last| close_from_to(0, last));
    if below.is_err() || close_from_to(listening + 1, libc::c_uint::MAX).is_err() {
        return 1;
    }
    let listening = orders.listening;
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: `parameters` is a live local and is only read; 0 names the calling process.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) };
    let mut byte = 0_u8;
    // SAFETY: the buffer is a live local of one byte, and the descriptor is this process's own.
    while unsafe { libc::read(listening, (&raw mut byte).cast(), 1) } > 0 {}
    end_when_told();
    let delay = libc::timespec {
        tv_sec: 0,
        tv_nsec: orders.delay_ns,
    };
    // SAFETY: the request is a live local and is only read; a null remainder is allowed.
    unsafe { libc::nanosleep(&raw const delay, std::ptr::null_mut()) };
    0
}

/// Closes the calling process's files of these numbers (close_range(2), Linux 5.9).
fn close_from_to(first: libc::c_uint, last: libc::c_uint) -> io::Result<()> {
    // SAFETY: called for a number that no file has, and in the companion, whose file table is a copy of its own:
    // no descriptor that a thread of the process it accompanies owns is closed.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0_u32) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A supervisor that clears up behind the process need not wait for the delay: TERM ends the companion from now on,
/// also one that was sent before.
fn end_when_told() {
    // SAFETY: the default action is a valid disposition; the companion's table of them is its own.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_DFL) };
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer leads to a live local of the type that the call fills, and it cannot fail for it.
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: the set was filled by the call above; a null old set is allowed. The companion has one thread.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut()) };
}

/// Lets no signal that has a handler run it on the calling thread, nor on what it starts.
fn block_signals() -> io::Result<()> {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
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

/// Far more than `wait` and a system call need.
const STACK_BYTES: usize = 32 << 10;
