//! Which faults are answered, how, within which bound, and what shows it?
//!
//! The rows stand here in code, beside the names of the tests that show them, and `docs/reliability.md` is made of them:
//! a test fails when the page says something else, when a row names a test that is not there, and when a cell of
//! [`crate::faults`] shows nothing. What is not built, or not shown, stands in the same table as open.

mod rows;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::faults::CELLS;
pub use rows::ROWS;

/// One fault.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name.
    pub id: &'static str,
    /// What goes wrong.
    pub fault: &'static str,
    /// What must come of it.
    pub expected: &'static str,
    /// Within what.
    pub bound: &'static str,
    /// What shows it; empty where nothing does.
    pub shown: &'static [Shown],
    /// What is not built or not shown yet; empty where nothing is missing.
    pub open: &'static str,
}

/// What shows that a row is true.
#[derive(Clone, Copy, Debug)]
pub enum Shown {
    /// A cell of the faults on real hosts.
    Cell(&'static str),
    /// A test: its file, from the top of the repository, and its name.
    Test(&'static str, &'static str),
}

/// The page.
#[must_use]
pub fn page() -> String {
    let mut text = HEAD.to_owned();
    for (title, of) in SECTIONS {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n## {title}\n\n{TABLE}");
        for row in ROWS.iter().filter(|row| row.id.starts_with(of)) {
            let _ = writeln!(text, "{}", line(row));
        }
    }
    let _ = write!(text, "\n{CELLS_HEAD}");
    for cell in &CELLS {
        let rows = ROWS
            .iter()
            .filter(|row| row.shown.iter().any(|it| it.is_cell(cell.name)));
        let rows: Vec<_> = rows.map(|row| row.id).collect();
        let owed = match cell.owed {
            crate::faults::Owed::Everything => "every message, once, to all three",
            crate::faults::Owed::ToldOfGaps => {
                "the third subscriber: every message or a gap that names it; the others: everything"
            }
        };
        let needs = cell
            .needs
            .map_or(String::new(), |needs| format!(" (needs `{needs}`)"));
        let _ = writeln!(
            text,
            "| `{}` | {}{needs} | {owed} | {} |",
            cell.name,
            cell.what,
            rows.join(", ")
        );
    }
    let open = ROWS.iter().filter(|row| !row.open.is_empty());
    let _ = write!(text, "\n## Open\n\nNot built, or not shown:\n\n");
    for row in open {
        let _ = writeln!(text, "- **{}** {}: {}", row.id, row.fault, row.open);
    }
    text
}

/// What is wrong with the rows: tests and cells that are not there, cells that show nothing, rows that neither show
/// anything nor are open.
#[must_use]
pub fn faults() -> Vec<String> {
    let mut faults = Vec::new();
    for row in ROWS {
        if row.shown.is_empty() && row.open.is_empty() {
            faults.push(format!("{}: nothing shows it, and it is not open", row.id));
        }
        if !SECTIONS.iter().any(|(_, of)| row.id.starts_with(*of)) {
            faults.push(format!("{}: it is in no section", row.id));
        }
        faults.extend(row.shown.iter().filter_map(|shown| {
            let fault = shown.fault()?;
            Some(format!("{}: {fault}", row.id))
        }));
    }
    for cell in &CELLS {
        let shows = |row: &Row| row.shown.iter().any(|it| it.is_cell(cell.name));
        if !ROWS.iter().any(shows) {
            faults.push(format!("cell {} shows no row", cell.name));
        }
    }
    faults
}

/// The top of the repository.
#[must_use]
pub fn top() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

impl Shown {
    fn is_cell(self, name: &str) -> bool {
        matches!(self, Self::Cell(it) if it == name)
    }

    fn fault(self) -> Option<String> {
        match self {
            Self::Cell(name) => {
                let there = CELLS.iter().any(|cell| cell.name == name);
                (!there).then(|| format!("there is no cell {name}"))
            }
            Self::Test(file, name) => {
                let text = std::fs::read_to_string(top().join(file));
                let there = text.is_ok_and(|text| text.contains(&format!("fn {name}(")));
                (!there).then(|| format!("there is no test {name} in {file}"))
            }
        }
    }
}

fn line(row: &Row) -> String {
    let shown = row.shown.iter().map(|shown| match shown {
        Shown::Cell(name) => format!("`faults` `{name}`"),
        Shown::Test(file, name) => format!("[`{name}`](../{file})"),
    });
    let mut shown: Vec<_> = shown.collect();
    if !row.open.is_empty() {
        shown.push("*open, see below*".to_owned());
    }
    format!(
        "| {} | {} | {} | {} | {} |",
        row.id,
        row.fault,
        row.expected,
        row.bound,
        shown.join("<br>")
    )
}

const SECTIONS: [(&str, &str); 6] = [
    ("The network", "N"),
    ("Hosts", "H"),
    ("Processes", "P"),
    ("The control plane", "C"),
    ("Gateways and disks", "G"),
    ("Security", "S"),
];

const TABLE: &str = "| id | fault | expected | bound | shown by |\n|---|---|---|---|---|\n";

const HEAD: &str = "# Reliability

<!-- Generated from tests/src/matrix and tests/src/faults: UPDATE_TABLES=1 cargo test -p twinfeed-tests --test matrix -->

**The promise.** Per source stream and epoch the application sees the contiguous sequence exactly once and in
order, or an explicit, ordered `Gap`, `Discontinuity` or `Reset`. Never silence, never a duplicate.

L = nothing lost without a declared gap, D = no duplicate, O = order kept. The twin is the other leg, or the other line.
Bounds name the setting that they come of; defaults stand in `deploy/`. A row is shown by tests of the machines, by
the simulated worlds, by real processes over loopback (`tests/tests/e2e_*`), and by `faults`: real processes on hosts of
their own, whose network, processes, disks and neighbours fail.

```text
cargo run --release -p twinfeed-tests --bin faults -- --per-cell 10
cargo run --release -p twinfeed-tests --bin faults -- --soak --minutes 60 --record bench/record
```

`faults` needs root (or user namespaces for everybody), util-linux, iproute2 and nftables; without them it says so and exits with
77. It makes network namespaces joined by a bridge within a namespace of its own: nothing of it is seen outside, and nothing
is left of it, whatever ends it. Every fault is asserted to have happened; every record that every subscriber got is
compared with what the exchange sent.
";

const CELLS_HEAD: &str = "## Cells of `faults`

Exchange, stream-admin (over TLS), two adapters and three subscribers, each on a host of its own; the first and the third
subscriber take the first arrival, the second prefers the active. Lines are multicast groups; streams are one group per
adapter or a copy per subscriber, as the cell says.

| cell | what is done | what is owed meanwhile | shows |
|---|---|---|---|
";
