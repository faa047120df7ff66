//! How far do the messages go?
//!
//! ```text
//!  decoded   packet ─► message ─► decoder ─► bodies
//!  framed    packet ─► message ─► decoder ─► sequencer ─► outbox
//!  whole     packet ─► Lines ─► Converter (decoder, sequencer) ─► outbox         as on an adapter's data thread,
//!  twice     the same, each packet a second time on the other line               but for sockets and the pair link
//! ```
//!
//! The adapter's own types in the adapter's own order (`feed-adapter/src/pipeline.rs`). Batches are as large as a receive
//! call's, and the outbox is forgotten where it would be sent.

use std::hint::black_box;
use std::time::Duration;

use twinfeed_feed_adapter::converter::Converter;
use twinfeed_feed_adapter::decode::{
    Decoder as _, Faults, LONGEST_MESSAGE, Parts, TradingDay, itch50,
};
use twinfeed_feed_adapter::note::Notes;
use twinfeed_feed_adapter::source::ahead::Ahead;
use twinfeed_feed_adapter::source::moldudp64::{Messages, Packet, Session};
use twinfeed_net::udp::{Outbox, ReceiverConfig};
use twinfeed_protocol::line::{Line, LineLimits, Lines};
use twinfeed_protocol::sequencer::{Body, Now, Sequencer, SequencerConfig, Transmit};
use twinfeed_protocol::{EpochStart, Time};
use twinfeed_wire::{DEFAULT_DATAGRAM, Datagram, Epoch, Generation, Incarnation, Sid, StreamId};

use super::flow::Packets;
use crate::cost;

/// How far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    Decoded,
    Framed,
    Whole,
    Twice,
}

impl Way {
    pub(super) const ALL: [Self; 4] = [Self::Decoded, Self::Framed, Self::Whole, Self::Twice];
}

/// One way, with all that it remembers.
pub(crate) struct Path {
    way: Way,
    now: Now,
    /// Packets of a batch, as they would lie in a receiver's slots.
    slots: Packets,
    handed: u64,
    machines: Machines,
}

enum Machines {
    Decoded {
        decoder: Box<itch50::Converter>,
        parts: Parts,
        bodies: u64,
    },
    Framed {
        decoder: Box<itch50::Converter>,
        parts: Parts,
        sequencer: Box<Sequencer>,
        out: Sink,
    },
    Whole {
        lines: Box<Lines>,
        speaking: &'static [Line],
        converter: Box<Converter>,
        epoch: Epoch,
        out: Sink,
    },
}

impl Path {
    /// `max_open_orders` as in an adapter's configuration. `reads`: every datagram is read again, for tests.
    pub(super) fn new(way: Way, max_open_orders: usize, reads: bool) -> Self {
        let settings = itch50::Settings {
            max_open_orders,
            ..itch50::Settings::default()
        };
        let now = BEGIN;
        let decoder = || Box::new(itch50::Converter::new(settings, day()));
        // Bodies are cut by the sequencer.
        let parts = || Parts::new(LONGEST_MESSAGE + 1);
        let mut out = Sink::new(reads);
        let machines = match way {
            Way::Decoded => Machines::Decoded {
                decoder: decoder(),
                parts: parts(),
                bodies: 0,
            },
            Way::Framed => {
                let mut sequencer = sequencer(now, ONLY, &mut out);
                let start = EpochStart {
                    epoch: Epoch(1),
                    first: 1,
                    complete: true,
                    predecessor: Epoch::NONE,
                };
                sequencer.begin_epoch(now, start, &mut out);
                Machines::Framed {
                    decoder: decoder(),
                    parts: parts(),
                    sequencer: Box::new(sequencer),
                    out,
                }
            }
            Way::Whole => Machines::whole(ONLY, &[Line::A], settings, out),
            Way::Twice => Machines::whole(ONLY, &Line::BOTH, settings, out),
        };
        Self::over(way, machines)
    }

    /// One stream of one source, from a line; its datagrams stay until [`Self::forget`].
    pub(crate) fn holding(of: (Sid, StreamId), max_open_orders: usize) -> Self {
        let settings = itch50::Settings {
            max_open_orders,
            ..itch50::Settings::default()
        };
        let out = Sink {
            holds: true,
            outbox: Outbox::new(HELD_DATAGRAMS, HELD_DATAGRAMS * DEFAULT_DATAGRAM),
            ..Sink::new(false)
        };
        Self::over(Way::Whole, Machines::whole(of, &[Line::A], settings, out))
    }

    fn over(way: Way, machines: Machines) -> Self {
        Self {
            way,
            now: BEGIN,
            slots: Packets::default(),
            handed: 0,
            machines,
        }
    }

    /// So many messages more will be in the packets of [`Self::turn`].
    pub(crate) const fn expect(&mut self, messages: u64) {
        self.handed += messages;
    }

    /// Takes one packet, which came alone.
    pub(crate) fn turn(&mut self, packet: &[u8]) {
        self.now.time = self.now.time.after(Duration::from_micros(1));
        self.now.unix_ns += 1_000;
        self.machines.batch(self.now, std::iter::once(packet));
    }

    /// What it would have sent.
    pub(crate) fn sent(&self) -> Option<&Outbox> {
        match &self.machines {
            Machines::Decoded { .. } => None,
            Machines::Framed { out, .. } | Machines::Whole { out, .. } => Some(&out.outbox),
        }
    }

    /// Forgets that.
    pub(crate) fn forget(&mut self) {
        match &mut self.machines {
            Machines::Decoded { .. } => {}
            Machines::Framed { out, .. } | Machines::Whole { out, .. } => out.outbox.clear(),
        }
    }

    /// Takes these packets; tenths of ns a message, of this thread's time on its core.
    pub(super) fn take(&mut self, packets: &Packets) -> u64 {
        let mut spent = 0;
        self.fill_slots(packets, |path| {
            let begun = cost::thread_ns();
            path.take_slots();
            spent += cost::thread_ns() - begun;
        });
        cost::tenths(u128::from(spent), packets.messages())
    }

    /// Takes these packets, and their instructions are counted.
    pub(super) fn take_counted(&mut self, packets: &Packets) {
        self.fill_slots(packets, Self::take_slots);
    }

    fn fill_slots(&mut self, packets: &Packets, mut then: impl FnMut(&mut Self)) {
        let mut left = packets.iter().peekable();
        while left.peek().is_some() {
            self.slots.clear();
            while self.slots.bytes() < AT_ONCE
                && let Some(packet) = left.next()
            {
                self.slots.push(packet, 0);
            }
            then(self);
        }
        self.handed += packets.messages();
    }

    /// Takes these packets, and nobody counts what that costs.
    pub(super) fn prepare(&mut self, packets: &Packets) {
        self.machines.cycles(&mut self.now, packets);
        self.handed += packets.messages();
    }

    /// All that is timed, and all whose instructions `bench/instructions` counts, by this name.
    #[inline(never)]
    fn take_slots(&mut self) {
        self.machines.cycles(&mut self.now, &self.slots);
    }

    /// Whether every message was converted, once, and everything was framed; `faultless`: and no message was about an
    /// order that nobody knew.
    pub(crate) fn is_sound(&self, faultless: bool) -> bool {
        let (faults, framed) = match &self.machines {
            Machines::Decoded {
                decoder, bodies, ..
            } => (decoder.faults(), *bodies >= self.handed),
            Machines::Framed {
                decoder,
                sequencer,
                out,
                ..
            } => (decoder.faults(), self.is_framed(sequencer, out)),
            Machines::Whole { converter, out, .. } => (
                converter.faults(),
                self.is_framed(&converter.sequencer, out),
            ),
        };
        framed && (!faultless || faults == Faults::default())
    }

    /// Records framed so far, as the datagrams say; 0 where nothing is framed.
    pub(crate) fn records(&self) -> u64 {
        match &self.machines {
            Machines::Decoded { bodies, .. } => *bodies,
            Machines::Framed { out, .. } | Machines::Whole { out, .. } => out.records,
        }
    }

    fn is_framed(&self, sequencer: &Sequencer, out: &Sink) -> bool {
        let counted = sequencer.counters();
        counted.messages == self.handed
            && counted.records == out.records
            && counted.refused + counted.inexpressible + counted.abandoned == 0
            && out.unsound == 0
    }
}

impl Machines {
    /// As on an adapter's data thread.
    fn whole(
        of: (Sid, StreamId),
        speaking: &'static [Line],
        settings: itch50::Settings,
        mut out: Sink,
    ) -> Self {
        let Ok(lines) = Lines::new(LineLimits::default()) else {
            unreachable!("the defaults can be worked with")
        };
        let sequencer = sequencer(BEGIN, of, &mut out);
        let converter = Converter::new(of.0, day(), settings, sequencer, Notes::new());
        Self::Whole {
            lines: Box::new(lines),
            speaking,
            converter: Box::new(converter),
            epoch: Session(*b"S000000001").epoch(&day()),
            out,
        }
    }

    /// So many duty cycles as receive calls are needed.
    fn cycles(&mut self, now: &mut Now, packets: &Packets) {
        let mut packets = packets.iter();
        while packets.len() > 0 {
            now.time = now.time.after(Duration::from_micros(1));
            now.unix_ns += 1_000;
            let most = ReceiverConfig::DEFAULT_BATCH.min(packets.len());
            self.batch(*now, packets.clone().take(most));
            packets.nth(most - 1);
        }
    }

    /// What a duty cycle does with what a receive call gave.
    fn batch<'p>(&mut self, mut now: Now, packets: impl Iterator<Item = &'p [u8]> + Clone) {
        match self {
            Self::Decoded {
                decoder,
                parts,
                bodies,
            } => {
                let mut ahead = Ahead::new(packets.clone());
                for packet in packets.flat_map(Packet::parse) {
                    ahead.turn(packet.count(), |messages| foresee(decoder, messages));
                    for (sseq, message) in packet.messages() {
                        let _ = decoder.convert(sseq, message, parts);
                        *bodies += parts.len() as u64;
                        black_box(&*parts);
                    }
                }
            }
            Self::Framed {
                decoder,
                parts,
                sequencer,
                out,
            } => {
                let mut ahead = Ahead::new(packets.clone());
                for packet in packets.flat_map(Packet::parse) {
                    ahead.turn(packet.count(), |messages| foresee(decoder, messages));
                    now.unix_ns += 1;
                    for (sseq, message) in packet.messages() {
                        let _ = decoder.convert(sseq, message, parts);
                        let bodies = parts.iter().map(|part| Body {
                            kind: part.kind,
                            bytes: part.bytes,
                        });
                        sequencer.message(now, sseq, now.unix_ns, bodies, out);
                    }
                }
                sequencer.flush(now, out);
                out.send();
            }
            Self::Whole {
                lines,
                speaking,
                converter,
                epoch,
                out,
            } => {
                for line in *speaking {
                    let mut ahead = Ahead::new(packets.clone());
                    for packet in packets.clone().flat_map(Packet::parse) {
                        // The kernel stamps each packet.
                        now.unix_ns += 1;
                        let mut at = converter.at(now, out);
                        ahead.turn(packet.count(), |messages| at.foresee(messages));
                        at.in_session(packet.session());
                        lines.on_packet(
                            *line,
                            now.time,
                            *epoch,
                            packet.sequence(),
                            packet.count(),
                            packet.messages().map(|(_, message)| message),
                            now.unix_ns,
                            &mut at,
                        );
                    }
                }
                converter.sequencer.flush(now, out);
                out.send();
            }
        }
    }
}

fn foresee(decoder: &itch50::Converter, messages: Messages<'_>) {
    for (_, message) in messages {
        decoder.foresee(message);
    }
}

impl std::fmt::Debug for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Path")
            .field("way", &self.way)
            .field("handed", &self.handed)
            .field("records", &self.records())
            .finish_non_exhaustive()
    }
}

/// A stream of generation 1 that has said nothing.
fn sequencer(now: Now, (sid, stream): (Sid, StreamId), out: &mut Sink) -> Sequencer {
    let config = SequencerConfig {
        stream,
        sid,
        incarnation: Incarnation(6 + u64::from(stream.0)),
        max_datagram: DEFAULT_DATAGRAM,
        heartbeat: Duration::from_millis(10),
        history: HISTORY,
    };
    let Ok(mut sequencer) = Sequencer::new(config) else {
        unreachable!("within all bounds")
    };
    sequencer.open_generation(now, Generation(1), twinfeed_wire::Adm(0), out);
    sequencer
}

/// The way to the socket, without the socket.
struct Sink {
    outbox: Outbox,
    /// Whether what would be sent stays.
    holds: bool,
    records: u64,
    /// Whether datagrams are read, and how many were not as they should be.
    reads: bool,
    last: u64,
    unsound: u64,
}

impl Sink {
    fn new(reads: bool) -> Self {
        Self {
            outbox: Outbox::new(OUTBOX_DATAGRAMS, OUTBOX_DATAGRAMS * DEFAULT_DATAGRAM),
            holds: false,
            records: 0,
            reads,
            last: 0,
            unsound: 0,
        }
    }

    fn send(&mut self) {
        black_box(&self.outbox);
        if !self.holds {
            self.outbox.clear();
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        let Ok(datagram) = Datagram::parse(bytes) else {
            self.unsound += 1;
            return;
        };
        for record in datagram.records() {
            let follows = record.sseq == self.last || record.prev == self.last;
            self.unsound += u64::from(!follows);
            self.last = record.sseq;
        }
    }
}

impl Transmit for Sink {
    fn datagram(&mut self, bytes: &[u8]) {
        // Of records, by docs/wire-format.md, section 2; a heartbeat has none.
        self.records += u64::from(u16::from_le_bytes([bytes[6], bytes[7]]));
        if self.reads {
            self.read(bytes);
        }
        if self.outbox.push(bytes).is_err() {
            self.send();
            self.unsound += u64::from(self.outbox.push(bytes).is_err());
        }
    }
}

fn day() -> TradingDay {
    let Ok(day) = TradingDay::new(2019, 12, 30) else {
        unreachable!("there was such a day")
    };
    day
}

const BEGIN: Now = Now {
    time: Time(1_000_000_000),
    unix_ns: 1_577_716_200_000_000_000,
};
/// Source and stream, where there is one of each.
const ONLY: (Sid, StreamId) = (Sid(1), StreamId(1));
/// Bytes of packets whose time is taken together: few enough to stay in a core's caches, as what a socket gives does, and so many
/// that reading the clock costs nothing.
const AT_ONCE: usize = 64 << 10;
/// As an adapter's pipeline has it.
const HISTORY: usize = 8_192;
/// As an adapter's outlet has it.
const OUTBOX_DATAGRAMS: usize = 128;
/// What stays at most.
const HELD_DATAGRAMS: usize = 2_048;
