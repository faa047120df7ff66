//! Values that several test modules of this crate need.

use twinfeed_control::{
    Constraints, DeliveryClass, Generation, Grant, GrantedLeg, GrantedStream, LegIndex, LegState,
    Role, Sid, StreamId, SubscriptionState, TransmitMode, Transport,
};
use twinfeed_net::interface::Selector;

use crate::receive::SocketSettings;

pub(crate) fn socket_settings() -> SocketSettings {
    SocketSettings {
        interface: Selector::Address("127.0.0.1".parse().unwrap()),
        receive_buffer: 65_536,
        max_datagram: 1_472,
        strict_buffer: false,
    }
}

pub(crate) fn constraints() -> Constraints {
    Constraints {
        sources: Vec::new(),
        delivery: DeliveryClass::ExactlyOnce,
        heartbeat_us: 10_000,
        missed_heartbeats: 3,
        sync_threshold: 64,
        lag_messages: None,
        lag_us: None,
        reorder_hold_us: Some(1_500),
        reorder_hold_bytes: 1 << 20,
        max_datagram: 1_472,
        transmit: TransmitMode::Hot,
    }
}

/// Both legs of feed `itch` with source stream 1, streams 10 and 11, unicast from 127.0.0.1.
pub(crate) fn grant() -> Grant {
    let leg = |leg: LegIndex, role: Role, word: &str| GrantedLeg {
        leg,
        preferred_role: role,
        role: Some(role),
        adapter: format!("itch.{word}").parse().unwrap(),
        incarnation: None,
        streams: vec![GrantedStream {
            sid: Sid(1),
            stream_id: StreamId(10 + leg.index() as u32),
            transport: Transport::Unicast {
                source: "127.0.0.1:9".parse().unwrap(),
            },
        }],
        fills: None,
        snapshots: None,
        ring: None,
        state: LegState::Live,
        reason: String::new(),
    };
    Grant {
        subscription: "s1".parse().unwrap(),
        feed: "itch".parse().unwrap(),
        access: SubscriptionState::Open,
        generation: Generation(1),
        legs: vec![
            leg(LegIndex::ACTIVE, Role::Active, "active"),
            leg(LegIndex::BACKUP, Role::Backup, "backup"),
        ],
        constraints: constraints(),
        lease_ms: 3_000,
        revision: 1,
    }
}
