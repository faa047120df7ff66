//! How do two adapters act as one?
//!
//! The production rules of a pair run beside the sequencers of both adapters; the link between them, stream-admin
//! and its operators are the world's own.
//!
//! ```text
//!  operator ─► Registry ── grants ──► End ── said ──► PairLink ──► End      (one per adapter and source)
//!      └────── orders ───────────────►┘ └─ datagrams ─► net                 Trap: the moment at which one dies
//! ```

use core::time::Duration;

use twinfeed_protocol::Leg;
use twinfeed_protocol::pair::{News, PairLimits, Said};
use twinfeed_wire::{BodyKind, Datagram, Generation, Record, Sid};

use super::World;
use super::oracle::slots::Slots;
use super::rng::Rng;

pub mod end;
pub mod link;
pub mod registry;
mod seats;
mod strikes;
mod talk;
pub mod trap;

use end::Command;
use link::PairLink;
use registry::{Grant, Registry};
use trap::{Fate, Trap};

/// What a seed decides of the pair.
#[derive(Clone, Copy, Debug)]
pub struct PairPlan {
    /// Knobs of the rules.
    pub limits: PairLimits,
    /// How long a word takes.
    pub delay: Duration,
    /// How much longer at most, µs.
    pub jitter_us: u64,
    /// How long an end of the link hears nothing before it gives up.
    pub patience: Duration,
    /// A lease of stream-admin's.
    pub lease: Duration,
    /// How often an operator orders a message, on average.
    pub order_every: Duration,
    /// Whether an operator orders messages by chance.
    pub orders: bool,
    /// Whether the link says which generation its ends are active of.
    pub names_generations: bool,
    /// Whether words are written by a thread that may be late, and die with a process that is killed before.
    pub writes_late: bool,
}

impl PairPlan {
    /// A quick link, patient ends, an operator who orders a message every 10 ms.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            limits: PairLimits {
                report_every: Duration::from_millis(2),
                resync_retry: Duration::from_millis(10),
                ..PairLimits::default()
            },
            delay: Duration::from_micros(60),
            jitter_us: 20,
            patience: Duration::from_millis(30),
            lease: Duration::from_millis(90),
            order_every: Duration::from_millis(10),
            orders: true,
            names_generations: false,
            writes_late: false,
        }
    }

    /// A plan drawn by chance.
    #[must_use]
    pub fn draw(rng: &mut Rng) -> Self {
        let admin_hold = rng.micros(4_000, 50_000);
        Self {
            limits: PairLimits {
                sync_threshold: rng.pick(&[3, 20, 1_000, 1_000]),
                attempts: rng.between(1, 4) as u8,
                report_every: rng.micros(500, 10_000),
                resync_retry: rng.micros(2_000, 20_000),
                admin_hold,
                slot_hold: admin_hold.min(rng.micros(400, 5_000)),
                ..PairLimits::default()
            },
            delay: rng.micros(20, 400),
            jitter_us: rng.pick(&[0, 30, 600]),
            patience: rng.micros(8_000, 40_000),
            lease: rng.micros(40_000, 200_000),
            order_every: rng.micros(1_000, 20_000),
            orders: true,
            names_generations: false,
            writes_late: false,
        }
    }
}

/// Something that is due at the pair.
#[derive(Debug)]
pub enum PairEvent {
    /// A word reaches an adapter.
    Said {
        /// Whose.
        to: Leg,
        /// In which pairing it was said.
        pairing: u64,
        /// Its place among what was said to that adapter.
        place: u64,
        /// About which source.
        sid: Sid,
        /// What.
        said: Said,
    },
    /// The end of the connection reaches an adapter, behind everything that was said.
    End {
        /// Whose.
        to: Leg,
        /// Of which pairing.
        pairing: u64,
        /// How.
        ending: Ending,
    },
    /// An adapter may have heard nothing for too long.
    Silence {
        /// Whose.
        to: Leg,
    },
    /// The adapters try to connect.
    Connect,
    /// A process asks for its seat.
    Register {
        /// Whose.
        leg: Leg,
        /// Which life of it.
        life: u64,
    },
    /// A process prolongs its lease.
    Renew {
        /// Whose.
        leg: Leg,
        /// Which life of it.
        life: u64,
    },
    /// A grant reaches a process.
    Granted {
        /// Whose.
        leg: Leg,
        /// Which life of it.
        life: u64,
        /// What.
        grant: Grant,
    },
    /// A backup asks for the generation.
    TakeOver {
        /// Whose.
        leg: Leg,
        /// Which life of it.
        life: u64,
        /// Of the active that is gone.
        from: u32,
        /// Whether that lives, and has stepped down.
        handed: bool,
    },
    /// The active's word that it steps down, or goes on, reaches an adapter.
    Hands {
        /// Whose.
        to: Leg,
        /// In which pairing it was said.
        pairing: u64,
        /// As active of this generation.
        generation: Generation,
        /// Whether it goes on.
        goes_on: bool,
    },
    /// A hand-over has taken too long.
    HandOverLate {
        /// From the active of this generation.
        generation: u32,
    },
    /// An operator orders a message.
    Order,
}

/// How a connection ends, as its other end sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// The process is gone.
    Dead,
    /// It left on purpose.
    Left,
    /// It gave the connection up.
    GivenUp,
}

/// What the pair needs on the ground: where words go, and who listens.
#[derive(Debug)]
pub struct PairGround {
    /// The link.
    pub link: PairLink,
    /// A moment that is waited for.
    pub trap: Option<Trap>,
    /// Nothing more of this leg's process leaves its host.
    pub severed: [bool; 2],
    /// What was announced, and whether it was answered rightly.
    pub slots: Slots,
    /// What the rules told and nobody looked at yet.
    pub news: Vec<(Leg, Sid, News)>,
}

/// What the pair needs in the world.
#[derive(Debug)]
pub struct PairWorld {
    plan: PairPlan,
    registry: Registry,
    rng: Rng,
    connecting: bool,
    calm: bool,
    /// Whom subscribers were told to be the active.
    told_active: Option<Leg>,
}

impl PairGround {
    /// What becomes of a datagram that the adapter of `leg` sends.
    pub fn fate(&mut self, leg: Leg, sid: Sid, bytes: &[u8]) -> Fate {
        let Some(trap) = &mut self.trap else {
            return Fate::Leaves;
        };
        let numbers: Vec<u64> = Datagram::parse(bytes).map_or_else(
            |_| Vec::new(),
            |datagram| {
                let administrative = |record: &Record<'_>| record.kind == BodyKind::Administrative;
                let messages = datagram.records().filter(administrative);
                messages.map(|record| record.adm.0).collect()
            },
        );
        let fate = trap.on_datagram(leg, sid, &numbers);
        self.severed[leg.index()] = fate != Fate::Leaves;
        fate
    }
}

impl PairWorld {
    /// The pair of one seed.
    #[must_use]
    pub fn new(plan: PairPlan, seed: u64) -> (Self, PairGround) {
        let mut link = PairLink::new(
            plan.delay,
            plan.jitter_us,
            plan.patience,
            Rng::of(seed, "pair link"),
        );
        if plan.writes_late {
            link.write_late(Rng::of(seed, "words that are written late"));
        }
        let ground = PairGround {
            link,
            trap: None,
            severed: [false; 2],
            slots: Slots::under(plan.limits.sync_threshold),
            news: Vec::new(),
        };
        let world = Self {
            plan,
            registry: Registry::new(plan.lease),
            rng: Rng::of(seed, "pair"),
            connecting: false,
            calm: false,
            told_active: None,
        };
        (world, ground)
    }
}

impl World {
    /// Whether its adapters are a pair.
    #[must_use]
    pub fn is_paired(&self) -> bool {
        self.pair.is_some()
    }

    pub(super) fn on_pair(&mut self, event: PairEvent) {
        match event {
            PairEvent::Said {
                to,
                pairing,
                place,
                sid,
                said,
            } => self.hear_word(to, (pairing, place), sid, said),
            PairEvent::End {
                to,
                pairing,
                ending,
            } => self.hear_end(to, pairing, ending),
            PairEvent::Silence { to } => self.judge_silence(to),
            PairEvent::Connect => self.connect(),
            PairEvent::Register { leg, life } => self.register(leg, life),
            PairEvent::Renew { leg, life } => self.renew(leg, life),
            PairEvent::Granted { leg, life, grant } => {
                if self.adapters[leg.index()].life() == life {
                    let both = self.adapters.iter().all(|adapter| adapter.is_active());
                    self.learn_addresses(leg);
                    let authority = self.clocks[leg.index()].time(grant.authority);
                    let grant = Grant { authority, ..grant };
                    self.tell(leg, Command::Grant(grant));
                    if !both && self.adapters.iter().all(|adapter| adapter.is_active()) {
                        self.ground.count("pair.split");
                    }
                }
            }
            PairEvent::TakeOver {
                leg,
                life,
                from,
                handed,
            } => self.take_over(leg, life, from, handed),
            PairEvent::Hands {
                to,
                pairing,
                generation,
                goes_on,
            } => self.hear_hands(to, pairing, generation, goes_on),
            PairEvent::HandOverLate { generation } => self.give_up_hand_over(generation),
            PairEvent::Order => self.order_by_chance(),
        }
    }
}
