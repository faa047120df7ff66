//! The policies as words of a command line.

use clap::ValueEnum;

/// Whose records are delivered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum PolicyWord {
    /// Whichever leg has the next record.
    #[default]
    FirstArrival,
    /// One leg is delivered, the other held until it is needed.
    PreferActive,
}

impl From<PolicyWord> for twinfeed_subscriber::Policy {
    fn from(word: PolicyWord) -> Self {
        match word {
            PolicyWord::FirstArrival => Self::FirstArrival,
            PolicyWord::PreferActive => Self::PreferActive,
        }
    }
}

impl From<PolicyWord> for twinfeed_control::Policy {
    fn from(word: PolicyWord) -> Self {
        match word {
            PolicyWord::FirstArrival => Self::FirstArrival,
            PolicyWord::PreferActive => Self::PreferActive,
        }
    }
}
