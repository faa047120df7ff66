//! Which flags say where stream-admin is and what is subscribed to?

use std::path::PathBuf;
use std::time::Duration;

use twinfeed_control::{Client, FeedName};
use twinfeed_subscriber::config::SubscriberConfig;
use twinfeed_subscriber::{Builder, Selector, Sid};

use crate::failure::{CONFIGURATION, Failure};
use crate::policy::PolicyWord;

/// Where stream-admin is, and who asks.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Server {
    /// Where stream-admin is.
    #[arg(long, value_name = "URL", env = "TWINFEED_STREAM_ADMIN", default_value = DEFAULT_URL)]
    stream_admin: String,
    /// File with the token, alone on its first line.
    #[arg(long, value_name = "FILE", env = "TWINFEED_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Certificates to trust instead of the public web's, PEM.
    #[arg(long, value_name = "FILE", env = "TWINFEED_CA_FILE")]
    ca_file: Option<PathBuf>,
}

const DEFAULT_URL: &str = "http://127.0.0.1:7400";

/// A subscription: flags, on top of a file if there is one.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Subscription {
    /// A subscriber's configuration; flags win over it.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
    /// The feed.
    #[arg(long, required_unless_present = "config")]
    feed: Option<FeedName>,
    /// Only these source streams.
    #[arg(long, value_name = "SID", value_delimiter = ',')]
    sids: Vec<u32>,
    /// Whose records are delivered.
    #[arg(long, value_enum)]
    policy: Option<PolicyWord>,
    /// The interface that faces the adapters: a name or an address.
    #[arg(long)]
    interface: Option<Selector>,
    /// Where the last grant is kept, to resume from while stream-admin is away.
    #[arg(long, value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,
    /// Exit with 69 instead of waiting when stream-admin cannot be reached.
    #[arg(long)]
    no_wait: bool,
}

impl Server {
    /// A client for one request.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        self.client_within(REQUEST_TIMEOUT)
    }

    /// A client for one request that may take so long.
    pub(crate) fn client_within(&self, patience: Duration) -> Result<Client, Failure> {
        let mut builder = Client::builder(&self.stream_admin).timeout(patience);
        if let Some(path) = &self.token_file {
            builder = builder.token_file(path);
        }
        if let Some(path) = &self.ca_file {
            builder = builder.ca_file(path);
        }
        Ok(builder.build()?)
    }
}

impl Subscription {
    /// What the library needs to know.
    pub(crate) fn builder(&self, application: &str) -> Result<Builder, Failure> {
        let mut builder = match &self.config {
            Some(path) => self.read(path)?.builder(),
            None => {
                // clap requires the feed where there is no file.
                let feed = self.feed.clone();
                let missing = || Failure::new(CONFIGURATION, "--feed is missing");
                let server = &self.server;
                let mut builder = Builder::new(&server.stream_admin, feed.ok_or_else(missing)?);
                if let Some(path) = &server.token_file {
                    builder = builder.token_file(path);
                }
                if let Some(path) = &server.ca_file {
                    builder = builder.ca_file(path);
                }
                builder.application(application)
            }
        };
        if !self.sids.is_empty() {
            builder = builder.sids(self.sids.iter().copied().map(Sid));
        }
        if let Some(policy) = self.policy {
            builder = builder.policy(policy.into());
        }
        if let Some(interface) = &self.interface {
            builder = builder.interface(interface.clone());
        }
        if let Some(directory) = &self.state_dir {
            builder = builder.state_dir(directory);
        }
        Ok(builder.no_wait(self.no_wait))
    }

    fn read(&self, path: &std::path::Path) -> Result<SubscriberConfig, Failure> {
        let fault =
            |what: String| Failure::new(CONFIGURATION, format!("{}: {what}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
        let mut config: SubscriberConfig =
            toml::from_str(&text).map_err(|error| fault(error.to_string()))?;
        if let Some(feed) = &self.feed {
            config.feed = feed.clone();
        }
        if self.server.stream_admin != DEFAULT_URL {
            config.stream_admin.clone_from(&self.server.stream_admin);
        }
        config.token_file = self.server.token_file.clone().or(config.token_file);
        config.ca_file = self.server.ca_file.clone().or(config.ca_file);
        Ok(config)
    }
}

/// How long an ordinary request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
