//! What does the pair link make of a peer's bytes?
//!
//! A frame is refused, or read whole and written alike. Bytes cut anywhere are the frames that a naive twin finds. The
//! rules behind them keep at most [`MOST_CONNECTIONS`], say nothing on a closed connection, and let a peer speak to the
//! streams only between an *up* and a *down*.

use std::collections::BTreeSet;
use std::time::Duration;

use twinfeed_feed_adapter::link::framing::{LONGEST_LINK_FRAME, PairFrames};
use twinfeed_feed_adapter::link::rules::{
    Connection, Ending, Heard, LinkLimits, LinkRules, LinkState, MOST_CONNECTIONS, Notice, Orders,
};
use twinfeed_net::tcp::{FrameFault, Framing, Gatherer};
use twinfeed_protocol::Time;
use twinfeed_wire::link::{FRAME_BUFFER, FRAME_HEADER_LENGTH, Frame, Hello, Role, frame_length};
use twinfeed_wire::{Generation, Incarnation};

use crate::input::Input;

/// One frame.
pub(crate) fn frame(bytes: &[u8]) {
    match Frame::parse(bytes) {
        Ok(frame) => {
            let mut again = [0xA5; FRAME_BUFFER];
            let length = frame.emit(&mut again);
            assert!(again[..length] == *bytes, "what was read is written alike");
            let header = again.first_chunk::<FRAME_HEADER_LENGTH>();
            assert_eq!(header.map(frame_length), Some(Ok(length)));
            assert!(!format!("{frame:?}").is_empty());
        }
        Err(bad) => assert!(!bad.to_string().is_empty()),
    }
}

/// Connections that open, speak and end.
pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let us = Hello {
        feed_digest: 0,
        config_digest: 0,
        incarnation: Incarnation(77),
        generation: Generation(u32::from(input.byte() % 3)),
        preferred_role: input.pick(&[Role::Active, Role::Backup]),
        role: input.pick(&[Role::Active, Role::Backup]),
    };
    let limits = LinkLimits {
        beat: Duration::from_millis(10),
        missed_beats: 3,
    };
    let (mut rules, mut told) = (LinkRules::new(us, limits), Told::default());
    let mut now = Time(1_000_000_000);
    let mut named = 0;
    while !input.is_empty() {
        let shape = input.byte();
        told.refuses = shape & 0x80 != 0;
        match shape & 7 {
            0 => {
                named += 1;
                told.open.insert(named);
                rules.on_open(now, Connection(named), shape & 8 != 0, &mut told);
            }
            1..=3 => {
                let name = name_of(&told, shape);
                for frame in gathered(input.run(), usize::from(1 + (shape >> 4 & 7))) {
                    match frame {
                        // As the driver does: what was closed meanwhile is read no more.
                        Some(frame) if told.open.contains(&name) => {
                            rules.on_frame(now, Connection(name), frame, &mut told);
                        }
                        Some(_) => break,
                        None if told.open.remove(&name) => {
                            rules.on_end(Connection(name), Ending::Nonsense, &mut told);
                        }
                        None => break,
                    }
                }
            }
            4 => {
                let name = name_of(&told, shape);
                if told.open.remove(&name) {
                    let ending = input.pick(&[Ending::ByPeer, Ending::Network]);
                    rules.on_end(Connection(name), ending, &mut told);
                }
            }
            5 => {
                now = now.after(Duration::from_micros(u64::from(input.word())));
                rules.on_deadline(now, &mut told);
                let next = rules.next_deadline();
                assert!(
                    next.is_none_or(|next| next > now),
                    "a deadline that was met is met"
                );
            }
            6 => rules.on_grant(
                Generation(u32::from(input.byte() % 4)),
                input.pick(&[Role::Active, Role::Backup]),
                &mut told,
            ),
            _ => rules.on_overrun(&mut told),
        }
        assert!(told.open.len() <= MOST_CONNECTIONS, "no more are kept");
        assert_eq!(
            rules.voice().is_some(),
            told.up,
            "a voice is up, and only a voice"
        );
        let voice = rules.voice().map(|name| name.0);
        assert!(
            voice.is_none_or(|name| told.open.contains(&name)),
            "{voice:?} is open"
        );
        assert!(rules.state() == LinkState::Paired || !told.up);
    }
}

fn name_of(told: &Told, shape: u8) -> u64 {
    let place = usize::from(shape >> 4 & 3).min(told.open.len().saturating_sub(1));
    told.open.iter().nth(place).copied().unwrap_or(0)
}

/// The frames of a connection's bytes, read in pieces; `None`: what follows is none.
fn gathered(bytes: &[u8], piece: usize) -> Vec<Option<Frame>> {
    let mut gatherer = Gatherer::new(LONGEST_LINK_FRAME);
    let (mut frames, mut rest, mut at) = (Vec::new(), bytes, 0);
    loop {
        match gatherer.peek(&PairFrames) {
            Ok(Some(length)) => {
                let taken = gatherer.take(length);
                assert!(*taken == bytes[at..at + length], "as it was sent");
                at += length;
                match Frame::parse(taken) {
                    Ok(frame) => frames.push(Some(frame)),
                    Err(_) => {
                        frames.push(None);
                        return frames;
                    }
                }
            }
            Ok(None) => {
                assert_eq!(twin(&bytes[at..bytes.len() - rest.len()]), Ok(None));
                if rest.is_empty() {
                    assert_eq!(gatherer.is_amid(), at < bytes.len());
                    return frames;
                }
                let room = gatherer.room();
                assert!(
                    !room.is_empty(),
                    "where no whole frame stands there is room"
                );
                let count = piece.min(room.len()).min(rest.len());
                let (now, later) = rest.split_at(count);
                room[..count].copy_from_slice(now);
                gatherer.filled(count);
                rest = later;
            }
            Err(fault) => {
                assert_eq!(twin(&bytes[at..bytes.len() - rest.len()]), Err(fault));
                frames.push(None);
                return frames;
            }
        }
    }
}

/// Whether these bytes begin with a whole frame, and of which length.
fn twin(bytes: &[u8]) -> Result<Option<usize>, FrameFault> {
    let Some(header) = bytes.get(..FRAME_HEADER_LENGTH) else {
        return Ok(None);
    };
    let claimed = PairFrames.frame_length(header)?;
    if claimed > LONGEST_LINK_FRAME {
        let limit = LONGEST_LINK_FRAME;
        return Err(FrameFault::TooLong { claimed, limit });
    }
    Ok((claimed <= bytes.len()).then_some(claimed))
}

/// What the rules order.
#[derive(Default)]
struct Told {
    open: BTreeSet<u64>,
    up: bool,
    /// Whoever numbers the streams takes nothing now.
    refuses: bool,
}

impl Orders for Told {
    fn send(&mut self, on: Connection, frame: Frame) {
        assert!(
            self.open.contains(&on.0),
            "{frame:?} on a closed connection"
        );
        let mut bytes = [0; FRAME_BUFFER];
        let length = frame.emit(&mut bytes);
        assert_eq!(Frame::parse(&bytes[..length]), Ok(frame));
    }

    fn close(&mut self, connection: Connection) {
        // Twice is as good as once: a driver forgets a connection at the first.
        self.open.remove(&connection.0);
    }

    fn hear(&mut self, heard: Heard) -> bool {
        match heard {
            Heard::Down { .. } => {
                assert!(self.up, "down without an up");
                self.up = false;
                true
            }
            _ if self.refuses => false,
            Heard::Up => {
                assert!(!self.up, "up twice");
                self.up = true;
                true
            }
            Heard::Said(_) => {
                assert!(self.up, "something said while nobody is there");
                true
            }
            Heard::Superseded(_) => true,
        }
    }

    fn tell(&mut self, notice: Notice) {
        assert!(!format!("{notice:?}").is_empty());
    }
}
