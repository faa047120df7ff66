//! Do two arbiters tell the same?
//!
//! What was told is not kept but summed up, so that comparing costs no memory. An arbiter that takes every datagram the long way must tell,
//! count and want the same as one that takes the short ways.

use std::fmt::{self, Write as _};

use twinfeed_protocol::{Arbiter, Delivered, Event, Handler, Leg};
use twinfeed_wire::Sid;

/// FNV-1a over all that was told, in order (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Tape(u64);

impl Default for Tape {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl fmt::Write for Tape {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

impl Handler for Tape {
    fn record(&mut self, record: &Delivered<'_>) {
        let _ = write!(self, "{record:?}");
    }

    fn event(&mut self, event: &Event) {
        let _ = write!(self, "{event:?}");
    }
}

/// Demands that both are alike in all that can be seen of them.
pub(crate) fn alike(one: &Arbiter, other: &Arbiter, sids: &[Sid]) {
    assert_eq!(one.counters(), other.counters());
    assert_eq!(one.next_deadline(), other.next_deadline());
    assert_eq!(one.is_asking(), other.is_asking());
    for &sid in sids {
        for leg in Leg::BOTH {
            assert_eq!(one.leg_status(sid, leg), other.leg_status(sid, leg));
        }
    }
}
