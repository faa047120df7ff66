//! Why is a backup not synchronised, in words?

use core::fmt;

use super::Reason;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "",
            Self::LinkDown => "the link is down: the active may place messages alone",
            Self::Refused => "the active placed a message that could not be placed here",
            Self::Numbering => "the active has another record at the same msn",
            Self::Administrative => {
                "the active counts other administrative messages at the same msn"
            }
            Self::Context => "the conversions remember something else",
            Self::Content => "the active sends other content under the same numbers",
            Self::Generation => "the active works under a generation that is not known here yet",
            Self::Unsettled => "it held in front of a slot and did not hear what became of that",
            Self::Alive => "the active that was taken for dead speaks",
        })
    }
}
