//! What may operators and faults do to a pair?

use core::time::Duration;

use twinfeed_protocol::Leg;
use twinfeed_protocol::time::Time;
use twinfeed_wire::{
    Adm, AdminId, AdminKind, Generation, GenerationOpened, OpenReason, Sid, StoredAdmin,
};

use super::PairEvent;
use super::end::Command;
use super::registry::Registry;
use super::trap::{Case, Trap};
use crate::world::World;
use crate::world::adapters::State;
use crate::world::ground::Happening;
use crate::world::rng::Rng;

impl World {
    pub(super) fn order_by_chance(&mut self) {
        let Some(pair) = &mut self.pair else { return };
        if pair.calm || !pair.plan.orders {
            return;
        }
        let mean = pair.plan.order_every.as_micros() as u64;
        let after = pair.rng.micros(mean / 4, mean * 7 / 4);
        self.ground
            .schedule(after, Happening::Pair(PairEvent::Order));
        let active = pair.registry.active();
        let leg = if pair.rng.chance(85) {
            active
        } else {
            active.other()
        };
        let sid = self.sources[pair.rng.below(self.sources.len() as u64) as usize]
            .shape()
            .sid;
        self.order(leg, sid);
    }

    pub(super) fn order(&mut self, leg: Leg, sid: Sid) {
        let Some(pair) = &mut self.pair else { return };
        let (kind, payload) = message(&mut pair.rng);
        self.tell(leg, Command::Originate(sid, kind, payload));
    }

    /// No more faults and no more orders.
    pub(in crate::world) fn calm_pair(&mut self) {
        let Some(pair) = &mut self.pair else { return };
        pair.calm = true;
        pair.registry.calm();
        let now = self.ground.now();
        if let Some(ground) = self.ground.pair_mut() {
            for to in Leg::BOTH {
                ground.link.open(now, to);
            }
        }
        self.connect_soon();
    }
}

/// What faults may do to a pair.
impl World {
    /// Who is active under which generation, by stream-admin's word; `None`: nobody was ever granted one.
    pub(in crate::world) fn roles(&self) -> Option<(Leg, Generation)> {
        let registry = &self.pair.as_ref()?.registry;
        let generation = Generation(registry.generation());
        (generation.0 > 0).then_some((registry.active(), generation))
    }

    /// The leg that stream-admin calls active.
    #[must_use]
    pub fn active(&self) -> Leg {
        let registry = self.pair.as_ref().map(|pair| &pair.registry);
        registry.map_or(Leg::Zero, Registry::active)
    }

    /// A source whose stream both adapters call protected, drawn by chance.
    pub fn protected(&mut self) -> Option<Sid> {
        let pair = self.pair.as_mut()?;
        let active = &self.adapters[pair.registry.active().index()];
        let place = pair.rng.below(self.sources.len() as u64) as usize;
        let sid = self.sources[place].shape().sid;
        let protected = |leg: Leg| {
            let adapter = &self.adapters[leg.index()];
            adapter.state() == State::Running && adapter.is_protected(sid)
        };
        (active.is_active() && Leg::BOTH.into_iter().all(protected)).then_some(sid)
    }

    /// The active of `sid` dies at the moment of `case`, if that comes soon.
    pub fn set_trap(&mut self, case: Case, sid: Sid) {
        let leg = self.active();
        let Some(pair) = &mut self.pair else { return };
        let patience = pair.rng.pick(&[0, 0, 1, 2, 4]);
        let slow = self.ground.pair_mut().map(|it| it.link.patience() / 2);
        let until = self.ground.now().after(slow.unwrap_or_default());
        match case {
            // The answer is on its way for a while.
            Case::Unanswered => self.close_way(leg, until),
            Case::Alone => self.close_way(leg.other(), until),
            Case::Announced | Case::OneSubscriber | Case::Three | Case::Committed => {}
        }
        if let Some(ground) = self.ground.pair_mut() {
            ground.trap = Some(Trap::new(case, leg, sid, patience));
        }
        for _ in 0..case.orders() {
            self.order(leg, sid);
        }
    }

    /// Whether the trap has sprung; one that has not is taken away.
    pub fn take_trap(&mut self) -> bool {
        let ground = self.ground.pair_mut();
        ground.is_some_and(|ground| ground.trap.take().is_none())
    }

    /// The host of the adapter of `leg` is lost: nobody hears of its end, and what it had said last is lost.
    pub fn kill_host(&mut self, leg: Leg) {
        let to = leg.other();
        if let Some(ground) = self.ground.pair_mut() {
            ground.link.leave(leg);
            ground.link.lose(to);
        }
        self.end_process(leg);
        self.close_way(to, Time::NEVER);
    }

    /// Nothing passes the pair link, either way, for `span`.
    pub fn cut_pair(&mut self, span: Duration) {
        let until = self.ground.now().after(span);
        for to in Leg::BOTH {
            self.close_way(to, until);
        }
    }

    /// Nothing passes to the adapter of `to` for `span`.
    pub fn stall_pair(&mut self, to: Leg, span: Duration) {
        let until = self.ground.now().after(span);
        self.close_way(to, until);
    }

    /// stream-admin answers nobody for `span`.
    pub fn lose_admin(&mut self, span: Duration) {
        let until = self.ground.now().after(span);
        if let Some(pair) = &mut self.pair {
            pair.registry.go_away(until);
        }
    }

    /// The adapter of `leg` is out of stream-admin's reach for `span`.
    pub fn cut_off_admin(&mut self, leg: Leg, span: Duration) {
        let until = self.ground.now().after(span);
        if let Some(pair) = &mut self.pair {
            pair.registry.cut_off(leg, until);
        }
    }

    /// How long an end of the pair link hears nothing before it gives up.
    #[must_use]
    pub fn patience_of_link(&self) -> Duration {
        let pair = self.pair.as_ref();
        pair.map_or(Duration::ZERO, |pair| pair.plan.patience)
    }

    /// An operator orders a message from whoever is active.
    pub fn order_message(&mut self) {
        let (leg, sid) = (self.active(), self.sources[0].shape().sid);
        self.order(leg, sid);
    }

    /// An operator hands the role over; what is not decided after `patience` is given up.
    pub fn hand_over(&mut self, patience: Duration) {
        let now = self.ground.now();
        let Some(pair) = &mut self.pair else { return };
        let active = pair.registry.active();
        if !pair.registry.answers(active, now) || !pair.registry.hand_over(now) {
            return self.ground.count("pair.hand_over_refused");
        }
        let generation = pair.registry.generation();
        self.tell(active, Command::StepDown);
        let late = PairEvent::HandOverLate { generation };
        self.ground.schedule(patience, Happening::Pair(late));
    }

    pub(super) fn give_up_hand_over(&mut self, generation: u32) {
        let now = self.ground.now();
        let Some(pair) = &mut self.pair else { return };
        let active = pair.registry.active();
        if !pair.registry.answers(active, now) {
            let again = PairEvent::HandOverLate { generation };
            let after = Duration::from_millis(5);
            return self.ground.schedule(after, Happening::Pair(again));
        }
        if pair.registry.give_up_hand_over(generation) {
            self.tell(active, Command::GoOn);
        }
    }

    /// An operator makes the adapter of `leg` the active, whatever it lacks. `false`: it is that, or not there.
    pub fn force(&mut self, leg: Leg) -> bool {
        let now = self.ground.now();
        let Some(pair) = &mut self.pair else {
            return false;
        };
        let dead = self.adapters[leg.index()].state() == State::Dead;
        let registry = &mut pair.registry;
        if registry.active() == leg || dead || !registry.answers(leg, now) {
            return false;
        }
        registry.force(leg);
        self.ground.count("pair.forced");
        self.raised();
        self.register_soon(leg);
        self.register_soon(leg.other());
        true
    }
}

/// A message of any kind.
fn message(rng: &mut Rng) -> (AdminKind, Vec<u8>) {
    let text = format!("said by nobody, {}", rng.below(1_000)).into_bytes();
    match rng.below(9) {
        0 => {
            let opened = GenerationOpened {
                predecessor: Generation(rng.below(9) as u32),
                reason: OpenReason::from_code(1 + rng.below(5) as u8),
                synchronised: rng.one_in(2),
            };
            let id = AdminId {
                generation: Generation(1),
                number: Adm(0),
            };
            let stored = StoredAdmin::generation_opened(id, opened);
            let payload = stored.message().payload().to_vec();
            (AdminKind::GenerationOpened, payload)
        }
        1 => (AdminKind::ClearBook, vec![7; 4 * rng.below(200) as usize]),
        2 => (AdminKind::SourceStale, Vec::new()),
        3 => (AdminKind::SourceRestored, Vec::new()),
        4 => (AdminKind::DictionarySwitch, text),
        5 => (AdminKind::StepDown, text),
        6 => (AdminKind::TopicClosed, text),
        7 => (AdminKind::OperatorNotice, text),
        _ => (AdminKind::Unknown(900), vec![3; rng.below(1_024) as usize]),
    }
}
