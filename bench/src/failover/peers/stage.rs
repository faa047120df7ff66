//! What happens to a peer, session after session?
//!
//! ```text
//!  both legs heard ─► sham ─► window ─► kill ─► window ─► a new publisher starts ─► what is on its way comes ─► judge
//! ```
//!
//! Nothing opens or closes here: a session is what lies between two judgements, so that a publisher's return belongs to the one after its death. The trigger is pulled
//! at the publisher whose copies were mostly the first ones just before: it is the one that the subscriber would miss.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use twinfeed_control::StopFlag;
use twinfeed_harness::probe::log::{Entry, Log};
use twinfeed_harness::process::{Output, Process, Program};
use twinfeed_harness::run::Burst;
use twinfeed_net::clock;

use super::ledger::Reader;
use super::share::Share;
use super::{Flow, Peer, Role};
use crate::chance::Chance;
use crate::error::Error;
use crate::failover::cells::Trigger;
use crate::failover::moments::choose;
use crate::failover::outcome::{Run, Session, Standing};
use crate::failover::schedule;
use crate::failover::stage::{ANSWER_MARGIN, Played, START_MARGIN, nanos};

/// The processes of one peer, all running.
#[derive(Debug)]
pub(in super::super) struct Stage {
    peer: Peer,
    publishers: [Process; 2],
    _subscriber: Process,
    terms: Terms,
    burst: Option<Burst>,
    ledger: Reader,
    log: Log,
    /// Whether the ledger was read too seldom since this was last looked at.
    forgotten: bool,
    share: Share,
    window: Duration,
    chance: Chance,
    stop: StopFlag,
    sessions: u64,
    /// Removed when the processes are gone.
    _place: Place,
}

/// Where the processes write what goes wrong.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    kept: bool,
}

impl Place {
    fn make(keep: Option<PathBuf>) -> Result<Self, Error> {
        let kept = keep.is_some();
        let own = || std::env::temp_dir().join(format!("twinfeed-bench-{}", std::process::id()));
        let path = keep.unwrap_or_else(own);
        std::fs::create_dir_all(&path).map_err(Error::write(&path))?;
        // Processes start in it, by its name.
        let path = path.canonicalize().map_err(Error::write(&path))?;
        Ok(Self { path, kept })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_dir_all(&self.path);
        }
        #[cfg(feature = "aeron")]
        crate::aeron::sweep();
    }
}

/// What a publisher is started with.
#[derive(Debug)]
struct Terms {
    peer: Peer,
    program: Program,
    directory: PathBuf,
    doors: Vec<String>,
    flow: Flow,
}

impl Terms {
    fn publisher(&self, leg: usize) -> Result<Process, Error> {
        let role = Role::Publisher {
            peer: self.peer,
            leg,
            doors: self.doors.clone(),
            flow: self.flow,
        };
        start(
            &self.program,
            &format!("publisher-{leg}"),
            &role,
            &self.directory,
            Output::Logged,
        )
    }
}

impl Stage {
    /// Starts the subscriber and both publishers, with their logs in a directory that is kept if it is given.
    pub(in super::super) fn open(
        peer: Peer,
        (rate, burst): (u64, Option<Burst>),
        window: Duration,
        keep: Option<PathBuf>,
        chance: Chance,
        stop: &StopFlag,
    ) -> Result<Self, Error> {
        let place = Place::make(keep)?;
        let directory = place.path.as_path();
        let (program, ledger) = (Program::this()?, Reader::new()?);
        let role = Role::Subscriber {
            peer,
            ledger: ledger.door(),
        };
        let mut subscriber = start(&program, "subscriber", &role, directory, Output::Piped)?;
        let terms = Terms {
            peer,
            program,
            directory: directory.to_owned(),
            doors: doors(&mut subscriber)?,
            flow: Flow::new(clock::monotonic_ns(), rate, burst),
        };
        Ok(Self {
            peer,
            publishers: [terms.publisher(0)?, terms.publisher(1)?],
            _subscriber: subscriber,
            terms,
            burst,
            ledger,
            log: Log::new(LOG),
            forgotten: false,
            share: Share::default(),
            window,
            chance,
            stop: stop.clone(),
            sessions: 0,
            _place: place,
        })
    }

    /// Plays the next session and judges it.
    pub(in super::super) fn play(&mut self, plan: schedule::Session) -> Result<Played, Error> {
        let unused = self.until_ready()?.err();
        self.sessions += 1;
        if self.sessions == 1 {
            self.share.begin(self.ledger.copies());
        }
        let mut runs = match unused {
            Some(_) => Vec::new(),
            None => self.use_session(plan)?,
        };
        let last = self.share.highest();
        let overload = self.overload(last)?;
        for run in runs
            .iter_mut()
            .filter(|run| run.standing == Standing::Clean)
        {
            run.standing = overload.clone().map_or(Standing::Clean, Standing::Overload);
        }
        let counts = self.share.judge(last, self.ledger.copies());
        let session = Session {
            name: format!("{}-{}", self.peer.word(), self.sessions),
            runs,
            counts,
            declared_gaps: Vec::new(),
            broken: Vec::new(),
        };
        Ok(Played { session, unused })
    }

    fn use_session(&mut self, plan: schedule::Session) -> Result<Vec<Run>, Error> {
        let triggers: Vec<Trigger> = std::iter::repeat_n(Trigger::Sham, plan.shams as usize)
            .chain(plan.real)
            .collect();
        // At most four.
        let count = triggers.len() as u32;
        let begin_ns = self.terms.flow.begin_ns;
        let window = nanos(self.window + ANSWER_MARGIN);
        let start = clock::monotonic_ns() - begin_ns + nanos(START_MARGIN);
        // Room for two bursts, so that one of them can be chosen.
        let part = window + self.burst.map_or(window, |burst| 3 * nanos(burst.period));
        let span = start..start + part * u64::from(count);
        let moments = choose(&span, count, window, self.burst, &mut self.chance);
        let moments = moments.unwrap_or_default();
        let heard = self.ledger.heard();
        let mut runs = Vec::new();
        for (trigger, moment) in triggers.into_iter().zip(moments) {
            runs.push(self.run(trigger, heard, begin_ns + moment)?);
        }
        Ok(runs)
    }

    /// Waits until both publishers are heard.
    fn until_ready(&mut self) -> Result<Result<(), String>, Error> {
        let deadline_ns = clock::monotonic_ns() + nanos(READY_LIMIT);
        loop {
            let before = self.ledger.heard();
            self.pause(LOOK_EVERY)?;
            self.read();
            let grown = before.iter().zip(self.ledger.heard());
            if grown.filter(|(before, now)| now > *before).count() == 2 {
                return Ok(Ok(()));
            }
            for publisher in &mut self.publishers {
                publisher.expect_running()?;
            }
            if clock::monotonic_ns() > deadline_ns {
                let reason = format!("one leg was not heard for {READY_LIMIT:?}");
                return Ok(Err(reason));
            }
        }
    }

    /// Waits until neither leg can bring a number up to `last` any more; returns why nothing can be said of the session, if that is so.
    fn overload(&mut self, last: u64) -> Result<Option<String>, Error> {
        let deadline_ns = clock::monotonic_ns() + nanos(SETTLE_LIMIT);
        while self.ledger.newest().iter().any(|newest| *newest < last)
            && clock::monotonic_ns() < deadline_ns
        {
            self.pause(LOOK_EVERY)?;
            self.read();
        }
        let late = self.ledger.newest().iter().any(|newest| *newest < last);
        self.read();
        let forgotten = std::mem::take(&mut self.forgotten);
        Ok(match (late, forgotten) {
            (true, _) => Some(format!("one leg was more than {SETTLE_LIMIT:?} behind")),
            (false, true) => Some("more was delivered at once than the ledger holds".to_owned()),
            (false, false) => None,
        })
    }

    /// One run: waits for its moment, pulls, waits out the window, looks, mends.
    fn run(&mut self, trigger: Trigger, heard: [u64; 2], moment_ns: u64) -> Result<Run, Error> {
        self.until_ns(moment_ns.saturating_sub(nanos(HOT_MARGIN)))?;
        self.read();
        let span = nanos(LOOK_EVERY);
        let now_ns = clock::monotonic_ns();
        let before = self.log.window(now_ns.saturating_sub(span), span, now_ns);
        let leg = usize::from(before.legs[1] > before.legs[0]);
        let hot = heard
            .iter()
            .zip(self.ledger.heard())
            .all(|(before, now)| now > *before);
        self.until_ns(moment_ns)?;
        let at_ns = match trigger {
            Trigger::Sham => self.publishers[leg].touch()?,
            _ => self.publishers[leg].signal(Signal::KILL)?,
        };
        self.until_ns(at_ns + nanos(self.window))?;
        self.read();
        let window = self
            .log
            .window(at_ns, nanos(self.window), clock::monotonic_ns());
        if trigger != Trigger::Sham {
            self.publishers[leg] = self.terms.publisher(leg)?;
        }
        let standing = if window.forgotten {
            Standing::Invalid("the log did not reach back to the trigger".to_owned())
        } else if !hot {
            Standing::Invalid("one publisher was not heard before".to_owned())
        } else {
            Standing::Clean
        };
        Ok(Run {
            trigger,
            leg,
            active: true,
            at_ns: at_ns.saturating_sub(self.terms.flow.begin_ns),
            stall_ns: window.longest_silence_ns,
            failover_gap_ns: window.after_last_of_ns[leg],
            records: window.records,
            switch: None,
            standing,
        })
    }

    /// Takes what the subscriber wrote down.
    fn read(&mut self) {
        let (log, share) = (&mut self.log, &mut self.share);
        let forgotten = self.ledger.read(|delivery| {
            let (at_ns, leg) = (delivery.at_ns, delivery.leg as u8);
            log.push(Entry { at_ns, leg });
            share.take(delivery);
        });
        self.forgotten |= forgotten;
    }

    fn until_ns(&self, moment_ns: u64) -> Result<(), Error> {
        let left = moment_ns.saturating_sub(clock::monotonic_ns());
        self.pause(Duration::from_nanos(left))
    }

    fn pause(&self, span: Duration) -> Result<(), Error> {
        match self.stop.wait(span) {
            true => Err(twinfeed_harness::Error::Interrupted.into()),
            false => Ok(()),
        }
    }
}

fn start(
    program: &Program,
    name: &str,
    role: &Role,
    directory: &Path,
    output: Output,
) -> Result<Process, Error> {
    let role = serde_json::to_string(role).unwrap_or_default();
    let arguments = ["failover", "--role", &role];
    Ok(Process::start(program, name, arguments, directory, output)?)
}

/// What the subscriber says first: where publishers find it.
fn doors(subscriber: &mut Process) -> Result<Vec<String>, Error> {
    let mut line = String::new();
    if let Some(says) = subscriber.take_stdout() {
        let read = BufReader::new(says).read_line(&mut line);
        read.map_err(Error::Subscriber)?;
    }
    serde_json::from_str(&line).map_err(|error| match subscriber.expect_running() {
        // Its log says more than that the line is no JSON.
        Err(ended) => ended.into(),
        Ok(()) => Error::Subscriber(error.into()),
    })
}

/// Deliveries that are looked at: some windows of them.
const LOG: usize = 1 << 19;
/// How long a publisher may take to be heard.
const READY_LIMIT: Duration = Duration::from_secs(15);
/// How often it is looked whether it is; also how far back it is asked whose copies are first.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long before its moment a run asks whose copies are first.
const HOT_MARGIN: Duration = Duration::from_millis(3);
/// How long the last messages of a session may be on their way, a new publisher's start included.
const SETTLE_LIMIT: Duration = Duration::from_secs(3);
