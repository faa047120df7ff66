//! What does a snapshot server do that is not honest?
//!
//! One that writes down another place than it stands at, under a right digest, is none of them: nobody could tell.

use core::time::Duration;

use twinfeed_wire::Sid;

use super::super::rng::Rng;
use super::desk::Frames;

/// What it does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Trick {
    /// What it should.
    #[default]
    Honest,
    /// It never answers.
    Silent,
    /// It answers so much later.
    Slow(Duration),
    /// It says that it is busy.
    Busy,
    /// It hangs up in the middle of a snapshot.
    Tears,
    /// A byte of what it gives is another one.
    Garbles,
    /// It leaves out a frame.
    LeavesOut,
    /// It gives what is of another source stream.
    Foreign,
}

impl Trick {
    /// One drawn by chance.
    #[must_use]
    pub fn draw(rng: &mut Rng) -> Self {
        let slow = Self::Slow(rng.micros(1_000, 40_000));
        rng.pick(&[
            Self::Silent,
            slow,
            Self::Busy,
            Self::Tears,
            Self::Garbles,
            Self::LeavesOut,
            Self::Foreign,
        ])
    }

    /// How it is counted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Honest => "snapshot_honest",
            Self::Silent => "snapshot_silent",
            Self::Slow(_) => "snapshot_slow",
            Self::Busy => "snapshot_busy",
            Self::Tears => "snapshot_tears",
            Self::Garbles => "snapshot_garbles",
            Self::LeavesOut => "snapshot_leaves_out",
            Self::Foreign => "snapshot_foreign",
        }
    }

    /// What becomes of the frames of an honest snapshot; `None`: nothing is answered.
    pub(super) fn twist(self, mut frames: Frames, rng: &mut Rng) -> Option<Frames> {
        let some = |frames: &Frames, rng: &mut Rng| rng.below(frames.len() as u64) as usize;
        match self {
            Self::Honest | Self::Slow(_) | Self::Busy | Self::Foreign => {}
            Self::Silent => return None,
            Self::Tears => frames.truncate(some(&frames, rng)),
            Self::Garbles => {
                let at = some(&frames, rng);
                let byte = rng.below(frames[at].len() as u64) as usize;
                frames[at][byte] ^= 1 << rng.below(8);
            }
            Self::LeavesOut => {
                let at = some(&frames, rng);
                frames.remove(at);
            }
        }
        Some(frames)
    }

    /// The source stream that it names in place of `sid`.
    pub(super) fn named(self, sid: Sid) -> Sid {
        match self {
            Self::Foreign => Sid(sid.0 ^ 1),
            _ => sid,
        }
    }
}
