//! How does the registry say no?

use twinfeed_control::{
    AdapterId, ConfigDigest, FeedName, Incarnation, LegIndex, Problem, ProblemCode, Register,
};

use super::feed::{Feed, Occupant};
use super::pair::ClaimRefused;
use crate::lease::Now;

pub(super) fn conflict(message: String, remedy: &str) -> Problem {
    Problem {
        code: ProblemCode::Conflict,
        message,
        remedy: remedy.to_owned(),
        retry_in_ms: None,
    }
}

/// Of an order whose key is that of another one.
pub(super) fn another_order(key: &str) -> Problem {
    conflict(
        format!("key {key} names another order"),
        "give every order a key of its own",
    )
}

pub(super) fn unknown_feed(name: &FeedName) -> Problem {
    Problem {
        code: ProblemCode::UnknownFeed,
        message: format!("feed {name} is not configured at this stream-admin"),
        remedy: "correct the feed's name, or add the feed to stream-admin's configuration".into(),
        retry_in_ms: None,
    }
}

pub(super) fn unknown_seat(id: &AdapterId) -> Problem {
    Problem {
        code: ProblemCode::UnknownId,
        message: format!("adapter {id} is not known"),
        remedy: "register first, and use the id of the answer".into(),
        retry_in_ms: None,
    }
}

pub(super) fn no_active(name: &FeedName) -> Problem {
    Problem {
        code: ProblemCode::Unavailable,
        message: format!("no active adapter of feed {name} lives"),
        remedy: "look at `twinfeed status`; order again once there is one".to_owned(),
        retry_in_ms: None,
    }
}

pub(super) fn not_seated(feed: &Feed, leg: LegIndex, incarnation: Incarnation) -> Problem {
    let id = feed.adapter_id(leg);
    if feed.pair.is_retired(leg, incarnation) {
        return conflict(
            format!("incarnation {incarnation} of {id} was replaced and never returns"),
            "stop this process; two of the same name may be running",
        );
    }
    Problem {
        code: ProblemCode::UnknownId,
        message: format!("incarnation {incarnation} does not sit in {id} in this generation"),
        remedy: "register again".into(),
        retry_in_ms: None,
    }
}

/// Of an adapter that converts by `ours` while whoever lives in the other seat does by another.
pub(super) fn contradicted(
    feed: &Feed,
    leg: LegIndex,
    ours: ConfigDigest,
    peer: &Occupant,
    now: Now,
) -> Problem {
    let (id, other) = (feed.adapter_id(leg), feed.adapter_id(leg.other()));
    let theirs = peer.registration.config_digest;
    if peer.presumed {
        let wait_ms = feed.pair.lease(leg.other()).remaining_ms(now).unwrap_or(0);
        return Problem {
            code: ProblemCode::Undecided,
            message: format!(
                "{id} has configuration digest {ours}, and {other} had {theirs} when this \
                 stream-admin was started; whether it still lives is not known yet"
            ),
            remedy: format!("ask again in {wait_ms} ms"),
            retry_in_ms: Some(wait_ms),
        };
    }
    Problem {
        code: ProblemCode::ConfigMismatch,
        message: format!(
            "{id} has configuration digest {ours}, but {other}, which is alive, has {theirs}: they \
             would convert differently under the same numbers"
        ),
        remedy: "give both hosts the same feed file (`--check-config` prints the digest), or stop \
                 the other adapter first"
            .to_owned(),
        retry_in_ms: None,
    }
}

pub(super) fn claim_refused(request: &Register, refused: &ClaimRefused) -> Problem {
    let (feed, role) = (&request.feed, request.preferred_role);
    let (code, remedy) = match refused {
        ClaimRefused::Replaced(_) => (
            ProblemCode::Conflict,
            "stop this process; two of the same name may be running",
        ),
        // Not a conflict: nobody else has the seat, so whoever sits in it goes on.
        ClaimRefused::Absurd { .. } => (
            ProblemCode::Implausible,
            "delete the adapter's saved grant and start it again",
        ),
    };
    Problem {
        code,
        message: format!("{feed}.{role}: {refused}"),
        remedy: remedy.to_owned(),
        retry_in_ms: None,
    }
}
