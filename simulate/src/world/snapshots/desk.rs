//! What does one adapter's snapshot server do?
//!
//! Where its output stands is the production machine's to say; whom it answers when is what the production server does
//! (`feed-adapter/src/snapshots/thread.rs`), with its sockets and spools left out.

use core::time::Duration;
use std::collections::BTreeMap;

use twinfeed_protocol::retain::{Begun, Doubt, Following, Output};
use twinfeed_protocol::time::Time;
use twinfeed_protocol::{Cursor, Delivered, Place};
use twinfeed_wire::snapshot::{
    Begin, Digest, End, LONGEST_FRAME, Reason, Refused, Snapshot, Trust,
};
use twinfeed_wire::{Adm, AdminMessage, BodyKind, ContextId, Datagram, Epoch, Sid, StreamId};

use super::super::rng::Rng;
use super::trick::Trick;
use super::{Answer, Ask, SnapshotPlan};

/// What one connection carries, frame by frame.
pub(super) type Frames = Vec<Box<[u8]>>;

/// One adapter's snapshot server.
#[derive(Debug)]
pub(super) struct Desk {
    plan: SnapshotPlan,
    followers: BTreeMap<Sid, Follower>,
    waiting: Vec<(usize, Ask, Time)>,
    /// Whether its next turn is due.
    awaited: bool,
    pub(super) trick: Trick,
    pub(super) made: u64,
    pub(super) abandoned: u64,
    pub(super) refused: u64,
    /// What it did that it must not.
    pub(super) wrong: Option<String>,
}

/// What is known of one source stream.
#[derive(Debug)]
struct Follower {
    output: Output,
    known: Known,
    heard: Heard,
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

/// What follows from its output.
#[derive(Debug, Default)]
struct Known {
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

impl Known {
    fn abandon(&mut self) {
        self.abandoned += u64::from(self.walk.take().is_some());
    }
}

impl Desk {
    pub(super) fn new(plan: SnapshotPlan) -> Self {
        Self {
            plan,
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
            ..Self::new(self.plan)
        };
    }

    pub(super) fn keep(&mut self, sid: Sid, bytes: &[u8]) {
        let Ok(datagram) = Datagram::parse(bytes) else {
            return;
        };
        let follower = self.followers.entry(sid).or_insert_with(|| Follower {
            output: Output::new(sid),
            known: Known::default(),
            heard: Heard::default(),
        });
        if follower.heard.epoch != datagram.header().epoch {
            follower.heard = Heard::default();
        }
        follower.heard.note(&datagram);
        follower.output.datagram(&datagram, &mut follower.known);
        self.abandoned += core::mem::take(&mut follower.known.abandoned);
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
            let Some(cursor) = follower.output.cursor() else {
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
        let cursor = follower.output.cursor().filter(|_| known.whole);
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
