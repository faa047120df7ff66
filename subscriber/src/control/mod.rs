//! Who asks stream-admin, tells it how things go, and brings its decisions to the poller?
//!
//! ```text
//!   sockets bound ─► subscribe ─► plan ─► legs heard? ─► confirm ─► ┌─ notices, receipts, renew ─┐
//!                      │ away: last grant, unverified               └─ one turn of the watch ◄───┘
//!                      └ refused: Closed
//! ```
//!
//! One thread does all of it and may block; the poller never waits for it. With stream-admin dead it
//! keeps trying, keeps receipts for later, and nothing on the data path changes; nor does it when
//! stream-admin refuses, which [`Monitor::trouble`] shows until it is mended. When a subscription is
//! gone (stream-admin lost it) it subscribes again with the same addresses; when access is withdrawn the
//! application gets [`crate::Event::Closed`] and both sockets close.

mod duties;
mod plan;
mod report;
mod rings;
mod saved;
mod thread;
mod verdict;

#[cfg(feature = "fuzz")]
pub use saved::rewritten;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use twinfeed_control as admin;
use twinfeed_control::{
    Backoff, Client, Confirm, Grant, StopFlag, Subscribe, SubscriptionId, SubscriptionState, Turn,
    Watched,
};
use twinfeed_net::udp::BufferReport;
use twinfeed_protocol::{CloseReason, Leg};
use twinfeed_wire::Generation;

use crate::builder::Settings;
use crate::error::Error;
use crate::fills::FillSocket;
use crate::filter::FilterSwitch;
use crate::monitor::{Administration, Monitor};
use crate::queue::{Command, ControlEnd};
use crate::receive::{LegSocket, SocketKey};
use crate::snapshots::{ControlSnapshots, Refresher};
use plan::{Ledger, Means};
use rings::Rings;
use saved::{Saved, Shelf};
use verdict::Verdict;

pub use duties::RECEIPTS_KEPT;
pub use plan::{MAX_SOCKETS, MAX_SOURCES};
pub use thread::ControlThread;

/// The control half of a subscription. Made by [`crate::Builder::open`]; driven by
/// [`Control::spawn`] or, on a thread of the application's own, by [`Control::run`].
#[derive(Debug)]
pub struct Control {
    settings: Settings,
    client: Client,
    end: ControlEnd,
    monitor: Monitor,
    filter: FilterSwitch,
    shelf: Option<Shelf>,
    /// The grant of an earlier life, until one of this life is in force.
    resumable: Option<Grant>,
    destinations: [SocketAddr; 2],
    unicast: [Option<LegSocket>; 2],
    /// Where answers to requests for what was missed are received; `None`: nobody is asked.
    fill_address: Option<SocketAddr>,
    fills: Option<FillSocket>,
    buffers: [BufferReport; 2],
    ledger: Ledger,
    /// The newest grant, and whether the poller stands as it says.
    grant: Option<Grant>,
    in_force: bool,
    granted_at: Instant,
    confirmed: Option<Confirm>,
    renewed_at: Instant,
    outbox: VecDeque<admin::Receipt>,
    receipts: u64,
    /// Where snapshots are fetched, if they are.
    snapshots: Option<ControlSnapshots>,
    rings: Rings,
}

/// Why a run of the control half ended without an error.
#[derive(Clone, Debug, Eq, PartialEq)]
enum End {
    /// Its flag was raised, or nobody polls any more.
    Stopped,
    /// stream-admin withdrew the access.
    Withdrawn(String),
}

impl Control {
    pub(crate) fn new(
        settings: Settings,
        client: Client,
        end: ControlEnd,
        filter: FilterSwitch,
        snapshots: Option<ControlSnapshots>,
    ) -> Result<Self, Error> {
        let shelf = settings
            .state_dir
            .as_deref()
            .map(|directory| Shelf::new(directory, &settings.feed))
            .transpose()?;
        let saved = shelf.as_ref().map(Shelf::load).transpose()?.flatten();
        let before = saved.as_ref().and_then(|saved| saved.fills);
        let (unicast, resumable) = bind(&settings, saved)?;
        let fills = bind_fills(&settings, before.filter(|_| resumable.is_some()))?;
        let monitor = Monitor::new(settings.feed.clone(), end.snapshot.clone());
        Ok(Self {
            client,
            end,
            monitor,
            filter,
            shelf,
            resumable,
            destinations: [unicast[0].local(), unicast[1].local()],
            buffers: [unicast[0].buffer(), unicast[1].buffer()],
            unicast: unicast.map(Some),
            fill_address: fills.as_ref().map(FillSocket::local),
            fills,
            ledger: Ledger::default(),
            grant: None,
            in_force: false,
            granted_at: Instant::now(),
            confirmed: None,
            renewed_at: Instant::now(),
            outbox: VecDeque::new(),
            receipts: 0,
            snapshots,
            rings: Rings::new(settings.ring_users()),
            settings,
        })
    }

    /// A view for other threads.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        self.monitor.clone()
    }

    /// What changes the filter, for other threads.
    #[must_use]
    pub fn filter_switch(&self) -> FilterSwitch {
        self.filter.clone()
    }

    /// What wants snapshots in mid-session, for other threads; `None` where none are asked for: see [`crate::Builder::snapshots`].
    #[must_use]
    pub fn refresher(&self) -> Option<Refresher> {
        self.snapshots.as_ref().map(ControlSnapshots::refresher)
    }

    /// Where leg 0 and leg 1 are received when the feed is unicast.
    #[must_use]
    pub const fn destinations(&self) -> [SocketAddr; 2] {
        self.destinations
    }

    /// The unicast sockets' receive buffers as asked for and as granted; a clamped one is a warning that
    /// says which sysctl to set.
    pub const fn buffers(&self) -> [BufferReport; 2] {
        self.buffers
    }

    /// Asks stream-admin for both legs, with growing delays until it answers or `stop` is raised; returns
    /// whether something is in force. [`Control::run`] does this by itself; call it first to learn of a
    /// refusal before records are expected.
    ///
    /// With [`crate::Builder::no_wait`] one attempt is made. A grant of an earlier life is put in force
    /// while stream-admin is away.
    ///
    /// # Errors
    /// [`Error::Administration`] with the reason of a refusal, [`Error::Grant`], [`Error::Network`].
    pub fn subscribe(&mut self, stop: &StopFlag) -> Result<bool, Error> {
        let mut backoff = self.backoff();
        while !stop.is_stopped() && !self.end.is_abandoned() {
            match self.ask() {
                Ok(grant) => {
                    self.monitor.set_refusal(None);
                    return self.granted(grant).map(|()| true);
                }
                Err(error) => {
                    let verdict = Verdict::of(&error);
                    if matches!(verdict, Verdict::Withdrawn(_)) {
                        return Err(error.into());
                    }
                    let resumed = self.resume(&error)?;
                    // What is in force outlives a refusal; what never was does not begin with one.
                    if !resumed && (self.settings.no_wait || verdict != Verdict::Away) {
                        return Err(error.into());
                    }
                    self.show_refusal(&verdict, &error);
                    if resumed && self.settings.no_wait {
                        return Ok(true);
                    }
                    if stop.wait(backoff.next_delay()) {
                        break;
                    }
                }
            }
        }
        Ok(false)
    }

    /// One request for both legs. A multicast feed takes no addresses, which stream-admin says by refusing
    /// the first attempt; the second goes without.
    fn ask(&self) -> Result<Grant, admin::Error> {
        let mut request = Subscribe {
            feed: self.settings.feed.clone(),
            sids: self.settings.selection.clone(),
            application: self.settings.application.clone(),
            destinations: Some(self.destinations),
            fills: self.fill_address,
            policy: self.settings.policy(),
        };
        let first = match self.client.subscribe(&request) {
            Err(first @ admin::Error::Refused { status: 400, .. }) => first,
            other => return other,
        };
        // A stream-admin of before 0.5 does not know of fills, and refuses whatever it does not know.
        let attempts = [
            (None, self.fill_address),
            (Some(self.destinations), None),
            (None, None),
        ];
        for (destinations, fills) in attempts {
            (request.destinations, request.fills) = (destinations, fills);
            match self.client.subscribe(&request) {
                Err(again) if !again.is_worth_retrying() => {}
                other => return other,
            }
        }
        Err(first)
    }

    /// Does the control half's work on this thread until `stop` is raised, the poller is dropped, or
    /// access is withdrawn. The poller is told `Closed` in every case, unless it is gone.
    ///
    /// # Errors
    /// As [`Control::subscribe`]: whatever makes going on pointless.
    pub fn run(mut self, stop: &StopFlag) -> Result<(), Error> {
        let seed = self.seed();
        let fetching = self.snapshots.as_ref().map(|it| it.spawn(seed));
        let outcome = match fetching.transpose() {
            Ok(_) => self.run_until(stop),
            Err(error) => Err(error),
        };
        let (reason, text) = match &outcome {
            Ok(End::Stopped) => (
                CloseReason::ByApplication,
                "ended by the application".into(),
            ),
            Ok(End::Withdrawn(reason)) => (CloseReason::Revoked, reason.clone()),
            Err(error) => (CloseReason::Refused, error.to_string()),
        };
        self.monitor.set(Administration::Closed { reason: text });
        self.end.close(reason);
        match &outcome {
            Ok(End::Stopped) => self.take_leave(),
            Ok(End::Withdrawn(_)) | Err(_) => {
                if let Some(shelf) = &self.shelf {
                    shelf.forget()?;
                }
            }
        }
        outcome.map(|_| ())
    }

    fn run_until(&mut self, stop: &StopFlag) -> Result<End, Error> {
        loop {
            if self.subscription().is_none() {
                match self.subscribe(stop) {
                    Ok(true) => {}
                    Ok(false) => return Ok(End::Stopped),
                    Err(Error::Administration(admin::Error::NotEntitled { message, .. }))
                        if self.ledger.is_started() =>
                    {
                        return Ok(End::Withdrawn(message));
                    }
                    Err(error) => return Err(error),
                }
            }
            let Some(subscription) = self.subscription() else {
                // In force from an earlier life, one attempt only: go on without stream-admin.
                if stop.wait(self.backoff().next_delay()) || self.end.is_abandoned() {
                    return Ok(End::Stopped);
                }
                continue;
            };
            self.await_first_datagrams(stop);
            if let Some(end) = self.follow(&subscription, stop)? {
                return Ok(end);
            }
            // Gone: another one, with the same addresses.
            self.grant = None;
            self.confirmed = None;
        }
    }

    /// Renews and watches one subscription until it is gone (`None`) or everything is over.
    fn follow(
        &mut self,
        subscription: &SubscriptionId,
        stop: &StopFlag,
    ) -> Result<Option<End>, Error> {
        let watching = |control: &Self| {
            let backoff = control.backoff();
            let client = &control.client;
            client.watch_subscription(subscription, backoff, stop.clone())
        };
        let (mut watch, mut pause) = (watching(self), self.backoff());
        loop {
            if self.end.is_abandoned() {
                return Ok(Some(End::Stopped));
            }
            if let Err(error) = self.duties(subscription) {
                match Verdict::of(&error) {
                    Verdict::Gone => return Ok(None),
                    Verdict::Withdrawn(reason) => return Ok(Some(End::Withdrawn(reason))),
                    verdict @ (Verdict::Away | Verdict::Trouble) => {
                        self.away(&error);
                        self.show_refusal(&verdict, &error);
                    }
                }
            }
            match watch.turn() {
                Turn::Quiet => {}
                Turn::Over => return Ok(Some(End::Stopped)),
                Turn::Told(Watched::Snapshot(grant)) => {
                    if let SubscriptionState::Closed { reason } = grant.access {
                        return Ok(Some(End::Withdrawn(reason)));
                    }
                    pause.reset();
                    self.granted(grant)?;
                }
                Turn::Told(Watched::Lost(error)) => self.away(&error),
                Turn::Told(Watched::Ended(error)) => match Verdict::of(&error) {
                    Verdict::Gone => return Ok(None),
                    Verdict::Withdrawn(reason) => return Ok(Some(End::Withdrawn(reason))),
                    verdict @ (Verdict::Away | Verdict::Trouble) => {
                        self.away(&error);
                        self.show_refusal(&verdict, &error);
                        // Duties go on meanwhile, so the pause must not outlast a renewal.
                        let pause = pause.next_delay().min(self.renewal_interval());
                        if stop.wait(pause) {
                            return Ok(Some(End::Stopped));
                        }
                        watch = watching(self);
                    }
                },
            }
        }
    }

    /// A refusal stays on show until a renewal or a subscription succeeds.
    fn show_refusal(&self, verdict: &Verdict, error: &admin::Error) {
        if *verdict == Verdict::Trouble {
            self.monitor.set_refusal(Some(error.to_string()));
        }
    }

    fn granted(&mut self, grant: Grant) -> Result<(), Error> {
        if let SubscriptionState::Closed { reason } = &grant.access {
            return Err(Error::Grant {
                feed: grant.feed.to_string(),
                cause: format!("it came closed: {reason}"),
                remedy: "ask whoever runs stream-admin for access",
            });
        }
        let first = self.subscription().is_none();
        if first {
            self.granted_at = Instant::now();
            self.renewed_at = Instant::now();
        }
        if let Some(shelf) = &self.shelf {
            let saved = shelf.save(self.destinations, self.fill_address, &grant);
            self.monitor
                .set_trouble(saved.err().map(|error| error.to_string()));
        }
        self.resumable = None;
        self.grant = Some(grant);
        self.in_force = false;
        let planned = self.plan();
        self.present();
        match planned {
            Err(error) if first && !self.ledger.is_started() => Err(error),
            planned => {
                self.note(planned);
                Ok(())
            }
        }
    }

    /// Puts the grant of an earlier life in force, once; returns whether one is.
    fn resume(&mut self, why: &admin::Error) -> Result<bool, Error> {
        let reason = why.to_string();
        if let Some(grant) = self.resumable.take() {
            self.grant = Some(grant);
            self.in_force = false;
            let planned = self.plan();
            self.grant = None;
            planned?;
        }
        let resumed = self.ledger.is_started();
        self.monitor.set(match resumed {
            true => Administration::Unverified { reason },
            false => Administration::Connecting { reason },
        });
        Ok(resumed)
    }

    fn put_in_force(&mut self) {
        if !self.in_force && self.grant.is_some() {
            let planned = self.plan();
            self.note(planned);
        }
    }

    fn note(&self, planned: Result<(), Error>) {
        if let Err(error) = planned {
            self.monitor.set_trouble(Some(error.to_string()));
        }
    }

    /// Sends the difference to the newest grant, if the poller has room for it.
    fn plan(&mut self) -> Result<(), Error> {
        let Some(grant) = &self.grant else {
            return Ok(());
        };
        if !self.end.has_room() {
            return Ok(());
        }
        let sockets = self.settings.sockets(&grant.constraints);
        let mut limits = plan::limits(&grant.constraints, &self.settings.tuning);
        limits.repair.fill_seed = self.seed();
        let means = Means {
            limits,
            sockets: &sockets,
            unicast: &mut self.unicast,
            resume: self.settings.resume(),
            fills: &mut self.fills,
        };
        let (ledger, plan) = self.ledger.plan(grant, means)?;
        self.in_force = plan.is_empty() || self.end.command(Command::Plan(Box::new(plan))).is_ok();
        if self.in_force {
            self.ledger = ledger;
            self.monitor.set_kept(self.ledger.kept());
            if let Some(snapshots) = &self.snapshots {
                snapshots.set_servers(self.ledger.snapshot_servers(self.fill_address));
            }
        }
        Ok(())
    }

    fn subscription(&self) -> Option<SubscriptionId> {
        self.grant.as_ref().map(|grant| grant.subscription.clone())
    }

    fn present(&self) {
        if let Some(grant) = &self.grant {
            let silent = self.confirmed.iter().flat_map(|said| &said.silent);
            self.monitor.set(Administration::Granted {
                subscription: grant.subscription.clone(),
                generation: Generation(grant.generation.0),
                revision: grant.revision,
                silent: silent.map(|&leg| plan::leg_of(leg)).collect(),
            });
        }
    }

    fn away(&self, error: &admin::Error) {
        let reason = error.to_string();
        self.monitor.set(Administration::Away { reason });
    }

    /// Gives the subscription back; stream-admin's lease does it when this does not get through.
    fn take_leave(&mut self) {
        if let Some(subscription) = self.subscription() {
            // Receipts of the last second belong into the history; then nothing more is owed.
            let _ = self.duties(&subscription);
            let _ = self.client.unsubscribe(&subscription);
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::with_seed(self.seed())
    }

    /// Another for every subscription of a host.
    fn seed(&self) -> u64 {
        let ports = self.destinations.map(|address| u64::from(address.port()));
        u64::from(std::process::id()) << 32 | ports[0] << 16 | ports[1]
    }
}

/// Binds one socket per leg, on the addresses of an earlier life if they are still free; only then its
/// grant can be resumed.
fn bind(
    settings: &Settings,
    saved: Option<Saved>,
) -> Result<([LegSocket; 2], Option<Grant>), Error> {
    if let Some(Saved {
        destinations,
        grant,
        ..
    }) = saved
        && let Ok(sockets) = bind_to(settings, destinations)
    {
        return Ok((sockets, Some(grant)));
    }
    let local = settings.local_addresses()?;
    Ok((bind_to(settings, local)?, None))
}

/// Binds the socket for fills, on the address of an earlier life if that is still free: adapters know it.
fn bind_fills(
    settings: &Settings,
    before: Option<SocketAddr>,
) -> Result<Option<FillSocket>, Error> {
    if !settings.asks() {
        return Ok(None);
    }
    let sockets = settings.sockets_before_grant();
    if let Some(before) = before
        && let Ok(socket) = FillSocket::open(before, &sockets)
    {
        return Ok(Some(socket));
    }
    FillSocket::open(settings.fill_address()?, &sockets).map(Some)
}

fn bind_to(settings: &Settings, local: [SocketAddr; 2]) -> Result<[LegSocket; 2], Error> {
    let sockets = settings.sockets_before_grant();
    let open = |leg: Leg| {
        let key = SocketKey(leg.index() as u32);
        LegSocket::unicast(key, leg, local[leg.index()], &sockets)
    };
    Ok([open(Leg::Zero)?, open(Leg::One)?])
}
