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
    /// Number of the last request.
    request: u64,
    ask: Option<LineAsk>,
}

impl Recovery {
    pub(super) fn new(limits: RepairLimits) -> Self {
        Self {
            repair: Repair::new(limits),
            request: 0,
            ask: None,
        }
    }

    /// Nothing is asked for any more.
    pub(super) const fn close(&mut self) {
        self.repair.close();
        self.ask = None;
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

    /// A request server of the source sent this packet: messages from number `first` on. It is the whole answer, be it all
    /// that was asked for or less.
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
            _ => self.recovery.repair.on_progress(server),
        }
        let all = Reply {
            request: self.recovery.request,
            status: Status::Sent,
            ..Reply::default()
        };
        self.recovery.repair.on_reply(now, server, &all);
        if self.current.hole().is_none() {
            self.recovery.close();
        }
    }

    /// Up to which number a hole whose time is over, `next..until`, is to be given up now.
    pub(super) fn given_up_until(&mut self, now: Time, until: u64) -> Option<u64> {
        let recovery = &mut self.recovery;
        if !recovery.repair.can_ask() {
            return Some(until);
        }
        let (epoch, next) = (self.current.epoch, self.current.next);
        let order = [Leg::Zero, Leg::One];
        let wish = wish(epoch, next, until);
        match recovery.repair.want(now, now, &wish, &order) {
            Verdict::Wait => None,
            Verdict::GiveUp(_, (until, _)) => Some(until),
            Verdict::Ask(leg, request, (first, _)) => {
                let wish = Wish {
                    from: (first, 0),
                    ..wish
                };
                let (asked, _) = self.limits.recovery.range_until(&wish);
                let line = match leg {
                    Leg::Zero => Line::A,
                    Leg::One => Line::B,
                };
                recovery.repair.note_asked((asked, 0));
                recovery.request = request;
                recovery.ask = Some(LineAsk {
                    line,
                    epoch,
                    first,
                    // No more than `fill_range`, which `LineLimits::check` bounds.
                    count: u16::try_from(asked - first).unwrap_or(u16::MAX),
                });
                None
            }
        }
    }
}
