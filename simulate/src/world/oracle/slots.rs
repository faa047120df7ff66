//! Did the backup answer as the rule says?
//!
//! The rule of RM-23 to RM-25, written a second time from its sentence: A is the slot, B the record that the backup had
//! processed most recently, T the threshold; capable is 1 ≤ A − B ≤ T. A message that stands already may be agreed to
//! where it stands. What was agreed to is inherited by a takeover that calls itself seamless.

use std::collections::BTreeMap;

use twinfeed_protocol::Leg;
use twinfeed_protocol::pair::{Answer, Intent, News, Verdict};
use twinfeed_wire::{Adm, Epoch, Generation, Msn, Sid};

use super::streams::At;
use super::witness::Judgement;

/// Source, generation, number, attempt.
type Named = (Sid, Generation, Adm, u8);
/// The slot, the epoch in which it counts, whether the stream is to be held in front of it.
type Said = (Msn, Epoch, bool);

/// What was announced.
#[derive(Debug, Default)]
pub struct Slots {
    threshold: u64,
    said: BTreeMap<Named, Said>,
    /// What the rules of each leg told last: that messages were dropped.
    dropped: [Option<Sid>; 2],
}

impl Slots {
    /// Under the threshold T.
    #[must_use]
    pub fn under(threshold: u64) -> Self {
        Self {
            threshold,
            ..Self::default()
        }
    }

    /// The active announces, or proposes, a slot.
    pub fn note_intent(&mut self, intent: &Intent) {
        let number = intent.message.number();
        let key = (intent.sid, intent.generation, number, intent.attempt);
        let what = (intent.slot, intent.epoch, intent.hold);
        self.said.insert(key, what);
    }

    /// The backup answers; `at`: where its stream stands.
    ///
    /// # Errors
    /// Why that is not what the rule says.
    pub fn judge(&self, answer: &Answer, at: Option<At>) -> Judgement {
        let key = (answer.sid, answer.generation, answer.number, answer.attempt);
        let said = self.said.get(&key).filter(|it| it.0 == answer.slot);
        let (Some(&(a, epoch, hold)), Some(at)) = (said, at) else {
            return Ok(());
        };
        let Some((next, adm)) = at.next.filter(|_| at.epoch == epoch) else {
            return Ok(());
        };
        if answer.verdict == Verdict::Unsynchronised {
            return Ok(());
        }
        let b = answer.processed;
        if b.plus(1) != next {
            return Err(format!(
                "B is said to be {b}, and the next record is {next}"
            ));
        }
        let t = if hold {
            self.threshold.min(1)
        } else {
            self.threshold
        };
        let stands = answer.number < adm;
        let ahead = a.0.saturating_sub(b.0);
        let within = (1..=t).contains(&ahead);
        let right = match answer.verdict {
            Verdict::Capable => within || stands,
            Verdict::Far => ahead > t,
            Verdict::Late => ahead == 0 || stands,
            Verdict::Unsynchronised => true,
        };
        if right {
            return Ok(());
        }
        let verdict = answer.verdict;
        Err(format!("{verdict:?}, with A = {a}, B = {b}, T = {t}"))
    }

    /// The rules of `leg` told something.
    ///
    /// # Errors
    /// A takeover that forgets what was agreed to calls itself seamless.
    pub fn note_news(&mut self, leg: Leg, sid: Sid, news: &News) -> Judgement {
        let dropped = &mut self.dropped[leg.index()];
        let before = core::mem::take(dropped);
        match news {
            News::Dropped { .. } => *dropped = Some(sid),
            News::Opened { seamless: true, .. } if before == Some(sid) => {
                return Err("seamless, and what was agreed to was dropped".into());
            }
            _ => {}
        }
        Ok(())
    }
}
