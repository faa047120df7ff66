//! Who gives a subscriber what both streams lost?
//!
//! Each adapter retains what it sends, as the production retention does, and is asked over a way of its own, with faults
//! of its own. A [`Trick`] is what an adapter's fill server does that is not honest, for as long as a fault lasts.
//!
//! ```text
//!  subscriber ─ ask ─► way there ─► server, one turn later ─► way back ─► subscriber
//!                                      ▲       │
//!  adapter ─ what it sends ─► Retained ┘       └► trick: says nothing, less, late, something else
//! ```
//!
//! What the world knows here and the arbiter does not: since when asking an adapter would have helped
//! ([`Fills::could_give`]).

use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;

use twinfeed_protocol::arbiter::Ask;
use twinfeed_protocol::repair::RepairLimits;
use twinfeed_protocol::retain::{Retained, RetentionLimits, ServerLimits};
use twinfeed_protocol::time::Time;
use twinfeed_protocol::{Leg, Place};
use twinfeed_wire::fill::{Fill, FillRange, LONGEST_REQUEST};
use twinfeed_wire::{BodyKind, ContextId, Datagram, Epoch, Sid};

use super::net::{self, Decorator, Flight, Link};
use super::rng::Rng;

mod desk;
mod trick;

pub use trick::Trick;

use desk::Desk;

/// The network's faults on one way.
type Faults = Vec<Box<dyn Decorator>>;

/// What a world's adapters retain, and how they are asked.
#[derive(Debug)]
pub struct FillPlan {
    /// How much each keeps of each stream.
    pub retention: RetentionLimits,
    /// How much it gives to whom.
    pub server: ServerLimits,
    /// Which adapters serve.
    pub known: [bool; 2],
    /// The network's faults on the ways there and back, by subscriber and leg.
    pub ways: Vec<[[Faults; 2]; 2]>,
}

impl FillPlan {
    /// Both adapters serve, keep much, and every way is without faults.
    #[must_use]
    pub fn plain(max_datagram: usize, subscribers: usize) -> Self {
        Self {
            retention: RetentionLimits {
                messages: 4_096,
                bytes: 1 << 20,
                max_datagram,
            },
            server: ServerLimits::default(),
            known: [true; 2],
            ways: (0..subscribers).map(|_| Default::default()).collect(),
        }
    }

    /// One drawn by chance.
    pub(super) fn draw(max_datagram: usize, subscribers: usize, rng: &mut Rng) -> Self {
        let client_rate = rng.pick(&[2_000, 50_000]);
        Self {
            retention: RetentionLimits {
                messages: rng.pick(&[256, 4_096]),
                bytes: rng.pick(&[4 * max_datagram, 1 << 20]),
                max_datagram,
            },
            server: ServerLimits {
                clients: subscribers,
                answer: rng.pick(&[2, 512]),
                client_rate,
                total_rate: client_rate * rng.pick(&[1, 4]),
                waiting: rng.pick(&[1, 64]),
                ..ServerLimits::default()
            },
            known: rng.pick(&[[true; 2], [true; 2], [true, false], [false, true]]),
            ways: (0..subscribers)
                .map(|_| [0, 1].map(|_| [0, 1].map(|_| net::draw(rng.below(2), rng))))
                .collect(),
        }
    }
}

/// How a subscriber asks, drawn by chance.
pub(super) fn limits(seed: u64, rng: &mut Rng) -> RepairLimits {
    RepairLimits {
        repair_time: rng.pick(&[20, 60, 150].map(Duration::from_millis)),
        fill_patience: rng.pick(&[2, 5].map(Duration::from_millis)),
        fill_attempts: rng.pick(&[4, 12]),
        fill_range: rng.pick(&[SHORT_RANGE, 65_536]),
        fill_datagrams: rng.pick(&[2, 64]),
        fill_seed: seed,
    }
}

/// An answer under way.
#[derive(Clone, Debug)]
pub struct Given {
    /// When it arrives.
    pub at: Time,
    /// At whom.
    pub subscriber: usize,
    /// What.
    pub flight: Flight,
}

/// Both adapters' fill servers and the ways to them.
#[derive(Debug)]
pub struct Fills {
    known: [bool; 2],
    desks: [Desk; 2],
    /// There and back, by subscriber and leg.
    ways: Vec<[[Link; 2]; 2]>,
    /// When each subscriber last had less of each adapter than an honest one within reach gives.
    trouble: Vec<[Time; 2]>,
    /// When each subscriber last asked each adapter.
    asked: Vec<[Time; 2]>,
    rng: Rng,
}

impl Fills {
    /// As planned.
    ///
    /// # Panics
    /// When the world's limits are ones no server works with.
    #[must_use]
    pub fn new(plan: FillPlan, seed: u64) -> Self {
        let mut index = 0;
        let mut way = |faults| {
            index += 1;
            let mut rng = Rng::of(seed, &format!("fill way {index}"));
            Link::new(rng.micros(20, 200), rng.pick(&[0, 100]), faults, rng)
        };
        let ways: Vec<_> = plan
            .ways
            .into_iter()
            .map(|it| it.map(|it| it.map(&mut way)))
            .collect();
        Self {
            known: plan.known,
            desks: [(); 2].map(|()| Desk::new(plan.retention, plan.server)),
            trouble: vec![[Time::ZERO; 2]; ways.len()],
            asked: vec![[Time::ZERO; 2]; ways.len()],
            ways,
            rng: Rng::of(seed, "fill servers"),
        }
    }

    /// Which adapters serve.
    #[must_use]
    pub fn known(&self) -> [bool; 2] {
        self.known
    }

    /// The adapter of `leg` sent this, or withheld it.
    pub fn keep(&mut self, now: Time, leg: Leg, sid: Sid, bytes: &[u8]) {
        self.desks[leg.index()].keep(now, sid, bytes);
    }

    /// The process of `leg` is no more, and what it retained with it.
    pub fn note_death(&mut self, now: Time, leg: Leg) {
        self.desks[leg.index()].forget();
        self.note_trouble(now, leg);
    }

    /// A request found nobody at the adapter of `leg`.
    pub fn note_unheard(&mut self, now: Time, subscriber: usize, leg: Leg) {
        self.trouble[subscriber][leg.index()] = now;
    }

    /// Asking `leg` does not help just now.
    pub fn note_trouble(&mut self, now: Time, leg: Leg) {
        for trouble in &mut self.trouble {
            trouble[leg.index()] = now;
        }
    }

    /// From now on the server of `leg` does this.
    pub fn play(&mut self, now: Time, leg: Leg, trick: Trick) {
        self.desks[leg.index()].trick = trick;
        self.note_trouble(now, leg);
    }

    /// The ways have no faults any more, and every server is honest.
    pub fn calm(&mut self, now: Time) {
        for way in self.ways.iter_mut().flatten().flatten() {
            way.calm();
        }
        for leg in Leg::BOTH {
            self.play(now, leg, Trick::Honest);
        }
    }

    /// A request leaves a subscriber; `arrive` gets when it reaches the adapter, and as what.
    pub fn ask(
        &mut self,
        now: Time,
        subscriber: usize,
        ask: &Ask,
        mut fired: impl FnMut(&'static str),
        arrive: impl FnMut(Time, Flight),
    ) {
        let mut buffer = [0; LONGEST_REQUEST];
        let length = ask.write(&mut buffer);
        let leg = ask.leg.index();
        self.asked[subscriber][leg] = now;
        let mut harmed = false;
        let fired = |name| {
            harmed = true;
            fired(name);
        };
        let bytes = Rc::from(&buffer[..length]);
        self.ways[subscriber][leg][0].send(now, &bytes, fired, arrive);
        if harmed || ask.ranges().iter().any(is_long) {
            self.trouble[subscriber][leg] = now;
        }
    }

    /// A request reached the adapter of `leg`, whose process runs. The answer is how long until its server's next turn, if
    /// none was due.
    ///
    /// # Errors
    /// What the server did that it must not.
    pub fn take(
        &mut self,
        now: Time,
        (subscriber, leg): (usize, Leg),
        bytes: &[u8],
    ) -> Result<Option<Duration>, String> {
        let Ok(Fill::Request(request)) = Fill::parse(bytes) else {
            return Ok(None);
        };
        let desk = &mut self.desks[leg.index()];
        let taken = desk.take(now, subscriber, &request)?;
        if !taken || desk.trick != Trick::Honest || desk.is_late() {
            self.trouble[subscriber][leg.index()] = now;
        }
        Ok(desk.due(&mut self.rng))
    }

    /// The server of `leg` has its turn; what it gives is added to `given`.
    ///
    /// # Errors
    /// What it did that it must not.
    pub fn turn(
        &mut self,
        (now, at): (Time, Time),
        leg: Leg,
        mut fired: impl FnMut(&'static str),
        given: &mut Vec<Given>,
    ) -> Result<(), String> {
        let answers = self.desks[leg.index()].turn(at, &mut self.rng)?;
        for answer in answers {
            let (way, mut harmed) = (&mut self.ways[answer.to][leg.index()][1], !answer.honest);
            let fired = |name| {
                harmed = true;
                fired(name);
            };
            way.send(now, &answer.bytes, fired, |at, flight| {
                given.push(Given {
                    at,
                    subscriber: answer.to,
                    flight: Flight {
                        genuine: flight.genuine && answer.genuine,
                        ..flight
                    },
                });
            });
            if harmed {
                self.trouble[answer.to][leg.index()] = now;
            }
        }
        Ok(())
    }

    /// An adapter that had all of this for as long as `window`, behind so many messages, and was within the subscriber's reach for as long.
    pub fn could_give(
        &self,
        now: Time,
        window: Duration,
        subscriber: usize,
        of: (Sid, Epoch, ContextId),
        (range, counted): ((Place, Place), Option<u64>),
    ) -> Option<Leg> {
        Leg::BOTH.into_iter().find(|leg| {
            let untroubled = self.trouble[subscriber][leg.index()].after(window) <= now;
            // Time stands still while a stream may bring it: who was asked just now may have been asked for the first time.
            let had_time = self.asked[subscriber][leg.index()].after(ROUND_TRIP) <= now;
            let desk = &self.desks[leg.index()];
            self.known[leg.index()]
                && untroubled
                && had_time
                && desk.has(now, window, of, range, counted)
        })
    }

    /// Look-ups, requests answered by somebody else's, and datagrams given, of both adapters.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 5] {
        let sum = |of: fn(&Desk) -> u64| self.desks.iter().map(of).sum();
        [
            ("fill.repairs", sum(|desk| desk.counters().repairs)),
            ("fill.shared", sum(|desk| desk.counters().shared)),
            ("fill.datagrams", sum(|desk| desk.counters().datagrams)),
            ("fill.lacking", sum(|desk| desk.counters().lacking)),
            ("fill.busy", sum(|desk| desk.counters().busy)),
        ]
    }
}

/// Whether a range may be one that was cut: it takes more than one request.
fn is_long(range: &FillRange) -> bool {
    match *range {
        FillRange::Records { from, until } => until.0 - from.0 >= SHORT_RANGE,
        FillRange::Messages { .. } => false,
    }
}

/// How long an honest adapter within reach takes to answer at most.
const ROUND_TRIP: Duration = Duration::from_millis(2);
/// The shortest range that a subscriber cuts what is missing to.
const SHORT_RANGE: u64 = 64;

/// When each record was kept, and how many messages it counts, by context.
type KeptAt = BTreeMap<(Sid, Epoch, ContextId), BTreeMap<Place, (Time, u64)>>;

/// Places, and how many messages the record of each counts.
type Counted = Vec<(Place, u64)>;

/// The places of the source's records in a datagram with the messages that they count, and what they are of.
fn places(bytes: &[u8]) -> Option<((Epoch, ContextId), Counted)> {
    let datagram = Datagram::parse(bytes).ok()?;
    let header = datagram.header();
    let records = datagram.records();
    let records = records.filter(|record| record.kind != BodyKind::Administrative);
    let places = records.map(|record| {
        let place = Place {
            sseq: record.sseq,
            part: record.part,
        };
        (place, record.adm.0)
    });
    Some(((header.epoch, header.context), places.collect()))
}

/// Whether `retained` has everything between two places.
fn is_whole(
    retained: &Retained,
    (epoch, context): (Epoch, ContextId),
    (from, until): (Place, Place),
) -> bool {
    let range = FillRange::Records {
        from: (from.sseq, from.part),
        until: (until.sseq, until.part),
    };
    retained.find(epoch, context, &range).lacks.is_none()
}
