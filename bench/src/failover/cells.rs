//! What is tried, against what, how often?
//!
//! ```text
//!  trigger × policy × content        one cell
//!            policy × content        one setting: one set of processes, which serves all its cells
//! ```

use std::fmt;

use serde::Serialize;
use twinfeed_control::Policy;

/// What happens to the active adapter.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(into = "&'static str")]
pub(crate) enum Trigger {
    /// Its process dies at once.
    Kill,
    /// Its process stands still and is continued after the window; its connections stay open.
    Stop,
    /// Its process is told to leave: it steps down.
    Terminate,
    /// The exchange sends it nothing more, on either line; restored after the window.
    InputCut,
    /// Nothing of it gets through to the subscriber, as if the cable behind it were cut, while its
    /// process and its pair link live; mended after the window.
    OutputCut,
    /// The pair link passes nothing, and no end hears of it; mended after the window.
    LinkCut,
    /// Its host is gone: its process dies, its link and its stream pass nothing, and no end is told.
    HostLoss,
    /// An operator hands its generation over: it steps down in order, and both adapters go on sending.
    HandOver,
    /// Signal 0: everything is done as for a kill, and nothing happens.
    Sham,
}

impl Trigger {
    pub(crate) const ALL: [Self; 9] = [
        Self::Kill,
        Self::Stop,
        Self::Terminate,
        Self::InputCut,
        Self::OutputCut,
        Self::LinkCut,
        Self::HostLoss,
        Self::HandOver,
        Self::Sham,
    ];
    /// Those that do something.
    pub(crate) const REAL: [Self; 8] = [
        Self::Kill,
        Self::Stop,
        Self::Terminate,
        Self::InputCut,
        Self::OutputCut,
        Self::LinkCut,
        Self::HostLoss,
        Self::HandOver,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Kill => "sigkill",
            Self::Stop => "sigstop",
            Self::Terminate => "sigterm",
            Self::InputCut => "input-cut",
            Self::OutputCut => "output-cut",
            Self::LinkCut => "link-cut",
            Self::HostLoss => "host-loss",
            Self::HandOver => "handover",
            Self::Sham => "sham",
        }
    }

    /// The link that it needs; `None`: any.
    const fn link(self) -> Option<Link> {
        match self {
            Self::LinkCut | Self::HostLoss => Some(Link::Relayed),
            Self::Kill
            | Self::Stop
            | Self::Terminate
            | Self::InputCut
            | Self::OutputCut
            | Self::HandOver => Some(Link::Direct),
            Self::Sham => None,
        }
    }

    /// Whether the other leg is all that the subscriber has left after it.
    pub(crate) const fn takes_leg(self) -> bool {
        match self {
            Self::Kill
            | Self::Stop
            | Self::Terminate
            | Self::InputCut
            | Self::OutputCut
            | Self::HostLoss => true,
            Self::LinkCut | Self::HandOver | Self::Sham => false,
        }
    }

    fn words() -> String {
        Self::ALL.map(Self::word).join(", ")
    }
}

/// How the adapters reach each other.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Link {
    /// As in production.
    Direct,
    /// Through relays that can be cut, and that cost the link two more processes' turns.
    Relayed,
}

impl From<Trigger> for &'static str {
    fn from(trigger: Trigger) -> Self {
        trigger.word()
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What the exchange sends.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Content {
    /// Generated order flow.
    Flow,
    /// The file given with `--input`, in a loop.
    File,
}

impl Content {
    pub(crate) const ALL: [Self; 2] = [Self::Flow, Self::File];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::File => "file",
        }
    }
}

/// One set of processes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Setting {
    pub(crate) policy: Policy,
    pub(crate) content: Content,
    pub(crate) link: Link,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.policy, self.content.word())?;
        match self.link {
            Link::Direct => Ok(()),
            Link::Relayed => f.write_str(", relayed"),
        }
    }
}

/// Some cells: what is not named is not restricted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Pattern {
    trigger: Option<Trigger>,
    policy: Option<Policy>,
    content: Option<Content>,
}

impl Pattern {
    fn covers(&self, setting: Setting, trigger: Trigger) -> bool {
        self.trigger.is_none_or(|only| only == trigger)
            && self.policy.is_none_or(|only| only == setting.policy)
            && self.content.is_none_or(|only| only == setting.content)
    }

    fn take(&mut self, word: &str) -> Result<(), BadPattern> {
        let bad = |fault| BadPattern {
            word: word.to_owned(),
            fault,
        };
        let trigger = Trigger::ALL.into_iter().find(|it| it.word() == word);
        let policy = Policy::ALL.iter().copied().find(|it| it.word() == word);
        let content = Content::ALL.into_iter().find(|it| it.word() == word);
        let before = *self;
        self.trigger = trigger.or(self.trigger);
        self.policy = policy.or(self.policy);
        self.content = content.or(self.content);
        if (trigger, policy, content) == (None, None, None) {
            return Err(bad("is no trigger, policy or content"));
        }
        let twice = (trigger.is_some() && before.trigger.is_some())
            || (policy.is_some() && before.policy.is_some())
            || (content.is_some() && before.content.is_some());
        match twice {
            true => Err(bad("is the second of its kind; separate cells by commas")),
            false => Ok(()),
        }
    }
}

impl From<Trigger> for Pattern {
    fn from(trigger: Trigger) -> Self {
        Self {
            trigger: Some(trigger),
            ..Self::default()
        }
    }
}

impl std::str::FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let mut pattern = Self::default();
        for word in text.split('/').map(str::trim) {
            pattern.take(word)?;
        }
        Ok(pattern)
    }
}

/// A word that names no cell.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{word:?} {fault}: say for example `sigkill`, `sigkill/first-arrival` or \
     `output-cut/prefer-active/flow`; the triggers are {}, the policies first-arrival and prefer-active, \
     the contents flow and file",
    Trigger::words()
)]
pub(crate) struct BadPattern {
    word: String,
    fault: &'static str,
}

/// How many clean runs of each cell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Wanted {
    /// Of every trigger but the kill.
    pub(crate) runs: u32,
    /// Of the kill, and of sham if kills are among the cells.
    pub(crate) kill_runs: u32,
}

impl Wanted {
    pub(crate) const fn of(self, trigger: Trigger) -> u32 {
        match trigger {
            Trigger::Kill => self.kill_runs,
            Trigger::Stop
            | Trigger::Terminate
            | Trigger::InputCut
            | Trigger::OutputCut
            | Trigger::LinkCut
            | Trigger::HostLoss
            | Trigger::HandOver
            | Trigger::Sham => self.runs,
        }
    }
}

/// One setting and what is to be done in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Matrix {
    pub(crate) setting: Setting,
    /// Clean runs wanted, by trigger; those of 0 runs are left out. Sham is always there.
    pub(crate) wanted: Vec<(Trigger, u32)>,
}

/// The settings that any pattern covers, or all of them without a pattern.
pub(crate) fn matrices(patterns: &[Pattern], contents: &[Content], wanted: Wanted) -> Vec<Matrix> {
    let mut matrices = Vec::new();
    for &policy in Policy::ALL {
        let links = [Link::Direct, Link::Relayed];
        for (&content, link) in contents.iter().flat_map(|it| links.map(|link| (it, link))) {
            let setting = Setting {
                policy,
                content,
                link,
            };
            let covered = |trigger| {
                patterns.is_empty() || patterns.iter().any(|it| it.covers(setting, trigger))
            };
            let real = Trigger::REAL
                .into_iter()
                .filter(|&trigger| trigger.link() == Some(link) && covered(trigger));
            let mut cells: Vec<_> = real.map(|trigger| (trigger, wanted.of(trigger))).collect();
            cells.retain(|(_, runs)| *runs > 0);
            // Alone, a sham needs no relay.
            if cells.is_empty() && !(link == Link::Direct && covered(Trigger::Sham)) {
                continue;
            }
            let most = cells.iter().map(|(_, runs)| *runs).max();
            cells.push((Trigger::Sham, most.unwrap_or(wanted.runs).max(1)));
            matrices.push(Matrix {
                setting,
                wanted: cells,
            });
        }
    }
    matrices
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted {
        runs: 30,
        kill_runs: 300,
    };

    fn cells(patterns: &[&str], contents: &[Content]) -> Vec<String> {
        let patterns: Vec<Pattern> = patterns.iter().map(|text| text.parse().unwrap()).collect();
        let matrices = matrices(&patterns, contents, WANTED);
        let cell = |matrix: &Matrix, &(trigger, runs): &(Trigger, u32)| {
            format!("{}: {trigger} {runs}", matrix.setting)
        };
        let of = |matrix: &Matrix| matrix.wanted.iter().map(|it| cell(matrix, it)).collect();
        matrices
            .iter()
            .flat_map(|matrix| -> Vec<String> { of(matrix) })
            .collect()
    }

    #[test]
    fn without_a_pattern_every_cell_is_run() {
        // Sham stands in both settings of a policy and a content.
        assert_eq!(cells(&[], &Content::ALL).len(), (8 + 2) * 2 * 2);
        assert_eq!(cells(&[], &[Content::Flow]).len(), (8 + 2) * 2);
    }

    #[test]
    fn a_pattern_restricts_what_it_names_and_sham_comes_along() {
        assert_eq!(
            cells(
                &["prefer-active/sigkill", "sigterm/flow/first-arrival"],
                &[Content::Flow]
            ),
            [
                "first-arrival, flow: sigterm 30",
                "first-arrival, flow: sham 30",
                "prefer-active, flow: sigkill 300",
                "prefer-active, flow: sham 300",
            ]
        );
        assert_eq!(
            cells(&["host-loss/prefer-active"], &[Content::Flow]),
            [
                "prefer-active, flow, relayed: host-loss 30",
                "prefer-active, flow, relayed: sham 30",
            ]
        );
        assert_eq!(
            cells(&["sham/first-arrival"], &[Content::File]),
            ["first-arrival, file: sham 30"]
        );
    }

    #[test]
    fn a_pattern_that_names_nothing_is_refused_by_name() {
        for (text, word) in [("sigkil", "sigkil"), ("", ""), ("sigkill/sham", "sham")] {
            let error = text.parse::<Pattern>().unwrap_err();
            assert_eq!(error.word, word);
            assert!(error.to_string().contains("output-cut"));
            for trigger in Trigger::ALL {
                assert!(error.to_string().contains(trigger.word()), "{trigger}");
            }
        }
    }

    #[test]
    fn a_leg_is_left_alone_unless_both_adapters_still_send() {
        let both_send: Vec<_> = Trigger::ALL
            .into_iter()
            .filter(|it| !it.takes_leg())
            .map(Trigger::word)
            .collect();
        assert_eq!(both_send, ["link-cut", "handover", "sham"]);
    }
}
