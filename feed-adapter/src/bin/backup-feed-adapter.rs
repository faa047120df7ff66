//! The feed adapter that prefers to be backup. The granted generation decides what it is.

use std::process::ExitCode;

use clap::Parser as _;
use twinfeed_feed_adapter::{Args, Role, run};

fn main() -> ExitCode {
    run(Role::Backup, &Args::parse())
}
