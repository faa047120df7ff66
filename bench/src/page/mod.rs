//! What did all benches come to, on one page with pictures?
//!
//! Reads the reports that benches have written, each with its host and its circumstances, and the distributions beside them, and knows nothing of
//! what they measured: see [`rows`]. `failover` and `repair` have pages of their own.

mod figure;
mod node;
mod rows;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use figure::{Distribution, bars, percentiles};
use node::Node;
use rows::{Cell, Rows, words};

use crate::error::Error;
use crate::report::html::{STYLE, escape};

/// Which reports, and where to.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Reports: JSON that a bench has written, or folders with a `report.json`.
    #[arg(required = true, value_name = "REPORT")]
    reports: Vec<PathBuf>,
    /// The page.
    #[arg(long, value_name = "FILE", default_value = "benches.html")]
    output: PathBuf,
}

/// One bench's report.
struct Report {
    /// What it is called: its folder, or its file.
    name: String,
    /// What stands in it beside its rows.
    circumstances: Vec<(String, String)>,
    rows: Rows,
    /// What the distributions beside it are of, and they.
    distributions: Vec<(String, Vec<Distribution>)>,
}

/// Writes the page.
pub(crate) fn run(args: &Args) -> Result<bool, Error> {
    let reports: Vec<Report> = args
        .reports
        .iter()
        .map(|path| read(path))
        .collect::<Result<_, _>>()?;
    std::fs::write(&args.output, page(&reports)).map_err(Error::write(&args.output))?;
    println!("{}", args.output.display());
    Ok(true)
}

fn read(path: &Path) -> Result<Report, Error> {
    let file = match path.is_dir() {
        true => path.join("report.json"),
        false => path.to_owned(),
    };
    let wrong = |fault: String| Error::Report {
        path: file.clone(),
        fault,
    };
    let text = std::fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
    let node: Node = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let Some(Node::List(rows)) = node.field("rows") else {
        return Err(wrong("it has no list of rows".to_owned()));
    };
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty());
    let named = match path.is_dir() || file.file_name().is_some_and(|it| it == "report.json") {
        true => folder.and_then(Path::file_name),
        false => file.file_stem(),
    };
    let name = named.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(Report {
        name,
        circumstances: circumstances(&node),
        rows: Rows::of(rows),
        distributions: distributions(folder.unwrap_or(Path::new(".")))?,
    })
}

/// Everything in a report but its rows.
fn circumstances(node: &Node) -> Vec<(String, String)> {
    let mut told = Vec::new();
    let mut tell = |fields: &Node| {
        let Node::Fields(fields) = fields else { return };
        for (name, value) in fields {
            if !matches!(value, Node::Fields(_)) && name != "rows" {
                told.push((words(name), Cell::Plain(value.clone()).text(name)));
            }
        }
    };
    if let Some(host) = node.field("host") {
        tell(host);
    }
    tell(node);
    told
}

/// The `.hgrm` files of a folder, together by what stands behind the last `-` of their names: a rate.
fn distributions(folder: &Path) -> Result<Vec<(String, Vec<Distribution>)>, Error> {
    let wrong = |path: &Path, fault: String| Error::Report {
        path: path.to_owned(),
        fault,
    };
    let entries = std::fs::read_dir(folder).map_err(|it| wrong(folder, it.to_string()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|it| it == "hgrm"))
        .collect();
    files.sort();
    let mut together: Vec<(String, Vec<Distribution>)> = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(|it| wrong(&path, it.to_string()))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let (name, of) = stem.rsplit_once('-').unwrap_or((&stem, ""));
        let points = hgrm(&text).map_err(|line| wrong(&path, format!("not understood: {line}")))?;
        let distribution = Distribution {
            name: words(name),
            points,
        };
        match together.iter_mut().find(|(it, _)| it == of) {
            Some((_, others)) => others.push(distribution),
            None => together.push((of.to_owned(), vec![distribution])),
        }
    }
    // By size, where they are numbers.
    together.sort_by_key(|(of, _)| (of.parse().unwrap_or(0_u64), of.clone()));
    Ok(together)
}

/// Quantiles and ns of a distribution in µs; a line that is none.
fn hgrm(text: &str) -> Result<Vec<(f64, f64)>, String> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|it| !it.is_empty() && !it.starts_with(['#', 'V']));
    let point = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse::<f64>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(micros)), Some(Ok(quantile))) if (0.0..=1.0).contains(&quantile) => {
                Ok((quantile, micros * 1e3))
            }
            _ => Err(line.to_owned()),
        }
    };
    lines.map(point).collect()
}

fn page(reports: &[Report]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>Benches</title><style>{STYLE}</style></head><body><h1>Benches</h1>\
         <p class=\"soft\">A bar is the median over rounds, the line on it the least and the most. Absolute times hold on the host alone: \
         compare within one report.</p>"
    );
    for report in reports {
        section(&mut page, report);
    }
    page.push_str("</body></html>\n");
    page
}

fn section(page: &mut String, report: &Report) {
    // Writing to a String cannot fail, here and below.
    let _ = write!(page, "<h2>{}</h2><dl>", escape(&report.name));
    for (name, value) in &report.circumstances {
        let _ = write!(page, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    page.push_str("</dl><div class=\"pair\">");
    let mut figure = |caption: &str, picture: String| {
        if !picture.is_empty() {
            let caption = escape(caption);
            let _ = write!(
                page,
                "<figure><figcaption>{caption}</figcaption>{picture}</figure>"
            );
        }
    };
    for (of, distributions) in &report.distributions {
        let caption = match of.parse::<u64>() {
            Ok(rate) => format!("how late, at {rate} a second"),
            Err(_) => format!("how late: {}", words(of)),
        };
        figure(&caption, percentiles(&caption, distributions));
    }
    let rows = &report.rows;
    for column in rows.measures() {
        let of_row = |row: usize| match &rows.rows[row][column] {
            Some(Cell::Measure(measure)) => Some((rows.label(row), *measure)),
            _ => None,
        };
        let measured: Vec<_> = (0..rows.rows.len()).filter_map(of_row).collect();
        let caption = words(&rows.columns[column]);
        figure(&caption, bars(&caption, &measured));
    }
    page.push_str("</div><div class=\"scroll\"><table><tr>");
    for column in &rows.columns {
        let _ = write!(page, "<th>{}</th>", escape(&words(column)));
    }
    page.push_str("</tr>");
    for row in &rows.rows {
        page.push_str("<tr>");
        for (cell, column) in row.iter().zip(&rows.columns) {
            let text = cell.as_ref().map_or(String::new(), |it| it.text(column));
            let _ = write!(page, "<td>{}</td>", escape(&words_of(cell.as_ref(), text)));
        }
        page.push_str("</tr>");
    }
    page.push_str("</table></div>");
}

/// Names of ways as people write them; everything else as it is.
fn words_of(cell: Option<&Cell>, text: String) -> String {
    match cell {
        Some(Cell::Plain(Node::Text(_))) => words(&text),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_becomes_a_section_with_its_distributions_and_ranges() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("2026-12-01-latency");
        std::fs::create_dir(&at).unwrap();
        let report = r#"{"host": {"name": "vm", "cores": 2}, "rounds": 7, "rows": [
            {"way": "two_legs", "p50": 3391, "p50_by_floor": [1.0, 1.14, 1.3]},
            {"way": "floor", "p50": 2919, "p50_by_floor": [1.0, 1.0, 1.0]}]}"#;
        std::fs::write(at.join("report.json"), report).unwrap();
        let hgrm = "  Value  Percentile TotalCount 1/(1-Percentile)\n\n 2.5 0.5 1 2.0\n 9.0 1.0 2 inf\n#[Mean]\n";
        std::fs::write(at.join("two_legs-1000.hgrm"), hgrm).unwrap();
        let output = folder.path().join("page.html");
        let args = Args {
            reports: vec![at.clone()],
            output: output.clone(),
        };
        assert!(run(&args).unwrap());
        let page = std::fs::read_to_string(&output).unwrap();
        for part in [
            "<h2>2026-12-01-latency</h2>",
            "<dt>cores</dt><dd>2</dd>",
            "how late, at 1000 a second",
            "two legs: 1.14 (1.00 … 1.30)",
            "<td>3.39 µs</td>",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        std::fs::write(at.join("torn-1.hgrm"), "1.0 2.0\n").unwrap();
        let error = run(&args).unwrap_err().to_string();
        assert!(error.contains("torn-1.hgrm"), "{error}");
        std::fs::write(at.join("report.json"), "{}").unwrap();
        let error = run(&args).unwrap_err().to_string();
        assert!(error.contains("no list of rows"), "{error}");
    }
}
