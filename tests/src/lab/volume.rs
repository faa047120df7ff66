//! How does a disk get full?
//!
//! A small file system in memory, mounted in the cage over one folder, and one file that takes what is left of it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use twinfeed_harness::Error;

use super::cage;

/// What is written at a time, bytes: less than anybody's file.
const GRAIN: usize = 512;

/// A small file system.
#[derive(Debug)]
pub struct Volume {
    at: PathBuf,
}

impl Volume {
    /// Mounts one of so many mebibytes at `at`, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn mount(at: &Path, mebibytes: u32) -> Result<Self, Error> {
        fs::create_dir_all(at).map_err(failed("make", at))?;
        cage::mount(at, &format!("size={mebibytes}m"))
            .map_err(|fault| failed("mount", at)(io::Error::other(fault)))?;
        Ok(Self { at: at.to_owned() })
    }

    /// Takes all that is left; returns how many bytes that were. The file system said itself that it is full then.
    ///
    /// # Errors
    /// When it fails otherwise.
    pub fn fill(&self) -> Result<u64, Error> {
        let path = self.filler();
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(failed("write", &path))?;
        let mut taken = 0;
        for grain in [1 << 20, 4_096, GRAIN] {
            let bytes = vec![0x55; grain];
            loop {
                match file.write(&bytes) {
                    Ok(count) => taken += count as u64,
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(failed("fill", &path)(error)),
                }
            }
        }
        Ok(taken)
    }

    /// Gives it back.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn free(&self) -> Result<(), Error> {
        let path = self.filler();
        fs::remove_file(&path).map_err(failed("remove", &path))
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Whoever has files open there keeps it alive until then; the cage ends it otherwise.
        let mut command = std::process::Command::new("umount");
        let _ = command.arg("--lazy").arg(&self.at).status();
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File {
        action,
        path,
        source,
    }
}
