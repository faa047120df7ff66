//! `twinfeed tail`: what a feed says, as it says it.

use std::io;
use std::path::PathBuf;

use twinfeed_control::StopFlag;
use twinfeed_subscriber::{Control, DataPoller, Delivered, Event, Handler, restore_received_at};

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
    /// End after so many records.
    #[arg(long, value_name = "RECORDS")]
    limit: Option<u64>,
    /// No progress line.
    #[arg(long, short)]
    quiet: bool,
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
    follow(
        &args.subscription,
        "twinfeed-tail",
        output,
        args.limit,
        quiet,
    )
}

pub(crate) fn record(args: &RecordArgs) -> Result<(), Failure> {
    let output = Output::open(Form::Dbn, Some(&args.output), None);
    let output = output.map_err(|error| Failure::new(CONFIGURATION, error))?;
    follow(
        &args.subscription,
        "twinfeed-record",
        output,
        args.limit,
        args.quiet,
    )
}

fn follow(
    subscription: &Subscription,
    application: &str,
    output: Output,
    limit: Option<u64>,
    quiet: bool,
) -> Result<(), Failure> {
    let stop = crate::demo::stop_on_signals()?;
    let (mut poller, mut control) = subscription.builder(application)?.open()?;
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
}

impl Writer {
    fn note(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.failed.get_or_insert(error);
            self.stop.stop();
        }
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
}

/// Datagrams per poll.
const BUDGET: usize = 256;
/// Records from one progress line to the next.
const TELL_EVERY: u64 = 5_000;
