//! Do two processes run on the same host, and for the same user?

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

/// Names this boot of this host: 36 characters, alike in all of its containers (proc(5), `random/boot_id`).
///
/// # Errors
/// What the kernel says; `/proc` may be hidden.
pub fn boot_id() -> io::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(text.trim().to_owned())
}

/// The effective user of this process, as [`crate::ring::Peer`] tells it of others.
///
/// # Errors
/// What the kernel says: there is no descriptor left, most likely.
pub fn user() -> io::Result<u32> {
    let (one, _other) = UnixStream::pair()?;
    Ok(crate::sys::pass::peer(one.as_fd())?.user)
}

#[cfg(test)]
#[cfg(not(any(twinfeed_loom, miri)))]
mod tests {
    use super::*;

    #[test]
    fn a_boot_has_one_name() {
        let name = boot_id().unwrap();
        assert_eq!((name.len(), boot_id().unwrap()), (36, name));
    }

    #[test]
    fn a_file_that_this_process_made_is_its_user_s() {
        use std::os::unix::fs::MetadataExt as _;

        let own = std::fs::metadata("/proc/self/stat").unwrap();
        assert_eq!(user().unwrap(), own.uid());
    }
}
