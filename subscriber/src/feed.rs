//! What does the poller do for one feed?
//!
//! Everything that was decided elsewhere arrives as a [`Command`] and is put in force between two
//! datagrams; everything that is decided here is the arbiter's. This file knows the order of things.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use twinfeed_net::clock::{Reading, monotonic_ns};
use twinfeed_protocol::arbiter::{Arbiter, Control};
use twinfeed_protocol::{CloseReason, Event, Handler, Leg, Receipt, SlowPolicy, Time, time};
use twinfeed_wire::Sid;

use crate::fills::FillSocket;
use crate::filter::{Filter, Mailbox, Sieve};
use crate::guard::{FeedHandler, FeedIndex, Guard, Kept, Panic, Seen, StoppableHandler};
use crate::joining::Joining;
use crate::metrics::{Snapshot, SourceSnapshot};
use crate::pace::Pace;
use crate::queue::{Command, Notice, Plan, PollerEnd};
use crate::receive::{LegReceived, LegSocket};
use crate::ring::{LegRing, RingState};

/// How often a snapshot is shown, ns.
const SHOW_EVERY_NS: u64 = 50_000_000;

/// One feed at the poller.
#[derive(Debug)]
pub(crate) struct Feed {
    index: FeedIndex,
    end: PollerEnd,
    /// Absent until the first grant.
    arbiter: Option<Arbiter>,
    sids: Vec<Sid>,
    sockets: Vec<LegSocket>,
    /// Of legs whose adapters are on this host, if they are read so.
    rings: [Option<LegRing>; 2],
    /// Where adapters are asked for what was missed, if they are.
    fills: Option<FillSocket>,
    /// The socket that is read first next time.
    turn: usize,
    received: [LegReceived; 2],
    kept: Kept,
    seen: Seen,
    sieve: Sieve,
    /// Filters that other threads set.
    filters: Mailbox,
    /// Who joins with snapshots, or may.
    joining: Joining,
    pace: Pace,
    next_show: Time,
}

impl Feed {
    pub(crate) fn new(
        end: PollerEnd,
        filter: Filter,
        filters: Mailbox,
        (joining, pace): (Joining, Pace),
    ) -> Self {
        Self {
            index: FeedIndex(0),
            end,
            arbiter: None,
            sids: Vec::new(),
            sockets: Vec::new(),
            rings: [None, None],
            fills: None,
            turn: 0,
            received: [LegReceived::default(); 2],
            kept: Kept::default(),
            seen: Seen::default(),
            sieve: Sieve::new(filter),
            filters,
            joining,
            pace,
            next_show: Time::ZERO,
        }
    }

    pub(crate) fn set_index(&mut self, index: FeedIndex) {
        self.index = index;
    }

    /// Lets pass what `filter` says from the next record on.
    pub(crate) fn set_filter(&mut self, filter: Filter) {
        self.sieve.set(filter);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.seen.closed && self.kept.is_empty()
    }

    pub(crate) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let asking = self.arbiter.as_ref().is_some_and(Arbiter::is_asking);
        let fills = self.fills.iter().filter(move |_| asking);
        let legs = self.sockets.iter().map(AsFd::as_fd);
        legs.chain(fills.map(AsFd::as_fd))
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let arbiter = self.arbiter.as_ref().and_then(Arbiter::next_deadline);
        let decided = time::earlier(arbiter, self.joining.next_deadline());
        let pace = self.pace.next_deadline();
        time::earlier(decided, pace.filter(|_| !self.sockets.is_empty()))
    }

    /// Whether something comes that wakes nobody.
    pub(crate) fn reads_rings(&self) -> bool {
        self.rings.iter().any(Option::is_some)
    }

    /// Wants a snapshot of a source stream; `false` where there is none.
    pub(crate) fn refresh(&mut self, sid: Sid, at: Time) -> bool {
        self.joining.refresh(sid, at)
    }

    #[cfg(feature = "async")]
    pub(crate) const fn tells_snapshots(&self) -> bool {
        self.joining.is_asked_for()
    }

    /// One duty cycle.
    pub(crate) fn poll(
        &mut self,
        budget: usize,
        now: Reading,
        handler: &mut impl FeedHandler,
    ) -> Result<usize, Panic> {
        let at = Time(now.monotonic_ns);
        if let Some(filter) = self.filters.take() {
            self.sieve.set(filter);
        }
        let mut work = 0;
        let mut panic = None;
        for step in Step::ALL {
            let (done, raised) = self.step(step, budget, now, handler);
            work += done;
            panic = raised;
            if panic.is_some() || self.is_closed() {
                break;
            }
        }
        if at >= self.next_show || self.is_closed() {
            self.next_show = Time(at.0.saturating_add(SHOW_EVERY_NS));
            self.show(now.realtime_ns);
        }
        panic.map_or(Ok(work), Err)
    }

    fn step(
        &mut self,
        step: Step,
        budget: usize,
        now: Reading,
        handler: &mut impl FeedHandler,
    ) -> (usize, Option<Panic>) {
        let Self {
            index,
            end,
            arbiter,
            sids,
            sockets,
            rings,
            fills,
            turn,
            received,
            kept,
            seen,
            sieve,
            joining,
            pace,
            ..
        } = self;
        let receipts = |receipt: &Receipt| {
            end.tell(Notice {
                receipt: *receipt,
                unix_ns: now.realtime_ns,
            });
        };
        let was_closed = seen.closed;
        let mut guard = Guard::new(*index, handler, (kept, seen, sieve), receipts);
        let at = Time(now.monotonic_ns);
        let work = match step {
            Step::Kept => guard.deliver_kept(),
            _ if was_closed => 0,
            Step::Joining => joining.work(at, arbiter.as_mut(), &mut guard),
            Step::Commands => {
                let mut work = 0;
                while let Some(command) = end.command() {
                    work += 1;
                    match command {
                        Command::Plan(plan) => {
                            let ends = Ends {
                                sids,
                                sockets,
                                rings,
                                fills,
                                received,
                            };
                            for (sid, class) in &plan.sources {
                                joining.add_source(*sid, *class);
                            }
                            for from in &plan.cursors {
                                joining.resume(from);
                            }
                            put_in_force(
                                *plan,
                                arbiter,
                                ends,
                                at,
                                &mut joining.through(at, &mut guard),
                            );
                        }
                        Command::Close(reason) => {
                            close(reason, arbiter, at, &mut joining.through(at, &mut guard));
                            sockets.clear();
                            *rings = [None, None];
                            *fills = None;
                            break;
                        }
                    }
                }
                work
            }
            Step::Datagrams => arbiter.as_mut().map_or(0, |arbiter| {
                let slow = match sockets.is_empty() {
                    true => None,
                    false => pace.begins(at),
                };
                if let Some(behind) = slow
                    && pace.policy() != SlowPolicy::Warn
                    && !leave_out(
                        behind,
                        pace,
                        at,
                        (sockets, rings, received),
                        arbiter,
                        joining,
                        &mut guard,
                    )
                {
                    sockets.clear();
                    *rings = [None, None];
                    *fills = None;
                    end.abandon();
                    return 1;
                }
                let guard = &mut joining.through(at, &mut guard);
                let ways = (&mut sockets[..], &mut *rings, &mut *turn);
                let (work, drained) = receive(budget, arbiter, ways, received, at, guard);
                if let Some(behind) = slow
                    && pace.policy() == SlowPolicy::Warn
                    && work > 0
                    && pace.is_news()
                {
                    let policy = SlowPolicy::Warn;
                    Handler::event(guard, &Event::Slow { behind, policy });
                }
                if drained {
                    // The application may have taken its time with what this poll told, or another feed's.
                    let acts = pace.policy() != SlowPolicy::Warn && work > 0;
                    pace.drained(if acts { Time(monotonic_ns()) } else { at });
                }
                match fills {
                    Some(fills) if arbiter.is_asking() && !guard.has_panicked() => {
                        work + fills.receive(arbiter, at, guard)
                    }
                    _ => work,
                }
            }),
            Step::Deadline => arbiter.as_mut().map_or(0, |arbiter| {
                let due = arbiter
                    .next_deadline()
                    .is_some_and(|deadline| deadline <= at);
                if due {
                    arbiter.on_deadline(at, &mut joining.through(at, &mut guard));
                }
                if let Some(fills) = fills
                    && arbiter.is_asking()
                {
                    while let Some(ask) = arbiter.poll_request() {
                        fills.ask(&ask);
                    }
                }
                usize::from(due)
            }),
        };
        (work, guard.into_panic())
    }

    fn show(&mut self, unix_ns: u64) {
        let Self {
            end,
            arbiter,
            sids,
            fills,
            received,
            seen,
            sieve,
            joining,
            pace,
            ..
        } = self;
        let sieved = sieve.sieved();
        let queues = end.counters();
        end.publisher.publish(|snapshot: &mut Snapshot| {
            snapshot.at_unix_ns = unix_ns;
            snapshot.received = *received;
            snapshot.fills = fills.as_ref().map(FillSocket::received).unwrap_or_default();
            snapshot.queues = queues;
            snapshot.sieved = sieved;
            joining.show(&mut snapshot.joining);
            snapshot.pace = *pace.shown();
            snapshot.set_seen(seen);
            snapshot.sources.clear();
            if let Some(arbiter) = arbiter {
                snapshot.arbiter.clone_from(arbiter.counters());
                snapshot.repairs = arbiter.repairs();
                snapshot
                    .sources
                    .extend(sids.iter().map(|&sid| SourceSnapshot {
                        sid,
                        legs: Leg::BOTH.map(|leg| arbiter.leg_status(sid, leg)),
                    }));
            }
        });
    }
}

/// The order of a duty cycle. Datagrams come before deadlines: who polls late must hear what arrived
/// meanwhile before anybody is declared silent.
#[derive(Clone, Copy, Debug)]
enum Step {
    Kept,
    Commands,
    Datagrams,
    Deadline,
    /// What was kept is told last, so that it is no more than before.
    Joining,
}

impl Step {
    const ALL: [Self; 5] = [
        Self::Kept,
        Self::Commands,
        Self::Datagrams,
        Self::Deadline,
        Self::Joining,
    ];
}

/// Leaves out what waits for an application that is too slow, and closes where it wants that. `false`: nothing more comes.
fn leave_out(
    behind: Duration,
    pace: &mut Pace,
    at: Time,
    (sockets, rings, received): (
        &mut [LegSocket],
        &mut [Option<LegRing>; 2],
        &mut [LegReceived; 2],
    ),
    arbiter: &mut Arbiter,
    joining: &mut Joining,
    guard: &mut impl Handler,
) -> bool {
    let policy = pace.policy();
    let read = sockets
        .iter_mut()
        .filter(|socket| is_read(socket.leg(), rings));
    let mut discarded: u64 = read.map(|socket| socket.discard(received)).sum();
    let rings = rings.iter_mut().flatten();
    discarded += rings.map(|ring| ring.discard(received)).sum::<u64>();
    // It waits for nothing any more.
    pace.drained(at);
    if discarded == 0 {
        return true;
    }
    if pace.is_news() {
        let event = Event::Slow { behind, policy };
        Handler::event(&mut joining.through(at, guard), &event);
    }
    let control = match policy {
        SlowPolicy::Disconnect => Control::Close(CloseReason::TooSlow),
        SlowPolicy::Skip | SlowPolicy::Warn => {
            pace.skipped(discarded);
            joining.refresh_all(at);
            Control::Skip
        }
    };
    arbiter.on_control(control, at, &mut joining.through(at, guard));
    policy != SlowPolicy::Disconnect
}

/// Whether the sockets of a leg are read.
fn is_read(leg: Leg, rings: &[Option<LegRing>; 2]) -> bool {
    rings[leg.index()]
        .as_ref()
        .is_none_or(LegRing::reads_sockets)
}

/// Reads every ring and every socket once, then again until the budget is used or all that had come was taken; whether everything that had come was taken
/// is the second answer.
fn receive(
    budget: usize,
    arbiter: &mut Arbiter,
    (sockets, rings, turn): (&mut [LegSocket], &mut [Option<LegRing>; 2], &mut usize),
    received: &mut [LegReceived; 2],
    at: Time,
    guard: &mut impl StoppableHandler,
) -> (usize, bool) {
    let count = sockets.len();
    let mut work = 0;
    loop {
        let before = work;
        let (mut drained, mut all_read) = (true, [true; 2]);
        for step in 0..count {
            let socket = &mut sockets[(*turn + step) % count];
            if !is_read(socket.leg(), rings) {
                continue;
            }
            let taken = socket.receive(arbiter, at, received, guard);
            work += taken;
            drained &= socket.is_drained();
            all_read[socket.leg().index()] &= socket.is_drained();
            if guard.has_panicked() {
                return (work, false);
            }
        }
        // Behind the sockets: they may have brought the first of a ring.
        for (place, all_read) in rings.iter_mut().zip(all_read) {
            let Some(ring) = place else { continue };
            work += ring.receive(arbiter, at, received, (all_read, guard));
            if !guard.has_panicked() && ring.looks_beside(at) {
                work += look_beside(ring, sockets, arbiter, at, received, guard);
            }
            drained &= ring.is_drained();
            if ring.state() == RingState::Left {
                *place = None;
            }
            if guard.has_panicked() {
                return (work, false);
            }
        }
        *turn = (*turn + 1) % count.max(1);
        if drained || work == before || work >= budget {
            return (work, drained);
        }
    }
}

/// Takes what the sockets of a leg bring beside its ring: another life of its adapter, perhaps, whose ring nobody has named yet.
fn look_beside(
    ring: &mut LegRing,
    sockets: &mut [LegSocket],
    arbiter: &mut Arbiter,
    at: Time,
    received: &mut [LegReceived; 2],
    guard: &mut impl StoppableHandler,
) -> usize {
    let (life, leg) = (ring.life(), ring.leg());
    let mut work = 0;
    for socket in sockets.iter_mut().filter(|socket| socket.leg() == leg) {
        let (taken, replaced) = socket.receive_beside(life, arbiter, at, received, guard);
        work += taken;
        if replaced {
            ring.outlived(at, received);
        }
        if guard.has_panicked() {
            break;
        }
    }
    work
}

/// What a plan changes beside the arbiter.
struct Ends<'a> {
    sids: &'a mut Vec<Sid>,
    sockets: &'a mut Vec<LegSocket>,
    rings: &'a mut [Option<LegRing>; 2],
    fills: &'a mut Option<FillSocket>,
    received: &'a mut [LegReceived; 2],
}

fn put_in_force(
    plan: Plan,
    arbiter: &mut Option<Arbiter>,
    ends: Ends<'_>,
    at: Time,
    guard: &mut impl Handler,
) {
    let Ends {
        sids,
        sockets,
        rings,
        fills,
        received,
    } = ends;
    if let Some(first) = plan.arbiter {
        *arbiter = Some(first);
    }
    let Some(arbiter) = arbiter else {
        debug_assert!(false, "invariant: the first plan brings the arbiter");
        return;
    };
    for (leg, ring) in plan.rings {
        let place = &mut rings[leg.index()];
        if let Some(old) = place {
            // First the sockets, then the ring: what the kernel has dropped until here stands there.
            for socket in sockets.iter_mut().filter(|it| it.leg() == leg) {
                socket.want_all();
            }
            old.finish(arbiter, at, received, guard);
        }
        let state = ring.as_ref().map_or(RingState::Absent, LegRing::state);
        received[leg.index()].ring = state;
        *place = ring;
    }
    for (sid, class) in plan.sources {
        arbiter.add_source(sid, class);
        sids.push(sid);
    }
    for from in plan.cursors {
        // What has no order has no place to go on from: it is joined, and that is told.
        let _ = arbiter.resume(&from);
    }
    for (sid, leg, stream) in plan.streams {
        arbiter.set_stream(sid, leg, stream);
    }
    sockets.retain(|socket| !plan.shut.contains(&socket.key()));
    sockets.extend(plan.open);
    if let Some(longest) = plan.longest {
        for ring in rings.iter_mut().flatten() {
            ring.set_longest(longest);
        }
        for socket in sockets.iter_mut() {
            socket.set_longest(longest);
        }
    }
    for (key, senders) in plan.senders {
        if let Some(socket) = sockets.iter_mut().find(|socket| socket.key() == key) {
            socket.set_senders(senders);
        }
    }
    if plan.fills.is_some() {
        *fills = plan.fills;
    }
    if let (Some(servers), Some(socket)) = (plan.fill_servers, fills) {
        socket.set_servers(servers);
        for leg in Leg::BOTH {
            arbiter.set_fill_server(leg, servers[leg.index()].is_some());
        }
    }
    for name in plan.kept {
        guard.event(&Event::ConstraintKept { name });
    }
    if let Some((active, generation)) = plan.roles {
        arbiter.on_control(Control::Roles { active, generation }, at, guard);
    }
}

fn close(reason: CloseReason, arbiter: &mut Option<Arbiter>, at: Time, guard: &mut impl Handler) {
    match arbiter {
        Some(arbiter) => arbiter.on_control(Control::Close(reason), at, guard),
        // Refused before anything was granted: there is no machine that could say so.
        None => guard.event(&Event::Closed { reason }),
    }
}
