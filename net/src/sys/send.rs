//! How do many datagrams leave in one system call, and what came back as refused?
//!
//! ```text
//! headers[m] ──► a name of the caller
//!            ──► iovecs[a..b]   one run of segments, shared by all names it goes to
//!            ──► entries[m]     "cut into segments of n bytes", when b − a > 1
//! ```

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::control::{self, QueuedError, SegmentEntry};
use super::memory::Fixed;
use super::name::Name;
use super::receive::empty_header;

/// A preallocated batch of send headers.
pub(crate) struct SendBatch {
    headers: Fixed<libc::mmsghdr>,
    iovecs: Fixed<libc::iovec>,
    entries: Fixed<SegmentEntry>,
}

// SAFETY: between two loadings nothing follows the pointers in `headers` and `iovecs`; a loading
// borrows the batch and the data it points to, and rewrites every header before it is used.
unsafe impl Send for SendBatch {}

/// A batch being filled with data that outlives it.
pub(crate) struct Loading<'b, 'a> {
    batch: &'b mut SendBatch,
    segments: usize,
    messages: usize,
    data: PhantomData<&'a [u8]>,
}

impl SendBatch {
    /// Room for `messages` messages made of `segments` datagrams in all.
    pub(crate) fn new(messages: usize, segments: usize) -> Self {
        let nowhere = libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        Self {
            headers: Fixed::new((0..messages).map(|_| empty_header()).collect()),
            iovecs: Fixed::new(vec![nowhere; segments]),
            entries: Fixed::new(vec![SegmentEntry::new(0); messages]),
        }
    }

    /// Starts a new load.
    pub(crate) fn load<'b, 'a>(&'b mut self) -> Loading<'b, 'a> {
        Loading {
            batch: self,
            segments: 0,
            messages: 0,
            data: PhantomData,
        }
    }

    /// Messages one load can hold.
    pub(crate) fn messages(&self) -> usize {
        self.headers.len()
    }

    /// Datagrams one load can hold.
    pub(crate) fn segments(&self) -> usize {
        self.iovecs.len()
    }
}

impl fmt::Debug for SendBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBatch")
            .field("messages", &self.messages())
            .field("segments", &self.segments())
            .finish_non_exhaustive()
    }
}

impl<'a> Loading<'_, 'a> {
    /// Adds the payload of one datagram.
    ///
    /// # Panics
    /// If the load is full: the caller plans within [`SendBatch::segments`].
    pub(crate) fn segment(&mut self, bytes: &'a [u8]) {
        self.batch.iovecs.as_mut_slice()[self.segments] = libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        };
        self.segments += 1;
    }

    /// Adds one message: the segments of `run`, to `name` or where the socket is connected to, cut every `cut` bytes if given.
    ///
    /// # Panics
    /// If the load is full or `run` is not of segments added before.
    pub(crate) fn message(&mut self, name: Option<&'a Name>, run: Range<usize>, cut: Option<u16>) {
        assert!(
            run.start < run.end && run.end <= self.segments,
            "run {run:?}"
        );
        let mut header = empty_header();
        if let Some(name) = name {
            header.msg_hdr.msg_name = std::ptr::from_ref(name).cast_mut().cast();
            header.msg_hdr.msg_namelen = name.length();
        }
        header.msg_hdr.msg_iov = self.batch.iovecs.address(run.start);
        header.msg_hdr.msg_iovlen = run.len() as _;
        if let Some(cut) = cut {
            self.batch.entries.as_mut_slice()[self.messages] = SegmentEntry::new(cut);
            header.msg_hdr.msg_control = self.batch.entries.address(self.messages).cast();
            header.msg_hdr.msg_controllen = size_of::<SegmentEntry>() as _;
        }
        self.batch.headers.as_mut_slice()[self.messages] = header;
        self.messages += 1;
    }

    /// Forgets the messages; the segments stay, for other messages to use.
    pub(crate) fn clear_messages(&mut self) {
        self.messages = 0;
    }

    /// Sends the one segment at `segment` to the name of the message at `message`, without
    /// waiting.
    pub(crate) fn send_apart(
        &self,
        socket: BorrowedFd<'_>,
        message: usize,
        segment: usize,
    ) -> io::Result<()> {
        let to = &self.batch.headers.as_slice()[..self.messages][message].msg_hdr;
        let part = &self.batch.iovecs.as_slice()[..self.segments][segment];
        // SAFETY: both entries were written in this load (the slices end where it ends), so name
        // and payload live at least as long as `self` (`'a`), have the lengths stated beside
        // them, and are only read.
        let result = unsafe {
            libc::sendto(
                socket.as_raw_fd(),
                part.iov_base,
                part.iov_len,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                to.msg_name.cast(),
                to.msg_namelen,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Offers the messages from `first` on to the kernel, without waiting: how many it took.
    ///
    /// # Errors
    /// What the kernel says about message `first`; the ones after it have not been tried.
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>, first: usize) -> io::Result<usize> {
        assert!(
            first < self.messages,
            "message {first} of {}",
            self.messages
        );
        // SAFETY: headers `first..messages` were written by `message` in this load; each points
        // to a name, iovecs, payloads and an entry that live at least as long as `self` (`'a`
        // and the batch itself), of the lengths stated beside them. The kernel only reads them,
        // save `msg_len`, which lies within the array that `&mut self` holds exclusively.
        let result = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.batch.headers.address(first),
                (self.messages - first) as libc::c_uint,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        match super::check(result)? {
            // The kernel takes at least one or says why not; a caller's loop may rely on it.
            0 => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
            count => Ok(count as usize),
        }
    }
}

/// Sends one datagram, without waiting: to `name`, or where the socket is connected to.
///
/// # Errors
/// What send(2) says; nothing was sent then.
pub(crate) fn send_one(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    name: Option<&Name>,
) -> io::Result<()> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let (to, length) = match name {
        Some(name) => (std::ptr::from_ref(name).cast(), name.length()),
        None => (std::ptr::null(), 0),
    };
    // SAFETY: payload and name are live borrows of the lengths stated beside them and are only read; no name is null with
    // length 0.
    let result = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            flags,
            to,
            length,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Takes one entry from the socket's error queue: the destination it is about, and the error.
///
/// `None` when the queue is empty.
pub(crate) fn take_queued_error(
    socket: BorrowedFd<'_>,
) -> Option<(Option<SocketAddr>, Option<QueuedError>)> {
    let mut name = Name::EMPTY;
    let mut control = ErrorControl([0; ERROR_CONTROL_BYTES]);
    let mut header = empty_header().msg_hdr;
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = Name::CAPACITY as libc::socklen_t;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = ERROR_CONTROL_BYTES as _;
    // SAFETY: `header` is live, its name and control pointers lead to locals of the lengths
    // stated, and it has no buffers: the returned copy of the payload is cut to nothing.
    let result = unsafe {
        libc::recvmsg(
            socket.as_raw_fd(),
            &raw mut header,
            libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT,
        )
    };
    if result < 0 {
        return None;
    }
    #[allow(clippy::unnecessary_cast, reason = "32 bits wide with musl")]
    let length = (header.msg_controllen as usize).min(ERROR_CONTROL_BYTES);
    Some((name.address(), control::queued_error(&control.0[..length])))
}

/// Room for an extended error with the address that raised it, and for a time stamp.
const ERROR_CONTROL_BYTES: usize = 256;

#[repr(C, align(8))]
struct ErrorControl([u8; ERROR_CONTROL_BYTES]);
