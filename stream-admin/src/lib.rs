//! Who, where, under which generation – and never a message.
//!
//! The stream administration server brokers both legs of every feed, grants generations, keeps leases,
//! entitlements and receipts, and shows all of it to people. Nothing on the data path asks it for
//! anything: kill it, and data and switches go on.
//!
//! ```text
//!   connections ─► server (TLS, bounds) ─► api (who? what?) ─► app (order) ─► registry (pure)
//!                                           │                    └────────► store (disk first)
//!                                           └─ page, metrics: drawn from one status document
//! ```
//!
//! | module | answers | refuses to know |
//! |---|---|---|
//! | `registry` | what may change what, who is active, who is protected | clocks, sockets, files |
//! | `lease`, `grant` | is somebody there, may somebody see | everything else |
//! | `store` | what survives | what it means |
//! | `app` | the order of disk, answer and watchers | HTTP |
//! | `api` | who calls, which method | the rules |
//! | `server`, `run` | connections, signals, exit codes | requests |
//!
//! Invariant: no data message passes through here.
#![forbid(unsafe_code)]

pub mod api;
mod app;
mod args;
mod clock;
pub mod config;
pub mod grant;
pub mod lease;
mod metrics;
mod page;
pub mod registry;
mod run;
pub mod server;
pub mod store;

pub use app::{App, StartError};
pub use args::Args;
pub use run::{RunError, Running, run};
