//! What proves that a switch lost nothing?

use core::time::Duration;

use twinfeed_wire::{Generation, Pos, Sid, StreamId};

use crate::event::Leg;
use crate::time::Time;

/// Why a subscriber stopped relying on a leg.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Trigger {
    /// The survivor announced that its pair link was reset.
    TransportReset,
    /// The leg's heartbeats stopped.
    HeartbeatSilence,
    /// The leg announced its end.
    StepDown,
    /// Alive but too far behind.
    Lag,
    /// The leg hears nothing from its source while the other one does.
    SourceStale,
    /// The leg's context is outranked by the other's.
    Outranked,
    /// Stream administration or an operator ordered it.
    Order,
    /// The leg is degraded and the other one is fit; or the one that is preferred is fit again.
    Health,
}

impl Trigger {
    /// The word used in metrics, logs and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::TransportReset => "transport_reset",
            Self::HeartbeatSilence => "heartbeat_silence",
            Self::StepDown => "step_down",
            Self::Lag => "lag",
            Self::SourceStale => "source_stale",
            Self::Outranked => "outranked",
            Self::Order => "order",
            Self::Health => "health",
        }
    }
}

/// Where a leg stood when the switch was decided.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Side {
    /// The leg's stream of this sid.
    pub stream: StreamId,
    /// Generation it worked under.
    pub generation: Generation,
    /// How far it had come: its next place.
    pub pos: Pos,
}

/// The account of one switch of one sid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Receipt {
    /// Source stream.
    pub sid: Sid,
    /// The leg no longer relied on.
    pub from_leg: Leg,
    /// Where it stood.
    pub from: Side,
    /// Where the other leg stood.
    pub to: Side,
    /// What decided it.
    pub trigger: Trigger,
    /// Duplicates dropped since the switch before (or since the start).
    pub duplicates_dropped: u64,
    /// Records of the survivor that were held when the switch was decided.
    pub held: u64,
    /// How many of them were delivered at once.
    pub filled: u64,
    /// Source numbers declared missing between the first suspicion and this receipt.
    pub gaps_left: u64,
    /// Longest silence of delivered records around the switch.
    pub stall: Duration,
    /// When it was decided.
    pub at: Time,
}
