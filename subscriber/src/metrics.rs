//! How is a subscriber doing, in numbers?
//!
//! The poller counts in plain cells of its own and shows a [`Snapshot`] some twenty times a second; what
//! stands here reads snapshots and never touches the data path. [`Snapshot::write_metrics`] gives them
//! in the OpenMetrics text format, with the names that dashboards and alert rules use.

use std::fmt::{self, Write};

use twinfeed_protocol::arbiter::{Counters, LegStatus};
use twinfeed_protocol::repair::RepairCounters;
use twinfeed_protocol::{Leg, LegState, Refusal};
use twinfeed_wire::{Malformed, Sid};

use crate::control::MAX_SOURCES;
use crate::fills::FillsReceived;
use crate::filter::Sieved;
use crate::guard::{Seen, TRIGGERS};
use crate::joining::JoiningShown;
use crate::pace::PaceShown;
use crate::queue::QueueCounters;
use crate::receive::LegReceived;

/// Everything one feed has counted, as the poller last showed it. All counts only grow.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was taken, Unix ns; 0 before the first poll.
    pub at_unix_ns: u64,
    /// What the arbiter counted.
    pub arbiter: Counters,
    /// What the sockets of leg 0 and leg 1 saw.
    pub received: [LegReceived; 2],
    /// What went over the socket on which adapters are asked for what was missed.
    pub fills: FillsReceived,
    /// What asking came to.
    pub repairs: RepairCounters,
    /// Source stream by source stream, in the order of granting.
    pub sources: Vec<SourceSnapshot>,
    /// Switches by trigger, in the order of [`Snapshot::switches`].
    switches: [u64; TRIGGERS.len()],
    /// Callbacks of the application that panicked.
    pub handler_panics: u64,
    /// What the queues between the two halves refused.
    pub queues: QueueCounters,
    /// What the filter did.
    pub sieved: Sieved,
    /// How joining with snapshots went and goes.
    pub joining: JoiningShown,
    /// How the application keeps up.
    pub pace: PaceShown,
    /// Whether [`crate::Event::Closed`] was delivered.
    pub closed: bool,
}

/// Both legs of one source stream.
#[derive(Clone, Debug)]
pub struct SourceSnapshot {
    /// Source stream.
    pub sid: Sid,
    /// Leg 0 and leg 1.
    pub legs: [Option<LegStatus>; 2],
}

impl Default for Snapshot {
    /// Nothing yet, with room for all source streams there can be: the poller fills it without allocating.
    fn default() -> Self {
        Self {
            at_unix_ns: 0,
            arbiter: Counters::default(),
            received: [LegReceived::default(); 2],
            fills: FillsReceived::default(),
            repairs: RepairCounters::default(),
            sources: Vec::with_capacity(MAX_SOURCES),
            switches: [0; TRIGGERS.len()],
            handler_panics: 0,
            queues: QueueCounters::default(),
            sieved: Sieved::default(),
            joining: JoiningShown::default(),
            pace: PaceShown::default(),
            closed: false,
        }
    }
}

impl Snapshot {
    pub(crate) fn set_seen(&mut self, seen: &Seen) {
        self.switches = seen.switches;
        self.handler_panics = seen.handler_panics;
        self.closed = seen.closed;
    }

    /// Switches by trigger.
    pub fn switches(&self) -> impl Iterator<Item = (twinfeed_protocol::Trigger, u64)> {
        TRIGGERS.into_iter().zip(self.switches)
    }

    /// Whether a datagram or heartbeat of one of the leg's own streams was heard.
    #[must_use]
    pub fn is_heard(&self, leg: Leg) -> bool {
        let state = |source: &SourceSnapshot| source.legs[leg.index()].map(|status| status.state);
        self.sources
            .iter()
            .filter_map(state)
            .any(|state| state != LegState::Unheard)
    }

    /// Datagrams that this host's kernel dropped, both legs.
    #[must_use]
    pub fn kernel_drops(&self) -> u64 {
        self.received.iter().map(|leg| leg.kernel_drops).sum()
    }

    /// Appends all samples of `feed` to `text`, in the OpenMetrics format without the closing `# EOF`, so
    /// that several feeds can follow one another.
    pub fn write_metrics(&self, feed: &str, text: &mut String) {
        let mut page = Page { feed, text };
        // Writing to a String cannot fail.
        let _ = self
            .write_feed(&mut page)
            .and_then(|()| self.write_fills(&mut page))
            .and_then(|()| self.write_joining(&mut page))
            .and_then(|()| self.write_legs(&mut page))
            .and_then(|()| self.write_sources(&mut page));
    }

    fn write_feed(&self, page: &mut Page<'_>) -> fmt::Result {
        let counters = &self.arbiter;
        let plain = [
            ("records", "Records delivered.", counters.records),
            (
                "duplicates",
                "Records dropped as delivered before.",
                counters.duplicates,
            ),
            (
                "unrecovered_messages",
                "Source messages declared lost.",
                counters.gap_messages,
            ),
            ("resets", "Resets delivered.", counters.resets),
            (
                "discontinuities",
                "Discontinuities delivered.",
                counters.discontinuities,
            ),
            (
                "divergences",
                "Divergences delivered.",
                counters.divergences,
            ),
            (
                "convergences",
                "Divergences that were over.",
                counters.convergences,
            ),
            (
                "compared_ranges",
                "Ranges of source numbers whose content both legs told.",
                counters.compared_ranges,
            ),
            (
                "diverged_ranges",
                "Ranges of source numbers whose content differed.",
                counters.diverged_ranges,
            ),
            (
                "held_records",
                "Records that waited for a hole.",
                counters.held,
            ),
            (
                "hold_overflow",
                "Records that found the hold full.",
                counters.hold_overflow,
            ),
            (
                "handler_panics",
                "Callbacks that panicked.",
                self.handler_panics,
            ),
            (
                "filtered_records",
                "Records that the filter withheld.",
                self.sieved.withheld,
            ),
            (
                "unknown_symbol_records",
                "Records that a filter by symbol could not judge.",
                self.sieved.unknown,
            ),
            (
                "commands_refused",
                "Decisions that found the queue full.",
                self.queues.commands_refused,
            ),
            (
                "receipts_dropped",
                "Receipts that found the queue full.",
                self.queues.notices_dropped,
            ),
            (
                "slow",
                "Times that the application was too slow.",
                self.pace.slow,
            ),
            (
                "skips",
                "Times that what waited for it was left out.",
                self.pace.skips,
            ),
            (
                "skipped_datagrams",
                "Datagrams that were left out.",
                self.pace.skipped_datagrams,
            ),
        ];
        for (name, help, value) in plain {
            page.family(name, help)?;
            page.sample(name, "", value)?;
        }
        let behind = u64::try_from(self.pace.behind.as_nanos()).unwrap_or(u64::MAX);
        page.gauge(
            "behind_ns",
            "How long ago everything that had come was last taken.",
        )?;
        page.value("behind_ns", "", &behind.to_string())?;
        page.family("gaps", "Gaps declared.")?;
        page.sample("gaps", ",scope=\"feed\"", counters.gaps)?;
        page.family("recovered_holes", "Holes closed in time.")?;
        page.sample(
            "recovered_holes",
            ",source=\"other_leg\"",
            counters.recovered,
        )?;
        page.family("switches", "Switches, each with a receipt.")?;
        for (trigger, count) in self.switches() {
            page.sample(
                "switches",
                &format!(",trigger=\"{}\"", trigger.word()),
                count,
            )?;
        }
        page.family("rejected_packets", "Datagrams refused.")?;
        let refused = Malformed::LABELS.into_iter().zip(counters.rejected);
        let others = [
            ("foreign_stream", counters.foreign_stream),
            ("unknown_sid", counters.unknown_sid),
            ("stale_incarnation", counters.stale_incarnation),
            ("replayed", counters.replayed),
            ("fenced", counters.fenced),
            ("retired_epoch", counters.retired_epoch),
            ("quarantine_dropped", counters.quarantine_dropped),
            ("quarantine_overflow", counters.quarantine_overflow),
        ];
        for (reason, count) in refused.chain(others) {
            page.sample("rejected_packets", &format!(",reason=\"{reason}\""), count)?;
        }
        Ok(())
    }

    fn write_fills(&self, page: &mut Page<'_>) -> fmt::Result {
        let (arbiter, repairs, fills) = (&self.arbiter, &self.repairs, &self.fills);
        let plain = [
            (
                "filled_records",
                "Records that were missing on every leg and that an adapter gave.",
                arbiter.filled,
            ),
            (
                "fill_duplicates",
                "Records given that had come before.",
                arbiter.fill_duplicates,
            ),
            (
                "fill_rejected",
                "Answers that were not asked for, or not what was.",
                arbiter.fill_rejected,
            ),
            (
                "repairs",
                "Holes that adapters were asked for.",
                repairs.opened,
            ),
            (
                "repairs_given_up",
                "Of those, the ones that nobody gave in time.",
                repairs.given_up,
            ),
            (
                "fill_requests",
                "Requests for what was missed.",
                repairs.requests,
            ),
            (
                "fill_requests_silent",
                "Requests that nobody answered in time.",
                repairs.silent,
            ),
            (
                "fill_requests_busy",
                "Requests that were put off.",
                repairs.busy,
            ),
            (
                "fill_requests_lacking",
                "Requests for what was not retained any more.",
                repairs.lacking,
            ),
            ("fill_packets", "Answers received.", fills.datagrams),
            ("fill_bytes", "Bytes of answers.", fills.bytes),
            (
                "fill_foreign_senders",
                "Answers of whom nobody asked.",
                fills.foreign_senders,
            ),
            (
                "fill_unsent",
                "Requests that could not be sent.",
                fills.unsent,
            ),
            (
                "fill_kernel_drops",
                "Answers that this host's kernel dropped.",
                fills.kernel_drops,
            ),
        ];
        for (name, help, value) in plain {
            page.family(name, help)?;
            page.sample(name, "", value)?;
        }
        Ok(())
    }

    fn write_joining(&self, page: &mut Page<'_>) -> fmt::Result {
        let JoiningShown {
            counters,
            kept_items,
            kept_bytes,
            fetched,
        } = &self.joining;
        let plain = [
            (
                "joins",
                "Times that a source stream began to join with a snapshot.",
                counters.begun,
            ),
            (
                "joined",
                "Snapshots that were told to their end.",
                counters.joined,
            ),
            (
                "joins_given_up",
                "Times that joining took too long.",
                counters.given_up,
            ),
            (
                "joins_restarted",
                "Times that what was kept found no room.",
                counters.restarted,
            ),
            (
                "join_kept_items",
                "Records and events kept while joining.",
                counters.kept,
            ),
            (
                "join_covered_items",
                "Of those, what a snapshot had.",
                counters.covered,
            ),
            (
                "join_clipped_gaps",
                "Gaps that a snapshot closed in part.",
                counters.clipped,
            ),
            (
                "join_void_items",
                "Kept, and dropped for want of room.",
                counters.void,
            ),
            (
                "snapshot_orders",
                "Orders that snapshots told.",
                counters.orders,
            ),
            (
                "snapshot_instruments",
                "Books that snapshots told.",
                counters.instruments,
            ),
            (
                "snapshots_ignored",
                "Snapshots that came while none was wanted.",
                counters.ignored,
            ),
            (
                "snapshot_requests",
                "Requests for snapshots.",
                fetched.requests,
            ),
            (
                "snapshots_fetched",
                "Snapshots that came whole.",
                fetched.whole,
            ),
            ("snapshot_bytes", "Bytes of answers to them.", fetched.bytes),
        ];
        for (name, help, value) in plain {
            page.family(name, help)?;
            page.sample(name, "", value)?;
        }
        page.family("snapshots_failed", "Attempts that brought no snapshot.")?;
        let failed = [
            ("unreachable", fetched.unreachable),
            ("refused", fetched.refused),
            ("torn", fetched.torn),
            ("silent", fetched.silent),
            ("bad", fetched.bad),
        ];
        let unfit = Refusal::ALL.iter().zip(counters.refused);
        let unfit = unfit.map(|(reason, count)| (reason.word(), count));
        for (reason, value) in failed.into_iter().chain(unfit) {
            let labels = format!(",reason=\"{reason}\"");
            page.sample("snapshots_failed", &labels, value)?;
        }
        for (name, help, value) in [
            ("join_items", "Records and events kept now.", kept_items),
            ("join_bytes", "Bytes kept now.", kept_bytes),
        ] {
            page.gauge(name, help)?;
            page.value(name, "", &value.to_string())?;
        }
        Ok(())
    }

    fn write_legs(&self, page: &mut Page<'_>) -> fmt::Result {
        type Read = fn(&LegReceived) -> u64;
        let families: [(&str, &str, Read); 8] = [
            ("leg_packets", "Datagrams received.", |leg| leg.datagrams),
            ("leg_bytes", "Bytes received.", |leg| leg.bytes),
            (
                "leg_foreign_senders",
                "Datagrams of a foreign sender.",
                |leg| leg.foreign_senders,
            ),
            ("leg_too_long", "Datagrams too long for the feed.", |leg| {
                leg.too_long
            }),
            (
                "kernel_drops",
                "Datagrams dropped by this host's kernel.",
                |leg| leg.kernel_drops,
            ),
            ("leg_receive_errors", "Receive calls that failed.", |leg| {
                leg.errors
            }),
            (
                "leg_ring_packets",
                "Datagrams that came by the adapter's ring.",
                |leg| leg.ring_datagrams,
            ),
            (
                "leg_ring_lost",
                "Datagrams overwritten in the ring before they were read.",
                |leg| leg.ring_lost,
            ),
        ];
        for (name, help, read) in families {
            page.family(name, help)?;
            for leg in Leg::BOTH {
                let value = read(&self.received[leg.index()]);
                page.sample(name, &format!(",leg=\"{leg}\""), value)?;
            }
        }
        page.gauge("leg_ring_state", "1 for how a leg stands with its ring.")?;
        for leg in Leg::BOTH {
            let state = self.received[leg.index()].ring.word();
            let labels = format!(",leg=\"{leg}\",state=\"{state}\"");
            page.value("leg_ring_state", &labels, "1")?;
        }
        Ok(())
    }

    fn write_sources(&self, page: &mut Page<'_>) -> fmt::Result {
        type Read = fn(&LegStatus) -> u64;
        let families: [(&str, &str, Read); 5] = [
            ("leg_offered_records", "Records a leg offered.", |leg| {
                leg.offered
            }),
            (
                "leg_first_arrivals",
                "Records a leg brought first.",
                |leg| leg.wins,
            ),
            ("leg_duplicates", "Records a leg brought second.", |leg| {
                leg.duplicates
            }),
            (
                "leg_filled_records",
                "Records missing everywhere that a leg's adapter gave.",
                |leg| leg.filled,
            ),
            (
                "leg_missing_packets",
                "Datagrams missing in a leg's numbering.",
                |leg| leg.missing_datagrams,
            ),
        ];
        for (name, help, read) in families {
            page.family(name, help)?;
            self.each_leg(|labels, status| page.sample(name, labels, read(status)))?;
        }
        page.gauge("leg_state", "1 for the state a leg is in.")?;
        self.each_leg(|labels, status| {
            let labels = format!("{labels},state=\"{}\"", status.state.word());
            page.value("leg_state", &labels, "1")
        })?;
        page.gauge(
            "leg_lead_seconds",
            "By how much a leg is ahead of the other.",
        )?;
        self.each_leg(|labels, status| {
            let lead = status.lead.as_secs_f64().to_string();
            page.value("leg_lead_seconds", labels, &lead)
        })?;
        page.gauge("leg_held_records", "Records of a leg that wait now.")?;
        self.each_leg(|labels, status| {
            page.value("leg_held_records", labels, &status.held.to_string())
        })?;
        page.gauge("leg_health", "Score of a leg, 0 to 100.")?;
        self.each_leg(|labels, status| {
            page.value("leg_health", labels, &status.health.to_string())
        })?;
        page.gauge(
            "leg_degraded",
            "1 while a leg's score is too low to go over to it.",
        )?;
        self.each_leg(|labels, status| {
            let degraded = u8::from(status.degraded).to_string();
            page.value("leg_degraded", labels, &degraded)
        })
    }

    fn each_leg(&self, mut see: impl FnMut(&str, &LegStatus) -> fmt::Result) -> fmt::Result {
        for source in &self.sources {
            for leg in Leg::BOTH {
                if let Some(status) = &source.legs[leg.index()] {
                    see(&format!(",sid=\"{}\",leg=\"{leg}\"", source.sid), status)?;
                }
            }
        }
        Ok(())
    }
}

/// Writes families and samples with the prefix and the feed's label.
struct Page<'a> {
    feed: &'a str,
    text: &'a mut String,
}

impl Page<'_> {
    fn family(&mut self, name: &str, help: &str) -> fmt::Result {
        writeln!(self.text, "# TYPE twinfeed_{name} counter")?;
        writeln!(self.text, "# HELP twinfeed_{name} {help}")
    }

    fn gauge(&mut self, name: &str, help: &str) -> fmt::Result {
        writeln!(self.text, "# TYPE twinfeed_{name} gauge")?;
        writeln!(self.text, "# HELP twinfeed_{name} {help}")
    }

    fn sample(&mut self, name: &str, labels: &str, value: u64) -> fmt::Result {
        let feed = self.feed;
        writeln!(
            self.text,
            "twinfeed_{name}_total{{feed=\"{feed}\"{labels}}} {value}"
        )
    }

    fn value(&mut self, name: &str, labels: &str, value: &str) -> fmt::Result {
        let feed = self.feed;
        writeln!(
            self.text,
            "twinfeed_{name}{{feed=\"{feed}\"{labels}}} {value}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_belongs_to_the_family_above_it() {
        let mut snapshot = Snapshot::default();
        snapshot.arbiter.records = 17;
        snapshot.received[1].kernel_drops = 3;
        let mut text = String::new();
        snapshot.write_metrics("itch", &mut text);
        let mut family = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap();
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family), "{line} under {family}");
            }
        }
        assert!(text.contains("twinfeed_records_total{feed=\"itch\"} 17\n"));
        assert!(text.contains("twinfeed_kernel_drops_total{feed=\"itch\",leg=\"1\"} 3\n"));
        assert!(text.contains("reason=\"version\"} 0\n"));
    }

    #[test]
    fn a_leg_is_heard_when_one_of_its_streams_is() {
        let mut snapshot = Snapshot::default();
        assert!(!snapshot.is_heard(Leg::Zero));
        snapshot.sources.push(SourceSnapshot {
            sid: Sid(1),
            legs: [None, None],
        });
        assert!(!snapshot.is_heard(Leg::One));
    }
}
