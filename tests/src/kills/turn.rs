//! One kill: order, death, takeover, restart, whole again.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use twinfeed_control::{MessagePlace, OrderOutcome};
use twinfeed_exchange::Command;
use twinfeed_harness::adapter::Standing;
use twinfeed_harness::process::{Seen, until};
use twinfeed_harness::{Error, Seat};
use twinfeed_net::clock;

use super::{Case, LIMIT, Scene, Survivor, environment};

/// What was done and what the control plane said of it; what the subscribers saw is judged at the end.
#[derive(Clone, Debug)]
pub struct Kill {
    /// Which of the run, from 0.
    pub number: usize,
    /// Of what it died.
    pub case: Case,
    /// What the survivor knew, by its own word.
    pub survivor: Survivor,
    /// Texts of the messages at stake when the active died.
    pub at_stake: Vec<String>,
    /// The number of the first of them.
    pub first: u64,
    /// Messages that were placed as always, and where their adapter says.
    pub plain: Vec<(String, MessagePlace)>,
    /// Texts of orders that the active refused.
    pub refused: Vec<String>,
    /// The text of the message that the survivor placed first, as the active of the next generation; nobody agreed to it.
    pub after: String,
    /// The number of that message.
    pub next: u64,
    /// The active's last words.
    pub words: String,
    /// Whether it died within a burst.
    pub in_burst: bool,
    /// When the orders were given, by the monotonic clock, ns.
    pub from_ns: u64,
    /// What the control plane said that it should not have.
    pub broken: Vec<String>,
}

impl Kill {
    /// Before anything happened.
    #[must_use]
    pub const fn new(number: usize, case: Case, from_ns: u64) -> Self {
        Self {
            number,
            case,
            survivor: case.survivor,
            at_stake: Vec::new(),
            first: 0,
            plain: Vec::new(),
            refused: Vec::new(),
            after: String::new(),
            next: 0,
            words: String::new(),
            in_burst: false,
            from_ns,
            broken: Vec::new(),
        }
    }
}

impl Scene<'_> {
    pub(super) fn turn(&mut self, number: usize) -> Result<Kill, Error> {
        let case = self.deaths[number];
        let mut kill = Kill::new(number, case, clock::monotonic_ns());
        if number == 0 {
            let (text, place) = self.operator.place(&text(&kill, "plain"))?;
            self.next = place.number + 1;
            kill.plain.push((text, place));
        }
        let quiet = case.is_quiet();
        if quiet {
            self.rig.exchange().tell(Command::Pause)?;
        }
        self.strike(&mut kill)?;
        if quiet {
            self.rig.exchange().tell(Command::Resume)?;
        }
        let (dead, survivor) = (self.active, self.active.other());
        // Whoever is restarted now is active again in the turn after the next.
        let plan = environment(self.deaths, number + 2);
        self.rig.set_environment(dead, plan);
        let takes_over = self.takes_over(survivor)?;
        if !takes_over {
            // Where the case is another one, it was out of step for a reason of its own, such as a hold that it had to
            // end: the pair was not protected.
            kill.survivor = Survivor::Lacks;
            self.rig.restart(dead)?;
        }
        self.until_active(survivor)?;
        (self.active, self.generation) = (survivor, self.generation + 1);
        let (text, place) = self.operator.place(&text(&kill, "after"))?;
        self.check_numbers(&mut kill, place);
        (kill.after, kill.next) = (text.clone(), place.number);
        self.next = place.number + 1;
        kill.plain.push((text, place));
        if takes_over {
            self.rig.restart(dead)?;
        }
        self.until_whole()?;
        Ok(kill)
    }

    /// Orders until the active dies of it. A message that does not come to the place of death in the way that the
    /// fault is about, because the backup refused it, say, is placed as always.
    fn strike(&mut self, kill: &mut Kill) -> Result<(), Error> {
        for attempt in 0..ATTEMPTS {
            let orders = kill.case.orders;
            let texts: Vec<String> = (0..orders)
                .map(|place| text(kill, &format!("at-stake-{attempt}.{place}")))
                .collect();
            for (place, text) in texts.iter().enumerate() {
                if orders > 1 && place + 1 == orders {
                    self.until_burst()?;
                }
                self.operator.order(text, Duration::ZERO)?;
            }
            let settled = self.until_dead_or_settled(&texts)?;
            let Some(places) = settled else {
                kill.at_stake = texts;
                return self.autopsy(kill);
            };
            for (text, place) in texts.into_iter().zip(places) {
                match place {
                    Some(place) => {
                        self.next = self.next.max(place.number + 1);
                        kill.plain.push((text, place));
                    }
                    None => kill.refused.push(text),
                }
            }
        }
        Err(Error::TimedOut {
            what: format!("the active dies: {}", kill.case.name),
            waited: Duration::ZERO,
            state: format!("{ATTEMPTS} orders were carried out as always"),
        })
    }

    /// Where they were placed, or that they were refused; `None`: the active is dead.
    fn until_dead_or_settled(
        &mut self,
        texts: &[String],
    ) -> Result<Option<Vec<Option<MessagePlace>>>, Error> {
        let stop = self.stop.clone();
        let (operator, active) = (self.operator.clone(), self.active);
        until("the orders are carried out", LIMIT, &stop, || {
            if self.rig.adapter(active)?.ended().is_some() {
                return Ok(Seen::Met(None));
            }
            let outcomes: Result<Vec<_>, _> = texts
                .iter()
                .map(|text| operator.order(text, LOOK))
                .collect();
            let outcomes = outcomes?;
            let places = outcomes.iter().map(|outcome| match outcome {
                OrderOutcome::Placed { place } => Some(Some(*place)),
                OrderOutcome::Refused { .. } => Some(None),
                OrderOutcome::Pending | OrderOutcome::Unknown { .. } => None,
            });
            Ok(match places.collect::<Option<Vec<_>>>() {
                Some(places) => Seen::Met(Some(places)),
                None => Seen::NotYet(format!("{outcomes:?}")),
            })
        })
    }

    /// Was it the death that was planned, and where?
    fn autopsy(&mut self, kill: &mut Kill) -> Result<(), Error> {
        let process = self.rig.adapter(self.active)?;
        let (status, tail) = (process.wait(LIMIT)?, process.tail());
        let wrong = |fault: &str| Error::Ended {
            process: format!("the active, {fault}"),
            status: status.to_string(),
            tail: tail.clone(),
        };
        if status.signal() != Some(9) {
            return Err(wrong("not by SIGKILL"));
        }
        let words = tail.lines().rfind(|line| line.starts_with("killed: "));
        let words = words.ok_or_else(|| wrong("without last words"))?;
        kill.words = words.to_owned();
        let after = |key: &str| {
            let rest = words.split_once(key)?.1;
            rest.split([',', ' ']).next()?.parse::<u64>().ok()
        };
        let (first, at_ns) = after("messages=")
            .zip(after("at_ns="))
            .ok_or_else(|| wrong("with other last words"))?;
        kill.first = first;
        if first != self.next {
            let next = self.next;
            kill.broken
                .push(format!("message {first} is at stake, not {next}: {words}"));
        }
        kill.in_burst = self.is_burst(at_ns)?;
        Ok(())
    }

    /// Under which number and generation does the survivor count on?
    fn check_numbers(&self, kill: &mut Kill, after: MessagePlace) {
        let MessagePlace {
            generation, number, ..
        } = after;
        if generation.0 != self.generation {
            let expected = self.generation;
            kill.broken
                .push(format!("{generation} follows, not {expected}"));
        }
        let behind = kill.first + kill.at_stake.len() as u64;
        let expected = match kill.survivor {
            Survivor::Agreed => behind,
            Survivor::Unaware | Survivor::Lacks => number.clamp(kill.first, behind),
        };
        if number != expected {
            kill.broken
                .push(format!("number {number} follows, not {expected}"));
        }
    }

    /// Whether the survivor takes over by itself, by its own word.
    fn takes_over(&mut self, survivor: Seat) -> Result<bool, Error> {
        let stop = self.stop.clone();
        let operations = self.rig.files().adapters[survivor.index()].operations;
        until("the survivor knows what to do", LIMIT, &stop, || {
            let standing = Standing::of(operations).unwrap_or_default();
            Ok(match standing.state.as_str() {
                "taking-over" | "active" => Seen::Met(true),
                "unpaired" => Seen::Met(false),
                state => Seen::NotYet(state.to_owned()),
            })
        })
    }

    fn until_active(&mut self, survivor: Seat) -> Result<(), Error> {
        let (stop, before) = (self.stop.clone(), self.generation);
        until("the survivor is active", LIMIT, &stop, || {
            // A stream-admin that takes its time is asked again.
            let state = match (self.rig.feed(), self.rig.active_seat()) {
                (Ok(feed), Ok(seat)) if feed.pair.generation.0 > before && seat == survivor => {
                    return Ok(Seen::Met(()));
                }
                (Ok(feed), _) => format!("{:?}", feed.pair),
                (Err(error), _) => error.to_string(),
            };
            Ok(Seen::NotYet(state))
        })
    }

    /// Another session than the last, in which both adapters are complete and in step, and which both subscribers take from
    /// both. A subscriber may be behind.
    pub(super) fn until_whole(&mut self) -> Result<(), Error> {
        let stop = self.stop.clone();
        let operations = self.rig.files().adapters.map(|at| at.operations);
        let mut whole = None;
        self.session = until("the pair is whole", LIMIT, &stop, || {
            let opened = self.rig.exchange().standing()?.opened;
            let ends = operations.map(|at| Standing::of(at).unwrap_or_default());
            let [active, backup] = match self.active {
                Seat::Active => [&ends[0], &ends[1]],
                Seat::Backup => [&ends[1], &ends[0]],
            };
            let paired = active.protected && backup.state == "synchronised";
            let same = active.good && backup.good && active.epoch == backup.epoch;
            if opened > self.session && paired && same {
                whole.get_or_insert_with(|| active.epoch.clone());
            }
            let heard = [self.rig.probe().status()?, self.second.status()?];
            let hears = heard.iter().all(|status| {
                let mut epochs = status.ended.iter().chain(&status.epoch);
                let there = epochs.any(|epoch| Some(epoch.to_string()) == whole);
                there && status.legs.iter().all(|leg| leg == "live")
            });
            Ok(match paired && hears {
                true => Seen::Met(opened),
                false => Seen::NotYet(format!("session {opened}: {ends:?} {heard:?}")),
            })
        })?;
        Ok(())
    }

    /// Waits until the exchange begins a burst.
    fn until_burst(&mut self) -> Result<(), Error> {
        let stop = self.stop.clone();
        until("a burst begins", LIMIT, &stop, || {
            let soon = clock::monotonic_ns() + LEAD_NS;
            Ok(match self.is_burst(soon)? {
                true => Seen::Met(()),
                false => Seen::NotYet(String::new()),
            })
        })
    }

    fn is_burst(&mut self, at_ns: u64) -> Result<bool, Error> {
        let opened_ns = self.rig.exchange().standing()?.opened_at_ns;
        let Some(burst) = self.rig.run().burst else {
            return Ok(false);
        };
        let since = Duration::from_nanos(at_ns.saturating_sub(opened_ns)).as_nanos();
        Ok(since % burst.period.as_nanos() < burst.length.as_nanos())
    }
}

fn text(kill: &Kill, what: &str) -> String {
    format!("{}-{}-{what}", kill.number, kill.case.plan)
}

/// Most attempts at one death.
const ATTEMPTS: usize = 40;
/// How long one look at an order waits for what becomes of it.
const LOOK: Duration = Duration::from_millis(10);
/// How long an order takes to its adapter at least.
const LEAD_NS: u64 = 5_000_000;
