//! Where among its sources does an arbiter find the one of a datagram?

use twinfeed_wire::Sid;

use super::source::Source;

/// The places of sources by their sids. A sid that shares its row with one that was added later is looked for.
#[derive(Debug)]
pub(super) struct Places {
    rows: Box<[u32; ROWS]>,
}

/// Rows by the low bits of a sid: most feeds number their sources from 1.
const ROWS: usize = 256;

impl Places {
    pub(super) fn new() -> Self {
        Self {
            rows: Box::new([0; ROWS]),
        }
    }

    /// Notes that the source of `sid` stands at `place`.
    pub(super) fn add(&mut self, sid: Sid, place: usize) {
        // A place beyond is looked for as any other that does not stand where its row says.
        self.rows[sid.0 as usize % ROWS] = u32::try_from(place).unwrap_or(0);
    }

    /// Where the source of `sid` stands.
    #[inline]
    pub(super) fn find(&self, sid: Sid, sources: &[Source]) -> Option<usize> {
        let place = self.rows[sid.0 as usize % ROWS] as usize;
        match sources.get(place) {
            Some(source) if source.sid == sid => Some(place),
            _ => sources.iter().position(|source| source.sid == sid),
        }
    }
}
