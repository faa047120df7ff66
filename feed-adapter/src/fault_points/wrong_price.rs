//! How would a decoder that is wrong show? For tests of divergence: one adapter's order records say a price that is too
//! high by 1e-9.

use std::ops::Range;
use std::sync::OnceLock;

use twinfeed_wire::record::MboMsg;
use zerocopy::little_endian::I64;

use crate::config::ConfigError;
use crate::decode::Parts;

/// `FROM..UNTIL/EVERY`: of every session the source numbers from the first up to, not including, the second that are
/// multiples of the third.
const VARIABLE: &str = "TWINFEED_TEST_WRONG_PRICE";

static FAULT: OnceLock<WrongPrice> = OnceLock::new();

/// A decoder's fault.
#[derive(Clone, Debug, Eq, PartialEq)]
struct WrongPrice {
    numbers: Range<u64>,
    every: u64,
}

pub(super) fn read_environment() -> Result<(), ConfigError> {
    let says = ("5000..9000/7", "this adapter converts wrongly on purpose");
    super::read_plan(&FAULT, VARIABLE, says, |text| {
        WrongPrice::read(text).ok_or_else(|| "names no numbers".to_owned())
    })
}

/// Source message `sseq` was converted to these records.
pub(super) fn converted(sseq: u64, parts: &mut Parts) {
    if let Some(fault) = FAULT.get() {
        fault.apply(sseq, parts);
    }
}

impl WrongPrice {
    fn read(text: &str) -> Option<Self> {
        let (numbers, every) = text.split_once('/')?;
        let (from, until) = numbers.split_once("..")?;
        let every = every.parse().ok().filter(|every| *every > 0)?;
        Some(Self {
            numbers: from.parse().ok()?..until.parse().ok()?,
            every,
        })
    }

    /// Does to the records of source message `sseq` what the wrong decoder would.
    fn apply(&self, sseq: u64, parts: &mut Parts) {
        let hit = self.numbers.contains(&sseq) && sseq.is_multiple_of(self.every);
        if hit && let Some(order) = parts.last_record_mut::<MboMsg>() {
            order.price = I64::new(order.price.get().wrapping_add(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_written() {
        let read = WrongPrice::read("5000..9000/7").unwrap();
        assert_eq!((read.numbers, read.every), (5_000..9_000, 7));
        for wrong in [
            "",
            "5000",
            "5000..9000",
            "5000..9000/0",
            "..9000/7",
            "5000..9000/7/",
        ] {
            assert_eq!(WrongPrice::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn one_price_of_every_so_many_is_wrong() {
        let fault = WrongPrice::read("10..20/5").unwrap();
        let mut parts = Parts::new(1_024);
        for sseq in 0..30 {
            parts.clear();
            parts.push_record(&MboMsg {
                price: I64::new(100),
                ..MboMsg::default()
            });
            fault.apply(sseq, &mut parts);
            let price = parts.last_record_mut::<MboMsg>().unwrap().price.get();
            let wrong = [10, 15].contains(&sseq);
            assert_eq!(price, if wrong { 101 } else { 100 }, "{sseq}");
        }
    }
}
