//! Who may take the generation over from an active that is gone, or has stepped down?

use twinfeed_control::{
    AdapterId, Assignment, FeedName, LegIndex, Problem, Role, RoleCause, TakeOver, TakeoverCause,
};

use super::pair::{Outcome, TakeoverRefused};
use super::refusals::{conflict, not_seated};
use super::roles::Asked;
use super::{Caller, Registry};
use crate::lease::Now;

impl Registry {
    /// A backup that lacks nothing says that the active's process is gone, or that it stepped down by an operator's
    /// order, and gets the next generation.
    ///
    /// # Errors
    ///
    /// `unknown-id`, `conflict`: it does not sit there, or another generation was granted meanwhile, or no hand-over is
    /// under way any more. `unavailable`, `limit-reached`: the roles are pinned, or were passed on too often.
    pub fn take_over(
        &mut self,
        caller: &Caller<'_>,
        id: &AdapterId,
        request: &TakeOver,
        now: Now,
    ) -> Result<(Assignment, Outcome), Problem> {
        let (name, leg) = self.seat_named(caller, id)?;
        let TakeOver {
            incarnation,
            from,
            cause,
        } = *request;
        let feed = self.feed(&name)?;
        let asks = feed.pair.holds(leg, incarnation, now)
            && feed.pair.role(leg) == Some(Role::Backup)
            && feed.pair.generation() == from;
        if asks {
            self.may_take_over(&name, leg, cause, now)?;
        }
        let feed = self.feed_mut(&name)?;
        let outcome = match feed.pair.take_over(leg, incarnation, from, cause, now) {
            Ok(outcome) => outcome,
            Err(TakeoverRefused::NotSeated) => return Err(not_seated(feed, leg, incarnation)),
            Err(refused @ TakeoverRefused::Generation { .. }) => {
                return Err(conflict(
                    refused.to_string(),
                    "act on the generation that is granted; the watch tells it",
                ));
            }
        };
        if outcome == Outcome::Raised {
            let asked = Asked::unordered(id.as_str(), cause_of(cause));
            self.generation_began(&name, from, Some(leg), asked);
        }
        self.refresh_shown(&name, now);
        let feed = self.feed(&name)?;
        let assignment = feed.assignment(leg, incarnation, now, &self.settings);
        Ok((assignment, outcome))
    }

    fn may_take_over(
        &mut self,
        name: &FeedName,
        leg: LegIndex,
        cause: TakeoverCause,
        now: Now,
    ) -> Result<(), Problem> {
        match cause {
            TakeoverCause::PeerGone => {
                let by = self.feed(name)?.adapter_id(leg);
                let asked = Asked::unordered(by.as_str(), RoleCause::PeerGone);
                self.may_take_over_automatically(name, leg, asked, now)
            }
            TakeoverCause::SteppedDown => {
                self.give_up_late_handover(name, now);
                let under_way = self.feed(name)?.handover.as_ref();
                match under_way.filter(|handover| handover.to == leg) {
                    Some(_) => Ok(()),
                    None => Err(conflict(
                        "no hand-over is under way: it was given up, and the active goes on"
                            .to_owned(),
                        "wait for the active's word",
                    )),
                }
            }
        }
    }
}

const fn cause_of(cause: TakeoverCause) -> RoleCause {
    match cause {
        TakeoverCause::PeerGone => RoleCause::PeerGone,
        TakeoverCause::SteppedDown => RoleCause::HandOver,
    }
}
