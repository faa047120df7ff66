//! Is the other adapter of the pair there, and if not, is it dead?
//!
//! ```text
//!            hello agrees              last connection ended by the peer's end, no goodbye
//!   Apart ──────────────► Paired ─────────────────────────────────────────────────────► Lost
//!     ▲                   │    ▲                        hello agrees                      │
//!     └── goodbye, silence┘    └──────────────────────────────────────────────────────────┘
//! ```
//!
//! Both ends listen and connect, so there may be two connections for a moment; the one that the active
//! seat opened is kept, and the one that opened the other takes it back. A peer is lost only with its
//! last connection, and only when its end closed it without a goodbye: that is what a kernel does for a
//! dead process. Silence is not death; it makes the pair unprotected and nothing more.
//!
//! Which socket a connection is, and what time it is, the driver knows. Nothing here allocates.

use std::time::Duration;

use twinfeed_protocol::Time;
use twinfeed_wire::link::{FOR_GOOD, Frame, Hello, Role};
use twinfeed_wire::{Generation, Incarnation};

pub use super::notice::{DownCause, Heard, Notice, Refusal};

/// Most connections at a time, greeted or not; a further one is closed at once.
pub const MOST_CONNECTIONS: usize = 4;

/// The driver's name for one connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Connection(pub u64);

/// How often to speak and how long to listen.
#[derive(Clone, Copy, Debug)]
pub struct LinkLimits {
    /// A silent link says that it lives this often.
    pub beat: Duration,
    /// Silent intervals after which a connection is given up.
    pub missed_beats: u32,
}

/// What the driver is to do, in order.
pub trait Orders {
    /// Send this frame.
    fn send(&mut self, on: Connection, frame: Frame);
    /// Close this connection after what was sent on it; it is forgotten here.
    fn close(&mut self, connection: Connection);
    /// For whoever numbers the streams, in order. `false`: it cannot be taken, and the connection is given up,
    /// for what was said must not be lost in between; a [`Heard::Down`] is always taken.
    fn hear(&mut self, heard: Heard) -> bool;
    /// Something changed that others should know.
    fn tell(&mut self, notice: Notice);
}

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// The peer's end closed it: in order, or by a reset.
    ByPeer,
    /// The network gave no answer.
    Network,
    /// The peer sent bytes that are no frame.
    Nonsense,
}

/// What is known of the peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkState {
    /// Nobody is there, and nobody died that we know of.
    Apart,
    /// The peer is there.
    Paired,
    /// The peer was there, and its process is gone.
    Lost,
}

/// The rules of one end of a pair link.
#[derive(Debug)]
pub struct LinkRules {
    us: Hello,
    limits: LinkLimits,
    state: LinkState,
    /// The peer last paired with, also after it is gone.
    peer: Option<Hello>,
    /// The one before, which never returns.
    replaced: Option<Incarnation>,
    slots: [Option<Slot>; MOST_CONNECTIONS],
    /// The connection on which the two ends talk about their numbering: a greeted one, while there is one.
    voice: Option<Connection>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    name: Connection,
    /// Whether this end opened it.
    ours: bool,
    /// Whether the peer's hello agreed.
    greeted: bool,
    /// Whether the peer said that it steps down for good: it leaves on purpose.
    leaving: bool,
    heard: Time,
    spoken: Time,
}

impl LinkRules {
    /// The rules for the end that says `us` of itself.
    #[must_use]
    pub fn new(us: Hello, limits: LinkLimits) -> Self {
        Self {
            us,
            limits,
            state: LinkState::Apart,
            peer: None,
            replaced: None,
            slots: [None; _],
            voice: None,
        }
    }

    /// Where to say what concerns the streams' numbering.
    #[must_use]
    pub const fn voice(&self) -> Option<Connection> {
        self.voice
    }

    /// What is known of the peer.
    #[must_use]
    pub const fn state(&self) -> LinkState {
        self.state
    }

    /// Whether a connection should be made: nobody is paired, and none that we made is under way.
    #[must_use]
    pub fn wants_connection(&self) -> bool {
        self.state != LinkState::Paired && !self.slots.iter().flatten().any(|slot| slot.ours)
    }

    /// A connection stands; `ours` if this end opened it.
    pub fn on_open(&mut self, now: Time, name: Connection, ours: bool, out: &mut impl Orders) {
        let Some(free) = self.slots.iter_mut().find(|slot| slot.is_none()) else {
            out.close(name);
            return;
        };
        *free = Some(Slot {
            name,
            ours,
            greeted: false,
            leaving: false,
            heard: now,
            spoken: now,
        });
        out.send(name, Frame::Hello(self.us));
    }

    /// A frame arrived.
    pub fn on_frame(&mut self, now: Time, name: Connection, frame: Frame, out: &mut impl Orders) {
        let Some(slot) = self
            .slots
            .iter_mut()
            .flatten()
            .find(|slot| slot.name == name)
        else {
            return;
        };
        slot.heard = now;
        match (frame, slot.greeted) {
            (Frame::Hello(hello), false) => match self.judge(&hello) {
                Ok(()) => self.greet(name, hello, out),
                Err(refusal) => {
                    out.tell(Notice::Refused(refusal));
                    self.drop_slot(name);
                    out.close(name);
                }
            },
            (Frame::Beat { generation, role }, true) => {
                if let Some(peer) = &mut self.peer {
                    (peer.generation, peer.role) = (generation, role);
                }
                self.note_successor(name, out);
            }
            (Frame::Goodbye, greeted) => {
                let leaving = slot.leaving;
                self.drop_slot(name);
                out.close(name);
                let last = greeted && !self.is_greeted();
                self.settle_voice(last && leaving, out);
                if last {
                    self.state = LinkState::Apart;
                    out.tell(Notice::PeerLeft);
                }
            }
            (
                Frame::StepDown {
                    deadline_us: FOR_GOOD,
                    ..
                },
                true,
            ) => slot.leaving = true,
            (
                Frame::Report(_)
                | Frame::CutRequest { .. }
                | Frame::Cut(_)
                | Frame::Intent(_)
                | Frame::Answer(_)
                | Frame::StepDown { .. }
                | Frame::Settled(_)
                | Frame::Content(_)
                | Frame::ContextRequest(_)
                | Frame::ContextHead(_)
                | Frame::ContextChunk(_)
                | Frame::ContextEnd(_)
                | Frame::ContextTaken(_)
                | Frame::ContextOver(_),
                true,
            ) => self.pass_on(name, frame, out),
            (Frame::Hello(_), true) | (_, false) => {
                self.give_up(name, DownCause::Nonsense, out);
            }
        }
    }

    /// A connection ended by itself; the driver has closed its socket.
    pub fn on_end(&mut self, name: Connection, ending: Ending, out: &mut impl Orders) {
        let greeted = self.drop_slot(name);
        if !greeted || self.is_greeted() {
            self.settle_voice(false, out);
            return;
        }
        let (state, notice) = match ending {
            Ending::ByPeer => (LinkState::Lost, Notice::PeerLost),
            Ending::Network => (LinkState::Apart, Notice::Down(DownCause::Network)),
            Ending::Nonsense => (LinkState::Apart, Notice::Down(DownCause::Nonsense)),
        };
        self.state = state;
        out.tell(notice);
        self.settle_voice(ending == Ending::ByPeer, out);
    }

    /// What was to be said on the voice's connection could not be sent: nothing after it may be.
    pub fn on_overrun(&mut self, out: &mut impl Orders) {
        if let Some(name) = self.voice {
            self.give_up(name, DownCause::Overrun, out);
        }
    }

    /// The time that [`LinkRules::next_deadline`] named has come: beats that are due, silence.
    pub fn on_deadline(&mut self, now: Time, out: &mut impl Orders) {
        let beat = Frame::Beat {
            generation: self.us.generation,
            role: self.us.role,
        };
        for place in 0..MOST_CONNECTIONS {
            let Some(slot) = &mut self.slots[place] else {
                continue;
            };
            let name = slot.name;
            if now >= slot.heard.after(self.limits.silence()) {
                self.give_up(name, DownCause::Silence, out);
            } else if slot.greeted && now >= slot.spoken.after(self.limits.beat) {
                slot.spoken = now;
                out.send(name, beat);
            }
        }
    }

    /// When [`LinkRules::on_deadline`] wants to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let of = |slot: &Slot| {
            let silence = slot.heard.after(self.limits.silence());
            if slot.greeted {
                silence.min(slot.spoken.after(self.limits.beat))
            } else {
                silence
            }
        };
        self.slots.iter().flatten().map(of).min()
    }

    /// Stream administration granted another generation or role; the peer is told at once.
    pub fn on_grant(&mut self, generation: Generation, role: Role, out: &mut impl Orders) {
        (self.us.generation, self.us.role) = (generation, role);
        for slot in self.slots.iter().flatten().filter(|slot| slot.greeted) {
            out.send(slot.name, Frame::Beat { generation, role });
        }
    }

    /// This end leaves on purpose.
    pub fn on_leave(&mut self, out: &mut impl Orders) {
        for slot in &mut self.slots {
            if let Some(slot) = slot.take() {
                if slot.greeted {
                    let generation = self.us.generation;
                    let deadline_us = FOR_GOOD;
                    out.send(
                        slot.name,
                        Frame::StepDown {
                            generation,
                            deadline_us,
                        },
                    );
                }
                out.send(slot.name, Frame::Goodbye);
                out.close(slot.name);
            }
        }
        self.state = LinkState::Apart;
        self.voice = None;
    }

    fn judge(&self, hello: &Hello) -> Result<(), Refusal> {
        if hello.incarnation == self.us.incarnation {
            return Err(Refusal::Ourselves);
        }
        if hello.feed_digest != self.us.feed_digest {
            return Err(Refusal::Feed);
        }
        if hello.config_digest != self.us.config_digest {
            let (ours, theirs) = (self.us.config_digest, hello.config_digest);
            return Err(Refusal::Config { ours, theirs });
        }
        if hello.preferred_role == self.us.preferred_role {
            return Err(Refusal::SameRole(hello.preferred_role));
        }
        if self.replaced == Some(hello.incarnation) {
            return Err(Refusal::Replaced(hello.incarnation));
        }
        Ok(())
    }

    /// The peer said who it is on `name`, and agrees with us.
    fn greet(&mut self, name: Connection, hello: Hello, out: &mut impl Orders) {
        let news = match self.peer.replace(hello) {
            Some(before) if before.incarnation != hello.incarnation => {
                self.replaced = Some(before.incarnation);
                self.drop_greeted(out);
                true
            }
            _ => self.state != LinkState::Paired,
        };
        for slot in self
            .slots
            .iter_mut()
            .flatten()
            .filter(|slot| slot.name == name)
        {
            slot.greeted = true;
        }
        self.state = LinkState::Paired;
        if news {
            out.tell(Notice::Paired(hello));
        }
        self.keep_one(out);
        self.settle_voice(false, out);
        self.note_successor(name, out);
    }

    /// Passes on that the peer is the active of a later generation: whoever was stopped or cut off while that began
    /// hears it here, whether stream administration can be reached or not.
    fn note_successor(&mut self, name: Connection, out: &mut impl Orders) {
        let ours = self.us.generation;
        let later = |peer: &Hello| peer.role == Role::Active && peer.generation > ours;
        let Some(peer) = self.peer.filter(later) else {
            return;
        };
        if !out.hear(Heard::Superseded(peer.generation)) {
            self.give_up(name, DownCause::Overrun, out);
        }
    }

    /// Passes on what the peer says of its numbering. It says so where its own voice is: with two connections
    /// for a moment, the choices of the two ends may differ, and the newer one holds.
    fn pass_on(&mut self, name: Connection, frame: Frame, out: &mut impl Orders) {
        if self.voice != Some(name) {
            if self.voice.take().is_some() {
                out.hear(Heard::Down { gone: false });
            }
            if !out.hear(Heard::Up) {
                self.give_up(name, DownCause::Overrun, out);
                return;
            }
            self.voice = Some(name);
        }
        if !out.hear(Heard::Said(frame)) {
            self.give_up(name, DownCause::Overrun, out);
        }
    }

    /// Sees to it that there is a voice while there is a greeted connection. `gone`: why there is none.
    fn settle_voice(&mut self, gone: bool, out: &mut impl Orders) {
        let greeted = |slot: &&Slot| slot.greeted;
        let slots = || self.slots.iter().flatten();
        if slots().any(|slot| slot.greeted && Some(slot.name) == self.voice) {
            return;
        }
        let next = slots().find(greeted).map(|slot| slot.name);
        if self.voice.take().is_some() {
            out.hear(Heard::Down { gone });
        }
        let Some(name) = next else { return };
        if out.hear(Heard::Up) {
            self.voice = Some(name);
        } else {
            self.give_up(name, DownCause::Overrun, out);
        }
    }

    /// Of several connections to one peer, takes back those that this end opened and should not have.
    fn keep_one(&mut self, out: &mut impl Orders) {
        let we_keep = self.us.preferred_role == Role::Active;
        let greeted = |slot: &&Slot| slot.greeted;
        if self.slots.iter().flatten().filter(greeted).count() < 2 || we_keep {
            return;
        }
        let theirs = self
            .slots
            .iter()
            .flatten()
            .any(|slot| slot.greeted && !slot.ours);
        for slot in &mut self.slots {
            if let Some(Slot {
                name,
                ours: true,
                greeted: true,
                ..
            }) = *slot
                && theirs
            {
                out.send(name, Frame::Goodbye);
                out.close(name);
                *slot = None;
            }
        }
    }

    /// Closes what is left of an incarnation that a newer one replaced.
    fn drop_greeted(&mut self, out: &mut impl Orders) {
        for slot in &mut self.slots {
            if let Some(Slot {
                name,
                greeted: true,
                ..
            }) = *slot
            {
                out.send(name, Frame::Goodbye);
                out.close(name);
                *slot = None;
            }
        }
    }

    fn give_up(&mut self, name: Connection, cause: DownCause, out: &mut impl Orders) {
        let greeted = self.drop_slot(name);
        if greeted {
            // A peer that was only stopped must not take this end for dead when it goes on.
            out.send(name, Frame::Goodbye);
        }
        out.close(name);
        if greeted && !self.is_greeted() {
            self.state = LinkState::Apart;
            out.tell(Notice::Down(cause));
        }
        // At most once per connection: each call drops one.
        self.settle_voice(false, out);
    }

    fn is_greeted(&self) -> bool {
        self.slots.iter().flatten().any(|slot| slot.greeted)
    }

    /// Forgets a connection and says whether the peer was known on it.
    fn drop_slot(&mut self, name: Connection) -> bool {
        let this = |slot: &&mut Option<Slot>| slot.is_some_and(|slot| slot.name == name);
        let slot = self.slots.iter_mut().find(this);
        slot.and_then(Option::take).is_some_and(|slot| slot.greeted)
    }
}

impl LinkLimits {
    fn silence(&self) -> Duration {
        self.beat.saturating_mul(self.missed_beats)
    }
}
