//! What does an error of stream-admin mean for a subscription whose records flow?
//!
//! Access ends when stream-admin says that it was withdrawn, and for no other reason. A token that is
//! nobody's, a feed that left a configuration, an answer of another version are mistakes that somebody can
//! correct; until then records are as good as before. Should nobody correct them, the lease ends and with
//! it what unicast adapters send.

use twinfeed_control as admin;

/// What to do about an error.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// The subscription is gone: make another one.
    Gone,
    /// Access was withdrawn, with the reason: end.
    Withdrawn(String),
    /// No answer, or none that can be served: ask again.
    Away,
    /// A refusal that somebody must mend: show it, ask again.
    Trouble,
}

impl Verdict {
    /// Of an error of a subscription that is, or was, in force.
    pub(super) fn of(error: &admin::Error) -> Self {
        match error {
            admin::Error::UnknownId { .. } => Self::Gone,
            admin::Error::NotEntitled { message, .. } => Self::Withdrawn(message.clone()),
            error if error.is_worth_retrying() => Self::Away,
            _ => Self::Trouble,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use admin::Error;

    #[test]
    fn only_a_withdrawal_ends_what_is_in_force() {
        let (message, remedy) = ("m".to_owned(), "r".to_owned());
        let text = || (message.clone(), remedy.clone());
        let with = |make: fn(String, String) -> Error| {
            let (message, remedy) = text();
            make(message, remedy)
        };
        let table = [
            (
                with(|message, remedy| Error::UnknownId { message, remedy }),
                Verdict::Gone,
            ),
            (
                with(|message, remedy| Error::NotEntitled { message, remedy }),
                Verdict::Withdrawn("m".to_owned()),
            ),
            (
                with(|message, remedy| Error::Unauthenticated { message, remedy }),
                Verdict::Trouble,
            ),
            (
                with(|message, remedy| Error::UnknownFeed { message, remedy }),
                Verdict::Trouble,
            ),
            (
                with(|message, remedy| Error::Conflict { message, remedy }),
                Verdict::Trouble,
            ),
            (
                with(|message, remedy| Error::ConfigMismatch { message, remedy }),
                Verdict::Trouble,
            ),
            (
                with(|message, remedy| Error::Undecided {
                    message,
                    remedy,
                    retry_in: std::time::Duration::ZERO,
                }),
                Verdict::Away,
            ),
            (
                with(|message, remedy| Error::Implausible { message, remedy }),
                Verdict::Trouble,
            ),
            (
                with(|message, remedy| Error::LimitReached { message, remedy }),
                Verdict::Away,
            ),
            (
                with(|message, remedy| Error::Refused {
                    status: 400,
                    message,
                    remedy,
                }),
                Verdict::Trouble,
            ),
            (
                with(|message, remedy| Error::Server {
                    status: 503,
                    message,
                    remedy,
                }),
                Verdict::Away,
            ),
            (
                with(|url, cause| Error::Unreachable { url, cause }),
                Verdict::Away,
            ),
            (
                with(|url, cause| Error::Answer { url, cause }),
                Verdict::Trouble,
            ),
        ];
        for (error, expected) in table {
            assert_eq!(Verdict::of(&error), expected, "{error:?}");
        }
    }
}
