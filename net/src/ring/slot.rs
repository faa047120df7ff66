//! How is a datagram written where others read meanwhile, and how do they know that they read it whole?
//!
//! Each slot has a stamp: `2n + 1` from when it is open for datagram `n`, `2n + 2` once that is whole. The stamp stands in
//! the datagram's first line, so whoever polls it has that line when it changes.
//!
//! ```text
//! writer   open slots n, n+1 │ words of n, relaxed │ stamp of n = 2n+2, release │ stamp of n+2 = 2n+5 │ fence(release) │ …
//! reader   stamp = 2n+2? │ fence(acquire) │ words, relaxed │ fence(acquire) │ stamp = 2n+2 still?
//! ```
//!
//! A reader that saw a word of a later datagram sees that one's odd stamp behind its second fence, for the writer's fence
//! stands between the two (Boehm: "Can Seqlocks Get Along with Programming Language Memory Models?", 2012, section 4; the
//! words themselves are atomics, so nothing here is a data race; where bodies are copied by instructions of the processor's, `sys::lines` says why that is as
//! good). A reader never stores.
//!
//! Readers poll the next datagram's first line, and each look takes it away from the writer. So a slot is opened before it
//! is the one they look at, its other lines are fetched before they are needed, and the first line is written last: then that
//! one goes from the writer to a reader once per datagram. The price is that the ring holds less than it has slots, by as many
//! as are open.
//!
//! A reader that has to wait asks for the lines behind the first one as well, as many as the datagram before filled. Otherwise it would ask for
//! them when it has seen the stamp, and wait a second time for the other core.

use super::error::Broken;
use super::layout::{AHEAD, Geometry, LINE, NEXT_AT, SLOT_HEADER};
use crate::sync::{AtomicU64, Ordering, fence};
use crate::sys::lines::put;
use crate::sys::memory::Block;
use crate::sys::prefetch::to_write;
use crate::sys::shared::Words;

/// Numbers from here on are lies: at a billion a second it takes 146 years to count so far.
pub(super) const NO_NUMBER: u64 = 1 << 62;

/// How far ahead of what is written lines are fetched: further than what is open.
const FETCHED: u64 = 2 * AHEAD;

const fn being_written(number: u64) -> u64 {
    2 * number + 1
}

const fn whole(number: u64) -> u64 {
    2 * number + 2
}

/// Opens the slot of datagram `number`.
#[inline]
fn open(cells: &[AtomicU64], geometry: &Geometry, number: u64) {
    cells[geometry.slot(number)].store(being_written(number), Ordering::Relaxed);
    fence(Ordering::Release);
}

/// Opens the first slots of a new ring.
///
/// # Panics
/// If `cells` are fewer than `geometry` says.
pub(super) fn begin(cells: &[AtomicU64], geometry: &Geometry) {
    (0..AHEAD).for_each(|number| open(cells, geometry, number));
}

/// Writes datagram `number`, whose slot is open, and opens the next one's.
///
/// # Panics
/// If it is longer than `geometry` allows, or `cells` are fewer.
#[inline]
pub(super) fn write(cells: &[AtomicU64], geometry: &Geometry, number: u64, datagram: &[u8]) {
    let at = geometry.slot(number);
    let slot = &cells[at..at + geometry.slot_words()];
    let (words, rest) = datagram.as_chunks::<8>();
    let (full, behind) = slot[SLOT_HEADER..].split_at(words.len());
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        behind[0].store(u64::from_ne_bytes(last), Ordering::Relaxed);
    }
    let first = full.len().min(LINE - SLOT_HEADER);
    put(&words[first..], &full[first..]);
    put(&words[..first], &full[..first]);
    slot[1].store(datagram.len() as u64, Ordering::Relaxed);
    slot[0].store(whole(number), Ordering::Release);
    // For who joins or was lapped; nobody who keeps up looks there.
    cells[NEXT_AT].store(number + 1, Ordering::Relaxed);
    open(cells, geometry, number + AHEAD);
    // Later datagrams may well be as long.
    let later = &cells[geometry.slot(number + FETCHED)..];
    for line in 0..lines(datagram.len()) {
        to_write(&later[line * LINE]);
    }
}

/// What a reader found in a slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// The datagram, of so many bytes, is in the reader's own memory.
    Whole(usize),
    /// It is not there yet.
    Nothing,
    /// A later one stands there, or is being written there.
    Passed {
        /// Its number.
        by: u64,
    },
}

/// Copies datagram `number` into `own`, if it is there.
///
/// `own` holds at least the longest datagram.
#[inline]
pub(super) fn read(
    words: Words<'_>,
    geometry: &Geometry,
    number: u64,
    own: &mut [Block],
) -> Result<Found, Broken> {
    let slot = words.part(geometry.slot(number), geometry.slot_words());
    let stamp = slot.load(0);
    if stamp != whole(number) {
        return other(geometry, number, stamp);
    }
    fence(Ordering::Acquire);
    let length = slot.load(1);
    // Whoever was passed meanwhile may see the length of a later datagram; no length is too long by that.
    let Some(bytes) = usize::try_from(length)
        .ok()
        .filter(|&bytes| bytes <= geometry.longest())
    else {
        let longest = geometry.longest();
        return Err(Broken::Length { length, longest });
    };
    let datagram = slot.part(SLOT_HEADER, bytes.div_ceil(8));
    datagram.copy_to(own);
    fence(Ordering::Acquire);
    match slot.load(0) {
        stamp if stamp == whole(number) => Ok(Found::Whole(bytes)),
        stamp => other(geometry, number, stamp),
    }
}

/// Lines of a slot that a datagram of so many bytes fills.
#[inline]
pub(super) const fn lines(bytes: usize) -> usize {
    (SLOT_HEADER + bytes.div_ceil(8)).div_ceil(LINE)
}

/// Fetches the first lines of the slot in which datagram `number` is waited for, but the very first, which was looked at.
#[inline]
pub(super) fn fetch(words: Words<'_>, geometry: &Geometry, number: u64, lines: usize) {
    let at = geometry.slot(number);
    for line in 1..lines {
        words.fetch(at + line * LINE);
    }
}

/// What a stamp says that is not the one looked for.
#[inline]
fn other(geometry: &Geometry, expected: u64, stamp: u64) -> Result<Found, Broken> {
    if stamp <= being_written(expected) {
        return Ok(Found::Nothing);
    }
    let by = (stamp - 1) / 2;
    let laps = (by - expected) % geometry.slots() as u64;
    if laps != 0 || by >= NO_NUMBER {
        return Err(Broken::Stamp { stamp, expected });
    }
    Ok(Found::Passed { by })
}
