//! What is in a world whose adapters can be asked for what both streams lost?
//!
//! Everything that a short world has, of two adapters alone or of a pair; and holes on both streams at once, and fill servers
//! that do something else than they should.

use core::time::Duration;

use twinfeed_protocol::Leg;

use super::faults::partition::Blackout;
use super::faults::server::FillServer;
use super::faults::{self, Fault};
use super::fills::{self, FillPlan, Trick};
use super::plan::Plan;
use super::requests::RequestPlan;
use super::rng::Rng;

impl Plan {
    /// The plan of one seed in which what both streams lost can be asked for.
    #[must_use]
    pub fn draw_filled(seed: u64) -> Self {
        let mut rng = Rng::of(seed, "filled plan");
        let mut plan = match rng.one_in(2) {
            true => Self::draw(seed),
            false => Self::draw_pair(seed),
        };
        for _ in 0..rng.between(2, 6) {
            let longer = rng.micros(1_000, 12_000);
            let fault = Blackout::of(rng.pick(&[longer, SHORT]));
            let at = rng.micros(4_000, 250_000);
            plan.faults.push((at, Box::new(fault)));
        }
        let comebacks = faults::draw_comebacks(seed, WITHIN, LONG_AWAY);
        plan.faults.extend(comebacks);
        for _ in 0..rng.below(4) {
            let fault: Box<dyn Fault> = Box::new(FillServer::of(
                rng.pick(&Leg::BOTH),
                Trick::draw(&mut rng),
                rng.micros(2_000, 120_000),
            ));
            plan.faults.push((rng.micros(1_000, 250_000), fault));
        }
        let mut rng_of_requests = Rng::of(seed, "requests");
        let asks = plan.conduct.lines.is_some() && rng_of_requests.one_in(2);
        let requests = asks.then(|| RequestPlan::draw(seed, &mut rng_of_requests));
        if let (Some(of), Some(lines)) = (&requests, &mut plan.conduct.lines) {
            lines.recovery = of.limits;
            plan.conduct.servers = of.known;
        }
        for (number, application) in (1..).zip(&mut plan.subscribers) {
            application.limits.repair = fills::limits(seed ^ number, &mut rng);
        }
        let subscribers = plan.subscribers.len();
        let max_datagram = plan.conduct.max_datagram;
        Self {
            fills: Some(FillPlan::draw(max_datagram, subscribers, &mut rng)),
            requests,
            settling: plan.settling + SETTLING,
            ..plan
        }
    }
}

/// When applications that come back go, and for how long.
const WITHIN: Duration = Duration::from_millis(250);
const LONG_AWAY: Duration = Duration::from_millis(150);
/// A blackout that loses a datagram or two.
const SHORT: Duration = Duration::from_micros(800);
/// What is asked for may be asked for this long, and a hole behind it as long again.
const SETTLING: Duration = Duration::from_millis(450);
