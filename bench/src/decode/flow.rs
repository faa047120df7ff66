//! What does the source say, and in which packets?
//!
//! ```text
//!  Flow ─► message, message, … ─► MoldUDP64 packet ─► Packets
//! ```
//!
//! Seeded, so that a seed and the same calls give the same bytes. A [`Flow`] knows which orders rest, for
//! whoever touches one must name it; it does not know who reads what it says.

use twinfeed_exchange::itch::{Head, Imbalance, MAX_LEN, Message, Order, Side, StockDirectory};
use twinfeed_exchange::mold::{BLOCK_HEADER_LEN, HEADER_LEN, Packer};
use twinfeed_exchange::session::SessionId;

use crate::chance::Chance;

/// What the messages are about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Content {
    /// `P` and nothing else: a record and the source bytes.
    Trades,
    /// `S`, `I`, `P` and `Q`, as often as in [`CAPTURE`].
    NoOrder,
    /// Everything, as often as in [`CAPTURE`], with so many resting orders.
    Mix(usize),
}

/// How often each type stands in the first thousand messages from 9:30:00 of 30 December 2019
/// (`12302019_SNIPPET.NASDAQ_ITCH50`, Nasdaq's public sample). The day's first second adds three orders for each that
/// it deletes; where the number of resting orders is to stay, adds and deletes are one half each of what both are there.
pub(crate) const CAPTURE: [(u8, u64); 11] = [
    (b'A', 367),
    (b'F', 193),
    (b'D', 167),
    (b'U', 225),
    (b'E', 28),
    (b'C', 1),
    (b'X', 6),
    (b'S', 1),
    (b'I', 4),
    (b'P', 4),
    (b'Q', 4),
];

/// Packets, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packets {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
    messages: u64,
}

impl Packets {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.lengths.clear();
        self.messages = 0;
    }

    pub(crate) fn push(&mut self, packet: &[u8], messages: u64) {
        self.bytes.extend_from_slice(packet);
        self.lengths.push(packet.len());
        self.messages += messages;
    }

    /// How many messages they carry.
    pub(crate) const fn messages(&self) -> u64 {
        self.messages
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        let mut rest = &self.bytes[..];
        self.lengths.iter().map(move |length| {
            let (packet, behind) = rest.split_at(*length);
            rest = behind;
            packet
        })
    }
}

/// A source that speaks as long as it is asked.
#[derive(Debug)]
pub(crate) struct Flow {
    content: Content,
    chance: Chance,
    open: Vec<Resting>,
    /// The last reference of each partition of the matching engine. As in the capture: a partition's are equal modulo four,
    /// so that none meets another's.
    references: [u64; PARTITIONS],
    instruments: u16,
    /// How many of them were told.
    defined: u16,
    next: u64,
    time_ns: u64,
    message: Message,
    packer: Packer,
}

#[derive(Clone, Copy, Debug)]
struct Resting {
    reference: u64,
    locate: u16,
    shares: u32,
}

impl Flow {
    pub(crate) fn new(content: Content, seed: u64) -> Self {
        let orders = match content {
            Content::Mix(orders) => orders,
            Content::Trades | Content::NoOrder => 0,
        };
        Self {
            content,
            chance: Chance::seeded(seed),
            open: Vec::with_capacity(orders + orders / SLACK + 2),
            references: [9_899_132, 7_508_039, 5_676_658, 7_856_425],
            instruments: INSTRUMENTS,
            defined: 0,
            next: 1,
            time_ns: 34_200_000_000_000,
            message: Message::default(),
            packer: Packer::new(MAX_PAYLOAD),
        }
    }

    /// Of so many instruments, at least 1.
    pub(crate) const fn instruments(mut self, instruments: u16) -> Self {
        self.instruments = instruments;
        self
    }

    /// Tells the instruments and their symbols, at most so many at once; `false`: all were told.
    pub(crate) fn define(&mut self, messages: u64, packets: &mut Packets) -> bool {
        packets.clear();
        while self.defined < self.instruments && packets.messages() < messages {
            let left = usize::from(self.instruments - self.defined);
            self.packet(left.min(MOST_TOGETHER), packets, |flow| {
                flow.defined += 1;
                let fields = StockDirectory {
                    stock: symbol(flow.defined),
                    ..DIRECTORY
                };
                let head = flow.head(flow.defined);
                flow.message.stock_directory(head, &fields);
            });
        }
        packets.messages() > 0
    }

    /// Adds orders until so many rest as the content wants, at most so many messages at once; `false`: there are as many.
    pub(crate) fn fill(&mut self, messages: u64, packets: &mut Packets) -> bool {
        packets.clear();
        let Content::Mix(orders) = self.content else {
            return false;
        };
        while self.open.len() < orders && packets.messages() < messages {
            let left = orders - self.open.len();
            self.packet(left.min(MOST_TOGETHER), packets, |flow| flow.add(b'A'));
        }
        packets.messages() > 0
    }

    /// At least so many messages, in packets of so many each, at most [`MOST_TOGETHER`].
    pub(crate) fn speak(&mut self, messages: u64, together: usize, packets: &mut Packets) {
        packets.clear();
        while packets.messages() < messages {
            self.packet(together, packets, Self::say);
        }
    }

    fn packet(&mut self, together: usize, packets: &mut Packets, say: impl Fn(&mut Self)) {
        self.packer.begin(session(), self.next);
        for _ in 0..together {
            self.time_ns += 1 + self.chance.below(500);
            say(self);
            let pushed = self.packer.push(self.message.as_bytes());
            debug_assert!(pushed, "so many of the longest fit");
        }
        let count = u64::from(self.packer.count());
        self.next += count;
        packets.push(self.packer.finish(), count);
    }

    fn say(&mut self) {
        match self.content {
            Content::Trades => self.trade(),
            Content::NoOrder => {
                let letter = self.draw(|letter| b"SIPQ".contains(&letter));
                self.about_no_order(letter);
            }
            Content::Mix(orders) => match self.draw(|_| true) {
                letter @ (b'A' | b'F' | b'D') => self.add_or_delete(letter, orders),
                b'U' => self.replace(),
                letter @ (b'E' | b'C' | b'X') => self.take(letter),
                letter => self.about_no_order(letter),
            },
        }
    }

    /// A type, as often as in [`CAPTURE`] among those that are `wanted`.
    fn draw(&mut self, wanted: impl Fn(u8) -> bool) -> u8 {
        let of = || CAPTURE.into_iter().filter(|(letter, _)| wanted(*letter));
        let mut place = self.chance.below(of().map(|(_, share)| share).sum());
        for (letter, share) in of() {
            if place < share {
                return letter;
            }
            place -= share;
        }
        unreachable!("a place is below the sum of the shares")
    }

    /// Whatever of both was drawn: one in two is an add, unless too many orders rest, or too few.
    fn add_or_delete(&mut self, letter: u8, orders: usize) {
        let slack = orders / SLACK + 1;
        let adds = match self.open.len() {
            few if few + slack < orders.max(slack) || few == 0 => true,
            many if many > orders + slack => false,
            _ => self.chance.below(2) == 0,
        };
        if adds {
            self.add(if letter == b'D' { b'A' } else { letter });
        } else {
            let resting = self.any();
            let gone = self.open.swap_remove(resting);
            self.message.deleted(self.head(gone.locate), gone.reference);
        }
    }

    fn add(&mut self, letter: u8) {
        let order = Resting {
            reference: self.reference(),
            locate: self.instrument(),
            shares: 100 * (1 + self.chance.below(10) as u32),
        };
        let said = Order {
            reference: order.reference,
            side: self.side(),
            shares: order.shares,
            stock: *b"TWINFEED",
            price: self.price(),
        };
        let attribution = (letter == b'F').then_some(b"NSDQ");
        self.message
            .add_order(self.head(order.locate), &said, attribution);
        self.open.push(order);
    }

    fn replace(&mut self) {
        if self.open.is_empty() {
            return self.add(b'A');
        }
        let place = self.any();
        let (old, new) = (self.open[place], self.reference());
        let (shares, price) = (100 * (1 + self.chance.below(10) as u32), self.price());
        let head = self.head(old.locate);
        self.message
            .replaced(head, old.reference, new, shares, price);
        self.open[place] = Resting {
            reference: new,
            shares,
            ..old
        };
    }

    /// Half of an order's shares, or all of them when they are few.
    fn take(&mut self, letter: u8) {
        if self.open.is_empty() {
            return self.add(b'A');
        }
        let place = self.any();
        let order = self.open[place];
        let shares = if order.shares < 100 {
            order.shares
        } else {
            order.shares / 2
        };
        let (head, reference, number) = (self.head(order.locate), order.reference, self.next);
        match letter {
            b'E' => self.message.executed(head, reference, shares, number),
            b'C' => {
                let price = self.price();
                self.message
                    .executed_with_price(head, reference, shares, number, true, price);
            }
            _ => self.message.cancelled(head, reference, shares),
        }
        if shares == order.shares {
            self.open.swap_remove(place);
        } else {
            self.open[place].shares -= shares;
        }
    }

    fn about_no_order(&mut self, letter: u8) {
        let head = self.head(1 + self.next as u16 % self.instruments.min(1_000));
        match letter {
            b'S' => self.message.system_event(head, b'Q'),
            b'I' => {
                let price = self.price();
                let fields = Imbalance {
                    paired_shares: self.next,
                    imbalance_shares: 300,
                    direction: b'B',
                    stock: *b"TWINFEED",
                    far_price: price,
                    near_price: price + 100,
                    reference_price: price + 50,
                    cross: b'O',
                    price_variation: b'1',
                };
                self.message.imbalance(head, &fields);
            }
            b'Q' => {
                let price = self.price();
                self.message
                    .cross_trade(head, b"TWINFEED", 1_000, price, self.next, b'O');
            }
            _ => self.trade(),
        }
    }

    fn trade(&mut self) {
        let order = Order {
            reference: 0,
            side: Side::Buy,
            shares: 1 + self.chance.below(500) as u32,
            stock: *b"TWINFEED",
            price: self.price(),
        };
        let locate = self.instrument();
        self.message.trade(self.head(locate), &order, self.next);
    }

    const fn head(&self, locate: u16) -> Head {
        Head {
            locate,
            tracking: 0,
            timestamp_ns: self.time_ns,
        }
    }

    fn instrument(&mut self) -> u16 {
        1 + self.chance.below(u64::from(self.instruments)) as u16
    }

    /// The place of a resting order; there is one.
    fn any(&mut self) -> usize {
        // Below the length, which is a usize.
        self.chance.below(self.open.len() as u64) as usize
    }

    fn reference(&mut self) -> u64 {
        let partition = self.chance.below(PARTITIONS as u64) as usize;
        self.references[partition] += PARTITIONS as u64 * (1 + self.chance.below(3));
        self.references[partition]
    }

    fn side(&mut self) -> Side {
        if self.chance.below(2) == 0 {
            Side::Buy
        } else {
            Side::Sell
        }
    }

    /// Units of 1/10,000.
    fn price(&mut self) -> u32 {
        100 * (100 + self.chance.below(50_000) as u32)
    }
}

/// Messages of others in packets, as [`Flow::speak`] makes its own; `next` is the number of the next one.
pub(crate) fn pack<'m>(
    messages: &mut impl Iterator<Item = &'m Vec<u8>>,
    next: &mut u64,
    (least, together): (u64, usize),
    packets: &mut Packets,
) {
    packets.clear();
    let mut packer = Packer::new(MAX_PAYLOAD);
    while packets.messages() < least {
        packer.begin(session(), *next);
        for message in messages.by_ref().take(together) {
            let pushed = packer.push(message);
            debug_assert!(pushed, "so many of the longest fit");
        }
        let count = u64::from(packer.count());
        *next += count;
        packets.push(packer.finish(), count);
    }
}

/// The symbol of an instrument: those of odd numbers begin with another letter than those of even ones.
pub(crate) fn symbol(instrument: u16) -> [u8; 8] {
    let mut symbol = [b'A' + (instrument % 2) as u8; 8];
    let mut rest = instrument;
    for letter in symbol[1..].iter_mut().rev() {
        *letter = b'A' + (rest % 26) as u8;
        rest /= 26;
    }
    symbol
}

/// An instrument of which nothing in particular is said.
const DIRECTORY: StockDirectory = StockDirectory {
    stock: [b' '; 8],
    market_category: b'Q',
    financial_status: b'N',
    round_lot_size: 100,
    round_lots_only: b'N',
    issue_classification: b'C',
    issue_sub_type: *b"Z ",
    authenticity: b'P',
    short_sale_threshold: b'N',
    ipo_flag: b'N',
    luld_tier: b'1',
    etp_flag: b'N',
    etp_leverage_factor: 0,
    inverse_indicator: b'N',
};

/// The session of all packets.
fn session() -> SessionId {
    let Some(session) = SessionId::numbered("S", 1) else {
        unreachable!("a letter, and a number of one digit")
    };
    session
}

/// Most messages in a packet: so many of the longest fit.
pub(crate) const MOST_TOGETHER: usize = (MAX_PAYLOAD - HEADER_LEN) / (BLOCK_HEADER_LEN + MAX_LEN);
/// Payload of a packet that fits an Ethernet frame, bytes.
const MAX_PAYLOAD: usize = 1_472;
/// By the how-manieth part the number of resting orders may be off.
const SLACK: usize = 64;
const INSTRUMENTS: u16 = 8_000;
const PARTITIONS: usize = 4;
