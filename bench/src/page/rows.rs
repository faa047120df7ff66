//! What do the rows of a bench's report say: under which labels, measured how often, and what beside?
//!
//! Benches differ in what they measure, and write it down alike: a row begins with what tells it from the others, and goes on with figures. A
//! *measure* is a figure with the range over rounds: `{median, least, most}`, or three numbers, the least, the median and the most.

use super::node::Node;
use crate::report::words::{count, time};

/// A figure over rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measure {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) most: f64,
}

/// One column's value in one row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Measure(Measure),
    Plain(Node),
}

/// A report's rows in columns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rows {
    pub(super) columns: Vec<String>,
    /// A cell for each column, if the row has one.
    pub(super) rows: Vec<Vec<Option<Cell>>>,
}

impl Rows {
    /// Of the list of rows; columns in the order in which they first come.
    pub(super) fn of(rows: &[Node]) -> Self {
        let mut columns: Vec<String> = Vec::new();
        let mut flat = Vec::new();
        for row in rows {
            let mut cells = Vec::new();
            flatten("", row, &mut cells);
            for (name, _) in &cells {
                if !columns.contains(name) {
                    columns.push(name.clone());
                }
            }
            flat.push(cells);
        }
        let rows = flat.into_iter().map(|cells| {
            let of = |column: &String| {
                let found = cells.iter().find(|(name, _)| name == column);
                found.map(|(_, cell)| cell.clone())
            };
            columns.iter().map(of).collect()
        });
        let rows = rows.collect();
        Self { columns, rows }
    }

    /// Columns whose every cell is a measure, if it has one.
    pub(super) fn measures(&self) -> impl Iterator<Item = usize> {
        (0..self.columns.len()).filter(|&column| {
            let mut cells = self.rows.iter().filter_map(|row| row[column].as_ref());
            cells.clone().count() > 0 && cells.all(|cell| matches!(cell, Cell::Measure(_)))
        })
    }

    /// What tells a row from the others: the words and whole numbers in front of the first figure that are not alike everywhere.
    pub(super) fn label(&self, row: usize) -> String {
        let is_figure = |name: &String| is_time(name) || name == "count";
        let figure = self.columns.iter().position(is_figure);
        let measure = self.measures().next();
        let all = [figure, measure, Some(self.columns.len())];
        let first = all.into_iter().flatten().min().unwrap_or(0);
        let words = (0..first).filter_map(|column| {
            let cell = self.rows[row][column].as_ref()?;
            let differs = self.rows.iter().any(|it| it[column].as_ref() != Some(cell));
            let of_text = matches!(cell, Cell::Plain(Node::Text(_)));
            let of_number = matches!(cell, Cell::Plain(Node::Whole(_) | Node::Truth(_)));
            let name = words(&self.columns[column]);
            match differs {
                true if of_text => Some(words(&cell.text(&self.columns[column]))),
                true if of_number => Some(format!("{name} {}", cell.text(&self.columns[column]))),
                _ => None,
            }
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

impl Cell {
    /// For a column of that name.
    pub(super) fn text(&self, column: &str) -> String {
        match self {
            Self::Measure(Measure {
                least,
                median,
                most,
            }) => format!(
                "{} ({} … {})",
                figure(*median),
                figure(*least),
                figure(*most)
            ),
            Self::Plain(node) => plain(node, column),
        }
    }
}

fn plain(node: &Node, column: &str) -> String {
    match node {
        Node::Nothing => "–".to_owned(),
        Node::Truth(true) => "yes".to_owned(),
        Node::Truth(false) => "no".to_owned(),
        Node::Whole(number) => match u64::try_from(*number) {
            Ok(ns) if is_time(column) => time(ns),
            Ok(number) => count(number),
            Err(_) => number.to_string(),
        },
        Node::Real(number) => figure(*number),
        Node::Text(text) => text.clone(),
        Node::List(list) => {
            let list = list.iter().map(|it| plain(it, column));
            list.collect::<Vec<_>>().join(", ")
        }
        Node::Fields(_) => String::new(),
    }
}

/// Percentiles and what names its unit are times in ns.
fn is_time(column: &str) -> bool {
    let last = column.rsplit(' ').next().unwrap_or(column);
    matches!(last, "p50" | "p90" | "p99" | "p999" | "max") || last.ends_with("ns")
}

/// Three figures at least, and no more places than they need.
pub(super) fn figure(number: f64) -> String {
    match number.abs() {
        it if !it.is_finite() => "∞".to_owned(),
        it if it >= 1_000.0 => count(it as u64),
        it if it >= 100.0 => format!("{number:.0}"),
        it if it >= 10.0 => format!("{number:.1}"),
        0.0 => "0".to_owned(),
        _ => format!("{number:.2}"),
    }
}

/// A name as people write it.
pub(super) fn words(name: &str) -> String {
    name.replace(['_', '-'], " ")
}

fn flatten(prefix: &str, node: &Node, cells: &mut Vec<(String, Cell)>) {
    if let Some(measure) = measure(node) {
        cells.push((prefix.to_owned(), Cell::Measure(measure)));
    } else if let Node::Fields(fields) = node {
        for (name, node) in fields {
            let name = match prefix {
                "" => name.clone(),
                prefix => format!("{prefix} {name}"),
            };
            flatten(&name, node, cells);
        }
    } else {
        cells.push((prefix.to_owned(), Cell::Plain(node.clone())));
    }
}

fn measure(node: &Node) -> Option<Measure> {
    let of = |name| node.field(name).and_then(Node::number);
    if let (Some(median), Some(least), Some(most)) = (of("median"), of("least"), of("most")) {
        return Some(Measure {
            least,
            median,
            most,
        });
    }
    let Node::List(list) = node else { return None };
    let [least, median, most] = &list[..] else {
        return None;
    };
    let (least, median, most) = (least.number()?, median.number()?, most.number()?);
    (least <= median && median <= most).then_some(Measure {
        least,
        median,
        most,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Rows {
        Rows::of(&serde_json::from_str::<Vec<Node>>(text).unwrap())
    }

    #[test]
    fn measures_are_known_by_their_shape_wherever_they_stand() {
        let rows = rows(
            r#"[{"way": "one_leg", "size": 64, "cost": {"median": 2, "least": 1, "most": 4}},
                {"way": "floor", "size": 64, "part": {"cost": {"median": 2, "least": 1, "most": 3}},
                 "by_floor": [1.0, 1.5, 2.0], "cores": [3, 1, 2]}]"#,
        );
        let columns = ["way", "size", "cost", "part cost", "by_floor", "cores"];
        assert_eq!(rows.columns, columns);
        assert_eq!(rows.measures().collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(rows.rows[0][3], None);
        let cell = rows.rows[1][4].as_ref().unwrap();
        assert_eq!(cell.text("by_floor"), "1.50 (1.00 … 2.00)");
        let cores = rows.rows[1][5].as_ref().unwrap();
        assert_eq!(cores.text("cores"), "3, 1, 2");
    }

    #[test]
    fn a_row_is_called_by_what_tells_it_from_the_others() {
        let rows = rows(
            r#"[{"policy": "a", "sources": 1, "together": 16, "cost": [1, 2, 3], "lost": 0},
                {"policy": "a", "sources": 64, "together": 16, "cost": [1, 2, 3], "lost": 7}]"#,
        );
        assert_eq!([rows.label(0), rows.label(1)], ["sources 1", "sources 64"]);
    }

    #[test]
    fn percentiles_are_times() {
        for (column, text) in [
            ("p50", "2.92 µs"),
            ("first p99", "2.92 µs"),
            ("count", "2,919"),
        ] {
            assert_eq!(Cell::Plain(Node::Whole(2_919)).text(column), text);
        }
    }
}
