//! What becomes of a context that a peer hands over?
//!
//! No more orders are remembered than there is room for, whatever was said; one that is damaged or out of turn is given
//! up; one that is whole says of itself what it was made of. Checks are put right, or no fuzzer would come past them.

use twinfeed_feed_adapter::decode::itch50::MEMORY_VERSION;
use twinfeed_feed_adapter::transfer::assembly::{Assembly, Step};
use twinfeed_wire::link::{ContextChunk, ContextEnd, ContextHead, Frame, LONGEST_CHUNK};
use twinfeed_wire::{ContextId, Epoch, Sid};

use crate::input::Input;
use crate::itch50::{SETTINGS, day, items};

const SID: Sid = Sid(1);
const TRANSFER: u32 = 7;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut assembly = Assembly::new(SID, TRANSFER, SETTINGS, day());
    let (mut index, mut check, mut orders) = (0, 0, 0);
    while !input.is_empty() {
        let shape = input.byte();
        let id = if shape & 0x80 == 0 {
            TRANSFER
        } else {
            TRANSFER + 1
        };
        let frame = match shape & 7 {
            0 => {
                let odd = u16::from(shape & 0x70 == 0x70);
                let head = ContextHead {
                    sid: SID,
                    transfer: id,
                    format: ContextHead::ITCH50 + odd,
                    version: MEMORY_VERSION,
                    epoch: Epoch(1),
                    context: ContextId(1),
                    first: 1,
                    predecessor: Epoch::NONE,
                    next: input.number(),
                };
                check = head.check();
                Frame::ContextHead(head)
            }
            1..=5 => {
                let items = match shape >> 3 & 3 {
                    0 => raw(input.run()),
                    _ => orderly(&mut input, &mut orders),
                };
                let turn = if shape & 0x60 == 0x60 {
                    input.byte().into()
                } else {
                    index
                };
                let next = input.number();
                let Some(chunk) = ContextChunk::new(SID, id, turn, next, &items) else {
                    continue;
                };
                index += 1;
                check = chunk.fold(check);
                Frame::ContextChunk(chunk)
            }
            _ => {
                let end = ContextEnd {
                    sid: SID,
                    transfer: id,
                    chunks: index,
                    next: input.number(),
                    prev: 0,
                    orders: input.number(),
                    check: input.number(),
                };
                let end = if shape & 8 == 0 {
                    end.sealed(check)
                } else {
                    end
                };
                Frame::ContextEnd(end)
            }
        };
        assembly = match assembly.on_frame(&frame) {
            Step::Going(assembly) => assembly,
            Step::Said {
                assembly, taken, ..
            } => {
                assert!(taken.is_none_or(|taken| taken.chunks <= index));
                assembly
            }
            Step::Whole(mut whole) => {
                let open = whole.decoder.open_orders();
                assert!(open <= SETTINGS.max_open_orders);
                let said = items(whole.decoder.memory());
                let mut copy = crate::itch50::copied(whole.decoder.memory());
                let mut again = items(&mut copy);
                assert_eq!(copy.open_orders(), open);
                // The same items; orders stand where the table has them.
                let mut said = said;
                said.sort_unstable();
                again.sort_unstable();
                assert_eq!(said, again);
                return;
            }
            Step::Failed(reason) => {
                assert!(!reason.to_string().is_empty());
                return;
            }
        };
    }
}

fn raw(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(LONGEST_CHUNK)].to_vec()
}

/// Items as a giver writes them.
fn orderly(input: &mut Input<'_>, orders: &mut u64) -> Vec<u8> {
    let mut items = Vec::new();
    for _ in 0..input.byte() % 24 {
        match input.byte() % 8 {
            0 => {
                items.push(2);
                items.extend(u64::from(input.byte() % 32).to_le_bytes());
            }
            1 => {
                items.push(3);
                items.extend((input.word() % 1_100).to_le_bytes());
                items.extend(input.number().to_le_bytes());
            }
            2 => items.push(4),
            _ => {
                *orders += 1;
                items.push(1);
                items.extend((*orders % 24).to_le_bytes());
                let mut order = [0; 11];
                let given = input.take(3);
                order[..given.len()].copy_from_slice(given);
                items.extend(order);
            }
        }
    }
    items
}
