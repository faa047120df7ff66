//! How is a real process started, broken and cleaned up after?
//!
//! Every child stands in a process group of its own, so that Ctrl-C reaches only the parent, which then
//! ends its children in order. A child is killed when its [`Process`] is dropped, and by the kernel when
//! the thread that started it dies without having dropped anything: the child asks for that itself
//! ([`die_with_parent`]), because only then no second program is needed between the two.
//!
//! Only processes that this module started are ever signalled.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use twinfeed_net::clock;

use crate::error::Error;
use crate::hosts::Host;

/// Set in the environment of every child; see [`die_with_parent`].
pub const WITH_PARENT: &str = "TWINFEED_WITH_PARENT";

/// How often a condition is looked at that nobody announces.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How much of a log is shown when its process failed, bytes.
const TAIL: usize = 2_000;

/// Asks the kernel to kill this process when its parent is gone, if the parent wants that
/// ([`WITH_PARENT`] holds its process id); call it first in `main`.
pub fn die_with_parent() {
    let Some(parent) = std::env::var(WITH_PARENT)
        .ok()
        .and_then(|id| id.parse::<i32>().ok())
    else {
        return;
    };
    let asked = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let present = rustix::process::getppid().map(|id| id.as_raw_nonzero().get());
    if asked.is_err() || present != Some(parent) {
        // The parent died before the kernel was asked: nobody will ever want this process.
        std::process::exit(1);
    }
}

/// Set in the environment of children that should be the program of their own name, if it lies beside the
/// multi-call binary; see [`be_apart`].
pub const APART: &str = "TWINFEED_APART";

/// Becomes the program called `name` that lies beside this one, with `arguments`, if whoever started this process
/// wants that ([`APART`]); returns if not, or if there is none.
pub fn be_apart(name: &str, arguments: impl IntoIterator<Item = std::ffi::OsString>) {
    if std::env::var_os(APART).is_none() {
        return;
    }
    let beside = std::env::current_exe().map(|this| this.with_file_name(name));
    if let Some(program) = beside.ok().filter(|program| program.exists()) {
        // Comes back only when it fails; then this binary does as well.
        let _ = Command::new(program).args(arguments).exec();
    }
}

/// The multi-call binary that every process of a run is started from.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    apart: bool,
    /// The process whose network namespace children enter, by `nsenter`, which then becomes the program itself.
    namespace: Option<u32>,
}

impl Program {
    /// The program at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            apart: false,
            namespace: None,
        }
    }

    /// Starts adapters from the binaries of their own that lie beside it, as they are deployed.
    #[must_use]
    pub fn apart(self) -> Self {
        Self {
            apart: true,
            ..self
        }
    }

    /// Starts processes on this host.
    #[must_use]
    pub fn on(&self, host: Host) -> Self {
        Self {
            namespace: host.namespace,
            ..self.clone()
        }
    }

    /// The program that runs now; right in `twinfeed` itself.
    ///
    /// # Errors
    /// When the system cannot say which it is.
    pub fn this() -> Result<Self, Error> {
        std::env::current_exe()
            .map(Self::at)
            .map_err(Error::process("find", "this program"))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn command(&self) -> Command {
        let Some(owner) = self.namespace else {
            return Command::new(&self.path);
        };
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{owner}/ns/net"));
        command.arg("--").arg(&self.path);
        command
    }
}

/// What is done with a child's standard output.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Output {
    /// Read by [`Process::take_stdout`].
    Piped,
    /// Appended to the log.
    Logged,
}

/// A child of ours.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `program arguments…` with its standard error appended to `<directory>/<name>.log`.
    ///
    /// # Errors
    /// When the log cannot be written or the program cannot be started.
    pub fn start<S: AsRef<std::ffi::OsStr>>(
        program: &Program,
        name: &str,
        arguments: impl IntoIterator<Item = S>,
        directory: &Path,
        output: Output,
    ) -> Result<Self, Error> {
        Self::start_with(program, name, arguments, &[], directory, output)
    }

    /// The same, with more in its environment than this process has.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub fn start_with<S: AsRef<std::ffi::OsStr>>(
        program: &Program,
        name: &str,
        arguments: impl IntoIterator<Item = S>,
        environment: &[(String, String)],
        directory: &Path,
        output: Output,
    ) -> Result<Self, Error> {
        let log = directory.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log);
        let file = file.map_err(Error::file("write", &log))?;
        let stdout = match output {
            Output::Piped => Stdio::piped(),
            Output::Logged => file.try_clone().map_err(Error::file("write", &log))?.into(),
        };
        let mut command = program.command();
        if program.apart {
            command.env(APART, "1");
        }
        let child = command
            .args(arguments)
            .current_dir(directory)
            .env(WITH_PARENT, std::process::id().to_string())
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(file)
            .spawn()
            .map_err(Error::process("start", name))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
            ended: None,
        })
    }

    /// Starts a program that is not ours, where this process is, with its standard error appended to
    /// `<logs>/<name>.log`, and its standard output as well unless it is piped.
    ///
    /// # Errors
    /// When the log cannot be written or the program cannot be started.
    pub fn start_here<S: AsRef<std::ffi::OsStr>>(
        program: &Path,
        name: &str,
        arguments: impl IntoIterator<Item = S>,
        logs: &Path,
        piped: bool,
    ) -> Result<Self, Error> {
        let log = logs.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log);
        let file = file.map_err(Error::file("write", &log))?;
        let stdout = match piped {
            true => Stdio::piped(),
            false => file.try_clone().map_err(Error::file("write", &log))?.into(),
        };
        let child = Command::new(program)
            .args(arguments)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(file)
            .spawn()
            .map_err(Error::process("start", &program.display().to_string()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
            ended: None,
        })
    }

    /// Its name, as in its log's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input; once.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its standard output, if piped; once.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Sends a signal; returns the monotonic time read immediately before, ns.
    ///
    /// # Errors
    /// When the process has ended and was waited for.
    pub fn signal(&mut self, signal: Signal) -> Result<u64, Error> {
        let gone = io::Error::from(io::ErrorKind::NotFound);
        if self.ended.is_some() {
            return Err(Error::process("signal", &self.name)(gone));
        }
        // Not waited for yet, so the id is still the child's and nobody else's.
        let pid = Pid::from_child(&self.child);
        let at = clock::monotonic_ns();
        kill_process(pid, signal)
            .map_err(|errno| Error::process("signal", &self.name)(errno.into()))?;
        Ok(at)
    }

    /// Does all that [`Process::signal`] does, with signal 0, which does nothing to the process: the sham
    /// that a real signal is compared with.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn touch(&mut self) -> Result<u64, Error> {
        let gone = io::Error::from(io::ErrorKind::NotFound);
        if self.ended.is_some() {
            return Err(Error::process("signal", &self.name)(gone));
        }
        let pid = Pid::from_child(&self.child);
        let at = clock::monotonic_ns();
        rustix::process::test_kill_process(pid)
            .map_err(|errno| Error::process("signal", &self.name)(errno.into()))?;
        Ok(at)
    }

    /// Tells it and whatever it started in its process group to end, and kills after `limit` what did not.
    pub fn end_group(&mut self, limit: Duration) {
        if self.ended.is_some() {
            return;
        }
        // Not waited for before the last signal, so that the group's number is nobody else's. Nobody in the group is
        // an error that says nothing.
        let group = Pid::from_child(&self.child);
        let _ = kill_process_group(group, Signal::TERM);
        let start = Instant::now();
        while !self.has_exited() && start.elapsed() < limit {
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = kill_process_group(group, Signal::KILL);
        // A killed process ends.
        self.ended = self.child.wait().ok();
    }

    /// Whether it has ended, without waiting for it: its id stays its own.
    #[must_use]
    pub fn has_exited(&self) -> bool {
        let pid = WaitId::Pid(Pid::from_child(&self.child));
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.ended.is_some() || !matches!(waitid(pid, options), Ok(None))
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when it has not within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus, Error> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            if start.elapsed() >= limit {
                return Err(Error::TimedOut {
                    what: format!("{} has ended", self.name),
                    waited: limit,
                    state: format!("its last words:\n{}", self.tail()),
                });
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// An error if it has ended.
    ///
    /// # Errors
    /// [`Error::Ended`] with the end of its log.
    pub fn expect_running(&mut self) -> Result<(), Error> {
        match self.ended() {
            None => Ok(()),
            Some(status) => Err(Error::Ended {
                process: self.name.clone(),
                status: status.to_string(),
                tail: self.tail(),
            }),
        }
    }

    /// The end of its log.
    #[must_use]
    pub fn tail(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let tail = &bytes[bytes.len().saturating_sub(TAIL)..];
        String::from_utf8_lossy(tail).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // A stopped process dies of KILL too. Nothing can be done about a refusal.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Looks at a condition until it is met.
///
/// # Errors
/// What `look` fails with, [`Error::Interrupted`], or [`Error::TimedOut`] with the last state.
pub fn until<T>(
    what: &str,
    limit: Duration,
    stop: &twinfeed_control::StopFlag,
    mut look: impl FnMut() -> Result<Seen<T>, Error>,
) -> Result<T, Error> {
    let start = Instant::now();
    loop {
        let state = match look()? {
            Seen::Met(value) => return Ok(value),
            Seen::NotYet(state) => state,
        };
        if stop.is_stopped() {
            return Err(Error::Interrupted);
        }
        if start.elapsed() >= limit {
            return Err(Error::TimedOut {
                what: what.to_owned(),
                waited: limit,
                state,
            });
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// What a look at a condition showed.
#[derive(Debug)]
pub enum Seen<T> {
    /// It is met.
    Met(T),
    /// It is not; this is how things stand.
    NotYet(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(directory: &Path) -> Process {
        let program = Program::at("/bin/sh");
        Process::start(
            &program,
            "sh",
            ["-c", "echo words >&2; cat"],
            directory,
            Output::Piped,
        )
        .unwrap()
    }

    #[test]
    fn a_child_is_killed_and_its_last_words_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let mut process = sleeper(directory.path());
        until(
            "words",
            Duration::from_secs(10),
            &Default::default(),
            || {
                Ok(if process.tail().contains("words") {
                    Seen::Met(())
                } else {
                    Seen::NotYet(process.tail())
                })
            },
        )
        .unwrap();
        assert!(process.expect_running().is_ok());
        let before = clock::monotonic_ns();
        assert!(process.signal(Signal::KILL).unwrap() >= before);
        process.wait(Duration::from_secs(10)).unwrap();
        let error = process.expect_running().unwrap_err().to_string();
        assert!(
            error.contains("words") && error.contains("sh ended"),
            "{error}"
        );
        assert!(
            process.signal(Signal::KILL).is_err(),
            "the id may be somebody else's now"
        );
    }

    #[test]
    fn a_dropped_process_is_gone_even_if_it_was_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let mut process = sleeper(directory.path());
        process.signal(Signal::STOP).unwrap();
        let path = PathBuf::from(format!("/proc/{}", process.id()));
        assert!(path.exists());
        drop(process);
        assert!(!path.exists());
    }
}
