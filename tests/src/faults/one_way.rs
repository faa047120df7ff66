//! A connection that carries bytes one way only: what one end says is not heard, and TCP at both ends still believes in it.

use std::time::Duration;

use twinfeed_harness::{Error, Seat};

use super::{Evidence, Fault, Scene};
use crate::lab::SUBSCRIBERS;

/// Which connection.
#[derive(Debug)]
pub(super) enum OneWay {
    /// The pair link: the active does not hear the backup, then the other way round.
    Link,
    /// The active does not hear stream-admin.
    Administration,
}

impl OneWay {
    pub(super) const fn of_the_link() -> Self {
        Self::Link
    }

    pub(super) const fn of_administration() -> Self {
        Self::Administration
    }
}

impl Fault for OneWay {
    fn strike(&mut self, scene: &mut Scene, turn: usize) -> Result<Vec<Evidence>, Error> {
        let (active, generation) = (scene.active()?, scene.rig.feed()?.pair.generation);
        let lab = &scene.lab;
        let (deaf, silent, span) = match self {
            Self::Link => {
                let deaf = Seat::BOTH[turn % 2];
                let (deaf, silent) = (deaf.index(), deaf.other().index());
                (&lab.adapters[deaf], &lab.adapters[silent], LINK)
            }
            Self::Administration => (
                &lab.adapters[active.index()],
                &lab.stream_admin,
                BEYOND_A_LEASE,
            ),
        };
        let rule = format!("ip saddr {} meta l4proto tcp", silent.address());
        let filter = deaf.filter(&rule)?;
        let flow = scene.flows(span, SUBSCRIBERS)?;
        let lost = filter.dropped()?;
        drop(filter);
        let after = scene.rig.feed()?.pair.generation;
        if after != generation {
            return Err(Error::Run {
                key: "one-way",
                fault: format!("generation {after} follows {generation}: nobody was to take over"),
            });
        }
        Ok(vec![Evidence::of("segments lost", lost), flow])
    }
}

/// Longer than the silence after which the pair link counts as down: 5 beats of 200 ms.
const LINK: Duration = Duration::from_secs(2);
/// An adapter's lease is three seconds.
const BEYOND_A_LEASE: Duration = Duration::from_secs(4);
