//! How does a thread that may block tell the data thread something, and wake it?
//!
//! A bounded queue and a socket pair. The data thread looks at one flag per cycle; only when it is set
//! does it look further. The byte in the socket wakes a thread that sleeps on its sockets: it is
//! written before the flag is set, so a thread that sees the flag can take the byte away.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use twinfeed_net::bell::{Bell, Ear, bell};
use twinfeed_net::sync::{ArrayQueue, AtomicBool, Ordering};
use twinfeed_protocol::Time;
use twinfeed_wire::{Generation, Sid, StoredAdmin};

use crate::link::notice::Heard;
use crate::source::soup::past::Fetched;
use crate::transfer::workshop::Made;

/// What the data thread can be told.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "what the peer says comes without a heap; the queue is made at the start"
)]
pub enum Command {
    /// What stream administration granted.
    Grant(Grant),
    /// An administrative message to originate.
    Originate(Ordered),
    /// Whom to send to from now on.
    Destinations(Arc<DestinationPlan>),
    /// The pair link was reset (`true`) or stands again.
    PeerLost(bool),
    /// For the streams' numbering: something of the link, in this pairing, in order.
    Heard(u64, Heard),
    /// Step down as the active: originate nothing more and, once everything announced is agreed to, say so to the
    /// peer, which has this long from now to take over, µs.
    StepDown {
        /// For the peer.
        deadline_us: u32,
    },
    /// The hand-over was given up: go on as the active.
    GoOn,
    /// What the workshop made of this transfer of this source's context.
    Made(Sid, u32, Made),
    /// What was fetched of this source's past, in this attempt.
    Fetched(Sid, u32, Fetched),
    /// Say that nothing follows, then end.
    Drain,
}

/// A role under a generation.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Grant {
    /// Which.
    pub generation: Generation,
    /// Whether as its active, or as backup.
    pub active: bool,
    /// Until when the active may originate administrative messages: the end of its lease, less a margin.
    pub authority: Time,
}

/// An operator's order. It has no number yet: the message's own is given when it is announced.
#[derive(Clone, Copy, Debug)]
pub struct Ordered {
    /// stream-admin's number for it.
    pub ticket: u64,
    /// In which stream.
    pub sid: Sid,
    /// Kind and payload.
    pub message: StoredAdmin,
}

/// Everybody to whom unicast streams go.
#[derive(Debug, Default)]
pub struct DestinationPlan {
    /// One row per stream and receiver.
    pub rows: Vec<DestinationRow>,
}

/// One receiver of one stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DestinationRow {
    /// Which stream.
    pub sid: Sid,
    /// Which subscription at which address; another key is another receiver.
    pub key: u64,
    /// Where it receives.
    pub address: SocketAddr,
}

/// The sending half; clone it for every thread that has something to say.
#[derive(Clone, Debug)]
pub struct Mailbox {
    shared: Arc<Shared>,
}

/// The data thread's half.
#[derive(Debug)]
pub struct Inbox {
    shared: Arc<Shared>,
    wake: Ear,
}

#[derive(Debug)]
struct Shared {
    queue: ArrayQueue<Command>,
    waiting: AtomicBool,
    wake: Bell,
}

/// Most commands that wait; two thirds of a second's reports of a peer with 16 sources.
pub const MOST_COMMANDS: usize = 1_024;

/// A pair of halves.
///
/// # Errors
/// If the kernel gives no socket pair.
pub fn mailbox() -> io::Result<(Mailbox, Inbox)> {
    let (bell, wake) = bell()?;
    let shared = Arc::new(Shared {
        queue: ArrayQueue::new(MOST_COMMANDS),
        waiting: AtomicBool::new(false),
        wake: bell,
    });
    let mailbox = Mailbox {
        shared: shared.clone(),
    };
    Ok((mailbox, Inbox { shared, wake }))
}

impl Mailbox {
    /// Tells the data thread; `false` when it has not looked for [`MOST_COMMANDS`] commands, which
    /// means that it hangs.
    #[must_use]
    pub fn tell(&self, command: Command) -> bool {
        let queued = self.shared.queue.push(command).is_ok();
        self.shared.wake.ring();
        self.shared.waiting.store(true, Ordering::Release);
        queued
    }
}

impl Inbox {
    /// The next command, if there is one.
    pub fn take(&mut self) -> Option<Command> {
        self.shared.queue.pop()
    }

    /// Whether it is worth asking: one load in the usual case. Takes the wake-up away.
    pub fn is_called(&mut self) -> bool {
        if !self.shared.waiting.load(Ordering::Relaxed) {
            return false;
        }
        if self.shared.waiting.swap(false, Ordering::Acquire) {
            self.wake.silence();
        }
        true
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(all(test, not(twinfeed_loom)))]
mod tests {
    use super::*;

    #[test]
    fn commands_arrive_in_order_and_the_wake_up_is_taken_away() {
        let (mailbox, mut inbox) = mailbox().unwrap();
        assert!(!inbox.is_called());
        assert!(mailbox.tell(Command::PeerLost(true)));
        assert!(mailbox.tell(Command::Drain));
        assert!(inbox.is_called());
        assert!(matches!(inbox.take(), Some(Command::PeerLost(true))));
        assert!(matches!(inbox.take(), Some(Command::Drain)));
        assert!(inbox.take().is_none());
        assert!(!inbox.is_called());
        assert!(!inbox.wake.rings(), "no byte is left");
    }

    #[test]
    fn a_full_queue_is_said() {
        let (mailbox, _inbox) = mailbox().unwrap();
        for _ in 0..MOST_COMMANDS {
            assert!(mailbox.tell(Command::Drain));
        }
        assert!(!mailbox.tell(Command::Drain));
    }
}

/// Two tellers and the data thread, in every order: see [`twinfeed_net::sync`].
#[cfg(all(test, twinfeed_loom))]
mod loom_tests {
    use super::*;

    /// As `pipeline` does once per cycle.
    fn look(inbox: &mut Inbox, told: &mut Vec<u32>) {
        if inbox.is_called() {
            while let Some(command) = inbox.take() {
                match command {
                    Command::StepDown { deadline_us } => told.push(deadline_us),
                    other => panic!("nobody said {other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_data_thread_that_sleeps_lacks_nothing_or_is_woken() {
        loom::model(|| {
            let (mailbox, mut inbox) = mailbox().unwrap();
            let tellers = [vec![10, 11], vec![20]].map(|words| {
                let mailbox = mailbox.clone();
                loom::thread::spawn(move || {
                    for deadline_us in words {
                        assert!(mailbox.tell(Command::StepDown { deadline_us }));
                    }
                })
            });
            let mut told = Vec::new();
            look(&mut inbox, &mut told);
            for teller in tellers {
                teller.join().unwrap();
            }
            if told.len() < 3 {
                assert!(
                    inbox.wake.rings(),
                    "something waits, and nobody would be woken"
                );
            }
            look(&mut inbox, &mut told);
            let at = |word| told.iter().position(|told| *told == word);
            assert_eq!(told.len(), 3, "{told:?}");
            assert!(
                at(10) < at(11),
                "one teller's words keep their order: {told:?}"
            );
        });
    }
}
