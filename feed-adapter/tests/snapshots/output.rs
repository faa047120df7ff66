//! What the production sequencer says, on standby and off it, over epochs, steps back, holes and generations: does a follower know where it
//! stands, and what rests?

use std::time::Duration;

use proptest::prelude::*;
use twinfeed_feed_adapter::snapshots::{Follower, Lacking};
use twinfeed_protocol::sequencer::{RetainLimits, Transmit};
use twinfeed_protocol::{Body, EpochStart, Now, Sequencer, SequencerConfig, Time};
use twinfeed_wire::{
    Adm, AdminId, AdminKind, BodyKind, DEFAULT_DATAGRAM, Epoch, Generation, Incarnation, Msn,
    StoredAdmin,
};
use zerocopy::IntoBytes as _;

use super::stream::{SID, STREAM, add, follow, follower};
use super::taker::{assert_same, snapshot};

#[derive(Clone, Debug)]
enum Happens {
    /// A source message of so many records, behind so many that carry nothing.
    Message(u64, usize),
    Silent(u64),
    Flush,
    Later(u64),
    Lost(u64),
    Ended,
    Epoch,
    StepsBack(u64),
    Standby,
    NoStandby,
    Generation,
    Clear,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        12 => (0..3_u64, 1..4_usize).prop_map(|(silent, records)| Happens::Message(silent, records)),
        2 => (1..4_u64).prop_map(Happens::Silent),
        4 => Just(Happens::Flush),
        3 => (1..30_u64).prop_map(Happens::Later),
        1 => (1..4_u64).prop_map(Happens::Lost),
        1 => Just(Happens::Ended),
        1 => Just(Happens::Epoch),
        1 => (0..3_u64).prop_map(Happens::StepsBack),
        2 => Just(Happens::Standby),
        2 => Just(Happens::NoStandby),
        1 => Just(Happens::Generation),
        2 => Just(Happens::Clear),
    ]
}

struct Out<'a>(&'a mut Follower);

impl Transmit for Out<'_> {
    fn datagram(&mut self, bytes: &[u8]) {
        follow(self.0, bytes);
    }

    fn replayed(&mut self, _: &[u8]) {}

    fn withheld(&mut self, bytes: &[u8]) {
        follow(self.0, bytes);
    }

    fn withheld_heartbeat(&mut self, bytes: &[u8]) {
        follow(self.0, bytes);
    }
}

struct World {
    sequencer: Sequencer,
    follower: Follower,
    now: Now,
    epoch: u64,
    next: u64,
    /// Orders so far, and since books were empty; whether something was lost in the epoch, or its beginning was.
    orders: u64,
    rest: usize,
    begun_late: bool,
}

impl World {
    fn new() -> Self {
        let config = SequencerConfig {
            stream: STREAM,
            sid: SID,
            incarnation: Incarnation(7),
            max_datagram: DEFAULT_DATAGRAM,
            heartbeat: Duration::from_millis(10),
            history: 1_024,
        };
        let limits = RetainLimits {
            replay: 4_000,
            records: 4_096,
            bytes: 1 << 20,
        };
        let sequencer = Sequencer::new(config).unwrap().retaining(limits).unwrap();
        let mut world = Self {
            sequencer,
            follower: follower(),
            now: Now {
                time: Time(1),
                unix_ns: 1,
            },
            epoch: 0,
            next: 1,
            orders: 0,
            rest: 0,
            begun_late: false,
        };
        world.open();
        world.begin(1, 1);
        world
    }

    fn open(&mut self) {
        let generation = Generation(self.sequencer.generation().0 + 1);
        let inherited = self.sequencer.adm();
        let out = &mut Out(&mut self.follower);
        self.sequencer
            .open_generation(self.now, generation, inherited, out);
    }

    fn begin(&mut self, epoch: u64, first: u64) {
        (self.epoch, self.next) = (epoch, first);
        self.rest = 0;
        let start = EpochStart {
            epoch: Epoch(epoch),
            first,
            complete: first == 1,
            predecessor: Epoch::NONE,
        };
        self.begun_late = first != 1;
        let out = &mut Out(&mut self.follower);
        self.sequencer.begin_epoch(self.now, start, out);
    }

    fn happens(&mut self, what: &Happens) {
        let now = self.now;
        match *what {
            Happens::Message(silent, records) => {
                self.next += silent;
                let orders = self.orders + 1..=self.orders + records as u64;
                let all: Vec<_> = orders.map(|id| add(1 + (id % 5) as u32, id)).collect();
                let bodies = all.iter().map(|record| Body {
                    kind: BodyKind::Dbn,
                    bytes: record.as_bytes(),
                });
                let before = self.sequencer.counters().messages;
                let out = &mut Out(&mut self.follower);
                self.sequencer.message(now, self.next, 0, bodies, out);
                if self.sequencer.counters().messages > before {
                    self.orders += records as u64;
                    self.rest += records;
                }
                self.next += 1;
            }
            Happens::Silent(count) => {
                for _ in 0..count {
                    let out = &mut Out(&mut self.follower);
                    let none = std::iter::empty::<Body<'_>>();
                    let none: Vec<Body<'_>> = none.collect();
                    let bodies = none.into_iter();
                    self.sequencer.message(now, self.next, 0, bodies, out);
                    self.next += 1;
                }
            }
            Happens::Flush => self.sequencer.flush(now, &mut Out(&mut self.follower)),
            Happens::Later(ms) => {
                self.now.time = now.time.after(Duration::from_millis(ms));
                let out = &mut Out(&mut self.follower);
                self.sequencer.on_deadline(self.now, out);
            }
            Happens::Lost(count) => {
                let range = self.next..self.next + count;
                let out = &mut Out(&mut self.follower);
                self.sequencer.abandon(now, range, out);
                self.next += count;
            }
            Happens::Ended => {
                let out = &mut Out(&mut self.follower);
                self.sequencer.end_epoch(now, self.next, out);
            }
            Happens::Epoch => self.begin(self.epoch + 1, 1),
            Happens::StepsBack(by) => self.begin(self.epoch, 1 + by),
            Happens::Standby => {
                let out = &mut Out(&mut self.follower);
                self.sequencer.begin_standby(now, None, out);
            }
            Happens::NoStandby => {
                let out = &mut Out(&mut self.follower);
                self.sequencer.end_standby(now, out);
            }
            Happens::Generation => self.open(),
            Happens::Clear => {
                let id = AdminId {
                    generation: self.sequencer.generation(),
                    number: self.sequencer.next_number(),
                };
                let message = StoredAdmin::new(id, AdminKind::OperatorNotice, b"!").unwrap();
                let slot = Msn(self.sequencer.next_msn().0);
                self.sequencer.arm(slot, message, true);
            }
        }
    }

    /// Everything is said, and compared.
    fn compare(&mut self) {
        let out = &mut Out(&mut self.follower);
        self.now.time = self.now.time.after(Duration::from_millis(50));
        self.sequencer.flush(self.now, out);
        self.sequencer.on_deadline(self.now, out);
        let cursor = self.follower.cursor().unwrap();
        let next = self.sequencer.next_pos().unwrap();
        assert_eq!(cursor.next, next);
        assert_eq!(Some(cursor.context), self.sequencer.context_id());
        assert_eq!(cursor.complete, self.sequencer.is_complete());
        let count = cursor.count.unwrap_or((Adm(0), Generation(0)));
        assert_eq!(count, (self.sequencer.adm(), self.sequencer.generation()));
        let lacking = self.begun_late.then_some(Lacking::Beginning);
        assert_eq!(self.follower.lacking(), lacking);
        assert_eq!(self.follower.books().orders(SID), self.rest);
        if lacking.is_none() {
            let taken = snapshot(&mut self.follower, 3);
            assert_same(&taken.books, self.follower.books());
            assert_eq!(taken.end.cursor, cursor.into());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn whatever_a_sequencer_says_is_followed(
        all in prop::collection::vec(happens(), 1..80),
        often in 1..30_usize,
    ) {
        let mut world = World::new();
        for (what, at) in all.iter().zip(1..) {
            world.happens(what);
            if at % often == 0 {
                world.compare();
            }
        }
        world.compare();
    }
}
