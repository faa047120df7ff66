//! Does the judge see every way in which a promise can be broken?

use std::ops::Range;
use std::path::Path;

use twinfeed_control::Epoch;
use twinfeed_feed_adapter::decode::itch50;

use super::*;
use crate::probe::wire::{Gap, Torn};
use crate::truth::sessions;

fn conversion() -> Conversion {
    let settings = itch50::Settings {
        publisher_id: 2,
        max_open_orders: 64,
    };
    Conversion {
        day: "2019-12-30".parse().unwrap(),
        settings,
    }
}

/// One session of four system events, numbers 7 to 10, as an exchange writes it down.
fn sent(directory: &Path) -> Sent {
    let truth = directory.join("truth.jsonl");
    let line = r#"{"session":"S000000001","first":7,"count":4,"digest":"0"}"#;
    std::fs::write(&truth, line).unwrap();
    let mut file = Vec::new();
    for code in *b"OSQM" {
        file.extend([0, 12, b'S', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, code]);
    }
    std::fs::write(directory.join("S000000001.itch"), file).unwrap();
    let mut sent = sessions(&truth, directory, &conversion().day).unwrap();
    sent.remove(0)
}

/// What a probe says that got every number for which `delivered` holds, in order.
fn seen(sent: &Sent, delivered: impl Fn(u64) -> bool + Copy) -> Summary {
    let expected = sent
        .expect(&conversion(), |sseq| delivered(sseq).into())
        .unwrap();
    let got = || (7..11).filter(|&sseq| delivered(sseq));
    let (first, next) = (got().min().unwrap(), got().max().unwrap() + 1);
    let absent = (first..next).filter(|&sseq| !delivered(sseq));
    Summary {
        duplicates_dropped: 1,
        epochs: vec![Epochs {
            epoch: sent.epoch,
            first,
            next,
            records: expected.records,
            messages: expected.messages,
            digest: expected.digest,
            absent: absent.map(|sseq| [sseq, sseq + 1]).collect(),
            ended_before: Some(11),
            ..Epochs::default()
        }],
        ..Summary::default()
    }
}

fn judged(change: impl FnOnce(&mut Summary)) -> Verdict {
    let directory = tempfile::tempdir().unwrap();
    let sent = sent(directory.path());
    let mut summary = seen(&sent, |_| true);
    change(&mut summary);
    judge(&[sent], &conversion(), &summary).unwrap()
}

fn gap(seen: &Summary, numbers: Range<u64>) -> Gap {
    Gap {
        at_ns: 0,
        sid: 1,
        epoch: seen.epochs[0].epoch,
        from: numbers.start,
        until: numbers.end,
        cause: "lost_on_every_leg".to_owned(),
    }
}

#[test]
fn a_message_that_a_gap_tore_is_lost_and_declared_and_its_pieces_are_content() {
    let directory = tempfile::tempdir().unwrap();
    let sent = sent(directory.path());
    for (told, lost, undeclared) in [(true, 1, 0), (false, 1, 1)] {
        let mut summary = seen(&sent, |sseq| sseq != 8);
        summary.epochs[0].absent.clear();
        // None of its parts is among the pieces.
        let piece = Torn {
            sseq: 8,
            parts: [9, 10],
        };
        summary.epochs[0].torn = vec![piece];
        if told {
            summary.gaps = vec![gap(&summary, 8..9)];
        }
        let verdict = judge(std::slice::from_ref(&sent), &conversion(), &summary).unwrap();
        assert_eq!((verdict.lost, verdict.undeclared), (lost, undeclared));
        assert_eq!((verdict.belied, verdict.false_gaps), (0, 0));
        assert_eq!((verdict.wrong_content, verdict.partial_gaps), (0, 0));
    }
}

/// In an epoch that nobody sent.
fn elsewhere(seen: &Summary) -> Gap {
    Gap {
        epoch: Epoch(1),
        ..gap(seen, 8..9)
    }
}

#[test]
fn all_is_well_when_everything_came_once() {
    let verdict = judged(|_| {});
    assert_eq!(verdict.broken(), Vec::<String>::new());
    assert_eq!((verdict.messages, verdict.lost), (4, 0));
    assert_eq!(verdict.sessions[0].content_equal, Some(true));
}

#[test]
fn every_broken_promise_is_named() {
    for (change, word) in [
        (
            (|it| it.epochs[0].duplicates = 1) as fn(&mut Summary),
            "twice",
        ),
        (|it| it.epochs[0].order_violations = 1, "out of order"),
        (|it| it.epochs[0].digest = Epoch(1), "wrong content"),
        (|it| it.epochs[0].records += 1, "wrong content"),
        (|it| it.epochs[0].epoch = Epoch(1), "lost"),
        (|it| it.epochs[0].epoch = Epoch(1), "nobody sent"),
        (|it| it.epochs.clear(), "lost"),
        (|it| it.epochs.clear(), "without a declared gap"),
        (|it| it.epochs.clear(), "could not be compared"),
        (
            |it| it.epochs[0].absent_dropped = 1,
            "could not be compared",
        ),
        (
            |it| it.epochs[0].ended_before = Some(10),
            "said to have ended",
        ),
        (
            |it| it.epochs[0].ended_before = Some(12),
            "said to have ended",
        ),
        (
            |it| it.epochs[0].ended_before = None,
            "were not said to have",
        ),
        (|it| it.epochs.clear(), "were not said to have"),
        (|it| it.gaps.push(gap(it, 8..9)), "delivered all the same"),
        (|it| it.gaps.push(gap(it, 8..9)), "name nothing lost"),
        (|it| it.gaps.push(gap(it, 11..12)), "name nothing lost"),
        (|it| it.gaps.push(gap(it, 3..7)), "name nothing lost"),
        (|it| it.gaps.push(elsewhere(it)), "name nothing lost"),
        (
            |it| it.administrative_gaps = 1,
            "administrative messages declared missing",
        ),
        (|it| it.divergences = 1, "divergences"),
        (|it| it.duplicates_dropped = 0, "no duplicate was dropped"),
    ] {
        let broken = judged(change).broken();
        assert!(
            broken.iter().any(|text| text.contains(word)),
            "{word}: {broken:?}"
        );
    }
}

#[test]
fn what_is_missing_is_lost_wherever_it_stood_and_the_rest_is_still_compared() {
    let directory = tempfile::tempdir().unwrap();
    let sent = sent(directory.path());
    for missing in [7, 8, 10] {
        let summary = seen(&sent, |sseq| sseq != missing);
        let verdict = judge(std::slice::from_ref(&sent), &conversion(), &summary).unwrap();
        assert_eq!((verdict.lost, verdict.declared), (1, 0), "{missing}");
        assert_eq!(verdict.wrong_content, 0, "{missing}");
    }
}

#[test]
fn what_nobody_sent_does_not_make_up_for_what_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let sent = sent(directory.path());
    let mut summary = seen(&sent, |sseq| sseq != 8);
    let epoch = &mut summary.epochs[0];
    epoch.next += 1;
    epoch.messages += 1;
    epoch.records += 1;
    let verdict = judge(&[sent], &conversion(), &summary).unwrap();
    assert_eq!((verdict.lost, verdict.undeclared), (1, 1));
}

#[test]
fn a_message_that_came_in_part_is_lost() {
    let verdict = judged(|it| it.epochs[0].messages -= 1);
    assert_eq!((verdict.lost, verdict.undeclared), (1, 1));
}

#[test]
fn rows_of_losses_are_told_apart_by_what_was_delivered_between_them() {
    // Numbers 4 and 5 become nothing: they neither end a row nor make a gap true.
    for (messages, partial) in [
        (&[(3, false, true), (6, false, false)][..], 1),
        (&[(3, false, true), (6, false, true)], 0),
        (&[(3, false, true), (6, true, false), (7, false, false)], 0),
        (
            &[
                (3, false, false),
                (6, false, true),
                (7, true, false),
                (8, false, true),
                (9, false, false),
            ],
            2,
        ),
    ] {
        let mut losses = Losses::default();
        for &(sseq, there, told) in messages {
            losses.message(sseq, there, told);
        }
        let losses = losses.end();
        assert_eq!(losses.partial, partial, "{messages:?}");
        assert!(losses.any_in(3..4) && !losses.any_in(4..6) && !losses.any_in(10..20));
    }
}

#[test]
fn a_declared_loss_is_a_loss() {
    let directory = tempfile::tempdir().unwrap();
    let sent = sent(directory.path());
    let mut summary = seen(&sent, |sseq| sseq != 8);
    summary.gaps.push(gap(&summary, 8..9));
    let verdict = judge(&[sent], &conversion(), &summary).unwrap();
    assert_eq!((verdict.lost, verdict.declared, verdict.gaps), (1, 1, 1));
    assert_eq!(verdict.broken(), ["1 source messages lost"]);
}

#[test]
fn a_gap_declares_its_own_numbers_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let sent = sent(directory.path());
    // Lost are 8 and 9 of 7 to 10: gaps; declared, undeclared, belied; false, partial.
    for (gaps, numbers, whole) in [
        ((|_| vec![]) as fn(&Summary) -> Vec<Gap>, (0, 2, 0), (0, 0)),
        (|it| vec![gap(it, 8..10)], (2, 0, 0), (0, 0)),
        (|it| vec![gap(it, 8..9), gap(it, 9..10)], (2, 0, 0), (0, 0)),
        (|it| vec![gap(it, 8..10), gap(it, 8..9)], (2, 0, 0), (0, 0)),
        (|it| vec![gap(it, 8..9)], (1, 1, 0), (0, 1)),
        (|it| vec![gap(it, 9..10)], (1, 1, 0), (0, 1)),
        (|it| vec![gap(it, 7..9)], (1, 1, 1), (0, 1)),
        (|it| vec![gap(it, 8..11)], (2, 0, 1), (0, 0)),
        (
            |it| vec![gap(it, 8..10), gap(it, 10..11)],
            (2, 0, 1),
            (1, 0),
        ),
        (|it| vec![gap(it, 10..12)], (0, 2, 1), (1, 0)),
        (|it| vec![gap(it, 8..12)], (2, 0, 1), (1, 0)),
        (|it| vec![gap(it, 1..20)], (2, 0, 2), (1, 0)),
    ] {
        let mut summary = seen(&sent, |sseq| !(8..10).contains(&sseq));
        summary.gaps = gaps(&summary);
        let verdict = judge(std::slice::from_ref(&sent), &conversion(), &summary).unwrap();
        let counts = (verdict.declared, verdict.undeclared, verdict.belied);
        assert_eq!(counts, numbers, "{:?}", summary.gaps);
        let counts = (verdict.false_gaps, verdict.partial_gaps);
        assert_eq!(counts, whole, "{:?}", summary.gaps);
        assert_eq!((verdict.lost, verdict.wrong_content), (2, 0));
        let named = verdict.broken().concat();
        assert_eq!(named.contains(FALSE_GAPS), whole.0 > 0, "{named}");
        assert_eq!(named.contains(PARTIAL_GAPS), whole.1 > 0, "{named}");
    }
    for (gaps, declared) in [
        (vec![elsewhere as fn(&Summary) -> Gap], 0),
        (vec![|it| gap(it, 1..2), |it| gap(it, 8..9)], 1),
    ] {
        let mut summary = seen(&sent, |sseq| sseq != 8);
        summary.gaps = gaps.iter().map(|gap| gap(&summary)).collect();
        let verdict = judge(std::slice::from_ref(&sent), &conversion(), &summary).unwrap();
        let counts = (verdict.declared, verdict.undeclared, verdict.belied);
        assert_eq!(counts, (declared, 1 - declared, 0), "{:?}", summary.gaps);
    }
}

#[test]
fn ranges_that_were_left_out_are_neither_compared_nor_belied() {
    let directory = tempfile::tempdir().unwrap();
    let sent = sent(directory.path());
    let mut summary = seen(&sent, |sseq| sseq != 8);
    summary.gaps = vec![gap(&summary, 8..9)];
    let epoch = &mut summary.epochs[0];
    (epoch.absent, epoch.absent_dropped) = (Vec::new(), 1);
    let verdict = judge(&[sent], &conversion(), &summary).unwrap();
    assert_eq!((verdict.lost, verdict.declared, verdict.belied), (1, 1, 0));
    assert_eq!((verdict.false_gaps, verdict.partial_gaps), (0, 0));
    assert_eq!((verdict.uncompared, verdict.wrong_content), (1, 0));
}

#[test]
fn who_joins_late_is_owed_what_came_after() {
    let directory = tempfile::tempdir().unwrap();
    let sent = sent(directory.path());
    let summary = seen(&sent, |sseq| sseq >= 9);
    let verdict = judge_late(std::slice::from_ref(&sent), &conversion(), &summary).unwrap();
    assert_eq!(
        (verdict.messages, verdict.lost, verdict.wrong_content),
        (2, 0, 0)
    );
    let strict = judge(&[sent], &conversion(), &summary).unwrap();
    assert_eq!((strict.messages, strict.lost), (4, 2));
}
