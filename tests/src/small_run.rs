//! What can a debug build on two busy cores bear?

use std::time::Duration;

use twinfeed_control::Policy;
use twinfeed_harness::run::{Burst, Content, Run};

/// A run that a debug build on two busy cores can bear.
#[must_use]
pub fn small_run() -> Run {
    Run {
        content: Content::Flow { instruments: 50 },
        rate: 4_000,
        burst: Some(Burst {
            factor: 5,
            period: Duration::from_millis(100),
            length: Duration::from_millis(15),
        }),
        session: Duration::from_millis(1_500),
        // The host may take a process off its core for long; only real deaths are to count here.
        missed_heartbeats: Some(100),
        policy: Policy::FirstArrival,
        ..Run::default()
    }
}
