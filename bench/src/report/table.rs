//! How does a report look on a terminal?

use std::fmt::Write as _;

use super::kills::{self, KillLine};
use super::model::{CellReport, Report, SettingReport, Spread};
use super::words::{count, maybe, ratio, time};
use crate::failover::cells::Trigger;

/// The whole report as text.
pub(crate) fn table(report: &Report) -> String {
    let mut text = String::new();
    for setting in &report.settings {
        rows(&mut text, setting);
    }
    for peer in &report.peers {
        let _ = writeln!(
            text,
            "{}: {}  ({} sessions, {} unused)",
            peer.peer.word(),
            peer.means,
            peer.sessions,
            peer.sessions_unused
        );
        cells(&mut text, &peer.cells);
    }
    if !report.peers.is_empty() {
        kill_lines(&mut text, &report.kills);
    }
    let counts = &report.counts;
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "all sessions: {} messages, lost {}, duplicates delivered {}, duplicates dropped {}, order \
         violations {}, wrong content {}, gaps {}, switches {}",
        count(counts.messages),
        count(counts.lost),
        counts.duplicates_delivered,
        count(counts.duplicates_dropped),
        counts.order_violations,
        counts.wrong_content,
        counts.gaps,
        counts.switches,
    );
    for claim in &report.claims {
        let word = match claim.holds {
            Some(true) => "holds",
            Some(false) => "DOES NOT HOLD",
            None => "open",
        };
        let _ = writeln!(text, "{word}: {}: {}", claim.says, claim.because);
    }
    for (title, lines) in [
        ("broken promise", &report.broken),
        ("fault", &report.faults),
    ] {
        for line in lines {
            let _ = writeln!(text, "{title}: {line}");
        }
    }
    text
}

/// Column heads; the row below must agree.
const HEADS: [&str; 13] = [
    "trigger",
    "clean",
    "ovl",
    "inv",
    "lost",
    "dup",
    "order",
    "stall p50",
    "p90",
    "max",
    "gap p50",
    "p90",
    "switched by",
];
const WIDTHS: [usize; 13] = [10, 6, 4, 4, 5, 4, 5, 9, 8, 8, 8, 8, 0];

fn rows(text: &mut String, setting: &SettingReport) {
    let latency = &setting.latency_ns;
    let _ = writeln!(
        text,
        "{}  ({} sessions, {} unused; latency p50 {}, p99 {}, p99.9 {})",
        setting.setting,
        setting.sessions,
        setting.sessions_unused,
        time(latency.p50),
        time(latency.p99),
        time(latency.p999),
    );
    cells(text, &setting.cells);
}

fn cells(text: &mut String, cells: &[CellReport]) {
    line(text, &HEADS.map(str::to_owned));
    for cell in cells {
        line(text, &row(cell));
        if let Some(comparison) = &cell.comparison {
            let ([m0, m1], [p0, p1]) = (comparison.median_interval, comparison.p90_interval);
            let _ = writeln!(
                text,
                "  {:10}  stall ÷ sham: median {} [{}, {}], p90 {} [{}, {}]: {}",
                "",
                ratio(comparison.median_ratio),
                ratio(m0),
                ratio(m1),
                ratio(comparison.p90_ratio),
                ratio(p0),
                ratio(p1),
                comparison.verdict.words(),
            );
        }
    }
    text.push('\n');
}

fn kill_lines(text: &mut String, lines: &[KillLine]) {
    text.push_str("stall after a kill, by that after a sham of the same sessions\n");
    let mut write = |system: &str, cells: &[String]| {
        let _ = write!(text, "  {system:<30}");
        for (cell, head) in cells.iter().zip(kills::HEADS) {
            let width = head.chars().count().max(9) + 1;
            let _ = write!(text, "{cell:>width$}");
        }
        text.push('\n');
    };
    write("system", &kills::HEADS.map(str::to_owned));
    for line in lines {
        write(&line.system, &line.cells());
    }
    text.push('\n');
}

fn row(cell: &CellReport) -> [String; 13] {
    let of = |spread: Option<Spread>, pick: fn(Spread) -> u64| maybe(spread.map(pick));
    // What was counted while a sham ran belongs to the real run of the session.
    let of_session = |number: u64| match cell.counts.messages {
        0 => "–".to_owned(),
        _ => number.to_string(),
    };
    let gap = cell
        .failover_gap_ns
        .filter(|_| cell.trigger != Trigger::Sham);
    [
        cell.trigger.word().to_owned(),
        format!("{}/{}", cell.clean, cell.wanted),
        cell.overload.to_string(),
        cell.invalid.to_string(),
        of_session(cell.counts.lost),
        of_session(cell.counts.duplicates_delivered),
        of_session(cell.counts.order_violations),
        of(cell.stall_ns, |it| it.p50),
        of(cell.stall_ns, |it| it.p90),
        of(cell.stall_ns, |it| it.max),
        of(gap, |it| it.p50),
        of(gap, |it| it.p90),
        cell.switches_in_words(),
    ]
}

fn line(text: &mut String, cells: &[String; 13]) {
    text.push(' ');
    for (index, (cell, width)) in cells.iter().zip(WIDTHS).enumerate() {
        let _ = match index {
            0 | 12 => write!(text, " {cell:<width$} "),
            _ => write!(text, " {cell:>width$}"),
        };
    }
    let end = text.trim_end().len();
    text.truncate(end);
    text.push('\n');
}
