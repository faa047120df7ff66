//! How do remarks and complaints of a gateway look?

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{RecordHeader, layout, record};

/// A remark of a gateway.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct SystemMsg {
    /// The common header.
    pub hd: RecordHeader,
    /// Text.
    pub msg: [u8; 303],
    /// Kind of remark; 255 is none.
    pub code: u8,
}

layout!(SystemMsg, 320, {
    hd: 0,
    msg: 16,
    code: 319,
});

impl Default for SystemMsg {
    /// Nothing is known: sentinels throughout.
    fn default() -> Self {
        Self {
            hd: RecordHeader::of::<Self>(),
            msg: [0; 303],
            code: u8::MAX,
        }
    }
}

/// A complaint of a gateway.
#[derive(
    Clone, Copy, Debug, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct ErrorMsg {
    /// The common header.
    pub hd: RecordHeader,
    /// Text.
    pub err: [u8; 302],
    /// Kind of error; 255 is none.
    pub code: u8,
    /// Whether no further part follows; 255 is not stated.
    pub is_last: u8,
}

layout!(ErrorMsg, 320, {
    hd: 0,
    err: 16,
    code: 318,
    is_last: 319,
});

impl Default for ErrorMsg {
    /// Nothing is known: sentinels throughout.
    fn default() -> Self {
        Self {
            hd: RecordHeader::of::<Self>(),
            err: [0; 302],
            code: u8::MAX,
            is_last: u8::MAX,
        }
    }
}

record!(SystemMsg => SYSTEM, ErrorMsg => ERROR);
