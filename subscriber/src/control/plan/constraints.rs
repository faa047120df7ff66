//! Which constraints of the feed are in force, and which were changed in vain?
//!
//! Of the constraints, the longest datagram may rise as far as the sockets' slots go (a lower one changes
//! nothing: adapters send as they were configured until they are restarted; what waits in the arbiter is kept
//! record by record, and no record is longer for a longer datagram), and the heartbeat interval is what each
//! leg's heartbeats say. Whatever else the arbiter was made with it keeps; the application is told
//! by name what was changed in vain.

use std::time::Duration;

use twinfeed_control::Constraints;
use twinfeed_protocol::Limits;
use twinfeed_protocol::repair::RepairLimits;

use super::Ledger;
use crate::queue::Plan;
use crate::receive::SocketSettings;
use crate::tuning::Tuning;

/// A constraint that a grant changed in vain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Constraint {
    name: &'static str,
    /// What is granted, and what is in force.
    is: String,
}

/// The limits for a feed: what stream-admin says holds, unless the application says otherwise.
pub(in crate::control) fn limits(constraints: &Constraints, tuning: &Tuning) -> Limits {
    let defaults = Limits::default();
    let micros = |us: Option<u64>| us.map(Duration::from_micros);
    Limits {
        policy: tuning.policy,
        lag_messages: tuning
            .lag_messages
            .or(constraints.lag_messages)
            .unwrap_or(defaults.lag_messages),
        lag_time: tuning
            .lag_time
            .or(micros(constraints.lag_us))
            .unwrap_or(defaults.lag_time),
        reorder_hold: tuning
            .reorder_hold
            .or(micros(constraints.reorder_hold_us))
            .unwrap_or(defaults.reorder_hold),
        held_records: tuning.held_records.unwrap_or(defaults.held_records),
        held_bytes: tuning.held_bytes.unwrap_or_else(|| {
            usize::try_from(constraints.reorder_hold_bytes).unwrap_or(usize::MAX)
        }),
        window: tuning.window.unwrap_or(defaults.window),
        seen_window: tuning.seen_window.unwrap_or(defaults.seen_window),
        half_messages: tuning.half_messages.unwrap_or(defaults.half_messages),
        max_datagram: usize::from(constraints.max_datagram),
        heartbeat: Duration::from_micros(constraints.heartbeat_us),
        missed_heartbeats: constraints.missed_heartbeats,
        hold_down: tuning.hold_down.unwrap_or(defaults.hold_down),
        health_low: tuning.health_low.unwrap_or(defaults.health_low),
        health_high: tuning.health_high.unwrap_or(defaults.health_high),
        agreed_ranges: tuning.agreed_ranges.unwrap_or(defaults.agreed_ranges),
        pinned_lag_time: tuning.pinned_lag_time.unwrap_or(defaults.pinned_lag_time),
        repair: RepairLimits {
            repair_time: tuning.repair_time.unwrap_or(defaults.repair.repair_time),
            fill_patience: tuning
                .fill_patience
                .unwrap_or(defaults.repair.fill_patience),
            fill_attempts: tuning
                .fill_attempts
                .unwrap_or(defaults.repair.fill_attempts),
            fill_range: tuning.fill_range.unwrap_or(defaults.repair.fill_range),
            fill_datagrams: tuning
                .fill_datagrams
                .unwrap_or(defaults.repair.fill_datagrams),
            ..defaults.repair
        },
        ..defaults
    }
}

impl Ledger {
    /// What stands otherwise than the grant says, for people.
    pub(in crate::control) fn kept(&self) -> Option<String> {
        let kept = self
            .kept
            .iter()
            .map(|it| format!("`{}`: {}", it.name, it.is));
        let kept: Vec<_> = kept.collect();
        (!kept.is_empty()).then(|| {
            let kept = kept.join(", ");
            format!(
                "stream-admin changed the feed's constraints ({kept}); open the subscription again"
            )
        })
    }

    pub(super) fn plan_limits(
        &mut self,
        made: &Limits,
        limits: &Limits,
        sockets: &SocketSettings,
        plan: &mut Plan,
    ) {
        let wanted = sockets.max_datagram;
        if wanted > self.longest && wanted <= self.slot {
            (self.longest, plan.longest) = (wanted, Some(wanted));
        }
        let changed = [
            (
                "max_datagram",
                wanted > self.slot,
                format!("{wanted}, {} in force", self.longest),
            ),
            differs("lag_messages", &made.lag_messages, &limits.lag_messages),
            differs("lag_us", &made.lag_time, &limits.lag_time),
            differs("reorder_hold_us", &made.reorder_hold, &limits.reorder_hold),
            differs("reorder_hold_bytes", &made.held_bytes, &limits.held_bytes),
            differs(
                "missed_heartbeats",
                &made.missed_heartbeats,
                &limits.missed_heartbeats,
            ),
        ];
        let kept = changed.into_iter().filter(|(_, changed, _)| *changed);
        let mut kept: Vec<_> = kept.map(|(name, _, is)| Constraint { name, is }).collect();
        kept.extend(self.reordered.iter().map(|sid| Constraint {
            name: "ordering",
            is: format!("of source stream {sid}, as it was"),
        }));
        let new = kept.iter().filter(|it| !self.kept.contains(it));
        plan.kept.extend(new.map(|it| it.name));
        self.kept = kept;
    }
}

fn differs<T: PartialEq + std::fmt::Debug>(
    name: &'static str,
    made: &T,
    granted: &T,
) -> (&'static str, bool, String) {
    (
        name,
        made != granted,
        format!("{granted:?}, {made:?} in force"),
    )
}
