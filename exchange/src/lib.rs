//! A seeded exchange: what an adapter consumes, made from nothing.
//!
//! One seed decides every message, one clock decides when it leaves, and two
//! lines decide what becomes of it on the way. Everything between the clock and
//! the socket is sans-I/O, so the same exchange runs in a test under virtual
//! time and in a process under real time.
//!
//! ```text
//!  flow ─┐                                     ┌─► line A (loss, delay, …) ─► destinations
//!        ├─► content ─► exchange ─► mold ──────┤
//!  file ─┘              ▲      ▲               └─► line B (loss, delay, …) ─► destinations
//!                    pace   session
//! ```
//!
//! | module | question it answers |
//! |---|---|
//! | [`itch`] | how does one TotalView-ITCH 5.0 message look in bytes? |
//! | [`flow`] | what happens on a market, message after message? |
//! | [`content`] | what does a session carry: flow, or recorded messages? |
//! | [`pace`] | how many messages are due at time t? |
//! | [`session`] | which session is on, and what does it send now? |
//! | [`mold`] | how do messages become MoldUDP64 packets? |
//! | [`mod@line`] | what does a line do to a packet? |
//! | [`kept`] | which of a session's messages can be had again? |
//! | [`requests`] | who is given messages again, packet by packet? |
//! | [`soup`] | how does an exchange speak SoupBinTCP, and who is given a session? |
//! | [`image`] | what does the market look like after everything that was sent? |
//! | [`truth`] | what was sent, for somebody else to judge by? |
//! | [`rng`] | where do the random numbers of a seed come from? |
//! | [`exchange`] | all of the above, driven by `poll(now)` |
//! | [`transport`], [`driver`], [`command`] | the same on real sockets, with a handle to it |
//!
//! Invariant: nothing here knows the decoders, the arbiter or the wire format of
//! the product. An encoder that shared code with the decoder would share its
//! mistakes.
#![forbid(unsafe_code)]

pub mod command;
pub mod config;
pub mod content;
pub mod driver;
pub mod exchange;
pub mod flow;
pub mod image;
pub mod itch;
pub mod kept;
pub mod line;
pub mod mold;
pub mod pace;
pub mod requests;
pub mod rng;
pub mod session;
pub mod soup;
pub mod transport;
pub mod truth;

pub use command::{Command, CommandError};
pub use config::{ConfigError, ExchangeConfig};
pub use content::{Content, ContentError, Messages};
pub use driver::{Reporter, RunError, Summary, run};
pub use exchange::{Event, Exchange, Sink};
pub use line::LineId;
pub use session::SessionId;
pub use truth::SessionTruth;
