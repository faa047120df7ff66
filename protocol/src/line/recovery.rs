//! Who is asked for what no line brought, and what becomes of the answer?
//!
//! ```text
//!  a hole would be given up ─► Repair::want ──┬─ Wait ─────► it stays open
//!                                             ├─ Ask ──────► LineAsk, for the source's request server
//!                                             └─ GiveUp ───► abandoned
//!  answer: one packet ─► only what is missing ─► in turn, or held
//! ```
//!
//! Nothing is asked for before it would be given up, so what the other line still brings costs no request, and with
//! nobody to ask everything is as before. An answer says nothing of a line: no life, no progress, no epoch and no end
//! follow from it.

use twinfeed_wire::fill::{Reply, Status};
use twinfeed_wire::{ContextId, Epoch};

use super::{Line, Lines, Source};
use crate::event::Leg;
use crate::repair::{Repair, RepairCounters, RepairLimits, Verdict, Wish};
use crate::time::Time;

/// A request to the request server that belongs to a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LineAsk {
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
    repair: Repair,
    /// Number of the last request, and what it asked for.
    request: u64,
    asked: Option<LineAsk>,
    /// The same, until it is taken.
    ask: Option<LineAsk>,
    /// Requests to each server since something came.
    vain: [usize; 2],
}

impl Recovery {
    pub(super) fn new(limits: RepairLimits) -> Self {
        Self {
            repair: Repair::new(limits),
            request: 0,
            asked: None,
            ask: None,
            vain: [0; 2],
        }
    }

    /// Whether anybody can be asked.
    pub(super) fn can_ask(&self) -> bool {
        self.repair.can_ask()
    }

    /// Nothing is asked for any more.
    pub(super) const fn close(&mut self) {
        self.repair.close();
        (self.asked, self.ask, self.vain) = (None, None, [0; 2]);
    }

    /// Until when a hole that begins at `number` is left open, if it is asked for.
    pub(super) fn until(&self, epoch: Epoch, number: u64) -> Option<Time> {
        let covered = self.repair.covers(&wish(epoch, number, number + 1));
        self.repair.deadline().filter(|_| covered)
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

/// A line's request server, as asking knows it.
const fn server(line: Line) -> Leg {
    match line {
        Line::A => Leg::Zero,
        Line::B => Leg::One,
    }
}

impl Lines {
    /// Whether the source has a request server that belongs to this line.
    pub fn set_request_server(&mut self, line: Line, known: bool) {
        self.recovery.repair.set_server(server(line), known);
    }

    /// Whether an answer may come.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.recovery.repair.is_open() && self.current.hole().is_some()
    }

    /// A request that is to be sent; after every [`Lines::on_deadline`].
    pub const fn poll_request(&mut self) -> Option<LineAsk> {
        self.recovery.ask.take()
    }

    /// What was asked for, and how it went.
    #[must_use]
    pub const fn requests(&self) -> &RepairCounters {
        self.recovery.repair.counters()
    }

    /// A request server of the source sent this packet: messages from number `first` on. If it begins within what was asked
    /// for last, of that server, it is the whole answer, be it all or less.
    #[allow(clippy::too_many_arguments, reason = "a packet's header, taken apart")]
    pub fn on_answer<'m>(
        &mut self,
        line: Line,
        now: Time,
        epoch: Epoch,
        first: u64,
        messages: impl Iterator<Item = &'m [u8]>,
        received_at: u64,
        out: &mut impl Source,
    ) {
        let asked = self.recovery.repair.asked_until(false);
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
        self.account.counters.recovered += brought;
        let server = server(line);
        match brought {
            0 => self.account.counters.unasked += 1,
            _ => {
                self.recovery.vain = [0; 2];
                self.recovery.repair.on_progress(server);
            }
        }
        let answers = |ask: LineAsk| {
            let asked = ask.first..ask.first.saturating_add(u64::from(ask.count));
            ask.line == line && asked.contains(&first)
        };
        if self.recovery.asked.is_some_and(answers) {
            let all = Reply {
                request: self.recovery.request,
                status: Status::Sent,
                ..Reply::default()
            };
            self.recovery.repair.on_reply(now, server, &all);
        }
        if self.current.hole().is_none() {
            self.recovery.close();
        }
    }

    /// Up to which number the holes whose time is over, all below `until`, are to be given up now. What lies between them is
    /// asked for with them: an answer is numbers in a row.
    pub(super) fn given_up_until(&mut self, now: Time, until: u64) -> Option<u64> {
        let recovery = &mut self.recovery;
        if !recovery.repair.can_ask() {
            return Some(until);
        }
        let (epoch, next) = (self.current.epoch, self.current.next);
        let order = [Leg::Zero, Leg::One];
        let wish = wish(epoch, next, until);
        let verdict = recovery.repair.want(now, now, &wish, &order);
        if let Verdict::GiveUp(_, (until, _)) = verdict {
            // What is missing for a shorter time may still be had.
            let over = self.due_until(now, self.limits.recovery.repair_time);
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
        let (asked, _) = self.limits.recovery.range_until(&wish);
        let recovery = &mut self.recovery;
        // Who has no more of the first hole may have all of the others: an answer begins where it was asked to.
        let vain = &mut recovery.vain[leg.index()];
        let first = self.current.hole_in(first..asked, *vain);
        *vain += 1;
        let line = match leg {
            Leg::Zero => Line::A,
            Leg::One => Line::B,
        };
        recovery.repair.note_asked((asked, 0));
        recovery.request = request;
        let ask = LineAsk {
            line,
            epoch,
            first,
            // No more than `fill_range`, which `LineLimits::check` bounds.
            count: u16::try_from(asked - first).unwrap_or(u16::MAX),
        };
        (recovery.asked, recovery.ask) = (Some(ask), Some(ask));
        None
    }
}
