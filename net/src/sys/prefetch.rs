//! How does a core come by a cache line before it writes there?

use crate::sync::AtomicU64;

/// Has the line of `word` fetched for writing: other cores' copies of it end, and no byte changes. Where the processor or
/// the build knows no such hint it does nothing.
#[inline]
pub(crate) fn to_write(word: &AtomicU64) {
    #[cfg(all(target_arch = "x86_64", not(miri), not(twinfeed_loom)))]
    // SAFETY: PREFETCHW (AMD64 Architecture Programmer's Manual, volume 3) is a hint: it changes no memory, register or
    // flag and raises no fault; processors of 64 bits that do not know it take it for a NOP.
    unsafe {
        core::arch::asm!(
            "prefetchw [{}]",
            in(reg) std::ptr::from_ref(word),
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri), not(twinfeed_loom))))]
    let _ = word;
}
