//! How does a report look in a browser?
//!
//! One file that needs nothing else: style and plots are inside, no script, nothing is fetched.

use std::fmt::{Display, Write as _};

use super::claims::Claim;
use super::kills;
use super::model::{CellReport, Report, SettingReport, Spread};
use super::plot::{Curve, shares};
use super::words::{count, maybe, ratio, time};
use crate::failover::cells::Trigger;
use crate::failover::outcome::Run;
use crate::stats::Sample;

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>Failover, {date}</title><style>{STYLE}</style></head><body>\
         <h1>Failover</h1><p class=\"soft\">{date} · commit {commit}</p>",
        date = escape(&report.host.date),
        commit = escape(&report.host.commit),
    );
    outcome(&mut page, report);
    circumstances(&mut page, report);
    beside(&mut page, report);
    for setting in &report.settings {
        section(&mut page, setting);
    }
    page.push_str(READING);
    page.push_str("</body></html>\n");
    page
}

/// Text that cannot be taken for markup.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn outcome(page: &mut String, report: &Report) {
    let counts = &report.counts;
    let (class, word) = match (report.broken.is_empty(), report.faults.is_empty()) {
        (true, true) => ("good", "Every promise was kept"),
        (true, false) => (
            "open",
            "Every promise was kept, but the bench is not complete",
        ),
        (false, _) => ("bad", "A promise was broken"),
    };
    let _ = write!(
        page,
        "<p><span class=\"word {class}\">{word}.</span> {} messages sent: {} lost, {} duplicates \
         delivered, {} dropped, {} order violations, {} sessions with wrong content.</p><ul>",
        count(counts.messages),
        count(counts.lost),
        count(counts.duplicates_delivered),
        count(counts.duplicates_dropped),
        count(counts.order_violations),
        count(counts.wrong_content),
    );
    for Claim {
        says,
        holds,
        because,
    } in &report.claims
    {
        let (class, word) = match holds {
            Some(true) => ("good", "holds"),
            Some(false) => ("bad", "does not hold"),
            None => ("open", "open"),
        };
        let (says, because) = (escape(says), escape(because));
        let _ = write!(
            page,
            "<li>{says}: <span class=\"word {class}\">{word}</span> <span class=\"soft\">({because})\
             </span></li>"
        );
    }
    for (class, lines) in [("bad", &report.broken), ("open", &report.faults)] {
        for line in lines {
            let _ = write!(page, "<li class=\"{class}\">{}</li>", escape(line));
        }
    }
    page.push_str("</ul>");
}

fn circumstances(page: &mut String, report: &Report) {
    let (host, options) = (&report.host, &report.options);
    let core =
        |core: Option<usize>| core.map_or("not pinned".to_owned(), |it| format!("core {it}"));
    let [active, backup] = options.cores.map(core);
    page.push_str("<dl>");
    let mut row = |name: &str, value: &dyn Display| {
        let _ = write!(
            page,
            "<dt>{name}</dt><dd>{}</dd>",
            escape(&value.to_string())
        );
    };
    row(
        "host",
        &format!(
            "{}, {}, {} cores, {} MiB",
            host.name, host.processor, host.cores, host.memory_mib
        ),
    );
    row("kernel", &host.kernel);
    row("load at start", &host.load);
    row("build", &host.profile);
    row(
        "adapters",
        &format!(
            "transmit {}; idle strategy: {}; active {active}, backup {backup}",
            options.transmit, options.idle
        ),
    );
    row(
        "flow",
        &format!(
            "{} messages/s{}, sessions of {} ms, seed {}",
            count(options.rate),
            options
                .burst
                .as_ref()
                .map_or(String::new(), |burst| format!(", {burst}")),
            options.session_ms,
            options.seed
        ),
    );
    if let Some(input) = &options.input {
        row("file", input);
    }
    row(
        "window",
        &format!("{} ms after each trigger", options.window_ms),
    );
    page.push_str("</dl>");
}

fn section(page: &mut String, setting: &SettingReport) {
    let latency = &setting.latency_ns;
    let _ = write!(
        page,
        "<h2>{}</h2><p class=\"soft\">{} sessions, of which {} without a run. Latency from the adapter's \
         receive to the application: p50 {}, p99 {}, p99.9 {}, max {} over {} records.</p>",
        escape(&setting.setting.to_string()),
        setting.sessions,
        setting.sessions_unused,
        time(latency.p50),
        time(latency.p99),
        time(latency.p999),
        time(latency.max),
        count(latency.count),
    );
    plots(page, setting);
    rows(page, setting, &TIMES, times);
    rows(page, setting, &COUNTS, counts);
    overloads(page, setting);
}

/// What a kill costs, of the product and of the other systems.
fn beside(page: &mut String, report: &Report) {
    if report.peers.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Kills, beside other systems</h2><div class=\"scroll\"><table><thead><tr><th>system</th>",
    );
    for head in kills::HEADS {
        let _ = write!(page, "<th>{head}</th>");
    }
    page.push_str("</tr></thead><tbody>");
    for line in &report.kills {
        let _ = write!(page, "<tr><td>{}</td>", escape(&line.system));
        for cell in line.cells() {
            let _ = write!(page, "<td>{}</td>", escape(&cell));
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></div><ul>");
    for peer in &report.peers {
        let _ = write!(page, "<li>{}: {}</li>", peer.peer.word(), peer.means);
    }
    page.push_str("</ul>");
}

fn plots(page: &mut String, setting: &SettingReport) {
    let figure = |page: &mut String, caption: &str, pick: fn(&Run) -> Option<u64>, sham: bool| {
        let cells = setting
            .cells
            .iter()
            .filter(|cell| sham || cell.trigger != Trigger::Sham);
        let samples: Vec<(Trigger, Sample)> = cells
            .map(|cell| {
                (
                    cell.trigger,
                    Sample::new(cell.clean().filter_map(pick).collect()),
                )
            })
            .filter(|(_, sample)| sample.len() > 0)
            .collect();
        let named = samples
            .iter()
            .map(|(trigger, sample)| (trigger.word(), sample));
        let curves: Vec<_> = named.map(|(name, sample)| Curve { name, sample }).collect();
        if curves.is_empty() {
            return;
        }
        let _ = write!(
            page,
            "<figure><figcaption>{caption}</figcaption>{}",
            shares(caption, &curves)
        );
        key(page, &samples);
        page.push_str("</figure>");
    };
    page.push_str("<div class=\"pair\">");
    let stall = "Stall: share of runs whose longest silence is at most";
    figure(page, stall, |run| Some(run.stall_ns), true);
    let gap = "Failover gap: share of runs whose survivor has news within";
    figure(page, gap, |run| run.failover_gap_ns, false);
    page.push_str("</div>");
}

fn key(page: &mut String, samples: &[(Trigger, Sample)]) {
    page.push_str("<div class=\"key\">");
    for (trigger, sample) in samples {
        let _ = write!(
            page,
            "<span><svg viewBox=\"0 0 28 10\" aria-hidden=\"true\"><path class=\"curve {trigger}\" \
             d=\"M0 5H28\"/></svg>{trigger} ({})</span>",
            sample.len()
        );
    }
    page.push_str("</div>");
}

/// Column heads of [`times`]; the last one is text.
const TIMES: [&str; 8] = [
    "stall p50",
    "p90",
    "max",
    "failover gap p50",
    "p90",
    "max",
    "no news",
    "stall against sham",
];
/// Column heads of [`counts`]; the last one is text.
const COUNTS: [&str; 8] = [
    "clean runs",
    "overload",
    "invalid",
    "lost",
    "duplicates delivered",
    "dropped",
    "out of order",
    "switched by",
];

fn rows(
    page: &mut String,
    setting: &SettingReport,
    heads: &[&str; 8],
    cells: fn(&CellReport) -> [String; 8],
) {
    page.push_str("<div class=\"scroll\"><table><thead><tr><th>trigger</th>");
    let class = |index| if index == 7 { " class=\"text\"" } else { "" };
    for (index, head) in heads.iter().enumerate() {
        let _ = write!(page, "<th{}>{head}</th>", class(index));
    }
    page.push_str("</tr></thead><tbody>");
    for cell in &setting.cells {
        let _ = write!(page, "<tr><td>{}</td>", cell.trigger);
        for (index, text) in cells(cell).iter().enumerate() {
            let _ = write!(page, "<td{}>{}</td>", class(index), escape(text));
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></div>");
}

fn times(cell: &CellReport) -> [String; 8] {
    let of = |spread: Option<Spread>, pick: fn(Spread) -> u64| maybe(spread.map(pick));
    let comparison = cell.comparison.map(|comparison| {
        let [low, high] = comparison.p90_interval;
        format!(
            "median × {}, p90 × {} [{}, {}]: {}",
            ratio(comparison.median_ratio),
            ratio(comparison.p90_ratio),
            ratio(low),
            ratio(high),
            comparison.verdict.words()
        )
    });
    [
        of(cell.stall_ns, |it| it.p50),
        of(cell.stall_ns, |it| it.p90),
        of(cell.stall_ns, |it| it.max),
        of(cell.failover_gap_ns, |it| it.p50),
        of(cell.failover_gap_ns, |it| it.p90),
        of(cell.failover_gap_ns, |it| it.max),
        cell.without_failover.to_string(),
        comparison.unwrap_or_default(),
    ]
}

fn counts(cell: &CellReport) -> [String; 8] {
    let counts = &cell.counts;
    // What was counted while a sham ran belongs to the real run of the session.
    let of_session = |number| match counts.messages {
        0 => "–".to_owned(),
        _ => count(number),
    };
    [
        format!("{}/{}", cell.clean, cell.wanted),
        cell.overload.to_string(),
        cell.invalid.to_string(),
        of_session(counts.lost),
        of_session(counts.duplicates_delivered),
        of_session(counts.duplicates_dropped),
        of_session(counts.order_violations),
        cell.switches_in_words(),
    ]
}

fn overloads(page: &mut String, setting: &SettingReport) {
    let cells = setting
        .cells
        .iter()
        .filter(|cell| cell.overload_counts.messages > 0);
    for cell in cells {
        let counts = &cell.overload_counts;
        let [zero, one] = counts.kernel_drops;
        let _ = write!(
            page,
            "<h3>{}: overload</h3><p>Counted apart: {} of {} messages lost, {} declared missing in {} gaps; \
             the kernel dropped {} and {} datagrams at the two legs' sockets.</p>",
            cell.trigger,
            count(counts.lost),
            count(counts.messages),
            count(counts.lost.saturating_sub(counts.undeclared)),
            counts.gaps,
            count(zero),
            count(one),
        );
        if !cell.overload_gaps.is_empty() {
            page.push_str("<ul>");
            for gap in &cell.overload_gaps {
                let _ = write!(page, "<li>{}</li>", escape(gap));
            }
            page.push_str("</ul>");
        }
    }
}

pub(crate) const STYLE: &str = include_str!("style.css");
const READING: &str = "<h2>How to read this</h2>\
    <p>A <em>run</em> is one trigger, pulled at the adapter that the subscriber would miss, in the middle of \
    a burst at a random moment, and the window after it. <em>Stall</em> is the longest silence towards the application that \
    touches the window; sham runs do the same with signal 0 in the same sessions, so that the host's own \
    noise is in both. <em>Failover gap</em> is the time from the trigger to the first record from the \
    survivor that the other leg had not delivered. All times are from one host's monotonic clock; compare \
    runs of one report only.</p>\
    <p>Not distinguishable from sham: the ratio of the medians is at most 1.2, and the 95 % bootstrap \
    interval of the ratio of the 90th percentiles reaches below 1.2; at least 30 runs on both sides. A \
    maximum is shown and never compared: it grows with the number of runs. Overload: the kernel dropped \
    datagrams at the sockets of every leg that was there.</p>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            escape("<a href=\"x\">&"),
            "&lt;a href=&quot;x&quot;&gt;&amp;"
        );
    }

    #[test]
    fn every_trigger_has_a_colour_of_its_own_in_both_schemes() {
        for trigger in Trigger::ALL {
            let rule = format!(".curve.{trigger} {{ stroke: var(--{trigger});");
            assert!(STYLE.contains(&rule), "{rule}");
            let colour = format!("--{trigger}: #");
            assert_eq!(STYLE.matches(&colour).count(), 2, "{colour}");
        }
    }

    #[test]
    fn the_page_fetches_nothing() {
        for word in ["http", "src=", "@import", "url("] {
            assert!(!STYLE.contains(word) && !READING.contains(word), "{word}");
        }
    }
}
