//! The exchange on real sockets and the real clock.
//!
//! [`run`] polls the exchange, sends what is due, sleeps a tick, and obeys
//! commands in between, until the last session is done or it is told to finish.
//! Progress and the truth about each session go to a [`Reporter`].

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, TryRecvError};
use serde::Serialize;

use crate::command::Command;
use crate::config::{ConfigError, ExchangeConfig, SoupConfig};
use crate::content::{Content, ContentError};
use crate::exchange::{Counters, Event, Exchange, Sink};
use crate::image::{Image, Spinning};
use crate::kept::Kept;
use crate::line::{LineCounters, LineId};
use crate::requests::{RequestCounters, RequestServer};
use crate::session::SessionId;
use crate::soup::given::Course;
use crate::soup::server::{SoupCounters, SoupServer};
use crate::transport::{Transport, TransportCounters, TransportError, UdpTransport};
use crate::truth::SessionTruth;

mod record;
use record::Record;

/// How often [`Reporter::progress`] is called.
const PROGRESS_NS: u64 = 1_000_000_000;

/// Longest sleep between two looks at the commands.
const LONGEST_REST_NS: u64 = 2_000_000;

/// Hears what the running exchange has to say. All of it may be ignored.
pub trait Reporter {
    /// Something happened to a session.
    fn event(&mut self, event: &Event) {
        let _ = event;
    }

    /// A command was carried out; `effective` is false if it had no object, such
    /// as a destination that does not exist.
    fn obeyed(&mut self, command: Command, effective: bool) {
        let _ = (command, effective);
    }

    /// Once a second.
    fn progress(&mut self, summary: &Summary) {
        let _ = summary;
    }
}

/// Says nothing.
impl Reporter for () {}

/// What an exchange has done.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Summary {
    /// What was sent, before the lines.
    pub exchange: Counters,
    /// What line A did to it.
    pub line_a: LineCounters,
    /// What line B did to it.
    pub line_b: LineCounters,
    /// What reached the sockets.
    pub transport: TransportCounters,
    /// What was given again.
    pub requests: RequestCounters,
    /// What each SoupBinTCP server did.
    pub soup: Vec<SoupCounters>,
    /// What each server of snapshots did.
    pub glimpse: Vec<SoupCounters>,
    /// The sessions closed, at most the last [`MAX_SESSIONS_KEPT`] of them.
    pub sessions: Vec<SessionTruth>,
    /// What the session that is open has carried so far; after a run, the one
    /// that `kill` broke off.
    pub unfinished: Option<SessionTruth>,
    /// True if a command ended the run before its last session did.
    pub interrupted: bool,
}

/// Sessions a [`Summary`] remembers; the truth file has all.
pub const MAX_SESSIONS_KEPT: usize = 1_024;

/// Why an exchange does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The content is refused.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// No way to the destinations.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The request server has no socket.
    #[error("cannot listen for requests at {address}: {source}; change `requests.address`")]
    Requests {
        /// `requests.address`.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A SoupBinTCP server has no socket.
    #[error(
        "cannot listen for SoupBinTCP at {address}: {source}; change `soup.address` or `glimpse.address`"
    )]
    Soup {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The truth or the messages sent cannot be written down.
    #[error("cannot write {}: {source}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Runs an exchange on UDP until its last session is done or it is told to
/// finish.
///
/// The exchange goes on without commands when the other end of `commands` is
/// gone.
pub fn run(
    config: &ExchangeConfig,
    content: Content,
    commands: &Receiver<Command>,
    reporter: &mut dyn Reporter,
) -> Result<Summary, RunError> {
    config.check_with(content.flow())?;
    let transport = UdpTransport::open(&config.line_a, &config.line_b)?;
    run_on(config, content, transport, commands, reporter)
}

/// Runs an exchange as [`run`] does, on a transport of the caller's.
pub fn run_on(
    config: &ExchangeConfig,
    content: Content,
    transport: impl Transport,
    commands: &Receiver<Command>,
    reporter: &mut dyn Reporter,
) -> Result<Summary, RunError> {
    let mut exchange = Exchange::new(config.clone(), content)?;
    let record = Record::open(config.truth.as_deref(), config.sent_dir.as_deref())?;
    let ignore_ppm = config.requests.ignore_ppm()?;
    let open = |address| {
        RequestServer::open(address, ignore_ppm, config)
            .map_err(|source| RunError::Requests { address, source })
    };
    let requests = config.requests.address.map(open).transpose()?;
    let (soup, glimpse) = (servers(&config.soup)?, servers(&config.glimpse)?);
    let keeps = requests.is_some() || !soup.is_empty();
    let mut outlet = Outlet {
        kept: keeps.then(|| Kept::new(config.requests.messages)),
        course: Course::default(),
        on: None,
        image: (!glimpse.is_empty()).then(Image::default),
        requests,
        soup,
        glimpse,
        transport,
        paused: false,
        reporter,
        record,
        sessions: Vec::new(),
    };
    let birth = Instant::now();
    let interrupted = cycle(
        &mut exchange,
        &mut outlet,
        commands,
        (config.tick_us, birth),
    )?;
    outlet.record.finish()?;
    if exchange.is_done() {
        linger(&mut outlet, commands, config, birth);
    }
    Ok(Summary {
        interrupted,
        ..outlet.summary(&exchange)
    })
}

fn servers<C>(configs: &[SoupConfig]) -> Result<Vec<SoupServer<C>>, RunError> {
    let open = |config: &SoupConfig| {
        SoupServer::open(config).map_err(|source| RunError::Soup {
            address: config.address,
            source,
        })
    };
    configs.iter().map(open).collect()
}

/// The duty cycle; returns whether a command ended it.
fn cycle<T: Transport>(
    exchange: &mut Exchange,
    outlet: &mut Outlet<'_, T>,
    commands: &Receiver<Command>,
    (tick_us, birth): (u64, Instant),
) -> Result<bool, RunError> {
    let (mut interrupted, mut progress_at_ns) = (false, PROGRESS_NS);
    while !exchange.is_done() {
        // Wraps after 584 years.
        let now_ns = birth.elapsed().as_nanos() as u64;
        match commands.try_recv() {
            Ok(Command::Kill) => {
                outlet.reporter.obeyed(Command::Kill, true);
                return Ok(true);
            }
            Ok(command) => interrupted |= outlet.obey(exchange, command, now_ns),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        if !outlet.paused {
            exchange.poll(now_ns, outlet);
        }
        let busy = outlet.serve(now_ns);
        outlet.record.check()?;
        if now_ns >= progress_at_ns {
            progress_at_ns = now_ns + PROGRESS_NS;
            let summary = outlet.summary(exchange);
            outlet.reporter.progress(&summary);
        }
        let next = match outlet.paused {
            true => now_ns + LONGEST_REST_NS,
            false => exchange.next_deadline().unwrap_or(now_ns),
        };
        let wait_ns = next.saturating_sub(now_ns);
        if wait_ns > 0 && !busy {
            rest(wait_ns, tick_us);
        }
    }
    Ok(interrupted)
}

/// Nothing is said any more, and whoever asks is answered for a while.
fn linger<T: Transport>(
    outlet: &mut Outlet<'_, T>,
    commands: &Receiver<Command>,
    config: &ExchangeConfig,
    birth: Instant,
) {
    let until = birth.elapsed() + Duration::from_millis(config.sessions.linger_ms);
    while birth.elapsed() < until {
        if let Ok(Command::Stop | Command::Kill) = commands.try_recv() {
            return;
        }
        if !outlet.serve(birth.elapsed().as_nanos() as u64) {
            rest(LONGEST_REST_NS, config.tick_us.max(1));
        }
    }
}

/// Nothing is due for `wait_ns`: give the core away, for a tick at least, and not
/// for so long that a command would wait.
fn rest(wait_ns: u64, tick_us: u64) {
    match tick_us {
        0 => thread::yield_now(),
        tick => {
            let tick_ns = tick.saturating_mul(1_000);
            let wait_ns = wait_ns.clamp(tick_ns, tick_ns.max(LONGEST_REST_NS));
            thread::sleep(Duration::from_nanos(wait_ns));
        }
    }
}

/// Where packets, messages and events of the running exchange go.
struct Outlet<'a, T> {
    /// What can be had again, if somebody gives it.
    kept: Option<Kept>,
    course: Course,
    /// The session that was announced last.
    on: Option<SessionId>,
    /// The state of the market, if somebody gives it.
    image: Option<Image>,
    requests: Option<RequestServer>,
    soup: Vec<SoupServer<(SessionId, u64)>>,
    glimpse: Vec<SoupServer<Spinning>>,
    transport: T,
    /// Nothing is said for now.
    paused: bool,
    reporter: &'a mut dyn Reporter,
    record: Record,
    sessions: Vec<SessionTruth>,
}

impl<T: Transport> Outlet<'_, T> {
    /// Carries a command out; true if it ends the run early.
    fn obey(&mut self, exchange: &mut Exchange, command: Command, now_ns: u64) -> bool {
        let effective = match command {
            Command::Start => {
                exchange.start(now_ns);
                true
            }
            Command::Stop => {
                self.paused = false;
                exchange.stop(now_ns);
                true
            }
            Command::Cut(target) => self.transport.set_cut(target, true),
            Command::Restore(target) => self.transport.set_cut(target, false),
            Command::Pause => !core::mem::replace(&mut self.paused, true),
            Command::Resume => core::mem::take(&mut self.paused),
            Command::Kill => false,
        };
        self.reporter.obeyed(command, effective);
        command == Command::Stop
    }

    /// Serves whoever asks, without waiting; whether there is more to do at once.
    fn serve(&mut self, now_ns: u64) -> bool {
        let mut busy = false;
        if let Some(kept) = &self.kept {
            if let Some(requests) = &mut self.requests {
                requests.poll(kept);
            }
            let given = self.course.given(kept);
            for server in &mut self.soup {
                busy |= server.poll(now_ns, &given);
            }
        }
        if let Some(image) = &self.image {
            for server in &mut self.glimpse {
                busy |= server.poll(now_ns, image);
            }
        }
        busy
    }

    fn summary(&self, exchange: &Exchange) -> Summary {
        Summary {
            exchange: exchange.counters(),
            line_a: exchange.line_counters(LineId::A),
            line_b: exchange.line_counters(LineId::B),
            transport: self.transport.counters(),
            requests: self
                .requests
                .as_ref()
                .map_or_else(RequestCounters::default, RequestServer::counters),
            soup: self.soup.iter().map(SoupServer::counters).collect(),
            glimpse: self.glimpse.iter().map(SoupServer::counters).collect(),
            sessions: self.sessions.clone(),
            unfinished: exchange.unfinished(),
            interrupted: false,
        }
    }
}

impl<T: Transport> Sink for Outlet<'_, T> {
    fn packet(&mut self, line: LineId, packet: &[u8]) {
        self.transport.send(line, packet);
    }

    fn message(&mut self, session: SessionId, number: u64, message: &[u8]) {
        self.record.message(message);
        if let Some(kept) = &mut self.kept {
            kept.keep(session, number, message);
        }
        if let Some(image) = &mut self.image {
            image.follow(number, message);
        }
    }

    fn event(&mut self, event: Event) {
        self.record.event(&event);
        self.reporter.event(&event);
        if let Event::Announced { session, first } = event {
            self.on = Some(session);
            self.course.begin(session, first);
            if let Some(image) = &mut self.image {
                image.begin(session, first);
            }
        }
        if let Event::Closed(truth) = event {
            if let Some(session) = self.on {
                self.course.end(session, truth.first + truth.count);
            }
            if self.sessions.len() == MAX_SESSIONS_KEPT {
                self.sessions.remove(0);
            }
            self.sessions.push(truth);
        }
    }
}
