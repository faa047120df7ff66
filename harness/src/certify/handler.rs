//! How is a handler under test started, and how is it heard?
//!
//! A foreign handler is a command line with placeholders, or runs already; ours is started by [`super::ours`]. However it
//! was started, its output is lines of text in one queue.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::ChildStdout;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};

use super::player::Lines;
use crate::error::Error;
use crate::process::{Process, Program};

/// Lines that wait for the judge, at most; beyond them the handler's output is read no further.
const MOST_WAITING: usize = 65_536;
/// How often a file is looked at, and how soon a reader notices that it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Longest datagram of output, bytes.
const MAX_DATAGRAM: usize = 65_507;
/// Longest line of output, bytes; more of it is another line, and no record.
const MAX_LINE: u64 = 1 << 20;
/// How long a handler may take to end when it is told to.
const END_LIMIT: Duration = Duration::from_secs(2);

/// Which handler is certified.
#[derive(Clone, Debug, PartialEq)]
pub enum Under {
    /// Our own: two adapters, stream-admin and a subscriber.
    Ours(Ours),
    /// One that this command starts: program and arguments, with placeholders.
    Command {
        /// Program and arguments; see [`fill`].
        command: Vec<String>,
        /// Where its records come from.
        output: Listen,
    },
    /// One that runs already.
    Running {
        /// Where its records come from.
        output: Listen,
    },
}

/// The program from which our handler's processes are started.
#[derive(Clone, Debug)]
pub struct Ours(pub Program);

impl PartialEq for Ours {
    fn eq(&self, other: &Self) -> bool {
        self.0.path() == other.0.path()
    }
}

impl Under {
    /// Its name in a report.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Ours(_) => "twinfeed".to_owned(),
            Self::Command { command, .. } => command.join(" "),
            Self::Running { output } => format!("the handler heard at {output}"),
        }
    }
}

/// Where a handler's records come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Listen {
    /// Its standard output.
    Stdout,
    /// A file that it appends to, from the end that it has when the certifier opens it.
    File(PathBuf),
    /// Datagrams to this address, one line or more in each.
    Udp(SocketAddr),
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdout => f.write_str("-"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Udp(address) => write!(f, "udp:{address}"),
        }
    }
}

impl std::str::FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("udp:")) {
            ("-", _) => Ok(Self::Stdout),
            (_, Some(address)) => match address.parse() {
                Ok(address) => Ok(Self::Udp(address)),
                Err(_) => Err(format!(
                    "{address:?} is no address: write udp:127.0.0.1:9000"
                )),
            },
            (path, None) => Ok(Self::File(path.into())),
        }
    }
}

/// Replaces placeholders in an argument.
///
/// `{a}`, `{b}`: the lines' addresses, `{a.ip}`, `{a.port}`, `{b.ip}`, `{b.port}` their parts; `{interface}`;
/// `{session}`: the first session of the scenario; `{scenario}`; `{output}`: where its records are read.
#[must_use]
pub fn fill(argument: &str, lines: &Lines, session: &str, scenario: &str, output: &str) -> String {
    let mut filled = argument.to_owned();
    for (letter, addresses) in [("a", &lines.a), ("b", &lines.b)] {
        if let Some(address) = addresses.first() {
            let parts = [
                (format!("{{{letter}}}"), address.to_string()),
                (format!("{{{letter}.ip}}"), address.ip().to_string()),
                (format!("{{{letter}.port}}"), address.port().to_string()),
            ];
            for (name, value) in parts {
                filled = filled.replace(&name, &value);
            }
        }
    }
    let rest = [
        ("{interface}", lines.interface.to_string()),
        ("{session}", session.to_owned()),
        ("{scenario}", scenario.to_owned()),
        ("{output}", output.to_owned()),
    ];
    for (name, value) in rest {
        filled = filled.replace(name, &value);
    }
    filled
}

/// Ears: a queue of lines, and the thread that fills it.
#[derive(Debug)]
pub struct Ears {
    lines: Receiver<String>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ears {
    /// Hears a child's standard output.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn stdout(stdout: ChildStdout) -> Result<Self, Error> {
        let ears = Self::spawn(move |lines, _| {
            let mut reader = BufReader::new(stdout);
            while let Some(line) = next_line(&mut reader) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        // Nobody waits for this thread: it ends with the output, which something that the child left behind may hold.
        ears.map(|mut ears| {
            ears.thread = None;
            ears
        })
    }

    /// Hears a file or a socket.
    ///
    /// # Errors
    /// When it cannot be opened; for [`Listen::Stdout`], which belongs to a child.
    pub fn open(listen: &Listen) -> Result<Self, Error> {
        match listen {
            Listen::Stdout => Err(Error::Run {
                key: "output",
                fault: "a handler that runs already has no standard output here: name a file or \
                        udp:ADDRESS"
                    .to_owned(),
            }),
            Listen::File(path) => {
                let opened = File::options()
                    .create(true)
                    .append(true)
                    .read(true)
                    .open(path);
                let mut file = opened.map_err(Error::file("open", path))?;
                file.seek(SeekFrom::End(0))
                    .map_err(Error::file("read", path))?;
                Self::spawn(move |lines, stop| follow(file, lines, stop))
            }
            Listen::Udp(address) => {
                let socket = UdpSocket::bind(address)
                    .and_then(|socket| socket.set_read_timeout(Some(LOOK_EVERY)).map(|()| socket));
                let socket = socket.map_err(Error::process("listen at", &listen.to_string()))?;
                Self::spawn(move |lines, stop| receive(&socket, lines, stop))
            }
        }
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &Receiver<String> {
        &self.lines
    }

    fn spawn(
        hear: impl FnOnce(&Sender<String>, &AtomicBool) + Send + 'static,
    ) -> Result<Self, Error> {
        let (tell, lines) = bounded(MOST_WAITING);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("certify-ears".to_owned())
            .spawn(move || hear(&tell, &stopped))
            .map_err(Error::process("hear", "the handler"))?;
        Ok(Self {
            lines,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A reader that waits for room in the queue sees it closed.
        self.lines = crossbeam::channel::never();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A foreign handler's process, ended when this is dropped, with whatever it started itself.
#[derive(Debug)]
pub struct Foreign {
    process: Process,
}

impl Foreign {
    /// Starts it in the directory that the certifier runs in; its standard error is appended to `handler.log` in `logs`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        command: &[String],
        logs: &Path,
        piped: bool,
    ) -> Result<(Self, Option<ChildStdout>), Error> {
        let missing = || Error::Run {
            key: "command",
            fault: "it is empty: name the handler's program behind --".to_owned(),
        };
        let (program, arguments) = command.split_first().ok_or_else(missing)?;
        let mut process = Process::start_here(program.as_ref(), "handler", arguments, logs, piped)?;
        let stdout = process.take_stdout();
        Ok((Self { process }, stdout))
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        if !self.process.has_exited() {
            return None;
        }
        self.process.end_group(Duration::ZERO);
        let status = self.process.ended()?;
        Some(format!(
            "the handler ended ({status}) {}",
            self.process.tail().trim_end()
        ))
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.process.end_group(END_LIMIT);
    }
}

fn next_line(reader: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    match reader.take(MAX_LINE).read_until(b'\n', &mut bytes) {
        Ok(1..) => Some(String::from_utf8_lossy(&bytes).trim_end().to_owned()),
        Ok(0) | Err(_) => None,
    }
}

fn follow(mut file: File, lines: &Sender<String>, stop: &AtomicBool) {
    let mut rest = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if !matches!((&mut file).take(MAX_LINE).read_to_end(&mut rest), Ok(1..)) {
            std::thread::sleep(LOOK_EVERY);
            continue;
        }
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if lines.send(line).is_err() {
                return;
            }
        }
    }
}

fn receive(socket: &UdpSocket, lines: &Sender<String>, stop: &AtomicBool) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, _)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let text = String::from_utf8_lossy(&buffer[..length]);
        for line in text.lines() {
            if lines.send(line.to_owned()).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn placeholders_are_filled() {
        let lines = Lines {
            a: vec!["239.1.2.3:7001".parse().unwrap()],
            b: vec!["127.0.0.1:7002".parse().unwrap()],
            interface: Ipv4Addr::LOCALHOST,
            ttl: 1,
        };
        let filled = fill(
            "--a={a} {a.ip}/{a.port} {b}|{b.ip}|{b.port} {interface} {session} {scenario} {output} {c}",
            &lines,
            "C1",
            "clean",
            "-",
        );
        let expected = "--a=239.1.2.3:7001 239.1.2.3/7001 127.0.0.1:7002|127.0.0.1|7002 127.0.0.1 \
                        C1 clean - {c}";
        assert_eq!(filled, expected);
    }

    #[test]
    fn an_output_is_read_back_from_what_it_prints_or_refused() {
        for text in ["-", "out.csv", "udp:127.0.0.1:9000"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        assert!("udp:nowhere".parse::<Listen>().is_err());
    }

    #[test]
    fn a_file_is_heard_from_its_end_and_a_socket_line_by_line() {
        let limit = Duration::from_secs(20);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.csv");
        std::fs::write(&path, "old\n").unwrap();
        let ears = Ears::open(&Listen::File(path.clone())).unwrap();
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"ready\nmess").unwrap();
        assert_eq!(ears.lines().recv_timeout(limit).unwrap(), "ready");
        file.write_all(b"age,,1\n").unwrap();
        assert_eq!(ears.lines().recv_timeout(limit).unwrap(), "message,,1");

        let address = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let ears = Ears::open(&Listen::Udp(address)).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"gap,,1,2\nend\n", address).unwrap();
        let heard = [0, 1].map(|_| ears.lines().recv_timeout(limit).unwrap());
        assert_eq!(heard, ["gap,,1,2", "end"]);
    }
}
