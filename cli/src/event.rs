//! How is an event said to a person, and to a machine?

use serde_json::{Value, json};
use twinfeed_subscriber::{DiscontinuityCause, Event, ResetCause, Tail};
use twinfeed_wire::RangeDigest;

/// One line for people.
pub(crate) fn sentence(event: &Event) -> String {
    match event {
        Event::Gap {
            sid,
            from,
            until,
            cause,
            ..
        } => {
            format!(
                "GAP: sid {sid}, {from} to before {until} will never come ({})",
                cause.word()
            )
        }
        Event::AdministrativeGap {
            sid, from, until, ..
        } => {
            format!(
                "GAP: sid {sid}, administrative messages {from} to before {until} will never come"
            )
        }
        Event::Recovered {
            sid, from, until, ..
        } => {
            format!("recovered: sid {sid}, {from} to before {until} came in time")
        }
        Event::Switched(receipt) => format!(
            "switched: sid {}, leg {} left at {} ({}); {} held, {} filled, {} lost, silence {} µs",
            receipt.sid,
            receipt.from_leg,
            receipt.from.pos.sseq,
            receipt.trigger.word(),
            receipt.held,
            receipt.filled,
            receipt.gaps_left,
            receipt.stall.as_micros()
        ),
        Event::Discontinuity {
            sid,
            at,
            complete,
            cause,
            ..
        } => format!(
            "DISCONTINUITY: sid {sid} at {at}, {}, {}",
            discontinuity(cause),
            context(*complete)
        ),
        Event::Reset {
            sid,
            epoch,
            at,
            complete,
            cause,
            ..
        } => format!(
            "reset: sid {sid} at {at} of epoch {epoch}, {}, {}",
            reset(cause),
            context(*complete)
        ),
        Event::Divergence {
            sid,
            range,
            at,
            pinned,
            ..
        } => format!(
            "DIVERGENCE: sid {sid}, the legs differ from number {}; from {at} on leg {pinned} alone is delivered",
            RangeDigest::numbers(*range).start()
        ),
        Event::Converged { sid, range, .. } => format!(
            "converged: sid {sid}, the legs agree again up to number {}",
            RangeDigest::numbers(*range).end()
        ),
        Event::Leg {
            sid,
            leg,
            state,
            generation,
        } => {
            format!(
                "leg {leg} of sid {sid} is {}, generation {generation}",
                state.word()
            )
        }
        Event::Stale { sid } => format!("STALE: no leg of sid {sid} speaks"),
        Event::Live { sid } => format!("live: a leg of sid {sid} speaks again"),
        Event::Ended {
            sid,
            epoch,
            next_sseq,
        } => {
            format!("ended: sid {sid}, epoch {epoch}, before number {next_sseq}")
        }
        Event::JoinRestarted { sid, cause } => {
            format!(
                "joining sid {sid} with a snapshot begins again ({}): what was kept, or told of a snapshot, is void",
                cause.word()
            )
        }
        Event::NoSnapshot { sid } => {
            format!("NO SNAPSHOT of sid {sid} came in time: what was kept follows")
        }
        Event::Slow { behind, policy } => {
            format!(
                "TOO SLOW: what comes now may have waited for {behind:.1?}; policy: {}",
                policy.word()
            )
        }
        Event::ConstraintKept { name } => {
            format!("stream-admin changed `{name}`, which holds from the next subscription on")
        }
        Event::Closed { reason } => format!("closed: {reason:?}"),
        other => format!("{other:?}"),
    }
}

/// One object for machines; `text` is the sentence.
pub(crate) fn object(event: &Event) -> Value {
    let text = sentence(event);
    match event {
        Event::Gap {
            sid,
            epoch,
            from,
            until,
            cause,
        } => json!({
            "event": "gap", "sid": sid.0, "epoch": hexadecimal(epoch.0), "from": from.sseq,
            "from_part": from.part, "until": until.sseq, "until_part": until.part,
            "cause": cause.word(), "text": text,
        }),
        Event::AdministrativeGap {
            sid, from, until, ..
        } => json!({
            "event": "administrative_gap", "sid": sid.0, "from": from.0, "until": until.0,
            "text": text,
        }),
        Event::Recovered {
            sid,
            epoch,
            from,
            until,
        } => json!({
            "event": "recovered", "sid": sid.0, "epoch": hexadecimal(epoch.0), "from": from.sseq,
            "until": until.sseq, "text": text,
        }),
        Event::Switched(receipt) => json!({
            "event": "switched", "sid": receipt.sid.0, "from_leg": receipt.from_leg.index(),
            "trigger": receipt.trigger.word(), "from_sseq": receipt.from.pos.sseq,
            "to_sseq": receipt.to.pos.sseq, "duplicates_dropped": receipt.duplicates_dropped,
            "held": receipt.held, "filled": receipt.filled, "gaps_left": receipt.gaps_left,
            "stall_ns": receipt.stall.as_nanos() as u64, "text": text,
        }),
        Event::Discontinuity {
            sid,
            epoch,
            at,
            complete,
            ..
        } => json!({
            "event": "discontinuity", "sid": sid.0, "epoch": hexadecimal(epoch.0),
            "sseq": at.sseq, "part": at.part, "complete": complete, "text": text,
        }),
        Event::Reset {
            sid,
            epoch,
            at,
            complete,
            ..
        } => json!({
            "event": "reset", "sid": sid.0, "epoch": hexadecimal(epoch.0), "sseq": at.sseq,
            "part": at.part, "complete": complete, "text": text,
        }),
        Event::Divergence {
            sid,
            epoch,
            range,
            at,
            pinned,
        } => json!({
            "event": "divergence", "sid": sid.0, "epoch": hexadecimal(epoch.0),
            "from": RangeDigest::numbers(*range).start(), "sseq": at.sseq, "part": at.part,
            "pinned": pinned.index(), "text": text,
        }),
        Event::Converged { sid, epoch, range } => json!({
            "event": "converged", "sid": sid.0, "epoch": hexadecimal(epoch.0),
            "until": RangeDigest::numbers(*range).end().saturating_add(1), "text": text,
        }),
        Event::Leg {
            sid,
            leg,
            state,
            generation,
        } => json!({
            "event": "leg", "sid": sid.0, "leg": leg.index(), "state": state.word(),
            "generation": generation.0, "text": text,
        }),
        Event::Stale { sid } => json!({"event": "stale", "sid": sid.0, "text": text}),
        Event::Live { sid } => json!({"event": "live", "sid": sid.0, "text": text}),
        Event::Ended {
            sid,
            epoch,
            next_sseq,
        } => json!({
            "event": "ended", "sid": sid.0, "epoch": hexadecimal(epoch.0), "next": next_sseq,
            "text": text,
        }),
        Event::JoinRestarted { sid, cause } => json!({
            "event": "join_restarted", "sid": sid.0, "cause": cause.word(), "text": text,
        }),
        Event::NoSnapshot { sid } => {
            json!({"event": "no_snapshot", "sid": sid.0, "text": text})
        }
        Event::Slow { behind, policy } => json!({
            "event": "slow", "behind_ns": behind.as_nanos() as u64, "policy": policy.word(), "text": text,
        }),
        Event::ConstraintKept { name } => json!({
            "event": "constraint_kept", "name": name, "text": text,
        }),
        Event::Closed { .. } => json!({"event": "closed", "text": text}),
        _ => json!({"event": "other", "text": text}),
    }
}

fn discontinuity(cause: &DiscontinuityCause) -> &'static str {
    match cause {
        DiscontinuityCause::Join => "joined here",
        DiscontinuityCause::Context { .. } => "what follows remembers another past",
        DiscontinuityCause::Administrative => "what follows counts other administrative messages",
        DiscontinuityCause::Divergence { .. } => {
            "what follows is of the leg that differed from the one before"
        }
    }
}

fn reset(cause: &ResetCause) -> &'static str {
    match cause {
        ResetCause::Epoch {
            tail: Tail::Complete,
            ..
        } => "a new session",
        ResetCause::Epoch {
            tail: Tail::Unknown,
            ..
        } => "a new session, the end of the one before is not known",
        ResetCause::Regress => "the source stepped back",
    }
}

fn context(complete: bool) -> &'static str {
    match complete {
        true => "context complete",
        false => "context incomplete: orders from before are not known",
    }
}

fn hexadecimal(epoch: u64) -> String {
    format!("{epoch:016x}")
}
