//! Where do one stream's pair rules meet the link, the log and stream-admin?
//!
//! ```text
//!                      ┌── said ───► voice ─► peer
//!  Pair ── out ────────┼── news ───► notes ─► log, wishes ─► stream-admin
//!                      └── datagrams ► outlet ─► subscribers
//! ```
//!
//! One [`Pairing`] per source. It decides nothing: what must be said before what follows from the order of calls
//! in `pipeline`.

use std::fmt;

use crossbeam::channel::Sender;
use twinfeed_protocol::Time;
use twinfeed_protocol::pair::{
    Answer, Link, News as PairNews, Pair, PairCounters, PairLimits, PairState, Reason, Refusal,
    Said, Verdict,
};
use twinfeed_protocol::sequencer::{MOST_ARMED, Now, Placed, Sequencer, Transmit};
use twinfeed_wire::link::Frame;
use twinfeed_wire::{Adm, AdminId, Generation, Sid};

use crate::fault_points;
use crate::link::notice::Heard;
use crate::link::voice::Voice;
use crate::mailbox::{Grant, Ordered};
use crate::note::{News, Notes};
use crate::publish::Through;

/// One source's end of the pair.
#[derive(Debug)]
pub struct Pairing {
    sid: Sid,
    pair: Pair,
    mouth: Mouth,
    /// Whether something happened since the last batch that must be tended to.
    stirred: bool,
}

/// Where words and news go.
#[derive(Debug)]
struct Mouth {
    voice: Voice,
    /// The pairing that is under way; 0: none.
    pairing: u64,
    notes: Notes,
    wishes: Sender<Wish>,
    /// Whether the rules asked for a generation since somebody looked.
    wants_generation: bool,
    /// Orders whose messages are announced.
    under_way: Vec<UnderWay>,
}

/// What the data thread asks of the control thread, or has to answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wish {
    /// The peer's process is gone and every stream can be taken over without a trace.
    TakeOver {
        /// The generation of the active that is gone.
        from: Generation,
    },
    /// An order was carried out: the message stands in the stream, and the peer has answered or is not there.
    Placed {
        /// Which order.
        ticket: u64,
        /// The message.
        id: AdminId,
        /// Where it stands.
        placed: Placed,
        /// What the peer answered last; `None`: nothing.
        answer: Option<Answer>,
    },
    /// An order was not carried out.
    Refused {
        /// Which order.
        ticket: u64,
        /// Why.
        why: Why,
    },
}

/// Why an order was not carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// This adapter has no such source.
    NoSuchSource,
    /// The pair's rules refuse.
    Rules(Refusal),
    /// It was announced, and then this end stopped being the one to place it.
    Dropped,
}

/// An order on its way to its slot.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    ticket: u64,
    id: AdminId,
    answer: Option<Answer>,
    /// Where it stands. Kept, for its answer may come when the stream does not remember that any more.
    placed: Option<Placed>,
}

/// How a stream's pair stands.
#[derive(Clone, Copy, Debug)]
pub struct PairSnapshot {
    /// This end's state.
    pub state: PairState,
    /// Why it is not synchronised, if it is not.
    pub reason: Reason,
    /// Whether both ends would place the next administrative message.
    pub protected: bool,
    /// Administrative messages of older generations that are valid.
    pub inherited: Adm,
    /// Administrative messages placed.
    pub adm: Adm,
    /// Messages that wait for their slots.
    pub armed: usize,
    /// What was counted.
    pub counters: PairCounters,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchSource => f.write_str("this adapter has no such source"),
            Self::Rules(refusal) => refusal.fmt(f),
            Self::Dropped => f.write_str(
                "it was announced, and then this adapter stopped being the one to place it",
            ),
        }
    }
}

impl Pairing {
    /// An end that knows of no peer and no generation.
    #[must_use]
    pub fn new(
        sid: Sid,
        limits: PairLimits,
        voice: Voice,
        notes: Notes,
        wishes: Sender<Wish>,
    ) -> Self {
        Self {
            sid,
            pair: Pair::new(limits),
            mouth: Mouth {
                voice,
                pairing: 0,
                notes,
                wishes,
                wants_generation: false,
                under_way: Vec::with_capacity(MOST_ARMED),
            },
            stirred: false,
        }
    }

    /// What was granted.
    pub fn granted(
        &mut self,
        now: Now,
        grant: Grant,
        seq: &mut Sequencer,
        through: &mut Through<'_>,
    ) {
        let Grant {
            generation,
            active,
            authority,
        } = grant;
        let mut out = self.mouth.out(self.sid, through);
        self.pair
            .on_grant(now, (generation, active, authority), seq, &mut out);
        // What was dropped now must not be taken for a later message of the same number.
        self.settle(seq);
        self.stirred = true;
    }

    /// What the link has to say, in this pairing.
    pub fn heard(
        &mut self,
        now: Now,
        (pairing, heard): (u64, Heard),
        seq: &mut Sequencer,
        through: &mut Through<'_>,
    ) {
        if heard == Heard::Up {
            self.mouth.pairing = pairing;
        }
        let mut out = self.mouth.out(self.sid, through);
        match heard {
            Heard::Up => self.pair.on_link_up(now, seq, &mut out),
            Heard::Down { gone } => {
                self.pair.on_link_down(now, gone, seq, &mut out);
                self.mouth.pairing = 0;
            }
            Heard::Said(frame) if fault_points::is_deaf_to(&frame) => {}
            Heard::Said(frame) => {
                if let Some(said) = said(frame) {
                    self.pair.on_said(now, said, seq, &mut out);
                }
            }
        }
        self.stirred = true;
    }

    /// Originates an administrative message; what becomes of it is a [`Wish`].
    pub fn originate(
        &mut self,
        now: Now,
        ordered: &Ordered,
        seq: &mut Sequencer,
        through: &mut Through<'_>,
    ) {
        let Ordered {
            ticket, message, ..
        } = ordered;
        let (kind, payload) = (message.message().kind(), message.message().payload());
        fault_points::originates(seq.next_number());
        let mut out = self.mouth.out(self.sid, through);
        match self.pair.originate(now, kind, payload, seq, &mut out) {
            Ok(id) => self.mouth.under_way.push(UnderWay {
                ticket: *ticket,
                id,
                answer: None,
                placed: None,
            }),
            Err(refusal) => self.mouth.wish(Wish::Refused {
                ticket: *ticket,
                why: Why::Rules(refusal),
            }),
        }
        self.stirred = true;
    }

    /// Answers orders whose messages stand in the stream, or never will.
    fn settle(&mut self, seq: &Sequencer) {
        let mut place = 0;
        while let Some(order) = self.mouth.under_way.get_mut(place) {
            let UnderWay {
                ticket, id, answer, ..
            } = *order;
            let waits = seq.slot(id.number).is_some();
            if !waits && order.placed.is_none() {
                order.placed = seq.place_of(id.number);
            }
            let wish = match order.placed {
                Some(_) if self.pair.awaits(id.number) => None,
                Some(placed) => Some(Wish::Placed {
                    ticket,
                    id,
                    placed,
                    answer,
                }),
                None if waits => None,
                None => Some(Wish::Refused {
                    ticket,
                    why: Why::Dropped,
                }),
            };
            match wish {
                None => place += 1,
                Some(wish) => {
                    self.mouth.under_way.remove(place);
                    self.mouth.wish(wish);
                }
            }
        }
    }

    /// Whether [`Pairing::tend`] must be called although no batch came.
    #[must_use]
    pub fn is_due(&self, now: Now) -> bool {
        let deadline = self.pair.next_deadline();
        self.stirred || deadline.is_some_and(|deadline| deadline <= now.time)
    }

    /// After a batch, or when due; [`Sequencer::flush`] comes next.
    pub fn tend(&mut self, now: Now, seq: &mut Sequencer, through: &mut Through<'_>) {
        self.stirred = false;
        let mut out = self.mouth.out(self.sid, through);
        self.pair.between_batches(now, seq, &mut out);
        if !self.mouth.under_way.is_empty() {
            self.settle(seq);
        }
    }

    /// Whether the source must wait: the active decides about the slot in front of the next record.
    #[must_use]
    pub const fn is_holding(&self) -> bool {
        self.pair.is_holding()
    }

    /// When it wants to be tended.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.pair.next_deadline()
    }

    /// Whether a generation was asked for since the last call.
    pub fn takes_over(&mut self) -> bool {
        std::mem::take(&mut self.mouth.wants_generation)
    }

    /// Where this end stands.
    #[must_use]
    pub const fn state(&self) -> PairState {
        self.pair.state()
    }

    /// How things stand.
    #[must_use]
    pub fn snapshot(&self, seq: &Sequencer) -> PairSnapshot {
        PairSnapshot {
            state: self.pair.state(),
            reason: self.pair.reason(),
            protected: self.pair.is_protected(seq),
            inherited: self.pair.inherited(),
            adm: seq.adm(),
            armed: seq.armed(),
            counters: *self.pair.counters(),
        }
    }

    /// Asks the control thread for something.
    pub fn wish(&self, wish: Wish) {
        self.mouth.wish(wish);
    }
}

impl Mouth {
    fn out<'a, 'b>(&'a mut self, sid: Sid, through: &'a mut Through<'b>) -> Out<'a, 'b> {
        Out {
            mouth: self,
            sid,
            through,
        }
    }

    fn note_answer(&mut self, answer: Answer) {
        for order in &mut self.under_way {
            if order.id.number == answer.number {
                order.answer = Some(answer);
            }
        }
    }

    fn wish(&self, wish: Wish) {
        // A control thread that hangs is seen by its lease; an order that is not answered times out there.
        let _ = self.wishes.try_send(wish);
    }
}

/// A mouth and a way to the subscribers, for the time of one call.
struct Out<'a, 'b> {
    mouth: &'a mut Mouth,
    sid: Sid,
    through: &'a mut Through<'b>,
}

impl Transmit for Out<'_, '_> {
    fn datagram(&mut self, bytes: &[u8]) {
        self.through.datagram(bytes);
    }
}

impl Link for Out<'_, '_> {
    fn say(&mut self, said: Said) {
        if self.mouth.pairing > 0 {
            for frame in fault_points::said(frame(said)) {
                self.mouth.voice.say(self.mouth.pairing, frame);
            }
        }
    }

    fn tell(&mut self, news: PairNews) {
        match news {
            PairNews::WantsGeneration => self.mouth.wants_generation = true,
            PairNews::Decided(answer) if answer.verdict == Verdict::Capable => {
                self.mouth.note_answer(answer);
            }
            PairNews::Decided(answer) => {
                self.mouth.note_answer(answer);
                self.mouth.notes.leave(self.sid, News::Pair(news));
            }
            PairNews::State { .. }
            | PairNews::Opened { .. }
            | PairNews::PlacedAlone { .. }
            | PairNews::Dropped { .. }
            | PairNews::Diverged { .. } => self.mouth.notes.leave(self.sid, News::Pair(news)),
        }
    }
}

/// The stream that a frame is about, if it is about one.
#[must_use]
pub const fn sid_of(frame: &Frame) -> Option<Sid> {
    match frame {
        Frame::Report(report) => Some(report.sid),
        Frame::CutRequest { sid, .. } => Some(*sid),
        Frame::Cut(cut) => Some(cut.sid),
        Frame::Intent(intent) => Some(intent.sid),
        Frame::Answer(answer) => Some(answer.sid),
        Frame::Settled(settled) => Some(settled.sid),
        Frame::Hello(_) | Frame::Beat { .. } | Frame::Goodbye | Frame::StepDown { .. } => None,
    }
}

fn said(frame: Frame) -> Option<Said> {
    Some(match frame {
        Frame::Report(report) => Said::Report(report),
        Frame::CutRequest { sid, generation } => Said::AskCut { sid, generation },
        Frame::Cut(cut) => Said::Cut(cut),
        Frame::Intent(intent) => Said::Intent(Box::new(intent)),
        Frame::Answer(answer) => Said::Answer(answer),
        Frame::Settled(settled) => Said::Settled(settled),
        Frame::Hello(_) | Frame::Beat { .. } | Frame::Goodbye | Frame::StepDown { .. } => {
            return None;
        }
    })
}

fn frame(said: Said) -> Frame {
    match said {
        Said::Report(report) => Frame::Report(report),
        Said::AskCut { sid, generation } => Frame::CutRequest { sid, generation },
        Said::Cut(cut) => Frame::Cut(cut),
        Said::Intent(intent) => Frame::Intent(*intent),
        Said::Answer(answer) => Frame::Answer(answer),
        Said::Settled(settled) => Frame::Settled(settled),
    }
}

/// Most wishes that wait.
pub const MOST_WISHES: usize = 256;
