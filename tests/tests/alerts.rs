//! Do the alert rules that are shipped name metrics that real processes show, say what they are meant to say, and have somebody told what to do?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use common::{alone, small_run, start, until_delivered};
use twinfeed_harness::files::FEED;
use twinfeed_subscriber::{Builder, Delivered, Event, Handler};

fn folder() -> PathBuf {
    twinfeed_tests::matrix::top().join("deploy/prometheus")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(folder().join(path)).unwrap()
}

/// The rules' names and expressions, in their order.
fn rules() -> Vec<(String, String)> {
    let text = text("alerts.yml");
    let mut rules: Vec<(String, String)> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            let name = name.split(' ').next().unwrap();
            rules.push((name.to_owned(), String::new()));
        } else if let Some(expression) = line.strip_prefix("expr: ") {
            rules.last_mut().unwrap().1 = expression.to_owned();
        }
    }
    rules
}

/// A metric that is asked for, and what its labels must be.
#[derive(Debug)]
struct Selector {
    metric: String,
    labels: BTreeMap<String, (String, String)>,
}

/// What is asked for in an expression; only what is ours.
fn selectors(expression: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(at) = rest.find("twinfeed_") {
        // A job's name has a dash.
        let behind = &rest[at..];
        let length = behind.find(|it: char| !it.is_ascii_alphanumeric() && it != '_');
        let (metric, behind) = behind.split_at(length.unwrap_or(behind.len()));
        let labels = behind
            .strip_prefix('{')
            .map_or("", |it| it.split('}').next().unwrap());
        let labels = labels.split(", ").filter(|it| !it.is_empty()).map(|label| {
            let length = label.find(['=', '!']).unwrap();
            let (name, value) = label.split_at(length);
            let (operator, value) = value.split_at(value.find('"').unwrap());
            (
                name.to_owned(),
                (operator.to_owned(), value.trim_matches('"').to_owned()),
            )
        });
        found.push(Selector {
            metric: metric.to_owned(),
            labels: labels.collect(),
        });
        rest = behind;
    }
    found
}

fn ask(address: &str, token: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: it\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

struct Deaf;

impl Handler for Deaf {
    fn record(&mut self, _: &Delivered<'_>) {}
    fn event(&mut self, _: &Event) {}
}

/// What each job's processes show while a feed runs.
fn shown() -> BTreeMap<&'static str, String> {
    let mut rig = start(&small_run());
    let files = rig.files();
    let builder = Builder::new(files.url(), FEED.parse().unwrap())
        .token_file(files.path("tokens/subscriber"))
        .application("watched");
    let (mut poller, control) = builder.open().unwrap();
    let control = control.spawn().unwrap();
    rig.open().unwrap();
    until_delivered(&mut rig, 500);
    let monitor = control.monitor();
    common::wait_for("the application hears both legs", || {
        poller.poll(256, &mut Deaf);
        let text = monitor.metrics_text();
        match text.matches("state=\"live\"").count() {
            2 => Ok(()),
            heard => Err(format!("{heard} legs")),
        }
    });
    let files = rig.files();
    let token = std::fs::read_to_string(files.path("tokens/operator")).unwrap();
    let admin = files.url().to_string();
    let admin = admin.trim_start_matches("http://").trim_end_matches('/');
    let adapters = files.adapters.map(|at| ask(&at.operations.to_string(), ""));
    let shown = BTreeMap::from([
        ("twinfeed-stream-admin", ask(admin, token.trim())),
        ("twinfeed-adapter", adapters.concat()),
        ("twinfeed-subscriber", monitor.metrics_text()),
    ]);
    drop(poller);
    control.stop().unwrap();
    rig.leave().unwrap();
    shown
}

#[test]
fn every_alert_asks_for_what_real_processes_show() {
    let _alone = alone();
    let (rules, shown) = (rules(), shown());
    assert!(rules.len() >= 15, "{rules:?}");
    let mut asked = 0;
    for (name, expression) in &rules {
        for selector in selectors(expression) {
            asked += 1;
            let (operator, job) = &selector.labels["job"];
            assert_eq!(operator, "=", "{name}");
            let series: Vec<_> = shown[job.as_str()]
                .lines()
                .filter(|line| {
                    line.starts_with(&format!("{}{{", selector.metric))
                        || line.starts_with(&format!("{} ", selector.metric))
                })
                .collect();
            assert!(
                !series.is_empty(),
                "{name}: {job} shows no {}",
                selector.metric
            );
            for (label, (_, values)) in selector.labels.iter().filter(|(label, _)| *label != "job")
            {
                let with = |line: &&str| line.contains(&format!("{label}=\""));
                assert!(
                    series.iter().all(with),
                    "{name}: {} has no {label}",
                    selector.metric
                );
                // A leg's every state is a series at stream-admin; an application's is the one that it is in.
                let known = ["unheard", "live", "stalled", "lost"];
                for value in values.split('|') {
                    let exists = series
                        .iter()
                        .any(|line| line.contains(&format!("{label}=\"{value}\"")));
                    assert!(
                        exists || known.contains(&value),
                        "{name}: no {label} is {value}: {series:?}"
                    );
                }
            }
        }
    }
    assert!(asked >= rules.len() - 1, "`up` alone is not ours");
}

#[test]
fn every_alert_has_its_row_in_the_runbook_and_its_job_is_scraped() {
    let runbook = std::fs::read_to_string(twinfeed_tests::matrix::top().join("docs/runbook.md"));
    let (runbook, scrape) = (runbook.unwrap(), text("scrape.yml"));
    for (name, expression) in rules() {
        assert!(runbook.contains(&format!("`{name}`")), "{name}");
        let job = expression
            .split("job=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert!(
            scrape.contains(&format!("job_name: {job}")),
            "{name}: {job}"
        );
    }
    // What a rule says where to look at is there.
    for line in text("alerts.yml")
        .lines()
        .filter(|it| it.contains("runbook: "))
    {
        let place = line.split(", ").skip(1).collect::<Vec<_>>().join(", ");
        let place = place.trim_end_matches('"');
        assert!(
            runbook.contains(place)
                || runbook.contains(&place.replace(", incomplete", ", `incomplete`")),
            "{place}"
        );
    }
}

#[test]
fn the_alerts_fire_when_they_should() {
    let run = Command::new("promtool")
        .args(["test", "rules", "alerts_test.yml"])
        .current_dir(folder())
        .output();
    match run {
        Err(fault) => println!("skipped: the rules' own tests (promtool: {fault})"),
        Ok(output) => assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}
