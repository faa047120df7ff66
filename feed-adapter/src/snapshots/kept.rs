//! What is an instrument, and does it trade? The last word on each.

use twinfeed_book::index::{Index, hash};
use twinfeed_wire::record::code::{status, tri};
use twinfeed_wire::record::{InstrumentDefMsg, StatusMsg};

/// Definitions and statuses of one source stream, in the order in which their instruments were first heard of.
#[derive(Debug)]
pub struct Kept {
    entries: Vec<Entry>,
    /// Entries by instrument.
    index: Index,
    most: usize,
}

/// What is known of one instrument.
#[derive(Debug)]
pub struct Entry {
    instrument: u32,
    definition: Option<Box<InstrumentDefMsg>>,
    /// Those that say something that none behind them says, oldest first.
    statuses: Vec<StatusMsg>,
}

impl Entry {
    /// What it is.
    #[must_use]
    pub fn definition(&self) -> Option<&InstrumentDefMsg> {
        self.definition.as_deref()
    }

    /// What was said of its trading, to be told in this order.
    #[must_use]
    pub fn statuses(&self) -> &[StatusMsg] {
        &self.statuses
    }
}

impl Kept {
    /// Of at most so many instruments.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            entries: Vec::new(),
            index: Index::new(),
            most,
        }
    }

    /// How many instruments something is known of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is known of the instrument with this place.
    #[must_use]
    pub fn entry(&self, place: usize) -> Option<&Entry> {
        self.entries.get(place)
    }

    /// Notes what an instrument is, and returns its place; `None` if there is no room.
    pub fn define(&mut self, definition: &InstrumentDefMsg) -> Option<usize> {
        let place = self.place(definition.hd.instrument_id.get())?;
        self.entries[place].definition = Some(Box::new(*definition));
        Some(place)
    }

    /// Notes a status, and returns the instrument's place; `None` if there is no room.
    pub fn tell(&mut self, status: &StatusMsg) -> Option<usize> {
        let place = self.place(status.hd.instrument_id.get())?;
        let statuses = &mut self.entries[place].statuses;
        let said = says(status);
        statuses.retain(|before| says(before) & !said != 0);
        statuses.push(*status);
        Some(place)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.index.clear();
    }

    fn place(&mut self, instrument: u32) -> Option<usize> {
        let key = hash(0, u64::from(instrument));
        let fits = |at: u32| self.entries[at as usize].instrument == instrument;
        if let Some(at) = self.index.find(key, fits) {
            return Some(at as usize);
        }
        let place = self.entries.len();
        let slot = u32::try_from(place).ok().filter(|_| place < self.most)?;
        self.entries.push(Entry {
            instrument,
            definition: None,
            statuses: Vec::new(),
        });
        self.index.insert(key, slot);
        Some(place)
    }
}

/// What a status says something of, as bits.
fn says(record: &StatusMsg) -> u8 {
    let said = |field: u8, bit: u8| match field {
        tri::NOT_AVAILABLE => 0,
        _ => bit,
    };
    let phase = match record.action.get() {
        status::SSR_CHANGE => 0,
        _ => 1,
    };
    phase
        | said(record.is_trading, 2)
        | said(record.is_quoting, 4)
        | said(record.is_short_sell_restricted, 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(action: u16, trading: u8, quoting: u8, restricted: u8) -> StatusMsg {
        let mut record = StatusMsg {
            action: action.into(),
            is_trading: trading,
            is_quoting: quoting,
            is_short_sell_restricted: restricted,
            ..StatusMsg::default()
        };
        record.hd.instrument_id = 7.into();
        record
    }

    #[test]
    fn a_status_replaces_what_says_nothing_beyond_it() {
        let none = tri::NOT_AVAILABLE;
        let halt = said(status::HALT, tri::NO, tri::NO, none);
        let trade = said(status::TRADING, tri::YES, tri::YES, none);
        let closing = said(status::POST_CLOSE, none, none, none);
        let restricted = said(status::SSR_CHANGE, none, none, tri::YES);
        let free = said(status::SSR_CHANGE, none, none, tri::NO);
        let mut kept = Kept::new(1);
        for status in [halt, restricted, trade, closing, free] {
            assert_eq!(kept.tell(&status), Some(0));
        }
        assert_eq!(kept.entry(0).unwrap().statuses(), [trade, closing, free]);
        kept.tell(&halt);
        assert_eq!(kept.entry(0).unwrap().statuses(), [free, halt]);
        let mut other = halt;
        other.hd.instrument_id = 8.into();
        assert_eq!(kept.tell(&other), None, "no room");
        kept.clear();
        assert_eq!(kept.tell(&other), Some(0));
    }
}
