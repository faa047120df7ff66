//! Which `twinfeed` program is measured?
//!
//! The product's own, as users run it: the one in this program's folder, and the adapters' beside it. Under `cargo run` cargo brings
//! it up to date first, because `cargo run -p twinfeed-bench` builds nothing but the bench.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use twinfeed_harness::process::Program;

use crate::error::Error;

/// The program at `given`, or the one beside this program.
pub(crate) fn find(given: Option<&Path>) -> Result<Program, Error> {
    let flag = |fault| Error::Flag {
        flag: "--program",
        fault,
    };
    if let Some(path) = given {
        let found = path.canonicalize();
        let missing = |error| flag(format!("{}: {error}", path.display()));
        return found.map(|path| Program::at(path).apart()).map_err(missing);
    }
    let this = std::env::current_exe().map_err(|error| flag(error.to_string()))?;
    let folder = this.parent().unwrap_or(Path::new("."));
    if let (Some(cargo), Some(target)) = (std::env::var_os("CARGO"), folder.parent()) {
        build(&PathBuf::from(cargo), target)?;
    }
    let all = ["twinfeed", "active-feed-adapter", "backup-feed-adapter"];
    let absent = all
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| !path.exists());
    match absent {
        None => Ok(Program::at(folder.join("twinfeed")).apart()),
        Some(path) => Err(flag(format!(
            "there is no {}; build it with `cargo build --release -p twinfeed -p twinfeed-feed-adapter`, or name a \
             twinfeed program",
            path.display()
        ))),
    }
}

fn build(cargo: &Path, target: &Path) -> Result<(), Error> {
    let mut command = Command::new(cargo);
    // The adapters are measured as they are deployed: as binaries of their own.
    command.args(["build", "--package", "twinfeed"]);
    command.args(["--package", "twinfeed-feed-adapter", "--manifest-path"]);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    command.arg("--target-dir").arg(target).stdin(Stdio::null());
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let fault = match command.status() {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => format!("cargo could not build the twinfeed program ({status})"),
        Err(error) => format!("cargo could not be run: {error}"),
    };
    Err(Error::Flag {
        flag: "--program",
        fault,
    })
}
