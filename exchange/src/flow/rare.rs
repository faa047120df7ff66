//! What else does an exchange say, once in a thousand messages?
//!
//! The rarer types take turns, so that none of them is left to luck.

use super::{Flow, MPIDS};
use crate::itch::{DirectListing, Head, Imbalance, Order, Side};

/// Whose turn it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rare {
    turn: usize,
}

impl Rare {
    fn next(&mut self) -> Kind {
        let kind = TURNS[self.turn % TURNS.len()];
        self.turn += 1;
        kind
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Trade,
    Imbalance,
    Cross,
    Halt,
    RetailInterest,
    Participant,
    Broken,
    OperationalHalt,
    AuctionCollar,
    ExecutedWithPrice,
    IpoQuoting,
    ShortSale,
    DirectListing,
    BreachedLevel,
}

/// Trades and imbalances come round more often, as on a real day.
const TURNS: [Kind; 24] = [
    Kind::Trade,
    Kind::Imbalance,
    Kind::Participant,
    Kind::Trade,
    Kind::Cross,
    Kind::Broken,
    Kind::Trade,
    Kind::RetailInterest,
    Kind::ExecutedWithPrice,
    Kind::Trade,
    Kind::Imbalance,
    Kind::Halt,
    Kind::Trade,
    Kind::AuctionCollar,
    Kind::Cross,
    Kind::Trade,
    Kind::OperationalHalt,
    Kind::ShortSale,
    Kind::Trade,
    Kind::Imbalance,
    Kind::IpoQuoting,
    Kind::Trade,
    Kind::DirectListing,
    Kind::BreachedLevel,
];

impl Flow {
    /// The next of the rarer messages, for an instrument that is not halted.
    pub(super) fn rare(&mut self, instrument: u16, head: Head) {
        let stock = self.market.stock(instrument);
        let middle = self.market.middle(instrument);
        let nobody = Head { locate: 0, ..head };
        match self.rare.next() {
            Kind::Trade => self.hidden_trade(instrument, head),
            Kind::Imbalance => self.imbalance(instrument, head),
            Kind::Cross => {
                let shares = u64::from(self.lot()) * 10;
                let number = self.new_match(head.locate);
                self.message
                    .cross_trade(head, &stock, shares, middle, number, b'H');
            }
            Kind::Halt => {
                self.market.halt(instrument);
                self.message.trading_action(head, &stock, b'H', b"T1  ");
            }
            Kind::RetailInterest => {
                let interest = b"BSAN"[self.rng.below(4) as usize];
                self.message.retail_interest(head, &stock, interest);
            }
            Kind::Participant => {
                let mpid = MPIDS[self.rng.below(MPIDS.len() as u32) as usize];
                self.message
                    .participant_position(head, mpid, &stock, *b"YNA");
            }
            Kind::Broken => {
                let (number, locate) = self.last_match;
                if number == 0 {
                    return self.hidden_trade(instrument, head);
                }
                self.message.broken_trade(Head { locate, ..head }, number);
            }
            Kind::OperationalHalt => {
                let halted = self.market.toggle_halt_elsewhere(instrument);
                let action = if halted { b'H' } else { b'T' };
                self.message.operational_halt(head, &stock, b'B', action);
            }
            Kind::AuctionCollar => {
                let prices = [middle, middle + middle / 20, middle - middle / 20];
                self.message.auction_collar(head, &stock, prices, 0);
            }
            Kind::ExecutedWithPrice if self.market.is_empty(instrument) => {
                self.add(instrument, head);
            }
            Kind::ExecutedWithPrice => self.improve(instrument, head),
            Kind::IpoQuoting => {
                self.message
                    .ipo_quoting(nobody, &stock, 36_000, b'A', middle);
            }
            Kind::ShortSale => self.message.reg_sho(head, &stock, b'1'),
            Kind::DirectListing => self.direct_listing(instrument, head),
            Kind::BreachedLevel => self.message.breached_level(nobody, b'1'),
        }
    }

    /// Part of the touch executed at a better price than its own.
    fn improve(&mut self, instrument: u16, head: Head) {
        let order = self.market.touch(instrument, Side::Sell);
        let executed = 1 + self.rng.below(order.1.shares);
        self.market.reduce(instrument, order, executed);
        let number = self.new_match(head.locate);
        let price = self.market.middle(instrument);
        self.message
            .executed_with_price(head, order.1.reference, executed, number, true, price);
    }

    fn hidden_trade(&mut self, instrument: u16, head: Head) {
        let order = Order {
            reference: 0,
            side: Side::Buy,
            shares: self.lot(),
            stock: self.market.stock(instrument),
            price: self.market.middle(instrument),
        };
        let number = self.new_match(head.locate);
        self.message.trade(head, &order, number);
    }

    fn imbalance(&mut self, instrument: u16, head: Head) {
        let middle = self.market.middle(instrument);
        let fields = Imbalance {
            paired_shares: u64::from(self.lot()) * 100,
            imbalance_shares: u64::from(self.lot()),
            direction: b"BS"[self.rng.below(2) as usize],
            stock: self.market.stock(instrument),
            far_price: middle + 300,
            near_price: middle + 100,
            reference_price: middle,
            cross: b'C',
            price_variation: b'L',
        };
        self.message.imbalance(head, &fields);
    }

    fn direct_listing(&mut self, instrument: u16, head: Head) {
        let middle = self.market.middle(instrument);
        let fields = DirectListing {
            stock: self.market.stock(instrument),
            open_eligibility: b'N',
            min_price: middle / 5 * 4,
            max_price: middle / 5 * 9,
            near_price: middle,
            near_time_ns: head.timestamp_ns,
            lower_collar: middle / 10 * 9,
            upper_collar: middle / 10 * 11,
        };
        self.message.direct_listing(head, &fields);
    }
}
