//! What does one adapter's fill server do, and does it keep its rules?
//!
//! The server and the retention are the production ones. What they give is judged here on its way out: nobody is given
//! the same twice in a moment, all who ask for the same cost one look-up, and nobody gets more than he asked for.

use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;

use twinfeed_protocol::Place;
use twinfeed_protocol::retain::{
    Answer, Asker, Retained, RetentionLimits, Server, ServerCounters, ServerLimits,
};
use twinfeed_protocol::time::Time;
use twinfeed_wire::fill::{Fill, FillRange, Reply, Request, RequestHeader, Status, write_reply};
use twinfeed_wire::{ContextId, Epoch, Sid};

use super::trick::Trick;
use super::{KeptAt, is_whole, places};
use crate::world::rng::Rng;

/// What somebody asks for, whoever he is.
type Wish = (RequestHeader, Vec<FillRange>);

/// One adapter's fill server.
#[derive(Debug)]
pub(super) struct Desk {
    limits: (RetentionLimits, ServerLimits),
    retained: Vec<(Sid, Retained)>,
    kept_at: KeptAt,
    server: Server,
    /// What the servers of processes that are no more have counted.
    past: ServerCounters,
    pub(super) trick: Trick,
    said: Speech,
    /// Whether its next turn is due.
    awaited: bool,
    /// Whether that is later than an honest server's.
    late: bool,
    /// Requests since the last turn, by asker, source and number.
    open: BTreeMap<(usize, Sid, u64), Wish>,
    /// When each asker was last given what.
    given: Vec<(usize, Wish, Time)>,
}

impl Desk {
    pub(super) fn new(retention: RetentionLimits, limits: ServerLimits) -> Self {
        Self {
            limits: (retention, limits),
            retained: Vec::new(),
            kept_at: KeptAt::new(),
            server: Server::new(limits).expect("a world's limits are workable"),
            past: ServerCounters::default(),
            trick: Trick::Honest,
            said: Speech::default(),
            awaited: false,
            late: false,
            open: BTreeMap::new(),
            given: Vec::new(),
        }
    }

    /// Another process takes its place.
    pub(super) fn forget(&mut self) {
        let (retention, limits) = self.limits;
        *self = Self {
            past: self.counters(),
            trick: self.trick,
            ..Self::new(retention, limits)
        };
    }

    pub(super) fn keep(&mut self, now: Time, sid: Sid, bytes: &[u8]) {
        let Some(((epoch, context), places)) = places(bytes) else {
            return;
        };
        let retention = &self.limits.0;
        let at = self.retained.iter().position(|(of, _)| *of == sid);
        let at = at.unwrap_or_else(|| {
            let retained = Retained::new(retention).expect("a world's limits are workable");
            self.retained.push((sid, retained));
            self.retained.len() - 1
        });
        self.retained[at].1.keep(bytes);
        let kept = self.kept_at.entry((sid, epoch, context)).or_default();
        let places = places.into_iter();
        kept.extend(places.map(|(place, adm)| (place, (now, adm))));
    }

    /// Whether it has had all of a range for as long as `window`, behind so many messages.
    pub(super) fn has(
        &self,
        now: Time,
        window: Duration,
        (sid, epoch, context): (Sid, Epoch, ContextId),
        range: (Place, Place),
        counted: Option<u64>,
    ) -> bool {
        let kept = self.kept_at.get(&(sid, epoch, context));
        let kept = kept.into_iter().flat_map(|it| it.range(range.0..range.1));
        let kept: Vec<(Time, u64)> = kept.map(|(_, kept)| *kept).collect();
        let Some(last) = kept.iter().map(|(at, _)| *at).max() else {
            return false;
        };
        // Who counts otherwise may give it to nobody (RM-25a).
        let mut adms = kept.iter().map(|(_, adm)| *adm);
        if !adms.all(|adm| counted.is_none_or(|counted| counted == adm)) {
            return false;
        }
        let retained = self.retained.iter().find(|(of, _)| *of == sid);
        let whole = retained.is_some_and(|(_, it)| is_whole(it, (epoch, context), range));
        whole && last.after(window) <= now
    }

    /// Takes in a request; `false`: it was put off.
    pub(super) fn take(
        &mut self,
        now: Time,
        subscriber: usize,
        request: &Request<'_>,
    ) -> Result<bool, String> {
        let header = *request.header();
        let said = self.said.0.len();
        self.server
            .ask(now, Asker(subscriber), request, &mut self.said);
        match &self.said.0[said..] {
            [] => {
                let header = RequestHeader {
                    request: 0,
                    ..header
                };
                let wish = (header, request.ranges().collect());
                self.open
                    .insert((subscriber, header.sid, request.header().request), wish);
                Ok(true)
            }
            [only] if only.to == subscriber => Ok(false),
            more => Err(format!("{} words to one request", more.len())),
        }
    }

    /// How long until its next turn, unless that is awaited already.
    pub(super) fn due(&mut self, rng: &mut Rng) -> Option<Duration> {
        let due = !core::mem::replace(&mut self.awaited, true);
        let late = match self.trick {
            Trick::Slow(late) => late,
            _ => Duration::ZERO,
        };
        self.late |= !late.is_zero();
        due.then(|| rng.micros(5, 200) + late)
    }

    /// Whether the turn that is awaited was put off by a server that was slow then.
    pub(super) fn is_late(&self) -> bool {
        self.late
    }

    /// Answers everybody who waits.
    pub(super) fn turn(&mut self, now: Time, rng: &mut Rng) -> Result<Vec<Said>, String> {
        self.awaited = false;
        let late = core::mem::take(&mut self.late);
        let (before, retained) = (self.server.counters().repairs, &self.retained);
        let of = |header: &RequestHeader| {
            let found = retained.iter().find(|(sid, _)| *sid == header.sid);
            found.map(|(_, retained)| retained)
        };
        self.server.answer(now, of, &mut self.said);
        let mut said = core::mem::take(&mut self.said.0);
        let mut different: Vec<&Wish> = Vec::new();
        for wish in self.open.values() {
            if !different.contains(&wish) {
                different.push(wish);
            }
        }
        let (looked_up, different) = (self.server.counters().repairs - before, different.len());
        if looked_up > different as u64 {
            return Err(format!("{looked_up} look-ups for {different} requests"));
        }
        let mut allowed: BTreeMap<usize, u64> = BTreeMap::new();
        let most = self.limits.1.answer;
        for ((asker, ..), wish) in &self.open {
            *allowed.entry(*asker).or_default() += u64::from(most.min(wish.0.datagrams));
        }
        for said in &mut said {
            said.honest &= !late;
            match Fill::parse(&said.bytes) {
                Ok(Fill::Reply(reply)) if reply.status == Status::Sent => {
                    self.note_given(now, said.to, &reply)?;
                    let wish = self.open.get(&(said.to, reply.sid, reply.request));
                    let whole = wish.is_some_and(|it| reply.sent < most.min(it.0.datagrams));
                    said.honest &= whole;
                }
                Ok(_) => {}
                Err(_) => {
                    let left = allowed.entry(said.to).or_default();
                    let Some(less) = left.checked_sub(1) else {
                        return Err(format!("asker {} gets more than it asked for", said.to));
                    };
                    *left = less;
                }
            }
        }
        self.open.clear();
        Ok(match self.trick {
            Trick::Honest => said,
            trick => trick.twist(said, rng),
        })
    }

    /// Nobody is given the same twice in a moment.
    fn note_given(&mut self, now: Time, to: usize, reply: &Reply) -> Result<(), String> {
        let Some(wish) = self.open.remove(&(to, reply.sid, reply.request)) else {
            return Err(format!("asker {to} did not ask, and is told {reply:?}"));
        };
        let moment = self.limits.1.moment;
        self.given.retain(|(.., at)| at.after(moment) > now);
        let again = |it: &(usize, Wish, Time)| it.0 == to && it.1 == wish;
        if self.given.iter().any(again) {
            return Err(format!("asker {to} is given the same twice in {moment:?}"));
        }
        self.open
            .insert((to, reply.sid, reply.request), wish.clone());
        self.given.push((to, wish, now));
        Ok(())
    }

    /// What it counted, in all its processes.
    pub(super) fn counters(&self) -> ServerCounters {
        let (past, now) = (&self.past, self.server.counters());
        ServerCounters {
            requests: past.requests + now.requests,
            repairs: past.repairs + now.repairs,
            shared: past.shared + now.shared,
            repeated: past.repeated + now.repeated,
            busy: past.busy + now.busy,
            lacking: past.lacking + now.lacking,
            refused: past.refused + now.refused,
            datagrams: past.datagrams + now.datagrams,
            bytes: past.bytes + now.bytes,
        }
    }
}

/// Something that leaves the server.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) to: usize,
    pub(super) bytes: Rc<[u8]>,
    /// Whether an adapter sent it so.
    pub(super) genuine: bool,
    /// Whether it is no less than an honest server gives that is not pressed.
    pub(super) honest: bool,
}

/// What the server says until its turn is over.
#[derive(Debug, Default)]
struct Speech(Vec<Said>);

impl Answer for Speech {
    fn datagram(&mut self, askers: &[Asker], bytes: &[u8]) {
        let bytes: Rc<[u8]> = bytes.into();
        self.0.extend(askers.iter().map(|asker| Said {
            to: asker.0,
            bytes: Rc::clone(&bytes),
            genuine: true,
            honest: true,
        }));
    }

    fn reply(&mut self, asker: Asker, reply: &Reply) {
        self.0.push(Said {
            to: asker.0,
            bytes: write_reply(reply)[..].into(),
            genuine: true,
            honest: reply.status == Status::Sent,
        });
    }
}
