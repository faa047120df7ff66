//! Pictures of a report: ranges as bars, distributions as curves over percentiles.
//!
//! ```text
//!  two legs, 16  ████████████├─┤ 17.7         µs ┤            ╭──
//!  one leg, 16   ███████├┤ 12.1                 ┤      ╭─────╯
//!                0        10        20          ┼──────┴──────────
//!                                               50 %  90 %  99 %  99.9 %
//! ```
//!
//! Plain SVG, with colours of the page's style sheet.

use std::fmt::Write as _;

use super::rows::{Measure, figure};
use crate::report::html::escape;
use crate::report::words::time;

/// Bars with the range over rounds; empty if there is none.
pub(super) fn bars(name: &str, bars: &[(String, Measure)]) -> String {
    let most = bars.iter().map(|(_, it)| it.most).fold(0.0, f64::max);
    if most <= 0.0 {
        return String::new();
    }
    // One round in which the host did something else must not flatten all others: its range leaves the picture.
    let longest = bars.iter().map(|(_, it)| it.median).fold(0.0, f64::max);
    let most = if longest > 0.0 {
        most.min(longest * WIDEST)
    } else {
        most
    };
    let longest = bars.iter().map(|(label, _)| label.chars().count()).max();
    let left = (longest.unwrap_or(0) as f64 * LETTER + 12.0).clamp(60.0, WIDTH / 2.0);
    let scale = (WIDTH - left - FIGURE) / most;
    let height = bars.len() as f64 * ROW + 4.0;
    let mut svg = String::new();
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        svg,
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\">",
        escape(name)
    );
    for (index, (label, measure)) in bars.iter().enumerate() {
        let (top, middle) = (
            index as f64 * ROW + 4.0,
            index as f64 * ROW + ROW / 2.0 + 2.0,
        );
        let at = |value: f64| left + value.clamp(0.0, most) * scale;
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"bar\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\">\
             <title>{}: {} ({} … {})</title></rect>\
             <line class=\"range\" x1=\"{:.1}\" y1=\"{middle:.1}\" x2=\"{:.1}\" y2=\"{middle:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            left - 6.0,
            middle + 4.5,
            escape(label),
            at(measure.median) - left,
            ROW - 6.0,
            escape(label),
            figure(measure.median),
            figure(measure.least),
            figure(measure.most),
            at(measure.least),
            at(measure.most),
            at(measure.most) + 6.0,
            middle + 4.5,
            figure(measure.median),
        );
    }
    svg.push_str("</svg>");
    svg
}

/// One distribution: the quantile and what is at most so long, ns, rising.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Distribution {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// Distributions over percentiles; empty if none has a point.
pub(super) fn percentiles(name: &str, distributions: &[Distribution]) -> String {
    let values = || {
        let points = distributions.iter().flat_map(|it| &it.points);
        points.map(|(_, value)| value.max(1.0))
    };
    let (low, high) = (
        values().fold(f64::INFINITY, f64::min),
        values().fold(0.0, f64::max),
    );
    if high <= 0.0 {
        return String::new();
    }
    let (low, high) = (decade(low, f64::floor), decade(high * 1.01, f64::ceil));
    let (right, bottom) = (WIDTH - 20.0, HEIGHT - 26.0);
    // Each nine as wide as the one before.
    let x = |quantile: f64| {
        let nines = -(1.0 - quantile.min(1.0 - 10.0_f64.powf(-NINES))).log10();
        LEFT + nines / NINES * (right - LEFT)
    };
    let y = |value: f64| {
        let share = (value.max(1.0) / low).ln() / (high / low).ln();
        bottom - share * (bottom - TOP)
    };
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escape(name)
    );
    for (quantile, label) in [
        (0.0, "0 %"),
        (0.5, "50 %"),
        (0.9, "90 %"),
        (0.99, "99 %"),
        (0.999, "99.9 %"),
        (0.999_9, "99.99 %"),
    ] {
        let x = x(quantile);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            bottom + 16.0
        );
    }
    let mut tick = low;
    while tick <= high * 1.001 {
        let y = y(tick);
        let label = time(tick as u64).replace(".00", "").replace(".0", "");
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 6.0,
            y + 4.0
        );
        tick *= 10.0;
    }
    for (index, distribution) in distributions.iter().enumerate().rev() {
        let mut path = String::new();
        for (quantile, value) in &distribution.points {
            let step = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{step}{:.1} {:.1}", x(*quantile), y(*value));
        }
        let _ = write!(
            svg,
            "<path class=\"curve c{}\" d=\"{path}\"><title>{}</title></path>",
            index % COLOURS,
            escape(&distribution.name)
        );
    }
    svg.push_str("</svg><div class=\"key\">");
    for (index, distribution) in distributions.iter().enumerate() {
        let _ = write!(
            svg,
            "<span><svg viewBox=\"0 0 28 10\"><line class=\"curve c{}\" x1=\"0\" y1=\"5\" x2=\"28\" y2=\"5\"/></svg>{}</span>",
            index % COLOURS,
            escape(&distribution.name)
        );
    }
    svg.push_str("</div>");
    svg
}

/// The power of ten next to a value.
fn decade(value: f64, round: fn(f64) -> f64) -> f64 {
    10.0_f64.powf(round(value.log10()))
}

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 58.0;
const TOP: f64 = 10.0;
/// Height of a bar with what is around it.
const ROW: f64 = 20.0;
/// Width of a letter of a label, and of the figure behind a bar.
const LETTER: f64 = 7.3;
const FIGURE: f64 = 92.0;
/// How far a range may reach, by the longest bar.
const WIDEST: f64 = 2.0;
/// How many nines the axis of percentiles has: up to 99.99 %.
const NINES: f64 = 4.0;
/// Of the style sheet.
const COLOURS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(least: f64, median: f64, most: f64) -> Measure {
        Measure {
            least,
            median,
            most,
        }
    }

    #[test]
    fn a_bar_is_as_long_as_its_median_and_no_range_flattens_all_others() {
        let two = [
            ("a".to_owned(), measure(5.0, 10.0, 20_000.0)),
            ("b <".to_owned(), measure(1.0, 5.0, 5.0)),
        ];
        let svg = bars("cost", &two);
        let widths: Vec<f64> = svg
            .split("width=\"")
            .skip(1)
            .map(|it| it.split('"').next().unwrap().parse().unwrap())
            .collect();
        assert!((widths[0] / widths[1] - 2.0).abs() < 0.01, "{widths:?}");
        assert!(widths[0] > 150.0, "{widths:?}");
        assert!(svg.contains("b &lt;") && !svg.contains("b <"), "{svg}");
        assert_eq!(bars("nothing", &[]), "");
        assert_eq!(
            bars("nought", &[("a".to_owned(), measure(0.0, 0.0, 0.0))]),
            ""
        );
    }

    #[test]
    fn each_nine_is_as_wide_as_the_one_before() {
        let name = "a".to_owned();
        let points = vec![(0.0, 100.0), (0.9, 200.0), (0.99, 400.0), (1.0, 90_000.0)];
        let svg = percentiles("late", &[Distribution { name, points }]);
        let path = svg.split(" d=\"M").nth(1).unwrap();
        let path = path.split('"').next().unwrap();
        let x: Vec<f64> = path
            .split('L')
            .map(|it| it.split(' ').next().unwrap().parse().unwrap())
            .collect();
        assert!((x[1] - x[0] - (x[2] - x[1])).abs() < 0.2, "{x:?}");
        assert!((x[3] - (WIDTH - 20.0)).abs() < 0.2, "{x:?}");
        assert_eq!(percentiles("nothing", &[]), "");
    }
}
