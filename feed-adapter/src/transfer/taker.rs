//! When is the peer asked for its context, and when is that given up?
//!
//! ```text
//!              a source lacks its past, the pause is over
//!   resting ───────────────────────────────────────────────► preparing ─ ready ─► taking ─ taken over ─► resting
//!      ▲                                                         │                  │
//!      └──── failed, refused, nothing came for `patience` ───────┴──────────────────┘   each time a longer pause
//! ```
//!
//! One transfer at a time, of whichever source lacks its past and has waited longest. Nothing here knows what is
//! transferred.

use std::time::Duration;

use twinfeed_protocol::Time;
use twinfeed_wire::Sid;

/// How patient a taker is.
#[derive(Clone, Copy, Debug)]
pub struct TakerLimits {
    /// Pause after the first failure; each one after it doubles it.
    pub first_pause: Duration,
    /// Longest pause.
    pub longest_pause: Duration,
    /// How long nothing may come of a transfer that is under way.
    pub patience: Duration,
}

impl Default for TakerLimits {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
            patience: Duration::from_secs(5),
        }
    }
}

/// Where it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TakerState {
    /// Nothing is under way.
    Resting,
    /// The workshop sets a buffer aside.
    Preparing,
    /// The peer was asked.
    Taking,
}

/// One adapter's taker.
#[derive(Debug)]
pub struct Taker {
    limits: TakerLimits,
    state: TakerState,
    sid: Sid,
    /// Of the transfer at hand, or of the last one.
    transfer: u32,
    /// When something last came of it.
    heard: Time,
    not_before: Time,
    pause: Duration,
}

impl Taker {
    /// One that rests.
    #[must_use]
    pub const fn new(limits: TakerLimits) -> Self {
        Self {
            state: TakerState::Resting,
            sid: Sid(0),
            transfer: 0,
            heard: Time::ZERO,
            not_before: Time::ZERO,
            pause: limits.first_pause,
            limits,
        }
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> TakerState {
        self.state
    }

    /// The transfer at hand.
    #[must_use]
    pub fn at_hand(&self) -> Option<(Sid, u32)> {
        (self.state != TakerState::Resting).then_some((self.sid, self.transfer))
    }

    /// Begins a transfer of one of the sources that lack their past, the next one after the last; `None`: not now.
    pub fn begin(&mut self, now: Time, lacking: impl Iterator<Item = Sid>) -> Option<(Sid, u32)> {
        if self.state != TakerState::Resting || now < self.not_before {
            return None;
        }
        let last = self.sid;
        let sid = lacking.min_by_key(|sid| (*sid <= last, *sid))?;
        self.state = TakerState::Preparing;
        self.sid = sid;
        self.transfer = self.transfer.wrapping_add(1);
        self.heard = now;
        Some((sid, self.transfer))
    }

    /// A buffer is set aside for this transfer; `false`: it is not at hand any more.
    pub fn on_ready(&mut self, now: Time, transfer: u32) -> bool {
        let at_hand = self.state == TakerState::Preparing && transfer == self.transfer;
        if at_hand {
            (self.state, self.heard) = (TakerState::Taking, now);
        }
        at_hand
    }

    /// Something came of this transfer; `false`: it is not at hand any more.
    pub fn on_news(&mut self, now: Time, transfer: u32) -> bool {
        let at_hand = self.state == TakerState::Taking && transfer == self.transfer;
        if at_hand {
            self.heard = now;
        }
        at_hand
    }

    /// The memory was taken over.
    pub fn on_done(&mut self) {
        self.state = TakerState::Resting;
        self.pause = self.limits.first_pause;
    }

    /// The transfer came to nothing.
    pub fn on_failed(&mut self, now: Time) {
        self.state = TakerState::Resting;
        self.not_before = now.after(self.pause);
        self.pause = (self.pause * 2).min(self.limits.longest_pause);
    }

    /// Things are otherwise than before, a new epoch or a new pairing: the pauses begin anew.
    pub fn take_heart(&mut self) {
        self.not_before = Time::ZERO;
        self.pause = self.limits.first_pause;
    }

    /// Whether nothing came for too long.
    #[must_use]
    pub fn is_out_of_patience(&self, now: Time) -> bool {
        self.state != TakerState::Resting && now >= self.heard.after(self.limits.patience)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::ZERO.after(Duration::from_millis(ms))
    }

    fn lacking(sids: &[u32]) -> impl Iterator<Item = Sid> + '_ {
        sids.iter().map(|sid| Sid(*sid))
    }

    #[test]
    fn sources_take_turns_and_one_is_under_way_at_a_time() {
        let mut taker = Taker::new(TakerLimits::default());
        assert_eq!(taker.begin(at(0), lacking(&[])), None);
        assert_eq!(taker.begin(at(0), lacking(&[3, 1, 2])), Some((Sid(1), 1)));
        assert_eq!(taker.begin(at(0), lacking(&[2])), None, "under way");
        assert!(!taker.on_news(at(0), 1), "not asked for yet");
        assert!(taker.on_ready(at(0), 1));
        assert!(!taker.on_ready(at(0), 1), "once");
        taker.on_done();
        assert_eq!(taker.begin(at(0), lacking(&[3, 1, 2])), Some((Sid(2), 2)));
        assert!(!taker.on_ready(at(0), 1), "of another transfer");
        taker.on_failed(at(0));
        taker.take_heart();
        assert_eq!(taker.begin(at(0), lacking(&[1, 2])), Some((Sid(1), 3)));
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_with_success() {
        let mut taker = Taker::new(TakerLimits::default());
        let mut now = 0;
        for pause in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            assert!(taker.begin(at(now), lacking(&[1])).is_some());
            taker.on_failed(at(now));
            assert!(taker.begin(at(now + pause - 1), lacking(&[1])).is_none());
            now += pause;
        }
        assert!(taker.begin(at(now), lacking(&[1])).is_some());
        taker.on_done();
        assert!(taker.begin(at(now), lacking(&[1])).is_some());
        taker.on_failed(at(now));
        assert!(taker.begin(at(now + 100), lacking(&[1])).is_some());
    }

    #[test]
    fn patience_is_counted_from_the_last_news() {
        let mut taker = Taker::new(TakerLimits::default());
        assert!(!taker.is_out_of_patience(at(1_000_000)));
        let (_, transfer) = taker.begin(at(0), lacking(&[1])).unwrap();
        assert!(!taker.is_out_of_patience(at(4_999)));
        assert!(taker.is_out_of_patience(at(5_000)));
        assert!(taker.on_ready(at(4_999), transfer));
        assert!(taker.on_news(at(9_000), transfer));
        assert!(!taker.is_out_of_patience(at(13_999)));
        assert!(taker.is_out_of_patience(at(14_000)));
    }
}
