//! What came out, line by line.

use std::fmt;

use twinfeed_control::Policy;

use super::{Case, Kill};

/// One case under one policy.
#[derive(Clone, Debug)]
pub struct Row {
    /// Where the active died.
    pub case: Case,
    /// How the subscribers delivered.
    pub policy: Policy,
    /// How often it died there.
    pub kills: u64,
    /// Of those, when the pair was not protected, for another reason than the case's.
    pub unprotected: u64,
    /// Within a burst.
    pub in_bursts: u64,
    /// Messages at stake.
    pub messages: u64,
    /// Of those, seen once by both subscribers, at one place.
    pub seen_once: u64,
    /// Other messages, of which the backup did not agree to the slot.
    pub alone: u64,
    /// Other messages, which the active refused to place.
    pub refused: u64,
    /// Kills after which a subscriber was told of a break.
    pub breaks: u64,
    /// Kills after which a message was nowhere that the survivor never had, as far as anybody can tell: it died unsent.
    pub unsent: u64,
    /// What was promised and not kept.
    pub broken: Vec<String>,
}

impl Row {
    /// Before the first kill.
    #[must_use]
    pub const fn new(case: Case, policy: Policy) -> Self {
        Self {
            case,
            policy,
            kills: 0,
            unprotected: 0,
            in_bursts: 0,
            messages: 0,
            seen_once: 0,
            alone: 0,
            refused: 0,
            breaks: 0,
            unsent: 0,
            broken: Vec::new(),
        }
    }

    pub(super) fn take_kill(&mut self, kill: &Kill, seen: Seen, broke: bool, broken: Vec<String>) {
        self.kills += 1;
        self.unprotected += u64::from(kill.survivor != self.case.survivor);
        self.in_bursts += u64::from(kill.in_burst);
        self.messages += kill.at_stake.len() as u64;
        self.breaks += u64::from(broke);
        match seen {
            Seen::Otherwise if !broke => {
                let words = &kill.words;
                let said = format!("{words}: neither seen once nor declared");
                self.broken.push(said);
            }
            Seen::Nowhere if !broke => self.unsent += 1,
            _ => {}
        }
        self.broken.extend(broken);
    }
}

/// What became of the messages at stake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    /// Each was seen once by both.
    Once,
    /// Some nowhere, the others once by both; and nobody counts on from them.
    Nowhere,
    /// Anything else.
    Otherwise,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = match self.policy {
            Policy::FirstArrival => "first-arrival",
            Policy::PreferActive => "prefer-active",
        };
        write!(
            f,
            "| {} | {} | {policy} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.case.letter,
            self.case.name,
            self.kills,
            self.unprotected,
            self.in_bursts,
            self.messages,
            self.seen_once,
            self.breaks,
            self.alone,
            self.refused,
            self.unsent,
            self.broken.len()
        )
    }
}

/// Names the columns.
pub const HEAD: &str = "| case | the active died | policy | kills | of an unprotected pair | in a burst | messages at stake | seen once by both | breaks declared | others not agreed | others refused | died unsent | broken promises |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|";
