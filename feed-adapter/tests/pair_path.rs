//! Do two adapters' data paths, with nothing between them but what they say, place a message alike on a quiet feed?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod support;

use std::net::UdpSocket;

use support::{GRANT, Rig, SID, Taken, add_order, packet};
use twinfeed_feed_adapter::Role;
use twinfeed_feed_adapter::link::notice::Heard;
use twinfeed_feed_adapter::mailbox::{Command, Grant, Ordered};
use twinfeed_feed_adapter::pairing::Wish;
use twinfeed_protocol::line::Line;
use twinfeed_protocol::pair::{PairState, Verdict};
use twinfeed_wire::link::Frame;
use twinfeed_wire::{Adm, AdminId, AdminKind, AdminMessage, Generation, StoredAdmin};

const SESSION: &[u8; 10] = b"0000000001";

/// The active's and the backup's data path, each with its own lines of one exchange.
struct Two {
    exchange: UdpSocket,
    rigs: [Rig; 2],
}

impl Two {
    /// Both have converted one message, and number alike.
    fn in_step() -> Self {
        let mut two = Self {
            exchange: UdpSocket::bind("127.0.0.1:0").unwrap(),
            rigs: [Rig::new(Role::Active, 17), Rig::new(Role::Backup, 18)],
        };
        for (rig, active) in two.rigs.iter().zip([true, false]) {
            let grant = Grant {
                generation: Generation(4),
                active,
                ..GRANT
            };
            assert!(rig.mailbox.tell(Command::Grant(grant)));
            assert!(rig.mailbox.tell(Command::Heard(1, Heard::Up)));
        }
        two.send(0, 1);
        two.send(1, 1);
        while !two.stands(1, PairState::Synchronised) || !two.stands(0, PairState::Active) {
            two.work(|_| true);
        }
        for rig in &mut two.rigs {
            rig.heard(1);
        }
        two
    }

    /// Message number `sseq` reaches one adapter.
    fn send(&self, place: usize, sseq: u64) {
        let bytes = packet(SESSION, sseq, &[add_order(sseq)]);
        let line = self.rigs[place].line(Line::A);
        self.exchange.send_to(&bytes, line).unwrap();
    }

    /// One cycle of both, and what each says is heard by the other while `passes`; the frame that does not is
    /// returned, and its receiver has not heard it.
    fn work(&mut self, passes: impl Fn(&Frame) -> bool) -> Option<Frame> {
        for place in [0, 1] {
            for frame in self.rigs[place].said_in_a_cycle() {
                if !passes(&frame) {
                    return Some(frame);
                }
                self.hear(1 - place, frame);
            }
        }
        None
    }

    fn hear(&self, place: usize, frame: Frame) {
        let said = Command::Heard(1, Heard::Said(frame));
        assert!(self.rigs[place].mailbox.tell(said));
    }

    fn stands(&self, place: usize, state: PairState) -> bool {
        let latest = self.rigs[place].board.latest();
        latest.first().is_some_and(|source| {
            source.pair.state == state && (place == 1 || source.pair.protected)
        })
    }

    fn order(&self) {
        let nameless = AdminId {
            generation: Generation(0),
            number: Adm(0),
        };
        let message = StoredAdmin::new(nameless, AdminKind::OperatorNotice, b"quiet").unwrap();
        let ordered = Ordered {
            ticket: 5,
            sid: SID,
            message,
        };
        assert!(self.rigs[0].mailbox.tell(Command::Originate(ordered)));
    }
}

#[test]
fn on_a_quiet_feed_both_place_an_order_without_a_record_to_carry_the_numbering_there() {
    let mut two = Two::in_step();
    two.order();
    let wish = loop {
        two.work(|_| true);
        if let Ok(wish) = two.rigs[0].wished.try_recv() {
            break wish;
        }
    };
    let Wish::Placed { ticket, placed, .. } = wish else {
        panic!("{wish:?}");
    };
    assert_eq!((ticket, placed.msn.0, placed.sseq), (5, 2, 1));
    // No record was sent: each subscriber takes the message itself.
    let [active, backup] = &mut two.rigs;
    let one: Vec<Taken> = active.heard(1);
    let other: Vec<Taken> = backup.heard(1);
    let message = |taken: &[Taken]| {
        let record = taken.iter().find(|it| !it.heartbeat).unwrap().clone();
        let said = AdminMessage::parse(&record.body).unwrap();
        assert_eq!(said.text(), Some("quiet"));
        (record.pos, record.prev, said.id())
    };
    assert_eq!(message(&one), message(&other));
    assert!(active.mailbox.tell(Command::Drain));
    while active.cycle() {}
    let counters = active.board.latest()[0].pair.counters;
    assert_eq!((counters.committed, counters.placed_alone), (1, 0));
}

#[test]
fn an_order_whose_commitment_cannot_be_sent_stays_where_it_was_until_one_can() {
    let mut two = Two::in_step();
    two.order();
    let mut refused = false;
    for written in [false, true] {
        loop {
            for place in [0, 1] {
                for frame in two.rigs[place].said_where(written) {
                    let settled = matches!(frame, Frame::Settled(settled) if !settled.commit);
                    refused |= settled;
                    two.hear(1 - place, frame);
                }
            }
            let placed = two.rigs[0].wished.try_recv();
            match (written, placed) {
                (false, Ok(wish)) => panic!("{wish:?}: nobody knows"),
                (false, Err(_)) if refused => break,
                (true, Ok(Wish::Placed { placed, .. })) => {
                    assert_eq!((placed.msn.0, placed.sseq), (2, 1));
                    break;
                }
                (true, Ok(wish)) => panic!("{wish:?}"),
                (_, Err(_)) => {}
            }
        }
    }
    let [active, backup] = &mut two.rigs;
    let places = [active, backup].map(|rig| {
        let taken = rig.heard(1);
        let record = taken.iter().find(|it| !it.heartbeat).unwrap();
        (record.pos, record.prev)
    });
    assert_eq!(places[0], places[1]);
}

#[test]
fn a_backup_that_holds_leaves_its_packets_in_the_socket() {
    let mut two = Two::in_step();
    two.order();
    let is_proposal = |frame: &Frame| matches!(frame, Frame::Intent(intent) if intent.hold);
    let proposal = loop {
        if let Some(frame) = two.work(|frame| !is_proposal(frame)) {
            break frame;
        }
    };
    // The packet is there before the proposal is heard; both are met in one cycle.
    let next = two.rigs[1].next_sseq();
    two.send(1, 2);
    two.hear(1, proposal);
    let mut answers = two.rigs[1].said_in_a_cycle().into_iter();
    let accepted = answers
        .any(|frame| matches!(frame, Frame::Answer(answer) if answer.verdict == Verdict::Capable));
    assert!(accepted, "it holds");
    assert_eq!(two.rigs[1].next_sseq(), next, "nothing was converted");
    // The active never says what became of it: the hold ends by itself, and nothing is lost.
    while two.rigs[1].next_sseq() == next {
        two.rigs[1].cycle();
    }
}

#[test]
fn an_order_whose_answer_comes_when_its_place_is_forgotten_is_no_refused_one() {
    let mut two = Two::in_step();
    two.order();
    // The answer is held back, and the stream goes on beyond what it remembers.
    let mut held = None;
    for first in (0..300).map(|packet| 2 + packet * 30) {
        let messages: Vec<_> = (first..first + 30).map(add_order).collect();
        let bytes = packet(SESSION, first, &messages);
        let line = two.rigs[0].line(Line::A);
        two.exchange.send_to(&bytes, line).unwrap();
        while two.rigs[0].next_sseq() < first + 30 {
            let kept = two.work(|frame| !matches!(frame, Frame::Answer(_)));
            held = held.or(kept);
        }
    }
    assert!(two.rigs[0].wished.is_empty(), "it waits for its answer");
    let Some(Frame::Answer(answer)) = held else {
        panic!("{held:?}");
    };
    assert_eq!(answer.verdict, Verdict::Capable);
    two.hear(0, Frame::Answer(answer));
    two.rigs[0].cycle();
    let wish = two.rigs[0].wished.try_recv();
    let Ok(Wish::Placed { ticket, placed, .. }) = wish else {
        panic!("{wish:?}");
    };
    assert_eq!(ticket, 5);
    assert!((1..100).contains(&placed.sseq), "{placed:?}");
}
