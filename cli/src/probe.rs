//! `twinfeed probe`: a subscriber that measures; see `docs/probe.md`.

use std::path::PathBuf;

use twinfeed_control::FeedName;
use twinfeed_harness::probe::wire::MOST_EVENTS;
use twinfeed_harness::probe::{Settings, serve};
use twinfeed_subscriber::{Idle, Selector};

use crate::failure::Failure;
use crate::policy::PolicyWord;

/// Subscribe, measure, and answer questions on standard input, one JSON object per line.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where stream-admin is.
    #[arg(long, value_name = "URL", env = "TWINFEED_STREAM_ADMIN")]
    stream_admin: String,
    /// File with the token.
    #[arg(long, value_name = "FILE", env = "TWINFEED_TOKEN_FILE")]
    token_file: PathBuf,
    /// The feed.
    #[arg(long)]
    feed: FeedName,
    /// Whose records are delivered.
    #[arg(long, value_enum, default_value_t)]
    policy: PolicyWord,
    /// Deliveries that are remembered one by one, 16 bytes each.
    #[arg(long, default_value_t = 1 << 20)]
    log: usize,
    /// Events that a summary tells one by one, some 300 bytes each; the later ones are counted.
    #[arg(long, value_name = "COUNT", default_value_t = MOST_EVENTS)]
    events: usize,
    /// Receive buffer per leg, bytes.
    #[arg(long, value_name = "BYTES")]
    receive_buffer: Option<usize>,
    /// What the polling thread does while nothing comes, as in a configuration; who sleeps until something does reads no ring.
    #[arg(long, value_name = "STRATEGY")]
    idle: Option<Idle>,
    /// Where the last grant is kept.
    #[arg(long, value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,
    /// Certificates to trust instead of the public web's, PEM.
    #[arg(long, value_name = "FILE", env = "TWINFEED_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// The interface that faces the adapters: a name or an address; loopback without.
    #[arg(long)]
    interface: Option<Selector>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let settings = Settings {
        stream_admin: args.stream_admin.clone(),
        token_file: args.token_file.clone(),
        feed: args.feed.clone(),
        policy: args.policy.into(),
        log: args.log,
        events: args.events,
        receive_buffer: args.receive_buffer,
        idle: args.idle,
        state_dir: args.state_dir.clone(),
        ca_file: args.ca_file.clone(),
        interface: args.interface.clone(),
    };
    Ok(serve(&settings)?)
}
