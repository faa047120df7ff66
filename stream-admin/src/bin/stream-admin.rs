//! The stream administration server.

use std::process::ExitCode;

use twinfeed_stream_admin::{Args, run};

fn main() -> ExitCode {
    run(&Args::from_command_line())
}
