//! Which faults are played to a handler?
//!
//! One file per scenario, and one word in the table below. A scenario composes a [`Score`]; what is owed follows from
//! what it put on which line. Every scenario ends with parcels without a fault, so that whatever a handler
//! made of the faults, it has something to be right about afterwards.

use twinfeed_exchange::LineId;

use super::score::{BOTH, Parcel, Score};

/// One scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name on the command line and in reports.
    pub name: &'static str,
    /// What is played, in a sentence's half.
    pub about: &'static str,
    /// The rows of the fault matrix that it plays (`docs/reliability.md`).
    pub matrix: &'static str,
    /// Number of its first message.
    pub first: u64,
    /// Whether the handler is started in its course.
    pub joins_late: bool,
    /// Writes it.
    pub compose: fn(&mut Score),
}

macro_rules! scenarios {
    ($($name:ident)*) => {
        $(mod $name;)*

        /// Every scenario, in the order in which they are played.
        pub const ALL: &[Scenario] = &[$($name::SCENARIO),*];
    };
}

scenarios! {
    clean
    gap_one_line
    gap_both_lines
    gap_at_the_tail
    duplicate
    reorder
    skew
    rollover
    rollover_unmarked
    sequence_reset
    line_silence
    silence
    end_of_session
    foreign
    old_session
    corrupt
    truncated
    count_lies
    absurd_sequence
    late_start
}

/// Packets that are broken on one line.
const ROUNDS: u32 = 24;

/// Packets that are `broken` on one line and whole on the other, which therefore delivers them; every sixth time one that is broken on
/// both: what that holds is delivered or declared. `notes`: of the one and of the other.
fn broken_packets(
    score: &mut Score,
    notes: [&'static str; 2],
    parcel: impl Fn(&mut Score) -> Parcel,
    broken: impl Fn(&mut Score, &Parcel, u32) -> Vec<u8>,
) {
    score.clean(10);
    for round in 0..ROUNDS {
        let line = LineId::ALL[score.dice.below(2) as usize];
        let other = LineId::ALL[1 - line.index()];
        let whole = parcel(score);
        let bytes = broken(score, &whole, round);
        score.send_broken(&[line], &whole, &bytes, notes[0]);
        score.send(&[other], &whole);
        if round % 6 == 5 {
            let lost = parcel(score);
            let bytes = broken(score, &lost, 0);
            score.send_broken(BOTH, &lost, &bytes, notes[1]);
        }
        let between = 1 + score.dice.below(3);
        score.clean(between);
    }
    score.clean(10);
}

/// The scenario called so.
#[must_use]
pub fn called(name: &str) -> Option<(usize, &'static Scenario)> {
    ALL.iter()
        .enumerate()
        .find(|(_, scenario)| scenario.name == name)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::score::{Script, SessionNames, Settings};
    use super::super::truth::{End, Fate};
    use super::*;

    fn composed(place: usize, seed: u64) -> Script {
        let settings = Settings {
            seed,
            rate: 2_000,
            skew: Duration::from_millis(20),
            silence: Duration::from_secs(1),
        };
        let names = SessionNames::new("C", seed, place as u64);
        let mut score = Score::starting_at(settings, names, ALL[place].first);
        (ALL[place].compose)(&mut score);
        score.finish()
    }

    #[test]
    fn names_are_unique_and_equal_seeds_send_equal_bytes_at_equal_times() {
        for (place, scenario) in ALL.iter().enumerate() {
            assert_eq!(called(scenario.name).map(|found| found.0), Some(place));
            let (one, again) = (composed(place, 5), composed(place, 5));
            assert_eq!(one.packets, again.packets, "{}", scenario.name);
            assert_eq!(one.prelude, again.prelude, "{}", scenario.name);
            assert_ne!(one.packets, composed(place, 6).packets, "{}", scenario.name);
        }
    }

    /// Whatever a scenario is about happens in it, for every seed, and its last message is owed.
    #[test]
    fn every_scenario_plays_its_fault() {
        for (place, scenario) in ALL.iter().enumerate() {
            for seed in 0..20 {
                let script = composed(place, seed);
                let truth = &script.truth;
                let lost = truth.count(Fate::Lost);
                let broken = truth.count(Fate::Broken);
                let ends = truth
                    .lives
                    .iter()
                    .filter(|life| life.end == End::Said)
                    .count();
                let shape = (
                    (lost > 0, broken > 0),
                    (truth.lives.len(), ends, truth.silences),
                );
                let expected = match scenario.name {
                    "gap-both-lines" | "gap-at-the-tail" => ((true, false), (1, 0, 0)),
                    "corrupt" | "truncated" | "count-lies" => ((false, true), (1, 0, 0)),
                    "rollover" => ((false, false), (3, 2, 0)),
                    "rollover-unmarked" => ((false, false), (2, 0, 0)),
                    "sequence-reset" => ((false, false), (2, 0, 0)),
                    "old-session" => ((false, false), (2, 1, 0)),
                    "end-of-session" => ((false, false), (1, 1, 0)),
                    "silence" => ((false, false), (1, 0, 1)),
                    _ => ((false, false), (1, 0, 0)),
                };
                assert_eq!(shape, expected, "{} seed {seed}", scenario.name);
                let tail = scenario.name == "gap-at-the-tail";
                let last = truth
                    .lives
                    .iter()
                    .rev()
                    .find_map(|life| life.messages.last());
                let last = last.map(|message| message.fate);
                assert_eq!(
                    last == Some(Fate::Owed),
                    !tail,
                    "{} seed {seed}",
                    scenario.name
                );
                assert!(
                    script.length() < Duration::from_secs(4),
                    "{}",
                    scenario.name
                );
            }
        }
    }
}
