//! How does a script get onto the lines in time?
//!
//! A thread of its own, so that whatever the judge does delays no packet. Between scripts it repeats a packet without
//! messages on both lines, as an exchange does. How late it was at most is part of the outcome: a handler is not to blame
//! for what the host's scheduler did to the sender.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use twinfeed_exchange::LineId;
use twinfeed_exchange::config::LineConfig;
use twinfeed_exchange::transport::{Transport as _, UdpTransport};

use super::score::{HEARTBEAT, Script};
use crate::error::Error;

/// Where the lines go.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines {
    /// Line A: unicast addresses, or one multicast group.
    pub a: Vec<SocketAddr>,
    /// Line B.
    pub b: Vec<SocketAddr>,
    /// The interface that multicast is sent through.
    pub interface: Ipv4Addr,
    /// Hops that multicast may take.
    pub ttl: u32,
}

/// What became of a script.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Played {
    /// Packets sent.
    pub packets: u64,
    /// How late one of them was, at most.
    pub latest: Duration,
}

#[derive(Debug)]
enum Order {
    /// Repeat this until told otherwise.
    Idle(Vec<u8>),
    /// Send these at once.
    Prelude(Arc<Script>),
    /// Play this, then repeat its last words.
    Play(Arc<Script>),
}

/// The thread that sends. It ends when this is dropped.
#[derive(Debug)]
pub struct Player {
    orders: Option<Sender<Order>>,
    played: Receiver<Played>,
    thread: Option<JoinHandle<()>>,
}

impl Player {
    /// Opens the sockets and starts the thread, which is silent.
    ///
    /// # Errors
    /// When a socket cannot be had, or no thread be started.
    pub fn start(lines: &Lines) -> Result<Self, Error> {
        let line = |destinations: &[SocketAddr]| LineConfig {
            destinations: destinations.to_vec(),
            interface: lines.interface,
            ttl: lines.ttl,
            ..LineConfig::default()
        };
        let transport = UdpTransport::open(&line(&lines.a), &line(&lines.b));
        let transport = transport.map_err(|error| Error::Run {
            key: "lines",
            fault: error.to_string(),
        })?;
        let (orders, taken) = bounded(4);
        let (tell, played) = bounded(4);
        let thread = std::thread::Builder::new()
            .name("certify-player".to_owned())
            .spawn(move || play(transport, &taken, &tell))
            .map_err(Error::process("start", "the player"))?;
        Ok(Self {
            orders: Some(orders),
            played,
            thread: Some(thread),
        })
    }

    /// Repeats a packet without messages until told otherwise.
    pub fn idle(&self, packet: &[u8]) {
        self.order(Order::Idle(packet.to_vec()));
    }

    /// Sends what is sent before the handler starts, and waits until it is.
    pub fn prelude(&self, script: &Arc<Script>) {
        self.order(Order::Prelude(Arc::clone(script)));
        // The thread ends only with this.
        let _ = self.played.recv();
    }

    /// Plays a script; [`Player::played`] says when it is over.
    pub fn play(&self, script: &Arc<Script>) {
        self.order(Order::Play(Arc::clone(script)));
    }

    /// What became of the script, if it is over; told once.
    #[must_use]
    pub fn played(&self) -> Option<Played> {
        self.played.try_recv().ok()
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // The thread ends only with this.
            let _ = orders.send(order);
        }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn play(mut transport: UdpTransport, orders: &Receiver<Order>, tell: &Sender<Played>) {
    let mut idle: Option<Vec<u8>> = None;
    loop {
        let order = match &idle {
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(packet) => {
                LineId::ALL
                    .iter()
                    .for_each(|&line| transport.send(line, packet));
                orders.recv_timeout(HEARTBEAT)
            }
        };
        let played = match order {
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
            Ok(Order::Idle(packet)) => {
                idle = Some(packet);
                continue;
            }
            Ok(Order::Prelude(script)) => {
                for packet in &script.prelude {
                    LineId::ALL
                        .iter()
                        .for_each(|&line| transport.send(line, packet));
                }
                idle = Some(script.announce.clone());
                Played::default()
            }
            Ok(Order::Play(script)) => {
                idle = Some(script.idle.clone());
                send(&mut transport, &script)
            }
        };
        if tell.send(played).is_err() {
            return;
        }
    }
}

fn send(transport: &mut UdpTransport, script: &Script) -> Played {
    let start = Instant::now();
    let mut latest = Duration::ZERO;
    for packet in &script.packets {
        let due = Duration::from_nanos(packet.at_ns);
        let early = due.saturating_sub(start.elapsed());
        if !early.is_zero() {
            std::thread::sleep(early);
        }
        latest = latest.max(start.elapsed().saturating_sub(due));
        transport.send(packet.line, &packet.bytes);
    }
    Played {
        packets: script.packets.len() as u64,
        latest,
    }
}
