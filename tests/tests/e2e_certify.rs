//! Does the certifier find ours right in every scenario, and another handler wrong exactly where it is?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{alone, program, wait_for};
use serde_json::Value;
use twinfeed_control::StopFlag;
use twinfeed_harness::certify::handler::Ours;
use twinfeed_harness::certify::player::Lines;
use twinfeed_harness::certify::report::Ink;
use twinfeed_harness::certify::score::Settings;
use twinfeed_harness::certify::{ALL, Claims, Plan, Under, certify};
use twinfeed_harness::demo::Narrator;
use twinfeed_harness::ports;

/// Hears nothing.
struct Nobody;

impl Narrator for Nobody {
    fn say(&mut self, _: &str) {}
    fn live(&mut self, _: &str) {}
}

#[test]
fn ours_passes_every_scenario() {
    let _alone = alone();
    let plan = Plan {
        under: Under::Ours(Ours(program())),
        lines: Lines {
            a: Vec::new(),
            b: Vec::new(),
            interface: Ipv4Addr::LOCALHOST,
            ttl: 1,
        },
        settings: Settings {
            seed: 1,
            rate: 2_000,
            // A busy host holds a packet up for longer than a network does.
            skew: Duration::from_millis(40),
            silence: Duration::from_secs(1),
        },
        prefix: "C".to_owned(),
        only: Vec::new(),
        once: true,
        claims: Claims::ALL,
        warm_up: None,
        limit: Duration::from_secs(10),
        keep: None,
    };
    let report = certify(&plan, &StopFlag::new(), &mut Nobody).unwrap();
    assert_eq!(report.failures(), 0, "{}", report.table(Ink::Plain));
    assert_eq!(report.scenarios.len(), ALL.len());
    for outcome in &report.scenarios {
        assert_eq!(
            outcome.said.messages,
            outcome.owed + delivered_of_broken(outcome),
            "{outcome:?}"
        );
    }
}

/// What was carried in broken packets alone may be delivered.
fn delivered_of_broken(outcome: &twinfeed_harness::certify::Outcome) -> u64 {
    outcome.lost - outcome.said.declared
}

/// The naive handler's program; `None` where there is no Python.
fn naive() -> Option<PathBuf> {
    let python = Command::new("python3").arg("--version").output();
    if !python.is_ok_and(|python| python.status.success()) {
        eprintln!("skipped: certifying a foreign handler (no python3)");
        return None;
    }
    Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/certify/naive.py"))
}

#[test]
fn a_foreign_handler_fails_exactly_where_it_is_wrong() {
    let _alone = alone();
    let Some(naive) = naive() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| {
        directory
            .path()
            .join(name)
            .into_os_string()
            .into_string()
            .unwrap()
    };
    let (json, junit, keep) = (path("report.json"), path("report.xml"), path("kept"));
    let only =
        "clean,gap-one-line,gap-both-lines,duplicate,reorder,rollover,foreign,truncated,late-start";
    let arguments = [
        "--only",
        only,
        "--without",
        "stale",
        "--limit-ms",
        "4000",
        "--json",
        &json,
        "--junit",
        &junit,
        "--keep",
        &keep,
        "--quiet",
    ];
    let mut command = Command::new(program().path());
    command.arg("certify").args(arguments).arg("--");
    command.arg("python3").arg(naive).args(["{a}", "{b}"]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains('\x1b'), "no colour where nobody sees it");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let scenarios = report["scenarios"].as_array().unwrap();
    let failed = scenarios.iter().filter(|it| {
        let failed = |level: &str| it[level]["verdict"] == "fail";
        failed("delivery") || failed("honesty")
    });
    let failed: BTreeSet<_> = failed.map(|it| it["scenario"].as_str().unwrap()).collect();
    // It believes every session that it hears of.
    assert_eq!(failed, BTreeSet::from(["foreign"]), "{text}");
    assert!(
        std::fs::read_to_string(&junit)
            .unwrap()
            .contains("failures=\"2\"")
    );
    let kept =
        |name: &str| std::fs::read_to_string(format!("{keep}/gap-both-lines/{name}")).unwrap();
    assert!(kept("packets.jsonl").lines().count() > 100);
    assert!(kept("truth.json").contains("\"lost\""));
    assert!(kept("output.txt").contains("gap,C"));
}

#[test]
fn a_handler_that_does_not_come_up_is_no_verdict() {
    let _alone = alone();
    let run = |command: &[&str]| {
        let mut twinfeed = Command::new(program().path());
        twinfeed
            .args(["certify", "--quiet", "--only", "clean", "--"])
            .args(command);
        let output = twinfeed.output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, told) = run(&["/nonexistent/handler"]);
    assert!(
        code == Some(1) && told.contains("cannot start /nonexistent/handler"),
        "{code:?} {told}"
    );
    let (code, told) = run(&["sh", "-c", "echo no licence >&2; exit 3"]);
    assert!(
        code == Some(78) && told.contains("no licence"),
        "{code:?} {told}"
    );
}

/// Ends when it is dropped.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_handler_that_runs_already_is_certified_over_multicast_through_a_file() {
    let _alone = alone();
    let Some(naive) = naive() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let [output, json] = ["output.csv", "report.json"].map(|name| directory.path().join(name));
    let group = |last: u8| {
        let port = ports::loopback().unwrap().port();
        format!("239.192.77.{last}:{port}")
    };
    let groups = [group(1), group(2)];
    let file = std::fs::File::create(&output).unwrap();
    let mut handler = Command::new("python3");
    handler
        .arg(naive)
        .args(&groups)
        .stdout(file)
        .stdin(Stdio::null());
    let _handler = Child(handler.spawn().unwrap());
    wait_for("the handler listens", || {
        let said = std::fs::read_to_string(&output).unwrap();
        if said.starts_with("ready") {
            Ok(())
        } else {
            Err(said)
        }
    });
    let only = "clean,gap-one-line,gap-at-the-tail,late-start";
    let mut command = Command::new(program().path());
    command.args([
        "certify",
        "--running",
        "--line-a",
        &groups[0],
        "--line-b",
        &groups[1],
    ]);
    command.args(["--only", only, "--without", "stale", "--quiet", "--output"]);
    command.arg(&output).arg("--json").arg(&json);
    let run = command.output().unwrap();
    let text = String::from_utf8_lossy(&run.stdout);
    assert_eq!(run.status.code(), Some(0), "{text}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let verdicts = report["scenarios"].as_array().unwrap().iter();
    let verdicts: Vec<_> = verdicts
        .map(|it| it["delivery"]["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(
        verdicts,
        ["pass", "pass", "pass", "not-applicable"],
        "{text}"
    );
}
