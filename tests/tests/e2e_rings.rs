//! Does a subscriber on its adapters' host keep every promise when it reads them from shared memory?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use common::{
    alone, assert_switched, kept, small_run, start, until_delivered, until_session, wait_for,
};
use rustix::process::Signal;
use twinfeed_harness::run::Run;
use twinfeed_harness::{Rig, Seat};

fn by_rings() -> Run {
    Run {
        rings: true,
        ..small_run()
    }
}

/// Waits until more came by a leg's ring than `before`; how much that is now.
fn until_read(rig: &mut Rig, seat: Seat, before: u64) -> u64 {
    let mut read = 0;
    wait_for("the leg is read from its ring", || {
        read = rig.probe().summary().unwrap().ring_packets[seat.index()];
        match read > before {
            true => Ok(()),
            false => Err(format!("{read} datagrams by the ring of {seat:?}")),
        }
    });
    read
}

#[test]
fn both_legs_come_by_rings_and_the_death_of_one_adapter_after_the_other_costs_nothing() {
    let _alone = alone();
    let mut rig = start(&by_rings());
    rig.open().unwrap();
    until_delivered(&mut rig, 1_500);
    let before = Seat::BOTH.map(|seat| until_read(&mut rig, seat, 0));
    rig.signal(Seat::Active, Signal::KILL).unwrap();
    rig.restart(Seat::Active).unwrap();
    until_session(&mut rig, 2);
    rig.until_protected(common::LIMIT).unwrap();
    // Another life, another ring.
    let again = until_read(&mut rig, Seat::Active, before[0]);
    rig.signal(Seat::Backup, Signal::KILL).unwrap();
    rig.restart(Seat::Backup).unwrap();
    until_session(&mut rig, 3);
    rig.until_protected(common::LIMIT).unwrap();
    until_read(&mut rig, Seat::Active, again);
    let finished = kept(rig);
    assert_switched(&finished);
    assert!(finished.seen.duplicates_dropped > 0, "both legs were heard");
}

#[test]
fn an_adapter_that_starts_again_while_stream_admin_is_gone_is_heard_by_the_network() {
    let _alone = alone();
    let mut rig = start(&by_rings());
    rig.open().unwrap();
    until_delivered(&mut rig, 1_500);
    let before = until_read(&mut rig, Seat::Backup, 0);
    rig.kill_stream_admin();
    rig.signal(Seat::Backup, Signal::KILL).unwrap();
    rig.restart(Seat::Backup).unwrap();
    until_session(&mut rig, 2);
    // The one whose ring is still read dies, too: what is delivered now has come by the other one's sockets.
    common::until_in_step(&rig);
    rig.signal(Seat::Active, Signal::KILL).unwrap();
    until_session(&mut rig, 3);
    until_delivered(&mut rig, 500);
    let read = rig.probe().summary().unwrap().ring_packets[Seat::Backup.index()];
    assert!(read >= before);
    until_delivered(&mut rig, 1_000);
    let since = rig.probe().summary().unwrap().ring_packets[Seat::Backup.index()];
    assert_eq!(since, read, "what is delivered comes by sockets");
    rig.restart_stream_admin().unwrap();
    // And by its ring, once stream-admin has said where that is.
    until_read(&mut rig, Seat::Backup, read);
    kept(rig);
}

#[test]
fn a_subscriber_that_stands_still_loses_no_more_of_a_ring_than_of_a_socket() {
    let _alone = alone();
    let mut rig = start(&by_rings());
    rig.open().unwrap();
    until_delivered(&mut rig, 1_000);
    let before = until_read(&mut rig, Seat::Active, 0);
    rig.probe().pause(300).unwrap();
    until_session(&mut rig, 2);
    until_delivered(&mut rig, 1_000);
    until_read(&mut rig, Seat::Active, before);
    kept(rig);
}
