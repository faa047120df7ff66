//! What do the two ends say to each other about one stream?

use twinfeed_wire::{Adm, Epoch, Generation, Msn, StoredAdmin};

use super::verdict::Verdict;
use crate::sequencer::Placed;

/// One thing said over the pair link, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Where the sender's stream stands (RM-30).
    Report(Report),
    /// "Tell me your numbering."
    AskCut {
        /// Generation the sender works under.
        generation: Generation,
    },
    /// "This is my numbering; take it over" (RM-32). What waits for its slot follows, announced anew.
    Cut(Cut),
    /// An administrative message and its slot, before it is placed (RM-22).
    Intent(Box<Intent>),
    /// What the backup can do about it (RM-23, RM-24).
    Answer(Answer),
}

/// Where a stream stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Report {
    /// Generation the sender works under.
    pub generation: Generation,
    /// B: number of the record it processed last.
    pub processed: Msn,
    /// That record, to be compared at equal msn; `None` when it was placed before the numbering was taken
    /// over, for then it counts other administrative messages.
    pub last: Option<Placed>,
    /// Whether the sender counts as synchronised.
    pub synchronised: bool,
    /// Number of the cut it took over last, 0 for none; what it says of itself holds for that one.
    pub cut: u32,
}

/// A numbering: this record of the source has this number, and what follows it begins here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cut {
    /// The generation whose numbering it is.
    pub generation: Generation,
    /// Of the generation's cuts, from 1.
    pub number: u32,
    /// The last record of a source message; its msn is 0 when the numbering begins behind it.
    pub last: Placed,
    /// Administrative messages placed behind it since.
    pub behind: u64,
    /// Administrative messages before the next record, those included.
    pub adm: Adm,
    /// How many of them, and of those that wait, are of older generations and valid.
    pub inherited: Adm,
}

/// An announcement: the active will place this message at this slot, unless it hears in time that the peer
/// cannot.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// Generation the sender works under; the message may be of an older one.
    pub generation: Generation,
    /// The epoch in which the slot lies.
    pub epoch: Epoch,
    /// A.
    pub slot: Msn,
    /// From 1.
    pub attempt: u8,
    /// The message, which bears its identity.
    pub message: StoredAdmin,
}

/// The answer to one attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Generation the sender works under.
    pub generation: Generation,
    /// Which message.
    pub number: Adm,
    /// Which attempt.
    pub attempt: u8,
    /// A, as announced.
    pub slot: Msn,
    /// B, latched when it was judged.
    pub processed: Msn,
    /// What follows from A, B and T.
    pub verdict: Verdict,
}
