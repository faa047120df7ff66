//! How does a large table cost few page faults, and little at its process's end?
//!
//! The kernel frees memory page by page, 200 MiB in pages of 4 KiB for 7 to 30 ms of a core, in huge pages
//! for a fraction of that. The news of a death does not wait for it as long as a companion holds the memory
//! (see [`crate::parting`]): then somebody pays later, on a core with nothing to do, and huge pages make that
//! cheap. Where there is no companion, the kernel frees first and closes the sockets after, and the size
//! of the pages decides how late peers hear of the death.
//!
//! A huge page in turn is expensive to touch first (0.2 ms, several where a hypervisor has to find it), so
//! that happens here, at the start, and not under the first message that needs it.

use std::ops::Range;
use std::{fs, io};

use crate::sys::memory::{self, Advice, advise, collapse, map_from};

/// Asks for huge pages behind `memory` and has them ready when it returns; the contents stay as they are.
///
/// Returns whether it did. `false` where the host gives none (`transparent_hugepage/enabled` is `never`):
/// then nothing is touched, since small pages are cheaper one by one.
///
/// # Errors
/// What the kernel says; everything works without it.
pub fn prepare<T>(memory: &mut [T]) -> io::Result<bool> {
    if !gives_huge_pages() {
        return Ok(false);
    }
    advise(memory, Advice::HugePages)?;
    match advise(memory, Advice::Populate) {
        // Before Linux 5.14: the pages are huge, and touched as they are needed.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(true),
        populated => populated.map(|()| true),
    }
}

/// Begins to fetch the line that `of` begins in, and waits for nothing: for who knows some hundred nanoseconds before that it
/// will be needed. On hosts other than x86-64 it does nothing.
#[inline(always)]
pub fn prefetch<T>(of: &T) {
    memory::prefetch(of);
}

/// Has tables and buffers of a mebibyte and more given back to the kernel when they are freed. By itself glibc's allocator
/// takes the first such piece that is freed for a sign that the next ones are better kept, so that a process which replaces
/// a table now and then holds on to one more of them for good. To be said before they are made. Returns whether it was;
/// `false` with another allocator.
pub fn give_back_what_is_large() -> bool {
    map_from(LARGE)
}

const LARGE: i32 = 1 << 20;

/// Gathers the heap, as it is now, into huge pages: for a process that has allocated all that it will need.
/// What was set aside and not touched yet is resident from now on. Returns whether it did; `false` where the
/// host gives no huge pages.
///
/// # Errors
/// What the kernel says, before Linux 6.1 that it does not know how; everything works without it.
pub fn gather_heap() -> io::Result<bool> {
    if !gives_huge_pages() {
        return Ok(false);
    }
    match heap()? {
        Some(heap) => collapse(heap).map(|()| true),
        None => Ok(false),
    }
}

/// Where the heap lies, by proc_pid_maps(5); large allocations and other threads' arenas are elsewhere.
fn heap() -> io::Result<Option<Range<usize>>> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let line = maps.lines().find(|line| line.ends_with("[heap]"));
    Ok(line.and_then(|line| {
        let (from, until) = line.split_once(' ')?.0.split_once('-')?;
        let bound = |text| usize::from_str_radix(text, 16).ok();
        Some(bound(from)?..bound(until)?)
    }))
}

fn gives_huge_pages() -> bool {
    fs::read_to_string(SETTING).is_ok_and(|text| !text.contains("[never]"))
}

/// `always [madvise] never`, with the one in force in brackets.
const SETTING: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

#[cfg(test)]
mod tests {
    use super::*;

    /// Flags and resident bytes of the mapping around an address, by `/proc/self/smaps`.
    fn mapping(address: usize) -> (String, usize) {
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        let (mut inside, mut resident) = (false, 0);
        for line in maps.lines() {
            let head = line.split_once(' ').map_or("", |(head, _)| head);
            if let Some((from, until)) = head.split_once('-') {
                let bound = |text| usize::from_str_radix(text, 16).unwrap();
                inside = (bound(from)..bound(until)).contains(&address);
            } else if inside && head == "Rss:" {
                let kib = line.split_whitespace().nth(1).unwrap();
                resident = kib.parse::<usize>().unwrap() << 10;
            } else if inside && head == "VmFlags:" {
                return (line.to_owned(), resident);
            }
        }
        panic!("{address:x} is not mapped");
    }

    #[test]
    fn a_prepared_table_is_there_in_huge_pages_and_says_what_it_said() {
        const BYTES: usize = 16 << 20;
        let mut table = vec![0_u64; BYTES / 8];
        table[BYTES / 16] = 7;
        let prepared = prepare(&mut table).unwrap();
        assert_eq!(prepared, gives_huge_pages());
        let (flags, resident) = mapping(table.as_ptr().addr() + BYTES / 2);
        assert_eq!(
            flags.split(' ').any(|flag| flag == "hg"),
            prepared,
            "{flags}"
        );
        if prepared {
            assert!(resident >= BYTES - (4 << 20), "{resident}");
        }
        let sum: u64 = table.iter().sum();
        assert_eq!((table[BYTES / 16], sum), (7, 7));
    }

    #[test]
    fn a_gathered_heap_says_what_it_said() {
        // Small enough for the heap, together more than two huge pages.
        let blocks: Vec<Box<[u64]>> = (0..500)
            .map(|n| vec![n; 2_000].into_boxed_slice())
            .collect();
        let gathered = gather_heap();
        let sum: u64 = blocks.iter().flatten().sum();
        assert_eq!(sum, 2_000 * 499 * 500 / 2);
        match gathered {
            Ok(gathered) => assert_eq!(gathered, gives_huge_pages() && heap().unwrap().is_some()),
            // A kernel before 6.1, or one that has no huge page left.
            Err(error) => println!("not gathered: {error}"),
        }
    }

    #[test]
    fn what_is_smaller_than_a_huge_page_is_left_alone() {
        assert!(prepare::<u8>(&mut []).is_ok());
        assert!(prepare(&mut [1_u8, 2, 3]).is_ok());
    }
}
