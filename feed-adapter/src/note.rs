//! What does the data thread have to say that a person should read?
//!
//! It never logs. A change of state is a [`Note`] in a bounded queue, written to the log by the control
//! thread; a fault that may come a million times is a counter, and a note only the first time.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use twinfeed_protocol::line::Line;
use twinfeed_protocol::pair::{News as PairNews, Verdict};
use twinfeed_protocol::standby::Change;
use twinfeed_wire::link::OverReason;
use twinfeed_wire::{Epoch, RangeDigest, Sid};

use crate::decode::DecodeError;
use crate::pipeline::PastFault;
use crate::source::moldudp64::{Malformed, Session};
use crate::source::soup::Why;
use crate::source::soup::past::What;

/// One thing worth a line in the log.
#[derive(Clone, Copy, Debug)]
pub struct Note {
    /// Of which source.
    pub sid: Sid,
    /// What happened.
    pub news: News,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum News {
    /// An epoch began.
    Began {
        /// Which.
        epoch: Epoch,
        /// The session behind it, where the source has such.
        session: Option<Session>,
        /// First number converted.
        first: u64,
        /// Whether that is the source's own first number.
        complete: bool,
    },
    /// The source ended the epoch.
    Ended {
        /// Which.
        epoch: Epoch,
        /// The number behind its last one.
        next: u64,
    },
    /// Numbers were given up.
    Abandoned {
        /// The first one.
        first: u64,
        /// The number behind the last one.
        next: u64,
    },
    /// Every line is silent, or one speaks again.
    Stale(bool),
    /// The source speaks another dialect: it is refused from here on.
    Refused(DecodeError),
    /// The first message that could not be converted.
    Undecodable(DecodeError),
    /// The first packet on a line that is none.
    Malformed(Line, Malformed),
    /// The first packet on a line from somebody else.
    ForeignSender(Line, SocketAddr),
    /// The first packets on a line that the kernel dropped.
    KernelDrops(Line, u32),
    /// A file was replayed to its end.
    ReplayEnded {
        /// Packets or messages read.
        packets: u64,
    },
    /// A file could not be read on.
    ReplayFailed,
    /// A destination was not added: the list is full, or its address is of no use.
    DestinationRefused(SocketAddr),
    /// What the pair's rules have to say.
    Pair(PairNews),
    /// The stream is withheld, or sent again.
    Standby(Change),
    /// The active is gone or has stepped down, and this stream cannot be taken over without a trace.
    NoTakeover,
    /// Everything that was announced is agreed to: the peer was told that this end steps down.
    SteppedDown,
    /// The peer was told that this end goes on as the active.
    WentOn,
    /// What the peer remembers was taken over: the context is complete from this number on.
    ContextTaken {
        /// Which.
        next: u64,
        /// Orders that are open.
        orders: usize,
    },
    /// It was not, and is tried again.
    ContextNotTaken(OverReason),
    /// The peer was handed what is remembered here.
    ContextGiven,
    /// It was not.
    ContextNotGiven(OverReason),
    /// A line's server of the session gave nothing of a hole, or not all.
    SessionServer(Line, Why),
    /// The session's past was fetched from the source: the context is complete from this number on. Or a snapshot was, and the
    /// context is that.
    PastFetched {
        /// Of what it was made.
        what: What,
        /// Which number.
        next: u64,
        /// Orders that are open.
        orders: usize,
    },
    /// It was not, and is tried again.
    PastNotFetched(What, Line, PastFault),
}

/// The way from the data thread to the log; the oldest is lost when nobody reads, and counted.
#[derive(Clone, Debug)]
pub struct Notes {
    queue: Arc<ArrayQueue<Note>>,
}

impl Notes {
    /// Room for [`MOST_NOTES`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            queue: Arc::new(ArrayQueue::new(MOST_NOTES)),
        }
    }

    /// Leaves a note; allocates nothing.
    pub fn leave(&self, sid: Sid, news: News) {
        // Full means that the log is slower than the changes: the newest says how things stand.
        let _ = self.queue.force_push(Note { sid, news });
    }

    /// The next note, oldest first.
    #[must_use]
    pub fn take(&self) -> Option<Note> {
        self.queue.pop()
    }
}

impl Default for Notes {
    fn default() -> Self {
        Self::new()
    }
}

/// Most notes that wait.
pub const MOST_NOTES: usize = 1_024;

impl News {
    /// Whether an operator should look into it.
    #[must_use]
    pub const fn is_trouble(&self) -> bool {
        !matches!(
            self,
            Self::Began { .. }
                | Self::Ended { .. }
                | Self::Stale(false)
                | Self::ReplayEnded { .. }
                | Self::Standby(Change::Withholds)
                | Self::Pair(
                    PairNews::State { .. }
                        | PairNews::Opened { seamless: true, .. }
                        | PairNews::Agrees { .. }
                )
                | Self::SteppedDown
                | Self::WentOn
                | Self::ContextTaken { .. }
                | Self::PastFetched { .. }
                | Self::ContextGiven
        )
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Began {
                epoch,
                session,
                first,
                complete,
            } => {
                write!(f, "epoch {epoch}")?;
                if let Some(session) = session {
                    write!(f, " (session {session})")?;
                }
                let context = if *complete { "complete" } else { "incomplete" };
                write!(f, " begins with number {first}, context {context}")
            }
            Self::Ended { epoch, next } => write!(f, "epoch {epoch} ended before number {next}"),
            Self::Abandoned { first, next } => {
                write!(
                    f,
                    "numbers {first} to {} are lost on every line",
                    next.saturating_sub(1)
                )
            }
            Self::Stale(true) => f.write_str("every line is silent"),
            Self::Stale(false) => f.write_str("a line speaks again"),
            Self::Refused(error) => write!(
                f,
                "refused: {error}; nothing of this source is converted, set `format` to what it speaks"
            ),
            Self::Undecodable(error) => write!(
                f,
                "a message was passed on unconverted: {error}; further ones are counted"
            ),
            Self::Malformed(line, fault) => {
                write!(
                    f,
                    "line {line:?}: packet rejected: {fault}; further ones are counted"
                )
            }
            Self::ForeignSender(line, sender) => write!(
                f,
                "line {line:?}: packet of foreign sender {sender} rejected; further ones are counted"
            ),
            Self::KernelDrops(line, count) => write!(
                f,
                "line {line:?}: the kernel dropped {count} packets before they were read; raise \
                 `receive_buffer` and net.core.rmem_max; further ones are counted"
            ),
            Self::ReplayEnded { packets } => write!(f, "replay ended after {packets} packets"),
            Self::ReplayFailed => f.write_str("replay failed"),
            Self::DestinationRefused(address) => write!(
                f,
                "destination {address} was not added; raise `publish.max_destinations`, or check that \
                 `publish_from` is of the same address family"
            ),
            Self::Pair(news) => pair(f, news),
            Self::Standby(change) => standby(f, change),
            Self::ContextTaken { next, orders } => write!(
                f,
                "the context is complete from number {next} on: {orders} open orders were taken over from the peer"
            ),
            Self::ContextNotTaken(reason) => write!(
                f,
                "the peer's context was not taken over: {reason}; it is tried again, and said again when the reason \
                 is another"
            ),
            Self::ContextGiven => f.write_str("the context was handed to the peer"),
            Self::ContextNotGiven(reason) => {
                write!(f, "the context was not handed to the peer: {reason}")
            }
            Self::SessionServer(line, why) => write!(
                f,
                "line {line:?}: its SoupBinTCP server gave nothing of a hole, or not all: {why}; said again when the \
                 reason is another"
            ),
            Self::PastFetched {
                what: What::Snapshot,
                next,
                orders,
            } => write!(
                f,
                "the context is a snapshot's of the source's from number {next} on, {orders} orders are open: what executions \
                 refer to is known; it is complete once the session or the peer says all of it"
            ),
            Self::PastFetched {
                what: What::Past,
                next,
                orders,
            } => write!(
                f,
                "the context is complete from number {next} on: the session was fetched from its beginning over \
                 SoupBinTCP, {orders} orders are open"
            ),
            Self::PastNotFetched(What::Snapshot, line, fault) => write!(
                f,
                "line {line:?}: no snapshot was had from its GLIMPSE server: {fault}; it is tried again, and said again when \
                 the reason is another"
            ),
            Self::PastNotFetched(What::Past, line, fault) => write!(
                f,
                "line {line:?}: the session's past was not fetched from its SoupBinTCP server: {fault}; it is tried \
                 again, and said again when the reason is another"
            ),
            Self::NoTakeover => f.write_str(
                "the active is gone or steps down, and this stream is not synchronised with it: no takeover by itself; \
                 data go on, administrative messages wait for an operator's takeover",
            ),
            Self::SteppedDown => f.write_str(
                "everything announced is agreed to: the peer is asked to take over, nothing is originated meanwhile",
            ),
            Self::WentOn => f.write_str("the hand-over was given up: this adapter goes on as the active"),
        }
    }
}

fn standby(f: &mut fmt::Formatter<'_>, change: &Change) -> fmt::Result {
    match change {
        Change::Withholds => f.write_str("standby: the stream is withheld"),
        Change::Transmits { suspicion, replay } => {
            let (records, datagrams) = (replay.records, replay.datagrams);
            write!(
                f,
                "standby: the stream is sent, after {records} records that were withheld, in {datagrams} datagrams: \
                 {suspicion}"
            )?;
            if replay.short {
                f.write_str("; fewer than `standby_replay` were left: raise `standby_retain`")?;
            }
            Ok(())
        }
    }
}

fn pair(f: &mut fmt::Formatter<'_>, news: &PairNews) -> fmt::Result {
    match news {
        PairNews::State { from, to, reason } => {
            write!(f, "pair: {from} → {to}")?;
            let reason = reason.to_string();
            if reason.is_empty() {
                return Ok(());
            }
            write!(f, ": {reason}")
        }
        PairNews::WantsGeneration => f.write_str("pair: a generation is wanted"),
        PairNews::Superseded { by } => write!(
            f,
            "pair: the peer is active under generation {by}: nothing is originated here any more, this adapter comes \
             back as backup"
        ),
        PairNews::Opened {
            generation,
            inherited,
            seamless,
        } => {
            let how = if *seamless {
                "without a trace"
            } else {
                "anew: what was agreed before may be missing"
            };
            write!(
                f,
                "pair: generation {generation} opens as active {how}; administrative messages below {inherited} \
                 are inherited"
            )
        }
        PairNews::Decided(answer) => {
            let what = match answer.verdict {
                Verdict::Capable => "can be placed by both",
                Verdict::Late => "comes too late for the backup",
                Verdict::Far => "is too far ahead for the backup",
                Verdict::Unsynchronised => "meets a backup that is not synchronised",
            };
            write!(
                f,
                "pair: administrative message {} at slot {} (attempt {}, backup at {}) {what}",
                answer.number, answer.slot, answer.attempt, answer.processed
            )
        }
        PairNews::PlacedAlone { messages } => write!(
            f,
            "pair: {messages} administrative messages were placed before the peer agreed: unprotected"
        ),
        PairNews::Dropped { messages } => write!(
            f,
            "pair: {messages} administrative messages that waited will not be placed here"
        ),
        PairNews::Diverged { msn, reason } => {
            write!(f, "pair: the two ends differ at msn {msn}: {reason}")
        }
        PairNews::Differs { range } => {
            let (first, last) = RangeDigest::numbers(*range).into_inner();
            write!(
                f,
                "pair: DIVERGENCE: this adapter and the active one sent different content under equal numbers, in {first} \
                 to {last}: one of them converts wrongly; compare versions, and replace it"
            )
        }
        PairNews::Agrees { range } => write!(
            f,
            "pair: this adapter and the active one send the same again, up to number {}",
            RangeDigest::numbers(*range).end()
        ),
    }
}
