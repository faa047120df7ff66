//! Which faults are there?
//!
//! One file of `list/` per machine. A fault is given by the text that it replaces, which must stand exactly once in its
//! file: a list that does not fit the sources any more is refused, never applied in part.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// One deliberate fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// Unique, in words: `duplicate-not-dropped`.
    pub name: String,
    /// The rule that it breaks, as `docs` name it: `RM-14`, `N6`.
    pub rule: String,
    /// What is wrong under it, in a sentence.
    pub breaks: String,
    /// What is changed; more than one place when one alone would change nothing.
    pub edit: Vec<Edit>,
}

/// One change of one file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Path from the root of the workspace.
    pub file: String,
    /// A text that stands exactly once in it.
    pub find: String,
    /// What of that text is replaced, if not all of it; stands exactly once in `find`. An expression, or statements.
    pub part: Option<String>,
    /// What stands there instead, when the mutant is chosen.
    pub replace: String,
    /// Beginnings of `const fn`s of that file that cannot be ones any more, for the choice is made at run time.
    #[serde(default)]
    pub unconst: Vec<String>,
}

/// Why the list cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadList {
    /// No such file, or folder.
    #[error("`{}`: {why}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// It is not a list.
    #[error("`{}`: {why}", .path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where and why.
        why: Box<toml::de::Error>,
    },
    /// Two faults of one name.
    #[error("mutant `{0}` is listed twice: give one of them another name")]
    Twice(String),
    /// A fault that changes nothing.
    #[error("mutant `{0}` has no edit: add one, or remove it")]
    Empty(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    mutant: Vec<Mutant>,
}

/// The folder of the list.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("list")
}

/// The folder of those that no seed has caught yet.
#[must_use]
pub fn uncaught() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("uncaught")
}

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}

/// Every mutant of the folder, file by file.
///
/// # Errors
/// [`BadList`] names the file or the mutant that is wrong.
pub fn read(folder: &Path) -> Result<Vec<Mutant>, BadList> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        |why| BadList::Unreadable { path, why }
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        if path.extension().is_some_and(|it| it == "toml") {
            files.push(path);
        }
    }
    files.sort();
    let mut mutants = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
        let page: Page = toml::from_str(&text).map_err(|why| BadList::Malformed {
            path,
            why: Box::new(why),
        })?;
        mutants.extend(page.mutant);
    }
    let mut names = BTreeSet::new();
    for mutant in &mutants {
        if !names.insert(mutant.name.as_str()) {
            return Err(BadList::Twice(mutant.name.clone()));
        }
        if mutant.edit.is_empty() {
            return Err(BadList::Empty(mutant.name.clone()));
        }
    }
    Ok(mutants)
}
