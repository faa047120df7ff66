//! Who plays, and what came of it so far?
//!
//! A *part* is a setting of the product or a peer. Alone it plays from its first session to its last on one stage; where several take turns, each plays some sessions on
//! a stage that is set up and taken down again, so that no drift of the host falls on one of them.

use std::fmt;
use std::time::Duration;

use indicatif::ProgressBar;
use twinfeed_control::StopFlag;
use twinfeed_harness::probe::wire::Latency;
use twinfeed_harness::process::Program;

use super::Args;
use super::cells::{Matrix, Trigger};
use super::outcome::{Counts, Session, Standing};
use super::peers::{self, Peer};
use super::schedule::{self, Schedule};
use super::stage::{Played, Stage};
use crate::chance::Chance;
use crate::error::Error;
use crate::report::model::{PeerReport, SettingReport};

/// Who plays.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Cast {
    /// The product.
    Product(Matrix),
    /// Another system, and how many clean runs are wanted of each trigger.
    Peer(Peer, Vec<(Trigger, u32)>),
}

impl Cast {
    pub(super) fn wanted(&self) -> &[(Trigger, u32)] {
        match self {
            Self::Product(matrix) => &matrix.wanted,
            Self::Peer(_, wanted) => wanted,
        }
    }
}

impl fmt::Display for Cast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Product(matrix) => matrix.setting.fmt(f),
            Self::Peer(peer, _) => f.write_str(peer.word()),
        }
    }
}

/// What a part is played with.
pub(super) struct Play<'a> {
    pub(super) args: &'a Args,
    pub(super) program: &'a Program,
    pub(super) stop: &'a StopFlag,
    pub(super) bar: &'a ProgressBar,
}

/// One part.
pub(super) struct Part {
    cast: Cast,
    schedule: Schedule,
    chance: Chance,
    turns: u64,
    /// Sessions in a row that could not be used.
    unused: u32,
    unused_because: Option<String>,
    sessions: Vec<Session>,
    latency: Vec<Latency>,
    /// What kept it from its end.
    fault: Option<String>,
}

impl Part {
    pub(super) fn new(cast: Cast, chance: Chance) -> Self {
        Self {
            schedule: Schedule::new(cast.wanted(), &mut chance.fork(1)),
            cast,
            chance,
            turns: 0,
            unused: 0,
            unused_because: None,
            sessions: Vec::new(),
            latency: Vec::new(),
            fault: None,
        }
    }

    pub(super) fn sessions_left(&self) -> u64 {
        self.schedule.sessions_left()
    }

    pub(super) const fn has_begun(&self) -> bool {
        self.turns > 0
    }

    pub(super) fn is_over(&self) -> bool {
        self.fault.is_some() || self.schedule.next().is_none()
    }

    /// Plays so many sessions at most. What keeps it from its end is a fault of the report: what was measured until then is not thrown away.
    pub(super) fn play(&mut self, play: &Play<'_>, most: u32) {
        self.turns += 1;
        if let Err(error) = self.play_sessions(play, most) {
            self.fault = Some(format!("{}: {error}", self.cast));
        }
    }

    fn play_sessions(&mut self, play: &Play<'_>, most: u32) -> Result<(), Error> {
        let mut open = self.open(play)?;
        for _ in 0..most {
            let Some(plan) = self.schedule.next() else {
                break;
            };
            let played = open.play(plan)?;
            self.add(played, play.bar)?;
        }
        self.latency.extend(open.close()?);
        Ok(())
    }

    fn open(&self, play: &Play<'_>) -> Result<Open, Error> {
        let (args, stop) = (play.args, play.stop);
        let chance = self.chance.fork(1 + self.turns);
        let mut folder = self.cast.to_string().replace(", ", "-");
        if self.turns > 1 {
            folder = format!("{folder}-{}", self.turns);
        }
        let keep = args.keep.as_ref().map(|keep| keep.join(&folder));
        match &self.cast {
            Cast::Product(matrix) => {
                let setup = args.setup(matrix.setting)?;
                let keep = keep.as_deref();
                let stage = Stage::open(play.program, &setup, keep, args.window(), chance, stop);
                stage.map(Box::new).map(Open::Product)
            }
            Cast::Peer(peer, _) => {
                let stage =
                    peers::Stage::open(*peer, args.flow(), args.window(), keep, chance, stop);
                stage.map(Box::new).map(Open::Peer)
            }
        }
    }

    fn add(&mut self, played: Played, bar: &ProgressBar) -> Result<(), Error> {
        for run in &played.session.runs {
            self.schedule
                .ran(run.trigger, run.standing == Standing::Clean);
        }
        self.sessions.push(played.session);
        match played.unused {
            Some(reason) => {
                self.unused += 1;
                if self.unused >= MOST_UNUSED {
                    return Err(Error::NoSession {
                        sessions: self.unused,
                        reason,
                    });
                }
                self.unused_because = Some(reason);
            }
            None => {
                self.unused = 0;
                bar.inc(1);
            }
        }
        bar.set_message(format!(
            "{}: {} sessions left",
            self.cast,
            self.schedule.sessions_left()
        ));
        Ok(())
    }

    /// What is reported of it.
    pub(super) fn finish(mut self, resamples: u32) -> Finished {
        let (mut broken, mut faults) = (Vec::new(), Vec::from_iter(self.fault.take()));
        let mut counts = Counts::default();
        for session in &self.sessions {
            counts.add(&session.counts);
            let trigger = session.belongs_to().map_or("no trigger", Trigger::word);
            let place = format!("{}, {trigger}, session {}", self.cast, session.name);
            let details = session.details();
            let told = session
                .broken
                .iter()
                .map(|what| format!("{place}: {what}{details}"));
            broken.extend(told);
            for run in &session.runs {
                if let Standing::Invalid(why) = &run.standing {
                    faults.push(format!("{place}: invalid: {why}"));
                }
            }
        }
        for (trigger, clean, wanted) in self.schedule.short() {
            faults.push(format!(
                "{}, {trigger}: {clean} clean runs of {wanted}",
                self.cast
            ));
        }
        let (sessions, chance) = (&self.sessions, &mut self.chance);
        let report = match &self.cast {
            Cast::Product(matrix) => {
                let (setting, wanted) = (matrix.setting, &matrix.wanted);
                let mut report =
                    SettingReport::new(setting, wanted, sessions, &self.latency, resamples, chance);
                report.unused_because = self.unused_because;
                Reported::Product(Box::new(report), counts)
            }
            Cast::Peer(peer, wanted) => {
                let mut report = PeerReport::new(*peer, wanted, sessions, resamples, chance);
                report.unused_because = self.unused_because;
                Reported::Peer(Box::new(report))
            }
        };
        Finished {
            report,
            broken,
            faults,
        }
    }
}

/// The end of a part.
pub(super) struct Finished {
    pub(super) report: Reported,
    pub(super) broken: Vec<String>,
    pub(super) faults: Vec<String>,
}

/// Whose report it is.
pub(super) enum Reported {
    /// With sums over every session.
    Product(Box<SettingReport>, Counts),
    Peer(Box<PeerReport>),
}

/// A stage that is set up.
enum Open {
    Product(Box<Stage>),
    Peer(Box<peers::Stage>),
}

impl Open {
    fn play(&mut self, plan: schedule::Session) -> Result<Played, Error> {
        match self {
            Self::Product(stage) => stage.play(plan),
            Self::Peer(stage) => stage.play(plan),
        }
    }

    /// The latency that the product's probe saw.
    fn close(self) -> Result<Option<Latency>, Error> {
        match self {
            Self::Product(stage) => Ok(Some(stage.close()?.latency)),
            // Its processes end when it is dropped.
            Self::Peer(_) => Ok(None),
        }
    }
}

/// Most sessions in a row that could not be used.
const MOST_UNUSED: u32 = 12;
/// Setting up and taking down a stage, for the estimate.
pub(super) const AROUND: Duration = Duration::from_secs(4);
