//! How far ahead, how long and how often do two adapters talk about their slots?

use core::time::Duration;

use crate::limits::BadLimit;

/// Knobs of one end of a pair, for one stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairLimits {
    /// T, in msn: how far behind the slot a backup may be and still agree to it. Equal on both adapters, and
    /// part of the configuration's digest. 0: nothing is ever synchronised.
    pub sync_threshold: u64,
    /// How often one administrative message is announced at most before it is placed without the peer.
    pub attempts: u8,
    /// How often each end says where it stands.
    pub report_every: Duration,
    /// How long the backup waits for what it asked for, a cut or its place in its own stream, before it asks
    /// again.
    pub resync_retry: Duration,
}

impl Default for PairLimits {
    fn default() -> Self {
        Self {
            sync_threshold: 1_000,
            attempts: 3,
            report_every: Duration::from_millis(10),
            resync_retry: Duration::from_millis(100),
        }
    }
}

impl PairLimits {
    /// Refuses what no pair could work with.
    ///
    /// # Errors
    /// [`BadLimit`] names the first knob that is wrong and what it must satisfy.
    pub fn check(&self) -> Result<(), BadLimit> {
        let some = |span: Duration| !span.is_zero();
        let rules = [
            ("attempts", "be at least 1", self.attempts >= 1),
            (
                "report_every",
                "be longer than zero",
                some(self.report_every),
            ),
            (
                "resync_retry",
                "be longer than zero",
                some(self.resync_retry),
            ),
        ];
        match rules.iter().find(|(_, _, holds)| !holds) {
            Some(&(name, must, _)) => Err(BadLimit { name, must }),
            None => Ok(()),
        }
    }
}
