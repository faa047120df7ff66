//! How does what the poller counted read in stream-admin's words?

use std::collections::BTreeMap;

use twinfeed_control as admin;
use twinfeed_control::{DataState, LegIndex, LegReport, SubscriptionStatus};
use twinfeed_protocol::arbiter::LegStatus;
use twinfeed_protocol::{Leg, LegState, Receipt, Side, Trigger};
use twinfeed_wire::Pos;

use crate::metrics::Snapshot;
use crate::queue::Notice;

/// A renewal's status.
pub(super) fn status(snapshot: &Snapshot) -> SubscriptionStatus {
    let counters = &snapshot.arbiter;
    SubscriptionStatus {
        legs: LegIndex::BOTH.map(|leg| leg_report(leg, snapshot)).into(),
        delivered: Vec::new(),
        records: counters.records,
        lost: counters.gap_messages,
        gaps: counters.gaps,
        discontinuities: counters.discontinuities + counters.resets,
        switches: counters.switches,
        kernel_drops: snapshot.kernel_drops(),
        counters: BTreeMap::from([
            ("duplicates".to_owned(), counters.duplicates),
            ("recovered_holes".to_owned(), counters.recovered),
            ("divergences".to_owned(), counters.divergences),
            ("diverged_ranges".to_owned(), counters.diverged_ranges),
            ("rejected_packets".to_owned(), counters.rejected_total()),
            ("filled_records".to_owned(), counters.filled),
            ("fill_requests".to_owned(), snapshot.repairs.requests),
            ("repairs_given_up".to_owned(), snapshot.repairs.given_up),
            ("handler_panics".to_owned(), snapshot.handler_panics),
            (
                "ring_packets".to_owned(),
                snapshot.received.iter().map(|leg| leg.ring_datagrams).sum(),
            ),
            (
                "receipts_dropped".to_owned(),
                snapshot.queues.notices_dropped,
            ),
        ]),
    }
}

fn leg_report(index: LegIndex, snapshot: &Snapshot) -> LegReport {
    let leg = super::plan::leg_of(index);
    let of_leg = |of: fn(&LegStatus) -> u64| -> u64 { statuses(snapshot, leg).map(of).sum() };
    let worst = statuses(snapshot, leg)
        .map(state)
        .max_by_key(|(_, rank)| *rank);
    let worst = worst.map_or(admin::LegState::Pending, |(state, _)| state);
    let lead = statuses(snapshot, leg).map(|status| status.lead).max();
    let behind = statuses(snapshot, leg.other())
        .map(|status| status.lead)
        .max();
    LegReport {
        leg: index,
        state: worst,
        data: data(snapshot, leg),
        reason: reason(worst, statuses(snapshot, leg).any(|status| status.standby)).to_owned(),
        lead_us: lead.map(|lead| {
            let other = behind.unwrap_or_default();
            micros(lead) - micros(other)
        }),
        first_arrivals: of_leg(|status| status.wins),
        duplicates: of_leg(|status| status.duplicates),
        gaps: of_leg(|status| status.missing_datagrams),
        last_pos: statuses(snapshot, leg)
            .map(|status| pos(status.next))
            .collect(),
        kernel_drops: snapshot.received[leg.index()].kernel_drops,
        health: statuses(snapshot, leg)
            .filter(|status| status.state != LegState::Unheard)
            .map(|status| status.health)
            .min(),
    }
}

fn statuses(snapshot: &Snapshot, leg: Leg) -> impl Iterator<Item = &LegStatus> {
    snapshot
        .sources
        .iter()
        .filter_map(move |source| source.legs[leg.index()].as_ref())
}

/// The control plane's word for a leg's state, and how bad it is.
fn state(status: &LegStatus) -> (admin::LegState, u8) {
    match status.state {
        LegState::Live => (admin::LegState::Live, 0),
        LegState::Unheard => (admin::LegState::Joining, 1),
        LegState::Stalled => (admin::LegState::Stalled, 2),
        LegState::Lost => (admin::LegState::Lost, 3),
    }
}

const fn reason(state: admin::LegState, standby: bool) -> &'static str {
    match state {
        admin::LegState::Live if standby => "on standby: it is silent on purpose",
        admin::LegState::Pending => "nothing is granted on this leg yet",
        admin::LegState::Joining => "nothing was heard of it yet",
        admin::LegState::Stalled => "it speaks, but its positions stand still or lag",
        admin::LegState::Lost => "its heartbeats ceased, or its peer announced its end",
        _ => "",
    }
}

fn data(snapshot: &Snapshot, leg: Leg) -> DataState {
    // A leg on standby says nothing of its data.
    let heard = |status: &&LegStatus| status.state != LegState::Unheard && !status.standby;
    statuses(snapshot, leg)
        .filter(heard)
        .map(|status| match (status.source_stale, status.complete) {
            (true, _) => DataState::Stale,
            (false, false) => DataState::Incomplete,
            (false, true) => DataState::Good,
        })
        .max()
        .unwrap_or(DataState::Unknown)
}

/// A receipt as stream-admin keeps it.
pub(super) fn receipt(number: u64, notice: &Notice) -> admin::Receipt {
    let Receipt {
        sid,
        from_leg,
        from,
        to,
        trigger,
        ..
    } = notice.receipt;
    admin::Receipt {
        number,
        from: end(from_leg, &from),
        to: end(from_leg.other(), &to),
        trigger: word(trigger),
        duplicates_dropped: notice.receipt.duplicates_dropped,
        held: notice.receipt.held,
        filled: notice.receipt.filled,
        gaps_left: notice.receipt.gaps_left,
        stall_ns: u64::try_from(notice.receipt.stall.as_nanos()).unwrap_or(u64::MAX),
        at_unix_us: notice.unix_ns / 1_000,
        note: format!("source stream {sid}"),
    }
}

fn end(leg: Leg, side: &Side) -> admin::ReceiptEnd {
    admin::ReceiptEnd {
        leg: LegIndex::BOTH[leg.index()],
        stream_id: Some(admin::StreamId(side.stream.0)),
        generation: admin::Generation(side.generation.0),
        pos: vec![pos(side.pos)],
    }
}

const fn word(trigger: Trigger) -> admin::Trigger {
    match trigger {
        Trigger::TransportReset => admin::Trigger::TransportReset,
        Trigger::HeartbeatSilence => admin::Trigger::HeartbeatSilence,
        Trigger::StepDown => admin::Trigger::StepDown,
        Trigger::Lag => admin::Trigger::Lag,
        Trigger::SourceStale => admin::Trigger::SourceLost,
        Trigger::Outranked => admin::Trigger::Outranked,
        Trigger::Order => admin::Trigger::Order,
        Trigger::Health => admin::Trigger::Health,
    }
}

fn pos(pos: Pos) -> admin::Pos {
    admin::Pos {
        sid: admin::Sid(pos.sid.0),
        epoch: admin::Epoch(pos.epoch.0),
        sseq: pos.sseq,
        part: pos.part,
    }
}

fn micros(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}
