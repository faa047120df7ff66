//! Which records pass, decided once per instrument.
//!
//! ```text
//!   number ──index──► verdict      made when the instrument is first heard of, when its symbol is, and when
//!                                  the filter is another
//! ```
//!
//! Per record it is a look into a table, a byte for each number where numbers are small, as exchanges' are: no comparison of symbols, and no
//! allocation unless the instrument or its symbol is new. While everything is wanted only symbols are noted, so that a filter which comes
//! later knows them.

use twinfeed_book::index::{Index, hash};
use twinfeed_protocol::Delivered;
use twinfeed_wire::record::code::{rtype, stype};
use twinfeed_wire::record::{DbnRecord, InstrumentDefMsg, RecordHeader, SymbolMappingMsg, text};
use twinfeed_wire::{BodyKind, Epoch, Sid};

use super::{Filter, Verdict};

/// Instruments of a source stream that are remembered with a verdict; of more than these the symbols are not known.
const MAX_INSTRUMENTS: usize = 1 << 20;
/// Numbers of instruments, and of source streams, that are small. An ITCH source has 65,535 instruments at most.
const NEAR: usize = 1 << 16;

/// What a filter did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sieved {
    /// Records that were withheld.
    pub withheld: u64,
    /// Records of instruments whose symbol is not known, where that decided, passed or withheld.
    pub unknown: u64,
}

/// The filter in force, and what it means for each instrument.
#[derive(Debug)]
pub(crate) struct Sieve {
    filter: Filter,
    tables: Vec<Table>,
    /// Where the table of a source stream with a small number stands.
    places: Vec<Option<u16>>,
    sieved: Sieved,
    max_instruments: usize,
}

/// The instruments of one source stream.
#[derive(Debug)]
struct Table {
    sid: Sid,
    /// In which numbers mean what they mean.
    epoch: Epoch,
    index: Index,
    instruments: Vec<Instrument>,
    /// The verdicts of those with small numbers, once more: what is asked for each record fits the caches.
    near: Vec<Option<Verdict>>,
    /// The last source message, and whether a record of it passed.
    last: Option<(u64, bool)>,
    /// Another filter is in force since a snapshot of it began.
    changed: bool,
}

#[derive(Debug)]
struct Instrument {
    number: u32,
    verdict: Verdict,
    symbol: Option<Box<[u8]>>,
}

impl Sieve {
    /// Lets pass what `filter` says.
    pub(crate) fn new(filter: Filter) -> Self {
        Self {
            filter,
            tables: Vec::new(),
            places: Vec::new(),
            sieved: Sieved::default(),
            max_instruments: MAX_INSTRUMENTS,
        }
    }

    /// Lets pass what `filter` says from here on. Every instrument is decided anew, about a millisecond for ten thousand.
    pub(crate) fn set(&mut self, filter: Filter) {
        self.filter = filter;
        for table in &mut self.tables {
            table.changed = true;
            for it in &mut table.instruments {
                it.verdict = self.filter.verdict(it.number, it.symbol.as_deref());
                note(&mut table.near, it.number, it.verdict);
            }
        }
    }

    /// What it did so far.
    pub(crate) const fn sieved(&self) -> Sieved {
        self.sieved
    }

    /// Whether a record passes.
    pub(crate) fn passes(&mut self, record: &Delivered<'_>) -> bool {
        let (sid, epoch, sseq) = (record.pos.sid, record.pos.epoch, record.pos.sseq);
        match record.kind {
            BodyKind::Dbn => {}
            BodyKind::Opaque if self.filter.is_all() => return true,
            BodyKind::Opaque => {
                let last = self.table(sid, epoch).last;
                let passes = last.is_none_or(|(of, passes)| passes || of != sseq);
                self.sieved.withheld += u64::from(!passes);
                return passes;
            }
            BodyKind::Administrative | BodyKind::Unknown(_) => return true,
        }
        let Some(header) = RecordHeader::peek(record.body) else {
            return true;
        };
        let number = header.instrument_id.get();
        let defines = matches!(header.rtype, rtype::INSTRUMENT_DEF | rtype::SYMBOL_MAPPING);
        if defines {
            self.learn((sid, epoch), number, record.body);
        }
        if self.filter.is_all() {
            return true;
        }
        let verdict = match number {
            _ if defines => Verdict::Passes,
            0 => Verdict::Passes,
            _ => self.verdict((sid, epoch), number),
        };
        let (passes, unknown) = match verdict {
            Verdict::Passes => (true, false),
            Verdict::Withheld => (false, false),
            Verdict::UnknownPasses => (true, true),
            Verdict::UnknownWithheld => (false, true),
        };
        self.sieved.withheld += u64::from(!passes);
        self.sieved.unknown += u64::from(unknown);
        let last = &mut self.table(sid, epoch).last;
        let before = last.is_some_and(|(of, passed)| passed && of == sseq);
        *last = Some((sseq, passes || before));
        passes
    }

    /// A snapshot of this epoch is told from here on: numbers mean what they mean in it.
    pub(crate) fn begin_snapshot(&mut self, sid: Sid, epoch: Epoch) {
        self.table(sid, epoch).changed = false;
    }

    /// Whether another filter is in force since then.
    pub(crate) fn has_changed(&self, sid: Sid) -> bool {
        let mut tables = self.tables.iter();
        tables.any(|table| table.sid == sid && table.changed)
    }

    /// Whether what a snapshot tells of an instrument passes; number 0 is the market as a whole.
    pub(crate) fn passes_instrument(&mut self, sid: Sid, number: u32) -> bool {
        if self.filter.is_all() || number == 0 {
            return true;
        }
        let verdict = self.verdict((sid, self.epoch(sid)), number);
        matches!(verdict, Verdict::Passes | Verdict::UnknownPasses)
    }

    /// Notes the symbol that a snapshot tells.
    pub(crate) fn define(&mut self, sid: Sid, definition: &InstrumentDefMsg) {
        let number = definition.hd.instrument_id.get();
        let of = (sid, self.epoch(sid));
        self.name(of, number, text(&definition.raw_symbol));
    }

    fn epoch(&self, sid: Sid) -> Epoch {
        let table = self.tables.iter().find(|table| table.sid == sid);
        table.map_or(Epoch::NONE, |table| table.epoch)
    }

    /// What becomes of records of an instrument.
    fn verdict(&mut self, of: (Sid, Epoch), number: u32) -> Verdict {
        let near = &self.table(of.0, of.1).near;
        if let Some(Some(verdict)) = near.get(number as usize) {
            return *verdict;
        }
        match self.instrument(of, number) {
            Some(instrument) => instrument.verdict,
            None => self.filter.verdict(number, None),
        }
    }

    /// Notes the symbol of an instrument.
    fn learn(&mut self, of: (Sid, Epoch), number: u32, body: &[u8]) {
        let symbol = match (InstrumentDefMsg::view(body), SymbolMappingMsg::view(body)) {
            (Some(definition), _) => text(&definition.raw_symbol),
            (_, Some(mapping)) if mapping.stype_in == stype::RAW_SYMBOL => {
                text(&mapping.stype_in_symbol)
            }
            _ => return,
        };
        self.name(of, number, symbol);
    }

    fn name(&mut self, of: (Sid, Epoch), number: u32, symbol: &[u8]) {
        if symbol.is_empty() {
            return;
        }
        let Some(instrument) = self.instrument(of, number) else {
            return;
        };
        if instrument.symbol.as_deref() != Some(symbol) {
            instrument.symbol = Some(symbol.into());
            let verdict = self.filter.verdict(number, Some(symbol));
            if let Some(instrument) = self.instrument(of, number) {
                instrument.verdict = verdict;
            }
            note(&mut self.table(of.0, of.1).near, number, verdict);
        }
    }

    /// The instrument of a number, from now on if not before; `None` where there are too many.
    fn instrument(&mut self, (sid, epoch): (Sid, Epoch), number: u32) -> Option<&mut Instrument> {
        let max = self.max_instruments;
        let at = self.position(sid, epoch);
        let table = &mut self.tables[at];
        let fits = |at: u32| table.instruments[at as usize].number == number;
        let found = table.index.find(hash(0, u64::from(number)), fits);
        let at = match found {
            Some(at) => at,
            None if table.instruments.len() >= max => return None,
            None => {
                let at = u32::try_from(table.instruments.len()).ok()?;
                let verdict = self.filter.verdict(number, None);
                table.instruments.push(Instrument {
                    number,
                    verdict,
                    symbol: None,
                });
                note(&mut table.near, number, verdict);
                table.index.insert(hash(0, u64::from(number)), at);
                at
            }
        };
        table.instruments.get_mut(at as usize)
    }

    fn table(&mut self, sid: Sid, epoch: Epoch) -> &mut Table {
        let at = self.position(sid, epoch);
        &mut self.tables[at]
    }

    /// Where the table of a source stream stands: empty where the epoch is another than before.
    fn position(&mut self, sid: Sid, epoch: Epoch) -> usize {
        let place = self.places.get(sid.0 as usize).copied().flatten();
        let at = match place {
            Some(at) => usize::from(at),
            None => self.place(sid, epoch),
        };
        let table = &mut self.tables[at];
        if table.epoch != epoch {
            table.epoch = epoch;
            table.index.clear();
            table.instruments.clear();
            table.near.clear();
            table.last = None;
        }
        at
    }

    /// The table of a source stream that has no place at hand.
    #[cold]
    fn place(&mut self, sid: Sid, epoch: Epoch) -> usize {
        let at = self.tables.iter().position(|table| table.sid == sid);
        let at = at.unwrap_or_else(|| {
            self.tables.push(Table {
                sid,
                epoch,
                index: Index::new(),
                instruments: Vec::new(),
                near: Vec::new(),
                last: None,
                changed: false,
            });
            self.tables.len() - 1
        });
        let small = sid.0 as usize;
        if let (true, Ok(place)) = (small < NEAR, u16::try_from(at)) {
            if small >= self.places.len() {
                self.places.resize(small + 1, None);
            }
            self.places[small] = Some(place);
        }
        at
    }
}

/// Keeps a verdict at hand, if the number is small.
fn note(near: &mut Vec<Option<Verdict>>, number: u32, verdict: Verdict) {
    let at = number as usize;
    if at >= NEAR {
        return;
    }
    if at >= near.len() {
        near.resize((at + 1).next_power_of_two(), None);
    }
    near[at] = Some(verdict);
}

/// Whether records pass, one after the other.
#[cfg(feature = "bench")]
pub fn passing(filter: Filter) -> impl FnMut(&Delivered<'_>) -> bool {
    let mut sieve = Sieve::new(filter);
    move |record| sieve.passes(record)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use twinfeed_protocol::{Leg, Place};
    use twinfeed_wire::record::{MboMsg, StatusMsg, field};
    use twinfeed_wire::{Adm, ContextId, Pos, RecordFlags};

    use super::*;

    /// Sends records through, each as the next source message.
    struct Stream {
        sieve: Sieve,
        epoch: u64,
        sseq: u64,
    }

    impl Stream {
        fn new(filter: Filter) -> Self {
            Self {
                sieve: Sieve::new(filter),
                epoch: 1,
                sseq: 0,
            }
        }

        /// A body of the same source message as the one before.
        fn part(&mut self, kind: BodyKind, body: &[u8]) -> bool {
            self.sieve.passes(&Delivered {
                pos: Pos {
                    sid: Sid(1),
                    epoch: Epoch(self.epoch),
                    sseq: self.sseq,
                    part: 0,
                },
                kind,
                flags: RecordFlags::LAST,
                adm: Adm(0),
                leg: Leg::Zero,
                body,
                received_at: 0,
                sent_at: 0,
                next: Place::start(self.sseq + 1),
                context: ContextId(0),
                numbering: None,
                complete: true,
            })
        }

        fn send<R: DbnRecord>(&mut self, instrument: u32, mut record: R) -> bool {
            self.sseq += 1;
            record.header_mut().instrument_id = instrument.into();
            self.part(BodyKind::Dbn, record.as_bytes())
        }

        fn order(&mut self, instrument: u32) -> bool {
            self.send(instrument, MboMsg::default())
        }

        fn define(&mut self, instrument: u32, symbol: &str) -> bool {
            let raw_symbol = field(symbol.as_bytes());
            self.send(
                instrument,
                InstrumentDefMsg {
                    raw_symbol,
                    ..InstrumentDefMsg::default()
                },
            )
        }

        fn map(&mut self, instrument: u32, symbol: &str) -> bool {
            let stype_in_symbol = field(symbol.as_bytes());
            self.send(
                instrument,
                SymbolMappingMsg {
                    stype_in: stype::RAW_SYMBOL,
                    stype_in_symbol,
                    ..SymbolMappingMsg::default()
                },
            )
        }
    }

    fn only(word: &str) -> Filter {
        Filter::none().pattern(word).unwrap()
    }

    #[test]
    fn symbols_come_from_the_stream_and_hold_for_an_epoch() {
        let mut stream = Stream::new(only("AA*"));
        assert!(stream.order(1), "its symbol is not known");
        assert_eq!(stream.sieve.sieved().unknown, 1);
        assert!(
            stream.define(1, "AAPL") && stream.map(2, "MSFT"),
            "definitions pass"
        );
        assert!(stream.order(1));
        assert!(!stream.order(2));
        // Numbers are given anew.
        stream.epoch = 2;
        assert!(stream.map(1, "MSFT") && stream.define(2, "AAPL"));
        assert!(!stream.order(1));
        assert!(stream.order(2));
        // A definition that says the same, or something else, within an epoch.
        assert!(stream.define(2, "AAPL") && stream.order(2));
        assert!(stream.define(2, "ZVZZT") && !stream.order(2));
        assert_eq!(
            stream.sieve.sieved(),
            Sieved {
                withheld: 3,
                unknown: 1
            }
        );
    }

    #[test]
    fn another_filter_holds_for_instruments_that_were_heard_of_under_everything() {
        let mut stream = Stream::new(Filter::all());
        assert!(stream.define(1, "AAPL") && stream.define(2, "MSFT") && stream.order(2));
        stream.sieve.set(only("AAPL"));
        assert!(stream.order(1) && !stream.order(2));
        stream.sieve.set(only("AAPL").pattern("M*").unwrap());
        assert!(stream.order(1) && stream.order(2));
        stream.sieve.set(Filter::none());
        assert!(!stream.order(1) && !stream.order(2));
        stream.sieve.set(Filter::none().instrument(2).unwrap());
        assert!(!stream.order(1) && stream.order(2));
    }

    #[test]
    fn what_has_no_instrument_passes_and_source_bytes_pass_as_their_message_did() {
        let mut stream = Stream::new(Filter::none().instrument(1).unwrap());
        assert!(
            stream.send(0, StatusMsg::default()),
            "the market as a whole"
        );
        for (instrument, passes) in [(1, true), (2, false)] {
            assert_eq!(stream.order(instrument), passes);
            assert_eq!(stream.part(BodyKind::Opaque, b"F..."), passes);
            assert!(stream.part(BodyKind::Administrative, b""));
            assert!(stream.part(BodyKind::Unknown(9), b""));
        }
        assert!(stream.define(2, "MSFT") && stream.part(BodyKind::Opaque, b"R..."));
        stream.sseq += 1;
        assert!(
            stream.part(BodyKind::Opaque, b"L..."),
            "a message without a record"
        );
        assert!(stream.part(BodyKind::Dbn, b"short"), "no record at all");
    }

    #[test]
    fn instruments_beyond_the_bound_are_decided_by_number_alone() {
        let mut stream = Stream::new(only("AAPL").instrument(3).unwrap().withhold_unknown());
        stream.sieve.max_instruments = 1;
        assert!(stream.define(1, "AAPL") && stream.define(2, "AAPL") && stream.order(1));
        assert!(!stream.order(2) && stream.order(3));
        assert_eq!(stream.sieve.sieved().unknown, 1);
    }

    /// What happens next.
    #[derive(Clone, Debug)]
    enum Step {
        Order(u32),
        Name(u32, u8),
        Filter(u8),
        Epoch,
    }

    /// Small numbers, the last that is small, and larger ones.
    fn number() -> impl Strategy<Value = u32> {
        prop_oneof![
            4 => 1_u32..6,
            1 => (NEAR as u32 - 2)..(NEAR as u32 + 2),
            1 => Just(1 << 30),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => number().prop_map(Step::Order),
            3 => (number(), 0_u8..4).prop_map(|(number, symbol)| Step::Name(number, symbol)),
            1 => (0_u8..4).prop_map(Step::Filter),
            1 => Just(Step::Epoch),
        ]
    }

    fn filter(which: u8) -> Filter {
        match which {
            0 => Filter::all(),
            1 => only("S1*"),
            2 => Filter::none().instrument(NEAR as u32).unwrap(),
            _ => only("S2*").instrument(3).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn what_is_at_hand_says_what_the_filter_says(steps in prop::collection::vec(step(), 1..120)) {
            let mut stream = Stream::new(filter(1));
            let (mut which, mut symbols, mut unknown) = (1, std::collections::HashMap::new(), 0);
            for step in steps {
                match step {
                    Step::Order(number) => {
                        let symbol = symbols.get(&number).map(String::as_bytes);
                        let verdict = match which {
                            0 => Verdict::Passes,
                            _ => filter(which).verdict(number, symbol),
                        };
                        let passes = matches!(verdict, Verdict::Passes | Verdict::UnknownPasses);
                        let guesses = [Verdict::UnknownPasses, Verdict::UnknownWithheld];
                        unknown += u64::from(guesses.contains(&verdict));
                        prop_assert_eq!(stream.order(number), passes);
                    }
                    Step::Name(number, symbol) => {
                        let symbol = format!("S{symbol}");
                        prop_assert!(stream.define(number, &symbol), "what defines passes");
                        symbols.insert(number, symbol);
                    }
                    Step::Filter(next) => {
                        which = next;
                        stream.sieve.set(filter(next));
                    }
                    Step::Epoch => {
                        stream.epoch += 1;
                        symbols.clear();
                    }
                }
            }
            prop_assert_eq!(stream.sieve.sieved().unknown, unknown);
        }
    }
}
