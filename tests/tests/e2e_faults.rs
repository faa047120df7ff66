//! Are the promises kept on real hosts whose network, processes and neighbours fail? Some faults, once each;
//! `cargo run -p twinfeed-tests --bin faults` does all of them, often.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::process::{Command, Stdio};

use common::{alone, program, wait_for};
use twinfeed_harness::process::WITH_PARENT;

/// The program's word for: there can be no hosts here.
const SKIPPED: i32 = 77;
/// Network, host, process, control plane, disk, neighbour.
const SOME: &str = "loss-leg,link-active,kill-active,one-way-link,disk-full,babble";
/// What every process of a run inherits, for the test that counts them.
const MARK: &str = "TWINFEED_FAULTS_MARK";

/// The program with these arguments.
fn faults(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faults"));
    command
        .args(arguments)
        .arg("--program")
        .arg(program().path())
        .env(WITH_PARENT, std::process::id().to_string())
        .stdin(Stdio::null());
    command
}

/// Its exit code and what it said.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = faults(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    (output.status.code(), said.concat())
}

/// Processes that carry the mark.
fn marked(mark: &str) -> usize {
    let wanted = format!("{MARK}={mark}");
    let carries = |entry: std::io::Result<std::fs::DirEntry>| {
        // Gone meanwhile, or somebody else's.
        let environment = std::fs::read(entry.ok()?.path().join("environ")).ok()?;
        let mut variables = environment.split(|byte| *byte == 0);
        variables.find(|it| *it == wanted.as_bytes()).map(|_| ())
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(carries)
        .count()
}

#[test]
fn nothing_is_lost_on_real_hosts_whatever_fails() {
    let _alone = alone();
    let (code, said) = run(&["--per-cell", "1", "--cells", SOME]);
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
fn a_run_that_is_killed_leaves_no_process_and_no_host() {
    /// Holders of hosts and the product's processes.
    const MOST: usize = 15;
    let _alone = alone();
    let mark = std::process::id().to_string();
    let mut child = faults(&["--cells", "stop-active"])
        .env(MARK, &mark)
        .spawn()
        .unwrap();
    let mut ended = None;
    wait_for("everything runs, or nothing can", || {
        ended = child.try_wait().unwrap();
        match marked(&mark) {
            count if count >= MOST || ended.is_some() => Ok(()),
            count => Err(format!("{count} processes")),
        }
    });
    if let Some(status) = ended {
        assert_eq!(status.code(), Some(SKIPPED), "it ended by itself");
        return;
    }
    // SIGKILL, of which nobody can be told.
    child.kill().unwrap();
    child.wait().unwrap();
    // A namespace without a name is no more when the last process of it is not.
    wait_for("all of it is gone", || match marked(&mark) {
        0 => Ok(()),
        count => Err(format!("{count} processes")),
    });
}

#[test]
fn a_cell_that_is_not_there_is_an_error() {
    let (code, said) = run(&["--cells", "none"]);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("there is no cell none"), "{said}");
}
