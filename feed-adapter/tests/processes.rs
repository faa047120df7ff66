//! Do the two programs end with the exit code that says why?
#![allow(clippy::unwrap_used, reason = "a test's helpers panic as its tests do")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use twinfeed_feed_adapter::state::{Held, StateFile};

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

/// Reads a request to its end: who closes before that resets the connection, and the answer is lost.
fn take_request(stream: &mut TcpStream) {
    use std::io::{BufRead as _, BufReader};
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let _ = reader.read_exact(&mut vec![0; length]);
}

/// A stream-admin that gives these refusals in turn, the last one again and again; its port.
fn refusing(refusals: &'static [(u16, &str)]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let last = refusals.last().into_iter().cycle();
        for ((status, code), stream) in refusals.iter().chain(last).zip(listener.incoming()) {
            let mut stream = stream.unwrap();
            take_request(&mut stream);
            let body = format!(
                r#"{{"code":"{code}","message":"digest 1, peer 2","remedy":"mend it","retry_in_ms":60000}}"#
            );
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
        }
    });
    port
}

/// Leaves a grant of an earlier life behind.
fn remember(state: &Path) {
    let json = r#"{"feed": "f", "preferred_role": "active", "assignment": {
        "adapter": "f.active", "incarnation": "7", "generation": 1, "role": "active",
        "lease_ms": 1000, "streams": [{"sid": 1, "stream_id": 17}], "destinations": [],
        "constraints": {"sources": [], "delivery": "exactly-once", "heartbeat_us": 10000,
            "missed_heartbeats": 3, "sync_threshold": 20000, "lag_messages": null,
            "lag_us": null, "reorder_hold_us": null, "reorder_hold_bytes": 1,
            "max_datagram": 1472},
        "revision": 1}}"#;
    let held: Held = serde_json::from_str(json).unwrap();
    let file = StateFile::in_directory(state).unwrap();
    file.save(&held).unwrap();
}

#[test]
fn who_converts_otherwise_than_its_living_peer_ends_with_78_whatever_it_remembers() {
    for remembers in [false, true] {
        // Judged at once, or as soon as a restarted stream-admin has heard the peer; an absence in
        // between changes nothing.
        for refusals in [
            &[(409, "config-mismatch")][..],
            &[
                (503, "undecided"),
                (503, "unavailable"),
                (409, "config-mismatch"),
            ],
        ] {
            let directory = tempfile::tempdir().unwrap();
            let config = feed(directory.path(), refusing(refusals), "");
            let state = directory.path().join("state");
            let flags = ["--state-dir", state.to_str().unwrap()];
            if remembers {
                remember(&state);
            }
            let (code, _, stderr) = ended(ACTIVE, &config, &flags);
            assert_eq!(code, 78, "{stderr}");
            assert!(stderr.contains("digest 1, peer 2; mend it"), "{stderr}");
            assert!(!stderr.contains("granted"), "it never sent: {stderr}");
            assert!(!stderr.contains("remembered grant"), "{stderr}");
        }
    }
}

#[test]
fn no_wait_ends_with_75_while_nothing_is_decided() {
    let directory = tempfile::tempdir().unwrap();
    let config = feed(directory.path(), refusing(&[(503, "undecided")]), "");
    let (code, _, stderr) = ended(ACTIVE, &config, &["--no-wait"]);
    assert_eq!(code, 75, "{stderr}");
    assert!(stderr.contains("digest 1, peer 2; mend it"), "{stderr}");
}

#[test]
fn who_finds_stream_admin_absent_resumes_unverified_from_what_it_remembers() {
    use std::io::{BufRead as _, BufReader};
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    remember(&state);
    let flags = ["--state-dir", state.to_str().unwrap()];
    let mut child = start(ACTIVE, &feed(directory.path(), nobody(), ""), &flags);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let resumed = "resuming from the remembered grant, unverified";
    assert!(lines.any(|line| line.unwrap().contains(resumed)));
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
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
