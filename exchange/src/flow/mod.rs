//! What happens on a market, message after message?
//!
//! A [`Flow`] is one session of one seed: the start of the day with a directory,
//! then orders that live and die, then the end of the day. It keeps just enough
//! of a market to be truthful: an execution, a cancel, a delete or a replace
//! names an order that is open, takes no more shares than it has, and the best
//! bid stays below the best offer.
//!
//! ```text
//!  opening                       live                              closing
//!  S·O, (R H Y) per instrument,  A F E C X D U P, and every        S·M, S·E,
//!  V, S·S, S·Q                   now and then the rarer types      S·C
//! ```
//!
//! The mix of the frequent types is that of a Nasdaq opening; the rarer types
//! take turns, so that a session of some ten thousand live messages has all 23.
//!
//! Message k depends on the seed, the session's index and k's time, and on
//! nothing else. No allocation after construction.

mod market;
mod rare;

use serde::Deserialize;

use self::market::{Market, Resting};
use self::rare::Rare;
use crate::itch::{Head, Message, Order, Side, StockDirectory};
use crate::rng::Rng;

/// The size of the market.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct FlowConfig {
    /// Instruments in the directory, stock locates 1 to this. Default 2,000.
    pub instruments: u16,
    /// Most open orders per instrument; costs 24 bytes each. Default 64.
    pub orders_per_instrument: u16,
    /// When a session opens, in seconds since midnight New York. Default 34,200
    /// (09:30).
    pub opens_at_s: u32,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            instruments: 2_000,
            orders_per_instrument: 64,
            opens_at_s: 34_200,
        }
    }
}

impl FlowConfig {
    /// Messages before the first order: four for the market, three per instrument.
    pub const fn opening_messages(&self) -> u64 {
        4 + 3 * self.instruments as u64
    }

    /// The shortest session that has an opening, one live message and a closing.
    pub const fn min_messages(&self) -> u64 {
        self.opening_messages() + 1 + CLOSING.len() as u64
    }
}

/// The order flow of one session.
#[derive(Debug)]
pub struct Flow {
    config: FlowConfig,
    rng: Rng,
    market: Market,
    message: Message,
    /// Index of the next message.
    next: u64,
    /// Messages of the session.
    total: u64,
    next_reference: u64,
    /// Match number and stock locate of the last trade that can be broken.
    last_match: (u64, u16),
    rare: Rare,
}

impl Flow {
    /// The flow of session `index` with `total` messages; fewer than
    /// [`FlowConfig::min_messages`] cut the opening short.
    pub fn new(config: FlowConfig, seed: u64, index: u64, total: u64) -> Self {
        let mut rng = Rng::new(seed, 0x464C_4F57_0000 ^ index);
        Self {
            market: Market::new(config.instruments, config.orders_per_instrument, &mut rng),
            config,
            rng,
            message: Message::default(),
            next: 0,
            total,
            next_reference: 1,
            last_match: (0, 0),
            rare: Rare::default(),
        }
    }

    /// The next message, sent `elapsed_ns` after the session opened; times must
    /// not go back. Valid until the next call.
    pub fn next(&mut self, elapsed_ns: u64) -> &[u8] {
        let index = self.next;
        self.next += 1;
        let timestamp_ns = u64::from(self.config.opens_at_s) * 1_000_000_000 + elapsed_ns;
        let tracking = (self.rng.next() >> 61) as u16 * 2;
        let head = Head {
            locate: 0,
            tracking,
            timestamp_ns,
        };
        let left = self.total.saturating_sub(index);
        if index < self.config.opening_messages() {
            self.opening(index, head);
        } else if (1..=CLOSING.len() as u64).contains(&left) {
            let event = CLOSING[CLOSING.len() - left as usize];
            self.message.system_event(head, event);
        } else {
            self.live(head);
        }
        self.message.as_bytes()
    }

    fn opening(&mut self, index: u64, head: Head) {
        let after_directory = self.config.opening_messages() - 3;
        match index.checked_sub(after_directory) {
            Some(0) => {
                let levels = [7, 13, 20].map(|percent| 500_000_000_000 / 100 * (100 - percent));
                self.message.decline_levels(head, levels);
            }
            Some(1) => self.message.system_event(head, b'S'),
            Some(_) => self.message.system_event(head, b'Q'),
            None if index == 0 => self.message.system_event(head, b'O'),
            None => {
                // `index` is below 3 × 65,535 + 1, so the instrument fits 16 bits.
                let instrument = ((index - 1) / 3) as u16;
                self.directory(instrument, (index - 1) % 3, head);
            }
        }
    }

    /// Line 0, 1 or 2 of an instrument's entry: `R`, `H`, `Y`.
    fn directory(&mut self, instrument: u16, line: u64, head: Head) {
        let head = Head {
            locate: instrument + 1,
            ..head
        };
        let stock = self.market.stock(instrument);
        match line {
            0 => self
                .message
                .stock_directory(head, &directory_entry(stock, instrument)),
            1 => self.message.trading_action(head, &stock, b'T', b"    "),
            _ => self.message.reg_sho(head, &stock, b'0'),
        }
    }

    fn live(&mut self, head: Head) {
        let instrument = self.pick_instrument();
        let head = Head {
            locate: instrument + 1,
            ..head
        };
        if self.market.resume(instrument) {
            let stock = self.market.stock(instrument);
            return self.message.trading_action(head, &stock, b'T', b"    ");
        }
        let roll = self.rng.below(MIX_TOTAL);
        match self.possible(Action::of(roll), instrument) {
            Action::Add => self.add(instrument, head),
            Action::Replace => self.replace(instrument, head),
            Action::Delete => {
                let order = self.market.pick(instrument, &mut self.rng);
                self.market.reduce(instrument, order, u32::MAX);
                let reference = order.1.reference;
                self.message.deleted(head, reference);
            }
            Action::Cancel => self.cancel(instrument, head),
            Action::Execute => self.execute(instrument, head),
            Action::Rare => self.rare(instrument, head),
        }
    }

    /// Few instruments have most of the messages: those with the lowest locates.
    fn pick_instrument(&mut self) -> u16 {
        // Below `instruments`, which is 16 bits.
        self.rng
            .skewed_below(u32::from(self.config.instruments.max(1))) as u16
    }

    /// What can be done instead, when the instrument has no order or no room.
    fn possible(&self, wanted: Action, instrument: u16) -> Action {
        match wanted {
            Action::Add if self.market.is_full(instrument) => Action::Delete,
            Action::Replace | Action::Delete | Action::Cancel | Action::Execute
                if self.market.is_empty(instrument) =>
            {
                Action::Add
            }
            possible => possible,
        }
    }

    fn add(&mut self, instrument: u16, head: Head) {
        let up = self.rng.chance_ppm(500_000);
        if self.rng.chance_ppm(60_000) {
            self.market.drift(instrument, up);
        }
        let side = if self.rng.chance_ppm(500_000) {
            Side::Buy
        } else {
            Side::Sell
        };
        let order = Order {
            reference: self.new_reference(),
            side,
            shares: self.lot(),
            stock: self.market.stock(instrument),
            price: self.market.passive_price(instrument, side, &mut self.rng),
        };
        let Order {
            reference,
            shares,
            price,
            ..
        } = order;
        self.market.insert(
            instrument,
            Resting {
                reference,
                shares,
                price,
                side,
            },
        );
        let attributed = self.rng.chance_ppm(340_000);
        let mpid = MPIDS[self.rng.below(MPIDS.len() as u32) as usize];
        self.message
            .add_order(head, &order, attributed.then_some(mpid));
    }

    fn replace(&mut self, instrument: u16, head: Head) {
        let (slot, old) = self.market.pick(instrument, &mut self.rng);
        let new = Resting {
            reference: self.new_reference(),
            shares: if self.rng.chance_ppm(700_000) {
                old.shares
            } else {
                self.lot()
            },
            price: self
                .market
                .passive_price(instrument, old.side, &mut self.rng),
            side: old.side,
        };
        self.market.replace(slot, new);
        self.message
            .replaced(head, old.reference, new.reference, new.shares, new.price);
    }

    /// A cancel leaves at least one share: one that leaves none is a delete.
    fn cancel(&mut self, instrument: u16, head: Head) {
        let order = self.market.pick(instrument, &mut self.rng);
        let Resting {
            reference, shares, ..
        } = order.1;
        if shares == 1 {
            self.market.reduce(instrument, order, 1);
            return self.message.deleted(head, reference);
        }
        let cancelled = 1 + self.rng.below(shares - 1);
        self.market.reduce(instrument, order, cancelled);
        self.message.cancelled(head, reference, cancelled);
    }

    /// Executes the order at the touch, and lets the price follow when it is gone.
    fn execute(&mut self, instrument: u16, head: Head) {
        let side = if self.rng.chance_ppm(500_000) {
            Side::Buy
        } else {
            Side::Sell
        };
        let order = self.market.touch(instrument, side);
        let Resting {
            reference,
            shares,
            price,
            side,
        } = order.1;
        let whole = self.rng.chance_ppm(600_000);
        let executed = if whole {
            shares
        } else {
            1 + self.rng.below(shares)
        };
        self.market.reduce(instrument, order, executed);
        if executed == shares {
            self.market.drift(instrument, side == Side::Sell);
        }
        let number = self.new_match(head.locate);
        if self.rng.chance_ppm(40_000) {
            let improved = if side == Side::Buy {
                price - 1
            } else {
                price + 1
            };
            let printable = self.rng.chance_ppm(900_000);
            self.message
                .executed_with_price(head, reference, executed, number, printable, improved);
        } else {
            self.message.executed(head, reference, executed, number);
        }
    }

    /// Round lots, and now and then an odd one.
    fn lot(&mut self) -> u32 {
        if self.rng.chance_ppm(150_000) {
            1 + self.rng.below(99)
        } else {
            100 * (1 + self.rng.skewed_below(20))
        }
    }

    /// References rise but are not dense, as on the real feed.
    fn new_reference(&mut self) -> u64 {
        self.next_reference += 1 + (self.rng.next() >> 62);
        self.next_reference
    }

    fn new_match(&mut self, locate: u16) -> u64 {
        self.last_match = (self.last_match.0 + 1, locate);
        self.last_match.0
    }
}

/// The frequent things that happen to an instrument.
#[derive(Clone, Copy)]
enum Action {
    Add,
    Replace,
    Delete,
    Cancel,
    Execute,
    Rare,
}

impl Action {
    /// The action whose share of [`MIX`] holds `roll`.
    fn of(mut roll: u32) -> Self {
        for (action, share) in MIX {
            if roll < share {
                return action;
            }
            roll -= share;
        }
        Self::Add
    }
}

/// Shares of the actions, in parts per thousand. Adds outnumber what removes
/// orders, so books fill until they are full, and then stay so.
const MIX: [(Action, u32); 6] = [
    (Action::Add, 440),
    (Action::Delete, 330),
    (Action::Replace, 150),
    (Action::Execute, 52),
    (Action::Cancel, 22),
    (Action::Rare, 6),
];
const MIX_TOTAL: u32 = 1_000;

/// The end of the day: market hours, system hours, messages.
const CLOSING: [u8; 3] = [b'M', b'E', b'C'];

/// Attributions; four letters that name nobody.
const MPIDS: [&[u8; 4]; 4] = [b"TFMA", b"TFMB", b"TFMC", b"TFMD"];

fn directory_entry(stock: crate::itch::Stock, instrument: u16) -> StockDirectory {
    let fund = instrument % 5 == 4;
    StockDirectory {
        stock,
        market_category: b"QGSNAPZ"[usize::from(instrument % 7)],
        financial_status: b'N',
        round_lot_size: 100,
        round_lots_only: b'N',
        issue_classification: if fund { b'Q' } else { b'C' },
        issue_sub_type: if fund { *b"E " } else { *b"Z " },
        authenticity: b'P',
        short_sale_threshold: b'N',
        ipo_flag: b'N',
        luld_tier: if instrument < 500 { b'1' } else { b'2' },
        etp_flag: if fund { b'Y' } else { b'N' },
        etp_leverage_factor: u32::from(fund),
        inverse_indicator: b'N',
    }
}
