//! What does an arbiter count?

use core::time::Duration;

use twinfeed_wire::{ContextId, Generation, Incarnation, Malformed, Pos, StreamId};

use crate::event::LegState;
use crate::time::Time;

/// Everything that happened to one feed. All numbers only grow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// Datagrams offered, of any kind.
    pub datagrams: u64,
    /// Records delivered.
    pub records: u64,
    /// Records dropped because they were delivered before.
    pub duplicates: u64,
    /// Gaps declared.
    pub gaps: u64,
    /// Source messages inside declared gaps (a message whose parts are missing counts once).
    pub gap_messages: u64,
    /// Holes closed before a gap was declared.
    pub recovered: u64,
    /// Switches, each with a receipt.
    pub switches: u64,
    /// Discontinuities told.
    pub discontinuities: u64,
    /// Resets told.
    pub resets: u64,
    /// Divergences told, each with a leg that was pinned.
    pub divergences: u64,
    /// Convergences told.
    pub convergences: u64,
    /// Ranges of source numbers whose content both legs told.
    pub compared_ranges: u64,
    /// Of those, the ones whose content differed.
    pub diverged_ranges: u64,
    /// Records held because they were not next.
    pub held: u64,
    /// Records that found the hold full after everything that could be done was done; they show as a gap.
    pub hold_overflow: u64,
    /// Datagrams refused, by [`Malformed::index`].
    pub rejected: [u64; Malformed::LABELS.len()],
    /// Datagrams of a stream that was not granted on that leg.
    pub foreign_stream: u64,
    /// Datagrams of a source stream that was not subscribed.
    pub unknown_sid: u64,
    /// Datagrams of an incarnation that was replaced.
    pub stale_incarnation: u64,
    /// Datagrams with a dsn that was seen before.
    pub replayed: u64,
    /// Administrative messages of a generation that was replaced, with numbers that its successor did not inherit.
    pub fenced: u64,
    /// Datagrams of an epoch that was left for good.
    pub retired_epoch: u64,
    /// Datagrams that waited for a confirmation.
    pub quarantined: u64,
    /// Datagrams that waited in vain: their sender went on as if it had never said it.
    pub quarantine_dropped: u64,
    /// Datagrams that waited and had to make room for newer ones; what they brought may show as a gap.
    pub quarantine_overflow: u64,
    /// Records of a kind that this version does not know.
    pub skipped_kinds: u64,
    /// Datagrams that this host's kernel dropped before anybody read them.
    pub local_drops: u64,
    /// Records that were missing on every leg and came because an adapter was asked for them.
    pub filled: u64,
    /// Records that came so and had come before.
    pub fill_duplicates: u64,
    /// Datagrams and replies that came as if asked for, and were not, or are not what was asked for.
    pub fill_rejected: u64,
}

impl Counters {
    /// Datagrams refused for any reason of form.
    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        self.rejected.iter().sum()
    }
}

/// How one leg of one source stream is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LegStatus {
    /// Its state.
    pub state: LegState,
    /// Its stream, once granted.
    pub stream: Option<StreamId>,
    /// Generation in whose numbering it last counted.
    pub generation: Generation,
    /// Life of its process.
    pub incarnation: Incarnation,
    /// How far it has come: its next place.
    pub next: Pos,
    /// What its conversion remembers.
    pub context: ContextId,
    /// Whether that reaches back to the source's own first number.
    pub complete: bool,
    /// Records it offered.
    pub offered: u64,
    /// Records that were delivered from it.
    pub wins: u64,
    /// Records of it that were dropped as duplicates.
    pub duplicates: u64,
    /// Records that were missing on every leg and that its adapter gave when it was asked.
    pub filled: u64,
    /// Datagrams missing in its numbering so far (late ones are subtracted again).
    pub missing_datagrams: u64,
    /// Records of it held at present.
    pub held: usize,
    /// By how much it is ahead of the other leg (moving average over records both brought).
    pub lead: Duration,
    /// When it was last heard.
    pub last_heard: Time,
    /// Heartbeat interval it stated.
    pub heartbeat: Duration,
    /// The other leg says that its process is gone.
    pub peer_lost: bool,
    /// It hears nothing from its source.
    pub source_stale: bool,
    /// It said other things than the leg that is pinned: nothing of it is delivered.
    pub apart: bool,
    /// It is silent on purpose: it numbers its records and holds them back.
    pub standby: bool,
    /// Its score, 0 to 100, as of the last tick; 0 while it is not live or set apart. See [`crate::health`].
    pub health: u8,
    /// Its score fell below `health_low`, and was not `health_high` for `hold_down` since.
    pub degraded: bool,
}
