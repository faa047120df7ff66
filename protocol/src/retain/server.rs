//! Who is answered now, who must wait, and who has it already?
//!
//! ```text
//!  ask ──┬─ the same asker, the same ranges, within `moment` ─────────────► Busy
//!        ├─ its quota, or everybody's, is used up; too many wait ─────────► Busy, retry after
//!        ├─ somebody waits for the same ranges ───► one look-up for both ────┐
//!        ├─ they were looked up a while ago ──────► what was found, once more ┤
//!        └─ else ─────────────────────────────────► waits ───────────────────┴─► answer
//! ```
//!
//! **How to drive it:** [`Server::ask`] for every request that has come, then [`Server::answer`] once. Whoever asks is
//! named by an index that the driver gives to those who are entitled; nobody else reaches this. An asker gets at most
//! `answer` datagrams per request, and over time what its quota allows: the live stream's path is the same network.

use core::time::Duration;
use std::collections::VecDeque;

use twinfeed_wire::fill::{FillRange, MOST_RANGES, Reply, Request, RequestHeader, Status};

use super::{Found, Retained};
use crate::limits::BadLimit;
use crate::time::Time;

/// Who asks: an index that the driver gives, below [`ServerLimits::clients`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Asker(pub usize);

/// Where answers go.
pub trait Answer {
    /// One datagram to each of `askers`; `bytes` are valid during the call only.
    fn datagram(&mut self, askers: &[Asker], bytes: &[u8]);
    /// What became of a request, behind its datagrams.
    fn reply(&mut self, asker: Asker, reply: &Reply);
}

/// How much is given to whom.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServerLimits {
    /// Most askers.
    pub clients: usize,
    /// Within this time an asker is not given the same twice.
    pub moment: Duration,
    /// Most datagrams for one request.
    pub answer: u32,
    /// Datagrams per second for one asker.
    pub client_rate: u32,
    /// Datagrams per second for all askers together.
    pub total_rate: u32,
    /// So much of either rate may be used at once.
    pub burst: Duration,
    /// Most different requests that wait for one [`Server::answer`]; a quarter of them, and one at least, of one asker.
    pub waiting: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            clients: 256,
            moment: Duration::from_millis(1),
            answer: 64,
            client_rate: 50_000,
            total_rate: 200_000,
            burst: Duration::from_millis(50),
            waiting: 256,
        }
    }
}

impl ServerLimits {
    /// Refuses what could not answer anybody.
    ///
    /// # Errors
    /// [`BadLimit`] names the first that is wrong.
    pub fn check(&self) -> Result<(), BadLimit> {
        let rules = [
            ("clients", "be at least 1", self.clients >= 1),
            ("answer", "be at least 1 datagram", self.answer >= 1),
            (
                "client_rate",
                "be at least 1 datagram per second",
                self.client_rate >= 1,
            ),
            (
                "total_rate",
                "be no less than `client_rate`",
                self.total_rate >= self.client_rate,
            ),
            ("waiting", "be at least 1", self.waiting >= 1),
        ];
        match rules.iter().find(|(_, _, holds)| !holds) {
            Some(&(name, must, _)) => Err(BadLimit { name, must }),
            None => Ok(()),
        }
    }
}

/// What happened so far. All numbers only grow.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ServerCounters {
    /// Requests that came.
    pub requests: u64,
    /// Look-ups: different requests that were answered.
    pub repairs: u64,
    /// Requests that were answered by somebody else's look-up.
    pub shared: u64,
    /// Requests of an asker that has just been given the same.
    pub repeated: u64,
    /// Requests that were put off: a quota was used up, or too many waited.
    pub busy: u64,
    /// Ranges of which something is not retained.
    pub lacking: u64,
    /// Requests for a stream that is not served here.
    pub refused: u64,
    /// Datagrams sent, once for each asker.
    pub datagrams: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Who is given what.
#[derive(Debug)]
pub struct Server {
    limits: ServerLimits,
    waiting: Vec<Waiting>,
    /// When each asker's use of its rate is paid back.
    used: Vec<Time>,
    total: Time,
    recent: VecDeque<Recent>,
    /// The latest look-ups, the oldest first.
    known: VecDeque<Known>,
    counters: ServerCounters,
}

/// What was found for a request.
#[derive(Clone, Copy, Debug)]
struct Known {
    key: u64,
    header: RequestHeader,
    ranges: [FillRange; MOST_RANGES],
    found: [Option<Found>; MOST_RANGES],
}

#[derive(Debug)]
struct Waiting {
    key: u64,
    header: RequestHeader,
    ranges: [FillRange; MOST_RANGES],
    count: usize,
    askers: Vec<Asker>,
    requests: Vec<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Recent {
    key: u64,
    asker: Asker,
    at: Time,
}

impl Server {
    /// Nobody has asked yet.
    ///
    /// # Errors
    /// [`BadLimit`] names the first limit that cannot be worked with.
    pub fn new(limits: ServerLimits) -> Result<Self, BadLimit> {
        limits.check()?;
        Ok(Self {
            limits,
            waiting: Vec::with_capacity(limits.waiting),
            used: vec![Time::ZERO; limits.clients],
            total: Time::ZERO,
            recent: VecDeque::with_capacity(MOST_RECENT),
            known: VecDeque::with_capacity(MOST_KNOWN),
            counters: ServerCounters::default(),
        })
    }

    /// An asker's index is given to somebody else.
    pub fn forget(&mut self, asker: Asker) {
        if let Some(used) = self.used.get_mut(asker.0) {
            *used = Time::ZERO;
        }
        self.recent.retain(|it| it.asker != asker);
    }

    /// Takes in a request; it is answered by the next [`Server::answer`], or put off at once.
    pub fn ask(&mut self, now: Time, asker: Asker, request: &Request<'_>, out: &mut impl Answer) {
        self.counters.requests += 1;
        let key = request.digest();
        if let Some(wait) = self.wait(now, asker, key) {
            let header = request.header();
            let wait = u32::try_from(wait.as_micros()).unwrap_or(u32::MAX);
            return out.reply(
                asker,
                &Reply {
                    status: Status::Busy,
                    retry_after_us: wait.max(LEAST_RETRY_US),
                    ..reply_to(header, header.request)
                },
            );
        }
        let header = *request.header();
        let same = |it: &&mut Waiting| it.key == key && it.is_as(request);
        match self.waiting.iter_mut().find(same) {
            Some(other) if other.askers.contains(&asker) => {}
            Some(other) => {
                other.askers.push(asker);
                other.requests.push(header.request);
            }
            None => {
                let mut ranges = [NO_RANGE; MOST_RANGES];
                let mut count = 0;
                for (slot, range) in ranges.iter_mut().zip(request.ranges()) {
                    *slot = range;
                    count += 1;
                }
                self.waiting.push(Waiting {
                    key,
                    header,
                    ranges,
                    count,
                    askers: vec![asker],
                    requests: vec![header.request],
                });
            }
        }
    }

    /// How long the asker must wait, if it must.
    fn wait(&mut self, now: Time, asker: Asker, key: u64) -> Option<Duration> {
        let moment = self.limits.moment;
        while self
            .recent
            .front()
            .is_some_and(|it| it.at.after(moment) <= now)
        {
            self.recent.pop_front();
        }
        let same = |it: &&Recent| (it.key, it.asker) == (key, asker);
        if let Some(given) = self.recent.iter().find(same) {
            self.counters.repeated += 1;
            return Some(given.at.after(moment).since(now));
        }
        let burst = now.after(self.limits.burst);
        let used = self.used.get(asker.0).copied().unwrap_or(Time::NEVER);
        let over = used.max(self.total);
        let new = self.waiting.iter().all(|it| it.key != key);
        let own = self.waiting.iter().filter(|it| it.askers.contains(&asker));
        let share = (self.limits.waiting / SHARES).max(1);
        let crowded = new && (self.waiting.len() >= self.limits.waiting || own.count() >= share);
        if over > burst || crowded {
            self.counters.busy += 1;
            return Some(over.since(burst).max(moment));
        }
        None
    }

    /// Answers everybody who waits; `streams` finds what is retained of a request's stream.
    pub fn answer<'a>(
        &mut self,
        now: Time,
        streams: impl Fn(&RequestHeader) -> Option<&'a Retained>,
        out: &mut impl Answer,
    ) {
        let mut waiting = core::mem::take(&mut self.waiting);
        for it in waiting.drain(..) {
            let Some(retained) = streams(&it.header) else {
                self.counters.refused += it.askers.len() as u64;
                it.reply(out, Status::Refused, &NOTHING, 0);
                continue;
            };
            let askers = it.askers.len() as u64;
            let found = match self.known(&it, retained) {
                Some(found) => {
                    self.counters.shared += askers;
                    found
                }
                None => {
                    self.counters.repairs += 1;
                    self.counters.shared += askers - 1;
                    // Whoever takes none has one looked for all the same: not everything.
                    let most = self.limits.answer.min(it.header.datagrams).max(1);
                    let found = it.look_up(retained, most as usize);
                    self.remember(&it, found);
                    found
                }
            };
            let (sent, bytes) = it.send(retained, &found, self.limits.answer, out);
            self.counters.lacking += u64::from(lacking(&found).count_ones());
            self.counters.datagrams += u64::from(sent) * askers;
            self.counters.bytes += bytes * askers;
            self.charge(now, &it, sent);
            it.reply(out, Status::Sent, &found, sent);
        }
        self.waiting = waiting;
    }

    /// What was found for the same ranges a while ago, if looking again would find the same.
    fn known(&self, of: &Waiting, retained: &Retained) -> Option<[Option<Found>; MOST_RANGES]> {
        let same = |it: &&Known| it.key == of.key && it.is_of(of);
        let found = self.known.iter().rev().find(same)?.found;
        let stands = |found: &Found| retained.still_has(found);
        found.iter().flatten().all(stands).then_some(found)
    }

    fn remember(&mut self, of: &Waiting, found: [Option<Found>; MOST_RANGES]) {
        self.known.retain(|it| it.key != of.key || !it.is_of(of));
        if self.known.len() == MOST_KNOWN {
            self.known.pop_front();
        }
        self.known.push_back(Known {
            key: of.key,
            header: of.header,
            ranges: of.ranges,
            found,
        });
    }

    fn charge(&mut self, now: Time, of: &Waiting, sent: u32) {
        let cost = |rate: u32, count: u64| {
            // A look-up that finds nothing is work as well.
            Duration::from_nanos((u64::from(sent.max(1)) * count * 1_000_000_000) / u64::from(rate))
        };
        for asker in &of.askers {
            if let Some(used) = self.used.get_mut(asker.0) {
                *used = (*used).max(now).after(cost(self.limits.client_rate, 1));
            }
            if self.recent.len() == MOST_RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(Recent {
                key: of.key,
                asker: *asker,
                at: now,
            });
        }
        let all = cost(self.limits.total_rate, of.askers.len() as u64);
        self.total = self.total.max(now).after(all);
    }

    /// What happened so far.
    #[must_use]
    pub const fn counters(&self) -> &ServerCounters {
        &self.counters
    }
}

/// Answers remembered, so that nobody is given the same twice in a moment.
const MOST_RECENT: usize = 1_024;
/// Look-ups remembered: those who lose the same ask within milliseconds of each other.
const MOST_KNOWN: usize = 32;
/// So many askers at least find a place among those who wait.
const SHARES: usize = 4;
/// Least time that a busy reply asks for, µs.
const LEAST_RETRY_US: u32 = 100;

/// What is found where nothing was looked up.
const NOTHING: [Option<Found>; MOST_RANGES] = [None; MOST_RANGES];

const NO_RANGE: FillRange = FillRange::Records {
    from: (0, 0),
    until: (0, 0),
};

fn reply_to(header: &RequestHeader, request: u64) -> Reply {
    Reply {
        sid: header.sid,
        stream: header.stream,
        request,
        ..Reply::default()
    }
}

impl Known {
    fn is_of(&self, of: &Waiting) -> bool {
        let header = RequestHeader {
            request: self.header.request,
            ..of.header
        };
        self.header == header && self.ranges == of.ranges
    }
}

impl Waiting {
    fn is_as(&self, request: &Request<'_>) -> bool {
        let header = RequestHeader {
            request: self.header.request,
            ..*request.header()
        };
        self.header == header
            && request
                .ranges()
                .eq(self.ranges[..self.count].iter().copied())
    }

    fn look_up(&self, retained: &Retained, most: usize) -> [Option<Found>; MOST_RANGES] {
        let mut all = [None; MOST_RANGES];
        for (found, range) in all.iter_mut().zip(&self.ranges[..self.count]) {
            let (epoch, context) = (self.header.epoch, self.header.context);
            *found = Some(retained.find_first(epoch, context, range, most));
        }
        all
    }

    /// Sends what was found; returns how many datagrams and bytes that was.
    fn send(
        &self,
        retained: &Retained,
        found: &[Option<Found>; MOST_RANGES],
        most: u32,
        out: &mut impl Answer,
    ) -> (u32, u64) {
        let most = most.min(self.header.datagrams);
        let (mut sent, mut bytes) = (0, 0);
        for found in found.iter().flatten() {
            for datagram in retained.datagrams(found) {
                if sent == most {
                    return (sent, bytes);
                }
                out.datagram(&self.askers, datagram);
                sent += 1;
                bytes += datagram.len() as u64;
            }
        }
        (sent, bytes)
    }

    fn reply(
        &self,
        out: &mut impl Answer,
        status: Status,
        found: &[Option<Found>; MOST_RANGES],
        sent: u32,
    ) {
        let stretch = found[0].and_then(|found| found.lacks);
        for (asker, request) in self.askers.iter().zip(&self.requests) {
            let reply = Reply {
                status,
                lacking: lacking(found),
                stretch: stretch.unwrap_or_default(),
                sent,
                ..reply_to(&self.header, *request)
            };
            out.reply(*asker, &reply);
        }
    }
}

/// Bit i: of range i something is not retained.
fn lacking(found: &[Option<Found>; MOST_RANGES]) -> u32 {
    let lacks = |found: &Option<Found>| found.is_some_and(|found| found.lacks.is_some());
    let bits = found.iter().enumerate();
    bits.fold(0, |bits, (index, found)| {
        bits | u32::from(lacks(found)) << index
    })
}
