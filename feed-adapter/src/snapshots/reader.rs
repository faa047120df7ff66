//! What does the source itself say of what rests?
//!
//! ```text
//!  follower            thread: log in at the source's first number, convert, tell nobody
//!   Begin(head) ──────►  1, 2, 3, … head          faster than the session goes on
//!   Head(next)  ◄──────  Passed(next)             still far behind the output: further
//!   Until(place)◄──────  Passed(next)             near: the output is kept from that place on
//!               ◄──────  Made(snapshot)           of that place, or one behind it
//! ```
//!
//! As a past is fetched ([`crate::source::soup::past`]), and what comes out is not a memory but what the follower of somebody who was
//! there would tell ([`Maker`]). A snapshot of the source's ([`crate::source::soup::glimpse`]) is asked for when the output is kept, for it
//! is of a later moment.

use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use twinfeed_control::StopFlag;
use twinfeed_net::bell::Bell;
use twinfeed_protocol::Cursor;
use twinfeed_protocol::join::Whole;
use twinfeed_protocol::line::Line;
use twinfeed_wire::{ContextId, Epoch, Pos, Sid};

use super::follower::Bounds;
use super::maker::{Maker, NotMade};
use crate::decode::itch50::{Converter, Memory, Settings};
use crate::decode::{Decoder as _, LONGEST_MESSAGE, Parts, TradingDay};
use crate::source::soup::connection::{Connection, SLICE, Wanted};
use crate::source::soup::glimpse::Picture;
use crate::source::soup::past::What;
use crate::source::soup::session::{Fault, Word};
use crate::source::soup::{Servers, SnapshotServers, Why};

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Errand {
    /// Read the source.
    Begin(Begin),
    /// The output is further than that by now, in front of this number: go on.
    Head(u32, u64),
    /// The output is kept from here on: make a snapshot that ends here or later.
    Until(u32, Cursor),
    /// It is not wanted any more.
    Stop(u32),
}

/// What is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begin {
    /// The session, or a snapshot.
    pub(super) what: What,
    pub(super) attempt: u32,
    pub(super) sid: Sid,
    /// From which line's server.
    pub(super) line: Line,
    pub(super) epoch: Epoch,
    /// What its conversion is called.
    pub(super) context: ContextId,
    /// The source's own first number.
    pub(super) first: u64,
    /// The output's next number.
    pub(super) head: u64,
}

/// What the follower hears of it.
#[derive(Debug)]
pub(super) struct News {
    pub(super) sid: Sid,
    pub(super) attempt: u32,
    pub(super) what: Read,
}

/// How far an attempt has come.
#[derive(Debug)]
pub(super) enum Read {
    /// Everything in front of this number, which is not in front of the output's as far as that was known.
    Passed(u64),
    /// To its end.
    Made(Whole),
    /// To none.
    Failed(NotRead),
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRead {
    #[error("{0}")]
    Source(Why),
    #[error("more orders or instruments than `max_open_orders` or `snapshots.instruments` allow")]
    Full,
    #[error("it would be longer than `snapshots.spool_bytes`")]
    Long,
    #[error("a defect of this program: {0}")]
    Bad(twinfeed_protocol::join::BadSpool),
}

impl NotRead {
    /// Whether it would be so again in the same epoch.
    pub(super) const fn is_hopeless(&self) -> bool {
        match self {
            Self::Source(why) => matches!(why, Why::Ended | Why::Messages | Why::Dialect(_)),
            Self::Full | Self::Long | Self::Bad(_) => true,
        }
    }
}

impl From<Why> for NotRead {
    fn from(why: Why) -> Self {
        Self::Source(why)
    }
}

impl From<NotMade> for NotRead {
    fn from(why: NotMade) -> Self {
        match why {
            NotMade::Full => Self::Full,
            NotMade::Spool => Self::Long,
            NotMade::Bad(bad) => Self::Bad(bad),
        }
    }
}

/// Everything that the thread owns.
pub(super) struct Reader {
    pub(super) settings: Settings,
    pub(super) day: TradingDay,
    pub(super) bounds: Bounds,
    pub(super) sessions: Vec<(Sid, Servers)>,
    pub(super) pictures: Vec<(Sid, SnapshotServers)>,
    pub(super) errands: Receiver<Errand>,
    pub(super) news: Sender<News>,
    /// Wakes the follower.
    pub(super) bell: Bell,
    pub(super) stop: StopFlag,
}

/// How far it reads.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Up to the output's number when that was last known.
    Running(u64),
    /// The follower knows that it is passed.
    Passed,
    /// Up to where the output is kept.
    Until(Cursor),
}

/// The attempt at hand, and one that ended it.
struct Hand {
    begin: Begin,
    stage: Stage,
    over: Instant,
    next: Option<Begin>,
}

impl Reader {
    /// Works until nobody can ask for anything any more.
    pub(super) fn run(self) {
        let mut connection = Connection::new();
        let mut next = None;
        while !self.stop.is_stopped() {
            let begin = match next.take() {
                Some(begin) => begin,
                None => match self.errands.recv_timeout(LOOK_EVERY) {
                    Ok(Errand::Begin(begin)) => begin,
                    Ok(Errand::Head(..) | Errand::Until(..) | Errand::Stop(_))
                    | Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return,
                },
            };
            let mut hand = Hand {
                begin,
                stage: Stage::Running(begin.head),
                over: Instant::now(),
                next: None,
            };
            let made = match begin.what {
                What::Past => self.session(&mut hand, &mut connection),
                What::Snapshot => self.pictures(&mut hand, &mut connection),
            };
            connection.close();
            next = hand.next;
            self.tell(&begin, made.map_or_else(Read::Failed, Read::Made));
        }
    }

    fn tell(&self, of: &Begin, what: Read) {
        let (sid, attempt) = (of.sid, of.attempt);
        // There is room: an attempt says one thing for each that it is told, and one more.
        let _ = self.news.try_send(News { sid, attempt, what });
        self.bell.ring();
    }

    fn session(&self, hand: &mut Hand, connection: &mut Connection) -> Result<Whole, NotRead> {
        let begin = hand.begin;
        let servers = self.sessions.iter().find(|(sid, _)| *sid == begin.sid);
        let (_, servers) = servers.ok_or(Why::Stopped)?;
        hand.over = Instant::now() + servers.past_time;
        let wanted = Wanted {
            named: None,
            given: None,
            first: begin.first,
        };
        let login = (&*servers.user, &*servers.password);
        let address = address(servers.addresses, begin.line)?;
        connection.open(address, login, wanted, servers.answer_time)?;
        let mut decoder = self.converter()?;
        let mut parts = Parts::new(LONGEST_MESSAGE + 1);
        let mut maker = Maker::new(begin.sid, self.bounds, (begin.epoch, begin.context));
        let (mut next, mut last) = (begin.first, begin.first - 1);
        let mut ended = false;
        loop {
            let mut accepted = false;
            while let Some(word) = connection.take()? {
                match word {
                    Word::Alive => {}
                    Word::Accepted(first) if first == begin.first => {
                        accepted = true;
                        break;
                    }
                    Word::Accepted(first) => return Err(Why::From(first).into()),
                    Word::Message(number, message) => {
                        if let Err(error) = decoder.convert(number, message, &mut parts)
                            && error.refuses()
                        {
                            return Err(Why::Dialect(error).into());
                        }
                        if !parts.is_empty() {
                            last = number;
                        }
                        next = number + 1;
                        maker.take(number, &parts)?;
                    }
                    Word::Ended(_) => ended = true,
                }
                if let Some(end) = end(&hand.stage, (next, last)) {
                    return Ok(maker.snapshot(end)?);
                }
                if next - begin.first >= servers.past_messages {
                    return Err(Why::Messages.into());
                }
            }
            if accepted {
                self.is_of_its_epoch(&begin, connection)?;
                continue; // there may be more of what came with it
            }
            if matches!(hand.stage, Stage::Running(head) if next >= head) {
                hand.stage = Stage::Passed;
                self.tell(&begin, Read::Passed(next));
            }
            self.obey(hand)?;
            if let Some(end) = end(&hand.stage, (next, last)) {
                return Ok(maker.snapshot(end)?);
            }
            match hand.stage {
                // All of it is here, and where the output stands is yet to be said.
                Stage::Passed if ended => std::thread::sleep(SLICE),
                _ if ended => return Err(Why::Ended.into()),
                _ => connection.wait()?,
            }
        }
    }

    /// The output is kept first; then the servers are asked for a snapshot of a later moment.
    fn pictures(&self, hand: &mut Hand, connection: &mut Connection) -> Result<Whole, NotRead> {
        let begin = hand.begin;
        let servers = self.pictures.iter().find(|(sid, _)| *sid == begin.sid);
        let (_, servers) = servers.ok_or(Why::Stopped)?;
        hand.over = Instant::now() + servers.time;
        hand.stage = Stage::Passed;
        self.tell(&begin, Read::Passed(begin.head));
        while matches!(hand.stage, Stage::Passed) {
            self.obey(hand)?;
            std::thread::sleep(SLICE);
        }
        let mut pause = SLICE;
        loop {
            let (maker, number) = self.picture(hand, servers, connection)?;
            connection.close();
            // Every message of the source becomes a record, or opaque bytes.
            if let Some(end) = end(&hand.stage, (number, number - 1)) {
                return Ok(maker.snapshot(end)?);
            }
            drop(maker);
            let again = Instant::now() + pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
            while Instant::now() < again {
                if let Err(why) = self.obey(hand) {
                    return Err(if why == Why::Time { Why::Behind } else { why }.into());
                }
                std::thread::sleep(SLICE);
            }
        }
    }

    /// One snapshot, and with which number the lines go on behind it.
    fn picture(
        &self,
        hand: &mut Hand,
        servers: &SnapshotServers,
        connection: &mut Connection,
    ) -> Result<(Maker, u64), NotRead> {
        let begin = hand.begin;
        // A server of snapshots has a session of its own, and that begins with number 1.
        let wanted = Wanted {
            named: None,
            given: None,
            first: 1,
        };
        let login = (&*servers.user, &*servers.password);
        let address = address(servers.addresses, begin.line)?;
        connection.open(address, login, wanted, servers.time.min(LONGEST_CONNECT))?;
        let mut picture = Picture::new(self.converter()?, servers.messages);
        let mut maker = Maker::new(begin.sid, self.bounds, (begin.epoch, begin.context));
        loop {
            let mut accepted = false;
            while let Some(word) = connection.take()? {
                match word {
                    Word::Alive => {}
                    Word::Accepted(1) => {
                        accepted = true;
                        break;
                    }
                    Word::Accepted(first) => return Err(Why::From(first).into()),
                    Word::Message(_, message) => match picture.take(message)? {
                        Some(number) => return Ok((maker, number)),
                        None => maker.take(0, picture.parts())?,
                    },
                    Word::Ended(_) => return Err(Why::Unfinished.into()),
                }
            }
            if accepted {
                if !servers.any_session {
                    self.is_of_its_epoch(&begin, connection)?;
                }
                continue;
            }
            self.obey(hand)?;
            connection.wait()?;
        }
    }

    /// The session that was given is the epoch that is wanted.
    fn is_of_its_epoch(&self, begin: &Begin, connection: &Connection) -> Result<(), Why> {
        match connection.session() {
            Some(session) if session.epoch(&self.day) != begin.epoch => {
                Err(Why::Session(Fault::Other(session)))
            }
            _ => Ok(()),
        }
    }

    /// One that remembers nothing.
    fn converter(&self) -> Result<Converter, Why> {
        let memory = Memory::try_new(self.settings.max_open_orders).ok_or(Why::Memory)?;
        let publisher_id = self.settings.publisher_id;
        Ok(Converter::with_memory(publisher_id, self.day, memory))
    }

    /// Does as it is told; an error ends the attempt.
    fn obey(&self, hand: &mut Hand) -> Result<(), Why> {
        if self.stop.is_stopped() {
            return Err(Why::Stopped);
        }
        loop {
            match self.errands.try_recv() {
                Ok(Errand::Head(attempt, head)) if attempt == hand.begin.attempt => {
                    hand.stage = Stage::Running(head);
                }
                Ok(Errand::Until(attempt, until)) if attempt == hand.begin.attempt => {
                    hand.stage = Stage::Until(until);
                }
                Ok(Errand::Stop(attempt)) if attempt == hand.begin.attempt => {
                    return Err(Why::Stopped);
                }
                Ok(Errand::Begin(begin)) => {
                    hand.next = Some(begin);
                    return Err(Why::Stopped);
                }
                Ok(Errand::Head(..) | Errand::Until(..) | Errand::Stop(_)) => {}
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Err(Why::Stopped),
            }
        }
        match Instant::now() < hand.over {
            true => Ok(()),
            false => Err(Why::Time),
        }
    }
}

/// The cursor in front of `next`, whose last number that became anything is `last`, if that is as far as is wanted. As many administrative
/// messages are counted in front of it as in front of what is wanted: the source knows of none.
fn end(stage: &Stage, (next, last): (u64, u64)) -> Option<Cursor> {
    let Stage::Until(wanted) = stage else {
        return None;
    };
    let reached = next > wanted.next.sseq || (next == wanted.next.sseq && wanted.next.part == 0);
    reached.then_some(Cursor {
        next: Pos {
            sseq: next,
            part: 0,
            ..wanted.next
        },
        last,
        ..*wanted
    })
}

fn address(of: [Option<std::net::SocketAddr>; 2], line: Line) -> Result<std::net::SocketAddr, Why> {
    of[line.index()].ok_or(Why::Unreachable(std::io::ErrorKind::AddrNotAvailable))
}

/// How often the thread looks whether everything is over.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Longest wait for a connection to a server of snapshots.
const LONGEST_CONNECT: Duration = Duration::from_secs(5);
/// Longest pause before a server of snapshots that is behind the output is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use twinfeed_wire::{Adm, Generation};

    fn wanted(sseq: u64, part: u16) -> Cursor {
        Cursor {
            next: Pos {
                sid: Sid(1),
                epoch: Epoch(5),
                sseq,
                part,
            },
            last: 3,
            context: ContextId(9),
            complete: true,
            count: Some((Adm(2), Generation(4))),
            predecessor: Epoch(4),
        }
    }

    #[test]
    fn it_ends_where_the_output_is_kept_from_or_behind_that_and_between_two_messages() {
        for (at, next, reached) in [
            ((7, 0), 6, false),
            ((7, 0), 7, true),
            ((7, 0), 8, true),
            ((7, 1), 7, false),
            ((7, 1), 8, true),
        ] {
            let (sseq, part) = at;
            let found = end(&Stage::Until(wanted(sseq, part)), (next, next - 1));
            let cursor = Cursor {
                last: next - 1,
                ..wanted(next, 0)
            };
            assert_eq!(found, reached.then_some(cursor), "{at:?} {next}");
        }
        assert_eq!(end(&Stage::Passed, (9, 8)), None);
        assert_eq!(end(&Stage::Running(3), (9, 8)), None);
    }
}
