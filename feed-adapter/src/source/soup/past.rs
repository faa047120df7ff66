//! What did a session send before this adapter was there, and what was left of it?
//!
//! ```text
//!  data thread          thread: log in at the source's first number, convert, publish nothing
//!   Begin(head) ──────►  1, 2, 3, … head        faster than the session goes on
//!   Head(next)  ◄──────  Passed(next, buffer)   still far behind the lines: further
//!   Until(next) ◄──────  Passed(next, buffer)   near: the lines' messages are kept from here on
//!               ◄──────  Whole(memory)          it has converted everything below
//! ```
//!
//! The memory of a converter that was there from the first message on, made by one: what follows is as with a memory that
//! the peer hands over ([`crate::transfer`]). The buffer and the second memory are allocated here, when they are needed.
//!
//! A snapshot ([`super::glimpse`]) is fetched by the same thread in the same way, but that the lines' messages are kept before it
//! is asked for: it is of a later moment.

use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, TryRecvError};
use twinfeed_protocol::digest::Context;
use twinfeed_protocol::line::Line;
use twinfeed_wire::link::ContextHead;
use twinfeed_wire::{Epoch, Sid};

use super::connection::{Connection, SLICE, Wanted};
use super::glimpse::Picture;
use super::session::Word;
use super::{Servers, SnapshotServers, Why};
use crate::decode::itch50::{Converter, MEMORY_VERSION, Memory, Settings};
use crate::decode::{Decoder as _, LONGEST_MESSAGE, Parts, TradingDay};
use crate::source::moldudp64::Session;
use crate::transfer::Whole;
use crate::transfer::kept::Kept;

/// What the thread is asked to do.
#[derive(Debug)]
pub enum Errand {
    /// Fetch a past.
    Begin(Begin),
    /// The lines are further than that by now, at this number: go on; and the buffer back.
    Head(u32, u64, Box<Kept>),
    /// The lines' messages are kept from this number on: convert everything below.
    Until(u32, u64),
    /// It is not wanted any more.
    Stop(u32),
    /// The memory is to be freed; the buffer is for the next time.
    Free(Option<Box<Whole>>, Option<Box<Kept>>),
}

/// Of what a memory is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    /// Of the session from its beginning.
    Past,
    /// Of a snapshot.
    Snapshot,
}

/// Which past.
#[derive(Clone, Copy, Debug)]
pub struct Begin {
    /// The session, or a snapshot.
    pub what: What,
    /// Which attempt.
    pub attempt: u32,
    /// Of which source.
    pub sid: Sid,
    /// From which line's server.
    pub line: Line,
    /// Which session.
    pub session: Session,
    /// The epoch that it is.
    pub epoch: Epoch,
    /// The epoch before it.
    pub predecessor: Epoch,
    /// The source's own first number.
    pub first: u64,
    /// The lines' next number.
    pub head: u64,
}

/// What the data thread hears of it.
#[derive(Debug)]
pub enum Fetched {
    /// Everything below is converted.
    Reached(u64),
    /// So is the head; this is to keep the lines' messages in.
    Passed(u64, Box<Kept>),
    /// The memory is there.
    Whole(Box<Whole>),
    /// There will be none.
    Failed(Why),
}

/// Where its words go: to the data thread, about this attempt. `false`: it takes nothing.
pub type Tell = Box<dyn FnMut(Sid, u32, Fetched) -> bool + Send>;

/// The thread that fetches pasts, one at a time, for all sources of an adapter.
pub struct Fetcher {
    settings: Settings,
    day: TradingDay,
    buffer: usize,
    sources: Vec<(Sid, Servers)>,
    snapshots: Vec<(Sid, SnapshotServers)>,
    connection: Connection,
    /// While nobody keeps anything in it.
    spare: Option<Box<Kept>>,
    tell: Tell,
}

impl core::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Fetcher").finish_non_exhaustive()
    }
}

/// A past under way.
struct Course {
    begin: Begin,
    decoder: Box<Converter>,
    parts: Parts,
    next: u64,
    prev: u64,
    over: Instant,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Up to the lines' number when that was last known.
    Running(u64),
    /// The data thread knows that it is passed.
    Passed,
    /// Up to the number from which on messages are kept.
    Until(u64),
}

impl Fetcher {
    /// One for converters that are built alike, and a buffer of so many bytes.
    #[must_use]
    pub fn new(
        (settings, day): (Settings, TradingDay),
        buffer: usize,
        sources: Vec<(Sid, Servers)>,
        snapshots: Vec<(Sid, SnapshotServers)>,
        tell: Tell,
    ) -> Self {
        Self {
            settings,
            day,
            buffer,
            sources,
            snapshots,
            connection: Connection::new(),
            spare: None,
            tell,
        }
    }

    /// Works until nobody can ask for anything any more.
    pub fn run(mut self, errands: &Receiver<Errand>) {
        let mut next = None;
        while let Some(errand) = next.take().or_else(|| errands.recv().ok()) {
            match errand {
                Errand::Begin(begin) => {
                    let memory = match begin.what {
                        What::Past => self.fetch(begin, errands, &mut next),
                        What::Snapshot => self.fetch_snapshot(begin, errands, &mut next),
                    };
                    let fetched = match memory {
                        Ok(whole) => Fetched::Whole(whole),
                        Err(why) => Fetched::Failed(why),
                    };
                    self.connection.close();
                    (self.tell)(begin.sid, begin.attempt, fetched);
                }
                Errand::Head(_, _, kept) => self.spare = Some(kept),
                Errand::Free(whole, kept) => {
                    drop(whole);
                    self.spare = self.spare.take().or(kept);
                }
                Errand::Until(..) | Errand::Stop(_) => {}
            }
        }
    }

    /// `next`: an errand that ended this one.
    fn fetch(
        &mut self,
        begin: Begin,
        errands: &Receiver<Errand>,
        next: &mut Option<Errand>,
    ) -> Result<Box<Whole>, Why> {
        let Some((_, servers)) = self.sources.iter().find(|(sid, _)| *sid == begin.sid) else {
            return Err(Why::Stopped);
        };
        let servers = servers.clone();
        let address = servers.addresses[begin.line.index()];
        let address = address.ok_or(Why::Unreachable(std::io::ErrorKind::AddrNotAvailable))?;
        let login = (&*servers.user, &*servers.password);
        let of = Wanted::of(begin.session, begin.first);
        self.connection
            .open(address, login, of, servers.answer_time)?;
        let decoder = self.converter()?;
        let mut course = Course {
            begin,
            decoder: Box::new(decoder),
            parts: Parts::new(LONGEST_MESSAGE + 1),
            next: begin.first,
            prev: begin.first - 1,
            over: Instant::now() + servers.past_time,
            stage: Stage::Running(begin.head),
        };
        let mut told = Instant::now();
        loop {
            while let Some(word) = self.connection.take()? {
                match word {
                    Word::Alive => {}
                    Word::Accepted(first) if first == begin.first => {}
                    Word::Accepted(first) => return Err(Why::From(first)),
                    Word::Message(number, message) => course.take(number, message)?,
                    Word::Ended(_) => return Err(Why::Ended),
                }
                if course.is_whole() {
                    return Ok(course.whole());
                }
                if course.next - begin.first >= servers.past_messages {
                    return Err(Why::Messages);
                }
            }
            if matches!(course.stage, Stage::Running(head) if course.next >= head) {
                course.stage = Stage::Passed;
                let kept = self.empty_buffer();
                (self.tell)(begin.sid, begin.attempt, Fetched::Passed(course.next, kept));
            }
            self.obey(begin.attempt, &mut course.stage, errands, next)?;
            if course.is_whole() {
                return Ok(course.whole());
            }
            let now = Instant::now();
            if now >= course.over {
                return Err(Why::Time);
            }
            if now.duration_since(told) >= REACHED_EVERY {
                told = now;
                (self.tell)(begin.sid, begin.attempt, Fetched::Reached(course.next));
            }
            self.connection.wait()?;
        }
    }

    /// The lines' messages are kept first; then the servers are asked for a snapshot of a later moment.
    fn fetch_snapshot(
        &mut self,
        begin: Begin,
        errands: &Receiver<Errand>,
        next: &mut Option<Errand>,
    ) -> Result<Box<Whole>, Why> {
        let servers = self.snapshots.iter().find(|(sid, _)| *sid == begin.sid);
        let servers = servers.map(|(_, servers)| servers.clone());
        let servers = servers.ok_or(Why::Stopped)?;
        let over = Instant::now() + servers.time;
        let kept = self.empty_buffer();
        (self.tell)(begin.sid, begin.attempt, Fetched::Passed(begin.head, kept));
        let mut stage = Stage::Passed;
        while stage == Stage::Passed {
            self.obey(begin.attempt, &mut stage, errands, next)?;
            if Instant::now() >= over {
                return Err(Why::Time);
            }
            std::thread::sleep(SLICE / 10);
        }
        let Stage::Until(kept_from) = stage else {
            // The peer hands its memory over meanwhile.
            return Err(Why::Stopped);
        };
        let (mut pause, mut behind) = (SLICE, false);
        loop {
            let (picture, number) = match self.picture(&begin, &servers, (errands, next, over)) {
                Err(Why::Time) if behind => return Err(Why::Behind),
                picture => picture?,
            };
            if number >= kept_from {
                return Ok(picture.whole(&begin, number));
            }
            // The server is behind the lines: of a moment before their messages were kept. A later one is not.
            drop(picture);
            self.connection.close();
            behind = true;
            let again = Instant::now() + pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
            while Instant::now() < again {
                self.obey(begin.attempt, &mut stage, errands, next)?;
                if Instant::now() >= over {
                    return Err(Why::Behind);
                }
                (self.tell)(begin.sid, begin.attempt, Fetched::Reached(begin.head));
                std::thread::sleep(SLICE);
            }
        }
    }

    /// One snapshot, and with which number the lines go on behind it.
    fn picture(
        &mut self,
        begin: &Begin,
        servers: &SnapshotServers,
        (errands, next, over): (&Receiver<Errand>, &mut Option<Errand>, Instant),
    ) -> Result<(Picture, u64), Why> {
        let address = servers.addresses[begin.line.index()];
        let address = address.ok_or(Why::Unreachable(std::io::ErrorKind::AddrNotAvailable))?;
        let login = (&*servers.user, &*servers.password);
        // A server of snapshots has a session of its own, and that begins with number 1.
        let wanted = Wanted {
            named: None,
            given: (!servers.any_session).then_some(begin.session),
            first: 1,
        };
        let within = servers.time.min(LONGEST_CONNECT);
        self.connection.open(address, login, wanted, within)?;
        let decoder = self.converter()?;
        let mut picture = Picture::new(decoder, servers.messages);
        let (mut stage, mut told) = (Stage::Until(begin.head), Instant::now());
        loop {
            while let Some(word) = self.connection.take()? {
                match word {
                    Word::Alive | Word::Accepted(1) => {}
                    Word::Accepted(first) => return Err(Why::From(first)),
                    Word::Message(_, message) => {
                        if let Some(number) = picture.take(message)? {
                            return Ok((picture, number));
                        }
                    }
                    Word::Ended(_) => return Err(Why::Unfinished),
                }
            }
            self.obey(begin.attempt, &mut stage, errands, next)?;
            let now = Instant::now();
            if now >= over {
                return Err(Why::Time);
            }
            if now.duration_since(told) >= REACHED_EVERY {
                told = now;
                (self.tell)(begin.sid, begin.attempt, Fetched::Reached(begin.head));
            }
            self.connection.wait()?;
        }
    }

    /// One that remembers nothing.
    fn converter(&self) -> Result<Converter, Why> {
        let memory = Memory::try_new(self.settings.max_open_orders).ok_or(Why::Memory)?;
        let publisher_id = self.settings.publisher_id;
        Ok(Converter::with_memory(publisher_id, self.day, memory))
    }

    fn empty_buffer(&mut self) -> Box<Kept> {
        let room = self.buffer;
        let kept = self.spare.take();
        let mut kept = kept.unwrap_or_else(|| Box::new(Kept::new(room)));
        kept.clear();
        kept
    }

    fn obey(
        &mut self,
        ours: u32,
        stage: &mut Stage,
        errands: &Receiver<Errand>,
        next: &mut Option<Errand>,
    ) -> Result<(), Why> {
        loop {
            match errands.try_recv() {
                Ok(Errand::Head(attempt, head, kept)) => {
                    self.spare = Some(kept);
                    if attempt == ours {
                        *stage = Stage::Running(head);
                    }
                }
                Ok(Errand::Until(attempt, until)) if attempt == ours => {
                    *stage = Stage::Until(until);
                }
                Ok(Errand::Stop(attempt)) if attempt == ours => return Err(Why::Stopped),
                Ok(begin @ Errand::Begin(_)) => {
                    *next = Some(begin);
                    return Err(Why::Stopped);
                }
                Ok(Errand::Free(whole, kept)) => {
                    drop(whole);
                    self.spare = self.spare.take().or(kept);
                }
                Ok(Errand::Until(..) | Errand::Stop(_)) => {}
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(Why::Stopped),
            }
        }
    }
}

impl Course {
    fn take(&mut self, number: u64, message: &[u8]) -> Result<(), Why> {
        if let Err(error) = self.decoder.convert(number, message, &mut self.parts)
            && error.refuses()
        {
            return Err(Why::Dialect(error));
        }
        if !self.parts.is_empty() {
            self.prev = number;
        }
        self.next = number + 1;
        Ok(())
    }

    fn is_whole(&self) -> bool {
        matches!(self.stage, Stage::Until(until) if self.next >= until)
    }

    fn whole(self) -> Box<Whole> {
        let Begin {
            sid,
            epoch,
            first,
            predecessor,
            ..
        } = self.begin;
        Box::new(Whole {
            decoder: *self.decoder,
            head: ContextHead {
                sid,
                transfer: self.begin.attempt,
                format: ContextHead::ITCH50,
                version: MEMORY_VERSION,
                epoch,
                context: Context::new(epoch, first).id(),
                first,
                predecessor,
                next: self.next,
            },
            snapshot: false,
            next: self.next,
            prev: self.prev,
        })
    }
}

/// Most errands that wait; one attempt has no more than four under way.
pub const MOST_ERRANDS: usize = 16;
/// Longest wait for a connection to a server of snapshots: less than the data thread's patience.
const LONGEST_CONNECT: Duration = Duration::from_secs(5);
/// Longest pause before a server of snapshots that is behind the lines is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often the data thread hears how far it is.
const REACHED_EVERY: Duration = Duration::from_millis(100);
