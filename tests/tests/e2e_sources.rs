//! Does the pair act by itself on what becomes of its source: lost at one adapter, silent at both?
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{
    LIMIT, alone, history, kept, nothing_lost, operator, small_run, start, until_delivered,
    wait_for,
};
use twinfeed_control::{
    BY_ITSELF, MessagePlace, OrderOutcome, OrderRecord, RoleCause, RoleChange, RoleOutcome,
};
use twinfeed_exchange::Command;
use twinfeed_harness::probe::Probe;
use twinfeed_harness::run::Run;
use twinfeed_harness::{Rig, Seat};

/// One session that lasts until the test ends it; so slow that what the exchange makes up for after it was paused fits
/// into every socket. A process that is stopped may be stopped between two destinations of one packet: then the adapters
/// stand apart for as long as the source is silent, and no slot lies ahead of both.
fn slow_run() -> Run {
    Run {
        rate: 500,
        session: Duration::from_secs(60),
        silence: Some(Duration::from_millis(400)),
        source_hold: Some(Duration::from_millis(200)),
        adapter_lease: Some(Duration::from_millis(1_500)),
        ..small_run()
    }
}

fn orders(rig: &Rig) -> Vec<OrderRecord> {
    operator(rig).orders(&rig.feed_name()).unwrap()
}

fn last_change(rig: &Rig) -> Option<RoleChange> {
    history(rig).into_iter().next()
}

/// Waits until the hand-over to the backup is done, by its own word.
fn until_handed_over(rig: &Rig) {
    wait_for(
        "stream-admin lets the active hand over",
        || match last_change(rig) {
            Some(RoleChange {
                cause: RoleCause::SourceLost,
                outcome:
                    RoleOutcome::Done {
                        seamless: Some(true),
                        ..
                    },
                ..
            }) => Ok(()),
            other => Err(format!("{other:?} {:?}", rig.feed().unwrap().pair)),
        },
    );
}

/// Waits until this word is the last that was ordered, and stands in the stream.
fn until_told(rig: &Rig, word: &str) -> MessagePlace {
    let mut found = None;
    wait_for(word, || {
        let last = orders(rig).into_iter().next();
        match &last {
            Some(OrderRecord {
                message,
                outcome: OrderOutcome::Placed { place },
                ..
            }) if message.word() == word => {
                found = Some(*place);
                Ok(())
            }
            other => Err(format!("{other:?} {:?}", rig.feed().unwrap().pair)),
        }
    });
    found.unwrap()
}

/// Waits until a subscriber has got exactly these administrative messages.
fn until_seen(probe: &mut Probe, kinds: &[&str]) {
    wait_for("a subscriber is told", || {
        let seen = probe.summary().unwrap().administrative;
        let seen: Vec<_> = seen.iter().map(|it| it.kind.as_str()).collect();
        if seen == kinds {
            Ok(())
        } else {
            Err(format!("{seen:?}"))
        }
    });
}

#[test]
fn an_active_without_a_source_hands_over_and_a_source_that_stops_is_told_of_once_at_every_subscriber()
 {
    let _alone = alone();
    let mut rig = start(&slow_run());
    let mut second = rig.another_probe("probe-2").unwrap();
    rig.open().unwrap();
    until_delivered(&mut rig, 300);

    rig.cut_input(Seat::Active, true).unwrap();
    until_handed_over(&rig);
    assert_eq!(rig.active_seat().unwrap(), Seat::Backup);
    assert_eq!(last_change(&rig).unwrap().by, BY_ITSELF);
    let delivered = rig.probe().status().unwrap().sseq;
    until_delivered(&mut rig, delivered + 100);
    rig.cut_input(Seat::Active, false).unwrap();
    // It takes what it has missed over from the other one, and is a backup like any.
    rig.until_protected(LIMIT).unwrap();
    assert_eq!(orders(&rig), [], "one leg's silence is no message");

    rig.exchange().tell(Command::Pause).unwrap();
    let stale = until_told(&rig, "source-stale");
    for probe in [rig.probe(), &mut second] {
        until_seen(probe, &["source_stale"]);
    }
    rig.exchange().tell(Command::Resume).unwrap();
    let restored = until_told(&rig, "source-restored");
    for probe in [rig.probe(), &mut second] {
        until_seen(probe, &["source_stale", "source_restored"]);
    }
    assert_eq!((stale.number, restored.number), (0, 1));
    let given = orders(&rig);
    // What a busy host kept from its place was refused, and ordered again.
    let placed = |it: &&OrderRecord| matches!(it.outcome, OrderOutcome::Placed { .. });
    assert_eq!(given.iter().filter(placed).count(), 2, "{given:?}");
    let kept = |it: &OrderRecord| match &it.outcome {
        OrderOutcome::Refused { reason } => reason.contains("lease"),
        outcome => matches!(outcome, OrderOutcome::Placed { .. }),
    };
    assert!(given.iter().all(kept), "{given:?}");
    assert!(given.iter().all(|it| it.operator == BY_ITSELF), "{given:?}");
    assert_eq!(
        rig.active_seat().unwrap(),
        Seat::Backup,
        "it keeps the role"
    );

    let delivered = rig.probe().status().unwrap().sseq;
    until_delivered(&mut rig, delivered + 100);
    assert!(second.stop().unwrap().success());
    judge(rig, &[stale, restored]);
}

/// Nothing was lost. A message that a busy host kept the backup from agreeing to may be told with a discontinuity.
fn judge(rig: Rig, places: &[MessagePlace]) {
    let finished = match places.iter().all(|place| place.agreed) {
        true => kept(rig),
        false => nothing_lost(rig),
    };
    let seen = &finished.seen.administrative;
    let seen: Vec<_> = seen.iter().map(|it| (it.number, it.sseq)).collect();
    let expected: Vec<_> = places.iter().map(|it| (it.number, it.sseq)).collect();
    assert_eq!(seen, expected, "each once, where its adapter says");
}
