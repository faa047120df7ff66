//! What time is it?

/// Nanoseconds on `clock` (clock_gettime(2)).
fn read(clock: libc::clockid_t) -> u64 {
    let mut spec = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `spec` is a live local the kernel may write.
    let result = unsafe { libc::clock_gettime(clock, &raw mut spec) };
    debug_assert_eq!(result, 0, "clock_gettime fails only for an unknown clock");
    // Neither clock is negative on a running Linux system, and 2^64 ns are 584 years.
    (spec.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(spec.tv_nsec as u64)
}

/// Nanoseconds of the host's monotonic clock: never steps, same for all processes of the host.
pub(crate) fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds since the Unix epoch: steps when the host's time is set.
pub(crate) fn realtime_ns() -> u64 {
    read(libc::CLOCK_REALTIME)
}
