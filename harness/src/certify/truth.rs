//! What does a handler owe after a scenario was played to it?
//!
//! Number by number: a message that one line carried whole is *owed*, one that no line carried is *lost* and must be
//! declared, one that came in broken packets alone may be delivered or declared. Nothing here knows packets or time.

use serde::Serialize;
use twinfeed_exchange::SessionId;

/// What became of a message on its way to the handler.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It was sent before the handler was there: nothing is owed of it.
    Before,
    /// No line carried it.
    Lost,
    /// It was carried in broken packets alone: delivered or declared, both are right.
    Broken,
    /// A line at least carried it whole.
    Owed,
}

/// One message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Message {
    /// ITCH type, its first byte.
    pub kind: u8,
    /// ITCH timestamp, nanoseconds since midnight; no two of a session are equal.
    pub timestamp: u64,
    /// What became of it.
    pub fate: Fate,
}

/// What the lines said about the end of a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// One line at least said that it is over.
    Said,
    /// Nobody did.
    Unsaid,
}

/// One life of a numbering: a session, or a session that began again.
#[derive(Clone, Debug)]
pub struct Life {
    /// The session.
    pub session: SessionId,
    /// Its name, as handlers say it.
    pub name: String,
    /// Number of its first message.
    pub first: u64,
    /// Its messages in order.
    pub messages: Vec<Message>,
    /// What was said about its end.
    pub end: End,
}

impl Life {
    /// A life without messages yet.
    #[must_use]
    pub fn new(session: SessionId, first: u64) -> Self {
        Self {
            session,
            name: session.to_string(),
            first,
            messages: Vec::new(),
            end: End::Unsaid,
        }
    }

    /// The number behind its last one.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.first + self.messages.len() as u64
    }

    /// Where in `messages` a number stands.
    #[must_use]
    pub fn index(&self, number: u64) -> Option<usize> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        (index < self.messages.len()).then_some(index)
    }

    /// The message of a number.
    #[must_use]
    pub fn message(&self, number: u64) -> Option<&Message> {
        self.messages.get(self.index(number)?)
    }

    /// Runs of numbers with one fate: first, last, fate.
    pub fn runs(&self) -> impl Iterator<Item = (u64, u64, Fate)> {
        let mut number = self.first;
        self.messages
            .chunk_by(|a, b| a.fate == b.fate)
            .map(move |run| {
                let first = number;
                number += run.len() as u64;
                (first, number - 1, run[0].fate)
            })
    }
}

/// Everything that is owed.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// In the order in which they were played.
    pub lives: Vec<Life>,
    /// How many times both lines fell silent for longer than a handler calls alive.
    pub silences: u64,
}

impl Truth {
    /// How many messages have this fate.
    #[must_use]
    pub fn count(&self, fate: Fate) -> u64 {
        let messages = self.lives.iter().flat_map(|life| &life.messages);
        messages.filter(|it| it.fate == fate).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_and_runs_are_told_apart() {
        let mut life = Life::new(SessionId::numbered("C", 1).unwrap(), 7);
        for fate in [Fate::Owed, Fate::Owed, Fate::Lost, Fate::Owed] {
            life.messages.push(Message {
                kind: b'A',
                timestamp: 1,
                fate,
            });
        }
        assert_eq!(life.next(), 11);
        let found = [6, 7, 10, 11].map(|number| life.index(number));
        assert_eq!(found, [None, Some(0), Some(3), None]);
        let runs: Vec<_> = life.runs().collect();
        assert_eq!(
            runs,
            [(7, 8, Fate::Owed), (9, 9, Fate::Lost), (10, 10, Fate::Owed)]
        );
    }
}
