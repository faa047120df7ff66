//! What is done at the places of [`super`]: one plan per process, one state per data thread.
//!
//! A fault strikes at the first administrative message, from the one that `from` counts on, that comes to the place in
//! the way the fault is about: one that dies behind an agreement waits for a message that is agreed to before its
//! slot. Every other message is dealt with as always.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use signal_hook::consts::SIGKILL;
use signal_hook::low_level::raise;
use twinfeed_net::clock;
use twinfeed_net::udp::Destinations;
use twinfeed_protocol::pair::Verdict;
use twinfeed_wire::link::Frame;
use twinfeed_wire::{Adm, BodyKind, Datagram};

use crate::config::ConfigError;
use crate::mailbox::Ordered;

/// Where this process kills itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Point {
    /// The message is announced and agreed to, its slot not reached.
    Announced,
    /// It was sent to everybody; the peer's agreement arrived and is not heard.
    Sent,
    /// It is agreed to, and was sent to the first destination only.
    OneTold,
    /// It is committed to a nearer slot on a quiet feed, and was sent to the first destination only.
    Committed,
    /// Three are announced and agreed to, no slot is reached.
    Outstanding,
    /// As `Sent`, a few datagrams later.
    Unanswered,
    /// Nothing is said to the peer any more from the announcement on; a few datagrams after it was sent.
    Unheard,
    /// The announcement is said only a few datagrams after the message was sent; when the peer's refusal comes.
    Refused,
}

/// What is to go wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Plan {
    point: Point,
    /// Which of the messages that this process originates is the first to be struck, from 1.
    from: u64,
    /// Whether the datagram of a message that is struck does not reach the first destination.
    lost: bool,
}

/// What goes wrong, and how far it is.
#[derive(Debug)]
pub(super) struct Faults {
    plan: Plan,
    originated: u64,
    /// The number of the message originated last.
    last: Option<Adm>,
    struck: Vec<Struck>,
    gathering: Vec<Ordered>,
    withheld: Vec<Frame>,
    /// Whether what is said is kept back.
    mute: bool,
    /// Datagrams of records since the message was sent.
    since: u32,
    over: bool,
}

/// A message that the fault is about.
#[derive(Clone, Copy, Debug)]
struct Struck {
    number: Adm,
    answered: bool,
    committed: bool,
    sent: Sending,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sending {
    Waits,
    InOutbox,
    Done,
}

static PLAN: OnceLock<Plan> = OnceLock::new();

thread_local! {
    static FAULTS: RefCell<Option<Faults>> = RefCell::new(PLAN.get().copied().map(Faults::new));
}

pub(super) fn read_environment() -> Result<(), ConfigError> {
    let says = ("sent,from=2,lost", "this process fails on purpose");
    super::read_plan(&PLAN, VARIABLE, says, str::parse)
}

/// Calls it where something is to go wrong; the process dies if it is its time.
pub(super) fn here<T>(call: impl FnOnce(&mut Faults) -> T) -> Option<T> {
    FAULTS.with_borrow_mut(|faults| {
        let faults = faults.as_mut()?;
        let done = call(faults);
        if faults.over {
            // The harness looks for this line: a fault that did not happen proves nothing.
            eprintln!("killed: {faults} at_ns={}", clock::monotonic_ns());
            let _ = raise(SIGKILL);
        }
        Some(done)
    })
}

impl Faults {
    const fn new(plan: Plan) -> Self {
        Self {
            plan,
            originated: 0,
            last: None,
            struck: Vec::new(),
            gathering: Vec::new(),
            withheld: Vec::new(),
            mute: false,
            since: 0,
            over: false,
        }
    }

    /// Three orders are carried out at once where three are to be outstanding.
    pub(super) fn gathered(&mut self, ordered: Ordered) -> Vec<Ordered> {
        self.gathering.push(ordered);
        let alone = self.plan.point != Point::Outstanding;
        let early = self.originated + 1 < self.plan.from;
        if alone || early || self.gathering.len() >= OUTSTANDING {
            std::mem::take(&mut self.gathering)
        } else {
            Vec::new()
        }
    }

    pub(super) fn originates(&mut self, number: Adm) {
        if self.last.replace(number) == Some(number) {
            // The one before was refused.
            return;
        }
        self.originated += 1;
        if self.originated < self.plan.from {
            return;
        }
        if self.plan.point != Point::Outstanding {
            self.struck.clear();
        }
        self.since = 0;
        self.struck.push(Struck {
            number,
            answered: false,
            committed: false,
            sent: Sending::Waits,
        });
        self.mute |= matches!(self.plan.point, Point::Unheard | Point::Refused);
    }

    pub(super) fn said(&mut self, frame: Frame) -> Vec<Frame> {
        self.withheld.push(frame);
        if self.mute {
            return Vec::new();
        }
        std::mem::take(&mut self.withheld)
    }

    pub(super) fn committed(&mut self, frame: &Frame) {
        if let Frame::Settled(settled) = frame {
            for struck in &mut self.struck {
                struck.committed |= settled.commit && settled.number == struck.number;
            }
        }
    }

    pub(super) fn is_deaf_to(&mut self, frame: &Frame) -> bool {
        let Frame::Answer(answer) = frame else {
            return false;
        };
        let mut struck = self.struck.iter_mut();
        let Some(struck) = struck.find(|it| it.number == answer.number) else {
            return false;
        };
        struck.answered = true;
        let capable = answer.verdict == Verdict::Capable;
        if capable == (self.plan.point == Point::Refused) {
            self.spare();
            return false;
        }
        self.judge();
        matches!(
            self.plan.point,
            Point::Sent | Point::Unanswered | Point::Refused
        )
    }

    pub(super) fn reaches_only(
        &mut self,
        bytes: &[u8],
        everybody: &Destinations,
    ) -> Option<Destinations> {
        if self.struck.is_empty() {
            return None;
        }
        let datagram = Datagram::parse(bytes).ok()?;
        let records = || datagram.records();
        let carries = |number| {
            records().any(|record| record.kind == BodyKind::Administrative && record.adm == number)
        };
        let Some(place) = self.struck.iter().position(|it| carries(it.number)) else {
            let sent = |it: &Struck| it.sent == Sending::Done;
            self.since += u32::from(records().next().is_some() && self.struck.iter().all(sent));
            return None;
        };
        let struck = &mut self.struck[place];
        struck.sent = Sending::InOutbox;
        let (answered, committed) = (struck.answered, struck.committed);
        match self.plan.point {
            Point::Announced | Point::Outstanding => self.spare(),
            Point::OneTold if !answered => self.spare(),
            Point::Committed if !committed => self.spare(),
            Point::OneTold | Point::Committed => {
                return Some(some(everybody, |place| place == 0));
            }
            _ if self.plan.lost => return Some(some(everybody, |place| place > 0)),
            _ => {}
        }
        None
    }

    pub(super) fn sent(&mut self) {
        for struck in &mut self.struck {
            if struck.sent == Sending::InOutbox {
                struck.sent = Sending::Done;
            }
        }
        let later = !self.struck.is_empty() && self.since >= LATER;
        self.mute &= !(later && self.plan.point == Point::Refused);
        self.judge();
    }

    /// Whether it is time.
    fn judge(&mut self) {
        let all =
            |what: fn(&Struck) -> bool| !self.struck.is_empty() && self.struck.iter().all(what);
        let (answered, sent) = (all(|it| it.answered), all(|it| it.sent == Sending::Done));
        let waits = all(|it| it.sent == Sending::Waits);
        let committed = all(|it| it.committed);
        let later = self.since >= LATER;
        self.over |= match self.plan.point {
            Point::Announced => answered && waits,
            Point::Sent | Point::OneTold => answered && sent,
            Point::Committed => committed && sent,
            Point::Outstanding => answered && waits && self.struck.len() >= OUTSTANDING,
            Point::Unanswered => answered && sent && later,
            Point::Unheard => sent && later,
            Point::Refused => answered,
        };
    }

    /// These messages are not what the fault is about: a later one may be.
    fn spare(&mut self) {
        self.struck.clear();
        self.mute = false;
    }
}

/// Those destinations, and no others.
fn some(everybody: &Destinations, wanted: impl Fn(usize) -> bool) -> Destinations {
    let mut some = everybody.clone();
    for (place, (key, ..)) in everybody.iter().enumerate() {
        if !wanted(place) {
            let _ = some.remove(key);
        }
    }
    some
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let word = parts.next().unwrap_or_default();
        let point = POINTS.iter().find(|(known, _)| *known == word);
        let (_, point) = point.ok_or_else(|| {
            let known: Vec<_> = POINTS.iter().map(|(known, _)| *known).collect();
            format!("`{word}` is none of {}", known.join(", "))
        })?;
        let mut plan = Self {
            point: *point,
            from: 1,
            lost: false,
        };
        for part in parts {
            match part.split_once('=').unwrap_or((part, "")) {
                ("from", number) => {
                    let number = number.parse().ok().filter(|&number| number > 0);
                    plan.from = number.ok_or_else(|| format!("`{part}`: it counts from 1"))?;
                }
                ("lost", "") => plan.lost = true,
                _ => return Err(format!("`{part}` is neither from=NUMBER nor lost")),
            }
        }
        Ok(plan)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = POINTS.iter().find(|(_, point)| *point == self.plan.point);
        write!(f, "{} messages=", word.map_or("", |(word, _)| word))?;
        for (place, struck) in self.struck.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{}", struck.number)?;
        }
        Ok(())
    }
}

const POINTS: [(&str, Point); 8] = [
    ("announced", Point::Announced),
    ("sent", Point::Sent),
    ("one-told", Point::OneTold),
    ("committed", Point::Committed),
    ("outstanding", Point::Outstanding),
    ("unanswered", Point::Unanswered),
    ("unheard", Point::Unheard),
    ("refused", Point::Refused),
];
/// The variable that holds the plan.
const VARIABLE: &str = "TWINFEED_TEST_KILL";
/// How many messages are outstanding where several are.
const OUTSTANDING: usize = 3;
/// A few datagrams.
const LATER: u32 = 3;

#[cfg(test)]
#[path = "planned_tests.rs"]
mod tests;
