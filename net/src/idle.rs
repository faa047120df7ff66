//! What does a thread do when a duty cycle found no work?
//!
//! | strategy | latency of the next arrival | cost while idle |
//! |---|---|---|
//! | `spin` | none added | one core, always |
//! | `yield` | a scheduling turn when others want the core | one core, given away on demand |
//! | `backoff` | up to `max_us` after a long silence | little after a while |
//! | `block` | one wake-up of the kernel (microseconds) | next to nothing |
//!
//! `block` sleeps in ppoll(2) on the thread's own sockets, so an arrival ends it at once; its
//! timeout bounds only how late deadlines and commands from other threads are noticed. It is the
//! default: kind to a laptop. The low-latency profile pins and spins.

use std::fmt;
use std::hint;
use std::os::fd::BorrowedFd;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use crate::wait::{Interest, wait};

/// What to do without work. Written as `spin`, `yield`, `backoff[:key=value,…]` with the keys
/// `spins`, `yields`, `min_us`, `max_us`, or `block[:timeout_us=…]`; keys left out have their
/// defaults.
///
/// ```
/// use twinfeed_net::idle::Idle;
///
/// let idle: Idle = "backoff:max_us=200".parse()?;
/// assert_eq!(idle.to_string(), "backoff:spins=100,yields=10,min_us=1,max_us=200");
/// # Ok::<(), twinfeed_net::idle::ParseIdleError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Idle {
    /// Ask again at once.
    Spin,
    /// Offer the core to others, then ask again.
    Yield,
    /// Spin a little, then yield a little, then sleep, twice as long each time up to a bound.
    Backoff(Backoff),
    /// Sleep until a socket of the thread has something, or the timeout has passed.
    Block {
        /// Longest sleep, µs.
        timeout_us: u32,
    },
}

/// The steps of [`Idle::Backoff`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Backoff {
    /// Empty cycles that spin.
    pub spins: u32,
    /// Empty cycles after those that yield.
    pub yields: u32,
    /// First sleep, µs.
    pub min_us: u32,
    /// Longest sleep, µs.
    pub max_us: u32,
}

impl Idle {
    /// [`Idle::Block`]'s timeout where none is given, µs.
    pub const DEFAULT_TIMEOUT_US: u32 = 1_000;
}

impl Default for Idle {
    fn default() -> Self {
        Self::Block {
            timeout_us: Self::DEFAULT_TIMEOUT_US,
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            spins: 100,
            yields: 10,
            min_us: 1,
            max_us: 1_000,
        }
    }
}

/// An [`Idle`] strategy at work in one thread.
#[derive(Clone, Debug)]
pub struct Idler {
    strategy: Idle,
    /// Cycles without work since the last one with work.
    empty: u32,
}

/// What one idle step does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Return,
    Spin,
    Yield,
    Sleep(Duration),
    Wait(Duration),
}

impl Idler {
    /// A thread's idler, as if it had just worked.
    pub fn new(strategy: Idle) -> Self {
        Self { strategy, empty: 0 }
    }

    /// The strategy.
    pub fn strategy(&self) -> Idle {
        self.strategy
    }

    /// Ends a duty cycle that did `work` (any measure; zero is none). `sockets` are those the
    /// thread receives on; `block` wakes when one of them has something.
    pub fn idle<'fd>(&mut self, work: usize, sockets: impl IntoIterator<Item = BorrowedFd<'fd>>) {
        self.idle_within(work, Duration::MAX, sockets);
    }

    /// As [`Idler::idle`], and sleeps no longer than `limit`: the time to the next deadline.
    pub fn idle_within<'fd>(
        &mut self,
        work: usize,
        limit: Duration,
        sockets: impl IntoIterator<Item = BorrowedFd<'fd>>,
    ) {
        match self.step(work) {
            Step::Return => {}
            Step::Spin => hint::spin_loop(),
            Step::Yield => thread::yield_now(),
            Step::Sleep(time) => thread::sleep(time.min(limit)),
            Step::Wait(time) => {
                let time = time.min(limit);
                // More sockets than a wait can name: sleep the time out instead.
                if wait(sockets.into_iter().map(Interest::readable), Some(time)).is_err() {
                    thread::sleep(time);
                }
            }
        }
    }

    /// Counts the cycle and decides; no clock, no call.
    fn step(&mut self, work: usize) -> Step {
        if work > 0 {
            self.empty = 0;
            return Step::Return;
        }
        let empty = self.empty;
        self.empty = empty.saturating_add(1);
        match self.strategy {
            Idle::Spin => Step::Spin,
            Idle::Yield => Step::Yield,
            Idle::Backoff(backoff) => backoff.step(empty),
            Idle::Block { timeout_us } => Step::Wait(micros(timeout_us)),
        }
    }
}

impl Backoff {
    fn step(self, empty: u32) -> Step {
        let Some(after_spins) = empty.checked_sub(self.spins) else {
            return Step::Spin;
        };
        let Some(doublings) = after_spins.checked_sub(self.yields) else {
            return Step::Yield;
        };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let sleep_us = self.min_us.saturating_mul(factor).min(self.max_us);
        Step::Sleep(micros(sleep_us))
    }
}

fn micros(us: u32) -> Duration {
    Duration::from_micros(u64::from(us))
}

/// Why a text is no idle strategy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{text}` is no idle strategy ({fault}); allowed: spin, yield, \
     backoff[:spins=N,yields=N,min_us=N,max_us=N], block[:timeout_us=N]"
)]
pub struct ParseIdleError {
    text: String,
    fault: String,
}

impl FromStr for Idle {
    type Err = ParseIdleError;

    fn from_str(text: &str) -> Result<Self, ParseIdleError> {
        parse(text).map_err(|fault| ParseIdleError {
            text: text.to_owned(),
            fault,
        })
    }
}

fn parse(text: &str) -> Result<Idle, String> {
    let (word, keys) = text.split_once(':').unwrap_or((text, ""));
    let (mut backoff, mut timeout_us) = (Backoff::default(), Idle::DEFAULT_TIMEOUT_US);
    for pair in keys.split(',').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair
            .split_once('=')
            .ok_or(format!("`{pair}` has no value"))?;
        let target = match (word, key) {
            ("backoff", "spins") => &mut backoff.spins,
            ("backoff", "yields") => &mut backoff.yields,
            ("backoff", "min_us") => &mut backoff.min_us,
            ("backoff", "max_us") => &mut backoff.max_us,
            ("block", "timeout_us") => &mut timeout_us,
            _ => return Err(format!("`{word}` has no key `{key}`")),
        };
        *target = value
            .parse()
            .map_err(|_| format!("`{value}` is no whole number"))?;
    }
    let idle = match word {
        "spin" => Idle::Spin,
        "yield" => Idle::Yield,
        "backoff" => Idle::Backoff(backoff),
        "block" => Idle::Block { timeout_us },
        _ => return Err(format!("unknown word `{word}`")),
    };
    // A sleep of zero would spin in the kernel: slower than `spin` and as hot.
    match idle {
        Idle::Block { timeout_us: 0 } => Err("timeout_us must be above 0".to_owned()),
        Idle::Backoff(b) if b.min_us == 0 || b.min_us > b.max_us => {
            Err("min_us must be above 0 and not above max_us".to_owned())
        }
        _ => Ok(idle),
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spin => f.write_str("spin"),
            Self::Yield => f.write_str("yield"),
            Self::Backoff(b) => write!(
                f,
                "backoff:spins={},yields={},min_us={},max_us={}",
                b.spins, b.yields, b.min_us, b.max_us
            ),
            Self::Block { timeout_us } => write!(f, "block:timeout_us={timeout_us}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn backoff_spins_then_yields_then_doubles_up_to_its_bound() {
        let backoff = Backoff {
            spins: 2,
            yields: 1,
            min_us: 10,
            max_us: 35,
        };
        let mut idler = Idler::new(Idle::Backoff(backoff));
        let sleep = |us| Step::Sleep(Duration::from_micros(us));
        let expected = [
            Step::Spin,
            Step::Spin,
            Step::Yield,
            sleep(10),
            sleep(20),
            sleep(35),
            sleep(35),
        ];
        for step in expected {
            assert_eq!(idler.step(0), step);
        }
        assert_eq!(idler.step(1), Step::Return);
        assert_eq!(idler.step(0), Step::Spin);
    }

    #[test]
    fn backoff_stays_bounded_after_any_silence() {
        let backoff = Backoff::default();
        let longest = Step::Sleep(Duration::from_millis(1));
        for empty in [141, 142, 143, 1_000_000, u32::MAX] {
            assert_eq!(backoff.step(empty), longest, "after {empty}");
        }
    }

    #[test]
    fn a_socket_with_data_ends_a_block_without_its_timeout() {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        peer.write_all(b"x").unwrap();
        // An hour: the test would hang if the arrival did not end the wait.
        let mut idler = Idler::new("block:timeout_us=3600000000".parse().unwrap());
        idler.idle(0, [ours.as_fd()]);
    }

    #[test]
    fn strategies_print_as_they_parse() {
        let table = [
            ("spin", "spin"),
            ("yield", "yield"),
            ("block", "block:timeout_us=1000"),
            ("block:timeout_us=50", "block:timeout_us=50"),
            (
                "backoff",
                "backoff:spins=100,yields=10,min_us=1,max_us=1000",
            ),
            (
                "backoff:spins=0,min_us=5",
                "backoff:spins=0,yields=10,min_us=5,max_us=1000",
            ),
        ];
        for (text, printed) in table {
            let idle: Idle = text.parse().unwrap();
            assert_eq!(idle.to_string(), printed);
            assert_eq!(printed.parse(), Ok(idle));
        }
        assert_eq!(Idle::default().to_string(), "block:timeout_us=1000");
    }

    #[test]
    fn a_wrong_text_is_answered_with_what_is_allowed() {
        let table = [
            ("sleep", "unknown word `sleep`"),
            ("spin:spins=1", "`spin` has no key `spins`"),
            ("block:timeout_us", "`timeout_us` has no value"),
            ("block:timeout_us=-1", "`-1` is no whole number"),
            ("block:timeout_us=0", "timeout_us must be above 0"),
            (
                "backoff:min_us=2000",
                "min_us must be above 0 and not above max_us",
            ),
        ];
        for (text, fault) in table {
            let error = text.parse::<Idle>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`{text}` is no idle strategy")),
                "{error}"
            );
            assert!(
                error.contains(fault) && error.contains("allowed: spin"),
                "{error}"
            );
        }
    }
}
