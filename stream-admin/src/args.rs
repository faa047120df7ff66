//! What may be said on the command line, or in the environment?

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args as _;

use crate::config::{Config, ConfigError, LogFormat};

/// Brokers both legs of every feed and shows how they do.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(long, env = "TWINFEED_ADMIN_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// Overrides `listen`.
    #[arg(long, env = "TWINFEED_ADMIN_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Overrides `state`.
    #[arg(long, env = "TWINFEED_ADMIN_STATE", value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Overrides `log_format`.
    #[arg(long, env = "TWINFEED_ADMIN_LOG_FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
    /// Validate everything, print the effective configuration without secrets, and exit.
    #[arg(long)]
    pub check_config: bool,
    /// Write the address that was bound to this file, once connections are accepted.
    #[arg(long, value_name = "FILE")]
    pub address_file: Option<PathBuf>,
}

impl Args {
    /// Parses a command line, the program's name first; for the program that is only this one.
    #[must_use]
    pub fn from_command_line() -> Self {
        let command = clap::Command::new("stream-admin")
            .version(env!("CARGO_PKG_VERSION"))
            .about("Brokers both legs of every feed and shows how they do");
        let matches = Self::augment_args(command).get_matches();
        <Self as clap::FromArgMatches>::from_arg_matches(&matches)
            .unwrap_or_else(|error| error.exit())
    }

    /// The file with the overrides applied.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the file cannot be read or parsed.
    pub fn effective_config(&self) -> Result<Config, ConfigError> {
        let mut config = Config::read(&self.config)?;
        config.listen = self.listen.unwrap_or(config.listen);
        config.log_format = self.log_format.unwrap_or(config.log_format);
        if let Some(state) = &self.state {
            config.state.clone_from(state);
        }
        Ok(config)
    }
}
