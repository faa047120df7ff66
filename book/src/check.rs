//! Does a book say of itself what its orders say?
//!
//! The slow and obvious way, as a check of the quick one: every level is counted again from its queue, every order is looked up by its
//! number, and nothing may be left over.

use std::fmt;

use super::Side;
use super::ladder::Ladder;
use super::pool::Pool;
use crate::index::NONE;

/// What does not agree within a book: a defect of this library.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Broken {
    /// Of which instrument; `None`: of none in particular.
    pub instrument: Option<u32>,
    /// What it is.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instrument, what } = self;
        match instrument {
            Some(instrument) => write!(f, "the book of instrument {instrument} is broken: {what}")?,
            None => write!(f, "the books are broken: {what}")?,
        }
        f.write_str("; this is a defect of the library")
    }
}

impl std::error::Error for Broken {}

/// Checks one book of a pool.
pub(super) fn check(pool: &Pool, ladder: &Ladder) -> Result<(), Broken> {
    let broken = |what: String| Broken {
        instrument: Some(ladder.instrument),
        what,
    };
    let mut orders = 0;
    for side in Side::BOTH {
        let mut better = None;
        for rung in ladder.levels(side).iter() {
            let level = rung.level(side);
            if better.is_some_and(|better| better <= rung.rank) {
                return Err(broken(format!("{side:?} {} is out of place", level.price)));
            }
            better = Some(rung.rank);
            let (mut at, mut before, mut size, mut count) = (rung.first, NONE, 0_u64, 0_u32);
            while at != NONE && count <= level.orders {
                let slot = pool.at(at);
                let stands = (slot.side, slot.price, slot.before) == (side, level.price, before);
                if !stands || pool.find(ladder.number, slot.id) != Some(at) {
                    let what = format!(
                        "order {} does not stand at {side:?} {}",
                        slot.id, level.price
                    );
                    return Err(broken(what));
                }
                size += u64::from(slot.size);
                count += 1;
                (before, at) = (at, slot.behind);
            }
            if (size, count, before) != (level.size, level.orders, rung.last) || count == 0 {
                let what = format!("{side:?} {level:?} has {count} orders of {size} together");
                return Err(broken(what));
            }
            orders += count as usize;
        }
    }
    if orders != ladder.orders {
        let what = format!(
            "{orders} orders stand in its queues, and {} are counted",
            ladder.orders
        );
        return Err(broken(what));
    }
    Ok(())
}
