//! Twinfeed's rules as state machines without I/O.
//!
//! ```text
//!  line A ─┐                                        ┌─ leg 0 ─┐
//!          ├─► Lines ─► (decode) ─► Sequencer ─►    │         ├─► Arbiter ─► Handler
//!  line B ─┘   one source, two lines   one stream   └─ leg 1 ─┘   one feed, two legs
//! ```
//!
//! Every machine is driven the same way: hand it one input and the time, let it write what it decided
//! into the sink you passed, ask for its next deadline, and call `on_deadline` when that comes.
//!
//! **Invariant:** nothing here knows a socket, an operating system's clock, a thread, a random number or
//! a log. The same inputs at the same times give the same outputs.
#![forbid(unsafe_code)]

mod agreement;
pub mod arbiter;
mod cursor;
pub mod digest;
pub mod epoch;
pub mod event;
pub mod health;
pub mod join;
pub mod limits;
pub mod line;
pub mod pair;
mod piece;
pub mod receipt;
pub mod repair;
pub mod retain;
pub mod sequencer;
pub mod standby;
pub mod time;
pub mod window;

pub use arbiter::{Arbiter, Control, Counters, LegStatus, OrderingClass};
pub use cursor::{BadCursor, CannotResume, Cursor, Cursors};
pub use epoch::EpochStart;
pub use event::{
    CloseReason, Delivered, DiscontinuityCause, Event, GapCause, Handler, Leg, LegState, Place,
    ResetCause, RestartCause, SlowPolicy, Tail,
};
pub use health::Health;
pub use join::{JoinCounters, JoinLimits, Joins, Refusal, Wish};
pub use limits::{BadLimit, Limits, Policy};
pub use line::{
    Line, LineAsk, LineCounters, LineLimits, LineState, LineStatus, Lines, LinesState, Source, Way,
};
pub use piece::Piece;
pub use receipt::{Receipt, Side, Trigger};
pub use sequencer::{
    Body, Now, Sequencer, SequencerConfig, SequencerCounters, SequencerState, Transmit,
};
pub use time::Time;
