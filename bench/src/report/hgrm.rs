//! The percentile distribution that plotters of HdrHistograms read (`.hgrm`), in microseconds.
//!
//! The layout is that of HdrHistogram's `outputPercentileDistribution`, five steps per half distance.

use std::io::{self, Write};

use hdrhistogram::Histogram;

/// The histogram of `[nanoseconds, count]`, to three figures.
pub(crate) fn histogram<'a>(counts: impl IntoIterator<Item = &'a [u64; 2]>) -> Histogram<u64> {
    let Ok(mut histogram) = Histogram::new(3) else {
        unreachable!("three figures are possible")
    };
    for &[value, count] in counts {
        // A resizing histogram takes every value.
        let _ = histogram.record_n(value, count);
    }
    histogram
}

/// The same the other way round.
pub(crate) fn counts(histogram: &Histogram<u64>) -> Vec<[u64; 2]> {
    let steps = histogram.iter_recorded();
    steps
        .map(|step| [step.value_iterated_to(), step.count_at_value()])
        .collect()
}

/// Writes the distribution of `[nanoseconds, count]`.
pub(crate) fn write(out: &mut impl Write, counts: &[[u64; 2]]) -> io::Result<()> {
    let histogram = histogram(counts);
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut below = 0;
    for step in histogram.iter_quantiles(STEPS) {
        below += step.count_since_last_iteration();
        let (value, quantile) = (
            micros(step.value_iterated_to()),
            step.quantile_iterated_to(),
        );
        if quantile < 1.0 {
            let odds = 1.0 / (1.0 - quantile);
            writeln!(out, "{value:12.3} {quantile:2.12} {below:10} {odds:14.2}")?;
        } else {
            writeln!(
                out,
                "{value:12.3} {quantile:2.12} {below:10}            inf"
            )?;
        }
    }
    let (mean, deviation) = (histogram.mean() / 1e3, histogram.stdev() / 1e3);
    writeln!(
        out,
        "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]"
    )?;
    let (max, total) = (micros(histogram.max()), histogram.len());
    writeln!(out, "#[Max     = {max:12.3}, Total count    = {total:12}]")?;
    let buckets = histogram.buckets();
    writeln!(
        out,
        "#[Buckets = {buckets:12}, SubBuckets     = {:12}]",
        histogram.distinct_values() / usize::from(buckets.max(1))
    )
}

fn micros(ns: u64) -> f64 {
    ns as f64 / 1e3
}

const STEPS: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_rises_to_all_of_its_values() {
        let mut out = Vec::new();
        write(&mut out, &[[1_000, 90], [2_000, 9], [50_000, 1]]).unwrap();
        let text = String::from_utf8(out).unwrap();
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                line.split_whitespace()
                    .map(|word| word.parse().unwrap())
                    .collect()
            })
            .collect();
        assert!(
            rows.is_sorted_by(|a, b| a[0] <= b[0] && a[1] <= b[1] && a[2] <= b[2]),
            "{text}"
        );
        let last = rows.last().unwrap();
        assert!(
            (last[0] - 50.0).abs() < 0.1 && last[1..] == [1.0, 100.0, f64::INFINITY],
            "{text}"
        );
        assert!(text.contains("#[Mean    =        1.5"), "{text}");
    }

    #[test]
    fn nothing_is_a_distribution_too() {
        let mut out = Vec::new();
        write(&mut out, &[]).unwrap();
        assert!(
            String::from_utf8(out)
                .unwrap()
                .contains("Total count    =            0")
        );
    }
}
