//! Who may take the generation over from an active that is gone?

use twinfeed_control::{AdapterId, Assignment, Problem, ProblemCode, TakeOver};

use super::pair::{Outcome, TakeoverRefused};
use super::refusals::not_seated;
use super::{Caller, Registry};
use crate::lease::Now;

impl Registry {
    /// A backup that lacks nothing says that the active's process is gone, and gets the next generation.
    ///
    /// # Errors
    ///
    /// `unknown-id`, `conflict`: it does not sit there, or another generation was granted meanwhile.
    pub fn take_over(
        &mut self,
        caller: &Caller<'_>,
        id: &AdapterId,
        request: &TakeOver,
        now: Now,
    ) -> Result<(Assignment, Outcome), Problem> {
        let (name, leg) = self.seat_named(caller, id)?;
        let feed = self.feed_mut(&name)?;
        let TakeOver { incarnation, from } = *request;
        let outcome = match feed.pair.take_over(leg, incarnation, from, now) {
            Ok(outcome) => outcome,
            Err(TakeoverRefused::NotSeated) => return Err(not_seated(feed, leg, incarnation)),
            Err(refused @ TakeoverRefused::Generation { .. }) => {
                return Err(Problem {
                    code: ProblemCode::Conflict,
                    message: refused.to_string(),
                    remedy: "act on the generation that is granted; the watch tells it".to_owned(),
                    retry_in_ms: None,
                });
            }
        };
        if outcome == Outcome::Raised {
            feed.takeovers += 1;
            self.abandon_orders(&name);
            self.save_feed(&name);
            self.touch(&name);
        }
        self.refresh_shown(&name, now);
        let feed = self.feed(&name)?;
        let assignment = feed.assignment(leg, incarnation, now, &self.settings);
        Ok((assignment, outcome))
    }
}
