//! How does an exchange's feed become Twinfeed's streams, twice?
//!
//! ```text
//!  lines A, B ─► source ─► Lines ─► decode ─► Sequencer ─► publish ─► subscribers      data thread
//!                                                ▲
//!             commands, one bounded queue ───────┘        notes, snapshots ─► log, status, metrics
//!                    ▲              ▲
//!              registration     pair link                                           control threads
//! ```
//!
//! Two adapters run this for one feed. They convert alike, so that a subscriber may take any record from
//! either; they transmit both, all the time. `pipeline` is the only file that knows the order of a duty
//! cycle, `run` the only one that knows all threads.
//!
//! Invariant: nothing on the data thread allocates, locks, logs or makes a system call but receive,
//! send and sleep.
//!
//! Invariant: this crate does not know subscribers, and stream-admin only through `twinfeed-control`.

pub mod args;
pub mod changes;
pub mod config;
pub mod convert;
pub mod converter;
pub mod decode;
pub mod error;
mod fault_points;
pub mod fills;
pub mod grant;
pub mod link;
mod lock;
pub mod logs;
pub mod mailbox;
pub mod note;
pub mod operations;
pub mod orders;
pub mod pairing;
pub mod pipeline;
pub mod present;
pub mod publish;
pub mod registration;
pub mod remembering;
pub mod ring;
mod run;
mod seating;
mod signals;
pub mod snapshot;
pub mod snapshots;
pub mod source;
pub mod state;
pub mod tap;
pub mod transfer;

pub use args::Args;
pub use config::{Config, ConfigError};
pub use error::AdapterError;
pub use run::run;
pub use twinfeed_wire::link::Role;
