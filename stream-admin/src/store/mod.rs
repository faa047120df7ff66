//! Where does the durable state live?
//!
//! One small trait: load everything once at the start, then commit changes. A commit returns when the
//! disk has it, so an answer that follows a commit survives the machine. After an error the state on the
//! disk is the one before the commit, and the store may refuse for good unless the disk was only full; nobody
//! retries a failed sync.

mod codec;
mod embedded;
mod memory;

pub use codec::{Encoded, FORMAT, FORMAT_KEY, decode, encode};
pub use embedded::EmbeddedStore;
pub use memory::MemoryStore;

use crate::registry::record::{Record, Write};

/// Durable state.
pub trait Store: Send {
    /// Everything that was committed.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be read or is of another format.
    fn load(&mut self) -> Result<Vec<Record>, StoreError>;

    /// All of the changes or none, on the disk when it returns.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing was changed.
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError>;
}

/// Why state could not be read or written; names the file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is in use, missing its folder, or not readable.
    #[error(
        "store {path}: {cause}; check the folder, its owner, its free space, and that no other stream-admin uses it"
    )]
    Io {
        /// The file.
        path: String,
        /// What the storage engine said.
        cause: String,
    },
    /// A value that this version cannot read.
    #[error(
        "store {path}: {key} cannot be read ({cause}); it was written by another version – start that one, or restore a backup"
    )]
    Format {
        /// The file.
        path: String,
        /// Which value.
        key: String,
        /// What does not parse.
        cause: String,
    },
}
