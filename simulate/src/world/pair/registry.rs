//! Who is active, and under which generation?
//!
//! A small model of stream-admin: two seats, one generation, leases. A seat taken in the generation at hand keeps
//! its role; a newcomer in a taken seat begins the next generation, in which a living peer is active; a backup that
//! says it lacks nothing gets the next one at once; an operator may give it to anybody. It can be away, and it can
//! be out of one adapter's reach. It shares no code with stream-admin.

use core::time::Duration;

use twinfeed_protocol::Leg;
use twinfeed_protocol::time::Time;

/// What a seat is granted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Grant {
    /// Under which generation.
    pub generation: u32,
    /// Whether as its active.
    pub active: bool,
    /// Until when it may originate.
    pub authority: Time,
}

impl Grant {
    /// Nothing.
    pub const NONE: Self = Self {
        generation: 0,
        active: false,
        authority: Time::ZERO,
    };
}

/// Both seats of a pair.
#[derive(Debug)]
pub struct Registry {
    generation: u32,
    active: Leg,
    seats: [Seat; 2],
    lease: Duration,
    away_until: Time,
    /// The generation whose active an operator has told to step down.
    handing: Option<u32>,
}

#[derive(Debug, Default)]
struct Seat {
    /// Which life of the process sits there; 0: none ever did.
    life: u64,
    /// Whether it took the seat in the generation at hand.
    joined: bool,
    until: Time,
    out_of_reach_until: Time,
}

impl Registry {
    /// Two seats that nobody took.
    #[must_use]
    pub fn new(lease: Duration) -> Self {
        Self {
            generation: 0,
            active: Leg::Zero,
            seats: [Seat::default(), Seat::default()],
            lease,
            away_until: Time::ZERO,
            handing: None,
        }
    }

    /// Time between two renewals of a lease.
    #[must_use]
    pub fn renew_every(&self) -> Duration {
        self.lease / 3
    }

    /// The generation at hand.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The leg whose seat is active.
    #[must_use]
    pub fn active(&self) -> Leg {
        self.active
    }

    /// Nobody gets an answer before `until`.
    pub fn go_away(&mut self, until: Time) {
        self.away_until = self.away_until.max(until);
    }

    /// The adapter of `leg` gets no answer, and hears of nothing, before `until`.
    pub fn cut_off(&mut self, leg: Leg, until: Time) {
        let seat = &mut self.seats[leg.index()];
        seat.out_of_reach_until = seat.out_of_reach_until.max(until);
    }

    /// Everybody gets answers again.
    pub fn calm(&mut self) {
        self.away_until = Time::ZERO;
        for seat in &mut self.seats {
            seat.out_of_reach_until = Time::ZERO;
        }
    }

    /// Whether the adapter of `leg` is answered.
    #[must_use]
    pub fn answers(&self, leg: Leg, now: Time) -> bool {
        now >= self.away_until && now >= self.seats[leg.index()].out_of_reach_until
    }

    /// Whether an operator is answered.
    #[must_use]
    pub fn is_there(&self, now: Time) -> bool {
        now >= self.away_until
    }

    /// A process asks for the seat of `leg`. `true`: that began another generation.
    pub fn register(&mut self, leg: Leg, life: u64, now: Time) -> bool {
        let seat = &self.seats[leg.index()];
        let kept = seat.joined && seat.life == life && now < seat.until;
        let joins = !seat.joined && self.generation > 0;
        let raises = !kept && !joins;
        if raises {
            let other = &self.seats[leg.other().index()];
            let alive = other.joined && now < other.until;
            self.raise(if alive { leg.other() } else { Leg::Zero });
            self.seats[leg.other().index()].joined = alive;
        }
        let seat = &mut self.seats[leg.index()];
        (seat.life, seat.joined, seat.until) = (life, true, now.after(self.lease));
        raises
    }

    /// A process prolongs its lease; `false`: it has no seat in this generation, and registers again.
    pub fn renew(&mut self, leg: Leg, life: u64, now: Time) -> bool {
        let until = now.after(self.lease);
        let seat = &mut self.seats[leg.index()];
        let own = seat.joined && seat.life == life;
        if own {
            seat.until = until;
        }
        own
    }

    /// An operator hands the role over, if there is a seat to hand it to. `false`: there is none.
    pub fn hand_over(&mut self, now: Time) -> bool {
        let other = &self.seats[self.active.other().index()];
        let there = other.joined && now < other.until;
        self.handing = there.then_some(self.generation);
        there
    }

    /// The hand-over from the active of that generation is given up; `false`: it is over.
    pub fn give_up_hand_over(&mut self, generation: u32) -> bool {
        let under_way = self.handing == Some(generation) && self.generation == generation;
        self.handing = self.handing.filter(|&handing| handing != generation);
        under_way
    }

    /// A backup says that the active of generation `from` is gone (or, `handed`, has stepped down) and that it lacks nothing. `true`: that began
    /// another generation.
    pub fn take_over(
        &mut self,
        leg: Leg,
        life: u64,
        (from, handed): (u32, bool),
        now: Time,
    ) -> bool {
        let seat = &self.seats[leg.index()];
        let holds = seat.joined && seat.life == life && now < seat.until;
        let given_up = handed && self.handing != Some(from);
        if !holds || self.active == leg || from != self.generation || given_up {
            return false;
        }
        self.force(leg);
        true
    }

    /// An operator makes the adapter of `leg` the active of another generation.
    pub fn force(&mut self, leg: Leg) {
        self.raise(leg);
        self.seats[leg.other().index()].joined = false;
    }

    /// Whether that process took the seat of `leg` in the generation at hand. Nobody else is granted anything.
    #[must_use]
    pub fn seats(&self, leg: Leg, life: u64) -> bool {
        let seat = &self.seats[leg.index()];
        seat.joined && seat.life == life
    }

    /// What the adapter of `leg` is told in answer to something that it asked at `asked_at`.
    #[must_use]
    pub fn grant(&self, leg: Leg, asked_at: Time) -> Grant {
        Grant {
            generation: self.generation,
            active: self.active == leg,
            // A share of the lease is left to clocks that run apart.
            authority: asked_at.after(self.lease - self.lease / 20),
        }
    }

    fn raise(&mut self, active: Leg) {
        self.generation += 1;
        self.active = active;
    }
}
