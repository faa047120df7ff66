//! What does a file say, packet by packet, as if it were live?
//!
//! A capture's packets go to the line that their destination belongs to; a BinaryFILE's messages are
//! numbered from the source's first number and go to line A. A packet is due at its captured time,
//! moved and scaled by [`Pace`]; a BinaryFILE is paced by the time stamps of its messages.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use twinfeed_protocol::line::{Line, Lines, Source};
use twinfeed_protocol::sequencer::{Now, Transmit};
use twinfeed_protocol::time::Time;
use twinfeed_wire::{Epoch, Sid};

use super::live::{Epochs, hear};
use super::moldudp64::{Malformed, Packet};
use super::pace::{Pace, Speed};
use super::{binaryfile, pcap};
use crate::config::{Config, Replay as ReplaySpeed, SourceType};
use crate::converter::At;
use crate::decode::itch50::Message;
use crate::decode::itch50::message::Timestamp;
use crate::error::AdapterError;
use crate::note::{News, Notes};

/// One file on its way through a source's lines.
#[derive(Debug)]
pub struct Replay {
    sid: Sid,
    path: PathBuf,
    reader: Reader,
    lines: [Option<SocketAddr>; 2],
    speed: Speed,
    start_delay: Duration,
    /// Known once the first cycle has said what time it is.
    pace: Option<Pace>,
    /// The packet that was read and is not due yet.
    pending: Option<Pending>,
    bytes: Vec<u8>,
    ended: bool,
    counters: ReplayCounters,
    epochs: Epochs,
    file_epoch: Epoch,
    next_sseq: u64,
}

/// What a replay counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReplayCounters {
    /// Packets, or messages of a BinaryFILE.
    pub packets: u64,
    /// Packets of a capture that are no MoldUDP64.
    pub malformed: u64,
    /// Packets of a capture that belong to no line.
    pub elsewhere: u64,
}

#[derive(Debug)]
enum Reader {
    Capture(Box<pcap::Reader<'static>>),
    BinaryFile(Box<binaryfile::Reader<std::io::BufReader<std::fs::File>>>),
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    line: Line,
    due: Time,
}

impl Replay {
    /// Opens the file.
    ///
    /// # Errors
    /// [`AdapterError::SourceFile`] when it cannot be opened or is not what it should be.
    pub fn open(
        config: &Config,
        sid: Sid,
        kind: SourceType,
        path: &Path,
        first_sseq: u64,
    ) -> Result<Self, AdapterError> {
        let failed = |fault: String| source_file(sid, path, fault);
        let reader = match kind {
            SourceType::Binaryfile => {
                let reader = binaryfile::Reader::open(path);
                Reader::BinaryFile(Box::new(reader.map_err(|error| failed(error.to_string()))?))
            }
            SourceType::Pcap | SourceType::Moldudp64 => {
                let reader = pcap::Reader::open(path);
                Reader::Capture(Box::new(reader.map_err(|error| failed(error.to_string()))?))
            }
        };
        Ok(Self {
            sid,
            path: path.to_owned(),
            reader,
            lines: [None; 2],
            speed: Speed::AsFastAsPossible,
            start_delay: Duration::ZERO,
            pace: None,
            pending: None,
            bytes: Vec::with_capacity(1 << 16),
            ended: false,
            counters: ReplayCounters::default(),
            epochs: Epochs::new(config.trading_day),
            file_epoch: binaryfile::epoch(&config.trading_day),
            next_sseq: first_sseq,
        })
    }

    /// How fast, and after which delay; as fast as possible and at once without this.
    #[must_use]
    pub fn paced(mut self, speed: ReplaySpeed, start_delay: Duration) -> Self {
        self.speed = match speed {
            ReplaySpeed::Original => Speed::Original,
            ReplaySpeed::Max => Speed::AsFastAsPossible,
            ReplaySpeed::Times(factor) => Speed::Scaled(factor),
        };
        self.start_delay = start_delay;
        self
    }

    /// Which destination of a capture is which line; without this all packets are line A's.
    #[must_use]
    pub fn on_lines(mut self, lines: [Option<SocketAddr>; 2]) -> Self {
        self.lines = lines;
        self
    }

    /// Plays what is due, at most one batch of it, and says how many packets there were.
    ///
    /// # Errors
    /// [`AdapterError::SourceFile`] when the file is truncated or damaged: what came before was played.
    pub fn poll<T: Transmit>(
        &mut self,
        now: Now,
        lines: &mut Lines,
        notes: &Notes,
        out: &mut At<'_, T>,
    ) -> Result<usize, AdapterError> {
        for played in 0..BATCH {
            if self.pending.is_none() && !self.read_next(now.time)? {
                self.end(now, lines, notes, out);
                return Ok(played);
            }
            match self.pending {
                Some(pending) if pending.due <= now.time => {
                    self.play(now, pending.line, lines, notes, out);
                    self.pending = None;
                }
                _ => return Ok(played),
            }
        }
        Ok(BATCH)
    }

    /// When the next packet is due, as far as known.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.pending.map(|pending| pending.due)
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counters(&self) -> ReplayCounters {
        self.counters
    }

    /// Whether everything was played.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Reads up to the next packet that belongs to a line; `false` at the end.
    fn read_next(&mut self, now: Time) -> Result<bool, AdapterError> {
        if self.ended {
            return Ok(false);
        }
        let (speed, begin) = (self.speed, now.after(self.start_delay));
        let pace = self.pace.get_or_insert_with(|| Pace::new(speed, begin.0));
        loop {
            let (line, seen) = match &mut self.reader {
                Reader::Capture(reader) => match reader.next_datagram() {
                    Ok(Some(datagram)) => {
                        let Some(line) = line_of(&self.lines, datagram.destination) else {
                            self.counters.elsewhere += 1;
                            continue;
                        };
                        self.bytes.clear();
                        self.bytes.extend_from_slice(datagram.payload);
                        (line, datagram.time)
                    }
                    Ok(None) => return Ok(false),
                    Err(error) => return Err(source_file(self.sid, &self.path, error.to_string())),
                },
                Reader::BinaryFile(reader) => match reader.next_message() {
                    Ok(Some(message)) => {
                        self.bytes.clear();
                        self.bytes.extend_from_slice(message);
                        let stamp = Message::parse(message).map(|of| of.header().timestamp);
                        (Line::A, stamp.map_or(0, Timestamp::nanoseconds))
                    }
                    Ok(None) => return Ok(false),
                    Err(error) => return Err(source_file(self.sid, &self.path, error.to_string())),
                },
            };
            self.pending = Some(Pending {
                line,
                due: Time(pace.due(seen)),
            });
            return Ok(true);
        }
    }

    fn play<T: Transmit>(
        &mut self,
        now: Now,
        line: Line,
        lines: &mut Lines,
        notes: &Notes,
        out: &mut At<'_, T>,
    ) {
        self.counters.packets += 1;
        if let Reader::BinaryFile(_) = self.reader {
            let message = std::iter::once(self.bytes.as_slice());
            let (epoch, sseq) = (self.file_epoch, self.next_sseq);
            self.next_sseq += 1;
            lines.on_packet(line, now.time, epoch, sseq, 1, message, now.unix_ns, out);
            return;
        }
        match Packet::parse(&self.bytes) {
            Ok(packet) => {
                hear(
                    now,
                    line,
                    &packet,
                    now.unix_ns,
                    lines,
                    &mut self.epochs,
                    out,
                );
            }
            Err(fault) => self.malformed(line, fault, notes),
        }
    }

    fn malformed(&mut self, line: Line, fault: Malformed, notes: &Notes) {
        if self.counters.malformed == 0 {
            notes.leave(self.sid, News::Malformed(line, fault));
        }
        self.counters.malformed += 1;
    }

    fn end<T: Transmit>(
        &mut self,
        now: Now,
        lines: &mut Lines,
        notes: &Notes,
        out: &mut At<'_, T>,
    ) {
        if self.ended {
            return;
        }
        self.ended = true;
        lines.on_close(now.time, out);
        if let Reader::BinaryFile(_) = self.reader {
            // The file's end is the session's: it carries no marker of its own that Lines would see.
            out.ended(self.file_epoch, self.next_sseq);
        }
        notes.leave(
            self.sid,
            News::ReplayEnded {
                packets: self.counters.packets,
            },
        );
    }
}

fn line_of(lines: &[Option<SocketAddr>; 2], destination: SocketAddr) -> Option<Line> {
    match lines {
        [None, None] => Some(Line::A),
        [Some(a), _] if *a == destination => Some(Line::A),
        [_, Some(b)] if *b == destination => Some(Line::B),
        _ => None,
    }
}

fn source_file(sid: Sid, path: &Path, fault: String) -> AdapterError {
    AdapterError::SourceFile {
        sid,
        path: path.to_owned(),
        fault,
    }
}

/// Most packets played in one duty cycle, so that heartbeats and commands are never late.
const BATCH: usize = 64;
