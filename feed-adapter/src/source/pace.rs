//! When is the next packet of a replay due?
//!
//! A capture says when its packets were seen; a replay begins at another moment and may run at
//! another speed. This is the arithmetic between the two. Nothing here waits or reads a clock.

/// How fast a replay runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Speed {
    /// Every packet is due at once.
    AsFastAsPossible,
    /// As captured.
    #[default]
    Original,
    /// So many times as fast: 2.0 is twice, 0.5 is half the speed.
    Scaled(f64),
}

/// The timetable of one replay.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    speed: Speed,
    /// When the replay began, ns on the replayer's clock.
    started: u64,
    /// Time of the capture's first packet, ns; unknown until it is seen.
    first: Option<u64>,
    /// The latest due time so far: packets keep their order.
    latest: u64,
}

impl Pace {
    /// A timetable that begins at `started`, ns on any clock of the caller's.
    #[must_use]
    pub fn new(speed: Speed, started: u64) -> Self {
        Self {
            speed,
            started,
            first: None,
            latest: started,
        }
    }

    /// When a packet captured at `captured` (ns) is due, on the clock of [`Pace::new`].
    ///
    /// A packet captured before one that precedes it in the file is due with that one, never
    /// before: a replay keeps the order of its capture.
    pub fn due(&mut self, captured: u64) -> u64 {
        let since = captured.saturating_sub(*self.first.get_or_insert(captured));
        let delay = match self.speed {
            Speed::AsFastAsPossible => 0,
            Speed::Original => since,
            // Float to integer saturates; a factor of 0 or less means that nothing more is ever
            // due.
            Speed::Scaled(factor) if factor > 0.0 => (since as f64 / factor) as u64,
            Speed::Scaled(_) if since == 0 => 0,
            Speed::Scaled(_) => u64::MAX,
        };
        self.latest = self.latest.max(self.started.saturating_add(delay));
        self.latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_by_hand() {
        for (speed, due) in [
            (Speed::AsFastAsPossible, [1_000, 1_000, 1_000]),
            (Speed::Original, [1_000, 1_100, 1_300]),
            (Speed::Scaled(2.0), [1_000, 1_050, 1_150]),
            (Speed::Scaled(0.5), [1_000, 1_200, 1_600]),
            (Speed::Scaled(0.0), [1_000, u64::MAX, u64::MAX]),
        ] {
            let mut pace = Pace::new(speed, 1_000);
            assert_eq!(
                [50, 150, 350].map(|captured| pace.due(captured)),
                due,
                "{speed:?}"
            );
        }
    }

    #[test]
    fn a_step_back_in_the_capture_does_not_reorder_the_replay() {
        let mut pace = Pace::new(Speed::Original, 0);
        assert_eq!(
            [100, 130, 120, 90, 131].map(|at| pace.due(at)),
            [0, 30, 30, 30, 31]
        );
    }
}
