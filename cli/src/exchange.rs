//! `twinfeed exchange`: a simulated exchange, told by flags, a file, and lines on standard input.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::thread;

use crossbeam::channel::unbounded;
use signal_hook::consts::{SIGINT, SIGTERM};
use twinfeed_exchange::{Command, Content, ExchangeConfig, Reporter, Summary, command};
use twinfeed_harness::exchange::JsonReporter;
use twinfeed_harness::input;

use crate::failure::{CONFIGURATION, Failure, RUNTIME};
use crate::progress::Progress;

/// Simulate an exchange: ITCH order flow, or a recording, over MoldUDP64 lines A and B.
///
/// Commands are read from standard input, one per line: start, stop, kill, pause, resume,
/// cut N [A|B], restore N [A|B].
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A configuration in TOML; flags win over it.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Any key of the configuration, such as `line_a.loss=0.01`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Carry the messages of a pcap, pcapng or BinaryFILE in a loop, instead of generated flow.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Destinations of line A.
    #[arg(long, value_name = "ADDRESS:PORT", value_delimiter = ',')]
    line_a: Vec<SocketAddr>,
    /// Destinations of line B.
    #[arg(long, value_name = "ADDRESS:PORT", value_delimiter = ',')]
    line_b: Vec<SocketAddr>,
    /// Give lost messages again to whoever asks here, as a MoldUDP64 request server.
    #[arg(long, value_name = "ADDRESS:PORT")]
    requests: Option<SocketAddr>,
    /// Give the session that is on to user TWIN without a password here, as a SoupBinTCP server.
    #[arg(long, value_name = "ADDRESS:PORT", value_delimiter = ',')]
    soup: Vec<SocketAddr>,
    /// Give snapshots of the market likewise, in the manner of GLIMPSE.
    #[arg(long, value_name = "ADDRESS:PORT", value_delimiter = ',')]
    glimpse: Vec<SocketAddr>,
    /// Decides all content and all faults.
    #[arg(long)]
    seed: Option<u64>,
    /// Mean rate, messages per second.
    #[arg(long)]
    rate: Option<NonZeroU64>,
    /// Rate in a burst, as a multiple of the mean.
    #[arg(long, value_name = "FACTOR")]
    burst: Option<NonZeroU32>,
    /// Instruments of generated flow.
    #[arg(long)]
    instruments: Option<u16>,
    /// How many sessions; without it, no end.
    #[arg(long)]
    sessions: Option<u64>,
    /// Length of a session, milliseconds.
    #[arg(long, value_name = "MS")]
    session_ms: Option<u64>,
    /// How long a session is announced, milliseconds.
    #[arg(long, value_name = "MS")]
    pause_ms: Option<u64>,
    /// Number of every session's first message.
    #[arg(long, value_name = "NUMBER")]
    first_sequence: Option<u64>,
    /// Announce the first session until the command `start`.
    #[arg(long)]
    wait: bool,
    /// Write one JSON line per ended session to this file.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Write every session's messages as a BinaryFILE into this directory.
    #[arg(long, value_name = "DIRECTORY")]
    sent_dir: Option<PathBuf>,
    /// Write events to standard output as JSON lines, and the summary at the end.
    #[arg(long)]
    json: bool,
    /// No progress line.
    #[arg(long, short)]
    quiet: bool,
    /// Check the configuration and exit with 0 or 78.
    #[arg(long)]
    check_config: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let config = configuration(args)?;
    config
        .check()
        .map_err(|error| Failure::new(CONFIGURATION, error))?;
    if args.check_config {
        println!("ok");
        return Ok(());
    }
    let content = match &args.input {
        Some(path) => {
            let messages = input::messages(path)?;
            Content::recorded(messages, config.mold.max_payload)
        }
        None => Content::load(&config),
    };
    let content = content.map_err(|error| Failure::new(CONFIGURATION, error))?;
    let (tell, commands) = unbounded();
    obey_signals(tell.clone())?;
    let listener = thread::Builder::new()
        .name("commands".to_owned())
        .spawn(move || {
            let refused = |error: command::CommandError| eprintln!("twinfeed exchange: {error}");
            // An end of standard input is no order to stop.
            let _ = command::forward(std::io::stdin().lock(), &tell, refused);
        });
    drop(listener.map_err(|error| Failure::new(RUNTIME, error))?);
    let summary = match args.json {
        true => twinfeed_exchange::run(&config, content, &commands, &mut JsonReporter)?,
        false => {
            let mut screen = Screen(Progress::spinner(args.quiet));
            twinfeed_exchange::run(&config, content, &commands, &mut screen)?
        }
    };
    if args.json {
        return Ok(());
    }
    let counters = summary.exchange;
    println!(
        "{} sessions, {} messages in {} packets, {} datagrams sent",
        counters.sessions, counters.messages, counters.data_packets, summary.transport.datagrams
    );
    Ok(())
}

/// The file, then `--set`, then the flags of their own.
fn configuration(args: &Args) -> Result<ExchangeConfig, Failure> {
    let wrong = |text: String| Failure::new(CONFIGURATION, text);
    let mut table = match &args.config {
        None => toml::Table::new(),
        Some(path) => read_table(path)?,
    };
    for setting in &args.set {
        let (key, value) = setting
            .split_once('=')
            .ok_or_else(|| wrong(format!("--set {setting}: write it as KEY=VALUE")))?;
        let (key, value) = (key.trim(), value.trim());
        let parsed = toml::from_str(&format!("{key} = {value}"))
            .or_else(|_| toml::from_str(&format!("{key} = {value:?}")));
        let parsed: toml::Table =
            parsed.map_err(|error| wrong(format!("--set {setting}: {}", error.message())))?;
        merge(&mut table, parsed);
    }
    let place = args.config.as_deref().unwrap_or(Path::new("--set"));
    let mut config: ExchangeConfig = table
        .try_into()
        .map_err(|error: toml::de::Error| wrong(format!("{}: {error}", place.display())))?;
    apply(args, &mut config);
    Ok(config)
}

fn apply(args: &Args, config: &mut ExchangeConfig) {
    use twinfeed_exchange::config::{ContentConfig, SoupConfig};
    macro_rules! set {
        ($($flag:ident => $($key:ident).+),+ $(,)?) => {
            $(if let Some(value) = args.$flag.clone() { config.$($key).+ = value.into(); })+
        };
    }
    set! {
        seed => seed,
        rate => pace.per_second,
        burst => pace.burst_factor,
        sessions => sessions.count,
        session_ms => sessions.length_ms,
        pause_ms => sessions.pause_ms,
        first_sequence => sessions.first_sequence,
        truth => truth,
        sent_dir => sent_dir,
    }
    if let (Some(instruments), ContentConfig::Flow(flow)) = (args.instruments, &mut config.content)
    {
        flow.instruments = instruments;
    }
    for (given, line) in [
        (&args.line_a, &mut config.line_a),
        (&args.line_b, &mut config.line_b),
    ] {
        if !given.is_empty() {
            line.destinations.clone_from(given);
        }
    }
    config.requests.address = args.requests.or(config.requests.address);
    let servers = |addresses: &[SocketAddr]| -> Vec<_> {
        addresses.iter().copied().map(SoupConfig::at).collect()
    };
    config.soup.extend(servers(&args.soup));
    config.glimpse.extend(servers(&args.glimpse));
    config.wait |= args.wait;
    if let (Some(path), ContentConfig::Flow(_)) = (&args.input, &config.content) {
        // Flow has rules about a session's length that a recording has not.
        config.content = ContentConfig::Binaryfile { path: path.clone() };
    }
}

fn read_table(path: &Path) -> Result<toml::Table, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(CONFIGURATION, format!("{}: {error}", path.display())))?;
    toml::from_str(&text)
        .map_err(|error| Failure::new(CONFIGURATION, format!("{}: {error}", path.display())))
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

/// The first TERM or INT ends the session in order, the second at once.
fn obey_signals(tell: crossbeam::channel::Sender<Command>) -> Result<(), Failure> {
    let signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT]);
    let mut signals = signals.map_err(|error| Failure::new(RUNTIME, error))?;
    let listener = thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut command = Command::Stop;
            for _ in signals.forever() {
                if tell.send(command).is_err() {
                    return;
                }
                command = Command::Kill;
            }
        });
    listener
        .map(drop)
        .map_err(|error| Failure::new(RUNTIME, error))
}

/// Progress for people.
struct Screen(Progress);

impl Reporter for Screen {
    fn event(&mut self, event: &twinfeed_exchange::Event) {
        use twinfeed_exchange::Event;
        match event {
            Event::Announced { session, first } => {
                self.0.line(&format!(
                    "session {session} announced, first number {first}"
                ));
            }
            Event::Opened { session } => self.0.line(&format!("session {session} opened")),
            Event::Closed(truth) => {
                self.0.line(&format!(
                    "session {} closed: {} messages",
                    truth.session, truth.count
                ));
            }
            Event::Done => self.0.finish(),
        }
    }

    fn obeyed(&mut self, command: Command, effective: bool) {
        let without = if effective {
            ""
        } else {
            ": there is no such destination"
        };
        self.0.line(&format!("{command}{without}"));
    }

    fn progress(&mut self, summary: &Summary) {
        let Summary {
            exchange,
            transport,
            ..
        } = summary;
        self.0.say(&format!(
            "{} messages, {} sessions, {} datagrams, {} refused",
            exchange.messages, exchange.sessions, transport.datagrams, transport.refused
        ));
    }
}
