//! What does an adapter keep of what it sent, and who gets it again?
//!
//! ```text
//!  sent, or withheld ──► Retained ──┐
//!  request ──► Server ──────────────┴──► Answer: datagrams as they were sent, and one reply
//! ```
//!
//! [`Retained`] is a ring of finished datagrams; [`Server`] decides who is answered when. Both live on a thread of
//! their own: what the data thread hands over and this one does not take in time is not retained, and counted. [`Output`] is where all of
//! it stands, for whoever keeps a state that follows from it, and [`Follow`] what such a state takes from the other adapter.

mod follow;
mod output;
mod ring;
mod server;

pub use follow::{Follow, Knowing};
pub use output::{Begun, Doubt, Following, Output};
pub use ring::{Found, Retained, RetentionCounters, RetentionLimits};
pub use server::{Answer, Asker, Server, ServerCounters, ServerLimits};
