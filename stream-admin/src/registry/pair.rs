//! Who is active, and under which generation?
//!
//! A pair has two seats. Under one generation each seat is taken by at most one incarnation, and the two
//! roles differ; so whoever holds (generation, active) is alone. Everything else follows:
//!
//! | the seat is … | the peer is … | answer |
//! |---|---|---|
//! | its own, lease valid | any | *keep*: same generation, same role |
//! | vacant in this generation | any | *join*: same generation, the role that the seat has in it |
//! | taken: restart, or own lease lapsed | alive | *raise*: generation + 1, peer active, newcomer backup |
//! | taken: restart, or own lease lapsed | not alive | *raise*: generation + 1, preferred roles |
//! | of a generation above ours | as above | *raise* above what it holds |
//! | any, by an incarnation replaced earlier | any | *refuse*: replaced ones never return |
//!
//! Nothing pre-empts a living active (RM-21). A lapse alone changes no role: roles change at registrations,
//! when a backup that lacks nothing says that the active's process is gone or has stepped down ([`Pair::take_over`]), and
//! when an operator, or the feed's own policy, says so ([`Pair::appoint`]). A *pinned* leg stays active when it is restarted.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use twinfeed_control::{Generation, Incarnation, LegIndex, Role, TakeoverCause};

use crate::lease::{Lease, Now};

/// The durable part of a pair: generation, roles, and who sits where.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pair {
    generation: Generation,
    /// The leg whose seat is active in this generation; `None` before the first one.
    active: Option<LegIndex>,
    /// While this leg is active nothing but an operator makes the other one active.
    #[serde(default)]
    pinned: Option<LegIndex>,
    seats: [Seat; 2],
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
struct Seat {
    incarnation: Option<Incarnation>,
    /// Whether `incarnation` took the seat in the current generation.
    joined: bool,
    /// Replaced incarnations, newest last, at most [`RETIRED_LIMIT`].
    retired: VecDeque<Incarnation>,
    #[serde(skip)]
    lease: Lease,
}

/// Who asks for a seat.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Which seat.
    pub leg: LegIndex,
    /// By which life of the process.
    pub incarnation: Incarnation,
    /// The generation it remembers; 0 for none.
    pub held: Generation,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Outcome {
    /// Nothing changed but the lease.
    Kept,
    /// The seat was vacant in this generation.
    Joined,
    /// A new generation began.
    Raised,
}

/// Why a claim was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClaimRefused {
    /// A newer incarnation took the seat; this one never returns.
    #[error("incarnation {0} was replaced and never returns")]
    Replaced(Incarnation),
    /// It remembers a generation that this server cannot have granted.
    #[error("generation {held} is more than {limit} above {ours}, the last one known here")]
    Absurd {
        /// What it remembers.
        held: Generation,
        /// The last one known here.
        ours: Generation,
        /// By how much it may differ, for a server that lost its store.
        limit: u32,
    },
}

/// Why a takeover was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TakeoverRefused {
    /// It does not sit there, or its lease is over.
    #[error("it does not hold its seat")]
    NotSeated,
    /// Another generation was granted meanwhile.
    #[error("generation {ours} is granted, not {from}")]
    Generation {
        /// The one whose active is said to be gone.
        from: Generation,
        /// The one at hand.
        ours: Generation,
    },
}

impl Pair {
    /// The current generation; 0 before the first registration.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// The leg that is active in the current generation; `None` before the first registration.
    #[must_use]
    pub const fn active(&self) -> Option<LegIndex> {
        self.active
    }

    /// The role that a seat has in the current generation.
    #[must_use]
    pub fn role(&self, leg: LegIndex) -> Option<Role> {
        let active = self.active?;
        Some(if leg == active {
            Role::Active
        } else {
            Role::Backup
        })
    }

    /// Who sits there, now or last.
    #[must_use]
    pub fn incarnation(&self, leg: LegIndex) -> Option<Incarnation> {
        self.seat(leg).incarnation
    }

    /// Whether somebody took the seat in the current generation.
    #[must_use]
    pub fn is_joined(&self, leg: LegIndex) -> bool {
        self.seat(leg).joined
    }

    /// Whether somebody took the seat in the current generation and its lease is valid.
    #[must_use]
    pub fn is_alive(&self, leg: LegIndex, now: Now) -> bool {
        let seat = self.seat(leg);
        seat.joined && seat.lease.is_valid(now)
    }

    /// Whether this incarnation sits there and its lease is valid.
    #[must_use]
    pub fn holds(&self, leg: LegIndex, incarnation: Incarnation, now: Now) -> bool {
        self.incarnation(leg) == Some(incarnation) && self.is_alive(leg, now)
    }

    /// The lease of a seat.
    #[must_use]
    pub fn lease(&self, leg: LegIndex) -> Lease {
        self.seat(leg).lease
    }

    /// Judges a claim by the table above and carries it out.
    ///
    /// # Errors
    ///
    /// [`ClaimRefused`]; nothing changed.
    pub fn claim(
        &mut self,
        claim: Claim,
        now: Now,
        lease_ms: u64,
    ) -> Result<Outcome, ClaimRefused> {
        let Claim {
            leg,
            incarnation,
            held,
        } = claim;
        let seat = self.seat(leg);
        if seat.retired.contains(&incarnation) {
            return Err(ClaimRefused::Replaced(incarnation));
        }
        let ours = self.generation;
        if held.0 > ours.0.saturating_add(HELD_JUMP_LIMIT) {
            return Err(ClaimRefused::Absurd {
                held,
                ours,
                limit: HELD_JUMP_LIMIT,
            });
        }
        let own = seat.incarnation == Some(incarnation);
        let outcome = match (held > ours, seat.joined, own && seat.lease.is_valid(now)) {
            (false, true, true) => Outcome::Kept,
            (false, false, _) if ours.0 > 0 => Outcome::Joined,
            (true, _, _) | (false, true, false) | (false, false, _) => Outcome::Raised,
        };
        if outcome == Outcome::Raised {
            self.raise(leg, Generation(ours.0.max(held.0) + 1), now);
        }
        self.seat_mut(leg).take(incarnation);
        self.seat_mut(leg).lease = Lease::granted(now, lease_ms);
        Ok(outcome)
    }

    /// Prolongs the lease of whoever sits there; false when it is somebody else, or when the seat has
    /// not been taken in the current generation.
    #[must_use]
    pub fn renew(
        &mut self,
        leg: LegIndex,
        incarnation: Incarnation,
        now: Now,
        lease_ms: u64,
    ) -> bool {
        let seat = self.seat_mut(leg);
        let own = seat.joined && seat.incarnation == Some(incarnation);
        if own {
            seat.lease = Lease::granted(now, lease_ms);
        }
        own
    }

    /// A new generation with `leg` as its active, because the active of `from` is gone or has stepped down. Asking again
    /// for the same one changes nothing. In the first case the other seat is vacant in it: whoever still sits there
    /// registers anew, as backup; in the second its occupant keeps it.
    ///
    /// # Errors
    ///
    /// [`TakeoverRefused`]; nothing changed.
    pub fn take_over(
        &mut self,
        leg: LegIndex,
        incarnation: Incarnation,
        from: Generation,
        cause: TakeoverCause,
        now: Now,
    ) -> Result<Outcome, TakeoverRefused> {
        if !self.holds(leg, incarnation, now) {
            return Err(TakeoverRefused::NotSeated);
        }
        let active = self.active == Some(leg);
        if active && from <= self.generation {
            return Ok(Outcome::Kept);
        }
        if from != self.generation {
            return Err(TakeoverRefused::Generation {
                from,
                ours: self.generation,
            });
        }
        let peer = leg.other();
        let stays = cause == TakeoverCause::SteppedDown && self.is_alive(peer, now);
        self.begin(leg, stays);
        Ok(Outcome::Raised)
    }

    /// A new generation with `leg` as its active, whatever the other one does; that keeps its seat if its lease is valid.
    ///
    /// # Errors
    ///
    /// [`TakeoverRefused`]; nothing changed.
    pub fn appoint(&mut self, leg: LegIndex, now: Now) -> Result<Outcome, TakeoverRefused> {
        if !self.is_alive(leg, now) {
            return Err(TakeoverRefused::NotSeated);
        }
        if self.active == Some(leg) {
            return Ok(Outcome::Kept);
        }
        let stays = self.is_alive(leg.other(), now);
        self.begin(leg, stays);
        Ok(Outcome::Raised)
    }

    /// The leg to which the roles are pinned.
    #[must_use]
    pub const fn pinned(&self) -> Option<LegIndex> {
        self.pinned
    }

    /// Pins the roles, or takes the pin away.
    pub const fn pin(&mut self, leg: Option<LegIndex>) {
        self.pinned = leg;
    }

    fn begin(&mut self, active: LegIndex, peer_stays: bool) {
        self.generation = Generation(self.generation.0.saturating_add(1));
        self.active = Some(active);
        self.seat_mut(active.other()).joined = peer_stays;
    }

    /// Gives the seat's lease back; false when somebody else sits there.
    #[must_use]
    pub fn leave(&mut self, leg: LegIndex, incarnation: Incarnation) -> bool {
        let seat = self.seat_mut(leg);
        let own = seat.incarnation == Some(incarnation);
        if own {
            seat.lease = Lease::Void;
        }
        own
    }

    /// After a restart: whoever held a seat may still be there, and gets this long to say so.
    pub fn presume_alive(&mut self, now: Now, presumption_ms: u64) {
        for seat in &mut self.seats {
            if seat.joined {
                seat.lease = Lease::granted(now, presumption_ms);
            }
        }
    }

    /// Whether an incarnation once sat there and was replaced.
    #[must_use]
    pub fn is_retired(&self, leg: LegIndex, incarnation: Incarnation) -> bool {
        self.seat(leg).retired.contains(&incarnation)
    }

    fn raise(&mut self, newcomer: LegIndex, generation: Generation, now: Now) {
        let peer = newcomer.other();
        let peer_alive = self.is_alive(peer, now);
        self.generation = generation;
        let pinned = self.pinned == Some(newcomer) && self.active == self.pinned;
        self.active = Some(match (pinned, peer_alive) {
            (true, _) => newcomer,
            (false, true) => peer,
            (false, false) => LegIndex::ACTIVE,
        });
        self.seat_mut(peer).joined = peer_alive;
        self.seat_mut(newcomer).joined = false;
    }

    fn seat(&self, leg: LegIndex) -> &Seat {
        &self.seats[leg.index()]
    }

    fn seat_mut(&mut self, leg: LegIndex) -> &mut Seat {
        &mut self.seats[leg.index()]
    }
}

impl Seat {
    fn take(&mut self, incarnation: Incarnation) {
        let before = self.incarnation.replace(incarnation);
        self.joined = true;
        if let Some(old) = before.filter(|old| *old != incarnation) {
            self.retired.push_back(old);
            if self.retired.len() > RETIRED_LIMIT {
                self.retired.pop_front();
            }
        }
    }
}

/// How many replaced incarnations a seat remembers.
pub const RETIRED_LIMIT: usize = 64;

/// How far a remembered generation may be above ours: a lost store explains a jump, a wrong number or
/// an attempt to use the numbers up does not.
pub const HELD_JUMP_LIMIT: u32 = 1 << 20;

#[cfg(test)]
#[path = "pair_tests.rs"]
mod tests;
