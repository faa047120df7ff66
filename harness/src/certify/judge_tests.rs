//! Does the judge see every way in which a handler can be wrong, and nothing else?

use std::time::Duration;

use twinfeed_exchange::SessionId;

use super::super::said::parse;
use super::super::scenario::ALL;
use super::super::score::{Score, Script, SessionNames, Settings};
use super::*;

const FIRST: &str = "C000000001";
const SECOND: &str = "C000000002";

fn life(number: u64, first: u64, fates: &[Fate], end: End) -> Life {
    let session = SessionId::numbered("C", number).unwrap();
    let messages = fates.iter().zip(first..).map(|(&fate, number)| Message {
        kind: b'A',
        timestamp: number * 10,
        fate,
    });
    Life {
        messages: messages.collect(),
        end,
        ..Life::new(session, first)
    }
}

/// Numbers 1 to 6, of which 3 and 4 are lost; then the session ends and another one has numbers 1 and 2.
fn truth() -> Truth {
    use Fate::{Lost, Owed};
    Truth {
        lives: vec![
            life(1, 1, &[Owed, Owed, Lost, Lost, Owed, Owed], End::Said),
            life(2, 1, &[Owed, Owed], End::Unsaid),
        ],
        silences: 0,
    }
}

/// What a right handler says of [`truth`].
const RIGHT: [&str; 11] = [
    "ready",
    "message,C000000001,1,A,10",
    "message,C000000001,2,A,20",
    "gap,C000000001,3,4",
    "message,C000000001,5,A,50",
    "message,C000000001,6,A,60",
    "end,C000000001,7",
    "reset,C000000002,1",
    "message,C000000002,1,A,10",
    "message,C000000002,2,A,20",
    "live",
];

fn judged_by(truth: &Truth, claims: Claims, lines: &[&str]) -> Verdict {
    let mut judge = Judge::new(truth, claims);
    for (line, number) in lines.iter().zip(1..) {
        match parse(line) {
            Ok(Some(said)) => judge.hear(number, &said),
            Ok(None) => {}
            Err(nonsense) => judge.hear_nonsense(number, &nonsense),
        }
    }
    judge.finish()
}

fn judged(lines: &[&str]) -> Verdict {
    judged_by(&truth(), Claims::ALL, lines)
}

/// [`RIGHT`] with the lines from `at` on, `out` of them, replaced.
fn with(at: usize, out: usize, lines: &[&'static str]) -> Vec<&'static str> {
    let mut all = RIGHT.to_vec();
    all.splice(at..at + out, lines.iter().copied());
    all
}

const PASS: Verdict = Verdict {
    delivery: Level::Pass,
    honesty: Level::Pass,
};

#[test]
fn what_is_right_passes_with_names_and_without() {
    assert_eq!(judged(&RIGHT), PASS);
    let short: Vec<String> = RIGHT
        .iter()
        .map(|line| line.replace(FIRST, "").replace(SECOND, ""))
        .collect();
    let short: Vec<&str> = short.iter().map(String::as_str).collect();
    assert_eq!(judged(&short), PASS);
    assert_eq!(
        judged(&with(3, 1, &["gap,,3,3", "gap,,4,4"])),
        PASS,
        "in pieces"
    );
    assert_eq!(
        judged(&with(2, 2, &["gap,,3,4", "message,,2,A"])),
        PASS,
        "early is in time"
    );
}

/// Which level each wrong word breaks, and what it is told.
#[test]
fn every_wrong_word_breaks_its_level_and_is_the_first_wrong_event() {
    const NEITHER: &str = "-";
    let table: Vec<(&str, Vec<&str>, [&str; 2])> = vec![
        (
            "a message is dropped and nothing said",
            with(2, 1, &[]),
            [
                "message 2 of C000000001",
                "message 2 of C000000001, or a gap over it",
            ],
        ),
        (
            "a message is dropped and declared",
            with(2, 2, &["gap,C000000001,2,4"]),
            ["message 2 of C000000001", NEITHER],
        ),
        (
            "twice",
            with(2, 0, &["message,,1,A,10"]),
            ["message 2 of C000000001", NEITHER],
        ),
        (
            "out of order",
            with(1, 2, &["message,,2,A,20", "message,,1,A,10"]),
            ["message 1 of C000000001", NEITHER],
        ),
        ("a hidden gap", with(3, 1, &[]), [NEITHER, "gap 3 to 4"]),
        (
            "half a gap",
            with(3, 1, &["gap,,3,3"]),
            [NEITHER, "gap 3 to 4"],
        ),
        (
            "the other half",
            with(3, 1, &["gap,,4,4"]),
            [NEITHER, "gap 3 to 4"],
        ),
        (
            "one too many behind",
            with(3, 1, &["gap,,3,5"]),
            [NEITHER, "nothing of 5, declared missing before"],
        ),
        (
            "one too many in front",
            with(3, 1, &["gap,,2,4"]),
            [NEITHER, "no gap over 2, which was delivered"],
        ),
        (
            "a gap too late",
            with(3, 2, &["message,,5,A,50", "gap,,3,4"]),
            [NEITHER, "gap 3 to 4"],
        ),
        (
            "a gap over what nobody sent",
            with(6, 0, &["gap,,7,9"]),
            [NEITHER, "end of C000000001"],
        ),
        (
            "a gap the wrong way round",
            with(3, 0, &["gap,,4,3"]),
            [NEITHER, "gap 3 to 4"],
        ),
        (
            "a message that no line carried",
            with(3, 1, &["message,,3,A,30", "gap,,4,4"]),
            ["gap 3 to 4", NEITHER],
        ),
        (
            "another type",
            with(2, 1, &["message,,2,D,20"]),
            ["message 2, type A, timestamp 20", NEITHER],
        ),
        (
            "another time",
            with(2, 1, &["message,,2,A,21"]),
            ["message 2, type A, timestamp 20", NEITHER],
        ),
        (
            "a foreign session",
            with(2, 0, &["message,X000000009,1,A,10"]),
            ["message 2 of C000000001", NEITHER],
        ),
        (
            "a number nobody sent",
            with(2, 0, &["message,C000000001,7,A"]),
            ["message 2 of C000000001", NEITHER],
        ),
        (
            "the session before again",
            with(9, 0, &["message,C000000001,6,A,60"]),
            ["message 2 of C000000002", NEITHER],
        ),
        (
            "no end",
            with(6, 1, &[]),
            [NEITHER, "end of C000000001, next 7"],
        ),
        (
            "an end elsewhere",
            with(6, 1, &["end,,6"]),
            [NEITHER, "end, next 7"],
        ),
        (
            "an end that no line said",
            with(10, 0, &["end,C000000002,3"]),
            [NEITHER, "nothing more of C000000002"],
        ),
        (
            "an end in front of the last message",
            with(5, 2, &["end,,7", "message,,6,A,60"]),
            ["message 6 of C000000001", NEITHER],
        ),
        (
            "no reset",
            with(7, 1, &[]),
            [NEITHER, "reset to C000000002"],
        ),
        (
            "a reset where nothing started afresh",
            with(2, 0, &["reset,C000000001,2"]),
            [NEITHER, "message 2 of C000000001"],
        ),
        (
            "a reset to a session that nobody began",
            with(2, 0, &["reset,X000000009,1"]),
            [NEITHER, "message 2 of C000000001"],
        ),
        (
            "nonsense",
            with(2, 0, &["INFO: joined"]),
            ["a record", NEITHER],
        ),
        (
            "the tail is missing",
            RIGHT[..9].to_vec(),
            [
                "message 2 of C000000002",
                "message 2 of C000000002, or a gap over it",
            ],
        ),
    ];
    for (what, lines, expected) in table {
        let verdict = judged(&lines);
        let told = [&verdict.delivery, &verdict.honesty].map(|level| match level {
            Level::Pass => NEITHER.to_owned(),
            Level::Fail(fault) => fault.expected.clone(),
            Level::NotApplicable { reason } => reason.clone(),
        });
        assert_eq!(told, expected, "{what}: {verdict:?}");
    }
}

#[test]
fn the_first_wrong_event_names_the_line_of_the_output() {
    let verdict = judged(&with(3, 1, &[]));
    let Level::Fail(fault) = verdict.honesty else {
        panic!("a hidden gap passes");
    };
    assert_eq!(
        (fault.line, fault.seen.as_str()),
        (4, "message 5 of C000000001")
    );
    let verdict = judged(&with(2, 2, &["gap,,2,4"]));
    let Level::Fail(fault) = verdict.delivery else {
        panic!("a loss passes");
    };
    assert_eq!((fault.line, fault.seen.as_str()), (3, "a gap over it"));
}

#[test]
fn what_came_broken_may_be_delivered_or_declared_but_not_neither() {
    use Fate::{Broken, Owed};
    let truth = Truth {
        lives: vec![life(1, 1, &[Owed, Broken, Owed], End::Unsaid)],
        silences: 0,
    };
    let said = |middle: &'static str| {
        judged_by(
            &truth,
            Claims::ALL,
            &["message,,1,A", middle, "message,,3,A"],
        )
    };
    assert_eq!(said("message,,2,A,20"), PASS);
    assert_eq!(said("gap,,2,2"), PASS);
    assert!(said("").honesty.is_failure());
    assert!(
        said("message,,2,A,7").delivery.is_failure(),
        "its content is its own"
    );
}

#[test]
fn a_late_handler_may_say_what_it_wants_of_before() {
    use Fate::{Before, Owed};
    let truth = Truth {
        lives: vec![life(1, 1, &[Before, Before, Owed], End::Unsaid)],
        silences: 0,
    };
    for lines in [
        vec!["message,,3,A"],
        vec!["gap,,1,2", "message,,3,A"],
        vec!["message,,2,A", "message,,3,A"],
        vec!["reset,C000000001,3", "message,,3,A"],
    ] {
        assert_eq!(judged_by(&truth, Claims::ALL, &lines), PASS, "{lines:?}");
    }
    assert!(judged_by(&truth, Claims::ALL, &[]).delivery.is_failure());
}

#[test]
fn a_session_that_begins_again_needs_a_reset_and_silence_a_word() {
    use Fate::Owed;
    let truth = Truth {
        lives: vec![
            life(1, 1_000, &[Owed], End::Unsaid),
            life(1, 1, &[Owed], End::Unsaid),
        ],
        silences: 1,
    };
    let right = [
        "message,,1000,A",
        "stale",
        "live",
        "reset,C000000001,1",
        "message,,1,A",
    ];
    assert_eq!(judged_by(&truth, Claims::ALL, &right), PASS);
    for missing in [1, 3] {
        let mut lines = right.to_vec();
        lines.remove(missing);
        assert!(
            judged_by(&truth, Claims::ALL, &lines).honesty.is_failure(),
            "{missing}"
        );
    }
}

#[test]
fn what_is_not_claimed_is_not_judged() {
    let silent: Vec<&str> = RIGHT
        .into_iter()
        .filter(|line| line.starts_with("message"))
        .collect();
    let honesty = |claims| judged_by(&truth(), claims, &silent).honesty;
    assert!(honesty(Claims::ALL).is_failure());
    let nothing = Level::NotApplicable {
        reason: "the handler claims to tell nothing".to_owned(),
    };
    assert_eq!(honesty(Claims::NONE), nothing);
    let stale = Claims {
        stale: true,
        ..Claims::NONE
    };
    let reason = "the handler does not claim to tell gaps, resets, ends".to_owned();
    assert_eq!(honesty(stale), Level::NotApplicable { reason });
    let verdict = judged_by(&truth(), Claims::NONE, &silent);
    assert_eq!(verdict.delivery, Level::Pass);
}

#[test]
fn it_is_over_when_nothing_is_owed_any_more() {
    let truth = truth();
    let mut judge = Judge::new(&truth, Claims::ALL);
    for (line, number) in RIGHT.iter().zip(1..) {
        assert!(!judge.is_satisfied() || number > 10, "{line}");
        if let Some(said) = parse(line).unwrap() {
            judge.hear(number, &said);
        }
    }
    assert!(judge.is_satisfied());
    let counts = judge.counts();
    assert_eq!(
        (counts.messages, counts.declared, counts.resets, counts.ends),
        (6, 2, 1, 1)
    );
}

/// What a handler without fault says of a script.
fn flawless(script: &Script) -> Vec<String> {
    let mut lines = vec!["ready".to_owned()];
    for (index, life) in script.truth.lives.iter().enumerate() {
        let name = &life.name;
        if index > 0 {
            lines.push(format!("reset,{name},{}", life.first));
        }
        for (from, to, fate) in life.runs() {
            match fate {
                Fate::Lost | Fate::Broken => lines.push(format!("gap,{name},{from},{to}")),
                Fate::Before => {}
                Fate::Owed => lines.extend((from..=to).map(|number| {
                    let message = life.message(number).unwrap();
                    let kind = char::from(message.kind);
                    format!("message,{name},{number},{kind},{}", message.timestamp)
                })),
            }
        }
        if life.end == End::Said {
            lines.push(format!("end,{name},{}", life.next()));
        }
    }
    lines.extend((0..script.truth.silences).map(|_| "stale".to_owned()));
    lines
}

/// Wrong handlers fail exactly the scenarios that they should, on exactly the levels that they should.
#[test]
fn a_wrong_handler_fails_what_it_should_and_nothing_else() {
    type Wrong = fn(Vec<String>) -> Vec<String>;
    let all = |_: &str| true;
    let with_gaps = |name: &str| {
        let names = [
            "gap-both-lines",
            "gap-at-the-tail",
            "corrupt",
            "truncated",
            "count-lies",
        ];
        names.contains(&name)
    };
    let with_ends = |name: &str| ["rollover", "old-session", "end-of-session"].contains(&name);
    let with_resets = |name: &str| {
        let names = [
            "rollover",
            "rollover-unmarked",
            "sequence-reset",
            "old-session",
        ];
        names.contains(&name)
    };
    let never = |_: &str| false;
    let silent = |name: &str| name == "silence";
    type Which<'a> = &'a dyn Fn(&str) -> bool;
    let table: Vec<(&str, Wrong, Which<'_>, Which<'_>)> = vec![
        ("is right", |lines| lines, &never, &never),
        ("drops a message", drops, &all, &all),
        ("delivers one twice", repeats, &all, &never),
        ("swaps two", swaps, &all, &never),
        ("hides gaps", hides, &never, &with_gaps),
        ("ends gaps too late", widens, &never, &with_gaps),
        ("ends gaps too early", narrows, &never, &with_gaps),
        ("delivers what was broken", invents, &with_gaps, &never),
        (
            "never ends",
            |lines| without(lines, "end,"),
            &never,
            &with_ends,
        ),
        (
            "never resets",
            |lines| without(lines, "reset,"),
            &never,
            &with_resets,
        ),
        (
            "is never stale",
            |lines| without(lines, "stale"),
            &never,
            &silent,
        ),
        ("resets of itself", resets, &never, &all),
    ];
    for (place, scenario) in ALL.iter().enumerate() {
        let settings = Settings {
            seed: 11,
            rate: 2_000,
            skew: Duration::from_millis(20),
            silence: Duration::from_secs(1),
        };
        let names = SessionNames::new("C", 11, place as u64 + 1);
        let mut score = Score::starting_at(settings, names, scenario.first);
        (scenario.compose)(&mut score);
        let script = score.finish();
        for (what, wrong, delivery, honesty) in &table {
            let lines = wrong(flawless(&script));
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let verdict = judged_by(&script.truth, Claims::ALL, &lines);
            let failed = (verdict.delivery.is_failure(), verdict.honesty.is_failure());
            let expected = (delivery(scenario.name), honesty(scenario.name));
            assert_eq!(failed, expected, "{what}, {}: {verdict:?}", scenario.name);
        }
    }
}

/// The place of the first message behind a few.
fn a_message(lines: &[String]) -> usize {
    let mut messages = (0..lines.len()).filter(|&at| lines[at].starts_with("message"));
    messages.nth(3).unwrap()
}

fn drops(mut lines: Vec<String>) -> Vec<String> {
    lines.remove(a_message(&lines));
    lines
}

fn repeats(mut lines: Vec<String>) -> Vec<String> {
    let at = a_message(&lines);
    lines.insert(at, lines[at].clone());
    lines
}

fn swaps(mut lines: Vec<String>) -> Vec<String> {
    let at = a_message(&lines);
    lines.swap(at, at - 1);
    lines
}

fn without(mut lines: Vec<String>, word: &str) -> Vec<String> {
    lines.retain(|line| !line.starts_with(word));
    lines
}

fn hides(lines: Vec<String>) -> Vec<String> {
    without(lines, "gap,")
}

fn resets(mut lines: Vec<String>) -> Vec<String> {
    let at = a_message(&lines);
    let fields: Vec<&str> = lines[at].split(',').collect();
    let reset = format!("reset,{},{}", fields[1], fields[2]);
    lines.insert(at, reset);
    lines
}

fn gaps(lines: Vec<String>, change: impl Fn(&str, u64, u64) -> Vec<String>) -> Vec<String> {
    let changed = |line: String| match line.strip_prefix("gap,") {
        None => vec![line],
        Some(rest) => {
            let fields: Vec<&str> = rest.split(',').collect();
            change(
                fields[0],
                fields[1].parse().unwrap(),
                fields[2].parse().unwrap(),
            )
        }
    };
    lines.into_iter().flat_map(changed).collect()
}

fn widens(lines: Vec<String>) -> Vec<String> {
    gaps(lines, |name, from, to| {
        vec![format!("gap,{name},{from},{}", to + 1)]
    })
}

fn narrows(lines: Vec<String>) -> Vec<String> {
    gaps(lines, |name, from, to| match from < to {
        true => vec![format!("gap,{name},{from},{}", to - 1)],
        false => Vec::new(),
    })
}

fn invents(lines: Vec<String>) -> Vec<String> {
    let wrong = |name: &str, number| format!("message,{name},{number},?,1");
    gaps(lines, |name, from, to| {
        (from..=to).map(|number| wrong(name, number)).collect()
    })
}
