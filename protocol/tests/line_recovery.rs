//! What no line brought and a request server of the source has: is it asked for, taken in, and the rest given up?
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod line_support;

use std::collections::BTreeSet;
use std::time::Duration;

use line_support::{Notes, Told, limits, pass, run};
use proptest::prelude::*;
use twinfeed_protocol::{Line, LineAsk, LineLimits, Lines, Time, Way};
use twinfeed_wire::Epoch;

/// Epoch 7 under way on both lines, 1 and 2 delivered; then 3 and 4 are lost on both.
const HOLE: &str = "A 7 1 a b; B 7 1 a b; A 7 5 e; B 7 5 e";

struct Stage {
    lines: Lines,
    notes: Notes,
}

impl Stage {
    fn new(servers: &[Line]) -> Self {
        let mut lines = Lines::new(limits()).unwrap();
        for line in servers {
            lines.set_server(Way::Packets, *line, true);
        }
        Self {
            lines,
            notes: Notes::default(),
        }
    }

    /// With these servers of the session.
    fn and_sessions(mut self, servers: &[Line]) -> Self {
        for line in servers {
            self.lines.set_server(Way::Session, *line, true);
        }
        self
    }

    fn refuse(&mut self, server: (Way, Line), refused: bool) {
        let now = self.notes.now;
        self.lines.on_no_answer(server, now, refused);
        pass(&mut self.lines, &mut self.notes, now);
    }

    fn asked_by(&mut self) -> Option<(Way, Line, u64, u16)> {
        let ask = self.lines.poll_request()?;
        Some((ask.way, ask.line, ask.first, ask.count))
    }

    fn play(&mut self, script: &str) {
        run(&mut self.lines, &mut self.notes, script);
    }

    fn asked(&mut self) -> Option<(Line, u64, u16)> {
        let ask = self.lines.poll_request()?;
        assert_eq!(ask.epoch, Epoch(7));
        Some((ask.line, ask.first, ask.count))
    }

    fn answer(&mut self, line: Line, epoch: u64, first: u64, messages: &[&str]) {
        self.answer_by((Way::Packets, line), epoch, first, messages);
    }

    fn answer_by(&mut self, server: (Way, Line), epoch: u64, first: u64, messages: &[&str]) {
        let now = self.notes.now;
        let messages = messages.iter().map(|text| text.as_bytes());
        self.lines.on_answer(
            server,
            now,
            Epoch(epoch),
            first,
            messages,
            0,
            &mut self.notes,
        );
        pass(&mut self.lines, &mut self.notes, now);
    }

    /// What came since the last look.
    fn told(&mut self) -> String {
        let told = self.notes.told.drain(..).map(|(_, told)| told.to_string());
        told.collect::<Vec<_>>().join(", ")
    }
}

#[test]
fn a_hole_of_both_lines_is_asked_for_when_it_would_be_given_up() {
    let mut stage = Stage::new(&[Line::A]);
    stage.play(HOLE);
    stage.play("+1");
    assert_eq!(stage.asked(), None, "a line may still bring it");
    stage.told();
    stage.play("+1");
    assert_eq!(stage.asked(), Some((Line::A, 3, 2)));
    assert_eq!(stage.told(), "", "nothing is given up");
    stage.answer(Line::A, 7, 3, &["c", "d"]);
    assert_eq!(stage.told(), "3c, 4d, 5e");
    assert_eq!(stage.lines.counters().recovered, 2);
    assert_eq!(stage.lines.counters().gaps, 0);
    assert!(!stage.lines.is_asking());
    stage.play("+1000");
    assert_eq!(stage.asked(), None);
}

#[test]
fn the_next_epoch_waits_for_what_is_asked_for_of_this_one_while_there_is_room() {
    let begins = "A 8 1 x; B 8 1 x; +3; A 8 2 y; B 8 2 y; +3";
    let mut stage = Stage::new(&[Line::A]);
    stage.play(HOLE);
    stage.play("+2");
    assert_eq!(stage.asked(), Some((Line::A, 3, 2)));
    stage.told();
    stage.play(begins);
    assert_eq!(stage.told(), "", "3 and 4 may still come");
    stage.answer(Line::A, 7, 3, &["c", "d"]);
    let told = stage.told();
    assert!(told.starts_with("3c, 4d, 5e"), "{told}");
    assert!(told.ends_with("1x, 2y"), "{told}");
    assert_eq!(stage.lines.counters().gaps, 0);
    // Nobody answers, and no more of the next one than there is room for waits.
    for (more, waits) in [(0, "+2000"), (limits().held_messages, "+1")] {
        let mut stage = Stage::new(&[Line::A]);
        stage.play(HOLE);
        stage.play("+2");
        stage.play(begins);
        for number in 3..3 + more {
            stage.play(&format!("A 8 {number} z; B 8 {number} z"));
        }
        stage.play(waits);
        assert_eq!(stage.lines.epoch(), Some(Epoch(8)), "{more}");
        assert_eq!(stage.lines.counters().gaps, 1);
    }
}

/// While it is asked for the lines may speak of nothing but the next epoch.
#[test]
fn a_source_that_became_stale_while_its_end_was_asked_for_is_not_stale_in_the_next_epoch() {
    let mut stage = Stage::new(&[Line::A]);
    stage.lines = Lines::new(LineLimits {
        silence: Duration::from_millis(50),
        lag_hold: Duration::from_millis(20),
        ..limits()
    })
    .unwrap();
    stage.lines.set_server(Way::Packets, Line::A, true);
    stage.play("A 7 1 a b; B 7 1 a b; A 7 end 4; B 7 end 4; +2");
    assert_eq!(stage.asked(), Some((Line::A, 3, 1)));
    stage.told();
    stage.play("A 8 1 x; B 8 1 x; +60; A 8 2 y; B 8 2 y");
    assert_eq!(stage.told(), "stale");
    stage.answer(Line::A, 7, 3, &["c"]);
    stage.play("+3; A 8 hb 3; B 8 hb 3");
    let told = "3c, fresh, ended 7 at 4, begin 8 at 1 complete after 7, 1x, 2y";
    assert_eq!(stage.told(), told);
}

#[test]
fn an_answer_that_is_less_is_followed_by_a_request_for_the_rest() {
    let mut stage = Stage::new(&[Line::B]);
    stage.play(HOLE);
    stage.play("+2");
    assert_eq!(stage.asked(), Some((Line::B, 3, 2)));
    stage.told();
    stage.answer(Line::B, 7, 3, &["c"]);
    assert_eq!(stage.told(), "3c");
    assert_eq!(stage.asked(), Some((Line::B, 4, 1)));
    stage.answer(Line::B, 7, 4, &["d"]);
    assert_eq!(stage.told(), "4d, 5e");
}

#[test]
fn a_server_of_the_session_alone_is_asked_when_a_hole_would_be_given_up() {
    let mut stage = Stage::new(&[]).and_sessions(&[Line::B]);
    stage.play(HOLE);
    stage.play("+1");
    assert_eq!(stage.asked_by(), None, "a line may still bring it");
    stage.play("+1");
    assert_eq!(stage.asked_by(), Some((Way::Session, Line::B, 3, 2)));
    assert!(stage.lines.is_asking_by(Way::Session) && !stage.lines.is_asking_by(Way::Packets));
    stage.told();
    stage.answer_by((Way::Packets, Line::B), 7, 3, &["x"]);
    assert_eq!(stage.told(), "", "it was not asked in that way");
    stage.answer_by((Way::Session, Line::B), 7, 3, &["c", "d"]);
    assert_eq!(stage.told(), "3c, 4d, 5e");
    let counters = stage.lines.counters();
    assert_eq!((counters.recovered, counters.recovered_by_session), (0, 2));
    assert!(!stage.lines.is_asking());
}

#[test]
fn what_request_servers_have_not_got_is_asked_of_the_session_and_then_given_up() {
    let mut stage = Stage::new(&[Line::A]).and_sessions(&[Line::A, Line::B]);
    stage.play(HOLE);
    stage.play("+2");
    assert_eq!(stage.asked_by(), Some((Way::Packets, Line::A, 3, 2)));
    stage.told();
    let mut asked = None;
    for _ in 0..300 {
        stage.play("A 7 6 f; B 7 6 f; +1");
        asked = stage.asked_by().filter(|(way, ..)| *way == Way::Session);
        if asked.is_some() {
            break;
        }
    }
    assert_eq!(asked, Some((Way::Session, Line::A, 3, 2)));
    assert_eq!(stage.told(), "", "it waits for that");
    // One refuses: the other is asked at once. That one says nothing, and is asked again until the time is over.
    stage.refuse((Way::Session, Line::A), true);
    assert_eq!(stage.asked_by(), Some((Way::Session, Line::B, 3, 2)));
    let mut asked_again = false;
    for _ in 0..600 {
        if stage
            .notes
            .told
            .iter()
            .any(|(_, told)| matches!(told, Told::Abandoned(_)))
        {
            break;
        }
        stage.play("A 7 6 f; B 7 6 f; +1");
        if let Some((way, line, ..)) = stage.asked_by() {
            assert_eq!(
                (way, line),
                (Way::Session, Line::B),
                "who refused is left alone"
            );
            asked_again = true;
        }
    }
    assert!(asked_again);
    assert_eq!(stage.told(), "lost 3..5, 5e, 6f");
    // 2 ms of patience, 250 ms and 500 ms of asking.
    let ms = |ms| Time::ZERO.after(Duration::from_millis(ms));
    assert!(
        (ms(752)..=ms(760)).contains(&stage.notes.now),
        "{:?}",
        stage.notes.now
    );
    assert_eq!(stage.lines.requests(Way::Session).given_up, 1);
}

#[test]
fn an_answer_that_breaks_off_is_followed_by_the_other_server_for_the_rest() {
    let mut stage = Stage::new(&[]).and_sessions(&[Line::A, Line::B]);
    stage.play(HOLE);
    stage.play("+2");
    assert_eq!(stage.asked_by(), Some((Way::Session, Line::A, 3, 2)));
    stage.told();
    stage.answer_by((Way::Session, Line::A), 7, 3, &["c"]);
    assert_eq!(stage.told(), "3c");
    // Which one is asked for the rest is the rule of fills: who brought something may be asked again.
    let (way, line, first, count) = stage.asked_by().unwrap();
    assert_eq!((way, first, count), (Way::Session, 4, 1));
    stage.refuse((Way::Session, line), false);
    stage.play("+100");
    let (_, next, first, _) = stage.asked_by().unwrap();
    assert_eq!((next != line, first), (true, 4));
    stage.answer_by((Way::Session, next), 7, 4, &["d"]);
    assert_eq!(stage.told(), "4d, 5e");
}

#[test]
fn who_does_not_answer_is_followed_by_the_other_and_time_ends_it() {
    let mut stage = Stage::new(&[Line::A, Line::B]);
    stage.play(HOLE);
    stage.play("+2");
    assert_eq!(stage.asked(), Some((Line::A, 3, 2)));
    stage.play("+25");
    assert_eq!(stage.asked(), Some((Line::B, 3, 2)));
    stage.told();
    stage.play("A 7 6 f; B 7 6 f; +240");
    assert_eq!(stage.told(), "lost 3..5, 5e, 6f");
    assert!(stage.notes.now <= Time::ZERO.after(Duration::from_millis(270)));
    // What comes then is late.
    stage.answer(Line::A, 7, 3, &["c", "d"]);
    assert_eq!(stage.told(), "");
    assert_eq!(stage.lines.counters().unasked, 1);
}

#[test]
fn the_line_that_brings_it_after_all_ends_the_asking() {
    let mut stage = Stage::new(&[Line::A]);
    stage.play(HOLE);
    stage.play("+2; B 7 3 c d");
    assert!(!stage.lines.is_asking());
    assert_eq!(stage.lines.counters().gaps, 0);
    stage.play("A 7 7 g; B 7 7 g; +2");
    assert_eq!(stage.asked(), Some((Line::A, 6, 1)), "another hole");
}

#[test]
fn an_answer_says_nothing_but_what_was_asked_for() {
    for (what, epoch, first, messages) in [
        ("another epoch", 8, 3, &["c", "d"][..]),
        ("what is further on", 7, 9, &["i"]),
        ("what was delivered", 7, 1, &["x", "y"]),
        ("nothing", 7, 3, &[]),
        ("number 0", 7, 0, &["x"]),
        ("the end of numbers", 7, u64::MAX, &["x", "y"]),
    ] {
        let mut stage = Stage::new(&[Line::A]);
        stage.play(HOLE);
        stage.play("+2");
        let before = stage.lines.status(Line::A, stage.notes.now);
        stage.told();
        stage.answer(Line::A, epoch, first, messages);
        assert_eq!(stage.told(), "", "{what}");
        assert_eq!(stage.lines.counters().unasked, 1, "{what}");
        assert_eq!(
            stage.lines.status(Line::A, stage.notes.now),
            before,
            "{what}"
        );
        stage.play("A 7 6 f; B 7 6 f; +300");
        assert_eq!(stage.told(), "lost 3..5, 5e, 6f", "{what}");
    }
}

#[test]
fn a_full_hold_waits_for_nobody() {
    let mut stage = Stage::new(&[Line::A]);
    stage.play(HOLE);
    stage.play("+2");
    assert!(stage.asked().is_some());
    stage.told();
    // 16 numbers can be held beyond the next.
    stage.play("A 7 6 f g h i j k l m n o p q r s t");
    assert_eq!(stage.lines.counters().hold_full, 2);
    assert!(stage.told().starts_with("lost 3..4, lost 4..5, 5e, 6f"));
}

#[test]
fn a_lost_tail_is_asked_for_before_the_end_is_told() {
    let mut stage = Stage::new(&[Line::A]);
    stage.play("A 7 1 a b; B 7 1 a b; A 7 end 4; B 7 end 4; +2");
    assert_eq!(stage.asked(), Some((Line::A, 3, 1)));
    stage.told();
    stage.answer(Line::A, 7, 3, &["c"]);
    stage.play("+3000");
    assert_eq!(stage.told(), "3c, ended 7 at 4");
}

/// What a request server does with a request, by turns.
#[derive(Clone, Copy, Debug)]
enum Trick {
    Honest,
    Silent,
    One,
    Elsewhere,
    OtherEpoch,
    Nothing,
}

const TRICKS: [Trick; 6] = [
    Trick::Honest,
    Trick::Silent,
    Trick::One,
    Trick::Elsewhere,
    Trick::OtherEpoch,
    Trick::Nothing,
];

proptest! {
    /// The twin knows what was sent, what came on a line and what the honest server has.
    #[test]
    fn what_the_source_still_has_is_delivered_and_the_rest_given_up(
        lost in prop::collection::vec((prop::bool::weighted(0.3), prop::bool::weighted(0.3)), 10..120),
        honest in any::<bool>(),
        tricks in prop::collection::vec(prop::sample::select(&TRICKS[..]), 1..8),
        forgotten in prop::option::weighted(0.3, 0..40_u64),
        per_answer in 1..6_u64,
    ) {
        let mut limits = limits();
        (limits.held_messages, limits.held_bytes) = (1_024, 1 << 16);
        let mut lines = Lines::new(limits).unwrap();
        for line in Line::BOTH {
            lines.set_server(Way::Packets, line, true);
        }
        let honest = if honest { Line::A } else { Line::B };
        let mut notes = Notes::default();
        let body = |number: u64| number.to_be_bytes();
        let last = lost.len() as u64 + 1;
        let (mut came, mut turn) = (BTreeSet::from([1, last + 1]), 0);
        let mut serve = |lines: &mut Lines, notes: &mut Notes, ask: LineAsk| {
            turn += 1;
            let trick = match ask.line == honest {
                true => Trick::Honest,
                false => tricks[turn % tricks.len()],
            };
            let until = ask.first + u64::from(ask.count);
            let (epoch, range) = match trick {
                Trick::Honest => {
                    let first = ask.first.max(forgotten.unwrap_or(0));
                    (7, first..until.min(first + per_answer))
                }
                Trick::One => (7, ask.first..ask.first + 1),
                Trick::Silent => return,
                Trick::Elsewhere => (7, last + 100..last + 102),
                Trick::OtherEpoch => (8, ask.first..until),
                Trick::Nothing => (7, ask.first..ask.first),
            };
            let range = match epoch {
                7 => range.start.max(forgotten.unwrap_or(0))..range.end,
                _ => range,
            };
            if range.is_empty() && !matches!(trick, Trick::Nothing) {
                return;
            }
            let bodies: Vec<_> = range.clone().map(body).collect();
            let messages = bodies.iter().map(|it| &it[..]);
            lines.on_answer((ask.way, ask.line), notes.now, Epoch(epoch), range.start, messages, 0, notes);
        };
        for number in 1..=last + 1 {
            let known = number == 1 || number == last + 1;
            let (a, b) = if known { (false, false) } else { lost[number as usize - 2] };
            for (line, lost) in [(Line::A, a), (Line::B, b)] {
                let now = notes.now;
                if !lost {
                    came.insert(number);
                    let bytes = body(number);
                    lines.on_packet(line, now, Epoch(7), number, 1, [&bytes[..]].into_iter(), 0, &mut notes);
                }
            }
            if number % 5 == 0 {
                let until = notes.now.after(Duration::from_millis(1));
                pass(&mut lines, &mut notes, until);
            }
            while let Some(ask) = lines.poll_request() {
                serve(&mut lines, &mut notes, ask);
            }
        }
        for _ in 0..40_000 {
            let until = notes.now.after(Duration::from_millis(1));
            pass(&mut lines, &mut notes, until);
            while let Some(ask) = lines.poll_request() {
                serve(&mut lines, &mut notes, ask);
                let now = notes.now;
                pass(&mut lines, &mut notes, now);
            }
            if lines.held() == 0 {
                break;
            }
        }
        let (mut next, mut missing) = (1, Vec::new());
        for (_, told) in &notes.told {
            match told {
                Told::Message(number, bytes, _) => {
                    prop_assert_eq!(*number, next);
                    prop_assert_eq!(&bytes[..], &body(*number)[..]);
                    next += 1;
                }
                Told::Abandoned(range) => {
                    prop_assert_eq!(range.start, next);
                    missing.extend(range.clone());
                    next = range.end;
                }
                _ => {}
            }
        }
        prop_assert_eq!(next, last + 2, "up to the end");
        let reach = |number: &u64| came.contains(number) || *number >= forgotten.unwrap_or(0);
        let lost: Vec<u64> = (1..=last + 1).filter(|number| !reach(number)).collect();
        // Whoever is not honest may have given what the honest one has forgotten.
        let given = |number: &u64| !missing.contains(number);
        // What it has no more comes first, and time may be over before it was asked for the rest.
        let may_miss = |it: &u64| match forgotten {
            None => false,
            Some(_) => !came.contains(it),
        };
        prop_assert!(missing.iter().all(may_miss), "{:?} {:?}", missing, lost);
        prop_assert!(lost.iter().filter(|it| given(it)).count() == 0, "{:?} {:?}", missing, lost);
    }
}

#[test]
fn holes_that_are_due_together_wait_together() {
    let mut stage = Stage::new(&[Line::A, Line::B]);
    stage.play("A 7 1 a b; B 7 1 a b");
    for line in ["A", "B"] {
        stage.play(&format!("{line} 7 4 d; {line} 7 6 f; {line} 7 8 h"));
    }
    stage.play("+2");
    assert_eq!(
        stage.asked(),
        Some((Line::A, 3, 5)),
        "what is held between them, too"
    );
    stage.told();
    // Heartbeats go on, nobody answers.
    for _ in 0..25 {
        stage.play("A 7 hb 9; B 7 hb 9; +10");
        let _ = stage.asked();
    }
    assert_eq!(stage.told(), "lost 3..4, 4d, lost 5..6, 6f, lost 7..8, 8h");
}

#[test]
fn who_has_no_more_of_the_first_hole_is_asked_for_the_others() {
    let mut stage = Stage::new(&[Line::A]);
    stage.play("A 7 1 a b; B 7 1 a b");
    for line in ["A", "B"] {
        stage.play(&format!("{line} 7 4 d; {line} 7 6 f"));
    }
    stage.play("+2");
    assert_eq!(stage.asked(), Some((Line::A, 3, 3)));
    stage.play("+10");
    assert_eq!(stage.asked(), Some((Line::A, 5, 1)), "from there on");
    stage.told();
    stage.answer(Line::A, 7, 5, &["e"]);
    assert_eq!(stage.told(), "", "3 may still be had");
    stage.play("+260");
    assert_eq!(stage.told(), "lost 3..4, 4d, 5e, 6f");
}

#[test]
fn an_old_answer_does_not_end_the_request_at_hand() {
    let mut stage = Stage::new(&[Line::A, Line::B]);
    stage.play(HOLE);
    stage.play("+2");
    assert_eq!(stage.asked(), Some((Line::A, 3, 2)));
    stage.play("+10");
    assert_eq!(stage.asked(), Some((Line::B, 3, 2)));
    stage.answer(Line::A, 7, 3, &[]);
    assert_eq!(stage.asked(), None, "B's answer is waited for");
    stage.told();
    stage.answer(Line::A, 7, 3, &["c"]);
    assert_eq!(stage.told(), "3c", "late, and of use all the same");
    assert_eq!(stage.asked(), None);
    stage.answer(Line::B, 7, 3, &["c", "d"]);
    assert_eq!(stage.told(), "4d, 5e");
}

#[test]
fn what_was_asked_for_is_not_asked_for_in_a_numbering_that_begins_anew() {
    let mut stage = Stage::new(&[Line::A]);
    // Longer than a new numbering takes to be believed.
    let mut limits = limits();
    limits.recovery.repair_time = Duration::from_secs(60);
    limits.recovery.fill_attempts = u32::MAX;
    stage.lines = Lines::new(limits).unwrap();
    stage.lines.set_server(Way::Packets, Line::A, true);
    for packet in ["1 a b c d e f g h i j", "11 k l m n o p q r s t", "22 v"] {
        stage.play(&format!("A 7 {packet}; B 7 {packet}"));
    }
    stage.play("+2");
    assert_eq!(stage.asked(), Some((Line::A, 21, 1)));
    stage.play("A 7 1 A B; B 7 1 A B");
    for _ in 0..31 {
        // The server lives, and has nothing.
        stage.play("+100");
        stage.answer(Line::A, 7, 21, &[]);
    }
    assert!(stage.lines.is_asking());
    stage.play("A 7 3 C; B 7 3 C; A 7 5 E; B 7 5 E; +1");
    assert_eq!(stage.lines.counters().regressions, 1);
    let told = stage.told();
    assert!(told.contains("lost 21..22, 22v, "), "{told}");
    assert!(
        told.ends_with("begin 7 at 1 complete after 0, 1A, 2B, 3C"),
        "{told}"
    );
    // 4 is missing, and was not asked for yet.
    let before = stage.lines.counters().unasked;
    stage.answer(Line::A, 7, 4, &["d"]);
    assert_eq!(stage.told(), "");
    assert_eq!(stage.lines.counters().unasked, before + 1);
}
