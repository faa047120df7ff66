//! Which kinds of administrative messages are there, and why does a generation begin?

/// What a message is about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AdminKind {
    /// A generation began; see [`crate::GenerationOpened`].
    GenerationOpened,
    /// Forget the book of the named instruments, or of all.
    ClearBook,
    /// Every line of the source is silent.
    SourceStale,
    /// The source speaks again.
    SourceRestored,
    /// What follows is converted with the dictionary that the text names.
    DictionarySwitch,
    /// The active hands over on purpose; the text says why.
    StepDown,
    /// The topic ends; the text says why.
    TopicClosed,
    /// An operator says something.
    OperatorNotice,
    /// A kind of a later version: skipped and counted.
    Unknown(u16),
}

impl AdminKind {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::GenerationOpened => 1,
            Self::ClearBook => 2,
            Self::SourceStale => 3,
            Self::SourceRestored => 4,
            Self::DictionarySwitch => 5,
            Self::StepDown => 6,
            Self::TopicClosed => 7,
            Self::OperatorNotice => 8,
            Self::Unknown(code) => code,
        }
    }

    /// The kind behind a number.
    #[must_use]
    pub const fn from_code(code: u16) -> Self {
        match code {
            1 => Self::GenerationOpened,
            2 => Self::ClearBook,
            3 => Self::SourceStale,
            4 => Self::SourceRestored,
            5 => Self::DictionarySwitch,
            6 => Self::StepDown,
            7 => Self::TopicClosed,
            8 => Self::OperatorNotice,
            other => Self::Unknown(other),
        }
    }

    /// The word used in metrics, logs and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::GenerationOpened => "generation_opened",
            Self::ClearBook => "clear_book",
            Self::SourceStale => "source_stale",
            Self::SourceRestored => "source_restored",
            Self::DictionarySwitch => "dictionary_switch",
            Self::StepDown => "step_down",
            Self::TopicClosed => "topic_closed",
            Self::OperatorNotice => "operator_notice",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Whether the payload is text, in UTF-8.
    #[must_use]
    pub const fn is_text(self) -> bool {
        match self {
            Self::DictionarySwitch | Self::StepDown | Self::TopicClosed | Self::OperatorNotice => {
                true
            }
            Self::GenerationOpened
            | Self::ClearBook
            | Self::SourceStale
            | Self::SourceRestored
            | Self::Unknown(_) => false,
        }
    }
}

/// Why a generation began.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum OpenReason {
    /// It is the pair's first.
    First,
    /// The peer's process was gone.
    PeerLost,
    /// The peer's lease ended.
    LeaseEnded,
    /// The peer stepped down on purpose.
    Handover,
    /// An operator ordered it without the peer's consent.
    Forced,
    /// A reason of a later version.
    Unknown(u8),
}

impl OpenReason {
    /// The byte on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::First => 1,
            Self::PeerLost => 2,
            Self::LeaseEnded => 3,
            Self::Handover => 4,
            Self::Forced => 5,
            Self::Unknown(code) => code,
        }
    }

    /// The reason behind a byte.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::First,
            2 => Self::PeerLost,
            3 => Self::LeaseEnded,
            4 => Self::Handover,
            5 => Self::Forced,
            other => Self::Unknown(other),
        }
    }

    /// The word used in metrics, logs and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::PeerLost => "peer_lost",
            Self::LeaseEnded => "lease_ended",
            Self::Handover => "handover",
            Self::Forced => "forced",
            Self::Unknown(_) => "unknown",
        }
    }
}
