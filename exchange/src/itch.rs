//! How does one TotalView-ITCH 5.0 message look in bytes?
//!
//! One function per message type writes it into a [`Message`]; layouts are those
//! of the Nasdaq TotalView-ITCH 5.0 specification (2024-02-28). Numbers are
//! big-endian, text is ASCII, left-justified and padded with spaces. Every
//! message starts alike:
//!
//! ```text
//!  0      1               3                 5                      11
//!  ├ type ┼ stock locate ─┼ tracking number ┼ ns since midnight ──┼─ …
//!    u8        u16               u16              u48
//! ```
//!
//! Refuses to know which message may follow which: see [`flow`](crate::flow).
//!
//! Prices are in units of 1/10,000 dollar ("Price(4)") unless said otherwise.

/// Every message type and its length in bytes.
pub const LENGTHS: [(u8, usize); 23] = [
    (b'S', 12),
    (b'R', 39),
    (b'H', 25),
    (b'Y', 20),
    (b'L', 26),
    (b'V', 35),
    (b'W', 12),
    (b'K', 28),
    (b'J', 35),
    (b'h', 21),
    (b'A', 36),
    (b'F', 40),
    (b'E', 31),
    (b'C', 36),
    (b'X', 23),
    (b'D', 19),
    (b'U', 35),
    (b'P', 44),
    (b'Q', 40),
    (b'B', 19),
    (b'I', 50),
    (b'N', 20),
    (b'O', 48),
];

/// The longest message.
pub const MAX_LEN: usize = 50;

/// A symbol: eight ASCII bytes, padded with spaces on the right.
pub type Stock = [u8; 8];

/// One side of an order.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// Buy.
    Buy,
    /// Sell.
    Sell,
}

impl Side {
    const fn byte(self) -> u8 {
        match self {
            Self::Buy => b'B',
            Self::Sell => b'S',
        }
    }
}

/// What every message carries before its own fields.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// The instrument's number for the day; 0 for the whole market.
    pub locate: u16,
    /// The exchange's internal number.
    pub tracking: u16,
    /// Nanoseconds since midnight, New York; 48 bits.
    pub timestamp_ns: u64,
}

/// A message under construction, in a buffer that is reused.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl Default for Message {
    fn default() -> Self {
        Self {
            bytes: [0; MAX_LEN],
            len: 0,
        }
    }
}

impl Message {
    /// The message's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        // `len` never passes the end: `put` alone moves it, and checks.
        &self.bytes[..self.len]
    }

    fn begin(&mut self, kind: u8, head: Head) -> &mut Self {
        self.len = 0;
        let time = head.timestamp_ns.to_be_bytes();
        self.u8(kind)
            .u16(head.locate)
            .u16(head.tracking)
            .put(&time[2..])
    }

    fn put(&mut self, field: &[u8]) -> &mut Self {
        // No message is longer than MAX_LEN: the test against LENGTHS covers all.
        self.bytes[self.len..self.len + field.len()].copy_from_slice(field);
        self.len += field.len();
        self
    }

    fn u8(&mut self, value: u8) -> &mut Self {
        self.put(&[value])
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    /// `S`: start and end of messages, system hours, market hours (`O S Q M E C`).
    pub fn system_event(&mut self, head: Head, event: u8) {
        self.begin(b'S', head).u8(event);
    }

    /// `R`: an instrument of the day.
    pub fn stock_directory(&mut self, head: Head, fields: &StockDirectory) {
        self.begin(b'R', head)
            .put(&fields.stock)
            .u8(fields.market_category)
            .u8(fields.financial_status)
            .u32(fields.round_lot_size)
            .u8(fields.round_lots_only)
            .u8(fields.issue_classification)
            .put(&fields.issue_sub_type)
            .u8(fields.authenticity)
            .u8(fields.short_sale_threshold)
            .u8(fields.ipo_flag)
            .u8(fields.luld_tier)
            .u8(fields.etp_flag)
            .u32(fields.etp_leverage_factor)
            .u8(fields.inverse_indicator);
    }

    /// `H`: trading state (`H P Q T`) of an instrument, with a reason.
    pub fn trading_action(&mut self, head: Head, stock: &Stock, state: u8, reason: &[u8; 4]) {
        self.begin(b'H', head)
            .put(stock)
            .u8(state)
            .u8(b' ')
            .put(reason);
    }

    /// `Y`: short sale restriction (`0 1 2`).
    pub fn reg_sho(&mut self, head: Head, stock: &Stock, action: u8) {
        self.begin(b'Y', head).put(stock).u8(action);
    }

    /// `L`: a market participant's position: primary market maker (`Y N`), mode
    /// (`N P S R L`), state (`A E W S D`).
    pub fn participant_position(
        &mut self,
        head: Head,
        mpid: &[u8; 4],
        stock: &Stock,
        [primary, mode, state]: [u8; 3],
    ) {
        self.begin(b'L', head)
            .put(mpid)
            .put(stock)
            .u8(primary)
            .u8(mode)
            .u8(state);
    }

    /// `V`: the three decline levels of the market-wide circuit breaker, in
    /// units of 1/100,000,000 ("Price(8)").
    pub fn decline_levels(&mut self, head: Head, levels: [u64; 3]) {
        let [first, second, third] = levels;
        self.begin(b'V', head).u64(first).u64(second).u64(third);
    }

    /// `W`: the level breached (`1 2 3`).
    pub fn breached_level(&mut self, head: Head, level: u8) {
        self.begin(b'W', head).u8(level);
    }

    /// `K`: when quoting of an IPO begins, in seconds since midnight (qualifier
    /// `A C`).
    pub fn ipo_quoting(
        &mut self,
        head: Head,
        stock: &Stock,
        release_s: u32,
        qualifier: u8,
        price: u32,
    ) {
        self.begin(b'K', head)
            .put(stock)
            .u32(release_s)
            .u8(qualifier)
            .u32(price);
    }

    /// `J`: the collar of a limit-up-limit-down auction: reference, upper and
    /// lower price, and how often it was extended.
    pub fn auction_collar(
        &mut self,
        head: Head,
        stock: &Stock,
        [reference, upper, lower]: [u32; 3],
        extension: u32,
    ) {
        self.begin(b'J', head)
            .put(stock)
            .u32(reference)
            .u32(upper)
            .u32(lower)
            .u32(extension);
    }

    /// `h`: operational halt (`H T`) on one market (`Q B X`).
    pub fn operational_halt(&mut self, head: Head, stock: &Stock, market: u8, action: u8) {
        self.begin(b'h', head).put(stock).u8(market).u8(action);
    }

    /// `A` without, `F` with attribution: a new order.
    pub fn add_order(&mut self, head: Head, order: &Order, attribution: Option<&[u8; 4]>) {
        let kind = if attribution.is_some() { b'F' } else { b'A' };
        self.begin(kind, head)
            .u64(order.reference)
            .u8(order.side.byte())
            .u32(order.shares)
            .put(&order.stock)
            .u32(order.price);
        if let Some(mpid) = attribution {
            self.put(mpid);
        }
    }

    /// `E`: an order executed at its price.
    pub fn executed(&mut self, head: Head, reference: u64, shares: u32, match_number: u64) {
        self.begin(b'E', head)
            .u64(reference)
            .u32(shares)
            .u64(match_number);
    }

    /// `C`: an order executed at another price than its own.
    pub fn executed_with_price(
        &mut self,
        head: Head,
        reference: u64,
        shares: u32,
        match_number: u64,
        printable: bool,
        price: u32,
    ) {
        let printable = if printable { b'Y' } else { b'N' };
        self.begin(b'C', head)
            .u64(reference)
            .u32(shares)
            .u64(match_number)
            .u8(printable)
            .u32(price);
    }

    /// `X`: part of an order cancelled.
    pub fn cancelled(&mut self, head: Head, reference: u64, shares: u32) {
        self.begin(b'X', head).u64(reference).u32(shares);
    }

    /// `D`: an order gone.
    pub fn deleted(&mut self, head: Head, reference: u64) {
        self.begin(b'D', head).u64(reference);
    }

    /// `U`: an order replaced; side, stock and attribution carry over.
    pub fn replaced(&mut self, head: Head, old: u64, new: u64, shares: u32, price: u32) {
        self.begin(b'U', head)
            .u64(old)
            .u64(new)
            .u32(shares)
            .u32(price);
    }

    /// `P`: a trade against an order that is not displayed.
    pub fn trade(&mut self, head: Head, order: &Order, match_number: u64) {
        self.begin(b'P', head)
            .u64(order.reference)
            .u8(order.side.byte())
            .u32(order.shares)
            .put(&order.stock)
            .u32(order.price)
            .u64(match_number);
    }

    /// `Q`: the result of a cross (`O C H I`).
    pub fn cross_trade(
        &mut self,
        head: Head,
        stock: &Stock,
        shares: u64,
        price: u32,
        match_number: u64,
        cross: u8,
    ) {
        self.begin(b'Q', head)
            .u64(shares)
            .put(stock)
            .u32(price)
            .u64(match_number)
            .u8(cross);
    }

    /// `B`: a trade broken.
    pub fn broken_trade(&mut self, head: Head, match_number: u64) {
        self.begin(b'B', head).u64(match_number);
    }

    /// `I`: the imbalance before a cross.
    pub fn imbalance(&mut self, head: Head, fields: &Imbalance) {
        self.begin(b'I', head)
            .u64(fields.paired_shares)
            .u64(fields.imbalance_shares)
            .u8(fields.direction)
            .put(&fields.stock)
            .u32(fields.far_price)
            .u32(fields.near_price)
            .u32(fields.reference_price)
            .u8(fields.cross)
            .u8(fields.price_variation);
    }

    /// `N`: retail interest (`B S A N`).
    pub fn retail_interest(&mut self, head: Head, stock: &Stock, interest: u8) {
        self.begin(b'N', head).put(stock).u8(interest);
    }

    /// `O`: a direct listing with capital raise.
    pub fn direct_listing(&mut self, head: Head, fields: &DirectListing) {
        self.begin(b'O', head)
            .put(&fields.stock)
            .u8(fields.open_eligibility)
            .u32(fields.min_price)
            .u32(fields.max_price)
            .u32(fields.near_price)
            .u64(fields.near_time_ns)
            .u32(fields.lower_collar)
            .u32(fields.upper_collar);
    }
}

/// An order as `A`, `F` and `P` describe it.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Unique for the day; 0 in `P`, where the order is not displayed.
    pub reference: u64,
    /// Buy or sell.
    pub side: Side,
    /// Shares, above 0.
    pub shares: u32,
    /// The instrument.
    pub stock: Stock,
    /// Limit, or price of the trade.
    pub price: u32,
}

/// The fields of `R`.
#[derive(Clone, Copy, Debug)]
pub struct StockDirectory {
    /// The instrument.
    pub stock: Stock,
    /// Listing market (`Q G S N A P Z V`, or space).
    pub market_category: u8,
    /// `N` normal, or a reason for care.
    pub financial_status: u8,
    /// Shares in a round lot.
    pub round_lot_size: u32,
    /// `Y` if only round lots are accepted.
    pub round_lots_only: u8,
    /// Issue classification.
    pub issue_classification: u8,
    /// Issue sub-type.
    pub issue_sub_type: [u8; 2],
    /// `P` live, `T` test.
    pub authenticity: u8,
    /// Threshold security under Reg SHO (`Y N`, or space).
    pub short_sale_threshold: u8,
    /// New issue (`Y N`, or space).
    pub ipo_flag: u8,
    /// Limit-up-limit-down tier (`1 2`, or space).
    pub luld_tier: u8,
    /// Exchange-traded product (`Y N`, or space).
    pub etp_flag: u8,
    /// Leverage of the product; 0 if none.
    pub etp_leverage_factor: u32,
    /// Inverse product (`Y N`).
    pub inverse_indicator: u8,
}

/// The fields of `I`.
#[derive(Clone, Copy, Debug)]
pub struct Imbalance {
    /// Shares that would match at the reference price.
    pub paired_shares: u64,
    /// Shares that would not.
    pub imbalance_shares: u64,
    /// Side of the imbalance (`B S N O P`).
    pub direction: u8,
    /// The instrument.
    pub stock: Stock,
    /// Clearing price of auction orders alone.
    pub far_price: u32,
    /// Clearing price of auction and continuous orders.
    pub near_price: u32,
    /// The price at which the shares were counted.
    pub reference_price: u32,
    /// Kind of cross (`O C H A`).
    pub cross: u8,
    /// How far the near price is from the reference (`L 1`–`9 A B C`, space).
    pub price_variation: u8,
}

/// The fields of `O`.
#[derive(Clone, Copy, Debug)]
pub struct DirectListing {
    /// The instrument.
    pub stock: Stock,
    /// Eligible to open (`Y N`).
    pub open_eligibility: u8,
    /// 20 % below the lower bound of the registration.
    pub min_price: u32,
    /// 80 % above the upper bound.
    pub max_price: u32,
    /// Where the cross would execute.
    pub near_price: u32,
    /// When that price was set, nanoseconds since midnight.
    pub near_time_ns: u64,
    /// Lower auction collar.
    pub lower_collar: u32,
    /// Upper auction collar.
    pub upper_collar: u32,
}
