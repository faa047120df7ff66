//! Why was a context not handed over?

use core::fmt;

/// Why a context was not handed over.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum OverReason {
    /// The giver's own context is not complete.
    Incomplete,
    /// The giver is in another epoch.
    Epoch,
    /// The giver is giving another one.
    Busy,
    /// The giver is configured not to.
    Off,
    /// The giver's context changed, or its epoch ended.
    Changed,
    /// More changed at the giver than its queue could hold until it was sent.
    GiverFull,
    /// A chunk is damaged, out of order, or says what cannot be.
    Damaged,
    /// More orders than the taker's table has room for.
    TooManyOrders,
    /// The taker's buffer of source messages is full.
    TakerFull,
    /// The taker lost source messages that it would have needed.
    Hole,
    /// Nothing came for too long.
    Patience,
    /// The taker needs it no more.
    NotNeeded,
    /// The taker has no memory for it.
    NoMemory,
    /// The items are of a format or version that the taker does not know.
    Format,
    /// A reason of a later version.
    Other(u8),
}

impl OverReason {
    /// Those that this version knows, in order of their codes.
    pub const ALL: [Self; 14] = [
        Self::Incomplete,
        Self::Epoch,
        Self::Busy,
        Self::Off,
        Self::Changed,
        Self::GiverFull,
        Self::Damaged,
        Self::TooManyOrders,
        Self::TakerFull,
        Self::Hole,
        Self::Patience,
        Self::NotNeeded,
        Self::NoMemory,
        Self::Format,
    ];

    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Incomplete => 1,
            Self::Epoch => 2,
            Self::Busy => 3,
            Self::Off => 4,
            Self::Changed => 5,
            Self::GiverFull => 6,
            Self::Damaged => 7,
            Self::TooManyOrders => 8,
            Self::TakerFull => 9,
            Self::Hole => 10,
            Self::Patience => 11,
            Self::NotNeeded => 12,
            Self::NoMemory => 13,
            Self::Format => 14,
            Self::Other(code) => code,
        }
    }

    pub(super) fn from_code(code: u8) -> Self {
        let known = Self::ALL.into_iter().find(|reason| reason.code() == code);
        known.unwrap_or(Self::Other(code))
    }
}

impl fmt::Display for OverReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("the peer's own context is not complete"),
            Self::Epoch => f.write_str("the peer is in another epoch"),
            Self::Busy => f.write_str("the peer is giving another context"),
            Self::Off => f.write_str("the peer gives none (`pair.context_transfer = false` there)"),
            Self::Changed => f.write_str("the peer's context changed, or its epoch ended"),
            Self::GiverFull => f.write_str(
                "more changed at the peer than the link carried; raise `pair.context_queue` there",
            ),
            Self::Damaged => f.write_str("what came was damaged"),
            Self::TooManyOrders => f.write_str(
                "the peer has more open orders than `max_open_orders`, which should be equal on both",
            ),
            Self::TakerFull => f.write_str(
                "the peer is so far behind that the source messages since found no room; raise \
                 `pair.context_buffer`",
            ),
            Self::Hole => f.write_str("source messages that it needed were lost here"),
            Self::Patience => f.write_str("nothing came for too long"),
            Self::NotNeeded => f.write_str("it is not needed any more"),
            Self::NoMemory => f.write_str("no memory for a second table of `max_open_orders`"),
            Self::Format => f.write_str("the peer's build remembers otherwise; upgrade the older"),
            Self::Other(code) => write!(f, "reason {code} of a later version"),
        }
    }
}
