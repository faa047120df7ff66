//! How is progress shown?
//!
//! On standard error, if that is a terminal and nobody asked for quiet; nothing otherwise, so that logs
//! and pipes stay clean.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use twinfeed_harness::demo::Narrator;

/// A line that moves, or nothing.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    lines: bool,
}

impl Progress {
    /// Something of unknown length.
    pub(crate) fn spinner(quiet: bool) -> Self {
        let bar = match Self::shows(quiet) {
            true => ProgressBar::new_spinner(),
            false => ProgressBar::hidden(),
        };
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, lines: !quiet }
    }

    /// `all` things, of which some are done.
    pub(crate) fn bar(all: u64, quiet: bool) -> Self {
        let style = ProgressStyle::with_template("{wide_bar} {msg}, {eta} left")
            .expect("the template is written here");
        let bar = match Self::shows(quiet) {
            true => ProgressBar::new(all).with_style(style),
            false => ProgressBar::hidden(),
        };
        Self { bar, lines: !quiet }
    }

    /// So many are done.
    pub(crate) fn at(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Whether nothing moves: `line` is all that is seen.
    pub(crate) fn is_hidden(&self) -> bool {
        self.bar.is_hidden()
    }

    fn shows(quiet: bool) -> bool {
        !quiet && std::io::stderr().is_terminal()
    }

    /// What is going on now.
    pub(crate) fn say(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }

    /// A line that stays, above the one that moves; on standard error also without a terminal.
    pub(crate) fn line(&self, text: &str) {
        if self.bar.is_hidden() {
            if self.lines {
                eprintln!("{text}");
            }
        } else {
            self.bar.println(text);
        }
    }

    /// The moving line goes away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Shows a narration.
#[derive(Debug)]
pub(crate) struct Screen(pub(crate) Progress);

impl Narrator for Screen {
    fn say(&mut self, line: &str) {
        self.0.line(line);
    }

    fn live(&mut self, line: &str) {
        self.0.say(line);
    }
}
