//! Which instruments does an application want?
//!
//! ```text
//!   arbiter: order, dedup, holes ─► sieve: by instrument ─┬─► Handler::record
//!                                       ▲                 └─► Handler::withheld
//!              Filter, changed at any time ──┘   events and administrative messages pass by
//! ```
//!
//! A [`Filter`] names instruments by number, by symbol, or by the beginning of one. It is applied to what the arbiter delivers and
//! to nothing before it: a record that is withheld was arbitrated like any other, closed its hole, and moved the position
//! on. So a filter never makes a gap and never hides one.
//!
//! # What passes whatever the filter says
//!
//! - every [`crate::Event`], and every administrative message: they are of all instruments;
//! - instrument definitions and symbol mappings: they say what could be wanted;
//! - records of no instrument (number 0: the market as a whole), and bodies that are no DBN record and whose message has none (ITCH's
//!   market participant positions, say). Source bytes that follow records of their message pass as those did.
//!
//! # Symbols
//!
//! Numbers get their symbols from the definitions and symbol mappings of the stream, within one epoch: a venue may number anew every day. An
//! application that joins in mid-session has not heard them, and a lost one is not heard again. Records of an instrument whose symbol is not
//! known can be decided by number only; where that decides nothing they pass, counted, unless [`Filter::withhold_unknown`] says otherwise:
//! what one did not ask for can be dropped, what one asked for and never got cannot be had again.
//!
//! # Changing it in mid-session
//!
//! [`FilterSwitch`] (any thread) and [`crate::DataPoller::set_filter`] put another filter in force between two records. An
//! instrument that is wanted from here on comes from here on: the orders that rest were told before, so that its book begins empty and
//! [`crate::book::Trust::Suspect`], until a snapshot is imported or the epoch ends. [`crate::book::Books`] does so by itself, because it
//! is told of what is withheld, and forgets the book of an instrument that is no longer wanted.

mod sieve;
mod switch;

use crate::error::Error;

pub(crate) use sieve::Sieve;
pub use sieve::Sieved;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub use sieve::passing;
pub use switch::FilterSwitch;
pub(crate) use switch::Mailbox;

use twinfeed_wire::record::SYMBOL_LENGTH;

/// Most numbers, symbols and beginnings of symbols in one filter.
pub const MAX_FILTER_ENTRIES: usize = 16_384;
/// Longest symbol, bytes.
pub const LONGEST_SYMBOL: usize = SYMBOL_LENGTH - 1;

/// Which instruments an application wants.
///
/// ```
/// use twinfeed_subscriber::filter::Filter;
///
/// let filter = Filter::none().pattern("AAPL")?.pattern("ZV*")?.instrument(8_381)?;
/// assert!(!filter.is_all());
/// # Ok::<(), twinfeed_subscriber::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter {
    all: bool,
    unknown_pass: bool,
    /// Rising.
    instruments: Vec<u32>,
    /// Rising.
    symbols: Vec<Box<[u8]>>,
    /// Rising; none begins with another.
    prefixes: Vec<Box<[u8]>>,
}

impl Default for Filter {
    fn default() -> Self {
        Self::all()
    }
}

impl Filter {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self {
            all: true,
            ..Self::none()
        }
    }

    /// Nothing yet.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            all: false,
            unknown_pass: true,
            instruments: Vec::new(),
            symbols: Vec::new(),
            prefixes: Vec::new(),
        }
    }

    /// Also the instrument of this number, in every source stream. Numbers are the venue's, and may hold for a day only.
    ///
    /// # Errors
    /// [`Error::Setting`] beyond [`MAX_FILTER_ENTRIES`].
    pub fn instrument(mut self, instrument: u32) -> Result<Self, Error> {
        if let Err(at) = self.instruments.binary_search(&instrument) {
            self.has_room()?;
            self.instruments.insert(at, instrument);
        }
        Ok(self)
    }

    /// Also the instrument of exactly this symbol, whatever letters it has.
    ///
    /// # Errors
    /// [`Error::Setting`] beyond [`MAX_FILTER_ENTRIES`], and for a symbol that no record can hold.
    pub fn symbol(mut self, symbol: &str) -> Result<Self, Error> {
        let symbol = checked(symbol)?;
        if let Err(at) = self.symbols.binary_search_by(|it| it[..].cmp(symbol)) {
            self.has_room()?;
            self.symbols.insert(at, symbol.into());
        }
        Ok(self)
    }

    /// Also all instruments whose symbols begin so.
    ///
    /// # Errors
    /// [`Error::Setting`] beyond [`MAX_FILTER_ENTRIES`], and for a beginning that no record can hold.
    pub fn prefix(mut self, beginning: &str) -> Result<Self, Error> {
        let beginning = checked(beginning)?;
        if !self.begins(beginning) {
            self.prefixes.retain(|it| !it.starts_with(beginning));
            self.has_room()?;
            let at = self.prefixes.partition_point(|it| it[..] < *beginning);
            self.prefixes.insert(at, beginning.into());
        }
        Ok(self)
    }

    /// Also what a word says: `*` is everything, `AA*` is [`Filter::prefix`], `AAPL` is [`Filter::symbol`].
    ///
    /// # Errors
    /// As those; also for a `*` that is not at the end.
    pub fn pattern(mut self, word: &str) -> Result<Self, Error> {
        if word == "*" {
            self.all = true;
            return Ok(self);
        }
        let beginning = word.strip_suffix('*');
        if beginning.unwrap_or(word).contains('*') {
            return Err(bad(
                format!("`{word}` has a `*` that is not at its end"),
                "end it with one `*`, or name the symbol by `Filter::symbol`, where a `*` is a letter",
            ));
        }
        match beginning {
            Some(beginning) => self.prefix(beginning),
            None => self.symbol(word),
        }
    }

    /// Withholds records of instruments whose symbol is not known, unless their number is wanted.
    #[must_use]
    pub const fn withhold_unknown(mut self) -> Self {
        self.unknown_pass = false;
        self
    }

    /// Whether everything is wanted.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        self.all
    }

    /// What becomes of the records of an instrument.
    fn verdict(&self, instrument: u32, symbol: Option<&[u8]>) -> Verdict {
        if self.all || self.instruments.binary_search(&instrument).is_ok() {
            return Verdict::Passes;
        }
        if self.symbols.is_empty() && self.prefixes.is_empty() {
            return Verdict::Withheld;
        }
        let Some(symbol) = symbol else {
            return match self.unknown_pass {
                true => Verdict::UnknownPasses,
                false => Verdict::UnknownWithheld,
            };
        };
        let named = self.symbols.binary_search_by(|it| it[..].cmp(symbol));
        if named.is_ok() || self.begins(symbol) {
            Verdict::Passes
        } else {
            Verdict::Withheld
        }
    }

    /// Whether one of the beginnings is that of `symbol`. As none begins with another, it is the last that is not greater.
    fn begins(&self, symbol: &[u8]) -> bool {
        let at = self.prefixes.partition_point(|it| it[..] <= *symbol);
        at.checked_sub(1)
            .is_some_and(|at| symbol.starts_with(&self.prefixes[at]))
    }

    fn has_room(&self) -> Result<(), Error> {
        let entries = self.instruments.len() + self.symbols.len() + self.prefixes.len();
        if entries < MAX_FILTER_ENTRIES {
            return Ok(());
        }
        Err(bad(
            format!("it has {entries} entries, and no more are allowed"),
            "name instruments by the beginning of their symbols, or take all and choose yourself",
        ))
    }
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Passes,
    Withheld,
    /// The symbol is not known, and the record passes for that.
    UnknownPasses,
    /// The symbol is not known, and the record is withheld for that.
    UnknownWithheld,
}

fn checked(symbol: &str) -> Result<&[u8], Error> {
    if (1..=LONGEST_SYMBOL).contains(&symbol.len()) && !symbol.contains('\0') {
        return Ok(symbol.as_bytes());
    }
    Err(bad(
        format!("`{symbol:.80}` is no symbol or beginning of one"),
        "use 1 to 70 bytes without a zero",
    ))
}

fn bad(cause: String, remedy: &'static str) -> Error {
    Error::Setting {
        name: "filter",
        cause,
        remedy,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_word_is_a_symbol_a_beginning_or_everything() {
        let filter = Filter::none().pattern("AAPL").unwrap();
        let filter = filter.pattern("ZV*").unwrap().instrument(9).unwrap();
        let table = [
            (1, Some("AAPL"), Verdict::Passes),
            (1, Some("AAPLW"), Verdict::Withheld),
            (1, Some("AAP"), Verdict::Withheld),
            (1, Some("ZV"), Verdict::Passes),
            (1, Some("ZVZZT"), Verdict::Passes),
            (1, Some("Z"), Verdict::Withheld),
            (9, Some("Z"), Verdict::Passes),
            (9, None, Verdict::Passes),
            (1, None, Verdict::UnknownPasses),
        ];
        for (instrument, symbol, expected) in table {
            let verdict = filter.verdict(instrument, symbol.map(str::as_bytes));
            assert_eq!(verdict, expected, "{instrument} {symbol:?}");
        }
        let strict = filter.clone().withhold_unknown();
        assert_eq!(strict.verdict(1, None), Verdict::UnknownWithheld);
        let all = filter.pattern("*").unwrap();
        assert_eq!(all.verdict(1, Some(b"Z")), Verdict::Passes);
        let numbers = Filter::none().instrument(9).unwrap();
        assert_eq!(
            numbers.verdict(1, None),
            Verdict::Withheld,
            "no symbol could change that"
        );
        assert_eq!(Filter::default(), Filter::all());
    }

    #[test]
    fn what_no_symbol_can_be_is_refused_with_a_remedy() {
        for word in ["", "A*B", "**", "*A", "A\0", &"A".repeat(71)] {
            let error = Filter::none().pattern(word).unwrap_err().to_string();
            assert!(error.starts_with("setting `filter`"), "{error}");
        }
        assert!(Filter::none().pattern(&"A".repeat(70)).is_ok());
        let starred = Filter::none().symbol("A*B").unwrap();
        assert_eq!(starred.verdict(1, Some(b"A*B")), Verdict::Passes);
    }

    #[test]
    fn entries_are_bounded_and_a_wider_beginning_takes_the_place_of_narrower_ones() {
        let mut filter = Filter::none();
        for instrument in 0..MAX_FILTER_ENTRIES as u32 {
            filter = filter.instrument(instrument).unwrap();
        }
        assert!(filter.clone().instrument(7).is_ok(), "it is there");
        assert!(filter.clone().symbol("A").is_err());
        assert!(filter.instrument(u32::MAX).is_err());
        let filter = Filter::none().prefix("AB").unwrap().prefix("AC").unwrap();
        let filter = filter.prefix("A").unwrap().prefix("ABC").unwrap();
        assert_eq!(filter.prefixes, [b"A".as_slice().into()] as [Box<[u8]>; 1]);
    }

    proptest! {
        /// Few letters, so that beginnings meet.
        #[test]
        fn beginnings_agree_with_trying_each(
            beginnings in prop::collection::vec("[AB]{1,4}", 0..12), symbol in "[ABC]{1,5}",
        ) {
            let mut filter = Filter::none();
            for beginning in &beginnings {
                filter = filter.prefix(beginning).unwrap();
            }
            let expected = beginnings.iter().any(|it| symbol.starts_with(it.as_str()));
            prop_assert_eq!(filter.begins(symbol.as_bytes()), expected);
        }
    }
}
