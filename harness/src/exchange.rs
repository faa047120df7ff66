//! The exchange as its parent sees it: one JSON line per event out, one command per line in.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::ChildStdin;
use std::time::Duration;

use crossbeam::channel::{Receiver, unbounded};
use serde::{Deserialize, Serialize};
use twinfeed_control::StopFlag;
use twinfeed_exchange::{Command, Event, Reporter, Summary};
use twinfeed_net::clock;

use crate::error::Error;
use crate::process::{Process, Seen, until};

/// One line of `twinfeed exchange --json`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Line {
    /// Heartbeats of a session begin.
    Announced {
        /// Its name.
        session: String,
        /// Its first number.
        first: u64,
    },
    /// Its first message leaves.
    Opened {
        /// Its name.
        session: String,
        /// When, by the host's monotonic clock, nanoseconds.
        at_ns: u64,
    },
    /// Its last message has left.
    Closed {
        /// Its name.
        session: String,
        /// How many messages it had.
        count: u64,
    },
    /// Once a second: messages sent so far.
    Progress {
        /// Messages.
        messages: u64,
    },
    /// No further session.
    Done,
}

/// Writes [`Line`]s to standard output.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonReporter;

impl JsonReporter {
    fn say(self, line: &Line) {
        let mut stdout = std::io::stdout().lock();
        // Nobody listens any more: the exchange goes on regardless.
        let _ = serde_json::to_writer(&mut stdout, line)
            .map_err(std::io::Error::from)
            .and_then(|()| stdout.write_all(b"\n"))
            .and_then(|()| stdout.flush());
    }
}

impl Reporter for JsonReporter {
    fn event(&mut self, event: &Event) {
        let at_ns = clock::monotonic_ns();
        self.say(&match event {
            Event::Announced { session, first } => Line::Announced {
                session: session.to_string(),
                first: *first,
            },
            Event::Opened { session } => Line::Opened {
                session: session.to_string(),
                at_ns,
            },
            Event::Closed(truth) => Line::Closed {
                session: truth.session.clone(),
                count: truth.count,
            },
            Event::Done => Line::Done,
        });
    }

    fn progress(&mut self, summary: &Summary) {
        self.say(&Line::Progress {
            messages: summary.exchange.messages,
        });
    }
}

/// The session that is on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Standing {
    /// Sessions opened so far.
    pub opened: u64,
    /// Sessions closed so far.
    pub closed: u64,
    /// When the last one opened, monotonic nanoseconds.
    pub opened_at_ns: u64,
    /// Messages of the closed sessions.
    pub messages: u64,
    /// Whether there will be no further session.
    pub done: bool,
}

impl Standing {
    fn take(&mut self, line: &Line) {
        match *line {
            Line::Opened { at_ns, .. } => {
                self.opened += 1;
                self.opened_at_ns = at_ns;
            }
            Line::Closed { count, .. } => {
                self.closed += 1;
                self.messages += count;
            }
            Line::Done => self.done = true,
            Line::Announced { .. } | Line::Progress { .. } => {}
        }
    }
}

/// An exchange in a process of its own.
#[derive(Debug)]
pub struct Exchange {
    process: Process,
    commands: ChildStdin,
    lines: Receiver<Line>,
    standing: Standing,
}

impl Exchange {
    /// Takes over a process that runs `twinfeed exchange --json`, started with piped output.
    ///
    /// # Errors
    /// When its standard streams were taken before, or no thread can be started to read them.
    pub fn new(mut process: Process) -> Result<Self, Error> {
        let streams = process.take_stdin().zip(process.take_stdout());
        let Some((commands, stdout)) = streams else {
            let nothing = std::io::Error::other("its standard streams are not piped");
            return Err(Error::process("reach", process.name())(nothing));
        };
        let (tell, lines) = unbounded();
        let reading = move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let Ok(line) = serde_json::from_str(&line) else {
                    continue;
                };
                if tell.send(line).is_err() {
                    break;
                }
            }
        };
        let reader = std::thread::Builder::new()
            .name("exchange-lines".to_owned())
            .spawn(reading);
        reader
            .map(drop)
            .map_err(Error::process("read", process.name()))?;
        Ok(Self {
            process,
            commands,
            lines,
            standing: Standing::default(),
        })
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Tells it something; returns the monotonic time immediately before, ns.
    ///
    /// # Errors
    /// When it is gone.
    pub fn tell(&mut self, command: Command) -> Result<u64, Error> {
        let at_ns = clock::monotonic_ns();
        let line = format!("{command}\n");
        let sent = self.commands.write_all(line.as_bytes());
        sent.map_err(Error::process("tell", self.process.name()))?;
        Ok(at_ns)
    }

    /// How it stands, by what it has said until now.
    ///
    /// # Errors
    /// [`Error::Ended`] when it ended before it was done.
    pub fn standing(&mut self) -> Result<Standing, Error> {
        // Asked first: whatever an ended process has said is then on its way, and the reader hangs up
        // behind the last line.
        let ended = self.process.ended().is_some();
        while let Ok(line) = self.lines.try_recv() {
            self.standing.take(&line);
        }
        if ended && !self.standing.done {
            while let Ok(line) = self.lines.recv() {
                self.standing.take(&line);
            }
        }
        if !self.standing.done {
            self.process.expect_running()?;
        }
        Ok(self.standing)
    }

    /// Waits until `sessions` sessions have opened; returns when the last one did.
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::Interrupted`], or [`Error::Ended`].
    pub fn until_opened(
        &mut self,
        sessions: u64,
        limit: Duration,
        stop: &StopFlag,
    ) -> Result<u64, Error> {
        let what = format!("session {sessions} has opened");
        until(&what, limit, stop, || {
            let standing = self.standing()?;
            Ok(match standing.opened >= sessions {
                true => Seen::Met(standing.opened_at_ns),
                false => Seen::NotYet(format!("{standing:?}")),
            })
        })
    }

    /// Waits until the last session has ended and the exchange said so.
    ///
    /// # Errors
    /// As [`Exchange::until_opened`].
    pub fn until_done(&mut self, limit: Duration, stop: &StopFlag) -> Result<Standing, Error> {
        until("the exchange is done", limit, stop, || {
            let standing = self.standing()?;
            Ok(match standing.done {
                true => Seen::Met(standing),
                false => Seen::NotYet(format!("{standing:?}")),
            })
        })
    }
}
