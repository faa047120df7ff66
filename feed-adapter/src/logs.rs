//! Where do log lines go, and who may change how many there are?

use std::io::IsTerminal as _;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::args::LogFormat;
use crate::config::ConfigError;

/// Changes what is logged while the process runs.
#[derive(Clone, Debug)]
pub struct LogLevel {
    handle: reload::Handle<EnvFilter, Registry>,
}

/// Starts logging to stderr. A process that logs already keeps its way of doing so.
///
/// # Errors
/// When `directives` are none.
pub fn start(directives: &str, format: LogFormat) -> Result<LogLevel, ConfigError> {
    let (filter, handle) = reload::Layer::new(parse(directives)?);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal();
            let layer = fmt::layer().with_ansi(colours).with_writer(std::io::stderr);
            registry.with(layer).try_init()
        }
        LogFormat::Json => registry
            .with(fmt::layer().json().with_writer(std::io::stderr))
            .try_init(),
    };
    // Only in a program that runs several parts in one process.
    drop(started);
    Ok(LogLevel { handle })
}

impl LogLevel {
    /// Logs this from now on.
    ///
    /// # Errors
    /// When `directives` are none; the logging is as before.
    pub fn set(&self, directives: &str) -> Result<(), ConfigError> {
        let filter = parse(directives)?;
        // Fails only when the subscriber is gone, and with it the reader of any complaint.
        drop(self.handle.reload(filter));
        Ok(())
    }
}

fn parse(directives: &str) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(directives).map_err(|error| {
        let fault = format!("`{directives}`: {error}");
        ConfigError::new(
            "log",
            fault,
            "write error, warn, info, debug, trace, or directives",
        )
    })
}
