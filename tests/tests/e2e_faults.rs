//! Are the promises kept on real hosts whose network, processes and neighbours fail? Some faults, once each;
//! `cargo run -p twinfeed-tests --bin faults` does all of them, often.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::process::{Command, Stdio};

use common::{alone, program};

/// The program's word for: there can be no hosts here.
const SKIPPED: i32 = 77;
/// Network, host, process, control plane, disk, neighbour.
const SOME: &str = "loss-leg,link-active,kill-active,one-way-link,disk-full,babble";

/// The program's exit code and what it said.
fn faults(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_faults"))
        .args(arguments)
        .arg("--program")
        .arg(program().path())
        .env(
            twinfeed_harness::process::WITH_PARENT,
            std::process::id().to_string(),
        )
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    (output.status.code(), said.concat())
}

#[test]
fn nothing_is_lost_on_real_hosts_whatever_fails() {
    let _alone = alone();
    let (code, said) = faults(&["--per-cell", "1", "--cells", SOME]);
    println!("{said}");
    if code == Some(SKIPPED) {
        return;
    }
    assert_eq!(code, Some(0), "{said}");
    let rows = said
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains(" | 1 | "));
    assert_eq!(rows.count(), SOME.split(',').count(), "{said}");
}

#[test]
fn a_cell_that_is_not_there_is_an_error() {
    let (code, said) = faults(&["--cells", "none"]);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("there is no cell none"), "{said}");
}
