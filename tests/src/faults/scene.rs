//! A pair at work on hosts of its own, with three subscribers: what faults are done to.

use std::collections::BTreeMap;
use std::time::Duration;

use twinfeed_control::{Policy, StopFlag};
use twinfeed_harness::files::Files;
use twinfeed_harness::judge::{Verdict, judge};
use twinfeed_harness::probe::Probe;
use twinfeed_harness::probe::wire::{MOST_EVENTS, Status, Summary};
use twinfeed_harness::process::{Seen, until};
use twinfeed_harness::run::Run;
use twinfeed_harness::{Error, Rig, Seat};
use twinfeed_net::clock;

use super::cells::{Owed, Stage};
use super::{Evidence, MEANWHILE, Setting};
use crate::lab::{Lab, SUBSCRIBERS, Volume};
use crate::small_run;
use twinfeed_harness::adapter;

/// Longest wait for anything; reached only by what fails.
pub const LIMIT: Duration = Duration::from_secs(30);
/// How many messages every subscriber must get before a pair counts as whole.
const PROGRESS: u64 = 200;

/// Everything that a fault can be done to.
#[derive(Debug)]
pub struct Scene {
    /// The processes, and the first subscriber.
    pub rig: Rig,
    /// The second and the third subscriber.
    pub others: [Probe; SUBSCRIBERS - 1],
    /// The file system of all state, if it is a small one.
    pub volume: Option<Volume>,
    /// Their hosts.
    pub lab: Lab,
    /// Ends every wait.
    pub stop: StopFlag,
    /// Adapter by adapter, by its process: administrative messages that it placed without its peer's word, or had agreed to and
    /// dropped when the step was lost. Whoever is past the place of one is told so.
    pub placed_alone: BTreeMap<u32, u64>,
}

/// What came out of a run.
#[derive(Debug, Default)]
pub struct End {
    /// Source messages sent.
    pub messages: u64,
    /// Subscriber by subscriber: records dropped as delivered before.
    pub duplicates_dropped: [u64; SUBSCRIBERS],
    /// Source messages that the third subscriber did not get and was told of.
    pub declared: u64,
    /// Records that subscriber was given by an adapter that retains them.
    pub filled: u64,
    /// Switches of all three.
    pub switches: u64,
    /// Administrative messages that were placed by one adapter alone.
    pub placed_alone: u64,
    /// How often the three were told of one that they had passed.
    pub told_of_them: u64,
    /// What was promised and not kept.
    pub broken: Vec<String>,
}

impl Scene {
    /// Everything up, protected and at work.
    ///
    /// # Errors
    /// When anything does not come up.
    pub fn start(setting: &Setting<'_>, name: &str, stage: Stage) -> Result<Self, Error> {
        Self::start_with(setting, name, stage, run())
    }

    /// The same with another run.
    ///
    /// # Errors
    /// When anything does not come up.
    pub fn start_with(
        setting: &Setting<'_>,
        name: &str,
        stage: Stage,
        run: Run,
    ) -> Result<Self, Error> {
        let directory = setting.directory.join(name);
        let state = directory.join("state");
        std::fs::create_dir_all(&state).map_err(|source| Error::File {
            action: "make",
            path: state.clone(),
            source,
        })?;
        let lab = Lab::build(setting.cage, &directory, stage.streams)?;
        let small = stage.state_mebibytes;
        let volume = small.map(|size| Volume::mount(&state, size)).transpose()?;
        let (program, stop) = (setting.program, &setting.stop);
        let rig = Rig::start_on(program, &run, stop, &directory, lab.hosts())?;
        let second = Run {
            policy: Policy::PreferActive,
            ..run.clone()
        };
        let third = Run {
            receive_buffer: stage.third_buffer.or(run.receive_buffer),
            ..run
        };
        let others = [
            rig.another_probe_of(&second, "probe-2", lab.subscribers[1].host())?,
            rig.another_probe_of(&third, "probe-3", lab.subscribers[2].host())?,
        ];
        let mut scene = Self {
            rig,
            others,
            volume,
            lab,
            stop: stop.clone(),
            placed_alone: BTreeMap::new(),
        };
        scene.until_heard()?;
        scene.rig.open()?;
        scene.until_whole()?;
        Ok(scene)
    }

    /// Waits until every subscriber hears both legs: from then on it is owed everything.
    fn until_heard(&mut self) -> Result<(), Error> {
        let stop = self.stop.clone();
        until("every subscriber hears both legs", LIMIT, &stop, || {
            let statuses = self.statuses()?;
            let live = |status: &Status| status.legs.iter().all(|leg| leg == "live");
            let hears = |status: &Status| status.heard == [true; 2] && live(status);
            Ok(match statuses.iter().all(hears) {
                true => Seen::Met(()),
                false => Seen::NotYet(format!("{statuses:?}")),
            })
        })
    }

    /// How all subscribers stand.
    ///
    /// # Errors
    /// When one is gone.
    pub fn statuses(&mut self) -> Result<[Status; SUBSCRIBERS], Error> {
        let [second, third] = &mut self.others;
        Ok([
            self.rig.probe().status()?,
            second.status()?,
            third.status()?,
        ])
    }

    /// The third subscriber, the one that is hurt.
    pub fn third(&mut self) -> &mut Probe {
        &mut self.others[1]
    }

    /// Who is active.
    ///
    /// # Errors
    /// When stream-admin cannot be reached.
    pub fn active(&self) -> Result<Seat, Error> {
        self.rig.active_seat()
    }

    /// Notes what each of the adapters that run placed, or did not place, without the other.
    ///
    /// # Errors
    /// When an adapter cannot be started or seen.
    pub fn note_placed_alone(&mut self) -> Result<(), Error> {
        for (seat, at) in Seat::BOTH.into_iter().zip(self.rig.files().adapters) {
            let standing = adapter::Standing::of(at.operations).unwrap_or_default();
            let known = self.placed_alone.entry(self.rig.adapter(seat)?.id());
            let known = known.or_default();
            let apart = standing.counter("placed_alone") + standing.counter("dropped");
            *known = apart.max(*known);
        }
        Ok(())
    }

    /// Waits until the pair is in step by its own word and protected by stream-admin's, and until every subscriber hears
    /// both legs and gets more.
    ///
    /// # Errors
    /// [`Error::TimedOut`] with who is not, or the end of a process that should run.
    pub fn until_whole(&mut self) -> Result<(), Error> {
        let stop = self.stop.clone();
        let operations = self.rig.files().adapters.map(|at| at.operations);
        let before = self.statuses()?.map(|status| status.messages);
        let whole = until("everything is whole", LIMIT, &stop, || {
            for seat in Seat::BOTH {
                self.rig.adapter(seat)?.expect_running()?;
            }
            self.rig.exchange().standing()?;
            if let Err(state) = adapter::in_step(operations) {
                return Ok(Seen::NotYet(state));
            }
            // A stream-admin that takes its time is asked again.
            match self.rig.feed() {
                Ok(feed) if feed.pair.protected => {}
                Ok(feed) => {
                    return Ok(Seen::NotYet(format!("not protected: {}", feed.pair.reason)));
                }
                Err(error) => return Ok(Seen::NotYet(error.to_string())),
            }
            let statuses = self.statuses()?;
            let hears = |(status, before): (&Status, u64)| {
                let live = status.legs.iter().all(|leg| leg == "live");
                let granted = status.administration.starts_with("granted");
                live && granted && status.messages >= before + PROGRESS
            };
            Ok(match statuses.iter().zip(before).all(hears) {
                true => Seen::Met(()),
                false => Seen::NotYet(format!("{statuses:?}")),
            })
        });
        whole.and_then(|()| self.note_placed_alone())
    }

    /// Lets the run go on for so long: what is done lasts, and the exchange's clock is the host's.
    ///
    /// # Errors
    /// [`Error::Interrupted`], or the end of the exchange.
    pub fn go_on(&mut self, span: Duration) -> Result<(), Error> {
        let until_ns = clock::monotonic_ns() + span.as_nanos() as u64;
        let stop = self.stop.clone();
        until("time goes on", span + LIMIT, &stop, || {
            self.rig.exchange().standing()?;
            Ok(match clock::monotonic_ns() >= until_ns {
                true => Seen::Met(()),
                false => Seen::NotYet(String::new()),
            })
        })
    }

    /// Lets the run go on for so long; what every subscriber got meanwhile must be more than nothing, or the fault was felt.
    ///
    /// # Errors
    /// As [`Scene::go_on`].
    pub fn flows(&mut self, span: Duration, who: usize) -> Result<Evidence, Error> {
        let before = self.statuses()?;
        self.go_on(span)?;
        let after = self.statuses()?;
        let got = after.iter().zip(&before).take(who);
        let least = got
            .map(|(after, before)| after.messages - before.messages)
            .min();
        Ok(Evidence::of(MEANWHILE, least.unwrap_or(0)))
    }

    /// Ends the run and judges it.
    ///
    /// # Errors
    /// When a process does not end in order, or what was sent cannot be read.
    pub fn finish(mut self, owed: Owed) -> Result<End, Error> {
        self.note_placed_alone()?;
        let (_, first, sent) = self.rig.end()?;
        let last = sent.last().map(|session| session.epoch);
        let stop = self.stop.clone();
        let ended = until("all subscribers came to the end", LIMIT, &stop, || {
            let statuses = self.statuses()?;
            let there = |it: &Status| last.is_none_or(|last| it.ended.contains(&last));
            Ok(match statuses.iter().all(there) {
                true => Seen::Met(()),
                false => Seen::NotYet(format!("{statuses:?}")),
            })
        });
        match ended {
            // What is missing then is lost, and the judge says so.
            Ok(()) | Err(Error::TimedOut { .. }) => {}
            Err(error) => return Err(error),
        }
        let seen = [first, self.others[0].summary()?, self.others[1].summary()?];
        let conversion = Files::conversion(self.rig.run())?;
        let mut end = End {
            placed_alone: self.placed_alone.values().sum(),
            ..End::default()
        };
        for (index, seen) in seen.iter().enumerate() {
            let text = serde_json::to_vec(seen).unwrap_or_default();
            // For whoever keeps the run's files; that it cannot be written is shown by its absence.
            let name = format!("seen-{}.json", index + 1);
            let _ = std::fs::write(self.rig.files().path(&name), text);
            let verdict = judge(&sent, &conversion, seen)?;
            let gaps = owed == Owed::ToldOfGaps && index + 1 == SUBSCRIBERS;
            end.take(index, seen, &verdict, gaps);
            // Events beyond that number were not wanted.
            let dropped = match self.rig.run().events < MOST_EVENTS {
                true => seen.administrative_dropped,
                false => seen.administrative_dropped + seen.events_dropped,
            };
            if dropped > 0 {
                let who = index + 1;
                end.broken.push(format!(
                    "subscriber {who}: more happened than is remembered"
                ));
            }
        }
        let [second, third] = self.others;
        second.stop()?;
        third.stop()?;
        self.rig.leave()?;
        drop(self.volume);
        Ok(end)
    }
}

impl End {
    fn take(&mut self, index: usize, seen: &Summary, verdict: &Verdict, may_have_gaps: bool) {
        let who = index + 1;
        self.messages = verdict.messages;
        self.switches += verdict.switches;
        self.duplicates_dropped[index] = verdict.duplicates_dropped;
        let overload = verdict.overload() && !may_have_gaps;
        // Whoever was past the place of a message that nobody agreed to is told so: by a discontinuity behind which it comes, or, in the next
        // epoch, where it has no place any more, by what is declared missing.
        let told = seen.breaks.iter().filter(|it| it.cause == "administrative");
        let told = (told.count() as u64).min(self.placed_alone);
        let missed = verdict.administrative_gaps.min(self.placed_alone - told);
        self.told_of_them += told + missed;
        let verdict = &Verdict {
            breaks: verdict.breaks.saturating_sub(told),
            administrative_gaps: verdict.administrative_gaps - missed,
            ..verdict.clone()
        };
        let judged = match may_have_gaps {
            // What no gap names is in `undeclared` all the same. Who was away at an end is told by the reset behind it;
            // the end of the last session was waited for.
            true => Verdict {
                lost: 0,
                missing_ends: 0,
                ..verdict.clone()
            },
            false => verdict.clone(),
        };
        if may_have_gaps {
            self.declared += verdict.declared;
            self.filled += seen.filled.iter().sum::<u64>();
        }
        let broken = judged.broken();
        self.broken
            .extend(broken.iter().map(|it| format!("subscriber {who}: {it}")));
        if !broken.is_empty() {
            let (gaps, breaks) = (&seen.gaps, &seen.breaks);
            self.broken
                .push(format!("subscriber {who}: {gaps:?} {breaks:?}"));
        }
        if overload {
            self.broken.push(format!(
                "subscriber {who}: the host could not keep up, nothing is proved"
            ));
        }
    }
}

/// A run that a debug build on two busy cores can bear, with sessions long enough for a fault.
#[must_use]
pub(super) fn run() -> Run {
    Run {
        session: Duration::from_secs(5),
        log: 1 << 12,
        ..small_run()
    }
}
