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
use std::time::Duration;

use crossbeam::channel::Sender;
use twinfeed_protocol::Time;
use twinfeed_protocol::pair::{
    Answer, Link, News as PairNews, Pair, PairCounters, PairLimits, PairState, Reason, Refusal,
    Said, Verdict,
};
use twinfeed_protocol::sequencer::{MOST_ARMED, Now, Placed, Sequencer, Transmit};
use twinfeed_protocol::standby::{
    Change, Standby, StandbyCounters, StandbyLimits, StandbyState, Suspicion,
};
use twinfeed_protocol::time::earlier;
use twinfeed_wire::link::{FOR_GOOD, Frame, GOES_ON};
use twinfeed_wire::{Adm, AdminId, AdminKind, Generation, Sid};

use crate::fault_points;
use crate::link::notice::Heard;
use crate::link::voice::Voice;
use crate::mailbox::{Grant, Ordered};
use crate::note::{News, Notes};
use crate::publish::Through;

/// What the stream says of a hand-over.
const HANDED_OVER: &[u8] = b"the generation is handed over to the backup";

/// One source's end of the pair.
#[derive(Debug)]
pub struct Pairing {
    sid: Sid,
    pair: Pair,
    standby: Standby,
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
    /// The peer's process is gone or has stepped down, and every stream can be taken over without a trace.
    TakeOver {
        /// The generation of the active that is gone.
        from: Generation,
        /// Whether it lives and has stepped down.
        stepped_down: bool,
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
    /// The range of source numbers in which it differed last from its active, while it counts as differing.
    pub differs_in: Option<u64>,
    /// Whether both ends would place the next administrative message.
    pub protected: bool,
    /// Administrative messages of older generations that are valid.
    pub inherited: Adm,
    /// As active: whether its generation began with everything that the one before had announced.
    pub seamless: bool,
    /// As backup: whether it lacks nothing that the active had said when it was last heard.
    pub lacks_nothing: bool,
    /// Administrative messages placed.
    pub adm: Adm,
    /// Messages that wait for their slots.
    pub armed: usize,
    /// What was counted.
    pub counters: PairCounters,
    /// Whether its stream is withheld, and why not.
    pub transmission: (StandbyState, Suspicion),
    /// Records that are withheld.
    pub withheld: usize,
    /// What was counted of standby.
    pub standby: StandbyCounters,
}

impl PairSnapshot {
    /// Whether the stream is withheld.
    #[must_use]
    pub fn is_on_standby(&self) -> bool {
        self.transmission.0 == StandbyState::Standby
    }

    /// Why the backup of a standby pair transmits nevertheless; empty when it does not.
    #[must_use]
    pub fn suspicion(&self) -> String {
        match self.transmission {
            (StandbyState::Standby, _)
            | (StandbyState::Transmitting, Suspicion::Hot | Suspicion::NotBackup) => String::new(),
            (StandbyState::Settling, _) => "until the hold-down is over".to_owned(),
            (StandbyState::Transmitting, suspicion) => suspicion.to_string(),
        }
    }
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
        standby: Option<StandbyLimits>,
        voice: Voice,
        notes: Notes,
        wishes: Sender<Wish>,
    ) -> Self {
        Self {
            sid,
            pair: Pair::new(limits),
            standby: Standby::new(standby),
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
        let change = self
            .standby
            .on_grant(now, (generation, active), seq, &mut out);
        self.mouth.note_change(self.sid, change);
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
        if fault_points::keeps_back(&heard, seq.processed()) {
            self.stirred = true;
        } else {
            self.on_heard(now, (pairing, heard), seq, through);
        }
    }

    fn on_heard(
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
        let change = match heard {
            Heard::Up => {
                self.pair.on_link_up(now, seq, &mut out);
                self.standby.on_link_up();
                None
            }
            Heard::Down { gone } => {
                self.pair.on_link_down(now, gone, seq, &mut out);
                let change = self.standby.on_link_down(now, seq, &mut out);
                self.mouth.pairing = 0;
                change
            }
            Heard::Said(Frame::Report(report)) => {
                self.pair.on_said(now, Said::Report(report), seq, &mut out);
                self.standby.on_report(now, &report, seq, &mut out)
            }
            Heard::Said(Frame::StepDown {
                generation,
                deadline_us: GOES_ON,
            }) => {
                self.pair.on_went_on(now, generation, seq, &mut out);
                None
            }
            Heard::Said(Frame::StepDown { generation, .. }) => {
                self.pair.on_stepped_down(now, generation, seq, &mut out);
                None
            }
            Heard::Said(frame) if fault_points::is_deaf_to(&frame) => None,
            Heard::Said(frame) => {
                if let Some(said) = said(frame) {
                    self.pair.on_said(now, said, seq, &mut out);
                }
                None
            }
            Heard::Superseded(by) => {
                self.pair.on_superseded(now, by, seq, &mut out);
                self.settle(seq);
                None
            }
        };
        self.mouth.note_change(self.sid, change);
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
            Err(refusal) => self.mouth.answer(Wish::Refused {
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
                    self.mouth.answer(wish);
                }
            }
        }
    }

    /// Whether [`Pairing::tend`] must be called although no batch came.
    #[must_use]
    pub fn is_due(&self, now: Now) -> bool {
        let deadline = self.next_deadline();
        self.stirred || deadline.is_some_and(|deadline| deadline <= now.time)
    }

    /// After a batch, or when due; [`Sequencer::flush`] comes next.
    pub fn tend(&mut self, now: Now, seq: &mut Sequencer, through: &mut Through<'_>) {
        self.stirred = false;
        while let Some(frame) = fault_points::ripe(seq.processed()) {
            let pairing = self.mouth.pairing;
            self.on_heard(now, (pairing, Heard::Said(frame)), seq, through);
        }
        let mut out = self.mouth.out(self.sid, through);
        self.pair.between_batches(now, seq, &mut out);
        let change = self.standby.between_batches(now, seq, &mut out);
        self.mouth.note_change(self.sid, change);
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
        earlier(self.pair.next_deadline(), self.standby.next_deadline())
    }

    /// As active: says in the stream that its generation is handed over, and originates nothing more until it is told to go
    /// on, or another generation is granted. Whether it is the active.
    pub fn step_down(&mut self, now: Now, seq: &mut Sequencer, through: &mut Through<'_>) -> bool {
        // Without a source the stream would not reach the message's slot, and the hand-over would wait for it.
        let reaches = !seq.is_source_stale();
        if !self.pair.steps_down() && self.pair.is_protected(seq) && reaches {
            let mut out = self.mouth.out(self.sid, through);
            let kind = AdminKind::StepDown;
            // Where there is no place for it, before the first epoch say, the hand-over goes on without it.
            let _ = self.pair.originate(now, kind, HANDED_OVER, seq, &mut out);
        }
        self.stirred = true;
        self.pair.step_down()
    }

    /// Whether it steps down and the peer was not told yet.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.pair.is_draining()
    }

    /// Whether it steps down and everything that it had announced is placed by both ends, or agreed to.
    #[must_use]
    pub fn is_drained(&self, seq: &Sequencer) -> bool {
        self.pair.is_drained(seq)
    }

    /// Everything of this end was said before, of every stream: tells the peer that the adapter steps down.
    pub fn say_step_down(&self, deadline_us: u32) {
        self.say(Frame::StepDown {
            generation: self.generation(),
            deadline_us: deadline_us.clamp(GOES_ON + 1, FOR_GOOD - 1),
        });
    }

    /// Tells the peer that the adapter goes on.
    pub fn say_goes_on(&self) {
        self.say(Frame::StepDown {
            generation: self.generation(),
            deadline_us: GOES_ON,
        });
    }

    /// As active: whether a hand-over is under way.
    #[must_use]
    pub fn steps_down(&self) -> bool {
        self.pair.steps_down()
    }

    /// The peer was told that the adapter steps down.
    pub fn stepped_down(&mut self) {
        self.pair.stepped_down();
    }

    /// The hand-over was given up. Whether one was under way here.
    pub fn go_on(&mut self) -> bool {
        self.stirred = true;
        self.pair.go_on()
    }

    /// Whether it takes over from an active that lives and has stepped down.
    #[must_use]
    pub fn was_handed_over(&self) -> bool {
        self.pair.was_handed_over()
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

    /// The generation granted last.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.pair.generation()
    }

    /// How things stand.
    #[must_use]
    pub fn snapshot(&self, seq: &Sequencer) -> PairSnapshot {
        PairSnapshot {
            state: self.pair.state(),
            reason: self.pair.reason(),
            differs_in: self.pair.differs_in(),
            protected: self.pair.is_protected(seq),
            inherited: seq.inherited(),
            seamless: self.pair.began_seamlessly(),
            lacks_nothing: self.pair.lacks_nothing(seq),
            adm: seq.adm(),
            armed: seq.armed(),
            counters: *self.pair.counters(),
            transmission: (self.standby.state(), self.standby.suspicion()),
            withheld: seq.withheld(),
            standby: *self.standby.counters(),
        }
    }

    /// Says something to the peer that is none of the pair's rules' business, if it is there.
    pub fn say(&self, frame: Frame) {
        if self.mouth.pairing > 0 {
            self.mouth.voice.say(self.mouth.pairing, frame);
        }
    }

    /// Something happened to the stream that the pair's rules must look at.
    pub const fn stir(&mut self) {
        self.stirred = true;
    }

    /// Asks the control thread for something. `false`: that hangs, and does not get to know.
    pub fn wish(&self, wish: Wish) -> bool {
        self.mouth.wish(wish)
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

    fn note_change(&self, sid: Sid, change: Option<Change>) {
        if let Some(change) = change {
            self.notes.leave(sid, News::Standby(change));
        }
    }

    fn wish(&self, wish: Wish) -> bool {
        self.wishes.try_send(wish).is_ok()
    }

    /// What became of an order. A control thread that hangs is seen by its lease; an order that is not answered times out at
    /// stream-admin.
    fn answer(&self, wish: Wish) {
        let _ = self.wish(wish);
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

    fn replayed(&mut self, bytes: &[u8]) {
        self.through.replayed(bytes);
    }

    fn withheld_heartbeat(&mut self, bytes: &[u8]) {
        self.through.withheld_heartbeat(bytes);
    }

    fn withheld(&mut self, bytes: &[u8]) {
        self.through.withheld(bytes);
    }
}

impl Link for Out<'_, '_> {
    fn say(&mut self, said: Said) {
        if matches!(said, Said::Cut(_)) {
            // Whoever takes the numbering over takes what it counts for sent.
            self.through.send();
        }
        if self.mouth.pairing > 0 {
            for frame in fault_points::said(frame(said)) {
                self.mouth.voice.say(self.mouth.pairing, frame);
            }
        }
    }

    fn commit(&mut self, said: Said, within: Duration) -> bool {
        let pairing = self.mouth.pairing;
        if pairing == 0 {
            return false;
        }
        // What is kept back on purpose has left this process, and the network has it.
        let mut committed = true;
        for frame in fault_points::said(frame(said)) {
            committed = self.mouth.voice.commit(pairing, frame, within);
            if committed {
                fault_points::committed(&frame);
            }
        }
        committed
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
            | PairNews::Superseded { .. }
            | PairNews::Diverged { .. }
            | PairNews::Differs { .. }
            | PairNews::Agrees { .. } => self.mouth.notes.leave(self.sid, News::Pair(news)),
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
        Frame::Content(content) => Some(content.sid),
        Frame::ContextRequest(request) => Some(request.sid),
        Frame::ContextHead(head) => Some(head.sid),
        Frame::ContextChunk(chunk) => Some(chunk.sid),
        Frame::ContextEnd(end) => Some(end.sid),
        Frame::ContextTaken(taken) => Some(taken.sid),
        Frame::ContextOver(over) => Some(over.sid),
        Frame::Hello(_) | Frame::Beat { .. } | Frame::Goodbye | Frame::StepDown { .. } => None,
    }
}

/// What a frame of the link says to the rules of one stream; `None`: it is not theirs.
#[must_use]
pub fn said(frame: Frame) -> Option<Said> {
    Some(match frame {
        Frame::Report(report) => Said::Report(report),
        Frame::CutRequest { sid, generation } => Said::AskCut { sid, generation },
        Frame::Cut(cut) => Said::Cut(cut),
        Frame::Intent(intent) => Said::Intent(Box::new(intent)),
        Frame::Answer(answer) => Said::Answer(answer),
        Frame::Settled(settled) => Said::Settled(settled),
        Frame::Content(content) => Said::Content(content),
        Frame::Hello(_)
        | Frame::Beat { .. }
        | Frame::Goodbye
        | Frame::StepDown { .. }
        | Frame::ContextRequest(_)
        | Frame::ContextHead(_)
        | Frame::ContextChunk(_)
        | Frame::ContextEnd(_)
        | Frame::ContextTaken(_)
        | Frame::ContextOver(_) => return None,
    })
}

/// The frame in which the rules' words go over the link.
#[must_use]
pub fn frame(said: Said) -> Frame {
    match said {
        Said::Report(report) => Frame::Report(report),
        Said::AskCut { sid, generation } => Frame::CutRequest { sid, generation },
        Said::Cut(cut) => Frame::Cut(cut),
        Said::Intent(intent) => Frame::Intent(*intent),
        Said::Answer(answer) => Frame::Answer(answer),
        Said::Settled(settled) => Frame::Settled(settled),
        Said::Content(content) => Frame::Content(content),
    }
}

/// Most wishes that wait.
pub const MOST_WISHES: usize = 256;
