//! How do scenarios follow each other?
//!
//! ```text
//!  per scenario: compose ─► handler up and ready, the session announced ─► play ─► until nothing is owed,
//!                or the limit ─► linger, for what should not come ─► verdict
//! ```
//!
//! By default every scenario has a handler of its own, so that nothing follows from the one before. A handler that runs
//! already, or is started once, lives through all of them; each one then begins with another session.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::RecvTimeoutError;
use twinfeed_control::StopFlag;

use super::drops;
use super::handler::{Ears, Foreign, Listen, Ours, Under, fill};
use super::judge::{Claims, Judge, Level, Verdict};
use super::keep;
use super::ours;
use super::player::{Lines, Played, Player};
use super::report::{Outcome, Report};
use super::said::{NoRecord, Said, parse};
use super::scenario::{ALL, Scenario, called};
use super::score::{Score, Script, SessionNames, Settings};
use super::truth::Fate;
use crate::demo::Narrator;
use crate::error::Error;

/// How long a handler may take to become ready.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// How long a handler that runs already is shown the first session before the first scenario.
const SHOWN: Duration = Duration::from_secs(1);
/// How long the judge listens on when nothing is owed any more, for what should not come.
const LINGER: Duration = Duration::from_millis(100);
/// How often the judge looks whether it is over while no line comes.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often the audience is told how things stand.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// What is certified, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The handler.
    pub under: Under,
    /// Where the lines go; our own handler has its own.
    pub lines: Lines,
    /// Decides what is sent.
    pub settings: Settings,
    /// Begins the names of sessions: one letter.
    pub prefix: String,
    /// Scenarios to play; empty: all.
    pub only: Vec<String>,
    /// Start the handler once, not for every scenario.
    pub once: bool,
    /// What the handler claims to tell.
    pub claims: Claims,
    /// Begin so long after the start, for a handler that does not say `ready`; `None`: it says so.
    pub warm_up: Option<Duration>,
    /// How long behind the last packet what is owed may come.
    pub limit: Duration,
    /// Where everything sent and said is left behind; `None`: nowhere.
    pub keep: Option<PathBuf>,
}

/// Plays the scenarios and judges the handler.
///
/// # Errors
/// When a scenario's name is unknown, or the handler cannot be started or does not become ready; what it does wrong is in
/// the report.
pub fn certify(plan: &Plan, stop: &StopFlag, narrator: &mut dyn Narrator) -> Result<Report, Error> {
    let chosen = chosen(&plan.only)?;
    let temporary = tempfile::Builder::new().prefix("twinfeed-").tempdir();
    let temporary = temporary.map_err(Error::file("make", std::env::temp_dir()))?;
    let root = plan.keep.as_deref().unwrap_or(temporary.path());
    let scripts: Vec<_> = chosen
        .iter()
        .map(|&at| Arc::new(composed(plan, at)))
        .collect();
    let names = scripts.iter().flat_map(|script| &script.truth.lives);
    let sessions: Vec<String> = names.map(|life| life.name.clone()).collect();
    let mut stage = Stage {
        plan,
        stop,
        root,
        sessions,
        life: None,
        over: BTreeSet::new(),
    };
    let mut report = Report::new(plan.under.name(), &plan.settings);
    for (turn, (&place, script)) in chosen.iter().zip(&scripts).enumerate() {
        let scenario = &ALL[place];
        let title = format!("{} of {}, {}", turn + 1, chosen.len(), scenario.name);
        let outcome = stage.play(scenario, script, &title, narrator)?;
        let remarks = outcome.remarks();
        if !remarks.is_empty() {
            narrator.say(remarks.trim_end());
        }
        report.scenarios.push(outcome);
    }
    Ok(report)
}

/// Places in the table, in its order.
fn chosen(only: &[String]) -> Result<Vec<usize>, Error> {
    let unknown = |name: &&String| called(name).is_none();
    if let Some(name) = only.iter().find(unknown) {
        let known: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
        return Err(Error::Run {
            key: "only",
            fault: format!(
                "no scenario is called {name:?}; there are {}",
                known.join(", ")
            ),
        });
    }
    let wanted = |place: &usize| only.is_empty() || only.iter().any(|it| it == ALL[*place].name);
    Ok((0..ALL.len()).filter(wanted).collect())
}

/// What scenario number `place` sends under a plan.
#[must_use]
pub fn composed(plan: &Plan, place: usize) -> Script {
    let scenario = &ALL[place];
    let names = SessionNames::new(&plan.prefix, plan.settings.seed, place as u64 + 1);
    let mut score = Score::starting_at(plan.settings, names, scenario.first);
    (scenario.compose)(&mut score);
    score.finish()
}

/// A handler that runs, and the two ends of the path through it.
#[derive(Debug)]
struct Life {
    // In the order in which they go.
    body: Body,
    ears: Ears,
    player: Player,
    ports: Vec<u16>,
}

#[derive(Debug)]
enum Body {
    Ours(Box<ours::Handler>),
    Foreign(Foreign),
    Running,
}

impl Body {
    fn ended(&mut self) -> Option<String> {
        match self {
            Self::Ours(handler) => handler.ended(),
            Self::Foreign(handler) => handler.ended(),
            Self::Running => None,
        }
    }

    fn translate(&mut self, line: &str) -> Result<Option<Said>, NoRecord> {
        match self {
            Self::Ours(handler) => handler.shim.translate(line).map_err(|fault| NoRecord {
                line: line.to_owned(),
                fault,
            }),
            Self::Foreign(_) | Self::Running => parse(line),
        }
    }
}

struct Stage<'p> {
    plan: &'p Plan,
    stop: &'p StopFlag,
    root: &'p Path,
    /// All that will be played.
    sessions: Vec<String>,
    life: Option<Life>,
    /// Sessions of scenarios that this life has behind it.
    over: BTreeSet<String>,
}

impl Stage<'_> {
    fn play(
        &mut self,
        scenario: &Scenario,
        script: &Arc<Script>,
        title: &str,
        narrator: &mut dyn Narrator,
    ) -> Result<Outcome, Error> {
        let directory = self.root.join(scenario.name);
        fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
        if self.plan.keep.is_some() {
            keep::script(&directory, script)?;
        }
        let running = matches!(self.plan.under, Under::Running { .. });
        if running && scenario.joins_late {
            let reason = "the handler runs already".to_owned();
            return Ok(outcome(scenario, script, not_applicable(reason)));
        }
        let mut judge = Judge::new(&script.truth, self.plan.claims);
        let mut heard = Vec::new();
        let kept = self
            .life
            .take()
            .filter(|_| (self.plan.once || running) && !scenario.joins_late);
        let mut life = match kept {
            Some(life) => {
                life.player.idle(&script.announce);
                life
            }
            None => {
                narrator.live(&format!("{title}: starting the handler"));
                self.over.clear();
                self.start(scenario, script, &directory, &mut judge, &mut heard)?
            }
        };
        let drops = drops::at(&life.ports);
        life.player.play(script);
        let owed = script.truth.count(Fate::Owed);
        let told = |judge: &Judge<'_>| {
            let line = format!("{title}: {} of {owed} delivered", judge.counts().messages);
            narrator.live(&line);
        };
        let played = self.listen(&mut life, &mut judge, &mut heard, told)?;
        let counts = judge.counts();
        if self.plan.keep.is_some() {
            keep::output(&directory, &heard)?;
        }
        let outcome = Outcome {
            said: counts,
            packets: played.packets,
            sender_late_us: played.latest.as_micros() as u64,
            kernel_drops: drops::at(&life.ports).saturating_sub(drops),
            ..outcome(scenario, script, judge.finish())
        };
        if life.body.ended().is_none() {
            let names = script.truth.lives.iter().map(|life| life.name.clone());
            self.over.extend(names);
            self.life = Some(life);
        }
        Ok(outcome)
    }

    /// Starts a handler and waits until it is ready; the player announces the session meanwhile.
    fn start(
        &self,
        scenario: &Scenario,
        script: &Arc<Script>,
        directory: &Path,
        judge: &mut Judge<'_>,
        heard: &mut Vec<String>,
    ) -> Result<Life, Error> {
        let plan = self.plan;
        let begin = |lines: &Lines| {
            let player = Player::start(lines)?;
            if scenario.joins_late {
                player.prelude(script);
            }
            player.idle(&script.announce);
            Ok::<_, Error>(player)
        };
        let (player, body, ears, lines) = match &plan.under {
            Under::Ours(Ours(program)) => {
                let directory = directory.join("ours");
                fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
                let prepared = ours::Prepared::new(&directory, &plan.settings)?;
                let lines = prepared.lines();
                let player = begin(&lines)?;
                let (handler, ears) = prepared.start(program, &self.sessions)?;
                (player, Body::Ours(Box::new(handler)), ears, lines)
            }
            Under::Command { command, output } => {
                let session = &script.truth.lives[0].name;
                let fill = |argument: &String| {
                    fill(
                        argument,
                        &plan.lines,
                        session,
                        scenario.name,
                        &output.to_string(),
                    )
                };
                let command: Vec<String> = command.iter().map(fill).collect();
                let elsewhere = match output {
                    Listen::Stdout => None,
                    elsewhere => Some(Ears::open(elsewhere)?),
                };
                let player = begin(&plan.lines)?;
                let (handler, stdout) = Foreign::start(&command, directory, elsewhere.is_none())?;
                let ears = match (elsewhere, stdout) {
                    (Some(ears), _) => ears,
                    (None, Some(stdout)) => Ears::stdout(stdout)?,
                    (None, None) => Ears::open(output)?,
                };
                (player, Body::Foreign(handler), ears, plan.lines.clone())
            }
            Under::Running { output } => {
                let ears = Ears::open(output)?;
                (begin(&plan.lines)?, Body::Running, ears, plan.lines.clone())
            }
        };
        let addresses = lines.a.iter().chain(&lines.b);
        let mut life = Life {
            body,
            ears,
            player,
            ports: addresses.map(std::net::SocketAddr::port).collect(),
        };
        self.until_ready(&mut life, judge, heard)?;
        Ok(life)
    }

    fn until_ready(
        &self,
        life: &mut Life,
        judge: &mut Judge<'_>,
        heard: &mut Vec<String>,
    ) -> Result<(), Error> {
        let start = Instant::now();
        let fixed = match (&life.body, self.plan.warm_up) {
            (Body::Ours(_), _) => None,
            (Body::Running, span) => Some(span.unwrap_or(SHOWN)),
            (Body::Foreign(_), span) => span,
        };
        loop {
            let mut ready = false;
            match life.ears.lines().recv_timeout(LOOK_EVERY) {
                Ok(line) => ready = self.hear(&mut life.body, line, judge, heard),
                Err(RecvTimeoutError::Timeout) => {
                    if let Body::Ours(handler) = &life.body {
                        ready = handler.is_ready();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK_EVERY),
            }
            if ready || fixed.is_some_and(|span| start.elapsed() >= span) {
                return Ok(());
            }
            if self.stop.is_stopped() {
                return Err(Error::Interrupted);
            }
            if let Some(how) = life.body.ended() {
                return Err(Error::Run {
                    key: "handler",
                    fault: format!("before it was ready, {how}"),
                });
            }
            if start.elapsed() >= READY_LIMIT {
                return Err(Error::TimedOut {
                    what: "the handler is ready".to_owned(),
                    waited: READY_LIMIT,
                    state: format!(
                        "it said {} lines; one that does not say `ready` needs --warm-up",
                        heard.len()
                    ),
                });
            }
        }
    }

    /// Hears the handler until nothing is owed any more, or the limit is over.
    fn listen(
        &self,
        life: &mut Life,
        judge: &mut Judge<'_>,
        heard: &mut Vec<String>,
        mut told: impl FnMut(&Judge<'_>),
    ) -> Result<Played, Error> {
        let mut played: Option<(Played, Instant)> = None;
        let mut satisfied: Option<Instant> = None;
        let mut next_told = Instant::now();
        loop {
            let line = life.ears.lines().recv_timeout(LOOK_EVERY);
            let now = Instant::now();
            if played.is_none() {
                played = life.player.played().map(|played| (played, now));
            }
            if now >= next_told {
                told(judge);
                next_told = now + TELL_EVERY;
                if self.stop.is_stopped() {
                    return Err(Error::Interrupted);
                }
            }
            let silent = match line {
                Ok(line) => {
                    self.hear(&mut life.body, line, judge, heard);
                    false
                }
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => {
                    if let Some(how) = life.body.ended() {
                        judge.handler_ended(&how);
                        return Ok(played.map_or(Played::default(), |played| played.0));
                    }
                    std::thread::sleep(LOOK_EVERY);
                    true
                }
            };
            let Some((done, at)) = played else {
                continue;
            };
            // While lines wait there is no need to look; a handler that never falls silent is cut short all the same.
            if silent && satisfied.is_none() && judge.is_satisfied() {
                satisfied = Some(now);
            }
            let over = match satisfied {
                Some(since) => silent && now - since >= LINGER,
                None => false,
            };
            if over || now - at >= self.plan.limit {
                return Ok(done);
            }
        }
    }

    /// Takes a line in; true if it says that the handler is ready.
    fn hear(
        &self,
        body: &mut Body,
        line: String,
        judge: &mut Judge<'_>,
        heard: &mut Vec<String>,
    ) -> bool {
        let said = body.translate(&line);
        heard.push(line);
        let number = heard.len() as u64;
        match said {
            Ok(Some(Said::Ready {})) => return true,
            // What ends of the scenario before is heard there no more; its messages are out of place anywhere.
            Ok(Some(said)) if self.is_over(&said) => {}
            Ok(Some(said)) => judge.hear(number, &said),
            Ok(None) => {}
            Err(nonsense) => judge.hear_nonsense(number, &nonsense),
        }
        false
    }

    fn is_over(&self, said: &Said) -> bool {
        match said {
            Said::Ready {} | Said::Message { .. } => false,
            Said::Gap { session, .. }
            | Said::Reset { session, .. }
            | Said::End { session, .. }
            | Said::Stale { session }
            | Said::Live { session } => self.over.contains(session),
        }
    }
}

fn not_applicable(reason: String) -> Verdict {
    Verdict {
        delivery: Level::NotApplicable {
            reason: reason.clone(),
        },
        honesty: Level::NotApplicable { reason },
    }
}

fn outcome(scenario: &Scenario, script: &Script, verdict: Verdict) -> Outcome {
    let truth = &script.truth;
    Outcome {
        scenario: scenario.name.to_owned(),
        about: scenario.about.to_owned(),
        matrix: scenario.matrix.to_owned(),
        verdict,
        owed: truth.count(Fate::Owed),
        lost: truth.count(Fate::Lost) + truth.count(Fate::Broken),
        packets: 0,
        said: Default::default(),
        sender_late_us: 0,
        kernel_drops: 0,
    }
}
