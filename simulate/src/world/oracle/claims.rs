//! Was an event called for?
//!
//! Each function answers for one kind of event from what had reached the subscriber by then. They accept
//! whatever was right to decide; they do not say what the arbiter should have decided instead.

use core::time::Duration;

use twinfeed_protocol::time::Time;
use twinfeed_protocol::{GapCause, Leg, LegState, Limits, Place, Policy, Receipt, Trigger};
use twinfeed_wire::{ContextId, Flags, Header};

use super::heard::LegHeard;
use super::ledger::{Context, Ledger};
use super::scattered::Scattered;
use super::sorted::Sorted;
use super::witness::{Judgement, Witness};

/// A gap must cover only numbers that exist and did not arrive, and no live leg may still bring them.
pub(super) fn gap(
    witness: &Witness,
    now: Time,
    from: Place,
    until: Place,
    cause: GapCause,
    ledger: &Ledger,
) -> Judgement {
    let life = ledger.life(witness.sid, witness.epoch);
    if life.is_none_or(|life| until > Place::start(life.next())) {
        return Err(format!(
            "Gap {from} to {until} reaches beyond what the source said"
        ));
    }
    if cause == GapCause::Skipped {
        return match witness.left_out {
            true => Ok(()),
            false => Err(format!("Gap {from} to {until}: nothing was left out")),
        };
    }
    // Nobody can vouch for the silence of numbers that every adapter gave up, nor can an adapter for the
    // silence of those that it gave up itself: under its context they are missing.
    let next = ledger.owed(witness.sid, witness.epoch, from);
    let silent = next >= until;
    let given_up = ledger
        .context(witness.sid, witness.epoch, witness.context)
        .is_some_and(|context| context.abandoned > 0);
    // Nor does who is gone over to, because no more can be kept, know of what it gave up itself.
    let gives_up = |leg: &LegHeard| {
        let context = ledger.context(witness.sid, witness.epoch, leg.context);
        let lacks =
            |context: &Context| context.abandoned > 0 || until <= Place::start(context.first);
        leg.epoch == witness.epoch && context.is_some_and(lacks)
    };
    let given_up =
        given_up || cause == GapCause::HoldFull && witness.heard.legs.iter().any(gives_up);
    // What the window of an unordered source slides past one by one may be silent: nobody has said so yet. And
    // who said it in a context that the application was not in said it of other numbers.
    let slid = |scattered: &Scattered| cause == GapCause::HoldFull || scattered.went_over;
    // The record behind them says so once it is here; where there is an order, a heartbeat of who remembers the same, too.
    let first = Place::start(next.sseq);
    let beat = witness.heard.vouched(witness.epoch, witness.context);
    let said = witness.heard.has(witness.epoch, witness.context, first)
        || witness.scattered.is_none() && beat >= until.sseq;
    let unsaid = !said || witness.scattered.as_ref().is_some_and(slid);
    // Nor does a context vouch for what came before it, and whoever was in the one that was kept may be gone.
    let key = (witness.epoch, witness.context);
    let before = witness.resumed
        && (witness.heard.records.get(key).is_none()
            || ledger
                .context(witness.sid, witness.epoch, witness.context)
                .is_some_and(|context| until <= Place::start(context.first)));
    if silent && cause != GapCause::Abandoned && !given_up && !unsaid && !before {
        return Err(format!(
            "Gap {from} to {until} holds nothing that could be missing"
        ));
    }
    if cause == GapCause::HoldFull || cause == GapCause::Lag {
        return Ok(());
    }
    // What the leg that is set apart brings fills nothing, nor does what is not believed yet.
    let believed = match witness.resumed {
        true => witness.believes(now).1,
        false => u64::MAX,
    };
    if !witness.overflowed
        && witness.pinned.is_none()
        && let Some(places) = witness.heard.records.get(key)
        && let Some((place, ())) = places
            .range(from..until)
            .iter()
            .find(|&&(place, ())| place.sseq <= believed && could_be_told(witness, places, place))
    {
        return Err(format!(
            "Gap {from} to {until} ({}): {place} has arrived",
            cause.word()
        ));
    }
    let by_itself = matches!(cause, GapCause::LostOnEveryLeg | GapCause::ReceiverOverrun);
    if by_itself && witness.scattered.is_none() {
        // Whoever was asked for it, and answered, is not waited for any more.
        let hold = witness.limits.reorder_hold;
        let known = witness.heard.reached(witness.epoch, until.sseq, now, hold);
        if known == (true, false) {
            return Err(format!(
                "Gap {from} to {until}: what stands behind it came less than {hold:?} ago"
            ));
        }
    }
    match Leg::BOTH
        .into_iter()
        .find(|&leg| may_still_bring(witness, now, leg, until))
    {
        Some(leg) => Err(format!(
            "Gap {from} to {until}: leg {leg} is alive and not there yet"
        )),
        None => Ok(()),
    }
}

/// How long an adapter must have been within reach before a gap is no excuse: as long as it may be asked, and a little.
pub fn reach(limits: &Limits) -> Duration {
    limits.repair.repair_time + Duration::from_millis(10)
}

/// Whether adapters are asked before a gap of this cause is told. A full hold waits for nobody.
pub fn waits_for_fills(witness: &Witness, cause: GapCause) -> bool {
    let pressed = witness.overflowed || witness.limits.held_records < SMALL_HOLD;
    let asked = !matches!(
        cause,
        GapCause::HoldFull | GapCause::Abandoned | GapCause::Skipped
    );
    asked && !pressed && witness.pinned.is_none()
}

/// Whether `leg` was heard a moment ago, in the application's context, before `until`.
fn may_still_bring(witness: &Witness, now: Time, leg: Leg, until: Place) -> bool {
    let heard = &witness.heard.legs[leg.index()];
    let alive = heard
        .last
        .is_some_and(|last| now.since(last) < witness.limits.heartbeat);
    // Without order a record says nothing of those before it.
    let passed = match witness.scattered {
        Some(_) => heard.vouched,
        None => heard.progress,
    };
    let apart = witness.pinned.is_some_and(|pinned| pinned != leg);
    alive
        && !apart
        && !heard.standby
        && !heard.stepped_down
        && heard.believed
        && heard.state == LegState::Live
        && (heard.epoch, heard.context) == (witness.epoch, witness.context)
        && passed < until.sseq
}

/// Whether a record that arrived could have been told: in an unordered source a later part waits for the
/// earlier ones of its message alone, in an ordered one nothing that arrived is missing.
fn could_be_told(witness: &Witness, arrived: &Sorted<Place, ()>, place: Place) -> bool {
    let earlier = |part| arrived.contains(Place { part, ..place });
    witness.scattered.is_none() || (0..place.part).all(earlier)
}

/// The numbering steps back only when every leg that speaks stands far below (RM-14a), or below at all and
/// says itself that it took back what it had vouched for: then its adapter numbers the source anew.
pub(super) fn regress(witness: &Witness, at: Place, ledger: &Ledger) -> Judgement {
    // Numbers that carry nothing are behind whoever was told that.
    let told = ledger.owed(witness.sid, witness.epoch, witness.cursor).sseq;
    let far = |number: u64| number.saturating_add(witness.limits.window) < told;
    let below =
        |leg: &LegHeard| far(leg.progress) || leg.stepped_back && leg.progress < witness.reached();
    let mut there = witness
        .heard
        .legs
        .iter()
        .filter(|leg| leg.progress == at.sseq);
    let speaking = witness
        .heard
        .legs
        .iter()
        .filter(|leg| leg.state == LegState::Live && !leg.standby);
    if there.any(below) && speaking.into_iter().all(below) {
        return Ok(());
    }
    Err(format!("Regress to {at} from {}", witness.cursor))
}

/// A context that was announced must be one that an adapter has, with the completeness it has.
pub(super) fn context(
    witness: &Witness,
    context: ContextId,
    complete: bool,
    ledger: &Ledger,
) -> Judgement {
    match ledger.context(witness.sid, witness.epoch, context) {
        Some(known) if known.complete == complete => Ok(()),
        Some(_) => Err(format!(
            "context {context} is announced with the wrong completeness"
        )),
        None => Err(format!("context {context} is nobody's")),
    }
}

/// Nobody goes on with a lesser context while a leg with the better one lives and is not behind. Who has
/// jumped further than one datagram is believed is not believed yet (RM-14a).
pub(super) fn outranks(
    witness: &Witness,
    now: Time,
    next: ContextId,
    ledger: &Ledger,
) -> Judgement {
    let rank = |context| {
        ledger
            .context(witness.sid, witness.epoch, context)
            .map(|context| (context.complete, core::cmp::Reverse(context.first)))
    };
    if rank(next) >= rank(witness.context) {
        return Ok(());
    }
    let (_, believed) = witness.believes(now);
    let keeps = |leg: &Leg| {
        let heard = &witness.heard.legs[leg.index()];
        heard
            .last
            .is_some_and(|last| now.since(last) < witness.limits.heartbeat)
            && (heard.epoch, heard.context) == (witness.epoch, witness.context)
            && heard.state == LegState::Live
            && !heard.standby
            && witness.pinned.is_none_or(|pinned| pinned == *leg)
            && !heard.stepped_down
            && heard.progress > witness.cursor.sseq
            && heard.progress <= believed
    };
    match Leg::BOTH.iter().find(|leg| keeps(leg)) {
        Some(leg) => Err(format!(
            "left context {} although leg {leg} goes on with it",
            witness.context
        )),
        None => Ok(()),
    }
}

/// A receipt must name a trigger that happened.
pub(super) fn switched(
    witness: &Witness,
    now: Time,
    receipt: &Receipt,
    ledger: &Ledger,
) -> Judgement {
    let from = &witness.heard.legs[receipt.from_leg.index()];
    let to = &witness.heard.legs[receipt.from_leg.other().index()];
    let silence = from.last.map_or(Duration::MAX, |last| now.since(last));
    let patience = witness.limits.heartbeat * witness.limits.missed_heartbeats;
    let mute = witness.is_mute(receipt.from_leg, ledger);
    let happened = match receipt.trigger {
        Trigger::TransportReset => {
            to.said_peer_lost && (mute || silence >= witness.limits.heartbeat)
        }
        Trigger::HeartbeatSilence => mute || silence >= patience || from.lost_before,
        Trigger::StepDown => from.stepped_down,
        Trigger::SourceStale => from.said_stale,
        Trigger::Outranked => from.context != to.context || from.epoch != to.epoch,
        Trigger::Order => witness.ordered,
        // Nobody goes over to a leg that does not speak.
        Trigger::Health => {
            // The active that was left is gone back to, whatever the policy, while content differs; also before anything
            // was told of the leg that it was left for.
            (witness.pinned.is_some() || witness.limits.policy == Policy::PreferActive)
                && to.state == LegState::Live
                && !to.stepped_down
        }
        // A full hold is a reason to stop waiting for whoever is waited for, wherever that one stands;
        // and in a narrow window what arrived may wait to be believed.
        Trigger::Lag => {
            let limits = &witness.limits;
            let believed = limits.window.min(remembered(witness));
            let capped = limits.held_records < SMALL_HOLD || believed < NARROW_WINDOW;
            capped || from.brought <= to.progress || from.epoch != to.epoch
        }
    };
    if !happened {
        let word = receipt.trigger.word();
        return Err(format!(
            "switched by {word} which did not happen ({silence:?} of silence)"
        ));
    }
    if receipt.filled > receipt.held {
        return Err(format!(
            "receipt filled {} of {} held",
            receipt.filled, receipt.held
        ));
    }
    if receipt.at > now {
        return Err("receipt is dated in the future".into());
    }
    Ok(())
}

/// A hold of fewer records is often full.
pub(super) const SMALL_HOLD: usize = 100;
/// A burst may cross a window of fewer numbers.
const NARROW_WINDOW: u64 = 1_000;

/// Lost is who was silent, stepped down, or was called gone.
pub(super) fn leg(
    witness: &Witness,
    now: Time,
    leg: Leg,
    state: LegState,
    ledger: &Ledger,
) -> Judgement {
    let heard = &witness.heard.legs[leg.index()];
    let other = &witness.heard.legs[leg.other().index()];
    let silence = heard.last.map_or(Duration::MAX, |last| now.since(last));
    let patience = witness.limits.heartbeat * witness.limits.missed_heartbeats;
    let silent =
        silence >= patience || (other.said_peer_lost && silence >= witness.limits.heartbeat);
    match state {
        LegState::Lost if silent || heard.stepped_down => Ok(()),
        LegState::Lost if witness.is_mute(leg, ledger) => Ok(()),
        LegState::Lost => Err(format!(
            "leg {leg} is called lost after {silence:?} of silence"
        )),
        LegState::Live if heard.last.is_none() => Err(format!("leg {leg} is live but unheard")),
        LegState::Live | LegState::Stalled | LegState::Unheard => Ok(()),
    }
}

/// Stale is told when every leg is lost, and never after the end.
pub(super) fn stale(witness: &Witness, now: Time, ledger: &Ledger) -> Judgement {
    if witness.ended {
        return Err("Stale after Ended".into());
    }
    let speaking = witness.heard.legs.iter().find(|leg| {
        leg.last
            .is_some_and(|last| now.since(last) < witness.limits.heartbeat)
            && !leg.stepped_down
            && !leg.standby
            && !witness.has_passed(leg.epoch, ledger)
    });
    match speaking {
        Some(leg) if !leg.said_stale => Err("Stale while a leg speaks".into()),
        _ => Ok(()),
    }
}

/// Of an unordered source, what is remembered is as far as one datagram is believed.
pub(super) fn remembered(witness: &Witness) -> u64 {
    match witness.scattered {
        Some(_) => witness.limits.seen_window as u64 - 1,
        None => u64::MAX,
    }
}

/// That nobody speaks is told once everybody has been silent for long enough. `from`: since when the application has
/// polled without a pause. `asks`: what was lost is asked for before that.
pub(in crate::world) fn silence(
    witness: &Witness,
    now: Time,
    (from, asks): (Time, bool),
) -> Judgement {
    let (limits, legs) = (&witness.limits, &witness.heard.legs);
    let last = legs.iter().filter_map(|leg| leg.last).max();
    let waits = witness.epoch.is_some() && !witness.ended && !witness.stale;
    let (Some(last), true) = (last, waits) else {
        return Ok(());
    };
    let patience = limits.heartbeat * limits.missed_heartbeats * 2;
    let asking = match asks {
        true => limits.repair.repair_time,
        false => Duration::ZERO,
    };
    let bound = patience + limits.lag_time + limits.reorder_hold * 2 + asking;
    // Holes that are asked for one behind the other, in vain, are each told in their time.
    let (gap, _) = witness.stood;
    let silent = now.since(last.max(from).max(gap));
    match silent > bound {
        true => Err(format!(
            "nobody has spoken for {silent:?}, and Stale was not told"
        )),
        false => Ok(()),
    }
}

/// Whoever announces its end is called lost with that word.
pub(in crate::world) fn farewell(witness: &Witness, leg: Leg, header: &Header) -> Judgement {
    let heard = &witness.heard.legs[leg.index()];
    let believed = witness.limits.window.min(remembered(witness));
    let span = believed.min(NARROW_WINDOW);
    let near = header.epoch == witness.epoch
        && heard.progress <= witness.cursor.sseq.saturating_add(span)
        && heard.is_newest(header.incarnation, header.dsn);
    let said = header.flags.has(Flags::END_OF_STREAM) && !header.flags.has(Flags::STANDBY) && near;
    match heard.state {
        LegState::Live | LegState::Stalled if said => Err(format!(
            "leg {leg} announced its end, and is not called lost"
        )),
        _ => Ok(()),
    }
}
