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
    /// How long before it is reached, at the stream's rate, a slot is announced at least; zero: two round trips of the
    /// link alone. Longer than two hosts' data threads are apart on their worst days: a message comes that much later,
    /// and a slot that is passed before the answer comes costs the pair its protection until the next cut.
    pub least_lead: Duration,
    /// How often each end says where it stands.
    pub report_every: Duration,
    /// How long the backup waits for what it asked for, a cut or its place in its own stream, before it asks
    /// again.
    pub resync_retry: Duration,
    /// How long the active waits for a slot that was agreed to before it proposes its next one instead, and how long
    /// before it proposes again. Shorter: a quiet feed's messages come earlier, and it is held more often.
    pub admin_hold: Duration,
    /// How long the backup holds its stream at most in front of a slot that it accepted. Longer than a round trip of the
    /// link, or nothing is ever settled in time and the backup falls out of step instead; no longer than
    /// `admin_hold`. What comes meanwhile waits in the source's sockets.
    pub slot_hold: Duration,
    /// Ranges of 4,096 source numbers in a row whose content must be the active's before a backup that differed may be
    /// synchronised again; doubled every further time that it differs, up to 64 times.
    pub agreed_ranges: u32,
}

impl Default for PairLimits {
    fn default() -> Self {
        Self {
            sync_threshold: 1_000,
            attempts: 3,
            least_lead: Duration::ZERO,
            report_every: Duration::from_millis(10),
            resync_retry: Duration::from_millis(100),
            admin_hold: Duration::from_millis(50),
            slot_hold: Duration::from_millis(5),
            agreed_ranges: 2,
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
            ("admin_hold", "be longer than zero", some(self.admin_hold)),
            (
                "slot_hold",
                "be longer than zero and at most `admin_hold`",
                some(self.slot_hold) && self.slot_hold <= self.admin_hold,
            ),
            ("agreed_ranges", "be at least 1", self.agreed_ranges >= 1),
        ];
        match rules.iter().find(|(_, _, holds)| !holds) {
            Some(&(name, must, _)) => Err(BadLimit { name, must }),
            None => Ok(()),
        }
    }
}
