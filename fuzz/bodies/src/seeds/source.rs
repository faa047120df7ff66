//! What does an exchange send?

use twinfeed_exchange::SessionId;
use twinfeed_exchange::flow::{Flow, FlowConfig};
use twinfeed_exchange::mold::{Packer, end_of_session, heartbeat};
use twinfeed_exchange::soup;
use twinfeed_feed_adapter::decode::itch50::message::MESSAGES;

/// The messages of a short day of three instruments, all types of the live market among them.
pub(super) fn day(seed: u64, count: u64) -> Vec<Vec<u8>> {
    let config = FlowConfig {
        instruments: 3,
        orders_per_instrument: 4,
        ..FlowConfig::default()
    };
    let mut flow = Flow::new(config, seed, 0, count);
    (0..count)
        .map(|index| flow.next(index * 1_000).to_vec())
        .collect()
}

fn session() -> SessionId {
    match SessionId::numbered("S", 1) {
        Some(session) => session,
        None => panic!("a seed is refused: a session's name"),
    }
}

pub(super) fn packets() -> Vec<Vec<u8>> {
    let mut packets = vec![
        heartbeat(session(), 7).to_vec(),
        end_of_session(session(), 9).to_vec(),
    ];
    let mut packer = Packer::new(400);
    let mut first = 1;
    packer.begin(session(), first);
    for message in day(1, 60) {
        if !packer.push(&message) {
            packets.push(packer.finish().to_vec());
            first += u64::from(packer.count());
            packer.begin(session(), first);
            packer.push(&message);
        }
    }
    packer.begin(session(), u64::MAX - 1);
    packer.push(b"");
    packets.push(packer.finish().to_vec());
    packets
}

/// As [`crate::soup`] reads them: in pieces of how many bytes, and what a server says.
pub(super) fn sessions() -> Vec<Vec<u8>> {
    let mut rejected = vec![0];
    soup::rejected(b'S', &mut rejected);
    let mut given = vec![30];
    soup::packet(b'+', &mut given, |out| out.extend(b"welcome"));
    soup::accepted(session(), 1_203, &mut given);
    for message in day(2, 20) {
        soup::packet(b'S', &mut given, |out| out.extend(message));
    }
    soup::packet(b'H', &mut given, |_| {});
    let mut ended = given.clone();
    soup::packet(b'Z', &mut ended, |_| {});
    ended[0] = u8::MAX;
    let mut last = vec![7];
    soup::accepted(session(), u64::MAX, &mut last);
    soup::packet(b'S', &mut last, |_| {});
    let mut spun = ended.clone();
    spun.truncate(spun.len() - 3);
    soup::packet(b'S', &mut spun, |out| {
        out.extend(format!("G{:>20}", 1_223).into_bytes());
    });
    vec![rejected, given, ended, last, spun]
}

/// As [`crate::itch50`] reads them: which type, and its bytes behind the letter.
pub(super) fn messages() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for seed in 1..=4 {
        let mut script = Vec::new();
        for message in day(seed, 120) {
            let kind = MESSAGES
                .iter()
                .position(|(letter, ..)| *letter == message[0]);
            script.push(kind.unwrap_or(0) as u8);
            script.extend(&message[1..]);
        }
        script.push(u8::MAX); // the memory is copied
        for message in day(seed + 10, 40) {
            script.extend([240, message.len() as u8]);
            script.extend(message);
        }
        seeds.push(script);
    }
    // Every type once, with zeros behind its letter.
    let mut every = Vec::new();
    for (kind, (_, length, _)) in MESSAGES.iter().enumerate() {
        every.push(kind as u8);
        every.extend(vec![0; length - 1]);
    }
    seeds.push(every);
    seeds
}

pub(super) fn binaryfiles() -> Vec<Vec<u8>> {
    let mut file = vec![3];
    for message in day(1, 30) {
        file.extend((message.len() as u16).to_be_bytes());
        file.extend(message);
    }
    let cut = file[..file.len() - 5].to_vec();
    let mut ended = file.clone();
    ended.extend([0, 0, 1, 2]);
    vec![file, cut, ended, vec![0, 0xFF, 0xFF, 1]]
}

pub(super) fn captures() -> Vec<Vec<u8>> {
    let frames: Vec<Vec<u8>> = packets()
        .iter()
        .take(4)
        .map(|packet| ethernet(packet))
        .collect();
    let [mut one, mut other, mut next] = [vec![9], vec![0], vec![64]];
    one.extend(pcap(
        &frames,
        0xA1B2_C3D4_u32.to_le_bytes(),
        u32::to_le_bytes,
    ));
    other.extend(pcap(
        &frames,
        0xA1B2_3C4D_u32.to_be_bytes(),
        u32::to_be_bytes,
    ));
    next.extend(pcapng(&frames));
    let cut = next[..next.len() - 3].to_vec();
    // A block that claims four gigabytes.
    let mut lying = next[..60].to_vec();
    lying.extend(6_u32.to_le_bytes());
    lying.extend(0xFFFF_FFFC_u32.to_le_bytes());
    vec![one, other, next, cut, lying]
}

/// A packet on a tagged Ethernet, over IPv4 or, when its length is odd, IPv6.
fn ethernet(payload: &[u8]) -> Vec<u8> {
    let mut udp = vec![0x30, 0x39, 0x7D, 0x00];
    udp.extend((8 + payload.len() as u16).to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    let mut frame = vec![2; 12];
    frame.extend([0x81, 0x00, 0, 5]);
    if payload.len() % 2 == 1 {
        frame.extend([0x86, 0xDD, 0x60, 0, 0, 0]);
        frame.extend((udp.len() as u16 + 8).to_be_bytes());
        frame.extend([0, 1]); // options come first
        frame.extend([0xFD; 32]);
        frame.extend([17, 0, 1, 4, 0, 0, 0, 0]);
    } else {
        frame.extend([0x08, 0x00, 0x45, 0]);
        frame.extend((20 + udp.len() as u16).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 8, 17, 0, 0, 10, 0, 0, 1, 239, 1, 1, 1]);
    }
    frame.extend(udp);
    frame
}

fn pcap(frames: &[Vec<u8>], magic: [u8; 4], word: fn(u32) -> [u8; 4]) -> Vec<u8> {
    let mut file = magic.to_vec();
    // Version 2.4 as one word would be swapped in halves: two bytes each.
    let half = |number: u32| -> Vec<u8> {
        let bytes = word(number);
        if bytes[0] == 0 {
            bytes[2..].to_vec()
        } else {
            bytes[..2].to_vec()
        }
    };
    file.extend(half(2));
    file.extend(half(4));
    for number in [0, 0, 65_535, 1] {
        file.extend(word(number));
    }
    for (second, frame) in (1..).zip(frames) {
        for number in [second, 17, frame.len() as u32, frame.len() as u32] {
            file.extend(word(number));
        }
        file.extend(frame);
    }
    file
}

fn pcapng(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut section = 0x1A2B_3C4D_u32.to_le_bytes().to_vec();
    section.extend([1, 0, 0, 0]);
    section.extend([0xFF; 8]);
    let mut file = block(0x0A0D_0D0A, &section);
    // Ethernet, whole packets, nanoseconds.
    file.extend(block(
        1,
        &[
            1, 0, 0, 0, 0xFF, 0xFF, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0,
        ],
    ));
    for frame in frames {
        let length = (frame.len() as u32).to_le_bytes();
        let mut packet = vec![0; 8];
        packet.extend(77_u32.to_le_bytes());
        packet.extend(length);
        packet.extend(length);
        packet.extend(frame);
        file.extend(block(6, &packet));
    }
    if let Some(frame) = frames.first() {
        let mut packet = (frame.len() as u32).to_le_bytes().to_vec();
        packet.extend(frame);
        file.extend(block(3, &packet));
    }
    file
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let total = (padded as u32 + 12).to_le_bytes();
    let mut block = kind.to_le_bytes().to_vec();
    block.extend(total);
    block.extend(body);
    block.resize(8 + padded, 0);
    block.extend(total);
    block
}
