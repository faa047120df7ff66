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
//!       └─ switched off, and still empty ── lull ◄─┘ a quarter of a second with none
//! ```
//!
//! What was merged before it was switched off, and is read after, would not be split. So it is switched off only where the socket was seen empty, and on again where
//! something has come meanwhile. What a sender's kernel was about to hand over in that very moment, and did not for as long as nothing came, may still come whole: then it is
//! too long for its slot, and counted as cut. So the lull is longer than a host takes a processor away, and is told by the clock.

/// How a receiver's datagrams come, and when that changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Merging {
    when: When,
    on: bool,
    /// When calls began to bring no backlog, ns; 0: the last one brought one.
    calm_since: u64,
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
/// How long there must be none, ns.
const LULL: u64 = 250_000_000;

impl Merging {
    pub(super) const NEVER: Self = Self::new(When::Never, false);
    pub(super) const ALWAYS: Self = Self::new(When::Always, true);
    pub(super) const UNDER_LOAD: Self = Self::new(When::UnderLoad, false);

    const fn new(when: When, on: bool) -> Self {
        Self {
            when,
            on,
            calm_since: 0,
        }
    }

    /// Whether messages may be merged ones.
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// Whether merged messages may ever come.
    pub(super) fn may_be_on(&self) -> bool {
        self.when != When::Never
    }

    /// So many messages were taken by a call, which leaves the socket empty or not, at `now` (ns, asked only where it matters). Several merged ones are a backlog.
    pub(super) fn took(
        &mut self,
        messages: usize,
        is_empty: bool,
        now: impl FnOnce() -> u64,
    ) -> Option<Switch> {
        if self.when != When::UnderLoad {
            return None;
        }
        if messages >= BACKLOG || self.on && messages > 1 {
            self.calm_since = 0;
            return (!self.on).then_some(Switch::On);
        }
        if !self.on {
            return None;
        }
        let now = now();
        if self.calm_since == 0 {
            self.calm_since = now;
        }
        let over = now.saturating_sub(self.calm_since) >= LULL && messages == 0 && is_empty;
        over.then_some(Switch::Off)
    }

    /// It was tried, and now it is on, or not. Where the kernel does not know how, it is not tried again.
    pub(super) fn switched(&mut self, to: Switch, on: bool) {
        if to == Switch::On && !on {
            self.when = When::Never;
        }
        (self.on, self.calm_since) = (on, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_switches_it_on_and_a_lull_off() {
        let mut merging = Merging::UNDER_LOAD;
        let mut now = 5;
        for meanwhile in [true, false] {
            let unasked = || panic!("nothing is measured while it is off");
            assert_eq!(merging.took(BACKLOG - 1, true, unasked), None);
            assert_eq!(merging.took(BACKLOG, false, unasked), Some(Switch::On));
            merging.switched(Switch::On, true);
            assert_eq!(merging.took(0, true, || now), None);
            assert_eq!(merging.took(1, true, || now + LULL - 1), None);
            assert_eq!(merging.took(2, true, || now + LULL), None, "it begins anew");
            now += LULL;
            assert_eq!(merging.took(0, true, || now), None);
            assert_eq!(
                merging.took(1, true, || now + LULL),
                None,
                "not while something comes"
            );
            assert_eq!(merging.took(0, true, || now + LULL), Some(Switch::Off));
            merging.switched(Switch::Off, meanwhile);
            assert_eq!(merging.is_on(), meanwhile);
            if meanwhile {
                // Something had come; the lull begins anew.
                assert_eq!(merging.took(0, true, || now + LULL), None);
                assert_eq!(merging.took(0, true, || now + 2 * LULL), Some(Switch::Off));
                merging.switched(Switch::Off, false);
            }
            now += 3 * LULL;
        }
    }

    #[test]
    fn what_the_kernel_does_not_know_is_not_tried_again() {
        let mut merging = Merging::UNDER_LOAD;
        assert_eq!(merging.took(BACKLOG, false, || 1), Some(Switch::On));
        merging.switched(Switch::On, false);
        assert_eq!(merging.took(BACKLOG, false, || 1), None);
        assert!(!merging.is_on() && !merging.may_be_on());
    }

    #[test]
    fn who_wants_it_always_or_never_is_not_asked() {
        for (mut merging, on) in [(Merging::NEVER, false), (Merging::ALWAYS, true)] {
            for (turn, messages) in [0, 64].repeat(8).into_iter().enumerate() {
                assert_eq!(merging.took(messages, true, || turn as u64 * LULL), None);
            }
            assert_eq!(merging.is_on(), on);
        }
    }
}
