//! How do the two halves of a subscriber talk?
//!
//! ```text
//!   Control ──Command──►  bounded by COMMANDS  ──► DataPoller      what stream-admin decided
//!   Control ◄──Notice───  bounded by NOTICES   ◄── DataPoller      receipts of switches
//!   Control ◄──Snapshot── the newest only      ◄── DataPoller      how it goes
//! ```
//!
//! Neither end waits for the other. When commands are full the application has stopped polling: Control
//! keeps the newest grant and tries again. When notices are full Control is away: a receipt is dropped
//! here and counted; the application had it as an event all the same.

use std::net::SocketAddr;
use std::sync::Arc;

use twinfeed_net::sync::{ArrayQueue, AtomicBool, AtomicU64, Ordering};
use twinfeed_protocol::arbiter::{Arbiter, OrderingClass};
use twinfeed_protocol::{CloseReason, Cursor, Leg, Receipt};
use twinfeed_wire::{Generation, Sid, StreamId};

use crate::fills::FillSocket;
use crate::latest::{Publisher, Reader, latest};
use crate::metrics::Snapshot;
use crate::receive::{LegSocket, Senders, SocketKey};
use crate::ring::LegRing;

/// Most commands on their way to a poller that does not poll.
pub const COMMANDS: usize = 8;
/// Most receipts on their way to a control half that does not listen.
pub const NOTICES: usize = 1_024;

/// What stream-admin decided, ready to be put in force without another thought.
#[derive(Debug)]
pub(crate) enum Command {
    /// Put this difference in force.
    Plan(Box<Plan>),
    /// Nothing more will come.
    Close(CloseReason),
}

/// The difference between what the poller has and what is granted.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The machine, made once per feed from the first grant.
    pub(crate) arbiter: Option<Arbiter>,
    /// Source streams that are new, and whether their order means anything.
    pub(crate) sources: Vec<(Sid, OrderingClass)>,
    /// Where an earlier run stood in those.
    pub(crate) cursors: Vec<Cursor>,
    /// Streams that are new or changed.
    pub(crate) streams: Vec<(Sid, Leg, StreamId)>,
    /// Sockets to read from now on.
    pub(crate) open: Vec<LegSocket>,
    /// Rings to read from now on, or no more.
    pub(crate) rings: Vec<(Leg, Option<LegRing>)>,
    /// Sockets to close.
    pub(crate) shut: Vec<SocketKey>,
    /// Sockets whose senders changed.
    pub(crate) senders: Vec<(SocketKey, Senders)>,
    /// The socket from which adapters are asked for what was missed, once.
    pub(crate) fills: Option<FillSocket>,
    /// Where leg 0's and leg 1's adapters are asked, when that changed.
    pub(crate) fill_servers: Option<[Option<SocketAddr>; 2]>,
    /// Who is active, under which generation.
    pub(crate) roles: Option<(Leg, Generation)>,
    /// Longest datagram from now on, bytes.
    pub(crate) longest: Option<usize>,
    /// Constraints that were changed and stay as they were.
    pub(crate) kept: Vec<&'static str>,
}

impl Plan {
    /// Whether nothing would change.
    pub(crate) fn is_empty(&self) -> bool {
        self.arbiter.is_none()
            && self.sources.is_empty()
            && self.streams.is_empty()
            && self.open.is_empty()
            && self.rings.is_empty()
            && self.shut.is_empty()
            && self.senders.is_empty()
            && self.fills.is_none()
            && self.fill_servers.is_none()
            && self.roles.is_none()
            && self.longest.is_none()
            && self.kept.is_empty()
    }
}

/// What the poller tells of its own accord.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notice {
    /// What a switch left behind.
    pub(crate) receipt: Receipt,
    /// When it was told, Unix ns.
    pub(crate) unix_ns: u64,
}

/// The poller's end.
#[derive(Debug)]
pub(crate) struct PollerEnd {
    shared: Arc<Queues>,
    pub(crate) publisher: Publisher<Snapshot>,
}

/// The control half's end.
#[derive(Debug)]
pub(crate) struct ControlEnd {
    shared: Arc<Queues>,
    pub(crate) snapshot: Reader<Snapshot>,
}

#[derive(Debug)]
struct Queues {
    commands: ArrayQueue<Command>,
    notices: ArrayQueue<Notice>,
    commands_refused: AtomicU64,
    notices_dropped: AtomicU64,
    /// The poller was dropped, or has closed by itself: nobody will take another command.
    abandoned: AtomicBool,
}

/// What was refused because a queue was full.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct QueueCounters {
    /// Times that Control found [`COMMANDS`] waiting and kept its decision for later.
    pub commands_refused: u64,
    /// Receipts that found [`NOTICES`] waiting and were not reported to stream-admin.
    pub notices_dropped: u64,
}

/// Both ends of one feed.
pub(crate) fn queues() -> (PollerEnd, ControlEnd) {
    let (publisher, snapshot) = latest();
    let shared = Arc::new(Queues {
        // One more, so that the end is told without displacing a decision that others build on.
        commands: ArrayQueue::new(COMMANDS + 1),
        notices: ArrayQueue::new(NOTICES),
        commands_refused: AtomicU64::new(0),
        notices_dropped: AtomicU64::new(0),
        abandoned: AtomicBool::new(false),
    });
    let poller = PollerEnd {
        shared: Arc::clone(&shared),
        publisher,
    };
    (poller, ControlEnd { shared, snapshot })
}

impl PollerEnd {
    /// The next command, if any.
    pub(crate) fn command(&self) -> Option<Command> {
        self.shared.commands.pop()
    }

    /// Passes a notice on, or counts it.
    pub(crate) fn tell(&self, notice: Notice) {
        if self.shared.notices.push(notice).is_err() {
            self.shared.notices_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was refused so far.
    pub(crate) fn counters(&self) -> QueueCounters {
        self.shared.counters()
    }

    /// Nobody will take another command.
    pub(crate) fn abandon(&self) {
        self.shared.abandoned.store(true, Ordering::Release);
    }
}

impl Drop for PollerEnd {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl ControlEnd {
    /// Whether a command would be taken now; counts when not.
    pub(crate) fn has_room(&self) -> bool {
        let full = self.shared.commands.len() >= COMMANDS;
        if full {
            self.shared.commands_refused.fetch_add(1, Ordering::Relaxed);
        }
        !full
    }

    /// Passes a command on; gives it back when [`COMMANDS`] wait.
    ///
    /// # Errors
    /// The command itself.
    pub(crate) fn command(&self, command: Command) -> Result<(), Command> {
        // Only this end pushes: what has room now has room until then.
        if self.has_room() {
            self.shared.commands.push(command)
        } else {
            Err(command)
        }
    }

    /// Tells the poller that nothing more will come, after all that was decided before. A place is kept
    /// for it, so it is told even to a poller that fetches nothing.
    pub(crate) fn close(&self, reason: CloseReason) {
        // Refused only to a second end, which says nothing new.
        let _ = self.shared.commands.push(Command::Close(reason));
    }

    /// Whether the poller was dropped.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.shared.abandoned.load(Ordering::Acquire)
    }

    /// The next notice, if any.
    pub(crate) fn notice(&self) -> Option<Notice> {
        self.shared.notices.pop()
    }
}

impl Queues {
    fn counters(&self) -> QueueCounters {
        QueueCounters {
            commands_refused: self.commands_refused.load(Ordering::Relaxed),
            notices_dropped: self.notices_dropped.load(Ordering::Relaxed),
        }
    }
}

#[cfg(all(test, not(twinfeed_loom)))]
mod tests {
    use super::*;

    #[test]
    fn full_is_a_count_on_both_sides() {
        let (poller, control) = queues();
        for _ in 0..COMMANDS {
            assert!(control.has_room());
            assert!(
                control
                    .command(Command::Close(CloseReason::Revoked))
                    .is_ok()
            );
        }
        assert!(!control.has_room());
        assert!(
            control
                .command(Command::Close(CloseReason::Revoked))
                .is_err()
        );
        assert_eq!(poller.counters().commands_refused, 2);
        assert!(poller.command().is_some() && control.has_room());
    }

    #[test]
    fn an_end_is_told_even_to_a_poller_that_does_not_poll() {
        let (poller, control) = queues();
        for _ in 0..COMMANDS {
            assert!(control.command(Command::Plan(Box::default())).is_ok());
        }
        assert!(control.command(Command::Plan(Box::default())).is_err());
        control.close(CloseReason::Revoked);
        let mut told = std::iter::from_fn(|| poller.command());
        let plans = told.by_ref().take(COMMANDS);
        let plans = plans
            .filter(|told| matches!(told, Command::Plan(_)))
            .count();
        assert_eq!(plans, COMMANDS, "later plans build on earlier ones");
        let last = told.next();
        assert!(matches!(last, Some(Command::Close(CloseReason::Revoked))));
        assert!(told.next().is_none());
        assert!(!control.is_abandoned());
        drop(poller);
        assert!(control.is_abandoned());
    }
}

/// Both halves, in every order: see [`twinfeed_net::sync`].
#[cfg(all(test, twinfeed_loom))]
mod loom_tests {
    use super::*;

    #[test]
    fn an_end_comes_last_whatever_the_poller_fetches_meanwhile() {
        loom::model(|| {
            let (poller, control) = queues();
            for _ in 0..COMMANDS - 1 {
                assert!(control.command(Command::Plan(Box::default())).is_ok());
            }
            let deciding = loom::thread::spawn(move || {
                let mut taken = COMMANDS - 1;
                for _ in 0..2 {
                    taken += usize::from(control.command(Command::Plan(Box::default())).is_ok());
                }
                control.close(CloseReason::Revoked);
                taken
            });
            let mut plans = usize::from(matches!(poller.command(), Some(Command::Plan(_))));
            let taken = deciding.join().unwrap();
            loop {
                match poller.command() {
                    Some(Command::Plan(_)) => plans += 1,
                    Some(Command::Close(_)) => break,
                    None => panic!("the end is told, even to a poller that does not poll"),
                }
            }
            assert_eq!(plans, taken, "what was taken comes before the end");
            assert!(poller.command().is_none());
        });
    }

    #[test]
    fn who_sees_that_the_poller_is_gone_has_all_its_notices() {
        loom::model(|| {
            let (poller, control) = queues();
            let polling = loom::thread::spawn(move || {
                assert!(poller.command().is_none());
                drop(poller);
            });
            if control.is_abandoned() {
                assert!(control.notice().is_none());
            }
            polling.join().unwrap();
            assert!(control.is_abandoned());
        });
    }
}
