//! What is run?
//!
//! One description for the demo, the benches and the tests: what the exchange sends, how fast, how long,
//! and how the subscriber delivers. What is broken meanwhile is the business of whoever drives the
//! [`crate::Rig`].

use std::path::PathBuf;
use std::time::Duration;

use twinfeed_control::{Policy, TakeoverPolicy, TransmitMode};

use crate::probe::wire::MOST_EVENTS;

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Decides generated content.
    pub seed: u64,
    /// What sessions carry.
    pub content: Content,
    /// Whether the feed has a second source (sid 2), of an exchange of its own with the same rate and sessions.
    pub two_sources: bool,
    /// Mean rate, messages per second.
    pub rate: u64,
    /// Bursts; `None` for a steady rate.
    pub burst: Option<Burst>,
    /// Length of a session.
    pub session: Duration,
    /// How long a session is announced before it opens.
    pub pause: Duration,
    /// How many sessions; `None`: until told to stop.
    pub sessions: Option<u64>,
    /// Whose records are delivered.
    pub policy: Policy,
    /// Silent heartbeat intervals (10 ms each) that make a leg lost, and reports missed that make an active suspect;
    /// `None`: the defaults.
    pub missed_heartbeats: Option<u32>,
    /// T, in msn: how far the backup may be behind an announced slot.
    pub sync_threshold: u64,
    /// How long before it is reached a slot is announced at least; `None`: the adapters' default.
    pub least_lead: Option<Duration>,
    /// Which adapters transmit.
    pub transmit: TransmitMode,
    /// How long an alive leg may stand behind the other one; `None`: the library's default.
    pub lag: Option<Duration>,
    /// The day that the content's timestamps belong to.
    pub trading_day: String,
    /// Whether an adapter that started in mid-session takes its peer's context over.
    pub context_transfer: bool,
    /// Whether adapters give subscribers what they missed.
    pub fills: bool,
    /// Most records that they retain for that; `None`: the adapters' default.
    pub retained: Option<usize>,
    /// Idle strategy of the adapters' data threads; `None`: their default.
    pub idle: Option<String>,
    /// Whether the adapters have rings, and the probe, which yields instead of sleeping then, reads them.
    pub rings: bool,
    /// Deliveries that the probe's log remembers.
    pub log: usize,
    /// Events that it tells one by one.
    pub events: usize,
    /// Receive buffer of the probe per leg, bytes; `None`: the library's default.
    pub receive_buffer: Option<usize>,
    /// Whether the pair link runs through relays, so that it can be cut: see [`crate::relay`].
    pub relayed_link: bool,
    /// Whether the active adapter reaches stream-admin through a relay, so that it can be cut off alone.
    pub relayed_administration: bool,
    /// Environment of the active adapter and of the backup adapter, beyond this process's own: names and values.
    pub environment: [Vec<(String, String)>; 2],
    /// Who may make the backup active, beside an operator; `None`: stream-admin's default.
    pub takeover: Option<TakeoverPolicy>,
    /// How long both lines of a source are silent before an adapter calls it stale; `None`: the adapters' default.
    pub silence: Option<Duration>,
    /// How long an adapter keeps a hole of a source open once every live line has passed it; `None`: the adapters' default.
    pub reorder_hold: Option<Duration>,
    /// How long it does for a live line that has not; `None`: the adapters' default.
    pub lag_hold: Option<Duration>,
    /// What share of packets each line loses by itself, 0 to 1.
    pub line_loss: f64,
    /// The exchange gives lost messages again to the adapters, but for this share of their requests; `None`: to nobody.
    pub requests: Option<f64>,
    /// Most messages that it keeps for that; `None`: its default.
    pub requests_kept: Option<usize>,
    /// It gives sessions over SoupBinTCP, too; `None`: to nobody.
    pub soup: Option<Soup>,
    /// How long adapters say the same of a source before stream-admin acts upon it; `None`: its default.
    pub source_hold: Option<Duration>,
    /// How long an adapter's lease is, a third of which lies between its reports; `None`: stream-admin's default.
    pub adapter_lease: Option<Duration>,
    /// Takeovers within a minute that no operator ordered; more than any run has unless a test is about them.
    pub takeovers_per_minute: usize,
    /// Most receipts that stream-admin keeps; `None`: its default.
    pub receipts_kept: Option<usize>,
    /// Cores: active adapter, backup adapter; `None`: wherever the scheduler puts them.
    pub cores: [Option<usize>; 2],
}

/// What sessions carry.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Generated order flow of so many instruments, from number 1.
    Flow {
        /// Instruments.
        instruments: u16,
    },
    /// The messages of a BinaryFILE, in a loop, numbered from `first`.
    Binaryfile {
        /// The file.
        path: PathBuf,
        /// Number of every session's first message.
        first: u64,
    },
}

/// The exchange's SoupBinTCP servers, and what the adapters ask of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Soup {
    /// What the server of line A is like, and that of line B; `None`: the line has none.
    pub servers: [Option<SoupServer>; 2],
    /// Whether the adapters know the password.
    pub password: bool,
    /// Whether an adapter that began in mid-session fetches its past.
    pub past: bool,
    /// What line A's server of snapshots is like; `None`: it has none.
    pub snapshots: Option<SoupServer>,
}

impl Default for Soup {
    /// A sound one of line A, for holes and for the past.
    fn default() -> Self {
        Self {
            servers: [Some(SoupServer::Sound), None],
            password: true,
            past: true,
            snapshots: None,
        }
    }
}

/// How a SoupBinTCP server is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SoupServer {
    /// As it should be.
    Sound,
    /// It says that it does not have the session.
    Refuses,
    /// A login waits so long.
    Slow(Duration),
    /// It breaks every connection after so many messages.
    Breaks(u64),
    /// Nobody listens there.
    Absent,
}

/// A regular burst within a mean rate that stays what it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Burst {
    /// Rate within the burst, as a multiple of the mean.
    pub factor: u32,
    /// Time from burst to burst.
    pub period: Duration,
    /// Length of a burst; times the factor it is below the period.
    pub length: Duration,
}

/// Number of the first message of sessions that carry a slice of a day.
pub const SLICE_FIRST: u64 = 1_000_001;

impl Default for Run {
    fn default() -> Self {
        Self {
            seed: 1,
            content: Content::Flow { instruments: 500 },
            two_sources: false,
            rate: 20_000,
            burst: Some(Burst {
                factor: 5,
                period: Duration::from_millis(100),
                length: Duration::from_millis(15),
            }),
            session: Duration::from_millis(2_500),
            pause: Duration::from_millis(300),
            sessions: None,
            policy: Policy::FirstArrival,
            missed_heartbeats: None,
            sync_threshold: twinfeed_control::DEFAULT_SYNC_THRESHOLD,
            least_lead: None,
            transmit: TransmitMode::Hot,
            lag: None,
            trading_day: "2019-12-30".to_owned(),
            context_transfer: true,
            fills: true,
            retained: None,
            idle: None,
            rings: false,
            log: 1 << 21,
            events: MOST_EVENTS,
            receive_buffer: None,
            relayed_link: false,
            relayed_administration: false,
            environment: [Vec::new(), Vec::new()],
            takeover: None,
            silence: None,
            reorder_hold: None,
            lag_hold: None,
            line_loss: 0.0,
            requests: None,
            requests_kept: None,
            soup: None,
            source_hold: None,
            adapter_lease: None,
            takeovers_per_minute: 1_000,
            receipts_kept: None,
            cores: [None, None],
        }
    }
}

impl Run {
    /// From the opening of a session to the middle of the `n`-th burst at or after `earliest`; without
    /// bursts, `earliest`.
    #[must_use]
    pub fn mid_burst(&self, earliest: Duration) -> Duration {
        let Some(Burst { period, length, .. }) = self.burst else {
            return earliest;
        };
        let periods = earliest.as_nanos().div_ceil(period.as_nanos().max(1));
        // A session has fewer periods than 2^32.
        period * (periods as u32) + length / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_falls_into_the_middle_of_a_burst() {
        let run = Run::default();
        assert_eq!(run.mid_burst(Duration::ZERO), Duration::from_micros(7_500));
        assert_eq!(
            run.mid_burst(Duration::from_millis(100)),
            Duration::from_micros(107_500)
        );
        assert_eq!(
            run.mid_burst(Duration::from_millis(101)),
            Duration::from_micros(207_500)
        );
        let steady = Run { burst: None, ..run };
        assert_eq!(
            steady.mid_burst(Duration::from_millis(101)),
            Duration::from_millis(101)
        );
    }
}
