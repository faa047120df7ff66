//! Is the application too slow for what it is sent, and what happens then?
//!
//! ```text
//!   poll ─► everything that had come was taken? ── yes ─► it keeps up from here
//!        └─ not for longer than `slow_time`, and something waits ─► Slow, and warn │ skip │ disconnect
//! ```
//!
//! How old what waits is nobody says; but what was taken last is known, and when. So `behind` is the most that anything told
//! now may have waited on this host. It counts from poll to poll: an application that polls seldom is as slow as one that polls often
//! and takes too little.
//!
//! What waits is left out by reading it and looking at nothing: nothing of it is kept, and the sockets are as empty as they
//! would be at the stream's end. What becomes of the place in the stream is decided in [`twinfeed_protocol::arbiter`].

use std::time::Duration;

use twinfeed_protocol::{SlowPolicy, Time};

/// How an application keeps up with what it is sent. All counts only grow.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PaceShown {
    /// Times that it was too slow.
    pub slow: u64,
    /// Times that what waited was left out.
    pub skips: u64,
    /// Datagrams that were.
    pub skipped_datagrams: u64,
    /// How long ago everything that had come was last taken, as of the last poll.
    pub behind: Duration,
}

/// What a feed's polls came to.
#[derive(Debug)]
pub(crate) struct Pace {
    policy: SlowPolicy,
    limit: Duration,
    /// When everything that had come was last taken; `None`: no socket was read yet.
    drained: Option<Time>,
    /// It was told that it is too slow, and has not kept up since.
    told: bool,
    shown: PaceShown,
}

impl Pace {
    /// `limit`: how far behind is too slow.
    pub(crate) const fn new(policy: SlowPolicy, limit: Duration) -> Self {
        Self {
            policy,
            limit,
            drained: None,
            told: false,
            shown: PaceShown {
                slow: 0,
                skips: 0,
                skipped_datagrams: 0,
                behind: Duration::ZERO,
            },
        }
    }

    pub(crate) const fn policy(&self) -> SlowPolicy {
        self.policy
    }

    pub(crate) const fn shown(&self) -> &PaceShown {
        &self.shown
    }

    /// A poll begins: how far behind the application is, where that is too far.
    pub(crate) fn begins(&mut self, at: Time) -> Option<Duration> {
        let drained = *self.drained.get_or_insert(at);
        let behind = at.since(drained);
        self.shown.behind = behind;
        let slow = behind > self.limit;
        self.told &= slow;
        slow.then_some(behind)
    }

    /// Something waited for an application that is too slow: whether to tell it.
    pub(crate) fn is_news(&mut self) -> bool {
        let news = !self.told;
        self.told = true;
        self.shown.slow += u64::from(news);
        news
    }

    /// What waited was left out.
    pub(crate) fn skipped(&mut self, datagrams: u64) {
        self.shown.skips += 1;
        self.shown.skipped_datagrams += datagrams;
    }

    /// When to poll at the latest, so that who waits for something to come is not taken for slow.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let acts = self.policy != SlowPolicy::Warn;
        self.drained
            .filter(|_| acts)
            .map(|drained| drained.after(self.limit / 2))
    }

    /// Everything that had come by then was taken.
    pub(crate) fn drained(&mut self, at: Time) {
        self.drained = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time(1_000_000_000 + ms * 1_000_000)
    }

    fn slow(pace: &mut Pace, ms: u64) -> Option<u128> {
        pace.begins(at(ms)).map(|behind| behind.as_millis())
    }

    #[test]
    fn who_takes_everything_often_enough_keeps_up() {
        let mut pace = Pace::new(SlowPolicy::Warn, Duration::from_millis(100));
        assert_eq!(slow(&mut pace, 0), None, "the first poll");
        for ms in (50..1_000).step_by(50) {
            assert_eq!(slow(&mut pace, ms), None);
            pace.drained(at(ms));
        }
        assert_eq!(pace.shown().slow, 0);
    }

    #[test]
    fn who_polls_seldom_is_as_slow_as_who_takes_too_little() {
        for polls in [&[0, 101][..], &[0, 20, 40, 60, 80, 100, 101]] {
            let mut pace = Pace::new(SlowPolicy::Warn, Duration::from_millis(100));
            let told: Vec<_> = polls.iter().map(|&ms| slow(&mut pace, ms)).collect();
            assert_eq!(told.last(), Some(&Some(101)), "{polls:?}");
            assert!(told[..told.len() - 1].iter().all(Option::is_none));
        }
    }

    #[test]
    fn it_is_told_once_until_it_keeps_up() {
        let mut pace = Pace::new(SlowPolicy::Warn, Duration::from_millis(100));
        let mut told = Vec::new();
        for (ms, drains) in [
            (0, true),
            (150, false),
            (200, false),
            (250, true),
            (300, true),
            (450, true),
        ] {
            if slow(&mut pace, ms).is_some() && pace.is_news() {
                told.push(ms);
            }
            if drains {
                pace.drained(at(ms));
            }
        }
        assert_eq!(told, [150, 450]);
        assert_eq!(pace.shown().slow, 2);
    }
}
