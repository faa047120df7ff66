//! What the production sequencer says, on standby and off it, over epochs, steps back, holes and generations: does a follower know where it
//! stands, and what rests? And does another process know the same, which began in mid-session, once it has a snapshot of the first?

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use twinfeed_feed_adapter::snapshots::{Follower, Lacking};
use twinfeed_protocol::join::{Whole, Wish};
use twinfeed_protocol::sequencer::{RetainLimits, Transmit};
use twinfeed_protocol::{Body, EpochStart, Now, Sequencer, SequencerConfig, Time};
use twinfeed_wire::{
    Adm, AdminId, AdminKind, BodyKind, DEFAULT_DATAGRAM, Datagram, Epoch, Generation, Incarnation,
    Msn, StoredAdmin,
};
use zerocopy::IntoBytes as _;

use super::stream::{SID, STREAM, add, follower};
use super::taker::{assert_same, snapshot, whole};

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
    /// Another process follows from here on.
    Restart,
    /// It did not keep up.
    Missed,
    Ask,
    Write(usize),
    Give,
    Restore(usize),
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
        3 => Just(Happens::Restart),
        1 => Just(Happens::Missed),
        3 => Just(Happens::Ask),
        4 => (1..20_usize).prop_map(Happens::Write),
        4 => Just(Happens::Give),
        4 => (1..6_usize).prop_map(Happens::Restore),
    ]
}

/// Who follows: the adapter's first process, and another one that took its place, at first in mid-session.
struct Both {
    first: Follower,
    second: Follower,
    /// What the second one wants, and since when it does.
    asked: Option<Wish>,
    /// A snapshot of the first one.
    given: Option<Whole>,
    now: Time,
    /// The second one does not follow the next datagram.
    loses: bool,
}

impl Both {
    fn hear(&mut self, bytes: &[u8]) {
        let datagram = Datagram::parse(bytes).unwrap();
        self.first.datagram(&datagram, self.now);
        if core::mem::take(&mut self.loses) {
            return self.second.missed();
        }
        self.second.datagram(&datagram, self.now);
    }

    /// The first one writes so many orders of a snapshot; one that is whole is kept where it answers what was asked.
    fn write(&mut self, orders: usize) {
        if !self.first.is_walking() && !self.first.walk() {
            return;
        }
        let Some(given) = self.first.step(orders) else {
            return;
        };
        let cursor = given.cursor();
        let fits = self.asked.is_some_and(|wish| {
            cursor.context == wish.from.context && wish.not_before().is_reached_by(cursor)
        });
        self.given = fits.then(|| whole(&given));
    }

    fn ask(&mut self) {
        self.asked = match self.second.ask(self.now) {
            true => self.second.wish(),
            false => None,
        };
    }

    fn give(&mut self) {
        if let (Some(wish), Some(whole)) = (self.asked, self.given.take()) {
            let _ = self.second.on_snapshot(wish.serial, whole);
        }
    }

    /// Until the second one knows all, if it can.
    fn complete(&mut self) {
        for _ in 0..4 {
            self.second.restore(usize::MAX, self.now);
            self.ask();
            for _ in 0..1_000 {
                if self.given.is_some() {
                    break;
                }
                self.write(100);
            }
            self.give();
        }
        self.second.restore(usize::MAX, self.now);
    }
}

struct Out<'a>(&'a mut Both);

impl Transmit for Out<'_> {
    fn datagram(&mut self, bytes: &[u8]) {
        self.0.hear(bytes);
    }

    fn replayed(&mut self, _: &[u8]) {}

    fn withheld(&mut self, bytes: &[u8]) {
        self.0.hear(bytes);
    }

    fn withheld_heartbeat(&mut self, bytes: &[u8]) {
        self.0.hear(bytes);
    }
}

struct World {
    sequencer: Sequencer,
    both: Both,
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
            both: Both {
                first: follower(),
                second: follower(),
                asked: None,
                given: None,
                now: Time(1),
                loses: false,
            },
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
        let out = &mut Out(&mut self.both);
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
        // As the server's thread does: what was written before is of another past.
        self.both.given = None;
        let out = &mut Out(&mut self.both);
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
                let out = &mut Out(&mut self.both);
                self.sequencer.message(now, self.next, 0, bodies, out);
                if self.sequencer.counters().messages > before {
                    self.orders += records as u64;
                    self.rest += records;
                }
                self.next += 1;
            }
            Happens::Silent(count) => {
                for _ in 0..count {
                    let out = &mut Out(&mut self.both);
                    let none = std::iter::empty::<Body<'_>>();
                    let none: Vec<Body<'_>> = none.collect();
                    let bodies = none.into_iter();
                    self.sequencer.message(now, self.next, 0, bodies, out);
                    self.next += 1;
                }
            }
            Happens::Flush => self.sequencer.flush(now, &mut Out(&mut self.both)),
            Happens::Later(ms) => {
                self.now.time = now.time.after(Duration::from_millis(ms));
                self.both.now = self.now.time;
                let out = &mut Out(&mut self.both);
                self.sequencer.on_deadline(self.now, out);
            }
            Happens::Lost(count) => {
                let range = self.next..self.next + count;
                let out = &mut Out(&mut self.both);
                self.sequencer.abandon(now, range, out);
                self.next += count;
            }
            Happens::Ended => {
                let out = &mut Out(&mut self.both);
                self.sequencer.end_epoch(now, self.next, out);
            }
            Happens::Epoch => self.begin(self.epoch + 1, 1),
            Happens::StepsBack(by) => self.begin(self.epoch, 1 + by),
            Happens::Standby => {
                let out = &mut Out(&mut self.both);
                self.sequencer.begin_standby(now, None, out);
            }
            Happens::NoStandby => {
                let out = &mut Out(&mut self.both);
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
            Happens::Restart => self.both.second = follower(),
            Happens::Missed => self.both.loses = true,
            Happens::Ask => self.both.ask(),
            Happens::Write(orders) => self.both.write(orders),
            Happens::Give => self.both.give(),
            Happens::Restore(orders) => {
                self.both.second.restore(orders, self.both.now);
            }
        }
    }

    /// Whoever knows all knows the same.
    fn compare_both(&self) {
        let Both { first, second, .. } = &self.both;
        if second.lacking().is_some() {
            return;
        }
        assert_eq!(first.lacking(), None, "{:?}", second.cursor());
        assert_same(first.books(), second.books());
        let known = |of: &Follower| {
            let entries = (0..of.kept().len()).filter_map(|at| of.kept().entry(at));
            let entries = entries.map(|it| (it.definition().copied(), it.statuses().to_vec()));
            entries.map(|it| format!("{it:?}")).collect::<BTreeSet<_>>()
        };
        assert_eq!(known(first), known(second));
        let at = |of: &Follower| {
            let cursor = of.cursor().unwrap();
            (cursor.context, cursor.complete, cursor.count)
        };
        assert_eq!(at(first), at(second));
        // What began with a message has not heard that numbers in front of it carry nothing.
        assert!(second.cursor().map(|it| it.next) <= first.cursor().map(|it| it.next));
    }

    /// The second one asks until it knows all.
    fn complete(&mut self) {
        let first = self.both.first.lacking();
        let heard = self.both.second.cursor().is_some();
        self.both.complete();
        if first.is_none() && heard && self.sequencer.is_complete() {
            assert_eq!(self.both.second.lacking(), None);
        }
        self.compare_both();
    }

    /// Everything is said, and compared.
    fn compare(&mut self) {
        let out = &mut Out(&mut self.both);
        self.now.time = self.now.time.after(Duration::from_millis(50));
        self.sequencer.flush(self.now, out);
        self.sequencer.on_deadline(self.now, out);
        let cursor = self.both.first.cursor().unwrap();
        let next = self.sequencer.next_pos().unwrap();
        assert_eq!(cursor.next, next);
        assert_eq!(Some(cursor.context), self.sequencer.context_id());
        assert_eq!(cursor.complete, self.sequencer.is_complete());
        let count = cursor.count.unwrap_or((Adm(0), Generation(0)));
        assert_eq!(count, (self.sequencer.adm(), self.sequencer.generation()));
        let lacking = self.begun_late.then_some(Lacking::Beginning);
        assert_eq!(self.both.first.lacking(), lacking);
        assert_eq!(self.both.first.books().orders(SID), self.rest);
        if lacking.is_none() {
            let taken = snapshot(&mut self.both.first, 3);
            assert_same(&taken.books, self.both.first.books());
            assert_eq!(taken.end.cursor, cursor.into());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    fn whatever_a_sequencer_says(
        all in prop::collection::vec(happens(), 1..80),
        often in 1..30_usize,
    ) {
        // Another process of the adapter is there too, and makes what it knows whole with the first one's snapshots.
        let mut world = World::new();
        for (what, at) in all.iter().zip(1..) {
            world.happens(what);
            world.compare_both();
            if at % often == 0 {
                world.compare();
            }
        }
        // Who missed the last that came is not to ask before something comes.
        world.compare();
        world.compare();
        world.complete();
        RESTORED.fetch_add(world.both.second.restored(), Ordering::Relaxed);
    }
}

#[test]
fn whatever_a_sequencer_says_is_followed() {
    whatever_a_sequencer_says();
    let restored = RESTORED.load(Ordering::Relaxed);
    assert!(restored > 100, "{restored}");
}

/// Times that a snapshot made the second one whole.
static RESTORED: AtomicU64 = AtomicU64::new(0);
