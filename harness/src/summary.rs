//! What does a demonstration leave behind for machines?
//!
//! `docs/summary-json.md` explains every key.

use serde::{Deserialize, Serialize};

use crate::judge::{SessionVerdict, Verdict};
use crate::notices::Notice;
use crate::probe::wire::{Break, Gap, Latency, Receipt, Summary as Seen, Window};

/// The summary, as JSON.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Summary {
    /// Source messages sent that become records.
    pub messages: u64,
    /// Of those, not delivered, declared or not.
    pub lost: u64,
    /// Of the lost, those that no gap names.
    pub undeclared: u64,
    /// Source messages that a gap names and that were delivered all the same.
    pub belied: u64,
    /// Gaps that name nothing lost, or numbers that nobody sent.
    pub false_gaps: u64,
    /// Messages lost in a row of which gaps name a part only: how many rows.
    pub partial_gaps: u64,
    /// Records delivered twice.
    pub duplicates_delivered: u64,
    /// Records dropped because they had been delivered.
    pub duplicates_dropped: u64,
    /// Records out of order.
    pub order_violations: u64,
    /// Gaps declared.
    pub gaps: u64,
    /// Switches.
    pub switches: u64,
    /// Longest silence around a kill, nanoseconds.
    pub stall_ns: u64,
    /// Longest time from a kill to the first record of the survivor that the dead leg had not delivered,
    /// nanoseconds; `null` if a survivor delivered nothing.
    pub failover_gap_ns: Option<u64>,
    /// From the adapter's receive time to the delivery, nanoseconds.
    pub latency_ns: Percentiles,
    /// From the adapter's send time to the delivery, nanoseconds.
    pub transport_latency_ns: Percentiles,
    /// Sessions whose delivered content is not what was sent.
    pub wrong_content: u64,
    /// Sessions of which nothing can be said of the content.
    pub uncompared: u64,
    /// Sessions that were said to have ended at a number at which they did not.
    pub wrong_ends: u64,
    /// Sessions that ended and were not said to have.
    pub missing_ends: u64,
    /// Administrative messages declared missing.
    pub administrative_gaps: u64,
    /// Ranges of source numbers in which both legs said different things.
    pub divergences: u64,
    /// Datagrams dropped by the kernel at the subscriber, leg 0 and leg 1.
    pub kernel_drops: [u64; 2],
    /// `first-arrival` or `prefer-active`.
    pub policy: String,
    /// Mean rate asked for, messages per second.
    pub rate: u64,
    /// Kill by kill.
    pub kills: Vec<Kill>,
    /// What an operator said meanwhile.
    pub notices: Vec<Notice>,
    /// The library's receipts.
    pub receipts: Vec<Receipt>,
    /// Gaps, one by one.
    pub declared_gaps: Vec<Gap>,
    /// Discontinuities within a session, one by one.
    pub breaks: Vec<Break>,
    /// Session by session.
    pub sessions: Vec<SessionVerdict>,
    /// Records that were missing on both legs and that the adapter of leg 0 and of leg 1 gave when asked.
    #[serde(default)]
    pub filled: [u64; 2],
    /// Source messages that both lines into an adapter lost, and that the exchange gave the active adapter and the backup when
    /// asked.
    pub recovered: [u64; 2],
    /// Requests for what was missing on both legs.
    #[serde(default)]
    pub fill_requests: u64,
    /// Promises that were not kept, in words.
    pub broken: Vec<String>,
}

/// Percentiles, nanoseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Percentiles {
    /// Median.
    pub p50: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p999: u64,
    /// The largest.
    pub max: u64,
}

impl From<&Latency> for Percentiles {
    fn from(latency: &Latency) -> Self {
        let Latency {
            p50,
            p99,
            p999,
            max,
            ..
        } = *latency;
        Self {
            p50,
            p99,
            p999,
            max,
        }
    }
}

/// One kill and what the subscriber felt of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Kill {
    /// Which adapter.
    pub adapter: String,
    /// Its leg.
    pub leg: u8,
    /// Monotonic time immediately before the signal, ns.
    pub at_ns: u64,
    /// Longest silence in the window after it, ns.
    pub stall_ns: u64,
    /// Until the first record of the survivor behind the last one of the dead leg, ns.
    pub failover_gap_ns: Option<u64>,
    /// Records of the dead leg and of the survivor in the window.
    pub records: [u64; 2],
}

impl Kill {
    /// What a window that begins at the kill shows.
    #[must_use]
    pub fn new(adapter: &str, leg: usize, at_ns: u64, window: &Window) -> Self {
        Self {
            adapter: adapter.to_owned(),
            leg: leg as u8,
            at_ns,
            stall_ns: window.longest_silence_ns,
            failover_gap_ns: window.after_last_of_ns[leg & 1],
            records: [window.legs[leg & 1], window.legs[1 - (leg & 1)]],
        }
    }
}

impl Summary {
    /// Puts together what was judged, seen and done.
    #[must_use]
    pub fn new(verdict: Verdict, seen: &Seen, kills: Vec<Kill>) -> Self {
        let mut broken = verdict.broken();
        if kills.iter().any(|kill| kill.failover_gap_ns.is_none()) {
            broken.push("a survivor delivered nothing after a kill".to_owned());
        }
        let gaps: Option<Vec<u64>> = kills.iter().map(|kill| kill.failover_gap_ns).collect();
        Self {
            messages: verdict.messages,
            lost: verdict.lost,
            undeclared: verdict.undeclared,
            belied: verdict.belied,
            false_gaps: verdict.false_gaps,
            partial_gaps: verdict.partial_gaps,
            duplicates_delivered: verdict.duplicates_delivered,
            duplicates_dropped: verdict.duplicates_dropped,
            order_violations: verdict.order_violations,
            gaps: verdict.gaps,
            switches: verdict.switches,
            stall_ns: kills.iter().map(|kill| kill.stall_ns).max().unwrap_or(0),
            failover_gap_ns: gaps.and_then(|gaps| gaps.into_iter().max()),
            latency_ns: Percentiles::from(&seen.latency),
            transport_latency_ns: Percentiles::from(&seen.transport),
            wrong_content: verdict.wrong_content,
            uncompared: verdict.uncompared,
            wrong_ends: verdict.wrong_ends,
            missing_ends: verdict.missing_ends,
            administrative_gaps: verdict.administrative_gaps,
            divergences: verdict.divergences,
            kernel_drops: verdict.kernel_drops,
            policy: String::new(),
            rate: 0,
            kills,
            notices: Vec::new(),
            receipts: seen.receipts.clone(),
            declared_gaps: seen.gaps.clone(),
            breaks: seen.breaks.clone(),
            sessions: verdict.sessions,
            filled: seen.filled,
            recovered: [0; 2],
            fill_requests: seen.fill_requests,
            broken,
        }
    }
}
