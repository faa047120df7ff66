//! A generation that passes from an active that lives, and one whose active hears too late that it is over: two
//! ends on one thread, every message of the link delivered when the case says so.
#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

mod pair_support;

use pair_support::{Act, End, acts, at, carry, misplaced, pair, seamless, synchronised, talk};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use twinfeed_protocol::pair::{News, PairLimits, PairState, Reason, Refusal, Said};
use twinfeed_wire::{AdminKind, Generation};

/// What the driver does: the word is said behind everything else, and heard there.
fn say_step_down(tick: u64, [active, backup]: &mut [End; 2]) {
    assert!(active.pair.is_drained(&active.sequencer));
    carry(tick, 0, active, backup);
    backup.hear_all(tick);
    let generation = active.pair.generation();
    active.pair.stepped_down();
    backup
        .pair
        .on_stepped_down(at(tick), generation, &mut backup.sequencer, &mut backup.out);
    backup.settle(tick);
}

fn say_go_on(tick: u64, [active, backup]: &mut [End; 2]) {
    assert!(active.pair.go_on());
    carry(tick, 0, active, backup);
    backup.hear_all(tick);
    let generation = active.pair.generation();
    backup
        .pair
        .on_went_on(at(tick), generation, &mut backup.sequencer, &mut backup.out);
    backup.settle(tick);
}

fn refusal(end: &mut End, tick: u64) -> Option<Refusal> {
    end.pair
        .originate(
            at(tick),
            AdminKind::OperatorNotice,
            b"x",
            &mut end.sequencer,
            &mut end.out,
        )
        .err()
}

fn wishes(end: &End) -> usize {
    let wish = |news: &&News| **news == News::WantsGeneration;
    end.out.news.iter().filter(wish).count()
}

/// Every message was placed once by each end that numbered it, and at the same place.
fn agree(ends: &[End; 2]) {
    let wrong = misplaced(&ends[0], &ends[1]);
    assert!(wrong.is_empty(), "{wrong:?}");
    for end in ends {
        assert!(end.out.placed.values().all(|places| places.len() == 1));
    }
}

#[test]
fn a_generation_is_handed_over_with_what_waits_and_handed_back() {
    for (ahead, behind) in [(60, 40), (40, 60), (50, 50)] {
        let acts = acts(600);
        let mut ends = synchronised(PairLimits::default(), &acts, 40);
        assert!(ends[0].originate(2));
        talk(2, &mut ends);
        let mut tick = 3;
        for (from, to, generation) in [(0, 1, 2), (1, 0, 3)] {
            assert!(ends[from].pair.step_down());
            assert_eq!(refusal(&mut ends[from], tick), Some(Refusal::SteppingDown));
            assert!(
                !ends[from].pair.is_drained(&ends[from].sequencer),
                "it waits for its slot"
            );
            // Further than the slot at the one and not at the other, if they are apart.
            ends[0].work(tick, &acts, ahead - 40);
            ends[1].work(tick, &acts, behind - 40);
            talk(tick, &mut ends);
            let level = ends[0].done.max(ends[1].done) + 20;
            for end in &mut ends {
                let count = level - end.done;
                end.work(tick + 1_500, &acts, count);
            }
            talk(tick + 1_500, &mut ends);
            tick += 1_500;
            if from == 1 {
                ends.swap(0, 1);
            }
            say_step_down(tick, &mut ends);
            if from == 1 {
                ends.swap(0, 1);
            }
            assert_eq!(ends[to].state(), PairState::TakingOver);
            assert!(ends[to].pair.was_handed_over());
            // Meanwhile the active goes on with its data and its reports, and nobody doubts.
            ends[from].work(tick + 2_000, &acts, 7);
            talk(tick + 2_000, &mut ends);
            assert_eq!(ends[to].state(), PairState::TakingOver);
            assert_eq!(ends[from].state(), PairState::Active);
            ends[to].grant(tick + 2_001, generation, true);
            assert_eq!(seamless(&ends[to]), Some(true));
            ends[from].grant(tick + 2_002, generation, false);
            talk(tick + 2_002, &mut ends);
            assert_eq!(ends[from].state(), PairState::Synchronised);
            assert!(ends.iter().all(End::is_protected));
            assert!(ends[to].originate(tick + 2_003));
            talk(tick + 2_003, &mut ends);
            tick += 2_004;
        }
        for end in &mut ends {
            end.work(tick, &acts, 600);
        }
        talk(tick, &mut ends);
        agree(&ends);
        let numbers: Vec<_> = ends[0].out.placed.keys().copied().collect();
        assert_eq!(numbers, [0, 1, 2], "{ahead} {behind}");
        assert!(ends.iter().all(End::is_protected));
        assert_eq!(ends.each_ref().map(wishes), [1, 1], "one wish for each");
    }
}

#[test]
fn who_steps_down_waits_for_every_answer_and_for_a_peer_in_step() {
    let acts = acts(200);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    assert!(ends[0].originate(2));
    assert!(ends[0].pair.step_down());
    assert!(
        !ends[0].pair.is_drained(&ends[0].sequencer),
        "no answer yet"
    );
    talk(2, &mut ends);
    assert!(
        !ends[0].pair.is_drained(&ends[0].sequencer),
        "agreed to, and placed by nobody"
    );
    ends[0].work(3, &acts, 30);
    talk(3, &mut ends);
    assert_eq!(ends[0].sequencer.armed(), 0);
    assert!(
        !ends[0].pair.is_drained(&ends[0].sequencer),
        "placed by one"
    );
    ends[1].work(2_000, &acts, 30);
    talk(2_000, &mut ends);
    assert!(ends[0].pair.is_drained(&ends[0].sequencer));
    ends[0].link_down(2_001, false);
    assert!(
        !ends[0].pair.is_drained(&ends[0].sequencer),
        "nobody is there"
    );
    assert!(!ends[1].pair.step_down(), "it is not active");
}

#[test]
fn a_word_that_the_link_may_have_lost_is_said_again() {
    let acts = acts(200);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    assert!(ends[0].pair.step_down());
    say_step_down(2, &mut ends);
    assert!(!ends[0].pair.is_draining());
    for end in &mut ends {
        end.link_down(3, false);
        end.link_up(4);
    }
    assert!(ends[0].pair.is_draining());
    assert!(!ends[1].pair.was_handed_over());
    ends[0].work(2_000, &acts, 1);
    ends[1].work(2_000, &acts, 1);
    talk(2_000, &mut ends);
    assert_eq!(
        (ends[1].state(), ends[1].pair.reason()),
        (PairState::Unsynchronised, Reason::Alive),
        "it may have gone on and said so to nobody"
    );
    ends[1].settle(20_000);
    talk(20_000, &mut ends);
    assert_eq!(ends[1].state(), PairState::Synchronised);
    say_step_down(20_001, &mut ends);
    assert_eq!(ends[1].state(), PairState::TakingOver);
}

#[test]
fn an_active_that_goes_on_has_its_backup_again_and_dies_as_before() {
    let acts = acts(400);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    assert!(ends[0].pair.step_down());
    say_step_down(2, &mut ends);
    say_go_on(3, &mut ends);
    assert_eq!(ends[1].state(), PairState::Synchronised);
    assert!(ends[0].originate(4));
    talk(4, &mut ends);
    for end in &mut ends {
        end.work(5, &acts, 100);
    }
    talk(5, &mut ends);
    agree(&ends);
    assert!(ends.iter().all(End::is_protected));
    ends[1].link_down(6, true);
    assert_eq!(ends[1].state(), PairState::TakingOver);
    assert!(!ends[1].pair.was_handed_over());
    assert_eq!(wishes(&ends[1]), 2);
    ends[1].grant(7, 2, true);
    assert_eq!(seamless(&ends[1]), Some(true));
}

#[test]
fn an_active_that_dies_after_its_word_is_asked_for_again() {
    let acts = acts(100);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    assert!(ends[0].pair.step_down());
    say_step_down(2, &mut ends);
    ends[1].link_down(3, true);
    assert_eq!(ends[1].state(), PairState::TakingOver);
    assert!(!ends[1].pair.was_handed_over());
    assert_eq!(wishes(&ends[1]), 2, "the first may have been refused");
    ends[1].grant(4, 2, true);
    assert_eq!(seamless(&ends[1]), Some(true));
}

#[test]
fn an_active_that_originates_again_without_a_word_is_alive() {
    let acts = acts(200);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    assert!(ends[0].pair.step_down());
    say_step_down(2, &mut ends);
    assert!(ends[0].pair.go_on());
    assert!(ends[0].originate(3));
    talk(3, &mut ends);
    assert_eq!(ends[1].state(), PairState::Unsynchronised);
    ends[1].grant(4, 2, true);
    assert_eq!(seamless(&ends[1]), Some(false));
}

#[test]
fn who_takes_over_may_hear_of_its_generation_from_its_backup_first() {
    let acts = acts(200);
    for handed_over in [true, false] {
        let mut ends = synchronised(PairLimits::default(), &acts, 40);
        if handed_over {
            assert!(ends[0].pair.step_down());
            say_step_down(2, &mut ends);
        } else {
            ends[1].link_down(2, true);
        }
        // The old one hears of the grant before the new one does, and asks for its numbering.
        ends[0].grant(3, 2, false);
        if !handed_over {
            ends[1].link_up(3);
        }
        let [old, new] = &mut ends;
        carry(3, 0, old, new);
        new.hear_all(3);
        assert_eq!(new.state(), PairState::TakingOver);
        new.grant(4, 2, true);
        assert_eq!(seamless(new), Some(true), "handed over: {handed_over}");
    }
}

/// Its data go on after its word, and with them what it says of their content.
#[test]
fn what_an_active_sends_after_its_word_is_no_doubt_of_it() {
    let acts = acts(6_000);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    assert!(ends[0].pair.step_down());
    say_step_down(2, &mut ends);
    for end in &mut ends {
        end.work(3, &acts, 5_000);
    }
    let told = |said: &Said| matches!(said, Said::Content(_));
    assert!(ends[0].out.said.iter().any(told), "a range is over");
    talk(3, &mut ends);
    assert_eq!(ends[1].state(), PairState::TakingOver);
    ends[1].grant(4, 2, true);
    assert_eq!(seamless(&ends[1]), Some(true));
}

/// The word finds the backup out of step, or it is so before its generation comes: then once more when it is back, here
/// with the next epoch.
#[test]
fn a_backup_that_loses_step_over_the_word_is_told_again() {
    let mut acts = acts(99);
    acts.extend([Act::End(100), Act::Begin(8)]);
    acts.extend((1..=100).map(|sseq| Act::Message(sseq, 1)));
    for before in [true, false] {
        let mut ends = synchronised(PairLimits::default(), &acts, 40);
        assert!(ends[0].pair.step_down());
        if !before {
            say_step_down(2, &mut ends);
            assert_eq!(ends[1].state(), PairState::TakingOver);
        }
        ends[1].loses = 2;
        ends[1].work(3, &acts, 20);
        if before {
            say_step_down(3, &mut ends);
        }
        assert_eq!(ends[1].state(), PairState::Unsynchronised);
        assert!(!ends[0].pair.is_draining(), "it was said");
        ends[0].work(4, &acts, 20);
        for tick in [20_000, 40_000, 200_000] {
            for end in &mut ends {
                end.work(tick, &acts, 30);
            }
            talk(tick, &mut ends);
        }
        assert_eq!(ends[1].state(), PairState::Synchronised);
        assert!(ends[0].pair.is_draining(), "it asked for the numbering");
        say_step_down(200_001, &mut ends);
        assert_eq!(ends[1].state(), PairState::TakingOver);
    }
}

#[test]
fn a_backup_that_is_not_in_step_takes_nothing_over() {
    let acts = acts(200);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    ends[1].loses = 2;
    ends[1].convert(2, &acts, 20);
    let generation = ends[0].pair.generation();
    let backup = &mut ends[1];
    for of in [generation, Generation(9)] {
        backup
            .pair
            .on_stepped_down(at(3), of, &mut backup.sequencer, &mut backup.out);
        assert!(!backup.pair.was_handed_over());
    }
    assert_eq!(wishes(backup), 0);
    // An end that nobody told anything has nothing to take over either.
    let mut ends = pair(PairLimits::default());
    let end = &mut ends[1];
    end.pair
        .on_stepped_down(at(1), generation, &mut end.sequencer, &mut end.out);
    assert_ne!(end.state(), PairState::TakingOver);
}

#[test]
fn an_active_that_hears_of_a_later_one_originates_nothing_and_places_nothing_that_waits() {
    let acts = acts(300);
    let mut ends = synchronised(PairLimits::default(), &acts, 40);
    // Announced, and then stopped before anybody answered.
    assert!(ends[0].originate(2));
    ends[0].out.said.clear();
    ends[1].link_down(3, false);
    assert!(ends[1].pair.lacks_nothing(&ends[1].sequencer));
    ends[1].grant(4, 2, true);
    assert_eq!(seamless(&ends[1]), Some(false));
    let old = &mut ends[0];
    for (by, state) in [(1, PairState::Active), (2, PairState::Unsynchronised)] {
        old.pair
            .on_superseded(at(5), Generation(by), &mut old.sequencer, &mut old.out);
        assert_eq!(old.state(), state);
    }
    assert_eq!(refusal(old, 5), Some(Refusal::NotActive));
    assert!(!old.pair.lacks_nothing(&old.sequencer));
    // Its own generation, prolonged by an answer that was under way, gives nothing back.
    old.grant(6, 1, true);
    assert_eq!(refusal(old, 6), Some(Refusal::NotActive));
    old.work(7, &acts, 100);
    assert!(old.out.placed.is_empty(), "{:?}", old.out.placed);
    assert!(old.out.unsynchronised);
    // Granted as backup it counts as the new active does.
    for end in &mut ends {
        end.link_down(8, false);
        end.link_up(8);
    }
    ends[0].grant(9, 2, false);
    ends[1].work(9, &acts, 100);
    talk(9, &mut ends);
    assert_eq!(ends[0].state(), PairState::Synchronised);
    assert!(ends[1].originate(10));
    talk(10, &mut ends);
    for end in &mut ends {
        end.work(11, &acts, 60);
    }
    talk(11, &mut ends);
    agree(&ends);
    assert_eq!(ends[0].out.placed.len(), 1);
}

/// One step of a driver's life.
#[derive(Clone, Copy, Debug)]
enum Step {
    Work(usize, usize),
    Deliver(usize),
    Originate,
    Leave,
    GoOn,
    Grant,
    Cut,
    Die,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2usize, 1..40usize).prop_map(|(end, count)| Step::Work(end, count)),
        6 => (0..2usize).prop_map(Step::Deliver),
        3 => Just(Step::Originate),
        3 => Just(Step::Leave),
        1 => Just(Step::GoOn),
        2 => Just(Step::Grant),
        1 => Just(Step::Cut),
        1 => Just(Step::Die),
    ]
}

/// Two ends, and stream administration as one value: it grants or gives up, never both.
struct Play {
    ends: [End; 2],
    acts: Vec<Act>,
    active: usize,
    generation: u32,
    /// A hand-over that is under way.
    pending: bool,
    dead: Option<usize>,
    tick: u64,
    handed_over: u32,
}

impl Play {
    fn new() -> Self {
        let acts = acts(6_000);
        Self {
            ends: synchronised(PairLimits::default(), &acts, 40),
            acts,
            active: 0,
            generation: 1,
            pending: false,
            dead: None,
            tick: 10,
            handed_over: 0,
        }
    }

    fn deliver(&mut self, to: usize) {
        let [one, other] = &mut self.ends;
        let (from, to) = if to == 1 { (one, other) } else { (other, one) };
        carry(self.tick, 0, from, to);
        to.hear_all(self.tick);
    }

    fn play(&mut self, step: Step) {
        self.tick += 300;
        let (active, backup) = (self.active, 1 - self.active);
        let alive = |end| self.dead != Some(end);
        match step {
            Step::Work(end, count) if alive(end) => {
                self.ends[end].work(self.tick, &self.acts, count);
            }
            Step::Deliver(to) if alive(to) => self.deliver(to),
            Step::Originate if alive(active) => drop(self.ends[active].originate(self.tick)),
            Step::Leave if alive(active) => {
                self.pending |= self.ends[active].pair.step_down();
                let end = &self.ends[active];
                if end.pair.is_draining() && end.pair.is_drained(&end.sequencer) && alive(backup) {
                    self.deliver(backup);
                    let generation = Generation(self.generation);
                    self.ends[active].pair.stepped_down();
                    let end = &mut self.ends[backup];
                    end.pair.on_stepped_down(
                        at(self.tick),
                        generation,
                        &mut end.sequencer,
                        &mut end.out,
                    );
                    end.settle(self.tick);
                }
            }
            Step::GoOn if self.pending && alive(active) => {
                // Given up: from here on nobody is granted anything on its account.
                self.pending = false;
                let said = self.ends[active].pair.go_on();
                if said && alive(backup) {
                    self.deliver(backup);
                    let end = &mut self.ends[backup];
                    end.pair.on_went_on(
                        at(self.tick),
                        Generation(self.generation),
                        &mut end.sequencer,
                        &mut end.out,
                    );
                    end.settle(self.tick);
                }
            }
            Step::Grant if alive(backup) => {
                let pair = &self.ends[backup].pair;
                let asks = pair.state() == PairState::TakingOver;
                if asks && (!pair.was_handed_over() || self.pending) {
                    self.generation += 1;
                    self.pending = false;
                    self.handed_over += 1;
                    self.ends[backup].grant(self.tick, self.generation, true);
                    assert_eq!(seamless(&self.ends[backup]), Some(true));
                    if alive(active) {
                        self.ends[active].grant(self.tick, self.generation, false);
                    }
                    self.active = backup;
                }
            }
            Step::Cut if self.dead.is_none() => {
                for end in &mut self.ends {
                    end.inbox.clear();
                    end.out.said.clear();
                    end.link_down(self.tick, false);
                    end.link_up(self.tick);
                }
            }
            Step::Die if self.dead.is_none() => {
                self.deliver(backup);
                self.dead = Some(active);
                self.ends[backup].link_down(self.tick, true);
            }
            _ => {}
        }
    }
}

/// Whatever happens between two that keep to the rules: a takeover that was asked for is seamless, and what both have
/// placed stands at the same place.
#[test]
fn no_order_of_events_makes_a_hand_over_lose_or_move_a_message() {
    let played = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(400));
    let steps = prop::collection::vec(step(), 1..120);
    let outcome = runner.run(&steps, |steps| {
        let mut play = Play::new();
        for step in steps {
            play.play(step);
        }
        played.set(played.get() + play.handed_over);
        // Whoever placed it alone said so, and of two generations one is valid.
        let wrong: Vec<_> = misplaced(&play.ends[0], &play.ends[1])
            .into_iter()
            .filter(|(_, a, b)| !(a.alone || b.alone || a.generation != b.generation))
            .collect();
        prop_assert!(wrong.is_empty(), "{wrong:?}");
        Ok(())
    });
    outcome.unwrap();
    assert!(
        played.get() > 100,
        "{} takeovers are no proof",
        played.get()
    );
}
