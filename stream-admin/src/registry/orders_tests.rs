//! An order from its key to its outcome, over takeovers and restarts.

use twinfeed_control::{
    Assignment, Generation, LONGEST_ORDER_KEY, MessagePlace, OrderedMessage, ProblemCode, Register,
    Role, Sid, TakeOver, TakeoverCause,
};

use super::super::record::Record;
use super::super::tests::{ADAPTER, offer, started};
use super::*;

fn notice(key: &str, sid: u32) -> Order {
    Order {
        key: key.to_owned(),
        feed: "itch".parse().unwrap(),
        sid: Sid(sid),
        message: OrderedMessage::OperatorNotice {
            text: "half day".to_owned(),
        },
        wait_ms: 0,
    }
}

fn give(registry: &mut Registry, order: Order, at: u64) -> Result<OrderRecord, ProblemCode> {
    registry.note_time(9);
    let answer = registry.order("ops", order, Now(at));
    if let Ok(record) = &answer {
        assert_eq!(record.at_unix_us, 9);
    }
    answer.map_err(|problem| problem.code)
}

fn seat(registry: &mut Registry, offered: Register, at: u64) -> Assignment {
    registry.register(&ADAPTER, offered, Now(at)).unwrap().0
}

fn pair(registry: &mut Registry) -> [Assignment; 2] {
    let active = seat(registry, offer(Role::Active, 1), 0);
    let backup = seat(registry, offer(Role::Backup, 2), 0);
    [active, backup]
}

fn placed() -> OrderOutcome {
    OrderOutcome::Placed {
        place: MessagePlace {
            generation: Generation(1),
            number: 0,
            slot: 7,
            processed: 6,
            sseq: 6,
            attempts: 1,
            agreed: true,
        },
    }
}

fn say(
    registry: &mut Registry,
    by: &Assignment,
    ticket: u64,
    outcome: OrderOutcome,
) -> Result<OrderRecord, ProblemCode> {
    let report = OrderReport {
        incarnation: by.incarnation,
        ticket,
        outcome,
    };
    let answer = registry.report_order(&ADAPTER, &by.adapter, report);
    answer.map_err(|problem| problem.code)
}

fn shown(registry: &Registry, to: &Assignment) -> Vec<u64> {
    let now = registry.assignment(&ADAPTER, &to.adapter, to.incarnation, Now(1));
    let orders = now.unwrap().orders;
    orders.iter().map(|order| order.ticket).collect()
}

#[test]
fn an_order_goes_to_the_active_alone_until_that_says_what_became_of_it() {
    let mut registry = started(Vec::new());
    let no_active = give(&mut registry, notice("a", 1), 0);
    assert_eq!(no_active.unwrap_err(), ProblemCode::Unavailable);
    let [active, backup] = pair(&mut registry);
    let given = give(&mut registry, notice("a", 1), 1).unwrap();
    assert_eq!(given.outcome, OrderOutcome::Pending);
    assert_eq!(shown(&registry, &active), [given.ticket]);
    assert!(shown(&registry, &backup).is_empty());
    let settled = say(&mut registry, &active, given.ticket, placed()).unwrap();
    assert_eq!(settled.outcome, placed());
    assert!(shown(&registry, &active).is_empty());
    // What was said first holds; the same key is the same order.
    let reason = "later".to_owned();
    let later = OrderOutcome::Refused { reason };
    let again = say(&mut registry, &active, given.ticket, later).unwrap();
    assert_eq!(again.outcome, placed());
    let repeated = give(&mut registry, notice("a", 1), 2).unwrap();
    assert_eq!(repeated, settled);
    let other = give(&mut registry, notice("a", 2), 2);
    assert_eq!(other.unwrap_err(), ProblemCode::Conflict);
}

#[test]
fn a_takeover_leaves_what_was_not_reported_unknown_and_nobody_carries_it_out() {
    let mut registry = started(Vec::new());
    let [active, backup] = pair(&mut registry);
    let given = give(&mut registry, notice("a", 1), 1).unwrap();
    let request = TakeOver {
        incarnation: backup.incarnation,
        from: backup.generation,
        cause: TakeoverCause::PeerGone,
    };
    let (successor, _) = registry
        .take_over(&ADAPTER, &backup.adapter, &request, Now(2))
        .unwrap();
    assert_eq!((successor.role, successor.orders.len()), (Role::Active, 0));
    let feed = "itch".parse().unwrap();
    let known = registry.order_by_ticket(&feed, given.ticket).unwrap();
    assert!(matches!(known.outcome, OrderOutcome::Unknown { .. }));
    // Who placed it alone does not know whether it was before the successor began, and who has it.
    let OrderOutcome::Placed { place } = placed() else {
        unreachable!("it is placed")
    };
    let place = MessagePlace {
        agreed: false,
        ..place
    };
    let alone = OrderOutcome::Placed { place };
    let known = say(&mut registry, &active, given.ticket, alone).unwrap();
    let OrderOutcome::Unknown { reason } = known.outcome else {
        panic!("{known:?}");
    };
    assert!(reason.contains("placed it alone"), "{reason}");
    // A word of the old active that was under way is else still worth more than none.
    let late = say(&mut registry, &active, given.ticket, placed()).unwrap();
    assert_eq!(late.outcome, placed());
}

#[test]
fn orders_are_kept_over_a_restart_and_the_oldest_go_first() {
    let mut registry = started(Vec::new());
    let [active, _] = pair(&mut registry);
    for key in 0..MOST_PENDING + 2 {
        let given = give(&mut registry, notice(&key.to_string(), 1), 1).unwrap();
        say(&mut registry, &active, given.ticket, placed()).unwrap();
    }
    let feed: FeedName = "itch".parse().unwrap();
    let keys = |registry: &Registry| {
        let orders = registry.orders(&feed).unwrap();
        orders
            .into_iter()
            .map(|order| order.key)
            .collect::<Vec<_>>()
    };
    let kept: Vec<_> = (2..MOST_PENDING + 2)
        .rev()
        .map(|key| key.to_string())
        .collect();
    assert_eq!(
        keys(&registry),
        kept,
        "the limit is below the least: that is kept"
    );
    let mut saved: std::collections::BTreeMap<u64, OrderRecord> = Default::default();
    for write in registry.take_writes() {
        match write {
            Write::Put(Record::Order(order)) => drop(saved.insert(order.ticket, *order)),
            Write::DropOrder(_, ticket) => drop(saved.remove(&ticket)),
            _ => {}
        }
    }
    let saved = saved.into_values().map(Box::new).map(Record::Order);
    let registry = started(saved.collect());
    assert_eq!(keys(&registry), kept);
}

#[test]
fn what_cannot_be_an_order_is_refused_and_names_its_part() {
    let mut registry = started(Vec::new());
    pair(&mut registry);
    let bad = |key: &str, sid, text: &str| {
        let message = OrderedMessage::OperatorNotice {
            text: text.to_owned(),
        };
        Order {
            message,
            ..notice(key, sid)
        }
    };
    let long = "x".repeat(MOST_ORDER_PAYLOAD + 1);
    let key = "k".repeat(LONGEST_ORDER_KEY + 1);
    for (order, part) in [
        (bad("", 1, "x"), "key"),
        (bad("a b", 1, "x"), "key"),
        (bad(&key, 1, "x"), "key"),
        (bad("a", 9, "x"), "source stream 9"),
        (bad("a", 1, &long), "1025 bytes"),
    ] {
        let problem = registry.order("ops", order, Now(1)).unwrap_err();
        assert_eq!(problem.code, ProblemCode::BadRequest);
        assert!(problem.message.contains(part), "{}", problem.message);
    }
    for ticket in 0..MOST_PENDING {
        give(&mut registry, notice(&ticket.to_string(), 1), 1).unwrap();
    }
    let full = give(&mut registry, notice("full", 1), 1);
    assert_eq!(full.unwrap_err(), ProblemCode::LimitReached);
}
