//! What does a reader see of the mutants?
//!
//! The table in `docs/mutants.md`, made of the list and of what was caught; a test compares the two.

use std::path::PathBuf;

use crate::caught::Record;
use crate::list::{Mutant, root};

/// The page.
#[must_use]
pub fn file() -> PathBuf {
    root().join("docs/mutants.md")
}

/// The table, a line per mutant.
#[must_use]
pub fn table(mutants: &[Mutant], record: &Record) -> String {
    let mut table = String::from(HEAD);
    for mutant in mutants {
        let caught = record.get(&mutant.name).map_or_else(
            || "**not caught** | |".to_owned(),
            |it| format!("{} {} | {} |", it.kind, it.seed, cell(&it.violation)),
        );
        let files: Vec<&str> = mutant.edit.iter().map(|it| short(&it.file)).collect();
        table += &format!(
            "| `{}` | {} | {} | `{}` | {caught}\n",
            mutant.name,
            mutant.rule,
            cell(&mutant.breaks),
            files.join("`, `"),
        );
    }
    table
}

/// The page with this table in place of its own.
///
/// # Errors
/// The page has no place for it.
pub fn with_table(page: &str, table: &str) -> Result<String, String> {
    let around = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, behind) = rest.split_once(END)?;
        Some((before, behind))
    });
    let Some((before, behind)) = around else {
        return Err(format!(
            "`{}` has no place for the table: it stands between `{BEGIN}` and `{END}`",
            file().display()
        ));
    };
    Ok(format!("{before}{BEGIN}\n{table}{END}{behind}"))
}

fn short(file: &str) -> &str {
    file.strip_prefix("protocol/src/").unwrap_or(file)
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

const BEGIN: &str = "<!-- the table, written by `mutants --search` -->";
const END: &str = "<!-- end of the table -->";
const HEAD: &str = "| mutant | rule | what is wrong under it | where | caught by | what the oracle says first |\n\
                    |---|---|---|---|---|---|\n";
