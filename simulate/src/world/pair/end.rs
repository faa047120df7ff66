//! How does an adapter drive the rules of its pair?
//!
//! In the order of the product's own data thread: what other threads have to say first, then each source's packets,
//! then the rules, then the sequencer. What is said to the peer goes before the datagrams of the same call.

use std::collections::VecDeque;

use twinfeed_protocol::line::Line;
use twinfeed_protocol::pair::{Pair, PairLimits, PairState, Said};
use twinfeed_protocol::sequencer::Now;
use twinfeed_protocol::standby::{Change, Standby, StandbyLimits};
use twinfeed_protocol::time::{Time, earlier};
use twinfeed_wire::{AdminKind, Generation, Sid};

use super::registry::Grant;
use crate::coverage::sequencer::{Event as Step, Standing};
use crate::world::adapters::{Adapter, Desk, Output, State, Wire};
use crate::world::exchange::Shared;

/// What other threads have to say to the one that sequences.
#[derive(Clone, Debug)]
pub enum Command {
    /// A grant.
    Grant(Grant),
    /// The peer's process is gone, or there is a peer again.
    PeerLost(bool),
    /// The peer is there.
    Up,
    /// It is not; whether its process is gone.
    Down {
        /// Because the peer's process is, or because it left on purpose.
        gone: bool,
    },
    /// The peer said something.
    Said(Sid, Said),
    /// An operator orders a message.
    Originate(Sid, AdminKind, Vec<u8>),
    /// An operator hands the role over.
    StepDown,
    /// That was given up.
    GoOn,
    /// The peer steps down, or goes on after all.
    Hands {
        /// As active of this generation.
        generation: Generation,
        /// Whether it goes on.
        goes_on: bool,
    },
    /// The peer is the active of a later generation.
    Superseded(Generation),
}

/// One stream's end of the pair.
#[derive(Debug)]
pub struct End {
    /// The rules.
    pub pair: Pair,
    /// Whether its stream is withheld.
    pub standby: Standby,
    /// What it was granted last.
    granted: Grant,
    stirred: bool,
    /// Packets that wait while the stream is held.
    waiting: VecDeque<(Line, Shared)>,
}

impl End {
    /// An end that knows of no peer and no generation.
    #[must_use]
    pub fn new(limits: PairLimits, standby: Option<StandbyLimits>) -> Self {
        Self {
            pair: Pair::new(limits),
            standby: Standby::new(standby),
            granted: Grant::NONE,
            stirred: false,
            waiting: VecDeque::new(),
        }
    }
}

impl End {
    /// When the rules want to be tended.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        earlier(self.pair.next_deadline(), self.standby.next_deadline())
    }
}

/// Counts that a stream is withheld, or sent after all.
fn note_change(change: Option<Change>, out: &mut dyn Output) {
    match change {
        None => {}
        Some(Change::Withholds) => out.fired("pair.standby_begins"),
        Some(Change::Transmits { .. }) => out.fired("pair.standby_ends"),
    }
}

impl Desk {
    pub(in crate::world) fn is_holding(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.pair.is_holding())
    }

    /// A packet of the source: now, or once the stream is not held any more.
    pub(in crate::world) fn take(
        &mut self,
        now: Now,
        line: Line,
        packet: &Shared,
        room: usize,
        out: &mut dyn Output,
    ) {
        let holding = self.is_holding();
        match &mut self.end {
            Some(end) if holding || !end.waiting.is_empty() => {
                if end.waiting.len() < room {
                    end.waiting.push_back((line, Shared::clone(packet)));
                } else {
                    out.fired("adapter_overrun");
                }
            }
            _ => self.hear(now, line, packet, out),
        }
        self.work_off(now, out);
    }

    /// Works off what waited for the end of a hold.
    fn work_off(&mut self, now: Now, out: &mut dyn Output) {
        while !self.is_holding() {
            let waits = self.end.as_mut().and_then(|end| end.waiting.pop_front());
            let Some((line, packet)) = waits else { return };
            self.hear(now, line, &packet, out);
        }
    }

    /// The rules, after a batch or when something stirred them; the sequencer's flush comes next.
    pub(in crate::world) fn tend(&mut self, now: Now, out: &mut dyn Output) {
        let Some(end) = &mut self.end else { return };
        end.stirred = false;
        let mut wire = Wire::new(self.leg, self.sid, out);
        let seq = &mut self.publisher.sequencer;
        end.pair.between_batches(now, seq, &mut wire);
        let change = end.standby.between_batches(now, seq, &mut wire);
        note_change(change, out);
    }

    /// This source's part of a cycle that no packet began.
    pub(in crate::world) fn turn(&mut self, now: Now, out: &mut dyn Output) {
        let Some(end) = &self.end else { return };
        let due = end.next_deadline();
        if end.stirred || due.is_some_and(|due| due <= now.time) {
            self.tend(now, out);
            self.flush(now, out);
        }
        self.work_off(now, out);
    }

    /// When the lines and the rules want to be tended.
    pub(in crate::world) fn next_deadline(&self) -> Option<Time> {
        let rules = self.end.as_ref().and_then(End::next_deadline);
        let lines = match self.is_holding() {
            true => None,
            false => self.ear.next_deadline(),
        };
        earlier(rules, lines)
    }

    fn obey(&mut self, now: Now, command: &Command, out: &mut dyn Output) {
        if let Command::PeerLost(lost) = command {
            self.set_peer_lost(now, *lost, out);
        }
        let Some(end) = &mut self.end else { return };
        let seq = &mut self.publisher.sequencer;
        let standing = Standing::of(seq);
        let before = seq.generation();
        let mut change = None;
        let mut wire = Wire::new(self.leg, self.sid, out);
        match command {
            Command::Grant(grant) => {
                if grant.generation >= end.granted.generation {
                    end.granted = *grant;
                }
                let generation = Generation(grant.generation);
                let (active, authority) = (grant.active, grant.authority);
                let granted = (generation, active, authority);
                end.pair.on_grant(now, granted, seq, &mut wire);
                change = end
                    .standby
                    .on_grant(now, (generation, active), seq, &mut wire);
            }
            Command::PeerLost(_) => {}
            Command::Up => {
                end.pair.on_link_up(now, seq, &mut wire);
                end.standby.on_link_up();
            }
            Command::Down { gone } => {
                end.pair.on_link_down(now, *gone, seq, &mut wire);
                change = end.standby.on_link_down(now, seq, &mut wire);
            }
            Command::Said(sid, said) if *sid == self.sid => {
                end.pair.on_said(now, said.clone(), seq, &mut wire);
                if let Said::Report(report) = said {
                    change = end.standby.on_report(now, report, seq, &mut wire);
                }
            }
            Command::Originate(sid, kind, payload) if *sid == self.sid => {
                let taken = end.pair.originate(now, *kind, payload, seq, &mut wire);
                match taken {
                    Ok(_) => {
                        out.fired("pair.ordered");
                        if !end.granted.active || now.time >= end.granted.authority {
                            let what = format!("originates under {:?}", end.granted);
                            out.wrong(self.leg, self.sid, what);
                        }
                    }
                    Err(_) => out.fired("pair.order_refused"),
                }
            }
            Command::Hands {
                generation,
                goes_on: true,
            } => end.pair.on_went_on(now, *generation, seq, &mut wire),
            Command::Hands { generation, .. } => {
                end.pair.on_stepped_down(now, *generation, seq, &mut wire);
            }
            Command::Superseded(by) => end.pair.on_superseded(now, *by, seq, &mut wire),
            Command::Said(..) | Command::Originate(..) => return,
            Command::StepDown | Command::GoOn => {}
        }
        end.stirred = true;
        note_change(change, out);
        if seq.generation() > before && end.pair.state() == PairState::Active {
            out.met(standing.meets(Step::Generation, false));
        }
    }
}

impl Adapter {
    /// Another thread has something to say; a stopped process learns of it when it goes on.
    pub fn command(&mut self, now: Now, command: Command, out: &mut dyn Output) {
        match self.state() {
            State::Dead => {}
            State::Stopped => self.inbox.push_back(command),
            State::Running => self.obey(now, &command, out),
        }
    }

    fn obey(&mut self, now: Now, command: &Command, out: &mut dyn Output) {
        match command {
            Command::StepDown => self.hand_over(out),
            Command::GoOn => self.go_on(out),
            _ => {}
        }
        for desk in &mut self.desks {
            desk.obey(now, command, out);
        }
        for desk in &mut self.desks {
            desk.turn(now, out);
        }
        self.say_step_down(out);
    }

    /// Every stream originates nothing more; one that is not this adapter's to originate in means that none is.
    fn hand_over(&mut self, out: &mut dyn Output) {
        let ends = self.desks.iter_mut().filter_map(|desk| desk.end.as_mut());
        let each = ends.map(|end| end.pair.step_down());
        if !each.fold(true, |all, stepped| all & stepped) {
            self.go_on(out);
        }
    }

    /// The hand-over was given up.
    fn go_on(&mut self, out: &mut dyn Output) {
        let ends = self.desks.iter_mut().filter_map(|desk| desk.end.as_mut());
        let each = ends.map(|end| end.pair.go_on());
        if each.fold(false, |any, went_on| any | went_on) {
            out.hands(self.leg, self.generation_of_pair(), true);
        }
    }

    /// Tells the peer that this adapter steps down, once no stream waits for an answer any more.
    pub(in crate::world) fn say_step_down(&mut self, out: &mut dyn Output) {
        let ends = || self.desks.iter().filter_map(|desk| desk.end.as_ref());
        if !ends().any(|end| end.pair.is_draining()) {
            return;
        }
        let drained = |desk: &Desk| {
            let seq = &desk.publisher.sequencer;
            let end = desk.end.as_ref();
            end.is_none_or(|end| end.pair.is_drained(seq))
        };
        if !self.desks.iter().all(drained) {
            return;
        }
        out.hands(self.leg, self.generation_of_pair(), false);
        for end in self.desks.iter_mut().filter_map(|desk| desk.end.as_mut()) {
            end.pair.stepped_down();
        }
    }

    fn generation_of_pair(&self) -> Generation {
        let mut ends = self.desks.iter().filter_map(|desk| desk.end.as_ref());
        ends.next()
            .map(|end| end.pair.generation())
            .unwrap_or_default()
    }

    /// Whether it takes over from an active that lives and has stepped down.
    #[must_use]
    pub fn was_handed_over(&self) -> bool {
        let mut ends = self.desks.iter().filter_map(|desk| desk.end.as_ref());
        ends.any(|end| end.pair.was_handed_over())
    }

    /// The generation that it holds as active.
    #[must_use]
    pub fn active_of(&self) -> Option<Generation> {
        self.is_active().then(|| self.generation_of_pair())
    }

    /// Takes in what it was told while it was stopped.
    pub(in crate::world) fn catch_up(&mut self, now: Now, out: &mut dyn Output) {
        while let Some(command) = self.inbox.pop_front() {
            self.obey(now, &command, out);
        }
    }

    /// Which life of the process this is.
    #[must_use]
    pub fn life(&self) -> u64 {
        self.lives
    }

    /// Whether every stream waits for a generation, and the one under which the adapter works.
    #[must_use]
    pub fn takes_over(&self) -> Option<u32> {
        let state = |desk: &Desk| desk.end.as_ref().map(|end| end.pair.state());
        let all = |desk: &Desk| state(desk) == Some(PairState::TakingOver);
        let first = self.desks.first()?;
        let generation = first.publisher.sequencer.generation().0;
        self.desks.iter().all(all).then_some(generation)
    }

    /// Whether the stream of `sid` counts itself as protected.
    #[must_use]
    pub fn is_protected(&self, sid: Sid) -> bool {
        let mut desks = self.desks.iter().filter(|desk| desk.sid == sid);
        desks.any(|desk| {
            let seq = &desk.publisher.sequencer;
            desk.end
                .as_ref()
                .is_some_and(|end| end.pair.is_protected(seq))
        })
    }

    /// Whether it holds a generation as active.
    #[must_use]
    pub fn is_active(&self) -> bool {
        let active = |desk: &Desk| {
            desk.end
                .as_ref()
                .is_some_and(|end| end.pair.state() == PairState::Active)
        };
        self.desks.iter().any(active)
    }

    /// How many messages of `sid` wait for their slots.
    #[must_use]
    pub fn waiting(&self, sid: Sid) -> u64 {
        let mut desks = self.desks.iter().filter(|desk| desk.sid == sid);
        let armed = desks.next().map(|desk| desk.publisher.sequencer.armed());
        armed.unwrap_or(0) as u64
    }
}
