//! A cable is pulled and plugged in again: nothing of a host reaches anybody, and no connection is told.

use std::time::Duration;

use twinfeed_harness::Error;

use super::{Evidence, Fault, Scene};
use crate::lab::{Namespace, SUBSCRIBERS};

/// Whose.
#[derive(Debug)]
pub(super) enum Unplugged {
    /// The active's: lines, stream, pair link and stream-admin at once.
    Active,
    /// The third subscriber's: both legs at once.
    Subscriber,
    /// stream-admin's.
    StreamAdmin,
}

impl Unplugged {
    pub(super) const fn active() -> Self {
        Self::Active
    }

    pub(super) const fn subscriber() -> Self {
        Self::Subscriber
    }

    pub(super) const fn stream_admin() -> Self {
        Self::StreamAdmin
    }

    fn host<'a>(&self, scene: &'a Scene, active: usize) -> &'a Namespace {
        match self {
            Self::Active => &scene.lab.adapters[active],
            Self::Subscriber => &scene.lab.subscribers[SUBSCRIBERS - 1],
            Self::StreamAdmin => &scene.lab.stream_admin,
        }
    }
}

impl Fault for Unplugged {
    fn strike(&mut self, scene: &mut Scene, _: usize) -> Result<Vec<Evidence>, Error> {
        let active = scene.active()?.index();
        let (span, unhurt) = match self {
            Self::Active => (Duration::from_millis(1_500), SUBSCRIBERS),
            Self::Subscriber => (Duration::from_millis(200), SUBSCRIBERS - 1),
            // An adapter's lease is three seconds.
            Self::StreamAdmin => (Duration::from_secs(4), SUBSCRIBERS),
        };
        self.host(scene, active).plug(false)?;
        let flow = scene.flows(span, unhurt);
        let carrier = self.host(scene, active).has_carrier()?;
        self.host(scene, active).plug(true)?;
        Ok(vec![
            Evidence::of("cables without a carrier", u64::from(!carrier)),
            flow?,
        ])
    }
}
