//! What a security is and which symbol its locate stands for today.

use twinfeed_wire::record::code::{definition, stype};
use twinfeed_wire::record::{FIXED_PRICE_SCALE, InstrumentDefMsg, SymbolMappingMsg, field};
use zerocopy::little_endian::{I32, I64, U64};

use super::{Converter, Held, Stamp};
use crate::decode::Parts;
use crate::decode::itch50::message::StockDirectory;

impl Converter {
    /// Most of what the directory says has no place in a definition, so the source bytes follow.
    pub(super) fn stock_directory(
        &mut self,
        stamp: &Stamp,
        body: &StockDirectory,
        out: &mut Parts,
    ) -> Held {
        let again = self.memory.defined.note(stamp.locate);
        let symbol = trim(&body.stock);
        let [first, second] = body.issue_sub_type;
        let kind = [body.issue_classification, first, second];
        out.push_record(&InstrumentDefMsg {
            hd: stamp.header::<InstrumentDefMsg>(),
            display_factor: I64::new(FIXED_PRICE_SCALE),
            raw_instrument_id: U64::new(u64::from(stamp.locate)),
            min_lot_size_round_lot: I32::new(
                i32::try_from(body.round_lot_size.get()).unwrap_or(i32::MAX),
            ),
            currency: *b"USD\0",
            raw_symbol: field(symbol),
            group: field(trim(&[body.market_category])),
            security_type: field(trim(&kind)),
            instrument_class: if body.issue_classification == b'B' {
                definition::BOND
            } else {
                definition::STOCK
            },
            security_update_action: if again {
                definition::MODIFY
            } else {
                definition::ADD
            },
            ..InstrumentDefMsg::default()
        });
        out.push_record(&SymbolMappingMsg {
            hd: stamp.header::<SymbolMappingMsg>(),
            stype_in: stype::RAW_SYMBOL,
            stype_in_symbol: field(symbol),
            stype_out: stype::INSTRUMENT_ID,
            stype_out_symbol: field(Decimal::of(stamp.locate).digits()),
            start_ts: U64::new(self.day.start()),
            end_ts: U64::new(self.day.end()),
        });
        Held::Partly
    }
}

/// Letters without the spaces that pad them.
fn trim(letters: &[u8]) -> &[u8] {
    letters.trim_ascii_end()
}

/// A number in decimal, without allocation.
struct Decimal {
    digits: [u8; 5],
    first: usize,
}

impl Decimal {
    fn of(mut number: u16) -> Self {
        let mut decimal = Self {
            digits: [b'0'; 5],
            first: 5,
        };
        loop {
            decimal.first -= 1;
            decimal.digits[decimal.first] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return decimal;
            }
        }
    }

    fn digits(&self) -> &[u8] {
        &self.digits[self.first..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_without_leading_zeros() {
        for (number, text) in [
            (0, "0"),
            (7, "7"),
            (10, "10"),
            (8_381, "8381"),
            (65_535, "65535"),
        ] {
            assert_eq!(Decimal::of(number).digits(), text.as_bytes());
        }
    }
}
