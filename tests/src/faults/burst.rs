//! Everything lost for a moment: of one leg at every subscriber, whose twin has it; or of both legs at one subscriber, who
//! is told what is missing, because nothing is filled from retention yet.

use std::time::Duration;

use twinfeed_harness::{Error, Seat};

use super::loss::{dropped, filters, stream_of};
use super::{Evidence, Fault, Scene};
use crate::lab::SUBSCRIBERS;

/// What is lost.
#[derive(Debug)]
pub(super) enum Burst {
    /// Leg 0, then leg 1.
    Leg,
    /// Both, at the third subscriber.
    Both,
}

impl Burst {
    pub(super) const fn of_a_leg() -> Self {
        Self::Leg
    }

    pub(super) const fn of_both_legs() -> Self {
        Self::Both
    }
}

impl Fault for Burst {
    fn strike(&mut self, scene: &mut Scene, turn: usize) -> Result<Vec<Evidence>, Error> {
        let lost;
        let flow = match self {
            Self::Leg => {
                let rule = stream_of(scene, Seat::BOTH[turn % 2]);
                let filters = filters(&scene.lab.subscribers, &rule)?;
                let flow = scene.flows(LONG, SUBSCRIBERS)?;
                lost = dropped(&filters)?;
                flow
            }
            Self::Both => {
                let third = &scene.lab.subscribers[SUBSCRIBERS - 1];
                let rules = Seat::BOTH.map(|seat| stream_of(scene, seat));
                let filters = [third.filter(&rules[0])?, third.filter(&rules[1])?];
                let flow = scene.flows(SHORT, SUBSCRIBERS - 1)?;
                lost = dropped(&filters)?;
                flow
            }
        };
        Ok(vec![Evidence::of("datagrams lost", lost), flow])
    }
}

/// Longer than any hold, shorter than the silence that makes a leg lost.
const LONG: Duration = Duration::from_millis(300);
/// A few hundred messages.
const SHORT: Duration = Duration::from_millis(100);
