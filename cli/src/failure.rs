//! How does a failed subcommand end?

use std::fmt::Display;
use std::process::ExitCode;

/// What a person is told, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
}

/// Failed at run time.
pub(crate) const RUNTIME: u8 = 1;
/// Configuration.
pub(crate) const CONFIGURATION: u8 = 78;
/// Not now, or not known yet: try again.
pub(crate) const TRY_AGAIN: u8 = 75;

impl Failure {
    pub(crate) fn new(code: u8, text: impl Display) -> Self {
        Self {
            code,
            text: text.to_string(),
        }
    }
}

impl From<twinfeed_subscriber::Error> for Failure {
    fn from(error: twinfeed_subscriber::Error) -> Self {
        Self::new(error.exit_code(), error)
    }
}

impl From<twinfeed_control::Error> for Failure {
    fn from(error: twinfeed_control::Error) -> Self {
        Self::new(error.exit_code(), error)
    }
}

impl From<twinfeed_exchange::RunError> for Failure {
    fn from(error: twinfeed_exchange::RunError) -> Self {
        use twinfeed_exchange::RunError as E;
        let code = match &error {
            E::Config(_) | E::Content(_) => CONFIGURATION,
            E::Transport(_) | E::Requests { .. } | E::Soup { .. } | E::Record { .. } => RUNTIME,
        };
        Self::new(code, error)
    }
}

impl From<twinfeed_harness::Error> for Failure {
    fn from(error: twinfeed_harness::Error) -> Self {
        use twinfeed_harness::Error as E;
        let code = match &error {
            E::Run { .. } => CONFIGURATION,
            E::NoPort { .. } => 75,
            E::Administration(error) => error.exit_code(),
            _ => RUNTIME,
        };
        Self::new(code, error)
    }
}

/// Tells a person, and says the exit code.
pub(crate) fn report(ended: Result<(), Failure>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, text }) => {
            eprintln!("twinfeed: {text}");
            ExitCode::from(code)
        }
    }
}
