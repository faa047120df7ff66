//! What must the data thread be told of a grant, and has it been?
//!
//! The last grant is told again until the data thread takes it, and so is what a hand-over asks of it. Destinations have one more rule: after a
//! registration that came because stream-admin no longer knew this adapter, an empty list means that its
//! store is gone, not that nobody listens. Whoever was sent to before is sent to for [`KEPT_FOR`] more,
//! which is time enough to subscribe again:
//!
//! ```text
//!   before  s1@a  s2@b        registered anew: none          s9@a subscribes
//!   sent to s1@a  s2@b   ──►  s1@a  s2@b  (kept)       ──►   s9@a  s2@b (kept)   ──60 s──►  s9@a
//! ```
//!
//! The price: access that was revoked while stream-admin did not know this adapter ends that much later
//! on this leg. In every other case a destination that is no longer granted ends at once.
//!
//! No clock and no thread in here: time is passed in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use twinfeed_protocol::Time;
use twinfeed_wire::Sid;

use crate::mailbox::{Command, DestinationPlan, DestinationRow, Grant, Mailbox};

/// How long destinations outlive a stream-admin that forgot them: one subscription's lease.
pub const KEPT_FOR: Duration = Duration::from_secs(60);

/// What the data thread is told, and what of it is still to be told.
#[derive(Debug)]
pub struct Orders {
    mailbox: Mailbox,
    grant: Grant,
    /// The plan told last and the one before: kept so that their memory is not freed by the data thread.
    plans: [Arc<DestinationPlan>; 2],
    /// Whether destinations are granted at all; a group needs none.
    unicast: bool,
    /// Most destinations per stream.
    limit: usize,
    granted: Vec<DestinationRow>,
    kept: Vec<DestinationRow>,
    kept_until: Option<Instant>,
    told: bool,
    /// What a hand-over asks for and the data thread has not taken, in order: to step down within so many µs, or to go on.
    handover: Vec<Option<u32>>,
}

impl Orders {
    /// Nothing to tell yet. `limit` is the most destinations of one stream, `None` in multicast mode.
    #[must_use]
    pub fn new(mailbox: Mailbox, limit: Option<usize>) -> Self {
        let nobody = Arc::new(DestinationPlan::default());
        Self {
            mailbox,
            grant: Grant::default(),
            plans: [nobody.clone(), nobody],
            unicast: limit.is_some(),
            limit: limit.unwrap_or(0),
            granted: Vec::new(),
            kept: Vec::new(),
            kept_until: None,
            told: true,
            handover: Vec::new(),
        }
    }

    /// stream-admin had forgotten this adapter: whoever is sent to now stays for [`KEPT_FOR`], whatever
    /// the next grants say.
    pub fn keep_destinations(&mut self, now: Instant) {
        if self.unicast {
            self.kept = self.plans[1].rows.clone();
            self.kept_until = Some(now + KEPT_FOR);
        }
    }

    /// Tells the data thread what was granted and its destinations; returns whether that took it.
    pub fn grant(&mut self, grant: Grant, granted: DestinationPlan) -> bool {
        if grant.generation != self.grant.generation {
            // A hand-over is of one generation.
            self.handover.clear();
        }
        self.grant = grant;
        self.granted = granted.rows;
        self.plan();
        self.tell()
    }

    /// The lease that came with the last grant was renewed.
    pub fn prolong(&mut self, authority: Time) -> bool {
        self.grant.authority = authority;
        self.told &= self.mailbox.tell(Command::Grant(self.grant));
        self.told
    }

    /// The active is to step down within so many µs.
    pub fn step_down(&mut self, deadline_us: u32) -> bool {
        self.handover.push(Some(deadline_us));
        self.turn_handover()
    }

    /// The hand-over asked for last is given up.
    pub fn go_on(&mut self) -> bool {
        // What was not begun need not be given up, but an earlier one may have been begun.
        self.handover.clear();
        self.handover.push(None);
        self.turn_handover()
    }

    fn turn_handover(&mut self) -> bool {
        let mailbox = &self.mailbox;
        let taken = self.handover.iter().take_while(|asked| {
            let command = asked.map(|deadline_us| Command::StepDown { deadline_us });
            mailbox.tell(command.unwrap_or(Command::GoOn))
        });
        let taken = taken.count();
        self.handover.drain(..taken);
        self.handover.is_empty()
    }

    /// What time has brought: destinations that were kept long enough end, and what was not taken is
    /// told again; `false` while there is something the data thread has not taken.
    pub fn turn(&mut self, now: Instant) -> bool {
        if self.kept_until.is_some_and(|until| until <= now) {
            self.kept_until = None;
            if !std::mem::take(&mut self.kept).is_empty() {
                self.plan();
                self.told = false;
            }
        }
        // A hand-over is asked of a generation that the data thread knows.
        (self.told || self.tell()) && self.turn_handover()
    }

    /// The present destinations.
    #[must_use]
    pub fn destinations(&self) -> &[DestinationRow] {
        &self.plans[1].rows
    }

    /// How many of them are kept although they are not granted.
    #[must_use]
    pub const fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Granted destinations first, then those kept as far as they fit. An address that is granted anew,
    /// under whatever subscription, is stream-admin's again.
    fn plan(&mut self) {
        let mut rows = self.granted.clone();
        self.kept.retain(|old| {
            let back = |new: &DestinationRow| (new.sid, new.address) == (old.sid, old.address);
            !self.granted.iter().any(back)
        });
        let mut counts: BTreeMap<Sid, usize> = BTreeMap::new();
        for row in &rows {
            *counts.entry(row.sid).or_default() += 1;
        }
        self.kept.retain(|old| {
            let count = counts.entry(old.sid).or_default();
            *count += 1;
            *count <= self.limit
        });
        rows.extend(&self.kept);
        self.plans.rotate_left(1);
        self.plans[1] = Arc::new(DestinationPlan { rows });
    }

    /// Both commands may be told twice: the second time changes nothing.
    fn tell(&mut self) -> bool {
        self.told = self.mailbox.tell(Command::Grant(self.grant));
        if self.unicast {
            let plan = Arc::clone(&self.plans[1]);
            self.told &= self.mailbox.tell(Command::Destinations(plan));
        }
        self.told
    }
}

#[cfg(test)]
mod tests {
    use twinfeed_wire::Generation;

    use super::*;
    use crate::mailbox::{Inbox, MOST_COMMANDS, mailbox};

    fn under(generation: u32) -> Grant {
        Grant {
            generation: Generation(generation),
            ..Grant::default()
        }
    }

    /// A row of stream 1: subscription `key` at port `port`.
    fn row((key, port): (u64, u16)) -> DestinationRow {
        let address = ([127, 0, 0, 1], port).into();
        let sid = Sid(1);
        DestinationRow { sid, key, address }
    }

    fn plan(rows: &[(u64, u16)]) -> DestinationPlan {
        let rows = rows.iter().copied().map(row).collect();
        DestinationPlan { rows }
    }

    fn orders(limit: usize) -> (Orders, Inbox) {
        let (mailbox, inbox) = mailbox().unwrap();
        (Orders::new(mailbox, Some(limit)), inbox)
    }

    /// The last destinations that the data thread was told, by key.
    fn told(inbox: &mut Inbox) -> Option<Vec<u64>> {
        let keys = |plan: Arc<DestinationPlan>| plan.rows.iter().map(|row| row.key).collect();
        let commands = std::iter::from_fn(|| inbox.take());
        let plans = commands.filter_map(|command| match command {
            Command::Destinations(plan) => Some(keys(plan)),
            _ => None,
        });
        plans.last()
    }

    #[test]
    fn who_is_sent_to_after_stream_admin_forgot_everybody() {
        // before, granted anew, limit: sent to at once, and after one lease
        type Rows = &'static [(u64, u16)];
        type Keys = &'static [u64];
        let table: [(Rows, Rows, usize, Keys, Keys); 5] = [
            (&[(1, 1), (2, 2)], &[], 9, &[1, 2], &[]),
            (&[(1, 1), (2, 2)], &[(9, 1)], 9, &[9, 2], &[9]),
            (&[(1, 1)], &[(1, 1)], 9, &[1], &[1]),
            (&[(1, 1), (2, 2)], &[(9, 3)], 2, &[9, 1], &[9]),
            (&[], &[(9, 3)], 9, &[9], &[9]),
        ];
        for (before, after, limit, at_once, later) in table {
            let (mut orders, mut inbox) = orders(limit);
            let now = Instant::now();
            assert!(orders.grant(under(1), plan(before)));
            orders.keep_destinations(now);
            assert!(orders.grant(under(2), plan(after)));
            assert_eq!(told(&mut inbox).unwrap(), at_once, "{before:?} {after:?}");
            assert!(orders.turn(now + KEPT_FOR - Duration::from_nanos(1)));
            assert_eq!(told(&mut inbox), None, "nothing is due yet");
            assert!(orders.turn(now + KEPT_FOR));
            let last = told(&mut inbox).unwrap_or_else(|| at_once.to_vec());
            assert_eq!(last, later, "{before:?} {after:?}");
            assert_eq!(orders.kept(), 0);
        }
    }

    #[test]
    fn a_destination_that_is_no_longer_granted_ends_at_once() {
        let (mut orders, mut inbox) = orders(9);
        assert!(orders.grant(under(1), plan(&[(1, 1), (2, 2)])));
        assert!(orders.grant(under(1), plan(&[(2, 2)])));
        assert_eq!(told(&mut inbox).unwrap(), [2]);
    }

    /// A hand-over reaches a data thread that did not look for long, in order, once, and behind its grant.
    #[test]
    fn a_hand_over_that_was_not_taken_is_told_again() {
        let (mut orders, mut inbox) = orders(9);
        while orders.mailbox.tell(Command::PeerLost(false)) {}
        assert!(!orders.step_down(7));
        assert!(!orders.go_on());
        assert!(!orders.step_down(8));
        assert!(!orders.grant(under(0), plan(&[])));
        assert!(!orders.turn(Instant::now()));
        while inbox.take().is_some() {}
        assert!(orders.turn(Instant::now()));
        assert!(orders.turn(Instant::now()));
        let told: Vec<_> = std::iter::from_fn(|| inbox.take()).collect();
        assert!(
            matches!(
                told[..],
                [
                    Command::Grant(_),
                    Command::Destinations(_),
                    Command::GoOn,
                    Command::StepDown { deadline_us: 8 }
                ]
            ),
            "{told:?}"
        );
        // It is over with its generation.
        while orders.mailbox.tell(Command::PeerLost(false)) {}
        assert!(!orders.step_down(9));
        while inbox.take().is_some() {}
        assert!(orders.grant(under(1), plan(&[])));
        assert!(orders.turn(Instant::now()));
        assert!(
            !std::iter::from_fn(|| inbox.take()).any(|it| matches!(it, Command::StepDown { .. }))
        );
    }

    #[test]
    fn one_that_came_back_and_went_again_is_not_kept() {
        let (mut orders, mut inbox) = orders(9);
        assert!(orders.grant(under(1), plan(&[(1, 1)])));
        orders.keep_destinations(Instant::now());
        for (granted, expected) in [
            (plan(&[]), vec![1]),
            (plan(&[(7, 1)]), vec![7]),
            (plan(&[]), vec![]),
        ] {
            assert!(orders.grant(under(2), granted));
            assert_eq!(told(&mut inbox).unwrap(), expected);
        }
    }

    #[test]
    fn what_a_full_mailbox_refused_is_told_until_it_is_taken_and_then_no_more() {
        let (mailbox, mut inbox) = mailbox().unwrap();
        let mut orders = Orders::new(mailbox.clone(), Some(9));
        for _ in 0..MOST_COMMANDS {
            assert!(mailbox.tell(Command::PeerLost(false)));
        }
        assert!(!orders.grant(under(5), plan(&[(1, 1)])));
        assert!(!orders.turn(Instant::now()), "still full");
        // Room for the generation alone is not enough.
        assert!(inbox.take().is_some());
        assert!(!orders.turn(Instant::now()));
        while inbox.take().is_some() {}
        assert!(orders.turn(Instant::now()));
        assert!(matches!(
            inbox.take(),
            Some(Command::Grant(grant)) if grant == under(5)
        ));
        assert_eq!(told(&mut inbox).unwrap(), [1]);
        assert!(orders.turn(Instant::now()));
        assert!(inbox.take().is_none(), "it is told once");
    }

    #[test]
    fn a_group_has_no_destinations_to_keep() {
        let (mailbox, mut inbox) = mailbox().unwrap();
        let mut orders = Orders::new(mailbox, None);
        orders.keep_destinations(Instant::now());
        assert!(orders.grant(under(1), DestinationPlan::default()));
        assert!(matches!(inbox.take(), Some(Command::Grant(_))));
        assert!(inbox.take().is_none());
        assert_eq!(orders.kept(), 0);
    }
}
