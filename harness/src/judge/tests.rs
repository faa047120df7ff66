//! Does the judge see every way in which a promise can be broken?

use std::ops::Range;
use std::path::Path;

use twinfeed_control::Epoch;
use twinfeed_feed_adapter::decode::itch50;

use super::*;
use crate::probe::wire::Gap;
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
    let expected = sent.expect(&conversion(), delivered).unwrap();
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
fn all_is_well_when_everything_came_once() {
    let verdict = judged(|it| it.epochs[0].ended_before = Some(11));
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
        (|it| it.gaps.push(gap(it, 8..9)), "delivered all the same"),
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
    let elsewhere = |it: &Summary| Gap {
        epoch: Epoch(1),
        ..gap(it, 8..9)
    };
    for (gaps, declared, undeclared, belied) in [
        ((|_| vec![]) as fn(&Summary) -> Vec<Gap>, 0, 2, 0),
        (|it| vec![gap(it, 8..10)], 2, 0, 0),
        (|it| vec![gap(it, 8..9), gap(it, 9..10)], 2, 0, 0),
        (|it| vec![gap(it, 8..10), gap(it, 8..9)], 2, 0, 0),
        (|it| vec![gap(it, 8..9)], 1, 1, 0),
        (|it| vec![gap(it, 7..9)], 1, 1, 1),
        (|it| vec![gap(it, 10..12)], 0, 2, 1),
        (|it| vec![gap(it, 1..20)], 2, 0, 2),
    ] {
        let mut summary = seen(&sent, |sseq| !(8..10).contains(&sseq));
        summary.gaps = gaps(&summary);
        let verdict = judge(std::slice::from_ref(&sent), &conversion(), &summary).unwrap();
        let counts = (verdict.declared, verdict.undeclared, verdict.belied);
        assert_eq!(counts, (declared, undeclared, belied), "{:?}", summary.gaps);
        assert_eq!((verdict.lost, verdict.wrong_content), (2, 0));
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
