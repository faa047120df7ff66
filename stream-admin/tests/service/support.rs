//! A server in this process, and callers of every kind.
#![allow(
    clippy::unwrap_used,
    reason = "a server that does not start fails the test that wanted it"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use twinfeed_control::{
    AdapterStatus, Assignment, Client, ConfigDigest, ContextId, DataState, Epoch, FeedName,
    Generation, Incarnation, LinkState, OfferedStream, PairState, Policy, Pos, Register, Renew,
    Role, Secret, Selection, Sid, StreamPair, StreamStatus, Subscribe, TransmitMode, Transport,
};
use twinfeed_stream_admin::Running;
use twinfeed_stream_admin::config::{Config, TokenHash};
use twinfeed_stream_admin::store::{MemoryStore, Store};

/// A running server; its store can be handed to the next one.
pub(crate) struct Server {
    runtime: Runtime,
    running: Option<Running>,
    pub(crate) address: SocketAddr,
    pub(crate) store: MemoryStore,
}

/// Tokens are the names of their principals with `-token` behind.
pub(crate) fn config(extra: &str) -> Config {
    let principal = |name: &str, kind: &str, feeds: &str| {
        let hash: String = hex(TokenHash::of(&format!("{name}-token")).0);
        format!(
            "[[principal]]\nname = \"{name}\"\nkind = \"{kind}\"\nfeeds = {feeds}\n\
             token_sha256 = \"{hash}\"\n"
        )
    };
    let text = [
        "listen = \"127.0.0.1:0\"\nstate = \"memory\"\n".to_owned(),
        extra.to_owned(),
        principal("desk", "subscriber", "[\"itch\"]"),
        principal("stranger", "subscriber", "[]"),
        principal("feeder", "adapter", "\"all\""),
        principal("ops", "operator", "[]"),
        "[[feed]]\nname = \"itch\"\n[[feed]]\nname = \"other\"\n".to_owned(),
    ];
    let mut config = Config::parse(&text.concat()).unwrap();
    // An address of its own: nobody's call takes the port while a server that restarts is away.
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let own = Ipv4Addr::new(127, 1, 0, NEXT.fetch_add(1, Ordering::Relaxed));
    config.listen.set_ip(IpAddr::V4(own));
    config
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&config(""), MemoryStore::default())
    }

    pub(crate) fn with(config: &Config, store: MemoryStore) -> Self {
        let runtime = Runtime::new().unwrap();
        let start = || {
            let boxed: Box<dyn Store> = Box::new(store.clone());
            runtime.block_on(Running::start_with(config.clone(), boxed))
        };
        // A restart wants its port again, which another test's socket may have been given meanwhile.
        let deadline = Instant::now() + Duration::from_secs(20);
        let running = loop {
            match start() {
                Ok(running) => break running,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let address = running.address();
        Self {
            runtime,
            running: Some(running),
            address,
            store,
        }
    }

    pub(crate) fn client(&self, principal: &str) -> Client {
        self.client_with(&format!("{principal}-token"))
    }

    pub(crate) fn client_with(&self, token: &str) -> Client {
        let builder = Client::builder(format!("http://{}", self.address));
        builder.token(Secret::new(token).unwrap()).build().unwrap()
    }

    /// Ends gracefully; the same configuration and store start the next one.
    pub(crate) fn restart(mut self) -> Self {
        self.stop();
        let mut config = config("");
        config.listen = self.address;
        Self::with(&config, self.store.clone())
    }

    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) fn feed() -> FeedName {
    "itch".parse().unwrap()
}

pub(crate) fn offer(preferred_role: Role, incarnation: u64) -> Register {
    let port = if preferred_role == Role::Active {
        9_100
    } else {
        9_200
    };
    Register {
        feed: feed(),
        preferred_role,
        incarnation: Incarnation(incarnation),
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
    }
}

pub(crate) fn wish(port: u16) -> Subscribe {
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    Subscribe {
        feed: feed(),
        sids: Selection::All,
        application: "test".to_owned(),
        destinations: Some([address(port), address(port + 1)]),
        fills: None,
        policy: Policy::FirstArrival,
    }
}

/// A report with which two adapters are protected.
pub(crate) fn report(incarnation: u64, generation: Generation, role: Role) -> Renew {
    let stream = StreamStatus {
        sid: Sid(1),
        sending: true,
        standby: false,
        suspicion: String::new(),
        next_msn: 5,
        next_pos: Pos {
            sid: Sid(1),
            epoch: Epoch(3),
            sseq: 10,
            part: 0,
        },
        adm: 0,
        context_id: ContextId(4),
        complete: true,
        data: DataState::Good,
        reason: String::new(),
        pair: StreamPair {
            state: match role {
                Role::Active => PairState::Active,
                Role::Backup => PairState::Synchronised,
            },
            protected: true,
            ..StreamPair::default()
        },
    };
    Renew {
        incarnation: Incarnation(incarnation),
        status: AdapterStatus {
            generation,
            role,
            sync_threshold: twinfeed_control::DEFAULT_SYNC_THRESHOLD,
            transmit: TransmitMode::Hot,
            link: LinkState::Up,
            reason: String::new(),
            peer_lost: false,
            draining: false,
            streams: vec![stream],
            lines: Vec::new(),
            kernel_drops: 0,
            counters: std::collections::BTreeMap::new(),
        },
    }
}

pub(crate) fn renew(client: &Client, assignment: &Assignment) {
    let incarnation = assignment.incarnation.0;
    let request = report(incarnation, assignment.generation, assignment.role);
    client.renew(&assignment.adapter, &request).unwrap();
}

/// Answer of a path, without the typed client in between.
pub(crate) fn raw(server: &Server, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(10)))
        .build();
    let agent = ureq::Agent::new_with_config(config);
    let mut request = agent.get(format!("http://{}{path}", server.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut answer = request.call().unwrap();
    (
        answer.status().as_u16(),
        answer.body_mut().read_to_string().unwrap(),
    )
}
