//! State that ends with the process: for tests and trials. It can be told to fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::codec::{decode, encode};
use super::{Store, StoreError};
use crate::registry::record::{Record, Write};

/// Clones share their state, so a "restarted" server finds it again.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    rows: BTreeMap<String, Vec<u8>>,
    failing: bool,
}

impl MemoryStore {
    /// From now on every commit fails, or none does.
    pub fn set_failing(&self, failing: bool) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .failing = failing;
    }
}

impl Store for MemoryStore {
    fn load(&mut self) -> Result<Vec<Record>, StoreError> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let decoded = memory.rows.iter().map(|(key, value)| {
            decode(key, value).map_err(|cause| StoreError::Format {
                path: "memory".to_owned(),
                key: key.clone(),
                cause,
            })
        });
        decoded.filter_map(Result::transpose).collect()
    }

    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let io = |cause: String| StoreError::Io {
            path: "memory".to_owned(),
            cause,
        };
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.failing {
            return Err(io("told to fail".to_owned()));
        }
        for write in writes {
            let change = encode(write).map_err(|error| io(error.to_string()))?;
            match change.value {
                Some(value) => drop(memory.rows.insert(change.key, value)),
                None => drop(memory.rows.remove(&change.key)),
            }
        }
        Ok(())
    }
}
