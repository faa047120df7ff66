//! Aeron, as other benches meet it: its driver, its client, and what leads from one process to the other.
//!
//! ```text
//!  publisher's process, one thread                         subscriber's process, one thread
//!  offer ─► term buffer ─► driver's turn ───── UDP ──────► driver's turn ─► image ─► poll
//!  offer ─► term buffer (shared memory) ───────────────────────────────────────────► poll
//! ```
//!
//! Two spinning processes leave no core to a driver with threads of its own, so each process has an embedded one in `INVOKER` mode: it works when its thread
//! gives it a turn. For IPC there is one driver, the subscriber's. Settings are those of Aeron's own `low-latency-c-media-driver` (aeron-samples/scripts), idle strategies
//! apart, for an invoker has none. What is offered, and when a turn is given, is not known here.

use std::ffi::CString;
use std::path::Path;
use std::time::{Duration, Instant};

use rusteron_media_driver::bindings::aeron_threading_mode_t;
use rusteron_media_driver::{
    Aeron, AeronCError, AeronContext, AeronDriver, AeronDriverContext, AeronExclusivePublication,
    AeronOfferError, AeronSubscription, Handlers,
};

use crate::error::Error;

/// Which of the three.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Media {
    /// UDP, so many publications with the same messages.
    Udp {
        /// How many.
        publications: usize,
    },
    /// Shared memory.
    Ipc,
}

impl Media {
    pub(crate) const ONE: Self = Self::Udp { publications: 1 };
    pub(crate) const TWO: Self = Self::Udp { publications: 2 };
}

/// Bytes of a frame that hold so many of a message: a header, and what fills it up to the next multiple of that (Aeron's transport protocol specification, data
/// frame).
pub(crate) const fn frame(message: usize) -> usize {
    (HEADER + message).next_multiple_of(HEADER)
}

const HEADER: usize = 32;
const NAME: &str = "Aeron";
/// Where a driver's directory is, in shared memory, and how it is called before the number of its process.
const MEMORY: &str = "/dev/shm";
const DIRECTORY: &str = "twinfeed-bench-aeron-";
/// Bytes of a socket's buffers, and of a receiver's window (low-latency-c-media-driver).
const WINDOW: usize = 2 << 20;
/// How long either side waits for the other one to be there.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of the first publication; the next has the next.
const FIRST_STREAM: i32 = 1_001;
const IPC: &str = "aeron:ipc";
const ANY_PORT: &str = "aeron:udp?endpoint=127.0.0.1:0";

/// The sending half.
pub(crate) struct Publications {
    publications: Vec<AeronExclusivePublication>,
    node: Node,
}

impl Publications {
    /// To the doors that the subscriptions have; there is a subscriber at each of them when it returns.
    pub(crate) fn open(media: Media, doors: &[String]) -> Result<Self, Error> {
        match media {
            Media::Udp { .. } => Self::on(Node::with_driver()?.0, FIRST_STREAM, doors),
            Media::Ipc => Self::on(
                Node::attached(&doors.concat())?,
                FIRST_STREAM,
                &[IPC.to_owned()],
            ),
        }
    }

    /// One alone, over UDP, to this one of the doors.
    pub(crate) fn of_leg(leg: usize, doors: &[String]) -> Result<Self, Error> {
        // There are two.
        let stream = FIRST_STREAM + leg as i32;
        Self::on(Node::with_driver()?.0, stream, &doors[leg..=leg])
    }

    fn on(node: Node, first_stream: i32, channels: &[String]) -> Result<Self, Error> {
        let mut publications = Vec::new();
        for (stream, channel) in (first_stream..).zip(channels) {
            let adding = node
                .client
                .async_add_exclusive_publication(&text(channel), stream)
                .map_err(Error::peer(NAME, "a publication"))?;
            let publication = node.until("a publication", || adding.poll())?;
            node.until("a subscriber", || {
                Ok(publication.is_connected().then_some(()))
            })?;
            publications.push(publication);
        }
        Ok(Self { publications, node })
    }

    /// Offers to each publication until it is taken; returns whether it was by all of them, for nobody may be there any more.
    pub(crate) fn offer(&self, message: &[u8]) -> bool {
        self.publications.iter().all(|publication| {
            loop {
                match publication.offer(message) {
                    Err(AeronOfferError::BackPressured | AeronOfferError::AdminAction) => {
                        self.node.turn_driver();
                        self.node.turn_client();
                    }
                    taken => return taken.is_ok(),
                }
            }
        })
    }

    /// Whether messages leave only when the driver here has a turn.
    pub(crate) const fn driven(&self) -> bool {
        self.node.driver.is_some()
    }

    /// One turn of the driver, if it is here.
    pub(crate) fn turn_driver(&self) {
        self.node.turn_driver();
    }

    /// One turn of the client's conductor: what becomes of images, and signs of life.
    pub(crate) fn turn_client(&self) {
        self.node.turn_client();
    }
}

/// The receiving half.
pub(crate) struct Subscriptions {
    subscriptions: Vec<AeronSubscription>,
    node: Node,
    doors: Vec<String>,
    /// Whether messages pass through the driver.
    driven: bool,
    turn: u32,
}

impl Subscriptions {
    /// Turns for each one of what no message passes through: the client's conductor, and with IPC the driver, too.
    const SELDOM: u32 = 1_024;

    pub(crate) fn open(media: Media) -> Result<Self, Error> {
        let (node, directory) = Node::with_driver()?;
        let (channels, driven) = match media {
            Media::Udp { publications } => (vec![ANY_PORT; publications], true),
            Media::Ipc => (vec![IPC], false),
        };
        let (mut subscriptions, mut doors) = (Vec::new(), Vec::new());
        for (stream, channel) in (FIRST_STREAM..).zip(channels) {
            let adding = node
                .client
                .async_add_subscription(&text(channel), stream, Handlers::NONE, Handlers::NONE)
                .map_err(Error::peer(NAME, "a subscription"))?;
            let subscription = node.until("a subscription", || adding.poll())?;
            if media == Media::Ipc {
                doors.push(directory.clone());
            } else {
                let endpoint = node.until("a port", || endpoint(&subscription))?;
                doors.push(format!("aeron:udp?endpoint={endpoint}"));
            }
            subscriptions.push(subscription);
        }
        Ok(Self {
            subscriptions,
            node,
            doors,
            driven,
            turn: 0,
        })
    }

    /// Where publications find them.
    pub(crate) fn doors(&self) -> &[String] {
        &self.doors
    }

    /// How many copies of a message come.
    pub(crate) fn copies(&self) -> usize {
        self.subscriptions.len()
    }

    /// A turn of the driver, and of each subscription so many fragments at most.
    pub(crate) fn turn(
        &mut self,
        fragments: usize,
        mut message: impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        self.turn = self.turn.wrapping_add(1);
        let seldom = self.turn.is_multiple_of(Self::SELDOM);
        if self.driven || seldom {
            self.node.turn_driver();
        }
        if seldom {
            self.node.turn_client();
        }
        for subscription in &self.subscriptions {
            let polled = subscription.poll_fn(|bytes, _header| message(bytes), fragments);
            polled.map_err(Error::peer(NAME, "a poll"))?;
        }
        Ok(())
    }
}

/// An Aeron client and, except where another process has it, the driver; closed in this order.
struct Node {
    client: Aeron,
    driver: Option<AeronDriver>,
}

impl Node {
    /// With a driver of its own, in a directory that nobody else has.
    fn with_driver() -> Result<(Self, String), Error> {
        sweep();
        let directory = format!("{MEMORY}/{DIRECTORY}{}", std::process::id());
        let driver = driver(&directory).map_err(Error::peer(NAME, "the embedded media driver"))?;
        let client = client(&directory).map_err(Error::peer(NAME, "the client"))?;
        let driver = Some(driver);
        Ok((Self { client, driver }, directory))
    }

    /// With the driver whose directory that is.
    fn attached(directory: &str) -> Result<Self, Error> {
        let client = client(directory).map_err(Error::peer(NAME, "the client"))?;
        Ok(Self {
            client,
            driver: None,
        })
    }

    /// One turn of the driver, if it is here.
    fn turn_driver(&self) {
        if let Some(driver) = &self.driver {
            // What goes wrong in a turn is in the driver's own log, and shows as loss here.
            let _ = driver.main_do_work();
        }
    }

    /// One turn of the client's conductor: what becomes of images, and signs of life.
    fn turn_client(&self) {
        let _ = self.client.main_do_work();
    }

    /// Goes on until that is there.
    fn until<T>(
        &self,
        what: &'static str,
        mut there: impl FnMut() -> Result<Option<T>, AeronCError>,
    ) -> Result<T, Error> {
        let begun = Instant::now();
        loop {
            self.turn_driver();
            self.turn_client();
            if let Some(there) = there().map_err(Error::peer(NAME, what))? {
                return Ok(there);
            }
            if begun.elapsed() > PATIENCE {
                let waited = format!("nothing for {} s", PATIENCE.as_secs());
                return Err(Error::peer(NAME, what)(waited));
            }
        }
    }
}

/// Removes what drivers left behind whose processes were killed: memory that nobody gives back otherwise.
pub(crate) fn sweep() {
    for entry in std::fs::read_dir(MEMORY).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(DIRECTORY));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn driver(directory: &str) -> Result<AeronDriver, AeronCError> {
    let context = AeronDriverContext::new()?;
    context.set_dir(&text(directory))?;
    context.set_dir_delete_on_start(true)?;
    context.set_dir_delete_on_shutdown(true)?;
    context.set_threading_mode(aeron_threading_mode_t::AERON_THREADING_MODE_INVOKER)?;
    context.set_term_buffer_sparse_file(false)?;
    context.set_socket_so_rcvbuf(WINDOW)?;
    context.set_socket_so_sndbuf(WINDOW)?;
    context.set_rcv_initial_window_length(WINDOW)?;
    let driver = AeronDriver::new(&context)?;
    driver.start(true)?;
    driver.main_do_work()?;
    Ok(driver)
}

fn client(directory: &str) -> Result<Aeron, AeronCError> {
    let context = AeronContext::new()?;
    context.set_dir(&text(directory))?;
    context.set_use_conductor_agent_invoker(true)?;
    context.set_pre_touch_mapped_memory(true)?;
    context.set_error_handler(Some(|code: i32, message: &str| {
        eprintln!("twinfeed-bench: Aeron's client: {code}: {message}");
    }))?;
    let client = Aeron::new(&context)?;
    client.start()?;
    Ok(client)
}

/// The address that the driver has bound, once it has.
fn endpoint(subscription: &AeronSubscription) -> Result<Option<String>, AeronCError> {
    let mut bytes = [0; 64];
    if subscription.resolved_endpoint(&mut bytes)? == 0 {
        return Ok(None);
    }
    let endpoint = bytes.split(|byte| *byte == 0).next().unwrap_or(&[]);
    Ok(Some(String::from_utf8_lossy(endpoint).into_owned()))
}

/// As C has it; none of ours has a zero within.
fn text(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}
