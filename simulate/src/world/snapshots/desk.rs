//! What does one adapter's snapshot server do?
//!
//! Where its output stands is the production machine's to say; whom it answers when is what the production server does
//! (`feed-adapter/src/snapshots/thread.rs`), with its sockets and spools left out.

use core::time::Duration;
use std::collections::BTreeMap;

use twinfeed_protocol::join::JoinLimits;
use twinfeed_protocol::retain::{Begun, Doubt, Follow, Following, Knowing};
use twinfeed_protocol::time::Time;
use twinfeed_protocol::{Cursor, Delivered, Event, Leg, Piece, Place};
use twinfeed_wire::snapshot::{
    Begin, Digest, End, LONGEST_FRAME, Reason, Refused, Snapshot, Trust,
};
use twinfeed_wire::{Adm, AdminMessage, BodyKind, ContextId, Datagram, Epoch, Sid, StreamId};

use super::super::rng::Rng;
use super::joiner::read;
use super::trick::Trick;
use super::{Answer, Ask, SnapshotPlan};

/// What one connection carries, frame by frame.
pub(super) type Frames = Vec<Box<[u8]>>;

/// One adapter's snapshot server.
#[derive(Debug)]
pub(super) struct Desk {
    plan: SnapshotPlan,
    /// Whether it asks the other adapter for what it has not seen of its own output.
    asks: bool,
    /// The last of its requests.
    requests: u64,
    /// Datagrams of its output, and how many were not followed.
    kept: u64,
    pub(super) missed: u64,
    followers: BTreeMap<Sid, Follower>,
    waiting: Vec<(usize, Ask, Time)>,
    /// Whether its next turn is due.
    awaited: bool,
    pub(super) trick: Trick,
    pub(super) made: u64,
    pub(super) abandoned: u64,
    pub(super) refused: u64,
    /// Times that the other adapter was asked, and that what is known was made whole with its snapshot.
    pub(super) asked: u64,
    pub(super) restored: u64,
    /// What it did that it must not.
    pub(super) wrong: Option<String>,
}

/// What is known of one source stream.
#[derive(Debug)]
struct Follower {
    follow: Follow,
    known: Known,
    heard: Heard,
    /// The request that is open, the wish's serial, and until when it is waited for.
    open: Option<(u64, u64, Time)>,
    /// The other adapter is not asked before.
    due: Time,
}

/// What came of the output last, by itself: no place in front of it is behind all of that.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    epoch: Epoch,
    context: ContextId,
    /// Behind the last record.
    next: Place,
    /// Administrative messages, with the last one.
    adm: Adm,
}

impl Heard {
    fn note(&mut self, datagram: &Datagram<'_>) {
        let header = datagram.header();
        (self.epoch, self.context) = (header.epoch, header.context);
        for record in datagram.records() {
            let itself = u64::from(record.kind == BodyKind::Administrative);
            self.adm = Adm(record.adm.0 + itself);
            if itself == 0 {
                self.next = match record.is_last() {
                    true => Place::start(record.sseq + 1),
                    false => Place {
                        sseq: record.sseq,
                        part: record.part + 1,
                    },
                };
            }
        }
        if datagram.heartbeat().is_some() {
            self.adm = header.base_adm;
        }
    }

    /// Whether a snapshot that stands at `cursor` can have all of it.
    fn is_in(&self, cursor: &Cursor) -> bool {
        let counted = cursor.count.map_or(self.adm, |(adm, _)| adm);
        (cursor.next.epoch, cursor.context, counted) == (self.epoch, self.context, self.adm)
            && cursor.place() >= self.next
    }
}

/// A record's place, or a message's number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Thing {
    Record(Place),
    Message(Adm),
}

impl Thing {
    fn of(kind: BodyKind, adm: Adm, (sseq, part): (u64, u16)) -> Self {
        match kind {
            BodyKind::Administrative => Self::Message(adm),
            _ => Self::Record(Place { sseq, part }),
        }
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Record(place) => Some(*place),
            Self::Message(_) => None,
        }
    }
}

/// What is told of an output that is made whole, and what that should be.
#[derive(Debug, Default)]
struct Restoring {
    /// All that came of the output since the other adapter was asked.
    came: Vec<Thing>,
    /// Where its snapshot stands, and what was told behind it.
    told: Option<(Cursor, Vec<Thing>)>,
}

impl Restoring {
    fn note(&mut self, datagram: &Datagram<'_>) {
        for record in datagram.records() {
            let thing = Thing::of(record.kind, record.adm, (record.sseq, record.part));
            let again = match thing {
                Thing::Message(_) => self.came.contains(&thing),
                Thing::Record(place) => {
                    let mut last = self.came.iter().rev().filter_map(Thing::place);
                    last.next().is_some_and(|it| it >= place)
                }
            };
            if !again {
                self.came.push(thing);
            }
        }
    }

    /// What is wrong about what was told, if anything is.
    fn judge(&self) -> Option<String> {
        let Some((end, told)) = &self.told else {
            return Some("made whole with no snapshot".into());
        };
        let counted = end.count.map_or(Adm(0), |(adm, _)| adm);
        let behind = |thing: &&Thing| match thing {
            Thing::Record(place) => *place >= end.place(),
            Thing::Message(number) => *number >= counted,
        };
        let owed: Vec<Thing> = self.came.iter().filter(behind).copied().collect();
        (owed != *told).then(|| format!("made whole at {end} with {told:?}, not with {owed:?}"))
    }
}

/// What follows from its output.
#[derive(Debug, Default)]
struct Known {
    restoring: Restoring,
    restored: u64,
    wrong: Option<String>,
    /// It is whole.
    whole: bool,
    /// Epochs that were left.
    left: Vec<Epoch>,
    walk: Option<Walk>,
    abandoned: u64,
    /// Snapshots that live, and until when.
    living: Vec<(Frames, Cursor, Time)>,
}

/// A snapshot that is being written.
#[derive(Debug)]
struct Walk {
    frames: Frames,
    /// When everything that was there at its beginning is written.
    until: Time,
}

impl Following for Known {
    fn begins(&mut self, begun: &Begun) {
        self.left.extend(begun.left);
        self.abandon();
        self.living.clear();
        self.whole = begun.whole;
    }

    fn record(&mut self, record: &Delivered<'_>) {
        if let Some((_, told)) = &mut self.restoring.told {
            let at = (record.pos.sseq, record.pos.part);
            told.push(Thing::of(record.kind, record.adm, at));
        }
        if record.kind != BodyKind::Administrative {
            return;
        }
        if let Some(walk) = &mut self.walk
            && let Ok(message) = AdminMessage::parse(record.body)
        {
            walk.frames.push(frame(&Snapshot::Message(message)));
        }
    }

    fn doubt(&mut self, _: Doubt) {
        self.abandon();
    }

    fn missed(&mut self) {
        self.abandon();
        self.whole = false;
    }
}

impl Knowing for Known {
    fn restores(&mut self, _: &Event) {
        self.abandon();
        self.restoring.told = None;
    }

    fn piece(&mut self, piece: &Piece<'_>) {
        if let Piece::Begin { cursor, .. } = piece {
            self.restoring.told = Some((*cursor, Vec::new()));
        }
    }

    fn whole(&mut self) {
        self.wrong = self.wrong.take().or_else(|| self.restoring.judge());
        self.restored += 1;
        self.whole = true;
        self.restoring = Restoring::default();
    }
}

impl Known {
    fn abandon(&mut self) {
        self.abandoned += u64::from(self.walk.take().is_some());
    }
}

impl Follower {
    /// Nothing came: nothing is kept for a while.
    fn rest(&mut self, now: Time) {
        self.open = None;
        self.due = now.after(PAUSE);
        self.follow.leave();
    }
}

impl Desk {
    pub(super) fn new(plan: SnapshotPlan, asks: bool) -> Self {
        Self {
            plan,
            asks,
            requests: 0,
            kept: 0,
            missed: 0,
            asked: 0,
            restored: 0,
            followers: BTreeMap::new(),
            waiting: Vec::new(),
            awaited: false,
            trick: Trick::Honest,
            made: 0,
            abandoned: 0,
            refused: 0,
            wrong: None,
        }
    }

    /// Another process takes its place: whoever asked the first one waits in vain.
    pub(super) fn forget(&mut self) {
        self.abandoned += self.walks();
        *self = Self {
            trick: self.trick,
            awaited: self.awaited,
            made: self.made,
            abandoned: self.abandoned,
            refused: self.refused,
            requests: self.requests,
            missed: self.missed,
            asked: self.asked,
            restored: self.restored,
            ..Self::new(self.plan, self.asks)
        };
    }

    pub(super) fn keep(&mut self, now: Time, sid: Sid, bytes: &[u8]) {
        let Ok(datagram) = Datagram::parse(bytes) else {
            return;
        };
        let follower = self.followers.entry(sid).or_insert_with(|| Follower {
            follow: Follow::new(sid, LIMITS),
            known: Known::default(),
            heard: Heard::default(),
            open: None,
            due: now,
        });
        if follower.heard.epoch != datagram.header().epoch {
            follower.heard = Heard::default();
        }
        follower.heard.note(&datagram);
        let Follower { follow, known, .. } = follower;
        if follow.is_asking() {
            known.restoring.note(&datagram);
        }
        self.kept += 1;
        if self.asks && self.kept.is_multiple_of(MISSED_EVERY) {
            // It did not keep up.
            follow.missed(known);
            self.missed += 1;
            return;
        }
        follow.datagram(&datagram, now, known);
        follow.on_deadline(now, known);
        follow.tell(TOLD, now, known);
        if !follow.is_asking() {
            known.restoring = Restoring::default();
        }
        self.restored += core::mem::take(&mut known.restored);
        self.wrong = self.wrong.take().or_else(|| known.wrong.take());
        self.abandoned += core::mem::take(&mut follower.known.abandoned);
    }

    /// What the other adapter, of `leg`, is to be asked for now.
    pub(super) fn poll_ask(&mut self, now: Time, sid: Sid, leg: Leg) -> Option<Ask> {
        let follower = self.followers.get_mut(&sid).filter(|_| self.asks)?;
        if let Some((_, _, until)) = follower.open {
            if now < until {
                return None;
            }
            follower.rest(now);
        }
        if follower.known.whole || now < follower.due {
            return None;
        }
        if !follower.follow.is_asking() {
            follower.known.restoring = Restoring::default();
        }
        if !follower.follow.ask(now) {
            return None;
        }
        let wish = follower.follow.wish()?;
        self.requests += 1;
        self.asked += 1;
        follower.open = Some((self.requests, wish.serial, now.after(PATIENCE)));
        Some(Ask {
            leg,
            request: self.requests,
            wish,
        })
    }

    /// What the other adapter said.
    pub(super) fn hear(&mut self, now: Time, answer: &Answer) {
        let Some(follower) = self.followers.get_mut(&answer.sid) else {
            return;
        };
        let Some((_, serial, _)) = follower.open.filter(|it| it.0 == answer.request) else {
            return;
        };
        match read(answer) {
            Some(whole) => {
                follower.open = None;
                follower.due = now.after(PAUSE);
                let _ = follower
                    .follow
                    .on_snapshot(serial, whole, &mut follower.known);
            }
            None => follower.rest(now),
        }
    }

    pub(super) fn take(&mut self, now: Time, subscriber: usize, ask: Ask) {
        self.waiting
            .push((subscriber, ask, now.after(self.plan.waits)));
    }

    /// How long until its next turn, unless that is awaited already.
    pub(super) fn due(&mut self, rng: &mut Rng) -> Option<Duration> {
        let due = !core::mem::replace(&mut self.awaited, true);
        due.then(|| rng.micros(5, 500))
    }

    /// Whether anybody waits, or something is being written.
    pub(super) fn is_busy(&self) -> bool {
        !self.waiting.is_empty() || self.walks() > 0
    }

    fn walks(&self) -> u64 {
        let walks = self
            .followers
            .values()
            .filter_map(|it| it.known.walk.as_ref());
        walks.count() as u64
    }

    pub(super) fn turn(&mut self, now: Time, rng: &mut Rng) -> Vec<(usize, Duration, Answer)> {
        self.awaited = false;
        for follower in self.followers.values_mut() {
            let known = &mut follower.known;
            known.living.retain(|(.., until)| *until > now);
            let Some(cursor) = follower.follow.cursor() else {
                continue;
            };
            if known.walk.as_ref().is_some_and(|walk| walk.until <= now)
                && let Some(walk) = known.walk.take()
            {
                self.made += 1;
                if !follower.heard.is_in(&cursor) {
                    let heard = follower.heard;
                    self.wrong = Some(format!("a snapshot at {cursor}, behind {heard:?}"));
                }
                let until = now.after(self.plan.keeps);
                let frames = ended(walk.frames, &cursor);
                known.living.push((frames, cursor, until));
            }
        }
        let mut said = Vec::new();
        for (subscriber, ask, end) in core::mem::take(&mut self.waiting) {
            let Some(frames) = self.answer(now, &ask, end <= now, rng) else {
                self.waiting.push((subscriber, ask, end));
                continue;
            };
            let late = match self.trick {
                Trick::Slow(late) => late,
                _ => Duration::ZERO,
            };
            if let Some(frames) = self.trick.twist(frames, rng) {
                let answer = Answer {
                    request: ask.request,
                    sid: ask.wish.sid,
                    frames: frames.into(),
                };
                said.push((subscriber, late + rng.micros(20, 400), answer));
            }
        }
        said
    }

    /// What somebody is told at this moment; `None`: nothing yet.
    fn answer(&mut self, now: Time, ask: &Ask, late: bool, rng: &mut Rng) -> Option<Frames> {
        if self.trick == Trick::Busy {
            return Some(self.refuse(ask, Reason::Busy));
        }
        let sid = self.trick.named(ask.wish.sid);
        let from = ask.wish.from;
        let not_before = ask.wish.not_before();
        let foreign = sid != ask.wish.sid;
        let Some(follower) = self.followers.get_mut(&sid) else {
            return Some(self.refuse(ask, Reason::NoSuchStream));
        };
        let known = &mut follower.known;
        let fits = |cursor: &Cursor| {
            cursor.context == from.context && not_before.is_reached_by(&(*cursor).into())
        };
        let mut living = known.living.iter().rev();
        if let Some((frames, ..)) = living.find(|(_, cursor, _)| foreign || fits(cursor)) {
            return Some(frames.clone());
        }
        let cursor = follower.follow.cursor().filter(|_| known.whole);
        let Some(cursor) = cursor else {
            return Some(self.refuse(ask, Reason::Incomplete));
        };
        let of_the_same = cursor.context == from.context && cursor.next.epoch == from.next.epoch;
        if known.left.contains(&from.next.epoch) || late && !of_the_same {
            return Some(self.refuse(ask, Reason::OtherContext));
        }
        if late {
            return Some(self.refuse(ask, Reason::Busy));
        }
        if (foreign || fits(&cursor)) && known.walk.is_none() {
            let (least, most) = self.plan.writes;
            let begin = Snapshot::Begin(Begin {
                cursor: cursor.into(),
                stream: StreamId(0),
                instruments: 0,
                orders: 0,
            });
            known.walk = Some(Walk {
                frames: vec![frame(&begin)],
                until: now.after(rng.micros(least.as_micros() as u64, most.as_micros() as u64)),
            });
        }
        None
    }

    fn refuse(&mut self, ask: &Ask, reason: Reason) -> Frames {
        self.refused += 1;
        let refused = Snapshot::Refused(Refused {
            sid: ask.wish.sid,
            stream: StreamId(0),
            request: ask.request,
            reason,
            retry_after_us: 0,
        });
        vec![frame(&refused)]
    }
}

/// The frames of a snapshot that ends at `cursor`.
fn ended(mut frames: Frames, cursor: &Cursor) -> Frames {
    let mut digest = Digest::default();
    for frame in &frames {
        digest.add(frame);
    }
    let end = Snapshot::End(End {
        cursor: (*cursor).into(),
        trust: Trust::Sound,
        silent: false,
        instruments: 0,
        orders: 0,
        frames: digest.frames(),
        digest: digest.value(),
    });
    frames.push(frame(&end));
    frames
}

fn frame(of: &Snapshot<'_>) -> Box<[u8]> {
    let mut buffer = vec![0; LONGEST_FRAME];
    let length = of.emit(&mut buffer);
    buffer.truncate(length);
    buffer.into()
}

/// Every so many datagrams one is not followed, where that can be made good.
const MISSED_EVERY: u64 = 61;
/// What an adapter keeps of its own output while it asks the other one: little, so that it is too little at times.
const LIMITS: JoinLimits = JoinLimits {
    kept_items: 60,
    kept_bytes: 1 << 16,
    time: Duration::from_millis(60),
    quiet: Duration::from_millis(60),
    on_gap: false,
};
/// Things that it takes in at a time, beyond what came.
const TOLD: usize = 3;
/// How long it waits for an answer, and rests when none came.
const PATIENCE: Duration = Duration::from_millis(40);
const PAUSE: Duration = Duration::from_millis(2);
