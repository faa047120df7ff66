//! Which session is on, and what does it send now?
//!
//! Short sessions follow one another. Each one is announced before it opens, so
//! that an adapter that listens knows its first number before there is data,
//! and ended with repeated end-of-session packets.
//!
//! ```text
//!  announcing ──────────► open ─────────────► closing ──────► announcing (next)
//!  heartbeats: session,   messages by pace,   end of session,  … or done
//!  first number           heartbeats if idle  repeated
//! ```
//!
//! Refuses to know content, packets and lines: it says *what* is to be sent, by
//! number. Call [`Sessions::step`] with the time until it returns `None`, and
//! again at [`Sessions::next_deadline`]. A late call is caught up with, except
//! for heartbeats, of which one says as much as many.

use std::fmt;

use crate::pace::Pace;

/// Most messages that one [`Step::Data`] covers, so that a late caller gets its
/// arrears in pieces.
pub const MAX_MESSAGES_PER_STEP: u64 = 4_096;

/// The ten bytes that name a MoldUDP64 session.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId([u8; 10]);

impl SessionId {
    /// `prefix` followed by `number`, zero-padded to ten bytes: `S000000001`.
    ///
    /// `None` when the prefix is not ASCII alphanumeric or the number does not
    /// fit behind it.
    pub fn numbered(prefix: &str, number: u64) -> Option<Self> {
        if prefix.len() >= 10 || !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let width = 10 - prefix.len();
        let text = format!("{prefix}{number:0width$}");
        <[u8; 10]>::try_from(text.as_bytes()).ok().map(Self)
    }

    /// As it stands on the wire.
    pub const fn as_bytes(&self) -> &[u8; 10] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|&byte| write!(f, "{}", char::from(byte)))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// How sessions follow one another. Times are nanoseconds.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Messages of each session; at least 1.
    pub messages: u64,
    /// Sessions before the exchange is done; `None` for no end.
    pub sessions: Option<u64>,
    /// How long a session is announced before it opens.
    pub pause_ns: u64,
    /// Silence after which a heartbeat is sent.
    pub heartbeat_ns: u64,
    /// How often the end of a session is repeated.
    pub end_packets: u32,
    /// Time from the last message to the first of them, between them, and to the
    /// announcement of the next session.
    pub end_interval_ns: u64,
    /// Announce the first session until [`Sessions::start`] is called.
    pub wait: bool,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Session number `index` (from 0) begins to be announced.
    Announced {
        /// Which session, counted from 0.
        index: u64,
    },
    /// The session's first message is due.
    Opened,
    /// Send a heartbeat: `sent` messages of the session have gone before.
    Heartbeat {
        /// Messages sent so far.
        sent: u64,
    },
    /// Send messages `from..to` of the session, counted from 0.
    Data {
        /// First to send.
        from: u64,
        /// One past the last to send.
        to: u64,
    },
    /// The last message has gone: the session holds `sent` messages.
    Closed {
        /// Messages sent.
        sent: u64,
    },
    /// Send an end-of-session packet.
    EndOfSession {
        /// Messages sent.
        sent: u64,
    },
    /// No further session: nothing will ever be due again.
    Done,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nobody has asked yet; the first call sets the start of time.
    Unborn,
    Announcing {
        opens_ns: Option<u64>,
        heartbeat_at_ns: u64,
    },
    Open {
        opened_ns: u64,
        sent: u64,
        heartbeat_at_ns: u64,
    },
    Closing {
        sent: u64,
        ends_left: u32,
        next_at_ns: u64,
    },
    Done,
}

/// The clockwork of sessions.
#[derive(Clone, Debug)]
pub struct Sessions {
    plan: Plan,
    pace: Pace,
    index: u64,
    phase: Phase,
    started: bool,
    stopping: bool,
}

impl Sessions {
    /// A clockwork that starts with its first [`step`](Self::step).
    pub fn new(plan: Plan, pace: Pace) -> Self {
        let started = !plan.wait;
        Self {
            plan,
            pace,
            index: 0,
            phase: Phase::Unborn,
            started,
            stopping: false,
        }
    }

    /// The next thing that is due at `now_ns`, or `None` until
    /// [`next_deadline`](Self::next_deadline).
    pub fn step(&mut self, now_ns: u64) -> Option<Step> {
        match self.phase {
            Phase::Unborn => Some(self.announce(now_ns)),
            Phase::Announcing {
                opens_ns,
                heartbeat_at_ns,
            } => {
                if let Some(opened_ns) = opens_ns.filter(|&opens| opens <= now_ns) {
                    let heartbeat_at_ns = opened_ns.saturating_add(self.plan.heartbeat_ns);
                    self.phase = Phase::Open {
                        opened_ns,
                        sent: 0,
                        heartbeat_at_ns,
                    };
                    return Some(Step::Opened);
                }
                (heartbeat_at_ns <= now_ns).then(|| {
                    let heartbeat_at_ns = now_ns.saturating_add(self.plan.heartbeat_ns);
                    self.phase = Phase::Announcing {
                        opens_ns,
                        heartbeat_at_ns,
                    };
                    Step::Heartbeat { sent: 0 }
                })
            }
            Phase::Open {
                opened_ns,
                sent,
                heartbeat_at_ns,
            } => self.step_open(now_ns, opened_ns, sent, heartbeat_at_ns),
            Phase::Closing { next_at_ns, .. } if next_at_ns > now_ns => None,
            Phase::Closing {
                sent, ends_left, ..
            } if ends_left > 0 => {
                let next_at_ns = now_ns.saturating_add(self.plan.end_interval_ns);
                self.phase = Phase::Closing {
                    sent,
                    ends_left: ends_left - 1,
                    next_at_ns,
                };
                Some(Step::EndOfSession { sent })
            }
            Phase::Closing { .. } => Some(self.succeed(now_ns)),
            Phase::Done => None,
        }
    }

    /// When [`step`](Self::step) has something to say next; 0 means at once,
    /// `None` never.
    pub fn next_deadline(&self) -> Option<u64> {
        match self.phase {
            Phase::Unborn => Some(0),
            Phase::Announcing {
                opens_ns,
                heartbeat_at_ns,
            } => Some(opens_ns.map_or(heartbeat_at_ns, |opens| opens.min(heartbeat_at_ns))),
            Phase::Open {
                opened_ns, sent, ..
            } if sent >= self.plan.messages => Some(opened_ns),
            Phase::Open {
                opened_ns,
                sent,
                heartbeat_at_ns,
            } => {
                let next = opened_ns.saturating_add(self.pace.time_of(sent));
                Some(next.min(heartbeat_at_ns))
            }
            Phase::Closing { next_at_ns, .. } => Some(next_at_ns),
            Phase::Done => None,
        }
    }

    /// Which session is on, counted from 0.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Opens a session that waits, at once.
    pub fn start(&mut self, now_ns: u64) {
        self.started = true;
        if let Phase::Announcing {
            opens_ns: opens_ns @ None,
            ..
        } = &mut self.phase
        {
            *opens_ns = Some(now_ns);
        }
    }

    /// Ends the session where it stands, with its end-of-session packets, and
    /// opens no other.
    pub fn stop(&mut self, now_ns: u64) {
        self.stopping = true;
        match self.phase {
            Phase::Unborn => {
                self.phase = Phase::Closing {
                    sent: 0,
                    ends_left: 0,
                    next_at_ns: 0,
                }
            }
            Phase::Announcing { .. } => self.phase = self.closing(now_ns, 0),
            Phase::Open { sent, .. } => self.plan.messages = sent,
            Phase::Closing { .. } | Phase::Done => {}
        }
    }

    fn step_open(
        &mut self,
        now_ns: u64,
        opened_ns: u64,
        sent: u64,
        heartbeat_at_ns: u64,
    ) -> Option<Step> {
        if sent >= self.plan.messages {
            self.phase = self.closing(now_ns, sent);
            return Some(Step::Closed { sent });
        }
        let due = self
            .pace
            .due(now_ns.saturating_sub(opened_ns))
            .min(self.plan.messages);
        let later = now_ns.saturating_add(self.plan.heartbeat_ns);
        if due > sent {
            let to = due.min(sent + MAX_MESSAGES_PER_STEP);
            self.phase = Phase::Open {
                opened_ns,
                sent: to,
                heartbeat_at_ns: later,
            };
            return Some(Step::Data { from: sent, to });
        }
        (heartbeat_at_ns <= now_ns).then(|| {
            self.phase = Phase::Open {
                opened_ns,
                sent,
                heartbeat_at_ns: later,
            };
            Step::Heartbeat { sent }
        })
    }

    fn announce(&mut self, now_ns: u64) -> Step {
        let opens_ns = self
            .started
            .then(|| now_ns.saturating_add(self.plan.pause_ns));
        self.phase = Phase::Announcing {
            opens_ns,
            heartbeat_at_ns: now_ns,
        };
        Step::Announced { index: self.index }
    }

    fn closing(&self, now_ns: u64, sent: u64) -> Phase {
        let next_at_ns = now_ns.saturating_add(self.plan.end_interval_ns);
        Phase::Closing {
            sent,
            ends_left: self.plan.end_packets,
            next_at_ns,
        }
    }

    fn succeed(&mut self, now_ns: u64) -> Step {
        let next = self.index + 1;
        if self.stopping || self.plan.sessions.is_some_and(|sessions| next >= sessions) {
            self.phase = Phase::Done;
            return Step::Done;
        }
        self.index = next;
        self.announce(now_ns)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    const MS: u64 = 1_000_000;

    fn plan() -> Plan {
        Plan {
            messages: 3,
            sessions: Some(2),
            pause_ns: 25 * MS,
            heartbeat_ns: 10 * MS,
            end_packets: 2,
            end_interval_ns: 5 * MS,
            wait: false,
        }
    }

    /// 50 messages per second: 20 ms apart, so that heartbeats fall between.
    fn sessions(plan: Plan) -> Sessions {
        Sessions::new(plan, Pace::steady(NonZeroU64::new(50).unwrap()))
    }

    /// Runs to the end and notes (ms, step); asks at deadlines only.
    fn history(sessions: &mut Sessions, mut now_ns: u64) -> Vec<(u64, Step)> {
        let mut history = Vec::new();
        while let Some(deadline) = sessions.next_deadline() {
            now_ns = now_ns.max(deadline);
            while let Some(step) = sessions.step(now_ns) {
                history.push((now_ns / MS, step));
            }
        }
        history
    }

    #[test]
    fn two_sessions_step_by_step() {
        use Step::*;
        let one_session = |start: u64, index| {
            [
                (0, Announced { index }),
                (0, Heartbeat { sent: 0 }),
                (10, Heartbeat { sent: 0 }),
                (20, Heartbeat { sent: 0 }),
                (25, Opened),
                (25, Data { from: 0, to: 1 }),
                (35, Heartbeat { sent: 1 }),
                (45, Data { from: 1, to: 2 }),
                (55, Heartbeat { sent: 2 }),
                (65, Data { from: 2, to: 3 }),
                (65, Closed { sent: 3 }),
                (70, EndOfSession { sent: 3 }),
                (75, EndOfSession { sent: 3 }),
            ]
            .map(|(at, step)| (start + at, step))
        };
        let mut expected = one_session(100, 0).to_vec();
        expected.extend(one_session(180, 1));
        expected.push((260, Done));
        assert_eq!(history(&mut sessions(plan()), 100 * MS), expected);
    }

    #[test]
    fn a_waiting_session_is_announced_until_it_is_started() {
        let mut sessions = sessions(Plan {
            wait: true,
            ..plan()
        });
        let mut beats = 0;
        for now in (0..1_000).map(|ms| ms * MS) {
            while let Some(step) = sessions.step(now) {
                beats += u32::from(step == Step::Heartbeat { sent: 0 });
                assert_ne!(step, Step::Opened);
            }
        }
        assert_eq!(beats, 100);
        sessions.start(1_000 * MS);
        assert_eq!(sessions.step(1_000 * MS), Some(Step::Opened));
    }

    #[test]
    fn a_stop_ends_the_session_where_it_stands() {
        let mut sessions = sessions(plan());
        while sessions.step(0).is_some() {}
        while sessions.step(25 * MS).is_some() {}
        sessions.stop(26 * MS);
        assert_eq!(sessions.next_deadline(), Some(25 * MS));
        let expected = [
            (26, Step::Closed { sent: 1 }),
            (31, Step::EndOfSession { sent: 1 }),
            (36, Step::EndOfSession { sent: 1 }),
            (41, Step::Done),
        ];
        assert_eq!(history(&mut sessions, 26 * MS), expected);
    }

    #[test]
    fn a_stop_before_the_opening_still_ends_what_was_announced() {
        let mut sessions = sessions(Plan {
            wait: true,
            ..plan()
        });
        while sessions.step(0).is_some() {}
        sessions.stop(MS);
        let steps: Vec<Step> = history(&mut sessions, MS)
            .into_iter()
            .map(|(_, s)| s)
            .collect();
        let end = Step::EndOfSession { sent: 0 };
        assert_eq!(steps, [end, end, Step::Done]);
    }

    #[test]
    fn arrears_come_in_pieces_and_completely() {
        let plan = Plan {
            messages: 10_000,
            ..plan()
        };
        let mut sessions = Sessions::new(plan, Pace::steady(NonZeroU64::new(1_000_000).unwrap()));
        while sessions.step(0).is_some() {}
        let mut next = 0;
        while let Some(step) = sessions.step(3_600_000 * MS) {
            if let Step::Data { from, to } = step {
                assert_eq!(from, next);
                assert!(to - from <= MAX_MESSAGES_PER_STEP);
                next = to;
            }
        }
        assert_eq!(next, 10_000);
    }

    #[test]
    fn session_ids_have_ten_bytes_or_are_refused() {
        let text = |prefix, number| SessionId::numbered(prefix, number).map(|id| id.to_string());
        assert_eq!(text("S", 1).as_deref(), Some("S000000001"));
        assert_eq!(text("", 1_234_567_890).as_deref(), Some("1234567890"));
        assert_eq!(text("S", 1_234_567_890), None);
        assert_eq!(text("ABCDEFGHIJ", 1), None);
        assert_eq!(text("S-", 1), None);
    }
}
