//! What does a pair link have to say to the rest of its adapter?

use std::fmt;

use twinfeed_wire::link::{BadFrame, Frame, Hello, Role};
use twinfeed_wire::{Generation, Incarnation};

/// What of the link concerns the streams' numbering.
#[allow(
    clippy::large_enum_variant,
    reason = "a plain value without a heap; few wait, in a queue made at the start"
)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Heard {
    /// The two ends can talk from here on; nothing said before counts.
    Up,
    /// They cannot any more.
    Down {
        /// Because the peer's process is gone, or left on purpose, after everything that it had to say.
        gone: bool,
    },
    /// The peer said this; what it means is none of the link's business.
    Said(Frame),
    /// The peer is the active of this generation, a later one than this end's.
    Superseded(Generation),
}

/// What changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Notice {
    /// The peer is there and converts as we do.
    Paired(Hello),
    /// The peer's process is gone: announce it.
    PeerLost,
    /// The peer left on purpose.
    PeerLeft,
    /// The link is down and nobody knows why.
    Down(DownCause),
    /// Somebody was there that must not be paired with.
    Refused(Refusal),
}

/// Why the link is down although nobody closed it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DownCause {
    /// No frame for the allowed number of beats.
    Silence,
    /// The way to the peer's host gave no answer.
    Network,
    /// The peer sent what is no frame, or none at this place.
    Nonsense,
    /// More was said than could be taken or sent in time.
    Overrun,
}

/// Why somebody was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// It adapts another feed.
    Feed,
    /// It converts otherwise.
    Config {
        /// Our digest.
        ours: u64,
        /// Its digest.
        theirs: u64,
    },
    /// It has the same preferred role.
    SameRole(Role),
    /// It is this very process.
    Ourselves,
    /// A newer incarnation of the peer was seen.
    Replaced(Incarnation),
    /// It speaks something else.
    Frame(BadFrame),
}

impl fmt::Display for DownCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silence => "the peer is silent",
            Self::Network => "the way to the peer's host gives no answer",
            Self::Nonsense => "the peer broke the link's protocol",
            Self::Overrun => "more was said than could be taken or sent in time; it is made anew",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feed => f.write_str("the peer adapts another feed; check the link addresses"),
            Self::Config { ours, theirs } => write!(
                f,
                "the peer's configuration digest is {theirs:016x}, ours {ours:016x}: give both adapters \
                 the same feed file (`--check-config` prints the digest)"
            ),
            Self::SameRole(role) => write!(
                f,
                "the peer is another {role}-feed-adapter: start a {}-feed-adapter there",
                role.other()
            ),
            Self::Ourselves => {
                f.write_str("the link leads back to this process; check the link addresses")
            }
            Self::Replaced(incarnation) => {
                write!(
                    f,
                    "incarnation {incarnation} of the peer was replaced by a newer one"
                )
            }
            Self::Frame(bad) => bad.fmt(f),
        }
    }
}
