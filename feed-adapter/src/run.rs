//! Which threads make an adapter, and how do they begin and end together?
//!
//! ```text
//!  signals ─┐                         ┌─► data thread      (mailbox: generation, destinations, drain)
//!  lease  ──┼─► control (this file) ──┼─► pair link        (grant, peer, leave)
//!  watch  ──┤     one owner of        └─► state file       (what must be is persisted before it is acted on)
//!  link   ──┘     what was granted
//!             └──── what the peer says, past this thread ──► data thread
//! ```
//!
//! What the inputs mean is in `news`; a signal, the end of the data thread, the loss of the seat to
//! another process and a first answer that the peer converts differently are the only ends.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use signal_hook::consts::{SIGHUP, SIGTERM};
use tracing::{debug, error, info, warn};
use twinfeed_control::operations::Operations;
use twinfeed_control::{
    AdapterId, Assignment, OrderReport, PendingOrder, Register, StepDown, StopFlag,
    StreamAssignment,
};
use twinfeed_net::parting::{self, Companion};
use twinfeed_net::{affinity, memory};
use twinfeed_protocol::Time;
use twinfeed_protocol::pair::News as PairNews;
use twinfeed_wire::link::{Hello, Role};
use twinfeed_wire::{Generation, Incarnation};

use crate::args::Args;
use crate::changes::{Changes, changes};
use crate::config::{Config, PublishMode};
use crate::error::AdapterError;
use crate::fills::{BoundFills, Fills};
use crate::grant::{stream_of, wire_role};
use crate::link::driver::{BoundLink, LinkThread, Told};
use crate::link::notice::{Heard, Notice};
use crate::link::rules::LinkLimits;
use crate::link::voice::{Spoken, voice};
use crate::logs::LogLevel;
use crate::mailbox::{Command, Mailbox, mailbox};
use crate::note::{News, Notes};
use crate::operations;
use crate::orders::Orders;
use crate::pairing::{MOST_WISHES, Wish};
use crate::pipeline::{Ends, Pipeline};
use crate::present::Present;
use crate::publish::{Exit, open_sender};
use crate::registration::{Learnt, Seat, now};
use crate::remembering::Remembering;
use crate::ring::BoundRing;
use crate::seating::{client, held, incarnation, register, standing, take_seat};
use crate::signals::signals;
use crate::snapshot::{Board, Snapshots};
use crate::snapshots::{BoundSnapshots, Giver};
use crate::state::StateFile;
use crate::transfer::is_for_workshop;
use crate::transfer::workshop::{Errand, MOST_ERRANDS};

mod news;
mod past;
mod workshop;

/// Runs an adapter until a signal, a refusal or an error ends it, and says how in the exit code: 0, 1,
/// 69 (stream-admin absent), 75 (port in use, or not decided yet), 77 (permission), 78 (configuration).
#[must_use]
pub fn run(role: Role, args: &Args) -> ExitCode {
    let ended = Config::read(
        role,
        &args.config,
        args.host_config.as_deref(),
        &args.overrides(),
    )
    .map_err(AdapterError::from)
    .and_then(|config| {
        if args.check_config {
            println!(
                "{}: ok, digest {:016x}",
                args.config.display(),
                config.digest()
            );
            return Ok(());
        }
        // A transfer replaces the table of open orders.
        let _ = memory::give_back_what_is_large();
        let level = crate::logs::start(&config.host.log, args.log_format)?;
        crate::fault_points::read_environment()?;
        let ended = Adapter::start(config, args.clone(), level)?.map_or(Ok(()), Adapter::control);
        if let Err(error) = &ended {
            error!(exit_code = error.exit_code(), "{error}");
        }
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{role}-feed-adapter: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Starts the companion that frees this process's memory when it is killed, so that its peer hears of that at once.
fn part_in_order() -> std::io::Result<Companion> {
    let (telling, told) = bounded(1);
    std::thread::Builder::new()
        .name("parting".to_owned())
        .stack_size(PARTING_STACK)
        .spawn(move || {
            let _ = telling.send(parting::accompany());
            loop {
                std::thread::park();
            }
        })?;
    told.recv()
        .unwrap_or_else(|_| Err(std::io::ErrorKind::BrokenPipe.into()))
}

/// A running adapter, as its control thread sees it.
struct Adapter {
    config: Config,
    args: Args,
    level: LogLevel,
    remembering: Remembering,
    assignment: Assignment,
    /// Under which ids the streams are sent, for as long as this process lives.
    streams: Vec<StreamAssignment>,
    mailbox: Mailbox,
    orders: Orders,
    /// Whether it was said that the data thread takes no commands.
    hanging: bool,
    link: LinkThread,
    seat: Seat,
    /// Until when this adapter may originate administrative messages, if it is active.
    authority: Time,
    /// For threads that ask stream-admin something.
    learning: Sender<Learnt>,
    /// Where the newest change waits.
    changes: Changes,
    /// What became of orders, on its way to stream-admin.
    reports: Sender<(AdapterId, OrderReport)>,
    /// The last order that was carried out.
    last_ticket: u64,
    /// The hand-over that the data thread was told of.
    steps_down: Option<StepDown>,
    /// When this thread last came around.
    turned: Time,
    /// When it was found that this process had stood still: what stream-admin said until it renews the lease may be old.
    stood_still: Option<Time>,
    /// Orders that wait for that.
    deferred: Vec<PendingOrder>,
    stop: StopFlag,
    present: Present,
    /// Who gives subscribers what they missed, if somebody does.
    fills: Option<Fills>,
    /// Who tells those who join what there is, if somebody does.
    giver: Option<Giver>,
    notes: Notes,
    inputs: Inputs,
    _operations: Option<Operations>,
    /// Ends with this process.
    companion: Option<Companion>,
}

/// What the control thread listens to.
struct Inputs {
    signals: Receiver<i32>,
    learnt: Receiver<Learnt>,
    changed: Receiver<()>,
    notices: Receiver<Notice>,
    wishes: Receiver<Wish>,
    ended: Receiver<Result<(), AdapterError>>,
}

impl Adapter {
    /// Takes the seat and starts everything; `None` if a signal came first.
    fn start(config: Config, args: Args, level: LogLevel) -> Result<Option<Self>, AdapterError> {
        let stop = StopFlag::new();
        let signals = signals(stop.clone())?;
        let incarnation = incarnation()?;
        let state = StateFile::in_directory(&config.host.state_dir)?;
        let held = held(&state, &config);
        let remembering = Remembering::start(state)
            .map_err(AdapterError::system("start the thread that remembers"))?;

        let (notes, snapshots) = (Notes::new(), Snapshots::new(&config));
        let (mailbox, inbox) = mailbox().map_err(AdapterError::system("make a socket pair"))?;
        let (voice, spoken) = voice().map_err(AdapterError::system("make a socket pair"))?;
        let (wishing, wishes) = bounded(MOST_WISHES);
        let (errands, errand) = bounded(MOST_ERRANDS);
        let (pasts, past) = bounded(crate::source::soup::past::MOST_ERRANDS);
        let sender = open_sender(&config)?;
        let bound = BoundLink::bind(config.host.link).map_err(AdapterError::socket("link"))?;
        let bound_fills = BoundFills::bind(&config)?;
        let bound_snapshots = BoundSnapshots::bind(&config)?;
        let (bound_ring, ring) = BoundRing::bind(&config, incarnation)?.unzip();
        let present = Present::new(standing(&config), Board::new(snapshots.clone()));
        let operations = operations::start(&config, &present)?;

        let address = operations.as_ref().map(Operations::address);
        let request = register(
            &config,
            incarnation,
            &bound,
            sender.local_addr(),
            held.as_ref(),
        );
        let request = Register {
            operations_address: address.map(|at| at.to_string()),
            fills: bound_fills.as_ref().map(BoundFills::address),
            snapshots: bound_snapshots.as_ref().map(BoundSnapshots::address),
            ring: bound_ring.as_ref().map(BoundRing::offered),
            ..request
        };
        let seat = Seat::new(client(&config)?, request);
        let seated_at = now();
        let Some((mut assignment, verified)) =
            take_seat(&seat, held.as_ref(), args.no_wait, &stop)?
        else {
            return Ok(None);
        };

        // The watch says them again, when everything runs.
        assignment.orders.clear();
        assignment.step_down = None;
        let mut warnings = Vec::new();
        let started =
            bound_fills.map(|bound| bound.start(&config, &assignment.streams, stop.clone()));
        let (fills, retains) = started.transpose()?.unzip();
        if let Some(fills) = &fills {
            present.show_fills(fills.clone());
        }
        let started = bound_snapshots.map(|bound| bound.start(&config, &assignment.streams, &stop));
        let (giver, follows) = started.transpose()?.unzip();
        if let Some(giver) = &giver {
            present.show_snapshots(giver.clone());
        }
        if let Some(bound) = bound_ring {
            present.show_rings(bound.start(stop.clone())?);
        }
        let ends = Ends {
            exit: Exit::new(sender, ring),
            inbox,
            notes: notes.clone(),
            snapshots,
            voice: voice.clone(),
            wishes: wishing,
            errands: errands.clone(),
            pasts,
            taps: retains.into_iter().chain(follows).collect(),
        };
        let streams = |sid| stream_of(&assignment, sid);
        let pipeline = Pipeline::new(&config, incarnation, streams, ends, &mut warnings)?;
        for warning in warnings {
            warn!("{warning}");
        }
        let (notice, notices) = unbounded();
        let carrier = ToData {
            mailbox: mailbox.clone(),
            notices: notice,
            errands,
        };
        past::start(&config, past, mailbox.clone())?;
        workshop::start(&config, errand, mailbox.clone(), voice)
            .map_err(AdapterError::system("start the workshop's thread"))?;
        let link = start_link(&config, incarnation, &assignment, bound, spoken, carrier)?;
        let (learning, learnt) = bounded(MOST_LEARNT);
        let (changes, changed) = changes();
        let telling = learning.clone();
        let status = present.clone();
        let seated = verified.then(|| assignment.clone());
        seat.clone()
            .keep(
                seated,
                move || status.report(),
                stop.clone(),
                (learning, changes.clone()),
            )
            .map_err(AdapterError::system("start the lease's thread"))?;
        let reports = seat
            .report_orders(stop.clone())
            .map_err(AdapterError::system("start the thread for reports"))?;
        present.update(|now| {
            (now.unverified, now.admin_up) = (!verified, verified);
        });
        let authority = match verified {
            true => news::authority(seated_at, assignment.lease_ms),
            // What was remembered says nothing of a lease.
            false => Time::ZERO,
        };

        let unicast = config.publish.mode == PublishMode::Unicast;
        let limit = unicast.then_some(config.publish.max_destinations);
        let mut adapter = Self {
            level,
            remembering,
            streams: assignment.streams.clone(),
            assignment,
            orders: Orders::new(mailbox.clone(), limit),
            mailbox,
            hanging: false,
            link,
            seat,
            authority,
            learning: telling,
            changes,
            reports,
            last_ticket: 0,
            steps_down: None,
            turned: now(),
            stood_still: None,
            deferred: Vec::new(),
            stop,
            present,
            fills,
            giver,
            notes,
            inputs: Inputs {
                signals,
                learnt,
                changed,
                notices,
                wishes,
                ended: bounded(1).1,
            },
            _operations: operations,
            companion: None,
            config,
            args,
        };
        // All that this process will need is set aside by now.
        if let Err(error) = memory::gather_heap() {
            debug!("{error}: the heap stays in small pages");
        }
        adapter.act_on_grant(None);
        adapter.inputs.ended = adapter.start_data(pipeline)?;
        match part_in_order() {
            Ok(companion) => adapter.companion = Some(companion),
            Err(error) => {
                warn!(
                    "{error}: should this process be killed, its peer hears of it a little later"
                );
            }
        }
        Ok(Some(adapter))
    }

    /// Listens to everybody until something ends the adapter.
    fn control(mut self) -> Result<(), AdapterError> {
        // What the start took is no standstill.
        self.turned = now();
        loop {
            let Inputs {
                signals,
                learnt,
                changed,
                notices,
                wishes,
                ended,
            } = &self.inputs;
            crossbeam::select! {
                recv(signals) -> signal => match signal {
                    Ok(SIGHUP) => self.reload(),
                    Ok(signal) => return self.leave(signal),
                    Err(_) => return self.leave(SIGTERM),
                },
                recv(learnt) -> news => if let Ok(news) = news
                    && let Some(reason) = self.learn(news)
                {
                    return self.give_way(reason);
                },
                recv(changed) -> _ => if let Some(reason) = self.learn_changed() {
                    return self.give_way(reason);
                },
                recv(notices) -> notice => if let Ok(notice) = notice { self.hear(notice) },
                recv(wishes) -> wish => if let Ok(wish) = wish { self.grant_wish(wish) },
                recv(ended) -> ended => return self.after_data(ended.ok()),
                default(NOTES_INTERVAL) => {}
            }
            self.note_standstill();
            self.turned = now();
            let taken = self.orders.turn(Instant::now());
            self.note_commands(taken);
            self.log_notes();
        }
    }

    /// Notices that this process was stopped, or kept from its core for as long.
    fn note_standstill(&mut self) {
        let now = now();
        let pause = now.since(self.turned);
        if pause > STANDSTILL {
            warn!(
                ?pause,
                "this process stood still: orders wait until stream-admin has renewed the lease"
            );
            (self.stood_still, self.turned) = (Some(now), now);
        }
    }

    fn start_data(
        &self,
        pipeline: Pipeline,
    ) -> Result<Receiver<Result<(), AdapterError>>, AdapterError> {
        let (ending, ended) = bounded(1);
        let (placing, placed) = bounded(1);
        let core = self.config.host.core;
        std::thread::Builder::new()
            .name("data".to_owned())
            .spawn(move || {
                let pinned = core.map_or(Ok(()), affinity::pin);
                let fine = pinned.is_ok();
                // Whoever started this thread waits for the answer.
                let _ = placing.send(pinned);
                if fine {
                    let _ = ending.send(pipeline.run());
                }
            })
            .map_err(AdapterError::system("start the data thread"))?;
        if let Ok(pinned) = placed.recv() {
            pinned?;
        }
        Ok(ended)
    }

    fn log_notes(&self) {
        while let Some(note) = self.notes.take() {
            let (sid, news) = (note.sid, note.news);
            if let (News::Pair(PairNews::Differs { .. }), Some(giver)) = (&news, &self.giver) {
                giver.differs(sid);
            }
            if news.is_trouble() {
                warn!(%sid, "{news}");
            } else {
                info!(%sid, "{news}");
            }
        }
    }

    /// SIGHUP: what can be taken over is, what cannot is named.
    fn reload(&mut self) {
        let Args {
            config,
            host_config,
            ..
        } = &self.args;
        let read = Config::read(
            self.config.role,
            config,
            host_config.as_deref(),
            &self.args.overrides(),
        );
        match read {
            Err(error) => error!("reload refused, everything stays as it was: {error}"),
            Ok(new) => {
                if new.host.log != self.config.host.log {
                    match self.level.set(&new.host.log) {
                        Ok(()) => self.config.host.log = new.host.log.clone(),
                        Err(error) => error!("{error}"),
                    }
                }
                let same = new.digest() == self.config.digest();
                info!(
                    log = %self.config.host.log,
                    conversion_unchanged = same,
                    "reloaded: `log` is taken over; everything else takes a restart"
                );
            }
        }
    }

    /// TERM or INT: streams end, the link says goodbye, the seat is given back.
    fn leave(self, signal: i32) -> Result<(), AdapterError> {
        info!(signal, "draining");
        let ended = self.drain();
        self.link.leave();
        self.stop.stop();
        // Nothing is written once the seat may be another's.
        drop(self.remembering);
        if self.present.standing().admin_up
            && let Err(error) = self.seat.leave(&self.assignment)
        {
            warn!("{error}; the lease ends by itself");
        }
        info!("ended");
        ended
    }

    /// The seat is not, or no longer, ours, nor ours to give back: streams end, the link says goodbye, and
    /// the reason is the result.
    fn give_way(self, reason: AdapterError) -> Result<(), AdapterError> {
        warn!("{reason}; draining");
        self.remembering.forget();
        if let Err(error) = self.drain() {
            error!("{error}");
        }
        self.link.leave();
        self.stop.stop();
        Err(reason)
    }

    /// Waits until the data thread has ended its streams.
    fn drain(&self) -> Result<(), AdapterError> {
        self.present.update(|now| now.draining = true);
        let told = self.mailbox.tell(Command::Drain);
        let ended = self.inputs.ended.recv_timeout(DRAIN_LIMIT);
        if !told || ended.is_err() {
            warn!("the data thread did not end within {DRAIN_LIMIT:?}");
        }
        self.log_notes();
        ended.unwrap_or(Ok(()))
    }

    /// The data thread ended by itself; `None` if it panicked.
    fn after_data(self, ended: Option<Result<(), AdapterError>>) -> Result<(), AdapterError> {
        self.log_notes();
        self.link.leave();
        self.stop.stop();
        ended.unwrap_or_else(|| {
            let panicked = std::io::Error::other("it panicked; the panic is on stderr");
            Err(AdapterError::system("go on without the data thread")(
                panicked,
            ))
        })
    }
}

fn start_link(
    config: &Config,
    incarnation: Incarnation,
    assignment: &Assignment,
    bound: BoundLink,
    spoken: Spoken,
    told: ToData,
) -> Result<LinkThread, AdapterError> {
    let us = Hello {
        feed_digest: config.feed_digest(),
        config_digest: config.digest(),
        incarnation,
        generation: Generation(assignment.generation.0),
        preferred_role: config.role,
        role: wire_role(assignment.role),
    };
    let limits = LinkLimits {
        beat: config.pair.beat,
        missed_beats: config.pair.missed_beats,
    };
    let known = assignment.peer.as_ref().map(|peer| peer.link_address);
    bound
        .start(us, limits, known.or(config.pair.peer), spoken, told)
        .map_err(AdapterError::system("start the pair link's thread"))
}

/// Takes what the link has to say to the data thread, past the control thread.
struct ToData {
    mailbox: Mailbox,
    notices: Sender<Notice>,
    errands: Sender<Errand>,
}

impl Told for ToData {
    fn notice(&mut self, notice: Notice) {
        match notice {
            // A hanging data thread is seen by whoever sends it the next grant.
            Notice::PeerLost => drop(self.mailbox.tell(Command::PeerLost(true))),
            Notice::Paired(_) => drop(self.mailbox.tell(Command::PeerLost(false))),
            Notice::PeerLeft | Notice::Down(_) | Notice::Refused(_) => {}
        }
        let _ = self.notices.send(notice);
    }

    fn hear(&mut self, pairing: u64, heard: Heard) -> bool {
        if let Heard::Said(frame) = heard
            && is_for_workshop(&frame)
        {
            // What finds no room there is missing, and spoils the transfer alone.
            let _ = self.errands.try_send(Errand::Frame(pairing, frame));
            return true;
        }
        self.mailbox.tell(Command::Heard(pairing, heard))
    }
}

/// Bytes of stack of a thread that only waits.
const PARTING_STACK: usize = 64 << 10;

/// Most that the lease's thread has to say and waits for the control thread, beside one change; then that waits, too.
const MOST_LEARNT: usize = 64;
/// How long this thread, which comes around every [`NOTES_INTERVAL`], may be away before what it finds on its return
/// may be old: another generation may have begun meanwhile.
const STANDSTILL: Duration = Duration::from_millis(250);
/// How late a note may reach the log.
const NOTES_INTERVAL: Duration = Duration::from_millis(50);
/// How long the data thread may take to end its streams.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
