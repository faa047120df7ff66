//! Under which name is an event counted?

use twinfeed_protocol::{DiscontinuityCause, Event, GapCause, LegState, ResetCause, Tail, Trigger};

/// A name per event and cause.
#[must_use]
pub fn word(event: &Event) -> &'static str {
    match event {
        Event::Gap { cause, .. } => gap(*cause),
        Event::AdministrativeGap { .. } => "event.administrative_gap",
        Event::Recovered { .. } => "event.recovered",
        Event::Switched(receipt) => switched(receipt.trigger),
        Event::Discontinuity { cause, .. } => match cause {
            DiscontinuityCause::Join => "event.discontinuity.join",
            DiscontinuityCause::Context { .. } => "event.discontinuity.context",
            DiscontinuityCause::Administrative => "event.discontinuity.administrative",
            DiscontinuityCause::Divergence { .. } => "event.discontinuity.divergence",
        },
        Event::Reset { cause, .. } => match cause {
            ResetCause::Epoch {
                tail: Tail::Complete,
                ..
            } => "event.reset.tail_complete",
            ResetCause::Epoch {
                tail: Tail::Unknown,
                ..
            } => "event.reset.tail_unknown",
            ResetCause::Regress => "event.reset.regress",
        },
        Event::Divergence { .. } => "event.divergence",
        Event::Converged { .. } => "event.converged",
        Event::Leg { state, .. } => match state {
            LegState::Unheard => "event.leg.unheard",
            LegState::Live => "event.leg.live",
            LegState::Stalled => "event.leg.stalled",
            LegState::Lost => "event.leg.lost",
        },
        Event::Stale { .. } => "event.stale",
        Event::Live { .. } => "event.live",
        Event::Ended { .. } => "event.ended",
        Event::Closed { .. } => "event.closed",
        _ => "event.unknown",
    }
}

fn gap(cause: GapCause) -> &'static str {
    match cause {
        GapCause::LostOnEveryLeg => "event.gap.lost_on_every_leg",
        GapCause::ReceiverOverrun => "event.gap.receiver_overrun",
        GapCause::Lag => "event.gap.lag",
        GapCause::HoldFull => "event.gap.hold_full",
        GapCause::Abandoned => "event.gap.abandoned",
        GapCause::NotRetained => "event.gap.not_retained",
        GapCause::Unanswered => "event.gap.unanswered",
        GapCause::Skipped => "event.gap.skipped",
    }
}

fn switched(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::TransportReset => "event.switched.transport_reset",
        Trigger::HeartbeatSilence => "event.switched.heartbeat_silence",
        Trigger::StepDown => "event.switched.step_down",
        Trigger::Lag => "event.switched.lag",
        Trigger::SourceStale => "event.switched.source_stale",
        Trigger::Outranked => "event.switched.outranked",
        Trigger::Order => "event.switched.order",
        Trigger::Health => "event.switched.health",
    }
}
