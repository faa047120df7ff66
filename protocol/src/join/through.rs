//! Which of what an arbiter decides has a place in the stream, and which is of the present?

use twinfeed_wire::Sid;

use super::Joins;
use crate::event::{Delivered, Event, GapCause, Handler};
use crate::piece::Piece;
use crate::time::Time;

/// Whether an event stands between the record before and the record after, so that it waits with them. What is of the present is told at
/// once, whatever waits: how a leg is doing, a switch and its receipt, and whether anybody speaks at all are as true for who has
/// not heard all records yet, and of no use later.
#[must_use]
pub const fn in_order(event: &Event) -> bool {
    match event {
        // They say what follows, or what does not.
        Event::Gap { .. }
        | Event::AdministrativeGap { .. }
        | Event::Recovered { .. }
        | Event::Discontinuity { .. }
        | Event::Reset { .. }
        // Up to where records are of both legs, and from where on they are again.
        | Event::Divergence { .. }
        | Event::Converged { .. }
        // Behind the last record of the epoch.
        | Event::Ended { .. } => true,
        Event::Switched(_)
        | Event::Leg { .. }
        | Event::Stale { .. }
        | Event::Live { .. }
        // Of all of the feed. `Closed` waits for every source stream: nothing follows it.
        | Event::Slow { .. }
        | Event::ConstraintKept { .. }
        | Event::Closed { .. }
        // They come from here.
        | Event::JoinRestarted { .. }
        | Event::NoSnapshot { .. } => false,
    }
}

/// Whether a snapshot may have what this says is missing.
pub(super) const fn is_worth_a_snapshot(event: &Event) -> bool {
    match event {
        Event::Gap { cause, .. } => !matches!(cause, GapCause::Abandoned),
        _ => false,
    }
}

/// Stands between an arbiter and the application's handler for one input.
#[derive(Debug)]
pub struct Through<'a, H: ?Sized> {
    joins: &'a mut Joins,
    now: Time,
    handler: &'a mut H,
}

impl<'a, H: Handler + ?Sized> Through<'a, H> {
    pub(super) fn new(joins: &'a mut Joins, now: Time, handler: &'a mut H) -> Self {
        Self {
            joins,
            now,
            handler,
        }
    }

    /// The handler itself.
    pub fn handler(&self) -> &H {
        self.handler
    }
}

impl<H: Handler + ?Sized> Handler for Through<'_, H> {
    fn record(&mut self, record: &Delivered<'_>) {
        let Joins {
            sources,
            limits,
            counters,
            ..
        } = &mut *self.joins;
        let sid = record.pos.sid;
        match sources.iter_mut().find(|source| source.sid == sid) {
            Some(source) => source.record(record, self.now, (limits, counters), self.handler),
            None => self.handler.record(record),
        }
    }

    fn event(&mut self, event: &Event) {
        let Joins {
            sources,
            limits,
            counters,
            closing,
            ..
        } = &mut *self.joins;
        if let Event::Closed { reason } = event
            && !sources.iter().all(super::Source::is_live)
        {
            *closing = Some(*reason);
            for source in sources {
                source.close(counters, self.handler);
            }
            return;
        }
        let source = event
            .sid()
            .filter(|_| in_order(event))
            .and_then(|sid| sources.iter_mut().find(|source| source.sid == sid));
        match source {
            Some(source) => {
                source.event(event, self.now, (limits, counters), self.handler);
            }
            None => self.handler.event(event),
        }
    }

    fn withheld(&mut self, record: &Delivered<'_>) {
        self.handler.withheld(record);
    }

    fn snapshot(&mut self, sid: Sid, piece: &Piece<'_>) {
        self.handler.snapshot(sid, piece);
    }
}
