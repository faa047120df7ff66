//! Whether anything trades: the day's rhythm, halts, short-sale restrictions, circuit breakers.
//!
//! A message about no security in particular has locate 0, and so have its records.

use twinfeed_wire::record::code::{reason, stat, status, tri};
use twinfeed_wire::record::{StatusMsg, UNDEF_PRICE};
use zerocopy::little_endian::U16;

use super::{Held, Stamp, price8};
use crate::decode::Parts;
use crate::decode::itch50::message::{
    MwcbDeclineLevel, MwcbStatus, OperationalHalt, RegSho, StockTradingAction, SystemEvent,
};

/// Two events each become one action, so the source bytes follow.
pub(super) fn system_event(stamp: &Stamp, body: &SystemEvent, out: &mut Parts) -> Held {
    let (action, trading, quoting) = match body.event_code {
        b'O' | b'S' => (status::PRE_OPEN, tri::NO, tri::NOT_AVAILABLE),
        b'Q' => (status::TRADING, tri::YES, tri::YES),
        b'M' => (status::POST_CLOSE, tri::NOT_AVAILABLE, tri::NOT_AVAILABLE),
        b'E' | b'C' => (status::CLOSE, tri::NO, tri::NO),
        _ => return Held::Partly,
    };
    out.push_record(&StatusMsg {
        action: U16::new(action),
        reason: U16::new(reason::SCHEDULED),
        is_trading: trading,
        is_quoting: quoting,
        ..stamp.status()
    });
    Held::Partly
}

/// Nasdaq has more reason codes than DBN, so the source bytes follow.
pub(super) fn trading_action(stamp: &Stamp, body: &StockTradingAction, out: &mut Parts) -> Held {
    let (action, trading, quoting) = match body.trading_state {
        b'H' => (status::HALT, tri::NO, tri::NO),
        b'P' => (status::PAUSE, tri::NO, tri::NO),
        b'Q' => (status::QUOTING, tri::NO, tri::YES),
        b'T' => (status::TRADING, tri::YES, tri::YES),
        _ => return Held::Partly,
    };
    out.push_record(&StatusMsg {
        action: U16::new(action),
        reason: U16::new(halt_reason(&body.reason)),
        is_trading: trading,
        is_quoting: quoting,
        ..stamp.status()
    });
    Held::Partly
}

/// Restricted *since today* and *still* are one answer, so the source bytes follow.
pub(super) fn reg_sho(stamp: &Stamp, body: &RegSho, out: &mut Parts) -> Held {
    let restricted = match body.reg_sho_action {
        b'0' => tri::NO,
        b'1' | b'2' => tri::YES,
        _ => return Held::Partly,
    };
    out.push_record(&StatusMsg {
        action: U16::new(status::SSR_CHANGE),
        reason: U16::new(reason::REGULATORY),
        is_short_sell_restricted: restricted,
        ..stamp.status()
    });
    Held::Partly
}

/// On which of Nasdaq's markets has no place in a record, so the source bytes follow.
pub(super) fn operational_halt(stamp: &Stamp, body: &OperationalHalt, out: &mut Parts) -> Held {
    let (action, trading) = match body.operational_halt_action {
        b'H' => (status::HALT, tri::NO),
        b'T' => (status::TRADING, tri::YES),
        _ => return Held::Partly,
    };
    out.push_record(&StatusMsg {
        action: U16::new(action),
        reason: U16::new(reason::OPERATIONAL),
        is_trading: trading,
        ..stamp.status()
    });
    Held::Partly
}

pub(super) fn mwcb_decline_level(stamp: &Stamp, body: &MwcbDeclineLevel, out: &mut Parts) -> Held {
    let levels = [
        (stat::MWCB_LEVEL1, price8(body.level_1)),
        (stat::MWCB_LEVEL2, price8(body.level_2)),
        (stat::MWCB_LEVEL3, price8(body.level_3)),
    ];
    for (kind, price) in levels {
        out.push_record(&stamp.stat(kind, price));
    }
    Held::when(levels.iter().all(|level| level.1 != UNDEF_PRICE))
}

pub(super) fn mwcb_status(stamp: &Stamp, body: &MwcbStatus, out: &mut Parts) -> Held {
    let reason = match body.breached_level {
        b'1' => reason::MARKET_WIDE_HALT_LEVEL1,
        b'2' => reason::MARKET_WIDE_HALT_LEVEL2,
        b'3' => reason::MARKET_WIDE_HALT_LEVEL3,
        _ => return Held::Partly,
    };
    out.push_record(&StatusMsg {
        action: U16::new(status::HALT),
        reason: U16::new(reason),
        is_trading: tri::NO,
        is_quoting: tri::NO,
        ..stamp.status()
    });
    Held::Wholly
}

impl Stamp {
    fn status(&self) -> StatusMsg {
        StatusMsg {
            hd: self.header::<StatusMsg>(),
            ..StatusMsg::default()
        }
    }
}

/// DBN's reason for a code of Nasdaq's. Several codes share a reason; the source bytes tell them
/// apart.
///
/// Source: TotalView-ITCH 5.0, reason codes of the stock trading action message.
fn halt_reason(code: &[u8; 4]) -> u16 {
    match code {
        b"T1  " => reason::NEWS_PENDING,
        b"T2  " => reason::NEWS_RELEASED,
        b"T3  " => reason::NEWS_AND_RESUMPTION_TIMES,
        b"T5  " | b"T7  " | b"LUDP" | b"LUDS" => reason::LULD_PAUSE,
        b"T6  " | b"H11 " | b"C11 " => reason::REGULATORY,
        b"T8  " => reason::ETF,
        b"T12 " => reason::ADDITIONAL_INFORMATION_REQUESTED,
        b"H4  " => reason::NON_COMPLIANCE,
        b"H9  " => reason::FILINGS_NOT_CURRENT,
        b"H10 " => reason::SEC_TRADING_SUSPENSION,
        b"O1  " => reason::OPERATIONAL,
        b"IPO1" | b"IPOQ" | b"IPOE" => reason::NEW_SECURITY_OFFERING,
        b"M1  " => reason::CORPORATE_ACTION,
        b"M2  " => reason::QUOTATION_NOT_AVAILABLE,
        b"MWC0" => reason::MARKET_WIDE_HALT_CARRYOVER,
        b"MWC1" => reason::MARKET_WIDE_HALT_LEVEL1,
        b"MWC2" => reason::MARKET_WIDE_HALT_LEVEL2,
        b"MWC3" => reason::MARKET_WIDE_HALT_LEVEL3,
        b"MWCQ" => reason::MARKET_WIDE_HALT_RESUMPTION,
        b"R1  " => reason::NEW_ISSUE,
        b"R2  " => reason::ISSUE_AVAILABLE,
        b"R4  " => reason::ISSUES_REVIEWED,
        b"C4  " | b"C9  " | b"R9  " => reason::FILING_REQS_SATISFIED,
        b"C3  " => reason::NEWS_NOT_FORTHCOMING,
        _ => reason::NONE,
    }
}
