//! What does a SoupBinTCP server say, however TCP cuts it?
//!
//! The first byte says in which pieces it comes. The twin cuts packets out of the whole and counts messages by itself. The messages
//! are taken for a snapshot's as well.

use twinfeed_feed_adapter::decode::itch50::{Converter, Settings};
use twinfeed_feed_adapter::source::moldudp64::Session;
use twinfeed_feed_adapter::source::soup::glimpse::Picture;
use twinfeed_feed_adapter::source::soup::session::{Reader, Word};

use crate::input::Input;
use crate::itch50::day;

const SESSION: Session = Session(*b"S000000001");

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let piece = usize::from(input.byte()) + 1;
    let bytes = input.rest();
    let mut reader = Reader::new();
    reader.log_in(Some(SESSION));
    let (mut twin, mut next) = (bytes, None);
    let settings = Settings {
        publisher_id: 1,
        max_open_orders: 8,
    };
    let decoder = Converter::new(settings, day());
    let mut picture = Some(Picture::new(decoder, 50));
    for piece in bytes.chunks(piece) {
        let room = reader.room();
        assert!(room.len() >= piece.len(), "there is always room");
        room[..piece.len()].copy_from_slice(piece);
        reader.filled(piece.len());
        loop {
            let word = match reader.next() {
                Ok(Some(word)) => word,
                Ok(None) => break,
                Err(fault) => {
                    assert!(!fault.to_string().is_empty());
                    return;
                }
            };
            let packet = cut(&mut twin);
            match word {
                Word::Accepted(first) => {
                    assert!(next.is_none(), "accepted once");
                    assert_eq!((packet[0], packet.len()), (b'A', 31));
                    next = Some(first);
                }
                Word::Message(number, message) => {
                    assert_eq!((packet[0], &packet[1..]), (b'S', message));
                    assert_eq!(next, Some(number), "numbers follow each other");
                    next = Some(number + 1);
                    let taken = picture.as_mut().map(|picture| picture.take(message));
                    match taken {
                        Some(Ok(None)) | None => {}
                        Some(Ok(Some(number))) => {
                            assert!(message[0] == b'G' && number > 0);
                            picture = None;
                        }
                        Some(Err(why)) => {
                            assert!(!why.to_string().is_empty());
                            picture = None;
                        }
                    }
                }
                Word::Ended(end) => assert_eq!((packet, next), (&b"Z"[..], Some(end))),
                Word::Alive => assert!(b"+UH".contains(&packet[0])),
            }
        }
    }
    // What is left is no whole packet.
    if let Some((length, rest)) = twin.split_first_chunk::<2>() {
        assert!(rest.len() < usize::from(u16::from_be_bytes(*length)));
    }
}

fn cut<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let (length, behind) = rest.split_at(2);
    let length = usize::from(length[0]) << 8 | usize::from(length[1]);
    let (packet, behind) = behind.split_at(length);
    *rest = behind;
    packet
}
