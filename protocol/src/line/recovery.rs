//! Who is asked for what no line brought, and what becomes of the answer?
//!
//! ```text
//!  a hole would be given up ─► request servers: Repair::want ─┬─ Wait ──► it stays open
//!                                    │ give up                ├─ Ask ───► LineAsk
//!                                    ▼                        │
//!                              session servers: Repair::want ─┤
//!                                    │ give up                └─ the same
//!                                    ▼
//!                                abandoned
//!  answer: messages in a row ─► only what is missing ─► in turn, or held
//! ```
//!
//! Nothing is asked for before it would be given up, so what the other line still brings costs no request, and with
//! nobody to ask everything is as before. Of a source that has both ways the second is asked for what the first has not got.
//! An answer says nothing of a line: no life, no progress, no epoch and no end follow from it.

use core::time::Duration;

use twinfeed_wire::fill::{Reply, Status};
use twinfeed_wire::{ContextId, Epoch};

use super::{Line, Lines, Source};
use crate::event::Leg;
use crate::repair::{Repair, RepairCounters, RepairLimits, Verdict, Wish};
use crate::time::Time;

/// In which way a source is asked.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Way {
    /// A datagram to a request server, answered by a packet.
    Packets,
    /// A connection to a server of the session, which gives it from a number on.
    Session,
}

impl Way {
    /// Both, in the order in which they are tried.
    pub const BOTH: [Self; 2] = [Self::Packets, Self::Session];

    const fn index(self) -> usize {
        self as usize
    }
}

/// A request to a server that belongs to a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LineAsk {
    /// Which kind of server.
    pub way: Way,
    /// Whose server is asked.
    pub line: Line,
    /// Life of the numbers.
    pub epoch: Epoch,
    /// First number that is missing.
    pub first: u64,
    /// How many; at least 1.
    pub count: u16,
}

/// Asking a source for what is missing.
#[derive(Debug)]
pub(super) struct Recovery {
    rungs: [Rung; 2],
    /// The last request, until it is taken.
    ask: Option<LineAsk>,
}

/// One way of asking.
#[derive(Debug)]
struct Rung {
    repair: Repair,
    /// Number of the last request, and what it asked for.
    request: u64,
    asked: Option<LineAsk>,
    /// Requests to each server since something came.
    vain: [usize; 2],
    /// Below this nobody is asked any more in this way.
    gave_up: u64,
}

impl Rung {
    fn new(limits: RepairLimits) -> Self {
        Self {
            repair: Repair::new(limits),
            request: 0,
            asked: None,
            vain: [0; 2],
            gave_up: 0,
        }
    }

    const fn close(&mut self) {
        self.repair.close();
        (self.asked, self.vain, self.gave_up) = (None, [0; 2], 0);
    }
}

impl Recovery {
    pub(super) fn new(limits: [RepairLimits; 2]) -> Self {
        Self {
            rungs: limits.map(Rung::new),
            ask: None,
        }
    }

    /// Whether anybody can be asked.
    pub(super) fn can_ask(&self) -> bool {
        self.rungs.iter().any(|rung| rung.repair.can_ask())
    }

    /// Most numbers in one request.
    pub(super) fn range(&self) -> u64 {
        let ranges = self
            .rungs
            .iter()
            .map(|rung| rung.repair.limits().fill_range);
        ranges.max().unwrap_or(0)
    }

    /// How long a hole may be asked for in this way and the ones before it.
    fn time(&self, way: Way) -> Duration {
        let rungs = self.rungs[..=way.index()].iter();
        let asking = rungs.filter(|rung| rung.repair.can_ask());
        asking.map(|rung| rung.repair.limits().repair_time).sum()
    }

    /// Nothing is asked for any more.
    pub(super) fn close(&mut self) {
        self.rungs.iter_mut().for_each(Rung::close);
        self.ask = None;
    }

    /// Until when a hole that begins at `number` is left open, if it is asked for.
    pub(super) fn until(&self, epoch: Epoch, number: u64) -> Option<Time> {
        let asks = |rung: &&Rung| rung.repair.can_ask() && number >= rung.gave_up;
        let repair = &self.rungs.iter().find(asks)?.repair;
        let covered = repair.covers(&wish(epoch, number, number + 1));
        repair.deadline().filter(|_| covered)
    }
}

fn wish(epoch: Epoch, from: u64, until: u64) -> Wish {
    Wish {
        of: (epoch, ContextId(0)),
        messages: false,
        from: (from, 0),
        until: (until, 0),
    }
}

/// A line's server, as asking knows it.
const fn server(line: Line) -> Leg {
    match line {
        Line::A => Leg::Zero,
        Line::B => Leg::One,
    }
}

impl Lines {
    /// Whether the source has a server of this kind that belongs to this line.
    pub fn set_server(&mut self, way: Way, line: Line, known: bool) {
        let repair = &mut self.recovery.rungs[way.index()].repair;
        repair.set_server(server(line), known);
    }

    /// Whether an answer may come.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.current.hole().is_some() && Way::BOTH.into_iter().any(|way| self.is_asking_by(way))
    }

    /// Whether an answer may come in this way.
    #[must_use]
    pub fn is_asking_by(&self, way: Way) -> bool {
        self.recovery.rungs[way.index()].repair.is_open()
    }

    /// A request that is to be sent; after every [`Lines::on_deadline`].
    pub const fn poll_request(&mut self) -> Option<LineAsk> {
        self.recovery.ask.take()
    }

    /// What was asked for in this way, and how it went.
    #[must_use]
    pub const fn requests(&self, way: Way) -> &RepairCounters {
        self.recovery.rungs[way.index()].repair.counters()
    }

    /// A server of the source sent this: messages from number `first` on. If it begins within what was asked
    /// for last, of that server, it is the whole answer, be it all or less.
    #[allow(clippy::too_many_arguments, reason = "a packet's header, taken apart")]
    pub fn on_answer<'m>(
        &mut self,
        (way, line): (Way, Line),
        now: Time,
        epoch: Epoch,
        first: u64,
        messages: impl Iterator<Item = &'m [u8]>,
        received_at: u64,
        out: &mut impl Source,
    ) {
        let asked = self.recovery.rungs[way.index()].repair.asked_until(false);
        let here = self.is_speaking() && epoch == self.current.epoch && first >= 1;
        let Some((until, _)) = asked.filter(|_| here) else {
            self.account.counters.unasked += 1;
            return;
        };
        let mut brought = 0;
        for (number, bytes) in (first..until).zip(messages) {
            let account = &mut self.account;
            brought += u64::from(self.current.fill(number, bytes, received_at, account, out));
        }
        match way {
            Way::Packets => self.account.counters.recovered += brought,
            Way::Session => self.account.counters.recovered_by_session += brought,
        }
        let rung = &mut self.recovery.rungs[way.index()];
        match brought {
            0 => self.account.counters.unasked += 1,
            _ => {
                rung.vain = [0; 2];
                rung.repair.on_progress(server(line));
            }
        }
        let answers = |ask: LineAsk| {
            let asked = ask.first..ask.first.saturating_add(u64::from(ask.count));
            ask.line == line && asked.contains(&first)
        };
        if rung.asked.is_some_and(answers) {
            rung.reply(now, line, Status::Sent);
        }
        if self.current.hole().is_none() {
            self.recovery.close();
        }
    }

    /// The server that was asked last in this way gives nothing. `refused`: nor will it, of this hole.
    pub fn on_no_answer(&mut self, (way, line): (Way, Line), now: Time, refused: bool) {
        let rung = &mut self.recovery.rungs[way.index()];
        if rung.asked.is_some_and(|ask| ask.line == line) {
            let status = match refused {
                true => Status::Refused,
                false => Status::Sent,
            };
            rung.reply(now, line, status);
        }
    }

    /// Up to which number the holes whose time is over, all below `until`, are to be given up now. What lies between them is
    /// asked for with them: an answer is numbers in a row.
    pub(super) fn given_up_until(&mut self, now: Time, mut until: u64) -> Option<u64> {
        for way in Way::BOTH {
            let next = self.current.next;
            let rung = &self.recovery.rungs[way.index()];
            if !rung.repair.can_ask() {
                continue;
            }
            if next < rung.gave_up {
                until = until.min(rung.gave_up);
                continue;
            }
            until = self.given_up_by(way, now, until)?;
            self.recovery.rungs[way.index()].gave_up = until;
        }
        Some(until)
    }

    /// The same in one way, or a request is made.
    fn given_up_by(&mut self, way: Way, now: Time, until: u64) -> Option<u64> {
        let (epoch, next) = (self.current.epoch, self.current.next);
        let order = [Leg::Zero, Leg::One];
        let wish = wish(epoch, next, until);
        let repair = &mut self.recovery.rungs[way.index()].repair;
        let verdict = repair.want(now, now, &wish, &order);
        if let Verdict::GiveUp(_, (until, _)) = verdict {
            // What is missing for a shorter time may still be had.
            let over = self.due_until(now, self.recovery.time(way));
            let first = self.current.hole_end(until);
            return Some(until.min(over.max(first)));
        }
        let Verdict::Ask(leg, request, (first, _)) = verdict else {
            return None;
        };
        let wish = Wish {
            from: (first, 0),
            ..wish
        };
        let rung = &mut self.recovery.rungs[way.index()];
        let (asked, _) = rung.repair.limits().range_until(&wish);
        // Who has no more of the first hole may have all of the others: an answer begins where it was asked to.
        let vain = &mut rung.vain[leg.index()];
        let first = self.current.hole_in(first..asked, *vain);
        *vain += 1;
        let line = match leg {
            Leg::Zero => Line::A,
            Leg::One => Line::B,
        };
        rung.repair.note_asked((asked, 0));
        rung.request = request;
        let ask = LineAsk {
            way,
            line,
            epoch,
            first,
            // No more than `fill_range`, which `LineLimits::check` bounds.
            count: u16::try_from(asked - first).unwrap_or(u16::MAX),
        };
        rung.asked = Some(ask);
        self.recovery.ask = Some(ask);
        None
    }
}

impl Rung {
    /// The last request was answered with this.
    fn reply(&mut self, now: Time, line: Line, status: Status) {
        let reply = Reply {
            request: self.request,
            status,
            ..Reply::default()
        };
        self.repair.on_reply(now, server(line), &reply);
    }
}
