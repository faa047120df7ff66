//! What does an adapter show of itself, and when is it ready?

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use twinfeed_control::operations::{Operations, OperationsConfig, Readiness, Surfaces};
use twinfeed_control::{LinkState, Role};

use crate::config::Config;
use crate::error::AdapterError;
use crate::present::{
    CONTEXT_COUNTERS, FILL_COUNTERS, FILL_GAUGES, Of, PAIR_COUNTERS, Present, RING_COUNTERS,
    SNAPSHOT_COUNTERS, SNAPSHOT_GAUGES,
};
use crate::snapshot::{LineSnapshot, SourceSnapshot};
use crate::snapshots::Lacking;
use crate::source::soup::past::What;

/// Serves `/metrics`, `/livez`, `/readyz` and `/status.json` if an address is configured.
///
/// # Errors
/// The address cannot be bound.
pub fn start(config: &Config, present: &Present) -> Result<Option<Operations>, AdapterError> {
    let Some(bind) = config.host.operations else {
        return Ok(None);
    };
    let mut registry = Registry::with_prefix("twinfeed");
    registry.register_collector(Box::new(Metrics {
        present: present.clone(),
        feed: config.feed.to_string(),
    }));
    let (ready, status) = (present.clone(), present.clone());
    let surfaces = Surfaces {
        metrics: Box::new(move || {
            let mut text = String::new();
            // Writing to a String cannot fail, and neither do our own metrics.
            let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
            text
        }),
        readiness: Box::new(move || readiness(&ready)),
        status: Box::new(move || {
            let mut document = serde_json::to_value(status.status()).unwrap_or_default();
            let standing = status.standing();
            document["unverified"] = standing.unverified.into();
            document["stream_admin_up"] = standing.admin_up.into();
            document["session_servers"] = session_servers(&status.sources());
            document["snapshots"] = snapshots(&status);
            document
        }),
    };
    let setup = OperationsConfig {
        bind,
        ..OperationsConfig::default()
    };
    Operations::start(&setup, surfaces)
        .map(Some)
        .map_err(AdapterError::operations)
}

/// Of which source streams this adapter tells who joins what there is, and why not of the others.
fn snapshots(present: &Present) -> serde_json::Value {
    let rows = present.snapshot_standing().into_iter().map(|of| {
        let lacking = of.lacking.map(Lacking::word);
        serde_json::json!({
            "sid": of.sid.0, "at": of.at.map(|at| at.to_string()), "whole": lacking.is_none(), "lacking": lacking,
            "asks_peer": of.asks[0], "peer_trouble": of.trouble[0],
            "asks_source": of.asks[1], "source_trouble": of.trouble[1],
        })
    });
    rows.collect()
}

/// What is wrong with SoupBinTCP servers, for people; the last word of each.
fn session_servers(sources: &[SourceSnapshot]) -> serde_json::Value {
    let holes = sources.iter().flat_map(|source| {
        let faults = ["A", "B"].into_iter().zip(source.session_faults);
        faults.filter_map(|(line, why)| Some((source.sid, line, "hole", why?.to_string())))
    });
    let pasts = sources.first().and_then(|source| source.pasts.fault);
    let pasts = pasts.map(|(sid, what, line, fault)| {
        let line = ["A", "B"][line.index()];
        let what = match what {
            What::Past => "past",
            What::Snapshot => "snapshot",
        };
        (sid, line, what, fault.to_string())
    });
    let rows = holes.chain(pasts).map(|(sid, line, asked_for, fault)| {
        serde_json::json!({ "sid": sid.0, "line": line, "asked_for": asked_for, "fault": fault })
    });
    rows.collect()
}

fn readiness(present: &Present) -> Readiness {
    if present.standing().draining {
        return Readiness::NotReady("draining".to_owned());
    }
    let sources = present.sources();
    if sources.is_empty() {
        return Readiness::NotReady("not seated yet".to_owned());
    }
    let suspect = |source: &&SourceSnapshot| {
        source.refused || !source.epoch.is_some() || (source.stale && !source.ended)
    };
    match sources.iter().find(suspect) {
        Some(source) => Readiness::NotReady(format!(
            "source {}: {}",
            source.sid,
            if source.refused {
                "refused"
            } else {
                "nothing is heard"
            }
        )),
        None => Readiness::Ready,
    }
}

#[derive(Debug)]
struct Metrics {
    present: Present,
    feed: String,
}

const SOURCE_COUNTERS: &[Of<SourceSnapshot>] = &[
    ("messages", "Source messages converted.", |of| {
        of.sequencer.messages
    }),
    ("records", "Records numbered.", |of| of.sequencer.records),
    ("datagrams", "Datagrams made, heartbeats included.", |of| {
        of.sequencer.datagrams
    }),
    ("heartbeats", "Heartbeats made.", |of| {
        of.sequencer.heartbeats
    }),
    (
        "withheld_datagrams",
        "Datagrams made on standby and not sent.",
        |of| of.sequencer.withheld,
    ),
    (
        "replayed_datagrams",
        "Withheld datagrams sent when standby ended.",
        |of| of.sequencer.replayed,
    ),
    ("standbys", "Times the stream went on standby.", |of| {
        of.pair.standby.standbys
    }),
    (
        "standby_replays",
        "Times standby ended and what was withheld was sent.",
        |of| of.pair.standby.replays,
    ),
    (
        "standby_short_replays",
        "Replays that had less than standby_replay before the reported place.",
        |of| of.pair.standby.short,
    ),
    (
        "standby_full",
        "Replays for want of room for what the active had not reported.",
        |of| of.pair.standby.full,
    ),
    (
        "sent_datagrams",
        "Datagrams the kernel took, over all destinations.",
        |of| of.sent,
    ),
    (
        "failed_datagrams",
        "Datagrams that failed, over all destinations.",
        |of| of.failed,
    ),
    ("gaps", "Holes given up on every line.", |of| of.lines.gaps),
    (
        "gap_messages",
        "Source messages lost on every line.",
        |of| of.lines.abandoned,
    ),
    (
        "source_requests",
        "Requests sent to the source's request servers.",
        |of| of.requests.sent,
    ),
    (
        "source_requests_failed",
        "Requests that did not leave.",
        |of| of.requests.failed,
    ),
    (
        "source_answers_unasked",
        "Packets of request servers without anything that is missing.",
        |of| of.lines.unasked + of.requests.late,
    ),
    (
        "source_answers_rejected",
        "Packets at the requests' socket of other senders, or no MoldUDP64.",
        |of| of.requests.foreign + of.requests.malformed,
    ),
    (
        "recovered_messages",
        "Source messages that a request server gave.",
        |of| of.lines.recovered,
    ),
    (
        "session_requests",
        "Requests handed to SoupBinTCP servers for what every line lost.",
        |of| of.holes.asked,
    ),
    (
        "session_requests_failed",
        "Requests for which there was no room, or whose session was not known any more.",
        |of| of.holes.failed,
    ),
    (
        "session_answers_broken",
        "Answers of SoupBinTCP servers that were none, or broke off.",
        |of| of.holes.broken,
    ),
    (
        "session_answers_refused",
        "Of those, the ones that the same server would give again: a rejected login, another session.",
        |of| of.holes.refused,
    ),
    (
        "session_recovered_messages",
        "Source messages that a SoupBinTCP server gave.",
        |of| of.lines.recovered_by_session,
    ),
    (
        "line_conflicts",
        "Copies with other bytes under a delivered number.",
        |of| of.lines.line_conflicts,
    ),
    (
        "unknown_messages",
        "Messages of an unknown type, passed on unconverted.",
        |of| of.faults.unknown_type,
    ),
    (
        "missized_messages",
        "Messages of a wrong length, passed on unconverted.",
        |of| of.faults.wrong_size,
    ),
    (
        "unknown_orders",
        "Messages about an order that the context does not know.",
        |of| of.faults.unknown_order,
    ),
    (
        "orders_full",
        "Orders not remembered: max_open_orders reached.",
        |of| of.faults.orders_full,
    ),
];

const SOURCE_GAUGES: &[Of<SourceSnapshot>] = &[
    ("next_msn", "Number of the next record.", |of| of.next_msn.0),
    ("destinations", "Whom the stream is sent to.", |of| {
        of.destinations as u64
    }),
    (
        "context_complete",
        "1 while the context reaches back to the epoch's first number.",
        |of| u64::from(of.complete),
    ),
    ("source_stale", "1 while every line is silent.", |of| {
        u64::from(of.stale)
    }),
    (
        "pair_protected",
        "1 while both ends would place the next administrative message.",
        |of| u64::from(of.pair.protected),
    ),
    (
        "standby",
        "1 while the stream is numbered and withheld.",
        |of| u64::from(of.pair.is_on_standby()),
    ),
    ("withheld_records", "Records that are withheld.", |of| {
        of.pair.withheld as u64
    }),
    ("adm", "Administrative messages placed.", |of| of.pair.adm.0),
    ("source_refused", "1 once the source was refused.", |of| {
        u64::from(of.refused)
    }),
];

const LINE_COUNTERS: &[Of<LineSnapshot>] = &[
    ("line_packets", "Packets received.", |of| of.input.packets),
    (
        "line_first_arrivals",
        "Messages that this line had first.",
        |of| of.status.first_arrivals,
    ),
    (
        "line_duplicates",
        "Messages that the other line had first.",
        |of| of.status.duplicates,
    ),
    (
        "line_missed_messages",
        "Numbers that this line skipped.",
        |of| of.status.missed,
    ),
    (
        "line_truncated_packets",
        "Packets longer than the slot.",
        |of| of.input.truncated,
    ),
    (
        "kernel_drops",
        "Packets the kernel dropped at the socket.",
        |of| of.input.kernel_drops,
    ),
];

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let sources = self.present.sources();
        let feed = self.feed.as_str();
        for (name, help, value) in SOURCE_COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for source in &sources {
                let labels = [("feed", feed.to_owned()), ("sid", source.sid.to_string())];
                ConstCounter::new(value(source)).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, value) in SOURCE_GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for source in &sources {
                let labels = [("feed", feed.to_owned()), ("sid", source.sid.to_string())];
                let value = i64::try_from(value(source)).unwrap_or(i64::MAX);
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        pairs(&mut encoder, feed, &sources)?;
        contexts(&mut encoder, feed, &sources)?;
        pasts(&mut encoder, feed, &sources)?;
        self.fills(&mut encoder)?;
        self.snapshots(&mut encoder)?;
        if let Some(ring) = self.present.rings() {
            self.counted(&mut encoder, "ring", (RING_COUNTERS, &[]), &ring)?;
        }
        for (name, help, value) in LINE_COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (labels, line) in lines(feed, &sources) {
                ConstCounter::new(value(line)).encode(family.encode_family(&labels)?)?;
            }
        }
        rejected(&mut encoder, feed, &sources)?;
        ages(&mut encoder, feed, &sources)?;
        self.standing(&mut encoder)
    }
}

impl Metrics {
    fn fills(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        match self.present.fills() {
            None => Ok(()),
            Some(fills) => self.counted(encoder, "fills", (FILL_COUNTERS, FILL_GAUGES), &fills),
        }
    }

    fn snapshots(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let tables = (SNAPSHOT_COUNTERS, SNAPSHOT_GAUGES);
        match self.present.snapshots() {
            None => Ok(()),
            Some(snapshots) => self.counted(encoder, "snapshots", tables, &snapshots),
        }
    }

    /// What is counted of the adapter as a whole: counters, and then gauges, whose names begin alike.
    fn counted<T>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        prefix: &str,
        (counters, gauges): (&[Of<T>], &[Of<T>]),
        of: &T,
    ) -> Result<(), fmt::Error> {
        let labels = [("feed", self.feed.clone())];
        for (name, help, value) in counters {
            let name = format!("{prefix}_{name}");
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
            ConstCounter::new(value(of)).encode(family.encode_family(&labels)?)?;
        }
        for (name, help, value) in gauges {
            let name = format!("{prefix}_{name}");
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
            let value = i64::try_from(value(of)).unwrap_or(i64::MAX);
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn standing(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let standing = self.present.standing();
        let rows: [(&str, &str, bool); 5] = [
            (
                "role_active",
                "1 while this adapter's granted role is active.",
                { standing.role == Role::Active },
            ),
            (
                "pair_link_up",
                "1 while the pair link stands.",
                standing.link == LinkState::Up,
            ),
            (
                "peer_lost",
                "1 while the peer's death is announced.",
                standing.peer_lost,
            ),
            (
                "stream_admin_up",
                "1 while stream-admin renews the lease.",
                standing.admin_up,
            ),
            (
                "stream_ids_outdated",
                "1 while streams are sent under other ids than granted: restart this adapter.",
                { !standing.outdated.is_empty() },
            ),
        ];
        let labels = [("feed", self.feed.clone())];
        for (name, help, value) in rows {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::from(value)).encode(family.encode_family(&labels)?)?;
        }
        let help = "The generation acted under.";
        let mut family = encoder.encode_descriptor("generation", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(standing.generation.0)).encode(family.encode_family(&labels)?)?;
        let build = [("version", env!("CARGO_PKG_VERSION"))];
        let help = "Which build this is.";
        let mut family = encoder.encode_descriptor("build_info", help, None, MetricType::Gauge)?;
        ConstGauge::new(1_i64).encode(family.encode_family(&build)?)
    }
}

fn pairs(
    encoder: &mut DescriptorEncoder<'_>,
    feed: &str,
    sources: &[SourceSnapshot],
) -> Result<(), fmt::Error> {
    for (name, help, value) in PAIR_COUNTERS {
        let name = format!("pair_{name}");
        let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
        for source in sources {
            let labels = [("feed", feed.to_owned()), ("sid", source.sid.to_string())];
            let count = value(&source.pair.counters);
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// Counted per adapter: every source's copy says the same.
fn pasts(
    encoder: &mut DescriptorEncoder<'_>,
    feed: &str,
    sources: &[SourceSnapshot],
) -> Result<(), fmt::Error> {
    let counters = sources.first().map(|source| source.pasts);
    let counters = counters.unwrap_or_default();
    let rows = [
        (
            "pasts_fetched",
            "Sessions fetched from their beginning over SoupBinTCP, and taken over.",
            counters.fetched,
        ),
        (
            "source_snapshots_fetched",
            "Snapshots fetched from GLIMPSE servers, and taken over.",
            counters.snapshots,
        ),
        (
            "pasts_failed",
            "Attempts to fetch a session or a snapshot that came to nothing.",
            counters.failed,
        ),
    ];
    let labels = [("feed", feed.to_owned())];
    for (name, help, value) in rows {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
    }
    let help = "Number up to which a session is fetched at present; 0 while none is.";
    let mut family = encoder.encode_descriptor("past_reached", help, None, MetricType::Gauge)?;
    ConstGauge::new(counters.reached as i64).encode(family.encode_family(&labels)?)
}

/// Counted per adapter: every source's copy says the same.
fn contexts(
    encoder: &mut DescriptorEncoder<'_>,
    feed: &str,
    sources: &[SourceSnapshot],
) -> Result<(), fmt::Error> {
    let counters = sources.first().map(|source| source.transfers);
    let counters = counters.unwrap_or_default();
    for (name, help, value) in CONTEXT_COUNTERS {
        let name = format!("contexts_{name}");
        let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
        let labels = [("feed", feed.to_owned())];
        ConstCounter::new(value(&counters)).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

type LineLabels = [(&'static str, String); 3];

fn lines<'a>(
    feed: &str,
    sources: &'a [SourceSnapshot],
) -> impl Iterator<Item = (LineLabels, &'a LineSnapshot)> {
    sources.iter().flat_map(move |source| {
        ["A", "B"]
            .into_iter()
            .zip(&source.line)
            .filter_map(move |(name, line)| {
                let labels = [
                    ("feed", feed.to_owned()),
                    ("sid", source.sid.to_string()),
                    ("line", name.to_owned()),
                ];
                Some((labels, line.as_ref()?))
            })
    })
}

fn rejected(
    encoder: &mut DescriptorEncoder<'_>,
    feed: &str,
    sources: &[SourceSnapshot],
) -> Result<(), fmt::Error> {
    let help = "Packets rejected, by reason.";
    let mut family =
        encoder.encode_descriptor("rejected_packets", help, None, MetricType::Counter)?;
    for (labels, line) in lines(feed, sources) {
        let reasons = [
            ("malformed", line.input.malformed),
            ("foreign", line.input.foreign),
        ];
        for (reason, count) in reasons {
            let [a, b, c] = labels.clone();
            let labels = [a, b, c, ("reason", reason.to_owned())];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn ages(
    encoder: &mut DescriptorEncoder<'_>,
    feed: &str,
    sources: &[SourceSnapshot],
) -> Result<(), fmt::Error> {
    let help = "Time since the line last said something.";
    let name = "line_last_packet_age_seconds";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for source in sources {
        for (labels, line) in lines(feed, std::slice::from_ref(source)) {
            if let Some(heard) = line.status.last_heard {
                let age = source.at.since(heard).as_secs_f64();
                ConstGauge::new(age).encode(family.encode_family(&labels)?)?;
            }
        }
    }
    Ok(())
}
