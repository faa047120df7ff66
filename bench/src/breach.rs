//! Which of what an application is told says that something is missing, or is not what it was?
//!
//! A bench's publisher sends no heartbeats, and a host takes its processor away now and then: legs are called silent and live again, and holes that one leg filled
//! recovered. That is no breach.

use twinfeed_protocol::Event;

/// Whether this is one.
pub(crate) const fn is_breach(event: &Event) -> bool {
    matches!(
        event,
        Event::Gap { .. }
            | Event::AdministrativeGap { .. }
            | Event::Reset { .. }
            | Event::Divergence { .. }
            | Event::JoinRestarted { .. }
            | Event::Closed { .. }
    )
}
