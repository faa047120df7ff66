//! What may be asked of the bench?

use std::path::PathBuf;
use std::time::Duration;

use twinfeed_control::TransmitMode;
use twinfeed_harness::run::{Burst, Content as Carried, Run as Setup, SLICE_FIRST};

use super::cells::{Content, Link, Pattern, Setting, Trigger, Wanted};
use super::peers::Peer;
use crate::error::Error;
use crate::report::model::Options;

/// Flags of `failover`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Clean runs of every cell but kills.
    #[arg(long, value_name = "N", default_value_t = 30)]
    runs: u32,
    /// Clean runs of every kill cell, and of sham beside it.
    #[arg(long, value_name = "N", default_value_t = 300)]
    kill_runs: u32,
    /// Three runs of every cell: shows that everything works, proves nothing about times.
    #[arg(long, conflicts_with_all = ["runs", "kill_runs"])]
    quick: bool,
    /// Only these cells: words of trigger, policy and content joined by `/`; sham comes along.
    #[arg(long, value_name = "CELL", value_delimiter = ',')]
    cells: Vec<Pattern>,
    /// Two publishers of each of these systems as well, killed like an adapter, in turns with the product; all that this build has, if none is
    /// named. Of the product only kills are tried then, unless `--cells` names others.
    #[arg(long, value_name = "PEER", value_delimiter = ',', num_args = 0.., value_enum)]
    peers: Option<Vec<Peer>>,
    /// With `--peers`: sessions of each before it is the next one's turn.
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..))]
    turn_sessions: u32,
    /// A BinaryFILE or a capture to carry as well, in sessions that begin at number 1,000,001.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Decides content, order and moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Mean rate, messages per second.
    #[arg(long, default_value_t = 100_000)]
    rate: u64,
    /// Rate in a burst as a multiple of the mean; 1 for none. A burst lasts 15 ms of every 100 ms.
    #[arg(long, value_name = "FACTOR", default_value_t = 2)]
    burst: u32,
    /// Length of a session.
    #[arg(long, value_name = "MS", default_value_t = 2_500)]
    session_ms: u64,
    /// What is looked at after each trigger.
    #[arg(long, value_name = "MS", default_value_t = 200)]
    window_ms: u64,
    /// Which adapters transmit: hot or standby. With standby, what is cut behind the active is lost to the
    /// subscriber, and output-cut is tried only where it is named.
    #[arg(long, value_name = "MODE", default_value = "hot", value_parser = transmit_mode)]
    transmit: TransmitMode,
    /// Idle strategy of the adapters' data threads: spin, yield, backoff, block.
    #[arg(long, value_name = "STRATEGY")]
    idle: Option<String>,
    /// Cores of the active and of the backup adapter's data thread.
    #[arg(long, value_name = "CORE,CORE", value_delimiter = ',')]
    cores: Vec<usize>,
    /// How often groups are drawn again for the bootstrap.
    #[arg(long, value_name = "N", default_value_t = crate::stats::RESAMPLES,
          value_parser = clap::value_parser!(u32).range(2_000..))]
    pub(crate) resamples: u32,
    /// Keep the reports under `bench/record/<date>-<commit>/`.
    #[arg(long)]
    pub(crate) record: bool,
    /// Where the reports go otherwise.
    #[arg(
        long,
        value_name = "DIRECTORY",
        default_value = "target/bench-failover"
    )]
    pub(crate) output: PathBuf,
    /// Also exit with 1 when a claim about times does not hold.
    #[arg(long)]
    pub(crate) strict: bool,
    /// The twinfeed program; default: the one beside this program.
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,
    /// Keep the processes' files and logs in this directory, one folder per setting.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) keep: Option<PathBuf>,
    /// The role of one of the bench's own processes.
    #[arg(long, hide = true, value_name = "JSON")]
    pub(crate) role: Option<String>,
}

impl Args {
    pub(crate) fn wanted(&self) -> Wanted {
        match self.quick {
            true => Wanted {
                runs: QUICK,
                kill_runs: QUICK,
            },
            false => Wanted {
                runs: self.runs,
                kill_runs: self.kill_runs,
            },
        }
    }

    /// The other systems, each once.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        let Some(wanted) = &self.peers else {
            return Vec::new();
        };
        let all = Peer::all().iter().copied();
        all.filter(|peer| wanted.is_empty() || wanted.contains(peer))
            .collect()
    }

    /// Sessions of one setting before it is the next one's turn.
    pub(crate) const fn turn(&self) -> u32 {
        match self.peers {
            Some(_) => self.turn_sessions,
            None => u32::MAX,
        }
    }

    /// Messages a second, and their bursts.
    pub(crate) fn flow(&self) -> (u64, Option<Burst>) {
        (self.rate, self.bursts())
    }

    /// The cells to run; without a choice all, but those that a standby pair cannot stand.
    pub(crate) fn patterns(&self) -> Vec<Pattern> {
        if self.cells.is_empty() && self.peers.is_some() {
            return vec![Pattern::from(Trigger::Kill)];
        }
        if self.cells.is_empty() && self.transmit == TransmitMode::Standby {
            let borne = Trigger::ALL
                .into_iter()
                .filter(|trigger| *trigger != Trigger::OutputCut);
            return borne.map(Pattern::from).collect();
        }
        self.cells.clone()
    }

    pub(crate) fn contents(&self) -> &'static [Content] {
        match self.input {
            Some(_) => &Content::ALL,
            None => &[Content::Flow],
        }
    }

    pub(crate) const fn window(&self) -> Duration {
        Duration::from_millis(self.window_ms)
    }

    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }

    /// From the opening of a session to that of the next.
    pub(crate) const fn session_period(&self) -> Duration {
        Duration::from_millis(self.session_ms).saturating_add(PAUSE)
    }

    /// What the processes of a setting are told.
    pub(crate) fn setup(&self, setting: Setting) -> Result<Setup, Error> {
        let defaults = Setup::default();
        let content = match (setting.content, &self.input) {
            (Content::File, Some(path)) => {
                let found = path.canonicalize();
                let fault = |error| Error::Flag {
                    flag: "--input",
                    fault: format!("{}: {error}", path.display()),
                };
                Carried::Binaryfile {
                    path: found.map_err(fault)?,
                    first: SLICE_FIRST,
                }
            }
            (Content::Flow, _) | (Content::File, None) => defaults.content.clone(),
        };
        Ok(Setup {
            seed: self.seed,
            content,
            rate: self.rate,
            burst: self.bursts(),
            session: Duration::from_millis(self.session_ms),
            pause: PAUSE,
            sessions: None,
            policy: setting.policy,
            relayed_link: setting.link == Link::Relayed,
            transmit: self.transmit,
            idle: self.idle.clone(),
            cores: self.pinned()?,
            ..defaults
        })
    }

    pub(crate) fn options(&self) -> Result<Options, Error> {
        let Wanted { runs, kill_runs } = self.wanted();
        let bursts = self.bursts().map(|burst| {
            format!(
                "bursts of {}x for {:?} every {:?}",
                burst.factor, burst.length, burst.period
            )
        });
        Ok(Options {
            seed: self.seed,
            runs,
            kill_runs,
            window_ms: self.window_ms,
            rate: self.rate,
            burst: bursts,
            session_ms: self.session_ms,
            input: self.input.as_ref().map(|path| path.display().to_string()),
            transmit: self.transmit,
            idle: self
                .idle
                .clone()
                .unwrap_or_else(|| "the adapters' default".to_owned()),
            cores: self.pinned()?,
        })
    }

    fn bursts(&self) -> Option<Burst> {
        let (period, length) = (Duration::from_millis(100), Duration::from_millis(15));
        (self.burst > 1).then_some(Burst {
            factor: self.burst,
            period,
            length,
        })
    }

    fn pinned(&self) -> Result<[Option<usize>; 2], Error> {
        match self.cores[..] {
            [] => Ok([None; 2]),
            [active, backup] => Ok([Some(active), Some(backup)]),
            _ => Err(Error::Flag {
                flag: "--cores",
                fault: "it takes two, as in `--cores 0,1`, or none".to_owned(),
            }),
        }
    }
}

fn transmit_mode(word: &str) -> Result<TransmitMode, String> {
    let known = TransmitMode::ALL.iter().find(|mode| mode.word() == word);
    known
        .copied()
        .ok_or_else(|| format!("`{word}` is no mode: say `hot` or `standby`"))
}

/// Runs per cell with `--quick`.
const QUICK: u32 = 3;
/// How long a session is announced before it opens.
const PAUSE: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(words: &[&str]) -> Args {
        let words = std::iter::once("failover").chain(words.iter().copied());
        Line::try_parse_from(words).unwrap().args
    }

    #[test]
    fn peers_are_those_that_are_named_or_all_and_none_without_the_flag() {
        assert_eq!(args(&[]).peers(), []);
        assert_eq!(args(&["--peers"]).peers(), Peer::all());
        let named = args(&["--peers", "udp,udp", "--turn-sessions", "3"]);
        assert_eq!((named.peers(), named.turn()), (vec![Peer::Udp], 3));
        assert_eq!(args(&["--quick"]).turn(), u32::MAX);
    }

    #[test]
    fn beside_peers_only_kills_are_tried_unless_others_are_named() {
        assert_eq!(args(&["--peers"]).patterns(), [Trigger::Kill.into()]);
        let named = args(&["--peers", "--cells", "sham"]);
        assert_eq!(named.patterns(), [Trigger::Sham.into()]);
    }
}
