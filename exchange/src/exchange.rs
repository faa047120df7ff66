//! All of it together, driven by a clock that somebody else owns.
//!
//! Call [`Exchange::poll`] with the time; it hands packets and events to a
//! [`Sink`] and returns. Call again at [`Exchange::next_deadline`], or sooner,
//! until [`Exchange::is_done`]. Messages, their numbers and their time stamps do
//! not depend on how often it is called; how they share packets does.
//!
//! ```text
//!  poll(now) ─► sessions.step ─► content.next ─► packer ─► line A ─► sink.packet(A, …)
//!                     │               └─► sink.message  └► line B ─► sink.packet(B, …)
//!                     └─► sink.event
//! ```
//!
//! Refuses to know sockets and the real clock.

use crate::config::{ConfigError, ExchangeConfig};
use crate::content::{Content, SessionContent};
use crate::line::{Line, LineCounters, LineId};
use crate::mold::{self, Packer};
use crate::pace::Pace;
use crate::session::{SessionId, Sessions, Step};
use crate::truth::{SessionTruth, Tally};

/// Most steps of one [`Exchange::poll`]: what is due beyond them waits for the
/// next call, which is due at once.
pub const MAX_STEPS_PER_POLL: usize = 64;

/// Receives what the exchange sends. Only packets are compulsory.
pub trait Sink {
    /// A packet arrives at the far end of a line.
    fn packet(&mut self, line: LineId, packet: &[u8]);

    /// A message enters the exchange's packets, before any line can lose it.
    fn message(&mut self, session: SessionId, number: u64, message: &[u8]) {
        let _ = (session, number, message);
    }

    /// Something happened to a session.
    fn event(&mut self, event: Event) {
        let _ = event;
    }
}

/// What happens to sessions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// Heartbeats of this session begin; its first message will be `first`.
    Announced {
        /// The session.
        session: SessionId,
        /// Sequence number of its first message.
        first: u64,
    },
    /// Its first message leaves.
    Opened {
        /// The session.
        session: SessionId,
    },
    /// Its last message has left.
    Closed(SessionTruth),
    /// No further session.
    Done,
}

/// What has been sent so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Counters {
    /// Sessions closed.
    pub sessions: u64,
    /// Messages, each counted once however many lines carry it.
    pub messages: u64,
    /// Packets with messages, counted once.
    pub data_packets: u64,
    /// Heartbeats, counted once.
    pub heartbeats: u64,
    /// End-of-session packets, counted once.
    pub end_packets: u64,
}

/// A simulated exchange.
#[derive(Debug)]
pub struct Exchange {
    config: ExchangeConfig,
    content: Content,
    pace: Pace,
    /// Messages of a full session.
    total: u64,
    sessions: Sessions,
    session: SessionId,
    session_content: SessionContent,
    /// Between `Opened` and `Closed`.
    open: bool,
    tally: Tally,
    packer: Packer,
    lines: [Line; 2],
    counters: Counters,
}

impl Exchange {
    /// An exchange at rest, or the reason why the configuration is refused. What it
    /// carries is `content`, whatever `config.content` says.
    pub fn new(config: ExchangeConfig, content: Content) -> Result<Self, ConfigError> {
        config.check_with(content.flow())?;
        let (pace, plan, [a, b]) = (config.pace()?, config.plan()?, config.faults()?);
        let total = plan.messages;
        let number = config.sessions.first_number;
        let session = config.session_id(0).ok_or_else(|| ConfigError::SessionId {
            prefix: config.sessions.prefix.clone(),
            number,
        })?;
        Ok(Self {
            session_content: content.session(config.seed, 0, total),
            tally: Tally::new(config.sessions.first_sequence),
            packer: Packer::new(config.mold.max_payload),
            lines: [
                Line::new(LineId::A, config.seed, a),
                Line::new(LineId::B, config.seed, b),
            ],
            sessions: Sessions::new(plan, pace),
            counters: Counters::default(),
            open: false,
            config,
            content,
            pace,
            total,
            session,
        })
    }

    /// Does what is due at `now_ns`; times must not go back. Returns how many
    /// packets were handed to the sink.
    pub fn poll(&mut self, now_ns: u64, sink: &mut impl Sink) -> usize {
        let mut packets = deliver(&mut self.lines, now_ns, sink);
        for _ in 0..MAX_STEPS_PER_POLL {
            let Some(step) = self.sessions.step(now_ns) else {
                break;
            };
            packets += self.take(step, now_ns, sink);
        }
        packets
    }

    /// When something is due next, in the clock of [`poll`](Self::poll): at or
    /// before the time of the last call means at once, `None` never.
    pub fn next_deadline(&self) -> Option<u64> {
        let lines = self.lines.iter().filter_map(Line::next_deadline);
        lines.chain(self.sessions.next_deadline()).min()
    }

    /// True when the last session has ended and the lines are empty.
    pub fn is_done(&self) -> bool {
        self.sessions.next_deadline().is_none() && self.lines.iter().all(Line::is_empty)
    }

    /// Opens the first session, if it waits for that.
    pub fn start(&mut self, now_ns: u64) {
        self.sessions.start(now_ns);
    }

    /// Ends the session where it stands, in order, and opens no other.
    pub fn stop(&mut self, now_ns: u64) {
        self.sessions.stop(now_ns);
    }

    /// What has been sent so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// What a line did to it.
    pub fn line_counters(&self, line: LineId) -> LineCounters {
        self.lines[line.index()].counters()
    }

    /// What the session has carried so far.
    pub fn truth(&self) -> SessionTruth {
        self.tally.truth(self.session)
    }

    /// The same, if the session has messages and is not closed yet.
    pub fn unfinished(&self) -> Option<SessionTruth> {
        self.open.then(|| self.truth())
    }

    fn take(&mut self, step: Step, now_ns: u64, sink: &mut impl Sink) -> usize {
        match step {
            Step::Announced { index } => self.announce(index, sink),
            Step::Opened => {
                self.open = true;
                sink.event(Event::Opened {
                    session: self.session,
                });
                0
            }
            Step::Data { from, to } => self.data(from..to, now_ns, sink),
            Step::Heartbeat { .. } => {
                self.counters.heartbeats += 1;
                let packet = mold::heartbeat(self.session, self.tally.next_number());
                fan_out(&mut self.lines, now_ns, &packet, sink)
            }
            Step::Closed { .. } => {
                self.open = false;
                self.counters.sessions += 1;
                sink.event(Event::Closed(self.truth()));
                0
            }
            Step::EndOfSession { .. } => {
                self.counters.end_packets += 1;
                let packet = mold::end_of_session(self.session, self.tally.next_number());
                fan_out(&mut self.lines, now_ns, &packet, sink)
            }
            Step::Done => {
                sink.event(Event::Done);
                self.lines.iter_mut().for_each(|line| line.finish(now_ns));
                deliver(&mut self.lines, now_ns, sink)
            }
        }
    }

    fn announce(&mut self, index: u64, sink: &mut impl Sink) -> usize {
        if index > 0 {
            // The prefix was accepted for session 0, and numbers start over.
            self.session = self.config.session_id(index).unwrap_or(self.session);
            self.session_content = self.content.session(self.config.seed, index, self.total);
            self.tally = Tally::new(self.config.sessions.first_sequence);
        }
        let first = self.tally.next_number();
        sink.event(Event::Announced {
            session: self.session,
            first,
        });
        0
    }

    fn data(&mut self, range: std::ops::Range<u64>, now_ns: u64, sink: &mut impl Sink) -> usize {
        let mut packets = 0;
        self.packer.begin(self.session, self.tally.next_number());
        for index in range {
            let message = self.session_content.next(self.pace.time_of(index));
            if !self.packer.push(message) {
                packets += fan_out(&mut self.lines, now_ns, self.packer.finish(), sink);
                self.counters.data_packets += 1;
                self.packer.begin(self.session, self.tally.next_number());
                let pushed = self.packer.push(message);
                debug_assert!(pushed, "every message fits a packet of its own");
            }
            let number = self.tally.add(message);
            sink.message(self.session, number, message);
            self.counters.messages += 1;
        }
        self.counters.data_packets += 1;
        packets + fan_out(&mut self.lines, now_ns, self.packer.finish(), sink)
    }
}

/// Puts a packet on both lines, and hands out what has arrived.
fn fan_out(lines: &mut [Line; 2], now_ns: u64, packet: &[u8], sink: &mut impl Sink) -> usize {
    for line in lines.iter_mut() {
        line.push(now_ns, packet);
    }
    deliver(lines, now_ns, sink)
}

fn deliver(lines: &mut [Line; 2], now_ns: u64, sink: &mut impl Sink) -> usize {
    let mut packets = 0;
    for (id, line) in LineId::ALL.into_iter().zip(lines) {
        while let Some(packet) = line.pop_due(now_ns) {
            sink.packet(id, packet);
            packets += 1;
        }
    }
    packets
}
