//! From the command line to the exit code.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | ended by SIGTERM or SIGINT, or `--check-config` found nothing |
//! | 1 | the server failed |
//! | 2 | usage (by the parser) |
//! | 69 | the address or the state file is taken or cannot be used |
//! | 77 | the address may not be bound by this user |
//! | 78 | configuration |

use std::future::IntoFuture;
use std::io::{ErrorKind, IsTerminal};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::api;
use crate::api::auth::Peer;
use crate::app::{App, StartError};
use crate::args::Args;
use crate::config::{Config, ConfigError, LogFormat};
use crate::server::{Doors, acceptor};
use crate::store::{EmbeddedStore, MemoryStore, Store, StoreError};

/// Why the server did not run, or stopped running.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration.
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address.
    #[error("listen {address}: {cause}; choose another port, or end the process that has this one")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// What the kernel said.
        cause: std::io::Error,
    },
    /// Anything of the machine's own.
    #[error("{what}: {cause}")]
    Machine {
        /// What was attempted.
        what: &'static str,
        /// What the kernel said.
        cause: std::io::Error,
    },
}

impl RunError {
    /// See the table above.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 78,
            Self::Bind { cause, .. } if matches!(cause.kind(), ErrorKind::PermissionDenied) => 77,
            Self::Store(_) | Self::Bind { .. } => 69,
            Self::Machine { .. } => 1,
        }
    }
}

impl From<StartError> for RunError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(error) => Self::Config(error),
            StartError::Store(error) => Self::Store(error),
        }
    }
}

/// Runs until SIGTERM or SIGINT; reports a failure on stderr.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    match try_run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stream-admin: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn try_run(args: &Args) -> Result<(), RunError> {
    let config = args.effective_config()?;
    if args.check_config {
        return check_only(&config);
    }
    start_log(config.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(HANDS)
        .thread_name("stream-admin")
        .enable_all()
        .build()
        .map_err(|cause| RunError::Machine {
            what: "start the runtime",
            cause,
        })?;
    runtime.block_on(async {
        let running = Running::start(config).await?;
        if let Some(path) = &args.address_file {
            std::fs::write(path, running.address().to_string()).map_err(|cause| {
                RunError::Machine {
                    what: "write --address-file",
                    cause,
                }
            })?;
        }
        wait_for_signal().await?;
        running.stop().await;
        Ok(())
    })
}

fn check_only(config: &Config) -> Result<(), RunError> {
    config.check()?;
    for principal in &config.principals {
        principal.token_hash()?;
    }
    if let Some(tls) = &config.tls {
        drop(acceptor(tls)?);
    }
    print!("{}", config.redacted()?);
    Ok(())
}

/// A server that serves; for programs and tests that start one in their own process.
pub struct Running {
    app: Arc<App>,
    address: SocketAddr,
    server: JoinHandle<()>,
    ticker: JoinHandle<()>,
    drain: Duration,
}

impl Running {
    /// Opens the configured store and serves; must be called within a runtime.
    ///
    /// # Errors
    ///
    /// [`RunError`].
    pub async fn start(config: Config) -> Result<Self, RunError> {
        let store: Box<dyn Store> = if config.state.as_os_str() == "memory" {
            Box::new(MemoryStore::default())
        } else {
            Box::new(EmbeddedStore::open(&config.state)?)
        };
        Self::start_with(config, store).await
    }

    /// Serves from a given store.
    ///
    /// # Errors
    ///
    /// [`RunError`].
    pub async fn start_with(config: Config, store: Box<dyn Store>) -> Result<Self, RunError> {
        config.check()?;
        let tls = config.tls.as_ref().map(acceptor).transpose()?;
        let encrypted = tls.is_some();
        let listen = config.listen;
        let socket = TcpListener::bind(listen)
            .await
            .map_err(|cause| RunError::Bind {
                address: listen,
                cause,
            })?;
        let (limits, drain) = (config.limits.clone(), config.drain.0);
        let app = App::start(config, store)?;
        let doors = Doors::new(socket, tls, &limits).map_err(|cause| RunError::Machine {
            what: "listen",
            cause,
        })?;
        let address = doors.address();
        let mut draining = app.draining();
        let service = api::router(app.clone()).into_make_service_with_connect_info::<Peer>();
        let serving = axum::serve(doors, service).with_graceful_shutdown(async move {
            // An error means that the app is gone, which ends the service as well.
            drop(draining.wait_for(|draining| *draining).await);
        });
        let server = tokio::spawn(async move {
            if let Err(error) = serving.into_future().await {
                error!(%error, "the server failed");
            }
        });
        let ticker = tokio::spawn(tick(app.clone()));
        let version = env!("CARGO_PKG_VERSION");
        info!(%address, encrypted, version, "stream-admin serves");
        Ok(Self {
            app,
            address,
            server,
            ticker,
            drain,
        })
    }

    /// The address that was bound.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends watches, lets requests finish for as long as `drain` says, and stops.
    pub async fn stop(mut self) {
        info!("draining");
        self.app.drain();
        self.ticker.abort();
        if tokio::time::timeout(self.drain, &mut self.server)
            .await
            .is_err()
        {
            warn!("connections were cut after the drain time");
            self.server.abort();
            // Awaited so that no new connection is served when this returns.
            drop(self.server.await);
        }
        drop(self.ticker.await);
    }
}

async fn tick(app: Arc<App>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        app.tick().await;
    }
}

async fn wait_for_signal() -> Result<(), RunError> {
    let listen = |kind| {
        signal(kind).map_err(|cause| RunError::Machine {
            what: "listen for signals",
            cause,
        })
    };
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

fn start_log(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // An error means that the program that called us logs already; its choice stands.
    drop(match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    });
}

/// Handlers only parse and draw; the lock and the disk are on the blocking pool.
const WORKERS: usize = 2;

/// Threads of the blocking pool. All that they do takes one lock, so more would only wait for it, each with a stack and an
/// allocator's arena of its own, which a burst of requests would leave behind.
const HANDS: usize = 4;

/// How soon a lapse is noticed.
const TICK: Duration = Duration::from_millis(100);
