//! State in one file of an embedded store (`redb`): one synced transaction per commit.
//!
//! After an error of the file the engine refuses everything until the file is opened again. Where the error was a full
//! disk, that is done with the next commit: what was refused had not become part of the file, and there may be room now. After
//! any other error it refuses for good, as nobody knows what the disk has.

use std::path::Path;

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use super::codec::{FORMAT, FORMAT_KEY, decode, encode};
use super::{Store, StoreError};
use crate::registry::record::{Record, Write};

const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("stream-admin");

/// The default store.
pub struct EmbeddedStore {
    /// `None` while it cannot be opened again.
    database: Option<Database>,
    open: Box<dyn Fn() -> Result<Database, DatabaseError> + Send>,
    /// Whether the last commit found the disk full.
    full: bool,
    path: String,
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, full, .. } = self;
        write!(f, "EmbeddedStore({path}, full: {full})")
    }
}

impl EmbeddedStore {
    /// Opens the file, or creates it with its folder.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], also when another process holds the file.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let name = path.display().to_string();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| StoreError::Io {
                path: name.clone(),
                cause: error.to_string(),
            })?;
        }
        let path = path.to_owned();
        let open = move || Database::builder().set_cache_size(CACHE).create(&path);
        Self::open_by(Box::new(open), name)
    }

    fn open_by(
        open: Box<dyn Fn() -> Result<Database, DatabaseError> + Send>,
        path: String,
    ) -> Result<Self, StoreError> {
        let mut store = Self {
            database: None,
            open,
            full: false,
            path,
        };
        store.open_again()?;
        store.write_format()?;
        Ok(store)
    }

    fn open_again(&mut self) -> Result<(), StoreError> {
        // The engine lets go of the file first: it lets nobody else have it.
        self.database = None;
        let opened = (self.open)();
        self.database = Some(opened.map_err(|error| self.io(&error.into()))?);
        self.full = false;
        Ok(())
    }

    fn database(&self) -> Result<&Database, redb::Error> {
        self.database.as_ref().ok_or(redb::Error::DatabaseClosed)
    }

    fn write_format(&self) -> Result<(), StoreError> {
        let write = || -> Result<(), redb::Error> {
            let transaction = self.database()?.begin_write()?;
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
        let transaction = self.database()?.begin_read()?;
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
        if self.full {
            self.open_again()?;
        }
        let commit = || -> Result<(), redb::Error> {
            let transaction = self.database()?.begin_write()?;
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
        let done = commit();
        self.full = matches!(&done, Err(redb::Error::Io(error)) if is_full(error));
        done.map_err(|error| self.io(&error))
    }
}

/// Most bytes of pages that the engine remembers. By itself that is a GiB, and the process grows until it has all of the file; what is
/// needed of that is read once, at the start.
const CACHE: usize = 128 << 10;

/// No space, or none for this user.
fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use redb::StorageBackend;

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

    /// A file in memory, on a disk that may get full.
    #[derive(Clone, Debug, Default)]
    struct Disk(Arc<Mutex<(Vec<u8>, bool)>>);

    impl Disk {
        fn fill(&self, full: bool) {
            self.0.lock().unwrap().1 = full;
        }

        fn with<T>(&self, writes: bool, work: impl FnOnce(&mut Vec<u8>) -> T) -> io::Result<T> {
            let mut disk = self.0.lock().unwrap();
            match disk.1 && writes {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => Ok(work(&mut disk.0)),
            }
        }
    }

    impl StorageBackend for Disk {
        fn len(&self) -> io::Result<u64> {
            self.with(false, |bytes| bytes.len() as u64)
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            let at = offset as usize;
            self.with(false, |bytes| {
                out.copy_from_slice(&bytes[at..at + out.len()]);
            })
        }

        fn set_len(&self, length: u64) -> io::Result<()> {
            self.with(true, |bytes| bytes.resize(length as usize, 0))
        }

        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            let at = offset as usize;
            self.with(true, |bytes| {
                bytes[at..at + data.len()].copy_from_slice(data);
            })
        }
    }

    #[test]
    fn a_disk_that_was_full_is_written_again_and_has_nothing_of_what_was_refused() {
        let disk = Disk::default();
        let on = disk.clone();
        let open = move || Database::builder().create_with_backend(on.clone());
        let mut store = EmbeddedStore::open_by(Box::new(open), "memory".to_owned()).unwrap();
        let put = |principal: &str| [Write::Put(Record::Override(word(principal)))];
        store.commit(&put("before")).unwrap();
        disk.fill(true);
        for _ in 0..3 {
            let error = store.commit(&put("refused")).unwrap_err().to_string();
            assert!(
                error.contains("memory") && error.contains("free space"),
                "{error}"
            );
        }
        disk.fill(false);
        store.commit(&put("after")).unwrap();
        let of = |record: Record| match record {
            Record::Override(it) => it.principal,
            other => panic!("{other:?}"),
        };
        let mut found: Vec<_> = store.load().unwrap().into_iter().map(of).collect();
        found.sort_unstable();
        assert_eq!(found, ["after", "before"]);
    }
}
