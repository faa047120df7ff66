//! What does Nasdaq TotalView-ITCH 5.0 become?
//!
//! `message` reads it, `dialect` refuses what only looks like it, `context` remembers the open
//! orders, `memory` is all that is remembered and `convert` writes records. What becomes what, message by message:
//! `docs/formats/itch50.md`.

mod context;
mod convert;
mod dialect;
mod memory;
pub mod message;

pub use context::{Change, Inserted, Order, Orders, Reduced};
pub use convert::{Converter, Settings};
pub use dialect::{DIALECTS, Dialect, Foreign};
pub use memory::{BadItems, LONGEST_ITEM, MEMORY_VERSION, Memory};
pub use message::{Message, MessageError};
