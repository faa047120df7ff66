//! Changes of roles from their order to their outcome: hand-over, takeover, pin, silence, and how often.

use std::collections::BTreeMap;

use proptest::prelude::*;
use twinfeed_control::{
    AdapterId, AdapterStatus, Assignment, ContextId, DataState, Epoch, Incarnation, PairState, Pos,
    Renew, Sid, StreamPair, StreamStatus, TakeOver, TakeoverCause,
};

use super::super::tests::{ADAPTER, offer, saved, started, started_with};
use super::*;

const LIMIT: u64 = 50;

pub(in crate::registry) fn feed() -> FeedName {
    "itch".parse().unwrap()
}

pub(in crate::registry) fn id(leg: usize) -> AdapterId {
    ["itch.active", "itch.backup"][leg].parse().unwrap()
}

/// What an adapter says of itself; `seamless` of an active.
fn status(assignment: &Assignment, link: LinkState, seamless: bool) -> AdapterStatus {
    let active = assignment.role == Role::Active;
    let stream = |sid| StreamStatus {
        standby: false,
        suspicion: String::new(),
        sid: Sid(sid),
        sending: true,
        next_msn: 5,
        next_pos: Pos {
            sid: Sid(sid),
            epoch: Epoch(7),
            sseq: 1,
            part: 0,
        },
        adm: 0,
        context_id: ContextId(9),
        complete: true,
        data: DataState::Good,
        reason: String::new(),
        pair: StreamPair {
            state: match active {
                true => PairState::Active,
                false => PairState::Synchronised,
            },
            protected: true,
            seamless: active && seamless,
            lacks_nothing: !active,
            ..StreamPair::default()
        },
    };
    AdapterStatus {
        transmit: twinfeed_control::TransmitMode::Hot,
        generation: assignment.generation,
        role: assignment.role,
        sync_threshold: 64,
        link,
        reason: String::new(),
        peer_lost: false,
        draining: false,
        streams: vec![stream(1), stream(2)],
        lines: Vec::new(),
        kernel_drops: 0,
        counters: BTreeMap::new(),
    }
}

pub(in crate::registry) fn report(
    registry: &mut Registry,
    leg: usize,
    incarnation: u64,
    link: LinkState,
    at: u64,
) {
    let now = assignment(registry, leg, incarnation, at);
    let renew = Renew {
        incarnation: Incarnation(incarnation),
        status: status(&now, link, true),
    };
    registry.renew(&ADAPTER, &id(leg), renew, Now(at)).unwrap();
}

pub(in crate::registry) fn assignment(
    registry: &Registry,
    leg: usize,
    incarnation: u64,
    at: u64,
) -> Assignment {
    let who = Incarnation(incarnation);
    registry
        .assignment(&ADAPTER, &id(leg), who, Now(at))
        .unwrap()
}

pub(in crate::registry) fn sit(
    registry: &mut Registry,
    role: Role,
    incarnation: u64,
    at: u64,
) -> Assignment {
    let offered = offer(role, incarnation);
    registry.register(&ADAPTER, offered, Now(at)).unwrap().0
}

/// Incarnations 1 and 2, protected under generation 1.
fn protected_with(takeover: TakeoverPolicy) -> Registry {
    let mut registry = started_with(Vec::new(), takeover);
    for (role, incarnation) in [(Role::Active, 1), (Role::Backup, 2)] {
        sit(&mut registry, role, incarnation, 0);
    }
    for leg in [0, 1] {
        report(&mut registry, leg, leg as u64 + 1, LinkState::Up, 0);
    }
    assert!(
        registry
            .feed(&feed())
            .unwrap()
            .pair_status(Now(0))
            .protected
    );
    registry
}

fn protected() -> Registry {
    protected_with(TakeoverPolicy::OnPeerLost)
}

pub(in crate::registry) fn order(
    registry: &mut Registry,
    key: &str,
    action: RoleAction,
    at: u64,
) -> Result<RoleChange, Problem> {
    let request = RoleOrder {
        key: key.to_owned(),
        feed: feed(),
        action,
        wait_ms: 0,
    };
    registry.order_roles("ops", request, Now(at))
}

pub(in crate::registry) fn hand_over(
    registry: &mut Registry,
    key: &str,
    at: u64,
) -> Result<RoleChange, Problem> {
    order(registry, key, RoleAction::HandOver { force: false }, at)
}

pub(in crate::registry) fn take(
    registry: &mut Registry,
    leg: usize,
    incarnation: u64,
    cause: TakeoverCause,
    at: u64,
) -> Result<Assignment, Problem> {
    let from = registry.feed(&feed()).unwrap().pair.generation();
    let request = TakeOver {
        incarnation: Incarnation(incarnation),
        from,
        cause,
    };
    registry
        .take_over(&ADAPTER, &id(leg), &request, Now(at))
        .map(|(assignment, _)| assignment)
}

/// What the driver does as time passes.
fn silence(registry: &mut Registry, at: u64) {
    registry.tick(Now(at));
    for name in registry.feeds_with_silent_actives(Now(at)) {
        registry.replace_silent_active(&name, Now(at));
    }
}

pub(in crate::registry) fn settled(registry: &Registry, number: u64) -> RoleOutcome {
    registry.role_change(&feed(), number).unwrap().outcome
}

pub(in crate::registry) fn refused(registry: &Registry, number: u64) -> String {
    match settled(registry, number) {
        RoleOutcome::Refused { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hand_over_is_shown_to_the_active_granted_once_and_remembered() {
    let mut registry = protected();
    let given = hand_over(&mut registry, "a", 1).unwrap();
    assert_eq!(
        (given.outcome.clone(), given.cause),
        (RoleOutcome::Pending, RoleCause::HandOver)
    );
    let told = assignment(&registry, 0, 1, 1).step_down.unwrap();
    assert_eq!((told.number, told.generation.0), (given.number, 1));
    assert_eq!(assignment(&registry, 1, 2, 1).step_down, None);
    assert_eq!(
        hand_over(&mut registry, "a", 2).unwrap(),
        given,
        "the same key"
    );
    let other = hand_over(&mut registry, "b", 2).unwrap_err();
    assert_eq!(other.code, ProblemCode::Conflict);
    assert!(other.message.contains("under way"), "{}", other.message);
    // Nobody else is granted it, nor the backup without its word.
    assert!(
        take(&mut registry, 0, 1, TakeoverCause::SteppedDown, 3)
            .is_ok_and(|it| it.generation.0 == 1)
    );
    let successor = take(&mut registry, 1, 2, TakeoverCause::SteppedDown, 3).unwrap();
    assert_eq!((successor.generation.0, successor.role), (2, Role::Active));
    let old = assignment(&registry, 0, 1, 3);
    assert_eq!(
        (old.generation.0, old.role, old.step_down),
        (2, Role::Backup, None)
    );
    // The old active keeps its seat.
    report(&mut registry, 0, 1, LinkState::Up, 4);
    let done = |seamless| RoleOutcome::Done {
        generation: Generation(2),
        seamless,
    };
    assert_eq!(settled(&registry, given.number), done(None));
    report(&mut registry, 1, 2, LinkState::Up, 4);
    assert_eq!(settled(&registry, given.number), done(Some(true)));
    assert!(
        registry
            .feed(&feed())
            .unwrap()
            .pair_status(Now(4))
            .protected
    );
    // And back, exactly once.
    let back = hand_over(&mut registry, "back", 5).unwrap();
    take(&mut registry, 0, 1, TakeoverCause::SteppedDown, 6).unwrap();
    let again = take(&mut registry, 1, 2, TakeoverCause::SteppedDown, 6).unwrap_err();
    assert_eq!(again.code, ProblemCode::Conflict);
    assert!(
        matches!(settled(&registry, back.number), RoleOutcome::Done { generation, .. } if generation.0 == 3)
    );
    assert_eq!(registry.counts()[0].takeovers, 2);
}

#[test]
fn a_hand_over_that_takes_too_long_is_given_up_and_grants_nothing_any_more() {
    for tick_first in [true, false] {
        let mut registry = protected();
        let given = hand_over(&mut registry, "a", 1).unwrap();
        registry.tick(Now(LIMIT));
        assert_eq!(settled(&registry, given.number), RoleOutcome::Pending);
        if tick_first {
            registry.tick(Now(1 + LIMIT));
        }
        let late = take(&mut registry, 1, 2, TakeoverCause::SteppedDown, 1 + LIMIT);
        assert_eq!(late.unwrap_err().code, ProblemCode::Conflict);
        assert!(refused(&registry, given.number).contains("within 50 ms"));
        assert_eq!(assignment(&registry, 0, 1, 60).step_down, None);
        assert_eq!(assignment(&registry, 0, 1, 60).generation.0, 1);
        // Its death is another matter.
        assert!(take(&mut registry, 1, 2, TakeoverCause::PeerGone, 60).is_ok());
    }
}

#[test]
fn a_hand_over_ends_when_another_generation_begins() {
    let mut registry = protected();
    let given = hand_over(&mut registry, "a", 1).unwrap();
    sit(&mut registry, Role::Backup, 3, 2);
    assert!(refused(&registry, given.number).contains("generation 2"));
    assert_eq!(assignment(&registry, 0, 1, 2).step_down, None);
}

#[test]
fn what_a_hand_over_lacks_is_named_and_force_takes_over() {
    let mut registry = protected();
    report(&mut registry, 1, 2, LinkState::Down, 1);
    let lacking = hand_over(&mut registry, "a", 2).unwrap_err();
    assert_eq!(lacking.code, ProblemCode::Conflict);
    assert!(
        lacking
            .message
            .contains("not protected: leg 1: pair link down"),
        "{}",
        lacking.message
    );
    assert!(lacking.remedy.contains("--force"));
    // Nothing was recorded: the same key may be used again.
    let forced = order(&mut registry, "a", RoleAction::HandOver { force: true }, 3).unwrap();
    assert_eq!((forced.cause, forced.from.0), (RoleCause::Forced, 1));
    assert!(
        matches!(forced.outcome, RoleOutcome::Done { generation, seamless: None } if generation.0 == 2)
    );
    assert_eq!(assignment(&registry, 1, 2, 3).role, Role::Active);
    // No active, nobody to step down.
    let mut registry = protected();
    let nobody = hand_over(&mut registry, "b", 1_000).unwrap_err();
    assert_eq!(nobody.code, ProblemCode::Unavailable);
}

#[test]
fn an_operator_takes_over_by_name_and_only_for_somebody_who_lives() {
    let mut registry = protected();
    let to = |leg| RoleAction::TakeOver {
        adapter: Some(id(leg)),
    };
    let already = order(&mut registry, "a", to(0), 1).unwrap_err();
    assert!(
        already.message.contains("active already"),
        "{}",
        already.message
    );
    let stranger = RoleAction::TakeOver {
        adapter: Some("itch.nobody".parse().unwrap()),
    };
    let unknown = order(&mut registry, "a", stranger, 1).unwrap_err();
    assert_eq!(unknown.code, ProblemCode::UnknownId);
    let done = order(&mut registry, "a", to(1), 2).unwrap();
    assert_eq!(
        done,
        order(&mut registry, "a", to(1), 3).unwrap(),
        "the same key"
    );
    let conflict = order(&mut registry, "a", to(0), 3).unwrap_err();
    assert!(conflict.message.contains("another order"));
    assert_eq!(assignment(&registry, 1, 2, 3).generation.0, 2);
    // The old one, which was alive, learns of it with its next renewal.
    let renew = Renew {
        incarnation: Incarnation(1),
        status: status(&assignment(&registry, 0, 1, 3), LinkState::Up, false),
    };
    let renewed = registry.renew(&ADAPTER, &id(0), renew, Now(4)).unwrap();
    assert_eq!((renewed.generation.0, renewed.role), (2, Role::Backup));
    let late = order(&mut registry, "b", to(0), 1_000).unwrap_err();
    assert_eq!(late.code, ProblemCode::Conflict);
    assert!(late.message.contains("lapsed"), "{}", late.message);
}

#[test]
fn automatic_takeovers_are_bounded_and_an_operators_are_not() {
    let mut registry = protected();
    let mut at = 1;
    for (leg, who) in [(1, 2), (0, 1)] {
        take(&mut registry, leg, who, TakeoverCause::PeerGone, at).unwrap();
        let (gone, role) = (1 - leg, [Role::Active, Role::Backup][1 - leg]);
        let incarnation = [1, 2][gone];
        sit(&mut registry, role, incarnation, at + 1);
        at += 2;
    }
    let generation = registry.feed(&feed()).unwrap().pair.generation();
    for again in 0..2 {
        let limited = take(&mut registry, 1, 2, TakeoverCause::PeerGone, at + again).unwrap_err();
        assert_eq!(limited.code, ProblemCode::LimitReached);
        assert!(limited.message.contains("limits.takeovers_per_minute"));
    }
    let history = registry.role_changes(&feed()).unwrap();
    let refusals = history
        .iter()
        .filter(|it| matches!(it.outcome, RoleOutcome::Refused { .. }));
    assert_eq!(refusals.count(), 1, "one in a row is told");
    assert_eq!(
        registry.feed(&feed()).unwrap().pair.generation(),
        generation
    );
    let forced = RoleAction::TakeOver { adapter: None };
    assert!(order(&mut registry, "ops", forced, at + 2).is_ok());
    // A minute later the first of them is over.
    let later = 60_001;
    sit(&mut registry, Role::Active, 1, later);
    sit(&mut registry, Role::Backup, 2, later);
    let backup = LegIndex::BOTH
        .into_iter()
        .find(|leg| registry.feed(&feed()).unwrap().pair.role(*leg) == Some(Role::Backup));
    let leg = backup.unwrap().index();
    assert!(
        take(
            &mut registry,
            leg,
            leg as u64 + 1,
            TakeoverCause::PeerGone,
            later
        )
        .is_ok()
    );
}

#[test]
fn a_pin_holds_against_everybody_but_an_operator() {
    let mut registry = protected();
    let pin = RoleAction::Pin { adapter: id(0) };
    order(&mut registry, "pin", pin, 1).unwrap();
    assert_eq!(registry.status(Now(1))[0].pair.pinned, Some(id(0)));
    let refused = take(&mut registry, 1, 2, TakeoverCause::PeerGone, 2).unwrap_err();
    assert_eq!(
        refused.code,
        ProblemCode::Unavailable,
        "asked again until the pin is gone"
    );
    assert!(refused.message.contains("pinned to adapter itch.active"));
    order(&mut registry, "unpin", RoleAction::Unpin, 3).unwrap();
    assert!(take(&mut registry, 1, 2, TakeoverCause::PeerGone, 4).is_ok());
    let mut registry = protected_with(TakeoverPolicy::Operator);
    let refused = take(&mut registry, 1, 2, TakeoverCause::PeerGone, 2).unwrap_err();
    assert_eq!(refused.code, ProblemCode::Conflict);
    assert!(refused.message.contains("takeover = \"operator\""));
}

/// The backup asks while the driver does: the refusal of each is told once, and no operator's key goes for it.
#[test]
fn two_causes_that_are_refused_in_turn_are_told_once_each() {
    let mut registry = protected_with(TakeoverPolicy::OnSilence);
    let pin = RoleAction::Pin { adapter: id(0) };
    let pinned = order(&mut registry, "pin", pin, 1).unwrap();
    // The active is silent from 0 on, its lease ends at 100.
    for at in (60..400).step_by(20) {
        report(&mut registry, 1, 2, LinkState::Down, at);
        let refused = take(&mut registry, 1, 2, TakeoverCause::PeerGone, at).unwrap_err();
        assert_eq!(refused.code, ProblemCode::Unavailable);
        silence(&mut registry, at);
    }
    let told: Vec<_> = registry
        .role_changes(&feed())
        .unwrap()
        .into_iter()
        .map(|it| (it.number, it.cause))
        .collect();
    assert_eq!(
        told,
        [
            (3, RoleCause::PeerSilent),
            (2, RoleCause::PeerGone),
            (pinned.number, RoleCause::Pin)
        ]
    );
    assert_eq!(registry.take_role_events().len(), 3, "audited as often");
    let again = order(
        &mut registry,
        "pin",
        RoleAction::Pin { adapter: id(0) },
        400,
    )
    .unwrap();
    assert_eq!(again, pinned, "the key is remembered");
    // What happened in between ends the row.
    order(
        &mut registry,
        "pin-again",
        RoleAction::Pin { adapter: id(0) },
        401,
    )
    .unwrap();
    silence(&mut registry, 402);
    let last = registry.role_changes(&feed()).unwrap().remove(0);
    assert_eq!((last.number, last.cause), (5, RoleCause::PeerSilent));
}

#[test]
fn a_silent_active_is_replaced_only_where_the_feed_says_so_and_by_a_backup_that_lacks_nothing() {
    use TakeoverPolicy::{OnPeerLost, OnSilence, Operator};
    for (policy, link, raised) in [
        (OnSilence, LinkState::Down, true),
        (OnSilence, LinkState::Up, false),
        (OnPeerLost, LinkState::Down, false),
        (Operator, LinkState::Down, false),
    ] {
        let mut registry = protected_with(policy);
        // The active is silent from 0 on, its lease ends at 100.
        report(&mut registry, 1, 2, link, 60);
        silence(&mut registry, 99);
        assert_eq!(
            assignment(&registry, 1, 2, 99).generation.0,
            1,
            "its lease is valid"
        );
        silence(&mut registry, 100);
        let backup = assignment(&registry, 1, 2, 100);
        assert_eq!(backup.generation.0 == 2, raised, "{policy} {link}");
        if raised {
            assert_eq!(backup.role, Role::Active);
            let last = registry.role_changes(&feed()).unwrap().remove(0);
            assert_eq!(
                (last.cause, last.by.as_str()),
                (RoleCause::PeerSilent, "itch.backup")
            );
            // Whoever was silent registers anew, as backup, and pre-empts nobody.
            let old = sit(&mut registry, Role::Active, 1, 101);
            assert_eq!((old.generation.0, old.role), (2, Role::Backup));
        }
    }
    let mut registry = protected_with(OnSilence);
    let mut renew = Renew {
        incarnation: Incarnation(2),
        status: status(&assignment(&registry, 1, 2, 60), LinkState::Down, false),
    };
    renew.status.streams[1].pair.lacks_nothing = false;
    registry.renew(&ADAPTER, &id(1), renew, Now(60)).unwrap();
    let reason = |at| {
        let feed = registry.feed(&feed()).unwrap();
        feed.pair_status(Now(at)).reason
    };
    assert!(!reason(99).contains("by itself"), "{}", reason(99));
    let why = "its backup does not take over by itself: it lacks what the active had said";
    assert!(reason(100).contains(why), "{}", reason(100));
    silence(&mut registry, 100);
    assert_eq!(assignment(&registry, 1, 2, 100).generation.0, 1);
}

#[test]
fn history_and_pin_outlive_a_restart_and_a_hand_over_does_not() {
    let mut registry = protected();
    let mut disk = BTreeMap::new();
    for key in 0..6 {
        let pin = RoleAction::Pin { adapter: id(0) };
        order(&mut registry, &key.to_string(), pin, 1).unwrap();
    }
    let given = hand_over(&mut registry, "a", 2).unwrap();
    saved(&mut registry, &mut disk);
    let mut registry = started(disk.into_values().collect());
    assert_eq!(registry.status(Now(0))[0].pair.pinned, Some(id(0)));
    let history = registry.role_changes(&feed()).unwrap();
    let numbers: Vec<_> = history.iter().map(|it| it.number).collect();
    assert_eq!(numbers, [7, 6, 5, 4], "the oldest went");
    assert!(refused(&registry, given.number).contains("restarted"));
    assert_eq!(assignment(&registry, 0, 1, 0).step_down, None);
    let known = hand_over(&mut registry, "a", 3).unwrap();
    assert_eq!(known.number, given.number, "the key is remembered");
}

#[derive(Clone, Debug)]
enum Step {
    HandOver(u8),
    TakeOver(bool),
    Ask(bool, bool),
    Restart(bool),
    Report(bool, bool),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..40u8).prop_map(Step::HandOver),
        1 => any::<bool>().prop_map(Step::TakeOver),
        3 => any::<(bool, bool)>().prop_map(|(leg, gone)| Step::Ask(leg, gone)),
        1 => any::<bool>().prop_map(Step::Restart),
        6 => any::<(bool, bool)>().prop_map(|(leg, up)| Step::Report(leg, up)),
        3 => (1..30u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever is ordered, asked and restarted: a hand-over is granted or given up, never both; the active is told of
    /// it exactly while it is pending; what is settled stays settled; and the history says how every generation began.
    #[test]
    fn a_hand_over_is_granted_or_given_up_and_never_both(steps in prop::collection::vec(step(), 1..120)) {
        let mut registry = protected_with(TakeoverPolicy::OnSilence);
        let (mut now, mut who) = (1, [1u64, 2]);
        let mut last = 2;
        let mut ended: BTreeMap<u64, RoleOutcome> = BTreeMap::new();
        for step in steps {
            let before = registry.feed(&feed()).unwrap().pair.generation();
            match step {
                Step::HandOver(key) => drop(hand_over(&mut registry, &key.to_string(), now)),
                Step::TakeOver(leg) => {
                    let adapter = Some(id(usize::from(leg)));
                    drop(order(&mut registry, &format!("t{now}"), RoleAction::TakeOver { adapter }, now));
                }
                Step::Ask(leg, gone) => {
                    let (leg, gone) = (usize::from(leg), if gone { TakeoverCause::PeerGone } else { TakeoverCause::SteppedDown });
                    let pending = registry.feed(&feed()).unwrap().handover;
                    let asked = take(&mut registry, leg, who[leg], gone, now);
                    let raised = asked.is_ok_and(|it| it.generation > before);
                    if raised && gone == TakeoverCause::SteppedDown {
                        let pending = pending.unwrap();
                        prop_assert!(Now(now) < pending.until && pending.to.index() == leg);
                        let granted = matches!(settled(&registry, pending.number), RoleOutcome::Done { .. });
                        prop_assert!(granted);
                    }
                }
                Step::Restart(leg) => {
                    last += 1;
                    let leg = usize::from(leg);
                    who[leg] = last;
                    let role = [Role::Active, Role::Backup][leg];
                    drop(registry.register(&ADAPTER, offer(role, last), Now(now)));
                }
                Step::Report(leg, up) => {
                    let leg = usize::from(leg);
                    let now_assigned = assignment(&registry, leg, who[leg], now);
                    let link = if up { LinkState::Up } else { LinkState::Down };
                    let renew = Renew {
                        incarnation: Incarnation(who[leg]),
                        status: status(&now_assigned, link, up),
                    };
                    if registry.renew(&ADAPTER, &id(leg), renew, Now(now)).is_err() {
                        let role = [Role::Active, Role::Backup][leg];
                        drop(registry.register(&ADAPTER, offer(role, who[leg]), Now(now)));
                    }
                }
                Step::Wait(ms) => {
                    now += ms;
                    silence(&mut registry, now);
                }
            }
            let known = registry.feed(&feed()).unwrap();
            let generation = known.pair.generation();
            prop_assert!(generation >= before);
            let pending: Vec<_> = known.roles.iter().filter(|it| it.outcome == RoleOutcome::Pending).collect();
            prop_assert_eq!(pending.len(), usize::from(known.handover.is_some()));
            for change in &known.roles {
                let same = |is: &RoleOutcome, was: &RoleOutcome| match (is, was) {
                    (RoleOutcome::Done { generation: is, .. }, RoleOutcome::Done { generation: was, .. }) => is == was,
                    (is, was) => is == was,
                };
                if change.outcome != RoleOutcome::Pending {
                    let was = ended.entry(change.number).or_insert_with(|| change.outcome.clone());
                    prop_assert!(same(&change.outcome, was), "{change:?} was {was:?}");
                }
            }
            if generation > before {
                let told = known.roles.iter().any(|it| matches!(it.outcome, RoleOutcome::Done { generation: of, .. } if of == generation));
                prop_assert!(told, "generation {generation} began for no reason");
            }
            for leg in LegIndex::BOTH {
                let shown = assignment(&registry, leg.index(), who[leg.index()], now).step_down;
                let expected = known_handover(&registry, leg);
                prop_assert_eq!(shown.map(|it| it.number), expected);
            }
        }
    }
}

fn known_handover(registry: &Registry, leg: LegIndex) -> Option<u64> {
    let known = registry.feed(&feed()).unwrap();
    let active = known.pair.role(leg) == Some(Role::Active);
    known.handover.filter(|_| active).map(|it| it.number)
}
