//! When is a session's past fetched from the source, and when is it taken over?
//!
//! ```text
//!             lacks its past for `past_after`, and the peer hands nothing over
//!   resting ───────────────────────────────────────────────────────────────► fetching ─ near ─► keeping ─ there ─► resting
//!      ▲                                                                        │                  │
//!      └────────── failed, taken over from the peer meanwhile, another epoch ───┴──────────────────┘  a longer pause
//! ```
//!
//! Where the lines have snapshot servers, a snapshot comes before the session: it is there in a moment, and only says what is
//! left of the session. The stream is incomplete with it, and a past is fetched afterwards as if there were none.
//!
//! The peer goes first: it gives a memory, which is less than a session. One past is fetched at a time. The stream goes on
//! meanwhile in the context that it has; its messages are kept once the thread is near, and taken over is as with a transfer.

use std::time::Duration;

use crossbeam::channel::Sender;
use twinfeed_protocol::Time;
use twinfeed_protocol::line::Line;
use twinfeed_protocol::sequencer::Now;
use twinfeed_wire::{Epoch, Sid};

use super::transfers::MESSAGES_PER_BATCH;
use super::{Input, Path, Pipeline};
use crate::config::Config;
use crate::note::News;
use crate::source::soup::past::{Begin, Errand, Fetched, What};
use crate::source::soup::{Asked, Why};
use crate::transfer::Whole;
use crate::transfer::kept::Kept;
use crate::transfer::taker::{Taker, TakerLimits};
use crate::transfer::taking::{CatchUp, Taking};
use twinfeed_wire::link::OverReason;

/// What was counted of pasts since the start, over all sources.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PastCounters {
    /// Pasts that were fetched and taken over.
    pub fetched: u64,
    /// Snapshots that were.
    pub snapshots: u64,
    /// Attempts that came to nothing.
    pub failed: u64,
    /// How far the attempt at hand is; 0: none is.
    pub reached: u64,
    /// Why the last attempt came to nothing, of which source and line's server; `None`: it did not.
    pub fault: Option<(Sid, What, Line, PastFault)>,
}

/// Why a past was not taken over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PastFault {
    /// It could not be fetched.
    Source(Why),
    /// It did not meet the lines.
    Meeting(OverReason),
}

impl core::fmt::Display for PastFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Source(why) => why.fmt(f),
            Self::Meeting(OverReason::TakerFull) => f.write_str(
                "more came on the lines meanwhile than `pair.context_buffer` holds: raise it",
            ),
            Self::Meeting(reason) => reason.fmt(f),
        }
    }
}

/// A source whose past can be fetched.
#[derive(Debug)]
struct Able {
    sid: Sid,
    /// The source's own first number.
    first: u64,
    /// Where the session may be fetched, after a while.
    past: Option<Asked>,
    /// Where a snapshot may be had, after a while.
    snapshot: Option<Asked>,
    /// Since when it lacks its past.
    since: Option<Time>,
    /// How often in a row a snapshot was asked for in vain.
    snapshots_failed: u32,
}

impl Able {
    /// What is fetched at `now`; `None`: it is too early, or there is nobody to ask.
    fn due(&self, now: Time, lacks_a_snapshot: bool) -> Option<What> {
        let since = self.since?;
        let is_due = |asked: &Option<Asked>| asked.is_some_and(|of| now >= since.after(of.after));
        let past = is_due(&self.past);
        // A server of snapshots that has none does not keep the session from being fetched.
        let in_turn = self.snapshots_failed < SNAPSHOTS_IN_A_ROW || self.past.is_none();
        if lacks_a_snapshot && in_turn && is_due(&self.snapshot) {
            return Some(What::Snapshot);
        }
        past.then_some(What::Past)
    }
}

/// What all sources of an adapter share of it.
#[derive(Debug)]
pub(super) struct Pasts {
    able: Vec<Able>,
    errands: Sender<Errand>,
    taker: Taker,
    /// What the attempt at hand is for.
    what: What,
    /// Of which epoch it is.
    epoch: Epoch,
    /// From whose server.
    line: Line,
    /// Whether the lines' messages are kept for it.
    keeping: bool,
    counters: PastCounters,
}

impl Pasts {
    pub(super) fn new(config: &Config, errands: Sender<Errand>) -> Self {
        let able = config.sources.iter().filter_map(|source| {
            let (past, snapshot) = (source.asked_for_past(), source.asked_for_snapshot());
            (past.is_some() || snapshot.is_some()).then_some(Able {
                sid: source.sid,
                first: source.limits.origin_first,
                past,
                snapshot,
                since: None,
                snapshots_failed: 0,
            })
        });
        let able: Vec<_> = able.collect();
        let limits = TakerLimits {
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            // The thread itself says when it took too long.
            patience: Duration::from_secs(30),
        };
        Self {
            able,
            errands,
            taker: Taker::new(limits),
            what: What::Past,
            epoch: Epoch::NONE,
            line: Line::A,
            keeping: false,
            counters: PastCounters::default(),
        }
    }

    pub(super) const fn counters(&self) -> PastCounters {
        self.counters
    }

    /// Whether this source's messages are kept for its past.
    pub(super) fn keeps(&self, sid: Sid) -> bool {
        self.keeping && self.taker.at_hand().is_some_and(|(of, _)| of == sid)
    }

    /// The attempt for this source is over; `failed`: it was for a snapshot, and came to nothing.
    fn note_snapshot(&mut self, sid: Sid, failed: bool) {
        let mut able = self.able.iter_mut();
        if let Some(able) = able.find(|able| able.sid == sid) {
            let so_far = able.snapshots_failed;
            able.snapshots_failed = if failed { so_far.saturating_add(1) } else { 0 };
        }
    }

    /// Has something freed by a thread that may. One whose queue is full leaves it to this one.
    fn free(&self, whole: Option<Box<Whole>>, kept: Option<Box<Kept>>) {
        let _ = self.errands.try_send(Errand::Free(whole, kept));
    }
}

impl Pipeline {
    /// The thread has fetched something in this attempt.
    pub(super) fn on_fetched(&mut self, now: Now, of: (Sid, u32), fetched: Fetched) {
        let ours = self.pasts.taker.at_hand() == Some(of);
        if ours {
            self.pasts.taker.on_news(now.time, of.1);
        }
        let place = self.paths.iter().position(|path| path.sid == of.0);
        match (fetched, place.filter(|_| ours)) {
            (Fetched::Reached(next), Some(_)) => self.pasts.counters.reached = next,
            (Fetched::Passed(next, kept), Some(place)) => self.on_passed(place, of, next, kept),
            (Fetched::Whole(whole), Some(place)) => match self.paths[place].converter.taking() {
                Some(taking) if self.pasts.keeping => taking.on_whole(whole),
                _ => self.pasts.free(Some(whole), None),
            },
            (Fetched::Failed(why), Some(place)) => {
                self.past_failed(now, place, Some(PastFault::Source(why)));
            }
            (Fetched::Passed(_, kept), None) => self.pasts.free(None, Some(kept)),
            (Fetched::Whole(whole), None) => self.pasts.free(Some(whole), None),
            (Fetched::Reached(_) | Fetched::Failed(_), None) => {}
        }
    }

    /// Goes on with a past; how much was done.
    pub(super) fn tend_past(&mut self, now: Now) -> usize {
        if self.pasts.able.is_empty() {
            return 0;
        }
        let Some((sid, _)) = self.pasts.taker.at_hand() else {
            self.begin_past(now);
            return 0;
        };
        let Some(place) = self.paths.iter().position(|path| path.sid == sid) else {
            return 0;
        };
        let path = &mut self.paths[place];
        let here = path.converter.sequencer.epoch() == Some(self.pasts.epoch);
        if !here || !path.converter.lacks_its_past() {
            // The peer gave it, or nobody needs it any more.
            self.past_failed(now, place, None);
            return 1;
        }
        if self.pasts.taker.is_out_of_patience(now.time) {
            let fault = PastFault::Meeting(OverReason::Patience);
            self.past_failed(now, place, Some(fault));
            return 1;
        }
        if !self.pasts.keeping {
            return 0;
        }
        match path.converter.catch_up(MESSAGES_PER_BATCH) {
            None | Some(CatchUp::Waiting) => 0,
            Some(CatchUp::Behind) => 1,
            Some(CatchUp::Spoilt(reason)) => {
                self.past_failed(now, place, Some(PastFault::Meeting(reason)));
                1
            }
            Some(CatchUp::There) => {
                self.take_past_over(now, place);
                1
            }
        }
    }

    fn begin_past(&mut self, now: Now) {
        let handed = self.transfers.taking();
        for able in &mut self.pasts.able {
            let lacks = |path: &Path| path.sid == able.sid && path.converter.lacks_its_past();
            able.since = match self.paths.iter().any(lacks) {
                true => able.since.or(Some(now.time)),
                false => None,
            };
        }
        let paths = &self.paths;
        let due = self.pasts.able.iter().filter(|able| {
            let what = what_is_due(able, paths, now.time);
            handed != Some(able.sid) && what.is_some()
        });
        let Some((sid, attempt)) = self.pasts.taker.begin(now.time, due.map(|able| able.sid))
        else {
            return;
        };
        self.pasts.taker.on_ready(now.time, attempt);
        let begun = self.past_of(now.time, sid, attempt);
        let sent = begun.is_some_and(|begin| {
            let pasts = &mut self.pasts;
            (pasts.what, pasts.epoch, pasts.line) = (begin.what, begin.epoch, begin.line);
            self.pasts.errands.try_send(Errand::Begin(begin)).is_ok()
        });
        if !sent {
            self.pasts.taker.on_failed(now.time);
        }
    }

    /// What is to be fetched for this source; another line's server than the last time, if there is one.
    fn past_of(&mut self, now: Time, sid: Sid, attempt: u32) -> Option<Begin> {
        let able = self.pasts.able.iter_mut().find(|able| able.sid == sid)?;
        let what = what_is_due(able, &self.paths, now)?;
        let path = self.paths.iter().find(|path| path.sid == sid)?;
        let Input::Live(live) = &path.input else {
            return None;
        };
        let line = match what {
            What::Past => able.past.as_mut()?.turn(),
            What::Snapshot => able.snapshot.as_mut()?.turn(),
        };
        let (start, pos) = (
            path.converter.sequencer.start()?,
            path.converter.sequencer.next_pos()?,
        );
        Some(Begin {
            what,
            attempt,
            sid,
            line,
            session: live.session_of(start.epoch)?,
            epoch: start.epoch,
            predecessor: start.predecessor,
            first: able.first,
            head: pos.sseq,
        })
    }

    /// The thread is as far as the lines were: their messages are kept, or it has to go on.
    fn on_passed(&mut self, place: usize, of: (Sid, u32), reached: u64, kept: Box<Kept>) {
        self.pasts.counters.reached = reached;
        let path = &mut self.paths[place];
        let next = path.converter.sequencer.next_pos().map(|pos| pos.sseq);
        let Some(next) = next else {
            return self.pasts.free(None, Some(kept));
        };
        let handed = self.transfers.taking() == Some(of.0);
        // A snapshot is of now, wherever the lines were.
        let far = self.pasts.what == What::Past && next.saturating_sub(reached) > NEAR;
        let (_, attempt) = of;
        let errand = match far || handed || self.pasts.keeping {
            true => Errand::Head(attempt, next.max(reached + 1), kept),
            false => {
                path.converter.begin_taking(Taking::new(kept));
                self.pasts.keeping = true;
                Errand::Until(attempt, next)
            }
        };
        // One that finds no room ends by patience.
        let _ = self.pasts.errands.try_send(errand);
    }

    /// The memory is of this moment: the stream goes on with it.
    fn take_past_over(&mut self, now: Now, place: usize) {
        let path = &mut self.paths[place];
        let Some(over) = path.take_over(now, &mut self.ends.exit) else {
            return;
        };
        self.pasts.free(Some(over.whole), Some(over.kept));
        let Some((next, orders)) = over.taken else {
            let fault = PastFault::Meeting(OverReason::Damaged);
            return self.past_failed(now, place, Some(fault));
        };
        let path = &self.paths[place];
        let what = self.pasts.what;
        let news = News::PastFetched { what, next, orders };
        self.ends.notes.leave(path.sid, news);
        let sid = path.sid;
        let pasts = &mut self.pasts;
        pasts.taker.on_done();
        pasts.keeping = false;
        match what {
            What::Past => pasts.counters.fetched += 1,
            What::Snapshot => pasts.counters.snapshots += 1,
        }
        pasts.note_snapshot(sid, false);
        (pasts.counters.reached, pasts.counters.fault) = (0, None);
    }

    /// The attempt at hand came to nothing; `None`: it is not needed any more.
    fn past_failed(&mut self, now: Now, place: usize, fault: Option<PastFault>) {
        let Some((sid, attempt)) = self.pasts.taker.at_hand() else {
            return;
        };
        let pasts = &mut self.pasts;
        if std::mem::take(&mut pasts.keeping)
            && let Some(taking) = self.paths[place].converter.end_taking()
        {
            let (whole, kept) = taking.finish();
            pasts.free(whole, Some(kept));
        }
        let _ = pasts.errands.try_send(Errand::Stop(attempt));
        pasts.counters.reached = 0;
        let Some(fault) = fault else {
            pasts.taker.on_done();
            return;
        };
        pasts.taker.on_failed(now.time);
        pasts.counters.failed += 1;
        pasts.note_snapshot(sid, pasts.what == What::Snapshot);
        let of = (sid, pasts.what, pasts.line, fault);
        if pasts.counters.fault.replace(of) != Some(of) {
            let news = News::PastNotFetched(pasts.what, pasts.line, fault);
            self.ends.notes.leave(sid, news);
        }
    }
}

fn what_is_due(able: &Able, paths: &[Path], now: Time) -> Option<What> {
    let path = paths.iter().find(|path| path.sid == able.sid)?;
    able.due(now, path.converter.lacks_a_snapshot(able.first))
}

/// Attempts at a snapshot before the session is fetched instead, where it can be.
const SNAPSHOTS_IN_A_ROW: u32 = 3;

/// Numbers by which the thread may be behind the lines for their messages to be kept: less than half of the smallest
/// `pair.context_buffer` of ordinary messages.
const NEAR: u64 = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_goes_first_and_does_not_keep_the_session_from_being_fetched() {
        let asked = |after| Some(Asked::new([true, false], Duration::from_secs(after)));
        let at = |second: u64| Time(second * 1_000_000_000);
        let (past, snapshot) = (Some(What::Past), Some(What::Snapshot));
        for (has, failed, now, lacks_a_snapshot, due) in [
            // Both, from the first second and the second one on.
            ([asked(2), asked(1)], 0, 10, true, None),
            ([asked(2), asked(1)], 0, 11, true, snapshot),
            ([asked(2), asked(1)], 2, 12, true, snapshot),
            ([asked(2), asked(1)], 3, 11, true, None),
            ([asked(2), asked(1)], 3, 12, true, past),
            ([asked(2), asked(1)], 0, 12, false, past),
            // One alone.
            ([None, asked(1)], 9, 11, true, snapshot),
            ([None, asked(1)], 0, 11, false, None),
            ([asked(2), None], 0, 11, true, None),
            ([asked(2), None], 0, 12, true, past),
        ] {
            let [of_past, of_snapshot] = has;
            let able = Able {
                sid: Sid(1),
                first: 1,
                past: of_past,
                snapshot: of_snapshot,
                since: Some(at(10)),
                snapshots_failed: failed,
            };
            assert_eq!(able.due(at(now), lacks_a_snapshot), due, "{able:?} {now}");
            let not_lacking = Able {
                since: None,
                ..able
            };
            assert_eq!(not_lacking.due(at(now), lacks_a_snapshot), None);
        }
    }
}
