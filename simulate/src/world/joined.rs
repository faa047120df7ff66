//! What is in a world whose applications join with snapshots?
//!
//! Everything that a filled one has, epochs that begin more often than not while adapters live, and: snapshot servers that do something else than
//! they should, applications that come in mid-session, again and again, and ones whose state is in doubt.

use twinfeed_protocol::Leg;

use super::faults::Fault;
use super::faults::refresh::Refresh;
use super::faults::server::SnapshotServer;
use super::faults::visit::Visit;
use super::plan::Plan;
use super::rng::Rng;
use super::snapshots::{JoinPlan, SnapshotPlan, Trick};

impl Plan {
    /// The plan of one seed whose applications join with snapshots.
    #[must_use]
    pub fn draw_joined(seed: u64) -> Self {
        let mut rng = Rng::of(seed, "joined plan");
        let mut plan = Self::draw_filled(seed);
        for application in &mut plan.subscribers {
            if rng.one_in(2) {
                application.joins = rng.micros(5_000, 200_000);
            }
        }
        let mut put = |most: u64, rng: &mut Rng, draw: fn(&mut Rng) -> Box<dyn Fault>| {
            for _ in 0..rng.below(most) {
                let at = rng.micros(1_000, 250_000);
                let fault = draw(rng);
                plan.faults.push((at, fault));
            }
        };
        put(4, &mut rng, |rng| {
            let (leg, trick) = (rng.pick(&Leg::BOTH), Trick::draw(rng));
            Box::new(SnapshotServer::of(leg, trick, rng.micros(2_000, 120_000)))
        });
        put(4, &mut rng, |rng| {
            Box::new(Visit::away_for(rng.micros(500, 40_000)))
        });
        put(4, &mut rng, |_| Box::new(Refresh));
        Self {
            snapshots: Some(SnapshotPlan::draw(&mut rng)),
            joins: plan
                .subscribers
                .iter()
                .map(|_| JoinPlan::draw(&mut rng))
                .collect(),
            settling: plan.settling + SETTLING,
            ..plan
        }
    }
}

/// Joining may take this long at most, and begin again once.
const SETTLING: core::time::Duration = core::time::Duration::from_millis(350);
