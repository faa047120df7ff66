//! How do processes share memory of which nobody can cut a piece away?
//!
//! A file without a name (memfd_create(2)) has *seals*: once set, the kernel refuses what they forbid to everybody, its
//! maker included, and nobody takes them off again (fcntl(2), "File Sealing"). What must not shrink is looked up before it
//! is mapped, so that no later access can meet the end of the file (SIGBUS).
//!
//! ```text
//! SHRINK, GROW   the size is for ever            FUTURE_WRITE   no new way to write: not by the file, not by a mapping
//! SEAL           the seals are for ever                         of it; mappings that write already go on (Linux 5.1)
//! ```

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr::NonNull;

use super::lines;
use super::memory::Block;
use crate::sync::{AtomicU64, Ordering};

/// The size stays.
pub(crate) const SIZE: Seals = Seals(libc::F_SEAL_SHRINK | libc::F_SEAL_GROW);
/// The size stays, and so does who may write: whoever does by now. No seal can be added.
pub(crate) const SIZE_AND_WRITERS: Seals =
    Seals(SIZE.0 | libc::F_SEAL_FUTURE_WRITE | libc::F_SEAL_SEAL);

/// What the kernel refuses from now on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seals(libc::c_int);

impl Seals {
    /// Whether all of `other` are set.
    pub(crate) fn contain(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A file without a name, of so many bytes, all zero, of which every page is there: no access can find the host out of
/// memory. `name` shows in `/proc`.
pub(crate) fn create(name: &CStr, bytes: u64) -> io::Result<OwnedFd> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    let file = match memfd(name, flags | libc::MFD_NOEXEC_SEAL) {
        // Before Linux 6.3 nobody could say that a file holds no program.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => memfd(name, flags),
        made => made,
    }?;
    let file = File::from(file);
    file.set_len(bytes)?;
    let length = libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the descriptor is open for the call, which touches no memory of ours.
    let result = unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, length) };
    super::check(result)?;
    Ok(file.into())
}

fn memfd(name: &CStr, flags: libc::c_uint) -> io::Result<OwnedFd> {
    // SAFETY: `name` is a live, terminated string that the kernel copies.
    let result = unsafe { libc::memfd_create(name.as_ptr(), flags) };
    let descriptor = super::check(result)?;
    // SAFETY: the call above made the descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Sets seals.
pub(crate) fn seal(file: BorrowedFd<'_>, seals: Seals) -> io::Result<()> {
    // SAFETY: the descriptor is open for the call, and the argument is an integer.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals.0) };
    super::check(result).map(|_| ())
}

/// The seals that are set; an error for a file that cannot have any.
pub(crate) fn seals(file: BorrowedFd<'_>) -> io::Result<Seals> {
    // SAFETY: the descriptor is open for the call, which touches no memory of ours.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
    super::check(result).map(Seals)
}

/// What a mapping may do.
pub(crate) trait Access {
    const PROTECTION: libc::c_int;
}

/// Loads alone.
#[derive(Debug)]
pub(crate) enum Read {}

/// Loads and stores.
#[derive(Debug)]
pub(crate) enum Write {}

impl Access for Read {
    const PROTECTION: libc::c_int = libc::PROT_READ;
}

impl Access for Write {
    const PROTECTION: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;
}

/// Memory that other processes may map, too, as words of eight bytes.
#[derive(Debug)]
pub(crate) struct Mapping<A> {
    /// Invariant: the start of a mapping of `words` words made in [`Mapping::new`], of a file that cannot shrink; unmapped
    /// in `drop` only.
    start: NonNull<AtomicU64>,
    words: usize,
    access: PhantomData<A>,
}

// SAFETY: what is mapped is reached through atomics alone, which threads may share; the mapping belongs to the process.
unsafe impl<A> Send for Mapping<A> {}
// SAFETY: as above.
unsafe impl<A> Sync for Mapping<A> {}

impl<A: Access> Mapping<A> {
    /// The first `words` words of `file`, with every page looked up.
    ///
    /// # Errors
    /// What the kernel says. `InvalidInput`: nothing is to be mapped, the file may yet shrink, or it is shorter.
    pub(crate) fn new(file: BorrowedFd<'_>, words: usize) -> io::Result<Self> {
        let bytes = words
            .checked_mul(size_of::<u64>())
            .filter(|&bytes| bytes > 0)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let held = size(file)?;
        if !seals(file)?.contain(SIZE) || held < bytes as u64 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the kernel chooses the place (no `MAP_FIXED`), so no memory of ours is replaced; the length is not zero.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                A::PROTECTION,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // A successful mmap(2) without `MAP_FIXED` never gives address zero.
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            start,
            words,
            access: PhantomData,
        })
    }

    /// All words. A model of threads has words of its own.
    #[cfg(not(twinfeed_loom))]
    fn all(&self) -> &[AtomicU64] {
        // SAFETY: `start` is the page-aligned start of `words` words that stay mapped while `self` lives, of a file that
        // cannot shrink (invariant of the field); any eight bytes are a valid `AtomicU64`. Whoever writes there meanwhile,
        // here or in another process, is met by atomic accesses, or by copies that tolerate any state of the words ([`lines`]). Where the mapping is for reading, [`Words`] lets out
        // nothing but relaxed loads of eight bytes and such copies, which never write (`std::sync::atomic`, "Atomic accesses to read-only
        // memory").
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }

    #[cfg(twinfeed_loom)]
    fn all(&self) -> &[AtomicU64] {
        unreachable!("a model of threads maps nothing")
    }

    /// The words, to read.
    pub(crate) fn words(&self) -> Words<'_> {
        Words(self.all())
    }
}

impl Mapping<Write> {
    /// The words, to read and write.
    pub(crate) fn cells(&self) -> &[AtomicU64] {
        self.all()
    }
}

impl<A> Drop for Mapping<A> {
    fn drop(&mut self) {
        let bytes = self.words * size_of::<u64>();
        // SAFETY: exactly what `new` mapped (invariant of the field), once; every borrow of it has ended.
        unsafe { libc::munmap(self.start.as_ptr().cast(), bytes) };
    }
}

/// Bytes of a file.
pub(crate) fn size(file: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(File::from(file.try_clone_to_owned()?).metadata()?.len())
}

/// Words that can be loaded, relaxed, or copied out, and nothing else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words<'m>(&'m [AtomicU64]);

impl<'m> Words<'m> {
    /// Words of this process, for tests and models.
    #[cfg(test)]
    pub(crate) fn of(cells: &'m [AtomicU64]) -> Self {
        Self(cells)
    }

    /// The word at `index`.
    ///
    /// # Panics
    /// If there is none.
    #[inline]
    pub(crate) fn load(self, index: usize) -> u64 {
        self.0[index].load(Ordering::Relaxed)
    }

    /// Those from `from` on, `length` of them.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline]
    pub(crate) fn part(self, from: usize, length: usize) -> Self {
        Self(&self.0[from..from + length])
    }

    /// Has the line of the word at `index` fetched, for who will load it.
    ///
    /// # Panics
    /// If there is none.
    #[inline]
    pub(crate) fn fetch(self, index: usize) {
        super::memory::prefetch(&self.0[index]);
    }

    /// Copies them, as many as both have; what is written meanwhile may be of it or not.
    #[inline]
    pub(crate) fn copy_to(self, own: &mut [Block]) {
        lines::take(self.0, own);
    }

    /// How many.
    pub(crate) fn len(self) -> usize {
        self.0.len()
    }
}

#[cfg(all(test, not(twinfeed_loom), not(miri)))]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn what_one_mapping_writes_another_reads() {
        let file = create(c"twinfeed-test", 64).unwrap();
        seal(file.as_fd(), SIZE).unwrap();
        let (writing, reading) = (
            Mapping::<Write>::new(file.as_fd(), 8).unwrap(),
            Mapping::<Read>::new(file.as_fd(), 8).unwrap(),
        );
        writing.cells()[7].store(9, Ordering::Relaxed);
        assert_eq!(reading.words().load(7), 9);
        let mut own = [Block::ZERO; 8];
        reading.words().copy_to(&mut own);
        let nine = [[0; 56].as_slice(), &9_u64.to_ne_bytes()].concat();
        assert_eq!(crate::sys::memory::bytes_of(&own), nine);
    }

    #[test]
    fn what_may_shrink_or_is_shorter_is_not_mapped() {
        let file = create(c"twinfeed-test", 64).unwrap();
        assert!(Mapping::<Read>::new(file.as_fd(), 8).is_err(), "not sealed");
        seal(file.as_fd(), SIZE).unwrap();
        assert!(Mapping::<Read>::new(file.as_fd(), 9).is_err(), "shorter");
        assert!(Mapping::<Read>::new(file.as_fd(), 0).is_err());
        assert!(Mapping::<Read>::new(file.as_fd(), usize::MAX).is_err());
        assert!(Mapping::<Read>::new(file.as_fd(), 8).is_ok());
        let other = OwnedFd::from(File::open("/dev/zero").unwrap());
        assert!(
            Mapping::<Read>::new(other.as_fd(), 8).is_err(),
            "cannot be sealed"
        );
    }

    #[test]
    fn who_comes_behind_the_seals_can_neither_write_nor_cut() {
        let file = create(c"twinfeed-test", 64).unwrap();
        seal(file.as_fd(), SIZE).unwrap();
        let writing = Mapping::<Write>::new(file.as_fd(), 8).unwrap();
        seal(file.as_fd(), SIZE_AND_WRITERS).unwrap();
        assert!(seals(file.as_fd()).unwrap().contain(SIZE_AND_WRITERS));
        assert!(Mapping::<Write>::new(file.as_fd(), 8).is_err());
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // Whether it may be opened so is a matter of its mode; that nothing comes of it is not.
        if let Ok(opened) = File::options().write(true).open(path) {
            use std::io::Write as _;
            assert!((&opened).write(&[1]).is_err());
            assert!(opened.set_len(8).is_err());
        }
        writing.cells()[0].store(1, Ordering::Relaxed);
        assert_eq!(
            Mapping::<Read>::new(file.as_fd(), 8)
                .unwrap()
                .words()
                .load(0),
            1
        );
    }
}
