//! What does a recording keep that DBN has no room for?
//!
//! A sidecar `.pos` beside the `.dbn` file: one entry per delivered body, in order of delivery, and what
//! happened between them. `docs/recording.md` is its layout.

use std::io::{self, Write};

/// First bytes of the file: name and version.
pub(crate) const MAGIC: [u8; 8] = *b"TFPOS\0\0\x01";
/// Kind of an entry that is an event: its body is a line of text.
pub(crate) const EVENT: u8 = 255;
/// Length of an entry's fixed part.
pub(crate) const ENTRY: usize = 48;

/// The fixed part of an entry.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Entry {
    /// As on the wire: 1 DBN record (it is the next one of the `.dbn` file), 2 administrative, 3 opaque;
    /// or [`EVENT`].
    pub(crate) kind: u8,
    /// As on the wire.
    pub(crate) flags: u8,
    pub(crate) part: u16,
    pub(crate) sid: u32,
    pub(crate) epoch: u64,
    pub(crate) sseq: u64,
    pub(crate) adm: u64,
    /// Unix ns; 0 when not known.
    pub(crate) received_at: u64,
}

/// Writes the beginning of the file.
pub(crate) fn begin(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&MAGIC)
}

/// Writes an entry, with its body unless that stands in the `.dbn` file.
pub(crate) fn write(out: &mut impl Write, entry: &Entry, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut head = [0_u8; ENTRY];
    head[0] = entry.kind;
    head[1] = entry.flags;
    head[2..4].copy_from_slice(&entry.part.to_le_bytes());
    head[4..8].copy_from_slice(&entry.sid.to_le_bytes());
    head[8..16].copy_from_slice(&entry.epoch.to_le_bytes());
    head[16..24].copy_from_slice(&entry.sseq.to_le_bytes());
    head[24..32].copy_from_slice(&entry.adm.to_le_bytes());
    head[32..40].copy_from_slice(&entry.received_at.to_le_bytes());
    head[40..44].copy_from_slice(&length.to_le_bytes());
    out.write_all(&head)?;
    out.write_all(body)?;
    out.write_all(&[0; 8][..body.len().next_multiple_of(8) - body.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_the_documented_bytes() {
        let mut bytes = Vec::new();
        begin(&mut bytes).unwrap();
        let entry = Entry {
            kind: 3,
            flags: 1,
            part: 0x0302,
            sid: 0x0706_0504,
            epoch: 0x0F0E_0D0C_0B0A_0908,
            sseq: 0x1716_1514_1312_1110,
            adm: 5,
            received_at: 6,
        };
        write(&mut bytes, &entry, b"abc").unwrap();
        let mut expected = b"TFPOS\0\0\x01".to_vec();
        expected.extend([3, 1]);
        expected.extend(2..=23_u8);
        expected.extend([
            5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0,
        ]);
        expected.extend(b"abc\0\0\0\0\0");
        assert_eq!(bytes, expected);
    }
}
