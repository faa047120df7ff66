//! Which flags does an adapter understand?

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use twinfeed_net::idle::Idle;

use crate::config::Overrides;

/// Flags of `active-feed-adapter` and `backup-feed-adapter`; flags win over the environment, and that
/// over files.
#[derive(Clone, Debug, Parser)]
#[command(version, about = "Converts a feed and publishes it, as one of a pair.", long_about = None)]
pub struct Args {
    /// The feed's configuration, shared by both adapters.
    #[arg(long, short, value_name = "FILE", env = "TWINFEED_CONFIG")]
    pub config: PathBuf,
    /// This host's own keys, on top of the feed's configuration.
    #[arg(long, value_name = "FILE", env = "TWINFEED_HOST_CONFIG")]
    pub host_config: Option<PathBuf>,
    /// Check the configuration, print its digest, and exit with 0 or 78.
    #[arg(long)]
    pub check_config: bool,
    /// Exit with 69 instead of waiting when stream-admin cannot be reached at the start, with 75 when it
    /// cannot decide yet.
    #[arg(long)]
    pub no_wait: bool,
    /// Where stream-admin is.
    #[arg(long, value_name = "URL", env = "TWINFEED_STREAM_ADMIN")]
    pub stream_admin: Option<String>,
    /// File with this adapter's token, alone on its first line.
    #[arg(long, value_name = "FILE", env = "TWINFEED_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Where this end of the pair link listens.
    #[arg(long, value_name = "ADDRESS", env = "TWINFEED_LINK")]
    pub link: Option<SocketAddr>,
    /// Which address streams are sent from.
    #[arg(long, value_name = "ADDRESS", env = "TWINFEED_PUBLISH_FROM")]
    pub publish_from: Option<SocketAddr>,
    /// Where /metrics, /livez, /readyz and /status.json are served.
    #[arg(long, value_name = "ADDRESS", env = "TWINFEED_OPERATIONS")]
    pub operations: Option<SocketAddr>,
    /// Where the grant is persisted.
    #[arg(long, value_name = "DIRECTORY", env = "TWINFEED_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// What the data thread does without work: spin, yield, backoff, block.
    #[arg(long, value_name = "STRATEGY", env = "TWINFEED_IDLE")]
    pub idle: Option<Idle>,
    /// The core that the data thread is pinned to.
    #[arg(long, value_name = "CORE", env = "TWINFEED_CORE")]
    pub core: Option<usize>,
    /// What is logged: error, warn, info, debug, trace, or directives.
    #[arg(long, value_name = "LEVEL", env = "TWINFEED_LOG")]
    pub log: Option<String>,
    /// How log lines look.
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        env = "TWINFEED_LOG_FORMAT"
    )]
    pub log_format: LogFormat,
}

/// How log lines look; they go to stderr.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Args {
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            link: self.link,
            publish_from: self.publish_from,
            operations: self.operations,
            state_dir: self.state_dir.clone(),
            idle: self.idle,
            core: self.core,
            log: self.log.clone(),
            token_file: self.token_file.clone(),
            stream_admin: self.stream_admin.clone(),
        }
    }
}
