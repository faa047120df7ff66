//! How much may the arbiter remember, and how long may it wait?
//!
//! Every bound has a name, a default, a unit and a defined outcome when it is reached.

use core::time::Duration;

use twinfeed_wire::{LONGEST_DATAGRAM, RECORD_HEADER_LENGTH};

use crate::repair::RepairLimits;

/// Which leg's records an application gets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Policy {
    /// Whichever leg has the next record.
    #[default]
    FirstArrival,
    /// One leg is delivered, the other held until it is needed.
    PreferActive,
}

/// The arbiter's knobs and bounds, for one source stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Which leg's records an application gets. Of an unordered source the first arrival, whatever is said here.
    pub policy: Policy,
    /// An alive leg this many source numbers behind the other, for [`Limits::lag_time`], is abandoned.
    pub lag_messages: u64,
    /// See [`Limits::lag_messages`]. Under prefer-active also the longest a record that the other leg
    /// already has is held back.
    pub lag_time: Duration,
    /// How long a hole is kept open after every live leg has passed it.
    pub reorder_hold: Duration,
    /// Most records held per leg. Full: the lagging leg counts as capped, the hole is declared.
    pub held_records: usize,
    /// Most bytes of bodies held per leg; rounded up to whole slots.
    pub held_bytes: usize,
    /// A jump of more source numbers than this is absurd until confirmed. Of an unordered source the bound is
    /// [`Limits::seen_window`] less one, where that is less.
    pub window: u64,
    /// A jump of more administrative messages than this is absurd until confirmed.
    pub adm_window: u64,
    /// Numbers of an unordered source that are told apart, from the lowest missing one on; one bit each, rounded
    /// up to a multiple of 64. What comes further ahead declares the lowest missing ones as a Gap.
    pub seen_window: usize,
    /// Most messages of an unordered source that may be half delivered. One more declares the rest of the lowest
    /// one as a Gap.
    pub half_messages: usize,
    /// Most datagrams kept per leg while a jump or a new epoch waits for confirmation. Full: the oldest is
    /// dropped, which shows as a Gap once the jump is confirmed.
    pub quarantined_datagrams: usize,
    /// Longest datagram, bytes.
    pub max_datagram: usize,
    /// Heartbeat interval assumed until a leg's heartbeat states its own.
    pub heartbeat: Duration,
    /// Heartbeats missed before a leg counts as lost.
    pub missed_heartbeats: u32,
    /// How long a leg that came back must behave before prefer-active prefers it again; also how long a degraded leg's
    /// score must be high before it is fit.
    pub hold_down: Duration,
    /// A leg whose score is below this is degraded; 0: none ever is. See [`crate::health`].
    pub health_low: u8,
    /// A degraded leg is fit again once its score was this or more for [`Limits::hold_down`].
    pub health_high: u8,
    /// Ranges of 4,096 source numbers in a row whose content must agree before legs that differed are merged again;
    /// doubled with every further divergence, up to 64 times.
    pub agreed_ranges: u32,
    /// How long the leg that is pinned in a divergence may be behind, where that is longer than
    /// [`Limits::lag_time`]. Longer: the other leg's differing records come later, and its hold may fill first.
    pub pinned_lag_time: Duration,
    /// How adapters are asked for what is missing, before it is declared.
    pub repair: RepairLimits,
}

/// Bytes of the shortest record in a datagram: its header, and a body padded to 8.
const LEAST_RECORD: usize = RECORD_HEADER_LENGTH + 8;

impl Default for Limits {
    fn default() -> Self {
        Self {
            policy: Policy::FirstArrival,
            lag_messages: 10_000,
            lag_time: Duration::from_millis(20),
            reorder_hold: Duration::from_millis(2),
            held_records: 32_768,
            held_bytes: 8 << 20,
            window: 1_000_000,
            adm_window: 10_000,
            seen_window: 65_536,
            half_messages: 64,
            quarantined_datagrams: 256,
            max_datagram: 1_472,
            heartbeat: Duration::from_millis(10),
            missed_heartbeats: 3,
            hold_down: Duration::from_secs(1),
            health_low: 50,
            health_high: 75,
            agreed_ranges: 2,
            pinned_lag_time: Duration::from_secs(1),
            repair: RepairLimits::default(),
        }
    }
}

/// A limit that cannot be worked with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadLimit {
    /// The knob's name.
    pub name: &'static str,
    /// What it must satisfy.
    pub must: &'static str,
}

impl core::fmt::Display for BadLimit {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "`{}` must {}", self.name, self.must)
    }
}

impl core::error::Error for BadLimit {}

impl Limits {
    /// Refuses what no machine could work with.
    ///
    /// # Errors
    /// [`BadLimit`] names the first knob that is wrong and what it must satisfy.
    pub fn check(&self) -> Result<(), BadLimit> {
        let rules = [
            ("held_records", "be at least 1", self.held_records >= 1),
            (
                "held_bytes",
                "hold one datagram",
                self.held_bytes >= self.max_datagram,
            ),
            ("window", "be at least 1", self.window >= 1),
            ("adm_window", "be at least 1", self.adm_window >= 1),
            (
                "seen_window",
                "tell apart as many numbers as a longest datagram has records",
                self.seen_window >= self.max_datagram / LEAST_RECORD,
            ),
            ("half_messages", "be at least 1", self.half_messages >= 1),
            (
                "quarantined_datagrams",
                "be at least 4",
                self.quarantined_datagrams >= 4,
            ),
            (
                "max_datagram",
                "be between 1,200 and 65,504",
                (1_200..=LONGEST_DATAGRAM).contains(&self.max_datagram),
            ),
            (
                "heartbeat",
                "be at least 10 µs",
                self.heartbeat >= Duration::from_micros(10),
            ),
            (
                "missed_heartbeats",
                "be at least 1",
                self.missed_heartbeats >= 1,
            ),
            ("agreed_ranges", "be at least 1", self.agreed_ranges >= 1),
            (
                "health_low",
                "be no more than `health_high`",
                self.health_low <= self.health_high,
            ),
            ("health_high", "be at most 100", self.health_high <= 100),
            (
                "fill_patience",
                "be at least 10 µs",
                self.repair.fill_patience >= Duration::from_micros(10),
            ),
            ("fill_range", "be at least 1", self.repair.fill_range >= 1),
            (
                "fill_datagrams",
                "be at least 1",
                self.repair.fill_datagrams >= 1,
            ),
        ];
        match rules.iter().find(|(_, _, holds)| !holds) {
            Some(&(name, must, _)) => Err(BadLimit { name, must }),
            None => Ok(()),
        }
    }
}
