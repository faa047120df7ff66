//! What does an adapter remember over its own death?
//!
//! Its last grant: generation, stream ids, destinations. With it a restarted adapter resumes while
//! stream-admin is away. The file is replaced as a whole and carries the digest of its own text, so a
//! torn or edited one is noticed and never half believed.
//!
//! ```text
//!  twinfeed adapter state 1 <XXH3 of all that follows, 16 hexadecimal digits> LF
//!  { "feed": …, "preferred_role": …, "assignment": { … } }                    JSON
//! ```

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use twinfeed_control::{Assignment, FeedName, Role, Sid};
use xxhash_rust::xxh3::xxh3_64;

/// What is remembered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Held {
    /// Of which feed.
    pub feed: FeedName,
    /// Of which seat.
    pub preferred_role: Role,
    /// The last grant.
    pub assignment: Assignment,
}

/// Where it is remembered.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
}

/// Why nothing was remembered, or nothing can be.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system's answer.
    #[error("cannot {action} {}: {error}; check `state_dir` and its permissions", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// The answer.
        error: io::Error,
    },
    /// The file does not say what it was written to say.
    #[error(
        "{} is damaged ({fault}) and is not used; move it away, the next grant writes a new one",
        path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// The file belongs to another seat.
    #[error("{} belongs to {owner}; give every adapter its own `state_dir`", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// Whose it is.
        owner: String,
    },
}

impl StateError {
    /// Whether permissions are the cause.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == io::ErrorKind::PermissionDenied)
    }
}

impl StateFile {
    /// The state file in `directory`, which is made if it is not there.
    ///
    /// # Errors
    /// [`StateError::Io`] when the directory cannot be made.
    pub fn in_directory(directory: &Path) -> Result<Self, StateError> {
        fs::create_dir_all(directory).map_err(io_error("make the directory", directory))?;
        Ok(Self {
            path: directory.join("grant"),
        })
    }

    /// What was remembered for this seat, if anything.
    ///
    /// # Errors
    /// [`StateError::Damaged`] and [`StateError::Foreign`] say that there is something which must not
    /// be used.
    pub fn load(&self, feed: &FeedName, role: Role) -> Result<Option<Held>, StateError> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(self.damaged("it is not text"));
            }
            Err(error) => return Err(io_error("read", &self.path)(error)),
        };
        let held = Held::parse(&text).map_err(|fault| self.damaged(&fault))?;
        if held.feed != *feed || held.preferred_role != role {
            let owner = format!("the {} adapter of feed {}", held.preferred_role, held.feed);
            return Err(StateError::Foreign {
                path: self.path.clone(),
                owner,
            });
        }
        Ok(Some(held))
    }

    /// Remembers `held` durably: written aside, synchronised, then renamed.
    ///
    /// # Errors
    /// [`StateError::Io`]; what was remembered before is still there.
    pub fn save(&self, held: &Held) -> Result<(), StateError> {
        let text = held.text().map_err(|error| StateError::Io {
            action: "describe the grant for",
            path: self.path.clone(),
            error: error.into(),
        })?;
        let aside = self.path.with_extension("new");
        let mut file = File::create(&aside).map_err(io_error("create", &aside))?;
        file.write_all(text.as_bytes())
            .map_err(io_error("write", &aside))?;
        file.sync_all().map_err(io_error("synchronise", &aside))?;
        fs::rename(&aside, &self.path).map_err(io_error("replace", &self.path))?;
        // The rename itself is durable once the directory is.
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let synchronised = File::open(directory).and_then(|directory| directory.sync_all());
        synchronised.map_err(io_error("synchronise", directory))
    }

    fn damaged(&self, fault: &str) -> StateError {
        StateError::Damaged {
            path: self.path.clone(),
            fault: fault.to_owned(),
        }
    }
}

impl Held {
    /// Reads the text of a state file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (head, body) = text.split_once('\n').ok_or("no first line")?;
        let digest = head.strip_prefix(HEAD).ok_or("a foreign first line")?;
        if digest != digest_of(body) {
            return Err("its digest does not match".to_owned());
        }
        serde_json::from_str(body).map_err(|error| error.to_string())
    }

    /// The text of a state file that says so.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let body = serde_json::to_string_pretty(self)?;
        Ok(format!("{HEAD}{}\n{body}", digest_of(&body)))
    }

    /// Whether it names a stream for every one of these sources.
    #[must_use]
    pub fn covers(&self, mut sids: impl Iterator<Item = Sid>) -> bool {
        sids.all(|sid| {
            self.assignment
                .streams
                .iter()
                .any(|stream| stream.sid == sid)
        })
    }
}

fn digest_of(body: &str) -> String {
    format!("{:016x}", xxh3_64(body.as_bytes()))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |error| StateError::Io {
        action,
        path,
        error,
    }
}

const HEAD: &str = "twinfeed adapter state 1 ";

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn held() -> Held {
        let json = r#"{"feed":"f","preferred_role":"active","assignment":{"adapter":"f.active",
            "incarnation":"1","generation":3,"role":"backup","lease_ms":3000,
            "streams":[{"sid":1,"stream_id":17}],
            "destinations":[{"subscription":"s1","sids":"all","address":"127.0.0.1:9"}],
            "constraints":{"sources":[],"delivery":"exactly-once","heartbeat_us":10000,
              "missed_heartbeats":3,"sync_threshold":1000,"lag_messages":null,"lag_us":null,
              "reorder_hold_us":null,"reorder_hold_bytes":1,"max_datagram":1472},
            "revision":9}}"#;
        serde_json::from_str(json).unwrap()
    }

    fn feed() -> FeedName {
        "f".parse().unwrap()
    }

    #[test]
    fn what_was_saved_is_loaded_and_a_later_save_replaces_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::in_directory(&directory.path().join("a/b")).unwrap();
        assert!(file.load(&feed(), Role::Active).unwrap().is_none());
        let mut held = held();
        file.save(&held).unwrap();
        held.assignment.revision = 10;
        file.save(&held).unwrap();
        assert_eq!(file.load(&feed(), Role::Active).unwrap(), Some(held));
    }

    #[test]
    fn a_file_torn_or_flipped_at_any_byte_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::in_directory(directory.path()).unwrap();
        file.save(&held()).unwrap();
        let whole = fs::read(&file.path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&file.path, &whole[..cut]).unwrap();
            let error = file.load(&feed(), Role::Active).unwrap_err();
            assert!(
                matches!(error, StateError::Damaged { .. }),
                "cut at {cut}: {error}"
            );
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            fs::write(&file.path, &flipped).unwrap();
            let error = file.load(&feed(), Role::Active).unwrap_err();
            assert!(
                matches!(error, StateError::Damaged { .. }),
                "flipped at {at}: {error}"
            );
        }
    }

    #[test]
    fn the_file_of_another_seat_is_refused_by_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::in_directory(directory.path()).unwrap();
        file.save(&held()).unwrap();
        let error = file.load(&feed(), Role::Backup).unwrap_err().to_string();
        assert!(error.contains("the active adapter of feed f"), "{error}");
    }

    #[test]
    fn a_grant_covers_the_sources_it_names() {
        let held = held();
        assert!(held.covers([Sid(1)].into_iter()));
        assert!(!held.covers([Sid(1), Sid(2)].into_iter()));
    }
}
