//! Who owns the pair link's sockets?
//!
//! One thread, asleep on the listener, the connections and its own mailbox. What a frame or an end
//! means is decided by [`super::rules`]; here it is only carried out. A notice is handed to the caller
//! on this thread at once, because a peer's death is worth microseconds.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use crossbeam::queue::ArrayQueue;
use twinfeed_net::bell::{Bell, Ear, bell};
use twinfeed_net::clock;
use twinfeed_net::tcp::{AtOnce, Closed, Link, LinkOptions, Listener, Received};
use twinfeed_net::wait::{Interest, wait};
use twinfeed_protocol::Time;
use twinfeed_wire::Generation;
use twinfeed_wire::link::{FRAME_BUFFER, Frame, Hello, Role};

use super::framing::{LONGEST_LINK_FRAME, PairFrames};
use super::rules::{
    Connection, Ending, Heard, LinkLimits, LinkRules, MOST_CONNECTIONS, Notice, Orders, Refusal,
};
use super::voice::{Next, Spoken};

/// What the link's thread can be told.
#[derive(Clone, Copy, Debug)]
pub enum LinkCommand {
    /// Stream administration granted this.
    Grant(Generation, Role),
    /// The peer's end listens here.
    Peer(SocketAddr),
    /// Say goodbye and end.
    Leave,
}

/// Who hears of the link, on its thread.
pub trait Told {
    /// Something changed.
    fn notice(&mut self, notice: Notice);
    /// For whoever numbers the streams. `pairing` counts the times that the two ends began to talk. `false`: it
    /// takes nothing now.
    fn hear(&mut self, pairing: u64, heard: Heard) -> bool;
}

/// The handle on a running link.
#[derive(Debug)]
pub struct LinkThread {
    commands: Arc<ArrayQueue<LinkCommand>>,
    wake: Bell,
    local: SocketAddr,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// A pair link that listens and is not yet driven.
#[derive(Debug)]
pub struct BoundLink {
    listener: Listener,
}

impl BoundLink {
    /// Listens; port 0 lets the kernel choose.
    ///
    /// # Errors
    /// What [`Listener::bind`] says.
    pub fn bind(listen: SocketAddr) -> Result<Self, twinfeed_net::Error> {
        Ok(Self {
            listener: Listener::bind(listen, options())?,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Starts the thread, named `pair-link`, which sends what is `spoken`. `told` is called on it.
    ///
    /// # Errors
    /// If no thread or socket can be made.
    pub fn start(
        self,
        us: Hello,
        limits: LinkLimits,
        peer: Option<SocketAddr>,
        spoken: Spoken,
        told: impl Told + Send + 'static,
    ) -> io::Result<LinkThread> {
        let (wake, woken) = bell()?;
        let commands = Arc::new(ArrayQueue::new(MOST_COMMANDS));
        let local = self.local_addr();
        let mut driver = Driver {
            listener: self.listener,
            woken,
            commands: commands.clone(),
            rules: LinkRules::new(us, limits),
            carrier: Carrier {
                links: Vec::with_capacity(MOST_CONNECTIONS),
                told,
                pairing: 0,
                owed: None,
            },
            spoken,
            peer,
            next_name: 0,
            next_attempt: Time::ZERO,
        };
        let thread = std::thread::Builder::new()
            .name("pair-link".to_owned())
            .spawn(move || while driver.cycle() {})?;
        Ok(LinkThread {
            commands,
            wake,
            local,
            thread: Some(thread),
        })
    }
}

impl LinkThread {
    /// Where this end listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Tells the thread; it wakes at once.
    pub fn tell(&self, command: LinkCommand) {
        // A newer command makes an older one of its kind worthless: the oldest may go.
        let _ = self.commands.force_push(command);
        self.wake.ring();
    }

    /// Says goodbye and waits for the thread.
    pub fn leave(mut self) {
        self.tell(LinkCommand::Leave);
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported on stderr; there is nothing left to close.
            drop(thread.join());
        }
    }
}

struct Driver<T> {
    listener: Listener,
    woken: Ear,
    commands: Arc<ArrayQueue<LinkCommand>>,
    rules: LinkRules,
    carrier: Carrier<T>,
    spoken: Spoken,
    peer: Option<SocketAddr>,
    next_name: u64,
    next_attempt: Time,
}

/// Carries orders out.
struct Carrier<T> {
    links: Vec<(Connection, Link<PairFrames>)>,
    told: T,
    /// How often the two ends began to talk.
    pairing: u64,
    /// That they stopped, which nobody took yet. Until then nothing is received or connected.
    owed: Option<Heard>,
}

impl<T: Told> Driver<T> {
    /// One round: wait, take commands, accept, receive, deadlines, connect. `false` at the end.
    fn cycle(&mut self) -> bool {
        self.sleep();
        self.woken.silence();
        self.speak();
        while let Some(command) = self.commands.pop() {
            match command {
                LinkCommand::Grant(generation, role) => {
                    self.rules.on_grant(generation, role, &mut self.carrier);
                }
                LinkCommand::Peer(peer) => self.peer = Some(peer),
                LinkCommand::Leave => {
                    self.speak();
                    self.rules.on_leave(&mut self.carrier);
                    return false;
                }
            }
        }
        if !self.carrier.is_heard() {
            return true;
        }
        // Ends first: of several connections all must be seen before one of them is the last.
        self.receive();
        while let Ok(Some(link)) = self.listener.accept(PairFrames) {
            self.open(link, false);
        }
        self.rules.on_deadline(now(), &mut self.carrier);
        self.connect();
        true
    }

    fn sleep(&self) {
        let now = now();
        let mut until = self.rules.next_deadline().unwrap_or(Time::NEVER);
        if self.rules.wants_connection() && self.peer.is_some() {
            until = until.min(self.next_attempt);
        }
        if self.carrier.owed.is_some() {
            // Whatever is readable stays so: there is nothing to wake for.
            let only = [Interest::readable(self.woken.as_fd())];
            let _ = wait(only, Some(OWED_PAUSE));
            return;
        }
        let timeout = until.since(now).min(LONGEST_SLEEP);
        let own = [
            Interest::readable(self.woken.as_fd()),
            Interest::readable(self.spoken.as_fd()),
            Interest::readable(self.listener.as_fd()),
        ];
        let links = self
            .carrier
            .links
            .iter()
            .map(|(_, link)| Interest::readable(fd(link)).or_writable(link.wants_to_write()));
        // The round that follows looks at everything anyway. What cannot be waited for, because the limit of descriptors was
        // lowered below their number say, is looked at now and then.
        let waited = wait(own.into_iter().chain(links), Some(timeout));
        if waited.is_err_and(|error| error.kind() != ErrorKind::Interrupted) {
            std::thread::sleep(timeout.min(BLIND_PAUSE));
        }
    }

    /// Sends what the data thread has said.
    fn speak(&mut self) {
        self.spoken.hush();
        loop {
            let broken = match self.spoken.next(self.carrier.pairing) {
                Next::Nothing => return,
                Next::Broken => true,
                Next::Frame(frame) => match self.rules.voice() {
                    // Nobody is there any more.
                    None => false,
                    Some(on) => !self.carrier.say(on, frame),
                },
                Next::Commitment(frame, ticket) => {
                    let on = self.rules.voice();
                    let written = on.is_some_and(|on| self.carrier.write(on, frame));
                    ticket.settle(written);
                    // Where a part of it was sent the connection has ended, and that is met with what is received.
                    false
                }
            };
            if broken && self.rules.voice().is_none() {
                return;
            }
            if broken {
                self.rules.on_overrun(&mut self.carrier);
            }
        }
    }

    fn receive(&mut self) {
        let mut place = 0;
        while let Some((name, link)) = self.carrier.links.get_mut(place) {
            let (name, flushed) = (*name, link.flush());
            let _ = flushed; // an end shows in `receive` below
            let heard = match link.receive() {
                Received::Pending => {
                    place += 1;
                    continue;
                }
                Received::Frame(bytes) => Ok(Frame::parse(bytes)),
                Received::Closed(closed) => Err(closed),
            };
            match heard {
                Ok(Ok(frame)) => {
                    self.rules.on_frame(now(), name, frame, &mut self.carrier);
                }
                Ok(Err(bad)) => {
                    self.carrier
                        .told
                        .notice(Notice::Refused(Refusal::Frame(bad)));
                    self.end(name, Ending::Nonsense);
                }
                Err(closed) => self.end(name, ending(closed)),
            }
            // The list may have changed: begin anew unless this link is still in its place.
            match self.carrier.links.get(place) {
                Some((there, _)) if *there == name => {}
                _ => place = 0,
            }
        }
    }

    fn end(&mut self, name: Connection, ending: Ending) {
        self.carrier.links.retain(|(there, _)| *there != name);
        self.rules.on_end(name, ending, &mut self.carrier);
    }

    fn open(&mut self, link: Link<PairFrames>, ours: bool) {
        self.next_name += 1;
        let name = Connection(self.next_name);
        self.carrier.links.push((name, link));
        self.rules.on_open(now(), name, ours, &mut self.carrier);
    }

    fn connect(&mut self) {
        let Some(peer) = self.peer else { return };
        if !self.rules.wants_connection() || now() < self.next_attempt {
            return;
        }
        self.next_attempt = now().after(ATTEMPT_INTERVAL);
        if let Ok(link) = Link::connect(peer, PairFrames, &options()) {
            self.open(link, true);
        }
    }
}

impl<T: Told> Carrier<T> {
    /// Sends a frame; `false`: the link is so full that it does not fit.
    fn say(&mut self, on: Connection, frame: Frame) -> bool {
        let mut buffer = [0; FRAME_BUFFER];
        let length = frame.emit(&mut buffer);
        let link = self.links.iter_mut().find(|(name, _)| *name == on);
        link.is_none_or(|(_, link)| link.send(&buffer[..length]).is_ok())
    }

    /// Sends a frame at once, behind everything sent before; `false`: it is not sent, now or later.
    fn write(&mut self, on: Connection, frame: Frame) -> bool {
        let mut buffer = [0; FRAME_BUFFER];
        let length = frame.emit(&mut buffer);
        let link = self.links.iter_mut().find(|(name, _)| *name == on);
        link.is_some_and(|(_, link)| link.send_at_once(&buffer[..length]) == AtOnce::Sent)
    }

    /// Tries again to tell what is owed; whether nothing is, now.
    fn is_heard(&mut self) -> bool {
        if let Some(heard) = self.owed
            && self.told.hear(self.pairing, heard)
        {
            self.owed = None;
        }
        self.owed.is_none()
    }
}

impl<T: Told> Orders for Carrier<T> {
    fn send(&mut self, on: Connection, frame: Frame) {
        // A link so full that a beat does not fit is silent for the peer; its rules notice.
        self.say(on, frame);
    }

    fn close(&mut self, connection: Connection) {
        self.links.retain(|(name, _)| *name != connection);
    }

    fn hear(&mut self, heard: Heard) -> bool {
        if !self.is_heard() {
            return false;
        }
        self.pairing += u64::from(heard == Heard::Up);
        let taken = self.told.hear(self.pairing, heard);
        if let (false, Heard::Down { .. }) = (taken, heard) {
            self.owed = Some(heard);
        }
        taken || self.owed.is_some()
    }

    fn tell(&mut self, notice: Notice) {
        self.told.notice(notice);
    }
}

fn ending(closed: Closed) -> Ending {
    match closed {
        Closed::EndOfStream { .. } | Closed::Reset => Ending::ByPeer,
        Closed::TimedOut | Closed::Failed { .. } => Ending::Network,
        Closed::Malformed(_) => Ending::Nonsense,
    }
}

fn fd<F>(link: &Link<F>) -> BorrowedFd<'_> {
    link.as_fd()
}

fn now() -> Time {
    Time(clock::monotonic_ns())
}

fn options() -> LinkOptions {
    LinkOptions {
        max_frame: LONGEST_LINK_FRAME,
        connect_timeout: Duration::from_secs(1),
        ..LinkOptions::default()
    }
}

/// Most commands that wait.
const MOST_COMMANDS: usize = 64;
/// Time between attempts to reach the peer.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(250);
/// How long to wait before the data thread is told again what it could not take.
const OWED_PAUSE: Duration = Duration::from_millis(1);
/// How long a round of which nothing can be waited for rests.
const BLIND_PAUSE: Duration = Duration::from_millis(1);
/// Longest sleep without any deadline.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
