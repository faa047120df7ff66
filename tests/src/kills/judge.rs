//! Did both subscribers see every message once, at one place?
//!
//! A message that the survivor had agreed to must be seen once by both, at one place, without a word of a break. Where it
//! had not, whoever saw something else than what the survivor counts on from must have been told.

use twinfeed_control::Policy;
use twinfeed_harness::probe::wire::{Administrative, Happened, Summary};

use super::Kill;
use super::case::Survivor;
use super::table::{Row, Seen};

/// What became of the messages, case by case.
pub(super) fn rows(policy: Policy, kills: &[Kill], seen: &[Summary; 2]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (index, kill) in kills.iter().enumerate() {
        let until_ns = kills.get(index + 1).map_or(u64::MAX, |next| next.from_ns);
        if !rows.iter().any(|row| row.case == kill.case) {
            rows.push(Row::new(kill.case, policy));
        }
        let Some(row) = rows.iter_mut().find(|row| row.case == kill.case) else {
            continue;
        };
        let mut broken = kill.broken.clone();
        let declared = [0, 1].map(|who| declared(&seen[who], kill.from_ns, until_ns));
        for (text, place) in &kill.plain {
            row.alone += u64::from(!place.agreed && *text != kill.after);
            let said = (place.generation.0, place.number, place.sseq);
            for who in [0, 1] {
                let places = places(&seen[who], text);
                let right = match places[..] {
                    [it] => (it.generation, it.number, it.sseq) == said,
                    // Placed alone, and lost on its way: declared.
                    [] => !place.agreed && !declared[who].is_empty(),
                    _ => false,
                };
                if !right {
                    let (name, declared) = (NAMES[who], &declared[who]);
                    broken.push(format!(
                        "{text} at {name}: {places:?}, placed at {place:?}, {declared:?} declared"
                    ));
                }
            }
        }
        for text in &kill.refused {
            row.refused += 1;
            let count = seen
                .iter()
                .map(|seen| places(seen, text).len())
                .sum::<usize>();
            if count > 0 {
                broken.push(format!("{text} was refused, and is in the stream"));
            }
        }
        let mut all = Seen::Once;
        for (offset, text) in (0..).zip(&kill.at_stake) {
            let number = kill.first + offset;
            let found = [0, 1].map(|who| places(&seen[who], text));
            let counted_on = kill.next > number;
            let alike = match found.each_ref().map(Vec::as_slice) {
                [[one], [other]] => is_same_place(one, other) && one.number == number,
                _ => false,
            };
            let agreed = kill.survivor == Survivor::Agreed;
            // It died with the active: nobody was told of it, and its number is another message's.
            let never = !agreed && !counted_on && found.iter().all(Vec::is_empty);
            all = match (alike, never) {
                (true, _) => all,
                (false, true) if all != Seen::Otherwise => Seen::Nowhere,
                _ => Seen::Otherwise,
            };
            row.seen_once += u64::from(alike);
            for who in [0, 1] {
                let count = found[who].len();
                let right = match count {
                    0 => !agreed && (!counted_on || !declared[who].is_empty()),
                    1 => alike || !agreed && declared.iter().any(|told| !told.is_empty()),
                    _ => false,
                };
                let told = counted_on || count == 0 || !declared[who].is_empty();
                if !right || !told {
                    let (name, found) = (NAMES[who], &found[who]);
                    let declared = &declared[who];
                    broken.push(format!(
                        "{text} at {name}: {found:?}, {declared:?} declared; {} follows",
                        kill.next
                    ));
                }
            }
        }
        let breaks = declared.iter().any(|told| !told.is_empty());
        let alone = kill
            .plain
            .iter()
            .any(|(text, place)| !place.agreed && *text != kill.after);
        let lacks = kill.survivor == Survivor::Lacks;
        if breaks && !alone && !lacks && !row.case.may_break() {
            broken.push(format!("kill {}: {declared:?} declared", kill.number));
        }
        row.take_kill(kill, all, breaks, broken);
    }
    rows
}

fn places<'a>(seen: &'a Summary, text: &str) -> Vec<&'a Administrative> {
    seen.administrative
        .iter()
        .filter(|it| it.text == text)
        .collect()
}

fn is_same_place(one: &Administrative, other: &Administrative) -> bool {
    let place = |it: &Administrative| {
        let Administrative {
            sid,
            epoch,
            sseq,
            part,
            generation,
            number,
            ..
        } = *it;
        (sid, epoch, sseq, part, generation, number)
    };
    place(one) == place(other)
}

/// Breaks and administrative gaps that a subscriber was told of in this time.
fn declared(seen: &Summary, from_ns: u64, until_ns: u64) -> Vec<&Happened> {
    let told = |it: &&Happened| {
        let within = (from_ns..until_ns).contains(&it.at_ns);
        let at = |at_ns: u64| at_ns == it.at_ns;
        let broke = seen.breaks.iter().any(|it| at(it.at_ns));
        within && (broke || it.what == "administrative_gap")
    };
    seen.events.iter().filter(told).collect()
}

const NAMES: [&str; 2] = ["the first subscriber", "the second subscriber"];

#[cfg(test)]
mod tests {
    use twinfeed_control::{Generation, MessagePlace};
    use twinfeed_harness::probe::wire::Break;

    use super::super::case::{CASES, Case};
    use super::*;

    fn case(plan: &str) -> Case {
        let mut cases = CASES.into_iter();
        cases.find(|case| case.plan == plan).unwrap()
    }

    /// Message 4 was at stake, and `next` follows it.
    fn kill(plan: &str, next: u64) -> Kill {
        Kill {
            at_stake: vec!["x".to_owned()],
            first: 4,
            next,
            ..Kill::new(0, case(plan), 100)
        }
    }

    fn message(text: &str, number: u64, sseq: u64) -> Administrative {
        Administrative {
            number,
            sseq,
            generation: 1,
            text: text.to_owned(),
            ..Administrative::default()
        }
    }

    fn told(at_ns: u64) -> Summary {
        let what = "discontinuity".to_owned();
        let detail = String::new();
        Summary {
            events: vec![Happened {
                at_ns,
                what,
                detail,
            }],
            breaks: vec![Break {
                at_ns,
                sid: 1,
                epoch: twinfeed_control::Epoch(7),
                sseq: 1,
                complete: true,
                cause: "administrative".to_owned(),
            }],
            ..Summary::default()
        }
    }

    fn seen(messages: &[(u64, u64)], break_at: Option<u64>) -> Summary {
        Summary {
            administrative: messages
                .iter()
                .map(|&(number, sseq)| message("x", number, sseq))
                .collect(),
            ..break_at.map_or_else(Summary::default, told)
        }
    }

    fn is_broken(kill: Kill, seen: &[Summary; 2]) -> bool {
        let rows = rows(Policy::FirstArrival, &[kill], seen);
        assert_eq!((rows.len(), rows[0].kills), (1, 1));
        !rows[0].broken.is_empty()
    }

    #[test]
    fn a_message_that_the_survivor_agreed_to_is_seen_once_by_both_at_one_place_and_nothing_else() {
        let once: &[(u64, u64)] = &[(4, 9)];
        for (first, second, break_at, broken) in [
            (once, once, None, false),
            (once, &[], None, true),
            (&[], &[], None, true),
            (once, &[(4, 10)], None, true),
            (&[(5, 9)], &[(5, 9)], None, true),
            (once, &[(4, 9), (4, 9)], None, true),
            (once, once, Some(100), true),
            // Told before anything was ordered.
            (once, once, Some(99), false),
        ] {
            let seen = [seen(first, break_at), seen(second, None)];
            let said = is_broken(kill("sent", 5), &seen);
            assert_eq!(said, broken, "{first:?} {second:?} {break_at:?}");
        }
    }

    #[test]
    fn whoever_saw_a_message_that_the_survivor_lacks_is_told() {
        let once: &[(u64, u64)] = &[(4, 9)];
        let (told, untold) = (Some(200), None);
        for (first, second, breaks, broken) in [
            (once, once, [told, told], false),
            (once, once, [told, untold], true),
            (once, &[][..], [told, untold], false),
            (once, &[], [untold, told], true),
            (once, &[], [untold, untold], true),
            (&[(4, 9), (4, 9)], once, [told, told], true),
        ] {
            let seen = [seen(first, breaks[0]), seen(second, breaks[1])];
            let said = is_broken(kill("unheard", 4), &seen);
            assert_eq!(said, broken, "{first:?} {second:?} {breaks:?}");
        }
    }

    #[test]
    fn a_message_that_is_nowhere_proves_nothing() {
        let seen = [seen(&[], None), seen(&[], None)];
        let rows = rows(Policy::FirstArrival, &[kill("unheard", 4)], &seen);
        assert_eq!((rows[0].unsent, rows[0].broken.len()), (1, 0));
        assert!(is_broken(kill("unheard", 5), &seen), "counted on");
    }

    #[test]
    fn another_message_stands_where_its_adapter_says_unless_no_backup_agreed() {
        let place = MessagePlace {
            generation: Generation(1),
            number: 3,
            slot: 20,
            processed: 5,
            sseq: 8,
            attempts: 1,
            agreed: true,
        };
        let late = MessagePlace {
            agreed: false,
            ..place
        };
        for (place, there, break_at, broken) in [
            (place, Some(8), None, false),
            (place, Some(7), None, true),
            (place, None, None, true),
            (late, Some(8), None, false),
            (late, None, None, true),
            (late, None, Some(150), false),
        ] {
            let mut both = [seen(&[(4, 9)], break_at), seen(&[(4, 9)], break_at)];
            for seen in &mut both {
                let other = there.map(|sseq| message("plain", 3, sseq));
                seen.administrative.extend(other);
            }
            let kill = Kill {
                plain: vec![("plain".to_owned(), place)],
                ..kill("sent", 5)
            };
            assert_eq!(
                is_broken(kill, &both),
                broken,
                "{place:?} {there:?} {break_at:?}"
            );
        }
    }

    #[test]
    fn a_refused_order_is_in_no_stream() {
        for (refused, broken) in [("y", false), ("x", true)] {
            let kill = Kill {
                refused: vec![refused.to_owned()],
                ..kill("sent", 5)
            };
            let both = [seen(&[(4, 9)], None), seen(&[(4, 9)], None)];
            assert_eq!(is_broken(kill, &both), broken, "{refused}");
        }
    }
}
