//! What may turn out to be true, if somebody confirms it?
//!
//! One absurd number must not make everything that follows a duplicate, and one packet of another epoch
//! must not end this one. What they say is kept aside, and counts once both lines say it, or one line says
//! nothing else so many times in a row. A line that goes on as before takes its word back.

use crate::time::Time;

use super::Line;
use super::run::Word;

/// In what way it is out of the ordinary.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Far ahead in the epoch at hand.
    Jump,
    /// Another epoch.
    Epoch,
    /// Far behind what the same line said before.
    Regress,
    /// The epoch at hand, behind the end that was told.
    Reopen,
}

/// Something that waits to be confirmed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) kind: Kind,
    /// When it was first heard of.
    pub(super) since: Time,
    /// Since when it is confirmed.
    pub(super) confirmed: Option<Time>,
    /// When the last line began to say so.
    pub(super) joined: Time,
    /// When a line last said so.
    pub(super) said: Time,
    /// Whether messages were among what was said.
    pub(super) brings: bool,
    /// How many times it was said.
    spoken_of: u32,
    /// How many times in a row each line said so.
    votes: [u32; 2],
    /// How many words contradicted it since it was last said.
    against: u32,
    /// The lowest and the number behind the highest that was said.
    spoken: (u64, u64),
}

impl Candidate {
    pub(super) const fn new(kind: Kind, word: &Word) -> Self {
        Self {
            kind,
            since: word.now,
            confirmed: None,
            joined: word.now,
            said: word.now,
            brings: false,
            spoken_of: 0,
            votes: [0; 2],
            against: 0,
            spoken: (word.first, word.next()),
        }
    }

    /// Whether `word` says about the same.
    pub(super) const fn is_near(&self, word: &Word, window: u64) -> bool {
        let (low, high) = self.spoken;
        word.next().saturating_add(window) >= low && word.first <= high.saturating_add(window)
    }

    /// The line says so again.
    pub(super) fn vote(&mut self, word: &Word, confirmations: u32) {
        let (low, high) = self.spoken;
        self.spoken = (low.min(word.first), high.max(word.next()));
        self.against = 0;
        self.said = word.now;
        self.brings |= word.count > 0;
        self.spoken_of = self.spoken_of.saturating_add(1);
        let votes = &mut self.votes[word.line.index()];
        if *votes == 0 {
            self.joined = word.now;
        }
        *votes = votes.saturating_add(1);
        let confirmed = self.votes.iter().all(|&votes| votes > 0)
            || self.votes.iter().any(|&votes| votes >= confirmations);
        if confirmed && self.confirmed.is_none() {
            self.confirmed = Some(word.now);
        }
    }

    /// The line said something else. `false`: nobody vouches any more.
    pub(super) fn retract(&mut self, line: Line, confirmations: u32) -> bool {
        self.votes[line.index()] = 0;
        if self.votes.iter().all(|&votes| votes < confirmations) {
            self.confirmed = None;
        }
        self.is_vouched_for()
    }

    /// The line said something that is out of the ordinary in another way. `false`: nobody vouches any more,
    /// or nobody has for as long as it takes to confirm something else, so that a stray word of a line that
    /// then dies does not block a true one. Nor does a stray word take back what was said more than once, `lately`.
    pub(super) fn contradict(&mut self, line: Line, confirmations: u32, lately: bool) -> bool {
        self.against = self.against.saturating_add(1);
        let repeated = self.spoken_of > 1 && lately;
        let vouched = self.retract(line, confirmations) || repeated;
        vouched && (self.confirmed.is_some() || self.against < confirmations)
    }

    /// Whether any line says so.
    pub(super) fn is_vouched_for(&self) -> bool {
        self.votes.iter().any(|&votes| votes > 0)
    }

    /// Whether the line says so.
    pub(super) const fn has_voted(&self, line: Line) -> bool {
        self.votes[line.index()] > 0
    }
}
