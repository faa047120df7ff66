//! How does stream-admin say no?

use serde::{Deserialize, Serialize};

/// The body of every refusal; never names an endpoint.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// What kind, for programs.
    pub code: ProblemCode,
    /// What and who, for people.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// After which time the same request will be decided, in milliseconds; with `undecided` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
}

/// The kinds of refusal; the HTTP status follows from the kind.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemCode {
    /// 400: the request does not parse, or contradicts itself.
    BadRequest,
    /// 401: no token, or one that nobody holds.
    Unauthenticated,
    /// 403: the token's principal may not do this.
    NotEntitled,
    /// 404: no such feed.
    UnknownFeed,
    /// 404: no such adapter or subscription, or it is gone.
    UnknownId,
    /// 404: no such path.
    UnknownPath,
    /// 409: somebody else holds what was asked for.
    Conflict,
    /// 409: the living adapter of the other seat was configured to convert differently.
    ConfigMismatch,
    /// 422: a number in the request cannot be true; nobody else is concerned.
    Implausible,
    /// 413: the request is longer than the limit.
    TooLarge,
    /// 429: a named limit is reached.
    LimitReached,
    /// 500: the fault is stream-admin's own.
    Internal,
    /// 503: not now; the remedy says when.
    Unavailable,
    /// 503: whether the adapter of the other seat, which was configured to convert differently, still
    /// lives is not known since stream-admin was restarted; `retry_in_ms` says when it will be.
    Undecided,
    /// A kind that this version does not know.
    #[serde(other)]
    Other,
}

impl ProblemCode {
    /// The HTTP status that goes with the kind.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthenticated => 401,
            Self::NotEntitled => 403,
            Self::UnknownFeed | Self::UnknownId | Self::UnknownPath => 404,
            Self::Conflict | Self::ConfigMismatch => 409,
            Self::Implausible => 422,
            Self::TooLarge => 413,
            Self::LimitReached => 429,
            Self::Internal | Self::Other => 500,
            Self::Unavailable | Self::Undecided => 503,
        }
    }
}
