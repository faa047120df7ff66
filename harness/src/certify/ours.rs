//! How is our own handler made to speak like any?
//!
//! ```text
//!  lines A, B ══► two adapters ══ legs ══► twinfeed tail --format json ──► shim ──► the documented records
//!                   stream-admin
//! ```
//!
//! It is started as it is deployed, each process by itself; the shim reads what `tail` prints for anybody. A source
//! message becomes records; the shim says *message* at the first of them, and again at one that does not follow.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use twinfeed_control::{Client, Secret};
use twinfeed_feed_adapter::decode::TradingDay;
use twinfeed_feed_adapter::source::moldudp64::Session;
use twinfeed_wire::{AdminKind, AdminMessage};

use super::handler::Ears;
use super::player::Lines;
use super::said::Said;
use super::score::Settings;
use crate::error::Error;
use crate::files::{FEED, Files};
use crate::process::{Output, Process, Program};
use crate::run::{Content, Run};

/// How long a process may take to end when it is told to.
const END_LIMIT: Duration = Duration::from_secs(2);
/// Instruments that the adapters make room for.
const INSTRUMENTS: u16 = 50;

/// Files and addresses of our handler, before it is started.
#[derive(Debug)]
pub struct Prepared {
    files: Files,
    run: Run,
}

impl Prepared {
    /// Chooses addresses and writes the files into `directory`, which exists.
    ///
    /// # Errors
    /// When a file cannot be written, or no port is left.
    pub fn new(directory: &Path, settings: &Settings) -> Result<Self, Error> {
        let run = Run {
            content: Content::Flow {
                instruments: INSTRUMENTS,
            },
            // The host may take a process off its core for long; no process dies here.
            missed_heartbeats: Some(100),
            silence: Some(settings.silence),
            // The certifier shares the host with what it certifies: a packet that the scheduler held up is not lost.
            reorder_hold: Some(settings.skew),
            lag_hold: Some((settings.skew * 10).min(settings.silence / 2)),
            source_hold: Some(Duration::from_millis(100)),
            ..Run::default()
        };
        let files = Files::write(directory, &run)?;
        Ok(Self { files, run })
    }

    /// Where the lines arrive: at both adapters.
    #[must_use]
    pub fn lines(&self) -> Lines {
        let line = |index: usize| self.files.adapters.map(|at| at.lines[index]).to_vec();
        Lines {
            a: line(0),
            b: line(1),
            interface: std::net::Ipv4Addr::LOCALHOST,
            ttl: 1,
        }
    }

    /// Starts everything. `sessions` are the names of all that will be played.
    ///
    /// # Errors
    /// When a process cannot be started.
    pub fn start(self, program: &Program, sessions: &[String]) -> Result<(Handler, Ears), Error> {
        let directory = self.files.directory();
        let start = |name: &str, arguments: &[&str], output| {
            Process::start(program, name, arguments, directory, output)
        };
        let admin = ["stream-admin", "--config", "stream-admin.toml"];
        let mut processes = vec![start("stream-admin", &admin, Output::Logged)?];
        for adapter in ["active-feed-adapter", "backup-feed-adapter"] {
            let arguments = [adapter, "--config", "feed.toml"];
            processes.push(start(adapter, &arguments, Output::Logged)?);
        }
        let url = self.files.url();
        let tail = [
            "tail",
            "--stream-admin",
            &url,
            "--token-file",
            "tokens/subscriber",
            "--feed",
            FEED,
            "--format",
            "json",
            "--quiet",
        ];
        let mut tail = start("tail", &tail, Output::Piped)?;
        let none = || Error::process("hear", "tail")(std::io::ErrorKind::NotFound.into());
        let ears = Ears::stdout(tail.take_stdout().ok_or_else(none)?)?;
        processes.push(tail);
        let client = Client::builder(url)
            .token(Secret::new("operator-of-this-run")?)
            .timeout(Duration::from_secs(2))
            .build()?;
        let day = Files::conversion(&self.run)?.day;
        let handler = Handler {
            processes,
            client,
            shim: Shim::new(day, sessions),
        };
        Ok((handler, ears))
    }
}

/// Our handler, which runs; its processes end when this is dropped.
#[derive(Debug)]
pub struct Handler {
    processes: Vec<Process>,
    client: Client,
    /// What translates its output.
    pub shim: Shim,
}

impl Handler {
    /// Whether everything sent from now on is owed: the subscriber hears both legs, and the pair is protected.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let protected = || {
            let feeds = self.client.status().map(|status| status.feeds);
            feeds.is_ok_and(|feeds| feeds.iter().all(|feed| feed.pair.protected))
        };
        self.shim.legs_live == [true; 2] && protected()
    }

    /// How one of its processes ended, if one has.
    pub fn ended(&mut self) -> Option<String> {
        let ended = |process: &mut Process| {
            let status = process.ended()?;
            let (name, words) = (process.name(), process.tail());
            Some(format!("{name} ended ({status}) {}", words.trim_end()))
        };
        self.processes.iter_mut().find_map(ended)
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        // The subscriber first: it is no fault that legs go when everything goes.
        for process in self.processes.iter_mut().rev() {
            if process.ended().is_none() && process.signal(Signal::TERM).is_ok() {
                // One that does not end is killed when it is dropped.
                let _ = process.wait(END_LIMIT);
            }
        }
    }
}

/// Makes the documented records of what `twinfeed tail --format json` prints.
#[derive(Debug)]
pub struct Shim {
    sessions: BTreeMap<String, String>,
    /// Unix time of midnight, ns.
    midnight: u64,
    /// Epoch, number and part of the last record.
    last: Option<(String, u64, u64)>,
    legs_live: [bool; 2],
}

impl Shim {
    /// A shim that knows these sessions of this day by their epochs.
    #[must_use]
    pub fn new(day: TradingDay, sessions: &[String]) -> Self {
        let epoch = |name: &String| {
            let bytes = <[u8; 10]>::try_from(name.as_bytes()).ok()?;
            let epoch = Session(bytes).epoch(&day);
            Some((format!("{:016x}", epoch.0), name.clone()))
        };
        Self {
            sessions: sessions.iter().filter_map(epoch).collect(),
            midnight: day.unix(0),
            last: None,
            legs_live: [false; 2],
        }
    }

    /// What a line means; `None`: nothing that a certifier asks about.
    ///
    /// # Errors
    /// When it is no line of `tail`'s.
    pub fn translate(&mut self, line: &str) -> Result<Option<Said>, String> {
        let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let word = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let number = |key: &str| value.get(key).and_then(Value::as_u64);
        let session = self.session(word("epoch"));
        Ok(match word("event") {
            "" => self.record(&value),
            "gap" => {
                let (from, until) = (number("from"), number("until"));
                let (from, until) = from.zip(until).ok_or("a gap without numbers")?;
                // A message of which some records are missing is not there.
                let torn = number("until_part").is_some_and(|part| part > 0);
                let to = if torn { until } else { until.saturating_sub(1) };
                Some(Said::Gap { session, from, to })
            }
            "reset" => Some(Said::Reset {
                session,
                next: number("sseq"),
            }),
            "ended" => Some(Said::End {
                session,
                next: number("next"),
            }),
            "leg" => {
                let live = word("state") == "live";
                let leg = number("leg").map_or(2, |leg| leg as usize);
                if let Some(state) = self.legs_live.get_mut(leg) {
                    *state = live;
                }
                None
            }
            // By the legs' own word, sooner than stream-admin's administrative message.
            "stale" => Some(Said::Stale { session }),
            "live" => Some(Said::Live { session }),
            _ => None,
        })
    }

    fn record(&mut self, value: &Value) -> Option<Said> {
        let word = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let epoch = word("epoch").to_owned();
        let session = self.session(&epoch);
        if word("kind") == "administrative" {
            return administrative(word("bytes"), session);
        }
        let number = |key: &str| value.get(key).and_then(Value::as_u64);
        let (sequence, part) = number("sseq").zip(number("part"))?;
        let here = (epoch, sequence, part);
        let follows = self.last.as_ref().is_some_and(|(epoch, number, before)| {
            (epoch, *number, before + 1) == (&here.0, sequence, part)
        });
        self.last = Some(here);
        if follows {
            return None;
        }
        let timestamp = match word("kind") {
            "opaque" => hexadecimal(word("bytes")).and_then(|bytes| itch_time(&bytes)),
            _ => {
                let time = value.get("record")?.get("hd")?.get("ts_event")?.as_str()?;
                self.since_midnight(time)
            }
        };
        Some(Said::Message {
            session,
            sequence,
            kind: String::new(),
            timestamp,
        })
    }

    /// The session of an epoch; one that nobody has sent keeps the epoch's name.
    fn session(&self, epoch: &str) -> String {
        let known = self.sessions.get(epoch);
        known.cloned().unwrap_or_else(|| epoch.to_owned())
    }

    /// `2019-12-30T14:30:00.000000001Z`, as nanoseconds since the day's own midnight. Within the day alone.
    fn since_midnight(&self, text: &str) -> Option<u64> {
        const DAY_NS: u64 = 86_400_000_000_000;
        let (_, time) = text.trim_end_matches('Z').split_once('T')?;
        let (clock, fraction) = time.split_once('.')?;
        let mut seconds = 0;
        for part in clock.split(':') {
            seconds = seconds * 60 + part.parse::<u64>().ok()?;
        }
        let utc = seconds * 1_000_000_000 + fraction.parse::<u64>().ok()?;
        Some((utc + DAY_NS - self.midnight % DAY_NS) % DAY_NS)
    }
}

/// An adapter's word about its source, as far as a certifier asks for it.
fn administrative(hex: &str, session: String) -> Option<Said> {
    let bytes = hexadecimal(hex)?;
    match AdminMessage::parse(&bytes).ok()?.kind() {
        AdminKind::SourceStale => Some(Said::Stale { session }),
        AdminKind::SourceRestored => Some(Said::Live { session }),
        _ => None,
    }
}

/// ITCH 5.0: six bytes, big-endian, behind type, locate and tracking number.
fn itch_time(message: &[u8]) -> Option<u64> {
    let bytes = message.get(5..11)?;
    Some(
        bytes
            .iter()
            .fold(0, |sum, &byte| (sum << 8) | u64::from(byte)),
    )
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shim() -> Shim {
        Shim::new("2019-12-30".parse().unwrap(), &["C000010101".to_owned()])
    }

    #[test]
    fn records_of_one_message_are_one_message_and_a_repetition_is_another() {
        let mut shim = shim();
        let epoch = shim.sessions.keys().next().unwrap().clone();
        let line = |sseq: u64, part: u64| {
            format!(
                r#"{{"sid":1,"epoch":"{epoch}","sseq":{sseq},"part":{part},"adm":0,"received_at":"0","kind":"mbo","leg":0,"record":{{"hd":{{"ts_event":"2019-12-30T14:30:00.000000007Z"}}}}}}"#
            )
        };
        let message = |sequence| {
            Some(Said::Message {
                session: "C000010101".to_owned(),
                sequence,
                kind: String::new(),
                timestamp: Some(34_200_000_000_007),
            })
        };
        let table = [
            ((7, 0), message(7)),
            ((7, 1), None),
            ((8, 0), message(8)),
            ((8, 0), message(8)),
            ((9, 1), message(9)),
        ];
        for ((sseq, part), said) in table {
            assert_eq!(
                shim.translate(&line(sseq, part)).unwrap(),
                said,
                "{sseq}.{part}"
            );
        }
    }

    #[test]
    fn events_are_translated_and_legs_remembered() {
        let mut shim = shim();
        let gap = r#"{"event":"gap","sid":1,"epoch":"x","from":5,"from_part":0,"until":8,"until_part":0}"#;
        let said = Said::Gap {
            session: "x".to_owned(),
            from: 5,
            to: 7,
        };
        assert_eq!(shim.translate(gap).unwrap(), Some(said));
        let stale = Said::Stale {
            session: String::new(),
        };
        let line = r#"{"event":"stale","sid":1,"text":"STALE: no leg of sid 1 speaks"}"#;
        assert_eq!(shim.translate(line).unwrap(), Some(stale));
        for (leg, state, live) in [(0, "live", [true, false]), (0, "lost", [false; 2])] {
            let line = format!(r#"{{"event":"leg","sid":1,"leg":{leg},"state":"{state}"}}"#);
            assert_eq!(shim.translate(&line).unwrap(), None);
            assert_eq!(shim.legs_live, live);
        }
        assert!(shim.translate("what").is_err());
    }

    #[test]
    fn opaque_bodies_have_their_own_time() {
        let hex = "4c0001000000000000002a";
        let time = hexadecimal(hex).and_then(|bytes| itch_time(&bytes));
        assert_eq!(time, Some(42));
    }
}
