//! What does a server of the session have of a hole?
//!
//! ```text
//!  data thread ── Ask ─► thread: connect, log in, read, log out ── Answer, and a bell ─► data thread
//!       ▲                                                              │
//!       └────────────── the buffer, to be used again ◄─────────────────┘
//! ```
//!
//! One connection per request: a session is given from a number on, and goes on until somebody hangs up. Bounded queues both
//! ways; a request that finds no room is as good as lost on its way. A newer request ends the one at hand, whose server was
//! too slow. The data thread neither allocates nor frees.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

use crossbeam::channel::{Receiver, Sender, bounded};
use crossbeam::queue::ArrayQueue;
use twinfeed_net::bell::{Bell, Ear, bell};
use twinfeed_protocol::line::{Line, LineAsk, Lines, Way};
use twinfeed_protocol::sequencer::{Now, Transmit};
use twinfeed_wire::Sid;

use super::connection::{Connection, Wanted};
use super::session::Word;
use super::{Servers, Why};
use crate::converter::At;
use crate::note::{News, Notes};
use crate::source::live::Epochs;
use crate::source::moldudp64::Session;

/// What was counted of requests to servers of the session. All numbers only grow.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HoleCounters {
    /// Requests handed to the thread.
    pub asked: u64,
    /// Requests that found no room, or whose session is not known any more.
    pub failed: u64,
    /// Answers with messages.
    pub answered: u64,
    /// Answers that broke off, or were none.
    pub broken: u64,
    /// Of those, the ones that the same server would give again.
    pub refused: u64,
}

/// A request, with the session that its epoch is.
#[derive(Clone, Copy, Debug)]
struct Ask {
    of: LineAsk,
    session: Session,
}

/// What became of it.
#[derive(Debug)]
struct Answer {
    of: LineAsk,
    /// Number of the first message.
    first: u64,
    bytes: Vec<u8>,
    /// Where each message ends.
    ends: Vec<usize>,
    /// Why that is not all that was asked for.
    why: Option<Why>,
}

impl Answer {
    fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        let places = begins.zip(self.ends.iter().copied());
        places.map(|(from, to)| &self.bytes[from..to])
    }
}

/// The data thread's end, of one live source.
#[derive(Debug)]
pub struct Holes {
    servers: [bool; 2],
    asks: Sender<Ask>,
    answers: Arc<ArrayQueue<Box<Answer>>>,
    spent: Arc<ArrayQueue<Box<Answer>>>,
    ear: Ear,
    counters: HoleCounters,
    /// Why each line's server gave nothing the last time; `None`: it gave something since, or was not asked.
    faults: [Option<Why>; 2],
}

impl Holes {
    /// Starts the thread; it ends when this end is gone.
    ///
    /// # Errors
    /// If the kernel gives no socket pair or no thread.
    pub fn start(sid: Sid, servers: Servers) -> io::Result<Self> {
        let (asks, asked) = bounded(MOST_ASKS);
        let queue = || Arc::new(ArrayQueue::new(MOST_ANSWERS));
        let (answers, spent) = (queue(), queue());
        let (ring, ear) = bell()?;
        let known = servers.addresses.map(|address| address.is_some());
        let fetcher = Fetcher {
            servers,
            connection: Connection::new(),
            asked,
            answers: answers.clone(),
            spent: spent.clone(),
            ring,
        };
        std::thread::Builder::new()
            .name(format!("soup-{sid}"))
            .spawn(move || fetcher.run())?;
        Ok(Self {
            servers: known,
            asks,
            answers,
            spent,
            ear,
            counters: HoleCounters::default(),
            faults: [None; 2],
        })
    }

    /// Tells `lines` whom it can ask.
    pub fn introduce(&self, lines: &mut Lines) {
        for line in Line::BOTH {
            lines.set_server(Way::Session, line, self.servers[line.index()]);
        }
    }

    /// Has this fetched.
    pub(crate) fn ask(&mut self, ask: &LineAsk, epochs: &Epochs) {
        let session = epochs.session_of(ask.epoch);
        let ask = session.map(|session| Ask { of: *ask, session });
        match ask.is_some_and(|ask| self.asks.try_send(ask).is_ok()) {
            true => self.counters.asked += 1,
            false => self.counters.failed += 1,
        }
    }

    /// Takes in what was fetched; how many answers there were.
    pub(crate) fn poll<T: Transmit>(
        &mut self,
        now: Now,
        lines: &mut Lines,
        (sid, notes): (Sid, &Notes),
        out: &mut At<'_, T>,
    ) -> usize {
        let mut taken = 0;
        // Before the look: what is put in behind it rings anew.
        self.ear.silence();
        while let Some(answer) = self.answers.pop() {
            taken += 1;
            let server = (Way::Session, answer.of.line);
            let fault = &mut self.faults[answer.of.line.index()];
            if !answer.ends.is_empty() {
                self.counters.answered += 1;
                let (epoch, first) = (answer.of.epoch, answer.first);
                let messages = answer.messages();
                lines.on_answer(server, now.time, epoch, first, messages, now.unix_ns, out);
            }
            if let Some(why) = answer.why.filter(|why| *why != Why::Stopped) {
                self.counters.broken += 1;
                self.counters.refused += u64::from(why.is_refusal());
                if answer.ends.is_empty() {
                    lines.on_no_answer(server, now.time, why.is_refusal());
                }
                if fault.replace(why) != Some(why) {
                    notes.leave(sid, News::SessionServer(answer.of.line, why));
                }
            } else if answer.why.is_none() {
                *fault = None;
            }
            // Its thread has at most as many as there is room for.
            let _ = self.spent.push(answer);
        }
        taken
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &HoleCounters {
        &self.counters
    }

    /// Why each line's server gave nothing the last time.
    #[must_use]
    pub const fn faults(&self) -> [Option<Why>; 2] {
        self.faults
    }

    /// What rings when something was fetched, to sleep on.
    pub(crate) fn ear(&self) -> BorrowedFd<'_> {
        self.ear.as_fd()
    }
}

/// The thread.
struct Fetcher {
    servers: Servers,
    connection: Connection,
    asked: Receiver<Ask>,
    answers: Arc<ArrayQueue<Box<Answer>>>,
    spent: Arc<ArrayQueue<Box<Answer>>>,
    ring: Bell,
}

impl Fetcher {
    fn run(mut self) {
        while let Ok(mut ask) = self.asked.recv() {
            while let Ok(newer) = self.asked.try_recv() {
                ask = newer;
            }
            let mut answer = self.spent.pop().unwrap_or_else(|| {
                Box::new(Answer {
                    of: ask.of,
                    first: 0,
                    bytes: Vec::new(),
                    ends: Vec::new(),
                    why: None,
                })
            });
            answer.of = ask.of;
            answer.first = ask.of.first;
            answer.bytes.clear();
            answer.ends.clear();
            answer.why = self.fetch(&ask, &mut answer).err();
            self.connection.close();
            // A data thread that does not look is not waited for.
            let _ = self.answers.push(answer);
            self.ring.ring();
        }
    }

    fn fetch(&mut self, ask: &Ask, answer: &mut Answer) -> Result<(), Why> {
        let over = Instant::now() + self.servers.answer_time;
        let address = self.servers.addresses[ask.of.line.index()];
        let address = address.ok_or(Why::Unreachable(io::ErrorKind::AddrNotAvailable))?;
        let asked = ask.of.first..ask.of.first.saturating_add(u64::from(ask.of.count));
        self.connection.open(
            address,
            (&self.servers.user, &self.servers.password),
            Wanted::of(ask.session, asked.start),
            self.servers.answer_time,
        )?;
        loop {
            while let Some(word) = self.connection.take()? {
                match word {
                    Word::Alive => {}
                    Word::Accepted(first) if asked.contains(&first) => answer.first = first,
                    Word::Accepted(first) => return Err(Why::From(first)),
                    Word::Message(number, message) => {
                        answer.bytes.extend(message);
                        answer.ends.push(answer.bytes.len());
                        let full = answer.bytes.len() >= self.servers.answer_bytes;
                        if number + 1 >= asked.end || full {
                            return Ok(());
                        }
                    }
                    Word::Ended(_) => return Err(Why::Ended),
                }
            }
            if !self.asked.is_empty() {
                return Err(Why::Stopped);
            }
            if Instant::now() >= over {
                return Err(Why::Time);
            }
            self.connection.wait()?;
        }
    }
}

/// Most requests that wait: one, and those that replace it.
const MOST_ASKS: usize = 4;
/// Most answers that wait to be taken in.
const MOST_ANSWERS: usize = 4;
