//! Was what came out what was owed?
//!
//! Two levels, each with its first wrong event:
//!
//! - **delivery**: every message that a line carried whole is delivered, once, in order, with its own content; nothing
//!   else is.
//! - **honesty**: what was really lost is declared, exactly that, before anything behind it is delivered; what is declared
//!   is not delivered; resets, ends and silence are told, and only where they happened.
//!
//! The judge is driven record by record, so that it knows when nothing is owed any more. A number goes one way:
//!
//! ```text
//!  ahead ──► delivered                      twice: delivery     declared as well: honesty
//!    ├─────► declared (gap)                 of an owed one: delivery, once something behind it comes
//!    └─────► passed over                    of an owed one: delivery    of a lost one: honesty
//! ```

use serde::Serialize;

use super::said::{NoRecord, Said};
use super::truth::{End, Fate, Life, Message, Truth};

/// What a handler claims to tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Claims {
    /// `gap` for what is lost.
    pub gap: bool,
    /// `reset` when a numbering starts afresh.
    pub reset: bool,
    /// `end` when a session is over.
    pub end: bool,
    /// `stale` when no line speaks.
    pub stale: bool,
}

impl Claims {
    /// Everything.
    pub const ALL: Self = Self {
        gap: true,
        reset: true,
        end: true,
        stale: true,
    };
    /// Nothing.
    pub const NONE: Self = Self {
        gap: false,
        reset: false,
        end: false,
        stale: false,
    };
}

/// The first wrong event of a level.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Fault {
    /// What was owed there.
    pub expected: String,
    /// What came instead.
    pub seen: String,
    /// In which line of the handler's output, from 1; 0: behind the last one.
    pub line: u64,
}

/// How a scenario went on one level.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Level {
    /// As owed.
    Pass,
    /// Not.
    Fail(Fault),
    /// Nothing to be judged.
    NotApplicable {
        /// Why.
        reason: String,
    },
}

impl Level {
    /// Whether it failed.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self, Self::Fail(_))
    }
}

/// Both levels.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Verdict {
    /// What was carried comes through.
    pub delivery: Level,
    /// What was not is told.
    pub honesty: Level,
}

/// Counts of what a handler said.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// Messages delivered.
    pub messages: u64,
    /// Numbers declared missing.
    pub declared: u64,
    /// Resets told.
    pub resets: u64,
    /// Ends told.
    pub ends: u64,
    /// Silences told.
    pub stales: u64,
}

/// What is known of one number.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    delivered: bool,
    /// The line of the gap that names it; 0: none does.
    declared: u64,
    /// Something behind it was delivered first.
    passed: bool,
}

/// Judges one scenario.
#[derive(Debug)]
pub struct Judge<'t> {
    truth: &'t Truth,
    claims: Claims,
    marks: Vec<Vec<Mark>>,
    /// The life at hand.
    life: usize,
    /// The number behind the highest one delivered of it.
    place: u64,
    /// Of which lives the reset and the end were told.
    reset_told: usize,
    ended: Vec<bool>,
    line: u64,
    counts: Counts,
    delivery: Option<Fault>,
    honesty: Option<Fault>,
}

impl<'t> Judge<'t> {
    /// A judge who has heard nothing yet.
    #[must_use]
    pub fn new(truth: &'t Truth, claims: Claims) -> Self {
        let marks = truth.lives.iter();
        let marks = marks.map(|life| vec![Mark::default(); life.messages.len()]);
        Self {
            marks: marks.collect(),
            place: truth.lives.first().map_or(0, |life| life.first),
            ended: vec![false; truth.lives.len()],
            truth,
            claims,
            life: 0,
            reset_told: 0,
            line: 0,
            counts: Counts::default(),
            delivery: None,
            honesty: None,
        }
    }

    /// The next record of the handler, which stood in this line of its output.
    pub fn hear(&mut self, line: u64, said: &Said) {
        self.line = line;
        match said {
            Said::Ready {} | Said::Live { .. } => {}
            Said::Message {
                session,
                sequence,
                kind,
                timestamp,
            } => self.message(session, *sequence, kind, *timestamp),
            Said::Gap { session, from, to } => self.gap(session, *from, *to),
            Said::Reset { session, next } => self.reset(session, *next),
            Said::End { session, next } => self.end(session, *next),
            Said::Stale { .. } => self.counts.stales += 1,
        }
    }

    /// A line that is no record.
    pub fn hear_nonsense(&mut self, line: u64, nonsense: &NoRecord) {
        self.line = line;
        self.undelivered("a record".to_owned(), nonsense.to_string());
    }

    /// Whether nothing more is owed, as far as a handler can be right.
    #[must_use]
    pub fn is_satisfied(&self) -> bool {
        let last = self.life + 1 == self.truth.lives.len();
        let end = self.life().end == End::Said && self.claims.end;
        let accounted = || {
            let marks = self.life().messages.iter().zip(&self.marks[self.life]);
            marks
                .rev()
                .take_while(|(message, _)| message.fate != Fate::Before)
                .all(|(message, mark)| {
                    let told = mark.delivered || mark.declared > 0 || mark.passed;
                    told || message.fate != Fate::Owed && !self.claims.gap
                })
        };
        let heard = self.counts.stales >= self.truth.silences || !self.claims.stale;
        last && (self.ended[self.life] || !end) && heard && accounted()
    }

    /// What was said so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// The handler has gone before it was told to.
    pub fn handler_ended(&mut self, how: &str) {
        self.line = 0;
        self.undelivered("a handler that runs".to_owned(), how.to_owned());
    }

    /// Nothing more is said: the verdict.
    #[must_use]
    pub fn finish(mut self) -> Verdict {
        self.line = 0;
        let last = self.truth.lives.len() - 1;
        self.go_on_to(last, "nothing more");
        self.close("nothing more");
        self.hidden();
        if self.claims.stale && self.counts.stales < self.truth.silences {
            self.dishonest("stale".to_owned(), "nothing of the silence".to_owned());
        }
        let honesty = match (self.without_claims(), self.honesty) {
            (Some(reason), _) => Level::NotApplicable { reason },
            (None, Some(fault)) => Level::Fail(fault),
            (None, None) => Level::Pass,
        };
        Verdict {
            delivery: self.delivery.map_or(Level::Pass, Level::Fail),
            honesty,
        }
    }

    /// Why honesty cannot be judged.
    fn without_claims(&self) -> Option<String> {
        let Self { truth, claims, .. } = self;
        if *claims == Claims::NONE {
            return Some("the handler claims to tell nothing".to_owned());
        }
        let losses = truth.count(Fate::Lost) + truth.count(Fate::Broken) > 0;
        let ends = truth.lives.iter().any(|life| life.end == End::Said);
        let needs = [
            (losses, claims.gap, "gaps"),
            (truth.lives.len() > 1, claims.reset, "resets"),
            (ends, claims.end, "ends"),
            (truth.silences > 0, claims.stale, "silence"),
        ];
        let needed = needs.iter().filter(|need| need.0);
        let told = needed.clone().any(|need| need.1);
        let names: Vec<_> = needed.map(|need| need.2).collect();
        (!told && !names.is_empty())
            .then(|| format!("the handler does not claim to tell {}", names.join(", ")))
    }

    fn life(&self) -> &'t Life {
        &self.truth.lives[self.life]
    }

    /// The life in which this number of this session stands.
    fn find(&self, session: &str, number: u64) -> Option<usize> {
        let lives = &self.truth.lives;
        match session {
            "" => (self.life..lives.len().min(self.life + 2))
                .find(|&life| lives[life].index(number).is_some()),
            _ => (0..lives.len())
                .find(|&life| lives[life].name == session && lives[life].index(number).is_some()),
        }
    }

    fn message(&mut self, session: &str, number: u64, kind: &str, timestamp: Option<u64>) {
        self.counts.messages += 1;
        let seen = named("message", session, number);
        let Some(life) = self.find(session, number) else {
            let expected = self.next_owed();
            return self.undelivered(expected, format!("{seen}, which nobody sent"));
        };
        if life < self.life {
            let expected = self.next_owed();
            return self.undelivered(expected, format!("{seen} of a session that is over"));
        }
        self.go_on_to(life, &seen);
        let index = (number - self.life().first) as usize;
        let message = self.life().messages[index];
        let same_kind = kind.is_empty() || kind.as_bytes() == [message.kind];
        if !same_kind || timestamp.is_some_and(|told| told != message.timestamp) {
            let expected = format!(
                "message {number}, type {}, timestamp {}",
                char::from(message.kind),
                message.timestamp
            );
            let told = timestamp.map_or(String::new(), |told| format!(", timestamp {told}"));
            self.undelivered(expected, format!("message {number}, type {kind}{told}"));
        } else if message.fate == Fate::Lost {
            let (from, to) = self.run_of(number);
            let expected = format!("gap {from} to {to}");
            self.undelivered(expected, format!("{seen}, which no line carried"));
        }
        let mark = self.marks[self.life][index];
        if mark.declared > 0 {
            let expected = format!("nothing of {number}, declared missing before");
            self.dishonest(expected, seen.clone());
        } else if mark.delivered {
            let expected = self.next_owed();
            self.undelivered(expected, format!("{seen} a second time"));
        } else if mark.passed && number < self.place {
            let behind = self.place - 1;
            let expected = format!("message {number} in front of message {behind}");
            self.undelivered(expected, format!("{seen} behind it"));
        }
        self.marks[self.life][index].delivered = true;
        if number >= self.place {
            self.pass(number, &seen);
            self.place = number + 1;
        }
    }

    fn gap(&mut self, session: &str, from: u64, to: u64) {
        let seen = format!("gap {from} to {to}");
        let found = self.find(session, from).filter(|_| from <= to);
        let Some(life) = found.filter(|&life| self.truth.lives[life].index(to).is_some()) else {
            let expected = self.next_owed();
            let fault = format!("{seen}, which names what nobody sent");
            return self.dishonest(expected, fault);
        };
        if life < self.life {
            let expected = self.next_owed();
            return self.dishonest(expected, format!("{seen} of a session that is over"));
        }
        self.go_on_to(life, &seen);
        self.counts.declared += to - from + 1;
        let first = self.life().first;
        for number in from..=to {
            let mark = &mut self.marks[self.life][(number - first) as usize];
            mark.declared = self.line;
            if mark.delivered {
                let expected = format!("no gap over {number}, which was delivered");
                return self.dishonest(expected, seen);
            }
        }
    }

    fn reset(&mut self, session: &str, next: Option<u64>) {
        self.counts.resets += 1;
        let seen = format!(
            "reset{}{}",
            if session.is_empty() {
                String::new()
            } else {
                format!(" to {session}")
            },
            next.map_or(String::new(), |next| format!(", next {next}"))
        );
        let (lives, here) = (&self.truth.lives, self.life);
        let begun =
            self.place > self.life().first || self.marks[here].iter().any(|it| it.declared > 0);
        let fits = |life: usize| {
            let of_it = session.is_empty() || lives[life].name == session;
            // A life without messages yet stands at its first number too.
            let at = |next: u64| (lives[life].first..=lives[life].next()).contains(&next);
            of_it && next.is_none_or(at)
        };
        let from = if begun || self.reset_told == here && here > 0 {
            here + 1
        } else {
            here
        };
        let Some(life) = (from..lives.len()).find(|&life| fits(life)) else {
            let known = (here..lives.len()).any(fits);
            let repeated = known && !begun && self.reset_told == here;
            if !repeated {
                let expected = self.next_owed();
                self.dishonest(expected, format!("{seen}, where nothing started afresh"));
            }
            return;
        };
        if life > here {
            self.reset_told = life;
            self.go_on_to(life, &seen);
        }
    }

    fn end(&mut self, session: &str, next: Option<u64>) {
        self.counts.ends += 1;
        let seen = format!(
            "end{}",
            next.map_or(String::new(), |next| format!(", next {next}"))
        );
        let lives = &self.truth.lives;
        let life = match session {
            "" => Some(self.life),
            _ => (0..lives.len())
                .rev()
                .find(|&life| lives[life].name == session),
        };
        let Some(life) = life else {
            let expected = self.next_owed();
            return self.dishonest(expected, format!("{seen} of {session}, which nobody began"));
        };
        if life > self.life {
            self.go_on_to(life, &seen);
        }
        let last = life + 1 == lives.len();
        if lives[life].end == End::Unsaid && last {
            let expected = self.next_owed();
            return self.dishonest(expected, format!("{seen}, which no line said"));
        }
        if next.is_some_and(|next| next != lives[life].next()) {
            let expected = format!("end, next {}", lives[life].next());
            return self.dishonest(expected, seen);
        }
        self.ended[life] = true;
        if life == self.life {
            self.close(&seen);
        }
    }

    /// Leaves everything before `life`; `seen` made it so.
    fn go_on_to(&mut self, life: usize, seen: &str) {
        while self.life < life {
            self.close(seen);
            self.life += 1;
            self.place = self.life().first;
            if self.claims.reset && self.reset_told < self.life {
                let expected = format!("reset to {}", self.life().name);
                self.dishonest(expected, seen.to_owned());
            }
        }
    }

    /// The life at hand is over: everything of it must have been accounted for.
    fn close(&mut self, seen: &str) {
        self.pass(self.life().next(), seen);
        self.place = self.life().next();
        if self.claims.end && self.life().end == End::Said && !self.ended[self.life] {
            let expected = format!("end of {}, next {}", self.life().name, self.life().next());
            self.dishonest(expected, seen.to_owned());
        }
    }

    /// Everything from the place to before `number` has not come in its turn.
    fn pass(&mut self, number: u64, seen: &str) {
        let life = self.life();
        for passed in self.place..number.min(life.next()) {
            let index = (passed - life.first) as usize;
            let mark = &mut self.marks[self.life][index];
            if mark.delivered || mark.passed {
                continue;
            }
            mark.passed = true;
            let declared = mark.declared;
            match life.messages[index].fate {
                Fate::Owed if declared > 0 => {
                    let line = std::mem::replace(&mut self.line, declared);
                    let gap = "a gap over it".to_owned();
                    self.undelivered(named("message", &life.name, passed), gap);
                    self.line = line;
                }
                Fate::Owed => {
                    self.undelivered(named("message", &life.name, passed), seen.to_owned());
                }
                Fate::Lost | Fate::Broken if declared == 0 && self.claims.gap => {
                    let (from, to) = self.run_of(passed);
                    self.dishonest(format!("gap {from} to {to}"), seen.to_owned());
                }
                Fate::Lost | Fate::Broken | Fate::Before => {}
            }
        }
    }

    /// Owed messages that came never, and of which nothing was said: lost in silence.
    fn hidden(&mut self) {
        if !self.claims.gap {
            return;
        }
        for (life, marks) in self.truth.lives.iter().zip(&self.marks) {
            let mut numbers = (life.first..).zip(life.messages.iter().zip(marks));
            let untold = |(number, (message, mark)): (u64, (&Message, &Mark))| {
                let silent = !mark.delivered && mark.declared == 0;
                (message.fate == Fate::Owed && silent).then_some(number)
            };
            if let Some(number) = numbers.find_map(untold) {
                let expected = format!("message {number} of {}, or a gap over it", life.name);
                self.dishonest(expected, "neither".to_owned());
                return;
            }
        }
    }

    /// The run of lost numbers around one.
    fn run_of(&self, number: u64) -> (u64, u64) {
        let is_lost = |number: &u64| {
            let message = self.life().message(*number);
            message.is_some_and(|it| matches!(it.fate, Fate::Lost | Fate::Broken))
        };
        let from = (self.life().first..=number)
            .rev()
            .take_while(is_lost)
            .last();
        let to = (number..self.life().next()).take_while(is_lost).last();
        (from.unwrap_or(number), to.unwrap_or(number))
    }

    /// What would be right next, in words.
    fn next_owed(&self) -> String {
        let life = self.life();
        match life.message(self.place).map(|message| message.fate) {
            Some(Fate::Owed | Fate::Before) => named("message", &life.name, self.place),
            Some(Fate::Lost | Fate::Broken) => {
                let (_, to) = self.run_of(self.place);
                format!("gap {} to {to}", self.place)
            }
            None if life.end == End::Said => format!("end of {}", life.name),
            None => format!("nothing more of {}", life.name),
        }
    }

    fn undelivered(&mut self, expected: String, seen: String) {
        let line = self.line;
        self.delivery.get_or_insert(Fault {
            expected,
            seen,
            line,
        });
    }

    fn dishonest(&mut self, expected: String, seen: String) {
        let line = self.line;
        self.honesty.get_or_insert(Fault {
            expected,
            seen,
            line,
        });
    }
}

fn named(what: &str, session: &str, number: u64) -> String {
    match session {
        "" => format!("{what} {number}"),
        _ => format!("{what} {number} of {session}"),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
