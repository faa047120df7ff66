//! What does a peer's word do to the numbering of a stream?
//!
//! Nothing is assumed of the peer: it reports what never was, gives cuts of nowhere, answers what nobody asked. Still
//! every datagram is well formed, its msn follow each other, its positions never step back within an epoch, and an end
//! goes on working.

use std::time::Duration;

use twinfeed_feed_adapter::pairing;
use twinfeed_protocol::pair::{Link, News, Pair, PairLimits, Said};
use twinfeed_protocol::sequencer::Sequencer;
use twinfeed_protocol::{Body, EpochStart, Now, SequencerConfig, Time, Transmit};
use twinfeed_wire::link::{FRAME_BUFFER, Frame};
use twinfeed_wire::{
    AdminKind, AdminMessage, BodyKind, Datagram, Epoch, Generation, Incarnation, Sid, StreamId,
};

use crate::input::Input;

const SID: Sid = Sid(1);

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let config = SequencerConfig {
        stream: StreamId(1),
        sid: SID,
        incarnation: Incarnation(1),
        max_datagram: 1_472,
        heartbeat: Duration::from_millis(10),
        history: 16,
    };
    let limits = PairLimits {
        sync_threshold: 8,
        ..PairLimits::default()
    };
    let Ok(mut seq) = Sequencer::new(config) else {
        unreachable!("the limits can be worked with")
    };
    let (mut pair, mut out) = (Pair::new(limits), Out::default());
    let mut now = at(0);
    let (mut sseq, mut epoch, mut generation) = (0, 0, 0);
    while !input.is_empty() {
        let shape = input.byte();
        match shape & 15 {
            0 => pair.on_link_up(now, &mut seq, &mut out),
            1 => pair.on_link_down(now, shape & 16 != 0, &mut seq, &mut out),
            2 => {
                generation += u32::from(shape >> 5 & 1);
                let word = (Generation(generation), shape & 16 != 0, Time::NEVER);
                pair.on_grant(now, word, &mut seq, &mut out);
            }
            3 => {
                let kind = AdminKind::OperatorNotice;
                let _ = pair.originate(now, kind, b"notice", &mut seq, &mut out);
            }
            4 => {
                if epoch > 0 {
                    seq.end_epoch(now, sseq + 1, &mut out);
                }
                epoch += 1;
                sseq = 0;
                let start = EpochStart {
                    epoch: Epoch(epoch),
                    first: 1,
                    complete: true,
                    predecessor: Epoch(epoch - 1),
                };
                seq.begin_epoch(now, start, &mut out);
            }
            5 | 6 if epoch > 0 && !pair.is_holding() => {
                for _ in 0..=shape >> 6 {
                    sseq += 1;
                    let body = Body {
                        kind: BodyKind::Opaque,
                        bytes: &[7; 24],
                    };
                    let bodies = [body, body];
                    let count = usize::from(shape >> 4 & 3).min(2);
                    seq.message(now, sseq, 0, bodies[..count].iter().copied(), &mut out);
                }
            }
            7 if epoch > 0 && !pair.is_holding() => {
                let lost = sseq + 1..sseq + 2 + u64::from(shape >> 4);
                sseq = lost.end - 1;
                seq.abandon(now, lost, &mut out);
            }
            8 => {
                now = at(now.time.0 / 1_000 + u64::from(input.word()));
                seq.on_deadline(now, &mut out);
            }
            9 => {
                let by = Generation(u32::from(shape >> 4 & 3));
                match shape >> 6 {
                    0 => pair.on_went_on(now, by, &mut seq, &mut out),
                    1 => pair.on_stepped_down(now, by, &mut seq, &mut out),
                    _ => pair.on_superseded(now, by, &mut seq, &mut out),
                }
            }
            _ => {
                if let Some(said) = said(&mut input, &mut out.heard, generation) {
                    pair.on_said(now, said, &mut seq, &mut out);
                }
            }
        }
        seq.flush(now, &mut out);
        pair.between_batches(now, &mut seq, &mut out);
        seq.flush(now, &mut out);
        let _ = (pair.next_deadline(), pair.is_protected(&seq), pair.reason());
    }
}

fn at(us: u64) -> Now {
    Now {
        time: Time(us * 1_000),
        unix_ns: 1_700_000_000_000_000_000 + us * 1_000,
    }
}

/// A frame of any kind in which few bytes are not zero, as what the pair's rules hear; often the last thing that this
/// end itself said, changed.
fn said(input: &mut Input<'_>, own: &mut Option<Said>, generation: u32) -> Option<Said> {
    let shape = input.byte();
    let mut bytes = [0; FRAME_BUFFER];
    let length = match own.take().filter(|_| shape & 0x80 != 0).map(pairing::frame) {
        Some(frame) => frame.emit(&mut bytes),
        None => {
            // Kind, and how long its payload is.
            let (kind, payload): (u8, u32) = [
                (4, 72),
                (5, 8),
                (6, 88),
                (7, 64),
                (8, 40),
                (10, 32),
                (17, 40),
            ][usize::from(shape % 7)];
            bytes[..4].copy_from_slice(&[b'T', b'L', 1, kind]);
            bytes[4..8].copy_from_slice(&payload.to_le_bytes());
            bytes[8] = 1;
            bytes[12..16].copy_from_slice(&generation.to_le_bytes());
            if kind == 7 {
                bytes[56..60].copy_from_slice(&generation.to_le_bytes());
                bytes[60] = 8; // an operator's notice of eight letters
                bytes[62] = 8;
            }
            if kind == 8 {
                bytes[41] = 1; // capable
            }
            8 + payload as usize
        }
    };
    for _ in 0..shape >> 3 & 7 {
        let place = 8 + usize::from(input.byte()) % (length - 8);
        bytes[place] = input.byte();
    }
    pairing::said(Frame::parse(&bytes[..length]).ok()?)
}

/// What one end sent and said.
#[derive(Default)]
struct Out {
    heard: Option<Said>,
    late: bool,
    /// Epoch, number and part behind the last record.
    place: (u64, u64, u32),
}

impl Link for Out {
    fn say(&mut self, said: Said) {
        self.heard = Some(said);
    }

    fn commit(&mut self, said: Said, _: Duration) -> bool {
        // Every second time whoever carries it is too late.
        self.late = !self.late;
        if !self.late {
            self.say(said);
        }
        !self.late
    }

    fn tell(&mut self, news: News) {
        assert!(!format!("{news:?}").is_empty());
    }
}

impl Transmit for Out {
    fn datagram(&mut self, bytes: &[u8]) {
        let datagram = match Datagram::parse(bytes) {
            Ok(datagram) => datagram,
            Err(malformed) => panic!("a stream sends what is none: {malformed}"),
        };
        let header = datagram.header();
        for record in datagram.records() {
            if record.kind == BodyKind::Administrative {
                assert!(
                    AdminMessage::of(&record).is_ok(),
                    "a message stands at its own number"
                );
                continue;
            }
            let place = (header.epoch.0, record.sseq, u32::from(record.part) + 1);
            assert!(place > self.place, "{place:?} behind {:?}", self.place);
            self.place = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frames made here by hand are frames of the link, whatever their layout has become.
    #[test]
    fn every_kind_that_is_made_by_hand_is_one() {
        for shape in 0..7 {
            let made = said(&mut Input::new(&[shape]), &mut None, 3);
            assert!(made.is_some(), "shape {shape}");
        }
    }
}
