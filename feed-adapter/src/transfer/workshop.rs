//! Who allocates, puts together and frees, so that the data thread need not?
//!
//! ```text
//!  data thread ── Prepare, Stop, Free ─► errands ─┐
//!                                                 ├─► workshop ─► data thread (mailbox), giver (voice)
//!  link thread ── Head, Chunk, End ────► errands ─┘
//! ```
//!
//! One thread, asleep on its errands. The buffer of messages is one for all transfers: what comes back is handed out for the
//! next, for an allocator gives megabytes that come and go another place each time. The giver's window keeps the queue from ever being full; what an unfaithful giver
//! sends beyond it is dropped, and then chunks are missing.

use crossbeam::channel::Receiver;
use twinfeed_wire::Sid;
use twinfeed_wire::link::{ContextTaken, Frame, OverReason};

use super::Whole;
use super::assembly::{Assembly, Step};
use super::kept::Kept;
use crate::decode::TradingDay;
use crate::decode::itch50::Settings;

/// What the workshop is asked to do.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "frames come without a heap; the queue is made at the start"
)]
pub enum Errand {
    /// Set a buffer aside for a transfer that will be asked for in this pairing.
    Prepare {
        /// Of which source.
        sid: Sid,
        /// Which.
        transfer: u32,
        /// In which pairing of the link.
        pairing: u64,
    },
    /// The peer said this, in this pairing.
    Frame(u64, Frame),
    /// The transfer is over.
    Stop {
        /// Which.
        transfer: u32,
    },
    /// The memory is to be freed; the buffer is for the next transfer.
    Free(Option<Box<Whole>>, Option<Box<Kept>>),
}

/// What the data thread hears of it.
#[derive(Debug)]
pub enum Made {
    /// Source messages are to be kept in this from now on.
    Ready(Box<Kept>),
    /// The giver has converted everything below this number.
    Passed(u64),
    /// The memory is there.
    Whole(Box<Whole>),
    /// There will be none.
    Failed(OverReason),
}

/// Where the workshop's words go.
pub trait Output {
    /// To the data thread, about this transfer of this source. `false`: it takes nothing.
    fn made(&mut self, sid: Sid, transfer: u32, made: Made) -> bool;
    /// To the giver, in this pairing.
    fn taken(&mut self, pairing: u64, taken: ContextTaken);
}

/// The workshop of one adapter: one transfer at a time.
#[derive(Debug)]
pub struct Workshop {
    settings: Settings,
    day: TradingDay,
    buffer: usize,
    /// While no transfer has it.
    spare: Option<Box<Kept>>,
    at_hand: Option<(u64, Assembly)>,
}

impl Workshop {
    /// A workshop for converters that are built alike, and a buffer of so many bytes, which is made when it is needed first.
    #[must_use]
    pub const fn new(settings: Settings, day: TradingDay, buffer: usize) -> Self {
        Self {
            settings,
            day,
            buffer,
            spare: None,
            at_hand: None,
        }
    }

    /// Makes the buffer now: this process is not to grow with its first transfer.
    pub fn set_aside(&mut self) {
        if self.spare.is_none() {
            self.spare = Some(Box::new(Kept::new(self.buffer)));
        }
    }

    /// Works until nobody can ask for anything any more.
    pub fn run(mut self, errands: &Receiver<Errand>, mut out: impl Output) {
        while let Ok(errand) = errands.recv() {
            self.on_errand(errand, &mut out);
        }
    }

    /// Does one errand.
    pub fn on_errand(&mut self, errand: Errand, out: &mut impl Output) {
        match errand {
            Errand::Prepare {
                sid,
                transfer,
                pairing,
            } => {
                // The one before is freed first: there are never three tables.
                self.at_hand = None;
                let assembly = Assembly::new(sid, transfer, self.settings, self.day);
                self.at_hand = Some((pairing, assembly));
                self.set_aside();
                if let Some(mut kept) = self.spare.take() {
                    kept.clear();
                    out.made(sid, transfer, Made::Ready(kept));
                }
            }
            Errand::Frame(pairing, frame) => self.on_frame(pairing, &frame, out),
            Errand::Stop { transfer } => {
                self.at_hand = self
                    .at_hand
                    .take()
                    .filter(|(_, assembly)| assembly.id().1 != transfer);
            }
            Errand::Free(whole, kept) => {
                drop(whole);
                // One that found no room in a queue was replaced meanwhile: two are not kept.
                self.spare = self.spare.take().or(kept);
            }
        }
    }

    fn on_frame(&mut self, of: u64, frame: &Frame, out: &mut impl Output) {
        let Some((pairing, assembly)) = self.at_hand.take_if(|(pairing, _)| *pairing == of) else {
            return;
        };
        let (sid, transfer) = assembly.id();
        match assembly.on_frame(frame) {
            Step::Going(assembly) => self.at_hand = Some((pairing, assembly)),
            Step::Said {
                assembly,
                taken,
                passed,
            } => {
                self.at_hand = Some((pairing, assembly));
                if let Some(taken) = taken {
                    out.taken(pairing, taken);
                }
                if let Some(next) = passed {
                    out.made(sid, transfer, Made::Passed(next));
                }
            }
            Step::Whole(whole) => {
                out.made(sid, transfer, Made::Whole(whole));
            }
            Step::Failed(reason) => {
                out.made(sid, transfer, Made::Failed(reason));
            }
        }
    }
}

/// Most errands that wait: two windows of chunks.
pub const MOST_ERRANDS: usize = 2 * super::MOST_UNDER_WAY as usize;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// The buffer that was handed out.
    #[derive(Default)]
    struct Handed(Option<Box<Kept>>);

    impl Output for Handed {
        fn made(&mut self, _: Sid, _: u32, made: Made) -> bool {
            if let Made::Ready(kept) = made {
                self.0 = Some(kept);
            }
            true
        }

        fn taken(&mut self, _: u64, _: ContextTaken) {}
    }

    fn prepare(workshop: &mut Workshop, transfer: u32) -> Box<Kept> {
        let mut out = Handed::default();
        let errand = Errand::Prepare {
            sid: Sid(1),
            transfer,
            pairing: 1,
        };
        workshop.on_errand(errand, &mut out);
        out.0.unwrap()
    }

    #[test]
    fn one_buffer_serves_one_transfer_after_the_other() {
        const BUFFER: usize = 1 << 18;
        let settings = Settings {
            publisher_id: 1,
            max_open_orders: 16,
        };
        let day = TradingDay::new(2026, 11, 27).unwrap();
        let mut workshop = Workshop::new(settings, day, BUFFER);
        workshop.set_aside();
        let of_start = std::ptr::from_ref(&**workshop.spare.as_ref().unwrap());
        let mut others = Vec::new();
        for transfer in 1..=3 {
            let mut kept = prepare(&mut workshop, transfer);
            assert!(std::ptr::eq(&raw const *kept, of_start), "{transfer}");
            assert_eq!(kept.first(), None, "{transfer}: nothing of the one before");
            assert!(kept.push(u64::from(transfer), &[0; 100]));
            workshop.on_errand(Errand::Free(None, Some(kept)), &mut Handed::default());
            // Takes the place of a buffer that would have been freed.
            others.push(Kept::new(BUFFER));
        }
        // One that did not come back is made anew, and of two one is kept.
        let lost = prepare(&mut workshop, 4);
        let second = prepare(&mut workshop, 5);
        let of_second = &raw const *second;
        workshop.on_errand(Errand::Free(None, Some(second)), &mut Handed::default());
        workshop.on_errand(Errand::Free(None, Some(lost)), &mut Handed::default());
        let spare = workshop.spare.as_deref().unwrap();
        assert!(std::ptr::eq(spare, of_second));
    }
}
