//! How does an instrument look, and which symbol does its number stand for?

use zerocopy::little_endian::{I16, I32, I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{
    ASSET_LENGTH, RecordHeader, SYMBOL_LENGTH, UNDEF_PRICE, UNDEF_TIMESTAMP, code, layout, record,
};

/// What an instrument is.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct InstrumentDefMsg {
    /// The common header.
    pub hd: RecordHeader,
    /// When the capturing host received it, Unix ns.
    pub ts_recv: U64,
    /// Smallest price step, 1e-9.
    pub min_price_increment: I64,
    /// Multiplier from the venue's display price, 1e-9.
    pub display_factor: I64,
    /// Last time it can trade, Unix ns.
    pub expiration: U64,
    /// First time it can trade, Unix ns.
    pub activation: U64,
    /// Upper price limit of the day, 1e-9.
    pub high_limit_price: I64,
    /// Lower price limit of the day, 1e-9.
    pub low_limit_price: I64,
    /// Width of the price band, 1e-9.
    pub max_price_variation: I64,
    /// Contract size in `unit_of_measure`, 1e-9.
    pub unit_of_measure_qty: I64,
    /// Value of the smallest price step, 1e-9.
    pub min_price_increment_amount: I64,
    /// Ratio in spread pricing, 1e-9.
    pub price_ratio: I64,
    /// Strike price of an option, 1e-9.
    pub strike_price: I64,
    /// The publisher's own number of the instrument.
    pub raw_instrument_id: U64,
    /// Tied price of the leg, 1e-9.
    pub leg_price: I64,
    /// Delta of the leg, 1e-9.
    pub leg_delta: I64,
    /// The venue's attribute bits.
    pub inst_attrib_value: I32,
    /// Instrument number of the first underlying.
    pub underlying_id: U32,
    /// Depth of the implied book.
    pub market_depth_implied: I32,
    /// Depth of the book.
    pub market_depth: I32,
    /// Market segment.
    pub market_segment_id: U32,
    /// Largest quantity of a trade.
    pub max_trade_vol: U32,
    /// Smallest order quantity.
    pub min_lot_size: I32,
    /// Smallest quantity of a block trade.
    pub min_lot_size_block: I32,
    /// Quantity of a round lot.
    pub min_lot_size_round_lot: I32,
    /// Smallest quantity of a trade.
    pub min_trade_vol: U32,
    /// Deliverables per instrument.
    pub contract_multiplier: I32,
    /// Daily decay of a contract.
    pub decay_quantity: I32,
    /// Fixed contract value.
    pub original_contract_size: I32,
    /// Instrument number of the leg.
    pub leg_instrument_id: U32,
    /// Numerator of the leg's price ratio.
    pub leg_ratio_price_numerator: I32,
    /// Denominator of the leg's price ratio.
    pub leg_ratio_price_denominator: I32,
    /// Numerator of the leg's quantity ratio.
    pub leg_ratio_qty_numerator: I32,
    /// Denominator of the leg's quantity ratio.
    pub leg_ratio_qty_denominator: I32,
    /// Instrument number of the leg's underlying.
    pub leg_underlying_id: U32,
    /// The venue's channel.
    pub appl_id: I16,
    /// Year in the symbol.
    pub maturity_year: U16,
    /// First day of decay.
    pub decay_start_date: U16,
    /// Channel within the feed; 65535 when it has none.
    pub channel_id: U16,
    /// Legs; 0 for outrights.
    pub leg_count: U16,
    /// Index of the leg, from 0.
    pub leg_index: U16,
    /// Currency of prices.
    pub currency: [u8; 4],
    /// Currency of settlement.
    pub settl_currency: [u8; 4],
    /// Strategy type of a spread.
    pub secsubtype: [u8; 6],
    /// The venue's symbol.
    pub raw_symbol: [u8; SYMBOL_LENGTH],
    /// Security group.
    pub group: [u8; 21],
    /// Exchange.
    pub exchange: [u8; 5],
    /// Product code.
    pub asset: [u8; ASSET_LENGTH],
    /// ISO 10962 code.
    pub cfi: [u8; 7],
    /// Type of security.
    pub security_type: [u8; 7],
    /// Unit of the contract size.
    pub unit_of_measure: [u8; 31],
    /// Symbol of the first underlying.
    pub underlying: [u8; 21],
    /// Currency of the strike price.
    pub strike_price_currency: [u8; 4],
    /// The venue's symbol of the leg.
    pub leg_raw_symbol: [u8; SYMBOL_LENGTH],
    /// Class: see [`super::code::definition`].
    pub instrument_class: u8,
    /// Matching algorithm: see [`super::code::definition`].
    pub match_algorithm: u8,
    /// Denominator of the main fraction.
    pub main_fraction: u8,
    /// Digits behind the tick mark.
    pub price_display_format: u8,
    /// Denominator of the sub fraction.
    pub sub_fraction: u8,
    /// Product complex.
    pub underlying_product: u8,
    /// New, changed or removed: see [`super::code::definition`].
    pub security_update_action: u8,
    /// Month in the symbol.
    pub maturity_month: u8,
    /// Day in the symbol.
    pub maturity_day: u8,
    /// Week in the symbol.
    pub maturity_week: u8,
    /// Whether users defined it: `Y` or `N`.
    pub user_defined_instrument: u8,
    /// 1 hours, 2 days.
    pub contract_multiplier_unit: i8,
    /// Delivery schedule.
    pub flow_schedule_type: i8,
    /// Tick rule of a spread.
    pub tick_rule: u8,
    /// Class of the leg.
    pub leg_instrument_class: u8,
    /// Side of the leg when the spread is bought.
    pub leg_side: u8,
    /// Zero.
    pub reserved: [u8; 17],
}

layout!(InstrumentDefMsg, 520, {
    hd: 0,
    ts_recv: 16,
    min_price_increment: 24,
    display_factor: 32,
    expiration: 40,
    activation: 48,
    high_limit_price: 56,
    low_limit_price: 64,
    max_price_variation: 72,
    unit_of_measure_qty: 80,
    min_price_increment_amount: 88,
    price_ratio: 96,
    strike_price: 104,
    raw_instrument_id: 112,
    leg_price: 120,
    leg_delta: 128,
    inst_attrib_value: 136,
    underlying_id: 140,
    market_depth_implied: 144,
    market_depth: 148,
    market_segment_id: 152,
    max_trade_vol: 156,
    min_lot_size: 160,
    min_lot_size_block: 164,
    min_lot_size_round_lot: 168,
    min_trade_vol: 172,
    contract_multiplier: 176,
    decay_quantity: 180,
    original_contract_size: 184,
    leg_instrument_id: 188,
    leg_ratio_price_numerator: 192,
    leg_ratio_price_denominator: 196,
    leg_ratio_qty_numerator: 200,
    leg_ratio_qty_denominator: 204,
    leg_underlying_id: 208,
    appl_id: 212,
    maturity_year: 214,
    decay_start_date: 216,
    channel_id: 218,
    leg_count: 220,
    leg_index: 222,
    currency: 224,
    settl_currency: 228,
    secsubtype: 232,
    raw_symbol: 238,
    group: 309,
    exchange: 330,
    asset: 335,
    cfi: 346,
    security_type: 353,
    unit_of_measure: 360,
    underlying: 391,
    strike_price_currency: 412,
    leg_raw_symbol: 416,
    instrument_class: 487,
    match_algorithm: 488,
    main_fraction: 489,
    price_display_format: 490,
    sub_fraction: 491,
    underlying_product: 492,
    security_update_action: 493,
    maturity_month: 494,
    maturity_day: 495,
    maturity_week: 496,
    user_defined_instrument: 497,
    contract_multiplier_unit: 498,
    flow_schedule_type: 499,
    tick_rule: 500,
    leg_instrument_class: 501,
    leg_side: 502,
    reserved: 503,
});

impl Default for InstrumentDefMsg {
    /// Nothing is known: sentinels throughout.
    fn default() -> Self {
        Self {
            hd: RecordHeader::of::<Self>(),
            ts_recv: U64::new(UNDEF_TIMESTAMP),
            min_price_increment: I64::new(UNDEF_PRICE),
            display_factor: I64::new(UNDEF_PRICE),
            expiration: U64::new(UNDEF_TIMESTAMP),
            activation: U64::new(UNDEF_TIMESTAMP),
            high_limit_price: I64::new(UNDEF_PRICE),
            low_limit_price: I64::new(UNDEF_PRICE),
            max_price_variation: I64::new(UNDEF_PRICE),
            unit_of_measure_qty: I64::new(UNDEF_PRICE),
            min_price_increment_amount: I64::new(UNDEF_PRICE),
            price_ratio: I64::new(UNDEF_PRICE),
            strike_price: I64::new(UNDEF_PRICE),
            raw_instrument_id: U64::ZERO,
            leg_price: I64::new(UNDEF_PRICE),
            leg_delta: I64::new(UNDEF_PRICE),
            inst_attrib_value: I32::new(i32::MAX),
            underlying_id: U32::ZERO,
            market_depth_implied: I32::new(i32::MAX),
            market_depth: I32::new(i32::MAX),
            market_segment_id: U32::MAX_VALUE,
            max_trade_vol: U32::MAX_VALUE,
            min_lot_size: I32::new(i32::MAX),
            min_lot_size_block: I32::new(i32::MAX),
            min_lot_size_round_lot: I32::new(i32::MAX),
            min_trade_vol: U32::MAX_VALUE,
            contract_multiplier: I32::new(i32::MAX),
            decay_quantity: I32::new(i32::MAX),
            original_contract_size: I32::new(i32::MAX),
            leg_instrument_id: U32::ZERO,
            leg_ratio_price_numerator: I32::ZERO,
            leg_ratio_price_denominator: I32::ZERO,
            leg_ratio_qty_numerator: I32::ZERO,
            leg_ratio_qty_denominator: I32::ZERO,
            leg_underlying_id: U32::ZERO,
            appl_id: I16::new(i16::MAX),
            maturity_year: U16::MAX_VALUE,
            decay_start_date: U16::MAX_VALUE,
            channel_id: U16::MAX_VALUE,
            leg_count: U16::ZERO,
            leg_index: U16::ZERO,
            currency: [0; 4],
            settl_currency: [0; 4],
            secsubtype: [0; 6],
            raw_symbol: [0; SYMBOL_LENGTH],
            group: [0; 21],
            exchange: [0; 5],
            asset: [0; ASSET_LENGTH],
            cfi: [0; 7],
            security_type: [0; 7],
            unit_of_measure: [0; 31],
            underlying: [0; 21],
            strike_price_currency: [0; 4],
            leg_raw_symbol: [0; SYMBOL_LENGTH],
            instrument_class: 0,
            match_algorithm: code::definition::MATCH_UNDEFINED,
            main_fraction: u8::MAX,
            price_display_format: u8::MAX,
            sub_fraction: u8::MAX,
            underlying_product: u8::MAX,
            security_update_action: code::definition::ADD,
            maturity_month: u8::MAX,
            maturity_day: u8::MAX,
            maturity_week: u8::MAX,
            user_defined_instrument: b'N',
            contract_multiplier_unit: i8::MAX,
            flow_schedule_type: i8::MAX,
            tick_rule: u8::MAX,
            leg_instrument_class: 0,
            leg_side: code::side::NONE,
            reserved: [0; 17],
        }
    }
}

/// Which symbol an instrument number stands for, and when.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct SymbolMappingMsg {
    /// The common header.
    pub hd: RecordHeader,
    /// Symbology of `stype_in_symbol`: see [`super::code::stype`].
    pub stype_in: u8,
    /// The symbol that was asked for.
    pub stype_in_symbol: [u8; SYMBOL_LENGTH],
    /// Symbology of `stype_out_symbol`: see [`super::code::stype`].
    pub stype_out: u8,
    /// The symbol that it stands for.
    pub stype_out_symbol: [u8; SYMBOL_LENGTH],
    /// First moment it holds, Unix ns.
    pub start_ts: U64,
    /// First moment it no longer holds, Unix ns.
    pub end_ts: U64,
}

layout!(SymbolMappingMsg, 176, {
    hd: 0,
    stype_in: 16,
    stype_in_symbol: 17,
    stype_out: 88,
    stype_out_symbol: 89,
    start_ts: 160,
    end_ts: 168,
});

impl Default for SymbolMappingMsg {
    /// Nothing is known: sentinels throughout.
    fn default() -> Self {
        Self {
            hd: RecordHeader::of::<Self>(),
            stype_in: u8::MAX,
            stype_in_symbol: [0; SYMBOL_LENGTH],
            stype_out: u8::MAX,
            stype_out_symbol: [0; SYMBOL_LENGTH],
            start_ts: U64::new(UNDEF_TIMESTAMP),
            end_ts: U64::new(UNDEF_TIMESTAMP),
        }
    }
}

record!(InstrumentDefMsg => INSTRUMENT_DEF, SymbolMappingMsg => SYMBOL_MAPPING);
