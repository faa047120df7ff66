//! Where is a copy of the machines built that can be wrong on demand?
//!
//! Below the target folder stands a small workspace: this crate and the crates that it is built from, with every fault as
//! a choice, and a module `mutant` in each changed crate that reads the choice from the environment once. Only what has
//! changed is written, so that a second build takes seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::inject::{Misfit, inject};
use crate::list::Mutant;

/// The variable that chooses a mutant, by number.
pub const CHOSEN: &str = "TWINFEED_MUTANT";
/// This crate's folder: what is built is its program.
const OWN: &str = "tests/mutants";
/// Its name, and its program's.
const PACKAGE: &str = "twinfeed-mutants";
const PROGRAM: &str = "mutants";

/// Why there is no program.
#[derive(Debug, thiserror::Error)]
pub enum Unbuilt {
    /// An edit does not fit.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// Something cannot be read or written.
    #[error("`{}`: {why}", .path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// A manifest is not what it should be.
    #[error("`{}`: {why}", .path.display())]
    Manifest {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The compiler refuses the copy.
    #[error(
        "the copy in `{}` does not compile: what the compiler says above is about the `replace` of some mutant",
        .0.display()
    )]
    Refused(PathBuf),
}

/// A copy of the workspace's part that matters.
#[derive(Debug)]
pub struct Workshop {
    root: PathBuf,
    place: PathBuf,
}

impl Workshop {
    /// The workshop of the workspace at `root`, below its target folder.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR");
        let target = target.map_or_else(|| root.join("target"), |it| root.join(it));
        Self {
            root: root.to_owned(),
            place: target.join("mutants"),
        }
    }

    /// Copies the crates, with every mutant as a choice.
    ///
    /// # Errors
    /// [`Unbuilt`]; an edit that does not fit is named.
    pub fn furnish(&self, mutants: &[Mutant]) -> Result<(), Unbuilt> {
        let manifest = self.read("Cargo.toml")?;
        let paths = self.paths(&manifest)?;
        let members = self.members(&paths)?;
        let copied = self.reduced(&manifest, &members)?;
        self.write("Cargo.toml", &copied)?;
        self.write("Cargo.lock", &self.read("Cargo.lock")?)?;
        let files: BTreeSet<&str> = crate::inject::files(mutants).into_iter().collect();
        let mut seen = BTreeSet::new();
        for member in &members {
            let inside = format!("{member}/");
            let changed = files.iter().any(|file| file.starts_with(&inside));
            let lib = format!("{member}/src/lib.rs");
            self.copy(member, mutants, changed.then_some(&lib), &mut seen)?;
            if changed {
                self.write(&format!("{member}/src/mutant.rs"), &module())?;
            }
        }
        match files.iter().find(|file| !seen.contains(**file)) {
            None => Ok(()),
            Some(file) => Err(Unbuilt::Manifest {
                path: self.root.join(file),
                why: "a mutant changes it, but no world is built from it".into(),
            }),
        }
    }

    /// Builds the copy; the answer is its program.
    ///
    /// # Errors
    /// [`Unbuilt`].
    pub fn build(&self) -> Result<PathBuf, Unbuilt> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let target = self.place.join("target");
        let built = Command::new(cargo)
            .current_dir(&self.place)
            .args(["build", "--release", "--package", PACKAGE])
            .env("CARGO_TARGET_DIR", &target)
            // Nobody reads these warnings, and a second saved by linking is worth more than one of running.
            .env("RUSTFLAGS", "--cap-lints=allow")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .status()
            .map_err(|why| self.io("Cargo.toml", why))?;
        if built.success() {
            Ok(target.join("release").join(PROGRAM))
        } else {
            Err(Unbuilt::Refused(self.place.clone()))
        }
    }

    /// Folders of this workspace's crates, by name.
    fn paths(&self, manifest: &str) -> Result<BTreeMap<String, String>, Unbuilt> {
        let table = self.parse("Cargo.toml", manifest)?;
        let dependencies = table.get("workspace").and_then(|it| it.get("dependencies"));
        let dependencies = dependencies.and_then(toml::Value::as_table);
        let with_path = dependencies.into_iter().flatten().filter_map(|(name, it)| {
            let path = it.get("path")?.as_str()?;
            Some((name.clone(), path.to_owned()))
        });
        Ok(with_path.collect())
    }

    /// The folders of every crate that this one is built from, its own among them.
    fn members(&self, paths: &BTreeMap<String, String>) -> Result<Vec<String>, Unbuilt> {
        let mut members = vec![OWN.to_owned()];
        let mut at = 0;
        while let Some(member) = members.get(at) {
            let manifest = format!("{member}/Cargo.toml");
            let table = self.parse(&manifest, &self.read(&manifest)?)?;
            let used = table.get("dependencies").and_then(toml::Value::as_table);
            for name in used.into_iter().flatten().map(|(name, _)| name) {
                if let Some(path) = paths.get(name).filter(|path| !members.contains(path)) {
                    members.push(path.clone());
                }
            }
            at += 1;
        }
        Ok(members)
    }

    /// The workspace's manifest with these members only.
    fn reduced(&self, manifest: &str, members: &[String]) -> Result<String, Unbuilt> {
        let mut table = self.parse("Cargo.toml", manifest)?;
        let members = members.iter().cloned().map(toml::Value::String).collect();
        if let Some(workspace) = table
            .get_mut("workspace")
            .and_then(toml::Value::as_table_mut)
        {
            workspace.insert("members".into(), toml::Value::Array(members));
        }
        Ok(table.to_string())
    }

    /// Copies a folder. `lib`: where the module that knows the choice is declared.
    fn copy(
        &self,
        folder: &str,
        mutants: &[Mutant],
        lib: Option<&String>,
        seen: &mut BTreeSet<String>,
    ) -> Result<(), Unbuilt> {
        let path = self.root.join(folder);
        let entries = std::fs::read_dir(&path).map_err(|why| self.io(folder, why))?;
        for entry in entries {
            let entry = entry.map_err(|why| self.io(folder, why))?;
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(|why| self.io(&name, why))?;
            if kind.is_dir() {
                self.copy(&name, mutants, lib, seen)?;
            } else if name.ends_with("/Cargo.toml") {
                let mut table = self.parse(&name, &self.read(&name)?)?;
                // Tests of the copy are nobody's business.
                table.remove("dev-dependencies");
                self.write(&name, &table.to_string())?;
            } else if is_text(&name) {
                let mut text = inject(&name, &self.read(&name)?, mutants)?;
                if lib == Some(&name) {
                    text.push_str(DECLARATION);
                }
                self.write(&name, &text)?;
                seen.insert(name);
            }
        }
        Ok(())
    }

    fn parse(&self, file: &str, text: &str) -> Result<toml::Table, Unbuilt> {
        toml::from_str(text).map_err(|why| Unbuilt::Manifest {
            path: self.root.join(file),
            why: why.to_string(),
        })
    }

    fn read(&self, file: &str) -> Result<String, Unbuilt> {
        std::fs::read_to_string(self.root.join(file)).map_err(|why| self.io(file, why))
    }

    /// Writes a file of the copy, unless it says that already.
    fn write(&self, file: &str, text: &str) -> Result<(), Unbuilt> {
        let path = self.place.join(file);
        if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(folder).map_err(|why| self.io(file, why))?;
        std::fs::write(&path, text).map_err(|why| self.io(file, why))
    }

    fn io(&self, file: &str, why: std::io::Error) -> Unbuilt {
        Unbuilt::Io {
            path: self.root.join(file),
            why,
        }
    }
}

/// What a crate may be compiled from.
fn is_text(name: &str) -> bool {
    let known = [".rs", ".toml", ".txt", ".md", ".json"];
    known.iter().any(|end| name.ends_with(end))
}

/// The module that knows which mutant is chosen.
fn module() -> String {
    format!(
        "//! Which mutant is chosen?\n\
         static CHOSEN: std::sync::LazyLock<usize> = std::sync::LazyLock::new(|| {{\n\
         \x20   std::env::var(\"{CHOSEN}\").ok().and_then(|it| it.parse().ok()).unwrap_or(0)\n\
         }});\n\
         #[inline]\n\
         pub fn on(number: usize) -> bool {{ *CHOSEN == number }}\n"
    )
}

const DECLARATION: &str = "\npub mod mutant;\n";
