//! Packets overtake each other within a line, in another order on the other line.
//!
//! A few packets leave at one moment, so that how long one is overtaken depends on no pace.

use twinfeed_exchange::LineId;

use super::super::score::{Parcel, Score};
use super::Scenario;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "reorder",
    about: "packets overtake each other within each line",
    matrix: "N5",
    first: 1,
    joins_late: false,
    compose,
};

/// Disorderly moments.
const ROUNDS: u32 = 20;
/// Packets of each.
const DEPTH: u32 = 4;

fn compose(score: &mut Score) {
    score.clean(10);
    for _ in 0..ROUNDS {
        let parcels: Vec<Parcel> = (0..DEPTH).map(|_| score.parcel()).collect();
        let mut orders: Vec<Vec<usize>> = Vec::new();
        for _ in LineId::ALL {
            let order = shuffled(score);
            orders.push(order);
        }
        for turn in 0..DEPTH as usize {
            for (line, order) in LineId::ALL.into_iter().zip(&orders) {
                score.send(&[line], &parcels[order[turn]]);
            }
        }
        score.clean(2);
    }
    score.clean(10);
}

/// 0 to DEPTH in an order that is not the right one.
fn shuffled(score: &mut Score) -> Vec<usize> {
    let mut order: Vec<usize> = (0..DEPTH as usize).collect();
    while order.is_sorted() {
        for last in (1..DEPTH).rev() {
            let other = score.dice.below(last + 1);
            order.swap(last as usize, other as usize);
        }
    }
    order
}
