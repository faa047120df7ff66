//! What can go wrong between a process and stream-admin, whose fault is it, and what helps?

use std::time::Duration;

use crate::{Problem, ProblemCode};

/// Why a request failed. Every message names culprit and remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The client's own settings.
    #[error("{culprit}: {cause}; {remedy}")]
    Configuration {
        /// Which setting.
        culprit: String,
        /// What is wrong with it.
        cause: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// No answer: not running, not routed, or silent for too long.
    #[error(
        "stream-admin at {url} cannot be reached ({cause}); check that it runs there and that nothing between blocks it"
    )]
    Unreachable {
        /// Where.
        url: String,
        /// What the transport said.
        cause: String,
    },
    /// The token is missing or nobody's.
    #[error("{message}; {remedy}")]
    Unauthenticated {
        /// What the server said.
        message: String,
        /// What helps.
        remedy: String,
    },
    /// The token's principal may not do this, or no longer.
    #[error("{message}; {remedy}")]
    NotEntitled {
        /// What the server said.
        message: String,
        /// What helps.
        remedy: String,
    },
    /// stream-admin has no such feed.
    #[error("{message}; {remedy}")]
    UnknownFeed {
        /// What the server said.
        message: String,
        /// What helps.
        remedy: String,
    },
    /// No such adapter or subscription, or it is gone: register or subscribe again.
    #[error("{message}; {remedy}")]
    UnknownId {
        /// What the server said.
        message: String,
        /// What helps.
        remedy: String,
    },
    /// Somebody else holds it.
    #[error("{message}; {remedy}")]
    Conflict {
        /// What the server said.
        message: String,
        /// What helps.
        remedy: String,
    },
    /// The living adapter of the other seat was configured to convert differently.
    #[error("{message}; {remedy}")]
    ConfigMismatch {
        /// What the server said.
        message: String,
        /// What helps.
        remedy: String,
    },
    /// Whether [`Error::ConfigMismatch`] holds cannot be known yet: stream-admin was just restarted.
    #[error("{message}; {remedy}")]
    Undecided {
        /// What the server said.
        message: String,
        /// What helps.
        remedy: String,
        /// When it will be known.
        retry_in: Duration,
    },
    /// A number in the request cannot be true, such as a generation that nobody can have granted.
    #[error("{message}; {remedy}")]
    Implausible {
        /// What the server said.
        message: String,
        /// What helps.
        remedy: String,
    },
    /// A named limit is reached: wait, or raise it.
    #[error("{message}; {remedy}")]
    LimitReached {
        /// What the server said.
        message: String,
        /// What helps.
        remedy: String,
    },
    /// The request was wrong; repeating it will not help.
    #[error("stream-admin refused the request (status {status}): {message}; {remedy}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What the server said.
        message: String,
        /// What helps.
        remedy: String,
    },
    /// stream-admin answered, but cannot serve.
    #[error("stream-admin cannot serve (status {status}): {message}; {remedy}")]
    Server {
        /// HTTP status.
        status: u16,
        /// What the server said.
        message: String,
        /// What helps.
        remedy: String,
    },
    /// An answer that is not what this version understands.
    #[error(
        "{url} answered with something else than stream-admin does ({cause}); check the address and both versions"
    )]
    Answer {
        /// Where.
        url: String,
        /// What does not parse.
        cause: String,
    },
}

impl Error {
    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_worth_retrying(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Server { .. }
            | Self::Undecided { .. }
            | Self::LimitReached { .. } => true,
            Self::Configuration { .. }
            | Self::Unauthenticated { .. }
            | Self::NotEntitled { .. }
            | Self::UnknownFeed { .. }
            | Self::UnknownId { .. }
            | Self::Conflict { .. }
            | Self::ConfigMismatch { .. }
            | Self::Implausible { .. }
            | Self::Refused { .. }
            | Self::Answer { .. } => false,
        }
    }

    /// The exit code of a process that ends for this reason: 69 dependency unavailable, 75 try again,
    /// 77 permission, 78 configuration, 1 otherwise.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } | Self::Server { .. } => 69,
            Self::Undecided { .. } | Self::LimitReached { .. } => 75,
            Self::Unauthenticated { .. } | Self::NotEntitled { .. } => 77,
            Self::Configuration { .. } | Self::UnknownFeed { .. } | Self::ConfigMismatch { .. } => {
                78
            }
            Self::UnknownId { .. }
            | Self::Conflict { .. }
            | Self::Implausible { .. }
            | Self::Refused { .. }
            | Self::Answer { .. } => 1,
        }
    }

    /// A refusal, from its status and the body that should explain it.
    #[must_use]
    pub fn from_refusal(status: u16, body: &[u8]) -> Self {
        let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
            return Self::from_bare_status(status);
        };
        let Problem {
            code,
            message,
            remedy,
            retry_in_ms,
        } = problem;
        match code {
            ProblemCode::Unauthenticated => Self::Unauthenticated { message, remedy },
            ProblemCode::NotEntitled => Self::NotEntitled { message, remedy },
            ProblemCode::UnknownFeed => Self::UnknownFeed { message, remedy },
            ProblemCode::UnknownId => Self::UnknownId { message, remedy },
            ProblemCode::Conflict => Self::Conflict { message, remedy },
            ProblemCode::ConfigMismatch => Self::ConfigMismatch { message, remedy },
            ProblemCode::Undecided => Self::Undecided {
                message,
                remedy,
                retry_in: Duration::from_millis(retry_in_ms.unwrap_or_default()),
            },
            ProblemCode::Implausible => Self::Implausible { message, remedy },
            ProblemCode::LimitReached => Self::LimitReached { message, remedy },
            ProblemCode::BadRequest | ProblemCode::UnknownPath | ProblemCode::TooLarge => {
                Self::Refused {
                    status,
                    message,
                    remedy,
                }
            }
            ProblemCode::Internal | ProblemCode::Unavailable => Self::Server {
                status,
                message,
                remedy,
            },
            ProblemCode::Other if status >= 500 => Self::Server {
                status,
                message,
                remedy,
            },
            ProblemCode::Other => Self::Refused {
                status,
                message,
                remedy,
            },
        }
    }

    fn from_bare_status(status: u16) -> Self {
        let message = "no reason given".to_owned();
        let remedy = "check that the address is stream-admin's and not a proxy's".to_owned();
        match status {
            401 => Self::Unauthenticated { message, remedy },
            403 => Self::NotEntitled { message, remedy },
            500.. => Self::Server {
                status,
                message,
                remedy,
            },
            _ => Self::Refused {
                status,
                message,
                remedy,
            },
        }
    }

    pub(crate) fn silent(url: &str, silence: Duration) -> Self {
        let cause = format!("nothing for {} ms", silence.as_millis());
        Self::Unreachable {
            url: url.to_owned(),
            cause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_the_servers_words() {
        let body = br#"{"code":"unknown-feed","message":"feed \"x\" is unknown","remedy":"see the configuration"}"#;
        let error = Error::from_refusal(404, body);
        assert!(matches!(error, Error::UnknownFeed { .. }));
        assert_eq!(
            error.to_string(),
            "feed \"x\" is unknown; see the configuration"
        );
        assert!(!error.is_worth_retrying());
    }

    #[test]
    fn who_is_not_judged_yet_is_told_when() {
        let body = br#"{"code":"undecided","message":"m","remedy":"r","retry_in_ms":1200}"#;
        let error = Error::from_refusal(503, body);
        assert!(error.is_worth_retrying());
        let Error::Undecided { retry_in, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(retry_in, Duration::from_millis(1_200));
    }

    #[test]
    fn a_refusal_without_words_is_judged_by_its_status() {
        assert!(matches!(
            Error::from_refusal(502, b"<html>"),
            Error::Server { status: 502, .. }
        ));
        assert!(matches!(
            Error::from_refusal(404, b""),
            Error::Refused { status: 404, .. }
        ));
    }

    #[test]
    fn a_kind_from_the_future_is_judged_by_its_status() {
        let body = br#"{"code":"no-such-kind-yet","message":"m","remedy":"r"}"#;
        assert!(Error::from_refusal(503, body).is_worth_retrying());
        assert!(!Error::from_refusal(418, body).is_worth_retrying());
    }
}
