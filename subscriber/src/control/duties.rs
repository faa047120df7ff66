//! What does a subscription owe stream-admin between two turns of the watch?
//!
//! Receipts of switches, a word on which legs are heard, and a sign of life before the lease ends. What
//! cannot be delivered is owed again at the next turn.

use std::time::{Duration, Instant};

use twinfeed_control as admin;
use twinfeed_control::{Confirm, LegIndex, StopFlag, SubscriptionId};

use super::{Control, plan, report};

/// Most receipts kept for a stream-admin that is away; the oldest are dropped and their number is
/// missing from its history.
pub const RECEIPTS_KEPT: usize = 1_024;
/// Most receipts per report.
const RECEIPTS_PER_REPORT: usize = 64;
/// How often the first datagrams are looked for before the first confirmation.
const LOOK_EVERY: Duration = Duration::from_millis(5);

impl Control {
    /// What is due between two turns of the watch.
    pub(super) fn duties(&mut self, subscription: &SubscriptionId) -> Result<(), admin::Error> {
        self.put_in_force();
        self.tend_rings();
        if let Some(snapshots) = &self.snapshots {
            self.monitor.set_fetching(snapshots.trouble());
        }
        while let Some(notice) = self.end.notice() {
            self.receipts += 1;
            if self.outbox.len() == RECEIPTS_KEPT {
                self.outbox.pop_front();
            }
            self.outbox
                .push_back(report::receipt(self.receipts, &notice));
        }
        self.confirm(subscription)?;
        while !self.outbox.is_empty() {
            let count = self.outbox.len().min(RECEIPTS_PER_REPORT);
            let oldest = self.outbox.iter().take(count).cloned().collect();
            self.client.report_receipts(subscription, oldest)?;
            self.outbox.drain(..count);
        }
        if self.renewed_at.elapsed() >= self.renewal_interval() {
            let status = self.end.snapshot.with(report::status);
            self.client.renew_subscription(subscription, status)?;
            self.renewed_at = Instant::now();
            self.monitor.set_refusal(None);
            self.present();
        }
        Ok(())
    }

    /// A third of the lease.
    pub(super) fn renewal_interval(&self) -> Duration {
        let lease_ms = self.grant.as_ref().map_or(0, |grant| grant.lease_ms);
        Duration::from_millis(lease_ms / 3)
    }

    /// Says which legs were heard, whenever that changed, and which stayed silent for too long.
    fn confirm(&mut self, subscription: &SubscriptionId) -> Result<(), admin::Error> {
        let confirm = Confirm {
            heard: self.legs(|heard, _| heard),
            silent: self.legs(|heard, late| late && !heard),
        };
        let said = confirm.heard.len() + confirm.silent.len();
        if said == 0 || self.confirmed.as_ref() == Some(&confirm) {
            return Ok(());
        }
        self.client.confirm(subscription, &confirm)?;
        self.confirmed = Some(confirm);
        self.present();
        Ok(())
    }

    /// Legs for which `which(heard, late)` holds; late is one that had its time to speak.
    fn legs(&self, which: impl Fn(bool, bool) -> bool) -> Vec<LegIndex> {
        let late = self.granted_at.elapsed() >= self.settings.confirm_within;
        let heard = |leg: LegIndex| {
            let leg = plan::leg_of(leg);
            self.end.snapshot.with(|snapshot| snapshot.is_heard(leg))
        };
        let of = |leg: &LegIndex| which(heard(*leg), late);
        LegIndex::BOTH.into_iter().filter(of).collect()
    }

    /// The first confirmation should not wait for a turn of the watch.
    pub(super) fn await_first_datagrams(&mut self, stop: &StopFlag) {
        while self.granted_at.elapsed() < self.settings.confirm_within {
            self.put_in_force();
            self.tend_rings();
            if self.legs(|heard, _| heard).len() == LegIndex::BOTH.len()
                || self.end.is_abandoned()
                || stop.wait(LOOK_EVERY)
            {
                return;
            }
        }
    }
}
