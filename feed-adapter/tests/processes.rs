//! Do the two programs end with the exit code that says why?
#![allow(clippy::unwrap_used, reason = "a test's helpers panic as its tests do")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const ACTIVE: &str = env!("CARGO_BIN_EXE_active-feed-adapter");
const BACKUP: &str = env!("CARGO_BIN_EXE_backup-feed-adapter");

/// A feed's file whose stream-admin is at `port`, with `extra` behind.
fn feed(directory: &Path, port: u16, extra: &str) -> PathBuf {
    let text = format!(
        "feed = \"f\"\nformat = \"itch50\"\ntrading_day = \"2019-12-30\"\npublisher_id = 2\n\
         max_open_orders = 10\n\
         [[source]]\nsid = 1\ntype = \"moldudp64\"\nline.A = {{ address = \"127.0.0.1:0\" }}\n\
         [stream_admin]\nurl = \"http://127.0.0.1:{port}\"\n{extra}"
    );
    let path = directory.join("feed.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn start(program: &str, config: &Path, flags: &[&str]) -> Child {
    Command::new(program)
        .arg("--config")
        .arg(config)
        .args(flags)
        .env_remove("TWINFEED_CONFIG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn ended(program: &str, config: &Path, flags: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = start(program, config, flags).wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A port on which nobody listens.
fn nobody() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
fn a_check_prints_one_digest_for_both_programs_or_ends_with_78() {
    let directory = tempfile::tempdir().unwrap();
    let good = feed(directory.path(), nobody(), "");
    let (code, active, _) = ended(ACTIVE, &good, &["--check-config"]);
    assert_eq!(code, 0);
    assert!(active.contains("ok, digest "), "{active}");
    assert_eq!(ended(BACKUP, &good, &["--check-config"]).1, active);
    let bad = feed(directory.path(), nobody(), "[host]\nidel = \"spin\"\n");
    let (code, _, stderr) = ended(ACTIVE, &bad, &["--check-config"]);
    assert_eq!(code, 78);
    assert!(
        stderr.contains("feed.toml:13: `idel`: unknown field"),
        "{stderr}"
    );
    let absent = directory.path().join("absent.toml");
    assert_eq!(ended(ACTIVE, &absent, &[]).0, 78);
}

#[test]
fn wrong_usage_ends_with_2() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(
        ended(ACTIVE, &feed(directory.path(), 1, ""), &["--wait"]).0,
        2
    );
}

#[test]
fn without_stream_admin_no_wait_ends_with_69() {
    let directory = tempfile::tempdir().unwrap();
    let config = feed(directory.path(), nobody(), "");
    let (code, _, stderr) = ended(BACKUP, &config, &["--no-wait"]);
    assert_eq!(code, 69, "{stderr}");
    assert!(stderr.contains("cannot be reached"), "{stderr}");
}

#[test]
fn a_link_port_in_use_ends_with_75_and_names_the_port() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = feed(directory.path(), nobody(), "");
    let (code, _, stderr) = ended(ACTIVE, &config, &["--link", &address]);
    assert_eq!(code, 75, "{stderr}");
    assert!(
        stderr.contains(&address) && stderr.contains("in use"),
        "{stderr}"
    );
}

#[test]
fn a_term_while_waiting_for_stream_admin_is_a_good_end() {
    use std::io::{BufRead as _, BufReader};
    let directory = tempfile::tempdir().unwrap();
    let mut child = start(ACTIVE, &feed(directory.path(), nobody(), ""), &[]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("nothing is remembered: waiting")));
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
