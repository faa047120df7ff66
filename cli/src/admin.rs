//! `twinfeed admin`: an operator's own messages, who is active, and what became of both.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use twinfeed_control::{FeedName, Order, OrderOutcome, OrderRecord, OrderedMessage, Sid};

use crate::connect::Server;
use crate::failure::{Failure, RUNTIME, TRY_AGAIN};
use crate::roles;

/// Put a message of your own into a stream, at the same place for every subscriber; hand the active role over; see
/// what became of it.
///
/// Exit codes: 0 placed and agreed by both adapters, or the roles are as ordered; 1 refused; 75 not known yet, or placed
/// unprotected: look at `history`. The same `--key` again is the same order: nothing is done twice.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// A notice to whoever reads it.
    Notice {
        #[command(flatten)]
        to: To,
        /// The notice, at most 1,024 bytes.
        text: String,
    },
    /// Forget the books of these instruments, or of all.
    ClearBook {
        #[command(flatten)]
        to: To,
        /// Instrument ids; without any, all.
        #[arg(long, value_name = "ID", value_delimiter = ',')]
        instruments: Vec<u32>,
    },
    /// The source is silent: what is known of it is old.
    SourceStale {
        #[command(flatten)]
        to: To,
    },
    /// The source speaks again.
    SourceRestored {
        #[command(flatten)]
        to: To,
    },
    /// What follows is converted with another dictionary.
    DictionarySwitch {
        #[command(flatten)]
        to: To,
        /// Its name.
        name: String,
    },
    /// The topic ends.
    TopicClosed {
        #[command(flatten)]
        to: To,
        /// Why.
        reason: String,
    },
    /// The active steps down in order and the synchronised backup becomes active; nothing stalls, nothing is lost.
    Handover(roles::HandOver),
    /// An adapter becomes active whatever the other one does (needs --force).
    Takeover(roles::TakeOver),
    /// While this adapter is active nothing but an operator makes the other one active.
    Pin(roles::Pin),
    /// Take the pin away.
    Unpin(roles::Of),
    /// The messages and the changes of roles of a feed that are kept, newest first.
    History {
        /// The feed.
        #[arg(long)]
        feed: FeedName,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Into which stream, and how the order is called.
#[derive(Debug, clap::Args)]
struct To {
    /// The feed.
    #[arg(long)]
    feed: FeedName,
    /// The source stream.
    #[arg(long)]
    sid: u32,
    /// Names the order; by default made of the time.
    #[arg(long)]
    key: Option<String>,
    /// How long to wait for the adapter's word, ms.
    #[arg(long, default_value_t = 5_000)]
    wait_ms: u64,
    /// The answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let (to, message) = match args.action {
        Action::History { feed, json } => return history(&args.server, &feed, json),
        Action::Handover(order) => return roles::hand_over(&args.server, order),
        Action::Takeover(order) => return roles::take_over(&args.server, order),
        Action::Pin(order) => return roles::pin(&args.server, order),
        Action::Unpin(of) => return roles::unpin(&args.server, of),
        Action::Notice { to, text } => (to, OrderedMessage::OperatorNotice { text }),
        Action::ClearBook { to, instruments } => (to, OrderedMessage::ClearBook { instruments }),
        Action::SourceStale { to } => (to, OrderedMessage::SourceStale),
        Action::SourceRestored { to } => (to, OrderedMessage::SourceRestored),
        Action::DictionarySwitch { to, name } => {
            (to, OrderedMessage::DictionarySwitch { text: name })
        }
        Action::TopicClosed { to, reason } => (to, OrderedMessage::TopicClosed { text: reason }),
    };
    let order = Order {
        key: to.key.unwrap_or_else(key_of_now),
        feed: to.feed,
        sid: Sid(to.sid),
        message,
        wait_ms: to.wait_ms,
    };
    let patience = Duration::from_millis(to.wait_ms) + REQUEST_MARGIN;
    let record = args.server.client_within(patience)?.order(&order)?;
    if to.json {
        print_json(&record)?;
    } else {
        println!("{}", line(&record));
    }
    match &record.outcome {
        OrderOutcome::Placed { place } if place.agreed => Ok(()),
        OrderOutcome::Placed { .. } => Err(Failure::new(
            TRY_AGAIN,
            "it stands in the stream, and the backup did not agree to its place: should the active die now, \
             subscribers are told of a discontinuity",
        )),
        OrderOutcome::Refused { reason } => Err(Failure::new(RUNTIME, reason)),
        OrderOutcome::Pending => Err(Failure::new(
            TRY_AGAIN,
            format!(
                "the active adapter has not said yet what became of it: ask again with --key {}",
                record.key
            ),
        )),
        OrderOutcome::Unknown { reason } => Err(Failure::new(
            TRY_AGAIN,
            format!(
                "{reason}: it may stand in the stream or not; look at a subscriber (`twinfeed tail`)"
            ),
        )),
    }
}

fn history(server: &Server, feed: &FeedName, json: bool) -> Result<(), Failure> {
    let client = server.client()?;
    let (orders, roles) = (client.orders(feed)?, client.role_changes(feed)?);
    if json {
        return print_json(&serde_json::json!({ "orders": orders, "roles": roles }));
    }
    let orders = orders.iter().map(|it| (it.at_unix_us, line(it)));
    let roles = roles.iter().map(|it| (it.at_unix_us, roles::line(it)));
    let mut lines: Vec<_> = orders.chain(roles).collect();
    lines.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    for (_, line) in lines {
        println!("{line}");
    }
    Ok(())
}

pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value);
    println!("{}", text.map_err(|error| Failure::new(RUNTIME, error))?);
    Ok(())
}

/// One order in one line.
pub(crate) fn line(order: &OrderRecord) -> String {
    let what = match &order.outcome {
        OrderOutcome::Pending => "pending".to_owned(),
        OrderOutcome::Placed { place } => format!(
            "placed as message {} of generation {} at slot A = {} behind number {}, {}",
            place.number,
            place.generation,
            place.slot,
            place.sseq,
            if place.agreed {
                format!(
                    "agreed by the backup at B = {} (announcement {})",
                    place.processed, place.attempts
                )
            } else {
                "NOT agreed by the backup".to_owned()
            }
        ),
        OrderOutcome::Refused { reason } => format!("refused: {reason}"),
        OrderOutcome::Unknown { reason } => format!("unknown: {reason}"),
    };
    format!(
        "order {} ({}) by {} in sid {}: {}: {what}",
        order.ticket,
        order.key,
        order.operator,
        order.sid,
        order.message.word()
    )
}

pub(crate) fn key_of_now() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("{:x}-{:x}", since.as_micros(), std::process::id())
}

/// How much longer than the order waits the request may take.
pub(crate) const REQUEST_MARGIN: Duration = Duration::from_secs(2);
