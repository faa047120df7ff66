//! What does the wire's view make of a datagram?
//!
//! Refused, or read whole; and what was read, written again, is the same bytes. The check over a datagram keeps a fuzzer
//! out, so the same bytes are tried a second time with the check put right.

use twinfeed_wire::record::RecordRef;
use twinfeed_wire::{
    AdminMessage, BodyKind, Datagram, Dsn, Flags, HEADER_LENGTH, HEADER_WORDS, LONGEST_ADMIN,
    LONGEST_DATAGRAM, MAGIC, Malformed, Record, StoredAdmin, VERSION, Writer, restamp,
    write_heartbeat,
};

pub(crate) fn run(bytes: &[u8]) {
    judge(bytes);
    let mut whole = bytes.to_vec();
    if put_right(&mut whole) {
        judge(&whole);
    }
}

/// Makes of bytes a datagram whose magic, version and check are right; `false`: no datagram has this length.
pub(crate) fn put_right(bytes: &mut [u8]) -> bool {
    if !(HEADER_LENGTH..=LONGEST_DATAGRAM).contains(&bytes.len()) {
        return false;
    }
    bytes[..2].copy_from_slice(&MAGIC.to_le_bytes());
    bytes[2..4].copy_from_slice(&[VERSION, HEADER_WORDS]);
    let long = |at: usize| {
        bytes[at..]
            .first_chunk()
            .copied()
            .map_or(0, u64::from_le_bytes)
    };
    let (dsn, sent_at) = (Dsn(long(24)), long(96));
    restamp(bytes, dsn, Flags(0), sent_at);
    true
}

fn judge(bytes: &[u8]) {
    let datagram = match Datagram::parse(bytes) {
        Ok(datagram) => datagram,
        Err(malformed) => {
            assert!(!Malformed::LABELS[malformed.index()].is_empty());
            assert!(!malformed.to_string().is_empty());
            return;
        }
    };
    let header = *datagram.header();
    let records: Vec<Record<'_>> = datagram.records().collect();
    assert_eq!(records.len(), usize::from(header.count));
    for record in &records {
        assert!(record.prev <= record.sseq && record.sseq <= datagram.highest_sseq());
        assert!(record.adm <= datagram.highest_adm());
        assert_eq!(
            (record.body.as_ptr() as usize - bytes.as_ptr() as usize) % 8,
            0
        );
        body(record);
    }
    let mut again = vec![0xA5; bytes.len()];
    let length = if let Some(heartbeat) = datagram.heartbeat() {
        assert!(records.is_empty());
        let digests: Vec<_> = heartbeat.digests().collect();
        write_heartbeat(&mut again, &header, &heartbeat.beat, &digests)
    } else {
        let mut writer = Writer::begin(&mut again, header);
        for record in &records {
            assert_eq!(writer.push(record), Ok(()), "what was read can be written");
        }
        writer.finish(header.dsn, header.flags, header.sent_at)
    };
    assert!(again[..length] == *bytes, "what was read is written alike");
}

fn body(record: &Record<'_>) {
    match record.kind {
        BodyKind::Administrative => {
            let Ok(message) = AdminMessage::of(record) else {
                return;
            };
            let mut buffer = [0xA5; LONGEST_ADMIN];
            let length = message.emit(&mut buffer);
            assert!(
                buffer[..length] == *record.body,
                "a message is written as it was read"
            );
            let stored = StoredAdmin::from(message);
            assert_eq!(stored.message(), message);
            let _ = (message.opened(), message.text());
            let _ = message.instruments().map(Iterator::count);
        }
        BodyKind::Dbn => {
            if let Ok(view) = RecordRef::parse(record.body) {
                assert!(!format!("{view:?}").is_empty());
            }
        }
        BodyKind::Opaque | BodyKind::Unknown(_) => {}
    }
}
