//! What does the follower's thread do in one turn?
//!
//! It follows what was sent since the last one, learns who asks, writes a bounded piece of each snapshot that is under way, and answers
//! whom it can. Where what is known is not whole, it takes the other adapter's snapshot in, in bounded pieces. It sleeps until somebody asks
//! or some milliseconds are over, or not at all while it writes.
//!
//! | the asker is told | when |
//! |---|---|
//! | a snapshot | one that lives, or the one under way, has reached the asker's place in its context |
//! | *incomplete* | what is known is not whole |
//! | *other context* | the epoch was left, or no snapshot of the asker's context came in time |
//! | *busy* | none came in time |

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender};
use twinfeed_control::StopFlag;
use twinfeed_net::bell::{Bell, Ear};
use twinfeed_net::clock;
use twinfeed_net::idle::{Idle, Idler};
use twinfeed_protocol::Time;
use twinfeed_wire::snapshot::{NotBefore, Reason};
use twinfeed_wire::{ContextId, Datagram, Sid};

use super::follower::Follower;
use super::origin::Origin;
use super::peer::Asker;
use super::spool::Given;
use super::{FollowerCounters, Shared, Standing};
use crate::config::SnapshotsConfig;
use crate::tap::Tapped;

/// Most snapshots that live at a time, over all source streams: written, given, or kept for who asks a moment later.
pub const SPOOLS: usize = 2;

/// Somebody asks for a snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    /// Whom to answer.
    pub(super) client: u64,
    /// Of which source stream.
    pub(super) sid: Sid,
    pub(super) not_before: NotBefore,
    pub(super) context: ContextId,
}

/// What somebody is told.
#[derive(Debug)]
pub(super) struct Told {
    /// Whom.
    pub(super) client: u64,
    pub(super) what: Result<Arc<Given>, Reason>,
}

/// Everything that the thread owns.
#[derive(Debug)]
pub(super) struct FollowThread {
    config: SnapshotsConfig,
    followers: Vec<Follower>,
    tapped: Tapped,
    /// Datagrams that were not handed over, as far as that is known here.
    dropped: u64,
    asks: Receiver<Ask>,
    ear: Ear,
    told: Sender<Told>,
    bell: Bell,
    waiting: VecDeque<(Ask, Time)>,
    /// Every snapshot that lives, and until when it is kept for others.
    living: Vec<(Arc<Given>, Time)>,
    made: u64,
    /// Absent where the other adapter is not asked.
    asker: Option<Asker>,
    /// Absent where the source is not asked.
    origin: Option<Origin>,
    shared: Arc<Shared>,
}

impl FollowThread {
    pub(super) fn new(
        config: SnapshotsConfig,
        followers: Vec<Follower>,
        tapped: Tapped,
        (asks, ear): (Receiver<Ask>, Ear),
        (told, bell): (Sender<Told>, Bell),
        (asker, origin): (Option<Asker>, Option<Origin>),
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            config,
            followers,
            tapped,
            dropped: 0,
            asks,
            ear,
            told,
            bell,
            waiting: VecDeque::new(),
            living: Vec::new(),
            made: 0,
            asker,
            origin,
            shared,
        }
    }

    pub(super) fn run(mut self, stop: &StopFlag) {
        let mut idler = Idler::new(Idle::Block {
            timeout_us: TURN_US,
        });
        while !stop.is_stopped() {
            self.ear.silence();
            let work = self.turn(now());
            idler.idle(work, [self.ear.as_fd()]);
        }
    }

    /// One turn; returns a measure of what is left to do at once.
    pub(super) fn turn(&mut self, now: Time) -> usize {
        let followed = self.follow(now);
        for sid in self.shared.take_differs() {
            let differs = self.followers.iter_mut().filter(|it| it.sid() == sid);
            differs.for_each(Follower::differs);
            // What was written down may be wrong already.
            self.living.retain(|(given, _)| given.sid() != sid);
        }
        let restored = self.restore(now);
        let end = now.after(self.config.wait);
        self.waiting
            .extend(self.asks.try_iter().map(|ask| (ask, end)));
        // Nobody has it, and nobody is waited for any more.
        self.living
            .retain(|(given, until)| *until > now || Arc::strong_count(given) > 1);
        self.write(now);
        self.answer(now);
        self.show();
        let writing = self.followers.iter().any(Follower::is_walking);
        followed + restored + usize::from(writing)
    }

    /// Makes whole what is not, as far as there is anything for it; returns a measure of what was done.
    fn restore(&mut self, now: Time) -> usize {
        let mut work = 0;
        for follower in &mut self.followers {
            follower.on_deadline(now);
            let before = follower.restored();
            work += follower.restore(self.config.turn, now);
            let times = follower.restored() - before;
            if times == 0 {
                continue;
            }
            match (follower.is_of_source(), &mut self.origin, &mut self.asker) {
                (true, Some(origin), _) => origin.note_restored(times),
                (_, _, Some(asker)) => asker.note_restored(follower.sid(), times),
                _ => {}
            }
        }
        let mut held = None;
        if let Some(origin) = &mut self.origin {
            origin.turn(&mut self.followers, now);
            held = origin.keeps();
        }
        if let Some(asker) = &mut self.asker {
            asker.turn(&mut self.followers, held, now);
        }
        work
    }

    /// Follows what was sent; returns how many datagrams that was.
    fn follow(&mut self, now: Time) -> usize {
        let Self {
            tapped,
            followers,
            dropped,
            living,
            ..
        } = self;
        tapped.drain(|bytes, lost| {
            if lost != *dropped {
                // Of which stream it was is not known.
                *dropped = lost;
                followers.iter_mut().for_each(Follower::missed);
            }
            let Ok(datagram) = Datagram::parse(bytes) else {
                debug_assert!(false, "invariant: what an adapter sends is a datagram");
                return;
            };
            let sid = datagram.header().sid;
            if let Some(follower) = followers.iter_mut().find(|it| it.sid() == sid) {
                let before = follower.begun();
                follower.datagram(&datagram, now);
                if follower.begun() != before {
                    // Numbers that begin again under the same name say nothing of what was written down before.
                    living.retain(|(given, _)| given.sid() != sid);
                }
            }
        })
    }

    fn write(&mut self, now: Time) {
        for follower in &mut self.followers {
            if let Some(given) = follower.step(self.config.turn) {
                self.made += 1;
                self.living
                    .push((Arc::new(given), now.after(self.config.keep)));
            }
        }
    }

    fn answer(&mut self, now: Time) {
        for _ in 0..self.waiting.len() {
            let Some((ask, end)) = self.waiting.pop_front() else {
                break;
            };
            match self.answer_to(&ask, end <= now) {
                Some(what) => {
                    let told = Told {
                        client: ask.client,
                        what,
                    };
                    if self.told.try_send(told).is_err() {
                        // The other thread has not looked for a while; it will.
                        self.waiting.push_back((ask, end));
                        continue;
                    }
                    self.bell.ring();
                }
                None => self.waiting.push_back((ask, end)),
            }
        }
    }

    /// What somebody is told at this moment; `None`: nothing yet.
    fn answer_to(&mut self, ask: &Ask, late: bool) -> Option<Result<Arc<Given>, Reason>> {
        let fits = |given: &Given| {
            let cursor = given.cursor();
            given.sid() == ask.sid
                && cursor.context == ask.context
                && ask.not_before.is_reached_by(cursor)
        };
        let Some(follower) = self.followers.iter().position(|it| it.sid() == ask.sid) else {
            return Some(Err(Reason::NoSuchStream));
        };
        if let Some((given, _)) = self.living.iter().rev().find(|(given, _)| fits(given)) {
            return Some(Ok(Arc::clone(given)));
        }
        let (follower, spools) = (&mut self.followers[follower], self.living.len());
        let cursor = follower.cursor().filter(|_| follower.lacking().is_none());
        let Some(cursor) = cursor else {
            return Some(Err(Reason::Incomplete));
        };
        let of_the_same =
            (cursor.next.epoch, cursor.context) == (ask.not_before.epoch, ask.context);
        if follower.has_left(ask.not_before.epoch) || late && !of_the_same {
            return Some(Err(Reason::OtherContext));
        }
        if late {
            return Some(Err(Reason::Busy));
        }
        let reached = of_the_same && ask.not_before.is_reached_by(&cursor.into());
        let writing = self.followers.iter().filter(|it| it.is_walking()).count();
        let follower = self.followers.iter_mut().find(|it| it.sid() == ask.sid)?;
        if reached && !follower.is_walking() {
            let free = |(given, _): &(Arc<Given>, Time)| Arc::strong_count(given) == 1;
            let full = spools + writing >= SPOOLS;
            if full && let Some(idle) = self.living.iter().position(free) {
                // It was kept for somebody who may come; this one is here.
                self.living.remove(idle);
            }
            if self.living.len() + writing < SPOOLS {
                follower.walk();
            }
        }
        None
    }

    fn show(&self) {
        let of = |count: fn(&Follower) -> u64| self.followers.iter().map(count).sum();
        let lacks = |follower: &Follower| u64::from(follower.lacking().is_some());
        let counters = FollowerCounters {
            made: self.made,
            abandoned: of(Follower::abandoned),
            dropped: self.tapped.dropped(),
            orders: of(|it| it.books().orders(it.sid()) as u64),
            instruments: of(|it| it.kept().len() as u64),
            incomplete: self.followers.iter().map(lacks).sum(),
            spools: self.living.len() as u64,
            spool_bytes: self.living.iter().map(|(it, _)| it.len() as u64).sum(),
            waiting: self.waiting.len() as u64,
        };
        let asked = self.asker.as_ref().map(Asker::counters);
        let read = self.origin.as_ref().map(Origin::counters);
        let asked = (asked.unwrap_or_default(), read.unwrap_or_default());
        self.shared.show_follower(counters, asked, self.standing());
    }

    fn standing(&self) -> Vec<Standing> {
        let all = self.followers.iter().map(|it| Standing {
            sid: it.sid(),
            at: it.cursor(),
            lacking: it.lacking(),
            asks: {
                let source = self.origin.as_ref().is_some_and(|of| of.asks(it.sid()));
                let kept_for_it = self.origin.as_ref().and_then(Origin::keeps) == Some(it.sid());
                [it.is_asking() && !kept_for_it, source]
            },
            trouble: {
                let lacking = it.lacking().is_some();
                let of_peer = || self.asker.as_ref()?.trouble(it.sid());
                let of_source = || self.origin.as_ref()?.trouble(it.sid());
                let said = |of: Option<&str>| of.filter(|_| lacking).map(str::to_owned);
                [said(of_peer()), said(of_source())]
            },
        });
        all.collect()
    }
}

pub(super) fn now() -> Time {
    Time(clock::monotonic_ns())
}

/// How long this thread sleeps at most, µs: so long what was sent waits in the queue.
const TURN_US: u32 = 2_000;

/// How long an asker that was put off waits before it asks again.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(500);
