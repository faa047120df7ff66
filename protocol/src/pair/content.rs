//! Do both ends say the same under the same numbers?
//!
//! ```text
//!  active: a range is over ── Content(range, digest) ──► backup: compares it with its own, when that is over
//!                                                        the same: nothing
//!                                                        another: unsynchronised, and no cut helps, until so
//!                                                                 many ranges in a row agree
//! ```
//!
//! Records stand at equal msn when both number alike; what they say is another question, and one that a cut does
//! not answer: who converts differently converts differently again. So a backup that differs is held out of
//! step until it has said the same for long enough (RM-31), in whatever epoch that is; a new process begins
//! unsuspected. Both go on sending: a subscriber compares for itself, and pins one of them.

use twinfeed_wire::{ContextId, Epoch, RangeDigest};

use super::said::{Content, Said};
use super::state::PairInput;
use super::{Link, News, Pair, PairState, Reason};
use crate::agreement::{Agreement, Told, Turn};
use crate::sequencer::{Now, Sequencer, Transmit};

/// What both ends told of their ranges.
#[derive(Debug)]
pub(super) struct Contents {
    /// The last of this end's own that was noted, or said, and in which epoch and context.
    noted: Option<((Epoch, ContextId), u64)>,
    ours: Told,
    theirs: Told,
    agreement: Agreement,
}

impl Contents {
    pub(super) const fn new() -> Self {
        Self {
            noted: None,
            ours: Told::new(),
            theirs: Told::new(),
            agreement: Agreement::new(),
        }
    }

    /// The range in which this end differed last from its active, while it does.
    pub(super) const fn apart(&self) -> Option<u64> {
        self.agreement.apart()
    }

    /// Whoever listens now has heard nothing.
    pub(super) const fn say_again(&mut self) {
        self.noted = None;
    }

    /// This end is the one that others compare themselves with: what it thought of its peer counts no more.
    pub(super) const fn lead(&mut self) {
        self.agreement = Agreement::new();
    }

    /// The next range of this end's that is over and was not noted yet. In another context all that are remembered
    /// count anew.
    fn next(&mut self, seq: &Sequencer) -> Option<((Epoch, ContextId), RangeDigest)> {
        let (epoch, context, finished) = seq.contents()?;
        let of = (epoch, context);
        let noted = self.noted.filter(|noted| noted.0 == of);
        let noted = noted.map(|(_, range)| range);
        let newest = finished.last().map(|newest| newest.range);
        if newest < noted {
            // The source stepped back: its ranges carry other content from here on.
            self.ours.forget(epoch);
            self.theirs.forget(epoch);
            self.noted = None;
            return None;
        }
        if newest == noted {
            return None;
        }
        let fresh = |it: &&RangeDigest| noted.is_none_or(|noted| it.range > noted);
        let next = *finished.iter().find(fresh)?;
        self.noted = Some((of, next.range));
        Some((of, next))
    }
}

impl Pair {
    /// Says, or compares, the ranges that are over since this was last called.
    pub(super) fn tend_contents(
        &mut self,
        now: Now,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        while let Some((of, digest)) = self.contents.next(seq) {
            if self.state == PairState::Active {
                let content = Content {
                    sid: seq.sid(),
                    generation: self.generation,
                    epoch: of.0,
                    context: of.1,
                    digest,
                };
                if self.linked {
                    out.say(Said::Content(content));
                }
                continue;
            }
            let Contents { ours, theirs, .. } = &mut self.contents;
            if let Some(same) = ours.compare(theirs, of, digest) {
                self.on_compared(now, same, digest.range, seq, out);
            }
        }
    }

    /// The active says the content of a range.
    pub(super) fn on_content(
        &mut self,
        now: Now,
        content: &Content,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        let Contents { ours, theirs, .. } = &mut self.contents;
        let of = (content.epoch, content.context);
        if let Some(same) = theirs.compare(ours, of, content.digest) {
            self.on_compared(now, same, content.digest.range, seq, out);
        }
    }

    fn on_compared(
        &mut self,
        now: Now,
        same: bool,
        range: u64,
        seq: &mut Sequencer,
        out: &mut (impl Link + Transmit),
    ) {
        self.counters.ranges_compared += 1;
        self.counters.ranges_diverged += u64::from(!same);
        let wanted = self.limits.agreed_ranges;
        match self.contents.agreement.note(range, same, wanted) {
            None => {}
            Some(Turn::Parted) => {
                out.tell(News::Differs { range });
                self.enter(now, PairInput::LostStep, Reason::Content, seq, out);
            }
            // It asks for the numbering when that is due.
            Some(Turn::Met) => out.tell(News::Agrees { range }),
        }
    }
}
