//! Does a feed handler, ours or another's, keep the promise that two redundant lines make possible?
//!
//! ```text
//!  scenario ─► Score: what is sent when, on which line, and what is therefore owed
//!                 │ packets                                            │ truth
//!                 ▼                                                    ▼
//!              player ══ lines A, B ══► handler under test ══ text ══► judge ─► verdict
//! ```
//!
//! | module | question it answers |
//! |---|---|
//! | [`scenario`] | which faults are played? One file and one line of a table each |
//! | [`score`], [`truth`] | what is sent, and what does that oblige a handler to? |
//! | [`player`] | how does it get onto the lines in time? |
//! | [`handler`], [`said`], [`ours`] | how is a handler started and heard, and ours made to speak like any? |
//! | [`judge`] | was what came out what was owed? |
//! | [`drops`] | did the kernel drop datagrams of the handler? |
//! | [`run`], [`report`], [`keep`] | how do scenarios follow each other, and what is left behind? |
//!
//! Everything that is sent is decided by the scenario, the seed and the rate, before the first packet leaves.
//! `docs/certify.md` is the page for whoever certifies a handler of their own.
//!
//! **Invariant:** the judge knows no decoder and no arbiter, and no handler is told apart from another: ours speaks
//! through a shim like everybody's.

pub mod drops;
pub mod handler;
pub mod judge;
pub mod keep;
pub mod ours;
pub mod player;
pub mod report;
pub mod run;
pub mod said;
pub mod scenario;
pub mod score;
pub mod truth;

pub use handler::{Listen, Under};
pub use judge::{Claims, Fault, Level};
pub use report::{Outcome, Report};
pub use run::{Plan, certify};
pub use scenario::{ALL, Scenario};
