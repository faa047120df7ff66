//! `twinfeed status`: how every feed stands, once.

use twinfeed_control::{FeedStatus, Status};

use crate::connect::Server;
use crate::failure::{Failure, RUNTIME};

/// Show how every feed stands, by stream administration's word.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: Server,
    /// The whole document as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let status = args.server.client()?.status()?;
    if args.json {
        let text = serde_json::to_string_pretty(&status);
        println!("{}", text.map_err(|error| Failure::new(RUNTIME, error))?);
    } else {
        show(&status);
    }
    Ok(())
}

fn show(status: &Status) {
    let server = &status.server;
    let ready = if server.ready {
        "ready".to_owned()
    } else {
        format!("not ready: {}", server.reason)
    };
    println!(
        "stream-admin {}, up {} s, {ready}",
        server.version,
        server.uptime_ms / 1_000
    );
    for feed in &status.feeds {
        show_feed(feed);
    }
}

fn show_feed(feed: &FeedStatus) {
    let pair = &feed.pair;
    let protection = match pair.protected {
        true if !pair.source_lost.is_empty() => format!("protected, but {}", pair.source_lost),
        true => "protected".to_owned(),
        false => format!("NOT PROTECTED: {}", pair.reason),
    };
    let pinned = match &pair.pinned {
        Some(adapter) => format!(", pinned to {adapter}"),
        None => String::new(),
    };
    let hand_back = match &pair.hand_back {
        Some(daily) => format!(", handed back at {daily}"),
        None => String::new(),
    };
    println!(
        "\nfeed {}, generation {}{pinned}{hand_back}, {protection}",
        feed.feed, pair.generation
    );
    println!(
        "  {:<4}{:<28}{:<8}{:<10}{:<12}{:>14}  reason",
        "leg", "adapter", "role", "state", "data", "next number"
    );
    for leg in &feed.legs {
        let role = leg.role.map_or("-", |role| role.word());
        let unverified = if leg.unverified { " (unverified)" } else { "" };
        let next = leg
            .report
            .iter()
            .flat_map(|report| &report.streams)
            .map(|it| it.next_pos.sseq);
        println!(
            "  {:<4}{:<28}{role:<8}{:<10}{:<12}{:>14}  {}{unverified}",
            leg.leg.to_string(),
            leg.adapter.to_string(),
            leg.state.word(),
            leg.data.word(),
            next.max()
                .map_or("-".to_owned(), |number| number.to_string()),
            leg.reason
        );
    }
    let alive = feed.subscriptions.iter().filter(|it| it.alive).count();
    println!("  {alive} subscribers");
    for view in feed.subscriptions.iter().filter(|it| it.alive) {
        let report = view.report.clone().unwrap_or_default();
        println!(
            "    {:<24}{:<16}{:<16}{:>14} records {:>6} lost {:>4} switches {:>6} kernel drops",
            view.application,
            view.principal,
            view.policy.word(),
            report.records,
            report.lost,
            report.switches,
            report.kernel_drops
        );
    }
    for order in feed.orders.iter().take(RECEIPTS) {
        println!("  {}", crate::admin::line(order));
    }
    for change in feed.roles.iter().take(RECEIPTS) {
        println!("  {}", crate::roles::line(change));
    }
    for received in feed.receipts.iter().take(RECEIPTS) {
        let receipt = &received.receipt;
        println!(
            "  switch of {}: leg {} to leg {}, {}, {} filled, {} gaps left, silence {} µs",
            received.application,
            receipt.from.leg,
            receipt.to.leg,
            receipt.trigger.word(),
            receipt.filled,
            receipt.gaps_left,
            receipt.stall_ns / 1_000
        );
    }
}

/// Switches shown per feed, newest first.
const RECEIPTS: usize = 5;
