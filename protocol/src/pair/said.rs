//! What do the two ends say to each other about one stream?

pub use twinfeed_wire::link::{Answer, Content, Cut, Intent, Report, Settled};
use twinfeed_wire::{Generation, Sid};

/// One thing said over the pair link, in order; each is a frame of the link.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Where the sender's stream stands (RM-30).
    Report(Report),
    /// "Tell me your numbering."
    AskCut {
        /// Source stream.
        sid: Sid,
        /// Generation the sender works under.
        generation: Generation,
    },
    /// "This is my numbering; take it over" (RM-32). What waits for its slot follows, announced anew.
    Cut(Cut),
    /// An administrative message and its slot, before it is placed (RM-22).
    Intent(Box<Intent>),
    /// What the backup can do about it (RM-23, RM-24).
    Answer(Answer),
    /// What became of a slot that was proposed on a quiet feed (RM-29).
    Settled(Settled),
    /// What the active sent under a range of source numbers.
    Content(Content),
}

impl Said {
    /// The generation under which it was said: to another one it means nothing.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        match self {
            Self::Report(report) => report.generation,
            Self::AskCut { generation, .. } => *generation,
            Self::Cut(cut) => cut.generation,
            Self::Intent(intent) => intent.generation,
            Self::Answer(answer) => answer.generation,
            Self::Settled(settled) => settled.generation,
            Self::Content(content) => content.generation,
        }
    }
}
