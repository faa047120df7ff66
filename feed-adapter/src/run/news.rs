//! What does news from stream-admin and from the pair link mean for a running adapter?
//!
//! Only two pieces of news end it: somebody else has the seat, or a process that resumed alone learns that
//! its living peer converts differently. A refusal of any other kind is said, shown and waited out; the
//! data thread hears nothing of it.

use std::time::{Duration, Instant};

use tracing::{error, info, warn};
use twinfeed_control::{
    Assignment, LinkState, MOST_ORDER_PAYLOAD, MessagePlace, OrderOutcome, OrderReport,
    OrderedMessage, PendingOrder, Renewed, Role, StepDown, TakeoverCause,
};
use twinfeed_protocol::Time;
use twinfeed_protocol::pair::Verdict;
use twinfeed_wire::link::Hello;
use twinfeed_wire::{
    Adm, AdminId, AdminKind, Generation, Incarnation, MOST_ADMIN_PAYLOAD, StoredAdmin,
};

use super::Adapter;
use crate::config::PublishMode;
use crate::error::AdapterError;
use crate::grant::{
    contradictions, control_role, destinations, fresh_orders, outdated_streams, wire_role,
};
use crate::link::driver::LinkCommand;
use crate::link::notice::Notice;
use crate::mailbox::{Command, DestinationPlan, Grant, Ordered};
use crate::pairing::Wish;
use crate::registration::Learnt;
use crate::remembering::{comes_first, note_unwritten};
use crate::state::Held;

impl Adapter {
    /// What stream-admin said; `Some` if it means the end.
    pub(super) fn learn(&mut self, news: Learnt) -> Option<AdapterError> {
        match news {
            Learnt::Registered {
                assignment,
                forgotten,
                asked_at,
            } => {
                self.authority = authority(asked_at, assignment.lease_ms);
                self.note_standstill();
                self.stood_still = self.stood_still.filter(|found| asked_at < *found);
                // A revision that fell shows a lost store even where nobody was told so.
                if forgotten || assignment.revision < self.assignment.revision {
                    self.orders.keep_destinations(Instant::now());
                }
                return self.assigned(*assignment);
            }
            Learnt::Changed(assignment) if assignment.revision < self.assignment.revision => {}
            Learnt::Changed(assignment) => return self.assigned(*assignment),
            Learnt::Renewed(renewed, asked_at) => {
                self.present.update(|now| now.admin_up = true);
                return self.renewed(renewed, asked_at);
            }
            Learnt::Lost(error) => self.lost(&error),
            Learnt::Found => {
                self.present.update(|now| {
                    now.admin_up = true;
                    now.refusal.clear();
                });
                info!("stream-admin answers again");
            }
            Learnt::Replaced(error) | Learnt::Mismatched(error) => return Some(error.into()),
        }
        None
    }

    /// How things stand by the watch, behind what the lease's thread said before: a registration, say.
    pub(super) fn learn_changed(&mut self) -> Option<AdapterError> {
        while let Ok(news) = self.inputs.learnt.try_recv() {
            if let Some(reason) = self.learn(news) {
                return Some(reason);
            }
        }
        let assignment = self.changes.take()?;
        self.learn(Learnt::Changed(assignment))
    }

    /// The lease was renewed. It prolongs the generation it names and no other; a later one holds from here on, and what
    /// else belongs to it comes with the watch.
    fn renewed(&mut self, renewed: Renewed, asked_at: Time) -> Option<AdapterError> {
        let ours = self.assignment.generation;
        if renewed.generation < ours {
            return None;
        }
        self.authority = authority(asked_at, renewed.lease_ms);
        if renewed.generation == ours {
            let taken = self.orders.prolong(self.authority);
            self.note_commands(taken);
            if self.stood_still.is_some_and(|found| asked_at >= found) {
                self.stood_still = None;
                let deferred = std::mem::take(&mut self.deferred);
                self.carry_out(deferred);
            }
            return None;
        }
        let (generation, role) = (renewed.generation, renewed.role);
        self.assigned(Assignment {
            generation,
            role,
            step_down: None,
            ..self.assignment.clone()
        })
    }

    /// What the assignment says of a hand-over, which is told once: that there is one, and that it was given up.
    fn step_down(&mut self, order: Option<StepDown>) {
        let Assignment {
            generation, role, ..
        } = self.assignment;
        let ours = order.filter(|it| role == Role::Active && it.generation == generation);
        let before = std::mem::replace(&mut self.steps_down, ours);
        let mut taken = true;
        if let Some(before) = before.filter(|before| {
            before.generation == generation && ours.is_none_or(|ours| ours.number != before.number)
        }) {
            // Nobody can be granted the next generation on its account any more.
            warn!(number = before.number, "hand-over given up: going on");
            taken &= self.orders.go_on();
        }
        if let Some(order) = ours.filter(|ours| before != Some(*ours)) {
            info!(number = order.number, %generation, "hand-over: stepping down");
            let deadline_us = order.deadline_ms.saturating_mul(1_000);
            let deadline_us = u32::try_from(deadline_us).unwrap_or(u32::MAX);
            taken &= self.orders.step_down(deadline_us);
        }
        if !taken {
            self.note_commands(false);
        }
    }

    fn lost(&self, error: &twinfeed_control::Error) {
        let absent = error.is_worth_retrying();
        self.present.update(|now| {
            now.admin_up = false;
            now.refusal = if absent {
                String::new()
            } else {
                error.to_string()
            };
        });
        if absent {
            warn!("{error}; data goes on, the lease is asked for again and again");
        } else {
            error!("{error}; data goes on without a lease, which is asked for again and again");
        }
    }

    fn assigned(&mut self, mut assignment: Assignment) -> Option<AdapterError> {
        // An order is no part of how things stand: it is neither compared nor remembered over a restart.
        let orders = std::mem::take(&mut assignment.orders);
        let step_down = assignment.step_down.take();
        if let Some(by) = assignment.replaced_by {
            return Some(AdapterError::Replaced {
                by: Incarnation(by.0),
            });
        }
        self.present.update(|now| now.unverified = false);
        if assignment.generation < self.assignment.generation {
            error!(
                granted = %assignment.generation,
                held = %self.assignment.generation,
                "stream-admin granted less than before: not taken; restart it with its store"
            );
            return None;
        }
        self.compare_streams(&assignment);
        let mut before = std::mem::replace(&mut self.assignment, assignment);
        // It also rises for reports of others, which change nothing here.
        before.revision = self.assignment.revision;
        if before != self.assignment {
            self.act_on_grant(Some(&before));
        }
        self.carry_out(orders);
        self.step_down(step_down);
        None
    }

    /// A stream-admin that lost its store may number the streams anew; a running stream keeps its number.
    fn compare_streams(&self, granted: &Assignment) {
        let outdated = outdated_streams(&self.streams, &granted.streams).unwrap_or_default();
        if outdated != self.present.standing().outdated {
            if !outdated.is_empty() {
                error!("{outdated}; until then it sends under those in use");
            }
            self.present.update(|now| now.outdated = outdated);
        }
    }

    /// Tells every thread its part of the present grant, which is written before that, or soon after where no more than who is
    /// sent to differs from the one `before`.
    pub(super) fn act_on_grant(&mut self, before: Option<&Assignment>) {
        let Assignment {
            generation,
            role,
            revision,
            ..
        } = self.assignment;
        let held = Held {
            feed: self.config.feed.clone(),
            preferred_role: control_role(self.config.role),
            assignment: self.assignment.clone(),
        };
        if before.is_none_or(|before| comes_first(before, &self.assignment)) {
            if let Err(error) = self.remembering.first(&held) {
                note_unwritten(&error);
            }
        } else {
            self.remembering.soon(held);
        }
        if let Some(contradiction) = contradictions(&self.assignment, &self.config) {
            warn!("{contradiction}");
        }
        let plan = match self.config.publish.mode {
            PublishMode::Unicast => destinations(&self.assignment),
            PublishMode::Multicast => DestinationPlan::default(),
        };
        let grant = Grant {
            generation: Generation(generation.0),
            active: role == Role::Active,
            authority: self.authority,
        };
        if let Some(giver) = &self.giver {
            giver.granted(&self.assignment);
        }
        if let Some(fills) = &self.fills {
            fills.granted(&self.assignment);
        }
        let taken = self.orders.grant(grant, plan);
        let (all, kept) = (self.orders.destinations().len(), self.orders.kept());
        info!(%generation, %role, revision, destinations = all, kept, "granted");
        self.note_commands(taken);
        self.link.tell(LinkCommand::Grant(
            Generation(generation.0),
            wire_role(role),
        ));
        if let Some(peer) = &self.assignment.peer {
            self.link.tell(LinkCommand::Peer(peer.link_address));
        }
        self.present
            .update(|now| (now.generation, now.role) = (generation, role));
    }

    /// The data thread asks for something, or answers.
    pub(super) fn grant_wish(&mut self, wish: Wish) {
        match wish {
            Wish::TakeOver { from, stepped_down } if from.0 == self.assignment.generation.0 => {
                let cause = match stepped_down {
                    true => TakeoverCause::SteppedDown,
                    false => TakeoverCause::PeerGone,
                };
                info!(generation = %from, %cause, "asking for the next generation");
                let (stop, learning) = (self.stop.clone(), self.learning.clone());
                let asked = self.seat.take_over(&self.assignment, cause, stop, learning);
                if let Err(error) = asked {
                    error!("no thread for the takeover: {error}");
                }
            }
            // Another generation was granted meanwhile.
            Wish::TakeOver { .. } => {}
            Wish::Placed {
                ticket,
                id,
                placed,
                answer,
            } => {
                let place = MessagePlace {
                    generation: twinfeed_control::Generation(id.generation.0),
                    number: id.number.0,
                    slot: placed.msn.0,
                    processed: answer.map_or(0, |answer| answer.processed.0),
                    sseq: placed.sseq,
                    attempts: answer.map_or(0, |answer| u32::from(answer.attempt)),
                    agreed: answer.is_some_and(|it| it.verdict == Verdict::Capable),
                };
                self.report_order(ticket, OrderOutcome::Placed { place });
            }
            Wish::Refused { ticket, why } => {
                let reason = why.to_string();
                self.report_order(ticket, OrderOutcome::Refused { reason });
            }
        }
    }

    /// Hands the data thread what operators ordered of the active, each once. Whoever stood still asks first whether it
    /// still is the active: an order that lay there may be of a generation that is over.
    fn carry_out(&mut self, orders: Vec<PendingOrder>) {
        self.note_standstill();
        if self.stood_still.is_some() {
            self.deferred = orders;
            return;
        }
        let Assignment {
            generation, role, ..
        } = self.assignment;
        for order in fresh_orders(orders, (generation, role), &mut self.last_ticket) {
            let PendingOrder {
                ticket,
                sid,
                message,
                ..
            } = order;
            info!(ticket, %sid, kind = message.word(), "ordered");
            // Its number is given when it is announced.
            let nameless = AdminId {
                generation: Generation(0),
                number: Adm(0),
            };
            let refusal = match StoredAdmin::new(nameless, kind(&message), &message.payload()) {
                Err(bad) => Some(bad.to_string()),
                Ok(message) => {
                    let sid = twinfeed_wire::Sid(sid.0);
                    let ordered = Ordered {
                        ticket,
                        sid,
                        message,
                    };
                    let taken = self.mailbox.tell(Command::Originate(ordered));
                    (!taken).then(|| "the data thread takes no commands, it hangs".to_owned())
                }
            };
            if let Some(reason) = refusal {
                self.report_order(ticket, OrderOutcome::Refused { reason });
            }
        }
    }

    fn report_order(&self, ticket: u64, outcome: OrderOutcome) {
        info!(ticket, ?outcome, "order settled");
        let report = OrderReport {
            incarnation: self.assignment.incarnation,
            ticket,
            outcome,
        };
        let told = self
            .reports
            .try_send((self.assignment.adapter.clone(), report));
        if told.is_err() {
            warn!(
                ticket,
                "too many reports wait for stream-admin: this one is not sent"
            );
        }
    }

    /// Says once that the data thread takes no commands, and once that it does again.
    pub(super) fn note_commands(&mut self, taken: bool) {
        match (std::mem::replace(&mut self.hanging, !taken), taken) {
            (false, false) => {
                error!("the data thread takes no commands, it hangs; it is told until it does");
            }
            (true, true) => info!("the data thread takes commands again"),
            (false, true) | (true, false) => {}
        }
    }

    /// What the pair link said. The data thread knows of a lost peer already.
    pub(super) fn hear(&mut self, notice: Notice) {
        let (link, reason) = match notice {
            Notice::Paired(peer) => {
                let Hello {
                    incarnation,
                    generation,
                    role,
                    ..
                } = peer;
                info!(%incarnation, %generation, %role, "paired");
                (LinkState::Up, String::new())
            }
            Notice::PeerLost => {
                warn!("the peer's process is gone; announced in every stream");
                (LinkState::Down, "the peer's process is gone".to_owned())
            }
            Notice::PeerLeft => {
                info!("the peer left on purpose");
                (LinkState::Down, "the peer left on purpose".to_owned())
            }
            Notice::Down(cause) => {
                warn!("pair link down: {cause}");
                (LinkState::Down, cause.to_string())
            }
            Notice::Refused(refusal) => {
                let reason = refusal.to_string();
                if self.present.standing().reason != reason {
                    error!("pairing refused: {reason}");
                }
                // A refusal does not undo a pairing with somebody else.
                let up = self.present.standing().link == LinkState::Up;
                if up {
                    (LinkState::Up, String::new())
                } else {
                    (LinkState::Down, reason)
                }
            }
        };
        let lost = matches!(notice, Notice::PeerLost);
        let paired = matches!(notice, Notice::Paired(_));
        self.present.update(|now| {
            (now.link, now.reason) = (link, reason);
            now.peer_lost = lost || (now.peer_lost && !paired);
        });
    }
}

const fn kind(message: &OrderedMessage) -> AdminKind {
    match message {
        OrderedMessage::ClearBook { .. } => AdminKind::ClearBook,
        OrderedMessage::SourceStale => AdminKind::SourceStale,
        OrderedMessage::SourceRestored => AdminKind::SourceRestored,
        OrderedMessage::DictionarySwitch { .. } => AdminKind::DictionarySwitch,
        OrderedMessage::TopicClosed { .. } => AdminKind::TopicClosed,
        OrderedMessage::OperatorNotice { .. } => AdminKind::OperatorNotice,
    }
}

/// Until when an active may originate under a lease that was asked for then: a margin earlier than the lease ends
/// at stream-admin, whose clock may run otherwise.
pub(super) fn authority(asked_at: Time, lease_ms: u64) -> Time {
    let lease = Duration::from_millis(lease_ms);
    asked_at.after(lease - lease / DRIFT_SHARE)
}

/// Which share of a lease is left to clocks that run apart: 5 %, far more than any crystal's.
const DRIFT_SHARE: u32 = 20;

/// What stream-admin lets through as a payload is what a message can carry.
const _: () = assert!(MOST_ORDER_PAYLOAD == MOST_ADMIN_PAYLOAD);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authority_ends_a_margin_before_the_lease_that_began_when_it_was_asked_for() {
        let asked_at = Time(1_000);
        let ends = authority(asked_at, 3_000);
        assert_eq!(ends, asked_at.after(Duration::from_millis(2_850)));
        assert_eq!(authority(asked_at, 0), asked_at);
    }
}
