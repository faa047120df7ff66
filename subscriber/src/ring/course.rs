//! When is a leg read from its ring, and when from its sockets?
//!
//! | state ╲ event | the ring gives | it gives nothing | and had given nothing for so long | its first was heard by a socket | broken, or outlived |
//! |---|---|---|---|---|---|
//! | *joined*: sockets | *meeting* | – | – | – | *left* |
//! | *meeting*: sockets | (not asked) | (not asked) | *joined*: with the next one | *reading* | *left* |
//! | *reading*: ring; sockets now and then | – | – | *quiet* | – | *left* |
//! | *quiet*: both | *reading* | – | – | – | *left* |
//! | *left*: sockets | (not asked) | (not asked) | – | – | – |
//!
//! What stands in the ring was written there before it was sent. So once a socket has brought the first datagram that this reader can have
//! from the ring, and nothing is left in any socket of the leg, what came before that has been read and everything behind it stands in the ring:
//! nothing is missing between the two. What the sockets had beyond it comes twice and is dropped, as every copy is. Where they do not bring it, the
//! network has lost it or the writer stands still between the two; the next one of the ring is waited for instead.
//!
//! From then on the kernel drops at the sockets what this life of the adapter sends (`net`, `udp::Receiver::refuse`), so that another life
//! finds room there, and is heard: once each millisecond, and all the time while the ring is silent for longer than a leg may be. Whose place is
//! taken is *left*.

use std::time::Duration;

use twinfeed_protocol::Time;

/// Which way a leg comes.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum RingState {
    /// There is no ring, or none that could be had.
    #[default]
    Absent,
    /// The ring has given nothing yet.
    Joined,
    /// It has, and the sockets are not as far.
    Meeting,
    /// From the ring alone.
    Reading,
    /// The ring is silent: from both.
    Quiet,
    /// The ring is no good any more.
    Left,
}

impl RingState {
    /// All, in this order.
    pub const ALL: [Self; 6] = [
        Self::Absent,
        Self::Joined,
        Self::Meeting,
        Self::Reading,
        Self::Quiet,
        Self::Left,
    ];

    /// For metrics and status documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Joined => "joined",
            Self::Meeting => "meeting",
            Self::Reading => "reading",
            Self::Quiet => "quiet",
            Self::Left => "left",
        }
    }

    /// Whether the leg's sockets are read as ever.
    pub(super) const fn reads_sockets(self) -> bool {
        !matches!(self, Self::Reading | Self::Quiet)
    }
}

/// What happens to a ring's reader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Happening {
    /// It gave a datagram.
    Gave,
    /// It had none.
    Nothing,
    /// A socket has brought the first that it gave, or a later one.
    Met,
    /// The memory makes no sense, or its writer was replaced.
    Over,
}

/// The state, and since when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    state: RingState,
    /// When the ring last gave something.
    gave: Time,
}

impl Course {
    pub(super) const fn new() -> Self {
        Self {
            state: RingState::Joined,
            gave: Time::ZERO,
        }
    }

    pub(super) const fn state(&self) -> RingState {
        self.state
    }

    /// `silence`: how long a leg may say nothing.
    pub(super) fn on(&mut self, happening: Happening, at: Time, silence: Duration) {
        let late = at.since(self.gave) > silence;
        self.state = match (self.state, happening) {
            (state @ (RingState::Absent | RingState::Left), _) => state,
            (_, Happening::Over) => RingState::Left,
            (RingState::Joined, Happening::Gave) => RingState::Meeting,
            (RingState::Meeting, Happening::Met) => RingState::Reading,
            (RingState::Meeting, _) if late => RingState::Joined,
            (RingState::Reading, Happening::Nothing) if late => RingState::Quiet,
            (RingState::Quiet, Happening::Gave) => RingState::Reading,
            (state, _) => state,
        };
        if happening == Happening::Gave {
            self.gave = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_millis(30);

    fn at(ms: u64) -> Time {
        Time(ms * 1_000_000)
    }

    /// One that has come to `state`, whose ring gave something at 100 ms.
    fn course(state: RingState) -> Course {
        Course {
            state,
            gave: at(100),
        }
    }

    #[test]
    fn every_state_answers_every_event_as_the_table_says() {
        use Happening::{Gave, Met, Nothing, Over};
        use RingState::{Joined, Left, Meeting, Quiet, Reading};
        // In time, and after a silence.
        let table = [
            (Joined, Gave, [Meeting, Meeting]),
            (Joined, Nothing, [Joined, Joined]),
            (Joined, Met, [Joined, Joined]),
            (Joined, Over, [Left, Left]),
            (Meeting, Gave, [Meeting, Joined]),
            (Meeting, Nothing, [Meeting, Joined]),
            (Meeting, Met, [Reading, Reading]),
            (Meeting, Over, [Left, Left]),
            (Reading, Gave, [Reading, Reading]),
            (Reading, Nothing, [Reading, Quiet]),
            (Reading, Met, [Reading, Reading]),
            (Reading, Over, [Left, Left]),
            (Quiet, Gave, [Reading, Reading]),
            (Quiet, Nothing, [Quiet, Quiet]),
            (Quiet, Met, [Quiet, Quiet]),
            (Quiet, Over, [Left, Left]),
            (Left, Gave, [Left, Left]),
            (Left, Nothing, [Left, Left]),
            (Left, Met, [Left, Left]),
            (Left, Over, [Left, Left]),
        ];
        assert_eq!(table.len(), 5 * 4);
        for (state, happening, expected) in table {
            for (ms, expected) in [130, 131].into_iter().zip(expected) {
                let mut course = course(state);
                course.on(happening, at(ms), SILENCE);
                assert_eq!(
                    course.state(),
                    expected,
                    "{state:?} {happening:?} at {ms} ms"
                );
            }
        }
    }

    #[test]
    fn a_silence_counts_from_what_was_given_last() {
        let mut course = course(RingState::Reading);
        for ms in (110..500).step_by(20) {
            course.on(Happening::Nothing, at(ms), SILENCE);
            course.on(Happening::Gave, at(ms), SILENCE);
        }
        assert_eq!(course.state(), RingState::Reading);
        course.on(Happening::Nothing, at(521), SILENCE);
        assert_eq!(course.state(), RingState::Quiet);
    }
}
