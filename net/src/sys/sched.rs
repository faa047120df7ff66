//! On which cores may this thread run, and what is it called?

use std::ffi::CStr;
use std::io;
use std::mem::size_of;

/// Cores a set can name.
pub(crate) const MAX_CORES: usize = libc::CPU_SETSIZE as usize;

const WORD_BITS: usize = u64::BITS as usize;

/// `cpu_set_t` as plain words: bit `core % 64` of word `core / 64` (CPU_SET(3)).
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct CoreSet([u64; MAX_CORES / WORD_BITS]);

const _: () = assert!(size_of::<CoreSet>() == size_of::<libc::cpu_set_t>());

impl CoreSet {
    /// The set of one core; `None` if a set cannot name it.
    pub(crate) fn of(core: usize) -> Option<Self> {
        let mut words = [0; MAX_CORES / WORD_BITS];
        *words.get_mut(core / WORD_BITS)? |= 1 << (core % WORD_BITS);
        Some(Self(words))
    }

    /// The cores of the set, rising.
    pub(crate) fn cores(&self) -> impl Iterator<Item = usize> + '_ {
        (0..MAX_CORES).filter(|core| self.0[core / WORD_BITS] >> (core % WORD_BITS) & 1 == 1)
    }
}

/// The cores on which the calling thread may run.
pub(crate) fn allowed() -> io::Result<CoreSet> {
    let mut set = CoreSet([0; MAX_CORES / WORD_BITS]);
    // SAFETY: `set` is a live local of the length passed, and any bits in it are valid.
    let result =
        unsafe { libc::sched_getaffinity(CALLER, size_of::<CoreSet>(), (&raw mut set).cast()) };
    super::check(result)?;
    Ok(set)
}

/// Lets the calling thread run only on the cores of `set`.
pub(crate) fn restrict(set: &CoreSet) -> io::Result<()> {
    // SAFETY: `set` is a live borrow of the length passed, and is only read.
    let result = unsafe {
        libc::sched_setaffinity(CALLER, size_of::<CoreSet>(), std::ptr::from_ref(set).cast())
    };
    super::check(result).map(|_| ())
}

/// The core the calling thread runs on at this moment.
pub(crate) fn current() -> io::Result<usize> {
    // SAFETY: the call takes no arguments and touches no memory of ours.
    let result = unsafe { libc::sched_getcpu() };
    super::check(result).map(|core| core as usize)
}

/// Names the calling thread (prctl(2), `PR_SET_NAME`): 15 bytes, the rest is cut by the kernel.
pub(crate) fn set_name(name: &CStr) -> io::Result<()> {
    // SAFETY: `name` is a live, terminated string that the kernel copies.
    let result = unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    super::check(result).map(|_| ())
}

/// The calling thread's name.
pub(crate) fn name() -> io::Result<String> {
    let mut bytes = [0_u8; NAME_BYTES];
    // SAFETY: `bytes` is a live local of the 16 bytes the call writes at most.
    let result = unsafe { libc::prctl(libc::PR_GET_NAME, bytes.as_mut_ptr()) };
    super::check(result)?;
    let text = CStr::from_bytes_until_nul(&bytes).unwrap_or_default();
    Ok(text.to_string_lossy().into_owned())
}

/// Bytes of a thread's name with its terminator.
pub(crate) const NAME_BYTES: usize = 16;

/// "The calling thread" to the affinity calls.
const CALLER: libc::pid_t = 0;
