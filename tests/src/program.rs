//! Where is the `twinfeed` program that the tests start, and is it up to date?

use std::path::{Path, PathBuf};
use std::process::Command;

use twinfeed_harness::process::Program;

/// An example of the library for applications, brought up to date likewise.
///
/// # Errors
/// When cargo does not build it.
pub fn example(folder: &Path, name: &str) -> Result<PathBuf, String> {
    build(
        folder,
        &["--package", "twinfeed-subscriber", "--example", name],
    )?;
    Ok(folder.join("examples").join(name))
}

/// The program in this folder of a target directory, `target/<profile>`, brought up to date by cargo: whoever starts it
/// depends on it without cargo knowing.
///
/// # Errors
/// When cargo does not build it.
pub fn up_to_date(folder: &Path) -> Result<Program, String> {
    build(folder, &["--package", "twinfeed"])?;
    Ok(Program::at(folder.join("twinfeed")))
}

fn build(folder: &Path, what: &[&str]) -> Result<(), String> {
    let target = folder
        .parent()
        .ok_or("the folder is not within a target directory")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet"]).args(what);
    command.arg("--manifest-path");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    command.arg("--target-dir").arg(target);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("cargo does not build {what:?}: {status}")),
        Err(error) => Err(format!("cargo cannot be started: {error}")),
    }
}
