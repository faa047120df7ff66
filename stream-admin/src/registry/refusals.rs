//! How does the registry say no?

use twinfeed_control::{
    AdapterId, FeedName, Incarnation, LegIndex, Problem, ProblemCode, Register,
};

use super::feed::Feed;
use super::pair::ClaimRefused;

pub(super) fn unknown_feed(name: &FeedName) -> Problem {
    Problem {
        code: ProblemCode::UnknownFeed,
        message: format!("feed {name} is not configured at this stream-admin"),
        remedy: "correct the feed's name, or add the feed to stream-admin's configuration".into(),
    }
}

pub(super) fn unknown_seat(id: &AdapterId) -> Problem {
    Problem {
        code: ProblemCode::UnknownId,
        message: format!("adapter {id} is not known"),
        remedy: "register first, and use the id of the answer".into(),
    }
}

pub(super) fn not_seated(feed: &Feed, leg: LegIndex, incarnation: Incarnation) -> Problem {
    let id = feed.adapter_id(leg);
    if feed.pair.is_retired(leg, incarnation) {
        return Problem {
            code: ProblemCode::Conflict,
            message: format!("incarnation {incarnation} of {id} was replaced and never returns"),
            remedy: "stop this process; two of the same name may be running".into(),
        };
    }
    Problem {
        code: ProblemCode::UnknownId,
        message: format!("incarnation {incarnation} does not sit in {id} in this generation"),
        remedy: "register again".into(),
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
    }
}
