//! What does a packet of an exchange's line say?
//!
//! Refused, or read whole: what was read, written again by a naive encoder, is the same bytes.

use twinfeed_feed_adapter::source::moldudp64::{Kind, Packet};

pub(crate) fn run(bytes: &[u8]) {
    let packet = match Packet::parse(bytes) {
        Ok(packet) => packet,
        Err(malformed) => {
            assert!(!malformed.to_string().is_empty());
            return;
        }
    };
    let messages: Vec<(u64, &[u8])> = packet.messages().collect();
    assert_eq!(messages.len(), usize::from(packet.count()));
    let mut again = packet.session().0.to_vec();
    again.extend(packet.sequence().to_be_bytes());
    let count = match packet.kind() {
        Kind::Messages => packet.count(),
        Kind::Heartbeat => 0,
        Kind::EndOfSession => u16::MAX,
    };
    again.extend(count.to_be_bytes());
    let mut expected = packet.sequence();
    for (number, message) in messages {
        assert_eq!(number, expected);
        expected += 1;
        again.extend((message.len() as u16).to_be_bytes());
        again.extend(message);
    }
    assert_eq!(expected, packet.next_sequence());
    assert!(again == bytes, "what was read is written alike");
    assert!(!packet.session().to_string().contains('\n'));
}
