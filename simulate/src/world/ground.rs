//! What do all components stand on?
//!
//! [`Ground`] is virtual time with its agenda, the links between adapters and subscribers, the ledger of
//! what is true, and the counts and lines of what happened.

use core::time::Duration;
use std::rc::Rc;

use twinfeed_protocol::Leg;
use twinfeed_protocol::arbiter::Ask;
use twinfeed_protocol::line::{Line, LineAsk};
use twinfeed_protocol::pair::{News, PairState, Said};
use twinfeed_protocol::sequencer::Now;
use twinfeed_protocol::time::Time;
use twinfeed_wire::{Generation, Sid};

use super::Outcome;
use super::adapters::{Converted, Output};
use super::agenda::Agenda;
use super::exchange::{Life, Shared};
use super::fills::{Fills, Given};
use super::net::{Decorator, Flight, Link};
use super::oracle::{Assembly, Ledger, Violation};
use super::pair::trap::Fate;
use super::pair::{PairEvent, PairGround};
use super::requests::Requests;
use super::rng::Rng;
use super::snapshots::{Answer, Ask as Wished, Snapshots, asker};
use super::stats::Stats;
use super::subscribers::Watch;
use super::trace::Trace;
use crate::coverage::{Cell, Coverage};

/// Something that is due at some time.
#[derive(Debug)]
pub enum Happening {
    /// A source speaks.
    Speak {
        /// Which, by index.
        source: usize,
    },
    /// A source packet reaches an adapter.
    Packet {
        /// Whose adapter.
        leg: Leg,
        /// On which line.
        line: Line,
        /// What.
        packet: Shared,
    },
    /// A datagram reaches a subscriber's socket.
    Datagram {
        /// Which, by number.
        subscriber: usize,
        /// On which leg.
        leg: Leg,
        /// What.
        flight: Flight,
    },
    /// A request for what both streams lost reaches an adapter.
    Request {
        /// Whose request.
        subscriber: usize,
        /// Whose adapter.
        leg: Leg,
        /// What.
        flight: Flight,
    },
    /// An adapter's fill server has its turn.
    FillTurn {
        /// Whose.
        leg: Leg,
    },
    /// An answer to a request reaches a subscriber.
    Fill {
        /// Which, by number.
        subscriber: usize,
        /// From whose adapter.
        leg: Leg,
        /// What.
        flight: Flight,
    },
    /// A request for a snapshot reaches an adapter.
    SnapshotAsk {
        /// Whose request.
        subscriber: usize,
        /// What.
        ask: Wished,
    },
    /// An adapter's snapshot server has its turn.
    SnapshotTurn {
        /// Whose.
        leg: Leg,
    },
    /// What it answered reaches a subscriber.
    SnapshotAnswer {
        /// Which, by number.
        subscriber: usize,
        /// What.
        answer: Answer,
    },
    /// A request reaches a source's server.
    SourceAsk {
        /// Whose request.
        leg: Leg,
        /// Of which source.
        sid: Sid,
        /// What.
        ask: LineAsk,
    },
    /// An answer to it reaches the adapter.
    SourceAnswer {
        /// Whose request.
        leg: Leg,
        /// Whose server.
        line: Line,
        /// What.
        packet: Shared,
    },
    /// A subscriber joins.
    Join {
        /// Which, by number.
        subscriber: usize,
    },
    /// An adapter's first process starts.
    Start {
        /// Whose.
        leg: Leg,
    },
    /// An adapter hears of its peer through the pair link.
    PeerNews {
        /// Who hears.
        leg: Leg,
        /// Whether the link was reset, or stands again.
        lost: bool,
    },
    /// Something at the pair.
    Pair(PairEvent),
    /// A fault strikes.
    Fault {
        /// Which, by number.
        number: usize,
    },
}

/// Time, links, truth and counts.
#[derive(Debug)]
pub struct Ground {
    seed: u64,
    now: Time,
    agenda: Agenda<Happening>,
    /// By subscriber, then leg.
    links: Vec<[Link; 2]>,
    ledger: Ledger,
    assembly: Assembly,
    stats: Stats,
    coverage: Coverage,
    trace: Trace,
    pair: Option<PairGround>,
    fills: Option<Fills>,
    pub(super) requests: Option<Requests>,
    pub(super) snapshots: Option<Snapshots>,
    /// Whether the process of each leg knows where its subscribers are.
    addressed: [bool; 2],
}

impl Ground {
    /// Time zero.
    #[must_use]
    pub fn new(seed: u64, trace: usize) -> Self {
        Self {
            seed,
            now: Time::ZERO,
            agenda: Agenda::new(),
            links: Vec::new(),
            ledger: Ledger::default(),
            assembly: Assembly::default(),
            stats: Stats::default(),
            coverage: Coverage::default(),
            trace: Trace::last(trace),
            pair: None,
            fills: None,
            requests: None,
            snapshots: None,
            addressed: [true; 2],
        }
    }

    /// Its adapters are a pair.
    pub fn set_pair(&mut self, pair: PairGround) {
        self.pair = Some(pair);
    }

    /// Its adapters can be asked for what both streams lost.
    pub fn set_fills(&mut self, fills: Fills) {
        self.fills = Some(fills);
    }

    /// Who gives what both streams lost, if anybody does.
    pub fn fills_mut(&mut self) -> Option<&mut Fills> {
        self.fills.as_mut()
    }

    /// A subscriber sends a request.
    pub fn ask(&mut self, subscriber: usize, ask: &Ask) {
        let now = self.now;
        self.trace.say(now, || {
            let ranges = ask.ranges();
            format!(
                "    subscriber {subscriber} asks adapter {} for {ranges:?}",
                ask.leg
            )
        });
        let Some(fills) = &mut self.fills else { return };
        let (stats, mut arrivals) = (&mut self.stats, Vec::new());
        stats.add("fill.asked");
        let fired = |name| stats.fault(name);
        fills.ask(now, subscriber, ask, fired, |at, flight| {
            arrivals.push((at, flight));
        });
        for (at, flight) in arrivals {
            let leg = ask.leg;
            self.put(
                at,
                Happening::Request {
                    subscriber,
                    leg,
                    flight,
                },
            );
        }
    }

    /// A request reached the adapter of `leg`, which runs.
    pub fn take_request(&mut self, at: Time, subscriber: usize, leg: Leg, bytes: &[u8]) {
        let Some(fills) = &mut self.fills else { return };
        match fills.take(at, (subscriber, leg), bytes) {
            Ok(Some(due)) => self.schedule(due, Happening::FillTurn { leg }),
            Ok(None) => {}
            Err(wrong) => self
                .ledger
                .complain(format!("fills of adapter {leg}: {wrong}")),
        }
    }

    /// The fill server of `leg`, which runs, answers.
    pub fn answer_requests(&mut self, at: Time, leg: Leg) {
        let (now, mut given) = (self.now, Vec::new());
        let Some(fills) = &mut self.fills else { return };
        let stats = &mut self.stats;
        let fired = |name| stats.fault(name);
        if let Err(wrong) = fills.turn((now, at), leg, fired, &mut given) {
            self.ledger
                .complain(format!("fills of adapter {leg}: {wrong}"));
        }
        for Given {
            at,
            subscriber,
            flight,
        } in given
        {
            self.put(
                at,
                Happening::Fill {
                    subscriber,
                    leg,
                    flight,
                },
            );
        }
    }

    /// A subscriber asks for a snapshot.
    pub fn wish(&mut self, subscriber: usize, ask: Wished) {
        let now = self.now;
        self.trace.say(now, || {
            let (leg, wish) = (ask.leg, &ask.wish);
            let from = wish.from;
            let serial = wish.serial;
            format!("    subscriber {subscriber} asks adapter {leg} for a snapshot from {from} on ({serial})")
        });
        let Some(snapshots) = &mut self.snapshots else {
            return;
        };
        let way = snapshots.way();
        self.stats.add("snapshot.asked");
        self.schedule(way, Happening::SnapshotAsk { subscriber, ask });
    }

    /// A request for a snapshot reached an adapter that runs.
    pub fn take_wish(&mut self, subscriber: usize, ask: Wished) {
        let (now, leg) = (self.now, ask.leg);
        let Some(snapshots) = &mut self.snapshots else {
            return;
        };
        if let Some(due) = snapshots.take(now, subscriber, ask) {
            self.schedule(due, Happening::SnapshotTurn { leg });
        }
    }

    /// A request for a snapshot reached a host on which no adapter runs.
    pub fn refuse_wish(&mut self, subscriber: usize, ask: &Wished) {
        let Some(snapshots) = &mut self.snapshots else {
            return;
        };
        let way = snapshots.way();
        self.stats.add("snapshot.unreachable");
        let answer = Answer {
            request: ask.request,
            sid: ask.wish.sid,
            frames: Rc::from([]),
        };
        self.schedule(way, Happening::SnapshotAnswer { subscriber, answer });
    }

    /// The snapshot server of `leg` has its turn.
    pub fn give_snapshots(&mut self, leg: Leg) {
        let Some(snapshots) = &mut self.snapshots else {
            return;
        };
        let (said, due) = snapshots.turn(self.now, leg);
        if let Some((leg, wrong)) = snapshots.take_wrong() {
            self.ledger
                .complain(format!("snapshots of adapter {leg}: {wrong}"));
        }
        for (subscriber, late, answer) in said {
            self.schedule(late, Happening::SnapshotAnswer { subscriber, answer });
        }
        if let Some(due) = due {
            self.schedule(due, Happening::SnapshotTurn { leg });
        }
    }

    /// Who knows what an adapter tells whoever joins has more of its output.
    fn follow(&mut self, leg: Leg, sid: Sid, bytes: &[u8]) {
        let Some(snapshots) = &mut self.snapshots else {
            return;
        };
        if let Some(ask) = snapshots.keep(self.now, leg, sid, bytes) {
            let (way, subscriber) = (snapshots.way(), asker(leg));
            self.schedule(way, Happening::SnapshotAsk { subscriber, ask });
        }
    }

    /// The adapter of `leg` is answered by the other one.
    pub fn answer_adapter(&mut self, leg: Leg, answer: &Answer) {
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.hear(self.now, leg, answer);
        }
    }

    /// What the pair needs here, if there is one.
    pub fn pair_mut(&mut self) -> Option<&mut PairGround> {
        self.pair.as_mut()
    }

    /// Puts something at the pair on the agenda.
    pub fn put_pair(&mut self, at: Time, what: PairEvent) {
        self.put(at, Happening::Pair(what));
    }

    /// Writes down something.
    pub fn say(&mut self, what: impl FnOnce() -> String) {
        self.trace.say(self.now, what);
    }

    /// The rules of a pair told something.
    pub fn note_news(&mut self, leg: Leg, sid: Sid, news: &News) {
        self.trace.say(self.now, || {
            format!("adapter {leg} sid {sid} tells {news:?}")
        });
        if let Some(name) = word_of_news(news) {
            self.stats.add(name);
        }
    }

    /// Links the next subscriber to both adapters.
    pub fn add_subscriber(&mut self, number: usize, ways: [Vec<Box<dyn Decorator>>; 2]) {
        let mut index = 0;
        self.links.push(ways.map(|way| {
            let mut rng = Rng::of(self.seed, &format!("link {number} {index}"));
            index += 1;
            let delay = rng.micros(20, 200);
            Link::new(delay, rng.pick(&[0, 10, 100]), way, rng)
        }));
    }

    /// Puts a happening on the agenda.
    pub fn schedule(&mut self, after: Duration, what: Happening) {
        self.put(self.now.after(after), what);
    }

    fn put(&mut self, at: Time, what: Happening) {
        self.agenda.put(at, what);
    }

    /// When the next thing on the agenda is due.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        self.agenda.next()
    }

    /// Takes the next thing that is due by now.
    pub fn take_due(&mut self) -> Option<Happening> {
        self.agenda.take(self.now)
    }

    /// Time goes on.
    pub fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// The time on both clocks.
    #[must_use]
    pub fn now_twice(&self) -> Now {
        Now {
            time: self.now,
            unix_ns: UNIX_ORIGIN_NS + self.now.0,
        }
    }

    /// The truth.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// An adapter converts wrongly.
    pub fn note_misconversion(&mut self) {
        self.ledger.note_misconversion();
    }

    /// Adapters may withhold what they converted.
    pub fn allow_withholding(&mut self) {
        self.ledger.allow_withholding();
    }

    /// What a subscriber's judge looks at.
    pub fn watch<'a>(&'a mut self, violations: &'a mut Vec<Violation>) -> Watch<'a> {
        Watch {
            ledger: &self.ledger,
            assembly: &mut self.assembly,
            stats: &mut self.stats,
            coverage: &mut self.coverage,
            trace: &mut self.trace,
            fills: self.fills.as_ref(),
            violations,
        }
    }

    /// The lives of a source have gone on.
    pub fn note_lives(&mut self, sid: Sid, lives: &[Life]) {
        self.ledger.note_lives(sid, lives);
    }

    /// An adapter has no unsent records any more.
    pub fn note_death(&mut self, leg: Leg) {
        self.ledger.note_death(leg);
        if let Some(fills) = &mut self.fills {
            fills.note_death(self.now, leg);
        }
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.note_death(leg);
        }
    }

    /// Nothing of `leg` gets through for `span`.
    pub fn cut(&mut self, leg: Leg, span: Duration) {
        let until = self.now.after(span);
        for links in &mut self.links {
            links[leg.index()].cut(until);
        }
    }

    /// Nothing of `leg` gets through to one subscriber for `span`.
    pub fn cut_one(&mut self, leg: Leg, subscriber: usize, span: Duration) {
        let until = self.now.after(span);
        self.links[subscriber][leg.index()].cut(until);
    }

    /// Whether the process of `leg` knows where its subscribers are.
    pub fn set_addressed(&mut self, leg: Leg, addressed: bool) {
        self.addressed[leg.index()] = addressed;
    }

    /// The network has no faults any more.
    pub fn calm(&mut self) {
        self.trace.say(self.now, || "calm".into());
        self.links.iter_mut().flatten().for_each(Link::calm);
        if let Some(fills) = &mut self.fills {
            fills.calm(self.now);
        }
        if let Some(requests) = &mut self.requests {
            requests.calm();
        }
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.calm();
        }
        // Whoever is woken up by it speaks at once, and nobody dies of that any more.
        if let Some(pair) = &mut self.pair {
            pair.trap = None;
        }
    }

    /// Counts.
    pub fn count(&mut self, name: &'static str) {
        self.stats.add(name);
    }

    /// Counts many.
    pub fn count_many(&mut self, name: &'static str, times: u64) {
        self.stats.add_many(name, times);
    }

    /// How often it was counted.
    #[must_use]
    pub fn times(&self, name: &str) -> u64 {
        self.stats.count(name)
    }

    /// Counts what the adapters placed that no source said, and what was told as the actives have it.
    pub fn count_messages(&mut self) {
        let placed = self.ledger.roll().messages();
        self.stats.add_many("pair.message_placed", placed);
        let told = self.assembly.at_the_active;
        self.stats.add_many("pair.message_told_as_placed", told);
    }

    /// Counts a fault and writes it down.
    pub fn fault(&mut self, name: &'static str) {
        self.stats.fault(name);
        self.trace.say(self.now, || format!("fault: {name}"));
    }

    /// Counts that a fault is over, and writes it down.
    pub fn fault_ends(&mut self, name: &'static str) {
        self.stats.add(name);
        self.trace.say(self.now, || format!("fault: {name}"));
    }

    /// Counts harm that a fault did.
    pub fn harm(&mut self, name: &'static str) {
        self.stats.fault(name);
    }

    /// Writes down a datagram.
    pub fn say_heard(&mut self, what: impl FnOnce() -> String, leg: Leg, bytes: &[u8]) {
        if self.trace.is_on() {
            self.trace.datagram(self.now, &what(), leg, bytes);
        }
    }

    /// What was hit of the machines' tables.
    pub fn coverage_mut(&mut self) -> &mut Coverage {
        &mut self.coverage
    }

    /// How it ended, with these violations.
    #[must_use]
    pub fn finish(mut self, violations: Vec<Violation>) -> Outcome {
        for (name, times) in self.fills.iter().flat_map(Fills::counts) {
            self.stats.add_many(name, times);
        }
        for (name, times) in self.snapshots.iter().flat_map(Snapshots::counts) {
            self.stats.add_many(name, times);
        }
        Outcome {
            seed: self.seed,
            violations,
            stats: self.stats,
            coverage: self.coverage,
            trace: self.trace.lines().map(str::to_owned).collect(),
            lasted: self.now.since(Time::ZERO),
        }
    }
}

impl Output for Ground {
    fn converted(&mut self, converted: Converted<'_>) {
        self.ledger.note_converted(converted);
    }

    fn asks(&mut self, leg: Leg, sid: Sid, ask: LineAsk) {
        let way = self.requests.as_mut().and_then(Requests::way);
        if let Some(span) = way {
            self.schedule(span, Happening::SourceAsk { leg, sid, ask });
        }
    }

    fn datagram(&mut self, leg: Leg, sid: Sid, bytes: &[u8]) {
        let fate = match &mut self.pair {
            Some(pair) if pair.severed[leg.index()] => return,
            Some(pair) => pair.fate(leg, sid, bytes),
            None => Fate::Leaves,
        };
        self.ledger.note_sent(leg, bytes);
        if let Some(fills) = &mut self.fills {
            fills.keep(self.now, leg, sid, bytes);
        }
        self.follow(leg, sid, bytes);
        self.trace.datagram(self.now, "sent", leg, bytes);
        if !self.addressed[leg.index()] {
            self.stats.add("disk.sent_to_nobody");
            return;
        }
        let only = match fate {
            Fate::LastToOne => Some((self.now.0 as usize) % self.links.len().max(1)),
            Fate::Leaves | Fate::Last => None,
        };
        let (now, shared) = (self.now, Rc::<[u8]>::from(bytes));
        for (subscriber, links) in self.links.iter_mut().enumerate() {
            if only.is_some_and(|only| only != subscriber) {
                continue;
            }
            let (stats, agenda) = (&mut self.stats, &mut self.agenda);
            links[leg.index()].send(
                now,
                &shared,
                |name| stats.fault(name),
                |at, flight| {
                    let happening = Happening::Datagram {
                        subscriber,
                        leg,
                        flight,
                    };
                    agenda.put(at, happening);
                },
            );
        }
    }

    fn withheld(&mut self, leg: Leg, sid: Sid, bytes: &[u8]) {
        let severed = self.pair.as_ref();
        let severed = severed.is_some_and(|pair| pair.severed[leg.index()]);
        if let Some(fills) = self.fills.as_mut().filter(|_| !severed) {
            fills.keep(self.now, leg, sid, bytes);
        }
        if !severed {
            self.follow(leg, sid, bytes);
        }
    }

    fn said_for_good(&mut self, leg: Leg, sid: Sid, said: Said) -> bool {
        let Some(pair) = &mut self.pair else {
            return false;
        };
        // Of a process that is dead nobody asks.
        let up = pair.severed[leg.index()] || pair.link.is_up(leg);
        if !up || !pair.link.writes_in_time() {
            self.stats.add("pair.not_written_in_time");
            return false;
        }
        self.said(leg, sid, said);
        if let Some(pair) = &mut self.pair {
            pair.link.written(leg.other());
        }
        true
    }

    fn said(&mut self, leg: Leg, sid: Sid, said: Said) {
        let now = self.now;
        let Some(pair) = &mut self.pair else { return };
        if pair.severed[leg.index()] || !pair.link.is_up(leg) {
            return;
        }
        let to = leg.other();
        let (at, pairing) = (pair.link.arrival(now, to), pair.link.pairing());
        let place = pair.link.note_said(now, to);
        match &said {
            Said::Intent(intent) => pair.slots.note_intent(intent),
            Said::Answer(answer) => {
                let at = self.ledger.streams().at(leg, sid);
                if let Err(wrong) = pair.slots.judge(answer, at) {
                    let number = answer.number;
                    let what =
                        format!("adapter {leg} sid {sid} answers for message {number}: {wrong}");
                    self.ledger.complain(what);
                }
            }
            _ => {}
        }
        let last = pair.trap.as_mut();
        let last = last.is_some_and(|trap| trap.on_said(leg, sid, &said));
        pair.severed[leg.index()] = last;
        self.trace
            .say(now, || format!("adapter {leg} sid {sid} says {said:?}"));
        self.put_pair(
            at,
            PairEvent::Said {
                to,
                pairing,
                place,
                sid,
                said,
            },
        );
    }

    fn hands(&mut self, leg: Leg, generation: Generation, goes_on: bool) {
        let now = self.now;
        let Some(pair) = &mut self.pair else { return };
        if pair.severed[leg.index()] || !pair.link.is_up(leg) {
            return;
        }
        let to = leg.other();
        let (at, pairing) = (pair.link.arrival(now, to), pair.link.pairing());
        self.stats.add(match goes_on {
            true => "pair.went_on",
            false => "pair.stepped_down",
        });
        let word = PairEvent::Hands {
            to,
            pairing,
            generation,
            goes_on,
        };
        self.put_pair(at, word);
    }

    fn news(&mut self, leg: Leg, sid: Sid, news: News) {
        if let Some(pair) = &mut self.pair
            && !pair.severed[leg.index()]
        {
            if let News::State {
                to: PairState::Synchronised,
                ..
            } = news
            {
                self.ledger.note_renumbered(leg, sid);
            }
            if let Err(wrong) = pair.slots.note_news(leg, sid, &news) {
                self.ledger
                    .complain(format!("adapter {leg} sid {sid} takes over: {wrong}"));
            }
            if let News::Opened {
                generation,
                inherited,
                seamless,
            } = news
            {
                self.ledger
                    .note_opened(leg, sid, generation, inherited, seamless);
            }
            pair.news.push((leg, sid, news));
        }
    }

    fn wrong(&mut self, leg: Leg, sid: Sid, what: String) {
        self.ledger
            .complain(format!("adapter {leg} sid {sid}: {what}"));
    }

    fn fired(&mut self, name: &'static str) {
        self.stats.add(name);
    }

    fn met(&mut self, cell: Cell) {
        self.coverage.hit(cell);
    }
}

fn word_of_news(news: &News) -> Option<&'static str> {
    Some(match news {
        News::Opened { seamless: true, .. } => "pair.opened_seamless",
        News::Opened {
            seamless: false, ..
        } => "pair.opened_anew",
        News::WantsGeneration => "pair.wants_generation",
        News::PlacedAlone { .. } => "pair.placed_alone",
        News::Dropped { .. } => "pair.dropped",
        News::Diverged { .. } => "pair.diverged",
        News::Differs { .. } => "pair.differs",
        News::Agrees { .. } => "pair.agrees",
        News::Superseded { .. } => "pair.superseded",
        News::Decided(_) | News::State { .. } => return None,
    })
}

/// The Unix time of time zero: 2019-12-30 14:30:00 UTC, ns.
const UNIX_ORIGIN_NS: u64 = 1_577_716_200 * 1_000_000_000;
