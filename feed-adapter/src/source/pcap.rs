//! Which UDP payloads does a capture hold, and when and where were they seen?
//!
//! Reads pcap (microseconds and nanoseconds, either endianness) and pcapng, block by block, through
//! a buffer of bounded size. What is not a whole UDP datagram is skipped and counted by cause,
//! never passed off as one. Nothing here knows what a payload says or when it should be sent again
//! (`pace` does).

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};

mod link;

use link::Content;

/// Bytes of a capture that are held at a time.
const BUFFER: usize = 1 << 20;
/// Longest block of a capture, bytes.
pub const LONGEST_BLOCK: usize = 16 << 20;
/// Most interfaces that one section of a pcapng file may describe.
pub const MOST_INTERFACES: usize = 4_096;

/// One UDP datagram of a capture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Datagram<'a> {
    /// When it was seen, Unix ns. A block without a time has that of the block before it.
    pub time: u64,
    /// Who sent it.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// What it carries.
    pub payload: &'a [u8],
}

/// How many packets of a capture were not whole UDP datagrams, by cause.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Skipped {
    /// Fragments of IP datagrams: they are not put together.
    pub fragments: u64,
    /// Packets of which the capture holds only the beginning (its snap length was too small).
    pub cut_short: u64,
    /// Packets of other protocols, and what is no IP packet at all.
    pub not_udp: u64,
    /// Packets of a link layer that is not understood.
    pub unknown_link: u64,
}

/// Reads the UDP datagrams of a capture.
pub struct Reader<'r> {
    blocks: Box<dyn PcapReaderIterator + Send + 'r>,
    name: PathBuf,
    interfaces: Vec<Interface>,
    /// Bytes of the blocks before the present one.
    offset: u64,
    time: u64,
    skipped: Skipped,
    /// The present datagram's payload: the reader's own buffer moves under it.
    payload: Vec<u8>,
}

/// What a packet block needs to know of the interface it was seen on.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: Linktype,
    /// Time units per second.
    resolution: u64,
    /// Seconds to add.
    offset: i64,
}

impl Reader<'static> {
    /// Opens a capture.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or is no capture.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let file = File::open(path).map_err(|error| ReadError::Open {
            name: path.to_owned(),
            error,
        })?;
        Self::new(file, path)
    }
}

impl<'r> Reader<'r> {
    /// Reads a capture from `input`, which errors call `name`.
    ///
    /// # Errors
    ///
    /// When `input` does not begin like a capture.
    pub fn new(input: impl Read + Send + 'r, name: impl Into<PathBuf>) -> Result<Self, ReadError> {
        let name = name.into();
        let blocks = create_reader(BUFFER, Whole(input)).map_err(|error| match error {
            PcapError::ReadError => ReadError::Input {
                name: name.clone(),
                offset: 0,
            },
            PcapError::Eof | PcapError::Incomplete(_) => ReadError::Truncated {
                name: name.clone(),
                offset: 0,
            },
            _ => ReadError::NotACapture { name: name.clone() },
        })?;
        Ok(Self {
            blocks,
            name,
            interfaces: Vec::new(),
            offset: 0,
            time: 0,
            skipped: Skipped::default(),
            payload: Vec::with_capacity(1 << 16),
        })
    }

    /// The next UDP datagram; `None` at the end.
    ///
    /// # Errors
    ///
    /// When the file ends within a block, or a block is damaged. The file and the place are named.
    pub fn next_datagram(&mut self) -> Result<Option<Datagram<'_>>, ReadError> {
        loop {
            match self.step()? {
                Step::End => return Ok(None),
                Step::Skip => {}
                Step::Datagram(source, destination) => {
                    let (time, payload) = (self.time, self.payload.as_slice());
                    return Ok(Some(Datagram {
                        time,
                        source,
                        destination,
                        payload,
                    }));
                }
            }
        }
    }

    /// What was skipped so far.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// Reads one block.
    fn step(&mut self) -> Result<Step, ReadError> {
        let (length, step) = match self.blocks.next() {
            Ok((length, block)) => {
                let seen = match block {
                    PcapBlockOwned::LegacyHeader(header) => {
                        let nanoseconds = header.is_nanosecond_precision();
                        let resolution = if nanoseconds {
                            1_000_000_000
                        } else {
                            1_000_000
                        };
                        Seen::Interface(Interface {
                            link: header.network,
                            resolution,
                            offset: 0,
                        })
                    }
                    PcapBlockOwned::Legacy(packet) => {
                        let resolution = self.interfaces.first().map_or(1, |of| of.resolution);
                        let time = u64::from(packet.ts_sec) * resolution;
                        let data = &packet.data[..packet.data.len().min(packet.caplen as usize)];
                        Seen::Packet(0, Some(time + u64::from(packet.ts_usec)), data)
                    }
                    PcapBlockOwned::NG(Block::SectionHeader(_)) => Seen::Section,
                    PcapBlockOwned::NG(Block::InterfaceDescription(of)) => {
                        Seen::Interface(Interface {
                            link: of.linktype,
                            resolution: of.ts_resolution().unwrap_or(1_000_000).max(1),
                            offset: of.ts_offset(),
                        })
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(ref packet)) => {
                        let time = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                        let held = packet.data.len().min(packet.caplen as usize);
                        Seen::Packet(packet.if_id as usize, Some(time), &packet.data[..held])
                    }
                    PcapBlockOwned::NG(Block::SimplePacket(ref packet)) => {
                        Seen::Packet(0, None, packet.packet_data())
                    }
                    PcapBlockOwned::NG(_) => Seen::Other,
                };
                let mut state = State {
                    interfaces: &mut self.interfaces,
                    time: &mut self.time,
                    skipped: &mut self.skipped,
                    payload: &mut self.payload,
                };
                (length, state.take(seen))
            }
            Err(PcapError::Eof) => return Ok(Step::End),
            Err(PcapError::Incomplete(_)) => {
                let refilled = self.blocks.refill().is_ok();
                return if refilled {
                    Ok(Step::Skip)
                } else {
                    Err(self.input())
                };
            }
            Err(PcapError::BufferTooSmall) => {
                let grown = self.blocks.grow(LONGEST_BLOCK);
                return if grown {
                    Ok(Step::Skip)
                } else {
                    Err(self.damaged())
                };
            }
            Err(PcapError::UnexpectedEof) => return self.short_end(),
            Err(PcapError::ReadError) => return Err(self.input()),
            Err(_) => return Err(self.damaged()),
        };
        self.blocks.consume(length);
        self.offset += length as u64;
        step.ok_or_else(|| self.damaged())
    }

    /// The input ended: between two blocks, or within one?
    fn short_end(&self) -> Result<Step, ReadError> {
        if self.blocks.data().is_empty() {
            return Ok(Step::End);
        }
        Err(ReadError::Truncated {
            name: self.name.clone(),
            offset: self.offset,
        })
    }

    fn input(&self) -> ReadError {
        ReadError::Input {
            name: self.name.clone(),
            offset: self.offset,
        }
    }

    fn damaged(&self) -> ReadError {
        ReadError::Damaged {
            name: self.name.clone(),
            offset: self.offset,
        }
    }
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("name", &self.name)
            .field("offset", &self.offset)
            .field("skipped", &self.skipped)
            .finish_non_exhaustive()
    }
}

/// What one block amounts to.
enum Step {
    Datagram(SocketAddr, SocketAddr),
    Skip,
    End,
}

/// What was found in one block.
#[derive(Clone, Copy)]
enum Seen<'a> {
    Section,
    Interface(Interface),
    /// Interface, time in its units, bytes.
    Packet(usize, Option<u64>, &'a [u8]),
    Other,
}

/// The parts of a reader that a block changes, apart from the buffer that the block lies in.
struct State<'s> {
    interfaces: &'s mut Vec<Interface>,
    time: &'s mut u64,
    skipped: &'s mut Skipped,
    payload: &'s mut Vec<u8>,
}

impl State<'_> {
    /// Takes note of a block; `None` when it contradicts the blocks before it.
    fn take(&mut self, seen: Seen<'_>) -> Option<Step> {
        match seen {
            Seen::Section => self.interfaces.clear(),
            Seen::Interface(interface) => {
                if self.interfaces.len() == MOST_INTERFACES {
                    return None;
                }
                self.interfaces.push(interface);
            }
            Seen::Packet(index, time, bytes) => {
                let interface = *self.interfaces.get(index)?;
                if let Some(time) = time {
                    *self.time = interface.unix(time);
                }
                return Some(self.packet(interface.link, bytes));
            }
            Seen::Other => {}
        }
        Some(Step::Skip)
    }

    fn packet(&mut self, link: Linktype, bytes: &[u8]) -> Step {
        match link::content(link, bytes) {
            Content::Udp {
                source,
                destination,
                payload,
            } => {
                self.payload.clear();
                self.payload.extend_from_slice(payload);
                return Step::Datagram(source, destination);
            }
            Content::Fragment => self.skipped.fragments += 1,
            Content::CutShort => self.skipped.cut_short += 1,
            Content::NotUdp => self.skipped.not_udp += 1,
            Content::UnknownLink => self.skipped.unknown_link += 1,
        }
        Step::Skip
    }
}

impl Interface {
    /// Unix ns of a time in this interface's units.
    fn unix(&self, time: u64) -> u64 {
        let nanoseconds = u128::from(time) * 1_000_000_000 / u128::from(self.resolution);
        let shifted = i128::try_from(nanoseconds)
            .unwrap_or(i128::MAX)
            .saturating_add(i128::from(self.offset) * 1_000_000_000);
        u64::try_from(shifted.max(0)).unwrap_or(u64::MAX)
    }
}

/// Fills every read as far as the input goes, so that the first one holds the whole file header.
struct Whole<R>(R);

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut had = 0;
        while had < buffer.len() {
            match self.0.read(&mut buffer[had..]) {
                Ok(0) => break,
                Ok(more) => had += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(had)
    }
}

/// Why a capture could not be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be opened.
    #[error("{name}: cannot be opened: {error}", name = name.display())]
    Open {
        /// The file.
        name: PathBuf,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// The file could not be read on.
    #[error("{name}: cannot be read beyond offset {offset}", name = name.display())]
    Input {
        /// The file.
        name: PathBuf,
        /// Where, bytes.
        offset: u64,
    },
    /// It begins like neither pcap nor pcapng.
    #[error("{name}: neither pcap nor pcapng; a compressed capture must be unpacked first",
        name = name.display())]
    NotACapture {
        /// The file.
        name: PathBuf,
    },
    /// It ends within a block.
    #[error("{name}: truncated: it ends within the block at offset {offset}; fetch the file again",
        name = name.display())]
    Truncated {
        /// The file.
        name: PathBuf,
        /// Where the block begins, bytes.
        offset: u64,
    },
    /// A block that cannot be, or is longer than [`LONGEST_BLOCK`].
    #[error("{name}: the block at offset {offset} is damaged or longer than {LONGEST_BLOCK} bytes",
        name = name.display())]
    Damaged {
        /// The file.
        name: PathBuf,
        /// Where the block begins, bytes.
        offset: u64,
    },
}

#[cfg(test)]
mod tests;
