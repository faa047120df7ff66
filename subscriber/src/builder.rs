//! What must an application say in order to subscribe, and what may it leave to the feed?
//!
//! Two things are needed: where stream-admin is, and which feed. Everything else has a default, and what
//! stream-admin says about the feed (heartbeat, lag, hold, datagram length) holds unless [`Tuning`] says
//! otherwise.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use twinfeed_control as admin;
use twinfeed_control::{Client, Constraints, FeedName, Secret, Selection};
use twinfeed_net::idle::Idle;
use twinfeed_net::interface::{Interface, Selector};
use twinfeed_protocol::{Cursor, Policy};
use twinfeed_wire::{LONGEST_DATAGRAM, Sid};

use crate::control::Control;
use crate::error::Error;
use crate::feed::Feed;
use crate::filter::{Filter, Mailbox};
use crate::joining::Joining;
use crate::poller::DataPoller;
use crate::queue::queues;
use crate::receive::SocketSettings;
use crate::snapshots::snapshots;
use crate::start::From;
use crate::tuning::Tuning;

/// Kernel buffer asked for per socket unless set, bytes: about 50 ms of a line at 100 MB/s.
pub const DEFAULT_RECEIVE_BUFFER: usize = 4 << 20;
/// Longest application name, bytes.
pub const MAX_APPLICATION: usize = 64;

/// How much a host gives for speed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Profile {
    /// Kind to a laptop: sleeps while nothing arrives, a clamped buffer is a warning.
    #[default]
    Shared,
    /// Spins while nothing arrives (unless [`Builder::idle`] says otherwise), and a clamped receive buffer
    /// is an error.
    LowLatency,
}

/// Collects what a subscription needs; nothing is opened before [`Builder::open`].
///
/// ```no_run
/// use twinfeed_subscriber::{Builder, Delivered, Event, Handler, RecordBody, record::MboMsg};
///
/// struct App;
/// impl Handler for App {
///     fn record(&mut self, record: &Delivered<'_>) {
///         if let Some(order) = record.dbn::<MboMsg>() {
///             println!("{} {} @ {}", record.pos, order.size, order.price);
///         }
///     }
///     fn event(&mut self, event: &Event) {
///         println!("{event:?}");
///     }
/// }
///
/// let builder = Builder::new("http://127.0.0.1:7400", "itch".parse()?).token_file("token");
/// let (mut poller, control) = builder.open()?;
/// let control = control.spawn()?;
/// poller.run(&mut App, &control.stop_flag())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    url: String,
    token: Option<Secret>,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    request_timeout: Option<Duration>,
    idle: Option<Idle>,
    core: Option<usize>,
    filter: Filter,
    settings: Settings,
}

/// What the control half goes on needing.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) feed: FeedName,
    pub(crate) selection: Selection,
    pub(crate) application: String,
    pub(crate) tuning: Tuning,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) confirm_within: Duration,
    pub(crate) no_wait: bool,
    /// Where the application begins.
    pub(crate) from: From,
    /// Whether snapshots may be asked for in mid-session.
    snapshots: bool,
    interface: Selector,
    ports: [u16; 2],
    fill_port: u16,
    receive_buffer: usize,
    profile: Profile,
    /// Whether rings are read, and whose beside this user's own and root's.
    ring: bool,
    ring_users: Vec<u32>,
}

impl Builder {
    /// A subscription to `feed` at the stream-admin at `url`, such as `http://127.0.0.1:7400`.
    #[must_use]
    pub fn new(url: impl Into<String>, feed: FeedName) -> Self {
        Self {
            url: url.into(),
            token: None,
            token_file: None,
            ca_file: None,
            request_timeout: None,
            idle: None,
            core: None,
            filter: Filter::all(),
            settings: Settings {
                feed,
                selection: Selection::All,
                application: default_application(),
                tuning: Tuning::default(),
                state_dir: None,
                confirm_within: Duration::from_secs(1),
                no_wait: false,
                from: From::Live,
                snapshots: false,
                interface: Selector::Address(LOOPBACK),
                ports: [0, 0],
                fill_port: 0,
                receive_buffer: DEFAULT_RECEIVE_BUFFER,
                profile: Profile::default(),
                ring: true,
                ring_users: Vec::new(),
            },
        }
    }

    /// The token to present.
    #[must_use]
    pub fn token(mut self, token: Secret) -> Self {
        self.token = Some(token);
        self
    }

    /// The file that holds the token, alone on its first line.
    #[must_use]
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.token_file = Some(path.into());
        self
    }

    /// A PEM file with the certificates to trust; without one, the public web's.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// How long one request to stream-admin may take; default 5 s.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = Some(timeout);
        self
    }

    /// Only these source streams; without it, whatever the feed has, now and later.
    #[must_use]
    pub fn sids(mut self, sids: impl IntoIterator<Item = Sid>) -> Self {
        let only = sids.into_iter().map(|sid| admin::Sid(sid.0)).collect();
        self.settings.selection = Selection::Only(only);
        self
    }

    /// Only the records of these instruments; without it, of all. It can be changed at any time, and never makes or hides a gap:
    /// see [`crate::filter`].
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// The application's name for people, 1 to [`MAX_APPLICATION`] bytes; default: the program's.
    #[must_use]
    pub fn application(mut self, name: impl Into<String>) -> Self {
        self.settings.application = name.into();
        self
    }

    /// Whose records are delivered; default first-arrival.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.settings.tuning.policy = policy;
        self
    }

    /// All of the arbiter's knobs, the policy included.
    #[must_use]
    pub fn tuning(mut self, tuning: Tuning) -> Self {
        self.settings.tuning = tuning;
        self
    }

    /// The interface that faces the adapters: groups are joined on it, and unicast is received on its
    /// first address (IPv4 before IPv6). Default 127.0.0.1.
    #[must_use]
    pub fn interface(mut self, interface: Selector) -> Self {
        self.settings.interface = interface;
        self
    }

    /// Unicast ports of leg 0 and leg 1, where a firewall wants to know them; default: the kernel's choice.
    #[must_use]
    pub fn ports(mut self, ports: [u16; 2]) -> Self {
        self.settings.ports = ports;
        self
    }

    /// UDP port on which adapters' answers are received, and from which they are asked; default: the kernel's choice.
    #[must_use]
    pub fn fill_port(mut self, port: u16) -> Self {
        self.settings.fill_port = port;
        self
    }

    /// Kernel buffer to ask for, per socket, bytes; default [`DEFAULT_RECEIVE_BUFFER`]. It is what stands
    /// between a paused application and a gap with cause `receiver_overrun`.
    #[must_use]
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.settings.receive_buffer = bytes;
        self
    }

    /// What the polling thread does while nothing arrives; default by [`Profile`].
    #[must_use]
    pub fn idle(mut self, idle: Idle) -> Self {
        self.idle = Some(idle);
        self
    }

    /// The core on which [`DataPoller::run`] pins its thread; default: not pinned.
    #[must_use]
    pub fn core(mut self, core: usize) -> Self {
        self.core = Some(core);
        self
    }

    /// Where the last grant is kept, so that a start while stream-admin is away resumes from it, marked
    /// unverified; without it such a start waits. One directory per application: two that share one would
    /// resume each other's grant.
    #[must_use]
    pub fn state_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.settings.state_dir = Some(directory.into());
        self
    }

    /// How much the host gives for speed.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.settings.profile = profile;
        self
    }

    /// How long a granted leg may be silent before it is reported; default 1 s.
    #[must_use]
    pub fn confirm_within(mut self, time: Duration) -> Self {
        self.settings.confirm_within = time;
        self
    }

    /// Fails at the first attempt when stream-admin is away (exit code 69), instead of trying on.
    #[must_use]
    pub fn no_wait(mut self, no_wait: bool) -> Self {
        self.settings.no_wait = no_wait;
        self
    }

    /// Whether a leg whose adapter is on this host is read from the adapter's ring in shared memory, where it has one; default yes, for
    /// applications that do not sleep until something comes ([`Idle::Block`]), for nothing in memory wakes anybody. It is the same
    /// stream, some microseconds earlier; while a ring cannot be had, or is silent, the leg comes by its sockets.
    #[must_use]
    pub fn ring(mut self, ring: bool) -> Self {
        self.settings.ring = ring;
        self
    }

    /// Users whose processes' rings are read, beside this process's own user and root.
    #[must_use]
    pub fn ring_users(mut self, users: impl IntoIterator<Item = u32>) -> Self {
        self.settings.ring_users = users.into_iter().collect();
        self
    }

    /// Where the application begins; default [`From::Live`].
    ///
    /// With [`From::Snapshot`] each ordered source stream is joined with a snapshot of what there is, fetched from an adapter while what comes
    /// is kept: see [starting in mid-session](crate#starting-in-mid-session). With [`From::Pos`] it goes on as [`Builder::resume`] says.
    #[must_use]
    pub fn from(mut self, from: From) -> Self {
        self.settings.from = from;
        self
    }

    /// Whether a snapshot may be asked for in mid-session ([`Control::refresher`], [`DataPoller::refresh`]), wherever the application
    /// began; with [`From::Snapshot`] it always may. Default no: a thread of the library, and a copy of a cursor for each record.
    #[must_use]
    pub fn snapshots(mut self, snapshots: bool) -> Self {
        self.settings.snapshots = snapshots;
        self
    }

    /// Goes on where an earlier run stood, instead of joining where the legs are: [`From::Pos`]. Keep [`crate::Cursors`] together with
    /// what you made of the records, in one transaction, and give them here: then each record has its effect once, whatever
    /// ended the run, and on whichever leg it comes (`examples/resume.rs`). Source streams without a cursor are joined.
    ///
    /// What lies between is asked for from the adapters, as far as they retain it, and a [`crate::Event::Gap`] otherwise; a
    /// session that ended meanwhile is finished before the [`crate::Event::Reset`]. An unordered source stream has no place
    /// to go on from: it is joined, and says so.
    #[must_use]
    pub fn resume(self, from: impl IntoIterator<Item = Cursor>) -> Self {
        self.from(From::Pos(from.into_iter().collect()))
    }

    /// Checks everything, reads the token, binds one unicast socket per leg, and gives both halves. No
    /// request is made yet.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Administration`] for a setting, [`Error::Network`] for a socket,
    /// [`Error::State`] for the state directory.
    pub fn open(mut self) -> Result<(DataPoller, Control), Error> {
        self.settings.check()?;
        let mut client = Client::builder(&self.url);
        if let Some(token) = self.token {
            client = client.token(token);
        }
        if let Some(path) = self.token_file {
            client = client.token_file(path);
        }
        if let Some(path) = self.ca_file {
            client = client.ca_file(path);
        }
        if let Some(timeout) = self.request_timeout {
            client = client.timeout(timeout);
        }
        let idle = self.idle.unwrap_or_else(|| match self.settings.profile {
            Profile::Shared => Idle::default(),
            Profile::LowLatency => Idle::Spin,
        });
        self.settings.ring &= !matches!(idle, Idle::Block { .. });
        let (poller_end, control_end) = queues();
        let filters = Mailbox::new();
        let joining = self.settings.tuning.joining();
        let pace = self.settings.tuning.pace();
        let at_first = self.settings.from == From::Snapshot;
        let (poller_snapshots, control_snapshots) = self
            .settings
            .wants_snapshots()
            .then(|| snapshots(joining))
            .unzip();
        let control = Control::new(
            self.settings,
            client.build()?,
            control_end,
            filters.switch(),
            control_snapshots,
        )?;
        let joining = Joining::new(&joining, poller_snapshots, at_first);
        let feed = Feed::new(poller_end, self.filter, filters, (joining, pace));
        Ok((DataPoller::new(feed, idle, self.core), control))
    }
}

impl Settings {
    fn check(&self) -> Result<(), Error> {
        let length = self.application.len();
        if !(1..=MAX_APPLICATION).contains(&length) {
            return Err(Error::Setting {
                name: "application",
                cause: format!("it has {length} bytes"),
                remedy: "use a name of 1 to 64 bytes",
            });
        }
        let mut resumed: Vec<Sid> = self.resume().iter().map(|from| from.next.sid).collect();
        resumed.sort_unstable();
        if let Some(twice) = resumed.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::Setting {
                name: "resume",
                cause: format!("it has two cursors of source stream {}", twice[0]),
                remedy: "give the one of the last record",
            });
        }
        if let Selection::Only(sids) = &self.selection
            && let Some(sid) = resumed
                .iter()
                .find(|sid| !sids.iter().any(|it| it.0 == sid.0))
        {
            return Err(Error::Setting {
                name: "resume",
                cause: format!("it has a cursor of source stream {sid}, which is not selected"),
                remedy: "leave that cursor out, or select the source stream (`sids`)",
            });
        }
        if matches!(&self.selection, Selection::Only(sids) if sids.is_empty()) {
            return Err(Error::Setting {
                name: "sids",
                cause: "no source stream is selected".to_owned(),
                remedy: "name at least one, or leave it out for all",
            });
        }
        self.tuning.check()
    }

    /// Whose rings are read, beside this user's own and root's; `None`: nobody's.
    pub(crate) fn ring_users(&self) -> Option<Vec<u32>> {
        self.ring.then(|| self.ring_users.clone())
    }

    pub(crate) fn policy(&self) -> admin::Policy {
        match self.tuning.policy {
            Policy::FirstArrival => admin::Policy::FirstArrival,
            Policy::PreferActive => admin::Policy::PreferActive,
        }
    }

    /// How sockets are opened once the feed's longest datagram is known.
    pub(crate) fn sockets(&self, constraints: &Constraints) -> SocketSettings {
        SocketSettings {
            max_datagram: usize::from(constraints.max_datagram),
            ..self.sockets_before_grant()
        }
    }

    /// How the unicast sockets are opened, for whatever the feed's longest datagram will be on an
    /// Ethernet without jumbo frames.
    pub(crate) fn sockets_before_grant(&self) -> SocketSettings {
        SocketSettings {
            interface: self.interface.clone(),
            receive_buffer: self.receive_buffer,
            max_datagram: SLOT,
            strict_buffer: self.profile == Profile::LowLatency,
        }
    }

    /// Whether adapters are asked for anything: the address from which they are asked for what was missed is the name under which they
    /// know who may ask for snapshots.
    pub(crate) fn asks(&self) -> bool {
        self.tuning.repair_time != Some(Duration::ZERO) || self.wants_snapshots()
    }

    /// Whether snapshots are asked for, or may be.
    pub(crate) fn wants_snapshots(&self) -> bool {
        self.snapshots || self.from == From::Snapshot
    }

    /// Where an earlier run stood.
    pub(crate) fn resume(&self) -> &[Cursor] {
        match &self.from {
            From::Pos(cursors) => cursors,
            From::Live | From::Snapshot => &[],
        }
    }

    /// Where answers to requests for what was missed are received.
    pub(crate) fn fill_address(&self) -> Result<SocketAddr, Error> {
        Ok(SocketAddr::new(self.local_address()?, self.fill_port))
    }

    /// Where leg 0 and leg 1 are received for unicast.
    pub(crate) fn local_addresses(&self) -> Result<[SocketAddr; 2], Error> {
        let address = self.local_address()?;
        Ok(self.ports.map(|port| SocketAddr::new(address, port)))
    }

    fn local_address(&self) -> Result<IpAddr, Error> {
        let address = match &self.interface {
            Selector::Address(address) => *address,
            Selector::Name(_) | Selector::Index(_) => {
                let found = Interface::find(&self.interface)?;
                let v4_first = |address: &&IpAddr| !address.is_ipv4();
                let first = found.addresses.iter().min_by_key(v4_first);
                *first.ok_or_else(|| Error::Setting {
                    name: "interface",
                    cause: format!("{} has no address", found.name),
                    remedy: "give it one, or name another interface",
                })?
            }
        };
        Ok(address)
    }
}

/// Bytes per slot of a socket unless the feed's datagrams are longer: jumbo frames fit, and 64 slots stay
/// below 1 MiB.
pub(crate) const SLOT: usize = 9_216;
const _: () = assert!(SLOT <= LONGEST_DATAGRAM);

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// The program's file name, as far as it fits.
fn default_application() -> String {
    let program = std::env::current_exe().ok();
    let name = program.as_deref().and_then(|path| path.file_name());
    let name = name.and_then(|name| name.to_str()).unwrap_or("application");
    name.chars().take(MAX_APPLICATION / 4).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> Builder {
        Builder::new("http://127.0.0.1:1", "itch".parse().unwrap())
    }

    #[test]
    fn both_halves_open_without_anybody_to_talk_to() {
        let (poller, control) = builder().open().unwrap();
        let [zero, one] = control.destinations();
        assert!(zero.ip().is_loopback() && zero.port() != 0 && zero != one);
        assert!(!poller.is_closed());
    }

    #[test]
    fn an_interface_is_named_by_name_or_address() {
        let by_name = builder().interface(Selector::Name("lo".to_owned()));
        let (_, control) = by_name.open().unwrap();
        assert!(control.destinations()[0].is_ipv4());
        let unknown = builder().interface(Selector::Name("nosuch0".to_owned()));
        let error = unknown.open().unwrap_err();
        assert!(error.to_string().contains("nosuch0"), "{error}");
        assert_eq!(error.exit_code(), 78);
    }

    #[test]
    fn settings_are_refused_by_name() {
        let cases = [
            (builder().application(""), "application"),
            (builder().application("x".repeat(65)), "application"),
            (builder().sids([]), "sids"),
        ];
        for (builder, name) in cases {
            let error = builder.open().unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
        assert!(builder().application("x".repeat(64)).open().is_ok());
    }

    #[test]
    fn a_port_in_use_is_named() {
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = builder().ports([port, 0]).open().unwrap_err();
        assert!(error.to_string().contains(&port.to_string()), "{error}");
    }

    #[test]
    fn the_poller_moves_between_threads() {
        fn movable<T: Send>(_: &T) {}
        let (poller, control) = builder().open().unwrap();
        movable(&poller);
        movable(&control);
    }
}
