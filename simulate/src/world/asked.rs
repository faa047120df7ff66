//! When does a component want to be woken, without asking it again after everything that happens to another?
//!
//! A world asks all its processes for their deadlines before each step, and a step changes one of them, or two. An
//! [`Asked`] process answers once and is asked again when somebody has had it in hand to change it.

use core::cell::Cell;
use core::ops::{Deref, DerefMut};

use twinfeed_protocol::time::Time;

/// Whoever wants to be woken. The answer depends on nothing but what it is: it changes when that does.
pub(super) trait Sleeper {
    /// When it wants to be woken, if it can be.
    fn next_deadline(&self) -> Option<Time>;
}

/// A sleeper whose answer is remembered.
#[derive(Debug)]
pub(super) struct Asked<T> {
    sleeper: T,
    /// Its last answer; none: it may have changed since.
    answer: Cell<Option<Option<Time>>>,
}

impl<T: Sleeper> Asked<T> {
    /// Nobody has asked it so far.
    pub(super) const fn new(sleeper: T) -> Self {
        Self {
            sleeper,
            answer: Cell::new(None),
        }
    }

    /// When it wants to be woken, if it can be.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        if let Some(answer) = self.answer.get() {
            return answer;
        }
        let answer = self.sleeper.next_deadline();
        self.answer.set(Some(answer));
        answer
    }
}

impl<T> Deref for Asked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.sleeper
    }
}

impl<T> DerefMut for Asked<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.answer.set(None);
        &mut self.sleeper
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Alarm {
        at: Option<Time>,
        asked: Cell<u32>,
    }

    impl Sleeper for Alarm {
        fn next_deadline(&self) -> Option<Time> {
            self.asked.set(self.asked.get() + 1);
            self.at
        }
    }

    #[test]
    fn it_is_asked_once_and_again_when_it_may_have_changed() {
        let mut alarm = Asked::new(Alarm {
            at: Some(Time(7)),
            asked: Cell::new(0),
        });
        assert_eq!([alarm.next_deadline(); 2], [Some(Time(7)); 2]);
        assert_eq!(alarm.next_deadline(), Some(Time(7)));
        assert_eq!(alarm.asked.get(), 1);
        alarm.at = None;
        assert_eq!(alarm.next_deadline(), None);
        assert_eq!(alarm.next_deadline(), None);
        assert_eq!(alarm.asked.get(), 2);
    }
}
