//! The short ways of a datagram against the long one: whatever two legs do, both tell and count the same.
//!
//! Two arbiters are handed the same; one takes every datagram the long way. After each step everything that can be seen of
//! them must be alike: what was told, counters, both legs' status, the next deadline, what is asked for.
#![allow(
    clippy::unwrap_used,
    reason = "a datagram of the kit that does not fit fails the test"
)]

mod arbiter_kit;

use std::time::Duration;

use arbiter_kit::feed::source;
use arbiter_kit::*;
use proptest::prelude::*;
use twinfeed_protocol::*;
use twinfeed_wire::*;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A leg brings its next so many records in one datagram.
    Bring(usize, usize),
    /// It is lost on the way.
    Lose(usize, usize),
    /// A leg goes back by so many records.
    Back(usize, usize),
    /// A leg says where it stands, and with which flags.
    Beat(usize, u16),
    /// A leg's next datagrams carry these flags, until it says others.
    Flags(usize, u16),
    /// Both legs bring an administrative message behind what the first has brought.
    Message,
    /// One of them alone does.
    OneMessage(usize),
    /// A leg converts in another context, or speaks of another epoch, or under another generation, or it begins anew.
    Turn(usize, u8),
    Control(u8),
    Pass(u64),
    /// The last datagram of a leg comes again.
    Again(usize),
    /// One bit of the next datagram of a leg is another one.
    Corrupt(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let leg = || 0..2_usize;
    prop_oneof![
        30 => (leg(), 1..8_usize).prop_map(|(leg, count)| Step::Bring(leg, count)),
        1 => (leg(), 1..4_usize).prop_map(|(leg, count)| Step::Lose(leg, count)),
        1 => (leg(), 1..12_usize).prop_map(|(leg, count)| Step::Back(leg, count)),
        2 => (leg(), prop_oneof![9 => Just(0_u16), 1 => 0..512_u16]).prop_map(|(leg, flags)| Step::Beat(leg, flags)),
        1 => (leg(), prop_oneof![Just(0_u16), Just(1 << 4), Just(1 << 5), Just(1 << 7), 0..512_u16]).prop_map(|(leg, flags)| Step::Flags(leg, flags)),
        1 => Just(Step::Message),
        1 => leg().prop_map(Step::OneMessage),
        1 => (leg(), 0..4_u8).prop_map(|(leg, what)| Step::Turn(leg, what)),
        1 => (0..6_u8).prop_map(Step::Control),
        3 => (0..40_u64).prop_map(Step::Pass),
        1 => leg().prop_map(Step::Again),
        1 => (leg(), 0..1_000_usize).prop_map(|(leg, bit)| Step::Corrupt(leg, bit)),
    ]
}

/// The same to both.
struct Both {
    short: Kit,
    long: Kit,
}

impl Both {
    fn new(limits: Limits) -> Self {
        let mut long = Kit::new(limits);
        long.arbiter.without_short_ways();
        let mut both = Self {
            short: Kit::new(limits),
            long,
        };
        for kit in both.kits() {
            kit.arbiter.set_fill_server(Leg::Zero, true);
        }
        both
    }

    fn kits(&mut self) -> [&mut Kit; 2] {
        [&mut self.short, &mut self.long]
    }

    fn each(&mut self, what: impl Fn(&mut Kit)) {
        self.kits().into_iter().for_each(what);
    }

    fn alike(&mut self) -> Result<(), TestCaseError> {
        let [short, long] = self.kits();
        prop_assert_eq!(
            std::mem::take(&mut short.log.0),
            std::mem::take(&mut long.log.0)
        );
        prop_assert_eq!(short.arbiter.counters(), long.arbiter.counters());
        for leg in Leg::BOTH {
            prop_assert_eq!(
                short.arbiter.leg_status(SID, leg),
                long.arbiter.leg_status(SID, leg)
            );
        }
        prop_assert_eq!(short.arbiter.next_deadline(), long.arbiter.next_deadline());
        let asked = [&mut short.arbiter, &mut long.arbiter]
            .map(|arbiter| format!("{:?}", arbiter.poll_request()));
        prop_assert_eq!(&asked[0], &asked[1]);
        Ok(())
    }
}

/// A leg on its way through the source.
struct Line {
    sender: Sender,
    at: usize,
    last: Vec<u8>,
}

impl Line {
    fn next(&mut self, source: &[R], count: usize) -> Option<Vec<u8>> {
        let records = &source[self.at..(self.at + count).min(source.len())];
        self.at += records.len();
        (!records.is_empty()).then(|| self.sender.records(records))
    }

    /// Number behind its last record, and the last.
    fn stands(&self, source: &[R]) -> (u64, u64) {
        let last = self.at.checked_sub(1).map(|at| source[at]);
        last.map_or((1, 0), |(sseq, _, is_last, _)| {
            (sseq + u64::from(is_last), sseq)
        })
    }

    fn message(&mut self, behind: u64) -> Vec<u8> {
        let adm = self.sender.header.base_adm;
        self.sender.header.base_adm = Adm(adm.0 + 1);
        self.sender.administrative(behind, adm)
    }

    fn turn(&mut self, what: u8) {
        let header = &mut self.sender.header;
        match what {
            0 => header.context.0 += 1,
            1 => {
                (header.predecessor, header.epoch) = (header.epoch, Epoch(header.epoch.0 + 1));
                self.at = 0;
            }
            2 => header.generation.0 += 1,
            _ => {
                header.incarnation.0 += 100;
                header.dsn = Dsn(0);
            }
        }
    }
}

/// Plays the steps to both; how many datagrams took a short way.
fn play(source: &[R], steps: &[Step], limits: Limits) -> Result<[u64; 2], TestCaseError> {
    let mut both = Both::new(limits);
    let mut lines = Leg::BOTH.map(|leg| Line {
        sender: Sender::new(leg),
        at: 0,
        last: Vec::new(),
    });
    let give = |both: &mut Both, line: &mut Line, bytes: Vec<u8>| {
        both.each(|kit| kit.give(line.sender.leg, &bytes));
        line.last = bytes;
        both.alike()
    };
    for step in steps {
        match *step {
            Step::Bring(leg, count) => {
                if let Some(bytes) = lines[leg].next(source, count) {
                    give(&mut both, &mut lines[leg], bytes)?;
                }
            }
            Step::Lose(leg, count) => drop(lines[leg].next(source, count)),
            Step::Back(leg, count) => lines[leg].at = lines[leg].at.saturating_sub(count),
            Step::Beat(leg, flags) => {
                let line = &mut lines[leg];
                let (next_sseq, prev) = line.stands(source);
                let beat = Beat {
                    next_sseq,
                    prev,
                    interval_us: 10_000,
                    ..Beat::default()
                };
                let before = line.sender.header.flags;
                line.sender.header.flags = Flags(flags).without(Flags::SEALED);
                let bytes = line.sender.heartbeat(beat);
                line.sender.header.flags = before;
                give(&mut both, line, bytes)?;
            }
            Step::Flags(leg, flags) => {
                lines[leg].sender.header.flags =
                    Flags(flags).without(Flags::SEALED.with(Flags::HEARTBEAT));
            }
            Step::Message => {
                let behind = lines[0].stands(source).1;
                for line in &mut lines {
                    let bytes = line.message(behind);
                    give(&mut both, line, bytes)?;
                }
            }
            Step::OneMessage(leg) => {
                let behind = lines[leg].stands(source).1;
                let bytes = lines[leg].message(behind);
                give(&mut both, &mut lines[leg], bytes)?;
            }
            Step::Turn(leg, what) => lines[leg].turn(what),
            Step::Control(what) => {
                let leg = Leg::BOTH[usize::from(what % 2)];
                let generation = lines[0].sender.header.generation;
                let control = match what / 2 {
                    0 => Control::Roles {
                        active: leg,
                        generation,
                    },
                    1 => Control::Order { to: leg },
                    _ => Control::LocalDrops { leg, datagrams: 3 },
                };
                both.each(|kit| kit.control(control));
            }
            Step::Pass(span) => both.each(|kit| kit.pass(Duration::from_millis(span))),
            Step::Again(leg) => {
                let bytes = lines[leg].last.clone();
                give(&mut both, &mut lines[leg], bytes)?;
            }
            Step::Corrupt(leg, bit) => {
                if let Some(mut bytes) = lines[leg].next(source, 3) {
                    let at = bit % (bytes.len() * 8);
                    bytes[at / 8] ^= 1 << (at % 8);
                    // What was delivered before is not proven, and so may be taken for what it claims to be.
                    both.each(|kit| kit.give(lines[leg].sender.leg, &bytes));
                    let copies = both.short.arbiter.counters().rejected
                        != both.long.arbiter.counters().rejected;
                    if copies {
                        both.each(|kit| kit.log.0.clear());
                        return Ok(both.short.arbiter.short_ways());
                    }
                    both.alike()?;
                }
            }
        }
        both.alike()?;
    }
    Ok(both.short.arbiter.short_ways())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn short_ways_tell_and_count_what_the_long_one_does(
        source in source(200),
        steps in prop::collection::vec(step(), 1..150),
        prefer in any::<bool>(),
        tiny in any::<bool>(),
    ) {
        let usual = Limits::default();
        let limits = Limits {
            policy: if prefer { Policy::PreferActive } else { Policy::FirstArrival },
            held_records: if tiny { 8 } else { usual.held_records },
            window: if tiny { 16 } else { usual.window },
            adm_window: if tiny { 2 } else { usual.adm_window },
            ..usual
        };
        play(&source, &steps, limits)?;
    }
}

#[test]
fn two_equal_legs_take_the_short_ways_all_the_time() {
    let source = run(1..=500);
    let steps: Vec<Step> = (0..100)
        .flat_map(|_| [Step::Bring(0, 5), Step::Bring(1, 5)])
        .collect();
    let [copies, next] = play(&source, &steps, Limits::default()).unwrap();
    // Each leg's first is looked at in whole.
    assert_eq!((copies, next), (99, 99));
}

/// One bit of a copy of 7 to 9 is another one; then the first leg ends, and the other one goes on alone.
fn corrupted(bit: Option<usize>, short: bool) -> (Vec<Told>, Counters) {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    if !short {
        kit.arbiter.without_short_ways();
    }
    kit.joined(&mut zero, &mut one, 3);
    kit.records(&mut zero, &run(4..=43));
    kit.records(&mut one, &run(4..=6));
    let mut bytes = one.records(&run(7..=9));
    if let Some(bit) = bit {
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    kit.give(Leg::One, &bytes);
    zero.header.flags = Flags::END_OF_STREAM;
    kit.beat(&mut zero, 43, 44);
    kit.beat(&mut one, 9, 10);
    kit.records(&mut one, &run(10..=43));
    kit.pass(ms(2));
    kit.records(&mut one, &run(44..=45));
    let mut told = kit.told();
    // Receipts say what was counted.
    told.retain(|told| !matches!(told, Told::Event(Event::Switched(_))));
    (told, kit.arbiter.counters().clone())
}

#[test]
fn a_copy_that_arrives_corrupted_costs_no_more_than_one_that_is_lost() {
    let (told, _) = corrupted(None, true);
    let numbers = told
        .iter()
        .filter(|told| matches!(told, Told::Record(..)))
        .count();
    assert_eq!(numbers, 42, "{told:?}");
    // Header of 128 bytes, three records of 32.
    let mut passed_over = 0;
    for bit in 0..(128 + 3 * 32) * 8 {
        let (short, counters) = corrupted(Some(bit), true);
        assert_eq!(short, told, "bit {bit} of byte {}", bit / 8);
        passed_over += u64::from(counters.rejected.iter().sum::<u64>() == 0);
        let (long, counters) = corrupted(Some(bit), false);
        assert_eq!(long, told, "bit {bit} of byte {}", bit / 8);
        let noticed =
            counters.rejected.iter().sum::<u64>() + counters.foreign_stream + counters.unknown_sid;
        assert!(noticed > 0, "bit {bit}");
    }
    assert!(passed_over > 100, "{passed_over}: bodies are not proven");
}

#[test]
fn a_deadline_that_is_remembered_moves_with_what_comes() {
    let (mut kit, mut zero, mut one) = ordered(Limits::default());
    kit.joined(&mut zero, &mut one, 3);
    for number in 4..20 {
        let before = kit.arbiter.next_deadline();
        kit.now = kit.now.after(ms(1));
        kit.records(&mut zero, &run(number..=number));
        kit.records(&mut one, &run(number..=number));
        assert!(kit.arbiter.next_deadline() > before, "{number}");
    }
}

/// An application that cannot bear to hear of another context.
struct Panics;

impl Handler for Panics {
    fn record(&mut self, _: &Delivered<'_>) {}

    fn event(&mut self, event: &Event) {
        assert!(!matches!(event, Event::Discontinuity { .. }), "no more");
    }
}

#[test]
fn a_handler_that_panics_leaves_no_short_way_open_that_is_none() {
    let mut kit = Kit::new(Limits::default());
    let late = |header: &mut Header| {
        header.context = ContextId(2);
        header.first = 3;
        header.flags = Flags::INCOMPLETE;
    };
    let (mut zero, mut one) = (
        Sender::new(Leg::Zero).with(late),
        Sender::new(Leg::One).with(late),
    );
    kit.joined(&mut zero, &mut one, 3);
    kit.records(&mut zero, &run(4..=6));
    kit.records(&mut one, &run(4..=6));
    assert_ne!(kit.arbiter.short_ways(), [0; 2]);
    kit.told();
    // Its adapter remembers everything now, which counts for more.
    one.header.context = ContextId(1);
    one.header.first = 1;
    one.header.flags = Flags::default();
    let bytes = one.records(&run(7..=7));
    let now = kit.now;
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        kit.arbiter.on_datagram(Leg::One, now, &bytes, &mut Panics);
    }));
    assert!(told.is_err(), "it was told");
    // The other leg's next record is none of that context.
    kit.records(&mut zero, &run(7..=7));
    assert_eq!(kit.told(), []);
    kit.records(&mut one, &run(8..=8));
    kit.pass(Limits::default().reorder_hold);
    let told = kit.told();
    let gap = |told: &Told| matches!(told, Told::Event(Event::Gap { .. }));
    assert!(told.iter().any(gap), "{told:?}");
    assert_eq!(told.last(), Some(&Told::Record(8, 0, Leg::One)), "{told:?}");
}
