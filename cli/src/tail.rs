//! `twinfeed tail`: what a feed says, as it says it.

use std::io;
use std::path::PathBuf;

use twinfeed_control::StopFlag;
use twinfeed_subscriber::record::MboMsg;
use twinfeed_subscriber::record::code::{action, flags, side};
use twinfeed_subscriber::wire::snapshot::{Order, Side};
use twinfeed_subscriber::{
    BodyKind, Builder, Control, Cursor, DataPoller, Delivered, Event, From, Handler, Piece,
    RecordFlags, Sid, restore_received_at,
};
use zerocopy::IntoBytes;

use crate::connect::Subscription;
use crate::failure::{CONFIGURATION, Failure, RUNTIME};
use crate::output::{Form, Item, Output};
use crate::progress::Progress;

/// Subscribe to a feed and print records and events in order.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    subscription: Subscription,
    /// The form of the output.
    #[arg(long, short, value_enum, default_value = "human")]
    format: Form,
    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only this kind of record: mbo, trades, status, definition, imbalance, statistics, opaque.
    #[arg(long, value_name = "KIND")]
    only: Option<String>,
    /// Where to begin: where the feed is now, or with a snapshot of what there is, told as DBN does it: a clear for each book and an add
    /// for each order, with the flag `F_SNAPSHOT`.
    #[arg(long, value_enum, value_name = "PLACE")]
    from: Option<FromPlace>,
    /// End after so many records.
    #[arg(long, value_name = "RECORDS")]
    limit: Option<u64>,
    /// No progress line.
    #[arg(long, short)]
    quiet: bool,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FromPlace {
    /// Where the feed is now.
    Live,
    /// With a snapshot, and the feed behind it.
    Snapshot,
}

/// Record a feed into a DBN file and its sidecar.
#[derive(Debug, clap::Args)]
pub(crate) struct RecordArgs {
    #[command(flatten)]
    subscription: Subscription,
    /// The recording, such as `day.dbn.zst`; `day.pos` is written beside it.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// End after so many records.
    #[arg(long, value_name = "RECORDS")]
    limit: Option<u64>,
    /// No progress line.
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let form = args.format;
    let output = Output::open(form, args.output.as_deref(), args.only.as_deref());
    let output = output.map_err(|error| Failure::new(CONFIGURATION, error))?;
    let quiet = args.quiet || args.output.is_none();
    let mut builder = args.subscription.builder("twinfeed-tail")?;
    if let Some(place) = args.from {
        builder = builder.from(match place {
            FromPlace::Live => From::Live,
            FromPlace::Snapshot => From::Snapshot,
        });
    }
    follow(builder, output, args.limit, quiet)
}

pub(crate) fn record(args: &RecordArgs) -> Result<(), Failure> {
    let output = Output::open(Form::Dbn, Some(&args.output), None);
    let output = output.map_err(|error| Failure::new(CONFIGURATION, error))?;
    follow(
        args.subscription.builder("twinfeed-record")?,
        output,
        args.limit,
        args.quiet,
    )
}

fn follow(
    builder: Builder,
    output: Output,
    limit: Option<u64>,
    quiet: bool,
) -> Result<(), Failure> {
    let stop = crate::demo::stop_on_signals()?;
    let (mut poller, mut control) = builder.open()?;
    if !control.subscribe(&stop)? {
        return Ok(());
    }
    let mut writer = Writer {
        output,
        copy: Vec::new(),
        records: 0,
        limit,
        failed: None,
        stop: stop.clone(),
        events: 0,
        place: None,
    };
    let ended = poll(&mut poller, control, &mut writer, &stop, quiet);
    let Writer {
        output,
        records,
        failed,
        ..
    } = writer;
    let left_out = output
        .finish()
        .map_err(|error| Failure::new(RUNTIME, error))?;
    if left_out > 0 && !quiet {
        eprintln!("{left_out} bodies had no place in this form");
    }
    if !quiet {
        eprintln!("{records} records");
    }
    match failed {
        // Whoever read our output has had enough.
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => ended,
        Some(error) => Err(Failure::new(RUNTIME, error)),
        None => ended,
    }
}

fn poll(
    poller: &mut DataPoller,
    control: Control,
    writer: &mut Writer,
    stop: &StopFlag,
    quiet: bool,
) -> Result<(), Failure> {
    let control = control.spawn()?;
    let progress = Progress::spinner(quiet);
    let mut told = 0;
    while !poller.is_closed() && !stop.is_stopped() {
        let work = poller.poll(BUDGET, writer);
        if work == 0 {
            // Nothing waits: let the reader see what there is.
            let flushed = writer.output.flush();
            writer.note(flushed);
        }
        if writer.records >= told + TELL_EVERY {
            told = writer.records;
            progress.say(&format!(
                "{} records, {} events",
                writer.records, writer.events
            ));
        }
        poller.idle(work);
    }
    progress.finish();
    Ok(control.stop()?)
}

/// Writes what is delivered.
struct Writer {
    output: Output,
    copy: Vec<u8>,
    records: u64,
    limit: Option<u64>,
    events: u64,
    failed: Option<io::Error>,
    stop: StopFlag,
    /// Where the snapshot stands that is told.
    place: Option<Cursor>,
}

impl Writer {
    fn note(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.failed.get_or_insert(error);
            self.stop.stop();
        }
    }

    /// Writes a record that stands in a snapshot.
    fn told(&mut self, body: &[u8]) {
        let Some(Cursor { next, count, .. }) = self.place.filter(|_| !self.is_over()) else {
            return;
        };
        let item = Item {
            sid: next.sid.0,
            epoch: next.epoch.0,
            sseq: next.sseq,
            part: next.part,
            adm: count.map_or(0, |(adm, _)| adm.0),
            flags: RecordFlags::default(),
            leg: None,
            kind: BodyKind::Dbn,
            body,
            received_at: 0,
        };
        let written = self.output.record(&item);
        self.note(written);
        self.records += 1;
        if self.is_over() {
            self.stop.stop();
        }
    }

    fn told_order(&mut self, instrument: u32, action: u8, order: Option<Order>) {
        let mut record = MboMsg {
            action,
            flags: flags::F_SNAPSHOT,
            ..MboMsg::default()
        };
        record.hd.instrument_id = instrument.into();
        if let Some(order) = order {
            record.order_id = order.id.into();
            record.price = order.price.into();
            record.size = order.size.into();
            record.side = match order.side {
                Side::Bid => side::BID,
                Side::Ask => side::ASK,
            };
        }
        self.told(record.as_bytes());
    }

    fn is_over(&self) -> bool {
        self.failed.is_some() || self.limit.is_some_and(|limit| self.records >= limit)
    }
}

impl Handler for Writer {
    fn record(&mut self, record: &Delivered<'_>) {
        if self.is_over() {
            return;
        }
        self.copy.clear();
        self.copy.extend_from_slice(record.body);
        restore_received_at(&mut self.copy, record.received_at);
        let item = Item {
            sid: record.pos.sid.0,
            epoch: record.pos.epoch.0,
            sseq: record.pos.sseq,
            part: record.pos.part,
            adm: record.adm.0,
            flags: record.flags,
            leg: Some(record.leg.index() as u8),
            kind: record.kind,
            body: &self.copy,
            received_at: record.received_at,
        };
        let written = self.output.record(&item);
        self.note(written);
        self.records += 1;
        if self.is_over() {
            self.stop.stop();
        }
    }

    fn event(&mut self, event: &Event) {
        if self.is_over() {
            return;
        }
        self.events += 1;
        let written = self.output.event(event);
        self.note(written);
    }

    fn snapshot(&mut self, _: Sid, piece: &Piece<'_>) {
        match *piece {
            Piece::Begin { cursor, .. } => self.place = Some(cursor),
            Piece::Instrument { instrument, .. } => {
                self.told_order(instrument, action::CLEAR, None);
            }
            Piece::Definition(record) => self.told(record.as_bytes()),
            Piece::Status(record) => self.told(record.as_bytes()),
            Piece::Orders(orders) => {
                for order in orders.iter() {
                    self.told_order(orders.instrument(), action::ADD, Some(order));
                }
            }
            Piece::Change(record) => {
                let mut record = *record;
                record.flags |= flags::F_SNAPSHOT;
                self.told(record.as_bytes());
            }
            Piece::End { .. } => self.place = None,
            // What is not wanted, and a message that clears books that are told above: neither is a record.
            _ => {}
        }
    }
}

/// Datagrams per poll.
const BUDGET: usize = 256;
/// Records from one progress line to the next.
const TELL_EVERY: u64 = 5_000;
