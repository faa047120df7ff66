//! What does a grant mean for this adapter's own threads?

use std::net::SocketAddr;

use twinfeed_control::{Assignment, Generation, PendingOrder, Sid, StreamAssignment};
use twinfeed_wire::link::Role;
use xxhash_rust::xxh3::Xxh3;

use crate::config::{Config, ConfigError};
use crate::mailbox::{DestinationPlan, DestinationRow};

/// Everybody to whom this adapter's unicast streams go.
#[must_use]
pub fn destinations(assignment: &Assignment) -> DestinationPlan {
    let mut rows = Vec::new();
    for stream in &assignment.streams {
        let wanted = assignment
            .destinations
            .iter()
            .filter(|to| to.sids.contains(stream.sid));
        rows.extend(wanted.map(|to| DestinationRow {
            sid: twinfeed_wire::Sid(stream.sid.0),
            key: key(to.subscription.as_str(), to.address),
            address: to.address,
        }));
    }
    DestinationPlan { rows }
}

/// What of the `orders` this process is to carry out under its grant, each once: an order may be shown again until
/// its report has arrived. `last`: the ticket of the latest one so far.
pub fn fresh_orders(
    orders: Vec<PendingOrder>,
    (generation, role): (Generation, twinfeed_control::Role),
    last: &mut u64,
) -> Vec<PendingOrder> {
    let ours = role == twinfeed_control::Role::Active;
    let fresh = orders.into_iter().filter(|order| {
        let fresh = ours && order.generation == generation && order.ticket > *last;
        *last = if fresh { order.ticket } else { *last };
        fresh
    });
    fresh.collect()
}

/// The stream number of one source.
#[must_use]
pub fn stream_of(
    assignment: &Assignment,
    sid: twinfeed_wire::Sid,
) -> Option<twinfeed_wire::StreamId> {
    let stream = assignment
        .streams
        .iter()
        .find(|stream| stream.sid == Sid(sid.0))?;
    Some(twinfeed_wire::StreamId(stream.stream_id.0))
}

/// Why streams that are sent under `used` are not what subscribers are told in `granted`, if so. The
/// remedy is a restart: a stream keeps its number for as long as its process lives.
#[must_use]
pub fn outdated_streams(used: &[StreamAssignment], granted: &[StreamAssignment]) -> Option<String> {
    let changed = used.iter().filter_map(|used| {
        let sid = used.sid;
        let now = granted.iter().find(|granted| granted.sid == sid);
        match now.map(|granted| granted.stream_id) {
            Some(id) if id == used.stream_id => None,
            Some(id) => Some(format!(
                "source {sid}: {} in use, {id} granted",
                used.stream_id
            )),
            None => Some(format!(
                "source {sid}: {} in use, none granted",
                used.stream_id
            )),
        }
    });
    let changed: Vec<String> = changed.collect();
    (!changed.is_empty()).then(|| {
        let changed = changed.join("; ");
        format!("stream ids differ from those granted ({changed}); restart this adapter")
    })
}

/// The granted role, in the wire's words.
#[must_use]
pub const fn wire_role(role: twinfeed_control::Role) -> Role {
    match role {
        twinfeed_control::Role::Active => Role::Active,
        twinfeed_control::Role::Backup => Role::Backup,
    }
}

/// A role of the wire, in the control plane's words.
#[must_use]
pub const fn control_role(role: Role) -> twinfeed_control::Role {
    match role {
        Role::Active => twinfeed_control::Role::Active,
        Role::Backup => twinfeed_control::Role::Backup,
    }
}

/// What in a grant contradicts the configuration: worth a warning, since subscribers go by the grant.
#[must_use]
pub fn contradictions(assignment: &Assignment, config: &Config) -> Option<ConfigError> {
    let (granted, ours) = (
        assignment.constraints.max_datagram,
        config.publish.max_datagram,
    );
    (usize::from(granted) < ours).then(|| {
        let fault = format!("{ours} bytes, but stream-admin tells subscribers {granted}");
        ConfigError::new("publish.max_datagram", fault, "make the two equal")
    })
}

/// Another subscription, or the same at another address, is another destination.
fn key(subscription: &str, address: SocketAddr) -> u64 {
    let mut digest = Xxh3::new();
    digest.update(subscription.as_bytes());
    digest.update(b"\0");
    digest.update(address.to_string().as_bytes());
    digest.digest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinfeed_control::StreamId;

    #[test]
    fn an_order_is_carried_out_once_and_by_the_active_of_its_generation_alone() {
        use twinfeed_control::{OrderedMessage, Role};
        let order = |ticket, generation| PendingOrder {
            ticket,
            generation: Generation(generation),
            sid: Sid(1),
            message: OrderedMessage::SourceStale,
        };
        let tickets = |orders: &[PendingOrder], role, last: &mut u64| -> Vec<u64> {
            let fresh = fresh_orders(orders.to_vec(), (Generation(2), role), last);
            fresh.into_iter().map(|order| order.ticket).collect()
        };
        let (shown, mut last) = ([order(3, 1), order(4, 2), order(6, 2)], 0);
        assert!(tickets(&shown, Role::Backup, &mut last).is_empty());
        assert_eq!(tickets(&shown, Role::Active, &mut last), [4, 6]);
        // Shown again, with another one behind.
        assert!(tickets(&shown, Role::Active, &mut last).is_empty());
        let more = [order(6, 2), order(7, 2)];
        assert_eq!(tickets(&more, Role::Active, &mut last), [7]);
    }

    #[test]
    fn other_stream_ids_are_named_both_with_the_remedy() {
        let rows = |rows: &[(u32, u32)]| -> Vec<StreamAssignment> {
            let row = |&(sid, id)| StreamAssignment {
                sid: Sid(sid),
                stream_id: StreamId(id),
            };
            rows.iter().map(row).collect()
        };
        let used = rows(&[(1, 17), (2, 18)]);
        for (granted, said) in [
            (rows(&[(1, 17), (2, 18)]), None),
            (rows(&[(2, 18), (1, 17), (3, 19)]), None),
            (
                rows(&[(1, 17), (2, 5)]),
                Some("source 2: 18 in use, 5 granted"),
            ),
            (rows(&[(1, 17)]), Some("source 2: 18 in use, none granted")),
        ] {
            let outdated = outdated_streams(&used, &granted);
            assert_eq!(outdated.is_some(), said.is_some(), "{granted:?}");
            if let (Some(outdated), Some(said)) = (outdated, said) {
                assert!(outdated.contains(said), "{outdated}");
                assert!(outdated.contains("restart this adapter"), "{outdated}");
            }
        }
    }
}
