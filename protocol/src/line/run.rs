//! What is known of one epoch's numbers?
//!
//! ```text
//!        first                 next                          horizon
//!  before  | delivered, given up | hole . . held held . . held |   nobody spoke of
//!                                  ^ always a hole
//! ```
//!
//! A [`Run`] is driven in one of two ways: [`Run::accept`] delivers what has its turn, [`Run::keep`]
//! keeps everything, for a run that may turn out never to have been. How long a hole may stay open is not
//! known here.

use core::ops::Range;

use twinfeed_wire::Epoch;

use crate::time::Time;

use super::hold::Hold;
use super::memory::{Memory, Repeat};
use super::status::Account;
use super::{Line, LineLimits, Source};

/// A packet without its messages, a heartbeat or an end marker: `first..first + count`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) line: Line,
    pub(super) now: Time,
    pub(super) epoch: Epoch,
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) received_at: u64,
    /// The source says that nothing follows.
    pub(super) end: bool,
}

impl Word {
    /// The number behind its last one.
    pub(super) const fn next(&self) -> u64 {
        self.first + self.count
    }
}

/// What a word says of the numbers that are known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Recall {
    /// Other bytes than came before, or nothing that can be compared.
    Otherwise,
    /// The same as before, as far as that is remembered.
    Repeats,
    /// The same, and something that is missing.
    Fills,
}

#[derive(Debug)]
pub(super) struct Run {
    pub(super) epoch: Epoch,
    pub(super) predecessor: Epoch,
    /// What was the first number here.
    pub(super) first: u64,
    /// The next number to deliver or to give up.
    pub(super) next: u64,
    /// The number behind the furthest that anybody spoke of. Slots outside `next..horizon` are blank.
    pub(super) horizon: u64,
    /// The number behind the furthest that each line spoke of; 0: it did not speak.
    pub(super) lines: [u64; 2],
    /// The end that the source stated, and since when nobody went on.
    pub(super) end: Option<(u64, Time)>,
    /// Which lines stated it.
    pub(super) end_said: [bool; 2],
    /// When something last came that nobody had known before.
    pub(super) progress: Time,
    /// When each line last spoke of this run; [`Time::ZERO`]: it did not.
    pub(super) heard: [Time; 2],
    /// How often a line spoke of this run.
    pub(super) words: u64,
    hold: Hold,
    memory: Memory,
}

impl Run {
    pub(super) fn new(limits: &LineLimits) -> Self {
        Self {
            epoch: Epoch::NONE,
            predecessor: Epoch::NONE,
            first: 1,
            next: 1,
            horizon: 1,
            lines: [0; 2],
            end: None,
            end_said: [false; 2],
            progress: Time::ZERO,
            heard: [Time::ZERO; 2],
            words: 0,
            hold: Hold::new(limits.held_messages, limits.held_bytes),
            memory: Memory::new(limits.held_messages * 2),
        }
    }

    /// Forgets everything and waits for `first` of `epoch`.
    pub(super) fn reset(&mut self, epoch: Epoch, predecessor: Epoch, first: u64) {
        for number in self.next..self.horizon {
            let _ = self.hold.take(number);
        }
        self.epoch = epoch;
        self.predecessor = predecessor;
        self.first = first;
        self.next = first;
        self.horizon = first;
        self.lines = [0; 2];
        self.end = None;
        self.end_said = [false; 2];
        self.progress = Time::ZERO;
        self.heard = [Time::ZERO; 2];
        self.words = 0;
    }

    /// A line speaks of this run.
    pub(super) fn hear(&mut self, word: &Word) {
        self.heard[word.line.index()] = word.now;
        self.words += 1;
    }

    /// The line says that nothing follows. The first statement of an end stands; one below what is known
    /// to exist is no end.
    pub(super) fn state_end(&mut self, word: &Word) {
        if word.next() < self.horizon {
            return;
        }
        let (end, _) = *self.end.get_or_insert((word.next(), word.now));
        if end == word.next() {
            self.end_said[word.line.index()] = true;
        }
    }

    /// Whoever goes on behind an end marker proves it wrong.
    pub(super) fn withdraw_end(&mut self, word: &Word) {
        if self.stated_end().is_some_and(|end| word.next() > end) {
            self.forget_end();
        }
    }

    /// A line that is as far as the end and says something else has not come to an end.
    pub(super) fn postpone_end(&mut self, word: &Word) {
        let said = word.end || self.end_said[word.line.index()];
        if let Some((end, since)) = &mut self.end
            && !said
            && word.next() >= *end
        {
            *since = word.now.max(*since);
        }
    }

    /// Nobody said that nothing follows.
    pub(super) fn forget_end(&mut self) {
        self.end = None;
        self.end_said = [false; 2];
    }

    /// The end that the source stated.
    pub(super) fn stated_end(&self) -> Option<u64> {
        self.end.map(|(end, _)| end)
    }

    /// How many messages are held.
    pub(super) const fn held(&self) -> usize {
        self.hold.held()
    }

    /// How far beyond `next` numbers can be told apart.
    pub(super) fn span(&self) -> u64 {
        self.hold.span()
    }

    /// Whether what comes finds room for as long again.
    pub(super) fn is_roomy(&self) -> bool {
        let reach = self.horizon.saturating_sub(self.next);
        self.hold.is_roomy() && reach < self.span().div_ceil(2)
    }

    /// Whether everything up to the stated end was delivered or given up.
    pub(super) fn is_settled(&self) -> bool {
        self.stated_end() == Some(self.next)
    }

    /// The oldest hole's first number and since when it is missing.
    pub(super) fn hole(&self) -> Option<(u64, Time)> {
        (self.next < self.horizon).then(|| (self.next, self.hold.missing_since(self.next)))
    }

    /// Whether `number`, at or beyond `next`, is a hole, and since when.
    pub(super) fn missing_since(&self, number: u64) -> Option<Time> {
        (number < self.horizon && !self.hold.is_held(number))
            .then(|| self.hold.missing_since(number))
    }

    /// Where the `nth` hole within `range` begins, counted from 0 and round again; the range begins in one.
    pub(super) fn hole_in(&self, range: Range<u64>, nth: usize) -> u64 {
        let held = |number: u64| self.hold.is_held(number);
        let begins = |number: &u64| {
            let first = *number == range.start || held(*number - 1);
            first && !held(*number)
        };
        let holes = || range.clone().filter(begins);
        let nth = nth % holes().count().max(1);
        holes().nth(nth).unwrap_or(range.start)
    }

    /// Takes a word in: delivers what has its turn, holds what is early, drops what is known.
    pub(super) fn accept<'m>(
        &mut self,
        word: &Word,
        messages: impl Iterator<Item = &'m [u8]>,
        account: &mut Account,
        out: &mut impl Source,
    ) {
        self.pass(word, word.first, account, out);
        for (number, bytes) in (word.first..word.next()).zip(messages) {
            if number == self.next {
                self.fresh(word, number, bytes, account);
                self.take_turn(number, bytes, word.received_at, account, out);
            } else if number < self.next || self.is_known(number) {
                self.repeat(word.line, number, bytes, account);
            } else {
                self.hold_early(word, number, bytes, account, out);
            }
        }
        self.pass(word, word.next(), account, out);
    }

    /// Takes in a message that was asked for, if it is still missing; answers whether it was.
    pub(super) fn fill(
        &mut self,
        number: u64,
        bytes: &[u8],
        received_at: u64,
        account: &mut Account,
        out: &mut impl Source,
    ) -> bool {
        if number < self.next || number >= self.horizon || self.hold.is_held(number) {
            return false;
        }
        if number == self.next {
            self.memory.came(number, bytes);
            self.take_turn(number, bytes, received_at, account, out);
            return true;
        }
        let kept = self.hold.insert(number, bytes, received_at);
        if kept {
            self.memory.came(number, bytes);
        }
        kept
    }

    /// Takes a word in without delivering anything. What finds no room is dropped.
    pub(super) fn keep<'m>(
        &mut self,
        word: &Word,
        messages: impl Iterator<Item = &'m [u8]>,
        account: &mut Account,
    ) {
        self.withdraw_end(word);
        let span = self.hold.span();
        if word.first < self.next && self.horizon.max(word.next()) - word.first <= span {
            for number in word.first..self.next {
                self.hold.miss(number, word.now);
            }
            self.next = word.first;
            self.first = word.first;
        }
        let fits = self.next..self.next.saturating_add(span);
        let until = word.next().min(fits.end);
        let spoken = self.lines[word.line.index()];
        for number in spoken.max(self.next)..until {
            self.hold.miss(number, word.now);
        }
        self.lines[word.line.index()] = spoken.max(until);
        self.horizon = self.horizon.max(until);
        for (number, bytes) in (word.first..word.next()).zip(messages) {
            if fits.contains(&number) && self.hold.is_held(number) {
                self.repeat(word.line, number, bytes, account);
            } else if fits.contains(&number) && self.hold.insert(number, bytes, word.received_at) {
                self.fresh(word, number, bytes, account);
            } else {
                account.counters.quarantine_dropped += 1;
            }
        }
        self.hear(word);
    }

    /// Takes over what `other`, a run of the same epoch, keeps; it is empty afterwards.
    pub(super) fn absorb(
        &mut self,
        other: &mut Self,
        now: Time,
        account: &mut Account,
        out: &mut impl Source,
    ) {
        for line in Line::BOTH {
            let reached = other.lines[line.index()];
            let heard = &mut self.heard[line.index()];
            *heard = other.heard[line.index()].max(*heard);
            if reached > self.lines[line.index()] {
                let word = Word {
                    line,
                    now,
                    epoch: self.epoch,
                    first: reached,
                    count: 0,
                    received_at: 0,
                    end: false,
                };
                self.pass(&word, reached, account, out);
            }
        }
        for number in other.next..other.horizon {
            let Some(taken) = other.hold.take(number) else {
                continue;
            };
            if number < self.next || self.is_known(number) {
                continue;
            }
            self.memory.came(number, taken.bytes);
            if number == self.next {
                self.take_turn(number, taken.bytes, taken.received_at, account, out);
            } else if !self.hold.insert(number, taken.bytes, taken.received_at) {
                account.counters.quarantine_dropped += 1;
                self.memory.gave_up(number);
            }
        }
        other.next = other.horizon;
        if self.stated_end().is_some_and(|end| end < self.horizon) {
            self.forget_end();
        }
        if self.end.is_none() {
            (self.end, self.end_said) = (other.end, other.end_said);
        }
        self.drain(account, out);
    }

    /// Gives up `next..until` as far as it is a hole, and delivers what then has its turn. `until` lies at
    /// or below the first held number.
    pub(super) fn give_up(&mut self, until: u64, account: &mut Account, out: &mut impl Source) {
        let range = self.next..until;
        if range.is_empty() {
            return;
        }
        for number in range.start..until.min(self.horizon) {
            let _ = self.hold.take(number);
        }
        let remembered = until.saturating_sub(self.memory.span()).max(range.start);
        for number in remembered..until {
            self.memory.gave_up(number);
        }
        self.next = until;
        self.horizon = self.horizon.max(until);
        account.counters.gaps += 1;
        account.counters.abandoned = account.counters.abandoned.saturating_add(length(&range));
        out.abandoned(range);
        self.drain(account, out);
    }

    /// Delivers and gives up everything below `until`.
    pub(super) fn give_up_all(&mut self, until: u64, account: &mut Account, out: &mut impl Source) {
        while self.next < until {
            let hole = self.hole_end(until);
            self.give_up(hole, account, out);
        }
    }

    /// Delivers the unbroken run of held messages that starts at `next`.
    #[inline]
    pub(super) fn drain(&mut self, account: &mut Account, out: &mut impl Source) {
        while self.next < self.horizon && self.hold.is_held(self.next) {
            if let Some(taken) = self.hold.take(self.next) {
                account.counters.messages += 1;
                out.message(self.next, taken.bytes, taken.received_at);
            }
            self.next += 1;
        }
    }

    /// The end of the oldest hole, at most `limit`.
    pub(super) fn hole_end(&self, limit: u64) -> u64 {
        let known = limit.min(self.horizon);
        (self.next..known)
            .find(|&number| self.hold.is_held(number))
            .unwrap_or(limit)
    }

    /// The line says that everything below `until` was sent.
    fn pass(&mut self, word: &Word, until: u64, account: &mut Account, out: &mut impl Source) {
        self.make_room(until, account, out);
        let spoken = self.lines[word.line.index()];
        for number in spoken.max(self.next)..until {
            self.hold.miss(number, word.now);
        }
        if until > self.horizon {
            self.horizon = until;
            self.progress = word.now;
        }
        if until == word.first && spoken != 0 {
            let missed = &mut account.speaker(word.line).missed;
            *missed = missed.saturating_add(until.saturating_sub(spoken));
        }
        if until >= self.next {
            account.speaker(word.line).lagging = false;
        }
        self.lines[word.line.index()] = spoken.max(until);
    }

    /// Gives up the oldest holes until `until` lies within the span.
    fn make_room(&mut self, until: u64, account: &mut Account, out: &mut impl Source) {
        while until.saturating_sub(self.next) > self.hold.span() {
            account.counters.hold_full += 1;
            let hole = self.hole_end(until - self.hold.span());
            self.give_up(hole, account, out);
        }
    }

    fn hold_early(
        &mut self,
        word: &Word,
        number: u64,
        bytes: &[u8],
        account: &mut Account,
        out: &mut impl Source,
    ) {
        self.make_room(number + 1, account, out);
        while number > self.next {
            if self.hold.insert(number, bytes, word.received_at) {
                self.fresh(word, number, bytes, account);
                for missing in self.horizon..number {
                    self.hold.miss(missing, word.now);
                }
                self.horizon = self.horizon.max(number + 1);
                return;
            }
            account.counters.hold_full += 1;
            let hole = self.hole_end(number);
            self.give_up(hole, account, out);
        }
        self.fresh(word, number, bytes, account);
        self.hand_over(number, bytes, word.received_at, account, out);
        self.drain(account, out);
    }

    /// Delivers `number`, which has its turn, and what is held behind it.
    #[inline(always)]
    fn take_turn(
        &mut self,
        number: u64,
        bytes: &[u8],
        received_at: u64,
        account: &mut Account,
        out: &mut impl Source,
    ) {
        if number < self.horizon {
            // What is left in its slot is since when it is missing.
            let _ = self.hold.take(number);
        }
        self.hand_over(number, bytes, received_at, account, out);
        self.drain(account, out);
    }

    /// Delivers `number`, which has its turn and whose slot is blank.
    #[inline(always)]
    fn hand_over(
        &mut self,
        number: u64,
        bytes: &[u8],
        received_at: u64,
        account: &mut Account,
        out: &mut impl Source,
    ) {
        account.counters.messages += 1;
        out.message(number, bytes, received_at);
        self.next = number + 1;
        self.horizon = self.horizon.max(self.next);
    }

    #[inline]
    fn fresh(&mut self, word: &Word, number: u64, bytes: &[u8], account: &mut Account) {
        self.memory.came(number, bytes);
        self.progress = word.now;
        account.speaker(word.line).first_arrivals += 1;
    }

    fn repeat(&self, line: Line, number: u64, bytes: &[u8], account: &mut Account) {
        if number < self.first {
            account.counters.before_first += 1;
            return;
        }
        match self.memory.compare(number, bytes, self.horizon) {
            Repeat::Same | Repeat::Forgotten => {}
            Repeat::Conflict => account.counters.line_conflicts += 1,
            Repeat::Late => {
                account.counters.late += 1;
                return;
            }
        }
        account.speaker(line).duplicates += 1;
    }

    /// What a word says of the numbers that are known.
    pub(super) fn recall<'m>(
        &self,
        word: &Word,
        messages: impl Iterator<Item = &'m [u8]>,
    ) -> Recall {
        let (mut same, mut fills) = (false, false);
        for (number, bytes) in (word.first..word.next()).zip(messages) {
            if number >= self.next && !self.is_known(number) {
                fills = true;
            } else if number >= self.first {
                match self.memory.compare(number, bytes, self.horizon) {
                    Repeat::Conflict => return Recall::Otherwise,
                    Repeat::Same => same = true,
                    Repeat::Late | Repeat::Forgotten => {}
                }
            }
        }
        match (same, fills) {
            (false, _) => Recall::Otherwise,
            (true, false) => Recall::Repeats,
            (true, true) => Recall::Fills,
        }
    }

    /// Whether `number`, beyond `next`, is held.
    fn is_known(&self, number: u64) -> bool {
        number < self.horizon && self.hold.is_held(number)
    }
}

const fn length(range: &Range<u64>) -> u64 {
    range.end - range.start
}
