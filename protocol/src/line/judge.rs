//! Is a word what was to be expected?
//!
//! A word is ordinary when it speaks of the epoch at hand, near what is known of it; anything else waits
//! to be confirmed, or comes from the past. Everything here only looks.
//!
//! Late copies step back, and so does a source that begins its numbering anew; but that one says something else. A word
//! that only repeats is neither a new numbering nor a sign that the old one goes on.

use super::candidate::{Candidate, Kind};
use super::run::{Recall, Word};
use super::{Lines, LinesState};

/// What to make of a word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Judgement {
    /// Of the epoch at hand, near what is known.
    Ordinary,
    /// Far behind, and nothing that was not delivered.
    Repeated,
    /// Waits to be confirmed.
    Odd(Kind),
    /// Of an epoch that was left.
    Retired,
}

impl Lines {
    pub(super) fn judge<'m>(
        &self,
        word: &Word,
        messages: impl Iterator<Item = &'m [u8]> + Clone,
    ) -> Judgement {
        let window = self.limits.window;
        if self.state == LinesState::Unborn || word.epoch != self.current.epoch {
            return if self.retired.contains(word.epoch) {
                Judgement::Retired
            } else {
                Judgement::Odd(Kind::Epoch)
            };
        }
        let ended = self.state == LinesState::Ended;
        let jumps = matches!(&self.candidate, Some(candidate) if candidate.kind == Kind::Jump);
        let beyond = word.first.saturating_sub(self.current.horizon) > window;
        let before = self.current.lines[word.line.index()];
        if ended && word.next() > self.current.next {
            Judgement::Odd(Kind::Reopen)
        } else if !ended && (beyond || jumps && word.first >= self.kept.next) {
            Judgement::Odd(Kind::Jump)
        } else if self.goes_on_stepped_back(word, messages.clone()) {
            Judgement::Odd(Kind::Regress)
        } else if word.next().saturating_add(window) < before {
            match self.current.recall(word, messages) {
                Recall::Otherwise => Judgement::Odd(Kind::Regress),
                Recall::Repeats => Judgement::Repeated,
                Recall::Fills => Judgement::Ordinary,
            }
        } else {
            Judgement::Ordinary
        }
    }

    /// Whether a line that stepped back goes on from there: however near it comes to where it stood, and whatever it says,
    /// it means other messages. Without one of those, who repeats what came before is late, and somebody spoke in its name.
    fn goes_on_stepped_back<'m>(
        &self,
        word: &Word,
        messages: impl Iterator<Item = &'m [u8]>,
    ) -> bool {
        let stepped = |candidate: &Candidate| {
            candidate.kind == Kind::Regress
                && candidate.has_voted(word.line)
                && (candidate.brings || self.current.recall(word, messages) == Recall::Otherwise)
        };
        self.candidate.as_ref().is_some_and(stepped)
            && self.kept.epoch == word.epoch
            && (self.kept.first..=self.kept.horizon).contains(&word.first)
    }
}
