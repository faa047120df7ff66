//! What is this adapter at present: role, generation, peer, link?
//!
//! The one place where the control threads' knowledge meets, for the status that goes to stream-admin
//! and to whoever asks. The data thread never looks here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use twinfeed_control::{
    AdapterStatus, COUNTERS_PER_REPORT, ContextId, DataState, Epoch, Generation, LineName,
    LineState, LineStatus, LinkState, PairState, Pos, Role, Sid, StreamPair, StreamStatus,
    TransmitMode,
};
use twinfeed_protocol::line::LineState as Heard;
use twinfeed_protocol::pair::{PairCounters, PairState as Stands, Reason};
use twinfeed_wire::RangeDigest;

use crate::fills::{FillCounters, Fills};
use crate::pairing::PairSnapshot;
use crate::pipeline::TransferCounters;
use crate::ring::{RingCounters, Rings};
use crate::snapshot::{Board, LineSnapshot, SourceSnapshot};
use crate::snapshots::{Giver, SnapshotCounters};

/// What the control threads know.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The generation it acts under.
    pub generation: Generation,
    /// The role it acts in.
    pub role: Role,
    /// T, in msn.
    pub sync_threshold: u64,
    /// Which adapters of the pair transmit.
    pub transmit: TransmitMode,
    /// Its end of the pair link.
    pub link: LinkState,
    /// Why the link is not up; empty when it is.
    pub reason: String,
    /// Whether it announces that its peer is lost.
    pub peer_lost: bool,
    /// Whether it is on its way out.
    pub draining: bool,
    /// Whether it resumed from its state file and stream-admin has not confirmed it since.
    pub unverified: bool,
    /// Whether the lease is renewed.
    pub admin_up: bool,
    /// Why it is not, when stream-admin answers with a refusal; empty otherwise.
    pub refusal: String,
    /// Why streams are sent under other ids than granted; empty when they are not.
    pub outdated: String,
}

impl Standing {
    /// All that is amiss, for people; empty when nothing is.
    #[must_use]
    pub fn reasons(&self) -> String {
        let all = [&self.outdated, &self.refusal, &self.reason];
        let some: Vec<&str> = all
            .into_iter()
            .map(String::as_str)
            .filter(|text| !text.is_empty())
            .collect();
        some.join("; ")
    }
}

/// The standing and the data thread's counters, for whoever asks.
#[derive(Clone, Debug)]
pub struct Present {
    standing: Arc<Mutex<Standing>>,
    board: Board,
    fills: Arc<OnceLock<Fills>>,
    snapshots: Arc<OnceLock<Giver>>,
    rings: Arc<OnceLock<Rings>>,
}

impl Present {
    /// Begins with this.
    #[must_use]
    pub fn new(standing: Standing, board: Board) -> Self {
        Self {
            standing: Arc::new(Mutex::new(standing)),
            board,
            fills: Arc::default(),
            snapshots: Arc::default(),
            rings: Arc::default(),
        }
    }

    /// Whose counters of fills are shown; the first counts.
    pub fn show_fills(&self, fills: Fills) {
        let _ = self.fills.set(fills);
    }

    /// What was counted of fills, if this adapter serves any.
    #[must_use]
    pub fn fills(&self) -> Option<FillCounters> {
        self.fills.get().map(Fills::counters)
    }

    /// Whose counters of snapshots are shown; the first counts.
    pub fn show_snapshots(&self, giver: Giver) {
        let _ = self.snapshots.set(giver);
    }

    /// What was counted of snapshots, if this adapter serves any.
    #[must_use]
    pub fn snapshots(&self) -> Option<SnapshotCounters> {
        self.snapshots.get().map(Giver::counters)
    }

    /// Whose counters of a ring are shown; the first counts.
    pub fn show_rings(&self, rings: Rings) {
        let _ = self.rings.set(rings);
    }

    /// What was counted of the ring, if this adapter has one.
    #[must_use]
    pub fn rings(&self) -> Option<RingCounters> {
        self.rings.get().map(Rings::counters)
    }

    /// Of which source streams this adapter can tell what there is, and why not of the others; none if it serves no snapshots.
    #[must_use]
    pub fn snapshot_standing(&self) -> Vec<crate::snapshots::Standing> {
        self.snapshots.get().map_or_else(Vec::new, Giver::standing)
    }

    /// Changes the standing.
    pub fn update(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.standing.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A copy of the standing.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The latest counters of every source.
    #[must_use]
    pub fn sources(&self) -> Vec<SourceSnapshot> {
        self.board.latest()
    }

    /// All of it, in the control plane's words.
    #[must_use]
    pub fn status(&self) -> AdapterStatus {
        self.counting(usize::MAX)
    }

    /// What stream-admin is told of it: of the counters as many as a report may have, those of data, lines and fills before those of snapshots.
    /// All of them stand in `/status.json` and in the metrics.
    #[must_use]
    pub fn report(&self) -> AdapterStatus {
        self.counting(COUNTERS_PER_REPORT)
    }

    fn counting(&self, most: usize) -> AdapterStatus {
        let (standing, sources) = (self.standing(), self.sources());
        let lines = sources.iter().flat_map(|source| {
            let names = [LineName::A, LineName::B].into_iter().zip(source.line);
            names.filter_map(|(name, line)| Some(line_status(source, name, line?)))
        });
        let lines: Vec<LineStatus> = lines.collect();
        AdapterStatus {
            generation: standing.generation,
            role: standing.role,
            sync_threshold: standing.sync_threshold,
            transmit: standing.transmit,
            link: standing.link,
            reason: standing.reasons(),
            peer_lost: standing.peer_lost,
            draining: standing.draining,
            kernel_drops: lines.iter().map(|line| line.kernel_drops).sum(),
            streams: sources.iter().map(stream_status).collect(),
            counters: {
                let (fills, rings, snapshots) = (self.fills(), self.rings(), self.snapshots());
                let fills = named("fills", FILL_COUNTERS, fills.as_ref());
                let rings = named("ring", RING_COUNTERS, rings.as_ref());
                let snapshots = named("snapshots", SNAPSHOT_COUNTERS, snapshots.as_ref());
                let all = counters(&sources).into_iter().chain(fills);
                all.chain(rings).chain(snapshots).take(most).collect()
            },
            lines,
        }
    }
}

/// What was counted, by the names of metrics.
fn named<T>(
    prefix: &str,
    counters: &[Of<T>],
    of: Option<&T>,
) -> impl Iterator<Item = (String, u64)> {
    of.into_iter().flat_map(move |of| {
        let all = counters.iter();
        all.map(move |(name, _, value)| (format!("{prefix}_{name}_total"), value(of)))
    })
}

fn stream_status(source: &SourceSnapshot) -> StreamStatus {
    let sid = Sid(source.sid.0);
    let (epoch, sseq, part) = source
        .next_pos
        .map_or((0, 0, 0), |pos| (pos.epoch.0, pos.sseq, pos.part));
    let (data, reason) = data_state(source);
    StreamStatus {
        sid,
        sending: source.next_pos.is_some(),
        standby: source.pair.is_on_standby(),
        suspicion: source.pair.suspicion(),
        next_msn: source.next_msn.0,
        next_pos: Pos {
            sid,
            epoch: Epoch(epoch),
            sseq,
            part,
        },
        adm: source.pair.adm.0,
        context_id: ContextId(source.context.0),
        complete: source.complete,
        data,
        reason: reason.to_owned(),
        pair: stream_pair(&source.pair),
    }
}

fn stream_pair(pair: &PairSnapshot) -> StreamPair {
    let counters = PAIR_COUNTERS
        .iter()
        .map(|(name, _, value)| ((*name).to_owned(), value(&pair.counters)));
    StreamPair {
        state: match pair.state {
            Stands::Unpaired => PairState::Unpaired,
            Stands::Resyncing => PairState::Resyncing,
            Stands::Synchronised => PairState::Synchronised,
            Stands::Unsynchronised => PairState::Unsynchronised,
            Stands::TakingOver => PairState::TakingOver,
            Stands::Active => PairState::Active,
        },
        reason: reason(pair),
        protected: pair.protected,
        inherited: pair.inherited.0,
        seamless: pair.seamless,
        lacks_nothing: pair.lacks_nothing,
        waiting: pair.armed as u64,
        diverged_range: pair.differs_in,
        counters: counters.collect(),
    }
}

/// Why it is not synchronised, with the numbers in which it differs.
fn reason(pair: &PairSnapshot) -> String {
    match pair.differs_in {
        Some(range) => {
            let (first, last) = RangeDigest::numbers(range).into_inner();
            format!(
                "divergence in the numbers {first} to {last}: {}",
                Reason::Content
            )
        }
        None => pair.reason.to_string(),
    }
}

/// Something that is counted of `T`: name, help, value.
pub(crate) type Of<T> = (&'static str, &'static str, fn(&T) -> u64);

/// What a pair counts: name, help, value.
pub(crate) const PAIR_COUNTERS: &[Of<PairCounters>] = &[
    (
        "originated",
        "Administrative messages originated here.",
        |of| of.originated,
    ),
    (
        "announced_again",
        "Announcements after the first of a message.",
        |of| of.announced_again,
    ),
    (
        "capable",
        "Verdicts: the backup can place the message at its slot.",
        |of| of.capable,
    ),
    ("late", "Verdicts: the slot had been passed.", |of| of.late),
    (
        "far",
        "Verdicts: the slot lay further ahead than T.",
        |of| of.far,
    ),
    (
        "unsynchronised",
        "Verdicts: the backup did not number as the active did.",
        |of| of.unsynchronised,
    ),
    (
        "placed_alone",
        "Administrative messages placed before the peer was known to place them.",
        |of| of.placed_alone,
    ),
    (
        "unplaced",
        "Administrative messages that waited for a slot that did not come.",
        |of| of.unplaced,
    ),
    (
        "dropped",
        "Administrative messages that waited here and were dropped when the step with the peer was lost.",
        |of| of.dropped,
    ),
    ("aligned", "Numberings taken over.", |of| of.aligned),
    ("compared", "Reports that agreed at equal msn.", |of| {
        of.compared
    }),
    ("diverged", "Reports that did not.", |of| of.diverged),
    (
        "forgotten",
        "Reports whose msn was not remembered any more.",
        |of| of.forgotten,
    ),
    (
        "ranges_compared",
        "Ranges of source numbers whose content was compared with the active's.",
        |of| of.ranges_compared,
    ),
    (
        "ranges_diverged",
        "Ranges of source numbers whose content was not the active's.",
        |of| of.ranges_diverged,
    ),
    (
        "other_generation",
        "What was said under another generation: ignored.",
        |of| of.other_generation,
    ),
    (
        "superseded",
        "Times that the peer said that this end's generation is over.",
        |of| of.superseded,
    ),
    ("proposed", "Nearer slots proposed on a quiet feed.", |of| {
        of.proposed
    }),
    ("committed", "Proposals that were committed to.", |of| {
        of.committed
    }),
    (
        "withdrawn",
        "Proposals whose slot a record took before the answer.",
        |of| of.withdrawn,
    ),
    ("held", "Proposals held for, as backup.", |of| of.held),
    (
        "hold_refused",
        "Proposals refused, as backup, or by the peer.",
        |of| of.hold_refused,
    ),
    (
        "hold_expired",
        "Holds that ended without the active's word.",
        |of| of.hold_expired,
    ),
];

/// What an adapter counts of fills: name, help, value.
pub(crate) const FILL_COUNTERS: &[Of<FillCounters>] = &[
    ("requests", "Requests for what was missed.", |of| {
        of.server.requests
    }),
    ("repairs", "Look-ups: different requests answered.", |of| {
        of.server.repairs
    }),
    ("shared", "Requests answered by another's look-up.", |of| {
        of.server.shared
    }),
    (
        "repeated",
        "Requests of a subscriber that has just been given the same.",
        |of| of.server.repeated,
    ),
    (
        "busy",
        "Requests put off: a quota was used up, or too many waited.",
        |of| of.server.busy,
    ),
    (
        "lacking",
        "Ranges of which something was not retained.",
        |of| of.server.lacking,
    ),
    (
        "refused",
        "Requests for a stream that is not this adapter's.",
        |of| of.server.refused,
    ),
    ("datagrams", "Datagrams given, once for each asker.", |of| {
        of.server.datagrams
    }),
    ("given_bytes", "Bytes of datagrams given.", |of| {
        of.server.bytes
    }),
    ("retained", "Datagrams retained.", |of| of.retention.kept),
    (
        "overwritten",
        "Datagrams that made room for later ones.",
        |of| of.retention.overwritten,
    ),
    (
        "dropped",
        "Datagrams not retained, for retention did not keep up.",
        |of| of.dropped,
    ),
    (
        "unentitled",
        "Requests from addresses of no open subscription.",
        |of| of.unentitled,
    ),
    ("malformed", "Frames that are no request.", |of| {
        of.malformed
    }),
];

pub(crate) const FILL_GAUGES: &[Of<FillCounters>] = &[
    ("held_messages", "Records retained at present.", |of| {
        of.messages
    }),
    ("held_bytes", "Bytes retained at present.", |of| of.bytes),
];

/// What an adapter counts of its ring: name, help, value.
pub(crate) const RING_COUNTERS: &[Of<RingCounters>] = &[
    ("given", "Askers who were given the ring.", |of| of.given),
    ("refused", "Askers whose user may not have it.", |of| {
        of.refused
    }),
    (
        "failed",
        "Askers who were gone, or to whom the kernel would not hand it.",
        |of| of.failed,
    ),
];

/// What an adapter counts of snapshots: name, help, value.
pub(crate) const SNAPSHOT_COUNTERS: &[Of<SnapshotCounters>] = &[
    ("requests", "Requests for what there is.", |of| {
        of.server.requests
    }),
    ("given", "Snapshots that an asker took whole.", |of| {
        of.server.given
    }),
    ("given_bytes", "Bytes of snapshots sent.", |of| {
        of.server.bytes
    }),
    ("made", "Snapshots written.", |of| of.follower.made),
    (
        "abandoned",
        "Snapshots begun and not ended: an epoch or a context began, something was missed, or there was no room.",
        |of| of.follower.abandoned,
    ),
    (
        "dropped",
        "Datagrams not followed, for the follower did not keep up.",
        |of| of.follower.dropped,
    ),
    (
        "busy",
        "Requests put off: no snapshot came in time.",
        |of| of.server.busy,
    ),
    (
        "incomplete",
        "Requests refused: what is known here is not whole.",
        |of| of.server.incomplete,
    ),
    (
        "no_such_stream",
        "Requests refused: the stream is not this adapter's.",
        |of| of.server.no_such_stream,
    ),
    (
        "unentitled",
        "Requests refused: of no open subscription, or from another host.",
        |of| of.server.unentitled,
    ),
    (
        "other_context",
        "Requests refused: the asker stands in another epoch or context.",
        |of| of.server.other_context,
    ),
    (
        "turned_away",
        "Connections ended at once: too many.",
        |of| of.server.turned_away,
    ),
    ("slow", "Askers hung up on: too slow.", |of| of.server.slow),
    ("malformed", "Askers hung up on: no request.", |of| {
        of.server.malformed
    }),
    (
        "peer_requests",
        "Requests to the peer for what is not known here.",
        |of| of.peer.requests,
    ),
    (
        "peer_taken",
        "Snapshots of the peer that came whole.",
        |of| of.peer.taken,
    ),
    (
        "peer_failed",
        "Requests to the peer to which no snapshot came.",
        |of| of.peer.failed,
    ),
    (
        "restored",
        "Source streams of which what is known was made whole with the peer's snapshot.",
        |of| of.peer.restored,
    ),
    (
        "source_attempts",
        "Attempts to make of the source's session, or of its snapshot, what is not known here.",
        |of| of.origin.attempts,
    ),
    (
        "source_made",
        "Snapshots made of what the source says.",
        |of| of.origin.made,
    ),
    (
        "source_failed",
        "Attempts at the source that came to nothing.",
        |of| of.origin.failed,
    ),
    (
        "source_restored",
        "Source streams of which what is known was made whole with what the source says.",
        |of| of.origin.restored,
    ),
];

pub(crate) const SNAPSHOT_GAUGES: &[Of<SnapshotCounters>] = &[
    ("orders", "Orders that are known to rest.", |of| {
        of.follower.orders
    }),
    ("instruments", "Instruments that are known.", |of| {
        of.follower.instruments
    }),
    (
        "incomplete_sources",
        "Source streams of which what is known is not whole.",
        |of| of.follower.incomplete,
    ),
    (
        "asking_sources",
        "Source streams for which the peer is asked.",
        |of| of.peer.asking,
    ),
    ("spools", "Snapshots that live.", |of| of.follower.spools),
    ("spool_bytes", "Bytes of snapshots that live.", |of| {
        of.follower.spool_bytes
    }),
    ("waiting", "Askers that wait for a snapshot.", |of| {
        of.follower.waiting
    }),
    ("connected", "Askers that are connected.", |of| {
        of.server.connected
    }),
];

/// What an adapter counts of contexts handed over: name, help, value.
pub(crate) const CONTEXT_COUNTERS: &[Of<TransferCounters>] = &[
    ("taken", "Contexts taken over from the peer.", |of| of.taken),
    (
        "not_taken",
        "Attempts to take one over that came to nothing.",
        |of| of.not_taken,
    ),
    ("given", "Contexts handed to the peer.", |of| of.given),
    (
        "not_given",
        "Contexts that the peer asked for and was not handed.",
        |of| of.not_given,
    ),
];

fn data_state(source: &SourceSnapshot) -> (DataState, &'static str) {
    match () {
        () if source.refused => (
            DataState::Stale,
            "the source speaks another format: refused",
        ),
        () if !source.epoch.is_some() => (DataState::Unknown, "nothing was heard of the source"),
        () if source.ended => (DataState::Ended, ""),
        () if source.stale => (DataState::Stale, "every line is silent"),
        () if !source.complete && source.lines.abandoned > 0 => {
            (DataState::Incomplete, "a hole on every line was given up")
        }
        () if !source.complete && source.of_snapshot => (
            DataState::Incomplete,
            "conversion began with a snapshot of the source's",
        ),
        () if !source.complete => (DataState::Incomplete, "conversion began in mid-session"),
        () => (DataState::Good, ""),
    }
}

fn line_status(source: &SourceSnapshot, name: LineName, line: LineSnapshot) -> LineStatus {
    let state = match line.status.state {
        _ if source.ended => LineState::Ended,
        Heard::Unheard => LineState::Waiting,
        Heard::Live | Heard::Lagging => LineState::Live,
        Heard::Silent => LineState::Silent,
    };
    let age = line
        .status
        .last_heard
        .map(|heard| source.at.since(heard).as_millis());
    LineStatus {
        sid: Sid(source.sid.0),
        line: name,
        state,
        packets: line.input.packets,
        first_arrivals: line.status.first_arrivals,
        gaps: line.status.missed,
        last_packet_age_ms: age.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX)),
        kernel_drops: line.input.kernel_drops,
    }
}

/// Sums over all sources, by metric name.
fn counters(sources: &[SourceSnapshot]) -> BTreeMap<String, u64> {
    let sum = |of: fn(&SourceSnapshot) -> u64| sources.iter().map(of).sum();
    let lines = |source: &SourceSnapshot| source.line.into_iter().flatten();
    let malformed = sources
        .iter()
        .flat_map(lines)
        .map(|line| line.input.malformed)
        .sum();
    let foreign = sources
        .iter()
        .flat_map(lines)
        .map(|line| line.input.foreign)
        .sum();
    // Counted per adapter: every source's copy says the same.
    let transfers = sources.first().map(|source| source.transfers);
    let transfers = transfers.unwrap_or_default();
    let pasts = sources.first().map(|source| source.pasts);
    let pasts = pasts.unwrap_or_default();
    let rows: [(&str, u64); 26] = [
        ("messages_total", sum(|source| source.sequencer.messages)),
        ("records_total", sum(|source| source.sequencer.records)),
        ("datagrams_total", sum(|source| source.sequencer.datagrams)),
        (
            "heartbeats_total",
            sum(|source| source.sequencer.heartbeats),
        ),
        (
            "withheld_datagrams_total",
            sum(|source| source.sequencer.withheld),
        ),
        (
            "replayed_datagrams_total",
            sum(|source| source.sequencer.replayed),
        ),
        ("standbys_total", sum(|source| source.pair.standby.standbys)),
        (
            "standby_replays_total",
            sum(|source| source.pair.standby.replays),
        ),
        (
            "standby_short_replays_total",
            sum(|source| source.pair.standby.short),
        ),
        ("datagrams_sent_total", sum(|source| source.sent)),
        ("datagrams_failed_total", sum(|source| source.failed)),
        ("gaps_total", sum(|source| source.lines.gaps)),
        ("gap_messages_total", sum(|source| source.lines.abandoned)),
        (
            "recovered_messages_total",
            sum(|source| source.lines.recovered),
        ),
        ("source_requests_total", sum(|source| source.requests.sent)),
        ("session_requests_total", sum(|source| source.holes.asked)),
        (
            "session_answers_refused_total",
            sum(|source| source.holes.refused),
        ),
        (
            "session_recovered_messages_total",
            sum(|source| source.lines.recovered_by_session),
        ),
        ("pasts_fetched_total", pasts.fetched),
        ("source_snapshots_fetched_total", pasts.snapshots),
        ("pasts_failed_total", pasts.failed),
        (
            "line_conflicts_total",
            sum(|source| source.lines.line_conflicts),
        ),
        (
            "unknown_messages_total",
            sum(|source| source.faults.unknown_type),
        ),
        (
            "unknown_orders_total",
            sum(|source| source.faults.unknown_order),
        ),
        ("rejected_malformed_total", malformed),
        ("rejected_foreign_total", foreign),
    ];
    let contexts = CONTEXT_COUNTERS
        .iter()
        .map(|(name, _, value)| (format!("contexts_{name}_total"), value(&transfers)));
    rows.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(contexts)
        .collect()
}
