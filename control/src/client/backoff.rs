//! How long until the next attempt, and how does a waiting thread learn that it should stop?

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::Error;
use crate::BACKOFF_CEILING;

/// Bounded exponential delays with jitter from a seed: equal seeds give equal delays.
///
/// The n-th delay lies between half and all of `min(first × 2ⁿ, ceiling)`, so a thousand clients of a
/// server that comes back do not arrive in one instant, and none waits longer than the ceiling.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    ceiling: Duration,
    attempt: u32,
    state: u64,
}

impl Backoff {
    /// Delays from `first` up to `ceiling`.
    #[must_use]
    pub const fn new(first: Duration, ceiling: Duration, seed: u64) -> Self {
        Self {
            first,
            ceiling,
            attempt: 0,
            state: seed,
        }
    }

    /// 100 ms up to [`BACKOFF_CEILING`].
    #[must_use]
    pub const fn with_seed(seed: u64) -> Self {
        Self::new(Duration::from_millis(100), BACKOFF_CEILING, seed)
    }

    /// The delay before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.attempt).unwrap_or(u32::MAX);
        let whole = self.first.saturating_mul(factor).min(self.ceiling);
        self.attempt = self.attempt.saturating_add(1);
        let half = whole / 2;
        half + half.mul_f64(self.next_unit())
    }

    /// An attempt succeeded: the next failure begins with the first delay again.
    pub const fn reset(&mut self) {
        self.attempt = 0;
    }

    /// Attempts until one succeeds, fails for good, or `stop` is raised (`None`). `told` hears of every
    /// failure that will be retried, and after which delay.
    ///
    /// # Errors
    ///
    /// The first error that is not [worth retrying](Error::is_worth_retrying).
    pub fn retry<T>(
        &mut self,
        stop: &StopFlag,
        mut told: impl FnMut(&Error, Duration),
        mut attempt: impl FnMut() -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        while !stop.is_stopped() {
            match attempt() {
                Ok(answer) => {
                    self.reset();
                    return Ok(Some(answer));
                }
                Err(error) if error.is_worth_retrying() => {
                    let delay = self.next_delay();
                    told(&error, delay);
                    if stop.wait(delay) {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// A number in 0.0..1.0, from splitmix64.
    #[allow(clippy::cast_precision_loss)] // 53 bits fit exactly
    fn next_unit(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Tells threads to stop, and wakes those that wait in [`StopFlag::wait`].
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<(Mutex<bool>, Condvar)>);

impl StopFlag {
    /// A flag that is not raised.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises it; it never falls again.
    pub fn stop(&self) {
        let (raised, wake) = &*self.0;
        *raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
        wake.notify_all();
    }

    /// Whether it is raised.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for at most `duration`; returns whether the flag is raised.
    #[must_use]
    pub fn wait(&self, duration: Duration) -> bool {
        let (raised, wake) = &*self.0;
        let guard = raised.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = wake.wait_timeout_while(guard, duration, |raised| !*raised);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_ceiling_within_half_of_it() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1), 7);
        for whole_ms in [100, 200, 400, 800, 1_000, 1_000, 1_000_u64] {
            let whole = Duration::from_millis(whole_ms);
            let delay = backoff.next_delay();
            assert!(
                delay >= whole / 2 && delay <= whole,
                "{delay:?} of {whole:?}"
            );
        }
        for _ in 0..100 {
            assert!(backoff.next_delay() <= Duration::from_secs(1));
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(100));
    }

    #[test]
    fn equal_seeds_give_equal_delays_and_others_do_not() {
        let delays = |seed| {
            let mut backoff = Backoff::with_seed(seed);
            (0..8).map(|_| backoff.next_delay()).collect::<Vec<_>>()
        };
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
    }

    #[test]
    fn a_retry_ends_at_success_at_a_lasting_fault_and_at_the_flag() {
        let unreachable = || Error::Unreachable {
            url: "u".into(),
            cause: "c".into(),
        };
        let refused = || Error::from_refusal(403, b"");
        let mut backoff = Backoff::new(Duration::ZERO, Duration::ZERO, 1);
        let (stop, mut told, mut left) = (StopFlag::new(), 0, 3);
        let answer = backoff.retry(
            &stop,
            |_, _| told += 1,
            || {
                left -= 1;
                if left == 0 {
                    Ok(left)
                } else {
                    Err(unreachable())
                }
            },
        );
        assert_eq!((answer.unwrap(), told), (Some(0), 2));
        assert!(
            backoff
                .retry(&stop, |_, _| {}, || Err::<(), _>(refused()))
                .is_err()
        );
        let flag = stop.clone();
        let answer = backoff.retry(&stop, |_, _| flag.stop(), || Err::<(), _>(unreachable()));
        assert!(answer.unwrap().is_none());
    }

    #[test]
    fn a_raised_flag_ends_a_wait_of_any_length() {
        let flag = StopFlag::new();
        assert!(!flag.wait(Duration::ZERO));
        let waiter = flag.clone();
        let thread = std::thread::spawn(move || waiter.wait(Duration::MAX));
        flag.stop();
        assert!(thread.join().unwrap());
        assert!(flag.is_stopped());
    }
}
