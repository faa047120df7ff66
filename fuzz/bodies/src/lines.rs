//! What comes out of two lines, whatever they bring?
//!
//! Within an epoch messages and abandoned ranges that follow each other without a hole, each number once; a message is
//! one that some line brought under that number; nothing is allocated once the lines are there.

use std::ops::Range;
use std::time::Duration;

use twinfeed_protocol::repair::RepairLimits;
use twinfeed_protocol::{EpochStart, Line, LineLimits, Lines, Source, Time, Way};
use twinfeed_wire::Epoch;

use crate::heap;
use crate::input::Input;

const LIMITS: LineLimits = LineLimits {
    origin_first: 1,
    reorder_hold: Duration::from_millis(2),
    lag_hold: Duration::from_millis(20),
    silence: Duration::from_millis(40),
    held_messages: 32,
    held_bytes: 1_024,
    window: 16,
    confirmations: 4,
    retired_epochs: 2,
    recovery: REPAIR,
    sessions: REPAIR,
};

const REPAIR: RepairLimits = RepairLimits {
    repair_time: Duration::from_millis(30),
    fill_patience: Duration::from_millis(3),
    fill_attempts: 4,
    fill_range: 8,
    fill_datagrams: 1,
    fill_seed: 1,
};

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let Ok(mut lines) = Lines::new(LIMITS) else {
        unreachable!("the limits can be worked with")
    };
    for line in Line::BOTH {
        for (shift, way) in [(0, Way::Packets), (2, Way::Session)] {
            let bit = 1 << (line.index() + shift);
            let known = bytes.first().is_some_and(|byte| byte & bit != 0);
            lines.set_server(way, line, known);
        }
    }
    let (mut told, mut now) = (Told::default(), Time(1_000_000_000));
    // Where each line is, in which epoch.
    let mut at = [(1_u64, 1_u64); 2];
    let mut content = Vec::with_capacity(8);
    while !input.is_empty() {
        let line = input.pick(&Line::BOTH);
        let (epoch, next) = &mut at[line.index()];
        let shape = input.byte();
        match shape >> 4 {
            0..=8 => {}
            9 | 10 => *next = next.saturating_add(u64::from(input.byte() % 16)),
            11 | 12 => *next = next.saturating_sub(u64::from(input.byte() % 16)),
            13 => *next = input.number(),
            _ => (*epoch, *next) = (1 + u64::from(input.byte() % 4), 1),
        }
        let before = heap::calls();
        match shape & 15 {
            0..=8 => {
                let count = u16::from(shape & 7);
                if next.checked_add(u64::from(count)).is_none() {
                    continue; // a packet's parser refuses it
                }
                content.clear();
                content.extend((*next..*next + u64::from(count)).map(message));
                // A packet may hold fewer than it says: its rest is lost.
                let held = usize::from(count) - usize::from(shape & 8 != 0 && count > 0);
                let messages = content[..held].iter().map(Vec::as_slice);
                let spent = heap::calls();
                lines.on_packet(
                    line,
                    now,
                    Epoch(*epoch),
                    *next,
                    count,
                    messages,
                    0,
                    &mut told,
                );
                told.asked += heap::calls() - spent;
                *next += u64::from(count);
            }
            9 => lines.on_heartbeat(line, now, Epoch(*epoch), *next, &mut told),
            10 => lines.on_end(line, now, Epoch(*epoch), *next, &mut told),
            11 => {
                // A file's end: nothing comes behind it.
                lines.on_close(now, &mut told);
                return;
            }
            14 | 15 => {
                // Of what was asked for, or of anything else.
                let ask = lines.poll_request();
                let (server, of, first, count) = match ask {
                    Some(ask) if shape & 1 == 0 => {
                        ((ask.way, ask.line), ask.epoch.0, ask.first, ask.count)
                    }
                    Some(ask) if shape & 6 == 2 => {
                        lines.on_no_answer((ask.way, ask.line), now, shape & 8 != 0);
                        continue;
                    }
                    _ => {
                        let way = Way::BOTH[usize::from(shape >> 3 & 1)];
                        ((way, line), *epoch, *next, u16::from(input.byte() % 16))
                    }
                };
                assert!(
                    ask.is_none_or(|ask| (1..=8).contains(&ask.count)),
                    "{ask:?}"
                );
                content.clear();
                let last = first.saturating_add(u64::from(count.min(u16::from(input.byte() % 16))));
                content.extend((first..last).map(message));
                let messages = content.iter().map(Vec::as_slice);
                let spent = heap::calls();
                lines.on_answer(server, now, Epoch(of), first, messages, 0, &mut told);
                told.asked += heap::calls() - spent;
            }
            _ => {
                let end = now.after(Duration::from_micros(u64::from(input.word())));
                while let Some(due) = lines.next_deadline().filter(|due| *due <= end) {
                    now = now.max(due);
                    lines.on_deadline(now, &mut told);
                    let next = lines.next_deadline();
                    assert!(
                        next.is_none_or(|next| next > now),
                        "a deadline that was met is met"
                    );
                }
                now = end;
                told.asked += heap::calls() - before;
            }
        }
        assert_eq!(told.asked, 0, "the lines allocate nothing");
        for line in Line::BOTH {
            let _ = lines.status(line, now);
        }
    }
}

fn message(sseq: u64) -> Vec<u8> {
    let length = 8 + (sseq % 3) as usize * 60;
    let mut bytes = vec![sseq as u8; length];
    bytes[..8].copy_from_slice(&sseq.to_le_bytes());
    bytes
}

/// What came out.
#[derive(Default)]
struct Told {
    /// The epoch that is under way, and its next number.
    open: Option<(Epoch, u64)>,
    asked: u64,
}

impl Source for Told {
    fn begin(&mut self, start: EpochStart) {
        self.open = Some((start.epoch, start.first));
    }

    fn message(&mut self, sseq: u64, bytes: &[u8], _: u64) {
        let (_, next) = self.open.as_mut().expect("an epoch was begun");
        assert_eq!(sseq, *next, "messages follow each other");
        assert!(
            bytes.first_chunk() == Some(&sseq.to_le_bytes()),
            "as it came under {sseq}"
        );
        assert_eq!(bytes.len(), 8 + (sseq % 3) as usize * 60);
        *next += 1;
    }

    fn abandoned(&mut self, range: Range<u64>) {
        let (_, next) = self.open.as_mut().expect("an epoch was begun");
        assert_eq!(range.start, *next, "what is given up follows what came");
        assert!(range.start < range.end, "{range:?}");
        *next = range.end;
    }

    fn ended(&mut self, epoch: Epoch, next_sseq: u64) {
        assert_eq!(
            self.open,
            Some((epoch, next_sseq)),
            "an epoch ends behind its last number"
        );
    }

    fn stale(&mut self, _: bool) {}
}
