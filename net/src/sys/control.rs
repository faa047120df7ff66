//! What does the kernel say beside a datagram?
//!
//! Ancillary data (cmsg(3)) is a sequence of entries, each aligned to a machine word. They are
//! read and written as bytes, so this file needs no `unsafe`; an entry that is cut short or of an
//! unknown kind is skipped.
//!
//! ```text
//! 0 length (word, header included) │ level (4) │ type (4) │ data … │ padding to a word
//! ```

use std::mem::offset_of;

/// Everything the receive path asks the kernel to say about one message.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Said {
    /// Datagrams this socket has dropped in its life (`SO_RXQ_OVFL`); absent while zero.
    pub(crate) drops: Option<u32>,
    /// Length of each segment when the kernel has merged several datagrams (`UDP_GRO`).
    pub(crate) segment: Option<u16>,
    /// Kernel's receive time, ns since the Unix epoch.
    pub(crate) software_ns: Option<u64>,
    /// Network card's receive time, ns on the card's own clock.
    pub(crate) hardware_ns: Option<u64>,
}

/// One entry of an error queue (`IP_RECVERR`, ip(7)).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct QueuedError {
    /// The error number the kernel would have returned.
    pub(crate) errno: i32,
    /// Whether this host raised it; the call that sent has then already returned it.
    pub(crate) local: bool,
}

const HEADER: usize = size_of::<libc::cmsghdr>();
const WORD: usize = size_of::<usize>();

/// Reads the entries of `bytes`.
pub(super) fn said(bytes: &[u8]) -> Said {
    let mut said = Said::default();
    for (level, kind, data) in entries(bytes) {
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                said.drops = number(data).map(u32::from_ne_bytes);
            }

            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => said.software_ns = time(data, 0),
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => {
                said.software_ns = time(data, 0);
                said.hardware_ns = time(data, 2);
            }
            (libc::SOL_UDP, libc::UDP_GRO) => {
                said.segment = number(data)
                    .map(i32::from_ne_bytes)
                    .and_then(|length| u16::try_from(length).ok())
                    .filter(|&length| length > 0);
            }
            _ => {}
        }
    }
    said
}

/// Reads the extended error among the entries of `bytes`.
pub(super) fn queued_error(bytes: &[u8]) -> Option<QueuedError> {
    entries(bytes).find_map(|(level, kind, data)| match (level, kind) {
        (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR) => {
            Some(QueuedError {
                errno: number(data).map(i32::from_ne_bytes)?,
                local: *data.get(offset_of!(libc::sock_extended_err, ee_origin))?
                    == libc::SO_EE_ORIGIN_LOCAL,
            })
        }
        _ => None,
    })
}

/// The one entry a sender writes: cut this message into datagrams of `segment` bytes (udp(7)).
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(super) struct SegmentEntry([u8; HEADER + WORD]);

impl SegmentEntry {
    pub(super) fn new(segment: u16) -> Self {
        let mut bytes = [0; HEADER + WORD];
        let length = HEADER + size_of::<u16>();
        bytes[..WORD].copy_from_slice(&length.to_ne_bytes());
        put(
            &mut bytes,
            offset_of!(libc::cmsghdr, cmsg_level),
            libc::SOL_UDP,
        );
        put(
            &mut bytes,
            offset_of!(libc::cmsghdr, cmsg_type),
            libc::UDP_SEGMENT,
        );
        bytes[HEADER..length].copy_from_slice(&segment.to_ne_bytes());
        Self(bytes)
    }
}

fn put(bytes: &mut [u8], at: usize, value: libc::c_int) {
    bytes[at..at + size_of::<libc::c_int>()].copy_from_slice(&value.to_ne_bytes());
}

/// The well-formed entries of `bytes`: (level, type, data).
fn entries(mut bytes: &[u8]) -> impl Iterator<Item = (i32, i32, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from_ne_bytes(number(bytes)?);
        let level = number(bytes.get(offset_of!(libc::cmsghdr, cmsg_level)..)?)?;
        let kind = number(bytes.get(offset_of!(libc::cmsghdr, cmsg_type)..)?)?;
        let data = bytes.get(HEADER..length)?;
        bytes = bytes
            .get(length.next_multiple_of(WORD)..)
            .unwrap_or_default();
        Some((i32::from_ne_bytes(level), i32::from_ne_bytes(kind), data))
    })
}

/// The `index`th `timespec` of `data` in nanoseconds; a zero time is the kernel's "none".
fn time(data: &[u8], index: usize) -> Option<u64> {
    const SECONDS: usize = size_of::<libc::time_t>();
    let spec = data.get(index * size_of::<libc::timespec>()..)?;
    let seconds = libc::time_t::from_ne_bytes(number(spec)?);
    let nanos = libc::c_long::from_ne_bytes(number(spec.get(SECONDS..)?)?);
    let ns = u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?;
    ns.checked_add(u64::try_from(nanos).ok()?)
        .filter(|&ns| ns != 0)
}

fn number<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (HEADER + data.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(WORD), 0);
        bytes
    }

    fn spec(seconds: i64, nanos: i64) -> Vec<u8> {
        [seconds.to_ne_bytes(), nanos.to_ne_bytes()].concat()
    }

    #[test]
    fn every_known_entry_is_read_and_unknown_ones_are_skipped() {
        let bytes = [
            entry(libc::SOL_SOCKET, 4_095, b"whatever"),
            entry(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &7_u32.to_ne_bytes()),
            entry(libc::SOL_UDP, libc::UDP_GRO, &1_472_i32.to_ne_bytes()),
            entry(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &spec(2, 5)),
        ]
        .concat();
        let expected = Said {
            drops: Some(7),
            segment: Some(1_472),
            software_ns: Some(2_000_000_005),
            hardware_ns: None,
        };
        assert_eq!(said(&bytes), expected);
    }

    #[test]
    fn a_card_that_gave_no_time_is_not_claimed() {
        let both = [spec(1, 1), spec(0, 0), spec(3, 3)].concat();
        let soft = [spec(1, 1), spec(0, 0), spec(0, 0)].concat();
        let read = |data: &[u8]| {
            let said = said(&entry(libc::SOL_SOCKET, libc::SCM_TIMESTAMPING, data));
            (said.software_ns, said.hardware_ns)
        };
        assert_eq!(read(&both), (Some(1_000_000_001), Some(3_000_000_003)));
        assert_eq!(read(&soft), (Some(1_000_000_001), None));
    }

    #[test]
    fn a_cut_or_absurd_entry_ends_the_reading() {
        let whole = entry(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &7_u32.to_ne_bytes());
        for cut in 0..HEADER + 4 {
            assert_eq!(said(&whole[..cut]), Said::default(), "cut at {cut}");
        }
        let mut endless = whole.clone();
        endless[..WORD].copy_from_slice(&0_usize.to_ne_bytes());
        assert_eq!(said(&endless), Said::default());
    }

    #[test]
    fn an_error_knows_who_raised_it() {
        let mut data = [0_u8; size_of::<libc::sock_extended_err>()];
        data[..4].copy_from_slice(&libc::ECONNREFUSED.to_ne_bytes());
        data[4] = libc::SO_EE_ORIGIN_ICMP;
        let read = |data: &[u8]| queued_error(&entry(libc::SOL_IP, libc::IP_RECVERR, data));
        let remote = QueuedError {
            errno: libc::ECONNREFUSED,
            local: false,
        };
        assert_eq!(read(&data), Some(remote));
        data[4] = libc::SO_EE_ORIGIN_LOCAL;
        assert_eq!(read(&data).map(|error| error.local), Some(true));
        assert_eq!(read(&data[..3]), None);
    }

    #[test]
    fn what_a_sender_writes_reads_back() {
        let SegmentEntry(bytes) = SegmentEntry::new(1_200);
        let all: Vec<_> = entries(&bytes).collect();
        assert_eq!(
            all,
            [(
                libc::SOL_UDP,
                libc::UDP_SEGMENT,
                &1_200_u16.to_ne_bytes()[..]
            )]
        );
    }
}
