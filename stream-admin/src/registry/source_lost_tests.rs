//! Which source is lost where, and who becomes active: one letter a report (see `stage`).

use twinfeed_control::{RoleAction, RoleChange, RoleOrder};

use super::super::stage::Stage;
use super::*;

/// A hold is two turns, a hand-over five, the rest between two hand-overs twenty.
fn stage() -> Stage {
    Stage::new(|settings| settings.source_hold_ms = 20)
}

fn history(stage: &Stage) -> Vec<RoleChange> {
    stage.registry.role_changes(&stage.feed()).unwrap()
}

/// The number of the hand-over that the active is told of.
fn under_way(stage: &Stage) -> Option<u64> {
    let legs = [stage.assignment(0), stage.assignment(1)];
    let told = legs.into_iter().find_map(|it| it.step_down);
    told.map(|order| order.number)
}

/// Plays and says after which turn a hand-over was first under way.
fn first_handover(stage: &mut Stage, active: &str, backup: &str) -> Option<usize> {
    let mut turns = active.chars().zip(backup.chars());
    turns.position(|(one, two)| {
        stage.turn([one, two]);
        under_way(stage).is_some()
    })
}

fn shown(stage: &Stage) -> (bool, String) {
    let pair = stage.registry.status(Now(stage.now)).remove(0).pair;
    if !pair.protected && !pair.source_lost.is_empty() {
        assert!(pair.reason.ends_with(&pair.source_lost), "{}", pair.reason);
    }
    (pair.protected, pair.source_lost)
}

fn order(stage: &mut Stage, action: RoleAction) {
    let order = RoleOrder {
        key: format!("key-{}", stage.now),
        feed: stage.feed(),
        action,
        wait_ms: 0,
    };
    let now = Now(stage.now);
    let _ = stage.registry.order_roles("ops", order, now).unwrap();
}

#[test]
fn an_active_that_lost_its_source_hands_over_to_a_backup_that_has_it() {
    // What the active says, what the backup says, the turn in which the hand-over begins, and what that shows.
    let table = "
        ggsssss   ggggggg   4  the active falls silent
        ggssggg   ggggggg   -  for less than a hold
        sssssgg   sggssss   -  the backup has it for less
        ggssssss  gggsssss  -  both fall silent, one after the other
        ggggggg   ggsssss   -  the backup falls silent
        ggsssss   iiiiiii   -  the backup has lost something, too
        ggsssss   gg-----   -  the backup is not there
        ggsssss   uuuuuuu   -  the backup has heard nothing
        ggeeeee   ggggggg   -  the session is over
        ggsssss   ggeeeee   -  at the backup it is over
        uuuuuuu   ggggggg   -  the active began in silence
        ggiiiii   ggggggg   -  their contexts differ: the active takes its past over from the backup
    ";
    for row in table.lines().filter(|row| !row.trim().is_empty()) {
        let mut words = row.split_whitespace();
        let [active, backup, turn] = [(); 3].map(|()| words.next().unwrap());
        let begun = first_handover(&mut stage(), active, backup);
        assert_eq!(begun, turn.parse().ok(), "{row}");
    }
}

#[test]
fn the_hand_over_is_stream_admins_and_is_in_the_history_with_its_cause() {
    let mut stage = stage();
    stage.play("ggsss", "ggggg");
    let number = under_way(&stage).unwrap();
    let begun = history(&stage).remove(0);
    assert_eq!((begun.number, begun.cause), (number, RoleCause::SourceLost));
    assert_eq!((begun.by.as_str(), begun.key.clone()), (BY_ITSELF, None));
    assert_eq!(begun.adapter, Some(stage.id(1)));
    assert_eq!(begun.outcome, RoleOutcome::Pending);
    let (_, text) = shown(&stage);
    assert!(
        text.contains(&format!("hand-over {number} is under way")),
        "{text}"
    );
    stage.take_over(1, false);
    let done = history(&stage).remove(0);
    assert_eq!((done.number, done.cause), (number, RoleCause::SourceLost));
    assert!(matches!(done.outcome, RoleOutcome::Done { generation, .. } if generation.0 == 2));
    // From there on it is the backup that has lost it.
    stage.play("sssss", "ggggg");
    assert_eq!(shown(&stage), (true, String::new()));
    assert_eq!(history(&stage).len(), 1);
    let counts = &stage.registry.counts()[0].role_changes;
    assert_eq!(counts.get(&(RoleCause::SourceLost, "done")), Some(&1));
}

#[test]
fn what_stands_against_it_is_shown_and_nothing_is_handed_over() {
    type Change = fn(&mut Stage);
    let pin: Change = |stage| {
        let adapter = stage.id(0);
        order(stage, RoleAction::Pin { adapter });
    };
    let policy = |takeover| {
        Stage::new(move |settings| {
            settings.source_hold_ms = 20;
            settings.takeover = takeover;
        })
    };
    let table: [(Stage, Change, [char; 2], bool, &str); 4] = [
        (
            policy(TakeoverPolicy::Operator),
            |_| {},
            ['s', 'g'],
            true,
            "takeover = \"operator\"",
        ),
        (
            policy(TakeoverPolicy::OnSilence),
            pin,
            ['s', 'g'],
            true,
            "pinned to itch.active",
        ),
        (
            stage(),
            |stage| stage.synchronised = false,
            ['s', 'g'],
            false,
            "is resyncing",
        ),
        (stage(), |_| {}, ['i', 'g'], false, "different contexts"),
    ];
    for (mut stage, change, says, protected, words) in table {
        stage.play("gg", "gg");
        change(&mut stage);
        for _ in 0..10 {
            stage.turn(says);
            assert_eq!(under_way(&stage), None, "{words}");
        }
        let (is_protected, text) = shown(&stage);
        assert_eq!(is_protected, protected, "{text}");
        assert!(
            text.contains(words) && text.starts_with("sid 1 is "),
            "{text}"
        );
        stage.turn(['g', 'g']);
        assert_eq!(shown(&stage).1, "", "{words}");
    }
}

#[test]
fn neither_has_everything_and_nobody_hands_over() {
    let mut stage = stage();
    for _ in 0..6 {
        stage.turn_of_both(['s', 'g'], ['g', 's']);
        assert_eq!(under_way(&stage), None);
    }
    assert!(
        shown(&stage)
            .1
            .contains("the backup lacks something of sid 2")
    );
}

#[test]
fn a_pin_is_told_once_in_a_row_and_without_it_the_role_is_handed_over() {
    let mut stage = stage();
    stage.play("gg", "gg");
    let adapter = stage.id(0);
    order(&mut stage, RoleAction::Pin { adapter });
    stage.stay(['s', 'g'], 500);
    let refused = |change: &&RoleChange| change.cause == RoleCause::SourceLost;
    let told = history(&stage);
    assert_eq!(told.iter().filter(refused).count(), 1, "{told:?}");
    assert!(
        matches!(&told[0].outcome, RoleOutcome::Refused { reason } if reason.contains("pinned")),
        "{told:?}"
    );
    order(&mut stage, RoleAction::Unpin);
    assert!(first_handover(&mut stage, "sss", "ggg").is_some());
}

#[test]
fn two_sources_that_flap_do_not_pass_the_role_to_and_fro() {
    let mut stage = stage();
    stage.play("ggsss", "ggggg");
    stage.take_over(1, false);
    let since = stage.now;
    // Now the other way round: leg 1 has lost it, leg 0 has it again.
    while under_way(&stage).is_none() {
        stage.turn(['g', 's']);
        assert!(stage.now < since + 1_000, "it rests, it does not give up");
        let (_, text) = shown(&stage);
        let waits = text.is_empty() || text.contains("ms to wait");
        assert!(waits || under_way(&stage).is_some(), "{text}");
    }
    assert_eq!(stage.now - since, 20 * HOLDS_OF_REST);
}

#[test]
fn a_hand_over_that_comes_to_nothing_is_tried_again_after_longer_and_longer_rests() {
    let mut stage = stage();
    stage.registry.settings.limits.takeovers_per_minute = 3;
    stage.play("gg", "gg");
    let mut begun: Vec<(u64, u64)> = Vec::new();
    while begun.len() < 3 {
        stage.turn(['s', 'g']);
        assert!(stage.now < 10_000, "{begun:?}");
        let number = under_way(&stage);
        if let Some(number) = number.filter(|it| begun.iter().all(|(known, _)| known != it)) {
            begun.push((number, stage.now));
        }
    }
    let between: Vec<u64> = begun.windows(2).map(|two| two[1].1 - two[0].1).collect();
    assert_eq!(between, [20 * HOLDS_OF_REST, 2 * 20 * HOLDS_OF_REST]);
    // The limit holds for attempts.
    stage.stay(['s', 'g'], 2_000);
    let last = history(&stage).remove(0);
    assert!(
        matches!(&last.outcome, RoleOutcome::Refused { reason } if reason.contains("within a minute")),
        "{last:?}"
    );
}
