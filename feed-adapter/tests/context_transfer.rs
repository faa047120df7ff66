//! Does an adapter that takes its peer's context over convert from then on, byte for byte, as its peer does, whatever
//! happens on the way?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod support;

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use support::flow::{Step, message, steps};
use twinfeed_feed_adapter::converter::Converter;
use twinfeed_feed_adapter::decode::TradingDay;
use twinfeed_feed_adapter::decode::itch50::Settings;
use twinfeed_feed_adapter::note::Notes;
use twinfeed_feed_adapter::transfer::giving::{Giving, Progress};
use twinfeed_feed_adapter::transfer::kept::Kept;
use twinfeed_feed_adapter::transfer::taking::{CatchUp, Taking};
use twinfeed_feed_adapter::transfer::workshop::{Errand, Made, Output, Workshop};
use twinfeed_protocol::line::Source as _;
use twinfeed_protocol::sequencer::{Now, Sequencer, SequencerConfig, Transmit};
use twinfeed_protocol::{EpochStart, Time};
use twinfeed_wire::link::{
    ContextOver, ContextRequest, ContextTaken, FRAME_BUFFER, Frame, OverReason,
};
use twinfeed_wire::{ContextId, Datagram, Epoch, Incarnation, Pos, Sid, StreamId};

const SID: Sid = Sid(1);
const EPOCH: Epoch = Epoch(77);
const MOST_ORDERS: usize = 200;
/// Messages behind a flow, so that there is something to compare.
const MORE: usize = 20;
const NOW: Now = Now {
    time: Time::ZERO,
    unix_ns: 1,
};

/// A record, as subscribers see it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Seen {
    pos: Pos,
    prev: u64,
    context: ContextId,
    first: u64,
    abandoned: u32,
    complete: bool,
    body: Vec<u8>,
}

#[derive(Default)]
struct Sent(Vec<Seen>);

impl Transmit for Sent {
    fn datagram(&mut self, bytes: &[u8]) {
        let datagram = Datagram::parse(bytes).unwrap();
        let header = datagram.header();
        self.0.extend(datagram.records().map(|record| Seen {
            pos: record.pos(header),
            prev: record.prev,
            context: header.context,
            first: header.first,
            abandoned: header.abandoned,
            complete: header.is_complete(),
            body: record.body.to_vec(),
        }));
    }
}

/// One adapter's conversion.
struct End {
    converter: Converter,
    sent: Sent,
    next: u64,
}

impl End {
    fn new(first: u64, orders: usize) -> Self {
        let sequencer = Sequencer::new(SequencerConfig {
            stream: StreamId(1),
            sid: SID,
            incarnation: Incarnation(first),
            max_datagram: 1_472,
            heartbeat: Duration::from_secs(10),
            history: 64,
        });
        let mut end = Self {
            converter: Converter::new(
                SID,
                day(),
                settings(orders),
                sequencer.unwrap(),
                Notes::new(),
            ),
            sent: Sent::default(),
            next: first,
        };
        end.begin(first);
        end
    }

    fn begin(&mut self, first: u64) {
        self.converter.at(NOW, &mut self.sent).begin(EpochStart {
            epoch: EPOCH,
            first,
            complete: first == 1,
            predecessor: Epoch::NONE,
        });
        self.next = first;
    }

    fn hear(&mut self, flow: &[Step], count: usize) {
        for _ in 0..count {
            let Some(step) = flow.get(self.next as usize - 1) else {
                break;
            };
            let bytes = message(self.next, *step);
            let mut at = self.converter.at(NOW, &mut self.sent);
            at.message(self.next, &bytes, 1);
            self.next += 1;
        }
        self.converter.sequencer.flush(NOW, &mut self.sent);
    }

    fn lose(&mut self, count: u64) {
        let range = self.next..self.next + count;
        self.next = range.end;
        self.converter.at(NOW, &mut self.sent).abandoned(range);
    }
}

fn day() -> TradingDay {
    TradingDay::new(2019, 12, 30).unwrap()
}

fn settings(max_open_orders: usize) -> Settings {
    Settings {
        max_open_orders,
        ..Settings::default()
    }
}

/// Two ends and what is between them.
struct Two {
    giver: End,
    taker: End,
    workshop: Workshop,
    to_giver: VecDeque<Frame>,
    to_taker: VecDeque<Frame>,
    idle: Option<Box<Giving>>,
    transfer: u32,
    /// Why the transfer at hand came to nothing, if it did.
    failed: Option<OverReason>,
    /// From which number on the taker's context is complete.
    since: Option<u64>,
    chunks: u64,
}

#[derive(Default)]
struct Outputs {
    made: Vec<Made>,
    taken: Vec<ContextTaken>,
}

impl Output for Outputs {
    fn made(&mut self, _: Sid, _: u32, made: Made) -> bool {
        self.made.push(made);
        true
    }
    fn taken(&mut self, _: u64, taken: ContextTaken) {
        self.taken.push(taken);
    }
}

#[derive(Clone, Copy)]
struct Sizes {
    orders: [usize; 2],
    buffer: usize,
    queue: usize,
}

const SIZES: Sizes = Sizes {
    orders: [MOST_ORDERS; 2],
    buffer: 1 << 20,
    queue: 1 << 20,
};

impl Two {
    fn new(late: u64, sizes: Sizes) -> Self {
        let [orders, theirs] = sizes.orders;
        Self {
            giver: End::new(1, orders),
            taker: End::new(late, theirs),
            workshop: Workshop::new(settings(theirs), day(), sizes.buffer),
            to_giver: VecDeque::new(),
            to_taker: VecDeque::new(),
            idle: Some(Box::new(Giving::new(sizes.queue))),
            transfer: 0,
            failed: None,
            since: None,
            chunks: 0,
        }
    }

    /// Asks for a context.
    fn ask(&mut self) {
        self.transfer += 1;
        self.failed = None;
        let _ = self.taker.converter.end_taking();
        self.errand(Errand::Prepare {
            sid: SID,
            transfer: self.transfer,
            pairing: 1,
        });
    }

    fn errand(&mut self, errand: Errand) {
        let mut out = Outputs::default();
        self.workshop.on_errand(errand, &mut out);
        self.to_giver
            .extend(out.taken.into_iter().map(Frame::ContextTaken));
        for made in out.made {
            match made {
                Made::Ready(kept) => self.begin(kept),
                Made::Passed(next) => {
                    if let Some(taking) = self.taker.converter.taking() {
                        taking.passed(next);
                    }
                }
                Made::Whole(whole) => {
                    if let Some(taking) = self.taker.converter.taking() {
                        taking.on_whole(whole);
                    }
                }
                Made::Failed(reason) => self.fail(reason),
            }
        }
    }

    fn begin(&mut self, kept: Box<Kept>) {
        let taking = Taking::new(kept);
        self.taker.converter.begin_taking(taking);
        self.to_giver
            .push_back(Frame::ContextRequest(ContextRequest {
                sid: SID,
                transfer: self.transfer,
                epoch: EPOCH,
                from: self.taker.next,
            }));
    }

    fn fail(&mut self, reason: OverReason) {
        self.failed = Some(reason);
        let _ = self.taker.converter.end_taking();
        self.workshop.on_errand(
            Errand::Stop {
                transfer: self.transfer,
            },
            &mut Outputs::default(),
        );
        self.to_giver.push_back(Frame::ContextOver(ContextOver {
            sid: SID,
            transfer: self.transfer,
            reason,
        }));
    }

    /// So many frames reach the giver.
    fn tell_giver(&mut self, count: usize) {
        for _ in 0..count {
            let Some(frame) = self.to_giver.pop_front().map(over_the_wire) else {
                return;
            };
            match frame {
                Frame::ContextRequest(request) => {
                    self.idle = self.idle.take().or(self.giver.converter.end_giving());
                    let idle = self.idle.take().unwrap();
                    match self.giver.converter.begin_giving(idle, &request) {
                        Ok(head) => self.to_taker.push_back(Frame::ContextHead(head)),
                        Err((idle, reason)) => {
                            self.idle = Some(idle);
                            self.to_taker.push_back(Frame::ContextOver(ContextOver {
                                sid: SID,
                                transfer: request.transfer,
                                reason,
                            }));
                        }
                    }
                }
                Frame::ContextTaken(taken) => {
                    if let Some(giving) = self.giver.converter.giving()
                        && giving.transfer() == taken.transfer
                    {
                        giving.on_taken(taken.chunks);
                    }
                }
                Frame::ContextOver(_) => {
                    self.idle = self.idle.take().or(self.giver.converter.end_giving());
                }
                other => panic!("{other:?} is not for a giver"),
            }
        }
    }

    /// So many frames reach the taker.
    fn tell_taker(&mut self, count: usize) {
        for _ in 0..count {
            let Some(frame) = self.to_taker.pop_front().map(over_the_wire) else {
                return;
            };
            match frame {
                Frame::ContextOver(over) if over.transfer == self.transfer => {
                    self.fail(over.reason);
                }
                Frame::ContextOver(_) => {}
                frame => self.errand(Errand::Frame(1, frame)),
            }
        }
    }

    /// The giver's part between two batches.
    fn give(&mut self) -> bool {
        let mut said = Vec::new();
        let progress = self.giver.converter.give(|frame| said.push(frame));
        self.chunks += said.len() as u64;
        self.to_taker.extend(said);
        match progress {
            None | Some(Progress::Idle) => return false,
            Some(Progress::Busy) => {}
            Some(Progress::Done) => self.idle = self.giver.converter.end_giving(),
            Some(Progress::Over(reason)) => {
                self.idle = self.giver.converter.end_giving();
                self.to_taker.push_back(Frame::ContextOver(ContextOver {
                    sid: SID,
                    transfer: self.idle.as_ref().unwrap().transfer(),
                    reason,
                }));
            }
        }
        true
    }

    /// The taker's part between two batches.
    fn take(&mut self, most: usize) -> bool {
        match self.taker.converter.catch_up(most) {
            None | Some(CatchUp::Waiting) => false,
            Some(CatchUp::Behind) => true,
            Some(CatchUp::Spoilt(reason)) => {
                self.fail(reason);
                true
            }
            Some(CatchUp::There) => {
                let (whole, _) = self.taker.converter.end_taking().unwrap().finish();
                let End {
                    converter,
                    sent,
                    next,
                } = &mut self.taker;
                if converter.take_over(NOW, &mut whole.unwrap(), sent) {
                    self.since = Some(*next);
                } else {
                    self.fail(OverReason::Damaged);
                }
                true
            }
        }
    }

    fn act(&mut self, flow: &[Step], (what, count): (u8, u8)) {
        let count = usize::from(count);
        match what {
            0..60 => self.giver.hear(flow, count % 8),
            60..120 => self.taker.hear(flow, count % 8),
            120..160 => drop(self.give()),
            160..210 => self.tell_taker(count % 16),
            210..230 => self.tell_giver(count % 4),
            230.. => drop(self.take(count % 5)),
        }
    }

    /// Until nothing moves any more: everything said is heard, and both have all of `flow`.
    fn settle(&mut self, flow: &[Step]) {
        loop {
            self.tell_giver(usize::MAX);
            self.giver.hear(flow, 3);
            let gave = self.give();
            self.tell_taker(usize::MAX);
            self.taker.hear(flow, 3);
            let took = self.take(7);
            let heard = [&self.giver, &self.taker].map(|end| end.next > flow.len() as u64);
            let quiet = self.to_giver.is_empty() && self.to_taker.is_empty();
            if !gave && !took && quiet && heard == [true, true] {
                return;
            }
        }
    }

    /// What both sent from `since` on is the same, and there is some of it: both go on behind `flow`.
    fn check(&mut self, flow: &[Step]) {
        let longer = [flow, &adds(MORE)].concat();
        self.giver.hear(&longer, MORE);
        self.taker.hear(&longer, MORE);
        self.compare(&self.giver);
    }

    /// The same of an end that was complete all the time.
    fn check_against_a_third(&mut self, flow: &[Step]) {
        let longer = [flow, &adds(MORE)].concat();
        let mut third = End::new(1, MOST_ORDERS);
        third.hear(&longer, longer.len());
        self.taker.hear(&longer, MORE);
        self.compare(&third);
    }

    fn compare(&self, other: &End) {
        let since = self.since.expect("the context was taken over");
        let from = |sent: &Sent| -> Vec<Seen> {
            let records = sent.0.iter().filter(|seen| seen.pos.sseq >= since);
            records.cloned().collect()
        };
        let (theirs, ours) = (from(&other.sent), from(&self.taker.sent));
        assert!(!ours.is_empty());
        assert_eq!(ours, theirs, "from number {since}");
        assert!(ours.iter().all(|seen| seen.complete && seen.first == 1));
        let before = self
            .taker
            .sent
            .0
            .iter()
            .filter(|seen| seen.pos.sseq < since);
        for seen in before {
            assert!(!seen.complete, "{seen:?}");
        }
        let seqs = [other, &self.taker].map(|end| end.converter.sequencer.context_id());
        assert_eq!(seqs[0], seqs[1]);
        assert!(self.taker.converter.sequencer.is_complete());
    }
}

/// What comes out at the other end.
fn over_the_wire(frame: Frame) -> Frame {
    let mut buffer = [0; FRAME_BUFFER];
    let length = frame.emit(&mut buffer);
    Frame::parse(&buffer[..length]).unwrap()
}

fn acts() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec(any::<(u8, u8)>(), 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn from_the_take_over_on_both_send_the_same(
        flow in steps(900), late in 0_usize..300, acts in acts(), ahead in 0_usize..200,
    ) {
        let late = late.min(flow.len());
        let mut two = Two::new(late as u64 + 1, SIZES);
        two.giver.hear(&flow, late);
        two.taker.hear(&flow, ahead);
        prop_assume!(late > 0);
        two.ask();
        for act in acts {
            two.act(&flow, act);
        }
        two.settle(&flow);
        prop_assert_eq!(two.failed, None);
        two.check(&flow);
    }

    /// A taker with a hole is what one that began late is; one that loses more meanwhile asks again.
    #[test]
    fn holes_at_the_taker_are_mended_or_the_transfer_fails_and_the_next_one_mends_them(
        flow in steps(900), acts in acts(), losses in prop::collection::vec((0_usize..300, 1_u64..20), 1..4),
    ) {
        prop_assume!(flow.len() > 100);
        let mut two = Two::new(1, SIZES);
        two.taker.lose(5);
        two.ask();
        for (place, act) in acts.into_iter().enumerate() {
            if let Some((_, count)) = losses.iter().find(|(at, _)| *at == place)
                && two.since.is_none()
                && two.taker.next + count < flow.len() as u64
            {
                two.taker.lose(*count);
            }
            if two.failed == Some(OverReason::Hole) {
                two.ask();
            }
            two.act(&flow, act);
        }
        two.settle(&flow);
        if two.since.is_none() {
            prop_assert_eq!(two.failed, Some(OverReason::Hole));
            two.ask();
            two.settle(&flow);
        }
        two.check(&flow);
    }

    /// Whatever is cut, changed, doubled or lost on the way: nothing is taken over, or the right thing.
    #[test]
    fn no_fault_on_the_way_makes_half_a_context(
        flow in steps(600), acts in acts(), fault in 0_u8..6, at in 0_usize..60, place in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        prop_assume!(flow.len() > 300);
        let mut two = Two::new(201, SIZES);
        two.giver.hear(&flow, 200);
        two.ask();
        let mut injected = false;
        for (count, act) in acts.into_iter().enumerate() {
            if count >= at && !injected && !two.to_taker.is_empty() {
                let victim = place.index(two.to_taker.len());
                injected = true;
                match fault {
                    0 => drop(two.to_taker.remove(victim)),
                    1 => two.to_taker.insert(victim, two.to_taker[victim]),
                    2 => two.to_taker.swap(0, victim),
                    3 => {
                        let mut buffer = [0; FRAME_BUFFER];
                        let length = two.to_taker[victim].emit(&mut buffer);
                        buffer[8 + place.index(length - 8)] ^= 1 << bit;
                        match Frame::parse(&buffer[..length]) {
                            Ok(frame) => two.to_taker[victim] = frame,
                            // The link closes.
                            Err(_) => two.cut(),
                        }
                    }
                    4 => two.cut(),
                    _ => {
                        // The giver steps back within its epoch: what it remembered is gone.
                        let next = two.giver.next;
                        two.giver.begin(next);
                    }
                }
            }
            two.act(&flow, act);
        }
        two.settle(&flow);
        if two.since.is_some() {
            match fault {
                // The giver itself is not complete any more.
                5 => two.check_against_a_third(&flow),
                _ => two.check(&flow),
            }
        } else {
            prop_assert!(injected, "nothing else keeps it");
            let complete = two.taker.converter.sequencer.is_complete();
            prop_assert!(!complete);
        }
    }
}

impl Two {
    /// The link is down, and both ends know it.
    fn cut(&mut self) {
        self.to_giver.clear();
        self.to_taker.clear();
        self.fail(OverReason::NotNeeded);
        self.to_giver.clear();
        self.idle = self.idle.take().or(self.giver.converter.end_giving());
    }
}

/// Orders that all stay open.
fn adds(count: usize) -> Vec<Step> {
    let which = |n: usize| u8::try_from(n % 256).unwrap();
    (0..count).map(|n| (0, which(n), 1)).collect()
}

#[test]
fn a_giver_that_is_not_complete_gives_nothing() {
    let flow = adds(100);
    let mut two = Two::new(51, SIZES);
    two.giver.hear(&flow, 20);
    two.giver.lose(1);
    two.ask();
    two.settle(&flow);
    assert_eq!(two.failed, Some(OverReason::Incomplete));
    assert!(!two.taker.converter.sequencer.is_complete());
}

#[test]
fn a_giver_in_another_epoch_gives_nothing() {
    let flow = adds(100);
    let mut two = Two::new(51, SIZES);
    two.ask();
    if let Some(Frame::ContextRequest(request)) = two.to_giver.front_mut() {
        request.epoch = Epoch(78);
    }
    two.settle(&flow);
    assert_eq!(two.failed, Some(OverReason::Epoch));
    assert!(!two.taker.converter.sequencer.is_complete());
}

#[test]
fn a_taker_with_a_smaller_table_gives_up() {
    let flow = adds(100);
    let orders = [MOST_ORDERS, 40];
    let mut two = Two::new(61, Sizes { orders, ..SIZES });
    two.giver.hear(&flow, 60);
    two.ask();
    two.settle(&flow);
    assert_eq!(two.failed, Some(OverReason::TooManyOrders));
    assert!(!two.taker.converter.sequencer.is_complete());
}

#[test]
fn a_full_buffer_fails_the_transfer_and_the_next_one_succeeds() {
    let flow = adds(200);
    // Nine messages of 46 bytes.
    let mut two = Two::new(
        61,
        Sizes {
            buffer: 414,
            ..SIZES
        },
    );
    two.giver.hear(&flow, 60);
    two.ask();
    two.taker.hear(&flow, 9);
    assert!(!two.take(1));
    two.taker.hear(&flow, 1);
    assert!(two.take(1));
    assert_eq!(two.failed, Some(OverReason::TakerFull));
    two.giver.hear(&flow, 10);
    two.ask();
    two.settle(&flow);
    assert_eq!(two.failed, None);
    two.check(&flow);
}

#[test]
fn what_the_giver_has_passed_is_not_kept() {
    // Far more than the buffer holds, while the giver goes along and says so.
    let flow = adds(20_000);
    let mut two = Two::new(
        61,
        Sizes {
            buffer: 131_072,
            orders: [60_000; 2],
            ..SIZES
        },
    );
    two.giver.hear(&flow, 60);
    two.ask();
    two.tell_giver(usize::MAX);
    for _ in 0..40 {
        two.taker.hear(&flow, 400);
        two.giver.hear(&flow, 400);
        two.give();
        two.tell_taker(usize::MAX);
        two.tell_giver(usize::MAX);
        assert!(!two.take(1));
    }
    assert!(two.taker.next * 46 > 131_072 * 5, "five buffers");
    two.settle(&flow);
    assert_eq!(two.failed, None);
    two.check(&flow);
}

#[test]
fn more_changes_than_the_queue_holds_fail_the_transfer() {
    let flow = adds(40_000);
    let mut two = Two::new(
        1_001,
        Sizes {
            queue: 0,
            // The walk takes longer than all that follows.
            orders: [400_000; 2],
            ..SIZES
        },
    );
    two.giver.hear(&flow, 1_000);
    two.ask();
    two.tell_giver(usize::MAX);
    // The link carries nothing meanwhile.
    for _ in 0..400 {
        two.giver.hear(&flow, 97);
        two.give();
    }
    two.settle(&flow);
    assert_eq!(two.failed, Some(OverReason::GiverFull));
    two.ask();
    two.settle(&flow);
    two.check(&flow);
}

#[test]
fn no_more_chunks_are_under_way_than_the_window() {
    let flow = adds(60_000);
    let mut two = Two::new(
        50_001,
        Sizes {
            queue: 8 << 20,
            orders: [60_000; 2],
            ..SIZES
        },
    );
    // Every order of its own, so that the table is large.
    let mut step = 0;
    for end in [&mut two.giver] {
        while end.next <= 50_000 {
            let sseq = end.next;
            let mut bytes = message(sseq, (0, 0, 1));
            bytes[11..19].copy_from_slice(&(sseq << 20).to_be_bytes());
            end.converter
                .at(NOW, &mut end.sent)
                .message(sseq, &bytes, 1);
            end.next += 1;
            step += 1;
        }
    }
    assert_eq!(step, 50_000);
    two.ask();
    two.tell_giver(usize::MAX);
    for _ in 0..1_000 {
        two.give();
    }
    assert_eq!(two.to_taker.len(), 1 + 256, "the head and a window");
    two.settle(&flow);
    assert_eq!(two.failed, None);
    assert!(two.chunks > 900, "{}", two.chunks);
    two.check(&flow);
}

#[test]
fn a_giver_that_is_behind_does_not_end_before_the_taker_can_go_on() {
    let flow = adds(150);
    let mut two = Two::new(101, SIZES);
    two.giver.hear(&flow, 20);
    two.ask();
    for _ in 0..5 {
        two.tell_giver(usize::MAX);
        two.give();
        two.tell_taker(usize::MAX);
        assert!(!two.take(10));
    }
    two.giver.hear(&flow, 79);
    assert!(
        !two.give(),
        "99 were converted, and number 101 is the first that was kept"
    );
    two.settle(&flow);
    assert_eq!(two.failed, None);
    assert_eq!(two.since.map(|since| since >= 101), Some(true));
    two.check(&flow);
}
