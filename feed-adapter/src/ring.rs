//! How do subscribers on this host come to this adapter's ring?
//!
//! ```text
//!  data thread ─► ring, in memory that nobody else can write ─────────────► subscribers of this host
//!                   └─ its file ─► thread `ring`: who asks? may it? ─► once ──┘
//! ```
//!
//! Every datagram that leaves stands in the ring before it is sent, whoever reads. The thread hands the file out and knows nothing of who has
//! it. Who may have it is said by user: this process's own, root, and those whom the configuration names; it is the whole leg, all
//! source streams of it, as a multicast group would be.

use std::cell::Cell;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{debug, warn};
use twinfeed_control::{LONGEST_RING_NAME, OfferedRing, StopFlag};
use twinfeed_net::host;
use twinfeed_net::idle::{Idle, Idler};
use twinfeed_net::ring::{Asked, Peer, RingConfig, RingOffer, RingWriter};
use twinfeed_wire::Incarnation;

use crate::config::{Config, ConfigError};
use crate::error::AdapterError;

/// What is counted of a ring, as other threads see it.
#[derive(Clone, Debug, Default)]
pub struct Rings {
    counted: Arc<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    given: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

/// What was counted of a ring so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RingCounters {
    /// Askers who have it.
    pub given: u64,
    /// Askers whose user may not.
    pub refused: u64,
    /// Askers to whom it could not be handed: they were gone, or the kernel hands no more files over.
    pub failed: u64,
}

impl Rings {
    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> RingCounters {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RingCounters {
            given: of(&self.counted.given),
            refused: of(&self.counted.refused),
            failed: of(&self.counted.failed),
        }
    }

    fn count(&self, asked: &Asked) {
        let counter = match asked {
            Asked::Given(_) => &self.counted.given,
            Asked::Refused(_) => &self.counted.refused,
            Asked::Failed(_) => &self.counted.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A ring that is there, and the place where it is asked for, before stream-admin is told of it.
#[derive(Debug)]
pub struct BoundRing {
    offer: RingOffer,
    file: OwnedFd,
    offered: OfferedRing,
    users: Vec<u32>,
    socket: Option<SocketFile>,
    /// Whom the log has last heard of.
    complained: Cell<Option<u32>>,
}

impl BoundRing {
    /// Makes the ring of this life of the process and binds the place; `None` if it is to have none.
    ///
    /// # Errors
    /// Names the setting at fault.
    pub fn bind(
        config: &Config,
        incarnation: Incarnation,
    ) -> Result<Option<(Self, RingWriter)>, AdapterError> {
        let ring = &config.ring;
        if !ring.enabled {
            return Ok(None);
        }
        let setup = RingConfig::new(incarnation.0)
            .slots(ring.slots)
            .longest(config.publish.max_datagram);
        let writer = RingWriter::create(&setup).map_err(AdapterError::Ring)?;
        let file = writer.as_fd().try_clone_to_owned();
        let file = file.map_err(AdapterError::system("share the ring's file"))?;
        let stem = format!("{}.{}", config.feed, config.role);
        let life = format!("{:016x}", incarnation.0);
        let name = match &ring.directory {
            // Nobody guesses it, and none is left behind.
            None => PathBuf::from(format!("@twinfeed/{stem}/{life}")),
            Some(directory) => {
                forget_earlier(directory, &stem);
                directory.join(format!("{stem}.{life}.{EXTENSION}"))
            }
        };
        let text = name.to_str().unwrap_or_default().to_owned();
        let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > LONGEST_RING_NAME || !graphic {
            let fault = format!("{} is no name for a Unix socket", name.display());
            let remedy = format!(
                "choose a directory with which it has at most {LONGEST_RING_NAME} visible ASCII characters"
            );
            return Err(ConfigError::new("ring.directory", fault, remedy).into());
        }
        let offer = RingOffer::bind(&name).map_err(|error| match &ring.directory {
            Some(_) => AdapterError::from(ConfigError::new(
                "ring.directory",
                error.to_string(),
                "name a directory in which this process may make a socket",
            )),
            None => AdapterError::Ring(error),
        })?;
        if ring.directory.is_some() {
            // Who may have it is said by user, whoever may ask.
            let everybody = std::fs::Permissions::from_mode(0o666);
            std::fs::set_permissions(&name, everybody)
                .map_err(AdapterError::system("let others ask at the ring's socket"))?;
        }
        let host = host::boot_id().map_err(AdapterError::system("read this host's boot id"))?;
        let mut users = ring.users.clone();
        users.push(0);
        users.push(host::user().map_err(AdapterError::system("learn this process's user"))?);
        let bound = Self {
            offer,
            file,
            offered: OfferedRing { host, name: text },
            users,
            socket: ring.directory.is_some().then(|| SocketFile(name)),
            complained: Cell::new(None),
        };
        Ok(Some((bound, writer)))
    }

    /// Where it is, as stream-admin is told.
    #[must_use]
    pub fn offered(&self) -> OfferedRing {
        self.offered.clone()
    }

    /// Starts the thread that hands it out.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(self, stop: StopFlag) -> Result<Rings, AdapterError> {
        let rings = Rings::default();
        let counting = rings.clone();
        std::thread::Builder::new()
            .name("ring".to_owned())
            .spawn(move || self.run(&counting, &stop))
            .map_err(AdapterError::system(
                "start the thread that hands out the ring",
            ))?;
        Ok(rings)
    }

    fn run(self, rings: &Rings, stop: &StopFlag) {
        let mut idler = Idler::new(Idle::Block {
            timeout_us: TURN_US,
        });
        while !stop.is_stopped() {
            let answered = self.answer(rings);
            idler.idle(answered, [self.offer.as_fd()]);
        }
        drop(self.socket);
    }

    /// Answers one who asks; how many that was.
    fn answer(&self, rings: &Rings) -> usize {
        let admitted = |peer: &Peer| self.users.contains(&peer.user);
        match self.offer.answer(self.file.as_fd(), admitted) {
            Ok(None) => return 0,
            Ok(Some(asked)) => {
                rings.count(&asked);
                match asked {
                    Asked::Given(to) => debug!(process = to.process, "gave the ring"),
                    Asked::Refused(to)
                        if self.complained.replace(Some(to.user)) == Some(to.user) =>
                    {
                        debug!(process = to.process, user = to.user, "refused the ring");
                    }
                    Asked::Refused(to) => warn!(
                        process = to.process,
                        user = to.user,
                        "refused the ring; `ring.users` says who may have it, and everybody else has the network"
                    ),
                    Asked::Failed(to) => debug!(process = to.process, "could not give the ring"),
                }
            }
            Err(error) => {
                warn!("{error}");
                // No descriptor is left, most likely: not at once again.
                std::thread::sleep(PAUSE);
            }
        }
        1
    }
}

/// A socket's name in the file system, for as long as somebody answers there.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Removes what earlier lives that were killed have left.
fn forget_earlier(directory: &Path, stem: &str) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let life = name.to_str().and_then(|name| {
            let rest = name.strip_prefix(stem)?.strip_prefix('.')?;
            rest.strip_suffix(EXTENSION)?.strip_suffix('.')
        });
        // One that is asked and answers is somebody's.
        let is_gone = |path: &Path| {
            let asked = UnixStream::connect(path);
            asked.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
        };
        if life.is_some_and(|life| life.len() == 16) && is_gone(&entry.path()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Of a socket's file.
const EXTENSION: &str = "ring";
/// How long the thread sleeps at most, µs.
const TURN_US: u32 = 100_000;
/// How long it waits where the kernel refuses.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::time::Instant;

    use twinfeed_net::ring::{RingReader, RingTake};
    use twinfeed_wire::link::Role;

    use super::*;
    use crate::config::Overrides;

    /// An active adapter's configuration with this in `[ring]`.
    fn config(ring: &str) -> Config {
        let text = format!(
            r#"
feed = "f"
format = "itch50"
trading_day = "2019-12-30"
publisher_id = 2
[[source]]
sid = 1
type = "moldudp64"
line.A = {{ address = "127.0.0.1:0" }}
[ring]
{ring}
[stream_admin]
url = "http://127.0.0.1:1"
"#
        );
        Config::parse(Role::Active, &text, &Overrides::default()).unwrap()
    }

    fn bind(config: &Config, life: u64) -> (BoundRing, RingWriter) {
        let bound = BoundRing::bind(config, Incarnation(life)).unwrap();
        bound.expect("it is enabled")
    }

    /// Asks as a subscriber does, with `answer` for whoever answers.
    fn take(offered: &OfferedRing, mut answer: impl FnMut()) -> Result<RingReader, String> {
        let asked = RingTake::ask(Path::new(&offered.name)).map_err(|error| error.to_string())?;
        let begun = Instant::now();
        loop {
            answer();
            match asked.poll() {
                Ok(None) => assert!(begun.elapsed().as_secs() < 30, "nobody answers"),
                Ok(Some(file)) => {
                    let reader = RingReader::open(file.as_fd(), RingReader::DEFAULT_MOST_BYTES);
                    return Ok(reader.unwrap());
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    #[test]
    fn who_says_nothing_of_rings_has_none() {
        for said in ["", "enabled = false"] {
            let none = BoundRing::bind(&config(said), Incarnation(7)).unwrap();
            assert!(none.is_none(), "{said}");
        }
    }

    #[test]
    fn what_is_offered_is_given_to_this_user_with_what_is_written_then() {
        let (bound, mut ring) = bind(&config("enabled = true\nslots = 64"), 7);
        let rings = Rings::default();
        let answer = || {
            let _ = bound.answer(&rings);
        };
        let mut reader = take(&bound.offered(), answer).unwrap();
        ring.push(b"datagram").unwrap();
        assert_eq!(reader.incarnation(), 7);
        assert_eq!(reader.receive().unwrap().unwrap().bytes, b"datagram");
        assert_eq!(rings.counters().given, 1);
        assert_eq!(bound.offered().host, host::boot_id().unwrap());
    }

    #[test]
    fn a_user_who_is_not_named_is_refused_and_counted() {
        let (mut bound, _ring) = bind(&config("enabled = true\nslots = 64"), 8);
        bound.users = vec![u32::MAX - 1];
        let rings = Rings::default();
        let answer = || {
            let _ = bound.answer(&rings);
        };
        let refused = take(&bound.offered(), answer).unwrap_err();
        assert!(refused.contains("by user id"), "{refused}");
        let counted = RingCounters {
            refused: 1,
            ..RingCounters::default()
        };
        assert_eq!(rings.counters(), counted);
    }

    #[test]
    fn the_thread_answers_until_it_is_told_to_stop_and_takes_its_socket_along() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().display();
        let config = config(&format!(
            "enabled = true\nslots = 64\ndirectory = \"{place}\""
        ));
        // One that was killed has left its own, and somebody else's is nobody's business.
        let earlier = directory.path().join(format!("f.active.{:016x}.ring", 5));
        let other = directory.path().join(format!("g.active.{:016x}.ring", 5));
        let living = directory.path().join(format!("f.active.{:016x}.ring", 6));
        for left in [&earlier, &other] {
            drop(std::os::unix::net::UnixListener::bind(left).unwrap());
        }
        let _alive = std::os::unix::net::UnixListener::bind(&living).unwrap();
        let (bound, _ring) = bind(&config, 9);
        assert!(!earlier.exists() && other.exists() && living.exists());
        let (offered, stop) = (bound.offered(), StopFlag::new());
        let at = Path::new(&offered.name).to_owned();
        let mode = std::fs::metadata(&at).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o666, "who may have it is said by user");
        assert!(at.starts_with(directory.path()));
        let rings = bound.start(stop.clone()).unwrap();
        assert!(take(&offered, std::thread::yield_now).is_ok());
        stop.stop();
        let begun = Instant::now();
        while at.exists() {
            assert!(begun.elapsed().as_secs() < 30, "it is still there");
            std::thread::yield_now();
        }
        assert_eq!(rings.counters().given, 1);
    }

    #[test]
    fn a_directory_that_is_none_is_named_with_a_remedy() {
        for directory in ["/nowhere/at/all", &format!("/tmp/{}", "x".repeat(100))] {
            let config = config(&format!("enabled = true\ndirectory = \"{directory}\""));
            let error = BoundRing::bind(&config, Incarnation(3)).unwrap_err();
            assert!(error.to_string().contains("ring.directory"), "{error}");
            assert_eq!(error.exit_code(), 78);
        }
    }
}
