//! Who says what of a source, and what is told: one letter a report, one a message (see `stage`).

use super::super::stage::{Answer, Stage, placed_at};
use super::*;

/// A hold is two turns: three equal reports in a row, or two legs that say the same in three.
fn stage() -> Stage {
    Stage::new(|settings| settings.source_hold_ms = 20)
}

fn kinds(stage: &Stage) -> Vec<(String, &'static str)> {
    let orders = stage.registry.orders(&stage.feed()).unwrap();
    let kind = |order: &OrderRecord| (order.operator.clone(), order.message.word());
    orders.iter().rev().map(kind).collect()
}

/// An operator's own word about sid 1.
fn operator_says(stage: &mut Stage, message: OrderedMessage) {
    let order = Order {
        key: format!("ops-{}", stage.now),
        feed: stage.feed(),
        sid: Sid(1),
        message,
        wait_ms: 0,
    };
    stage.registry.order("ops", order, Now(stage.now)).unwrap();
}

#[test]
fn what_both_legs_say_decides_what_is_told() {
    // What the active says, what the backup says, what is told, and what that shows.
    let table = "
        ggsssggg    ggsssggg    ....S..R    both fall silent and speak again
        sssssggg    sssssggg    ..S....R    silent from the first report on
        ggssgggg    ggssgggg    ........    for less than a hold
        ggsssssggg  gggsssssgg  .....S...R  the hold begins with the later one
        ggssssss    gggggggg    ........    one alone: that is its leg's status
        gggggggg    ggssssss    ........    the other alone, too
        ggssggssgg  ggggssggss  ..........  in turn is not together
        ggsssggg    ggssssss    ....S..R    one that hears it restores it
        ggssssss    ggsssggg    ....S..R    the backup that hears it, too
        ggsssggsss  ggsssggsss  ....S.....  heard for less than a hold
        ggsssiii    ggssssss    ....S..R    an incomplete leg hears
        ggssssss    gg------    ........    alone nobody calls it stale
        ggssssggg   ggsss----   ....S...R   alone one calls it restored
        ggeeeeee    ggeeeeee    ........    the end of a session
        ggssssss    ggeeeeee    ........    the end, heard by one leg
        ggsssseee   ggsssseee   ....S....   silence, then the end
        ggssseeggg  ggssseeggg  ....S....R  silence, the end, a new session
        uuuuuuuu    uuuuuuuu    ........    nothing was heard yet
        xxxxxxxx    xxxxxxxx    ........    refused before it opened
        ggssssss    xxxxxxxx    ........    refused by one before it opened
        gggggggg    uuuuuuuu    ........    one began in silence
        ggssssss    gguuuuuu    ........    a restarted leg has heard nothing
    ";
    for row in table.lines().filter(|row| !row.trim().is_empty()) {
        let mut words = row.split_whitespace();
        let [active, backup, told] = [(); 3].map(|()| words.next().unwrap());
        assert_eq!(stage().play(active, backup), told, "{row}");
    }
}

#[test]
fn each_source_has_its_own_words_and_numbers() {
    let mut stage = stage();
    for _ in 0..4 {
        stage.turn_of_both(['s', 's'], ['g', 's']);
    }
    assert_eq!(stage.adm, [1, 0]);
    for _ in 0..4 {
        stage.turn_of_both(['s', 's'], ['s', 's']);
    }
    assert_eq!(stage.adm, [1, 1]);
    let by_itself = |word| (BY_ITSELF.to_owned(), word);
    assert_eq!(
        kinds(&stage),
        [by_itself("source-stale"), by_itself("source-stale")]
    );
    let orders = stage.registry.orders(&stage.feed()).unwrap();
    assert_eq!(orders.iter().map(|it| it.sid.0).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(orders[1].key, format!("{BY_ITSELF}.1"));
    assert_eq!(stage.registry.take_order_events().len(), 2);
}

#[test]
fn a_feed_that_does_not_want_it_tells_nothing() {
    let mut stage = Stage::new(|settings| settings.source_reports = false);
    assert_eq!(stage.play("ggssssss", "ggssssss"), "........");
}

#[test]
fn a_source_that_flaps_is_told_of_so_often_within_a_minute_and_then_as_it_stands() {
    let mut stage = stage();
    let flap = "ssssgggg";
    // Four are the limit of this registry.
    assert_eq!(stage.play(flap, flap), "..S...R.");
    assert_eq!(stage.play(flap, flap), "..S...R.");
    for _ in 0..3 {
        assert_eq!(stage.play(flap, flap), "........");
    }
    assert_eq!(
        stage.counted("stale", "held-back"),
        1,
        "once, until something is told again"
    );
    // It stands still, and the first of the four was at 30 ms.
    stage.step = 50;
    assert_eq!(stage.stay(['s', 's'], 60_000), [(60_050, 'S')]);
    assert_eq!(
        (
            stage.counted("stale", "placed"),
            stage.counted("restored", "placed")
        ),
        (3, 2)
    );
}

#[test]
fn what_is_refused_is_ordered_again_after_longer_and_longer_pauses() {
    let mut stage = stage();
    (stage.answer, stage.step) = (Answer::Refused, 50);
    stage.stay(['s', 's'], 8_000);
    // At once, and 1, 2 and 4 s after the refusal before.
    assert_eq!(kinds(&stage).len(), 4);
    assert_eq!(stage.counted("stale", "not-placed"), 4);
    stage.answer = Answer::Placed;
    assert_eq!(stage.stay(['s', 's'], 20_000).len(), 1, "and placed once");
    assert_eq!(stage.stay(['g', 'g'], 1_000).len(), 1);
}

#[test]
fn one_that_is_on_its_way_is_waited_for_whatever_the_source_does_meanwhile() {
    let mut stage = stage();
    stage.answer = Answer::Silence;
    assert_eq!(stage.play("sssssggggg", "sssssggggg"), "..........");
    assert_eq!(kinds(&stage).len(), 1);
    stage.answer = Answer::Placed;
    // Its own word first, for it may stand in the stream by now; then the truth.
    assert_eq!(stage.play("ggg", "ggg"), "SR.");
}

/// Another generation begins before the active has said what became of *stale*.
#[test]
fn what_a_takeover_leaves_unknown_is_known_by_what_the_next_active_inherited() {
    // how many messages the new active inherited, how often *stale* is told under it
    for (inherited, again) in [(1, 0), (0, 1)] {
        let mut stage = stage();
        stage.answer = Answer::Silence;
        stage.play("sss", "sss");
        // It was placed, and the adapter's word of it is lost.
        stage.adm[0] = inherited;
        stage.take_over(1, true);
        let feed = stage.feed();
        let known = stage.registry.order_by_ticket(&feed, 1).unwrap();
        assert!(
            matches!(known.outcome, OrderOutcome::Unknown { .. }),
            "{known:?}"
        );
        stage.answer = Answer::Placed;
        let told = stage.play("ssssss", "ssssss");
        assert_eq!(told.matches('S').count(), again, "{inherited}: {told}");
        let told = stage.play("gggggg", "gggggg");
        assert_eq!(told.matches('R').count(), 1, "{inherited}: {told}");
    }
}

#[test]
fn nothing_is_told_before_the_next_active_says_how_it_counts() {
    let mut stage = stage();
    stage.answer = Answer::Silence;
    stage.play("sss", "sss");
    stage.take_over(1, true);
    // Leg 1 is active now and says nothing.
    let now = stage.now;
    let registry = &mut stage.registry;
    assert!(registry.feeds_with_source_news(Now(now + 10)).is_empty());
}

#[test]
fn what_the_old_active_placed_alone_is_told_again_and_a_late_word_of_it_changes_nothing() {
    let mut stage = stage();
    stage.answer = Answer::Silence;
    stage.play("sss", "sss");
    let generation = stage.assignment(0).generation;
    stage.take_over(1, true);
    // Placed as number 0 of generation 1, which generation 2 does not inherit.
    stage.say(0, 1, placed_at(generation, 0));
    stage.answer = Answer::Placed;
    assert_eq!(stage.play("ssss", "ssss").matches('S').count(), 1);
    assert_eq!(stage.play("gggg", "gggg").matches('R').count(), 1);
}

#[test]
fn what_was_told_and_is_not_inherited_is_taken_back() {
    let mut stage = stage();
    assert_eq!(stage.play("sssss", "sssss"), "..S..");
    // The new active never heard of it.
    stage.adm[0] = 0;
    stage.take_over(1, true);
    // Nobody is told that something is restored which nobody knows to be stale.
    assert_eq!(stage.play("gggggg", "gggggg"), "......");
    assert_eq!(stage.play("ssss", "ssss"), "..S.");
}

#[test]
fn an_inherited_word_holds_over_takeovers_and_restarts() {
    let mut stage = stage();
    assert_eq!(stage.play("sssss", "sssss"), "..S..");
    stage.take_over(1, true);
    assert_eq!(stage.play("ssss", "ssss"), "....");
    stage.restart();
    assert_eq!(stage.play("ssss", "ssss"), "....", "never two in a row");
    stage.restart();
    assert_eq!(stage.play("gggg", "gggg"), "..R.");
    stage.restart();
    assert_eq!(stage.play("gggg", "gggg"), "....");
}

#[test]
fn an_order_on_its_way_is_waited_for_over_a_restart() {
    let mut stage = stage();
    stage.answer = Answer::Silence;
    stage.play("sss", "sss");
    stage.restart();
    assert_eq!(stage.play("ssss", "ssss"), "....");
    assert_eq!(kinds(&stage).len(), 1);
    stage.answer = Answer::Placed;
    assert_eq!(stage.play("ssgggg", "ssgggg"), "S...R.");
}

#[test]
fn an_operators_word_counts_and_is_contradicted_only_once_the_adapters_had_agreed() {
    let mut stage = stage();
    stage.play("gggg", "gggg");
    operator_says(&mut stage, OrderedMessage::SourceStale);
    assert_eq!(
        stage.play("ggggg", "ggggg"),
        "S....",
        "nobody contradicts it"
    );
    assert_eq!(
        stage.play("ssssgggg", "ssssgggg"),
        "......R.",
        "nor repeats it"
    );
    assert_eq!(stage.play("ssss", "ssss"), "..S.");
    // Other messages are none of these words.
    let text = "half day".to_owned();
    operator_says(&mut stage, OrderedMessage::OperatorNotice { text });
    assert_eq!(stage.play("gggg", "gggg"), "n.R.");
}

#[test]
fn messages_wait_while_the_generation_is_handed_over() {
    let mut stage = stage();
    stage.play("gg", "gg");
    let order = twinfeed_control::RoleOrder {
        key: "over".to_owned(),
        feed: stage.feed(),
        action: twinfeed_control::RoleAction::HandOver { force: false },
        wait_ms: 0,
    };
    stage
        .registry
        .order_roles("ops", order, Now(stage.now))
        .unwrap();
    assert_eq!(stage.play("sss", "sss"), "...");
    stage.take_over(1, false);
    assert_eq!(stage.play("sssss", "sssss").matches('S').count(), 1);
    assert_eq!(kinds(&stage).len(), 1, "it was not even ordered before");
}

#[test]
fn an_adapter_that_was_away_for_longer_than_a_lease_begins_anew() {
    let mut stage = stage();
    stage.play("ss", "ss");
    // The registry's leases are 100 ms.
    stage.now += 200;
    assert_eq!(
        stage.play("ss", "ss"),
        "..",
        "its silence in between is no word"
    );
    assert_eq!(stage.play("s", "s"), "S");
}
