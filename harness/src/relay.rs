//! How is a TCP connection cut like a cable, with nobody told?
//!
//! A relay stands in front of a listener and passes bytes both ways. Cut, it passes nothing: what is sent
//! waits, and no end hears of the other's end. Mended, what waited goes on, as TCP would send it again.
//! A process that dies behind a relay in one piece is heard of at once: its end is passed on.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::error::Error;

/// A relay that runs until it is dropped.
#[derive(Debug)]
pub struct Relay {
    at: SocketAddr,
    gate: Arc<Gate>,
}

/// What all its threads look at.
#[derive(Debug, Default)]
struct Gate {
    cut: Mutex<Cut>,
    changed: Condvar,
    over: AtomicBool,
    /// Both sides of every connection, to end them with the relay; those that ended are weeded out when one is added.
    open: Mutex<Vec<(TcpStream, TcpStream)>>,
}

#[derive(Debug, Default)]
struct Cut {
    is: bool,
    /// How often what waited was passed on although it is.
    turns: u64,
    /// How often it was looked for something among what waits, and for what.
    looks: u64,
    wanted: Vec<u8>,
    /// In which look it was.
    found: u64,
}

impl Relay {
    /// Listens at `at` and passes on to `to`, which need not listen yet.
    ///
    /// # Errors
    /// When `at` is taken.
    pub fn start(at: SocketAddr, to: SocketAddr) -> Result<Self, Error> {
        let failed = |error| Error::process("listen for", "relay")(error);
        let listener = TcpListener::bind(at).map_err(failed)?;
        let gate = Arc::new(Gate::default());
        let inner = Arc::clone(&gate);
        thread::spawn(move || {
            for from in listener.incoming() {
                if inner.over.load(Ordering::Relaxed) {
                    return;
                }
                // A connection that fails is tried again by whoever wants it.
                let _ = from.and_then(|from| inner.connect(from, to));
            }
        });
        Ok(Self { at, gate })
    }

    /// Cuts, or mends.
    pub fn cut(&self, cut: bool) {
        self.change(|it| it.is = cut);
    }

    /// Whether `text` is among what waits. What came before it was looked for is passed on by [`Self::pass_first`].
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        self.change(|it| {
            it.looks += 1;
            it.wanted = text.as_bytes().to_vec();
        });
        let cut = self.gate.cut.lock().unwrap_or_else(PoisonError::into_inner);
        let looked = self
            .gate
            .changed
            .wait_timeout_while(cut, LOOKS, |cut| cut.found != cut.looks);
        let (cut, _) = looked.unwrap_or_else(PoisonError::into_inner);
        cut.found == cut.looks
    }

    /// Passes on what came on each way since it was cut, until it was last looked into or the first of it was read, and stays
    /// cut for what came behind that.
    pub fn pass_first(&self) {
        self.change(|it| it.turns += 1);
    }

    fn change(&self, change: impl FnOnce(&mut Cut)) {
        change(&mut self.gate.cut.lock().unwrap_or_else(PoisonError::into_inner));
        self.gate.changed.notify_all();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.gate.over.store(true, Ordering::Relaxed);
        self.cut(false);
        let open = self
            .gate
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (one, other) in open.iter() {
            let _ = one.shutdown(Shutdown::Both);
            let _ = other.shutdown(Shutdown::Both);
        }
        // The listener's thread looks at `over` when something comes.
        let _ = TcpStream::connect(self.at);
    }
}

impl Gate {
    fn connect(self: &Arc<Self>, from: TcpStream, to: SocketAddr) -> std::io::Result<()> {
        self.until_mended(|_, _| {});
        let to = TcpStream::connect(to)?;
        for stream in [&from, &to] {
            stream.set_nodelay(true)?;
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(one, _)| one.peer_addr().is_ok());
        open.push((from.try_clone()?, to.try_clone()?));
        if self.over.load(Ordering::Relaxed) {
            // Whoever ended the relay may have gone through the list before.
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        }
        drop(open);
        let back = (to.try_clone()?, from.try_clone()?);
        for (from, to) in [(from, to), back] {
            let gate = Arc::clone(self);
            thread::spawn(move || gate.pass(from, to));
        }
        Ok(())
    }

    /// Passes bytes until either side ends, then ends both.
    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = vec![0; MOST_AT_ONCE];
        loop {
            let read = from.read(&mut bytes);
            let mut held = bytes[..read.as_ref().map_or(0, |count| *count)].to_vec();
            let ended = held.is_empty();
            self.until_mended(|look, wanted| {
                if !ended {
                    take_what_is_there(&mut from, &mut held);
                }
                let found = held.windows(wanted.len().max(1)).any(|it| it == wanted);
                if found {
                    let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
                    // Whoever was late answers an earlier look.
                    cut.found = look;
                    drop(cut);
                    self.changed.notify_all();
                }
            });
            if ended || to.write_all(&held).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    /// Waits while it is cut, and looks into what waits when somebody wants to know.
    fn until_mended(&self, mut look: impl FnMut(u64, &[u8])) {
        let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        let (turns, mut looks) = (cut.turns, cut.looks);
        loop {
            cut = self
                .changed
                .wait_while(cut, |it| it.is && it.turns == turns && it.looks == looks)
                .unwrap_or_else(PoisonError::into_inner);
            if !cut.is || cut.turns != turns {
                return;
            }
            looks = cut.looks;
            let wanted = cut.wanted.clone();
            drop(cut);
            look(looks, &wanted);
            cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Reads what has come by now.
fn take_what_is_there(from: &mut TcpStream, held: &mut Vec<u8>) {
    let mut bytes = [0; 4 << 10];
    if from
        .set_read_timeout(Some(Duration::from_millis(1)))
        .is_ok()
    {
        while held.len() < MOST_AT_ONCE
            && let Ok(count @ 1..) = from.read(&mut bytes)
        {
            held.extend_from_slice(&bytes[..count]);
        }
        let _ = from.set_read_timeout(None);
    }
}

/// How long those who hold something may take to look into it.
const LOOKS: Duration = Duration::from_millis(50);
/// Bytes that a relay holds per direction; what is sent beyond waits in the sockets.
const MOST_AT_ONCE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports;

    /// Both ends of a connection through a relay.
    fn through() -> (Relay, TcpStream, TcpStream) {
        let (at, to) = (ports::loopback().unwrap(), ports::loopback().unwrap());
        let listener = TcpListener::bind(to).unwrap();
        let relay = Relay::start(at, to).unwrap();
        let near = TcpStream::connect(at).unwrap();
        let far = listener.accept().unwrap().0;
        (relay, near, far)
    }

    fn hear(stream: &mut TcpStream, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_said_while_cut_is_heard_when_mended_and_not_before() {
        let (relay, mut near, mut far) = through();
        near.write_all(b"one").unwrap();
        assert_eq!(hear(&mut far, 3), b"one");
        relay.cut(true);
        near.write_all(b"two").unwrap();
        far.write_all(b"back").unwrap();
        // That nothing comes can only be seen for a while.
        far.set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        assert!(far.read(&mut [0]).is_err());
        far.set_read_timeout(None).unwrap();
        relay.cut(false);
        assert_eq!(hear(&mut far, 3), b"two");
        assert_eq!(hear(&mut near, 4), b"back");
    }

    #[test]
    fn what_came_first_can_be_passed_on_by_itself() {
        let (relay, mut near, mut far) = through();
        near.write_all(b"one").unwrap();
        assert_eq!(hear(&mut far, 3), b"one");
        relay.cut(true);
        near.write_all(b"two").unwrap();
        far.set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        assert!(far.read(&mut [0]).is_err());
        near.write_all(b"three").unwrap();
        while !relay.holds("othr") {}
        near.write_all(b"four").unwrap();
        relay.pass_first();
        far.set_read_timeout(None).unwrap();
        assert_eq!(hear(&mut far, 8), b"twothree");
        far.set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        assert!(far.read(&mut [0]).is_err(), "the fourth waits");
        assert!(!relay.holds("twice"));
        far.set_read_timeout(None).unwrap();
        relay.cut(false);
        assert_eq!(hear(&mut far, 4), b"four");
    }

    #[test]
    fn an_end_is_passed_on_unless_cut() {
        let (relay, near, mut far) = through();
        relay.cut(true);
        drop(near);
        far.set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        assert!(far.read(&mut [0]).is_err(), "nobody is told");
        far.set_read_timeout(None).unwrap();
        relay.cut(false);
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_relay_takes_its_connections_with_it() {
        let (relay, mut near, mut far) = through();
        drop(relay);
        assert_eq!(near.read(&mut [0]).unwrap(), 0);
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
    }
}
