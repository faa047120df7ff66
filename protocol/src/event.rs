//! What is an application told?
//!
//! Records and events reach a [`Handler`] in one order. Loss is never only a counter: whatever an
//! application needs in order to be honest about its book is an [`Event`], in order with the data.

use core::fmt;
use core::time::Duration;

use twinfeed_wire::{Adm, BodyKind, ContextId, Epoch, Generation, Pos, RecordFlags, Sid};

use crate::cursor::Cursor;
use crate::piece::Piece;
use crate::receipt::Receipt;

/// One of a feed's two legs: 0 is the output of the adapter that prefers to be active.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Leg {
    /// Output of the adapter whose preferred role is active.
    Zero,
    /// Output of the adapter whose preferred role is backup.
    One,
}

impl Leg {
    /// Both legs.
    pub const BOTH: [Self; 2] = [Self::Zero, Self::One];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Zero => Self::One,
            Self::One => Self::Zero,
        }
    }

    /// 0 or 1.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.index())
    }
}

/// A place within one (sid, epoch): the `part`-th record of source message `sseq`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The origin's own number.
    pub sseq: u64,
    /// Index of the record within its source message.
    pub part: u16,
}

impl Place {
    /// The first record of source message `sseq`.
    #[must_use]
    pub const fn start(sseq: u64) -> Self {
        Self { sseq, part: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.sseq, self.part)
    }
}

/// A record as the application gets it; `body` is valid during the call only.
#[derive(Clone, Copy, Debug)]
pub struct Delivered<'a> {
    /// Where the record stands, once and for all.
    pub pos: Pos,
    /// What the body is.
    pub kind: BodyKind,
    /// Last part, continued body.
    pub flags: RecordFlags,
    /// Administrative messages before this record.
    pub adm: Adm,
    /// The leg it was taken from.
    pub leg: Leg,
    /// The body; 8-byte aligned.
    pub body: &'a [u8],
    /// When the adapter received the source datagram, Unix ns; 0 when not known.
    pub received_at: u64,
    /// When the adapter sent the datagram, Unix ns.
    pub sent_at: u64,
    /// The first place that the application has heard nothing of once it has this record; of an unordered source the lowest
    /// number that was neither delivered nor declared.
    pub next: Place,
    /// What the conversion of the record remembers.
    pub context: ContextId,
    /// Whether that reaches back to the source's own first number, without a hole.
    pub complete: bool,
    /// In whose numbering `adm` counts; `None`: how many administrative messages stand before it is not known.
    pub numbering: Option<Generation>,
}

impl Delivered<'_> {
    /// Where the application stands once it has this record: what its next run goes on from. Which epoch was before, and what
    /// was declared behind the record, [`crate::Cursors`] knows.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let itself = u64::from(self.kind == BodyKind::Administrative);
        let adm = Adm(self.adm.0.saturating_add(itself));
        Cursor {
            next: Pos {
                sseq: self.next.sseq,
                part: self.next.part,
                ..self.pos
            },
            last: self.pos.sseq,
            context: self.context,
            complete: self.complete,
            count: self.numbering.map(|generation| (adm, generation)),
            predecessor: Epoch::NONE,
        }
    }
}

/// Why numbers are missing for good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GapCause {
    /// Every live leg passed the hole without it.
    LostOnEveryLeg,
    /// This host dropped datagrams of ours while the hole opened: the application polled too late.
    ReceiverOverrun,
    /// The other leg is alive but too far behind to wait for.
    Lag,
    /// What is held, waits to be believed, or is told apart of an unordered source reached its bound before the hole was
    /// filled; or it came while its epoch was taken for over, and was refused. It arrived, and was not kept here.
    HoldFull,
    /// The source itself, or every adapter, gave the range up.
    Abandoned,
    /// Lost on every leg, and no adapter that could be asked retains it any more.
    NotRetained,
    /// Lost on every leg, and no adapter that was asked gave it in time.
    Unanswered,
    /// It waited for an application that was too slow, and was left out so that this one is with the stream again.
    Skipped,
}

impl GapCause {
    /// The word used in metrics, logs and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::LostOnEveryLeg => "lost_on_every_leg",
            Self::ReceiverOverrun => "receiver_overrun",
            Self::Lag => "lag",
            Self::HoldFull => "hold_full",
            Self::Abandoned => "abandoned",
            Self::NotRetained => "not_retained",
            Self::Unanswered => "unanswered",
            Self::Skipped => "skipped",
        }
    }
}

/// Why what follows does not continue what came before, although the numbering does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DiscontinuityCause {
    /// The first that this application sees of the source stream.
    Join,
    /// What follows was converted with another memory of the past.
    Context {
        /// Context of what came before.
        from: ContextId,
    },
    /// What follows counts other administrative messages than were delivered.
    Administrative,
    /// What follows is of a leg that said other things under equal numbers: the one that was pinned is gone, or
    /// another one is active.
    Divergence {
        /// The leg that was pinned before.
        from: Leg,
    },
}

/// What is known of the end of the epoch that was left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tail {
    /// Everything up to its end was delivered or declared.
    Complete,
    /// Nobody could say where it ended: what was delivered may not be all.
    Unknown,
}

/// Why the numbering starts afresh.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResetCause {
    /// The source began another life of its numbering.
    Epoch {
        /// The epoch that was left.
        from: Epoch,
        /// What is known of its end.
        tail: Tail,
    },
    /// Every live leg stands below what was delivered: the source stepped back within its epoch.
    Regress,
}

/// Why nothing more will come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CloseReason {
    /// The application asked for it.
    ByApplication,
    /// Stream administration withdrew the entitlement.
    Revoked,
    /// Stream administration refused the subscription.
    Refused,
    /// The feed is gone.
    FeedRemoved,
    /// The application was too slow, and this is what it wants then.
    TooSlow,
}

/// What happens when an application is too slow for what it is sent.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum SlowPolicy {
    /// It is told so, and goes on; what finds no room in the sockets is lost there.
    #[default]
    Warn,
    /// It is told so, and what waits is left out: a [`Event::Gap`] with the cause [`GapCause::Skipped`] names it.
    Skip,
    /// It is told so, and nothing more comes.
    Disconnect,
}

impl SlowPolicy {
    /// The word used in configuration, metrics, logs and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Skip => "skip",
            Self::Disconnect => "disconnect",
        }
    }
}

/// Why joining with a snapshot begins again.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RestartCause {
    /// What was kept while the snapshot was fetched, or told, reached its bound.
    Full,
}

impl RestartCause {
    /// The word used in metrics, logs and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
        }
    }
}

/// How a leg is doing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LegState {
    /// Nothing was ever heard of it.
    Unheard,
    /// Speaking, and keeping up.
    Live,
    /// Speaking, but its progress stands still or lags while the other leg moves.
    Stalled,
    /// Silent, or gone by its own or its peer's word.
    Lost,
}

impl LegState {
    /// The word used in metrics, logs and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unheard => "unheard",
            Self::Live => "live",
            Self::Stalled => "stalled",
            Self::Lost => "lost",
        }
    }
}

/// What happened, in order with the records.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Everything from `from` up to, not including, `until` is missing for good. Of an ordered source that is
    /// what comes next; of an unordered one, what comes next may lie on either side.
    Gap {
        /// Source stream.
        sid: Sid,
        /// Epoch of the numbers.
        epoch: Epoch,
        /// First missing place.
        from: Place,
        /// First place behind the hole.
        until: Place,
        /// Why.
        cause: GapCause,
    },
    /// Administrative messages `from..until` of this sid are missing for good.
    AdministrativeGap {
        /// Source stream.
        sid: Sid,
        /// First missing number.
        from: Adm,
        /// First number behind the hole.
        until: Adm,
        /// In whose numbering; `None`: that is not known.
        numbering: Option<Generation>,
    },
    /// A hole that records waited behind was closed in time: nothing is missing. Behind a hole of an unordered
    /// source nothing waits: it closes without a word.
    Recovered {
        /// Source stream.
        sid: Sid,
        /// Epoch of the numbers.
        epoch: Epoch,
        /// First place of the hole.
        from: Place,
        /// First place behind the hole.
        until: Place,
    },
    /// One leg is no longer relied on.
    Switched(Receipt),
    /// The numbering goes on, its meaning does not: rebuild.
    Discontinuity {
        /// Source stream.
        sid: Sid,
        /// Epoch of what follows.
        epoch: Epoch,
        /// Where what follows begins; of an unordered source the lowest number that was neither delivered nor
        /// declared, below which nothing follows.
        at: Place,
        /// Context of what follows.
        context: ContextId,
        /// Whether that context reaches back to the source's own first number.
        complete: bool,
        /// Why.
        cause: DiscontinuityCause,
    },
    /// The numbering starts afresh: clear everything of this sid.
    Reset {
        /// Source stream.
        sid: Sid,
        /// Epoch of what follows.
        epoch: Epoch,
        /// Where what follows begins.
        at: Place,
        /// Context of what follows.
        context: ContextId,
        /// Whether that context reaches back to the source's own first number.
        complete: bool,
        /// Why.
        cause: ResetCause,
    },
    /// The legs sent different content under equal numbers and equal context ids. From here on records are of one of
    /// them, the pinned one, until [`Event::Converged`], or until a [`Event::Discontinuity`] for that cause says that
    /// it is gone. Told once: ranges that differ while a leg is pinned are counted only.
    Divergence {
        /// Source stream.
        sid: Sid,
        /// Epoch of the numbers.
        epoch: Epoch,
        /// The range of source numbers: `range × 4,096` and the 4,095 that follow. It is compared when it is over,
        /// so either leg's records may have been delivered from its first number on, up to `at`.
        range: u64,
        /// What follows from here on is of the pinned leg alone; of an unordered source the lowest number that was
        /// neither delivered nor declared.
        at: Place,
        /// The leg whose records are delivered: of the active of the newest generation, if that lives.
        pinned: Leg,
    },
    /// Legs that diverged have agreed for long enough: both are merged again.
    Converged {
        /// Source stream.
        sid: Sid,
        /// Epoch of the numbers.
        epoch: Epoch,
        /// The last range that agreed.
        range: u64,
    },
    /// A leg changed its state.
    Leg {
        /// Source stream.
        sid: Sid,
        /// Which leg.
        leg: Leg,
        /// Its new state.
        state: LegState,
        /// Generation in whose numbering it last counted.
        generation: Generation,
    },
    /// No leg speaks: the book may be out of date.
    Stale {
        /// Source stream.
        sid: Sid,
    },
    /// A leg speaks again after [`Event::Stale`].
    Live {
        /// Source stream.
        sid: Sid,
    },
    /// The source ended the epoch and everything of it was delivered or declared. Silence from here on is
    /// not stale.
    Ended {
        /// Source stream.
        sid: Sid,
        /// The epoch that ended.
        epoch: Epoch,
        /// The number behind its last one.
        next_sseq: u64,
    },
    /// Joining with a snapshot began again: what was kept of the stream, and what was told of a snapshot since the last
    /// [`Event::Discontinuity`], is void. Nothing more of it is told before the next one.
    JoinRestarted {
        /// Source stream.
        sid: Sid,
        /// Why.
        cause: RestartCause,
    },
    /// Joining took too long: there is no snapshot, and what was kept of the stream follows, from where it began.
    NoSnapshot {
        /// Source stream.
        sid: Sid,
    },
    /// The application is too slow: what it is told now may have waited here for so long. Told once until it has caught up.
    Slow {
        /// How long ago everything that had come was last taken.
        behind: Duration,
        /// What happens now.
        policy: SlowPolicy,
    },
    /// stream-admin changed one of the feed's constraints, and a running subscription cannot take it over: it
    /// goes on with the value that it began with. Subscribe again to work with the new one.
    ConstraintKept {
        /// The constraint, by its name in the grant.
        name: &'static str,
    },
    /// Nothing more will come.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

impl Event {
    /// The source stream it is of; `None`: it is of all of the feed.
    #[must_use]
    pub const fn sid(&self) -> Option<Sid> {
        match self {
            Self::Gap { sid, .. }
            | Self::AdministrativeGap { sid, .. }
            | Self::Recovered { sid, .. }
            | Self::Switched(Receipt { sid, .. })
            | Self::Discontinuity { sid, .. }
            | Self::Reset { sid, .. }
            | Self::Divergence { sid, .. }
            | Self::Converged { sid, .. }
            | Self::Leg { sid, .. }
            | Self::Stale { sid }
            | Self::Live { sid }
            | Self::Ended { sid, .. }
            | Self::JoinRestarted { sid, .. }
            | Self::NoSnapshot { sid } => Some(*sid),
            Self::Slow { .. } | Self::ConstraintKept { .. } | Self::Closed { .. } => None,
        }
    }
}

/// Where records and events go, in one order.
pub trait Handler {
    /// A record, exactly once; in order within its sid, unless that is unordered: then as it comes, the parts of
    /// one source message in order.
    fn record(&mut self, record: &Delivered<'_>);
    /// What happened between the record before and the record after.
    fn event(&mut self, event: &Event);
    /// A record in its place that the application did not want (a filter of its own; an arbiter calls this never). What it says
    /// is nobody's concern; that it was there is: hand it to [`crate::Cursors::record`], so that the next run does not go
    /// on before it. Does nothing unless implemented.
    fn withheld(&mut self, record: &Delivered<'_>) {
        let _ = record;
    }
    /// A piece of a snapshot of `sid`, in its order, behind the [`Event::Discontinuity`] that says where it stands: see [`Piece`].
    /// Hand it to [`crate::Cursors::snapshot`]. Does nothing unless implemented, and is called for who asked for snapshots only.
    fn snapshot(&mut self, sid: Sid, piece: &Piece<'_>) {
        let _ = (sid, piece);
    }
}

impl<H: Handler + ?Sized> Handler for &mut H {
    fn record(&mut self, record: &Delivered<'_>) {
        (**self).record(record);
    }

    fn event(&mut self, event: &Event) {
        (**self).event(event);
    }

    fn withheld(&mut self, record: &Delivered<'_>) {
        (**self).withheld(record);
    }

    fn snapshot(&mut self, sid: Sid, piece: &Piece<'_>) {
        (**self).snapshot(sid, piece);
    }
}
