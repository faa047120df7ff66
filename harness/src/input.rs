//! Which source messages does a file hold, whatever kind of file it is?

use std::fs;
use std::path::{Path, PathBuf};

use twinfeed_exchange::Messages;
use twinfeed_feed_adapter::source::moldudp64::{Kind, Packet};
use twinfeed_feed_adapter::source::pcap;

use crate::error::Error;

/// First four bytes of pcap (both endiannesses, µs and ns) and pcapng.
const CAPTURES: [[u8; 4]; 5] = [
    [0xD4, 0xC3, 0xB2, 0xA1],
    [0xA1, 0xB2, 0xC3, 0xD4],
    [0x4D, 0x3C, 0xB2, 0xA1],
    [0xA1, 0xB2, 0x3C, 0x4D],
    [0x0A, 0x0D, 0x0D, 0x0A],
];

/// Whether the file is a capture, by its first bytes; otherwise it is taken for a BinaryFILE.
///
/// # Errors
/// When it cannot be read.
pub fn is_capture(path: &Path) -> Result<bool, Error> {
    use std::io::Read as _;
    let mut magic = Vec::new();
    let file = fs::File::open(path).map_err(Error::file("read", path))?;
    file.take(4)
        .read_to_end(&mut magic)
        .map_err(Error::file("read", path))?;
    Ok(CAPTURES.iter().any(|known| magic == known))
}

/// The messages of a capture's MoldUDP64 packets in the order of the capture, or of a BinaryFILE.
///
/// Of a capture of both lines, a message is taken where its number first appears; numbers that do not
/// rise count only when they never do (captures put together from single packets number them all 0).
///
/// # Errors
/// When the file cannot be read, is cut off, or holds no message.
pub fn messages(path: &Path) -> Result<Messages, Error> {
    let bad = |fault: String| Error::Truth {
        path: path.to_owned(),
        fault,
    };
    let messages = match is_capture(path)? {
        true => of_capture(path)?,
        false => {
            let bytes = fs::read(path).map_err(Error::file("read", path))?;
            Messages::from_binaryfile(&bytes).map_err(|error| bad(error.to_string()))?
        }
    };
    match messages.is_empty() {
        true => Err(bad(
            "it holds no message; name a capture of MoldUDP64 or a BinaryFILE".into(),
        )),
        false => Ok(messages),
    }
}

/// The file itself if it is a BinaryFILE, or else its messages as one in `scratch`.
///
/// # Errors
/// As [`messages`], or when the new file cannot be written.
pub fn as_binaryfile(path: &Path, scratch: &Path) -> Result<PathBuf, Error> {
    let messages = messages(path)?;
    if !is_capture(path)? {
        return path.canonicalize().map_err(Error::file("find", path));
    }
    let mut bytes = Vec::new();
    for message in (0..messages.len()).filter_map(|index| messages.get(index)) {
        // A message of a packet has a 16-bit length.
        bytes.extend((message.len() as u16).to_be_bytes());
        bytes.extend(message);
    }
    let converted = scratch.join("input.itch");
    fs::write(&converted, bytes).map_err(Error::file("write", &converted))?;
    Ok(converted)
}

fn of_capture(path: &Path) -> Result<Messages, Error> {
    let bad = |fault: String| Error::Truth {
        path: path.to_owned(),
        fault,
    };
    let mut reader = pcap::Reader::open(path).map_err(|error| bad(error.to_string()))?;
    let mut messages = Messages::default();
    let mut next = 0;
    while let Some(datagram) = reader
        .next_datagram()
        .map_err(|error| bad(error.to_string()))?
    {
        let Ok(packet) = Packet::parse(datagram.payload) else {
            continue;
        };
        if packet.kind() != Kind::Messages {
            continue;
        }
        for (number, message) in packet.messages() {
            if number == 0 || number >= next {
                messages.push(message);
                next = next.max(number + 1);
            }
        }
    }
    Ok(messages)
}
