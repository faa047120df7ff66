//! How does an adapter drive the rules of its pair?
//!
//! In the order of the product's own data thread: what other threads have to say first, then each source's packets,
//! then the rules, then the sequencer. What is said to the peer goes before the datagrams of the same call.

use std::collections::VecDeque;

use twinfeed_protocol::line::Line;
use twinfeed_protocol::pair::{Pair, PairLimits, PairState, Said};
use twinfeed_protocol::sequencer::Now;
use twinfeed_protocol::time::{Time, earlier};
use twinfeed_wire::{AdminKind, Generation, Sid};

use super::registry::Grant;
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
}

/// One stream's end of the pair.
#[derive(Debug)]
pub struct End {
    /// The rules.
    pub pair: Pair,
    stirred: bool,
    /// Packets that wait while the stream is held.
    waiting: VecDeque<(Line, Shared)>,
}

impl End {
    /// An end that knows of no peer and no generation.
    #[must_use]
    pub fn new(limits: PairLimits) -> Self {
        Self {
            pair: Pair::new(limits),
            stirred: false,
            waiting: VecDeque::new(),
        }
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
    }

    /// This source's part of a cycle that no packet began.
    pub(in crate::world) fn turn(&mut self, now: Now, out: &mut dyn Output) {
        let Some(end) = &self.end else { return };
        let due = end.pair.next_deadline();
        if end.stirred || due.is_some_and(|due| due <= now.time) {
            self.tend(now, out);
            let mut wire = Wire::new(self.leg, self.sid, out);
            self.publisher.sequencer.flush(now, &mut wire);
        }
        self.work_off(now, out);
    }

    /// When the lines and the rules want to be tended.
    pub(in crate::world) fn next_deadline(&self) -> Option<Time> {
        let rules = self.end.as_ref().and_then(|end| end.pair.next_deadline());
        let lines = match self.is_holding() {
            true => None,
            false => self.ear.next_deadline(),
        };
        earlier(rules, lines)
    }

    fn obey(&mut self, now: Now, command: &Command, out: &mut dyn Output) {
        let Some(end) = &mut self.end else { return };
        let seq = &mut self.publisher.sequencer;
        let mut wire = Wire::new(self.leg, self.sid, out);
        match command {
            Command::Grant(grant) => {
                let generation = Generation(grant.generation);
                let grant = (generation, grant.active, grant.authority);
                end.pair.on_grant(now, grant, seq, &mut wire);
            }
            Command::PeerLost(lost) => seq.set_peer_lost(now, *lost, &mut wire),
            Command::Up => end.pair.on_link_up(now, seq, &mut wire),
            Command::Down { gone } => end.pair.on_link_down(now, *gone, seq, &mut wire),
            Command::Said(sid, said) if *sid == self.sid => {
                end.pair.on_said(now, said.clone(), seq, &mut wire);
            }
            Command::Originate(sid, kind, payload) if *sid == self.sid => {
                let taken = end.pair.originate(now, *kind, payload, seq, &mut wire);
                match taken {
                    Ok(_) => out.originated(self.leg, self.sid),
                    Err(_) => out.fired("pair.order_refused"),
                }
            }
            Command::Said(..) | Command::Originate(..) => return,
        }
        end.stirred = true;
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
        for desk in &mut self.desks {
            desk.obey(now, command, out);
        }
        for desk in &mut self.desks {
            desk.turn(now, out);
        }
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
