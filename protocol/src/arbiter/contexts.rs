//! In whose memory of the past is the application told what happens?
//!
//! ```text
//!                     a live leg's context outranks
//!  context of cursor ───────────────────────────────► its context, at once
//!        │
//!        └─ no live leg speaks in it ─► orphaned ─ nothing of it is held, `reorder_hold` is over ─► theirs
//! ```
//!
//! Records of another context wait in their leg's hold (RM-9a). Going over is a `Discontinuity`, told when
//! something follows in the new context.

use super::leg::LegSide;
use super::liveness::speaks;
use super::source::{Out, Source};
use super::view::View;
use crate::event::{DiscontinuityCause, GapCause, Handler, Leg, Place};

impl Source {
    /// Goes over to the context that outranks, or that is left (RM-9a).
    pub(super) fn choose_context<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        let Some(cursor) = self.cursor else {
            return false;
        };
        let live = |leg: &Leg| self.is_eligible(*leg);
        let best = Leg::BOTH
            .into_iter()
            .filter(live)
            .filter_map(|leg| {
                let view = self.legs[leg.index()].view(cursor.epoch)?;
                Some((leg, view))
            })
            .max_by_key(|(_, view)| (view.rank, view.context == cursor.context));
        let Some((leg, view)) = best else {
            self.orphan_since = None;
            return false;
        };
        let apart = self.is_apart(leg);
        if view.context == cursor.context && !apart {
            self.orphan_since = None;
            return false;
        }
        let view = *view;
        if view.rank > cursor.rank && !apart {
            self.enter(&view);
            return true;
        }
        let spoken = !apart
            && Leg::BOTH.into_iter().filter(live).any(|leg| {
                let view = self.legs[leg.index()].view(cursor.epoch);
                view.is_some_and(|view| view.context == cursor.context)
            });
        if spoken {
            self.orphan_since = None;
            return false;
        }
        let since = *self.orphan_since.get_or_insert(out.now);
        let left = Leg::BOTH
            .into_iter()
            .any(|leg| self.first_in(leg, &cursor, cursor.context).is_some());
        if left || !self.waited(since, out) || self.is_early(since, out.limits) {
            return false;
        }
        if apart {
            self.go_over(leg, &view);
            return true;
        }
        // What an application that was away has missed may be had in this context, too.
        if !(self.catching_up && self.repair.can_ask()) {
            // Without the bound whoever speaks in the context that is left, behind, would have been waited for.
            let stays = |side: &LegSide| {
                let view = side.view(cursor.epoch);
                speaks(side) && view.is_some_and(|view| view.context == cursor.context)
            };
            let cause = match self.forced() && self.legs.iter().any(stays) {
                true => GapCause::HoldFull,
                false => GapCause::Abandoned,
            };
            let cause = self.unless_skipped(cause);
            self.declare_until_reached(leg, &view, cause, out);
        }
        self.enter(&view);
        true
    }

    /// Takes `view`'s context; told when something follows in it.
    fn enter(&mut self, view: &View) {
        let Some(cursor) = &self.cursor else {
            return;
        };
        if self.announce.is_none() {
            self.told_in = Some(cursor.context);
        }
        self.announce = match self.announce {
            None => Some(DiscontinuityCause::Context {
                from: cursor.context,
            }),
            Some(DiscontinuityCause::Context { from }) if from == view.context => None,
            told => told,
        };
        self.take_context(view);
    }

    /// Declares what `leg` will never bring in its context, before that is gone over to.
    pub(super) fn declare_until_reached<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        view: &View,
        cause: GapCause,
        out: &mut Out<'_, H>,
    ) {
        let Some(cursor) = self.cursor else { return };
        let until = match self.seen {
            None => self.reach(leg, view, &cursor, view.context),
            // What is missing above its first number, whoever speaks in it will pass.
            Some(_) => Some(Place::start(view.first)),
        };
        if let Some(until) = until.filter(|until| *until > cursor.next) {
            self.declare(until, cause, out);
        }
    }

    /// Delivers in `view`'s context from here on.
    pub(super) fn take_context(&mut self, view: &View) {
        let Some(cursor) = &mut self.cursor else {
            return;
        };
        cursor.context = view.context;
        cursor.complete = view.complete;
        cursor.rank = view.rank;
        self.hole = None;
        self.orphan_since = None;
    }
}
