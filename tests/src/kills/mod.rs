//! Is every administrative message seen once and at one place, wherever on its way the active dies?
//!
//! ```text
//!  session:   1                     2                     3
//!             protected             protected             protected
//!             order X ─► ✝ at its   order X ─► ✝ at its
//!             place; the other      place; the other
//!             takes over            takes over
//!             plain message         plain message
//!             ✝ restarted           ✝ restarted
//! ```
//!
//! Real processes: an exchange, stream-admin, two adapters, two subscribers. Both adapters are told to kill themselves
//! at one place of the second message that they originate as active ([`Case`]); the first is plain, and shows under
//! which number and generation the survivor counts on. A restarted adapter is complete again from the next session
//! on, so one run serves one kill per session. That a process died where it should is read from its own last words.

pub mod case;
mod judge;
pub mod operator;
mod table;
mod turn;

use std::path::PathBuf;
use std::time::Duration;

use twinfeed_control::{Policy, StopFlag};
use twinfeed_harness::files::Files;
use twinfeed_harness::judge::{Verdict, judge};
use twinfeed_harness::probe::Probe;
use twinfeed_harness::process::{Program, Seen, until};
use twinfeed_harness::run::{Burst, Content, Run};
use twinfeed_harness::{Error, Rig, Seat};

pub use case::{CASES, Case, Survivor};
use operator::Operator;
pub use table::{HEAD, Row};
pub use turn::Kill;

/// Longest wait for anything; reached only by what fails.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A pair at work, and what happened to it.
pub(crate) struct Scene<'a> {
    rig: Rig,
    second: Probe,
    operator: Operator,
    stop: StopFlag,
    /// Of what the active dies, turn by turn.
    deaths: &'a [Case],
    active: Seat,
    /// Sessions opened when the pair was last whole.
    session: u64,
    /// Number of the next administrative message, as its places say.
    next: u64,
    generation: u32,
}

/// Where runs take place.
#[derive(Debug)]
pub struct Setting<'a> {
    /// What every process is started from.
    pub program: &'a Program,
    /// Where the run's files stay; `None`: nowhere.
    pub directory: Option<PathBuf>,
    /// Ends every wait.
    pub stop: StopFlag,
}

impl Setting<'_> {
    pub(crate) fn start(&self, run: &Run) -> Result<Rig, Error> {
        match &self.directory {
            None => Rig::start(self.program, run, &self.stop),
            Some(directory) => Rig::start_in(self.program, run, &self.stop, directory),
        }
    }
}

/// What came out of one run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Case by case.
    pub rows: Vec<Row>,
    /// What was promised of the data and not kept.
    pub broken: Vec<String>,
}

impl Outcome {
    /// Everything that was promised and not kept.
    pub fn broken(&self) -> impl Iterator<Item = &String> {
        let rows = self.rows.iter().flat_map(|row| &row.broken);
        rows.chain(&self.broken)
    }
}

/// Lets the active die of one case after the other, and judges what both subscribers saw. `tell` hears of every kill.
///
/// # Errors
/// When the run does not come about; that a promise broke, or that it could not be seen through, stands in the outcome.
pub fn run(
    setting: &Setting<'_>,
    policy: Policy,
    deaths: &[Case],
    tell: &mut dyn FnMut(&Kill),
) -> Result<Outcome, Error> {
    let mut scene = Scene::start(setting, deaths, policy)?;
    let mut kills = Vec::with_capacity(deaths.len());
    let mut unfinished = None;
    for number in 0..deaths.len() {
        match scene.turn(number) {
            Ok(kill) => {
                tell(&kill);
                kills.push(kill);
            }
            Err(error) => {
                unfinished = Some(format!("kill {number}: {error}"));
                break;
            }
        }
    }
    let mut outcome = scene.finish(policy, &kills)?;
    outcome.broken.extend(unfinished);
    Ok(outcome)
}

impl<'a> Scene<'a> {
    fn start(setting: &Setting<'_>, deaths: &'a [Case], policy: Policy) -> Result<Self, Error> {
        let stop = &setting.stop;
        let run = Run {
            policy,
            environment: [environment(deaths, 0), environment(deaths, 1)],
            ..bursty_run()
        };
        let mut rig = setting.start(&run)?;
        let mut second = rig.another_probe("probe-2")?;
        until_heard(&mut second, stop)?;
        rig.open()?;
        let mut scene = Self {
            operator: Operator::of(&rig)?,
            rig,
            second,
            stop: stop.clone(),
            deaths,
            active: Seat::Active,
            session: 0,
            next: 0,
            generation: 0,
        };
        scene.until_whole()?;
        scene.generation = scene.rig.feed()?.pair.generation.0;
        Ok(scene)
    }

    /// Ends the run and judges it.
    fn finish(mut self, policy: Policy, kills: &[Kill]) -> Result<Outcome, Error> {
        let (_, seen, sent) = self.rig.end()?;
        let last = sent.last().map(|session| session.epoch);
        let second = &mut self.second;
        let ended = until("the second subscriber's end", LIMIT, &self.stop, || {
            let status = second.status()?;
            Ok(match last.is_none_or(|last| status.ended.contains(&last)) {
                true => Seen::Met(()),
                false => Seen::NotYet(format!("{:?}", status.ended)),
            })
        });
        match ended {
            // What is missing then is lost, and the judge says so.
            Ok(()) | Err(Error::TimedOut { .. }) => {}
            Err(error) => return Err(error),
        }
        let seen = [seen, self.second.summary()?];
        for (name, seen) in ["seen-first.json", "seen-second.json"]
            .into_iter()
            .zip(&seen)
        {
            // For whoever keeps the run's files; that it cannot be written is shown by its absence.
            let text = serde_json::to_vec(seen).unwrap_or_default();
            let _ = std::fs::write(self.rig.files().path(name), text);
        }
        let conversion = Files::conversion(self.rig.run())?;
        let mut broken = Vec::new();
        for (name, seen) in ["first", "second"].into_iter().zip(&seen) {
            let verdict = Verdict {
                // Judged with the messages.
                breaks: 0,
                administrative_gaps: 0,
                ..judge(&sent, &conversion, seen)?
            };
            let data = verdict.broken().into_iter();
            broken.extend(data.map(|it| format!("{name} subscriber: {it}")));
            if verdict.overload() {
                broken.push(format!(
                    "{name} subscriber: the host could not keep up, nothing is proved"
                ));
            }
            if seen.events_dropped + seen.administrative_dropped > 0 {
                broken.push(format!(
                    "{name} subscriber: more happened than is remembered"
                ));
            }
        }
        let rows = judge::rows(policy, kills, &seen);
        self.second.stop()?;
        self.rig.leave()?;
        Ok(Outcome { rows, broken })
    }
}

/// Waits until a subscriber hears both legs.
pub(crate) fn until_heard(probe: &mut Probe, stop: &StopFlag) -> Result<(), Error> {
    until("the second subscriber hears both legs", LIMIT, stop, || {
        let status = probe.status()?;
        Ok(match status.heard {
            [true, true] => Seen::Met(()),
            _ => Seen::NotYet(format!("{status:?}")),
        })
    })
}

/// What an adapter is told that is to die in this turn: the first message that it originates is plain, the second is the
/// one it dies of.
fn environment(deaths: &[Case], turn: usize) -> Vec<(String, String)> {
    let death = deaths.get(turn);
    death
        .map(|case| (VARIABLE.to_owned(), format!("{},from=2", case.plan)))
        .into_iter()
        .collect()
}

/// A run that a debug build on two busy cores can bear, with bursts long enough to order something within one.
#[must_use]
pub fn bursty_run() -> Run {
    Run {
        content: Content::Flow { instruments: 50 },
        rate: 1_500,
        burst: Some(Burst {
            factor: 2,
            period: Duration::from_millis(750),
            length: Duration::from_millis(240),
        }),
        session: Duration::from_millis(2_500),
        // The host may take a process off its core for long; only real deaths are to count here.
        missed_heartbeats: Some(500),
        lag: Some(Duration::from_millis(500)),
        log: 1 << 12,
        ..Run::default()
    }
}

/// What the adapters read.
const VARIABLE: &str = "TWINFEED_TEST_KILL";
