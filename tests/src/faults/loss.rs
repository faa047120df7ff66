//! Random loss: of one leg on its way to every subscriber, or of one line on its way to both adapters. The twin has it.

use std::time::Duration;

use twinfeed_harness::{Error, Seat};

use super::{Evidence, Fault, Scene};
use crate::lab::{Filter, LINES, Namespace};

/// Packets lost of a hundred.
const PER_CENT: u32 = 33;
/// For how long.
const SPAN: Duration = Duration::from_secs(1);

/// What is lost, in turn.
#[derive(Debug)]
pub(super) enum Loss {
    /// Of leg 0, then of leg 1.
    Leg,
    /// Of line A, then of line B.
    Line,
}

impl Loss {
    pub(super) const fn of_a_leg() -> Self {
        Self::Leg
    }

    pub(super) const fn of_a_line() -> Self {
        Self::Line
    }
}

impl Fault for Loss {
    fn strike(&mut self, scene: &mut Scene, turn: usize) -> Result<Vec<Evidence>, Error> {
        let (lab, one) = (&scene.lab, turn % 2);
        let (hosts, packets) = match self {
            Self::Leg => (&lab.subscribers[..], stream_of(scene, Seat::BOTH[one])),
            Self::Line => (&lab.adapters[..], format!("ip daddr {}", LINES[one].ip())),
        };
        let rule = format!("{packets} numgen random mod 100 < {PER_CENT}");
        let filters = filters(hosts, &rule)?;
        let flow = scene.flows(SPAN, 3)?;
        Ok(vec![Evidence::of("packets lost", dropped(&filters)?), flow])
    }
}

/// The same at several hosts.
pub(super) fn filters(hosts: &[Namespace], rule: &str) -> Result<Vec<Filter>, Error> {
    hosts.iter().map(|host| host.filter(rule)).collect()
}

/// What all of them dropped; nothing if one of them dropped nothing.
pub(super) fn dropped(filters: &[Filter]) -> Result<u64, Error> {
    let counts = filters.iter().map(Filter::dropped);
    let counts = counts.collect::<Result<Vec<_>, _>>()?;
    match counts.contains(&0) {
        true => Ok(0),
        false => Ok(counts.iter().sum()),
    }
}

/// Matches the stream of the adapter in `seat`, wherever it goes.
pub(super) fn stream_of(scene: &Scene, seat: Seat) -> String {
    let from = scene.lab.adapters[seat.index()].address();
    format!("ip saddr {from} meta l4proto udp")
}
