//! `twinfeed convert`: what a capture would become.

use std::io;
use std::path::PathBuf;

use twinfeed_feed_adapter::config::Format;
use twinfeed_feed_adapter::convert::{ConvertError, Converted, Job, Sink, Summary, convert};
use twinfeed_feed_adapter::decode::{TradingDay, itch50};
use twinfeed_subscriber::restore_received_at;
use twinfeed_wire::RecordFlags;

use crate::failure::{CONFIGURATION, Failure, RUNTIME};
use crate::output::{Form, Item, Output};
use crate::progress::Progress;

/// Convert a capture or BinaryFILE offline, by the adapters' own decoder.
///
/// Packet by packet, without arbitration: a capture of both lines yields every message twice. Counts per
/// message type go to standard error.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A pcap or pcapng of MoldUDP64, or a BinaryFILE.
    input: PathBuf,
    /// The messages' format: itch50.
    #[arg(long, value_name = "FORMAT")]
    format: String,
    /// The form of the output.
    #[arg(long, value_enum, default_value = "dbn")]
    to: Form,
    /// Write to this file (`.dbn`, `.dbn.zst`, `.json`, `.csv`) instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only this kind of record: mbo, trades, status, definition, imbalance, statistics, opaque.
    #[arg(long, value_name = "KIND")]
    only: Option<String>,
    /// The day of the messages' timestamps; a capture's own if left out.
    #[arg(long, value_name = "DAY")]
    trading_day: Option<TradingDay>,
    /// DBN publisher of every record.
    #[arg(long, default_value_t = itch50::Settings::XNAS_ITCH)]
    publisher_id: u16,
    /// Number of a BinaryFILE's first message.
    #[arg(long, default_value_t = 1)]
    first_sequence: u64,
    /// Most orders that are remembered.
    #[arg(long, default_value_t = itch50::Settings::MAX_OPEN_ORDERS)]
    max_open_orders: usize,
    /// Neither progress nor counts.
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let format: Format = serde_format(&args.format)?;
    let output = Output::open(args.to, args.output.as_deref(), args.only.as_deref());
    let output = output.map_err(|error| Failure::new(CONFIGURATION, error))?;
    let job = Job {
        input: args.input.clone(),
        format,
        trading_day: args.trading_day,
        publisher_id: args.publisher_id,
        max_open_orders: args.max_open_orders,
        first_sseq: args.first_sequence,
    };
    let progress = Progress::spinner(args.quiet);
    let mut writer = Writer {
        output,
        progress,
        copy: Vec::new(),
    };
    let converted = convert(&job, &mut writer);
    writer.progress.finish();
    let finished = writer
        .output
        .finish()
        .map_err(|error| Failure::new(RUNTIME, error));
    let summary = match converted {
        Ok(summary) => summary,
        Err(ConvertError::Sink(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return Ok(());
        }
        Err(error @ ConvertError::NoTradingDay { .. }) => {
            let remedy = format!("{error}: add --trading-day YYYY-MM-DD");
            return Err(Failure::new(CONFIGURATION, remedy));
        }
        Err(error) => return Err(Failure::new(RUNTIME, error)),
    };
    let left_out = finished?;
    if !args.quiet {
        report(&summary, left_out);
    }
    Ok(())
}

fn serde_format(word: &str) -> Result<Format, Failure> {
    use serde::Deserialize as _;
    use serde::de::IntoDeserializer as _;
    let word: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
        word.into_deserializer();
    Format::deserialize(word)
        .map_err(|error| Failure::new(CONFIGURATION, format!("--format: {error}")))
}

fn report(summary: &Summary, left_out: u64) {
    for (letter, (title, count)) in &summary.types {
        eprintln!("{count:>12}  {letter}  {title}");
    }
    eprintln!(
        "{:>12}  messages in {} packets: {} records, {} opaque bodies",
        summary.messages, summary.packets, summary.records, summary.opaque
    );
    for (count, what) in [
        (summary.malformed, "packets are no MoldUDP64"),
        (
            summary.skipped.fragments,
            "fragments of IP datagrams were skipped",
        ),
        (
            summary.skipped.cut_short,
            "packets are cut short by the capture",
        ),
        (summary.skipped.not_udp, "packets are no UDP"),
        (
            summary.skipped.unknown_link,
            "packets have an unknown link layer",
        ),
        (summary.faults.unknown_type, "messages of an unknown type"),
        (summary.faults.wrong_size, "messages of a wrong length"),
        (
            summary.faults.unknown_order,
            "messages about orders that are not known",
        ),
        (
            summary.faults.orders_full,
            "orders that found the memory full",
        ),
        (left_out, "bodies had no place in this form"),
    ] {
        if count > 0 {
            eprintln!("{count:>12}  {what}");
        }
    }
    if let Some(first) = &summary.first_malformed {
        eprintln!("              the first of them: {first}");
    }
}

struct Writer {
    output: Output,
    progress: Progress,
    copy: Vec<u8>,
}

impl Sink for Writer {
    fn record(&mut self, record: &Converted<'_>) -> io::Result<()> {
        self.copy.clear();
        self.copy.extend_from_slice(record.bytes);
        restore_received_at(&mut self.copy, record.received_at);
        self.output.record(&Item {
            sid: 0,
            epoch: 0,
            sseq: record.sseq,
            part: record.part,
            adm: 0,
            flags: if record.last {
                RecordFlags::LAST
            } else {
                RecordFlags(0)
            },
            leg: None,
            kind: record.kind,
            body: &self.copy,
            received_at: record.received_at,
        })
    }

    fn progress(&mut self, packets: u64) {
        self.progress.say(&format!("{packets} packets"));
    }
}
