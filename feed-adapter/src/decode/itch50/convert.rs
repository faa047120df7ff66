//! Which records does a message become?
//!
//! One function per message, grouped as the messages are; each pushes records and says whether they
//! hold all that the message said. If they do not, the source bytes follow as an opaque body:
//! nothing is dropped silently. The tracking number (internal to Nasdaq) and a symbol that the
//! symbol mapping of its locate repeats do not count as something said.
//!
//! Follows Databento's conventions for XNAS.ITCH; where they are silent, `docs/formats/itch50.md`
//! says what is done. Nothing here reads a clock: a record's time is the message's, on the trading
//! day given.

use twinfeed_wire::record::code::flags::F_LAST;
use twinfeed_wire::record::{DbnRecord, MboMsg, RecordHeader, UNDEF_PRICE};
use zerocopy::little_endian::{U16, U32, U64};

use super::Foreign;
use super::memory::Memory;
use super::message::{
    MESSAGES, Message, MessageError, MessageHeader, Price4, Price8, each_reference,
};
use crate::decode::{
    DecodeError, Decoder, Faults, LONGEST_MESSAGE, MessageType, Parts, TradingDay,
};

mod auction;
mod definition;
mod order;
mod state;
mod trade;

/// What a converter must be told. Equal on both adapters; part of the configuration's digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Dataset and venue of all records.
    pub publisher_id: u16,
    /// Most orders that are remembered at a time; costs 36 to 72 bytes of address space each.
    pub max_open_orders: usize,
}

impl Settings {
    /// Databento's number for Nasdaq TotalView-ITCH.
    pub const XNAS_ITCH: u16 = 2;
    /// Enough for the busiest days seen so far, with room.
    pub const MAX_OPEN_ORDERS: usize = 4_000_000;
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            publisher_id: Self::XNAS_ITCH,
            max_open_orders: Self::MAX_OPEN_ORDERS,
        }
    }
}

/// Turns TotalView-ITCH 5.0 into records.
#[derive(Debug)]
pub struct Converter {
    publisher_id: u16,
    day: TradingDay,
    memory: Memory,
    counts: [u64; MESSAGES.len()],
    faults: Faults,
}

impl Converter {
    /// A converter that has seen nothing of `day` yet. All memory it will ever use is taken here.
    #[must_use]
    pub fn new(settings: Settings, day: TradingDay) -> Self {
        let memory = Memory::new(settings.max_open_orders);
        Self::with_memory(settings.publisher_id, day, memory)
    }

    /// A converter that remembers this of `day`.
    #[must_use]
    pub fn with_memory(publisher_id: u16, day: TradingDay, memory: Memory) -> Self {
        Self {
            publisher_id,
            day,
            memory,
            counts: [0; MESSAGES.len()],
            faults: Faults::default(),
        }
    }

    /// How many orders are remembered.
    #[must_use]
    pub fn open_orders(&self) -> usize {
        self.memory.open_orders()
    }

    /// What it remembers, to be copied.
    pub const fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// Goes on with what `other` remembers, which then remembers what this one did. Counts stay.
    pub const fn exchange_memory(&mut self, other: &mut Self) {
        core::mem::swap(&mut self.memory, &mut other.memory);
    }

    /// This message will be converted very soon: begins to fetch what is remembered of its orders. Nothing changes.
    #[inline]
    pub fn foresee(&self, message: &[u8]) {
        each_reference(message, |reference| self.memory.orders.foresee(reference));
    }

    /// Counts an error and says what is published in the message's place.
    fn reject(
        &mut self,
        error: MessageError,
        message: &[u8],
        out: &mut Parts,
    ) -> Result<(), DecodeError> {
        // A session that has spoken TotalView-ITCH 5.0 does not turn into another venue: what it
        // does not know is then a type of its own that came later.
        if let (false, Some(foreign)) = (self.memory.proven, Foreign::recognise(message)) {
            self.faults.foreign += 1;
            return Err(DecodeError::Foreign(foreign));
        }
        match error {
            MessageError::Empty | MessageError::UnknownType { .. } => self.faults.unknown_type += 1,
            MessageError::WrongSize { .. } => self.faults.wrong_size += 1,
        }
        out.push_opaque(message);
        Err(DecodeError::Itch50(error))
    }

    /// Pushes the records of a message.
    fn records(&mut self, stamp: &Stamp, message: Message<'_>, out: &mut Parts) -> Held {
        match message {
            Message::SystemEvent(body) => state::system_event(stamp, body, out),
            Message::StockDirectory(body) => self.stock_directory(stamp, body, out),
            Message::StockTradingAction(body) => state::trading_action(stamp, body, out),
            Message::RegSho(body) => state::reg_sho(stamp, body, out),
            Message::MwcbDeclineLevel(body) => state::mwcb_decline_level(stamp, body, out),
            Message::MwcbStatus(body) => state::mwcb_status(stamp, body, out),
            Message::OperationalHalt(body) => state::operational_halt(stamp, body, out),
            Message::IpoQuotingPeriod(body) => {
                auction::ipo_quoting_period(stamp, &self.day, body, out)
            }
            Message::LuldAuctionCollar(body) => auction::luld_auction_collar(stamp, body, out),
            Message::NetOrderImbalance(body) => auction::imbalance(stamp, body, out),
            Message::DirectListing(body) => auction::direct_listing(stamp, &self.day, body, out),
            Message::AddOrder(body) => self.add_order(stamp, body, out),
            Message::AddOrderAttributed(body) => self.add_order_attributed(stamp, body, out),
            Message::OrderExecuted(body) => self.order_executed(stamp, body, out),
            Message::OrderExecutedAtPrice(body) => self.order_executed_at_price(stamp, body, out),
            Message::OrderCancel(body) => self.order_cancel(stamp, body, out),
            Message::OrderDelete(body) => self.order_delete(stamp, body, out),
            Message::OrderReplace(body) => self.order_replace(stamp, body, out),
            Message::Trade(body) => trade::non_cross(stamp, body, out),
            Message::CrossTrade(body) => trade::cross(stamp, body, out),
            // DBN has no record for a broken trade, a market maker's state or retail interest.
            Message::BrokenTrade(_)
            | Message::MarketParticipantPosition(_)
            | Message::RetailInterest(_) => Held::Partly,
        }
    }
}

impl Decoder for Converter {
    fn reset(&mut self, day: TradingDay) {
        self.day = day;
        self.memory.clear();
    }

    fn convert(&mut self, sseq: u64, message: &[u8], out: &mut Parts) -> Result<(), DecodeError> {
        out.clear();
        if message.len() > LONGEST_MESSAGE {
            self.faults.too_long += 1;
            return Err(DecodeError::TooLong {
                actual: message.len(),
            });
        }
        let parsed = match Message::parse(message) {
            Ok(parsed) => parsed,
            Err(error) => return self.reject(error, message, out),
        };
        self.memory.proven = true;
        self.count(message[0]);
        let stamp = Stamp::new(self.publisher_id, &self.day, sseq, parsed.header());
        let held = self.records(&stamp, parsed, out);
        if let Some(last) = out.last_record_mut::<MboMsg>() {
            last.flags |= F_LAST;
        }
        if held == Held::Partly {
            out.push_opaque(message);
        }
        Ok(())
    }

    fn faults(&self) -> Faults {
        self.faults
    }

    fn each_count(&self, visit: &mut dyn FnMut(MessageType, u64)) {
        for (&(letter, _, title), &count) in MESSAGES.iter().zip(&self.counts) {
            visit(
                MessageType {
                    letter: char::from(letter),
                    title,
                },
                count,
            );
        }
    }
}

impl Converter {
    fn count(&mut self, letter: u8) {
        // What was parsed is in the table.
        self.counts[usize::from(PLACES[usize::from(letter)])] += 1;
    }
}

/// The place of each letter in [`MESSAGES`]; of what is no message's, the first.
const PLACES: [u8; 256] = {
    let (mut places, mut place) = ([0; 256], 0);
    while place < MESSAGES.len() {
        places[MESSAGES[place].0 as usize] = place as u8;
        place += 1;
    }
    places
};

/// Whether the records of a message hold all that it said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Held {
    Wholly,
    /// The source bytes must follow.
    Partly,
}

impl Held {
    const fn when(wholly: bool) -> Self {
        if wholly { Self::Wholly } else { Self::Partly }
    }
}

/// What all records of one message have in common.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    publisher_id: u16,
    locate: u16,
    /// Unix ns.
    time: u64,
    sequence: u32,
}

impl Stamp {
    fn new(publisher_id: u16, day: &TradingDay, sseq: u64, header: &MessageHeader) -> Self {
        Self {
            publisher_id,
            locate: header.stock_locate.get(),
            time: day.unix(header.timestamp.nanoseconds()),
            sequence: sseq as u32, // the low 32 bits, as DBN's field holds no more
        }
    }

    fn header<R: DbnRecord>(&self) -> RecordHeader {
        RecordHeader {
            publisher_id: U16::new(self.publisher_id),
            instrument_id: U32::new(u32::from(self.locate)),
            ts_event: U64::new(self.time),
            ..RecordHeader::of::<R>()
        }
    }
}

/// Units of 1e-9 from four implied decimals; every value fits.
fn price4(price: Price4) -> i64 {
    units(price.0.get())
}

fn units(price: u32) -> i64 {
    i64::from(price) * 100_000
}

/// Units of 1e-9 from eight implied decimals; what does not fit is not known.
fn price8(price: Price8) -> i64 {
    i64::try_from(price.0.get())
        .ok()
        .and_then(|price| price.checked_mul(10))
        .unwrap_or(UNDEF_PRICE)
}
