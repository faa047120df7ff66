//! How does a trading application get every record of a feed once, whatever dies on the way?
//!
//! ```text
//!              ┌────────────── DataPoller (your thread) ─────────────┐
//!   leg 0 ────►│ receive ─► arbiter: order, dedup, hold, switch ─► Handler
//!   leg 1 ────►│                ▲ bounded queue                      │
//!              └────────────────┼────────────────────────────────────┘
//!   stream-admin ◄────► Control (its own thread): subscribe, confirm, renew, watch, receipts
//! ```
//!
//! [`Builder`] gives two halves. [`DataPoller`] is yours to poll: it never blocks, and after warm-up it
//! neither allocates nor locks. [`Control`] talks to stream-admin on a thread that may block; data and
//! switches do not wait for it. Other threads look on through a [`Monitor`].
//!
//! # What to do with your book
//!
//! Records and events reach the [`Handler`] in one order. Per source stream (`sid`) an application sees
//! contiguous records, or one of these in order with them; there is no silent fourth case. Of a source stream
//! that the feed calls *unordered* (`ordering` in stream-admin's configuration) each record comes as soon as
//! either leg brings it, whatever its number: once, or inside a [`Event::Gap`] and then never. Such records must
//! each stand alone: a book needs an ordered source. Which policy is set makes no difference to them.
//!
//! | event | what it means | the book | for which instruments |
//! |---|---|---|---|
//! | [`Event::Gap`] | `from..until` will never come | *suspect*: orders may be missing or dead; clear it and rebuild from a snapshot, or use it marked as suspect | every instrument of `sid` (which ones the lost messages were about is not known) |
//! | [`Event::AdministrativeGap`] | messages to the subscribers themselves are missing | suspect, as one of them may have been *clear book* | every instrument of `sid` |
//! | [`Event::Recovered`] | a hole was closed in time | nothing | none |
//! | [`Event::Switched`] | a leg is no longer relied on; `gaps_left` was told as `Gap` before | nothing | none |
//! | [`Event::Discontinuity`] with `Join` | your first record of `sid` | start empty; unless `complete` and `at` is the source's own first number, orders that rest since before are unknown: suspect until a snapshot | every instrument of `sid` |
//! | [`Event::Discontinuity`] with `Context`, `Administrative` or `Divergence` | the numbers go on, what was remembered behind them does not | clear and rebuild | every instrument of `sid` |
//! | [`Event::Reset`] | the numbering began again: a new session, or the source stepped back | clear; with `complete` it grows again from nothing and is right, without it as after a join in mid-session | every instrument of `sid` |
//! | [`Event::Divergence`] | both legs said different things under equal numbers; from here on one of them, `pinned`, is delivered alone | suspect since `range × 4,096`: up to `at` it may be of both, and which leg is right is not known here. Clear it and rebuild it from a snapshot, or use it marked as suspect | every instrument of `sid` |
//! | [`Event::Converged`] | the legs agree again and are merged | nothing: what was suspect is so still | none |
//! | [`Event::Leg`] | a leg changed its state | nothing | none |
//! | [`Event::Stale`] | no leg speaks | right as of the last record, and ageing: do not quote from it | every instrument of `sid` |
//! | [`Event::Live`] | a leg speaks again | current again; what was missed comes as records or as `Gap` | every instrument of `sid` |
//! | [`Event::Ended`] | the source ended the epoch and all of it was delivered or declared | final; silence is not stale from here on | every instrument of `sid` |
//! | [`Event::Slow`] | the application [is too slow](#when-the-application-is-too-slow): what it is told now may have waited for so long, and its policy says what happens | as old as that: do not quote from it | all of the feed |
//! | [`Event::ConstraintKept`] | stream-admin changed a constraint that holds for as long as a subscription: it goes on as before | nothing; open the subscription again when it suits. A `max_datagram` that was kept means that longer datagrams are dropped and end in `Gap` | all of the feed |
//! | [`Event::JoinRestarted`] | joining with a snapshot [begins again](#starting-in-mid-session): what came finds no room | void if a snapshot was being told, otherwise suspect; a `Discontinuity` with `Join` follows, or [`Event::NoSnapshot`] | every instrument of `sid` |
//! | [`Event::NoSnapshot`] | joining took too long: what was kept follows, from where it began | as it was: suspect, as after a join without a snapshot | none |
//! | [`Event::Closed`] | nothing more will come | drop it, or keep it as of the last record | all of the feed |
//!
//! Two administrative messages say something of books too: *clear book* empties those of the instruments that it names, or of all, and
//! leaves them suspect; *source stale* is `Stale` until *source restored*, or a record of the source.
//!
//! A DBN record with `F_MAYBE_BAD_BOOK` in its flags says the same for one instrument: the adapter did not
//! know the order it speaks of. [`book::Books`] does all this, and doubts a book too whose records do not fit one another
//! ([`book::Inconsistency`]). [`book::Book`] is the book of one instrument, for who has records from elsewhere.
//!
//! # Only some instruments
//!
//! A [`Filter`] by number, symbol or beginning of a symbol ([`Builder::filter`], [`FilterSwitch`]) is applied to what is delivered, so
//! that it neither makes a gap nor hides one. What is withheld is told to [`Handler::withheld`]: hand it to [`Cursors`], or the next
//! run goes on before it. [`filter`] says what passes always, and what an application that wants more in mid-session has to
//! do with its books.
//!
//! # Units and sources
//!
//! Prices are signed integers of 1e-9, times are Unix nanoseconds, layouts are those of the open DBN
//! encoding version 3 (see [`record`] and `docs/wire-format.md`). [`Pos`] is the one durable cursor:
//! (sid, epoch, sseq, part).
//!
//! # Going on where the last run stood
//!
//! [`Cursors`] follows what a handler is told: hand over every record and event once its effect is in your state, keep the cursors
//! with that state in one transaction, and give them to [`Builder::resume`] in the next run. Then no record has
//! its effect twice and none is left out, whatever ended the run. What passed meanwhile is asked for from the adapters, and a
//! session that ended is finished before the [`Event::Reset`]; what nobody retains any more is a [`Event::Gap`]. While so much is
//! caught up that the hold is full, later records are left to be asked for when their turn comes. `examples/resume.rs` does it.
//!
//! # Starting in mid-session
//!
//! With [`From::Snapshot`] ([`Builder::from`]) each ordered source stream begins with what there is: [`Event::Discontinuity`] with `Join`
//! says where, then [`Handler::snapshot`] is told the [`Piece`]s of a snapshot – definitions, statuses and the orders of every book, in the
//! order of their queues – and then come the records behind it, none twice and none left out. [`book::Books`] and [`Cursors`] take
//! pieces as they take records and events; an application that keeps other state implements the method itself. Between [`Piece::Begin`] and
//! [`Piece::End`] there is half of a state: books are stale, and there is no cursor. `examples/late_join.rs` does it.
//!
//! What legs say meanwhile is arbitrated as ever and kept, at most [`Tuning::join_items`] and [`Tuning::join_bytes`] of it. A thread of the library
//! fetches the snapshot from an adapter (the backup's first), takes at most [`Tuning::snapshot_bytes`], and goes on to the other one
//! when a server refuses, is silent for [`Tuning::snapshot_patience`], hangs up, or sends what is not whole. Nothing of a snapshot is
//! told before all of it is here. What happens then, and what does not fit, is written in [`twinfeed_protocol::join`]; each poll
//! tells at most [`Tuning::join_told`] things beyond as many as came. Without a snapshot in [`Tuning::join_time`] the
//! application is told [`Event::NoSnapshot`] and goes on from where it began to listen. In a halt, where nothing comes, the snapshot is asked for after
//! [`Tuning::join_quiet`], and waited for as long as nothing comes.
//!
//! An application whose books are suspect – after a `Gap`, say – asks for a snapshot in mid-session: [`Refresher::refresh`] from any thread,
//! [`DataPoller::refresh`] on its own. It is told nothing of that source stream but what is of the present ([`Event::Stale`],
//! [`Event::Live`], [`Event::Leg`], [`Event::Switched`]) until the snapshot is there, and then as above.
//!
//! So it is with a hole that adapters did not fill, unless [`Tuning::snapshot_on_gap`] says no: where snapshots may be asked for
//! the [`Event::Gap`] is told only if none comes. One whose cause is [`GapCause::Abandoned`] is told at once, for no adapter knows more.
//!
//! # When the application is too slow
//!
//! Datagrams wait in the sockets' kernel buffers; nobody else is held up. When not everything that had come was taken for
//! [`Tuning::slow_time`] (2 s), by polls that are seldom or that take too little, and something waits, [`Event::Slow`] says so,
//! once until the application has caught up, and [`Tuning::slow`] says what happens then:
//!
//! | policy | what happens |
//! |---|---|
//! | [`SlowPolicy::Warn`] (default) | Nothing else. When the kernel's buffers are full it drops, counts, and the next [`Event::Gap`] says [`GapCause::ReceiverOverrun`], unless adapters give what was dropped: poll more often, or raise [`Builder::receive_buffer`]. |
//! | [`SlowPolicy::Skip`] | What waits is left out, unread. One [`Event::Gap`] with [`GapCause::Skipped`] names the range, up to where the stream is, and nobody is asked for it. Where snapshots may be asked for ([`Builder::snapshots`], [`From::Snapshot`]) each ordered source stream goes on with one, as after [`Refresher::refresh`]; a gap is told only as far as that does not reach. |
//! | [`SlowPolicy::Disconnect`] | [`Event::Closed`] with [`CloseReason::TooSlow`]; stream-admin is told that the application is gone. |
//!
//! [`Snapshot::pace`] and the metrics `slow`, `skips`, `skipped_datagrams` and `behind_ns` show it.
//!
//! **Invariant:** this crate knows neither an adapter nor stream-admin's internals, and nobody asks
//! stream-admin for anything on the way from a socket to the handler.
#![forbid(unsafe_code)]

pub mod config;
pub mod filter;

mod body;
mod builder;
mod control;
mod error;
mod feed;
mod fills;
mod guard;
mod joining;
mod latest;
mod metrics;
mod monitor;
#[cfg(feature = "operations")]
mod operations;
mod pace;
mod poller;
mod queue;
mod receive;
mod ring;
mod snapshots;
mod start;
#[cfg(feature = "async")]
mod stream;
#[cfg(test)]
mod testing;
mod tuning;

pub use body::{OwnedRecord, RecordBody, restore_received_at};
pub use builder::{Builder, DEFAULT_RECEIVE_BUFFER, MAX_APPLICATION, Profile};
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub use control::rewritten;
pub use control::{Control, ControlThread, MAX_SOCKETS, MAX_SOURCES, RECEIPTS_KEPT};
pub use error::Error;
pub use fills::FillsReceived;
pub use filter::{Filter, FilterSwitch};
pub use guard::{FeedHandler, FeedIndex};
pub use joining::JoiningShown;
pub use metrics::{Snapshot, SourceSnapshot};
pub use monitor::{Administration, Monitor};
#[cfg(feature = "operations")]
pub use operations::serve;
pub use pace::PaceShown;
pub use poller::DataPoller;
pub use queue::{COMMANDS, NOTICES, QueueCounters};
pub use receive::{BATCH, LegReceived};
pub use ring::RingState;
pub use snapshots::{Refresher, SnapshotsFetched};
pub use start::From;
#[cfg(feature = "async")]
pub use stream::{Item, Records};
pub use tuning::{HALF_MESSAGES, SEEN_WINDOW, Tuning};

/// What orders rest, at which prices, in which order: a crate of its own, for adapters keep books too.
pub use twinfeed_book as book;
pub use twinfeed_control::{FeedName, Secret, StopFlag};
pub use twinfeed_net::idle::Idle;
pub use twinfeed_net::interface::Selector;
pub use twinfeed_protocol::arbiter::{Counters, LegStatus};
pub use twinfeed_protocol::repair::RepairCounters;
pub use twinfeed_protocol::{
    BadCursor, CannotResume, CloseReason, Cursor, Cursors, Delivered, DiscontinuityCause, Event,
    GapCause, Handler, JoinCounters, Leg, LegState, Limits, Piece, Place, Policy, Receipt, Refusal,
    ResetCause, RestartCause, Side, SlowPolicy, Tail, Time, Trigger,
};
pub use twinfeed_wire as wire;
pub use twinfeed_wire::{
    Adm, BodyKind, ContextId, Epoch, Generation, Pos, RecordFlags, Sid, StreamId, record,
};
