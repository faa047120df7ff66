//! State in one file of an embedded store (`redb`): one synced transaction per commit.

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::codec::{FORMAT, FORMAT_KEY, decode, encode};
use super::{Store, StoreError};
use crate::registry::record::{Record, Write};

const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("stream-admin");

/// The default store.
#[derive(Debug)]
pub struct EmbeddedStore {
    database: Database,
    path: String,
}

impl EmbeddedStore {
    /// Opens the file, or creates it with its folder.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], also when another process holds the file.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let name = path.display().to_string();
        let io = |cause: String| StoreError::Io {
            path: name.clone(),
            cause,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| io(error.to_string()))?;
        }
        let database = Database::create(path).map_err(|error| io(error.to_string()))?;
        let store = Self {
            database,
            path: name,
        };
        store.write_format()?;
        Ok(store)
    }

    fn write_format(&self) -> Result<(), StoreError> {
        let write = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            {
                let mut table = transaction.open_table(TABLE)?;
                if table.get(FORMAT_KEY)?.is_none() {
                    table.insert(FORMAT_KEY, FORMAT.as_bytes())?;
                }
            }
            Ok(transaction.commit()?)
        };
        write().map_err(|error| self.io(&error))
    }

    fn io(&self, error: &redb::Error) -> StoreError {
        StoreError::Io {
            path: self.path.clone(),
            cause: error.to_string(),
        }
    }

    fn rows(&self) -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(TABLE)?;
        let mut rows = Vec::new();
        for row in table.iter()? {
            let (key, value) = row?;
            rows.push((key.value().to_owned(), value.value().to_vec()));
        }
        Ok(rows)
    }
}

impl Store for EmbeddedStore {
    fn load(&mut self) -> Result<Vec<Record>, StoreError> {
        let rows = self.rows().map_err(|error| self.io(&error))?;
        let mut records = Vec::new();
        for (key, value) in rows {
            let path = self.path.clone();
            match decode(&key, &value) {
                Ok(record) => records.extend(record),
                Err(cause) => return Err(StoreError::Format { path, key, cause }),
            }
        }
        Ok(records)
    }

    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let path = || self.path.clone();
        let mut encoded = Vec::with_capacity(writes.len());
        for write in writes {
            encoded.push(encode(write).map_err(|error| StoreError::Format {
                path: path(),
                key: "a new value".to_owned(),
                cause: error.to_string(),
            })?);
        }
        let commit = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            {
                let mut table = transaction.open_table(TABLE)?;
                for change in &encoded {
                    match &change.value {
                        Some(value) => drop(table.insert(&*change.key, &value[..])?),
                        None => drop(table.remove(&*change.key)?),
                    }
                }
            }
            Ok(transaction.commit()?)
        };
        commit().map_err(|error| self.io(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Override;
    use crate::registry::record::ServerRecord;

    fn word(principal: &str) -> Override {
        Override {
            feed: "itch".parse().unwrap(),
            principal: principal.to_owned(),
            entitled: false,
            reason: String::new(),
        }
    }

    #[test]
    fn what_was_committed_is_there_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/state.redb");
        let server = ServerRecord {
            runs: 3,
            last_stream_id: 7,
            last_subscription: 9,
        };
        {
            let mut store = EmbeddedStore::open(&path).unwrap();
            assert!(store.load().unwrap().is_empty());
            let writes = [
                Write::Put(Record::Server(server)),
                Write::Put(Record::Override(word("a"))),
            ];
            store.commit(&writes).unwrap();
            store
                .commit(&[Write::DropSubscription("s1".parse().unwrap())])
                .unwrap();
        }
        let records = EmbeddedStore::open(&path).unwrap().load().unwrap();
        assert_eq!(records.len(), 2);
        assert!(
            records
                .iter()
                .any(|r| matches!(r, Record::Server(saved) if *saved == server))
        );
        assert!(
            records
                .iter()
                .any(|r| matches!(r, Record::Override(w) if *w == word("a")))
        );
    }

    #[test]
    fn a_second_owner_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.redb");
        let _first = EmbeddedStore::open(&path).unwrap();
        let error = EmbeddedStore::open(&path).unwrap_err().to_string();
        assert!(error.contains("state.redb"), "{error}");
    }

    #[test]
    fn a_file_of_another_kind_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.redb");
        std::fs::write(&path, b"no database").unwrap();
        assert!(EmbeddedStore::open(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"no database");
    }
}
