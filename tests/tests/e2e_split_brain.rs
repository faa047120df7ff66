//! Do two adapters that both think they are active harm anybody?
//!
//! ```text
//!                   relay ✂            operator
//!  active ──────────────────── stream-admin ─────────────── backup
//!    ║   gen 1   an order waits in it  │  gen 2 ───────────────►║   gen 2
//!    ╚══════════════════════════ relay ✂ ═══════════════════════╝
//! ```
//!
//! Nobody tells the old active that its generation is over, and the first thing that it hears again is an order of that
//! generation. While its authority lasts it carries that out, and no subscriber takes the message; after, it does not.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{
    alone, assert_kept, finish_both, operator, ordered, placed, seat_id, second_probe, small_run,
    start, status, until_backup, until_delivered, until_in_step, wait_for,
};
use twinfeed_control::{
    AdapterStatus, LinkState, OrderOutcome, OrderRecord, PairState, Policy, Role, RoleAction,
    RoleOrder, TakeoverPolicy,
};
use twinfeed_harness::probe::Probe;
use twinfeed_harness::run::Run;
use twinfeed_harness::{Rig, Seat};

/// Who makes the other one active.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum By {
    /// An operator, at once: the old active's authority lasts.
    Operator,
    /// stream-admin, when the old active's lease is over; its authority was before.
    Silence,
}

fn split_run(policy: Policy, by: By) -> Run {
    Run {
        policy,
        session: Duration::from_secs(600),
        relayed_link: true,
        relayed_administration: true,
        takeover: (by == By::Silence).then_some(TakeoverPolicy::OnSilence),
        // That one of the legs is slow for a moment is not what this is about.
        lag: Some(Duration::from_secs(2)),
        ..small_run()
    }
}

/// Until neither adapter hears the other.
fn until_apart(rig: &Rig) {
    wait_for("neither hears the other", || {
        let links = Seat::BOTH.map(|seat| status(rig, seat).map(|it| it.link));
        match links == [Some(LinkState::Down); 2] {
            true => Ok(()),
            false => Err(format!("{links:?}")),
        }
    });
}

/// Whether an adapter thinks that it is active, and under which generation.
fn acts(status: &AdapterStatus) -> Option<u32> {
    let mut streams = status.streams.iter();
    let active = streams.all(|it| it.pair.state == PairState::Active);
    (status.role == Role::Active && active).then_some(status.generation.0)
}

/// Until both adapters think that they are active, each of its own generation.
fn until_two_actives(rig: &Rig, generations: [u32; 2]) {
    wait_for("both adapters are active by their own word", || {
        let both = Seat::BOTH.map(|seat| status(rig, seat).as_ref().and_then(acts));
        match both == generations.map(Some) {
            true => Ok(()),
            false => Err(format!("{both:?}")),
        }
    });
}

/// Makes the backup active without a word to the old active.
fn replace(rig: &Rig, by: By) {
    match by {
        By::Operator => {
            let adapter = Some(seat_id(Seat::Backup));
            let order = RoleOrder {
                key: "split".to_owned(),
                feed: rig.feed_name(),
                action: RoleAction::TakeOver { adapter },
                wait_ms: 0,
            };
            operator(rig).order_roles(&order).unwrap();
        }
        By::Silence => wait_for("stream-admin replaces the silent active", || {
            match rig.active_seat() {
                Ok(Seat::Backup) => Ok(()),
                other => Err(format!("{other:?} {:?}", rig.feed().unwrap().pair)),
            }
        }),
    }
}

/// Until a subscriber was told this.
fn until_told(probe: &mut Probe, text: &str) {
    wait_for("the subscriber is told", || {
        let told = probe.summary().unwrap().administrative;
        match told.iter().any(|it| it.text == text) {
            true => Ok(()),
            false => Err(format!("{told:?}")),
        }
    });
}

/// What the old active made of an order of its own generation; `None`: it heard first that this is over.
fn settled(rig: &Rig, order: &OrderRecord, generation: u32) -> Option<String> {
    wait_for("the old active hears that its generation is over", || {
        let heard = status(rig, Seat::Active).map(|it| it.generation.0);
        match heard == Some(generation) {
            true => Ok(()),
            false => Err(format!("{heard:?}")),
        }
    });
    line(rig, "ordered", order)?;
    let mut found = None;
    wait_for("the order is settled", || {
        found = line(rig, "order settled", order);
        found.is_some().then_some(()).ok_or_else(String::new)
    });
    found
}

/// What the old active logged of an order.
fn line(rig: &Rig, words: &str, order: &OrderRecord) -> Option<String> {
    let log = rig.files().path(&format!("{}.log", Seat::Active.binary()));
    let text = std::fs::read_to_string(log).unwrap();
    let said = format!("{words} ticket={} ", order.ticket);
    let mut lines = text.lines().filter(|line| line.contains(&said));
    lines.next().map(str::to_owned)
}

/// Whether the old active hears of an order while it hears of nothing behind that.
fn hears(rig: &Rig, order: &OrderRecord) -> bool {
    let begun = Instant::now();
    loop {
        match line(rig, "ordered", order) {
            Some(_) => return true,
            None if begun.elapsed() > HEARS => return false,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Until an operator sees what became of the order that the old active carried out, or would not: nobody has a message that
/// was placed beside the new active's.
fn until_known(rig: &Rig, order: &OrderRecord, by: By) {
    wait_for("what became of the order", || {
        let orders = operator(rig).orders(&rig.feed_name()).unwrap();
        let known = orders.into_iter().find(|it| it.ticket == order.ticket);
        match (by, known.unwrap().outcome) {
            (By::Operator, OrderOutcome::Unknown { reason }) if reason.contains("alone") => Ok(()),
            (By::Silence, OrderOutcome::Refused { .. }) => Ok(()),
            (_, other) => Err(format!("{other:?}")),
        }
    });
}

/// Whether the old active had the order before it had word of its successor. Everything else holds in any case.
fn splits(policy: Policy, by: By) -> bool {
    let mut rig = start(&split_run(policy, by));
    let mut second = second_probe(&rig);
    rig.open().unwrap();
    until_delivered(&mut rig, 1_000);
    until_in_step(&rig);
    let first = placed(&rig, "before the split");
    // Agreed to is not yet there: its slot is passed before the pair comes apart.
    until_told(rig.probe(), "before the split");
    until_told(&mut second, "before the split");
    until_in_step(&rig);
    rig.cut_link(true).unwrap();
    until_apart(&rig);
    rig.cut_administration(true).unwrap();
    let late = ordered(&rig, "under the old generation", Duration::ZERO);
    assert_eq!(late.outcome, OrderOutcome::Pending);
    wait_for("the order is on its way", || {
        let there = rig.administration_holds("under the old generation");
        there.then_some(()).ok_or_else(String::new)
    });
    replace(&rig, by);
    let (old, new) = (first.generation.0, first.generation.0 + 1);
    until_two_actives(&rig, [old, new]);
    let in_between = placed(&rig, "by the new active");
    assert_eq!(in_between.generation.0, new);
    assert_eq!(in_between.number, first.number + 1, "{first:?}");
    until_told(rig.probe(), "by the new active");
    until_told(&mut second, "by the new active");
    let reached = rig.probe().status().unwrap().sseq;
    until_delivered(&mut rig, reached + 500);
    until_two_actives(&rig, [old, new]);
    // Of what is told only the newest is heard: the order by itself, and then the successor.
    rig.pass_first_of_administration();
    let heard = hears(&rig, &late);
    rig.cut_administration(false).unwrap();
    let settled = settled(&rig, &late, new).filter(|_| heard);
    let words = match by {
        By::Operator => "Placed {",
        By::Silence => "the lease of the generation is over",
    };
    let split = settled.is_some_and(|line| line.contains(words));
    if split {
        until_known(&rig, &late, by);
    }
    rig.cut_link(false).unwrap();
    until_backup(&rig, Seat::Active, new);
    until_in_step(&rig);
    let last = placed(&rig, "by both");
    assert_eq!(
        (last.generation.0, last.number),
        (new, in_between.number + 1)
    );
    // Data are contiguous, and what the old active said under its generation after that was over is not among these.
    let messages = [
        ("before the split", first),
        ("by the new active", in_between),
        ("by both", last),
    ];
    let messages = messages.map(|(text, place)| (text.to_owned(), place));
    assert_kept(finish_both(rig, second), &messages);
    split
}

/// On a host that keeps a process from its core the old active may hear of its successor first: then once more.
fn is_split(policy: Policy, by: By) {
    let _alone = alone();
    let happened = (0..ATTEMPTS).any(|_| splits(policy, by));
    assert!(happened, "in {ATTEMPTS} runs the order never came first");
}

#[test]
fn what_an_old_active_originates_beside_its_successor_reaches_no_application() {
    is_split(Policy::FirstArrival, By::Operator);
}

#[test]
fn an_old_active_whose_authority_is_over_originates_nothing_beside_its_successor() {
    is_split(Policy::PreferActive, By::Silence);
}

/// How long it may take to hear of an order.
const HEARS: Duration = Duration::from_secs(3);
/// Runs until the old active had the order first.
const ATTEMPTS: usize = 4;
