//! How much may the lines of one source hold, and how long may they wait?

use core::time::Duration;

use crate::limits::BadLimit;
use crate::repair::RepairLimits;

/// Knobs and bounds of one source's lines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LineLimits {
    /// The number that the source gives its first message of an epoch; 1 for MoldUDP64.
    pub origin_first: u64,
    /// How long a hole is kept open after the last live line passed it. Cost: that much delay for what
    /// follows a message lost on every line.
    pub reorder_hold: Duration,
    /// How long a hole is kept open for a live line that has not passed it yet. Afterwards the line counts
    /// as lagging and nobody waits for it until it has caught up.
    pub lag_hold: Duration,
    /// A line that says nothing for so long is silent; MoldUDP64 sends a heartbeat every second. As long as
    /// this the end that one line says waits for a live line that says nothing of it.
    pub silence: Duration,
    /// Most numbers between the next one to deliver and the furthest one known. Beyond it the oldest hole
    /// is given up. Memory: 90 bytes each, twice.
    pub held_messages: usize,
    /// Most bytes of messages held; rounded up to blocks of 64 per message. Full: the oldest hole is given
    /// up. Memory: as much, twice.
    pub held_bytes: usize,
    /// A jump of more numbers than this is absurd until confirmed; at most `held_messages`.
    pub window: u64,
    /// How many packets or heartbeats of one line in a row confirm a jump or a new epoch, when the other
    /// line does not: three, and one more.
    pub confirmations: u32,
    /// How many of the epochs that were left are remembered, and as many of those that were only heard of, so that none
    /// returns. Full: the oldest is forgotten and could return like a new one, if it brought what confirms a new one.
    pub retired_epochs: usize,
    /// How the source's request servers are asked for what no line brought. `fill_range`, most messages in one request, is at
    /// most 65,534: 65,535 is no count in MoldUDP64.
    pub recovery: RepairLimits,
    /// The same for servers of the session, which are asked for what the request servers have not got. `fill_range` alike.
    pub sessions: RepairLimits,
}

impl Default for LineLimits {
    fn default() -> Self {
        Self {
            origin_first: 1,
            reorder_hold: Duration::from_millis(2),
            lag_hold: Duration::from_millis(100),
            silence: Duration::from_secs(3),
            held_messages: 32_768,
            held_bytes: 4 << 20,
            window: 8_192,
            confirmations: 4,
            retired_epochs: 64,
            recovery: RepairLimits {
                repair_time: Duration::from_millis(250),
                fill_range: 1_000,
                ..RepairLimits::default()
            },
            sessions: RepairLimits {
                repair_time: Duration::from_millis(500),
                // A connection, a login and an answer are three ways there and back.
                fill_patience: Duration::from_millis(100),
                fill_range: 1_000,
                ..RepairLimits::default()
            },
        }
    }
}

impl LineLimits {
    /// Refuses what no machine could work with.
    ///
    /// # Errors
    /// [`BadLimit`] names the first knob that is wrong and what it must satisfy.
    pub fn check(&self) -> Result<(), BadLimit> {
        let rules = [
            ("origin_first", "be at least 1", self.origin_first >= 1),
            (
                "held_messages",
                "be between 1 and 16,777,216",
                (1..=1 << 24).contains(&self.held_messages),
            ),
            (
                "held_bytes",
                "be between 64 and 4 GiB",
                (64..=1 << 32).contains(&self.held_bytes),
            ),
            (
                "window",
                "be between 1 and `held_messages`",
                self.window >= 1 && self.window <= self.held_messages as u64,
            ),
            ("confirmations", "be at least 1", self.confirmations >= 1),
            ("retired_epochs", "be at least 1", self.retired_epochs >= 1),
            (
                "request_messages",
                "be between 1 and 65534",
                (1..=65_534).contains(&self.recovery.fill_range),
            ),
            (
                "request_patience",
                "be at least 10us",
                self.recovery.fill_patience >= Duration::from_micros(10),
            ),
            (
                "soup.messages",
                "be between 1 and 65534",
                (1..=65_534).contains(&self.sessions.fill_range),
            ),
            (
                "soup.patience",
                "be at least 10us",
                self.sessions.fill_patience >= Duration::from_micros(10),
            ),
            (
                "lag_hold",
                "be at least `reorder_hold`",
                self.lag_hold >= self.reorder_hold,
            ),
            (
                "silence",
                "be longer than `lag_hold`",
                self.silence > self.lag_hold,
            ),
        ];
        match rules.iter().find(|(_, _, holds)| !holds) {
            Some(&(name, must, _)) => Err(BadLimit { name, must }),
            None => Ok(()),
        }
    }
}
