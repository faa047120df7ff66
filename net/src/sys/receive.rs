//! How do many datagrams come out of one system call?
//!
//! ```text
//! headers[i] ──► names[i]      who sent it
//!            ──► iovecs[i] ──► arena[i × slot ..]   the payload, eight-byte aligned
//!            ──► control[i]    drops, times, segment length
//! ```
//!
//! Everything is allocated once. Between two calls only the headers that the kernel filled last
//! time are reset, so polling an empty socket costs the system call and nothing else.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::control::{self, Said};
use super::memory::{Block, Fixed, bytes_of};
use super::name::Name;

/// Room for the ancillary data of one message: three entries, the largest of 48 bytes of data.
const CONTROL_BYTES: usize = 160;

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

/// A preallocated batch of receive slots.
pub(crate) struct ReceiveBatch {
    /// Invariant: pointers in `headers` lead into the four arrays below, which live as long.
    headers: Fixed<libc::mmsghdr>,
    iovecs: Fixed<libc::iovec>,
    names: Fixed<Name>,
    control: Fixed<Control>,
    arena: Fixed<Block>,
    /// Bytes per slot, a multiple of eight.
    slot: usize,
    /// Headers the kernel filled in the last call; the ones to reset before the next.
    filled: usize,
}

// SAFETY: the raw pointers in `headers` and `iovecs` lead only into arrays owned by the same
// value at addresses that do not change, so they are as good on another thread.
unsafe impl Send for ReceiveBatch {}

/// One message of the last batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) source: Option<SocketAddr>,
    pub(crate) truncated: bool,
    pub(crate) said: Said,
}

impl ReceiveBatch {
    /// Room for `batch` messages of at most `slot` bytes; `slot` is a positive multiple of eight.
    pub(crate) fn new(batch: usize, slot: usize) -> Self {
        debug_assert!(
            slot > 0 && slot.is_multiple_of(Block::BYTES),
            "the configuration rounds"
        );
        let blocks = slot / Block::BYTES;
        let names = Fixed::new(vec![Name::EMPTY; batch]);
        let control = Fixed::new(vec![Control([0; CONTROL_BYTES]); batch]);
        let arena = Fixed::new(vec![Block::ZERO; batch * blocks]);
        let iovec = |index: usize| libc::iovec {
            iov_base: arena.address(index * blocks).cast(),
            iov_len: slot,
        };
        let iovecs = Fixed::new((0..batch).map(iovec).collect());
        let header = |index: usize| {
            let mut header = empty_header();
            header.msg_hdr.msg_name = names.address(index).cast();
            header.msg_hdr.msg_iov = iovecs.address(index);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.address(index).cast();
            reset(&mut header);
            header
        };
        let headers = Fixed::new((0..batch).map(header).collect());
        Self {
            headers,
            iovecs,
            names,
            control,
            arena,
            slot,
            filled: 0,
        }
    }

    /// Takes what has arrived, without waiting: how many messages there are now.
    ///
    /// Nothing there is zero messages, not an error.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let filled = std::mem::take(&mut self.filled);
        self.headers.as_mut_slice()[..filled]
            .iter_mut()
            .for_each(reset);
        // SAFETY: the header pointer and count describe one live array, every pointer inside it
        // leads to memory owned by `self` (invariant of `headers`) of the length stated beside
        // it, `&mut self` excludes readers, and a null timeout is allowed.
        let result = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.address(0),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        match super::check(result) {
            Ok(count) => self.filled = count as usize,
            Err(error) if is_nothing_there(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(self.filled)
    }

    /// Takes the one message that has waited longest, without waiting: how many messages there are now, 0 or 1.
    ///
    /// About half the price of [`Self::receive`] for a message that is alone, and two thirds for a socket that is empty; but the kernel says
    /// nothing beside it (no [`Said`]).
    pub(crate) fn receive_one(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let filled = std::mem::take(&mut self.filled);
        let headers = self.headers.as_mut_slice();
        headers[..filled].iter_mut().for_each(reset);
        let mut length = Name::CAPACITY as libc::socklen_t;
        // SAFETY: the first slot of the arena and the first name are live memory owned by `self`, at
        // least as long as is said here (`slot` bytes, invariant of `iovecs`, and the name's capacity),
        // `&mut self` excludes readers, and `length` is a live local.
        let result = unsafe {
            libc::recvfrom(
                socket.as_raw_fd(),
                self.arena.address(0).cast(),
                self.slot,
                libc::MSG_DONTWAIT | libc::MSG_TRUNC,
                self.names.address(0).cast(),
                &raw mut length,
            )
        };
        // With MSG_TRUNC it is the length that the message had, at most that of a UDP datagram.
        let Ok(whole) = usize::try_from(result) else {
            let error = io::Error::last_os_error();
            return if is_nothing_there(&error) {
                Ok(0)
            } else {
                Err(error)
            };
        };
        let header = &mut headers[0];
        header.msg_len = whole.min(self.slot) as libc::c_uint;
        header.msg_hdr.msg_controllen = 0;
        header.msg_hdr.msg_flags = if whole > self.slot {
            libc::MSG_TRUNC
        } else {
            0
        };
        self.filled = 1;
        Ok(1)
    }

    /// How many messages one call can take.
    pub(crate) fn capacity(&self) -> usize {
        self.headers.len()
    }

    /// The payload of the message at `index`; of what the kernel merged, all.
    pub(crate) fn payload(&self, index: usize) -> Option<&[u8]> {
        let header = self.headers.as_slice()[..self.filled].get(index)?;
        let start = index * self.slot;
        let length = (header.msg_len as usize).min(self.slot);
        Some(&bytes_of(self.arena.as_slice())[start..start + length])
    }

    /// The message at `index` of the last batch; `None` beyond it.
    pub(crate) fn message(&self, index: usize) -> Option<Message<'_>> {
        let bytes = self.payload(index)?;
        let header = &self.headers.as_slice()[index];
        #[allow(clippy::unnecessary_cast, reason = "32 bits wide with musl")]
        let said_length = (header.msg_hdr.msg_controllen as usize).min(CONTROL_BYTES);
        let Control(control) = &self.control.as_slice()[index];
        Some(Message {
            bytes,
            source: self.names.as_slice()[index].address(),
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            said: control::said(&control[..said_length]),
        })
    }
}

impl fmt::Debug for ReceiveBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiveBatch")
            .field("capacity", &self.iovecs.len())
            .field("slot", &self.slot)
            .field("filled", &self.filled)
            .finish_non_exhaustive()
    }
}

/// Whether the call only says that there is nothing to do now.
fn is_nothing_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// Gives back to the kernel what it shortened in its last answer.
fn reset(header: &mut libc::mmsghdr) {
    header.msg_hdr.msg_namelen = Name::CAPACITY as libc::socklen_t;
    header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
    header.msg_hdr.msg_flags = 0;
    header.msg_len = 0;
}

/// A header that points nowhere.
pub(super) fn empty_header() -> libc::mmsghdr {
    // SAFETY: `mmsghdr` consists of integers and pointers, for which all zeros is a valid value;
    // the type has private padding on some platforms, so it cannot be written as a literal.
    unsafe { std::mem::zeroed() }
}
