//! How does any process show its health without its own work noticing?
//!
//! One thread with a single-threaded runtime serves four paths from closures:
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | Prometheus text |
//! | `/livez` | 200 while the thread runs |
//! | `/readyz` | 200, or 503 and why not |
//! | `/status.json` | one document |
//!
//! The closures run on this thread; what they read must be cheap to read from outside (atomics, a
//! snapshot behind a lock that the hot path never takes).

mod listener;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::oneshot;

pub use listener::{BoundedListener, BoundedStream};

/// Content type of the Prometheus text format that `prometheus-client` encodes.
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where the endpoint listens and how much it bears.
#[derive(Clone, Debug)]
pub struct OperationsConfig {
    /// Address to bind; loopback unless somebody decides otherwise.
    pub bind: SocketAddr,
    /// Connections at a time; default 32.
    pub max_connections: usize,
    /// How long a connection may be idle; default 10 s.
    pub idle_timeout: Duration,
}

impl Default for OperationsConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            max_connections: 32,
            idle_timeout: Duration::from_secs(10),
        }
    }
}

/// Whether a process does its work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It does not, and why.
    NotReady(String),
}

type Closure<T> = Box<dyn Fn() -> T + Send + Sync>;

/// Where the answers come from.
pub struct Surfaces {
    /// The whole of `/metrics`.
    pub metrics: Closure<String>,
    /// Behind `/readyz`.
    pub readiness: Closure<Readiness>,
    /// The whole of `/status.json`.
    pub status: Closure<serde_json::Value>,
}

/// A running endpoint; dropping it ends it.
#[derive(Debug)]
pub struct Operations {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Operations {
    /// Binds and serves on a thread named `operations`.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, or the thread cannot be started; the message names the address.
    pub fn start(config: &OperationsConfig, surfaces: Surfaces) -> io::Result<Self> {
        let named = |error: io::Error| {
            let bind = config.bind;
            io::Error::new(error.kind(), format!("operations endpoint {bind}: {error}"))
        };
        let socket = std::net::TcpListener::bind(config.bind).map_err(named)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let (limit, idle) = (config.max_connections, config.idle_timeout);
        let serve = async move {
            let socket = tokio::net::TcpListener::from_std(socket)?;
            let listener = BoundedListener::new(socket, limit, idle);
            tokio::select! {
                served = axum::serve(listener, router(surfaces)) => served,
                _ = stopped => Ok(()),
            }
        };
        let thread = std::thread::Builder::new()
            .name("operations".to_owned())
            .spawn(move || {
                // Serving never fails on its own: accept errors are retried, and the rest is a stop.
                drop(runtime.block_on(serve));
            })?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The address that was bound.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Operations {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in a closure ended at the runtime's task boundary; nothing is left to report.
            drop(thread.join());
        }
    }
}

fn router(surfaces: Surfaces) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/status.json", get(status))
        .with_state(Arc::new(surfaces))
}

async fn metrics(State(surfaces): State<Arc<Surfaces>>) -> Response {
    (
        [(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)],
        (surfaces.metrics)(),
    )
        .into_response()
}

async fn readyz(State(surfaces): State<Arc<Surfaces>>) -> Response {
    match (surfaces.readiness)() {
        Readiness::Ready => "ready\n".into_response(),
        Readiness::NotReady(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, reason + "\n").into_response()
        }
    }
}

async fn status(State(surfaces): State<Arc<Surfaces>>) -> Response {
    axum::Json((surfaces.status)()).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn read(address: SocketAddr, path: &str) -> (u16, String) {
        let agent = ureq::Agent::new_with_config(
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .proxy(None)
                .build(),
        );
        let mut answer = agent.get(format!("http://{address}{path}")).call().unwrap();
        (
            answer.status().as_u16(),
            answer.body_mut().read_to_string().unwrap(),
        )
    }

    #[test]
    fn the_four_paths_answer_from_the_closures() {
        let ready = Arc::new(AtomicBool::new(false));
        let seen = ready.clone();
        let surfaces = Surfaces {
            metrics: Box::new(|| "# EOF\n".to_owned()),
            readiness: Box::new(move || match seen.load(Ordering::Relaxed) {
                true => Readiness::Ready,
                false => Readiness::NotReady("still joining".to_owned()),
            }),
            status: Box::new(|| serde_json::json!({"role": "active"})),
        };
        let operations = Operations::start(&OperationsConfig::default(), surfaces).unwrap();
        let address = operations.address();
        assert_eq!(read(address, "/metrics"), (200, "# EOF\n".to_owned()));
        assert_eq!(read(address, "/livez").0, 200);
        assert_eq!(
            read(address, "/readyz"),
            (503, "still joining\n".to_owned())
        );
        ready.store(true, Ordering::Relaxed);
        assert_eq!(read(address, "/readyz").0, 200);
        assert_eq!(read(address, "/status.json").1, "{\"role\":\"active\"}");
        assert_eq!(read(address, "/nothing").0, 404);
        drop(operations);
        assert!(
            std::net::TcpListener::bind(address).is_ok(),
            "the port is free again"
        );
    }

    #[test]
    fn a_port_in_use_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let config = OperationsConfig {
            bind: taken.local_addr().unwrap(),
            ..OperationsConfig::default()
        };
        let surfaces = Surfaces {
            metrics: Box::new(String::new),
            readiness: Box::new(|| Readiness::Ready),
            status: Box::new(|| serde_json::Value::Null),
        };
        let error = Operations::start(&config, surfaces).unwrap_err();
        assert!(
            error.to_string().contains(&config.bind.to_string()),
            "{error}"
        );
    }
}
