//! What is a stream told before it begins, and what does it count?

use core::time::Duration;

use twinfeed_wire::{Incarnation, LONGEST_DATAGRAM, SMALLEST_MAX_DATAGRAM, Sid, StreamId};

use crate::limits::BadLimit;

/// What one stream is configured with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequencerConfig {
    /// The stream, assigned by stream-admin.
    pub stream: StreamId,
    /// The source stream it carries.
    pub sid: Sid,
    /// Life of this process.
    pub incarnation: Incarnation,
    /// Longest datagram, bytes; between 1,200 and 65,504, rounded down to a multiple of 8.
    pub max_datagram: usize,
    /// A heartbeat follows after so long a silence, and every three times so long on a busy stream;
    /// between 10 µs and one hour.
    pub heartbeat: Duration,
    /// How many of the last records are remembered, so that the peer's reports can be compared and its
    /// numbering be taken over: by so many messages may the adapters be apart. At least 1, rounded up to
    /// a power of two; memory: 48 bytes each.
    pub history: usize,
}

impl SequencerConfig {
    /// Refuses what no stream could work with.
    ///
    /// # Errors
    /// [`BadLimit`] names the first value that is wrong and what it must satisfy.
    pub fn check(&self) -> Result<(), BadLimit> {
        let rules = [
            (
                "max_datagram",
                "be between 1,200 and 65,504",
                (SMALLEST_MAX_DATAGRAM..=LONGEST_DATAGRAM).contains(&self.max_datagram),
            ),
            (
                "heartbeat",
                "be between 10 µs and one hour",
                (Duration::from_micros(10)..=Duration::from_secs(3_600)).contains(&self.heartbeat),
            ),
            (
                "history",
                "be between 1 and 16,777,216",
                (1..=1 << 24).contains(&self.history),
            ),
        ];
        match rules.iter().find(|(_, _, holds)| !holds) {
            Some(&(name, must, _)) => Err(BadLimit { name, must }),
            None => Ok(()),
        }
    }
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SequencerCounters {
    /// Datagrams sent, heartbeats included.
    pub datagrams: u64,
    /// Heartbeats sent.
    pub heartbeats: u64,
    /// Bytes of datagrams sent.
    pub bytes: u64,
    /// Datagrams made on standby and not sent.
    pub withheld: u64,
    /// Of those, sent when standby ended.
    pub replayed: u64,
    /// Source messages sequenced, covered ones included.
    pub messages: u64,
    /// Source messages without a record.
    pub covered: u64,
    /// Records sent, withheld or under way.
    pub records: u64,
    /// Administrative messages placed.
    pub administrative: u64,
    /// Of those, placed without knowing that the peer places them too.
    pub placed_alone: u64,
    /// Administrative messages whose slots had not come when the stream ended: not placed here.
    pub unplaced: u64,
    /// Source numbers given up.
    pub abandoned: u64,
    /// Source messages that cannot be expressed (a body or a count of records beyond the bounds): given
    /// up, never silent.
    pub inexpressible: u64,
    /// Inputs that the state at hand does not allow (an old number, a message outside an epoch): ignored.
    pub refused: u64,
}
