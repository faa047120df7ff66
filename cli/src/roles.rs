//! `twinfeed admin handover`, `takeover`, `pin`, `unpin`: who is active, by an operator's word.

use std::time::Duration;

use twinfeed_control::{
    AdapterId, FeedName, RoleAction, RoleCause, RoleChange, RoleOrder, RoleOutcome,
};

use crate::admin::{key_of_now, print_json};
use crate::connect::Server;
use crate::failure::{Failure, RUNTIME, TRY_AGAIN};

/// Of which feed, and how the order is called.
#[derive(Debug, clap::Args)]
pub(crate) struct Of {
    /// The feed.
    #[arg(long)]
    feed: FeedName,
    /// Names the order; by default made of the time.
    #[arg(long)]
    key: Option<String>,
    /// How long to wait for the outcome, ms.
    #[arg(long, default_value_t = 10_000)]
    wait_ms: u64,
    /// The answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct HandOver {
    #[command(flatten)]
    of: Of,
    /// Where the pair is not protected: take over all the same, as `takeover --force`.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TakeOver {
    #[command(flatten)]
    of: Of,
    /// The adapter that becomes active; by default the backup.
    #[arg(long, value_name = "ID")]
    adapter: Option<AdapterId>,
    /// Needed: the active is not asked, and what it placed alone is lost; subscribers that saw it are told of a
    /// discontinuity. `handover` asks.
    #[arg(long, required = true)]
    force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Pin {
    #[command(flatten)]
    of: Of,
    /// The adapter that stays active until an operator says otherwise.
    #[arg(long, value_name = "ID")]
    adapter: AdapterId,
}

pub(crate) fn hand_over(server: &Server, args: HandOver) -> Result<(), Failure> {
    let HandOver { of, force } = args;
    order(server, of, RoleAction::HandOver { force })
}

pub(crate) fn take_over(server: &Server, args: TakeOver) -> Result<(), Failure> {
    let TakeOver { of, adapter, .. } = args;
    order(server, of, RoleAction::TakeOver { adapter })
}

pub(crate) fn pin(server: &Server, args: Pin) -> Result<(), Failure> {
    let Pin { of, adapter } = args;
    order(server, of, RoleAction::Pin { adapter })
}

pub(crate) fn unpin(server: &Server, of: Of) -> Result<(), Failure> {
    order(server, of, RoleAction::Unpin)
}

fn order(server: &Server, of: Of, action: RoleAction) -> Result<(), Failure> {
    let order = RoleOrder {
        key: of.key.unwrap_or_else(key_of_now),
        feed: of.feed,
        action,
        wait_ms: of.wait_ms,
    };
    let patience = Duration::from_millis(of.wait_ms) + crate::admin::REQUEST_MARGIN;
    let change = server.client_within(patience)?.order_roles(&order)?;
    if of.json {
        print_json(&change)?;
    } else {
        println!("{}", line(&change));
    }
    match &change.outcome {
        RoleOutcome::Done { .. } => Ok(()),
        RoleOutcome::Refused { reason } => Err(Failure::new(RUNTIME, reason)),
        RoleOutcome::Pending => Err(Failure::new(
            TRY_AGAIN,
            format!(
                "the adapters are still at it: ask again with --key {}",
                order.key
            ),
        )),
    }
}

/// One change of roles in one line.
pub(crate) fn line(change: &RoleChange) -> String {
    let RoleChange {
        number,
        by,
        cause,
        from,
        ..
    } = change;
    let who = change.adapter.as_ref().map_or("nobody", AdapterId::as_str);
    let key = change
        .key
        .as_ref()
        .map_or(String::new(), |key| format!(" ({key})"));
    let what = match &change.outcome {
        RoleOutcome::Pending => format!("pending: {who} is to take generation {from} over"),
        RoleOutcome::Done { .. } if *cause == RoleCause::Pin => {
            format!("{who} stays active until an operator says otherwise")
        }
        RoleOutcome::Done { .. } if *cause == RoleCause::Unpin => "nobody is pinned".to_owned(),
        RoleOutcome::Done {
            generation,
            seamless,
        } => {
            let how = match seamless {
                Some(true) => "seamless",
                Some(false) => "NOT seamless: what the old active placed alone is not inherited",
                None => "and has not reported since",
            };
            format!("{who} is active under generation {generation} (was {from}), {how}")
        }
        RoleOutcome::Refused { reason } => format!("refused: {reason}"),
    };
    format!("change {number}{key} by {by}: {cause}: {what}")
}
