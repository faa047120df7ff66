//! Where is the `twinfeed` program that the tests start, and is it up to date?

use std::path::Path;
use std::process::Command;

use twinfeed_harness::process::Program;

/// The program in this folder of a target directory, `target/<profile>`, brought up to date by cargo: whoever starts it
/// depends on it without cargo knowing.
///
/// # Errors
/// When cargo does not build it.
pub fn up_to_date(folder: &Path) -> Result<Program, String> {
    let target = folder
        .parent()
        .ok_or("the folder is not within a target directory")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "--package",
        "twinfeed",
        "--manifest-path",
    ]);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    command.arg("--target-dir").arg(target);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    match command.status() {
        Ok(status) if status.success() => Ok(Program::at(folder.join("twinfeed"))),
        Ok(status) => Err(format!("cargo does not build the program: {status}")),
        Err(error) => Err(format!("cargo cannot be started: {error}")),
    }
}
