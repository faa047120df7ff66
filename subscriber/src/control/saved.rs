//! What does a subscriber remember, so that it can start while stream-admin is away?
//!
//! The last grant and the addresses on which it received: adapters go on sending to them, so the new
//! process must listen on the same ones. What was resumed is `unverified` until stream-admin answers.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use twinfeed_control::{FeedName, Grant};

use crate::error::Error;

/// Of the file's layout; another one is refused.
const VERSION: u32 = 1;

/// The file's content.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Saved {
    version: u32,
    /// Where leg 0 and leg 1 were received.
    pub(super) destinations: [SocketAddr; 2],
    /// Where answers to requests for what was missed were.
    #[serde(default)]
    pub(super) fills: Option<SocketAddr>,
    /// What was granted last.
    pub(super) grant: Grant,
}

impl Saved {
    /// A file of this version's layout.
    pub(super) fn new(
        destinations: [SocketAddr; 2],
        fills: Option<SocketAddr>,
        grant: &Grant,
    ) -> Self {
        Self {
            version: VERSION,
            destinations,
            fills,
            grant: grant.clone(),
        }
    }

    /// Reads a file's bytes.
    pub(super) fn parse(bytes: &[u8]) -> io::Result<Self> {
        let saved: Self = serde_json::from_slice(bytes)?;
        if saved.version == VERSION {
            return Ok(saved);
        }
        let cause = format!("it has version {}, not {VERSION}; remove it", saved.version);
        Err(io::Error::other(cause))
    }
}

/// What a saved grant's file says, written anew; for fuzz targets.
///
/// # Errors
/// Those of reading it.
#[cfg(feature = "fuzz")]
pub fn rewritten(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let saved = Saved::parse(bytes)?;
    Ok(serde_json::to_vec(&Saved::new(
        saved.destinations,
        saved.fills,
        &saved.grant,
    ))?)
}

/// Where the last grant of one feed is kept.
#[derive(Clone, Debug)]
pub(super) struct Shelf(PathBuf);

impl Shelf {
    /// The file of `feed` in `directory`, which is created if need be.
    ///
    /// # Errors
    /// [`Error::State`] when it cannot be created.
    pub(super) fn new(directory: &Path, feed: &FeedName) -> Result<Self, Error> {
        fs::create_dir_all(directory).map_err(failed("create", directory))?;
        Ok(Self(directory.join(format!("{feed}.grant.json"))))
    }

    /// What was saved last, if anything was.
    ///
    /// # Errors
    /// [`Error::State`] when the file cannot be read or is not one of ours.
    pub(super) fn load(&self) -> Result<Option<Saved>, Error> {
        let bytes = match fs::read(&self.0) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &self.0)(error)),
        };
        let saved = Saved::parse(&bytes).map_err(failed("understand", &self.0))?;
        Ok(Some(saved))
    }

    /// Replaces what was saved, wholly or not at all.
    ///
    /// # Errors
    /// [`Error::State`] when the file cannot be written.
    pub(super) fn save(
        &self,
        destinations: [SocketAddr; 2],
        fills: Option<SocketAddr>,
        grant: &Grant,
    ) -> Result<(), Error> {
        let saved = Saved::new(destinations, fills, grant);
        let aside = self.0.with_extension("json.new");
        let bytes = serde_json::to_vec_pretty(&saved)
            .map_err(io::Error::from)
            .map_err(failed("write", &aside))?;
        let write = || {
            let mut file = File::create(&aside)?;
            file.write_all(&bytes)?;
            file.sync_all()
        };
        write().map_err(failed("write", &aside))?;
        fs::rename(&aside, &self.0).map_err(failed("replace", &self.0))
    }

    /// Forgets what was saved: a grant that was withdrawn must not be resumed.
    ///
    /// # Errors
    /// [`Error::State`] when the file cannot be removed.
    pub(super) fn forget(&self) -> Result<(), Error> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &self.0)(error))
            }
            _ => Ok(()),
        }
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |reason| Error::State {
        action,
        path,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn what_was_saved_is_loaded_until_it_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(&directory.path().join("deep"), &"itch".parse().unwrap()).unwrap();
        assert!(shelf.load().unwrap().is_none());
        let destinations = [
            "127.0.0.1:1".parse().unwrap(),
            "127.0.0.1:2".parse().unwrap(),
        ];
        let grant = testing::grant();
        for _ in 0..2 {
            shelf.save(destinations, None, &grant).unwrap();
            let saved = shelf.load().unwrap().unwrap();
            assert_eq!(
                (saved.destinations, saved.grant),
                (destinations, grant.clone())
            );
        }
        shelf.forget().unwrap();
        shelf.forget().unwrap();
        assert!(shelf.load().unwrap().is_none());
    }

    #[test]
    fn a_file_that_is_not_ours_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(directory.path(), &"itch".parse().unwrap()).unwrap();
        fs::write(directory.path().join("itch.grant.json"), "{}").unwrap();
        let error = shelf.load().unwrap_err().to_string();
        assert!(error.contains("itch.grant.json"), "{error}");
    }
}
