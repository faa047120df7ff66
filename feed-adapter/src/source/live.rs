//! What do a live source's lines say?
//!
//! ```text
//!  line A socket ─ recvmmsg ─► sender? ─► MoldUDP64? ─► Lines::on_packet, on_heartbeat, on_end
//!  line B socket ─ recvmmsg ─► …
//! ```
//!
//! A packet of a foreign sender and one that is no MoldUDP64 are counted and dropped; the first of each
//! kind leaves a note. Which packets are new, late or twice is the business of `Lines`.

use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd};

use twinfeed_net::udp::{Datagram, Receiver, ReceiverConfig, ReceiverCounters, Timestamps};
use twinfeed_protocol::line::{Line, Lines, Way};
use twinfeed_protocol::sequencer::{Now, Transmit};
use twinfeed_wire::{Epoch, Sid};

use super::ahead::Ahead;
use super::moldudp64::{Kind, Packet, Session};
pub use super::requests::RequestCounters;
use super::requests::Requests;
pub use super::soup::holes::HoleCounters;
use super::soup::holes::Holes;
use super::soup::{Servers, Why};
use crate::config::{Config, LineConfig, Profile};
use crate::converter::At;
use crate::decode::TradingDay;
use crate::error::AdapterError;
use crate::fault_points;
use crate::note::{News, Notes};

/// The lines of one live source.
#[derive(Debug)]
pub struct Live {
    inputs: [Option<Input>; 2],
    sid: Sid,
    requests: Option<Requests>,
    holes: Option<Holes>,
    epochs: Epochs,
}

/// What one line counted before its packets reached `Lines`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct InputCounters {
    /// Packets received, whatever became of them.
    pub packets: u64,
    /// Packets that are no MoldUDP64.
    pub malformed: u64,
    /// Packets of other senders than the configured one.
    pub foreign: u64,
    /// Packets longer than the receive slot.
    pub truncated: u64,
    /// Packets that the kernel dropped.
    pub kernel_drops: u64,
}

#[derive(Debug)]
struct Input {
    sid: Sid,
    line: Line,
    receiver: Receiver,
    config: LineConfig,
    counters: InputCounters,
}

impl Live {
    /// Opens the sockets. Warnings, such as a clamped buffer, come back as texts for the log.
    ///
    /// # Errors
    /// Names line and setting at fault; a clamped buffer is one under the low-latency profile.
    pub fn open(
        config: &Config,
        sid: Sid,
        lines: &[Option<LineConfig>; 2],
        soup: Option<Servers>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, AdapterError> {
        let mut inputs = [None, None];
        for (place, line) in [Line::A, Line::B].into_iter().enumerate() {
            if let Some(of) = &lines[place] {
                inputs[place] = Some(Input::open(config, sid, line, of, warnings)?);
            }
        }
        let servers = [0, 1].map(|at| lines[at].as_ref().and_then(|line| line.requests));
        let requests = Requests::open(servers).map_err(AdapterError::system(
            "open a socket for requests to the source",
        ))?;
        let holes = soup.map(|servers| Holes::start(sid, servers));
        let holes = holes.transpose().map_err(AdapterError::system(
            "start the thread that asks SoupBinTCP servers",
        ))?;
        Ok(Self {
            sid,
            inputs,
            requests,
            holes,
            epochs: Epochs::new(config.trading_day),
        })
    }

    /// Takes one batch from each line and says how many packets there were.
    pub fn poll<T: Transmit>(
        &mut self,
        now: Now,
        lines: &mut Lines,
        notes: &Notes,
        out: &mut At<'_, T>,
    ) -> usize {
        let Self {
            sid,
            inputs,
            requests,
            holes,
            epochs,
        } = self;
        let inputs = inputs.iter_mut().flatten();
        let mut heard: usize = inputs
            .map(|input| input.poll(now, lines, epochs, notes, out))
            .sum();
        // Both are read whichever is asked: they are slept on together.
        if lines.is_asking() {
            if let Some(requests) = requests {
                heard += requests.poll(now, lines, epochs, out);
            }
            if let Some(holes) = holes {
                heard += holes.poll(now, lines, (*sid, notes), out);
            }
        }
        heard
    }

    /// Tells `lines` which request servers the source has.
    pub fn introduce(&self, lines: &mut Lines) {
        if let Some(requests) = &self.requests {
            requests.introduce(lines);
        }
        if let Some(holes) = &self.holes {
            holes.introduce(lines);
        }
    }

    /// Sends what `lines` asks for.
    pub fn ask(&mut self, lines: &mut Lines) {
        let Some(ask) = lines.poll_request() else {
            return;
        };
        match ask.way {
            Way::Packets => {
                if let Some(requests) = &mut self.requests {
                    let opened = lines.requests(Way::Packets).opened;
                    requests.ask(&ask, opened, &self.epochs);
                }
            }
            Way::Session => {
                if let Some(holes) = &mut self.holes {
                    holes.ask(&ask, &self.epochs);
                }
            }
        }
    }

    /// What was counted of requests to servers of the session.
    #[must_use]
    pub fn holes(&self) -> HoleCounters {
        let holes = self.holes.as_ref().map(Holes::counters);
        holes.copied().unwrap_or_default()
    }

    /// Why each line's server of the session gave nothing the last time.
    #[must_use]
    pub fn session_faults(&self) -> [Option<Why>; 2] {
        self.holes.as_ref().map_or([None; 2], Holes::faults)
    }

    /// The session that this epoch is, if it was heard of lately.
    #[must_use]
    pub fn session_of(&self, epoch: Epoch) -> Option<Session> {
        self.epochs.session_of(epoch)
    }

    /// What was counted of requests.
    #[must_use]
    pub fn requests(&self) -> RequestCounters {
        let requests = self.requests.as_ref().map(Requests::counters);
        requests.copied().unwrap_or_default()
    }

    /// The sockets, to sleep on; those of requests while something is asked for: they are read only then.
    pub fn sockets(&self, asking: bool) -> impl Iterator<Item = BorrowedFd<'_>> {
        let requests = self.requests.iter().filter(move |_| asking);
        let requests = requests.map(Requests::socket);
        let holes = self.holes.iter().filter(move |_| asking).map(Holes::ear);
        let inputs = self.inputs.iter().flatten();
        let inputs = inputs.map(|input| input.receiver.as_fd());
        inputs.chain(requests).chain(holes)
    }

    /// What one line counted; `None` if there is no such line.
    #[must_use]
    pub fn counters(&self, line: Line) -> Option<InputCounters> {
        let input = self
            .inputs
            .iter()
            .flatten()
            .find(|input| input.line == line)?;
        let ReceiverCounters { kernel_drops, .. } = input.receiver.counters();
        Some(InputCounters {
            kernel_drops,
            ..input.counters
        })
    }

    /// Where one line listens, with the port that the kernel chose if it was to choose.
    #[must_use]
    pub fn local_addr(&self, line: Line) -> Option<SocketAddr> {
        let input = self
            .inputs
            .iter()
            .flatten()
            .find(|input| input.line == line)?;
        Some(input.receiver.local_addr())
    }
}

impl Input {
    fn open(
        config: &Config,
        sid: Sid,
        line: Line,
        of: &LineConfig,
        warnings: &mut Vec<String>,
    ) -> Result<Self, AdapterError> {
        let setup = match &of.interface {
            Some(interface) => {
                let setup = ReceiverConfig::multicast(of.address, interface.clone());
                match of.source {
                    Some(source) => setup.from_source(source),
                    None => setup,
                }
            }
            None => ReceiverConfig::unicast(of.address),
        };
        let setup = setup
            .receive_buffer(config.host.receive_buffer)
            .slot(SLOT)
            .timestamps(Timestamps::Kernel);
        let setup = fault_points::taken(setup);
        let what = || format!("source {sid}, line {line:?}");
        let receiver = Receiver::open(&setup).map_err(AdapterError::socket(what()))?;
        let report = receiver.buffer();
        match config.profile {
            _ if !report.is_clamped() => {}
            Profile::LowLatency => return Err(AdapterError::BufferClamped { sid, line, report }),
            Profile::Default => warnings.push(format!("{}: {report}", what())),
        }
        let counters = InputCounters::default();
        Ok(Self {
            sid,
            line,
            receiver,
            config: of.clone(),
            counters,
        })
    }

    fn poll<T: Transmit>(
        &mut self,
        now: Now,
        lines: &mut Lines,
        epochs: &mut Epochs,
        notes: &Notes,
        out: &mut At<'_, T>,
    ) -> usize {
        let Self {
            sid,
            line,
            receiver,
            config,
            counters,
        } = self;
        // An error is one that a later report from the network left at the socket: the next call is free.
        let Ok(batch) = receiver.receive() else {
            return 0;
        };
        let mut packets = 0;
        let mut ahead = Ahead::new(batch.payloads());
        for datagram in batch {
            packets += 1;
            let mut gate = Gate {
                sid: *sid,
                line: *line,
                config,
                counters,
                notes,
            };
            if let Some(packet) = gate.admit(&datagram) {
                let received_at = datagram.received.map_or(now.unix_ns, |stamp| stamp.ns);
                ahead.turn(packet.count(), |messages| out.foresee(messages));
                hear(now, *line, &packet, received_at, lines, epochs, out);
            }
        }
        counters.packets += packets as u64;
        packets
    }
}

/// What a datagram must pass before it is a packet.
struct Gate<'a> {
    sid: Sid,
    line: Line,
    config: &'a LineConfig,
    counters: &'a mut InputCounters,
    notes: &'a Notes,
}

impl Gate<'_> {
    fn admit<'d>(&mut self, datagram: &Datagram<'d>) -> Option<Packet<'d>> {
        if datagram.kernel_drops > 0 {
            self.first(0, News::KernelDrops(self.line, datagram.kernel_drops));
        }
        if self
            .config
            .source
            .is_some_and(|source| source != datagram.source.ip())
        {
            self.first(
                self.counters.foreign,
                News::ForeignSender(self.line, datagram.source),
            );
            self.counters.foreign += 1;
            return None;
        }
        self.counters.truncated += u64::from(datagram.truncated);
        match Packet::parse(datagram.bytes) {
            Ok(packet) => Some(packet),
            Err(fault) => {
                self.first(self.counters.malformed, News::Malformed(self.line, fault));
                self.counters.malformed += 1;
                None
            }
        }
    }

    fn first(&self, before: u64, news: News) {
        if before == 0 {
            self.notes.leave(self.sid, news);
        }
    }
}

/// Tells `lines` what a packet says.
pub(super) fn hear<T: Transmit>(
    now: Now,
    line: Line,
    packet: &Packet<'_>,
    received_at: u64,
    lines: &mut Lines,
    epochs: &mut Epochs,
    out: &mut At<'_, T>,
) {
    let epoch = epochs.of(packet.session());
    out.in_session(packet.session());
    let (first, time) = (packet.sequence(), now.time);
    match packet.kind() {
        Kind::Messages => {
            let messages = packet.messages().map(|(_, message)| message);
            lines.on_packet(
                line,
                time,
                epoch,
                first,
                packet.count(),
                messages,
                received_at,
                out,
            );
        }
        Kind::Heartbeat => lines.on_heartbeat(line, time, epoch, first, out),
        Kind::EndOfSession => lines.on_end(line, time, epoch, first, out),
    }
}

/// The epoch of a session, and back; the last ones asked for are remembered.
#[derive(Debug)]
pub(crate) struct Epochs {
    day: TradingDay,
    /// The last one first.
    recent: [Option<(Session, Epoch)>; RECENT],
}

impl Epochs {
    pub(super) fn new(day: TradingDay) -> Self {
        Self {
            day,
            recent: [None; RECENT],
        }
    }

    pub(super) fn of(&mut self, session: Session) -> Epoch {
        match self.recent[0] {
            Some((last, epoch)) if last == session => epoch,
            _ => {
                let epoch = self.look_up(session);
                let before = self.recent.into_iter().flatten();
                let others = before.filter(|(of, _)| *of != session).map(Some);
                let all = std::iter::once(Some((session, epoch))).chain(others);
                let mut recent = [None; RECENT];
                recent.iter_mut().zip(all).for_each(|(slot, it)| *slot = it);
                self.recent = recent;
                epoch
            }
        }
    }

    /// The same, and nothing is remembered: whoever answers requests does not say what the source speaks of.
    pub(super) fn look_up(&self, session: Session) -> Epoch {
        let known = self.recent.iter().flatten().find(|(of, _)| *of == session);
        known.map_or_else(|| session.epoch(&self.day), |(_, epoch)| *epoch)
    }

    /// The session whose epoch this is, if it was heard of lately.
    pub(crate) fn session_of(&self, epoch: Epoch) -> Option<Session> {
        let mut recent = self.recent.iter().flatten();
        recent
            .find(|(_, of)| *of == epoch)
            .map(|(session, _)| *session)
    }
}

/// Sessions that are remembered: the one at hand, and those that babble beside it.
const RECENT: usize = 4;
/// Longest packet that is received whole, bytes: more than an Ethernet frame of 9,000 carries.
pub(super) const SLOT: usize = 9_216;
