//! How are words copied, of which others may write or read some meanwhile, without a step for each?
//!
//! Whoever copies them does not rely on what comes of it before it has looked at something else again: a copy may be of words of different times, and
//! a word of pieces of two. Where the language's memory model runs itself (Miri, loom), and on processors that are not known here, each word is one
//! relaxed access.
//!
//! On x86-64 a line of eight words is four loads and four stores of sixteen bytes. They are in the order of all others of a core that is not writing around
//! its caches: what was stored later is not seen without what was stored before (AMD64 Architecture Programmer's Manual, volume 2, section 7.2), which is
//! what acquire and release come to there; no instruction stands for those fences, and no compiler moves an access past the block.

use super::memory::Block;
use crate::sync::{AtomicU64, Ordering};

/// Words of a line.
const LINE: usize = 8;

/// Copies words that others may write meanwhile, as many as both have.
#[inline]
pub(crate) fn take(from: &[AtomicU64], to: &mut [Block]) {
    let count = from.len().min(to.len());
    let (from, to) = (&from[..count], &mut to[..count]);
    let moved = count / LINE * LINE;
    // SAFETY: both are `count` words long, `to` is ours alone and of bytes that may be anything; of `from` we hold a shared borrow of cells that may be
    // written meanwhile, which the block tolerates.
    let moved = unsafe { move_lines(from.as_ptr().cast(), to.as_mut_ptr().cast(), moved) };
    for (block, word) in to[moved..].iter_mut().zip(&from[moved..]) {
        *block = Block::of(word.load(Ordering::Relaxed));
    }
}

/// Copies into words that others may read meanwhile, as many as both have.
#[inline]
pub(crate) fn put(from: &[[u8; 8]], to: &[AtomicU64]) {
    let count = from.len().min(to.len());
    let (from, to) = (&from[..count], &to[..count]);
    let moved = count / LINE * LINE;
    // SAFETY: both are `count` words long; `to` are cells, which a shared borrow may write, and of which others see any state of eight bytes as a valid one.
    let moved = unsafe { move_lines(from.as_ptr().cast(), to.as_ptr().cast_mut().cast(), moved) };
    for (cell, word) in to[moved..].iter().zip(&from[moved..]) {
        cell.store(u64::from_ne_bytes(*word), Ordering::Relaxed);
    }
}

/// Copies so many words, whole lines of them; answers how many it did, all or none.
///
/// # Safety
/// `from` and `to` are valid for that many words, `to` for writing, and do not overlap. Whoever else accesses them meanwhile takes words as they come.
#[cfg(all(target_arch = "x86_64", not(miri), not(twinfeed_loom)))]
#[inline]
unsafe fn move_lines(from: *const u8, to: *mut u8, words: usize) -> usize {
    let mut at = 0;
    while at < words {
        // SAFETY: `at` and the seven words behind it are below `words`, for which both are valid by the caller's word. SSE2 is part of x86-64. No flag is
        // changed and no stack used.
        unsafe {
            core::arch::asm!(
                "movups {a}, [{from}]",
                "movups {b}, [{from} + 16]",
                "movups {c}, [{from} + 32]",
                "movups {d}, [{from} + 48]",
                "movups [{to}], {a}",
                "movups [{to} + 16], {b}",
                "movups [{to} + 32], {c}",
                "movups [{to} + 48], {d}",
                from = in(reg) from.add(8 * at),
                to = in(reg) to.add(8 * at),
                a = out(xmm_reg) _,
                b = out(xmm_reg) _,
                c = out(xmm_reg) _,
                d = out(xmm_reg) _,
                options(nostack, preserves_flags)
            );
        }
        at += LINE;
    }
    words
}

/// No line is copied as one.
///
/// # Safety
/// None is needed.
#[cfg(not(all(target_arch = "x86_64", not(miri), not(twinfeed_loom))))]
unsafe fn move_lines(_: *const u8, _: *mut u8, _: usize) -> usize {
    0
}

#[cfg(all(test, not(twinfeed_loom)))]
mod tests {
    use super::*;
    use crate::sys::memory::bytes_of;

    #[test]
    fn as_many_words_are_copied_as_both_have() {
        for here in 0..40_usize {
            for there in [0, 1, 7, 8, 9, 16, 25, here] {
                let words: Vec<[u8; 8]> = (1..=here as u64).map(u64::to_ne_bytes).collect();
                let cells: Vec<AtomicU64> = (0..there).map(|_| AtomicU64::new(99)).collect();
                put(&words, &cells);
                let mut own = vec![Block::of(77); 25];
                take(&cells, &mut own);
                let both = here.min(there);
                let want: Vec<u8> = (0..own.len())
                    .map(|index| match index {
                        _ if index >= there => 77,
                        _ if index >= both => 99,
                        _ => index as u64 + 1,
                    })
                    .flat_map(u64::to_ne_bytes)
                    .collect();
                assert_eq!(bytes_of(&own), want, "{here} {there}");
            }
        }
    }
}
