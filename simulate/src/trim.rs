//! What may be left out of a world without changing the rest of its plan?
//!
//! A [`Trim`] names parts of a plan that are left out, and how much of each life is kept. It is text, too, so that a
//! smallest failing world is one command. A world with less in it is another world, as much decided by its seed as the
//! whole one.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeSet;

use crate::world::Plan;
use crate::world::lines::LinePath;

/// One part of a plan.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// A fault with its time, by its place in the plan.
    Fault(usize),
    /// A fault of the network, by subscriber, leg and place.
    Way(usize, usize, usize),
    /// Every fault of the source's lines.
    Lines,
    /// One fault of several lines at once, by its place.
    LineFault(usize),
    /// Every fault of the ways on which adapters are asked.
    FillWays,
    /// What the operator orders.
    Orders,
    /// A subscriber.
    Subscriber(usize),
    /// A source.
    Source(usize),
}

/// What is left out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trim {
    without: BTreeSet<Part>,
    keep_percent: u64,
}

impl Default for Trim {
    fn default() -> Self {
        Self {
            without: BTreeSet::new(),
            keep_percent: 100,
        }
    }
}

impl Trim {
    /// Leaves out these parts, and keeps so many percent of each life of each source; 100: all of them.
    #[must_use]
    pub fn new(without: impl IntoIterator<Item = Part>, keep_percent: u64) -> Self {
        Self {
            without: without.into_iter().collect(),
            keep_percent: keep_percent.clamp(1, 100),
        }
    }

    /// Whether nothing is left out.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The same, and these parts less.
    #[must_use]
    pub fn and(&self, parts: &[Part]) -> Self {
        let mut more = self.clone();
        more.without.extend(parts);
        more
    }

    /// The same with so many percent of each life.
    #[must_use]
    pub fn keeping(&self, keep_percent: u64) -> Self {
        Self {
            keep_percent: keep_percent.clamp(1, 100),
            ..self.clone()
        }
    }

    /// What is kept of each life, percent.
    #[must_use]
    pub const fn keep_percent(&self) -> u64 {
        self.keep_percent
    }

    /// The parts that are left out.
    pub fn parts(&self) -> impl Iterator<Item = Part> {
        self.without.iter().copied()
    }

    /// The plan without them.
    #[must_use]
    pub fn apply(&self, mut plan: Plan) -> Plan {
        let left_out = |part| self.without.contains(&part);
        plan.faults = kept(plan.faults, |place| !left_out(Part::Fault(place)));
        for (number, application) in plan.subscribers.iter_mut().enumerate() {
            for (leg, way) in application.ways.iter_mut().enumerate() {
                let all = core::mem::take(way);
                *way = kept(all, |place| !left_out(Part::Way(number, leg, place)));
            }
        }
        if left_out(Part::Lines) {
            plan.paths = plan.paths.map(|paths| paths.map(LinePath::calm));
        }
        plan.line_faults = kept(plan.line_faults, |place| !left_out(Part::LineFault(place)));
        if let Some(fills) = &mut plan.fills {
            fills.ways = kept(core::mem::take(&mut fills.ways), |place| {
                !left_out(Part::Subscriber(place))
            });
            let ways = fills.ways.iter_mut().flatten().flatten();
            ways.filter(|_| left_out(Part::FillWays))
                .for_each(Vec::clear);
        }
        if left_out(Part::Orders)
            && let Some(pair) = &mut plan.pair
        {
            pair.orders = false;
        }
        plan.subscribers = kept(plan.subscribers, |place| !left_out(Part::Subscriber(place)));
        plan.sources = kept(plan.sources, |place| !left_out(Part::Source(place)));
        if self.keep_percent < 100 {
            let shorter = |life: &mut u64| *life = (*life * self.keep_percent / 100).max(1);
            let lives = plan.sources.iter_mut().flat_map(|shape| &mut shape.lives);
            lives.for_each(shorter);
        }
        plan
    }

    /// Every part of the plan that could be left out; one source and one subscriber remain whatever is asked.
    #[must_use]
    pub fn parts_of(plan: &Plan) -> Vec<Part> {
        let mut parts: Vec<Part> = (0..plan.faults.len()).map(Part::Fault).collect();
        for (number, application) in plan.subscribers.iter().enumerate() {
            for (leg, way) in application.ways.iter().enumerate() {
                parts.extend((0..way.len()).map(|place| Part::Way(number, leg, place)));
            }
        }
        if plan.conduct.lines.is_some() {
            parts.push(Part::Lines);
        }
        parts.extend((0..plan.line_faults.len()).map(Part::LineFault));
        if plan.fills.is_some() {
            parts.push(Part::FillWays);
        }
        if plan.pair.is_some() {
            parts.push(Part::Orders);
        }
        parts.extend((1..plan.subscribers.len()).map(Part::Subscriber));
        parts.extend((1..plan.sources.len()).map(Part::Source));
        parts
    }
}

fn kept<T>(all: Vec<T>, keep: impl Fn(usize) -> bool) -> Vec<T> {
    let numbered = all.into_iter().enumerate();
    let kept = numbered.filter(|(place, _)| keep(*place));
    kept.map(|(_, item)| item).collect()
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(place) => write!(f, "fault:{place}"),
            Self::Way(subscriber, leg, place) => write!(f, "way:{subscriber}.{leg}.{place}"),
            Self::Lines => f.write_str("lines"),
            Self::LineFault(place) => write!(f, "line:{place}"),
            Self::FillWays => f.write_str("fill-ways"),
            Self::Orders => f.write_str("orders"),
            Self::Subscriber(place) => write!(f, "subscriber:{place}"),
            Self::Source(place) => write!(f, "source:{place}"),
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "`{text}` is no part: lines, fill-ways, orders, fault:N, way:S.L.N, line:N, subscriber:N, source:N"
            )
        };
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let numbers: Result<Vec<usize>, _> = match rest {
            "" => Ok(Vec::new()),
            rest => rest.split('.').map(str::parse).collect(),
        };
        let numbers = numbers.map_err(|_| wrong())?;
        match (name, numbers.as_slice()) {
            ("fault", &[place]) => Ok(Self::Fault(place)),
            ("way", &[subscriber, leg, place]) => Ok(Self::Way(subscriber, leg, place)),
            ("lines", []) => Ok(Self::Lines),
            ("line", &[place]) => Ok(Self::LineFault(place)),
            ("fill-ways", []) => Ok(Self::FillWays),
            ("orders", []) => Ok(Self::Orders),
            ("subscriber", &[place]) => Ok(Self::Subscriber(place)),
            ("source", &[place]) => Ok(Self::Source(place)),
            _ => Err(wrong()),
        }
    }
}

/// As options of `twinfeed simulate`, with a space in front of each; nothing when nothing is left out.
impl fmt::Display for Trim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.without.is_empty() {
            let parts: Vec<String> = self.parts().map(|part| part.to_string()).collect();
            write!(f, " --without {}", parts.join(","))?;
        }
        if self.keep_percent < 100 {
            write!(f, " --keep-percent {}", self.keep_percent)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Kind;

    #[test]
    fn what_is_written_is_read_as_the_same_part() {
        for seed in 1..=50 {
            for part in Trim::parts_of(&Kind::Pair.draw(seed)) {
                assert_eq!(part.to_string().parse(), Ok(part));
            }
        }
        for wrong in [
            "",
            "fault",
            "fault:x",
            "fault:1.2",
            "lines:1",
            "way:1.2",
            "fualt:1",
        ] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn without_every_part_a_plan_has_one_source_one_subscriber_and_no_fault() {
        let plan = Kind::Pair.draw(3);
        let trim = Trim::new(Trim::parts_of(&plan), 50);
        let lives: u64 = plan.sources[0].lives.iter().sum();
        let less = trim.apply(plan);
        assert_eq!((less.sources.len(), less.subscribers.len()), (1, 1));
        assert!(less.faults.is_empty());
        assert!(less.subscribers[0].ways.iter().all(Vec::is_empty));
        let left: u64 = less.sources[0].lives.iter().sum();
        assert!(left <= lives / 2, "{left} of {lives}");
    }
}
