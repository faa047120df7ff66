//! Which numbers does a scraper get?
//!
//! Drawn from the same document as the status page, at each scrape; names and units as everywhere in
//! Twinfeed. What adapters and subscribers count themselves they export themselves.

use std::fmt::Write as _;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode as encode_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use twinfeed_control::{FeedStatus, LegState, Role, Status, SubscriptionState};

use crate::api::auth::{Auth, Failure};
use crate::registry::FeedCounts;

type FloatCounter = Counter<f64, std::sync::atomic::AtomicU64>;
type FloatGauge = Gauge<f64, std::sync::atomic::AtomicU64>;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByFeed {
    feed: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByLeg {
    feed: String,
    leg: u64,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByLegState {
    feed: String,
    leg: u64,
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByTrigger {
    feed: String,
    trigger: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByCause {
    feed: String,
    cause: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByKind {
    feed: String,
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ByReason {
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Build {
    version: String,
}

#[derive(Default)]
struct Families {
    generation: Family<ByFeed, Gauge>,
    protected: Family<ByFeed, Gauge>,
    diverged: Family<ByFeed, Gauge>,
    takeovers: Family<ByFeed, Counter>,
    subscriptions: Family<ByFeed, Gauge>,
    switches: Family<ByTrigger, Counter>,
    role_changes: Family<ByCause, Counter>,
    source_reports: Family<ByKind, Counter>,
    pinned: Family<ByLeg, Gauge>,
    role: Family<ByLeg, Gauge>,
    leg_state: Family<ByLegState, Gauge>,
    lease: Family<ByLeg, FloatGauge>,
    auth_failures: Family<ByReason, Counter>,
    store_up: Gauge,
    stalls: Counter,
    stalled: FloatCounter,
    build_info: Family<Build, Gauge>,
}

/// The whole of `/metrics`, in the OpenMetrics text format.
pub(crate) fn encode(status: &Status, counts: &[FeedCounts], auth: &Auth) -> String {
    let families = Families::default();
    families.store_up.set(i64::from(status.server.store_up));
    families.stalls.inc_by(status.server.stalls);
    let stalled = std::time::Duration::from_millis(status.server.stalled_ms);
    families.stalled.inc_by(stalled.as_secs_f64());
    let build = Build {
        version: status.server.version.clone(),
    };
    families.build_info.get_or_create(&build).set(1);
    for (failure, reason) in Failure::ALL {
        families
            .auth_failures
            .get_or_create(&ByReason { reason })
            .inc_by(auth.count(failure));
    }
    for feed in &status.feeds {
        families.set_feed(feed);
    }
    for count in counts {
        families.set_counts(count);
    }
    let mut text = String::new();
    if encode_text(&mut text, &families.registry()).is_err() {
        // Writing into a String cannot fail; a scraper that sees this comment sees a defect.
        let _ = writeln!(text, "# encoding failed");
    }
    text
}

impl Families {
    fn set_feed(&self, status: &FeedStatus) {
        let feed = status.feed.to_string();
        let by_feed = ByFeed { feed: feed.clone() };
        self.generation
            .get_or_create(&by_feed)
            .set(i64::from(status.pair.generation.0));
        self.protected
            .get_or_create(&by_feed)
            .set(i64::from(status.pair.protected));
        let reports = status.legs.iter().filter_map(|leg| leg.report.as_ref());
        let streams = reports.flat_map(|report| &report.streams);
        let diverged = streams.filter(|stream| stream.pair.diverged_range.is_some());
        self.diverged
            .get_or_create(&by_feed)
            .set(i64::try_from(diverged.count()).unwrap_or(i64::MAX));
        let open = status.subscriptions.iter();
        let open = open
            .filter(|one| one.access == SubscriptionState::Open)
            .count();
        self.subscriptions
            .get_or_create(&by_feed)
            .set(i64::try_from(open).unwrap_or(i64::MAX));
        for leg in &status.legs {
            let by_leg = ByLeg {
                feed: feed.clone(),
                leg: leg.leg.index() as u64,
            };
            let role = match leg.role {
                Some(Role::Active) => 1,
                Some(Role::Backup) | None => 0,
            };
            self.role.get_or_create(&by_leg).set(role);
            let pinned = status.pair.pinned.as_ref() == Some(&leg.adapter);
            self.pinned.get_or_create(&by_leg).set(i64::from(pinned));
            if let Some(left) = leg.lease_remaining_ms {
                self.lease
                    .get_or_create(&by_leg)
                    .set(std::time::Duration::from_millis(left).as_secs_f64());
            }
            for state in LegState::ALL {
                let labels = ByLegState {
                    feed: feed.clone(),
                    leg: by_leg.leg,
                    state: state.word(),
                };
                self.leg_state
                    .get_or_create(&labels)
                    .set(i64::from(*state == leg.state));
            }
        }
    }

    fn set_counts(&self, count: &FeedCounts) {
        let feed = count.feed.to_string();
        self.takeovers
            .get_or_create(&ByFeed { feed: feed.clone() })
            .inc_by(count.takeovers);
        for ((cause, outcome), changes) in &count.role_changes {
            let labels = ByCause {
                feed: feed.clone(),
                cause: cause.word(),
                outcome,
            };
            self.role_changes.get_or_create(&labels).inc_by(*changes);
        }
        for ((kind, outcome), reports) in &count.source_reports {
            let labels = ByKind {
                feed: feed.clone(),
                kind,
                outcome,
            };
            self.source_reports.get_or_create(&labels).inc_by(*reports);
        }
        for (trigger, switches) in &count.switches {
            let labels = ByTrigger {
                feed: feed.clone(),
                trigger: trigger.word(),
            };
            self.switches.get_or_create(&labels).inc_by(*switches);
        }
    }

    fn registry(self) -> Registry {
        let mut registry = Registry::with_prefix("twinfeed");
        registry.register(
            "generation",
            "The pair's granted generation",
            self.generation,
        );
        registry.register(
            "protected",
            "1 while the death of one adapter is invisible",
            self.protected,
        );
        registry.register(
            "diverged_streams",
            "Streams whose backup sends other content than the active under equal numbers",
            self.diverged,
        );
        registry.register(
            "takeovers",
            "New generations since the start",
            self.takeovers,
        );
        registry.register("subscriptions", "Open subscriptions", self.subscriptions);
        registry.register(
            "switches",
            "Switches reported by subscribers",
            self.switches,
        );
        registry.register(
            "role_changes",
            "Changes of roles done and refused since the start, by cause",
            self.role_changes,
        );
        registry.register(
            "source_reports",
            "Messages source stale and source restored since the start: placed, not placed, held back by the limit",
            self.source_reports,
        );
        registry.register(
            "pinned",
            "1 for the leg that stays active until an operator says otherwise",
            self.pinned,
        );
        registry.register("role", "1 for the active leg, 0 for the backup", self.role);
        registry.register(
            "leg_state",
            "1 for the state that the leg is in",
            self.leg_state,
        );
        registry.register(
            "lease_remaining_seconds",
            "What is left of an adapter's lease",
            self.lease,
        );
        registry.register("auth_failures", "Callers turned away", self.auth_failures);
        registry.register("store_up", "1 while the store takes writes", self.store_up);
        registry.register(
            "stalls",
            "How often this server attended to nobody for more than half a second",
            self.stalls,
        );
        registry.register(
            "stalled_seconds",
            "For how long it attended to nobody; no lease ended meanwhile",
            self.stalled,
        );
        registry.register("build_info", "Always 1", self.build_info);
        registry
    }
}
