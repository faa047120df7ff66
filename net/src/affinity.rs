//! On which core does this thread run, and under which name do tools show it?
//!
//! Pinning is for the low-latency profile: a thread that spins owns its core. The call affects
//! the calling thread only and can be read back; a core that the process may not use (a
//! container's cpuset, `taskset`) is refused by name with the list of those it may.

use std::ffi::CString;
use std::io;

use crate::sys::sched;

/// Bytes of a thread's name that the kernel keeps.
pub const MAX_NAME_BYTES: usize = sched::NAME_BYTES - 1;

/// Why a thread could not be placed or named.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AffinityError {
    /// The core does not exist or is not given to this process.
    #[error("cannot pin to core {core}: this process may run on cores {allowed:?}")]
    CoreNotAllowed {
        /// The core asked for.
        core: usize,
        /// The cores there are.
        allowed: Vec<usize>,
    },
    /// A thread's name that the kernel would cut or refuse.
    #[error("thread name `{name}` is not 1 to {MAX_NAME_BYTES} bytes without a zero byte")]
    Name {
        /// The name asked for.
        name: String,
    },
    /// What the kernel said otherwise.
    #[error("cannot {action}: {reason}")]
    Refused {
        /// What was being done.
        action: &'static str,
        /// The kernel's answer.
        reason: io::Error,
    },
}

/// The cores on which the calling thread may run, rising.
///
/// # Errors
/// What sched_getaffinity(2) says, which it does only on hosts with more cores than a set names.
pub fn allowed_cores() -> Result<Vec<usize>, AffinityError> {
    let set = sched::allowed().map_err(refused("read the allowed cores"))?;
    Ok(set.cores().collect())
}

/// Pins the calling thread to `core` and reads it back.
///
/// # Errors
/// [`AffinityError::CoreNotAllowed`] names the core and those that would do.
pub fn pin(core: usize) -> Result<(), AffinityError> {
    let allowed = allowed_cores()?;
    let Some(set) = sched::CoreSet::of(core).filter(|_| allowed.contains(&core)) else {
        return Err(AffinityError::CoreNotAllowed { core, allowed });
    };
    sched::restrict(&set).map_err(refused("pin the thread"))?;
    match allowed_cores()? {
        now if now == [core] => Ok(()),
        now => Err(AffinityError::CoreNotAllowed { core, allowed: now }),
    }
}

/// The core on which the calling thread runs at this moment; without a pin it may be another one
/// by the time the caller looks.
///
/// # Errors
/// What sched_getcpu(3) says.
pub fn current_core() -> Result<usize, AffinityError> {
    sched::current().map_err(refused("read the current core"))
}

/// Names the calling thread, as `top -H`, `perf` and debuggers show it.
///
/// # Errors
/// [`AffinityError::Name`] if the kernel would not keep the name whole.
pub fn name_thread(name: &str) -> Result<(), AffinityError> {
    let invalid = || AffinityError::Name {
        name: name.to_owned(),
    };
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(invalid());
    }
    let text = CString::new(name).map_err(|_| invalid())?;
    sched::set_name(&text).map_err(refused("name the thread"))
}

/// The calling thread's name.
///
/// # Errors
/// What prctl(2) says.
pub fn thread_name() -> Result<String, AffinityError> {
    sched::name().map_err(refused("read the thread's name"))
}

fn refused(action: &'static str) -> impl FnOnce(io::Error) -> AffinityError {
    move |reason| AffinityError::Refused { action, reason }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_pinned_thread_runs_there_and_its_parent_does_not_care() {
        let before = allowed_cores().unwrap();
        let core = *before.last().unwrap();
        let pinned = thread::spawn(move || {
            pin(core).unwrap();
            (allowed_cores().unwrap(), current_core().unwrap())
        });
        assert_eq!(pinned.join().unwrap(), (vec![core], core));
        assert_eq!(allowed_cores().unwrap(), before);
    }

    #[test]
    fn a_core_that_is_not_ours_is_named() {
        for core in [sched::MAX_CORES - 1, sched::MAX_CORES, usize::MAX] {
            let text = pin(core).unwrap_err().to_string();
            assert!(
                text.contains(&format!("cannot pin to core {core}:")),
                "{text}"
            );
        }
    }

    #[test]
    fn names_are_kept_whole_or_refused() {
        let longest = "a".repeat(MAX_NAME_BYTES);
        let named = thread::spawn(move || {
            name_thread(&longest).unwrap();
            thread_name().unwrap() == longest
        });
        assert!(named.join().unwrap());
        for name in ["", "a\0b", &"a".repeat(MAX_NAME_BYTES + 1)] {
            assert!(
                matches!(name_thread(name), Err(AffinityError::Name { .. })),
                "{name:?}"
            );
        }
    }
}
