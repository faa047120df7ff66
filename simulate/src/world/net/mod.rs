//! How does a datagram get from one adapter to one subscriber, if it does?
//!
//! A [`Link`] keeps order and adds a delay; every [`Fault`](Decorator) is a decorator in front of it. A
//! decorator added to a world is one struct in one file and one line in [`draw`].
//!
//! ```text
//!  adapter ─► decorator ─► decorator ─► delay, in order ─► subscriber
//! ```

use core::fmt;
use core::time::Duration;
use std::rc::Rc;

use twinfeed_protocol::time::Time;

use super::rng::Rng;

pub mod forge;
pub mod loss;
pub mod mtu;
pub mod shift;

/// One datagram under way.
#[derive(Clone, Debug)]
pub struct Flight {
    /// What travels.
    pub bytes: Rc<[u8]>,
    /// Delay that decorators added.
    pub late: Duration,
    /// Whether it may overtake and be overtaken.
    pub strays: bool,
    /// Whether an adapter sent it, and sent it so.
    pub genuine: bool,
}

impl Flight {
    /// A datagram as an adapter sent it.
    #[must_use]
    pub fn genuine(bytes: Rc<[u8]>) -> Self {
        Self {
            bytes,
            late: Duration::ZERO,
            strays: false,
            genuine: true,
        }
    }
}

/// A fault of the network.
pub trait Decorator: fmt::Debug {
    /// The name under which it is counted.
    fn name(&self) -> &'static str;
    /// Passes `flight` on (or not, or changed, or twice) and says whether it did harm.
    fn pass(&mut self, flight: Flight, rng: &mut Rng, on: &mut Vec<Flight>) -> bool;
}

/// The way from one adapter to one subscriber.
#[derive(Debug)]
pub struct Link {
    delay: Duration,
    jitter_us: u64,
    decorators: Vec<Box<dyn Decorator>>,
    cut_until: Time,
    last: Time,
    rng: Rng,
    /// What passes the decorators, before and behind one of them; empty between two datagrams.
    under_way: [Vec<Flight>; 2],
}

impl Link {
    /// A link with a delay, a jitter that keeps the order, and faults.
    #[must_use]
    pub fn new(
        delay: Duration,
        jitter_us: u64,
        decorators: Vec<Box<dyn Decorator>>,
        rng: Rng,
    ) -> Self {
        Self {
            delay,
            jitter_us,
            decorators,
            cut_until: Time::ZERO,
            last: Time::ZERO,
            rng,
            under_way: [Vec::new(), Vec::new()],
        }
    }

    /// Nothing passes before `until`.
    pub fn cut(&mut self, until: Time) {
        self.cut_until = self.cut_until.max(until);
    }

    /// The faults are over.
    pub fn calm(&mut self) {
        self.decorators.clear();
        self.cut_until = Time::ZERO;
    }

    /// Sends one datagram; `arrive` gets what will be heard at the other end and when, `fired` the names
    /// of the faults that did harm.
    pub fn send(
        &mut self,
        now: Time,
        bytes: &Rc<[u8]>,
        mut fired: impl FnMut(&'static str),
        mut arrive: impl FnMut(Time, Flight),
    ) {
        if now < self.cut_until {
            fired("partition");
            return;
        }
        let [flights, on] = &mut self.under_way;
        flights.push(Flight::genuine(Rc::clone(bytes)));
        for decorator in &mut self.decorators {
            for flight in flights.drain(..) {
                if decorator.pass(flight, &mut self.rng, on) {
                    fired(decorator.name());
                }
            }
            core::mem::swap(flights, on);
        }
        for flight in flights.drain(..) {
            let jitter = Duration::from_micros(self.rng.below(self.jitter_us + 1));
            let mut at = now.after(self.delay + jitter + flight.late);
            if !flight.strays {
                at = at.max(self.last);
                self.last = at;
            }
            arrive(at, flight);
        }
    }
}

/// A set of faults drawn by chance; `harsh` in 0..=3 says how many.
#[must_use]
pub fn draw(harsh: u64, rng: &mut Rng) -> Vec<Box<dyn Decorator>> {
    let mut decorators: Vec<Box<dyn Decorator>> = Vec::new();
    for _ in 0..harsh {
        decorators.push(match rng.below(10) {
            0 | 1 => Box::new(loss::Independent::of_percent(rng.pick(&[1, 5, 20]))),
            2 => Box::new(loss::Burst::once_in(
                rng.between(30, 200),
                rng.between(2, 15),
            )),
            3 => Box::new(loss::EveryNth::new(rng.between(2, 9))),
            4 => Box::new(shift::Duplicate::of_percent(rng.pick(&[1, 10, 50]))),
            5 | 6 => Box::new(shift::Reorder::of_percent(
                rng.pick(&[1, 10]),
                rng.pick(&[200, 1_500, 8_000]),
            )),
            7 => Box::new(forge::Corrupt::once_in(rng.between(5, 50))),
            8 => Box::new(forge::Foreign::once_in(rng.between(5, 50))),
            _ => Box::new(forge::Absurd::once_in(rng.between(20, 80))),
        });
    }
    decorators
}
