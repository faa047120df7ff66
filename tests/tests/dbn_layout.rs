//! Are our records byte for byte those of crate `dbn`?
//!
//! Every field of both structs is filled from one running pattern, so that two swapped or shifted
//! fields cannot agree by accident; then whole records are compared as bytes. The same for the
//! sentinels of a fresh record, and for records that other people wrote.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use dbn::FlagSet;
use dbn::decode::{DbnMetadata, DecodeRecordRef, dbn::Decoder};
use twinfeed_wire::record::{self, DbnRecord, RecordRef};
use zerocopy::IntoBytes;
use zerocopy::little_endian::{I16, I32, I64, U16, U32, U64};

/// Bytes that repeat only after 65,521 of them.
struct Pattern(u32);

impl Pattern {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| {
            self.0 = (self.0 * 17_364 + 1) % 65_521;
            self.0.to_le_bytes()[0] ^ self.0.to_le_bytes()[1]
        })
    }
}

/// A field that takes its value from the pattern.
trait Fill {
    fn fill(&mut self, pattern: &mut Pattern);
}

macro_rules! fill {
    ($($native:ty $(| $ours:ty)?),+) => {$(
        impl Fill for $native {
            fn fill(&mut self, pattern: &mut Pattern) {
                *self = Self::from_le_bytes(pattern.bytes());
            }
        }
        $(impl Fill for $ours {
            fn fill(&mut self, pattern: &mut Pattern) {
                *self = Self::new(<$native>::from_le_bytes(pattern.bytes()));
            }
        })?
    )+};
}
fill!(
    u8,
    i8,
    u16 | U16,
    u32 | U32,
    u64 | U64,
    i16 | I16,
    i32 | I32,
    i64 | I64
);

impl Fill for FlagSet {
    fn fill(&mut self, pattern: &mut Pattern) {
        let [raw] = pattern.bytes();
        *self = Self::new(raw);
    }
}

impl<T: Fill, const N: usize> Fill for [T; N] {
    fn fill(&mut self, pattern: &mut Pattern) {
        self.iter_mut().for_each(|element| element.fill(pattern));
    }
}

macro_rules! fill_pair {
    ($($name:path),+) => {$(
        impl Fill for $name {
            fn fill(&mut self, pattern: &mut Pattern) {
                self.bid_px.fill(pattern);
                self.ask_px.fill(pattern);
                self.bid_sz.fill(pattern);
                self.ask_sz.fill(pattern);
                self.bid_ct.fill(pattern);
                self.ask_ct.fill(pattern);
            }
        }
    )+};
}
fill_pair!(dbn::BidAskPair, record::BidAskPair);

/// Tests one record: fresh and filled, ours against theirs.
macro_rules! equal {
    ($test:ident, $name:ident, { $($ours:ident $(= $theirs:ident)?),+ $(,)? }) => {
        #[test]
        fn $test() {
            let (mut ours, mut theirs) = (record::$name::default(), dbn::$name::default());
            assert_eq!(ours.as_bytes(), theirs.as_ref(), "a fresh record");

            let mut pattern = Pattern(7);
            ours.hd.publisher_id.fill(&mut pattern);
            ours.hd.instrument_id.fill(&mut pattern);
            ours.hd.ts_event.fill(&mut pattern);
            $(ours.$ours.fill(&mut pattern);)+
            let mut pattern = Pattern(7);
            theirs.hd.publisher_id.fill(&mut pattern);
            theirs.hd.instrument_id.fill(&mut pattern);
            theirs.hd.ts_event.fill(&mut pattern);
            $(equal!(@fill theirs pattern $ours $($theirs)?);)+
            assert_eq!(ours.as_bytes(), theirs.as_ref(), "a filled record");
            assert_eq!(record::$name::view(theirs.as_ref()), Some(&ours));
            assert_eq!(<record::$name as DbnRecord>::RTYPE, theirs.hd.rtype);
        }
    };
    (@fill $record:ident $pattern:ident $ours:ident) => { $record.$ours.fill(&mut $pattern) };
    (@fill $record:ident $pattern:ident $ours:ident $theirs:ident) => {
        $record.$theirs.fill(&mut $pattern)
    };
}

equal!(mbo_is_byte_equal, MboMsg, {
    order_id, price, size, flags, channel_id, action, side, ts_recv, ts_in_delta, sequence,
});
equal!(trade_is_byte_equal, TradeMsg, {
    price, size, action, side, flags, depth, ts_recv, ts_in_delta, sequence,
});
equal!(mbp1_is_byte_equal, Mbp1Msg, {
    price, size, action, side, flags, depth, ts_recv, ts_in_delta, sequence, levels,
});
equal!(mbp10_is_byte_equal, Mbp10Msg, {
    price, size, action, side, flags, depth, ts_recv, ts_in_delta, sequence, levels,
});
equal!(status_is_byte_equal, StatusMsg, {
    ts_recv, action, reason, trading_event, is_trading, is_quoting, is_short_sell_restricted,
    reserved = _reserved,
});
equal!(imbalance_is_byte_equal, ImbalanceMsg, {
    ts_recv, ref_price, auction_time, cont_book_clr_price, auct_interest_clr_price,
    ssr_filling_price, ind_match_price, upper_collar, lower_collar, paired_qty,
    total_imbalance_qty, market_imbalance_qty, unpaired_qty, auction_type, side, auction_status,
    freeze_status, num_extensions, unpaired_side, significant_imbalance, reserved = _reserved,
});
equal!(stat_is_byte_equal, StatMsg, {
    ts_recv, ts_ref, price, quantity, sequence, ts_in_delta, stat_type, channel_id,
    update_action, stat_flags, reserved = _reserved,
});
equal!(symbol_mapping_is_byte_equal, SymbolMappingMsg, {
    stype_in, stype_in_symbol, stype_out, stype_out_symbol, start_ts, end_ts,
});
equal!(system_is_byte_equal, SystemMsg, { msg, code });
equal!(error_is_byte_equal, ErrorMsg, { err, code, is_last });
equal!(instrument_def_is_byte_equal, InstrumentDefMsg, {
    ts_recv, min_price_increment, display_factor, expiration, activation, high_limit_price,
    low_limit_price, max_price_variation, unit_of_measure_qty, min_price_increment_amount,
    price_ratio, strike_price, raw_instrument_id, leg_price, leg_delta, inst_attrib_value,
    underlying_id, market_depth_implied, market_depth, market_segment_id, max_trade_vol,
    min_lot_size, min_lot_size_block, min_lot_size_round_lot, min_trade_vol,
    contract_multiplier, decay_quantity, original_contract_size, leg_instrument_id,
    leg_ratio_price_numerator, leg_ratio_price_denominator, leg_ratio_qty_numerator,
    leg_ratio_qty_denominator, leg_underlying_id, appl_id, maturity_year, decay_start_date,
    channel_id, leg_count, leg_index, currency, settl_currency, secsubtype, raw_symbol, group,
    exchange, asset, cfi, security_type, unit_of_measure, underlying, strike_price_currency,
    leg_raw_symbol, instrument_class, match_algorithm, main_fraction, price_display_format,
    sub_fraction, underlying_product, security_update_action, maturity_month, maturity_day,
    maturity_week, user_defined_instrument, contract_multiplier_unit, flow_schedule_type,
    tick_rule, leg_instrument_class, leg_side, reserved = _reserved,
});

#[test]
fn sentinels_and_flags_are_the_same_numbers() {
    assert_eq!(record::UNDEF_PRICE, dbn::UNDEF_PRICE);
    assert_eq!(record::UNDEF_ORDER_SIZE, dbn::UNDEF_ORDER_SIZE);
    assert_eq!(record::UNDEF_TIMESTAMP, dbn::UNDEF_TIMESTAMP);
    assert_eq!(record::UNDEF_STAT_QUANTITY, dbn::UNDEF_STAT_QUANTITY);
    assert_eq!(record::FIXED_PRICE_SCALE, dbn::FIXED_PRICE_SCALE);
    assert_eq!(record::SYMBOL_LENGTH, dbn::SYMBOL_CSTR_LEN);
    assert_eq!(record::ASSET_LENGTH, dbn::ASSET_CSTR_LEN);
    use record::code::flags;
    assert_eq!(flags::F_LAST, dbn::flags::LAST);
    assert_eq!(flags::F_TOB, dbn::flags::TOB);
    assert_eq!(flags::F_SNAPSHOT, dbn::flags::SNAPSHOT);
    assert_eq!(flags::F_MBP, dbn::flags::MBP);
    assert_eq!(flags::F_BAD_TS_RECV, dbn::flags::BAD_TS_RECV);
    assert_eq!(flags::F_MAYBE_BAD_BOOK, dbn::flags::MAYBE_BAD_BOOK);
    assert_eq!(flags::F_PUBLISHER_SPECIFIC, dbn::flags::PUBLISHER_SPECIFIC);
}

#[test]
fn codes_are_the_same_numbers() {
    use dbn::{Action, Side, StatType, StatusAction, StatusReason, TriState};
    use record::code::{action, reason, side, stat, status, tri};
    for (ours, theirs) in [
        (action::ADD, Action::Add),
        (action::CANCEL, Action::Cancel),
        (action::CLEAR, Action::Clear),
        (action::FILL, Action::Fill),
        (action::MODIFY, Action::Modify),
        (action::NONE, Action::None),
        (action::TRADE, Action::Trade),
    ] {
        assert_eq!(ours, theirs as u8);
    }
    for (ours, theirs) in [
        (side::ASK, Side::Ask),
        (side::BID, Side::Bid),
        (side::NONE, Side::None),
    ] {
        assert_eq!(ours, theirs as u8);
    }
    for (ours, theirs) in [
        (tri::NO, TriState::No),
        (tri::YES, TriState::Yes),
        (tri::NOT_AVAILABLE, TriState::NotAvailable),
    ] {
        assert_eq!(ours, theirs as u8);
    }
    for (ours, theirs) in [
        (status::NONE, StatusAction::None),
        (status::PRE_OPEN, StatusAction::PreOpen),
        (status::QUOTING, StatusAction::Quoting),
        (status::TRADING, StatusAction::Trading),
        (status::HALT, StatusAction::Halt),
        (status::PAUSE, StatusAction::Pause),
        (status::CLOSE, StatusAction::Close),
        (status::POST_CLOSE, StatusAction::PostClose),
        (status::SSR_CHANGE, StatusAction::SsrChange),
        (
            status::NOT_AVAILABLE_FOR_TRADING,
            StatusAction::NotAvailableForTrading,
        ),
    ] {
        assert_eq!(ours, theirs as u16);
    }
    for (ours, theirs) in [
        (stat::OPENING_PRICE, StatType::OpeningPrice),
        (
            stat::INDICATIVE_OPENING_PRICE,
            StatType::IndicativeOpeningPrice,
        ),
        (stat::CLOSE_PRICE, StatType::ClosePrice),
        (stat::UNCROSSING_PRICE, StatType::UncrossingPrice),
        (stat::UPPER_PRICE_LIMIT, StatType::UpperPriceLimit),
        (stat::LOWER_PRICE_LIMIT, StatType::LowerPriceLimit),
        (stat::MWCB_LEVEL1, StatType::MwcbLevel1),
        (stat::MWCB_LEVEL2, StatType::MwcbLevel2),
        (stat::MWCB_LEVEL3, StatType::MwcbLevel3),
        (
            stat::AUCTION_COLLAR_REFERENCE_PRICE,
            StatType::AuctionCollarReferencePrice,
        ),
        (
            stat::AUCTION_COLLAR_UPPER_PRICE,
            StatType::AuctionCollarUpperPrice,
        ),
        (
            stat::AUCTION_COLLAR_LOWER_PRICE,
            StatType::AuctionCollarLowerPrice,
        ),
        (stat::VENUE_SPECIFIC_PRICE_1, StatType::VenueSpecificPrice1),
    ] {
        assert_eq!(ours, theirs as u16);
    }
    for (ours, theirs) in [
        (reason::NONE, StatusReason::None),
        (reason::SCHEDULED, StatusReason::Scheduled),
        (
            reason::SURVEILLANCE_INTERVENTION,
            StatusReason::SurveillanceIntervention,
        ),
        (reason::REGULATORY, StatusReason::Regulatory),
        (reason::NON_COMPLIANCE, StatusReason::NonCompliance),
        (reason::FILINGS_NOT_CURRENT, StatusReason::FilingsNotCurrent),
        (
            reason::SEC_TRADING_SUSPENSION,
            StatusReason::SecTradingSuspension,
        ),
        (reason::NEW_ISSUE, StatusReason::NewIssue),
        (reason::ISSUE_AVAILABLE, StatusReason::IssueAvailable),
        (reason::ISSUES_REVIEWED, StatusReason::IssuesReviewed),
        (
            reason::FILING_REQS_SATISFIED,
            StatusReason::FilingReqsSatisfied,
        ),
        (reason::NEWS_PENDING, StatusReason::NewsPending),
        (reason::NEWS_RELEASED, StatusReason::NewsReleased),
        (
            reason::NEWS_AND_RESUMPTION_TIMES,
            StatusReason::NewsAndResumptionTimes,
        ),
        (
            reason::NEWS_NOT_FORTHCOMING,
            StatusReason::NewsNotForthcoming,
        ),
        (reason::LULD_PAUSE, StatusReason::LuldPause),
        (reason::OPERATIONAL, StatusReason::Operational),
        (
            reason::ADDITIONAL_INFORMATION_REQUESTED,
            StatusReason::AdditionalInformationRequested,
        ),
        (reason::MERGER_EFFECTIVE, StatusReason::MergerEffective),
        (reason::ETF, StatusReason::Etf),
        (reason::CORPORATE_ACTION, StatusReason::CorporateAction),
        (
            reason::NEW_SECURITY_OFFERING,
            StatusReason::NewSecurityOffering,
        ),
        (
            reason::MARKET_WIDE_HALT_LEVEL1,
            StatusReason::MarketWideHaltLevel1,
        ),
        (
            reason::MARKET_WIDE_HALT_LEVEL2,
            StatusReason::MarketWideHaltLevel2,
        ),
        (
            reason::MARKET_WIDE_HALT_LEVEL3,
            StatusReason::MarketWideHaltLevel3,
        ),
        (
            reason::MARKET_WIDE_HALT_CARRYOVER,
            StatusReason::MarketWideHaltCarryover,
        ),
        (
            reason::MARKET_WIDE_HALT_RESUMPTION,
            StatusReason::MarketWideHaltResumption,
        ),
        (
            reason::QUOTATION_NOT_AVAILABLE,
            StatusReason::QuotationNotAvailable,
        ),
    ] {
        assert_eq!(ours, theirs as u16);
    }
}

/// The sample records, which are not part of the repository.
fn samples() -> Option<PathBuf> {
    let folder = std::env::var_os("TWINFEED_SAMPLES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let folder = folder.join("dbn");
    if folder.is_dir() {
        return Some(folder);
    }
    let _ = std::io::Write::write_fmt(
        &mut std::io::stderr(),
        format_args!(
            "skipped: no sample records at {} (set TWINFEED_SAMPLES)\n",
            folder.display()
        ),
    );
    None
}

/// Every sample in `folder` whose name ends like `suffix`, in order.
fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    files.sort();
    files
}

/// Compares the fields that say most; the bytes are the same bytes, so the rest is layout.
fn compare(theirs: dbn::RecordRef<'_>, ours: RecordRef<'_>) -> bool {
    match ours {
        RecordRef::Mbo(ours) => {
            let theirs = theirs.get::<dbn::MboMsg>().unwrap();
            assert_eq!(ours.price.get(), theirs.price);
            assert_eq!(ours.order_id.get(), theirs.order_id);
            assert_eq!(
                (ours.action, ours.side),
                (theirs.action as u8, theirs.side as u8)
            );
            assert_eq!(ours.sequence.get(), theirs.sequence);
        }
        RecordRef::Trade(ours) => {
            let theirs = theirs.get::<dbn::TradeMsg>().unwrap();
            assert_eq!(
                (ours.price.get(), ours.size.get()),
                (theirs.price, theirs.size)
            );
        }
        RecordRef::Mbp1(ours) => {
            let theirs = theirs.get::<dbn::Mbp1Msg>().unwrap();
            assert_eq!(ours.levels[0].ask_ct.get(), theirs.levels[0].ask_ct);
        }
        RecordRef::Mbp10(ours) => {
            let theirs = theirs.get::<dbn::Mbp10Msg>().unwrap();
            assert_eq!(ours.levels[9].ask_ct.get(), theirs.levels[9].ask_ct);
        }
        RecordRef::Status(ours) => {
            let theirs = theirs.get::<dbn::StatusMsg>().unwrap();
            assert_eq!(
                (ours.action.get(), ours.reason.get()),
                (theirs.action, theirs.reason)
            );
        }
        RecordRef::InstrumentDef(ours) => {
            let theirs = theirs.get::<dbn::InstrumentDefMsg>().unwrap();
            assert_eq!(
                record::text(&ours.raw_symbol),
                theirs.raw_symbol().unwrap().as_bytes()
            );
            assert_eq!(ours.instrument_class, theirs.instrument_class as u8);
        }
        RecordRef::Imbalance(ours) => {
            let theirs = theirs.get::<dbn::ImbalanceMsg>().unwrap();
            assert_eq!(ours.ref_price.get(), theirs.ref_price);
            assert_eq!(
                ours.significant_imbalance,
                theirs.significant_imbalance as u8
            );
        }
        RecordRef::Stat(ours) => {
            let theirs = theirs.get::<dbn::StatMsg>().unwrap();
            assert_eq!(
                (ours.stat_type.get(), ours.price.get()),
                (theirs.stat_type, theirs.price)
            );
        }
        RecordRef::SymbolMapping(_) | RecordRef::System(_) | RecordRef::Error(_) => {}
        RecordRef::Other(..) => return false,
    }
    true
}

#[test]
fn records_that_others_wrote_read_the_same() {
    let Some(folder) = samples() else { return };
    let mut paths = files(&folder.join("dbn-tests"), ".v3.dbn.zst");
    paths.extend(files(&folder, ".mbo.dbn.zst"));
    assert!(paths.len() > 10, "the samples are incomplete: {paths:?}");
    let (mut seen, mut without_struct) = (0, 0);
    for path in paths {
        let mut decoder = Decoder::from_zstd_file(&path).unwrap();
        assert_eq!(decoder.metadata().version, 3, "{}", path.display());
        while let Some(theirs) = decoder.decode_record_ref().unwrap() {
            let ours = RecordRef::parse(theirs.as_ref()).unwrap();
            assert_eq!(ours.header().as_bytes(), &theirs.as_ref()[..16]);
            if compare(theirs, ours) {
                seen += 1;
            } else {
                without_struct += 1;
            }
        }
    }
    println!("{seen} records viewed, {without_struct} of kinds without a struct");
    assert!(seen > 8_725, "only {seen} records were seen");
}
