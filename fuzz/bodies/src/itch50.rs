//! What becomes of messages of TotalView-ITCH 5.0?
//!
//! Two decoders that saw the same messages wrote the same bodies; every body is a record of its length, or the source's
//! own bytes; a memory that is copied out and put together again converts what follows alike.

use twinfeed_feed_adapter::decode::itch50::message::MESSAGES;
use twinfeed_feed_adapter::decode::itch50::{Converter, Memory, Message, Settings};
use twinfeed_feed_adapter::decode::{Decoder, LONGEST_MESSAGE, MOST_RECORDS, Parts, TradingDay};
use twinfeed_wire::BodyKind;
use twinfeed_wire::record::RecordRef;

use crate::input::Input;

pub(crate) const SETTINGS: Settings = Settings {
    publisher_id: Settings::XNAS_ITCH,
    max_open_orders: 16,
};
const LONGEST_BODY: usize = 1_320;

pub(crate) fn day() -> TradingDay {
    let Ok(day) = TradingDay::new(2019, 12, 30) else {
        unreachable!("there was such a day")
    };
    day
}

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut one = Converter::new(SETTINGS, day());
    let mut other = Converter::new(SETTINGS, day());
    let (mut parts, mut twins) = (Parts::new(LONGEST_BODY), Parts::new(LONGEST_BODY));
    let mut sseq = 0;
    while !input.is_empty() {
        sseq += 1;
        let shape = input.byte();
        let message = match usize::from(shape) {
            255 => {
                let memory = copied(one.memory());
                other = Converter::with_memory(SETTINGS.publisher_id, day(), memory);
                continue;
            }
            254 => {
                one.reset(day());
                other.reset(day());
                continue;
            }
            240..=253 => input.run().to_vec(),
            known => known_message(known, &mut input),
        };
        if let Ok(message) = Message::parse(&message) {
            let mut fields = 0;
            message.each_field(&mut |_, _| fields += 1);
            assert!(fields >= 3, "at least what every message has");
        }
        let outcome = one.convert(sseq, &message, &mut parts);
        assert_eq!(outcome, other.convert(sseq, &message, &mut twins));
        if let Err(error) = &outcome {
            assert!(!error.to_string().is_empty());
            assert_eq!(
                parts.is_empty(),
                error.refuses() || message.len() > LONGEST_MESSAGE
            );
        }
        judge(&message, &parts);
        let bodies =
            |of: &Parts| -> Vec<Vec<u8>> { of.iter().map(|part| part.bytes.to_vec()).collect() };
        assert_eq!(bodies(&parts), bodies(&twins), "two decoders, one outcome");
        assert!(one.open_orders() <= SETTINGS.max_open_orders);
        assert_eq!(one.open_orders(), other.open_orders());
    }
}

/// A message of a type that there is, of its length. Its reference, where it has one, is one of few.
fn known_message(shape: usize, input: &mut Input<'_>) -> Vec<u8> {
    let (letter, length, _) = MESSAGES[shape % MESSAGES.len()];
    let mut message = vec![0; length];
    message[0] = letter;
    let given = input.take(length - 1);
    message[1..=given.len()].copy_from_slice(given);
    if b"AFECXDU".contains(&letter) {
        message[11..18].fill(0);
        message[18] &= 31;
    }
    if letter == b'U' {
        message[19..26].fill(0);
        message[26] &= 31;
    }
    message
}

fn judge(message: &[u8], parts: &Parts) {
    let count = parts.len();
    assert!(count <= MOST_RECORDS + message.len() / LONGEST_BODY + 1);
    let mut opaque = Vec::new();
    let mut is_opaque = false;
    for (index, part) in parts.iter().enumerate() {
        assert_eq!(
            (usize::from(part.part), part.last),
            (index, index + 1 == count)
        );
        assert_eq!(part.bytes.as_ptr() as usize % 8, 0, "aligned");
        match part.kind {
            BodyKind::Dbn => assert!(RecordRef::parse(part.bytes).is_ok(), "{:?}", part.bytes),
            BodyKind::Opaque => {
                is_opaque = true;
                opaque.extend_from_slice(part.bytes);
            }
            other => panic!("a decoder makes no {other:?}"),
        }
    }
    assert!(
        !is_opaque || opaque == message,
        "opaque bodies are the source's own bytes"
    );
}

/// The same memory, out of what `memory` says of itself.
pub(crate) fn copied(memory: &mut Memory) -> Memory {
    let mut copy = Memory::new(SETTINGS.max_open_orders);
    let taken = copy.take_in(&items(memory));
    assert_eq!(
        taken,
        Ok(()),
        "what a memory says of itself can be taken in"
    );
    copy
}

pub(crate) fn items(memory: &mut Memory) -> Vec<u8> {
    let mut items = Vec::new();
    let mut push = |item: &[u8]| items.extend_from_slice(item);
    memory.begin_copy();
    assert!(memory.copy_on(usize::MAX, &mut push));
    memory.end_copy(&mut push);
    items
}
