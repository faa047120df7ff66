//! The control half against stream-admin itself, in this process.
#![allow(clippy::unwrap_used, reason = "a scene that cannot be set fails")]

mod support;

use std::fmt::Write;
use std::net::SocketAddr;

use support::{Diary, LegDouble, poll_until};
use tokio::runtime::Runtime;
use twinfeed_control::{
    Client, ConfigDigest, EntitlementChange, FeedName, Incarnation, LegIndex, OfferedStream,
    Register, Role, Sid, SubscriptionView, Transport,
};
use twinfeed_stream_admin::Running;
use twinfeed_stream_admin::config::{Config, TokenHash};
use twinfeed_stream_admin::store::MemoryStore;
use twinfeed_subscriber::{Builder, CloseReason, Event, Secret, StopFlag};

/// A running stream-admin; tokens are the names of their principals with `-token` behind.
struct Server {
    runtime: Runtime,
    running: Option<Running>,
    url: String,
}

impl Server {
    fn start() -> Self {
        let mut text = "listen = \"127.0.0.1:0\"\nstate = \"memory\"\n".to_owned();
        for (name, kind, feeds) in [
            ("desk", "subscriber", "[\"itch\", \"groups\"]"),
            ("feeder", "adapter", "\"all\""),
            ("ops", "operator", "[]"),
        ] {
            let TokenHash(hash) = TokenHash::of(&format!("{name}-token"));
            let hash = hash.iter().fold(String::new(), |mut text, byte| {
                write!(text, "{byte:02x}").unwrap();
                text
            });
            write!(
                text,
                "[[principal]]\nname = \"{name}\"\nkind = \"{kind}\"\nfeeds = {feeds}\n\
                 token_sha256 = \"{hash}\"\n"
            )
            .unwrap();
        }
        text += "[[feed]]\nname = \"itch\"\n";
        text += "[[feed]]\nname = \"groups\"\ntransport = \"multicast\"\n";
        let runtime = Runtime::new().unwrap();
        let config = Config::parse(&text).unwrap();
        let store = Box::new(MemoryStore::default());
        let running = runtime
            .block_on(Running::start_with(config, store))
            .unwrap();
        Self {
            url: format!("http://{}", running.address()),
            runtime,
            running: Some(running),
        }
    }

    fn client(&self, principal: &str) -> Client {
        let token = Secret::new(format!("{principal}-token")).unwrap();
        Client::builder(&self.url).token(token).build().unwrap()
    }

    fn builder(&self, feed: &str) -> Builder {
        Builder::new(&self.url, feed.parse().unwrap()).token(Secret::new("desk-token").unwrap())
    }

    /// Takes an adapter's seat and returns the number of its stream.
    fn register(&self, preferred_role: Role) -> u32 {
        let port = match preferred_role {
            Role::Active => 9_100,
            Role::Backup => 9_200,
        };
        let request = Register {
            feed: feed(),
            preferred_role,
            incarnation: Incarnation(u64::from(port)),
            config_digest: ConfigDigest(7),
            streams: vec![OfferedStream {
                sid: Sid(1),
                transport: Transport::Unicast {
                    source: SocketAddr::from(([127, 0, 0, 1], port)),
                },
            }],
            link_address: SocketAddr::from(([127, 0, 0, 1], port + 1)),
            operations_address: None,
            fills: None,
            snapshots: None,
            ring: None,
            generation_held: None,
            unverified: false,
        };
        let assignment = self.client("feeder").register(&request).unwrap();
        assignment.streams[0].stream_id.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }
}

fn feed() -> FeedName {
    "itch".parse().unwrap()
}

#[test]
fn a_subscription_lives_from_the_grant_to_its_withdrawal() {
    let server = Server::start();
    let first = server.register(Role::Active);
    let mut diary = Diary::default();
    let (mut poller, control) = server.builder("itch").open().unwrap();
    let [to_zero, to_one] = control.destinations();
    let _control = control.spawn().unwrap();
    poll_until(&mut poller, &mut diary, |poller, _| {
        poller.sockets().count() == 1
    });
    // The other adapter comes later, and its leg with it.
    let second = server.register(Role::Backup);
    poll_until(&mut poller, &mut diary, |poller, _| {
        poller.sockets().count() == 2
    });
    let mut legs = [
        LegDouble::new(0, to_zero).with_stream(first),
        LegDouble::new(1, to_one).with_stream(second),
    ];
    for leg in &mut legs {
        leg.begin();
        leg.send(1..4);
    }
    poll_until(&mut poller, &mut diary, |_, diary| diary.records.len() == 3);
    // The active falls silent.
    legs[0].beat_with(4, Default::default(), 1_000);
    poll_until(&mut poller, &mut diary, |_, diary| {
        diary.count(|event| matches!(event, Event::Switched(_))) > 0
    });
    let operator = server.client("ops");
    // Legs that are heard, and the switch, become known while the application polls on.
    poll_until(&mut poller, &mut diary, |_, _| {
        let status = operator.status().unwrap();
        let itch = &status.feeds[0];
        let heard = |one: &SubscriptionView| one.heard == LegIndex::BOTH;
        itch.subscriptions.iter().any(heard) && itch.receipts.len() == 1
    });
    let change = EntitlementChange {
        principal: "desk".to_owned(),
        feed: feed(),
        reason: "contract ended".to_owned(),
    };
    operator.revoke(&change).unwrap();
    poll_until(&mut poller, &mut diary, |poller, _| poller.is_closed());
    let reason = CloseReason::Revoked;
    assert_eq!(diary.events.last(), Some(&Event::Closed { reason }));
    assert_eq!(diary.records, [1, 2, 3]);
}

#[test]
fn refusals_say_what_stream_admin_says() {
    let server = Server::start();
    let stop = StopFlag::new();
    let wrong = [
        (server.builder("nosuch"), 78),
        (
            server.builder("itch").token(Secret::new("nobody").unwrap()),
            77,
        ),
    ];
    for (builder, exit_code) in wrong {
        let (_poller, mut control) = builder.open().unwrap();
        let error = control.subscribe(&stop).unwrap_err();
        assert_eq!(error.exit_code(), exit_code, "{error}");
    }
}

#[test]
fn a_multicast_feed_is_granted_without_addresses() {
    let server = Server::start();
    let (_poller, mut control) = server.builder("groups").open().unwrap();
    assert!(control.subscribe(&StopFlag::new()).unwrap());
}
