//! Is the order flow one that a market could have?
//!
//! The judge here is a book that reads the bytes by offsets from the published
//! layouts, not through the encoder, and remembers every order.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use twinfeed_exchange::flow::{Flow, FlowConfig};
use twinfeed_exchange::itch::LENGTHS;

const SMALL: FlowConfig = FlowConfig {
    instruments: 50,
    orders_per_instrument: 16,
    opens_at_s: 34_200,
};

fn number(message: &[u8], at: usize, width: usize) -> u64 {
    message[at..at + width]
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[derive(Clone, Copy, Debug)]
struct Open {
    locate: u64,
    buy: bool,
    shares: u64,
    price: u64,
}

/// The naive twin: every order ever opened, every trade ever made.
#[derive(Default)]
struct Book {
    open: HashMap<u64, Open>,
    used: BTreeSet<u64>,
    matches: BTreeSet<u64>,
    halted: BTreeSet<u64>,
    stocks: BTreeMap<u64, Vec<u8>>,
    kinds: BTreeMap<u8, u64>,
    last_time: u64,
    most_open: usize,
}

impl Book {
    fn apply(&mut self, message: &[u8]) {
        let kind = message[0];
        let length = LENGTHS
            .iter()
            .find(|(known, _)| *known == kind)
            .expect("a known type")
            .1;
        assert_eq!(message.len(), length, "length of {}", char::from(kind));
        *self.kinds.entry(kind).or_default() += 1;
        let (locate, time) = (number(message, 1, 2), number(message, 5, 6));
        assert!(time >= self.last_time, "time goes back");
        self.last_time = time;
        if b"AFECXDUPQ".contains(&kind) {
            assert!(
                !self.halted.contains(&locate),
                "{} in a halt",
                char::from(kind)
            );
        }
        match kind {
            b'R' => assert!(
                self.stocks
                    .insert(locate, message[11..19].to_vec())
                    .is_none()
            ),
            b'H' => {
                self.known(locate, &message[11..19]);
                if message[19] == b'T' {
                    self.halted.remove(&locate);
                } else {
                    assert!(self.halted.insert(locate));
                }
            }
            b'A' | b'F' => {
                self.known(locate, &message[24..32]);
                let buy = message[19] == b'B';
                assert!(buy || message[19] == b'S');
                let (shares, price) = (number(message, 20, 4), number(message, 32, 4));
                self.insert(
                    number(message, 11, 8),
                    Open {
                        locate,
                        buy,
                        shares,
                        price,
                    },
                );
            }
            b'E' | b'C' => {
                self.take(number(message, 11, 8), locate, number(message, 19, 4), true);
                assert!(
                    self.matches.insert(number(message, 23, 8)),
                    "a match number twice"
                );
            }
            b'X' => self.take(
                number(message, 11, 8),
                locate,
                number(message, 19, 4),
                false,
            ),
            b'D' => assert_eq!(self.remove(number(message, 11, 8), locate).locate, locate),
            b'U' => {
                let old = self.remove(number(message, 11, 8), locate);
                let (shares, price) = (number(message, 27, 4), number(message, 31, 4));
                self.insert(
                    number(message, 19, 8),
                    Open {
                        shares,
                        price,
                        ..old
                    },
                );
            }
            b'P' => {
                self.known(locate, &message[24..32]);
                assert_eq!(number(message, 11, 8), 0, "a hidden order has no reference");
                assert!(self.matches.insert(number(message, 36, 8)));
            }
            b'Q' => assert!(self.matches.insert(number(message, 31, 8))),
            b'B' => assert!(
                self.matches.contains(&number(message, 11, 8)),
                "no such trade"
            ),
            b'Y' | b'h' | b'J' | b'N' | b'O' => self.known(locate, &message[11..19]),
            b'L' => self.known(locate, &message[15..23]),
            b'I' => self.known(locate, &message[28..36]),
            b'S' | b'V' | b'W' | b'K' => assert_eq!(locate, 0),
            other => panic!("unexpected type {other}"),
        }
        self.most_open = self.most_open.max(self.open.len());
    }

    fn known(&self, locate: u64, stock: &[u8]) {
        assert_eq!(self.stocks.get(&locate).map(Vec::as_slice), Some(stock));
    }

    fn insert(&mut self, reference: u64, order: Open) {
        assert!(order.shares > 0 && order.price > 0 && order.price <= 2_000_000_000);
        assert!(
            self.used.insert(reference),
            "reference {reference} used twice"
        );
        self.open.insert(reference, order);
    }

    fn take(&mut self, reference: u64, locate: u64, shares: u64, whole_allowed: bool) {
        let order = self.open.get_mut(&reference).expect("an open order");
        assert_eq!(order.locate, locate);
        assert!(shares > 0 && shares <= order.shares);
        assert!(
            whole_allowed || shares < order.shares,
            "a cancel that is a delete"
        );
        order.shares -= shares;
        if order.shares == 0 {
            self.open.remove(&reference);
        }
    }

    fn remove(&mut self, reference: u64, locate: u64) -> Open {
        let order = self.open.remove(&reference).expect("an open order");
        assert_eq!(order.locate, locate);
        order
    }

    /// (best bid, best offer) of every instrument with both.
    fn assert_uncrossed(&self) -> usize {
        let mut touch: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for order in self.open.values() {
            let (bid, offer) = touch.entry(order.locate).or_insert((0, u64::MAX));
            if order.buy {
                *bid = order.price.max(*bid);
            } else {
                *offer = order.price.min(*offer);
            }
        }
        assert!(touch.values().all(|(bid, offer)| bid < offer), "crossed");
        touch
            .values()
            .filter(|(bid, offer)| *bid > 0 && *offer < u64::MAX)
            .count()
    }
}

#[test]
fn every_order_lives_a_valid_life_and_every_type_occurs() {
    for seed in 1..=5 {
        let total = 40_000;
        let mut flow = Flow::new(SMALL, seed, 0, total);
        let mut book = Book::default();
        for index in 0..total {
            book.apply(flow.next(index * 10_000));
            if index % 500 == 0 {
                book.assert_uncrossed();
            }
        }
        let missing: Vec<char> = (LENGTHS.iter())
            .filter(|(kind, _)| !book.kinds.contains_key(kind))
            .map(|(kind, _)| char::from(*kind))
            .collect();
        assert!(missing.is_empty(), "seed {seed}: no {missing:?}");
        assert!(book.assert_uncrossed() > 10, "seed {seed}: an empty market");
        assert!(
            book.most_open <= 50 * 16 && book.most_open > 400,
            "{}",
            book.most_open
        );
        assert_eq!(book.stocks.len(), 50);
    }
}

#[test]
fn prices_move() {
    let mut flow = Flow::new(SMALL, 3, 0, 100_000);
    let mut hidden: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for index in 0..100_000 {
        let message = flow.next(index);
        if message[0] == b'P' {
            hidden
                .entry(number(message, 1, 2))
                .or_default()
                .insert(number(message, 32, 4));
        }
    }
    let widest = hidden.values().map(BTreeSet::len).max().unwrap_or_default();
    assert!(
        widest > 5,
        "hidden trades happen at the middle, which saw {widest} prices"
    );
}

#[test]
fn a_session_begins_with_the_directory_and_ends_with_the_day() {
    let config = FlowConfig {
        instruments: 2,
        ..SMALL
    };
    let total = config.min_messages() + 5;
    let mut flow = Flow::new(config, 1, 0, total);
    let all: Vec<Vec<u8>> = (0..total).map(|t| flow.next(t).to_vec()).collect();
    let kinds: String = all.iter().map(|message| char::from(message[0])).collect();
    assert_eq!(kinds[..10], *"SRHYRHYVSS");
    assert_eq!(kinds[kinds.len() - 3..], *"SSS");
    let events: Vec<u8> = all.iter().filter(|m| m[0] == b'S').map(|m| m[11]).collect();
    assert_eq!(events, b"OSQMEC");
    assert_eq!(number(&all[0], 5, 6), 34_200_000_000_000);
    assert_eq!(number(&all[9], 5, 6), 34_200_000_000_009);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let bytes = |seed, index| {
        let mut flow = Flow::new(SMALL, seed, index, 5_000);
        (0..5_000)
            .flat_map(|t| flow.next(t).to_vec())
            .collect::<Vec<u8>>()
    };
    assert_eq!(bytes(1, 0), bytes(1, 0));
    assert_ne!(bytes(1, 0), bytes(2, 0));
    assert_ne!(bytes(1, 0), bytes(1, 1), "sessions differ");
}
