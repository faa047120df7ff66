//! Which words may a state be described with?
//!
//! State words, not up and down: every leg has a *state*, a *data state* and a reason text. The words
//! are the same in JSON, metrics labels and on the status page.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
        )]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every word, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word, as in JSON and in metrics labels.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words!(
    /// What an adapter is within its pair, for one generation.
    Role {
        /// Holds the authority to originate administrative messages.
        Active = "active",
        /// Duplicates the active's output.
        Backup = "backup",
    }
);
words!(
    /// Where one end of a pair stands with a stream's administrative messages.
    PairState {
        /// It does not say.
        Unknown = "unknown",
        /// Nobody to be synchronised with.
        Unpaired = "unpaired",
        /// Backup: asks for the active's numbering.
        Resyncing = "resyncing",
        /// Backup: numbers as the active does.
        Synchronised = "synchronised",
        /// Backup: knows that it does not.
        Unsynchronised = "unsynchronised",
        /// Backup whose active is gone, or has stepped down: asks for its generation.
        TakingOver = "taking-over",
        /// Holds the generation.
        Active = "active",
    }
);
words!(
    /// Which adapters of a pair send what they number.
    #[derive(Default)]
    TransmitMode {
        #[default]
        /// Both: what is lost on one leg is filled from the other.
        Hot = "hot",
        /// The active; the backup numbers silently and sends at the first suspicion. Half the traffic, and what the
        /// active's leg loses is lost.
        Standby = "standby",
    }
);
words!(
    /// Which leg a subscriber delivers from.
    Policy {
        /// Whichever leg has the next record.
        FirstArrival = "first-arrival",
        /// One leg is delivered, the other held.
        PreferActive = "prefer-active",
    }
);
words!(
    /// Whether a source numbers its messages in the order in which they must be applied.
    OrderingClass {
        /// Numbers rise in delivery order.
        Ordered = "ordered",
        /// Numbers identify, they do not order.
        Unordered = "unordered",
    }
);
words!(
    /// What a subscriber may expect of repetition.
    DeliveryClass {
        /// Nothing twice, nothing silently lost.
        ExactlyOnce = "exactly-once",
        /// The source has no shared numbers: a switch may repeat messages.
        AtLeastOnce = "at-least-once",
        /// One leg only: there is nothing to switch to.
        SingleLeg = "single-leg",
    }
);
words!(
    /// What is known of one leg's transport.
    LegState {
        /// Its adapter has not registered yet; announced by the watch when it does.
        Pending = "pending",
        /// Brokered, nothing received from it yet.
        Joining = "joining",
        /// Sending, and its lease is valid.
        Live = "live",
        /// Registered, but it does not send, or nothing of it arrives.
        Silent = "silent",
        /// Its heartbeats arrive but its positions stand still while the twin's move.
        Stalled = "stalled",
        /// Alive, but behind the twin by more than the subscriber's `lag`.
        Lagging = "lagging",
        /// Its adapter's lease ended without a renewal.
        Lapsed = "lapsed",
        /// The survivor announced its death, or its heartbeats ceased.
        Lost = "lost",
        /// Ended on purpose.
        Closed = "closed",
    }
);
words!(
    /// What is known of the data that a leg carries.
    DataState {
        /// Nothing was reported.
        Unknown = "unknown",
        /// Complete from the first number of the epoch.
        Good = "good",
        /// Begun in mid-session, or a hole was abandoned: books may be wrong.
        Incomplete = "incomplete",
        /// The source stands still.
        Stale = "stale",
        /// The source said that it is over.
        Ended = "ended",
    }
);
words!(
    /// The pair link as one end sees it.
    LinkState {
        /// Established, hello exchanged, digests equal.
        Up = "up",
        /// Trying.
        Connecting = "connecting",
        /// Lost or refused; the reason text says why.
        Down = "down",
    }
);
words!(
    /// The origin's redundant transports into an adapter.
    LineName {
        /// Line A.
        A = "A",
        /// Line B.
        B = "B",
    }
);
words!(
    /// What one line of a source does.
    LineState {
        /// Packets arrive.
        Live = "live",
        /// Configured, nothing arrived yet.
        Waiting = "waiting",
        /// Nothing for longer than the source's heartbeat allows.
        Silent = "silent",
        /// The source said that it is over.
        Ended = "ended",
    }
);
words!(
    /// Why a subscriber stopped relying on a leg.
    Trigger {
        /// The survivor announced that its peer's connection was reset.
        TransportReset = "transport-reset",
        /// Heartbeats ceased.
        HeartbeatSilence = "heartbeat-silence",
        /// The leg announced its own end.
        StepDown = "step-down",
        /// stream-admin or an operator ordered it.
        Order = "order",
        /// Alive, but behind by more than `lag`.
        Lag = "lag",
        /// Heartbeats arrive, positions stand still while the twin's move.
        Stalled = "stalled",
        /// The leg lost its source, the twin did not.
        SourceLost = "source-lost",
        /// The held window of the other leg filled up.
        WindowFull = "window-full",
        /// The other leg's context reaches further back.
        Outranked = "outranked",
        /// The leg is degraded and the other one fit, or the preferred one is fit again.
        Health = "health",
    }
);
words!(
    /// Why an adapter asks for the next generation as its active.
    TakeoverCause {
        /// The active's process is gone.
        PeerGone = "peer-gone",
        /// The active has stepped down, and said so over the pair link.
        SteppedDown = "stepped-down",
    }
);
words!(
    /// Who may make the backup of a feed active, beside an operator.
    TakeoverPolicy {
        /// A backup that lacks nothing, when the active's process is gone, and stream-admin, when the active has lost its
        /// source and the backup has not. Silence is not death.
        OnPeerLost = "on-peer-lost",
        /// The same, and stream-admin, when the active's lease is over, its backup does not hear it, and lacked
        /// nothing when it last did. What the active placed alone in between is not inherited.
        OnSilence = "on-silence",
        /// Nobody.
        Operator = "operator",
    }
);
words!(
    /// Why another adapter became active, or was to.
    RoleCause {
        /// An operator's hand-over: the active stepped down.
        HandOver = "hand-over",
        /// A hand-over at the time that the feed's `hand_back` says, to the adapter whose binary prefers to be active.
        HandBack = "hand-back",
        /// An operator's takeover.
        Forced = "forced",
        /// The active's process was gone, and its backup lacked nothing.
        PeerGone = "peer-gone",
        /// The active's lease was over, its backup heard nothing of it and lacked nothing (`takeover = "on-silence"`).
        PeerSilent = "peer-silent",
        /// The active had lost a source that its backup had: stream-admin let it hand over.
        SourceLost = "source-lost",
        /// An adapter registered that had been restarted, or whose lease had lapsed.
        Registration = "registration",
        /// An operator pinned the roles.
        Pin = "pin",
        /// An operator took the pin away.
        Unpin = "unpin",
    }
);
