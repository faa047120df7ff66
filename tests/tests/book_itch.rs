//! Do the books agree with those of an independent builder of ITCH books?
//!
//! The same bytes go both ways: through the production decoder into [`Books`], and through meatpy, a Python package, into its own
//! (`tests/independent/itch_books.py`). Every price, every queue in its order, every order with its shares, and what named an order that
//! does not rest must be equal, after several numbers of messages. Without Python or meatpy the tests say so and pass; `.ci/run`
//! installs it. `TWINFEED_PYTHON` names the interpreter.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use twinfeed_exchange::flow::{Flow, FlowConfig};
use twinfeed_feed_adapter::decode::itch50::{Converter, Settings};
use twinfeed_feed_adapter::decode::{Decoder, Parts};
use twinfeed_feed_adapter::source::binaryfile;
use twinfeed_subscriber::book::{self, Books, Inconsistency, Side};
use twinfeed_subscriber::record::{DbnRecord, MboMsg, code::action};
use twinfeed_subscriber::{Event, Handler, Place, ResetCause, Sid};
use twinfeed_wire::{ContextId, Epoch};

const SID: Sid = Sid(1);

/// Our books of a session, and what was wrong with its messages.
struct Ours {
    converter: Converter,
    parts: Parts,
    books: Books,
    sseq: u64,
    /// Messages that named an order that does not rest, by locate and type.
    unknown: BTreeMap<(u32, char), u64>,
    /// Executions of an order that was not first in price and time, by locate.
    late: BTreeMap<u32, u64>,
    /// Orders that cannot be placed: replaced ones of which nobody knows the side.
    without_side: u64,
}

impl Ours {
    fn new() -> Self {
        let settings = Settings {
            max_open_orders: 100_000,
            ..Settings::default()
        };
        let mut books = Books::with_settings(book::Settings {
            judge_crossed: true,
            ..book::Settings::default()
        });
        books.event(&Event::Reset {
            sid: SID,
            epoch: Epoch(1),
            at: Place::start(1),
            context: ContextId(1),
            complete: true,
            cause: ResetCause::Regress,
        });
        Self {
            converter: Converter::new(settings, "2019-12-30".parse().unwrap()),
            parts: Parts::new(1_320),
            books,
            sseq: 0,
            unknown: BTreeMap::new(),
            late: BTreeMap::new(),
            without_side: 0,
        }
    }

    fn apply(&mut self, message: &[u8]) {
        self.sseq += 1;
        let letter = char::from(message[0]);
        self.converter
            .convert(self.sseq, message, &mut self.parts)
            .unwrap();
        let records: Vec<MboMsg> = self
            .parts
            .iter()
            .filter_map(|part| MboMsg::view(part.bytes).copied())
            .collect();
        for record in &records {
            if record.action == action::FILL && letter == 'E' {
                self.note_turn(record);
            }
            let locate = record.hd.instrument_id.get();
            let findings = self.books.apply(SID, record);
            for wrong in findings.iter() {
                match (wrong, record.action) {
                    (Inconsistency::UnknownOrder, action::CANCEL) => {
                        *self.unknown.entry((locate, letter)).or_default() += 1;
                    }
                    // The fill before the cancel of one execution.
                    (Inconsistency::UnknownOrder, action::FILL) => {}
                    (Inconsistency::Undefined, action::ADD) if letter == 'U' => {
                        self.without_side += 1;
                    }
                    // The adapter knows of the same orders that they are not known.
                    (Inconsistency::Flagged, _) => {}
                    wrong => panic!("message {} ({letter}): {wrong:?}, {record:?}", self.sseq),
                }
            }
            let whole = findings.iter().any(|it| it != Inconsistency::Flagged);
            assert!(
                whole || !findings.has(Inconsistency::Flagged) || record.action == action::TRADE,
                "the adapter doubts what the book knows: {record:?}"
            );
        }
    }

    /// Notes an execution of an order that rests and is not the first of all.
    fn note_turn(&mut self, fill: &MboMsg) {
        let locate = fill.hd.instrument_id.get();
        let Some(book) = self.books.book(SID, locate) else {
            return;
        };
        let Some(order) = book.order(fill.order_id.get()) else {
            return;
        };
        let best = book.levels(order.side).next();
        let first = best.and_then(|best| book.queue(order.side, best.price).next());
        if first != Some(order) {
            *self.late.entry(locate).or_default() += 1;
        }
    }

    /// As `itch_books.py` prints it.
    fn print(&self, text: &mut String) {
        writeln!(text, "@ {}", self.sseq).unwrap();
        let mut books: Vec<_> = self.books.books(SID).collect();
        books.sort_by_key(|book| book.instrument());
        for book in books {
            for (side, letter) in [(Side::Bid, 'B'), (Side::Ask, 'S')] {
                for level in book.levels(side) {
                    let price = level.price / 100_000;
                    write!(text, "{} {letter} {price}", book.instrument()).unwrap();
                    for order in book.queue(side, level.price) {
                        write!(text, " {}:{}", order.id, order.size).unwrap();
                    }
                    text.push('\n');
                }
            }
        }
        for ((locate, letter), count) in &self.unknown {
            writeln!(text, "{locate} ? {letter} {count}").unwrap();
        }
        for (locate, count) in &self.late {
            writeln!(text, "{locate} ! {count}").unwrap();
        }
    }
}

/// A Python that has meatpy, if there is one.
fn python() -> Option<PathBuf> {
    let python =
        std::env::var_os("TWINFEED_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    let asked = Command::new(&python)
        .args(["-c", "import meatpy.itch50"])
        .output();
    match asked {
        Ok(output) if output.status.success() => Some(python),
        Ok(_) => {
            skipped("no meatpy (`pip install meatpy`, and name the interpreter by TWINFEED_PYTHON)")
        }
        Err(_) => skipped("no python3"),
    }
}

fn skipped<T>(why: &str) -> Option<T> {
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("skipped: {why}\n"));
    None
}

/// The text of all books after `moments` messages, ours and theirs; then ours at the end.
fn both(python: &Path, file: &Path, moments: &[u64]) -> (String, String, Ours) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("independent/itch_books.py");
    let mut command = Command::new(python);
    command.arg(script).arg(file);
    let theirs = command
        .args(moments.iter().map(u64::to_string))
        .output()
        .unwrap();
    let trouble = String::from_utf8_lossy(&theirs.stderr);
    assert!(theirs.status.success(), "{trouble}");
    let (mut ours, mut text) = (Ours::new(), String::new());
    let mut reader = binaryfile::Reader::open(file).unwrap();
    while let Some(message) = reader.next_message().unwrap() {
        ours.apply(message);
        if moments.contains(&ours.sseq) {
            ours.print(&mut text);
        }
    }
    ours.books.check().unwrap();
    (text, String::from_utf8(theirs.stdout).unwrap(), ours)
}

#[track_caller]
fn equal(ours: &str, theirs: &str) {
    for (number, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(ours, theirs, "line {number}");
    }
    assert_eq!(ours.lines().count(), theirs.lines().count());
}

/// Writes a session of the flow; returns how many messages of each type it has.
fn write_session(file: &Path, config: FlowConfig, seed: u64, total: u64) -> BTreeMap<char, u64> {
    let mut counts = BTreeMap::new();
    let mut out = std::io::BufWriter::new(std::fs::File::create(file).unwrap());
    let mut flow = Flow::new(config, seed, 0, total);
    for number in 0..total {
        let message = flow.next(number * 10_000);
        *counts.entry(char::from(message[0])).or_default() += 1;
        let length = u16::try_from(message.len()).unwrap();
        out.write_all(&length.to_be_bytes()).unwrap();
        out.write_all(message).unwrap();
    }
    out.flush().unwrap();
    counts
}

#[test]
fn generated_sessions_make_the_books_that_somebody_else_makes_of_them() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (seed, instruments, orders_per_instrument, total) in [
        (1, 20, 64, 20_000),
        (2, 1, 200, 10_000),
        (3, 300, 16, 20_000),
        (4, 3, 500, 15_000),
    ] {
        let config = FlowConfig {
            instruments,
            orders_per_instrument,
            ..FlowConfig::default()
        };
        let file = folder.path().join("session.itch");
        let counts = write_session(&file, config, seed, total);
        for letter in "AFECXDUPQ".chars() {
            assert!(
                counts.contains_key(&letter),
                "seed {seed} has no {letter}: {counts:?}"
            );
        }
        let live = config.opening_messages();
        let moments = [
            1,
            live + 100,
            live + (total - live) / 3,
            total - 1_000,
            total - 1,
            total,
        ];
        let (text, theirs, ours) = both(&python, &file, &moments);
        equal(&text, &theirs);
        // A whole session has nothing that does not fit, is never crossed, and is believed.
        assert_eq!(ours.books.counts(SID).total(), 0, "seed {seed}");
        // Its exchange executes whoever is first in price and time: so must stand first in our queues.
        assert_eq!(ours.late, BTreeMap::new(), "seed {seed}");
        assert!(
            ours.books
                .books(SID)
                .all(|it| it.trust() == book::Trust::Sound)
        );
        assert!(ours.books.orders(SID) > 20, "seed {seed}");
        assert!(
            text.lines().any(|line| line.split(' ').count() > 4),
            "no queue in seed {seed}"
        );
    }
}

#[test]
fn the_real_snippet_makes_the_books_that_somebody_else_makes_of_it() {
    let Some(python) = python() else { return };
    let samples = std::env::var_os("TWINFEED_SAMPLES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let file = samples.join("nasdaq-itch50/binaryfile/12302019_SNIPPET.NASDAQ_ITCH50");
    if !file.is_file() {
        let _: Option<()> = skipped(&format!(
            "no samples at {} (set TWINFEED_SAMPLES)",
            samples.display()
        ));
        return;
    }
    let (text, theirs, ours) = both(&python, &file, &[1, 100, 500, 999, 1_000]);
    equal(&text, &theirs);
    // It begins at 09:30 with orders of before. Both count what names them, and nobody places what replaced them.
    let by_type = |letter| -> u64 {
        let of = |((_, it), count): (&(u32, char), &u64)| if *it == letter { *count } else { 0 };
        ours.unknown.iter().map(of).sum()
    };
    let unknown = ['E', 'C', 'X', 'D', 'U'].map(by_type);
    assert!(unknown.iter().sum::<u64>() > 0, "{unknown:?}");
    assert_eq!(ours.without_side, by_type('U'));
    let counts = ours.books.counts(SID);
    let fills = by_type('E') + by_type('C');
    assert_eq!(
        counts.of(Inconsistency::UnknownOrder),
        unknown.iter().sum::<u64>() + fills
    );
}
