//! When is the source itself asked for what rests, and for which source stream?
//!
//! ```text
//!             what is known is not whole for `past_after`, and the peer has not made it so
//!   resting ─────────────────────────────────────────────────────────────────────────────► reading ─ near ─► keeping ─ made ─► taking
//!      ▲                                                                                      │                 │              │ whole
//!      └──────── failed, made whole by the peer meanwhile, another epoch or context ──────────┴─────────────────┴──────────────┘
//! ```
//!
//! The peer goes first, as with a past: what it gives is less than a session. One source stream is read at a time, by a thread that may
//! wait ([`Reader`]). The output is kept only when that is near, and from then on the peer is not asked for the same.
//!
//! A session serves where the context reaches back to the source's first number, and the source's snapshot where the context began
//! with one (decision 21): what is made has to mean the same by its numbers as the output.

use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, TryRecvError, bounded};
use twinfeed_control::{Backoff, StopFlag};
use twinfeed_net::bell::Bell;
use twinfeed_protocol::digest::Context;
use twinfeed_protocol::{Cursor, Time};
use twinfeed_wire::{ContextId, Epoch, Sid};

use super::follower::{Bounds, Follower};
use super::reader::{Begin, Errand, News, Read, Reader};
use crate::config::Config;
use crate::error::AdapterError;
use crate::source::soup::Asked;
use crate::source::soup::past::What;

/// What is counted of what the source was asked for, over all source streams.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OriginCounters {
    /// Attempts.
    pub attempts: u64,
    /// Snapshots that were made of what the source says.
    pub made: u64,
    /// Attempts that came to nothing, those that were not needed any more apart.
    pub failed: u64,
    /// Source streams of which what is known was made whole so.
    pub restored: u64,
}

/// The follower's end.
#[derive(Debug)]
pub(super) struct Origin {
    able: Vec<Able>,
    errands: Sender<Errand>,
    news: Receiver<News>,
    course: Option<Course>,
    attempts: u32,
    counters: OriginCounters,
}

/// A source that can be asked.
#[derive(Debug)]
struct Able {
    sid: Sid,
    /// The source's own first number.
    first: u64,
    session: Option<Asked>,
    picture: Option<Asked>,
    /// Since when it would make something whole.
    since: Option<Time>,
    /// Between attempts in an epoch, whatever became of them.
    pause: Backoff,
    /// Nothing is asked before.
    due: Time,
    /// When the last attempt was for another epoch, or another beginning of it, there is no pause.
    tried: (Epoch, u64),
    /// What went wrong last, until it does not.
    trouble: Option<String>,
    /// In which context, begun how often, the session would go wrong again.
    hopeless: Option<(ContextId, u64)>,
}

/// The attempt at hand.
#[derive(Clone, Copy, Debug)]
struct Course {
    what: What,
    attempt: u32,
    sid: Sid,
    epoch: Epoch,
    context: ContextId,
    /// How often an epoch had begun: numbers may begin again under the same name.
    begun: u64,
    /// In front of which number everything is read, and the output not kept yet.
    near: Option<u64>,
    /// Which wish of the follower's it answers, once the output is kept.
    serial: Option<u64>,
}

/// Starts the thread, named `source-books`, and gives the follower's end of it; `None`: there is no source that could be asked. `bell`
/// wakes the follower.
pub(super) fn start(
    config: &Config,
    bounds: Bounds,
    bell: Bell,
    stop: StopFlag,
) -> Result<Option<Origin>, AdapterError> {
    let (mut able, mut sessions, mut pictures) = (Vec::new(), Vec::new(), Vec::new());
    let seed = u64::from(std::process::id());
    for source in &config.sources {
        let (session, picture) = (source.asked_for_past(), source.asked_for_snapshot());
        if let Some(servers) = source.servers()?.filter(|_| session.is_some()) {
            sessions.push((source.sid, servers));
        }
        if let Some(servers) = source.snapshot_servers()? {
            pictures.push((source.sid, servers));
        }
        if session.is_some() || picture.is_some() {
            able.push(Able {
                sid: source.sid,
                first: source.limits.origin_first,
                session,
                picture,
                since: None,
                pause: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE, seed ^ u64::from(source.sid.0)),
                due: Time::ZERO,
                tried: (Epoch::NONE, 0),
                trouble: None,
                hopeless: None,
            });
        }
    }
    if able.is_empty() {
        return Ok(None);
    }
    let (errands, errand) = bounded(MOST_WAITING);
    let (tell, news) = bounded(MOST_WAITING);
    let reader = Reader {
        settings: config.itch50_settings(),
        day: config.trading_day,
        bounds,
        sessions,
        pictures,
        errands: errand,
        news: tell,
        bell,
        stop,
    };
    std::thread::Builder::new()
        .name("source-books".to_owned())
        .spawn(move || reader.run())
        .map_err(AdapterError::system(
            "start the thread that reads the source",
        ))?;
    Ok(Some(Origin {
        able,
        errands,
        news,
        course: None,
        attempts: 0,
        counters: OriginCounters::default(),
    }))
}

impl Origin {
    /// One turn for all followers.
    pub(super) fn turn(&mut self, followers: &mut [Follower], now: Time) {
        loop {
            match self.news.try_recv() {
                Ok(news) => self.hear(news, followers, now),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    if let Some(course) = self.course {
                        self.over(
                            course,
                            Some("the thread that reads it is gone".to_owned()),
                            now,
                        );
                    }
                    return;
                }
            }
        }
        if let Some(course) = self.course {
            self.tend(course, followers, now);
        }
        if self.course.is_none() {
            self.begin(followers, now);
        }
    }

    pub(super) const fn counters(&self) -> OriginCounters {
        self.counters
    }

    /// What the source made whole.
    pub(super) const fn note_restored(&mut self, times: u64) {
        self.counters.restored += times;
    }

    /// Whose output is kept for what is being made of the source: nobody else is asked for that, and nobody ends it.
    pub(super) fn keeps(&self) -> Option<Sid> {
        let course = self.course.filter(|it| it.serial.is_some())?;
        Some(course.sid)
    }

    /// Whether the source is asked for this source stream.
    pub(super) fn asks(&self, sid: Sid) -> bool {
        self.course.is_some_and(|course| course.sid == sid)
    }

    /// What went wrong with the last attempt for a source stream.
    pub(super) fn trouble(&self, sid: Sid) -> Option<&str> {
        let able = self.able.iter().find(|able| able.sid == sid)?;
        able.trouble.as_deref()
    }

    fn hear(&mut self, news: News, followers: &mut [Follower], now: Time) {
        let ours = |course: &Course| (course.sid, course.attempt) == (news.sid, news.attempt);
        let Some(course) = self.course.filter(ours) else {
            return;
        };
        let Some(follower) = followers.iter_mut().find(|it| it.sid() == news.sid) else {
            return;
        };
        match news.what {
            Read::Passed(next) => self.passed(course, next, follower, now),
            Read::Made(whole) => {
                self.counters.made += 1;
                let taken = course
                    .serial
                    .is_some_and(|serial| follower.on_sources_snapshot(serial, whole));
                if !taken {
                    self.over(course, Some("what it said came too late".to_owned()), now);
                }
            }
            Read::Failed(why) => {
                if course.serial.is_some() {
                    follower.leave();
                }
                if course.what == What::Past
                    && why.is_hopeless()
                    && let Some(able) = self.able.iter_mut().find(|it| it.sid == course.sid)
                {
                    able.hopeless = Some((course.context, course.begun));
                }
                self.over(course, Some(why.to_string()), now);
            }
        }
    }

    /// The thread is as far as the output was: that is kept from here on, or the thread has to go on.
    fn passed(&mut self, mut course: Course, reached: u64, follower: &mut Follower, now: Time) {
        let next = follower.cursor().map_or(0, |cursor| cursor.next.sseq);
        course.near = None;
        // A snapshot is of now, wherever the output was.
        let far = course.what == What::Past && next.saturating_sub(reached) > NEAR;
        let counted = follower
            .cursor()
            .is_some_and(|cursor| cursor.count.is_some());
        let errand = match far {
            true => Errand::Head(course.attempt, next),
            false => {
                let wanted = counted && follower.want(now);
                let wish = wanted.then(|| follower.wish()).flatten();
                let Some(wish) = wish else {
                    // The peer's is taken in. If that comes to nothing, it is wanted then.
                    course.near = Some(reached);
                    self.course = Some(course);
                    return;
                };
                course.serial = Some(wish.serial);
                Errand::Until(course.attempt, wish.from)
            }
        };
        self.course = Some(course);
        if self.errands.try_send(errand).is_err() {
            let trouble = "the thread that reads it takes nothing";
            self.over(course, Some(trouble.to_owned()), now);
        }
    }

    /// Whether the attempt at hand is still of use.
    fn tend(&mut self, course: Course, followers: &mut [Follower], now: Time) {
        let Some(follower) = followers.iter_mut().find(|it| it.sid() == course.sid) else {
            return;
        };
        let here = follower.cursor().map(|it| (it.next.epoch, it.context));
        let needed = follower.lacking().is_some_and(super::Lacking::can_be_given);
        // It was refused, or what was kept found no room: what is wanted now is another thing.
        let another = |serial| follower.wish().is_some_and(|wish| wish.serial != serial);
        let ended = course
            .serial
            .is_some_and(|serial| !follower.is_asking() || another(serial));
        let same = here == Some((course.epoch, course.context)) && follower.begun() == course.begun;
        if !needed || !same {
            if course.serial.is_some() {
                follower.leave();
            }
            let _ = self.errands.try_send(Errand::Stop(course.attempt));
            self.over(course, None, now);
        } else if ended {
            follower.leave();
            let _ = self.errands.try_send(Errand::Stop(course.attempt));
            let why = "what it said did not fit what was sent meanwhile, of which some was missed, or it took longer than `snapshots.peer_time`, or \
                       more was sent than `snapshots.kept_bytes` allow";
            self.over(course, Some(why.to_owned()), now);
        } else if let Some(reached) = course.near {
            self.passed(course, reached, follower, now);
        }
    }

    /// The attempt at hand is over; `trouble`: and came to nothing.
    fn over(&mut self, course: Course, trouble: Option<String>, now: Time) {
        self.course = None;
        let Some(able) = self.able.iter_mut().find(|it| it.sid == course.sid) else {
            return;
        };
        self.counters.failed += u64::from(trouble.is_some());
        able.due = now.after(able.pause.next_delay());
        able.trouble = trouble;
    }

    fn begin(&mut self, followers: &[Follower], now: Time) {
        for able in &mut self.able {
            let Some(follower) = followers.iter().find(|it| it.sid() == able.sid) else {
                continue;
            };
            let due = due(able, follower, now);
            let Some((what, line, cursor)) = due else {
                continue;
            };
            self.attempts = self.attempts.wrapping_add(1);
            let begin = Begin {
                what,
                attempt: self.attempts,
                sid: able.sid,
                line,
                epoch: cursor.next.epoch,
                context: cursor.context,
                first: able.first,
                head: cursor.next.sseq,
            };
            if self.errands.try_send(Errand::Begin(begin)).is_ok() {
                self.counters.attempts += 1;
                self.course = Some(Course {
                    what,
                    attempt: begin.attempt,
                    sid: begin.sid,
                    epoch: begin.epoch,
                    context: begin.context,
                    begun: follower.begun(),
                    near: None,
                    serial: None,
                });
                return;
            }
        }
    }
}

/// What is to be read of this source now, from whose server, and where its output stands; `None`: nothing is lacking, or it is too early.
fn due(
    able: &mut Able,
    follower: &Follower,
    now: Time,
) -> Option<(What, twinfeed_protocol::line::Line, Cursor)> {
    let needed = follower.lacking().is_some_and(super::Lacking::can_be_given);
    // How many messages its snapshot counts must be known.
    let counts = |it: &Cursor| it.count.is_some();
    let cursor = follower.cursor().filter(|it| needed && counts(it));
    let begun = follower.begun();
    let again = |it: &Cursor| able.hopeless == Some((it.context, begun));
    let kind = cursor.and_then(|it| {
        let kind = kind(&it, able.first)?;
        (kind != What::Past || !again(&it)).then_some(kind)
    });
    let asked = match kind {
        Some(What::Past) => able.session.as_mut(),
        Some(What::Snapshot) => able.picture.as_mut(),
        None => None,
    };
    let (Some(cursor), Some(what), Some(asked)) = (cursor, kind, asked) else {
        able.since = None;
        return None;
    };
    let of = (cursor.next.epoch, begun);
    if core::mem::replace(&mut able.tried, of) != of {
        able.pause.reset();
        able.due = now;
    }
    let since = *able.since.get_or_insert(now);
    let is_due = now >= since.after(asked.after) && now >= able.due;
    is_due.then(|| (what, asked.turn(), cursor))
}

/// What the source can say of a stream that stands here; `None`: nothing that would mean the same.
fn kind(cursor: &Cursor, first: u64) -> Option<What> {
    let epoch = cursor.next.epoch;
    let is = |context: Context| context.id() == cursor.context;
    match cursor.complete {
        true => is(Context::new(epoch, first)).then_some(What::Past),
        false => is(Context::of_snapshot(epoch, first)).then_some(What::Snapshot),
    }
}

/// Pauses between attempts: a session is long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Numbers by which the thread may be behind the output for that to be kept.
const NEAR: u64 = 2_048;
/// Most words to and from the thread that wait: an attempt has no more than four under way, and another ends it.
const MOST_WAITING: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use twinfeed_wire::Pos;

    #[test]
    fn only_what_means_the_same_by_its_numbers_is_asked_for() {
        let epoch = Epoch(7);
        let (whole, picture) = (Context::new(epoch, 1), Context::of_snapshot(epoch, 1));
        let mut holed = Context::new(epoch, 1);
        holed.abandon(5..7);
        let [whole, picture, holed] = [whole, picture, holed].map(|of| of.id());
        for (context, complete, what) in [
            (whole, true, Some(What::Past)),
            (picture, false, Some(What::Snapshot)),
            // Began in mid-session with nothing; has a hole; or says of itself what is not so.
            (Context::new(epoch, 5).id(), false, None),
            (holed, false, None),
            (whole, false, None),
            (picture, true, None),
        ] {
            let cursor = Cursor {
                next: Pos {
                    sid: Sid(1),
                    epoch,
                    sseq: 9,
                    part: 0,
                },
                last: 8,
                context,
                complete,
                count: None,
                predecessor: Epoch::NONE,
            };
            assert_eq!(kind(&cursor, 1), what, "{context:?} {complete}");
        }
    }
}
