//! How far from its slot is an announcement judged? For tests of the rule's edges: what two processes say to each other
//! arrives where it arrives, and never at one record's exactness.
//!
//! ```text
//!  TWINFEED_TEST_DISTANCE=16:1,0,-1      the source waits 16 records behind the active's reports, until an
//!                                        announcement comes; that is heard, and everything said behind it, when
//!                                        A − B is 1 for message 0, 0 for message 1, −1 for message 2, 1 for message 3
//! ```
//!
//! The backup stays behind because its source waits in the sockets, and comes to its place because the source goes on, a
//! packet at a time: what is judged then is the real B. Source messages that become several records may step over the
//! place, so what came of it is said in the log. For a backup of one source, which stays one.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::Duration;

use twinfeed_wire::Msn;
use twinfeed_wire::link::{Frame, Intent};

use crate::config::ConfigError;
use crate::link::notice::Heard;

/// `LAG:D,D,…`
#[derive(Clone, Debug, Eq, PartialEq)]
struct Plan {
    /// Records by which the backup stays behind what the active reports, while nothing is announced.
    lag: u64,
    /// A − B at which message n is judged: the n-th of these, from the first again behind the last.
    distances: Vec<i64>,
}

/// How far the plan is.
#[derive(Debug)]
pub(super) struct Distances {
    plan: Plan,
    /// What the active reported last.
    reported: Msn,
    /// What the active said from the announcement on that is not to be heard yet.
    kept: VecDeque<Frame>,
}

static PLAN: OnceLock<Plan> = OnceLock::new();

thread_local! {
    static DISTANCES: RefCell<Option<Distances>> =
        RefCell::new(PLAN.get().cloned().map(Distances::new));
}

pub(super) fn read_environment() -> Result<(), ConfigError> {
    let says = ("16:1,0,-1", "this adapter is behind on purpose");
    super::read_plan(&PLAN, VARIABLE, says, |text| {
        Plan::read(text).ok_or_else(|| "names no lag and no distances".to_owned())
    })
}

/// Calls it where a backup is to stand at a certain place.
pub(super) fn here<T>(call: impl FnOnce(&mut Distances) -> T) -> Option<T> {
    DISTANCES.with_borrow_mut(|distances| distances.as_mut().map(call))
}

/// Whether a plan was read, whichever thread asks.
pub(super) fn is_planned() -> bool {
    PLAN.get().is_some()
}

impl Distances {
    const fn new(plan: Plan) -> Self {
        Self {
            plan,
            reported: Msn(0),
            kept: VecDeque::new(),
        }
    }

    /// Whether this is not to be heard yet. Another connection says everything anew.
    pub(super) fn keeps_back(&mut self, heard: &Heard, processed: Msn) -> bool {
        let Heard::Said(frame) = heard else {
            self.kept.clear();
            return false;
        };
        if let Frame::Report(report) = frame {
            self.reported = report.processed;
        }
        let now = self.kept.is_empty() && self.is_ripe(frame, processed);
        if now {
            note(frame, processed);
        } else {
            self.kept.push_back(*frame);
        }
        !now
    }

    /// The next of what was kept back, if its place is reached.
    pub(super) fn ripe(&mut self, processed: Msn) -> Option<Frame> {
        let next = *self.kept.front()?;
        if !self.is_ripe(&next, processed) {
            return None;
        }
        self.kept.pop_front();
        note(&next, processed);
        Some(next)
    }

    /// Whether the source must wait.
    pub(super) fn source_waits(&self, processed: Msn) -> bool {
        let waits = match self.kept.front() {
            Some(next) => self.is_ripe(next, processed),
            None => self.reported > Msn(0) && processed.plus(self.plan.lag) > self.reported,
        };
        if waits {
            // The data thread would not sleep: what waits for it lies in its sockets.
            std::thread::sleep(PAUSE);
        }
        waits
    }

    fn is_ripe(&self, frame: &Frame, processed: Msn) -> bool {
        let Some(intent) = announced(frame) else {
            return true;
        };
        let place = usize::try_from(intent.message.number().0).unwrap_or(0);
        let wanted = self.plan.distances[place % self.plan.distances.len()];
        i128::from(intent.slot.0) - i128::from(processed.0) <= i128::from(wanted)
    }
}

/// The announcement that this is, if it is one that the rule is asked about.
fn announced(frame: &Frame) -> Option<&Intent> {
    match frame {
        Frame::Intent(intent) if !intent.hold => Some(intent),
        _ => None,
    }
}

/// Tests look for this line: a place that was stepped over proves nothing.
fn note(frame: &Frame, processed: Msn) {
    if let Some(intent) = announced(frame) {
        let (number, slot) = (intent.message.number().0, intent.slot.0);
        let (attempt, processed) = (intent.attempt, processed.0);
        eprintln!("judged: number={number} attempt={attempt} slot={slot} processed={processed}");
    }
}

impl Plan {
    fn read(text: &str) -> Option<Self> {
        let (lag, distances) = text.split_once(':')?;
        let distances = distances.split(',').map(|it| it.parse().ok());
        Some(Self {
            lag: lag.parse().ok()?,
            distances: distances.collect::<Option<_>>()?,
        })
    }
}

/// The variable that holds the plan.
const VARIABLE: &str = "TWINFEED_TEST_DISTANCE";
/// How long the data thread sleeps each time that it finds its source waiting.
const PAUSE: Duration = Duration::from_micros(200);

#[cfg(test)]
mod tests {
    use twinfeed_wire::link::Report;
    use twinfeed_wire::{Adm, AdminId, AdminKind, Epoch, Generation, Sid, StoredAdmin};

    use super::*;

    fn intent(number: u64, slot: u64) -> Heard {
        let id = AdminId {
            generation: Generation(1),
            number: Adm(number),
        };
        Heard::Said(Frame::Intent(Intent {
            sid: Sid(1),
            generation: Generation(1),
            epoch: Epoch(7),
            began: Msn(0),
            slot: Msn(slot),
            attempt: 1,
            hold: false,
            message: StoredAdmin::new(id, AdminKind::SourceStale, &[]).unwrap(),
        }))
    }

    fn report(processed: u64) -> Heard {
        Heard::Said(Frame::Report(Report {
            sid: Sid(1),
            generation: Generation(1),
            processed: Msn(processed),
            cut: 1,
            synchronised: true,
            source_stale: false,
            last: None,
        }))
    }

    fn distances(text: &str) -> Distances {
        Distances::new(Plan::read(text).unwrap())
    }

    #[test]
    fn it_is_read_as_it_is_written() {
        let plan = Plan::read("16:1,0,-1").unwrap();
        assert_eq!((plan.lag, plan.distances), (16, vec![1, 0, -1]));
        for wrong in ["", "16", "16:", ":1", "16:1,", "-1:1", "16:1,x"] {
            assert_eq!(Plan::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_source_waits_behind_the_reports() {
        let mut at = distances("16:1");
        assert!(!at.source_waits(Msn(0)), "nothing was reported yet");
        assert!(!at.keeps_back(&report(100), Msn(0)));
        assert!(!at.source_waits(Msn(84)));
        assert!(at.source_waits(Msn(85)));
    }

    #[test]
    fn an_announcement_and_what_follows_is_heard_at_its_place_and_no_sooner() {
        let mut at = distances("16:1,-1");
        assert!(!at.keeps_back(&report(100), Msn(84)));
        assert!(at.keeps_back(&intent(0, 101), Msn(84)));
        assert!(at.keeps_back(&report(102), Msn(84)), "behind it");
        for processed in 84..100 {
            assert!(!at.source_waits(Msn(processed)));
            assert_eq!(at.ripe(Msn(processed)), None);
        }
        assert!(at.source_waits(Msn(100)));
        assert!(matches!(at.ripe(Msn(100)), Some(Frame::Intent(_))));
        assert!(matches!(at.ripe(Msn(100)), Some(Frame::Report(_))));
        assert_eq!(at.ripe(Msn(100)), None);
        // The next one is to come too late.
        assert!(at.keeps_back(&intent(1, 120), Msn(120)));
        assert!(!at.source_waits(Msn(120)));
        assert!(matches!(at.ripe(Msn(121)), Some(Frame::Intent(_))));
        // One whose place is behind is heard at once.
        assert!(!at.keeps_back(&intent(2, 90), Msn(121)));
    }

    #[test]
    fn what_was_kept_back_ends_with_its_connection() {
        let mut at = distances("16:1");
        assert!(at.keeps_back(&intent(0, 101), Msn(84)));
        assert!(!at.keeps_back(&Heard::Down { gone: true }, Msn(84)));
        assert_eq!(at.ripe(Msn(1_000)), None);
    }
}
