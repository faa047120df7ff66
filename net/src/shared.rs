//! How do two processes that trust each other share words of memory?
//!
//! Both may write every word, so either can spoil it for the other: for tools and measurements. What a stranger may
//! read is a [ring](crate::ring).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sync::AtomicU64;
use crate::sys::shared::{self, Mapping, Write};

/// Words that are the same for everybody who opened them; their number stays.
#[derive(Debug)]
pub struct SharedWords {
    mapping: Mapping<Write>,
    file: OwnedFd,
}

impl SharedWords {
    /// Makes `words` words, all zero, all of them there when this returns.
    ///
    /// # Errors
    /// What the kernel says; none at all cannot be made.
    pub fn create(words: usize) -> io::Result<Self> {
        let file = shared::create(c"twinfeed-shared", words as u64 * 8)?;
        shared::seal(file.as_fd(), shared::SIZE)?;
        Self::open(file)
    }

    /// Opens what another process made and handed over.
    ///
    /// # Errors
    /// What the kernel says; a file whose size may change is refused.
    pub fn open(file: OwnedFd) -> io::Result<Self> {
        let words = usize::try_from(shared::size(file.as_fd())? / 8);
        let words = words.map_err(|_| io::ErrorKind::InvalidInput)?;
        let mapping = Mapping::new(file.as_fd(), words)?;
        Ok(Self { mapping, file })
    }

    /// All words.
    pub fn words(&self) -> &[AtomicU64] {
        self.mapping.cells()
    }
}

impl AsFd for SharedWords {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(all(test, not(twinfeed_loom), not(miri)))]
mod tests {
    use super::*;
    use crate::sync::Ordering;

    #[test]
    fn what_one_writes_the_other_reads_and_back() {
        let one = SharedWords::create(3).unwrap();
        let other = SharedWords::open(one.as_fd().try_clone_to_owned().unwrap()).unwrap();
        one.words()[0].store(1, Ordering::Relaxed);
        other.words()[2].store(
            other.words()[0].load(Ordering::Relaxed) + 1,
            Ordering::Relaxed,
        );
        assert_eq!(one.words()[2].load(Ordering::Relaxed), 2);
        assert_eq!(other.words().len(), 3);
        assert!(SharedWords::create(0).is_err());
    }
}
