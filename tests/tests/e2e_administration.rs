//! Does anything on the data path need stream-admin, and is everything right again when it is back?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use common::{alone, kept, small_run, start, until_delivered, until_session, wait_for};
use rustix::process::Signal;
use twinfeed_harness::Seat;
use twinfeed_harness::run::Run;

/// What an adapter says of itself.
fn status_of(operations: SocketAddr) -> Option<serde_json::Value> {
    let mut stream = TcpStream::connect(operations).ok()?;
    write!(
        stream,
        "GET /status.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

#[test]
fn data_switches_and_restarts_go_on_without_stream_admin() {
    let _alone = alone();
    let mut rig = start(&small_run());
    rig.kill_stream_admin();
    rig.open().unwrap();
    until_delivered(&mut rig, 1_500);
    rig.signal(Seat::Active, Signal::KILL).unwrap();
    wait_for("the switch", || {
        let receipts = rig.probe().summary().unwrap().receipts;
        if receipts.is_empty() {
            Err("no receipt".to_owned())
        } else {
            Ok(())
        }
    });
    rig.restart(Seat::Active).unwrap();
    let operations = rig.files().adapters[0].operations;
    wait_for("the restarted adapter says that it is unverified", || {
        let status = status_of(operations);
        let unverified = status
            .as_ref()
            .is_some_and(|it| it.to_string().contains("unverified\":true"));
        if unverified {
            Ok(())
        } else {
            Err(format!("{status:?}"))
        }
    });
    let before = rig.probe().summary().unwrap().legs[0];
    until_session(&mut rig, 2);
    wait_for("the restarted leg is first now and then", || {
        let legs = rig.probe().summary().unwrap().legs;
        if legs[0] > before {
            Ok(())
        } else {
            Err(format!("{before} {legs:?}"))
        }
    });
    rig.restart_stream_admin().unwrap();
    let feed = rig.until_protected(common::LIMIT).unwrap();
    assert!(
        feed.legs.iter().all(|leg| !leg.unverified),
        "{:?}",
        feed.legs
    );
    wait_for("the switch is in the history", || {
        let receipts = rig.feed().unwrap().receipts;
        if receipts.is_empty() {
            Err("no receipt".to_owned())
        } else {
            Ok(())
        }
    });
    kept(rig);
}

#[test]
fn nobodys_lease_ends_while_stream_admin_itself_stands_still() {
    let _alone = alone();
    let lease = Duration::from_secs(1);
    let mut rig = start(&Run {
        adapter_lease: Some(lease),
        ..small_run()
    });
    rig.open().unwrap();
    until_delivered(&mut rig, 100);
    let stopped = Instant::now();
    rig.stream_admin().unwrap().signal(Signal::STOP).unwrap();
    // Several leases long, by what applications are told meanwhile.
    let mut session = 2;
    while stopped.elapsed() < 4 * lease {
        until_session(&mut rig, session);
        session += 1;
    }
    rig.stream_admin().unwrap().signal(Signal::CONT).unwrap();
    rig.until_protected(common::LIMIT).unwrap();
    let log = std::fs::read_to_string(rig.files().path("stream-admin.log")).unwrap();
    assert!(log.contains("attended to nobody"), "{log}");
    let lapsed = log
        .lines()
        .find(|line| line.contains("leg state") && line.contains("lapsed"));
    assert_eq!(lapsed, None, "{log}");
    kept(rig);
}

#[test]
fn a_paused_application_is_told_what_its_own_host_dropped() {
    let _alone = alone();
    let run = Run {
        receive_buffer: Some(16 << 10),
        // With them nothing would be missing: see e2e_fills.
        fills: false,
        ..small_run()
    };
    let mut rig = start(&run);
    rig.open().unwrap();
    until_delivered(&mut rig, 1_500);
    rig.probe().pause(400).unwrap();
    wait_for("the gap", || {
        let summary = rig.probe().summary().unwrap();
        if summary.gaps.is_empty() {
            Err(format!("{:?}", summary.events))
        } else {
            Ok(())
        }
    });
    let finished = rig.finish().unwrap();
    let verdict = &finished.verdict;
    let causes: Vec<_> = finished
        .seen
        .gaps
        .iter()
        .map(|gap| gap.cause.as_str())
        .collect();
    assert!(
        causes.iter().all(|cause| *cause == "receiver_overrun"),
        "{causes:?}"
    );
    assert!(verdict.overload(), "{verdict:?}");
    assert!(verdict.lost > 0);
    assert_eq!(verdict.lost, verdict.declared, "{verdict:?}");
    assert_eq!(
        (verdict.duplicates_delivered, verdict.order_violations),
        (0, 0)
    );
    assert_eq!(
        verdict.wrong_content, 0,
        "what was delivered is what was sent"
    );
}
