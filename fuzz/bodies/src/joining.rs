//! What is told to an application that joins, whatever servers of snapshots say?
//!
//! An arbiter's decisions in a row, as they would come, and between them frames of snapshots that are well-formed one by one: of any place, count
//! and context, in any order, with right and wrong sums. Behind each place that is told what comes must go on from there; between a
//! snapshot's beginning and its end comes nothing; what is kept stays within its bounds; deadlines progress; after `Closed` comes nothing.

use core::time::Duration;

use twinfeed_protocol::join::{JoinLimits, Joins, Spool, Step};
use twinfeed_protocol::{
    CloseReason, Cursor, Delivered, DiscontinuityCause, Event, GapCause, Handler, Leg, Piece,
    Place, ResetCause, Tail, Time,
};
use twinfeed_wire::snapshot::{
    Begin, Digest, End, Instrument, LONGEST_FRAME, Order, Side, Snapshot, Trust, write_orders,
};
use twinfeed_wire::{Adm, BodyKind, ContextId, Epoch, Generation, Pos, RecordFlags, Sid, StreamId};

use crate::input::Input;

const SID: Sid = Sid(3);

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let limits = JoinLimits {
        kept_items: input.pick(&[3, 40, 400]),
        kept_bytes: input.pick(&[2_000, 1 << 18]),
        time: Duration::from_millis(u64::from(input.byte())),
        on_gap: input.byte() & 1 == 1,
        ..JoinLimits::default()
    };
    let mut joins = Joins::new(limits);
    joins.add_source(SID, input.byte() & 1 == 1);
    let mut reader = Reader::default();
    let (mut stream, mut now) = (Stream::new(), Time(1));
    while !input.is_empty() && !reader.closed {
        now = now.after(Duration::from_millis(u64::from(input.byte() & 7)));
        match input.byte() % 12 {
            0..=3 => {
                for _ in 0..=input.byte() % 6 {
                    let record = stream.record(&mut input);
                    joins.through(now, &mut reader).record(&record);
                }
            }
            4 | 5 => {
                let event = stream.event(&mut input);
                joins.through(now, &mut reader).event(&event);
            }
            6 | 7 => answer(&mut joins, &stream, &mut input, &mut reader),
            8 => {
                joins.refresh(SID, now);
            }
            9 => {
                if let Some(due) = joins.next_deadline() {
                    now = now.max(due);
                    joins.on_deadline(now, &mut reader);
                    let next = joins.next_deadline();
                    assert!(next.is_none_or(|next| next > now), "a deadline is let go");
                }
            }
            10 => {
                for _ in 0..input.byte() {
                    joins.tell(now, &mut reader);
                }
            }
            _ => {
                if input.byte() == 0 {
                    let reason = CloseReason::ByApplication;
                    let closed = Event::Closed { reason };
                    joins.through(now, &mut reader).event(&closed);
                    while joins.tell(now, &mut reader) > 0 {}
                    assert!(reader.closed, "Closed comes");
                }
            }
        }
        let (items, bytes) = joins.kept();
        assert!(items <= limits.kept_items && bytes <= limits.kept_bytes);
    }
}

/// What an arbiter decides, one thing behind the other.
struct Stream {
    next: Pos,
    adm: u64,
    context: ContextId,
    generation: Generation,
    joined: bool,
    over: bool,
}

impl Stream {
    const fn new() -> Self {
        Self {
            next: Pos {
                sid: SID,
                epoch: Epoch(1),
                sseq: 1,
                part: 0,
            },
            adm: 0,
            context: ContextId(1),
            generation: Generation(1),
            joined: false,
            over: false,
        }
    }

    const fn place(&self) -> Place {
        Place {
            sseq: self.next.sseq,
            part: self.next.part,
        }
    }

    fn record(&mut self, input: &mut Input<'_>) -> Delivered<'static> {
        let flags = input.byte();
        let message = flags & 7 == 7;
        let last = message || flags & 8 == 0;
        let (pos, adm) = (self.next, self.adm);
        if message {
            self.adm += 1;
        } else if last {
            (self.next.sseq, self.next.part) = (pos.sseq + 1, 0);
        } else {
            self.next.part += 1;
        }
        self.joined = true;
        Delivered {
            pos: match message {
                // It has the number of the record before it.
                true => Pos {
                    sseq: pos.sseq.saturating_sub(u64::from(pos.part == 0)),
                    part: 0,
                    ..pos
                },
                false => pos,
            },
            kind: match message {
                true => BodyKind::Administrative,
                false => BodyKind::Dbn,
            },
            flags: match last {
                true => RecordFlags::LAST,
                false => RecordFlags(0),
            },
            adm: Adm(adm),
            leg: Leg::Zero,
            body: &[7; 24],
            received_at: 0,
            sent_at: 0,
            next: self.place(),
            context: self.context,
            complete: true,
            numbering: Some(self.generation),
        }
    }

    fn event(&mut self, input: &mut Input<'_>) -> Event {
        let (sid, epoch) = (SID, self.next.epoch);
        let by = 1 + u64::from(input.byte() % 9);
        if !self.joined {
            self.joined = true;
            return self.discontinuity(DiscontinuityCause::Join);
        }
        match input.byte() % 8 {
            0 => {
                let from = self.place();
                (self.next.sseq, self.next.part) = (from.sseq + by, 0);
                Event::Gap {
                    sid,
                    epoch,
                    from,
                    until: self.place(),
                    cause: input.pick(&[GapCause::LostOnEveryLeg, GapCause::Abandoned]),
                }
            }
            1 => {
                let from = Adm(self.adm);
                self.adm += by;
                Event::AdministrativeGap {
                    sid,
                    from,
                    until: Adm(self.adm),
                    numbering: Some(self.generation),
                }
            }
            2 => {
                let from = self.context;
                self.context = ContextId(by);
                self.discontinuity(DiscontinuityCause::Context { from })
            }
            3 => {
                self.adm = u64::from(input.byte());
                self.generation.0 += 1;
                self.discontinuity(DiscontinuityCause::Administrative)
            }
            4 if !self.over => {
                self.over = true;
                Event::Ended {
                    sid,
                    epoch,
                    next_sseq: self.next.sseq + u64::from(self.next.part > 0),
                }
            }
            5 => Event::Divergence {
                sid,
                epoch,
                range: 0,
                at: self.place(),
                pinned: input.pick(&Leg::BOTH),
            },
            6 => {
                (self.next.sseq, self.next.part, self.over) = (1, 0, false);
                self.reset(ResetCause::Regress)
            }
            _ => {
                self.next.epoch = Epoch(epoch.0 + 1);
                (self.next.sseq, self.next.part, self.over) = (1, 0, false);
                let tail = Tail::Unknown;
                self.reset(ResetCause::Epoch { from: epoch, tail })
            }
        }
    }

    const fn discontinuity(&self, cause: DiscontinuityCause) -> Event {
        Event::Discontinuity {
            sid: SID,
            epoch: self.next.epoch,
            at: self.place(),
            context: self.context,
            complete: true,
            cause,
        }
    }

    const fn reset(&self, cause: ResetCause) -> Event {
        Event::Reset {
            sid: SID,
            epoch: self.next.epoch,
            at: self.place(),
            context: self.context,
            complete: true,
            cause,
        }
    }
}

/// The frames of one answer: of a place near the stream's, mostly in order, mostly with right sums.
fn answer(joins: &mut Joins, stream: &Stream, input: &mut Input<'_>, reader: &mut Reader) {
    let (back, ahead) = (u64::from(input.byte() % 12), u64::from(input.byte() % 6));
    let sseq = (stream.next.sseq + ahead).saturating_sub(back).max(1);
    let cursor = Cursor {
        next: Pos {
            sseq,
            // Where a source message ends, only its records say.
            part: 0,
            epoch: Epoch(stream.next.epoch.0 + u64::from(input.byte() & 31 == 31)),
            ..stream.next
        },
        last: sseq - 1,
        context: match input.byte() & 15 {
            15 => ContextId(99),
            _ => stream.context,
        },
        complete: true,
        count: Some((
            Adm((stream.adm + u64::from(input.byte() % 3))
                .saturating_sub(u64::from(input.byte() % 4))),
            stream.generation,
        )),
        predecessor: stream.next.epoch,
    };
    let mut spool = Spool::new(SID, input.pick(&[400, 1 << 16]));
    let (mut digest, mut books, mut resting) = (Digest::default(), 0, 0_u64);
    let mut buffer = vec![0; LONGEST_FRAME];
    let mut push = |length: usize, buffer: &[u8], digest: &mut Digest| {
        digest.add(&buffer[..length]);
        spool.push(&buffer[..length])
    };
    let begin = Snapshot::Begin(Begin {
        cursor: cursor.into(),
        stream: StreamId(1),
        instruments: 0,
        orders: 0,
    });
    let mut pushed = match input.byte() {
        255 => Ok(Step::More),
        _ => push(begin.emit(&mut buffer), &buffer, &mut digest),
    };
    for id in 0..u32::from(input.byte() % 5) {
        if pushed.is_err() {
            return;
        }
        let orders = u64::from(input.byte() % 4);
        let told = orders + u64::from(input.byte() == 255);
        let instrument = Snapshot::Instrument(Instrument {
            id,
            trust: Trust::Sound,
            orders,
        });
        pushed = push(instrument.emit(&mut buffer), &buffer, &mut digest);
        books += 1;
        resting += orders;
        if told > 0 && pushed.is_ok() {
            let orders = (0..told).map(|id| Order {
                id,
                side: Side::Bid,
                price: 1,
                size: 1,
            });
            let length = write_orders(&mut buffer, id, orders);
            pushed = push(length, &buffer, &mut digest);
        }
    }
    if pushed.is_err() {
        return;
    }
    let wrong = u64::from(input.byte() == 255);
    let end = Snapshot::End(End {
        cursor: cursor.into(),
        trust: Trust::Sound,
        silent: false,
        instruments: books,
        orders: resting,
        frames: digest.frames(),
        digest: digest.value() ^ wrong,
    });
    let length = end.emit(&mut buffer);
    if let Ok(Step::Whole(whole)) = spool.push(&buffer[..length]) {
        assert!(wrong == 0, "a wrong digest was believed");
        if joins.state(SID) == Some("waiting") {
            (reader.books, reader.resting) = (books, resting);
        }
        joins.on_snapshot(SID, whole, reader);
    }
}

/// Who is told, and goes on from where it was told to stand.
#[derive(Default)]
struct Reader {
    stand: Option<(Epoch, Place)>,
    telling: Option<Cursor>,
    void: bool,
    without: bool,
    announced: bool,
    closed: bool,
    /// What the snapshot has that was taken last.
    books: u64,
    resting: u64,
    /// What was told of it.
    told: (u64, u64),
}

impl Reader {
    fn in_place(&mut self) {
        assert!(!self.closed, "something behind Closed");
        assert!(self.telling.is_none(), "something within a snapshot");
        assert!(!self.void, "something behind what is void");
        assert!(!self.announced, "something in place of a snapshot");
        self.without = false;
    }
}

impl Handler for Reader {
    fn record(&mut self, record: &Delivered<'_>) {
        self.in_place();
        if record.kind == BodyKind::Administrative {
            return;
        }
        let place = Place {
            sseq: record.pos.sseq,
            part: record.pos.part,
        };
        let stands = self
            .stand
            .is_none_or(|stand| stand == (record.pos.epoch, place));
        assert!(
            stands,
            "{place} of {} behind {:?}",
            record.pos.epoch, self.stand
        );
        self.stand = Some((record.pos.epoch, record.next));
    }

    fn event(&mut self, event: &Event) {
        match *event {
            Event::Gap {
                epoch, from, until, ..
            } => {
                self.in_place();
                let stands = self.stand.is_none_or(|stand| stand == (epoch, from));
                assert!(stands, "Gap {from} of {epoch} behind {:?}", self.stand);
                self.stand = Some((epoch, until));
            }
            Event::Discontinuity {
                epoch,
                at,
                cause: DiscontinuityCause::Join,
                ..
            } => {
                assert!(self.telling.is_none(), "joined within a snapshot");
                let without = core::mem::take(&mut self.without);
                let first = self.stand.is_none() && !self.void;
                self.announced = !(without || first);
                self.void &= !without;
                self.stand = Some((epoch, at));
            }
            Event::Discontinuity { epoch, at, .. } | Event::Reset { epoch, at, .. } => {
                self.in_place();
                self.stand = Some((epoch, at));
            }
            Event::JoinRestarted { .. } => {
                self.telling = None;
                (self.void, self.announced) = (true, false);
            }
            Event::NoSnapshot { .. } => self.without = true,
            Event::Closed { .. } => {
                self.in_place();
                self.closed = true;
            }
            _ => {}
        }
    }

    fn snapshot(&mut self, sid: Sid, piece: &Piece<'_>) {
        assert!(sid == SID && !self.closed);
        match *piece {
            Piece::Begin { cursor, .. } => {
                self.announced = false;
                assert!(self.stand == Some((cursor.next.epoch, cursor.place())));
                self.telling = Some(cursor);
                self.told = (0, 0);
            }
            Piece::End { cursor, .. } => {
                assert!(self.telling.take() == Some(cursor));
                assert!(self.told == (self.books, self.resting), "all of it is told");
                self.void = false;
            }
            Piece::Instrument { .. } => self.told.0 += 1,
            Piece::Orders(orders) => self.told.1 += orders.len() as u64,
            _ => assert!(self.telling.is_some()),
        }
    }
}
