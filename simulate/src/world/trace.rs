//! What happened, in a form that a person reads?
//!
//! Off unless a seed is replayed, and bounded: the last lines are the ones that explain a violation.

use std::collections::VecDeque;

use twinfeed_protocol::time::Time;
use twinfeed_protocol::{Event, Leg};
use twinfeed_wire::{BodyKind, Datagram};

use super::oracle::Told;

/// The last lines of what happened.
#[derive(Debug, Default)]
pub struct Trace {
    limit: usize,
    lines: VecDeque<String>,
}

impl Trace {
    /// Keeps the last `limit` lines; none when 0.
    #[must_use]
    pub fn last(limit: usize) -> Self {
        Self {
            limit,
            lines: VecDeque::new(),
        }
    }

    /// Whether anybody reads.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.limit > 0
    }

    /// Writes a line, if anybody reads it.
    pub fn say(&mut self, now: Time, line: impl FnOnce() -> String) {
        if self.limit == 0 {
            return;
        }
        if self.lines.len() == self.limit {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{now} {}", line()));
    }

    /// What an application was told.
    pub fn told(&mut self, now: Time, subscriber: usize, told: &Told) {
        self.say(now, || match told {
            Told::Record(record) => {
                let (pos, leg) = (record.pos, record.leg);
                let what = match record.admin {
                    Some(id) => format!("message {} of {}", id.number, id.generation),
                    None => format!("record (adm {})", record.adm),
                };
                format!("    subscriber {subscriber} <- {what} {pos} from leg {leg}")
            }
            Told::Event(Event::Switched(receipt)) => format!(
                "    subscriber {subscriber} <- Switched sid {} from leg {} ({})",
                receipt.sid,
                receipt.from_leg,
                receipt.trigger.word()
            ),
            Told::Event(event) => format!("    subscriber {subscriber} <- {event:?}"),
        });
    }

    /// A datagram, at either end of its way.
    pub fn datagram(&mut self, now: Time, what: &str, leg: Leg, bytes: &[u8]) {
        self.say(now, || format!("{what} leg {leg}: {}", describe(bytes)));
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}

fn describe(bytes: &[u8]) -> String {
    let datagram = match Datagram::parse(bytes) {
        Ok(datagram) => datagram,
        Err(malformed) => return format!("{} bytes, {malformed}", bytes.len()),
    };
    let header = datagram.header();
    let head = format!(
        "sid {} gen {} dsn {} epoch {} context {}{} flags {:#x} adm {} msn {}",
        header.sid,
        header.generation,
        header.dsn,
        header.epoch,
        header.context,
        if header.is_complete() { "" } else { "?" },
        header.flags.0,
        header.base_adm,
        header.first_msn,
    );
    match datagram.heartbeat() {
        Some(heartbeat) => {
            let beat = heartbeat.beat;
            let end = if beat.ended { " ended" } else { "" };
            format!(
                "{head} beat next {} prev {} after {} (next {}){end}",
                beat.next_sseq, beat.prev, header.predecessor, beat.predecessor_next
            )
        }
        None => {
            let places: Vec<String> = datagram
                .records()
                .map(|record| {
                    let last = if record.is_last() { "" } else { "+" };
                    let admin = match record.kind {
                        BodyKind::Administrative => "X",
                        _ => "",
                    };
                    let (sseq, part, prev, adm) =
                        (record.sseq, record.part, record.prev, record.adm);
                    format!("{admin}{sseq}.{part}{last}<{prev}@{adm}")
                })
                .collect();
            format!("{head} records {}", places.join(" "))
        }
    }
}
