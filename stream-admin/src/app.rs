//! In which order do request, disk, answer and watchers follow each other?
//!
//! ```text
//!   request ─► registry ─► store.commit ─► answer
//!   request ─► registry ─┘      │   └────► answer
//!                 │             └─ failed: registry put back, 503 to each, not ready
//!                 └─ changed feeds ─► watchers draw their documents anew
//! ```
//!
//! One lock covers registry and store, so what is on the disk is a prefix of what was answered. Requests that came while
//! the disk was at work are done together, and written at once: however many applications come in the same moment, a renewal
//! waits for two writes at most, and so does each of them.
//! Everything that takes the lock runs on the blocking pool: a slow disk holds up no connection that
//! does not need it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, oneshot, watch};
use tracing::{error, info, warn};
use twinfeed_control::{FeedName, Problem, ProblemCode, ServerStatus, Status};

use crate::api::auth::Auth;
use crate::clock::{Attention, Clock};
use crate::config::{Config, ConfigError, FeedConfig};
use crate::grant::Entitlements;
use crate::lease::Now;
use crate::registry::{FeedBackup, FeedCounts, Registry};
use crate::store::{Store, StoreError};

/// Everything that handlers share.
pub struct App {
    core: Mutex<Core>,
    /// What was asked for and may change durable state, in order.
    asked: Mutex<Vec<Request>>,
    clock: Clock,
    /// One per feed; its value is of no meaning, its change is.
    changes: BTreeMap<FeedName, watch::Sender<()>>,
    draining: watch::Sender<bool>,
    /// Permits for watches.
    pub(crate) watches: Arc<Semaphore>,
    pub(crate) auth: Auth,
    pub(crate) config: Config,
}

/// Does what was asked for; returns the feed as it was before, and what answers once that is on the disk, or could not be written.
type Request = Box<dyn FnOnce(&App, &mut Core) -> (Option<FeedBackup>, Answer) + Send>;
/// Answers a request, by whether what it did is durable.
type Answer = Box<dyn FnOnce(bool) + Send>;

struct Core {
    registry: Registry,
    store: Box<dyn Store>,
    store_up: bool,
    attention: Attention,
}

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is at fault.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store is at fault.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl App {
    /// Loads what was saved and begins a run.
    ///
    /// # Errors
    ///
    /// [`StartError`]: a token file, or the store.
    pub fn start(config: Config, mut store: Box<dyn Store>) -> Result<Arc<Self>, StartError> {
        config.check()?;
        let auth = Auth::new(&config)?;
        let clock = Clock::start();
        let configured = config.principals.iter();
        let configured = configured
            .map(|one| (one.name.clone(), one.feeds.set()))
            .collect();
        let feeds: Vec<_> = config.feeds.iter().map(FeedConfig::settings).collect();
        let changes = feeds
            .iter()
            .map(|feed| (feed.name.clone(), watch::Sender::new(())));
        let changes = changes.collect();
        let entitlements = Entitlements::new(configured);
        let saved = store.load()?;
        let mut attention = Attention::default();
        let (now, _) = attention.look(clock.now());
        let mut registry = Registry::new(config.settings(), feeds, entitlements, saved, now);
        store.commit(&registry.take_writes())?;
        let watches = Arc::new(Semaphore::new(config.limits.watches));
        let core = Mutex::new(Core {
            registry,
            store,
            store_up: true,
            attention,
        });
        let draining = watch::Sender::new(false);
        Ok(Arc::new(Self {
            core,
            asked: Mutex::default(),
            clock,
            changes,
            draining,
            watches,
            auth,
            config,
        }))
    }

    /// Runs a request that may change durable state of `feed`; its answer is on the disk first.
    ///
    /// # Errors
    ///
    /// Those of `request`; `unavailable` when the disk did not take it.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        feed: impl FnOnce(&Registry) -> Option<FeedName> + Send + 'static,
        request: impl FnOnce(&mut Registry, Now) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (answers, answered) = oneshot::channel();
        let work = move |app: &Self, core: &mut Core| {
            let backup = feed(&core.registry).and_then(|name| core.registry.feed_backup(&name));
            let now = app.now(core);
            let answer = request(&mut core.registry, now);
            let answer = move |durable| {
                let answer = if durable { answer } else { Err(unavailable()) };
                // Who asked may have hung up.
                let _ = answers.send(answer);
            };
            let answer: Answer = Box::new(answer);
            (backup, answer)
        };
        lock(&self.asked).push(Box::new(work));
        let app = self.clone();
        // Whoever is at work before it may do it: the answer is waited for, not this.
        drop(tokio::task::spawn_blocking(move || app.work_off()));
        answered.await.unwrap_or_else(|_| Err(internal()))
    }

    /// Does all that was asked for so far, writes it at once, and answers.
    fn work_off(&self) {
        let mut core = lock(&self.core);
        let asked = std::mem::take(&mut *lock(&self.asked));
        if asked.is_empty() {
            // Whoever was at work before did it.
            return;
        }
        core.registry.note_time(Clock::unix_us());
        let done = asked.into_iter().filter_map(|request| {
            // A panic is nobody else's: whoever asked for that is told of a failure here.
            catch_unwind(AssertUnwindSafe(|| request(self, &mut core))).ok()
        });
        let (backups, answers): (Vec<_>, Vec<_>) = done.unzip();
        let written = core.commit();
        if let Err(error) = &written {
            error!(%error, requests = answers.len(), "the state could not be written; what was asked for is undone");
            // The oldest last: it is how the feed was before all of them.
            for backup in backups.into_iter().rev().flatten() {
                core.registry.put_back(backup);
            }
        }
        self.tell(&mut core);
        drop(core);
        for answer in answers {
            answer(written.is_ok());
        }
    }

    /// Runs a request that changes nothing durable.
    ///
    /// # Errors
    ///
    /// Those of `request`.
    pub(crate) async fn volatile<T: Send + 'static>(
        self: &Arc<Self>,
        request: impl FnOnce(&mut Registry, Now) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.blocking(move |app, core| {
            let now = app.now(core);
            request(&mut core.registry, now)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self, &mut Core) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let app = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut core = lock(&app.core);
            core.registry.note_time(Clock::unix_us());
            let answer = work(&app, &mut core);
            app.tell(&mut core);
            answer
        });
        done.await.unwrap_or_else(|_| Err(internal()))
    }

    /// Lets leases lapse, and does what no request asks for.
    pub(crate) async fn tick(self: &Arc<Self>) {
        let ticked = self.blocking(|app, core| {
            let now = app.now(core);
            core.registry.tick(now);
            if let Err(error) = core.commit() {
                // Closing again after a restart does no harm, so nothing is put back.
                error!(%error, "lapsed subscriptions could not be written");
            }
            let now = app.now(core);
            // A generation that is not on the disk is none, and neither is an order.
            for name in core.registry.feeds_with_silent_actives(now) {
                core.act(&name, |registry| registry.replace_silent_active(&name, now));
            }
            // While a generation is handed over nothing is ordered, so what there is to tell comes first.
            for name in core.registry.feeds_with_source_news(now) {
                core.act(&name, |registry| registry.tell_of_sources(&name, now));
            }
            for name in core.registry.feeds_with_lost_sources(now) {
                core.act(&name, |registry| registry.hand_over_lost_source(&name, now));
            }
            for name in core.registry.feeds_to_hand_back(now) {
                core.act(&name, |registry| registry.hand_back(&name, now));
            }
            Ok(())
        });
        drop(ticked.await);
    }

    /// The time of leases.
    fn now(&self, core: &mut Core) -> Now {
        let (now, stall) = core.attention.look(self.clock.now());
        if let Some(stall) = stall {
            warn!(
                milliseconds = stall,
                "this server attended to nobody: no lease ended meanwhile"
            );
        }
        now
    }

    fn tell(&self, core: &mut Core) {
        for event in core.registry.take_events() {
            let (feed, leg) = (event.feed.as_str(), event.leg.index());
            let (generation, state) = (event.generation.0, event.state.word());
            info!(
                feed,
                leg,
                generation,
                state,
                reason = event.reason,
                "leg state"
            );
        }
        for change in core.registry.take_role_events() {
            let outcome = serde_json::to_string(&change.outcome).unwrap_or_default();
            let adapter = change.adapter.as_ref().map_or("", |id| id.as_str());
            info!(
                target: "audit",
                number = change.number, by = change.by, cause = change.cause.word(), feed = %change.feed,
                from = change.from.0, adapter, outcome, "change of roles"
            );
        }
        for order in core.registry.take_order_events() {
            info!(
                target: "audit",
                operator = order.operator, action = order.message.word(), feed = %order.feed,
                sid = order.sid.0, key = order.key, "ordered by itself"
            );
        }
        for change in core.registry.take_content_events() {
            let (adapter, sid) = (change.adapter, change.sid.0);
            match change.diverged_range {
                Some(range) => warn!(
                    target: "audit",
                    %adapter, sid, range, "divergence: it sends other content than its active under equal numbers"
                ),
                None => info!(
                    target: "audit",
                    %adapter, sid, "divergence over: it sends what its active sends"
                ),
            }
        }
        for name in core.registry.take_changed() {
            if let Some(feed) = self.changes.get(&name) {
                feed.send_replace(());
            }
        }
    }

    /// Becomes ready whenever a document of the feed may have changed.
    pub(crate) fn changes(&self, feed: &FeedName) -> Option<watch::Receiver<()>> {
        self.changes.get(feed).map(watch::Sender::subscribe)
    }

    /// Turns true once the server is on its way out.
    pub(crate) fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// Ends watches and readiness.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Everything an operator sees.
    pub(crate) async fn status(self: &Arc<Self>) -> Result<(Status, Vec<FeedCounts>), Problem> {
        self.blocking(|app, core| {
            let now = app.now(core);
            let (stalls, stalled_ms) = core.attention.stalls();
            let draining = *app.draining.borrow();
            let reason = match (draining, core.store_up) {
                (true, _) => "it is draining",
                (false, false) => "the store refuses writes",
                (false, true) => "",
            };
            let server = ServerStatus {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                uptime_ms: app.clock.now().0,
                at_unix_us: Clock::unix_us(),
                ready: reason.is_empty(),
                reason: reason.to_owned(),
                store_up: core.store_up,
                stalls,
                stalled_ms,
            };
            let status = Status {
                server,
                feeds: core.registry.status(now),
            };
            Ok((status, core.registry.counts()))
        })
        .await
    }
}

impl Core {
    /// Lets the registry do something about a feed by itself; what does not reach the disk is undone.
    fn act(&mut self, name: &FeedName, act: impl FnOnce(&mut Registry)) {
        let backup = self.registry.feed_backup(name);
        act(&mut self.registry);
        if let (Err(error), Some(backup)) = (self.commit(), backup) {
            error!(%error, feed = %name, "the state could not be written; what was to be done by itself is undone");
            self.registry.put_back(backup);
        }
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let writes = self.registry.take_writes();
        if writes.is_empty() {
            return Ok(());
        }
        let done = self.store.commit(&writes);
        self.store_up = done.is_ok();
        done
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable() -> Problem {
    Problem {
        code: ProblemCode::Unavailable,
        message: "the state could not be written, so nothing was changed".to_owned(),
        remedy: "try again; if it lasts, look at stream-admin's log and its disk".to_owned(),
        retry_in_ms: None,
    }
}

pub(crate) fn internal() -> Problem {
    Problem {
        code: ProblemCode::Internal,
        message: "stream-admin failed at this request".to_owned(),
        remedy: "report it with the lines of its log".to_owned(),
        retry_in_ms: None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::runtime::Runtime;
    use twinfeed_control::{Policy, Selection, Subscribe};

    use super::*;
    use crate::config::TokenHash;
    use crate::registry::Caller;
    use crate::registry::record::{Record, Write};
    use crate::store::MemoryStore;

    /// A disk that is done with a write when it is told so, and whether that went well.
    struct Disk {
        kept: MemoryStore,
        begins: mpsc::Sender<()>,
        ends: mpsc::Receiver<bool>,
    }

    impl Store for Disk {
        fn load(&mut self) -> Result<Vec<Record>, StoreError> {
            self.kept.load()
        }

        fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
            self.begins.send(()).unwrap();
            self.kept.set_failing(!self.ends.recv().unwrap());
            self.kept.commit(writes)
        }
    }

    fn config() -> Config {
        let hash: String = TokenHash::of("t")
            .0
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect();
        let text = format!(
            "listen = \"127.0.0.1:0\"\nstate = \"memory\"\n[[principal]]\nname = \"desk\"\n\
             kind = \"subscriber\"\nfeeds = \"all\"\ntoken_sha256 = \"{hash}\"\n[[feed]]\nname = \"itch\"\n"
        );
        Config::parse(&text).unwrap()
    }

    fn asked(app: &Arc<App>, port: u16) -> impl Future<Output = Result<(), Problem>> + use<> {
        let app = app.clone();
        async move {
            let request = Subscribe {
                feed: "itch".parse().unwrap(),
                sids: Selection::All,
                application: "test".to_owned(),
                destinations: Some([port, port + 1].map(|it| ([127, 0, 0, 1], it).into())),
                fills: None,
                policy: Policy::FirstArrival,
            };
            let feed = request.feed.clone();
            let answer = app.change(
                move |_| Some(feed),
                move |registry, now| {
                    let caller = Caller {
                        principal: "desk",
                        operator: false,
                        address: None,
                    };
                    registry.subscribe(&caller, request, now)
                },
            );
            answer.await.map(drop)
        }
    }

    /// Of thirty that come while the disk is at work, those behind the first are written together; a disk that refuses undoes
    /// them all.
    #[test]
    fn who_comes_while_the_disk_is_at_work_is_written_together() {
        let runtime = Runtime::new().unwrap();
        let (begins, begun) = mpsc::channel();
        let (end, ends) = mpsc::channel();
        let kept = MemoryStore::default();
        let disk = Disk {
            kept: kept.clone(),
            begins,
            ends,
        };
        end.send(true).unwrap();
        let app = App::start(config(), Box::new(disk)).unwrap();
        begun.try_iter().for_each(drop);
        let mut port = 7_000;
        for (durable, subscribed) in [(false, 1), (true, 30)] {
            let mut ask = || {
                port += 2;
                runtime.spawn(asked(&app, port))
            };
            let first = ask();
            begun.recv().unwrap();
            let others: Vec<_> = (1..30).map(|_| ask()).collect();
            while lock(&app.asked).len() < others.len() {
                std::thread::yield_now();
            }
            end.send(true).unwrap();
            runtime.block_on(first).unwrap().unwrap();
            begun.recv().unwrap();
            end.send(durable).unwrap();
            for other in others {
                assert_eq!(runtime.block_on(other).unwrap().is_ok(), durable);
            }
            assert!(begun.try_recv().is_err(), "a third write");
            let (status, _) = runtime.block_on(app.status()).unwrap();
            let before = if durable { 1 } else { 0 };
            assert_eq!(status.feeds[0].subscriptions.len(), before + subscribed);
            assert_eq!(status.server.ready, durable);
            let records = kept.clone().load().unwrap();
            assert!(records.len() >= before + subscribed, "{}", records.len());
        }
    }
}
