//! What would a capture become?
//!
//! Offline conversion by the adapters' own decoder: packet by packet in the order of the file, without
//! arbitration, so that a capture of both lines yields every message twice. Records go to a [`Sink`] of
//! the caller's; what they are written as is not known here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use twinfeed_wire::BodyKind;

use crate::config::Format;
use crate::decode::{
    DecodeError, Decoder as _, Faults, LONGEST_MESSAGE, MessageType, Parts, TradingDay, itch50,
};
use crate::source::moldudp64::{Kind, Packet, Session};
use crate::source::{binaryfile, pcap};

/// What to convert, and as what.
#[derive(Clone, Debug)]
pub struct Job {
    /// A capture (pcap, pcapng) of MoldUDP64, or a BinaryFILE; told apart by their first bytes.
    pub input: PathBuf,
    /// The messages' format.
    pub format: Format,
    /// The day of the messages' time stamps. A capture's own day if `None`; a BinaryFILE has none.
    pub trading_day: Option<TradingDay>,
    /// DBN's `publisher_id` in every record.
    pub publisher_id: u16,
    /// Most orders that the context remembers.
    pub max_open_orders: usize,
    /// The number of a BinaryFILE's first message.
    pub first_sseq: u64,
}

/// One record, with all that is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Converted<'a> {
    /// The session; `None` in a BinaryFILE.
    pub session: Option<Session>,
    /// The source message's number.
    pub sseq: u64,
    /// Index within the source message.
    pub part: u16,
    /// Whether it is the last one of its source message.
    pub last: bool,
    /// What the bytes are.
    pub kind: BodyKind,
    /// The body, on an 8-byte boundary.
    pub bytes: &'a [u8],
    /// When the packet was captured, Unix ns; 0 in a BinaryFILE.
    pub received_at: u64,
}

/// Where records go.
pub trait Sink {
    /// Takes one record.
    ///
    /// # Errors
    /// What keeps it from going on; the conversion ends with it.
    fn record(&mut self, record: &Converted<'_>) -> std::io::Result<()>;

    /// Hears now and then how far the conversion has come: packets, or messages of a BinaryFILE.
    fn progress(&mut self, _packets: u64) {}
}

/// What was converted.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Packets, or messages of a BinaryFILE.
    pub packets: u64,
    /// Packets that are no MoldUDP64.
    pub malformed: u64,
    /// The first of those, in words.
    pub first_malformed: Option<String>,
    /// Source messages.
    pub messages: u64,
    /// DBN records.
    pub records: u64,
    /// Opaque bodies: source bytes that no record can hold.
    pub opaque: u64,
    /// Packets of a capture that were no whole UDP datagrams.
    pub skipped: pcap::Skipped,
    /// Messages per type, by letter; types that did not occur are left out.
    pub types: BTreeMap<char, (&'static str, u64)>,
    /// What went wrong in conversion.
    pub faults: Faults,
}

/// Why a conversion ended early.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The capture could not be read on.
    #[error("{0}")]
    Capture(#[from] pcap::ReadError),
    /// The BinaryFILE could not be read on.
    #[error("{0}")]
    BinaryFile(#[from] binaryfile::ReadError),
    /// The file does not say of which day it is.
    #[error("{}: the file does not say of which day it is; name its trading day", input.display())]
    NoTradingDay {
        /// The file.
        input: PathBuf,
    },
    /// The file speaks something else.
    #[error("{}: refused at number {sseq}: {error}", input.display())]
    Refused {
        /// The file.
        input: PathBuf,
        /// Number of the message.
        sseq: u64,
        /// What it speaks.
        error: DecodeError,
    },
    /// The sink failed.
    #[error("cannot write: {0}")]
    Sink(std::io::Error),
}

/// Converts a whole file.
///
/// # Errors
/// [`ConvertError`]; what came before the fault went to `sink`.
pub fn convert(job: &Job, sink: &mut impl Sink) -> Result<Summary, ConvertError> {
    match job.format {
        Format::Itch50 => match pcap::Reader::open(&job.input) {
            Ok(capture) => convert_capture(job, capture, sink),
            Err(pcap::ReadError::NotACapture { .. } | pcap::ReadError::Truncated { .. }) => {
                convert_binary_file(job, sink)
            }
            Err(error) => Err(error.into()),
        },
    }
}

fn convert_capture(
    job: &Job,
    mut capture: pcap::Reader<'_>,
    sink: &mut impl Sink,
) -> Result<Summary, ConvertError> {
    let mut work: Option<Work<'_>> = None;
    let mut session = None;
    while let Some(datagram) = capture.next_datagram()? {
        let work = match &mut work {
            Some(work) => work,
            none => none.insert(Work::new(job, day_for(job, datagram.time)?)),
        };
        work.count_packet(sink);
        let packet = match Packet::parse(datagram.payload) {
            Ok(packet) => packet,
            Err(fault) => {
                work.summary.malformed += 1;
                work.summary
                    .first_malformed
                    .get_or_insert_with(|| fault.to_string());
                continue;
            }
        };
        if session.replace(packet.session()) != Some(packet.session()) {
            work.decoder.reset(work.day);
        }
        if packet.kind() == Kind::Messages {
            for (sseq, message) in packet.messages() {
                work.message(session, sseq, message, datagram.time, sink)?;
            }
        }
    }
    let mut summary = work.map(Work::finish).unwrap_or_default();
    summary.skipped = capture.skipped();
    Ok(summary)
}

fn convert_binary_file(job: &Job, sink: &mut impl Sink) -> Result<Summary, ConvertError> {
    let no_day = || ConvertError::NoTradingDay {
        input: job.input.clone(),
    };
    let day = job.trading_day.ok_or_else(no_day)?;
    let mut file = binaryfile::Reader::open(&job.input)?;
    let mut work = Work::new(job, day);
    let mut sseq = job.first_sseq;
    while let Some(message) = file.next_message()? {
        work.count_packet(sink);
        work.message(None, sseq, message, 0, sink)?;
        sseq += 1;
    }
    Ok(work.finish())
}

/// A conversion under way.
struct Work<'j> {
    input: &'j Path,
    day: TradingDay,
    decoder: itch50::Converter,
    parts: Parts,
    summary: Summary,
}

impl<'j> Work<'j> {
    fn new(job: &'j Job, day: TradingDay) -> Self {
        let settings = itch50::Settings {
            publisher_id: job.publisher_id,
            max_open_orders: job.max_open_orders,
        };
        Self {
            input: &job.input,
            day,
            decoder: itch50::Converter::new(settings, day),
            parts: Parts::new(LONGEST_MESSAGE + 1),
            summary: Summary::default(),
        }
    }

    fn count_packet(&mut self, sink: &mut impl Sink) {
        self.summary.packets += 1;
        if self.summary.packets.is_multiple_of(PROGRESS) {
            sink.progress(self.summary.packets);
        }
    }

    fn message(
        &mut self,
        session: Option<Session>,
        sseq: u64,
        message: &[u8],
        received_at: u64,
        sink: &mut impl Sink,
    ) -> Result<(), ConvertError> {
        self.summary.messages += 1;
        if let Err(error) = self.decoder.convert(sseq, message, &mut self.parts)
            && error.refuses()
        {
            let input = self.input.to_owned();
            return Err(ConvertError::Refused { input, sseq, error });
        }
        for part in self.parts.iter() {
            match part.kind {
                BodyKind::Dbn => self.summary.records += 1,
                _ => self.summary.opaque += 1,
            }
            let (part, last, kind, bytes) = (part.part, part.last, part.kind, part.bytes);
            let record = Converted {
                session,
                sseq,
                part,
                last,
                kind,
                bytes,
                received_at,
            };
            sink.record(&record).map_err(ConvertError::Sink)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Summary {
        self.summary.faults = self.decoder.faults();
        let types = &mut self.summary.types;
        self.decoder
            .each_count(&mut |MessageType { letter, title }, count| {
                if count > 0 {
                    types.insert(letter, (title, count));
                }
            });
        self.summary
    }
}

/// The job's day, or else that of the capture.
fn day_for(job: &Job, captured: u64) -> Result<TradingDay, ConvertError> {
    let no_day = || ConvertError::NoTradingDay {
        input: job.input.clone(),
    };
    job.trading_day
        .or_else(|| day_of(captured))
        .ok_or_else(no_day)
}

/// The day on New York's calendar at this moment, Unix ns.
fn day_of(time: u64) -> Option<TradingDay> {
    let zone = TimeZone::get("America/New_York").ok()?;
    let moment = Timestamp::from_nanosecond(i128::from(time)).ok()?;
    let date = moment.to_zoned(zone).date();
    TradingDay::new(date.year(), date.month(), date.day()).ok()
}

/// Packets between two words about progress.
const PROGRESS: u64 = 65_536;
