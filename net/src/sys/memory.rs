//! Where do arrays live that the kernel's headers point into?
//!
//! A batch header holds pointers to names, buffers and control bytes. They are written once, at
//! construction, and stay valid although the owner moves: the array sits on the heap and is only
//! ever reached through the one raw pointer it was leaked into.
//!
//! And how is the kernel told what memory is for?

use std::io;
use std::ptr::NonNull;

/// A heap array whose elements never move.
pub(super) struct Fixed<T> {
    /// Invariant: from `Box::leak` in [`Fixed::new`], and freed in `drop` only.
    raw: NonNull<[T]>,
}

// SAFETY: a `Fixed` owns its elements exactly as the `Box` it came from did, so sending it sends
// the elements. Pointers *stored in* the elements are the business of the type that stores them.
unsafe impl<T: Send> Send for Fixed<T> {}

impl<T> Fixed<T> {
    /// Moves `elements` to their final address.
    pub(super) fn new(elements: Vec<T>) -> Self {
        Self {
            raw: NonNull::from(Box::leak(elements.into_boxed_slice())),
        }
    }

    /// How many elements.
    pub(super) fn len(&self) -> usize {
        self.raw.len()
    }

    /// The address of the element at `index`, valid as long as `self` lives.
    ///
    /// # Panics
    /// If `index` is not below the length: a header would point outside the array.
    pub(super) fn address(&self, index: usize) -> *mut T {
        assert!(index < self.len(), "element {index} of {}", self.len());
        self.raw.cast::<T>().as_ptr().wrapping_add(index)
    }

    /// All elements; the borrow keeps every call that lets the kernel write away.
    pub(super) fn as_slice(&self) -> &[T] {
        // SAFETY: `raw` is a live, initialised array (invariant of the field); the kernel writes
        // to it only within methods of the owner that take `&mut self`, so nothing is written
        // while this shared borrow lives.
        unsafe { self.raw.as_ref() }
    }

    /// All elements, to write.
    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: `raw` is a live, initialised array (invariant of the field), and `&mut self`
        // excludes every other reference made by these methods.
        unsafe { self.raw.as_mut() }
    }
}

impl<T> Drop for Fixed<T> {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `Box::leak` (invariant of the field) and is given back once,
        // here; no reference outlives `self`.
        let owned = unsafe { Box::from_raw(self.raw.as_ptr()) };
        drop(owned);
    }
}

/// Eight bytes at an eight-byte address: the unit of a receive buffer and of a reader's copy, so that every slot whose
/// size is a multiple of eight begins aligned.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block([u8; Block::BYTES]);

impl Block {
    /// Bytes in one block.
    pub(crate) const BYTES: usize = 8;
    /// A block of zeros.
    pub(crate) const ZERO: Self = Self([0; Self::BYTES]);

    /// The bytes of a word, as they lie in memory.
    #[inline]
    pub(crate) const fn of(word: u64) -> Self {
        Self(word.to_ne_bytes())
    }
}

/// The bytes of `blocks`, in order.
pub(crate) fn bytes_of(blocks: &[Block]) -> &[u8] {
    let length = size_of_val(blocks);
    // SAFETY: `Block` is exactly eight initialised bytes without padding, so the same memory is a
    // valid `[u8]` of the same length in bytes, and the borrow of `blocks` is handed on.
    unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast::<u8>(), length) }
}

/// What the kernel is to do about a range of memory; none of it changes a byte.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Advice {
    /// Back it with huge pages where it can (`MADV_HUGEPAGE`).
    HugePages,
    /// Have every page ready to be written (`MADV_POPULATE_WRITE`, Linux 5.14).
    Populate,
}

/// Advises on the whole huge pages within `memory` (madvise(2)); on nothing if there is none.
pub(crate) fn advise<T>(memory: &mut [T], advice: Advice) -> io::Result<()> {
    let bytes = size_of_val(memory);
    let start = memory.as_mut_ptr().cast::<u8>();
    let before = start.align_offset(HUGE_PAGE);
    let length = bytes.saturating_sub(before) / HUGE_PAGE * HUGE_PAGE;
    if length == 0 {
        return Ok(());
    }
    let advice = match advice {
        Advice::HugePages => libc::MADV_HUGEPAGE,
        Advice::Populate => libc::MADV_POPULATE_WRITE,
    };
    // SAFETY: the range begins at a multiple of every page size up to 2 MiB and lies within `memory`
    // (`before + length` is at most `bytes`), which is ours alone for the call. Both advices leave every
    // byte as it is: one is about the size of pages, the other gives pages to what has none, as a write of
    // what stands there would. The kernel keeps no pointer.
    let result = unsafe { libc::madvise(start.wrapping_add(before).cast(), length, advice) };
    super::check(result).map(|_| ())
}

/// Begins to fetch what `of` refers to into the nearest cache, without waiting for it; where no such instruction is known,
/// nothing.
#[inline(always)]
pub(crate) fn prefetch<T>(of: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint: nothing is read or written as far as the program can tell, and the address is a reference's.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(of).cast()) }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    {
        let _ = of;
    }
}

/// Collapses the whole huge pages within `range`, addresses of this process's own writable memory, into huge
/// pages (madvise(2), `MADV_COLLAPSE`, Linux 6.1); on nothing if there is none.
pub(crate) fn collapse(range: core::ops::Range<usize>) -> io::Result<()> {
    let start = range.start.next_multiple_of(HUGE_PAGE);
    let length = range.end.saturating_sub(start) / HUGE_PAGE * HUGE_PAGE;
    if length == 0 {
        return Ok(());
    }
    // SAFETY: the advice leaves every byte as it is, also for who reads and writes there meanwhile: the kernel
    // copies a page while nobody can see it, as it does by itself for `always`. An address that is not (any
    // more) mapped is an error and nothing else. The kernel keeps no pointer.
    let result = unsafe {
        libc::madvise(
            std::ptr::without_provenance_mut::<libc::c_void>(start),
            length,
            MADV_COLLAPSE,
        )
    };
    super::check(result).map(|_| ())
}

/// Has the allocator map every piece of so many bytes and more by itself, and unmap it when it is freed (mallopt(3),
/// `M_MMAP_THRESHOLD`). `false`: it is another one than glibc's, or refuses.
pub(crate) fn map_from(bytes: libc::c_int) -> bool {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a parameter of the allocator, under its own lock; what is allocated stays as it is.
    let set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, bytes) == 1 };
    #[cfg(not(target_env = "gnu"))]
    let set = {
        let _ = bytes;
        false
    };
    set
}

/// `include/uapi/asm-generic/mman-common.h`; crate `libc` has it for some targets only.
const MADV_COLLAPSE: libc::c_int = 25;

/// Bytes of a huge page on the hosts we know; elsewhere a multiple of the page size all the same.
const HUGE_PAGE: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_a_move_of_the_owner() {
        let mut fixed = Fixed::new(vec![1_u32, 2, 3]);
        let before = fixed.address(2);
        fixed.as_mut_slice()[2] = 9;
        let moved = Box::new(fixed);
        assert_eq!(before, moved.address(2));
        assert_eq!(moved.as_slice(), [1, 2, 9]);
        assert_eq!(moved.len(), 3);
    }

    #[test]
    #[should_panic(expected = "element 3 of 3")]
    fn an_address_outside_the_array_is_refused() {
        let _ = Fixed::new(vec![1_u32, 2, 3]).address(3);
    }

    #[test]
    fn blocks_are_their_bytes_at_aligned_addresses() {
        let blocks = [Block([1; 8]), Block([2; 8])];
        let bytes = bytes_of(&blocks);
        assert_eq!(bytes, [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2]);
        assert_eq!(bytes.as_ptr().align_offset(8), 0);
    }
}
