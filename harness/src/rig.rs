//! How do all processes of a run come up, get hurt and go down together?
//!
//! ```text
//!  exchange ══ lines A, B ══► active-feed-adapter ══ leg 0 ══► probe
//!                        ╚══► backup-feed-adapter ══ leg 1 ══╝
//!                                   stream-admin
//! ```
//!
//! Every process is real and started from one binary; all of them talk over loopback. Nothing here waits
//! for a fixed time: readiness is asked of whoever knows, with a limit.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use twinfeed_control::{
    Client, ClientBuilder, FeedName, FeedStatus, Role, RoleAction, RoleOrder, RoleOutcome, Secret,
    StopFlag, StreamStatus, TransmitMode,
};
use twinfeed_exchange::Command;
use twinfeed_exchange::command::Target;
use twinfeed_net::clock;

use crate::error::Error;
use crate::exchange::{Exchange, Standing};
use crate::files::{AdapterAddresses, FEED, Files, Origin};
use crate::hosts::{Host, Hosts};
use crate::judge::{Verdict, judge};
use crate::probe::Probe;
use crate::probe::wire::Summary;
use crate::process::{Output, Process, Program, Seen, until};
use crate::relay::Relay;
use crate::run::Run;
use crate::truth::{Sent, sessions};

/// How long processes may take to come up, or to become protected beyond the session that is on.
pub const READY_LIMIT: Duration = Duration::from_secs(20);
/// How long an orderly end may take.
const END_LIMIT: Duration = Duration::from_secs(10);

/// One of the two adapters, by the role that its binary prefers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Seat {
    /// `active-feed-adapter`, leg 0.
    Active,
    /// `backup-feed-adapter`, leg 1.
    Backup,
}

impl Seat {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Active, Self::Backup];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Active => Self::Backup,
            Self::Backup => Self::Active,
        }
    }

    /// Its leg, and its destination at the exchange.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Name of its binary.
    #[must_use]
    pub const fn binary(self) -> &'static str {
        match self {
            Self::Active => "active-feed-adapter",
            Self::Backup => "backup-feed-adapter",
        }
    }
}

/// Where a run keeps its files.
#[derive(Debug)]
enum Place {
    Temporary(tempfile::TempDir),
    Given(PathBuf),
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Given(path) => path,
        }
    }
}

/// A run that is on. Dropping it kills every process and removes a temporary directory.
#[derive(Debug)]
pub struct Rig {
    probe: Probe,
    exchange: Exchange,
    /// Of the second source, if there is one.
    second_exchange: Option<Exchange>,
    adapters: [Option<Process>; 2],
    stream_admin: Option<Process>,
    /// In front of the adapters' ends of the pair link, if the run asks for that.
    relays: Vec<Relay>,
    /// Between the active adapter and stream-admin, if the run asks for that.
    administration: Option<Relay>,
    client: Client,
    program: Program,
    files: Files,
    run: Run,
    stop: StopFlag,
    place: Place,
}

/// What an orderly end leaves behind.
#[derive(Debug)]
pub struct Finished {
    /// What the probe saw.
    pub seen: Summary,
    /// What the exchange sent.
    pub sent: Vec<Sent>,
    /// What came out.
    pub verdict: Verdict,
}

impl Rig {
    /// Starts everything in a temporary directory, and returns when both legs are heard and the pair is
    /// protected; the exchange announces its first session and waits for [`Rig::open`].
    ///
    /// # Errors
    /// When anything does not come up within [`READY_LIMIT`], with the last words of what failed.
    pub fn start(program: &Program, run: &Run, stop: &StopFlag) -> Result<Self, Error> {
        let place = tempfile::Builder::new().prefix("twinfeed-").tempdir();
        let place = place.map_err(Error::file("make", std::env::temp_dir()))?;
        Self::start_at(
            program,
            run,
            stop,
            Place::Temporary(place),
            Hosts::default(),
        )
    }

    /// The same in a directory that stays.
    ///
    /// # Errors
    /// As [`Rig::start`].
    pub fn start_in(
        program: &Program,
        run: &Run,
        stop: &StopFlag,
        directory: &Path,
    ) -> Result<Self, Error> {
        Self::start_on(program, run, stop, directory, Hosts::default())
    }

    /// The same on these hosts.
    ///
    /// # Errors
    /// As [`Rig::start`].
    pub fn start_on(
        program: &Program,
        run: &Run,
        stop: &StopFlag,
        directory: &Path,
        hosts: Hosts,
    ) -> Result<Self, Error> {
        std::fs::create_dir_all(directory).map_err(Error::file("make", directory))?;
        let directory = directory
            .canonicalize()
            .map_err(Error::file("find", directory))?;
        Self::start_at(program, run, stop, Place::Given(directory), hosts)
    }

    fn start_at(
        program: &Program,
        run: &Run,
        stop: &StopFlag,
        place: Place,
        hosts: Hosts,
    ) -> Result<Self, Error> {
        let files = Files::write_for(place.path(), run, hosts)?;
        let relay = |at: &AdapterAddresses| Some(Relay::start(at.relay?, at.link));
        let relays = files
            .adapters
            .iter()
            .filter_map(relay)
            .collect::<Result<_, _>>()?;
        let administration = files
            .administration_relay
            .map(|at| Relay::start(at, files.stream_admin))
            .transpose()?;
        let client = reach(&files)
            .token(Secret::new("operator-of-this-run")?)
            .timeout(Duration::from_secs(2))
            .build()?;
        let mut stream_admin = start_stream_admin(program, &files)?;
        until_ready(&client, &mut stream_admin, stop)?;
        let exchange = start_exchange(program, &files, Origin::First)?;
        let second = run.two_sources.then_some(Origin::Second);
        let second_exchange = second
            .map(|origin| start_exchange(program, &files, origin))
            .transpose()?;
        let adapter = |seat| start_adapter(program, &files, seat, run).map(Some);
        let adapters = [adapter(Seat::Active)?, adapter(Seat::Backup)?];
        let mut rig = Self {
            probe: start_probe(program, &files, run, ("probe", files.hosts().probe(0)))?,
            exchange,
            second_exchange,
            adapters,
            stream_admin: Some(stream_admin),
            relays,
            administration,
            client,
            program: program.clone(),
            files,
            run: run.clone(),
            stop: stop.clone(),
            place,
        };
        rig.until_heard(READY_LIMIT)?;
        rig.until_protected(READY_LIMIT)?;
        Ok(rig)
    }

    /// Opens the first session of every source.
    ///
    /// # Errors
    /// When an exchange is gone.
    pub fn open(&mut self) -> Result<u64, Error> {
        let mut opened_ns = 0;
        for exchange in std::iter::once(&mut self.exchange).chain(&mut self.second_exchange) {
            exchange.tell(Command::Start)?;
            opened_ns = exchange.until_opened(1, READY_LIMIT, &self.stop)?;
        }
        Ok(opened_ns)
    }

    /// The exchange of the first source.
    pub fn exchange(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    /// The probe.
    pub fn probe(&mut self) -> &mut Probe {
        &mut self.probe
    }

    /// One more probe, which subscribes as the first one does. `name` names its log and its state.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn another_probe(&self, name: &str) -> Result<Probe, Error> {
        self.another_probe_of(&self.run, name, self.files.hosts().probe(0))
    }

    /// One more probe, which subscribes as the first one of `run` would, on this host.
    ///
    /// # Errors
    /// As [`Rig::another_probe`].
    pub fn another_probe_of(&self, run: &Run, name: &str, host: Host) -> Result<Probe, Error> {
        start_probe(&self.program, &self.files, run, (name, host))
    }

    /// An adapter that runs.
    ///
    /// # Errors
    /// When nobody sits there.
    pub fn adapter(&mut self, seat: Seat) -> Result<&mut Process, Error> {
        let empty = || Error::process("find", seat.binary())(std::io::ErrorKind::NotFound.into());
        self.adapters[seat.index()].as_mut().ok_or_else(empty)
    }

    /// Signals an adapter; returns the monotonic time immediately before, ns. The process stays as it is
    /// then: stopped, ending or dead.
    ///
    /// # Errors
    /// When nobody sits there.
    pub fn signal(&mut self, seat: Seat, signal: Signal) -> Result<u64, Error> {
        self.adapter(seat)?.signal(signal)
    }

    /// Kills what may be left of an adapter and starts a new one in its seat.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart(&mut self, seat: Seat) -> Result<(), Error> {
        self.adapters[seat.index()] = None;
        self.adapters[seat.index()] =
            Some(start_adapter(&self.program, &self.files, seat, &self.run)?);
        Ok(())
    }

    /// Cuts the pair link as a cable is cut, or mends it; returns the monotonic time immediately before, ns.
    ///
    /// # Errors
    /// When the run has no [`Run::relayed_link`].
    pub fn cut_link(&mut self, cut: bool) -> Result<u64, Error> {
        if self.relays.is_empty() {
            return Err(Error::Run {
                key: "relayed_link",
                fault: "without it the pair link cannot be cut".to_owned(),
            });
        }
        let at_ns = clock::monotonic_ns();
        self.relays.iter().for_each(|relay| relay.cut(cut));
        Ok(at_ns)
    }

    /// Cuts both lines of the exchange into an adapter, or mends them; what was sent meanwhile is lost to it.
    ///
    /// # Errors
    /// When the exchange is gone.
    pub fn cut_input(&mut self, seat: Seat, cut: bool) -> Result<u64, Error> {
        let lines = Target {
            destination: seat.index(),
            line: None,
        };
        self.exchange.tell(match cut {
            true => Command::Cut(lines),
            false => Command::Restore(lines),
        })
    }

    /// Cuts the active adapter off from stream-admin, or mends that: what either has said waits meanwhile, and is heard
    /// in order then. Returns the monotonic time immediately before, ns.
    ///
    /// # Errors
    /// When the run has no [`Run::relayed_administration`].
    pub fn cut_administration(&mut self, cut: bool) -> Result<u64, Error> {
        let relay = self.administration.as_ref().ok_or_else(|| Error::Run {
            key: "relayed_administration",
            fault: "without it the active adapter cannot be cut off from stream-admin".to_owned(),
        })?;
        let at_ns = clock::monotonic_ns();
        relay.cut(cut);
        Ok(at_ns)
    }

    /// Whether what stream-admin and the active adapter have to say to each other, and is held back, contains this.
    #[must_use]
    pub fn administration_holds(&self, text: &str) -> bool {
        let relay = self.administration.as_ref();
        relay.is_some_and(|relay| relay.holds(text))
    }

    /// Passes on what stream-admin and the active adapter said until it was last looked into, and no more.
    pub fn pass_first_of_administration(&mut self) {
        if let Some(relay) = &self.administration {
            relay.pass_first();
        }
    }

    /// Changes the environment in which an adapter is started from now on.
    pub fn set_environment(&mut self, seat: Seat, environment: Vec<(String, String)>) {
        self.run.environment[seat.index()] = environment;
    }

    /// Kills stream-admin.
    pub fn kill_stream_admin(&mut self) {
        self.stream_admin = None;
    }

    /// stream-admin's process, if it runs.
    pub fn stream_admin(&mut self) -> Option<&mut Process> {
        self.stream_admin.as_mut()
    }

    /// Starts stream-admin again with its state, and returns when it is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn restart_stream_admin(&mut self) -> Result<(), Error> {
        self.stream_admin = None;
        let mut process = start_stream_admin(&self.program, &self.files)?;
        until_ready(&self.client, &mut process, &self.stop)?;
        self.stream_admin = Some(process);
        Ok(())
    }

    /// The feed as stream-admin sees it.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub fn feed(&self) -> Result<FeedStatus, Error> {
        let status = self.client.status()?;
        let feed = status
            .feeds
            .into_iter()
            .find(|feed| feed.feed.as_str() == FEED);
        feed.ok_or_else(|| Error::NoAnswer {
            process: "stream-admin".to_owned(),
            line: "status.json".to_owned(),
            fault: format!("the feed {FEED} is not in it"),
        })
    }

    /// Which seat plays which role, by stream-admin's word.
    ///
    /// # Errors
    /// When it cannot be reached, or nobody is active.
    pub fn active_seat(&self) -> Result<Seat, Error> {
        let feed = self.feed()?;
        let active = feed
            .legs
            .iter()
            .position(|leg| leg.role == Some(Role::Active));
        match active {
            Some(0) => Ok(Seat::Active),
            Some(_) => Ok(Seat::Backup),
            None => Err(Error::NoAnswer {
                process: "stream-admin".to_owned(),
                line: "status.json".to_owned(),
                fault: "no leg is active".to_owned(),
            }),
        }
    }

    /// Orders a hand-over and does not wait for it; returns the monotonic time immediately before, ns.
    ///
    /// # Errors
    /// When stream-admin cannot be reached or refuses: the pair is not protected.
    pub fn hand_over(&self) -> Result<u64, Error> {
        let at = clock::monotonic_ns();
        let order = RoleOrder {
            key: format!("hand-over-{at}"),
            feed: self.feed_name(),
            action: RoleAction::HandOver { force: false },
            wait_ms: 0,
        };
        self.client.order_roles(&order)?;
        Ok(at)
    }

    /// Waits until the latest change of roles is done.
    ///
    /// # Errors
    /// [`Error::TimedOut`], with what became of it: refused, or pending still.
    pub fn until_handed_over(&self, limit: Duration) -> Result<(), Error> {
        until("the hand-over is done", limit, &self.stop, || {
            let last = self.client.role_changes(&self.feed_name())?;
            let outcome = last.first().map(|change| &change.outcome);
            Ok(match outcome {
                Some(RoleOutcome::Done { .. }) => Seen::Met(()),
                other => Seen::NotYet(format!("{other:?}")),
            })
        })
    }

    /// A new connection of an operator to stream-admin.
    ///
    /// # Errors
    /// When the operator's token cannot be read.
    pub fn operator(&self, timeout: Duration) -> Result<Client, Error> {
        let client = reach(&self.files)
            .token_file(self.files.path("tokens/operator"))
            .timeout(timeout)
            .build()?;
        Ok(client)
    }

    /// The feed of this run.
    #[must_use]
    pub fn feed_name(&self) -> FeedName {
        FEED.parse().expect("the feed of every run has a good name")
    }

    /// Waits until the probe hears both legs.
    ///
    /// # Errors
    /// [`Error::TimedOut`], or the end of a process that should run.
    pub fn until_heard(&mut self, limit: Duration) -> Result<(), Error> {
        let stop = self.stop.clone();
        until("the subscriber hears both legs", limit, &stop, || {
            self.expect_all_running()?;
            let status = self.probe.status()?;
            Ok(
                match status.heard == [true; 2] && status.legs.iter().all(|leg| leg == "live") {
                    true => Seen::Met(()),
                    false => Seen::NotYet(format!(
                        "legs {:?}, heard {:?}, {}",
                        status.legs, status.heard, status.administration
                    )),
                },
            )
        })
    }

    /// Waits until stream-admin calls the pair protected: both legs live with equal epoch and context; and, where only
    /// the active transmits, until the backup does not any more.
    ///
    /// # Errors
    /// [`Error::TimedOut`] with stream-admin's reason.
    pub fn until_protected(&mut self, limit: Duration) -> Result<FeedStatus, Error> {
        let stop = self.stop.clone();
        until("the pair is protected", limit, &stop, || {
            self.expect_all_running()?;
            let feed = self.feed()?;
            Ok(match feed.pair.protected {
                true => match self.loud_backup(&feed) {
                    None => Seen::Met(feed),
                    Some(reason) => Seen::NotYet(format!("the backup transmits: {reason}")),
                },
                false => Seen::NotYet(format!("stream-admin says: {}", feed.pair.reason)),
            })
        })
    }

    /// Why the backup transmits where only the active should; `None`: it does not.
    fn loud_backup(&self, feed: &FeedStatus) -> Option<String> {
        let loud = backup_streams(feed).find(|stream| !stream.standby)?;
        (self.run.transmit == TransmitMode::Standby).then(|| loud.suspicion.clone())
    }

    /// Ends the run in order: the exchange closes its session, the probe gets all of it, every process is
    /// told to go; then judges.
    ///
    /// # Errors
    /// When a process does not end in order, or the exchange's record cannot be read. That the probe did
    /// not get everything is no error but a verdict.
    pub fn finish(mut self) -> Result<Finished, Error> {
        let (_, seen, sent) = self.end()?;
        let conversion = Files::conversion(&self.run)?;
        let verdict = judge(&sent, &conversion, &seen)?;
        self.leave()?;
        Ok(Finished {
            seen,
            sent,
            verdict,
        })
    }

    /// The first half of [`Rig::finish`]: nothing more is sent, all processes still run.
    ///
    /// # Errors
    /// As [`Rig::finish`].
    pub fn end(&mut self) -> Result<(Standing, Summary, Vec<Sent>), Error> {
        let mut exchanges: Vec<_> = std::iter::once(&mut self.exchange)
            .chain(&mut self.second_exchange)
            .collect();
        for exchange in &mut exchanges {
            if !exchange.standing()?.done {
                exchange.tell(Command::Stop)?;
            }
        }
        let standings = exchanges
            .into_iter()
            .map(|exchange| exchange.until_done(END_LIMIT, &self.stop));
        let standings = standings.collect::<Result<Vec<_>, _>>()?;
        let conversion = Files::conversion(&self.run)?;
        let (mut all, mut last) = (Vec::new(), Vec::new());
        for origin in self.files.exchanges() {
            let paths = [origin.truth(), origin.sent()].map(|name| self.files.path(name));
            let sent = sessions(&paths[0], &paths[1], &conversion.day)?;
            last.extend(sent.last().map(|session| session.epoch));
            all.extend(sent);
        }
        let stop = self.stop.clone();
        let ended = until(
            "the last session's end was delivered",
            DELIVERY_LIMIT,
            &stop,
            || {
                let status = self.probe.status()?;
                Ok(match last.iter().all(|last| status.ended.contains(last)) {
                    true => Seen::Met(()),
                    false => Seen::NotYet(format!("{status:?}")),
                })
            },
        );
        match ended {
            // Whatever is missing then is lost, and the judge says so.
            Ok(()) | Err(Error::TimedOut { .. }) => {}
            Err(error) => return Err(error),
        }
        let seen = self.probe.summary()?;
        // Of the first source, which every run has.
        Ok((standings[0], seen, all))
    }

    /// Everybody leaves in order.
    ///
    /// # Errors
    /// When a process has to be killed, or ends with another exit code than 0.
    pub fn leave(mut self) -> Result<(), Error> {
        let mut ended = vec![("probe", self.probe.stop()?)];
        for (seat, process) in Seat::BOTH.into_iter().zip(&mut self.adapters) {
            if let Some(process) = process
                && process.ended().is_none()
            {
                ended.push((seat.binary(), terminate(process)?));
            }
        }
        if let Some(process) = &mut self.stream_admin {
            ended.push(("stream-admin", terminate(process)?));
        }
        drop(self.place);
        match ended.iter().find(|(_, status)| !status.success()) {
            None => Ok(()),
            Some((process, status)) => Err(Error::Ended {
                process: (*process).to_owned(),
                status: status.to_string(),
                tail: "it was told to end and should have said 0".to_owned(),
            }),
        }
    }

    /// The address of the status page.
    #[must_use]
    pub fn page(&self) -> String {
        format!("{}/", self.files.url())
    }

    /// The run's files.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// What is run.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The flag that ends every wait.
    #[must_use]
    pub fn stop_flag(&self) -> &StopFlag {
        &self.stop
    }

    /// The binary that everything was started from.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Changes the build of which processes are started from now on.
    pub fn set_program(&mut self, program: &Program) {
        self.program = program.clone();
    }

    fn expect_all_running(&mut self) -> Result<(), Error> {
        for process in self
            .adapters
            .iter_mut()
            .chain([&mut self.stream_admin])
            .flatten()
        {
            process.expect_running()?;
        }
        for exchange in std::iter::once(&mut self.exchange).chain(&mut self.second_exchange) {
            exchange.standing()?;
        }
        self.probe.process().expect_running()
    }
}

/// The streams that the backup last reported.
pub fn backup_streams(feed: &FeedStatus) -> impl Iterator<Item = &StreamStatus> {
    let backups = feed
        .legs
        .iter()
        .filter(|leg| leg.role == Some(Role::Backup));
    backups
        .filter_map(|leg| leg.report.as_ref())
        .flat_map(|report| &report.streams)
}

/// stream-admin, as its certificate is trusted.
fn reach(files: &Files) -> ClientBuilder {
    let builder = Client::builder(files.url());
    match &files.hosts().tls {
        Some([certificate, _]) => builder.ca_file(certificate),
        None => builder,
    }
}

fn terminate(process: &mut Process) -> Result<ExitStatus, Error> {
    process.signal(Signal::TERM)?;
    process.wait(END_LIMIT)
}

fn start_stream_admin(program: &Program, files: &Files) -> Result<Process, Error> {
    let arguments = ["stream-admin", "--config", "stream-admin.toml"];
    Process::start(
        &program.on(files.hosts().stream_admin),
        "stream-admin",
        arguments,
        files.directory(),
        Output::Logged,
    )
}

fn start_exchange(program: &Program, files: &Files, origin: Origin) -> Result<Exchange, Error> {
    let arguments = ["exchange", "--config", origin.configuration(), "--json"];
    let (name, directory) = (origin.process(), files.directory());
    let program = program.on(files.hosts().exchange);
    let process = Process::start(&program, name, arguments, directory, Output::Piped)?;
    Exchange::new(process)
}

fn start_probe(
    program: &Program,
    files: &Files,
    run: &Run,
    (name, host): (&str, Host),
) -> Result<Probe, Error> {
    let arguments = files.probe_arguments(run, name, host);
    let (program, directory) = (program.on(host), files.directory());
    let process = Process::start(&program, name, arguments, directory, Output::Piped)?;
    Probe::new(process)
}

fn start_adapter(
    program: &Program,
    files: &Files,
    seat: Seat,
    run: &Run,
) -> Result<Process, Error> {
    let arguments = [seat.binary(), "--config", "feed.toml"];
    let mut environment = run.environment[seat.index()].clone();
    if let Some(relay) = files.administration_relay.filter(|_| seat == Seat::Active) {
        let url = format!("http://{relay}");
        environment.push(("TWINFEED_STREAM_ADMIN".to_owned(), url));
    }
    Process::start_with(
        &program.on(files.hosts().adapters[seat.index()]),
        seat.binary(),
        arguments,
        &environment,
        files.directory(),
        Output::Logged,
    )
}

fn until_ready(client: &Client, process: &mut Process, stop: &StopFlag) -> Result<(), Error> {
    until("stream-admin is ready", READY_LIMIT, stop, || {
        process.expect_running()?;
        Ok(match client.ready() {
            Ok(()) => Seen::Met(()),
            Err(error) => Seen::NotYet(error.to_string()),
        })
    })
}

/// How long the last records of a run may be on their way.
const DELIVERY_LIMIT: Duration = Duration::from_secs(3);
