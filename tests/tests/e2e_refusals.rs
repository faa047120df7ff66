//! Is whoever may not, or cannot, told so with the right exit code?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::{alone, program, small_run, start};
use twinfeed_harness::files::FEED;
use twinfeed_harness::ports;

fn run(arguments: &[&str], directory: &Path) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = Command::new(program().path())
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_subscriber_is_refused_with_the_reason() {
    let _alone = alone();
    let rig = start(&small_run());
    let directory = rig.files().directory().to_owned();
    fs::write(directory.join("wrong"), "nobody-has-this-token\n").unwrap();
    let url = rig.files().url();
    let tail = |feed: &str, token: &str| {
        let arguments = [
            "tail",
            "--no-wait",
            "--stream-admin",
            &url,
            "--feed",
            feed,
            "--token-file",
            token,
        ];
        run(&arguments, &directory)
    };
    for (feed, token, code, words) in [
        (FEED, "wrong", 77, "token"),
        ("no-such-feed", "tokens/subscriber", 78, "no-such-feed"),
        (FEED, "tokens/adapter", 77, "adapter"),
        (FEED, "no-such-file", 78, "no-such-file"),
    ] {
        let (exit, stderr) = tail(feed, token);
        assert_eq!(exit, Some(code), "{feed} {token}: {stderr}");
        assert!(stderr.contains(words), "{feed} {token}: {stderr}");
    }
    rig.leave().unwrap();
}

#[test]
fn without_stream_admin_no_wait_ends_with_69() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("token"), "some-token\n").unwrap();
    let nobody = format!("http://{}", ports::loopback().unwrap());
    let subscriber = [
        "tail",
        "--no-wait",
        "--stream-admin",
        &nobody,
        "--feed",
        "x",
        "--token-file",
        "token",
    ];
    let (exit, stderr) = run(&subscriber, directory.path());
    assert_eq!(exit, Some(69), "{stderr}");
    assert!(stderr.contains(&nobody), "{stderr}");
    let (exit, _) = run(
        &["config", "init", "feed", "--output", "feed.toml"],
        directory.path(),
    );
    assert_eq!(exit, Some(0));
    let adapter = [
        "active-feed-adapter",
        "--no-wait",
        "--config",
        "feed.toml",
        "--stream-admin",
        &nobody,
        "--token-file",
        "token",
        "--link",
        "127.0.0.1:0",
        "--operations",
        "127.0.0.1:0",
    ];
    let (exit, stderr) = run(&adapter, directory.path());
    assert_eq!(exit, Some(69), "{stderr}");
}

#[test]
fn a_wrong_configuration_ends_with_78_and_names_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/feed.toml"));
    let text = text.unwrap().replace("publisher_id", "publisher_idd");
    fs::write(directory.path().join("feed.toml"), text).unwrap();
    for arguments in [
        vec![
            "active-feed-adapter",
            "--check-config",
            "--config",
            "feed.toml",
        ],
        vec!["config", "check", "feed.toml"],
        vec!["exchange", "--set", "sede=1"],
        vec!["stream-admin", "--config", "feed.toml", "--check-config"],
    ] {
        let (exit, stderr) = run(&arguments, directory.path());
        assert_eq!(exit, Some(78), "{arguments:?}: {stderr}");
    }
    let (_, stderr) = run(&["config", "check", "feed.toml"], directory.path());
    assert!(stderr.contains("publisher_idd"), "{stderr}");
    let (exit, _) = run(&["no-such-command"], directory.path());
    assert_eq!(exit, Some(2));
}
