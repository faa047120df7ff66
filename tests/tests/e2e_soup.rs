//! Is what both lines of a source lost, and what a session sent before an adapter was there, given by the exchange over
//! SoupBinTCP, with real processes?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{
    LIMIT, alone, kept, nothing_lost, small_run, start, status, until_delivered, until_session,
    wait_for,
};
use rustix::process::Signal;
use twinfeed_control::AdapterStatus;
use twinfeed_harness::adapter;
use twinfeed_harness::probe::Probe;
use twinfeed_harness::run::{Run, Soup, SoupServer};
use twinfeed_harness::{Finished, Rig, Seat};

/// Each line loses one packet in twenty by itself, so that one in four hundred is on neither; no request server.
fn lossy(servers: [Option<SoupServer>; 2]) -> Run {
    Run {
        line_loss: 0.05,
        soup: Some(Soup {
            servers,
            ..Soup::default()
        }),
        rate: 10_000,
        session: Duration::from_secs(2),
        // A hole that is asked for holds its adapter up, and a busy host the other one.
        lag: Some(Duration::from_secs(2)),
        ..small_run()
    }
}

/// Of each adapter.
struct Counted {
    asked: [u64; 2],
    refused: [u64; 2],
    recovered: [u64; 2],
    gaps: [u64; 2],
    /// Its word about servers.
    said: [String; 2],
}

fn counts(rig: &Rig, name: &str) -> [u64; 2] {
    Seat::BOTH.map(|seat| status(rig, seat).expect("the adapter answers").counters[name])
}

/// What an adapter's operations endpoint says of SoupBinTCP servers.
fn faults(rig: &Rig, seat: Seat) -> String {
    let at = rig.files().adapters[seat.index()].operations;
    let document = adapter::document(at).expect("the adapter answers");
    document["session_servers"].to_string()
}

fn counted(rig: &Rig) -> Counted {
    Counted {
        asked: counts(rig, "session_requests_total"),
        refused: counts(rig, "session_answers_refused_total"),
        recovered: counts(rig, "session_recovered_messages_total"),
        gaps: counts(rig, "gaps_total"),
        said: Seat::BOTH.map(|seat| faults(rig, seat)),
    }
}

/// Runs two sessions through; what the adapters asked, got and gave up.
fn two_sessions(run: &Run) -> (Finished, Counted) {
    let mut rig = start(run);
    rig.open().unwrap();
    until_session(&mut rig, 3);
    let counted = counted(&rig);
    (nothing_lost(rig), counted)
}

/// Both lost something, asked for it, got it, and gave nothing up.
#[track_caller]
fn assert_recovered(counted: &Counted) {
    let Counted {
        asked,
        recovered,
        gaps,
        ..
    } = counted;
    assert!(
        asked.iter().all(|asked| *asked > 0),
        "nothing was lost: {asked:?}"
    );
    assert!(
        recovered.iter().all(|messages| *messages > 0),
        "{recovered:?}"
    );
    assert_eq!(*gaps, [0, 0]);
}

#[test]
fn what_both_lines_lost_is_given_over_soupbintcp_alone() {
    let _alone = alone();
    let (_, counted) = two_sessions(&lossy([Some(SoupServer::Sound), None]));
    assert_recovered(&counted);
    assert_eq!(counted.refused, [0, 0]);
}

#[test]
fn after_a_server_that_refuses_the_other_is_asked() {
    let _alone = alone();
    let (_, counted) = two_sessions(&lossy([Some(SoupServer::Refuses), Some(SoupServer::Sound)]));
    assert_recovered(&counted);
    assert!(
        counted.refused.iter().all(|refused| *refused > 0),
        "{:?}",
        counted.refused
    );
    for said in counted.said {
        assert!(
            said.contains("session not available") && said.contains("belongs to this line"),
            "{said}"
        );
    }
}

#[test]
fn after_a_server_that_is_slow_or_absent_or_breaks_off_the_other_is_asked() {
    let _alone = alone();
    for faulty in [
        SoupServer::Slow(Duration::from_secs(5)),
        SoupServer::Absent,
        SoupServer::Breaks(1),
    ] {
        println!("{faulty:?}");
        let (_, counted) = two_sessions(&lossy([Some(faulty), Some(SoupServer::Sound)]));
        assert_recovered(&counted);
    }
}

#[test]
fn what_request_servers_have_not_got_is_asked_of_a_session() {
    let _alone = alone();
    let run = Run {
        // The request server is there, and answers nobody.
        requests: Some(1.0),
        ..lossy([Some(SoupServer::Sound), None])
    };
    let mut rig = start(&run);
    rig.open().unwrap();
    until_session(&mut rig, 3);
    let requests = counts(&rig, "source_requests_total");
    assert!(
        requests.iter().all(|requests| *requests > 0),
        "{requests:?}"
    );
    assert_recovered(&counted(&rig));
    nothing_lost(rig);
}

#[test]
fn a_wrong_password_is_named_with_its_remedy_and_the_hole_is_declared() {
    let _alone = alone();
    let run = lossy([Some(SoupServer::Sound), None]);
    let soup = run.soup.map(|soup| Soup {
        password: false,
        ..soup
    });
    let mut rig = start(&Run {
        soup,
        fills: false,
        ..run
    });
    rig.open().unwrap();
    until_session(&mut rig, 3);
    let Counted {
        refused,
        recovered,
        gaps,
        said,
        ..
    } = counted(&rig);
    assert!(refused.iter().all(|refused| *refused > 0), "{refused:?}");
    assert!(gaps.iter().all(|gaps| *gaps > 0), "{gaps:?}");
    assert_eq!(recovered, [0, 0]);
    for said in said {
        assert!(
            said.contains("not authorised") && said.contains("password_file"),
            "{said}"
        );
    }
    let finished = rig.finish().unwrap();
    assert_eq!(finished.verdict.undeclared, 0, "{:?}", finished.verdict);
}

/// One session that outlasts everything that a test does.
fn one_long_session(servers: [Option<SoupServer>; 2]) -> Run {
    Run {
        session: Duration::from_secs(60),
        soup: Some(Soup {
            servers,
            ..Soup::default()
        }),
        // No peer helps.
        context_transfer: false,
        ..small_run()
    }
}

/// Until an adapter has fetched the past, and says that its context is complete.
fn until_complete(rig: &Rig, seat: Seat) -> AdapterStatus {
    wait_for("the past is fetched", || {
        let status = status(rig, seat).ok_or("it does not answer")?;
        let fetched = status.counters["pasts_fetched_total"];
        let complete = status.streams.iter().all(|stream| stream.complete);
        match (fetched, complete && !status.streams.is_empty()) {
            (1, true) => Ok(()),
            _ => Err(format!(
                "{fetched} fetched: {:?} {}",
                status.streams,
                faults(rig, seat)
            )),
        }
    });
    status(rig, seat).unwrap()
}

/// Kills an adapter, and waits until it is missed.
fn kill(rig: &mut Rig, seat: Seat) {
    rig.signal(seat, Signal::KILL).unwrap();
    rig.adapter(seat).unwrap().wait(LIMIT).unwrap();
}

#[test]
fn an_adapter_started_at_noon_beside_nobody_becomes_complete() {
    let _alone = alone();
    let mut rig = start(&one_long_session([Some(SoupServer::Sound), None]));
    rig.open().unwrap();
    until_delivered(&mut rig, 4_000);
    for seat in Seat::BOTH {
        kill(&mut rig, seat);
    }
    rig.restart(Seat::Active).unwrap();
    let complete = until_complete(&rig, Seat::Active);
    let stream = &complete.streams[0];
    assert!(stream.next_pos.sseq > 4_000, "it began at noon: {stream:?}");
    // Whoever joins now is told of nothing but data.
    let mut joiner = rig.another_probe("joiner").unwrap();
    wait_for("the joiner has data", || {
        let status = joiner.status().unwrap();
        match status.messages >= 3_000 {
            true => Ok(()),
            false => Err(format!("{status:?}")),
        }
    });
    let seen = joiner.summary().unwrap();
    let [epoch] = &seen.epochs[..] else {
        panic!("{:?}", seen.epochs);
    };
    assert!(epoch.first > 4_000, "{epoch:?}");
    assert_eq!(
        (epoch.duplicates, epoch.order_violations),
        (0, 0),
        "{epoch:?}"
    );
    assert_eq!(
        epoch.absent,
        Vec::<[u64; 2]>::new(),
        "every message becomes records here"
    );
    assert_eq!(
        (seen.gaps.len(), seen.breaks.len()),
        (0, 0),
        "{:?} {:?}",
        seen.gaps,
        seen.breaks
    );
    let counters = status(&rig, Seat::Active).unwrap().counters;
    let unknown =
        |counters: &std::collections::BTreeMap<String, u64>| counters["unknown_orders_total"];
    assert!(
        unknown(&complete.counters) > 0,
        "it lacked its past at first"
    );
    assert_eq!(
        unknown(&counters),
        unknown(&complete.counters),
        "every order is known now"
    );
    joiner.stop().unwrap();
    assert_eq!(
        rig.exchange().standing().unwrap().opened,
        1,
        "all of it in one session"
    );
}

#[test]
fn a_backup_restarted_at_noon_is_a_useful_one_without_its_peers_help() {
    let _alone = alone();
    let mut rig = start(&one_long_session([
        Some(SoupServer::Refuses),
        Some(SoupServer::Sound),
    ]));
    rig.open().unwrap();
    until_delivered(&mut rig, 1_500);
    kill(&mut rig, Seat::Backup);
    until_delivered(&mut rig, 3_000);
    rig.restart(Seat::Backup).unwrap();
    let failed = until_complete(&rig, Seat::Backup).counters["pasts_failed_total"];
    assert_eq!(failed, 1, "the server of line A refuses");
    rig.until_protected(LIMIT).unwrap();
    let contexts = Seat::BOTH.map(|seat| status(&rig, seat).unwrap().streams[0].context_id);
    assert_eq!(contexts[0], contexts[1]);
    rig.signal(Seat::Active, Signal::KILL).unwrap();
    let sseq = rig.probe().status().unwrap().sseq;
    until_delivered(&mut rig, sseq + 3_000);
    assert_eq!(
        rig.exchange().standing().unwrap().opened,
        1,
        "all of it in one session"
    );
    let receipts = &kept(rig).seen.receipts;
    let switched = receipts.iter().any(|receipt| receipt.from_leg == 0);
    assert!(switched, "{receipts:?}");
}

/// A session of which `snapshots` gives snapshots; `servers` give it from its beginning.
fn with_snapshots(snapshots: SoupServer, servers: [Option<SoupServer>; 2]) -> Run {
    let run = one_long_session(servers);
    Run {
        soup: run.soup.map(|soup| Soup {
            snapshots: Some(snapshots),
            ..soup
        }),
        ..run
    }
}

/// Until an adapter has taken a snapshot over.
fn until_it_has_a_snapshot(rig: &Rig, seat: Seat) -> AdapterStatus {
    wait_for("a snapshot is taken over", || {
        let status = status(rig, seat).ok_or("it does not answer")?;
        match status.counters["source_snapshots_fetched_total"] {
            1 => Ok(()),
            fetched => Err(format!(
                "{fetched} fetched: {:?} {}",
                status.streams,
                faults(rig, seat)
            )),
        }
    });
    status(rig, seat).unwrap()
}

/// Messages so far about orders that were not known.
fn unknown(status: &AdapterStatus) -> u64 {
    status.counters["unknown_orders_total"]
}

#[test]
fn a_pair_started_at_noon_goes_on_from_snapshots_of_two_moments_as_one() {
    let _alone = alone();
    let mut rig = start(&with_snapshots(SoupServer::Sound, [None, None]));
    rig.open().unwrap();
    until_delivered(&mut rig, 4_000);
    for seat in Seat::BOTH {
        kill(&mut rig, seat);
    }
    rig.restart(Seat::Active).unwrap();
    let first = until_it_has_a_snapshot(&rig, Seat::Active);
    let begun = first.streams[0].next_pos.sseq;
    assert!(begun > 4_000, "it began at noon: {:?}", first.streams);
    // The other one's is of a later moment.
    let sseq = rig.probe().status().unwrap().sseq;
    until_delivered(&mut rig, sseq + 500);
    rig.restart(Seat::Backup).unwrap();
    let second = until_it_has_a_snapshot(&rig, Seat::Backup);
    rig.until_protected(LIMIT).unwrap();
    let now = Seat::BOTH.map(|seat| status(&rig, seat).unwrap());
    let [one, other] = now.each_ref().map(|status| &status.streams[0]);
    assert_eq!(one.context_id, other.context_id, "{one:?} {other:?}");
    for stream in [one, other] {
        assert!(!stream.complete, "a snapshot vouches for nobody");
        assert!(stream.reason.contains("snapshot"), "{}", stream.reason);
    }
    let mut joiner = rig.another_probe("joiner").unwrap();
    until_it_has(&mut joiner, 2_000);
    let active = rig.active_seat().unwrap();
    kill(&mut rig, active);
    until_it_has(&mut joiner, 5_000);
    let seen = joiner.summary().unwrap();
    let [epoch] = &seen.epochs[..] else {
        panic!("{:?}", seen.epochs);
    };
    let (duplicates, absent) = (epoch.duplicates, &epoch.absent);
    assert_eq!((duplicates, absent.len()), (0, 0), "{epoch:?}");
    assert_eq!((seen.gaps.len(), seen.breaks.len()), (0, 0), "{seen:?}");
    let of = active.index() as u8;
    let switched = seen.receipts.iter().any(|receipt| receipt.from_leg == of);
    assert!(switched, "{of}: {:?}", seen.receipts);
    let survivor = active.other();
    let before = [&first, &second][survivor.index()];
    let still = status(&rig, survivor).unwrap();
    assert!(unknown(before) > 0, "it lacked its past at first");
    assert_eq!(unknown(&still), unknown(before), "every order is known");
    joiner.stop().unwrap();
    let opened = rig.exchange().standing().unwrap().opened;
    assert_eq!(opened, 1, "all of it in one session");
}

#[test]
fn behind_a_snapshot_the_session_is_fetched_all_the_same() {
    let _alone = alone();
    let servers = [Some(SoupServer::Sound), None];
    let mut rig = start(&with_snapshots(SoupServer::Sound, servers));
    rig.open().unwrap();
    until_delivered(&mut rig, 3_000);
    for seat in Seat::BOTH {
        kill(&mut rig, seat);
    }
    rig.restart(Seat::Active).unwrap();
    let complete = until_complete(&rig, Seat::Active);
    let counters = &complete.counters;
    assert_eq!(counters["source_snapshots_fetched_total"], 1);
    assert_eq!(counters["pasts_failed_total"], 0);
}

#[test]
fn without_a_snapshot_that_was_wanted_the_session_is_fetched_all_the_same() {
    let _alone = alone();
    let servers = [Some(SoupServer::Sound), None];
    let mut rig = start(&with_snapshots(SoupServer::Refuses, servers));
    rig.open().unwrap();
    until_delivered(&mut rig, 1_000);
    kill(&mut rig, Seat::Backup);
    until_delivered(&mut rig, 2_000);
    rig.restart(Seat::Backup).unwrap();
    let complete = until_complete(&rig, Seat::Backup);
    let counters = &complete.counters;
    assert_eq!(counters["source_snapshots_fetched_total"], 0);
    assert_eq!(counters["pasts_failed_total"], 3, "snapshots come first");
}

fn until_it_has(probe: &mut Probe, messages: u64) {
    wait_for("the joiner has data", || {
        let status = probe.status().unwrap();
        match status.messages >= messages {
            true => Ok(()),
            false => Err(format!("{status:?}")),
        }
    });
}
