//! What does a fill server do that is not honest?

use core::time::Duration;
use std::rc::Rc;

use twinfeed_wire::fill::{Fill, Reply, Status, write_reply};
use twinfeed_wire::{Datagram, Flags, Header, Record, Writer, mark_retransmitted};

use super::desk::Said;
use crate::world::rng::Rng;

/// What it does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Trick {
    /// What it should.
    #[default]
    Honest,
    /// It never answers.
    Silent,
    /// It answers so much later.
    Slow(Duration),
    /// It says that it serves no such stream.
    Refuses,
    /// It says that it is busy.
    Busy,
    /// It says that it has nothing of it.
    Lacks,
    /// It says that it sent everything, and sends nothing.
    SendsNothing,
    /// It dies in the middle of an answer.
    Dies,
    /// It names another life of the source.
    OtherEpoch,
    /// It names another context.
    OtherContext,
    /// It gives what was not asked for.
    Elsewhere,
    /// It does not say that it sends something again.
    Unmarked,
    /// It answers as if to another request.
    OtherRequest,
}

impl Trick {
    /// One drawn by chance, a lie or not.
    #[must_use]
    pub fn draw(rng: &mut Rng) -> Self {
        let slow = Self::Slow(rng.micros(1_000, 40_000));
        rng.pick(&[
            Self::Silent,
            slow,
            Self::Refuses,
            Self::Busy,
            Self::Lacks,
            Self::SendsNothing,
            Self::Dies,
            Self::OtherEpoch,
            Self::OtherContext,
            Self::Elsewhere,
            Self::Unmarked,
            Self::OtherRequest,
        ])
    }

    /// How it is counted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Honest => "fill_honest",
            Self::Silent => "fill_silent",
            Self::Slow(_) => "fill_slow",
            Self::Refuses => "fill_refuses",
            Self::Busy => "fill_busy",
            Self::Lacks => "fill_lacks",
            Self::SendsNothing => "fill_sends_nothing",
            Self::Dies => "fill_dies",
            Self::OtherEpoch => "fill_other_epoch",
            Self::OtherContext => "fill_other_context",
            Self::Elsewhere => "fill_elsewhere",
            Self::Unmarked => "fill_unmarked",
            Self::OtherRequest => "fill_other_request",
        }
    }

    /// What becomes of an honest answer to all who asked.
    pub(super) fn twist(self, said: Vec<Said>, rng: &mut Rng) -> Vec<Said> {
        if let Self::Dies = self {
            let datagrams = said.into_iter().filter(|it| is_datagram(&it.bytes));
            let mut datagrams: Vec<_> = datagrams.collect();
            datagrams.truncate(datagrams.len() / 2);
            return datagrams;
        }
        said.into_iter()
            .filter_map(|said| self.twist_one(said, rng))
            .collect()
    }

    fn twist_one(self, mut said: Said, rng: &mut Rng) -> Option<Said> {
        let datagram = is_datagram(&said.bytes);
        let far = rng.between(1 << 32, 1 << 60);
        said.honest = false;
        if datagram {
            let twisted = match self {
                Self::Honest | Self::Slow(_) | Self::OtherRequest => None,
                Self::OtherEpoch => again(&said.bytes, 0, true, |header| header.epoch.0 ^= far),
                Self::OtherContext => again(&said.bytes, 0, true, |header| header.context.0 ^= far),
                Self::Elsewhere => again(&said.bytes, far, true, |_| {}),
                Self::Unmarked => again(&said.bytes, 0, false, |_| {}),
                _ => return None,
            };
            if let Some(bytes) = twisted {
                (said.bytes, said.genuine) = (bytes, false);
            }
            return Some(said);
        }
        let Ok(Fill::Reply(reply)) = Fill::parse(&said.bytes) else {
            return Some(said);
        };
        let reply = match self {
            Self::Silent | Self::Dies => return None,
            Self::Refuses => Reply {
                status: Status::Refused,
                ..reply
            },
            Self::Busy => Reply {
                status: Status::Busy,
                retry_after_us: rng.between(100, 5_000) as u32,
                ..reply
            },
            Self::Lacks => Reply {
                lacking: u32::MAX,
                ..reply
            },
            Self::OtherRequest => Reply {
                request: reply.request ^ 1,
                lacking: u32::MAX,
                ..reply
            },
            _ => reply,
        };
        said.bytes = write_reply(&reply)[..].into();
        Some(said)
    }
}

fn is_datagram(bytes: &[u8]) -> bool {
    Datagram::parse(bytes).is_ok()
}

/// The datagram once more with another header, every source number `far` higher, and a right check.
fn again(
    bytes: &[u8],
    far: u64,
    marked: bool,
    change: impl FnOnce(&mut Header),
) -> Option<Rc<[u8]>> {
    let datagram = Datagram::parse(bytes).ok()?;
    let mut header = *datagram.header();
    change(&mut header);
    header.base_sseq += far;
    let flags = Flags(header.flags.0 & !Flags::RETRANSMITTED.0);
    let mut buffer = vec![0; bytes.len()];
    let (dsn, sent_at) = (header.dsn, header.sent_at);
    let mut writer = Writer::begin(&mut buffer, header);
    for record in datagram.records() {
        let moved = Record {
            sseq: record.sseq + far,
            prev: record.prev + far,
            ..record
        };
        writer.push(&moved).ok()?;
    }
    let length = writer.finish(dsn, flags, sent_at);
    buffer.truncate(length);
    if marked {
        mark_retransmitted(&mut buffer);
    }
    Some(buffer.into())
}
