//! What an adapter retains, and who gets it: one small case per rule, and a naive twin.
#![allow(clippy::unwrap_used, reason = "a case that does not hold fails")]

mod arbiter_kit;

use std::time::Duration;

use arbiter_kit::{R, Sender, run};
use proptest::prelude::*;
use twinfeed_protocol::retain::*;
use twinfeed_protocol::{Leg, Time};
use twinfeed_wire::fill::Stretch;
use twinfeed_wire::fill::*;
use twinfeed_wire::*;

const EPOCH: Epoch = Epoch(1);
const CONTEXT: ContextId = ContextId(1);

fn retained(messages: usize) -> Retained {
    Retained::new(&RetentionLimits {
        messages,
        bytes: 1 << 20,
        max_datagram: DEFAULT_DATAGRAM,
    })
    .unwrap()
}

fn records(from: u64, until: u64) -> FillRange {
    FillRange::Records {
        from: (from, 0),
        until: (until, 0),
    }
}

/// The numbers of the datagrams that are found, and whether all of the range is.
fn found(retained: &Retained, range: FillRange) -> (Vec<u64>, bool) {
    found_in(retained, CONTEXT, range)
}

fn found_in(retained: &Retained, context: ContextId, range: FillRange) -> (Vec<u64>, bool) {
    let found = retained.find(EPOCH, context, &range);
    let mut numbers = Vec::new();
    for bytes in retained.datagrams(&found) {
        let datagram = Datagram::parse(bytes).unwrap();
        assert!(datagram.header().flags.has(Flags::RETRANSMITTED));
        numbers.extend(datagram.records().map(|record| record.sseq));
    }
    (numbers, found.lacks.is_none())
}

#[test]
fn a_range_is_the_datagrams_that_hold_any_of_it() {
    let (mut sender, mut kept) = (Sender::new(Leg::Zero), retained(1_000));
    for first in [1, 4, 7] {
        kept.keep(&sender.records(&run(first..=first + 2)));
    }
    assert_eq!(found(&kept, records(5, 6)), (vec![4, 5, 6], true));
    assert_eq!(found(&kept, records(6, 8)), (vec![4, 5, 6, 7, 8, 9], true));
    assert_eq!(found(&kept, records(9, 10)), (vec![7, 8, 9], true));
    assert_eq!(found(&kept, records(9, 11)), (vec![7, 8, 9], false));
    assert_eq!(found(&kept, records(10, 11)), (vec![], false));
}

#[test]
fn silence_is_not_missing_and_what_was_not_taken_in_is() {
    let (mut sender, mut kept) = (Sender::new(Leg::Zero), retained(1_000));
    kept.keep(&sender.records(&[(1, 0, true, 0), (5, 0, true, 1)]));
    kept.keep(&sender.records(&[(9, 0, true, 5)]));
    assert_eq!(found(&kept, records(2, 9)), (vec![1, 5], true), "9 vouches");
    // The thread did not keep up with 10 to 12.
    kept.keep(&sender.records(&run(13..=14)));
    assert_eq!(found(&kept, records(9, 14)), (vec![9, 13, 14], false));
}

#[test]
fn what_lies_behind_the_first_stretch_that_is_gone_is_not_said_to_be() {
    let (mut sender, mut kept) = (Sender::new(Leg::Zero), retained(1_000));
    let lacks = |kept: &Retained, range| kept.find(EPOCH, CONTEXT, &range).lacks;
    let stretch = |from, until| {
        let (from, until) = ((from, 0), (until, 0));
        Some(Stretch { from, until })
    };
    kept.keep(&sender.records(&run(10..=12)));
    sender.records(&run(13..=14));
    kept.keep(&sender.records(&run(15..=16)));
    assert_eq!(lacks(&kept, records(8, 12)), stretch(8, 10));
    assert_eq!(lacks(&kept, records(8, 16)), stretch(8, 10));
    assert_eq!(lacks(&kept, records(10, 16)), stretch(13, 15));
    assert_eq!(lacks(&kept, records(14, 20)), stretch(14, 15));
    assert_eq!(lacks(&kept, records(15, 20)), stretch(17, 20));
    assert_eq!(lacks(&kept, records(10, 13)), None);
    assert_eq!(lacks(&kept, records(40, 50)), stretch(40, 50));
}

#[test]
fn the_oldest_make_room_and_are_said_to_be_lacking() {
    let (mut sender, mut kept) = (Sender::new(Leg::Zero), retained(256));
    for number in 1..=300 {
        kept.keep(&sender.records(&run(number..=number)));
    }
    assert_eq!(kept.held().0, 256);
    assert_eq!(found(&kept, records(45, 46)), (vec![45], true));
    assert_eq!(found(&kept, records(44, 46)), (vec![45], false));
    assert_eq!(found(&kept, records(44, 45)), (vec![], false));
    assert_eq!(kept.counters().overwritten, 44);
}

#[test]
fn another_context_is_another_run_and_the_old_one_is_kept_as_long_as_it_fits() {
    let (mut sender, mut kept) = (Sender::new(Leg::Zero), retained(1_000));
    kept.keep(&sender.records(&run(1..=3)));
    sender.header.context = ContextId(2);
    kept.keep(&sender.records(&run(5..=6)));
    assert_eq!(found(&kept, records(2, 4)), (vec![1, 2, 3], true));
    assert_eq!(found(&kept, records(5, 6)), (vec![], false));
    let other = found_in(&kept, ContextId(2), records(5, 7));
    assert_eq!(other, (vec![5, 6], true));
}

#[test]
fn what_was_withheld_and_is_sent_after_all_is_kept_once() {
    let (mut sender, mut kept) = (Sender::new(Leg::Zero), retained(1_000));
    let withheld: Vec<_> = [1, 4].map(|at| sender.records(&run(at..=at + 2))).into();
    for _ in 0..2 {
        for datagram in &withheld {
            kept.keep(datagram);
        }
    }
    kept.keep(&sender.records(&run(7..=9)));
    assert_eq!(kept.counters().again, 2);
    assert_eq!(found(&kept, records(3, 8)), ((1..=9).collect(), true));
}

#[test]
fn an_administrative_message_is_found_by_its_number_when_the_records_about_it_are_gone() {
    let (mut sender, mut kept) = (Sender::new(Leg::Zero), retained(256));
    kept.keep(&sender.records(&run(1..=1)));
    kept.keep(&sender.administrative(1, Adm(0)));
    sender.header.base_adm = Adm(1);
    for number in 2..=400 {
        kept.keep(&sender.records(&run(number..=number)));
    }
    let message = |from, until| FillRange::Messages {
        from: Adm(from),
        until: Adm(until),
    };
    assert_eq!(found(&kept, message(0, 1)), (vec![1], true));
    assert_eq!(found(&kept, message(0, 2)), (vec![1], false));
    assert_eq!(found(&kept, message(1, 2)), (vec![], false));
}

/// What was answered: datagrams by asker, and replies.
#[derive(Default)]
struct Answers {
    datagrams: Vec<(usize, u64)>,
    replies: Vec<(usize, Reply)>,
}

impl Answer for Answers {
    fn datagram(&mut self, askers: &[Asker], bytes: &[u8]) {
        let first = Datagram::parse(bytes).unwrap().header().base_sseq;
        let all = askers.iter().map(|asker| (asker.0, first));
        self.datagrams.extend(all);
    }

    fn reply(&mut self, asker: Asker, reply: &Reply) {
        self.replies.push((asker.0, *reply));
    }
}

struct Stage {
    server: Server,
    kept: Retained,
    now: Time,
    answers: Answers,
    number: u64,
}

impl Stage {
    /// One datagram per number, 1 to 200.
    fn new(limits: ServerLimits) -> Self {
        let (mut sender, mut kept) = (Sender::new(Leg::Zero), retained(1_000));
        for number in 1..=200 {
            kept.keep(&sender.records(&run(number..=number)));
        }
        Self {
            server: Server::new(limits).unwrap(),
            kept,
            now: Time(1_000_000_000),
            answers: Answers::default(),
            number: 0,
        }
    }

    fn ask(&mut self, asker: usize, ranges: &[FillRange]) {
        self.ask_of(asker, StreamId(10), ranges);
    }

    fn ask_of(&mut self, asker: usize, stream: StreamId, ranges: &[FillRange]) {
        self.number += 1;
        let header = RequestHeader {
            sid: arbiter_kit::SID,
            stream,
            request: self.number,
            epoch: EPOCH,
            context: CONTEXT,
            datagrams: 64,
        };
        let mut buffer = [0; LONGEST_REQUEST];
        let length = write_request(&mut buffer, &header, ranges);
        let Fill::Request(request) = Fill::parse(&buffer[..length]).unwrap() else {
            panic!("a reply");
        };
        self.server
            .ask(self.now, Asker(asker), &request, &mut self.answers);
    }

    fn answer(&mut self) -> Answers {
        let kept = &self.kept;
        let of = |header: &RequestHeader| (header.stream == StreamId(10)).then_some(kept);
        self.server.answer(self.now, of, &mut self.answers);
        std::mem::take(&mut self.answers)
    }
}

#[test]
fn fifty_that_lost_the_same_cost_one_look_up() {
    let mut stage = Stage::new(ServerLimits::default());
    for asker in 0..50 {
        stage.ask(asker, &[records(5, 8)]);
    }
    let answers = stage.answer();
    assert_eq!(answers.datagrams.len(), 150);
    assert_eq!(answers.replies.len(), 50);
    let right = |&(_, reply): &(usize, Reply)| reply.sent == 3 && reply.lacking == 0;
    assert!(answers.replies.iter().all(right));
    let counters = stage.server.counters();
    assert_eq!((counters.repairs, counters.shared), (1, 49));
}

#[test]
fn those_who_ask_one_after_the_other_cost_one_look_up_while_nothing_has_made_room() {
    let mut stage = Stage::new(ServerLimits::default());
    let counted = |stage: &mut Stage, asker, ranges: &[FillRange]| {
        stage.ask(asker, ranges);
        let sent = stage.answer().datagrams.len();
        let counters = stage.server.counters();
        (sent, counters.repairs, counters.shared)
    };
    let range = [records(5, 8), records(11, 12)];
    assert_eq!(counted(&mut stage, 0, &range), (4, 1, 0));
    assert_eq!(counted(&mut stage, 1, &range), (4, 1, 1));
    assert_eq!(counted(&mut stage, 2, &range), (4, 1, 2));
    assert_eq!(counted(&mut stage, 3, &range[..1]), (3, 2, 2), "another");
    // What was not all there may come in yet.
    let beyond = [records(200, 203)];
    assert_eq!(counted(&mut stage, 4, &beyond), (1, 3, 2));
    assert_eq!(counted(&mut stage, 5, &beyond), (1, 4, 2));
    // 5 makes room for 1,005.
    let mut sender = Sender::new(Leg::Zero);
    for number in 1..=1_005 {
        let datagram = sender.records(&run(number..=number));
        if number > 200 {
            stage.kept.keep(&datagram);
        }
    }
    assert_eq!(counted(&mut stage, 6, &range), (3, 5, 2));
}

#[test]
fn the_same_asker_is_not_given_the_same_twice_in_a_moment() {
    let mut stage = Stage::new(ServerLimits::default());
    stage.ask(1, &[records(5, 8)]);
    stage.ask(1, &[records(5, 8)]);
    assert_eq!(stage.answer().datagrams.len(), 3);
    stage.ask(1, &[records(5, 8)]);
    let again = stage.answer();
    assert_eq!(again.datagrams, []);
    assert_eq!(again.replies[0].1.status, Status::Busy);
    stage.ask(2, &[records(5, 8)]);
    assert_eq!(stage.answer().datagrams.len(), 3, "another asker is");
    stage.now = stage.now.after(Duration::from_millis(1));
    stage.ask(1, &[records(5, 8)]);
    assert_eq!(stage.answer().datagrams.len(), 3);
}

#[test]
fn one_asker_cannot_take_all_places() {
    let mut stage = Stage::new(ServerLimits {
        waiting: 8,
        ..ServerLimits::default()
    });
    for first in 1..=4 {
        stage.ask(0, &[records(first, first + 1)]);
    }
    stage.ask(1, &[records(9, 10)]);
    let answers = stage.answer();
    assert_eq!(answers.datagrams, [(0, 1), (0, 2), (1, 9)]);
    let busy = |(asker, reply): &&(usize, Reply)| *asker == 0 && reply.status == Status::Busy;
    assert_eq!(answers.replies.iter().filter(busy).count(), 2);
}

#[test]
fn no_more_is_looked_for_than_is_sent() {
    let mut stage = Stage::new(ServerLimits {
        answer: 3,
        ..ServerLimits::default()
    });
    // 1 to 3 are sent; that 1,000 is not here is not looked for yet.
    stage.ask(0, &[records(1, 1_001)]);
    let answers = stage.answer();
    assert_eq!(answers.datagrams, [(0, 1), (0, 2), (0, 3)]);
    assert_eq!(answers.replies[0].1.lacking, 0);
}

#[test]
fn whoever_has_used_up_its_rate_is_told_when_to_come_again() {
    let limits = ServerLimits {
        client_rate: 1_000,
        burst: Duration::from_millis(10),
        answer: 20,
        ..ServerLimits::default()
    };
    let mut stage = Stage::new(limits);
    stage.ask(0, &[records(1, 100)]);
    let first = stage.answer();
    assert_eq!(first.datagrams.len(), 20, "as many as one answer has");
    stage.ask(0, &[records(21, 100)]);
    stage.ask(1, &[records(21, 100)]);
    let second = stage.answer();
    let (asker, reply) = second.replies[0];
    // 20 datagrams are 20 ms of the rate, of which 10 may be used ahead.
    let wait = Duration::from_micros(u64::from(reply.retry_after_us));
    assert_eq!((asker, reply.status), (0, Status::Busy));
    assert_eq!(wait, Duration::from_millis(10));
    assert_eq!(
        second.datagrams.len(),
        20,
        "the other has a rate of its own"
    );
    stage.now = stage.now.after(wait);
    stage.ask(0, &[records(21, 100)]);
    assert_eq!(stage.answer().datagrams.len(), 20);
}

#[test]
fn all_together_have_a_rate_too_and_a_queue_that_ends() {
    let limits = ServerLimits {
        client_rate: 1_000,
        total_rate: 1_000,
        burst: Duration::ZERO,
        waiting: 2,
        ..ServerLimits::default()
    };
    let mut stage = Stage::new(limits);
    for (asker, from) in [(0, 1), (1, 2), (2, 3)] {
        stage.ask(asker, &[records(from, from + 1)]);
    }
    let answers = stage.answer();
    assert_eq!(answers.datagrams, [(0, 1), (1, 2)]);
    let busy = |(_, reply): &&(usize, Reply)| reply.status == Status::Busy;
    assert_eq!(answers.replies.iter().filter(busy).count(), 1);
    stage.ask(3, &[records(9, 10)]);
    assert_eq!(stage.answer().replies[0].1.status, Status::Busy);
}

#[test]
fn another_stream_is_refused_and_what_is_gone_is_said_range_by_range() {
    let mut stage = Stage::new(ServerLimits::default());
    stage.ask_of(0, StreamId(11), &[records(5, 8)]);
    assert_eq!(stage.answer().replies[0].1.status, Status::Refused);
    stage.ask(0, &[records(5, 6), records(200, 203), records(7, 8)]);
    let answers = stage.answer();
    assert_eq!(answers.replies[0].1.lacking, 0b10);
    assert_eq!(answers.datagrams, [(0, 5), (0, 200), (0, 7)]);
}

/// Datagrams of the source's records, by chance where they end and whether they are taken in.
fn cut(source: &[R], cuts: &[(usize, bool)]) -> Vec<(Vec<R>, bool)> {
    let mut rest = source;
    let mut all = Vec::new();
    for &(length, taken) in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (one, behind) = rest.split_at(length.min(rest.len()));
        all.push((one.to_vec(), taken));
        rest = behind;
    }
    all
}

proptest! {
    /// The twin keeps a list of datagrams and looks through all of it.
    #[test]
    fn what_is_found_is_what_a_list_would_find(
        source in arbiter_kit::feed::source(400),
        cuts in prop::collection::vec((1..6_usize, prop::bool::weighted(0.9)), 1..40),
        (from, span) in (0..600_u64, 1..60_u64),
        messages in 256..600_usize,
    ) {
        let (mut sender, mut kept) = (Sender::new(Leg::Zero), retained(messages));
        let mut list: Vec<Vec<R>> = Vec::new();
        for (records, taken) in cut(&source, &cuts) {
            let datagram = sender.records(&records);
            if taken {
                kept.keep(&datagram);
                list.push(records);
            }
        }
        while list.iter().map(Vec::len).sum::<usize>() > messages {
            list.remove(0);
        }
        let until = from + span;
        // From its first record to its last one: what lies between and is none is silent.
        let wanted = |of: &&Vec<R>| of[0].0 < until && of[of.len() - 1].0 >= from;
        let expected: Vec<u64> = list.iter().filter(wanted).flatten().map(|it| it.0).collect();
        let (numbers, whole) = found(&kept, records(from, until));
        prop_assert_eq!(&numbers, &expected);
        if let Some(lacks) = kept.find(EPOCH, CONTEXT, &records(from, until)).lacks {
            let stretch = |of: &&R| lacks.has((of.0, of.1));
            prop_assert!((from..until).contains(&lacks.from.0) && !lacks.is_empty());
            prop_assert_eq!(list.iter().flatten().find(stretch), None);
            let in_front = |of: &&R| (from, 0) <= (of.0, of.1) && (of.0, of.1) < lacks.from;
            let has = |of: &R| list.iter().flatten().any(|it| it == of);
            prop_assert!(source.iter().filter(in_front).all(has), "{:?}", lacks);
        }
        if !expected.is_empty() {
            // Whole: every record that the source has in the range is in the list.
            let in_range = |of: &&R| (from..until).contains(&of.0);
            let all: Vec<&R> = source.iter().filter(in_range).collect();
            let here: Vec<&R> = list.iter().flatten().filter(in_range).collect();
            prop_assert!(!whole || all == here, "{:?} {:?}", all, here);
            let last = source.last().map_or(0, |it| it.0);
            if all == here && until <= last && from > list[0][0].3 {
                // Unless the silence in front of it is vouched for by what was not taken in.
                let silent = source.iter().find(|it| it.0 >= until);
                let vouched = silent.is_none_or(|it| list.iter().flatten().any(|has| has == it));
                prop_assert!(whole || !vouched, "{:?}", all);
            }
        }
    }
}
