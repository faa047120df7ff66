//! Starts the real processes, breaks them, judges what came out.
//!
//! ```text
//!  Run ─► Files ─► Rig: stream-admin, exchange, two adapters, probe, each a process of its own
//!                   │ signals, cuts, restarts            ▲ questions
//!                   ▼                                     │
//!              truth (what was sent, decoded again) ─► judge ◄─ probe's summary
//! ```
//!
//! | module | question it answers |
//! |---|---|
//! | [`run`] | what is run? |
//! | [`files`], [`ports`] | which files and addresses do the processes need? |
//! | [`hosts`] | on which hosts do the processes stand? |
//! | [`process`] | how is a process started, signalled and cleaned up after? |
//! | [`rig`] | how do all of them come up, get hurt and go down together? |
//! | [`adapter`] | how does an adapter stand, by its own word? |
//! | [`exchange`], [`probe`] | what do the two ends of the path say? |
//! | [`truth`], [`judge`] | what should have come out, and did it? |
//! | [`demo`], [`summary`] | what does a newcomer see, and a machine read? |
//! | [`certify`] | does a feed handler, ours or another's, keep the promise of two lines? |
//! | [`input`] | which source messages does a file hold? |
//!
//! A bench drives a [`Rig`] by itself:
//!
//! ```no_run
//! use rustix::process::Signal;
//! use twinfeed_control::StopFlag;
//! use twinfeed_harness::process::Program;
//! use twinfeed_harness::run::Run;
//! use twinfeed_harness::{Rig, Seat};
//!
//! let mut rig = Rig::start(&Program::at("target/release/twinfeed"), &Run::default(), &StopFlag::new())?;
//! let opened_ns = rig.open()?;
//! // … wait for the moment …
//! let at_ns = rig.signal(Seat::Active, Signal::KILL)?;
//! // … wait until the window is over …
//! let window = rig.probe().window(at_ns, 250_000_000)?;
//! let finished = rig.finish()?;
//! assert!(finished.verdict.broken().is_empty());
//! # let _ = (opened_ns, window);
//! # Ok::<(), twinfeed_harness::Error>(())
//! ```
//!
//! **Invariant:** nothing here knows the arbiter. The probe hears what the library delivers, and the judge
//! must be able to disagree with it.
#![forbid(unsafe_code)]

pub mod adapter;
pub mod certify;
pub mod demo;
pub mod error;
pub mod exchange;
pub mod files;
pub mod hosts;
pub mod input;
pub mod judge;
pub mod notices;
pub mod ports;
pub mod probe;
pub mod process;
pub mod relay;
pub mod rig;
pub mod run;
pub mod summary;
pub mod truth;

pub use error::Error;
pub use rig::{Finished, Rig, Seat};
