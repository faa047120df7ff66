//! When is one life of the numbering over, and where does the next one begin?
//!
//! ```text
//!              everything up to its end is delivered or declared
//!  epoch ──┬──────────────────────────────────────────────────────► Ended
//!          ├─ and somebody speaks of the next one ────────────────► Reset(epoch), tail complete
//!          ├─ nobody stays in it, `reorder_hold` is over ─────────► Gap up to its end, if that is known; Reset
//!          └─ every live leg stands far below, or says so itself ─► Reset(regress)
//! ```
//!
//! An epoch that was left is retired and never returns. Of two epochs ahead the one comes first that the
//! other names as its predecessor. Where nobody says which of two came first – who joined with a leg that is ahead and
//! gone may be left with one that lags – the application goes to the one that somebody lives in. From there it may come
//! back to the other, at the place where it was left: when that is named as the next one, or nobody else speaks; not once
//! it is named as the one before.

use core::time::Duration;

use twinfeed_wire::{Datagram, Epoch, Header};

use super::cursor::Cursor;
use super::fill::Missing;
use super::hold::Entry;
use super::leg::LegSide;
use super::liveness::speaks;
use super::source::{Out, Source};
use super::view::{End, Spoken, View};
use crate::event::{DiscontinuityCause, Event, Handler, Leg, LegState, Place, ResetCause, Tail};
use crate::limits::Limits;
use crate::time::Time;

/// Epochs that were left, as many as are remembered.
#[derive(Debug)]
pub(super) struct Retired {
    epochs: [Epoch; RETIRED_EPOCHS],
    at: usize,
}

/// Epochs remembered as left; an older one could only return after that many sessions.
const RETIRED_EPOCHS: usize = 64;

impl Retired {
    pub(super) const fn new() -> Self {
        Self {
            epochs: [Epoch::NONE; RETIRED_EPOCHS],
            at: 0,
        }
    }

    fn contains(&self, epoch: Epoch) -> bool {
        self.epochs.contains(&epoch)
    }

    pub(super) fn add(&mut self, epoch: Epoch) {
        if !self.contains(epoch) {
            self.epochs[self.at] = epoch;
            self.at = (self.at + 1) % RETIRED_EPOCHS;
        }
    }

    /// The application comes back to it.
    pub(super) fn remove(&mut self, epoch: Epoch) {
        let known = self.epochs.iter_mut().filter(|known| **known == epoch);
        known.for_each(|known| *known = Epoch::NONE);
    }
}

impl Source {
    /// Tells the end of an epoch, and goes over to the next one.
    pub(super) fn judge_end<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        let Some(cursor) = self.cursor else {
            return false;
        };
        let told_end = self
            .legs
            .iter()
            .filter_map(|side| side.view(cursor.epoch))
            .filter(|view| view.context == cursor.context)
            .filter_map(|view| view.ended)
            .max_by_key(|end| end.next);
        if let Some(end) = told_end.filter(|end| cursor.next >= Place::start(end.next))
            && !self.ended
            && self.messages_are_over(&cursor)
            && self.believes_end(&cursor, end)
        {
            self.ended = true;
            self.tell_announced(cursor.next, out);
            out.handler.event(&Event::Ended {
                sid: self.sid,
                epoch: cursor.epoch,
                next_sseq: end.next,
            });
            return true;
        }
        let Some(target) = self.successor(&cursor) else {
            self.deserted_since = None;
            return false;
        };
        let held = |leg| self.first_in(leg, &cursor, cursor.context).is_some();
        let owed = self.owed_since.is_some();
        if owed
            || self.hole.is_some()
            || Leg::BOTH.into_iter().any(held)
            || self.orphans_held(&cursor)
        {
            return false;
        }
        let link = self.link(target, &cursor);
        let end = told_end.or(link.flatten());
        let over = end.is_some_and(|end| cursor.next.part == 0 && cursor.next.sseq > end.prev);
        // Without a link there may be an epoch in between, and whoever stays may yet go there.
        if !over || link.is_none() {
            // No pressure is a reason to guess while a live leg is there.
            let stays = self.somebody_stays(&cursor, link.is_none());
            let certain = link.is_some() || !self.somebody_lives_in(cursor.epoch);
            if stays && !(self.forced() && certain) {
                self.deserted_since = None;
                return false;
            }
            let since = *self.deserted_since.get_or_insert(out.now);
            let due = match link {
                None if self.is_early(since, out.limits) => false,
                // What was said to come before is not gone back to for a moment's sake.
                None if target == cursor.predecessor => {
                    self.back_due().is_some_and(|due| self.judged_at >= due)
                }
                Some(None) if end.is_none() => {
                    let patience = self.end_patience(target, out.limits);
                    self.forced() || self.judged_at >= since.after(patience)
                }
                _ => self.waited(since, out),
            };
            // A message that was begun is missing to its end, also where another leg never heard of it.
            let begun = match cursor.next.part {
                0 => cursor.next,
                _ => Place::start(cursor.next.sseq.saturating_add(1)),
            };
            let missing = end.filter(|_| !over);
            let missing = missing.map(|end| Place::start(end.prev + 1).max(begun));
            let tail = missing.filter(|until| *until > cursor.next);
            let given_up = match tail {
                Some(until) => self.given_up_until(Missing::Records(cursor.next, until), due, out),
                None => due.then_some(missing.unwrap_or(cursor.next)),
            };
            let Some(until) = given_up else {
                return false;
            };
            if missing.is_some() {
                let cause = self.cause(since, out.limits);
                let skipping = self.skipping;
                self.declare(until, cause, out);
                // What was left out may reach into the next one.
                self.skipping = skipping;
                return true;
            }
        }
        let tail = if link.is_some() && end.is_some() {
            Tail::Complete
        } else {
            Tail::Unknown
        };
        self.begin(
            target,
            ResetCause::Epoch {
                from: cursor.epoch,
                tail,
            },
            out,
        );
        true
    }

    /// Whether an end may be told. Where nothing was told yet a single heartbeat is all that is known, and that may be
    /// of an epoch, or at a number, that never was (RM-14a).
    fn believes_end(&self, cursor: &Cursor, end: End) -> bool {
        let views = self.legs.iter().filter_map(|side| side.view(cursor.epoch));
        let said = views.filter(|view| view.ended == Some(end));
        let times = said.fold(0_u32, |sum, view| sum.saturating_add(view.ended_said));
        self.announce != Some(DiscontinuityCause::Join) || times > 1
    }

    /// The epoch to go over to, once this one is over. One that nothing ties to it is gone over to only while its leg
    /// speaks: whoever fell silent there may have been left behind.
    fn successor(&self, cursor: &Cursor) -> Option<Epoch> {
        let ahead = Leg::BOTH.map(|leg| self.first_ahead(leg, cursor));
        let follows = |view: &&View| {
            let names = |other: &View| other.epoch != view.epoch && other.predecessor == view.epoch;
            view.predecessor == cursor.epoch || ahead.iter().flatten().any(|other| names(other))
        };
        let tied = ahead.iter().flatten().copied().find(follows);
        let of = |counts: fn(&LegSide) -> bool| {
            let legs = self.legs.iter().zip(ahead);
            let mut there = legs.filter(|(side, _)| counts(side));
            there.find_map(|(_, view)| view)
        };
        let first = tied
            .or_else(|| of(LegSide::transmits))
            .or_else(|| of(speaks));
        first.map(|view| view.epoch)
    }

    /// The first epoch that a leg has gone on to from the cursor's. Of one that never was there the latest, and those
    /// before it as far as each names the one before: nothing else says which of them lie ahead.
    fn first_ahead(&self, leg: Leg, cursor: &Cursor) -> Option<&View> {
        let side = &self.legs[leg.index()];
        let left = |view: &View| {
            let before = view.epoch == cursor.predecessor && !self.went_there(view.epoch, cursor);
            before || self.is_over(leg, view.epoch, view.predecessor)
        };
        if let Some(here) = side.view(cursor.epoch) {
            let ahead = side
                .views()
                .filter(|view| view.turn > here.turn && !left(view));
            return ahead.min_by_key(|view| (view.predecessor != cursor.epoch, view.turn));
        }
        let mut first = side.latest().filter(|view| !left(view))?;
        // Turns fall, or the walk ends.
        while let Some(before) = side.view(first.predecessor)
            && before.turn < first.turn
            && !left(before)
        {
            first = before;
        }
        Some(first)
    }

    /// Whether everybody who speaks has come to `epoch`, of which nothing was told, and somebody from the cursor's epoch: then that it came
    /// before, as was said, was not so.
    fn went_there(&self, epoch: Epoch, cursor: &Cursor) -> bool {
        let there = |side: &LegSide| side.latest().map(|view| view.epoch) == Some(epoch);
        let from_here = |side: &LegSide| {
            let turn = |epoch| side.view(epoch).map(|view| view.turn);
            side.transmits() && turn(cursor.epoch).is_some_and(|here| turn(epoch) > Some(here))
        };
        let mut speaking = self
            .legs
            .iter()
            .filter(|side| speaks(side) && !side.standby);
        !self.is_left(epoch) && speaking.all(there) && self.legs.iter().any(from_here)
    }

    /// Whether somebody in `target` names the cursor's epoch as the one before, and what it knows of its end. Which
    /// numbers were silent there, whoever was in another context cannot say.
    fn link(&self, target: Epoch, cursor: &Cursor) -> Option<Option<End>> {
        let links = self.legs.iter().filter_map(|side| {
            let view = side.view(target)?;
            let here = side.view(cursor.epoch);
            let knows = here.is_some_and(|here| here.context == cursor.context);
            (view.predecessor == cursor.epoch).then_some((knows, view.predecessor_end))
        });
        let best =
            links.max_by_key(|(knows, end)| (end.is_some(), *knows, end.map(|end| end.next)));
        best.map(|(_, end)| end)
    }

    /// How long to wait for the end of an epoch that `target` names as the one before: a heartbeat of it would say it, and
    /// with it what is missing at the tail.
    fn end_patience(&self, target: Epoch, limits: &Limits) -> Duration {
        let silent = |side: &&LegSide| {
            let view = side.view(target);
            side.transmits() && view.is_some_and(|view| view.beat.is_none())
        };
        let waits = self.legs.iter().filter(silent).map(end_said_within);
        waits.fold(limits.reorder_hold, Duration::max)
    }

    /// When the wait for a heartbeat that says the end is over, if it is waited for.
    pub(super) fn end_due(&self) -> Option<Time> {
        let longest = self.legs.iter().map(end_said_within).max()?;
        Some(self.deserted_since?.after(longest))
    }

    /// When what was said to come before is gone to, if everybody has gone there.
    pub(super) fn back_due(&self) -> Option<Time> {
        let longest = self.legs[0].heartbeat.max(self.legs[1].heartbeat);
        Some(self.deserted_since?.after(longest * BACK))
    }

    /// Whether a leg is still in the cursor's epoch: a live one that has not ended it, or, when the way on is
    /// not certain, any that speaks and hears its source.
    fn somebody_stays(&self, cursor: &Cursor, uncertain: bool) -> bool {
        self.legs.iter().any(|side| {
            let there = side.latest().filter(|view| view.epoch == cursor.epoch);
            there.is_some_and(|view| match side.state {
                _ if side.standby => false,
                LegState::Live => uncertain || view.ended.is_none(),
                LegState::Stalled => uncertain && !side.source_stale,
                LegState::Unheard | LegState::Lost => false,
            })
        })
    }

    fn somebody_lives_in(&self, epoch: Epoch) -> bool {
        self.legs.iter().any(|side| {
            let there = side.latest().is_some_and(|view| view.epoch == epoch);
            there && side.transmits()
        })
    }

    /// Whether records of the epoch are held in a context that is not delivered yet, but will be.
    fn orphans_held(&self, cursor: &Cursor) -> bool {
        self.orphan_since.is_some()
            && self.legs.iter().any(|side| {
                let turn = side.view(cursor.epoch).map(|view| view.turn);
                side.hold.iter().any(|entry| Some(entry.turn) == turn)
            })
    }

    /// Whether `epoch` was left, whether or not it is come back to.
    pub(super) fn is_left(&self, epoch: Epoch) -> bool {
        self.retired.contains(epoch)
    }

    /// Whether an epoch that `leg` speaks of, and before which it names `predecessor`, was left and is not come back to.
    pub(super) fn is_over(&self, leg: Leg, epoch: Epoch, predecessor: Epoch) -> bool {
        self.is_left(epoch) && !self.may_be_ahead(leg, epoch, predecessor)
    }

    /// Whether it is the one that was left for one that nobody had named as the next, and may be ahead all the same: `leg`
    /// names the application's epoch as the one before, or nobody else who hears its source speaks of that.
    fn may_be_ahead(&self, leg: Leg, epoch: Epoch, predecessor: Epoch) -> bool {
        let (Some(cursor), Some(left)) = (self.cursor, self.left) else {
            return false;
        };
        let other = &self.legs[leg.other().index()];
        let there = other.latest().map(|view| view.epoch) == Some(cursor.epoch);
        let stays = other.transmits() && !other.source_stale && there;
        left.epoch == epoch && (predecessor == cursor.epoch || !stays)
    }

    /// Notes what is refused although its epoch may be come back to: then it is missing for this end's sake.
    pub(super) fn note_refused(&mut self, datagram: &Datagram<'_>) {
        let epoch = datagram.header().epoch;
        let left = self.left.is_some_and(|left| left.epoch == epoch);
        if left && !datagram.header().is_heartbeat() {
            self.overflow.note(epoch, datagram.highest_sseq());
        }
    }

    /// Notes that the application's epoch names the one that was left as the one before: that is not come back to, and
    /// what was kept of it is dropped.
    pub(super) fn judge_left<H: Handler + ?Sized>(
        &mut self,
        header: &Header,
        out: &mut Out<'_, H>,
    ) {
        let here = self.cursor.map(|cursor| cursor.epoch) == Some(header.epoch);
        let before = |left: &mut Cursor| here && left.epoch == header.predecessor;
        if let Some(left) = self.left.take_if(before) {
            for side in &mut self.legs {
                out.counters.retired_epoch += side.leave(|view| view.epoch == left.epoch);
            }
        }
    }

    /// Whether somebody says that `epoch` follows the one that is left, or has gone that way.
    fn is_named(&self, epoch: Epoch, left: &Cursor) -> bool {
        let has_gone = |side: &LegSide| {
            let turn = |epoch| side.view(epoch).map(|view| view.turn);
            turn(left.epoch).is_some_and(|before| turn(epoch) > Some(before))
        };
        self.link(epoch, left).is_some() || self.legs.iter().any(has_gone)
    }

    /// Starts afresh in `epoch`, at its best leg's first number (or where that leg stands).
    fn begin<H: Handler + ?Sized>(
        &mut self,
        epoch: Epoch,
        cause: ResetCause,
        out: &mut Out<'_, H>,
    ) {
        let best = self
            .legs
            .iter()
            .filter_map(|side| side.view(epoch).map(|view| (side.transmits(), view)))
            .max_by_key(|(live, view)| (*live, view.rank));
        let (Some(&(_, view)), Some(left)) = (best.as_ref(), self.cursor) else {
            return;
        };
        let mut view = *view;
        if let ResetCause::Epoch { .. } = cause
            && let Some(left) = self
                .held_of_the_best(epoch, view.first)
                .filter(|it| it.rank > view.rank)
        {
            // Whoever speaks remembers less than what has come: that is told first.
            (view.context, view.rank) = (left.context, left.rank);
            (view.first, view.complete) = (left.first, left.complete);
        }
        // Who has told nothing of an epoch was not in it: somebody may yet go on there.
        let named = match epoch == left.predecessor {
            // Whoever has gone back there may come again.
            true => self.link(epoch, &left).is_some(),
            false => self.is_named(epoch, &left),
        };
        let untold = self.announce == Some(DiscontinuityCause::Join) && !named;
        let next = match cause {
            ResetCause::Epoch { .. } => {
                let told = self.left.filter(|told| told.epoch == epoch);
                told.map_or(Place::start(0), |told| told.next)
                    .max(Place::start(view.first))
            }
            // The lowest, so that no live leg's first numbers are taken for old ones.
            ResetCause::Regress => {
                let live = self.legs.iter().filter(|side| side.transmits());
                let places = live
                    .filter_map(|side| side.view(epoch))
                    .filter_map(View::stands);
                places.min().unwrap_or(view.next)
            }
        };
        if epoch != left.epoch {
            let next = self.reached(&left);
            let known = |it: &Cursor| it.epoch == epoch || it.epoch == view.predecessor;
            self.left = match untold || named {
                true => self.left.filter(|it| !known(it)),
                false => Some(Cursor { next, ..left }),
            };
        }
        self.cursor = Some(Cursor {
            epoch,
            predecessor: if epoch == left.epoch {
                left.predecessor
            } else {
                view.predecessor
            },
            context: view.context,
            complete: view.complete,
            rank: view.rank,
            next,
            last: 0,
            led: None,
            ..left
        });
        if let Some(seen) = &mut self.seen {
            seen.reset(next.sseq);
        }
        if epoch != left.epoch {
            // What came before the epoch that is left is older still: who has slept through both must not bring
            // it back.
            for past in [left.predecessor, view.predecessor, left.epoch] {
                if past != epoch && !(untold && past == left.epoch) {
                    self.retired.add(past);
                }
            }
            self.retired.remove(epoch);
            // What was left before that may still be come back to.
            let spared = self.left.filter(|it| it.epoch != left.epoch);
            let spared = spared.map(|it| it.epoch);
            let over = |it: Epoch| Some(it) != spared && self.retired.contains(it);
            for side in &mut self.legs {
                out.counters.retired_epoch += side.go_on_to(epoch, over);
            }
        } else {
            self.overflow.forget(epoch);
        }
        self.ended = false;
        self.hole = None;
        self.messages_waited = None;
        self.orphan_since = None;
        self.deserted_since = None;
        self.regress_since = None;
        self.arrivals.forget();
        if self.announce.take() == Some(DiscontinuityCause::Join) {
            // Nothing was told of what is left: the application joins here.
            self.announce = Some(DiscontinuityCause::Join);
            return;
        }
        out.counters.resets += 1;
        out.handler.event(&Event::Reset {
            sid: self.sid,
            epoch,
            at: next,
            context: view.context,
            complete: view.complete,
            cause,
        });
    }

    /// Of the contexts in which records of `epoch` below `first` are held the best, whether or not anybody still speaks in it.
    fn held_of_the_best(&self, epoch: Epoch, first: u64) -> Option<Spoken> {
        let views = self.counting().filter_map(|side| side.view(epoch));
        let spoken = views.flat_map(|view| [Some(view.speaks_in()), view.left]);
        let is_held = |it: &Spoken| {
            self.counting().any(|side| {
                let turn = side.view(epoch).map(|view| view.turn);
                let of = |entry: &&Entry| {
                    Some(entry.turn) == turn && !entry.is_message() && entry.sseq < first
                };
                side.hold
                    .iter()
                    .filter(of)
                    .any(|entry| entry.context == it.context)
            })
        };
        let held = spoken.flatten().filter(is_held);
        held.max_by_key(|it| it.rank)
    }

    /// Rebases when every live leg stands below the cursor by more than the window (RM-14a).
    pub(super) fn judge_regress<H: Handler + ?Sized>(&mut self, out: &mut Out<'_, H>) -> bool {
        let Some(cursor) = self.cursor else {
            return false;
        };
        let reached = self.reached(&cursor);
        for side in &mut self.legs {
            side.climb(cursor.epoch, reached);
        }
        let live = || self.legs.iter().filter(|side| side.transmits());
        let far_below =
            |place: Place| place.sseq.saturating_add(out.limits.window) < cursor.next.sseq;
        let below = live().next().is_some()
            && live().all(|side| {
                let here = side.latest().filter(|view| view.epoch == cursor.epoch);
                here.and_then(View::stands).is_some_and(far_below)
            });
        let stepped_back = below_at_all(live(), &cursor, reached);
        if !below && !stepped_back {
            self.regress_since = None;
            return false;
        }
        let since = *self.regress_since.get_or_insert(out.now);
        // Who has since said something that waits to be believed, or to be taken back, may stand anywhere.
        if live().any(|side| side.quarantine.newest().is_some()) {
            return false;
        }
        if !stepped_back && self.judged_at.since(since) < self.regress_patience() {
            return false;
        }
        for side in &mut self.legs {
            side.step_back(cursor.epoch);
        }
        self.begin(cursor.epoch, ResetCause::Regress, out);
        true
    }

    pub(super) fn regress_patience(&self) -> Duration {
        self.legs[0].heartbeat.max(self.legs[1].heartbeat) * 3
    }
}

/// Whether every live leg says itself that its source stepped back below the cursor.
fn below_at_all<'a>(
    mut live: impl Iterator<Item = &'a LegSide>,
    cursor: &Cursor,
    reached: Place,
) -> bool {
    let said = |side: &LegSide| {
        side.view(cursor.epoch)
            .filter(|view| view.stepped_back)
            .and_then(View::stands)
            .is_some_and(|place| place < reached)
    };
    live.next().is_some_and(said) && live.all(said)
}

/// Heartbeats for which everybody must speak of what was said to come before, so that it is gone to.
const BACK: u32 = 12;

/// On a busy stream a heartbeat comes every three intervals.
fn end_said_within(side: &LegSide) -> Duration {
    side.heartbeat * 4
}
