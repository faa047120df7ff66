//! The probe as its parent sees it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, ChildStdout};

use super::wire::{Answer, Question, Status, Summary, Window};
use crate::error::Error;
use crate::process::Process;

/// A probe in a process of its own.
#[derive(Debug)]
pub struct Probe {
    process: Process,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Probe {
    /// Takes over a process that runs [`super::serve`], started with piped output.
    ///
    /// # Errors
    /// When its standard streams were taken before.
    pub fn new(mut process: Process) -> Result<Self, Error> {
        let streams = process.take_stdin().zip(process.take_stdout());
        let Some((questions, answers)) = streams else {
            let nothing = std::io::Error::other("its standard streams are not piped");
            return Err(Error::process("reach", process.name())(nothing));
        };
        Ok(Self {
            process,
            questions,
            answers: BufReader::new(answers),
        })
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// How it stands. Answered once the subscription was granted.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn status(&mut self) -> Result<Status, Error> {
        match self.ask(Question::Status)? {
            Answer::Status(status) => Ok(status),
            other => Err(self.no_answer(&other)),
        }
    }

    /// What was delivered in a span of monotonic time.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn window(&mut self, from_ns: u64, length_ns: u64) -> Result<Window, Error> {
        match self.ask(Question::Window { from_ns, length_ns })? {
            Answer::Window(window) => Ok(window),
            other => Err(self.no_answer(&other)),
        }
    }

    /// Everything it saw.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn summary(&mut self) -> Result<Summary, Error> {
        match self.ask(Question::Summary)? {
            Answer::Summary(summary) => Ok(*summary),
            other => Err(self.no_answer(&other)),
        }
    }

    /// Cuts a leg off at the probe's socket, or mends it; returns the monotonic time before, ns.
    ///
    /// # Errors
    /// When the process is gone, or has no socket for the leg.
    pub fn cut(&mut self, leg: usize, cut: bool) -> Result<u64, Error> {
        self.done(Question::Cut { leg, cut })
    }

    /// Drops so many of 256 datagrams with records at the probe's sockets, the same of both legs; returns the monotonic
    /// time before, ns.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn thin(&mut self, share: u16) -> Result<u64, Error> {
        self.done(Question::Thin { share })
    }

    /// Lets it stop polling for a while; returns before the pause is over.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn pause(&mut self, ms: u64) -> Result<u64, Error> {
        self.done(Question::Pause { ms })
    }

    /// Lets it leave the feed, and go on where it stood after so long; returns before it leaves.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resume(&mut self, after_ms: u64) -> Result<u64, Error> {
        self.done(Question::Resume { after_ms })
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// When it does not end within ten seconds.
    pub fn stop(mut self) -> Result<std::process::ExitStatus, Error> {
        // It may be gone already; waiting will tell.
        let _ = self.send(Question::Stop);
        self.process.wait(std::time::Duration::from_secs(10))
    }

    fn done(&mut self, question: Question) -> Result<u64, Error> {
        match self.ask(question)? {
            Answer::Done { at_ns } => Ok(at_ns),
            other => Err(self.no_answer(&other)),
        }
    }

    fn ask(&mut self, question: Question) -> Result<Answer, Error> {
        let sent = self.send(question);
        let mut line = String::new();
        let read = sent.and_then(|()| self.answers.read_line(&mut line));
        if let Err(error) = read.and_then(|length| match length {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }) {
            // What it has to say about its end is worth more than a broken pipe.
            let _ = self.process.wait(std::time::Duration::from_secs(2));
            self.process.expect_running()?;
            return Err(Error::process("ask", self.process.name())(error));
        }
        serde_json::from_str(&line).map_err(|error| Error::NoAnswer {
            process: self.process.name().to_owned(),
            line: line.chars().take(200).collect(),
            fault: error.to_string(),
        })
    }

    fn send(&mut self, question: Question) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(&question)?;
        line.push(b'\n');
        self.questions.write_all(&line)
    }

    fn no_answer(&self, answer: &Answer) -> Error {
        Error::NoAnswer {
            process: self.process.name().to_owned(),
            line: format!("{answer:?}").chars().take(200).collect(),
            fault: "it answers another question".to_owned(),
        }
    }
}
