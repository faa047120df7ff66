//! Which record comes next, and what must be said before it?
//!
//! ```text
//!  leg 0 ──► on_datagram ─┐
//!                         ├─► one cursor per sid ─► Handler: records and events, in one order
//!  leg 1 ──► on_datagram ─┘
//!            on_deadline, on_control
//! ```
//!
//! **How to drive it.** Hand over every datagram with the leg it came from and the time; call
//! [`Arbiter::on_deadline`] when [`Arbiter::next_deadline`] has come, after the sockets were read, so that
//! a pause of the driver's is not taken for silence of the legs. The handler is called within these calls;
//! state is sound before each call of it, so a handler that panics loses the rest of that datagram on that
//! leg and nothing else.
//!
//! **Invariant:** of an ordered source an application sees contiguous records, or a declared `Gap`, `Discontinuity` or `Reset` in
//! order with them, or `Closed`; of an unordered one every record once, as it comes, or inside a `Gap` and then
//! not later. There is no fourth outcome.
//!
//! Records are handed over where they lie, in the datagram or in the hold; nothing is allocated after
//! [`Arbiter::add_source`].

mod behind;
mod belief;
mod contexts;
mod counters;
mod cursor;
mod epochs;
mod fence;
mod fill;
mod flow;
mod health;
mod hold;
mod holes;
mod leg;
mod liveness;
mod overflow;
mod owed;
mod pin;
mod places;
mod quarantine;
mod resume;
mod settle;
mod skew;
mod skip;
mod source;
mod standby;
mod unordered;
mod view;
mod wants;

pub use counters::{Counters, LegStatus};
pub use fill::Ask;

use twinfeed_wire::fill::{Fill, is_fill};
use twinfeed_wire::{Datagram, Generation, Header, Incarnation, Sid, StreamId, sid_in};

use crate::event::{CloseReason, Event, Handler, Leg};
use crate::limits::{BadLimit, Limits};
use crate::repair::RepairCounters;
use crate::time::Time;

use places::Places;
use source::{Out, Source};
use wants::Wants;

/// Whether the order of a source stream's records means anything.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum OrderingClass {
    /// Each record may build on the one before: nothing is delivered before what precedes it.
    #[default]
    Ordered,
    /// Each record stands alone: it is delivered as it comes, whatever its position, once. Parts of one
    /// source message keep their order.
    Unordered,
}

/// What does not come from a leg.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Control {
    /// Who is active under which generation, as stream administration says.
    Roles {
        /// The leg of the active adapter.
        active: Leg,
        /// The generation.
        generation: Generation,
    },
    /// This host's kernel dropped datagrams of a leg before anybody read them.
    LocalDrops {
        /// The leg whose socket overflowed.
        leg: Leg,
        /// How many datagrams.
        datagrams: u64,
    },
    /// An operator, or the application, wants the other leg preferred.
    Order {
        /// The leg to prefer.
        to: Leg,
    },
    /// The driver left out what waited for this application, which was too slow: what is missing now is declared as soon as a
    /// leg shows where the stream is, and nobody is asked for it.
    Skip,
    /// Nothing more is to be delivered.
    Close(CloseReason),
}

/// One feed as one application sees it.
#[derive(Debug)]
pub struct Arbiter {
    limits: Limits,
    sources: Vec<Source>,
    places: Places,
    wants: Wants,
    counters: Counters,
    /// Which legs' adapters can be asked for what is missing.
    askable: [bool; 2],
    closed: bool,
}

impl Arbiter {
    /// An arbiter without sources.
    ///
    /// # Errors
    /// [`BadLimit`] names a limit that cannot be worked with.
    pub fn new(limits: Limits) -> Result<Self, BadLimit> {
        limits.check()?;
        Ok(Self {
            limits,
            sources: Vec::new(),
            places: Places::new(),
            wants: Wants::default(),
            counters: Counters::default(),
            askable: [false; 2],
            closed: false,
        })
    }

    /// Adds a source stream and allocates what it may hold. Adding it again changes nothing, not even its class.
    pub fn add_source(&mut self, sid: Sid, class: OrderingClass) {
        if self.source(sid).is_none() {
            let mut source = Source::new(sid, class, &self.limits);
            for leg in Leg::BOTH {
                source.repair.set_server(leg, self.askable[leg.index()]);
            }
            self.places.add(sid, self.sources.len());
            self.wants.add();
            self.sources.push(source);
        }
    }

    /// Names the stream that carries `sid` on `leg`; datagrams of any other stream are counted as foreign.
    pub fn set_stream(&mut self, sid: Sid, leg: Leg, stream: StreamId) {
        self.wants.touch_all();
        if let Some(source) = self.sources.iter_mut().find(|source| source.sid == sid) {
            source.set_stream(leg, stream);
        }
    }

    /// Takes in one datagram as it came from `leg`'s socket.
    pub fn on_datagram<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        now: Time,
        bytes: &[u8],
        handler: &mut H,
    ) {
        if self.closed {
            return;
        }
        self.counters.datagrams += 1;
        let place = sid_in(bytes).and_then(|sid| self.places.find(sid, &self.sources));
        let (limits, counters) = (&self.limits, &mut self.counters);
        let mut out = Out {
            now,
            limits,
            counters,
            handler,
        };
        if let Some(place) = place {
            self.wants.touch(place);
            return self.sources[place].on_bytes(leg, bytes, &mut out);
        }
        match Datagram::parse(bytes) {
            Ok(_) => out.counters.unknown_sid += 1,
            Err(malformed) => out.counters.rejected[malformed.index()] += 1,
        }
    }

    /// Takes every datagram the long way from now on, for comparison: what is told and counted is the same.
    #[doc(hidden)]
    pub fn without_short_ways(&mut self) {
        self.sources
            .iter_mut()
            .for_each(|source| source.flows = false);
        self.note_short_ways();
    }

    /// Takes in what came back from the adapter of `leg` that was asked for what is missing: a datagram that is sent
    /// again, or word of what became of a request. The driver vouches for the sender's address.
    pub fn on_fill<H: Handler + ?Sized>(
        &mut self,
        leg: Leg,
        now: Time,
        bytes: &[u8],
        handler: &mut H,
    ) {
        if self.closed {
            return;
        }
        self.wants.touch_all();
        self.forget_short_ways();
        let (limits, counters) = (&self.limits, &mut self.counters);
        let mut out = Out {
            now,
            limits,
            counters,
            handler,
        };
        if is_fill(bytes) {
            if let Ok(Fill::Reply(reply)) = Fill::parse(bytes)
                && let Some(source) = self.sources.iter_mut().find(|it| it.sid == reply.sid)
            {
                source.on_fill_reply(leg, &reply, &mut out);
                return self.note_short_ways();
            }
        } else if let Ok(datagram) = Datagram::parse(bytes)
            && let Some(source) = self
                .sources
                .iter_mut()
                .find(|it| it.sid == datagram.header().sid)
        {
            source.on_fill(leg, &datagram, &mut out);
            return self.note_short_ways();
        }
        // Whose answer it was to be is not known.
        for source in &mut self.sources {
            source.on_broken_fill(leg, &mut out);
        }
        self.note_short_ways();
    }

    /// Whether the adapter of `leg` can be asked for what is missing; at first nobody can.
    pub fn set_fill_server(&mut self, leg: Leg, known: bool) {
        self.wants.touch_all();
        self.askable[leg.index()] = known;
        for source in &mut self.sources {
            source.repair.set_server(leg, known);
        }
    }

    /// A request that is to be sent, once. Ask after every call that may have decided something.
    pub fn poll_request(&mut self) -> Option<Ask> {
        let asks = self.sources.iter_mut().flat_map(|source| &mut source.asks);
        asks.into_iter().find_map(Option::take)
    }

    /// Whether an answer may come; while none may nobody need look.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.wants.is_asking(&self.sources, &self.limits)
    }

    /// Decides what is due.
    pub fn on_deadline<H: Handler + ?Sized>(&mut self, now: Time, handler: &mut H) {
        if self.closed {
            return;
        }
        self.wants.touch_all();
        self.forget_short_ways();
        let (limits, counters) = (&self.limits, &mut self.counters);
        let mut out = Out {
            now,
            limits,
            counters,
            handler,
        };
        for source in &mut self.sources {
            source.on_deadline(&mut out);
        }
        self.note_short_ways();
    }

    /// When [`Arbiter::on_deadline`] wants to be called next, if ever.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        if self.closed {
            return None;
        }
        self.wants.deadline(&self.sources, &self.limits)
    }

    /// Takes in what does not come from a leg.
    pub fn on_control<H: Handler + ?Sized>(
        &mut self,
        control: Control,
        now: Time,
        handler: &mut H,
    ) {
        if self.closed {
            return;
        }
        self.wants.touch_all();
        self.forget_short_ways();
        let (limits, counters) = (&self.limits, &mut self.counters);
        let mut out = Out {
            now,
            limits,
            counters,
            handler,
        };
        match control {
            Control::LocalDrops { leg, datagrams } => {
                out.counters.local_drops += datagrams;
                for source in &mut self.sources {
                    source.last_local_drop = Some(now);
                    source.legs[leg.index()].faults.dropped += datagrams;
                }
            }
            Control::Roles { active: leg, .. } | Control::Order { to: leg } => {
                for source in &mut self.sources {
                    match control {
                        Control::Roles { generation, .. } => {
                            source.on_active(leg, generation, &mut out);
                        }
                        _ => source.pin_by_order(leg, &mut out),
                    }
                    source.prefer(leg, &mut out);
                    source.settle(&mut out);
                }
            }
            Control::Skip => {
                for source in &mut self.sources {
                    source.skip(now);
                }
            }
            Control::Close(reason) => {
                self.closed = true;
                out.handler.event(&Event::Closed { reason });
            }
        }
        self.note_short_ways();
    }

    fn forget_short_ways(&mut self) {
        self.sources.iter_mut().for_each(Source::forget_short_ways);
    }

    fn note_short_ways(&mut self) {
        self.sources.iter_mut().for_each(Source::note_short_ways);
    }

    /// How many datagrams took a short way: copies of what was delivered, and next ones.
    #[doc(hidden)]
    #[must_use]
    pub fn short_ways(&self) -> [u64; 2] {
        let all = self.sources.iter().map(|source| source.short_ways);
        all.fold([0; 2], |[copies, next], one| {
            [copies + one[0], next + one[1]]
        })
    }

    /// What happened so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The limits in force.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How asking for what is missing went, over all source streams.
    #[must_use]
    pub fn repairs(&self) -> RepairCounters {
        let all = self.sources.iter().map(|source| source.repair.counters());
        all.fold(RepairCounters::default(), |sum, one| sum.plus(one))
    }

    /// How a leg of a source stream is doing; `None` for an unknown sid.
    #[must_use]
    #[inline]
    pub fn leg_status(&self, sid: Sid, leg: Leg) -> Option<LegStatus> {
        self.source(sid).map(|source| source.status(leg))
    }

    /// Whether a leg has brought this datagram, or a later one of the same sender.
    #[must_use]
    pub fn has_come(&self, leg: Leg, header: &Header) -> bool {
        self.source(header.sid)
            .is_some_and(|source| source.legs[leg.index()].has_come(header))
    }

    /// How often another life of its sender was heard on a leg, over all source streams.
    #[must_use]
    pub fn replacements(&self, leg: Leg) -> u64 {
        let all = self.sources.iter();
        all.map(|source| source.legs[leg.index()].replacements())
            .sum()
    }

    /// Which life of its sender a leg of a source stream was heard of last.
    #[must_use]
    pub fn speaker(&self, sid: Sid, leg: Leg) -> Option<Incarnation> {
        self.source(sid)
            .and_then(|source| source.legs[leg.index()].speaker())
    }

    fn source(&self, sid: Sid) -> Option<&Source> {
        self.sources.iter().find(|source| source.sid == sid)
    }
}
