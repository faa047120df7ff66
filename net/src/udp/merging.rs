//! When should the kernel merge datagrams?
//!
//! Merged (`UDP_GRO`, udp(7)), a run of datagrams passes the network stack as one, and a receiver that cannot keep up takes two and a half times as much
//! (`bench throughput`). But how a message is to be split the kernel says only beside it, so none can be taken alone at half the price
//! ([`super::pace`]). So it is switched on by a backlog, and off again when there has been none for a while:
//!
//! ```text
//!            a call brought a backlog
//!     apart ────────────────────────────► merged ──┐ any backlog
//!       ▲                                    │ ▲   │
//!       └─ switched off, and still empty ── lull ◄─┘ so many calls with none
//! ```
//!
//! What was merged before it was switched off, and is read after, would not be split. So it is switched off only where the socket was seen empty, and on again where
//! something has come meanwhile. What the kernel was merging in that very moment may still come whole: then it is too long for its slot, and counted as cut.

/// How a receiver's datagrams come, and when that changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Merging {
    when: When,
    on: bool,
    /// Calls in a row that brought no backlog.
    calm: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum When {
    Never,
    Always,
    UnderLoad,
}

/// What is to be switched now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Switch {
    On,
    Off,
}

/// Datagrams that one call brings where there is a backlog.
const BACKLOG: usize = 16;
/// Calls without one after which it is over: some tenths of a millisecond of a thread that spins.
const LULL: u32 = 1_024;

impl Merging {
    pub(super) const NEVER: Self = Self::new(When::Never, false);
    pub(super) const ALWAYS: Self = Self::new(When::Always, true);
    pub(super) const UNDER_LOAD: Self = Self::new(When::UnderLoad, false);

    const fn new(when: When, on: bool) -> Self {
        Self { when, on, calm: 0 }
    }

    /// Whether messages may be merged ones.
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// Whether merged messages may ever come.
    pub(super) fn may_be_on(&self) -> bool {
        self.when != When::Never
    }

    /// So many messages were taken by a call, which leaves the socket empty or not. Merged ones are as good as a backlog.
    pub(super) fn took(&mut self, messages: usize, is_empty: bool) -> Option<Switch> {
        if self.when != When::UnderLoad {
            return None;
        }
        if messages >= BACKLOG || self.on && messages > 1 {
            self.calm = 0;
            return (!self.on).then_some(Switch::On);
        }
        self.calm = self.calm.saturating_add(1);
        let over = self.on && self.calm >= LULL && messages == 0 && is_empty;
        over.then_some(Switch::Off)
    }

    /// It was tried, and now it is on, or not. Where the kernel does not know how, it is not tried again.
    pub(super) fn switched(&mut self, to: Switch, on: bool) {
        if to == Switch::On && !on {
            self.when = When::Never;
        }
        (self.on, self.calm) = (on, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_switches_it_on_and_a_lull_off() {
        let mut merging = Merging::UNDER_LOAD;
        for _ in 0..2 {
            assert_eq!(merging.took(BACKLOG - 1, true), None);
            assert_eq!(merging.took(BACKLOG, false), Some(Switch::On));
            merging.switched(Switch::On, true);
            for _ in 1..LULL {
                assert_eq!(merging.took(0, true), None);
            }
            assert_eq!(merging.took(2, true), None, "the lull begins anew");
            for _ in 1..LULL {
                assert_eq!(merging.took(0, true), None);
            }
            assert_eq!(merging.took(1, true), None, "not while something comes");
            assert_eq!(merging.took(0, true), Some(Switch::Off));
            merging.switched(Switch::Off, true);
            assert!(merging.is_on(), "something has come meanwhile");
            for _ in 1..LULL {
                assert_eq!(merging.took(0, true), None);
            }
            assert_eq!(merging.took(0, true), Some(Switch::Off));
            merging.switched(Switch::Off, false);
            assert!(!merging.is_on());
        }
    }

    #[test]
    fn what_the_kernel_does_not_know_is_not_tried_again() {
        let mut merging = Merging::UNDER_LOAD;
        assert_eq!(merging.took(BACKLOG, false), Some(Switch::On));
        merging.switched(Switch::On, false);
        assert_eq!(merging.took(BACKLOG, false), None);
        assert!(!merging.is_on() && !merging.may_be_on());
    }

    #[test]
    fn who_wants_it_always_or_never_is_not_asked() {
        for (mut merging, on) in [(Merging::NEVER, false), (Merging::ALWAYS, true)] {
            for messages in [0, 64].repeat(LULL as usize) {
                assert_eq!(merging.took(messages, true), None);
            }
            assert_eq!(merging.is_on(), on);
        }
    }
}
