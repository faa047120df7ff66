//! A picture of distributions: which share of the values is no longer than x?
//!
//! ```text
//!  100 % ┤        ┌────────
//!        │   ┌────┘           one step per value, time on a logarithmic axis
//!    0 % ┼───┘──────────────
//!        10 µs   100 µs   1 ms
//! ```
//!
//! Plain SVG. Colours come from the page's style sheet, so that light and dark pages both show it.

use std::fmt::Write as _;

use super::words::time;
use crate::stats::Sample;

/// One curve.
#[derive(Debug)]
pub(super) struct Curve<'a> {
    pub(super) name: &'a str,
    pub(super) sample: &'a Sample,
}

/// Curves over a common time axis; empty if no curve has a value. `name` is what is read out instead.
pub(super) fn shares(name: &str, curves: &[Curve<'_>]) -> String {
    let values = || {
        curves
            .iter()
            .flat_map(|curve| curve.sample.values().iter().copied())
    };
    let Some((low, high)) = values().min().zip(values().max()) else {
        return String::new();
    };
    let axis = Axis::around(low, high);
    let mut svg = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        svg,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        super::html::escape(name)
    );
    grid(&mut svg, &axis);
    // What comes first is drawn on top.
    for curve in curves.iter().rev() {
        path(&mut svg, curve, &axis);
    }
    svg.push_str("</svg>");
    svg
}

/// A logarithmic axis of times.
#[derive(Clone, Copy, Debug)]
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    /// From the round time at or below `low` to that above `high`.
    fn around(low: u64, high: u64) -> Self {
        let mut axis = (1, u64::MAX);
        for round in rounds() {
            if round <= low.max(1) {
                axis.0 = round;
            }
            if round > high && round < axis.1 {
                axis.1 = round;
            }
        }
        Self {
            low: axis.0 as f64,
            high: axis.1 as f64,
        }
    }

    fn x(&self, ns: u64) -> f64 {
        let share = (ns.max(1) as f64 / self.low).ln() / (self.high / self.low).ln();
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    /// Where lines stand: at every round time, or at powers of ten or of a thousand when that would be
    /// too many.
    fn ticks(&self) -> Vec<u64> {
        let within = |ns: &u64| (self.low..=self.high).contains(&(*ns as f64));
        let of = |keep: fn(&u64) -> bool| rounds().filter(within).filter(keep).collect::<Vec<_>>();
        let power = |ns: &u64| ns.to_string().starts_with('1');
        let candidates = [
            of(|_| true),
            of(power),
            of(|ns| [1, 1_000, 1_000_000, 1_000_000_000].contains(ns)),
        ];
        let [.., last] = &candidates;
        candidates
            .iter()
            .find(|ticks| ticks.len() <= MOST_TICKS)
            .unwrap_or(last)
            .clone()
    }
}

/// 1, 2, 5, 10, … nanoseconds up to 5,000 s.
fn rounds() -> impl Iterator<Item = u64> {
    (0..13).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)))
}

fn y(share: f64) -> f64 {
    TOP + (1.0 - share) * (HEIGHT - TOP - BOTTOM)
}

fn grid(svg: &mut String, axis: &Axis) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for share in [0.0, 0.25, 0.5, 0.75, 0.9, 1.0] {
        let y = y(share);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{:.0} %</text>",
            LEFT - 6.0,
            y + 4.0,
            share * 100.0
        );
    }
    for tick in axis.ticks() {
        let x = axis.x(tick);
        let label = time(tick).replace(".00", "").replace(".0", "");
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            bottom + 16.0
        );
    }
}

fn path(svg: &mut String, curve: &Curve<'_>, axis: &Axis) {
    let values = curve.sample.values();
    let Some(first) = values.first() else {
        return;
    };
    let mut steps = format!("M{:.1} {:.1}", axis.x(*first), y(0.0));
    for (index, value) in values.iter().enumerate() {
        if values.get(index + 1) == Some(value) {
            continue;
        }
        let share = (index + 1) as f64 / values.len() as f64;
        let _ = write!(steps, "H{:.1}V{:.1}", axis.x(*value), y(share));
    }
    let _ = write!(steps, "H{:.1}", WIDTH - RIGHT);
    let _ = write!(
        svg,
        "<path class=\"curve {0}\" d=\"{steps}\"><title>{0}: {1} runs</title></path>",
        curve.name,
        values.len()
    );
}

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;
/// More labels than these overlap.
const MOST_TICKS: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_holds_every_value_between_round_times() {
        for (low, high, expected) in [
            (1_500, 1_500, (1_000.0, 2_000.0)),
            (2_000, 5_000, (2_000.0, 10_000.0)),
            (0, 3, (1.0, 5.0)),
            (120_000, 31_000_000, (100_000.0, 50_000_000.0)),
        ] {
            let axis = Axis::around(low, high);
            assert_eq!((axis.low, axis.high), expected);
            assert!(axis.x(low) >= LEFT && axis.x(high) <= WIDTH - RIGHT);
        }
        assert!(Axis::around(1, 4_000_000_000).ticks().len() <= MOST_TICKS);
    }

    #[test]
    fn a_curve_steps_once_per_distinct_value_and_ends_at_the_top() {
        let sample = Sample::new(vec![1_000, 1_000, 4_000]);
        let svg = shares(
            "stall",
            &[Curve {
                name: "sham",
                sample: &sample,
            }],
        );
        let path = svg.split("<path").nth(1).unwrap();
        assert_eq!(path.matches('V').count(), 2, "{path}");
        assert!(
            path.contains(&format!("V{:.1}H{:.1}\"", y(1.0), WIDTH - RIGHT)),
            "{path}"
        );
        assert!(svg.contains("sham: 3 runs"));
        assert_eq!(shares("nothing", &[]), "");
    }
}
