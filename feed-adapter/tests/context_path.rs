//! Do two adapters' data paths, with nothing between them but what they say, become a pair again in mid-session?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod support;

use std::net::UdpSocket;

use support::{GRANT, Rig, Taken, add_order, config, delete_order, end, packet};
use twinfeed_feed_adapter::Role;
use twinfeed_feed_adapter::config::Config;
use twinfeed_feed_adapter::decode::itch50::Settings;
use twinfeed_feed_adapter::link::notice::Heard;
use twinfeed_feed_adapter::link::voice::Next;
use twinfeed_feed_adapter::mailbox::{Command, Grant, Mailbox};
use twinfeed_feed_adapter::note::News;
use twinfeed_feed_adapter::pipeline::TransferCounters;
use twinfeed_feed_adapter::snapshot::SourceSnapshot;
use twinfeed_feed_adapter::transfer::is_for_workshop;
use twinfeed_feed_adapter::transfer::workshop::{Errand, Made, Output, Workshop};
use twinfeed_protocol::line::Line;
use twinfeed_protocol::pair::PairState;
use twinfeed_wire::link::{ContextTaken, Frame};
use twinfeed_wire::{Generation, Sid};

const SESSION: &[u8; 10] = b"0000000001";

/// Two data paths and their workshops; 0 is active and complete, 1 began late.
struct Two {
    exchange: UdpSocket,
    rigs: [Rig; 2],
    workshops: [Workshop; 2],
    pairing: u64,
}

/// Where a workshop's words go: its own data path, and the other one.
struct Words<'a> {
    own: &'a Mailbox,
    other: &'a Mailbox,
}

impl Output for Words<'_> {
    fn made(&mut self, sid: Sid, transfer: u32, made: Made) -> bool {
        self.own.tell(Command::Made(sid, transfer, made))
    }
    fn taken(&mut self, pairing: u64, taken: ContextTaken) {
        let said = Heard::Said(Frame::ContextTaken(taken));
        assert!(self.other.tell(Command::Heard(pairing, said)));
    }
}

impl Two {
    fn new(configs: &[Config; 2]) -> Self {
        let workshops = configs.each_ref().map(|config| {
            let settings = Settings {
                publisher_id: config.publisher_id,
                max_open_orders: config.max_open_orders,
            };
            Workshop::new(settings, config.trading_day, config.pair.context_buffer)
        });
        let two = Self {
            exchange: UdpSocket::bind("127.0.0.1:0").unwrap(),
            rigs: [
                Rig::configured(&configs[0], 17),
                Rig::configured(&configs[1], 18),
            ],
            workshops,
            pairing: 1,
        };
        for (rig, active) in two.rigs.iter().zip([true, false]) {
            let grant = Grant {
                generation: Generation(4),
                active,
                ..GRANT
            };
            assert!(rig.mailbox.tell(Command::Grant(grant)));
        }
        two.tell_both(Heard::Up);
        two
    }

    fn tell_both(&self, heard: Heard) {
        for rig in &self.rigs {
            assert!(rig.mailbox.tell(Command::Heard(self.pairing, heard)));
        }
    }

    /// These messages, the first of which is number `first`, reach one adapter.
    fn send(&self, place: usize, first: u64, messages: &[Vec<u8>]) {
        let bytes = packet(SESSION, first, messages);
        let line = self.rigs[place].line(Line::A);
        self.exchange.send_to(&bytes, line).unwrap();
    }

    /// Additions from number `first` to `last` reach one adapter, and are converted.
    fn add(&mut self, place: usize, first: u64, last: u64) {
        for sseq in first..=last {
            self.send(place, sseq, &[add_order(sseq)]);
            while self.rigs[place].next_sseq() <= sseq {
                self.work();
            }
        }
    }

    /// One cycle of both, and everything that follows between them.
    fn work(&mut self) {
        self.work_but(|_| true);
    }

    /// The same, but frames that do not pass get lost.
    fn work_but(&mut self, mut passes: impl FnMut(&Frame) -> bool) {
        for place in [0, 1] {
            self.rigs[place].cycle();
            while let Next::Frame(frame) = self.rigs[place].spoken.next(self.pairing) {
                let to = 1 - place;
                if !passes(&frame) {
                    continue;
                }
                if is_for_workshop(&frame) {
                    self.errand(to, Errand::Frame(self.pairing, frame));
                } else {
                    let said = Command::Heard(self.pairing, Heard::Said(frame));
                    assert!(self.rigs[to].mailbox.tell(said));
                }
            }
            while let Ok(errand) = self.rigs[place].errands.try_recv() {
                self.errand(place, errand);
            }
        }
    }

    fn errand(&mut self, place: usize, errand: Errand) {
        let mut words = Words {
            own: &self.rigs[place].mailbox,
            other: &self.rigs[1 - place].mailbox,
        };
        self.workshops[place].on_errand(errand, &mut words);
    }

    fn snapshot(&self, place: usize) -> Option<SourceSnapshot> {
        self.rigs[place].board.latest().into_iter().next()
    }

    fn counters(&self, place: usize) -> TransferCounters {
        self.snapshot(place).unwrap().transfers
    }

    fn until(&mut self, met: impl Fn(&Self) -> bool) {
        // Cycles, not time: each is a few microseconds, and a pause of the taker's is 100 ms.
        for _ in 0..3_000_000 {
            if met(self) {
                return;
            }
            self.work();
        }
        panic!("{:?} {:?}", self.snapshot(0), self.snapshot(1));
    }
}

fn configs(extra: &str) -> [Config; 2] {
    let pair = format!("[pair]\n{extra}");
    [config(Role::Active, &pair), config(Role::Backup, &pair)]
}

/// An active that has converted everything up to 60, and a backup that began with 41.
fn late(extra: &str) -> Two {
    let mut two = Two::new(&configs(extra));
    two.add(0, 1, 40);
    // A first message alone could be any number: so many confirm it.
    for sseq in 41..=60 {
        two.send(0, sseq, &[add_order(sseq)]);
        two.send(1, sseq, &[add_order(sseq)]);
    }
    two.until(|two| two.rigs.iter().all(|rig| rig.next_sseq() == 61));
    two
}

fn is_complete(two: &Two) -> bool {
    two.snapshot(1).is_some_and(|it| it.complete)
}

fn records(taken: Vec<Taken>) -> Vec<Taken> {
    let records = taken.into_iter().filter(|taken| !taken.heartbeat);
    records
        .map(|taken| Taken {
            stream: twinfeed_wire::StreamId(0),
            // Until it takes the numbering over, the late one counts in nobody's.
            generation: Generation(0),
            ..taken
        })
        .collect()
}

#[test]
fn a_backup_that_began_late_takes_its_peers_orders_over_and_the_pair_is_protected() {
    let mut two = late("");
    two.until(is_complete);
    two.until(|two| two.counters(1).taken == 1 && two.counters(0).given == 1);
    for rig in &mut two.rigs {
        rig.heard(1);
    }
    // Orders that the backup has never seen added.
    for place in [0, 1] {
        let gone: Vec<_> = (1..=20).map(delete_order).collect();
        two.send(place, 61, &gone);
    }
    two.until(|two| two.rigs.iter().all(|rig| rig.next_sseq() == 81));
    let [zero, one] = &mut two.rigs;
    let (zero, one) = (records(zero.heard(20)), records(one.heard(20)));
    assert_eq!(one, zero);
    assert!(one.iter().all(|taken| taken.complete));
    two.until(|two| {
        let stands = |place, state| {
            two.snapshot(place)
                .is_some_and(|it| it.pair.protected && it.pair.state == state)
        };
        stands(0, PairState::Active) && stands(1, PairState::Synchronised)
    });
    let mut notes = std::iter::from_fn(|| two.rigs[1].notes.take());
    assert!(
        notes.any(|note| matches!(note.news, News::ContextTaken { .. })),
        "said in the log"
    );
}

#[test]
fn an_active_with_a_hole_takes_its_backups_past_over() {
    let mut two = Two::new(&configs(""));
    two.add(0, 1, 5);
    two.add(1, 1, 5);
    // Line A alone: what it passes is lost at once, or after the hold.
    two.send(1, 6, &[add_order(6)]);
    for place in [0, 1] {
        two.send(place, 7, &[add_order(7)]);
    }
    two.until(|two| two.counters_or_none(0).taken == 1);
    assert!(two.snapshot(0).unwrap().complete);
    two.until(|two| two.counters(1).given == 1);
    two.add(0, 8, 9);
    two.add(1, 8, 9);
    two.until(|two| {
        let protected = |place| two.snapshot(place).is_some_and(|it| it.pair.protected);
        protected(0) && protected(1)
    });
}

impl Two {
    fn counters_or_none(&self, place: usize) -> TransferCounters {
        self.snapshot(place)
            .map(|it| it.transfers)
            .unwrap_or_default()
    }
}

#[test]
fn where_it_is_switched_off_nothing_is_asked_or_given() {
    let mut two = late("context_transfer = false");
    for _ in 0..100_000 {
        two.work();
    }
    assert!(!is_complete(&two));
    assert_eq!(two.counters(1), TransferCounters::default());
    // One that asks all the same is refused.
    let [active, _] = configs("context_transfer = false");
    let [_, backup] = configs("context_transfer = true");
    let mut two = Two::new(&[active, backup]);
    two.add(0, 1, 5);
    for sseq in 6..=20 {
        two.send(0, sseq, &[add_order(sseq)]);
        two.send(1, sseq, &[add_order(sseq)]);
    }
    two.until(|two| two.counters_or_none(1).not_taken > 0);
    assert!(two.counters_or_none(0).given == 0 && !is_complete(&two));
}

#[test]
fn a_link_that_is_cut_in_mid_transfer_leaves_nothing_and_the_next_pairing_begins_anew() {
    let mut two = Two::new(&configs(""));
    two.add(0, 1, 40);
    for sseq in 41..=60 {
        two.send(0, sseq, &[add_order(sseq)]);
        two.send(1, sseq, &[add_order(sseq)]);
    }
    // As far as the request, and no further.
    let mut asked = false;
    while !asked {
        for place in [0, 1] {
            two.rigs[place].cycle();
            while let Next::Frame(frame) = two.rigs[place].spoken.next(1) {
                asked |= matches!(frame, Frame::ContextRequest(_));
                let said = Command::Heard(1, Heard::Said(frame));
                assert!(two.rigs[1 - place].mailbox.tell(said));
            }
            while let Ok(errand) = two.rigs[place].errands.try_recv() {
                two.errand(place, errand);
            }
        }
    }
    two.rigs[0].cycle();
    let mut said = Vec::new();
    while let Next::Frame(frame) = two.rigs[0].spoken.next(1) {
        said.push(frame);
    }
    let begun = |frame: &&Frame| matches!(frame, Frame::ContextHead(_));
    assert!(said.iter().any(|frame| begun(&frame)), "it was under way");
    two.tell_both(Heard::Down { gone: false });
    two.pairing = 2;
    two.tell_both(Heard::Up);
    two.until(|two| is_complete(two) && two.counters(1).taken == 1);
    assert!(two.counters(1).not_taken >= 1);
}

#[test]
fn a_session_that_ends_meanwhile_ends_the_transfer() {
    let mut two = Two::new(&configs(""));
    two.add(0, 1, 40);
    for sseq in 41..=60 {
        two.send(0, sseq, &[add_order(sseq)]);
        two.send(1, sseq, &[add_order(sseq)]);
    }
    // What the giver hands over does not arrive.
    let mut chunks = 0;
    while chunks == 0 || two.rigs.iter().any(|rig| rig.next_sseq() != 61) {
        two.work_but(|frame| {
            let chunk = matches!(frame, Frame::ContextChunk(_));
            chunks += u32::from(chunk);
            !chunk && !matches!(frame, Frame::ContextEnd(_))
        });
    }
    for place in [0, 1] {
        let bytes = end(SESSION, 61);
        for line in [Line::A, Line::B] {
            let line = two.rigs[place].line(line);
            two.exchange.send_to(&bytes, line).unwrap();
        }
    }
    two.until(|two| two.snapshot(1).is_some_and(|it| it.ended));
    two.until(|two| two.counters(1).not_taken == 1);
    for _ in 0..10_000 {
        two.work();
    }
    let TransferCounters {
        taken, not_taken, ..
    } = two.counters(1);
    assert_eq!((taken, not_taken), (0, 1), "nobody asks for what is over");
    assert!(
        !is_complete(&two),
        "its records were all of the old context"
    );
}
