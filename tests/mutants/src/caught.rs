//! Which seed caught which mutant, when somebody last searched?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A seed whose world breaks a promise under a mutant.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Caught {
    /// Kind of world.
    pub kind: String,
    /// Its seed.
    pub seed: u64,
    /// What the oracle said first.
    pub violation: String,
}

/// By name of the mutant.
pub type Record = BTreeMap<String, Caught>;

/// Where it is written down.
#[must_use]
pub fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("caught.toml")
}

/// What was written down; nothing when there is no such file.
///
/// # Errors
/// A sentence that names the file.
pub fn read(file: &Path) -> Result<Record, String> {
    if !file.exists() {
        return Ok(Record::new());
    }
    let text = std::fs::read_to_string(file).map_err(|why| wrong(file, &why))?;
    toml::from_str(&text).map_err(|why| wrong(file, &why))
}

/// Writes it down.
///
/// # Errors
/// A sentence that names the file.
pub fn write(file: &Path, record: &Record) -> Result<(), String> {
    let text = toml::to_string(record).map_err(|why| wrong(file, &why))?;
    std::fs::write(file, format!("{HEAD}{text}")).map_err(|why| wrong(file, &why))
}

fn wrong(file: &Path, why: &dyn core::fmt::Display) -> String {
    format!("`{}`: {why}", file.display())
}

const HEAD: &str = "# Written by `mutants --search`. Which seed catches which mutant, and what the oracle says first.\n\n";
