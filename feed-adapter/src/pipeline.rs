//! In which order does the data thread do its work?
//!
//! ```text
//!  read the clock ─► commands ─► per source: input ─► lines ─► decode ─► sequence ─► send
//!        ▲                                       └──► deadlines of lines and sequencer
//!        └───────────────────────── idle ◄── snapshots, now and then
//! ```
//!
//! The only file that knows the order. One reading of the clock serves a whole cycle. Everything that
//! will ever be needed is allocated in [`Pipeline::new`]; after it a cycle allocates nothing, takes no
//! lock, writes no log and calls the kernel only to receive, to send and to sleep.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use twinfeed_net::clock::Reading;
use twinfeed_net::idle::Idler;
use twinfeed_protocol::Time;
use twinfeed_protocol::line::{Line, Lines};
use twinfeed_protocol::pair::{PairLimits, PairState};
use twinfeed_protocol::sequencer::{Now, Sequencer, SequencerConfig, SequencerState};
use twinfeed_protocol::time::earlier;
use twinfeed_wire::link::{Frame, Role};
use twinfeed_wire::{Epoch, Incarnation, Sid, StreamId};

use crate::config::{Config, InputConfig, SourceConfig};
use crate::converter::Converter;
use crate::error::AdapterError;
use crate::fault_points;
use crate::link::notice::Heard;
use crate::link::voice::Voice;
use crate::mailbox::{Command, Inbox, Ordered};
use crate::note::{News, Notes};
use crate::pairing::{Pairing, Why, Wish, sid_of};
use crate::publish::{Exit, Outlet, Through};
use crate::snapshot::{LineSnapshot, Snapshots, SourceSnapshot};
use crate::source::live::{HoleCounters, InputCounters, Live, RequestCounters};
use crate::source::replay::Replay;
use crate::source::soup;
use crate::tap::Tap;
use crate::transfer::workshop::Errand;

mod past;
mod transfers;

use self::past::Pasts;
pub use self::past::{PastCounters, PastFault};
pub use transfers::TransferCounters;
use transfers::Transfers;

/// What the data thread has to do with the world.
#[derive(Debug)]
pub struct Ends {
    /// What streams leave by.
    pub exit: Exit,
    /// What other threads have to say.
    pub inbox: Inbox,
    /// What a person should read.
    pub notes: Notes,
    /// What other threads want to know.
    pub snapshots: Snapshots,
    /// What the peer should hear.
    pub voice: Voice,
    /// What the control thread should do.
    pub wishes: crossbeam::channel::Sender<Wish>,
    /// What the workshop should do.
    pub errands: crossbeam::channel::Sender<Errand>,
    /// Whose past should be fetched from its source.
    pub pasts: crossbeam::channel::Sender<soup::past::Errand>,
    /// Where what is sent is handed over: to who retains it, and to who follows it.
    pub taps: Vec<Tap>,
}

/// One adapter's data path.
#[derive(Debug)]
pub struct Pipeline {
    paths: Vec<Path>,
    ends: Ends,
    transfers: Transfers,
    pasts: Pasts,
    idler: Idler,
    next_snapshot: Time,
    /// While this adapter is to hand its generation over: how long its peer has for that, µs.
    steps_down: Option<u32>,
    /// Whether the next generation is to be asked for, and was not yet.
    wants_generation: bool,
    drained: bool,
}

/// One source's way from its lines to its stream.
#[derive(Debug)]
struct Path {
    sid: Sid,
    stream: StreamId,
    input: Input,
    lines: Lines,
    converter: Converter,
    pairing: Pairing,
    outlet: Outlet,
}

#[derive(Debug)]
enum Input {
    Live(Box<Live>),
    Replay(Box<Replay>),
}

impl Pipeline {
    /// Opens every source and allocates everything. `streams` says under which number each source's
    /// stream is sent; warnings come back as texts for the log. Generation and destinations come by
    /// command.
    ///
    /// # Errors
    /// Names the setting at fault.
    pub fn new(
        config: &Config,
        incarnation: Incarnation,
        streams: impl Fn(Sid) -> Option<StreamId>,
        ends: Ends,
        warnings: &mut Vec<String>,
    ) -> Result<Self, AdapterError> {
        let mut paths = Vec::with_capacity(config.sources.len());
        for source in &config.sources {
            let sid = source.sid;
            let identity = SequencerConfig {
                stream: streams(sid).ok_or(AdapterError::NoStream { sid })?,
                sid,
                incarnation,
                max_datagram: config.publish.max_datagram,
                heartbeat: config.publish.heartbeat,
                history: HISTORY,
            };
            paths.push(Path::open(config, source, identity, &ends, warnings)?);
        }
        let idler = Idler::new(config.host.idle);
        let transfers = Transfers::new(config, ends.errands.clone());
        let pasts = Pasts::new(config, ends.pasts.clone());
        Ok(Self {
            paths,
            ends,
            transfers,
            pasts,
            idler,
            next_snapshot: Time::ZERO,
            steps_down: None,
            wants_generation: false,
            drained: false,
        })
    }

    /// Works until it is told to drain.
    ///
    /// # Errors
    /// What ends the adapter before its time: a source's file that is damaged.
    pub fn run(mut self) -> Result<(), AdapterError> {
        while self.cycle()? {}
        Ok(())
    }

    /// One duty cycle; `false` once it was told to drain and has.
    ///
    /// # Errors
    /// As [`Pipeline::run`]. What had been read is sent, and the streams are ended.
    pub fn cycle(&mut self) -> Result<bool, AdapterError> {
        let now = read_clock();
        let mut work = self.obey(now);
        for place in 0..self.paths.len() {
            match self.paths[place].turn(now, &mut self.ends.exit, &self.ends.notes) {
                Ok(packets) => work += packets,
                Err(error) => {
                    self.drain(now);
                    return Err(error);
                }
            }
        }
        if let Some(deadline_us) = self.steps_down {
            self.say_step_down(deadline_us);
        }
        work += self.tend_transfers(now);
        work += self.tend_past(now);
        if now.time >= self.next_snapshot || self.drained {
            self.publish_snapshots(now.time);
        }
        if self.drained {
            return Ok(false);
        }
        let deadlines = self.paths.iter().map(Path::next_deadline);
        let next = deadlines
            .fold(Some(self.next_snapshot), earlier)
            .unwrap_or(Time::NEVER);
        let wake = std::iter::once(self.ends.inbox.as_fd());
        let sockets = wake.chain(self.paths.iter().flat_map(Path::sockets));
        self.idler.idle_within(work, next.since(now.time), sockets);
        Ok(true)
    }

    /// Where a live source's line listens; for set-ups in which the kernel chose the port.
    #[must_use]
    pub fn line_addr(&self, sid: Sid, line: Line) -> Option<std::net::SocketAddr> {
        match &self.paths.iter().find(|path| path.sid == sid)?.input {
            Input::Live(live) => live.local_addr(line),
            Input::Replay(_) => None,
        }
    }

    /// The number of the source's next message; 0 before its first epoch.
    #[must_use]
    pub fn next_sseq(&self, sid: Sid) -> u64 {
        let path = self.paths.iter().find(|path| path.sid == sid);
        path.and_then(|path| path.converter.sequencer.next_pos())
            .map_or(0, |pos| pos.sseq)
    }

    /// Does what other threads have asked for; how much that was.
    fn obey(&mut self, now: Now) -> usize {
        let mut done = 0;
        if !self.ends.inbox.is_called() {
            return done;
        }
        while let Some(command) = self.ends.inbox.take() {
            done += 1;
            match command {
                Command::Drain => self.drain(now),
                Command::Destinations(plan) => {
                    for path in &mut self.paths {
                        path.outlet.apply(&plan, &self.ends.notes);
                    }
                }
                Command::Grant(grant) => {
                    self.each_stream(|stream, pairing, out| {
                        pairing.granted(now, grant, stream, out);
                    });
                    // Another generation ends what was to be handed over.
                    let steps_down = |path: &Path| path.pairing.steps_down();
                    self.steps_down = self
                        .steps_down
                        .filter(|_| self.paths.iter().any(steps_down));
                }
                Command::PeerLost(lost) => {
                    self.each_stream(|stream, _, out| stream.set_peer_lost(now, lost, out));
                }
                Command::Originate(ordered) => {
                    for ordered in fault_points::gathered(ordered) {
                        // The lease may have ended since the cycle began, if this process stood still.
                        self.originate(read_clock(), &ordered);
                    }
                }
                Command::StepDown { deadline_us } => self.step_down(read_clock(), deadline_us),
                Command::GoOn => self.go_on(),
                Command::Heard(pairing, heard) => self.hear(now, pairing, heard),
                Command::Made(sid, transfer, made) => self.on_made(now, (sid, transfer), made),
                Command::Fetched(sid, attempt, fetched) => {
                    self.on_fetched(now, (sid, attempt), fetched);
                }
            }
        }
        self.ask_for_generation();
        done
    }

    fn originate(&mut self, now: Now, ordered: &Ordered) {
        let found = self.paths.iter_mut().find(|path| path.sid == ordered.sid);
        if let Some(path) = found {
            let mut out = path.outlet.through(&mut self.ends.exit);
            let stream = &mut path.converter.sequencer;
            path.pairing.originate(now, ordered, stream, &mut out);
            out.send();
        } else if let Some(path) = self.paths.first() {
            // An order that is not answered times out at stream-admin.
            let _ = path.pairing.wish(Wish::Refused {
                ticket: ordered.ticket,
                why: Why::NoSuchSource,
            });
        }
    }

    /// What the link has to say: about one stream, or about all of them.
    fn hear(&mut self, now: Now, count: u64, heard: Heard) {
        let only = match &heard {
            Heard::Said(frame) if self.hear_of_transfer(now, frame) => return,
            Heard::Said(frame) => match sid_of(frame) {
                Some(sid) => Some(sid),
                None if matches!(frame, Frame::StepDown { .. }) => None,
                None => return,
            },
            Heard::Up | Heard::Down { .. } | Heard::Superseded(_) => None,
        };
        for path in &mut self.paths {
            if only.is_none_or(|sid| sid == path.sid) {
                let mut out = path.outlet.through(&mut self.ends.exit);
                let stream = &mut path.converter.sequencer;
                path.pairing.heard(now, (count, heard), stream, &mut out);
                out.send();
            }
        }
        match heard {
            Heard::Up => self.pair_transfers(now, count),
            Heard::Down { .. } => self.pair_transfers(now, 0),
            Heard::Said(_) | Heard::Superseded(_) => {}
        }
    }

    /// The generation belongs to the adapter: it is asked for when every stream can be taken over without a
    /// trace. An operator may take over otherwise.
    fn ask_for_generation(&mut self) {
        for path in &mut self.paths {
            self.wants_generation |= path.pairing.takes_over();
        }
        if !std::mem::take(&mut self.wants_generation) {
            return;
        }
        let taking = |path: &Path| path.pairing.state() == PairState::TakingOver;
        match self.paths.iter().find(|path| !taking(path)) {
            None => {
                if let Some(path) = self.paths.first() {
                    let from = path.pairing.generation();
                    let stepped_down = path.pairing.was_handed_over();
                    // A control thread that has no room for it is asked again.
                    self.wants_generation =
                        !path.pairing.wish(Wish::TakeOver { from, stepped_down });
                }
            }
            Some(path) => self.ends.notes.leave(path.sid, News::NoTakeover),
        }
    }

    /// Tells the peer that this adapter steps down, once no stream waits for an answer any more; the same again when
    /// the peer was away meanwhile. Everything of every stream was said before.
    fn say_step_down(&mut self, deadline_us: u32) {
        let draining = self.paths.iter().any(|path| path.pairing.is_draining());
        let drained = |path: &Path| path.pairing.is_drained(&path.converter.sequencer);
        if !draining || !self.paths.iter().all(drained) {
            return;
        }
        if let Some(path) = self.paths.first() {
            path.pairing.say_step_down(deadline_us);
            self.ends.notes.leave(path.sid, News::SteppedDown);
        }
        for path in &mut self.paths {
            path.pairing.stepped_down();
        }
    }

    /// Every stream originates nothing more; a stream that is not this adapter's to originate in means that none is.
    fn step_down(&mut self, now: Now, deadline_us: u32) {
        let mut all = true;
        self.each_stream(|stream, pairing, out| all &= pairing.step_down(now, stream, out));
        self.steps_down = Some(deadline_us);
        if !all {
            self.go_on();
        }
    }

    /// The hand-over was given up.
    fn go_on(&mut self) {
        self.steps_down = None;
        let mut stepped = false;
        for path in &mut self.paths {
            stepped |= path.pairing.go_on();
        }
        if let Some(path) = self.paths.first().filter(|_| stepped) {
            path.pairing.say_goes_on();
            self.ends.notes.leave(path.sid, News::WentOn);
        }
    }

    fn drain(&mut self, now: Now) {
        self.drained = true;
        self.each_stream(|stream, _, out| stream.end_of_stream(now, out));
    }

    /// Tells every stream the same, and sends at once what it has to say about it.
    fn each_stream(
        &mut self,
        mut tell: impl FnMut(&mut Sequencer, &mut Pairing, &mut Through<'_>),
    ) {
        for path in &mut self.paths {
            let mut out = path.outlet.through(&mut self.ends.exit);
            tell(&mut path.converter.sequencer, &mut path.pairing, &mut out);
            out.send();
        }
    }

    fn publish_snapshots(&mut self, now: Time) {
        self.next_snapshot = now.after(SNAPSHOT_INTERVAL);
        let (transfers, pasts) = (self.transfers.counters(), self.pasts.counters());
        for path in &self.paths {
            let snapshot = path.snapshot(now, transfers, pasts);
            self.ends.snapshots.publish(snapshot);
        }
    }
}

impl Path {
    fn open(
        config: &Config,
        source: &SourceConfig,
        identity: SequencerConfig,
        ends: &Ends,
        warnings: &mut Vec<String>,
    ) -> Result<Self, AdapterError> {
        let (sid, limits) = (source.sid, source.limits);
        let input = match &source.input {
            InputConfig::Live(lines) => {
                let servers = source.servers()?;
                Input::Live(Box::new(Live::open(config, sid, lines, servers, warnings)?))
            }
            InputConfig::File {
                kind,
                path,
                speed,
                start_delay,
                lines,
            } => {
                let replay = Replay::open(config, sid, *kind, path, limits.origin_first)?;
                Input::Replay(Box::new(
                    replay.paced(*speed, *start_delay).on_lines(*lines),
                ))
            }
        };
        let group = source.group.map(|[active, backup]| match config.role {
            Role::Active => active,
            Role::Backup => backup,
        });
        let settings = config.itch50_settings();
        let mut sequencer = Sequencer::new(identity)?;
        if let Some(standby) = config.pair.standby() {
            sequencer = sequencer.retaining(standby.retain)?;
        }
        let notes = ends.notes.clone();
        let standby = config.pair.standby().map(|standby| standby.limits);
        let mut pair = PairLimits {
            sync_threshold: config.pair.sync_threshold,
            least_lead: config.pair.least_lead,
            ..PairLimits::default()
        };
        if let Some(standby) = standby {
            pair.report_every = standby.report_every;
        }
        let (voice, wishes) = (ends.voice.clone(), ends.wishes.clone());
        let converter = Converter::new(sid, config.trading_day, settings, sequencer, notes.clone());
        let mut lines = Lines::new(limits)?;
        if let Input::Live(live) = &input {
            live.introduce(&mut lines);
        }
        Ok(Self {
            sid,
            stream: identity.stream,
            input,
            lines,
            pairing: Pairing::new(sid, pair, standby, voice, notes, wishes),
            converter,
            outlet: Outlet::new(config, sid, group, &ends.exit, ends.taps.clone())?,
        })
    }

    /// This source's part of a cycle: how many packets there were.
    fn turn(&mut self, now: Now, exit: &mut Exit, notes: &Notes) -> Result<usize, AdapterError> {
        let Self {
            input,
            lines,
            converter,
            pairing,
            outlet,
            ..
        } = self;
        let processed = converter.sequencer.processed();
        let holds = pairing.is_holding() || fault_points::source_waits(processed);
        let mut out = outlet.through(exit);
        let mut at = converter.at(now, &mut out);
        let heard = match input {
            // Packets wait in the kernel's socket, for milliseconds at most.
            _ if holds => Ok(0),
            Input::Live(live) => Ok(live.poll(now, lines, notes, &mut at)),
            Input::Replay(replay) => replay.poll(now, lines, notes, &mut at),
        };
        let late = !holds
            && lines
                .next_deadline()
                .is_some_and(|deadline| deadline <= now.time);
        if late {
            lines.on_deadline(now.time, &mut at);
            if let Input::Live(live) = input {
                live.ask(lines);
            }
        }
        let stream = &mut converter.sequencer;
        if late || !matches!(heard, Ok(0)) || pairing.is_due(now) {
            // What is said to the peer goes before the datagrams, but for a cut.
            pairing.tend(now, stream, &mut out);
            stream.flush(now, &mut out);
        }
        if stream
            .next_deadline()
            .is_some_and(|deadline| deadline <= now.time)
        {
            stream.on_deadline(now, &mut out);
        }
        out.send();
        heard
    }

    fn next_deadline(&self) -> Option<Time> {
        let input = match &self.input {
            Input::Live(_) => None,
            Input::Replay(replay) => replay.next_deadline(),
        };
        let machines = earlier(
            self.lines.next_deadline(),
            self.converter.sequencer.next_deadline(),
        );
        earlier(earlier(input, machines), self.pairing.next_deadline())
    }

    fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let live = match &self.input {
            Input::Live(live) => Some(live.as_ref()),
            Input::Replay(_) => None,
        };
        let asking = self.lines.is_asking();
        live.into_iter().flat_map(move |live| live.sockets(asking))
    }

    fn snapshot(
        &self,
        now: Time,
        transfers: TransferCounters,
        pasts: PastCounters,
    ) -> SourceSnapshot {
        let stream = &self.converter.sequencer;
        let (sent, failed) = self.outlet.totals();
        let line = |line| {
            let input = match &self.input {
                Input::Live(live) => live.counters(line)?,
                Input::Replay(replay) if line == Line::A => InputCounters {
                    packets: replay.counters().packets,
                    malformed: replay.counters().malformed,
                    ..InputCounters::default()
                },
                Input::Replay(_) => return None,
            };
            Some(LineSnapshot {
                input,
                status: self.lines.status(line, now),
            })
        };
        SourceSnapshot {
            sid: self.sid,
            stream: self.stream,
            at: now,
            generation: self.pairing.generation(),
            next_msn: stream.next_msn(),
            next_pos: stream.next_pos(),
            epoch: stream.epoch().unwrap_or(Epoch::NONE),
            context: stream.context_id().unwrap_or_default(),
            complete: stream.is_complete(),
            of_snapshot: stream.is_of_snapshot(),
            stale: self.converter.is_stale(),
            ended: stream.state() == SequencerState::Ended,
            refused: self.converter.refused().is_some(),
            pair: self.pairing.snapshot(stream),
            sequencer: *stream.counters(),
            lines: *self.lines.counters(),
            requests: match &self.input {
                Input::Live(live) => live.requests(),
                Input::Replay(_) => RequestCounters::default(),
            },
            holes: match &self.input {
                Input::Live(live) => live.holes(),
                Input::Replay(_) => HoleCounters::default(),
            },
            session_faults: match &self.input {
                Input::Live(live) => live.session_faults(),
                Input::Replay(_) => [None; 2],
            },
            line: [line(Line::A), line(Line::B)],
            faults: self.converter.faults(),
            destinations: self.outlet.destinations(),
            sent,
            failed,
            transfers,
            pasts,
        }
    }
}

fn read_clock() -> Now {
    let Reading {
        monotonic_ns,
        realtime_ns,
    } = Reading::now();
    Now {
        time: Time(monotonic_ns),
        unix_ns: realtime_ns,
    }
}

/// Records by which two adapters may be apart and still compare and take over their numberings: 80 ms at
/// 100,000 a second, 400 KiB.
const HISTORY: usize = 8_192;
/// Time between two snapshots for other threads.
const SNAPSHOT_INTERVAL: Duration = Duration::from_millis(20);
