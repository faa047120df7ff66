//! What happens in one setting, session after session?
//!
//! ```text
//!  session opens ─► protected? ─► sham ─► window ─► trigger ─► window ─► mend ─► session ends ─► judge
//!                      │ not in time: the session is judged and not used
//! ```
//!
//! One set of processes serves a whole setting: an adapter that was hurt comes back and is merged in the
//! next session. The trigger is always pulled at the adapter that the subscriber would miss: the active one, or
//! under prefer-active the one whose leg is delivered then.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use twinfeed_control::{FeedStatus, Policy, StopFlag, TransmitMode};
use twinfeed_harness::probe::wire::Summary;
use twinfeed_harness::process::Program;
use twinfeed_harness::rig::backup_streams;
use twinfeed_harness::run::Run as Setup;
use twinfeed_harness::{Rig, Seat};

use super::cells::Trigger;
use super::fault::{mend, pull};
use super::judged::Judge;
use super::moments::choose;
use super::outcome::{Run, Session, Standing, switch};
use super::schedule;
use crate::chance::Chance;
use crate::error::Error;
use twinfeed_net::clock;

/// The processes of one setting, all running.
#[derive(Debug)]
pub(crate) struct Stage {
    rig: Rig,
    judge: Judge,
    stop: StopFlag,
    chance: Chance,
    window: Duration,
    /// Sessions opened and dealt with.
    sessions: u64,
}

/// One session, used or not.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) session: Session,
    /// Why nothing was tried in it.
    pub(crate) unused: Option<String>,
}

/// What the pair is like when it may be hurt.
#[derive(Clone, Copy, Debug)]
struct Ready {
    /// The adapter to hurt.
    seat: Seat,
    /// Whether it is the active one; under prefer-active the leg relied on may be the other's.
    active: bool,
    /// Duplicates dropped until now.
    duplicates: u64,
}

/// Whether the reports of a standby pair say that the backup numbers its streams and withholds them.
fn is_silent(feed: &FeedStatus) -> bool {
    let mut streams = backup_streams(feed).peekable();
    streams.peek().is_some() && streams.all(|stream| stream.standby && stream.next_msn > 1)
}

/// A run before the session is judged.
struct Pulled {
    trigger: Trigger,
    seat: Seat,
    at_ns: u64,
    run: Run,
}

impl Stage {
    /// Starts everything and opens the first session.
    pub(crate) fn open(
        program: &Program,
        setup: &Setup,
        keep: Option<&Path>,
        window: Duration,
        chance: Chance,
        stop: &StopFlag,
    ) -> Result<Self, Error> {
        let mut rig = match keep {
            Some(directory) => Rig::start_in(program, setup, stop, directory)?,
            None => Rig::start(program, setup, stop)?,
        };
        let judge = Judge::new(&rig)?;
        rig.open()?;
        Ok(Self {
            rig,
            judge,
            stop: stop.clone(),
            chance,
            window,
            sessions: 0,
        })
    }

    /// Plays the next session to its end and judges it.
    pub(crate) fn play(&mut self, plan: schedule::Session) -> Result<Played, Error> {
        self.sessions += 1;
        let limit = self.rig.run().session + self.rig.run().pause + SLACK;
        let stop = self.stop.clone();
        let opened_ns = self
            .rig
            .exchange()
            .until_opened(self.sessions, limit, &stop)?;
        let (pulled, unused) = match self.use_session(opened_ns, plan)? {
            Ok(pulled) => (pulled, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        self.until_closed(limit)?;
        let judged = self.judge.session(&mut self.rig, self.sessions, &stop)?;
        let down = pulled
            .iter()
            .find(|it| it.trigger.takes_leg())
            .map(|it| it.seat.index());
        let overload = judged.counts.overload(down, &judged.gaps);
        let runs = pulled
            .into_iter()
            .map(|it| settle(it, &judged.seen, overload.as_deref()));
        let session = Session {
            name: judged.name,
            runs: runs.collect(),
            counts: judged.counts,
            broken: judged.counts.broken(overload.is_some()),
            declared_gaps: judged.gaps,
        };
        Ok(Played { session, unused })
    }

    /// What the probe saw in all sessions; then everybody leaves in order.
    pub(crate) fn close(mut self) -> Result<Summary, Error> {
        let (_, seen, _) = self.rig.end()?;
        self.rig.leave()?;
        Ok(seen)
    }

    /// Everything that is done to a session while it is on, or why nothing was.
    fn use_session(
        &mut self,
        opened_ns: u64,
        plan: schedule::Session,
    ) -> Result<Result<Vec<Pulled>, String>, Error> {
        let end_ns = opened_ns + nanos(self.rig.run().session.saturating_sub(END_MARGIN));
        let ready = match self.until_ready(end_ns)? {
            Ok(ready) => ready,
            Err(reason) => return Ok(Err(reason)),
        };
        let triggers: Vec<Trigger> = std::iter::repeat_n(Trigger::Sham, plan.shams as usize)
            .chain(plan.real)
            .collect();
        let from_ns = clock::monotonic_ns().saturating_sub(opened_ns) + nanos(START_MARGIN);
        let span = from_ns..end_ns.saturating_sub(opened_ns);
        let (window, burst) = (nanos(self.window + ANSWER_MARGIN), self.rig.run().burst);
        // At most four.
        let count = triggers.len() as u32;
        let Some(moments) = choose(&span, count, window, burst, &mut self.chance) else {
            let left = Duration::from_nanos(span.end.saturating_sub(span.start));
            return Ok(Err(format!(
                "it became protected {left:?} before its end, too late"
            )));
        };
        let mut pulled = Vec::new();
        for (trigger, moment) in triggers.into_iter().zip(moments) {
            pulled.push(self.run(ready, trigger, opened_ns, opened_ns + moment)?);
        }
        Ok(Ok(pulled))
    }

    /// Waits until the session has reached both legs, stream-admin calls the pair protected on the
    /// strength of reports from this session, and, under prefer-active, one leg alone is delivered.
    fn until_ready(&mut self, end_ns: u64) -> Result<Result<Ready, String>, Error> {
        loop {
            let reason = match self.ready()? {
                Ok(ready) => return Ok(Ok(ready)),
                Err(reason) => reason,
            };
            if clock::monotonic_ns() >= end_ns {
                return Ok(Err(format!("the pair was not protected: {reason}")));
            }
            self.pause(LOOK_EVERY)?;
        }
    }

    fn ready(&mut self) -> Result<Result<Ready, String>, Error> {
        let feed = self.rig.feed()?;
        if !feed.pair.protected {
            return Ok(Err(feed.pair.reason));
        }
        if self.is_standby() && !is_silent(&feed) {
            return Ok(Err("the backup transmits, or numbers nothing".to_owned()));
        }
        let status = self.rig.probe().status()?;
        let reports = feed.legs.iter().filter_map(|leg| leg.report.as_ref());
        let epochs: HashSet<_> = reports
            .flat_map(|report| &report.streams)
            .map(|it| it.next_pos.epoch)
            .collect();
        if status
            .epoch
            .is_none_or(|epoch| epochs != HashSet::from([epoch]))
        {
            return Ok(Err("the reports are those of the session before".to_owned()));
        }
        if status.legs.iter().any(|leg| leg != "live") {
            return Ok(Err(format!(
                "the subscriber calls the legs {:?}",
                status.legs
            )));
        }
        let active = self.rig.active_seat()?;
        let seat = match self.rig.run().policy {
            Policy::FirstArrival => active,
            Policy::PreferActive => match self.delivered_seat()? {
                Ok(seat) => seat,
                Err(reason) => return Ok(Err(reason)),
            },
        };
        Ok(Ok(Ready {
            seat,
            active: seat == active,
            duplicates: status.duplicates_dropped,
        }))
    }

    fn is_standby(&self) -> bool {
        self.rig.run().transmit == TransmitMode::Standby
    }

    /// The adapter to hurt, now that the moment is near: under prefer-active the subscriber may have gone back to a leg
    /// that is well again since the session was found ready. And whether it is the active one.
    fn seat_at(&mut self, ready: Ready) -> Result<(Seat, bool), Error> {
        if self.rig.run().policy == Policy::FirstArrival {
            return Ok((ready.seat, ready.active));
        }
        let seat = self.delivered_seat()?.unwrap_or(ready.seat);
        Ok((seat, (seat == ready.seat) == ready.active))
    }

    /// The adapter whose leg alone is delivered at present.
    fn delivered_seat(&mut self) -> Result<Result<Seat, String>, Error> {
        let span = nanos(LOOK_EVERY);
        let from_ns = clock::monotonic_ns().saturating_sub(span);
        let window = self.rig.probe().window(from_ns, span)?;
        Ok(match window.legs {
            [zero, 0] if zero > 0 => Ok(Seat::Active),
            [0, one] if one > 0 => Ok(Seat::Backup),
            [zero, one] => Err(format!(
                "of the last {LOOK_EVERY:?}, {zero} records are from leg 0 and {one} from leg 1"
            )),
        })
    }

    /// One run: waits for its moment, pulls, waits out the window, looks, mends.
    fn run(
        &mut self,
        ready: Ready,
        trigger: Trigger,
        opened_ns: u64,
        moment_ns: u64,
    ) -> Result<Pulled, Error> {
        let duplicates = ready.duplicates;
        self.until_ns(moment_ns.saturating_sub(nanos(HOT_MARGIN)))?;
        let (seat, active) = self.seat_at(ready)?;
        let dropped = self.rig.probe().status()?.duplicates_dropped > duplicates;
        self.until_ns(moment_ns)?;
        let at_ns = pull(&mut self.rig, seat, trigger)?;
        self.until_ns(at_ns + nanos(self.window))?;
        let window = self.rig.probe().window(at_ns, nanos(self.window))?;
        let refused = match mend(&mut self.rig, seat, trigger) {
            Err(twinfeed_harness::Error::Interrupted) => {
                return Err(twinfeed_harness::Error::Interrupted.into());
            }
            // A fault of the run; what follows can be tried all the same.
            Err(error) if trigger == Trigger::HandOver => Some(error.to_string()),
            mended => mended.map(|()| None)?,
        };
        let standing = if let Some(reason) = refused {
            Standing::Invalid(format!("the active did not hand over: {reason}"))
        } else if window.forgotten {
            Standing::Invalid("the probe's log did not reach back to the trigger".to_owned())
        } else if dropped == self.is_standby() {
            Standing::Invalid(match dropped {
                false => "no duplicate was dropped before: the backup was not hot".to_owned(),
                true => "duplicates were dropped before: the backup was not silent".to_owned(),
            })
        } else {
            Standing::Clean
        };
        let run = Run {
            trigger,
            leg: seat.index(),
            active,
            at_ns: at_ns.saturating_sub(opened_ns),
            stall_ns: window.longest_silence_ns,
            failover_gap_ns: window.after_last_of_ns[seat.index()],
            records: window.records,
            switch: None,
            standing,
        };
        Ok(Pulled {
            trigger,
            seat,
            at_ns,
            run,
        })
    }

    fn until_closed(&mut self, limit: Duration) -> Result<(), Error> {
        let deadline_ns = clock::monotonic_ns() + nanos(limit);
        while self.rig.exchange().standing()?.closed < self.sessions {
            if clock::monotonic_ns() > deadline_ns {
                return Err(Error::NoSession {
                    sessions: 1,
                    reason: format!("the exchange had not closed it after {limit:?}"),
                });
            }
            self.pause(LOOK_EVERY)?;
        }
        Ok(())
    }

    fn until_ns(&self, moment_ns: u64) -> Result<(), Error> {
        let left = moment_ns.saturating_sub(clock::monotonic_ns());
        self.pause(Duration::from_nanos(left))
    }

    fn pause(&self, span: Duration) -> Result<(), Error> {
        match self.stop.wait(span) {
            true => Err(twinfeed_harness::Error::Interrupted.into()),
            false => Ok(()),
        }
    }
}

/// Completes a run with what became known when the session was over.
fn settle(pulled: Pulled, seen: &Summary, overload: Option<&str>) -> Run {
    let Pulled {
        trigger,
        seat,
        at_ns,
        mut run,
    } = pulled;
    if trigger != Trigger::Sham {
        run.switch = switch(&seen.receipts, seat.index(), at_ns);
    }
    if let (Standing::Clean, Some(overload)) = (&run.standing, overload) {
        run.standing = Standing::Overload(overload.to_owned());
    }
    run
}

pub(super) const fn nanos(span: Duration) -> u64 {
    // Spans of a run are far below 584 years.
    span.as_nanos() as u64
}

/// How often a state is looked at that nobody announces; seldom, because looking costs the host.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Between readiness and the first moment: longer than the subscriber's snapshots of its counters are
/// apart (50 ms), or the backup would look as if it were not hot.
pub(super) const START_MARGIN: Duration = Duration::from_millis(80);
/// Between the last window and the end of the session.
const END_MARGIN: Duration = Duration::from_millis(50);
/// What looking at a window and mending may take before the next moment.
pub(super) const ANSWER_MARGIN: Duration = Duration::from_millis(30);
/// How long before its moment a run asks whether duplicates are dropped.
const HOT_MARGIN: Duration = Duration::from_millis(3);
/// What a session may take longer than planned.
const SLACK: Duration = Duration::from_secs(20);
