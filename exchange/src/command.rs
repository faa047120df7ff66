//! What can a running exchange be told?
//!
//! One command per line of text, so that a person, a script or a parent process
//! can give it through standard input:
//!
//! ```text
//!  start             open the session that waits
//!  stop              end the session, with its end-of-session packets, and finish
//!  kill              finish at once, in mid-sentence
//!  pause             say nothing more, from between two packets on; whoever asks is answered
//!  resume            go on: what was due meanwhile leaves at once
//!  cut 0             send nothing more to destination 0 of both lines
//!  cut 0 B           … of line B only
//!  restore 0         send to it again
//! ```

use std::fmt;
use std::io::{self, BufRead};
use std::str::FromStr;

use crossbeam::channel::Sender;

use crate::line::LineId;

/// An order to a running exchange.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Command {
    /// Open the first session, which waits; nothing if it does not.
    Start,
    /// End the session in order, then finish.
    Stop,
    /// Finish at once: no end of session, nothing flushed from the lines.
    Kill,
    /// Say nothing more to anybody: the source is silent, and what it has said is whole at every destination.
    Pause,
    /// Go on, with what was due meanwhile.
    Resume,
    /// Send nothing to a destination: its input is cut.
    Cut(Target),
    /// Send to it again.
    Restore(Target),
}

/// A destination of one line or of both.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Target {
    /// Place in the line's list of destinations, counted from 0. Adapters listed
    /// in the same order on both lines have the same place on both.
    pub destination: usize,
    /// The line, or both.
    pub line: Option<LineId>,
}

impl Target {
    /// True if the target includes this line.
    pub fn covers(&self, line: LineId) -> bool {
        self.line.is_none_or(|only| only == line)
    }
}

/// Passes commands on, line by line, until the input ends or nobody takes them
/// any more. Empty lines are skipped; `refused` hears of lines that are no command.
pub fn forward(
    input: impl BufRead,
    commands: &Sender<Command>,
    mut refused: impl FnMut(CommandError),
) -> io::Result<()> {
    for line in input.lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        match line.parse() {
            Ok(command) if commands.send(command).is_err() => break,
            Ok(_) => {}
            Err(error) => refused(error),
        }
    }
    Ok(())
}

/// A line that is no command.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is no command: say `start`, `stop`, `kill`, `pause`, `resume`, `cut N [A|B]` or `restore N [A|B]`, N being \
     a destination counted from 0"
)]
pub struct CommandError(String);

impl FromStr for Command {
    type Err = CommandError;

    fn from_str(line: &str) -> Result<Self, CommandError> {
        let refused = || CommandError(line.chars().take(80).collect());
        let mut words = line.split_whitespace();
        let command = match words.next() {
            Some("start") => Self::Start,
            Some("stop") => Self::Stop,
            Some("kill") => Self::Kill,
            Some("pause") => Self::Pause,
            Some("resume") => Self::Resume,
            Some("cut") => Self::Cut(target(&mut words).ok_or_else(refused)?),
            Some("restore") => Self::Restore(target(&mut words).ok_or_else(refused)?),
            _ => return Err(refused()),
        };
        if words.next().is_some() {
            Err(refused())
        } else {
            Ok(command)
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, target) = match self {
            Self::Start => return f.write_str("start"),
            Self::Stop => return f.write_str("stop"),
            Self::Kill => return f.write_str("kill"),
            Self::Pause => return f.write_str("pause"),
            Self::Resume => return f.write_str("resume"),
            Self::Cut(target) => ("cut", target),
            Self::Restore(target) => ("restore", target),
        };
        write!(f, "{word} {}", target.destination)?;
        target.line.map_or(Ok(()), |line| write!(f, " {line}"))
    }
}

fn target<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Target> {
    let destination = words.next()?.parse().ok()?;
    let line = words.next().map(LineId::from_str).transpose().ok()?;
    Some(Target { destination, line })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_read_back_from_what_it_prints() {
        let target = |line| Target {
            destination: 3,
            line,
        };
        let table = [
            ("start", Command::Start),
            ("stop", Command::Stop),
            ("kill", Command::Kill),
            ("pause", Command::Pause),
            ("resume", Command::Resume),
            ("cut 3", Command::Cut(target(None))),
            ("cut 3 A", Command::Cut(target(Some(LineId::A)))),
            ("restore 3 B", Command::Restore(target(Some(LineId::B)))),
        ];
        for (text, command) in table {
            assert_eq!(text.parse(), Ok(command));
            assert_eq!(format!(" {text}\n").parse(), Ok(command));
            assert_eq!(command.to_string(), text);
        }
    }

    #[test]
    fn lines_are_passed_on_until_nobody_listens() {
        let (sender, receiver) = crossbeam::channel::unbounded();
        let mut refused = Vec::new();
        let input = b"start\n\nfly\nstop\n".as_slice();
        forward(input, &sender, |error| refused.push(error)).unwrap();
        assert_eq!(
            receiver.try_iter().collect::<Vec<_>>(),
            [Command::Start, Command::Stop]
        );
        assert_eq!(refused.len(), 1);
        drop(receiver);
        forward(b"start\nfly\n".as_slice(), &sender, |_| panic!("read on")).unwrap();
    }

    #[test]
    fn what_is_no_command_is_refused_and_quoted() {
        for text in [
            "",
            "go",
            "cut",
            "cut x",
            "cut -1",
            "cut 0 C",
            "cut 0 A B",
            "stop now",
        ] {
            let error = text.parse::<Command>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{text:?} is no command")),
                "{error}"
            );
        }
    }
}
