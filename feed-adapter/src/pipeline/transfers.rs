//! When in a duty cycle is a context handed over, or taken over?
//!
//! Between batches: what the peer and the workshop say comes with the other commands, the rest follows the sources' part of a
//! cycle. One context is given at a time and one is taken. What is decided here is only who hears of what.

use crossbeam::channel::Sender;
use twinfeed_protocol::sequencer::Now;
use twinfeed_wire::Sid;
use twinfeed_wire::link::{ContextOver, ContextRequest, Frame, OverReason};

use super::{Path, Pipeline};
use crate::config::Config;
use crate::note::News;
use crate::publish::Exit;
use crate::transfer::Whole;
use crate::transfer::giving::{Giving, Progress};
use crate::transfer::kept::Kept;
use crate::transfer::taker::{Taker, TakerLimits, TakerState};
use crate::transfer::taking::{CatchUp, Taking};
use crate::transfer::workshop::{Errand, Made};

/// What all sources of an adapter share of it.
#[derive(Debug)]
pub(super) struct Transfers {
    enabled: bool,
    errands: Sender<Errand>,
    /// The pairing of the link that is under way; 0: none.
    pairing: u64,
    taker: Taker,
    /// Why nothing was taken over the last time, as far as it was noted.
    noted: Option<OverReason>,
    /// While nothing is given.
    giving: Option<Box<Giving>>,
    counters: TransferCounters,
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TransferCounters {
    /// Contexts taken over from the peer.
    pub taken: u64,
    /// Attempts at that which came to nothing, refusals among them.
    pub not_taken: u64,
    /// Contexts handed to the peer.
    pub given: u64,
    /// Those that were begun or asked for and not handed over.
    pub not_given: u64,
}

impl Transfers {
    pub(super) fn new(config: &Config, errands: Sender<Errand>) -> Self {
        Self {
            enabled: config.pair.context_transfer,
            errands,
            pairing: 0,
            taker: Taker::new(TakerLimits::default()),
            noted: None,
            giving: Some(Box::new(Giving::new(config.pair.context_queue))),
            counters: TransferCounters::default(),
        }
    }

    pub(super) const fn counters(&self) -> TransferCounters {
        self.counters
    }

    /// The source whose context is taken over from the peer, or is to be.
    pub(super) fn taking(&self) -> Option<Sid> {
        self.taker.at_hand().map(|(sid, _)| sid)
    }

    /// Has something freed by a thread that may. One whose queue is full leaves it to this one.
    fn free(&self, whole: Option<Box<Whole>>, kept: Option<Box<Kept>>) {
        let _ = self.errands.try_send(Errand::Free(whole, kept));
    }
}

/// What is left of a memory that was taken over, or could not be.
pub(super) struct Over {
    /// What was there before, or what cannot be used: to be freed by a thread that may.
    pub(super) whole: Box<Whole>,
    /// The buffer, for the next time.
    pub(super) kept: Box<Kept>,
    /// The first number that is converted with it, and how many orders are open; `None`: it could not be.
    pub(super) taken: Option<(u64, usize)>,
}

impl Path {
    /// Goes on with the memory that was made elsewhere and has been caught up with; `None`: there is none.
    pub(super) fn take_over(&mut self, now: Now, exit: &mut Exit) -> Option<Over> {
        let (whole, kept) = self.converter.end_taking()?.finish();
        let mut whole = whole?;
        let of = (whole.next, whole.decoder.open_orders());
        let mut out = self.outlet.through(exit);
        let taken = self.converter.take_over(now, &mut whole, &mut out);
        out.send();
        if taken {
            self.pairing.stir();
        }
        Some(Over {
            whole,
            kept,
            taken: taken.then_some(of),
        })
    }
}

impl Pipeline {
    /// The two ends can talk from now on, in this pairing, or cannot any more (0).
    pub(super) fn pair_transfers(&mut self, now: Now, pairing: u64) {
        if let Some(place) = self.taking_at() {
            self.fail(now, place, OverReason::NotNeeded, false);
        }
        if let Some(place) = self.giving_at() {
            self.reclaim(place);
        }
        self.transfers.pairing = pairing;
        self.transfers.noted = None;
        self.transfers.taker.take_heart();
    }

    /// The peer said this of a transfer. `false`: it is about something else.
    pub(super) fn hear_of_transfer(&mut self, now: Now, frame: &Frame) -> bool {
        match frame {
            Frame::ContextRequest(request) => self.on_request(request),
            Frame::ContextTaken(taken) => {
                let id = (taken.sid, taken.transfer);
                if let Some(giving) = self.giving(id) {
                    giving.on_taken(taken.chunks);
                }
            }
            Frame::ContextOver(over) => {
                let id = (over.sid, over.transfer);
                if self.transfers.taker.at_hand() == Some(id) {
                    if let Some(place) = self.taking_at() {
                        self.fail(now, place, over.reason, false);
                    }
                } else if self.giving(id).is_some()
                    && let Some(place) = self.giving_at()
                {
                    self.not_given(place, over.reason);
                }
            }
            // These are the workshop's.
            Frame::ContextHead(_) | Frame::ContextChunk(_) | Frame::ContextEnd(_) => {}
            Frame::Hello(_)
            | Frame::Content(_)
            | Frame::Beat { .. }
            | Frame::Goodbye
            | Frame::Report(_)
            | Frame::CutRequest { .. }
            | Frame::Cut(_)
            | Frame::Intent(_)
            | Frame::Answer(_)
            | Frame::StepDown { .. }
            | Frame::Settled(_) => return false,
        }
        true
    }

    /// The workshop has made something for this transfer.
    pub(super) fn on_made(&mut self, now: Now, (sid, transfer): (Sid, u32), made: Made) {
        let ours = self.transfers.taker.at_hand() == Some((sid, transfer));
        let place = self.paths.iter().position(|path| path.sid == sid);
        match (made, place.filter(|_| ours)) {
            (Made::Ready(kept), Some(place)) => self.on_ready(now, place, transfer, kept),
            (Made::Passed(next), Some(place)) => {
                self.transfers.taker.on_news(now.time, transfer);
                if let Some(taking) = self.paths[place].converter.taking() {
                    taking.passed(next);
                }
            }
            (Made::Whole(whole), Some(place)) => {
                self.transfers.taker.on_news(now.time, transfer);
                match self.paths[place].converter.taking() {
                    Some(taking) => taking.on_whole(whole),
                    None => self.transfers.free(Some(whole), None),
                }
            }
            (Made::Failed(reason), Some(place)) => self.fail(now, place, reason, true),
            (Made::Ready(kept), None) => self.transfers.free(None, Some(kept)),
            (Made::Whole(whole), None) => self.transfers.free(Some(whole), None),
            (Made::Passed(_) | Made::Failed(_), None) => {}
        }
    }

    /// Goes on with what is given and taken; how much was done.
    pub(super) fn tend_transfers(&mut self, now: Now) -> usize {
        self.give() + self.take(now)
    }

    fn on_request(&mut self, request: &ContextRequest) {
        let asked = |path: &Path| path.sid == request.sid;
        let Some(place) = self.paths.iter().position(asked) else {
            return;
        };
        // Whoever asks again has given up what it asked for before.
        if self.giving_at() == Some(place) {
            self.reclaim(place);
        }
        let path = &mut self.paths[place];
        let begun = match self.transfers.giving.take() {
            None => Err(OverReason::Busy),
            Some(giving) if !self.transfers.enabled => {
                self.transfers.giving = Some(giving);
                Err(OverReason::Off)
            }
            Some(giving) => {
                path.converter
                    .begin_giving(giving, request)
                    .map_err(|(giving, reason)| {
                        self.transfers.giving = Some(giving);
                        reason
                    })
            }
        };
        match begun {
            Ok(head) => path.pairing.say(Frame::ContextHead(head)),
            Err(reason) => {
                self.transfers.counters.not_given += 1;
                path.pairing.say(Frame::ContextOver(ContextOver {
                    sid: request.sid,
                    transfer: request.transfer,
                    reason,
                }));
            }
        }
    }

    fn give(&mut self) -> usize {
        // In use: some source has it.
        if self.transfers.giving.is_some() {
            return 0;
        }
        let Some(place) = self.giving_at() else {
            return 0;
        };
        let Path {
            converter,
            pairing,
            sid,
            ..
        } = &mut self.paths[place];
        match converter.give(|frame| pairing.say(frame)) {
            Some(Progress::Busy) => 1,
            Some(Progress::Idle) | None => 0,
            Some(Progress::Done) => {
                self.transfers.counters.given += 1;
                self.ends.notes.leave(*sid, News::ContextGiven);
                self.reclaim(place);
                1
            }
            Some(Progress::Over(reason)) => {
                let transfer = converter.giving().map(|giving| giving.transfer());
                pairing.say(Frame::ContextOver(ContextOver {
                    sid: *sid,
                    transfer: transfer.unwrap_or_default(),
                    reason,
                }));
                self.not_given(place, reason);
                1
            }
        }
    }

    fn take(&mut self, now: Now) -> usize {
        if !self.transfers.enabled || self.transfers.pairing == 0 {
            return 0;
        }
        for path in &mut self.paths {
            if path.converter.began() {
                self.transfers.taker.take_heart();
                self.transfers.noted = None;
            }
        }
        let Some(place) = self.taking_at() else {
            self.ask(now);
            return 0;
        };
        if self.transfers.taker.is_out_of_patience(now.time) {
            self.fail(now, place, OverReason::Patience, true);
            return 1;
        }
        match self.paths[place].converter.catch_up(MESSAGES_PER_BATCH) {
            None | Some(CatchUp::Waiting) => 0,
            Some(CatchUp::Behind) => 1,
            Some(CatchUp::Spoilt(reason)) => {
                self.fail(now, place, reason, true);
                1
            }
            Some(CatchUp::There) => {
                self.take_over(now, place);
                1
            }
        }
    }

    /// Begins a transfer if a source lacks its past and the pause is over.
    fn ask(&mut self, now: Now) {
        let lacking = self
            .paths
            .iter()
            .filter(|path| path.converter.lacks_its_past() && !self.pasts.keeps(path.sid))
            .map(|path| path.sid);
        let Some((sid, transfer)) = self.transfers.taker.begin(now.time, lacking) else {
            return;
        };
        let errand = Errand::Prepare {
            sid,
            transfer,
            pairing: self.transfers.pairing,
        };
        if self.transfers.errands.try_send(errand).is_err() {
            self.transfers.taker.on_failed(now.time);
        }
    }

    fn on_ready(&mut self, now: Now, place: usize, transfer: u32, kept: Box<Kept>) {
        let ready = self.transfers.taker.on_ready(now.time, transfer);
        let path = &mut self.paths[place];
        let pos = path.converter.sequencer.next_pos();
        match pos.filter(|_| ready && path.converter.lacks_its_past()) {
            None => {
                self.transfers.free(None, Some(kept));
                self.fail(now, place, OverReason::NotNeeded, false);
            }
            Some(pos) => {
                path.converter.begin_taking(Taking::new(kept));
                path.pairing.say(Frame::ContextRequest(ContextRequest {
                    sid: path.sid,
                    transfer,
                    epoch: pos.epoch,
                    from: pos.sseq,
                }));
            }
        }
    }

    /// The memory is of this moment: the stream goes on with it.
    fn take_over(&mut self, now: Now, place: usize) {
        let path = &mut self.paths[place];
        let Some(over) = path.take_over(now, &mut self.ends.exit) else {
            return;
        };
        self.transfers.free(Some(over.whole), Some(over.kept));
        if let Some((next, orders)) = over.taken {
            self.transfers.counters.taken += 1;
            self.transfers.taker.on_done();
            self.transfers.noted = None;
            let news = News::ContextTaken { next, orders };
            self.ends.notes.leave(path.sid, news);
        } else {
            self.fail(now, place, OverReason::Damaged, false);
        }
    }

    /// The transfer that is taken came to nothing. `tell`: the giver does not know yet.
    fn fail(&mut self, now: Now, place: usize, reason: OverReason, tell: bool) {
        let Some((sid, transfer)) = self.transfers.taker.at_hand() else {
            return;
        };
        let asked = self.transfers.taker.state() == TakerState::Taking;
        let path = &mut self.paths[place];
        if tell && asked {
            path.pairing.say(Frame::ContextOver(ContextOver {
                sid,
                transfer,
                reason,
            }));
        }
        if let Some(taking) = path.converter.end_taking() {
            let (whole, kept) = taking.finish();
            self.transfers.free(whole, Some(kept));
        }
        let _ = self.transfers.errands.try_send(Errand::Stop { transfer });
        self.transfers.taker.on_failed(now.time);
        self.transfers.counters.not_taken += 1;
        if self.transfers.noted.replace(reason) != Some(reason) {
            let news = News::ContextNotTaken(reason);
            self.ends.notes.leave(sid, news);
        }
    }

    /// What was being given is not, and the peer knows.
    fn not_given(&mut self, place: usize, reason: OverReason) {
        self.transfers.counters.not_given += 1;
        let news = News::ContextNotGiven(reason);
        self.ends.notes.leave(self.paths[place].sid, news);
        self.reclaim(place);
    }

    fn reclaim(&mut self, place: usize) {
        if let Some(giving) = self.paths[place].converter.end_giving() {
            self.transfers.giving = Some(giving);
        }
    }

    fn giving(&mut self, (sid, transfer): (Sid, u32)) -> Option<&mut Giving> {
        let mut of = self.paths.iter_mut().filter(|path| path.sid == sid);
        let giving = of.next()?.converter.giving()?;
        (giving.transfer() == transfer).then_some(giving)
    }

    fn giving_at(&mut self) -> Option<usize> {
        let mut paths = self.paths.iter_mut();
        paths.position(|path| path.converter.giving().is_some())
    }

    fn taking_at(&self) -> Option<usize> {
        let (sid, _) = self.transfers.taker.at_hand()?;
        self.paths.iter().position(|path| path.sid == sid)
    }
}

/// Messages that a source which catches up converts per cycle beside what comes: some 100 µs.
pub(super) const MESSAGES_PER_BATCH: usize = 512;
