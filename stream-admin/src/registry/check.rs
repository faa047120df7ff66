//! Is a request within its limits, before anybody acts on it?
//!
//! The JSON already parsed into types; here stand the checks that types cannot make. Every refusal
//! names the field and the limit.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use twinfeed_control::{
    AdapterStatus, COUNTERS_PER_REPORT, LONGEST_HOST, LONGEST_ORDER_KEY, LONGEST_RING_NAME,
    OfferedStream, Problem, ProblemCode, Register, Selection, Sid, Subscribe, SubscriptionStatus,
    Transport,
};

use super::settings::{FeedSettings, TransportKind};

/// Longest application name, in bytes.
pub const APPLICATION_LIMIT: usize = 64;
/// Longest reason or note, in bytes.
pub const TEXT_LIMIT: usize = 512;
/// Most lines of one source stream.
const LINES_PER_STREAM: usize = 2;
/// Most receipts in one report.
pub const RECEIPTS_PER_REQUEST: usize = 64;

/// A refusal of what a request says.
pub(super) fn bad(message: impl Into<String>, remedy: &str) -> Problem {
    Problem {
        code: ProblemCode::BadRequest,
        message: message.into(),
        remedy: remedy.to_owned(),
        retry_in_ms: None,
    }
}

pub(super) fn registration(
    request: &Register,
    feed: &FeedSettings,
    limit: usize,
) -> Result<(), Problem> {
    if request.incarnation.0 == 0 {
        return Err(bad(
            "incarnation 0 names no process",
            "choose a random one at each start",
        ));
    }
    reachable("link_address", request.link_address)?;
    if let Some(fills) = request.fills {
        reachable("fills", fills)?;
    }
    if let Some(snapshots) = request.snapshots {
        reachable("snapshots", snapshots)?;
    }
    if let Some(ring) = &request.ring {
        let remedy = "choose another `ring.directory`, or none";
        visible("ring.host", &ring.host, LONGEST_HOST, remedy)?;
        visible("ring.name", &ring.name, LONGEST_RING_NAME, remedy)?;
    }
    if request
        .operations_address
        .as_ref()
        .is_some_and(|text| text.len() > TEXT_LIMIT)
    {
        return Err(bad(
            format!("operations_address is longer than {TEXT_LIMIT} bytes"),
            SHORTEN,
        ));
    }
    let sids = request.streams.iter().map(|stream| stream.sid);
    distinct("streams", sids, limit)?;
    for stream in &request.streams {
        offered(stream, feed)?;
    }
    Ok(())
}

fn offered(stream: &OfferedStream, feed: &FeedSettings) -> Result<(), Problem> {
    let (sid, name) = (stream.sid, &feed.name);
    if !feed.sids.is_empty() && !feed.sids.contains(&sid) {
        let message = format!("feed {name} has no source stream {sid}");
        return Err(bad(
            message,
            "add it to the feed at stream-admin, or correct the adapter",
        ));
    }
    let kind = TransportKind::of(&stream.transport);
    if kind != feed.transport {
        let (kind, wanted) = (kind.word(), feed.transport.word());
        let message = format!("sid {sid} is offered by {kind}, feed {name} is {wanted}");
        return Err(bad(
            message,
            "give adapter and stream-admin the same transport",
        ));
    }
    match &stream.transport {
        Transport::Unicast { source } => reachable("transport.source", *source),
        Transport::Multicast {
            group, interface, ..
        } => {
            if !group.ip().is_multicast() || group.port() == 0 {
                return Err(bad(
                    format!("{group} is no multicast group and port"),
                    "correct it",
                ));
            }
            text(
                "transport.interface",
                interface.as_deref().unwrap_or_default(),
            )
        }
    }
}

pub(super) fn subscription(
    request: &Subscribe,
    feed: &FeedSettings,
    limit: usize,
) -> Result<(), Problem> {
    let application = &request.application;
    if application.is_empty() || application.len() > APPLICATION_LIMIT {
        let message = format!("application must be 1 to {APPLICATION_LIMIT} bytes long");
        return Err(bad(message, "name the application"));
    }
    if let Selection::Only(sids) = &request.sids {
        distinct("sids", sids.iter().copied(), limit)?;
        let unknown = sids
            .iter()
            .find(|sid| !feed.sids.is_empty() && !feed.sids.contains(sid));
        if let Some(sid) = unknown {
            let message = format!("feed {} has no source stream {sid}", feed.name);
            return Err(bad(message, "choose one of its own, or all"));
        }
    }
    if let Some(fills) = request.fills {
        reachable("fills", fills)?;
        if request
            .destinations
            .is_some_and(|legs| legs.contains(&fills))
        {
            let message = "fills are received where a leg is";
            return Err(bad(message, "open a socket for fills alone"));
        }
    }
    match (feed.transport, request.destinations) {
        (TransportKind::Multicast, None) => Ok(()),
        (TransportKind::Unicast, Some([one, two])) => {
            reachable("destinations[0]", one)?;
            reachable("destinations[1]", two)?;
            if one == two {
                let message = "both legs have the same destination";
                return Err(bad(message, "open one socket per leg"));
            }
            Ok(())
        }
        (TransportKind::Unicast, None) => Err(bad(
            format!(
                "feed {} is unicast and the request names no destinations",
                feed.name
            ),
            "name one UDP address per leg on which the application already listens",
        )),
        (TransportKind::Multicast, Some(_)) => Err(bad(
            format!(
                "feed {} is multicast and the request names destinations",
                feed.name
            ),
            "leave them out, and join the groups of the grant",
        )),
    }
}

/// Whether a caller may have datagrams sent to an address: its own, or any loopback one from loopback.
pub(super) fn destination_is_own(destination: IpAddr, caller: IpAddr) -> bool {
    let (destination, caller) = (destination.to_canonical(), caller.to_canonical());
    destination == caller || (destination.is_loopback() && caller.is_loopback())
}

pub(super) fn adapter_report(status: &AdapterStatus, limit: usize) -> Result<(), Problem> {
    distinct(
        "status.streams",
        status.streams.iter().map(|stream| stream.sid),
        limit,
    )?;
    if status.lines.len() > limit.saturating_mul(LINES_PER_STREAM) {
        return Err(bad(
            format!("status.lines is longer than {limit} × 2"),
            SHORTEN,
        ));
    }
    if status.counters.len() > COUNTERS_PER_REPORT {
        return Err(bad(
            format!("status.counters has more than {COUNTERS_PER_REPORT}"),
            SHORTEN,
        ));
    }
    text("status.reason", &status.reason)?;
    status
        .streams
        .iter()
        .try_for_each(|stream| text("status.streams.reason", &stream.reason))
}

pub(super) fn subscriber_report(status: &SubscriptionStatus, limit: usize) -> Result<(), Problem> {
    distinct(
        "status.legs",
        status.legs.iter().map(|leg| Sid(leg.leg.index() as u32)),
        2,
    )?;
    distinct(
        "status.delivered",
        status.delivered.iter().map(|pos| pos.sid),
        limit,
    )?;
    if status.counters.len() > COUNTERS_PER_REPORT {
        return Err(bad(
            format!("status.counters has more than {COUNTERS_PER_REPORT}"),
            SHORTEN,
        ));
    }
    for leg in &status.legs {
        text("status.legs.reason", &leg.reason)?;
        distinct(
            "status.legs.last_pos",
            leg.last_pos.iter().map(|pos| pos.sid),
            limit,
        )?;
    }
    Ok(())
}

/// The key by which an operator's order is known again.
pub(super) fn order_key(key: &str) -> Result<(), Problem> {
    visible("key", key, LONGEST_ORDER_KEY, "give the order such a key")
}

/// Something that is compared, and shown to people.
fn visible(field: &str, text: &str, longest: usize, remedy: &str) -> Result<(), Problem> {
    let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > longest || !graphic {
        return Err(bad(
            format!("{field} {text:?} is not 1 to {longest} visible ASCII characters"),
            remedy,
        ));
    }
    Ok(())
}

pub(super) fn text(field: &str, text: &str) -> Result<(), Problem> {
    if text.len() > TEXT_LIMIT {
        return Err(bad(
            format!("{field} is longer than {TEXT_LIMIT} bytes"),
            SHORTEN,
        ));
    }
    Ok(())
}

fn reachable(field: &str, address: SocketAddr) -> Result<(), Problem> {
    let ip = address.ip();
    if ip.is_unspecified() || ip.is_multicast() || address.port() == 0 {
        let message = format!("{field} {address} cannot be reached by anybody");
        return Err(bad(
            message,
            "give a unicast address and a port other than 0",
        ));
    }
    Ok(())
}

fn distinct(
    field: &str,
    sids: impl ExactSizeIterator<Item = Sid>,
    limit: usize,
) -> Result<(), Problem> {
    let length = sids.len();
    if length > limit {
        return Err(bad(
            format!("{field} has {length} entries, the limit is {limit}"),
            SHORTEN,
        ));
    }
    if sids.collect::<BTreeSet<_>>().len() != length {
        return Err(bad(
            format!("{field} names one of its entries twice"),
            "name each once",
        ));
    }
    Ok(())
}

const SHORTEN: &str = "send less";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_go_to_the_callers_own_address_only() {
        let own = |destination: &str, caller: &str| {
            destination_is_own(destination.parse().unwrap(), caller.parse().unwrap())
        };
        assert!(own("10.0.0.1", "10.0.0.1"));
        assert!(own("10.0.0.1", "::ffff:10.0.0.1"));
        assert!(own("127.0.0.2", "127.0.0.1"));
        assert!(own("127.0.0.1", "::1"));
        assert!(!own("10.0.0.2", "10.0.0.1"));
        assert!(!own("127.0.0.1", "10.0.0.1"));
    }

    #[test]
    fn an_address_that_nobody_reaches_is_refused() {
        for wrong in ["0.0.0.0:1", "127.0.0.1:0", "239.0.0.1:1", "[::]:1"] {
            assert!(reachable("x", wrong.parse().unwrap()).is_err(), "{wrong}");
        }
        assert!(reachable("x", "127.0.0.1:1".parse().unwrap()).is_ok());
    }

    #[test]
    fn a_list_is_refused_one_beyond_its_limit_and_with_a_repetition() {
        let list = |numbers: &[u32]| distinct("x", numbers.iter().map(|n| Sid(*n)), 2);
        assert!(list(&[1, 2]).is_ok());
        assert!(list(&[1, 2, 3]).is_err());
        assert!(list(&[1, 1]).is_err());
    }
}
