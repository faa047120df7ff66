//! What does a person read, and what a machine?

use std::fmt::Write as _;

use serde::Serialize;

use super::judge::{Counts, Fault, Level, Verdict};
use super::score::Settings;

/// One scenario's outcome.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Its name.
    pub scenario: String,
    /// What was played.
    pub about: String,
    /// Rows of the fault matrix.
    pub matrix: String,
    /// Both levels.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Messages that a line at least carried whole.
    pub owed: u64,
    /// Messages that no line carried, or broken packets alone.
    pub lost: u64,
    /// Packets sent, on both lines together.
    pub packets: u64,
    /// What the handler said.
    pub said: Counts,
    /// How late a packet left at most, microseconds: the host's doing.
    pub sender_late_us: u64,
    /// Datagrams that the kernel dropped at sockets of the lines' ports on this host: the handler read too late.
    pub kernel_drops: u64,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The handler.
    pub handler: String,
    /// Decided what was sent.
    pub seed: u64,
    /// Messages per second.
    pub rate: u64,
    /// Scenario by scenario.
    pub scenarios: Vec<Outcome>,
}

impl Outcome {
    /// Whether a level failed.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        self.verdict.delivery.is_failure() || self.verdict.honesty.is_failure()
    }

    /// The levels by name.
    #[must_use]
    pub const fn levels(&self) -> [(&'static str, &Level); 2] {
        [
            ("delivery", &self.verdict.delivery),
            ("honesty", &self.verdict.honesty),
        ]
    }
}

/// How text is marked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ink {
    /// Not at all.
    Plain,
    /// With the colours of a terminal.
    Coloured,
}

impl Report {
    /// A report without scenarios yet.
    #[must_use]
    pub const fn new(handler: String, settings: &Settings) -> Self {
        Self {
            handler,
            seed: settings.seed,
            rate: settings.rate,
            scenarios: Vec::new(),
        }
    }

    /// How many scenarios failed.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.scenarios.iter().filter(|it| it.is_failure()).count()
    }

    /// A table, and below it the first wrong event of whatever failed.
    #[must_use]
    pub fn table(&self, ink: Ink) -> String {
        let names = self.scenarios.iter().map(|it| it.scenario.len());
        let width = names.max().unwrap_or(0).max("scenario".len());
        let mut text = format!(
            "{:<width$}  {:<8}  {:<8}  {:>9}  {:>9}  {:>9}  {:>9}\n",
            "scenario", "delivery", "honesty", "owed", "delivered", "lost", "declared"
        );
        for outcome in &self.scenarios {
            let [delivery, honesty] = outcome.levels().map(|(_, level)| word(level, ink));
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:<width$}  {delivery}  {honesty}  {:>9}  {:>9}  {:>9}  {:>9}",
                outcome.scenario,
                outcome.owed,
                outcome.said.messages,
                outcome.lost,
                outcome.said.declared,
            );
        }
        text.push('\n');
        for outcome in &self.scenarios {
            text.push_str(&outcome.remarks());
        }
        let (failed, all) = (self.failures(), self.scenarios.len());
        let _ = match failed {
            0 => writeln!(text, "No scenario of {all} failed."),
            _ => writeln!(text, "{failed} of {all} scenarios FAILED."),
        };
        text
    }

    /// One JUnit test suite, a test per scenario and level.
    #[must_use]
    pub fn junit(&self) -> String {
        let levels = || {
            let outcomes = self.scenarios.iter();
            outcomes.flat_map(|it| it.levels().map(|(name, level)| (it, name, level)))
        };
        let failures = levels().filter(|(_, _, level)| level.is_failure()).count();
        let skipped = levels().filter(|it| matches!(it.2, Level::NotApplicable { .. }));
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <testsuite name=\"twinfeed certify: {}\" tests=\"{}\" failures=\"{failures}\" skipped=\"{}\">\n",
            escaped(&self.handler),
            levels().count(),
            skipped.count()
        );
        for (outcome, name, level) in levels() {
            let head = format!(
                "  <testcase classname=\"certify.{}\" name=\"{name}\"",
                escaped(&outcome.scenario)
            );
            let _ = match level {
                Level::Pass => writeln!(text, "{head}/>"),
                Level::Fail(fault) => writeln!(
                    text,
                    "{head}><failure message=\"{}\"/></testcase>",
                    escaped(&fault.sentence())
                ),
                Level::NotApplicable { reason } => writeln!(
                    text,
                    "{head}><skipped message=\"{}\"/></testcase>",
                    escaped(reason)
                ),
            };
        }
        text.push_str("</testsuite>\n");
        text
    }
}

impl Outcome {
    /// What was wrong, and what else should be known of it; empty if all is well.
    #[must_use]
    pub fn remarks(&self) -> String {
        let mut text = String::new();
        for (name, level) in self.levels() {
            let said = match level {
                Level::Pass => continue,
                Level::Fail(fault) => fault.sentence(),
                Level::NotApplicable { reason } => format!("not applicable: {reason}"),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}, {name}: {said}", self.scenario);
        }
        if self.is_failure() {
            if self.kernel_drops > 0 {
                let _ = writeln!(
                    text,
                    "    the kernel dropped {} datagrams at the lines' sockets: the handler reads too late, or \
                     its receive buffer is too small",
                    self.kernel_drops
                );
            }
            let _ = writeln!(
                text,
                "    played: {}; a packet left {} µs late at most",
                self.about, self.sender_late_us
            );
        }
        text
    }
}

impl Fault {
    /// In words.
    #[must_use]
    pub fn sentence(&self) -> String {
        let place = match self.line {
            0 => String::new(),
            line => format!(" (line {line} of the output)"),
        };
        format!("expected {}, seen {}{place}", self.expected, self.seen)
    }
}

/// One word of eight letters' width.
fn word(level: &Level, ink: Ink) -> String {
    let (word, colour) = match level {
        Level::Pass => ("pass", "32"),
        Level::Fail(_) => ("FAIL", "1;31"),
        Level::NotApplicable { .. } => ("n/a", "33"),
    };
    match ink {
        Ink::Plain => format!("{word:<8}"),
        Ink::Coloured => format!("\x1b[{colour}m{word:<8}\x1b[0m"),
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no place for other control characters.
            '\n' | '\t' => escaped.push(' '),
            letter if letter.is_control() => escaped.push('\u{FFFD}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report() -> Report {
        let settings = Settings {
            seed: 7,
            rate: 2_000,
            skew: Duration::ZERO,
            silence: Duration::ZERO,
        };
        let mut report = Report::new("a <handler>".to_owned(), &settings);
        let fault = Fault {
            expected: "gap 5 to 7".to_owned(),
            seen: "message 8 of \"C\"".to_owned(),
            line: 6,
        };
        let na = Level::NotApplicable {
            reason: "nothing is claimed".to_owned(),
        };
        for (delivery, honesty) in [(Level::Pass, Level::Fail(fault)), (Level::Pass, na)] {
            report.scenarios.push(Outcome {
                scenario: "gap".to_owned(),
                about: "packets are lost".to_owned(),
                matrix: "N2".to_owned(),
                verdict: Verdict { delivery, honesty },
                owed: 10,
                lost: 3,
                packets: 8,
                said: Counts::default(),
                sender_late_us: 12,
                kernel_drops: 4,
            });
        }
        report
    }

    #[test]
    fn a_person_reads_what_was_wrong_and_colour_is_never_without_asking() {
        let report = report();
        assert_eq!(report.failures(), 1);
        let text = report.table(Ink::Plain);
        assert!(!text.contains('\x1b'));
        assert!(text.contains(
            "gap, honesty: expected gap 5 to 7, seen message 8 of \"C\" (line 6 of the output)"
        ));
        assert!(text.contains("dropped 4 datagrams"));
        assert!(text.contains("1 of 2 scenarios FAILED."));
        assert!(report.table(Ink::Coloured).contains("\x1b[1;31mFAIL"));
    }

    #[test]
    fn machines_read_json_and_junit() {
        let report = report();
        let value = serde_json::to_value(&report).unwrap();
        let honesty = &value["scenarios"][0]["honesty"];
        assert_eq!(honesty["verdict"], "fail");
        assert_eq!(honesty["expected"], "gap 5 to 7");
        assert_eq!(
            value["scenarios"][1]["honesty"]["verdict"],
            "not-applicable"
        );
        let junit = report.junit();
        assert!(
            junit.contains("tests=\"4\" failures=\"1\" skipped=\"1\""),
            "{junit}"
        );
        assert!(junit.contains("seen message 8 of &quot;C&quot;"), "{junit}");
        assert!(junit.contains("a &lt;handler&gt;"), "{junit}");
    }
}
