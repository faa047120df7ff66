//! How is an open file handed to another process of this host, and who is that process's user?
//!
//! A message on a Unix socket carries descriptors beside its bytes (unix(7), `SCM_RIGHTS`); the kernel opens them anew for
//! whoever receives it. One message carries one here. The ancillary bytes are those of cmsg(3):
//!
//! ```text
//! 0 length: 20 (word, header included) │ level (4) │ type (4) │ descriptor (4)
//! ```

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use super::receive::empty_header;

const HEADER: usize = size_of::<libc::cmsghdr>();
/// Ancillary bytes of one descriptor; offered as room, they have none for a second (`CMSG_LEN`, not `CMSG_SPACE`).
const ONE: usize = HEADER + size_of::<RawFd>();

/// Ancillary bytes at the alignment of their header.
#[repr(C, align(8))]
struct Ancillary([u8; ONE.next_multiple_of(8)]);

impl Ancillary {
    const EMPTY: Self = Self([0; ONE.next_multiple_of(8)]);

    fn of(file: RawFd) -> Self {
        let mut ancillary = Self::EMPTY;
        let Self(bytes) = &mut ancillary;
        let mut put = |at: usize, word: &[u8]| bytes[at..at + word.len()].copy_from_slice(word);
        // The length is a `size_t` with glibc and has padding behind four bytes with musl: the same word on a
        // little-endian host.
        put(0, &ONE.to_ne_bytes());
        put(
            offset_of!(libc::cmsghdr, cmsg_level),
            &libc::SOL_SOCKET.to_ne_bytes(),
        );
        put(
            offset_of!(libc::cmsghdr, cmsg_type),
            &libc::SCM_RIGHTS.to_ne_bytes(),
        );
        put(HEADER, &file.to_ne_bytes());
        ancillary
    }

    /// The descriptor, if the kernel has put one in: `length` bytes are filled.
    fn descriptor(&self, length: usize) -> Option<RawFd> {
        let Self(bytes) = self;
        let int = |at: usize| {
            let word = bytes.get(at..at + size_of::<libc::c_int>())?;
            word.try_into().ok().map(libc::c_int::from_ne_bytes)
        };
        let is_rights = int(offset_of!(libc::cmsghdr, cmsg_level)) == Some(libc::SOL_SOCKET)
            && int(offset_of!(libc::cmsghdr, cmsg_type)) == Some(libc::SCM_RIGHTS);
        (length >= ONE && is_rights).then(|| int(HEADER)).flatten()
    }
}

/// Sends `bytes`, which are not empty, with `file` beside them, without waiting.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8], file: BorrowedFd<'_>) -> io::Result<()> {
    let mut ancillary = Ancillary::of(file.as_raw_fd());
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut header = empty_header().msg_hdr;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut ancillary).cast();
    header.msg_controllen = ONE as _;
    // SAFETY: `header` is live and points to one live part, to bytes and to ancillary bytes of the lengths stated beside
    // them, all of which are only read; both descriptors are open for the call.
    let sent = unsafe {
        libc::sendmsg(
            socket.as_raw_fd(),
            &raw const header,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    match sent {
        ..0 => Err(io::Error::last_os_error()),
        sent if sent as usize == bytes.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Receives into `bytes`, without waiting: how many, and the file beside them. Nothing at all is the end.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut ancillary = Ancillary::EMPTY;
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut header = empty_header().msg_hdr;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut ancillary).cast();
    header.msg_controllen = ONE as _;
    // SAFETY: `header` is live and points to one live part, to bytes and to ancillary bytes of the lengths stated beside
    // them, all exclusively borrowed or local, which the kernel fills up to those lengths.
    let received = unsafe {
        libc::recvmsg(
            socket.as_raw_fd(),
            &raw mut header,
            libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC,
        )
    };
    if received < 0 {
        return Err(io::Error::last_os_error());
    }
    #[allow(clippy::unnecessary_cast, reason = "32 bits wide with musl")]
    let filled = header.msg_controllen as usize;
    // SAFETY: the kernel made the descriptor for this call, and nobody else knows of it; there was room for one alone, so
    // none is forgotten.
    let file = ancillary
        .descriptor(filled)
        .map(|file| unsafe { OwnedFd::from_raw_fd(file) });
    Ok((received as usize, file))
}

/// Who opened the other end (socket(7), `SO_PEERCRED`): as it was when it connected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Peer {
    pub(crate) process: i32,
    pub(crate) user: u32,
    pub(crate) group: u32,
}

/// The other end of a connected Unix socket.
pub(crate) fn peer(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    let mut said = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `said` is a live local of `length` bytes, three integers of which every pattern is a value.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut said).cast(),
            &raw mut length,
        )
    };
    super::check(result)?;
    Ok(Peer {
        process: said.pid,
        user: said.uid,
        group: said.gid,
    })
}
