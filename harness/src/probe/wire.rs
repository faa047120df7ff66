//! What is asked of a probe, and what does it answer?
//!
//! Times are nanoseconds of the host's monotonic clock unless they say otherwise. Epochs are 16
//! hexadecimal digits, as everywhere in JSON.

use serde::{Deserialize, Serialize};
use twinfeed_control::Epoch;

/// One line of a probe's standard input.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
pub enum Question {
    /// How it stands: [`Answer::Status`].
    Status,
    /// What was delivered in a span of time: [`Answer::Window`].
    Window {
        /// Its beginning.
        from_ns: u64,
        /// Its length, nanoseconds.
        length_ns: u64,
    },
    /// Everything so far: [`Answer::Summary`].
    Summary,
    /// Let nothing of a leg through the entrance of its socket, or let it through again:
    /// [`Answer::Done`] with the time immediately before.
    Cut {
        /// 0 or 1.
        leg: usize,
        /// Cut, or mend.
        cut: bool,
    },
    /// Let so many of 256 datagrams with records not through the entrances of both legs, chosen by their first source
    /// number: the same on both; heartbeats pass. [`Answer::Done`] with the time immediately before.
    Thin {
        /// 0: all pass, 256: none does.
        share: u16,
    },
    /// Do not poll for so long, as an application that is too slow: [`Answer::Done`] comes before.
    Pause {
        /// Milliseconds.
        ms: u64,
    },
    /// Leave the feed, and after so long subscribe anew, going on where the last record left off: [`Answer::Done`] comes
    /// before. Whatever is counted by the library begins anew.
    Resume {
        /// Milliseconds in between.
        after_ms: u64,
    },
    /// End in order.
    Stop,
}

/// One line of a probe's standard output.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub enum Answer {
    /// To [`Question::Status`].
    Status(Status),
    /// To [`Question::Window`].
    Window(Window),
    /// To [`Question::Summary`].
    Summary(Box<Summary>),
    /// Done, at this time.
    Done {
        /// Immediately before it was done.
        at_ns: u64,
    },
    /// It cannot be done.
    Refused {
        /// Why.
        reason: String,
    },
}

/// How a probe stands.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Status {
    /// Records delivered.
    pub records: u64,
    /// Source messages of which the last record was delivered.
    pub messages: u64,
    /// Records dropped by the library because they had been delivered.
    pub duplicates_dropped: u64,
    /// Switches so far.
    pub switches: u64,
    /// Source messages declared lost so far.
    pub declared_lost: u64,
    /// Datagrams that the library did not believe: of a form, a sender, a stream or a number that is not the feed's.
    pub refused: u64,
    /// Datagrams that the kernel dropped at the sockets of leg 0 and leg 1.
    pub kernel_drops: [u64; 2],
    /// Whether each leg was ever heard, by the library's word.
    pub heard: [bool; 2],
    /// Each leg's state, by the library's word.
    pub legs: [String; 2],
    /// The epoch of the last record, if there was one.
    pub epoch: Option<Epoch>,
    /// Its source number.
    pub sseq: u64,
    /// Epochs of which the end was delivered.
    pub ended: Vec<Epoch>,
    /// How it stands with stream-admin.
    pub administration: String,
    /// Whether nothing more will come.
    pub closed: bool,
}

/// What was delivered in a span of time.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Window {
    /// Records delivered in it.
    pub records: u64,
    /// Of those, from leg 0 and leg 1.
    pub legs: [u64; 2],
    /// The longest time without a record that ended in the span or was not over at its end, nanoseconds.
    /// It may have begun before.
    pub longest_silence_ns: u64,
    /// For leg 0 and leg 1: from the beginning of the span to the first record taken from the other leg
    /// after the last one taken from this leg in the span. With the beginning at the death of a leg,
    /// that is its failover gap. `null` if the other leg delivered nothing after it.
    pub after_last_of_ns: [Option<u64>; 2],
    /// Whether the log no longer reaches back to the beginning of the span: nothing above can be relied on.
    pub forgotten: bool,
}

/// Everything that a probe saw.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Summary {
    /// Epoch by epoch, in order of their first records.
    pub epochs: Vec<Epochs>,
    /// Records that were dropped by the library because they had been delivered.
    pub duplicates_dropped: u64,
    /// Records delivered from leg 0 and leg 1.
    pub legs: [u64; 2],
    /// Datagrams that the kernel dropped at the sockets of leg 0 and leg 1.
    pub kernel_drops: [u64; 2],
    /// Switches, each with its receipt.
    pub receipts: Vec<Receipt>,
    /// Gaps declared.
    pub gaps: Vec<Gap>,
    /// Places where the meaning of the numbers changed, other than joins and new epochs.
    pub breaks: Vec<Break>,
    /// Administrative messages delivered, oldest first; at most [`MOST_ADMINISTRATIVE`].
    #[serde(default)]
    pub administrative: Vec<Administrative>,
    /// Administrative messages declared missing.
    pub administrative_gaps: u64,
    /// Records that were missing on every leg and that the adapter of leg 0 and of leg 1 gave when asked.
    #[serde(default)]
    pub filled: [u64; 2],
    /// Datagrams of leg 0 and leg 1 that came by their adapters' rings.
    #[serde(default)]
    pub ring_packets: [u64; 2],
    /// Requests for what was missing.
    #[serde(default)]
    pub fill_requests: u64,
    /// How often both legs came to say different things under equal numbers.
    pub divergences: u64,
    /// Administrative messages beyond that number.
    #[serde(default)]
    pub administrative_dropped: u64,
    /// Everything else that happened, oldest first; at most as many as the probe was told, by itself [`MOST_EVENTS`].
    pub events: Vec<Happened>,
    /// Events beyond that number.
    pub events_dropped: u64,
    /// From the adapter's receive time of the source packet to the delivery, both by the host's clock.
    pub latency: Latency,
    /// From the adapter's send time to the delivery.
    pub transport: Latency,
}

/// One administrative message, where it was delivered.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Administrative {
    /// When, nanoseconds of the monotonic clock.
    pub at_ns: u64,
    /// From which leg.
    pub leg: u8,
    /// Source stream.
    pub sid: u32,
    /// Epoch of the record before it.
    pub epoch: u64,
    /// The source number that it stands behind.
    pub sseq: u64,
    /// Records of that number delivered before it.
    pub part: u16,
    /// The generation that originated it.
    pub generation: u32,
    /// How many came before it.
    pub number: u64,
    /// Its kind, as in metrics and logs.
    pub kind: String,
    /// Its text, where its kind has one.
    pub text: String,
}

/// Most [`Summary::events`] of a probe that is told nothing else.
pub const MOST_EVENTS: usize = 65_536;
/// Most [`Summary::administrative`].
pub const MOST_ADMINISTRATIVE: usize = 16_384;
/// Most [`Epochs::absent`].
pub const MOST_ABSENT: usize = 4_096;
/// Stretches that are told apart per epoch.
pub const MOST_STRETCHES: usize = 16;

/// What was delivered of one epoch of one source stream.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Epochs {
    /// Source stream.
    pub sid: u32,
    /// Which.
    pub epoch: Epoch,
    /// Source number of the first record.
    pub first: u64,
    /// Source number behind the last record.
    pub next: u64,
    /// Records delivered in order.
    pub records: u64,
    /// Source messages of which every part was among them.
    pub messages: u64,
    /// Records that had been delivered before.
    pub duplicates: u64,
    /// Records behind a later one, parts out of turn, and records of an epoch that was over.
    pub order_violations: u64,
    /// Source numbers that no record had, `[from, until)`, between `first` and `next`: filtered or lost,
    /// which is the judge's to say. At most [`MOST_ABSENT`].
    pub absent: Vec<[u64; 2]>,
    /// Ranges, and pieces of torn messages, beyond that number.
    pub absent_dropped: u64,
    /// What was delivered of messages that a gap tore, piece by piece. At most [`MOST_ABSENT`].
    pub torn: Vec<Torn>,
    /// XXH3-64 of every record in order, as [`crate::truth::Digest`] defines it.
    pub digest: Epoch,
    /// The number behind the last one, if the end of the epoch was delivered.
    pub ended_before: Option<u64>,
    /// What was delivered since the library last spoke of a divergence; at most [`MOST_STRETCHES`], the last one longer.
    #[serde(default)]
    pub stretches: Vec<Stretch>,
}

/// What was delivered from one word about a divergence to the next, or to the end of the epoch.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Stretch {
    /// `divergence`, `discontinuity` or `converged`.
    pub since: String,
    /// Source number of the first whole message.
    pub from: u64,
    /// Source number behind the last record.
    pub until: u64,
    /// Records by the leg that they came from.
    pub legs: [u64; 2],
    /// XXH3-64 of every record from `from` on, as [`crate::truth::Digest`] defines it.
    pub digest: Epoch,
}

/// A piece of a source message whose other parts lie in a gap.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Torn {
    /// The message.
    pub sseq: u64,
    /// Its parts that were delivered, `[from, until)`.
    pub parts: [u16; 2],
}

/// One switch.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Receipt {
    /// When the library decided it.
    pub at_ns: u64,
    /// Source stream.
    pub sid: u32,
    /// The leg no longer relied on.
    pub from_leg: u8,
    /// What decided it.
    pub trigger: String,
    /// Source number next on the leg left, and on the leg relied on.
    pub from_sseq: u64,
    /// See `from_sseq`.
    pub to_sseq: u64,
    /// Records dropped as delivered before, since the switch before.
    pub duplicates_dropped: u64,
    /// Records of the survivor that were held.
    pub held: u64,
    /// Of those, delivered at once.
    pub filled: u64,
    /// Source numbers declared missing.
    pub gaps_left: u64,
    /// Longest silence around the switch, nanoseconds.
    pub stall_ns: u64,
}

/// One declared gap.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Gap {
    /// When it was delivered.
    pub at_ns: u64,
    /// Source stream.
    pub sid: u32,
    /// Epoch.
    pub epoch: Epoch,
    /// First source number missing, in whole or in part.
    pub from: u64,
    /// First source number behind it of which nothing is missing.
    pub until: u64,
    /// Why.
    pub cause: String,
}

/// A `Discontinuity` that is no join, or a `Reset` that is no new epoch.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Break {
    /// When it was delivered.
    pub at_ns: u64,
    /// Source stream.
    pub sid: u32,
    /// Epoch.
    pub epoch: Epoch,
    /// Source number of what follows.
    pub sseq: u64,
    /// Whether what follows was converted with a complete context.
    pub complete: bool,
    /// `context`, `administrative`, `divergence` or `regress`.
    pub cause: String,
}

/// One event, for people and for tests.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Happened {
    /// When it was delivered.
    pub at_ns: u64,
    /// `discontinuity`, `reset`, `divergence`, `converged`, `leg`, `stale`, `live`, `ended`, `recovered`,
    /// `administrative_gap`, `constraint_kept` or `closed`.
    pub what: String,
    /// The rest of it.
    pub detail: String,
}

/// A distribution of times, nanoseconds.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// Half of them took no longer.
    pub p50: u64,
    /// 90 % of them.
    pub p90: u64,
    /// 99 % of them.
    pub p99: u64,
    /// 99.9 % of them.
    pub p999: u64,
    /// None took longer.
    pub max: u64,
    /// The whole distribution, `[value, count]`, three significant figures.
    pub counts: Vec<[u64; 2]>,
}
