//! What do the parties of the control plane say, and what do their files hold?

use std::net::SocketAddr;

use axum::http::Method;
use serde_json::{Value, json};
use twinfeed_feed_adapter::state::Held;
use twinfeed_stream_admin::registry::record::Write;
use twinfeed_stream_admin::store::encode;

use super::given;
use crate::documents::KINDS;
use crate::requests::{Conversation, ROUTES};

/// Who asks what of whom, in order; `{id}` stands in paths as in [`ROUTES`].
fn course() -> Vec<(&'static str, u8, &'static str, Value)> {
    let seat = |role: &str, port: u16| {
        json!({"feed": "itch", "preferred_role": role, "incarnation": format!("{port:016x}"),
            "config_digest": "0000000000000007",
            "streams": [{"sid": 1, "transport": {"kind": "unicast", "source": address(port)}}],
            "link_address": address(port + 1), "operations_address": null, "generation_held": null,
            "unverified": false})
    };
    let report = |role: &str, port: u16, state: &str| {
        json!({"incarnation": format!("{port:016x}"), "status": {
            "generation": 1, "role": role, "sync_threshold": 1000, "transmit": "hot", "link": "up", "reason": "",
            "peer_lost": false, "draining": false, "kernel_drops": 0, "counters": {}, "lines": [],
            "streams": [{"sid": 1, "sending": true, "next_msn": 5, "adm": 0, "complete": true, "data": "good",
                "context_id": "0000000000000004", "reason": "",
                "next_pos": {"sid": 1, "epoch": "0000000000000003", "sseq": 10, "part": 0},
                "pair": {"state": state, "reason": "", "protected": true, "inherited": 0, "waiting": 0, "counters": {}}}]}})
    };
    vec![
        ("/v1/adapters/register", 0, "feeder", seat("active", 9_100)),
        ("/v1/adapters/register", 0, "feeder", seat("backup", 9_200)),
        (
            "/v1/adapters/{id}/renew",
            0,
            "feeder",
            report("active", 9_100, "active"),
        ),
        (
            "/v1/adapters/{id}/renew",
            1,
            "feeder",
            report("backup", 9_200, "synchronised"),
        ),
        (
            "/v1/subscriptions",
            0,
            "desk",
            json!({"feed": "itch", "sids": "all", "application": "a",
                "destinations": [address(7_001), address(7_002)], "policy": "first-arrival"}),
        ),
        (
            "/v1/subscriptions/{id}/confirm",
            65,
            "desk",
            json!({"heard": [0, 1], "silent": []}),
        ),
        (
            "/v1/subscriptions/{id}/renew",
            65,
            "desk",
            json!({"status": {"legs": [{"leg": 0, "state": "live", "data": "good"}], "records": 5}}),
        ),
        (
            "/v1/subscriptions/{id}/receipts",
            65,
            "desk",
            json!({"receipts": [{"number": 1, "from": {"leg": 0, "generation": 1}, "to": {"leg": 1, "generation": 1},
                "trigger": "heartbeat-silence", "duplicates_dropped": 1, "held": 0, "filled": 0, "gaps_left": 0,
                "stall_ns": 5, "at_unix_us": 7}]}),
        ),
        (
            "/v1/orders",
            0,
            "ops",
            json!({"feed": "itch", "sid": 1, "message": {"kind": "operator-notice", "text": "hello"}, "key": "k1"}),
        ),
        (
            "/v1/roles",
            0,
            "ops",
            json!({"feed": "itch", "action": {"kind": "hand-over"}, "key": "k2"}),
        ),
        (
            "/v1/adapters/{id}/takeover",
            1,
            "feeder",
            json!({"incarnation": "00000000000023f0", "from": 1}),
        ),
        (
            "/v1/entitlements/revoke",
            0,
            "ops",
            json!({"feed": "itch", "principal": "desk", "reason": "trial"}),
        ),
        ("/status.json", 0, "ops", Value::Null),
    ]
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// What was asked and what was answered.
fn held() -> Conversation {
    let mut conversation = Conversation::begin();
    for (path, place, principal, body) in course() {
        let method = if body.is_null() {
            Method::GET
        } else {
            Method::POST
        };
        conversation.ask(&method, path, place, principal, &text(&body));
    }
    conversation
}

fn text(value: &Value) -> Vec<u8> {
    if value.is_null() {
        Vec::new()
    } else {
        given(serde_json::to_vec(value))
    }
}

/// Every body and every answer, in front of each the number of a kind that it is.
pub(super) fn documents() -> Vec<Vec<u8>> {
    let asked = course().into_iter().map(|(.., body)| text(&body));
    let all: Vec<Vec<u8>> = asked.chain(held().answers).collect();
    let mut seeds = Vec::new();
    for document in all {
        for (number, _) in (0_u8..).zip(KINDS) {
            if crate::documents::is_read(number, &document) {
                let mut seed = vec![number];
                seed.extend(&document);
                seeds.push(seed);
            }
        }
    }
    seeds
}

/// As [`crate::requests`] reads them.
pub(super) fn requests() -> Vec<Vec<u8>> {
    let mut whole = Vec::new();
    let mut seeds = Vec::new();
    for (path, place, principal, body) in course() {
        let Some(route) = ROUTES.iter().position(|(_, known)| *known == path) else {
            continue;
        };
        let body = text(&body);
        let who = ["ops", "desk", "feeder"]
            .iter()
            .position(|known| *known == principal);
        let mut one = vec![route as u8, who.unwrap_or(3) as u8, place, u8::MAX];
        one.extend((body.len() as u16).to_le_bytes());
        one.extend(body);
        whole.extend(&one);
        seeds.push(one);
    }
    seeds.push(whole);
    let others = ROUTES
        .iter()
        .enumerate()
        .map(|(route, _)| vec![route as u8, 0, 64, 0]);
    seeds.push(others.flatten().collect());
    seeds
}

pub(super) fn answers() -> Vec<Vec<u8>> {
    let mut stream = vec![0, 5];
    stream.extend(
        b": hi\n\nid: 1\ndata: {\"a\":1}\n\nevent: x\r\ndata:two\r\ndata: lines\r\n\r\ndata: half",
    );
    let problem = json!({"code": "undecided", "message": "m", "remedy": "r", "retry_in_ms": 5});
    let mut refusal = vec![1, 109, 0];
    refusal.extend(text(&problem));
    let mut bare = vec![1, 200, 0];
    bare.extend(b"<html>");
    vec![stream, refusal, bare]
}

/// As [`crate::store`] reads them.
pub(super) fn rows() -> Vec<Vec<u8>> {
    let mut file = b"format=1\n".to_vec();
    for record in held().records() {
        let row = given(encode(&Write::Put(record)));
        file.extend(row.key.bytes());
        file.push(b'=');
        file.extend(row.value.unwrap_or_default());
        file.push(b'\n');
    }
    vec![file]
}

/// As [`crate::saved`] reads them.
pub(super) fn saved() -> Vec<Vec<u8>> {
    let answers = held().answers;
    let document = |place: usize| -> Value { given(serde_json::from_slice(&answers[place])) };
    let adapter = json!({"feed": "itch", "preferred_role": "active", "assignment": document(0)});
    let held: Held = given(serde_json::from_value(adapter.clone()));
    let subscriber =
        json!({"version": 1, "destinations": [address(1), address(2)], "grant": document(4)});
    let mut seeds = vec![vec![0], vec![1], vec![2]];
    seeds[0].extend(given(held.text()).bytes());
    seeds[1].extend(text(&adapter));
    seeds[2].extend(text(&subscriber));
    seeds
}

/// As [`crate::configuration`] reads them: what is shipped.
pub(super) fn configurations() -> Vec<Vec<u8>> {
    let shipped = [
        include_str!("../../../../deploy/feed.toml"),
        include_str!("../../../../deploy/stream-admin.toml"),
        include_str!("../../../../deploy/subscriber.toml"),
        include_str!("../../../../deploy/exchange.toml"),
    ];
    let bare = |text: &str| -> String {
        let lines = text
            .lines()
            .map(|line| line.split(" #").next().unwrap_or(line).trim());
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let seed = |(program, text): (u8, &str)| {
        let mut seed = vec![program];
        seed.extend(bare(text).bytes());
        seed
    };
    (0..).zip(shipped).map(seed).collect()
}

pub(super) fn words() -> Vec<Vec<u8>> {
    let words: &[(u8, &str)] = &[
        (0, "10ms"),
        (0, "50 µs"),
        (1, "2s"),
        (2, "2019-12-30"),
        (3, "17:30 America/New_York"),
        (4, "backoff"),
        (4, "spin"),
        (5, "itch"),
        (6, "itch.active"),
        (7, "s18"),
        (8, "00000000deadbeef"),
        (9, "cut 3 A"),
        (10, "%7"),
        (10, "127.0.0.1"),
        (11, "2x"),
        (12, "B"),
        (13, "500us"),
    ];
    let seed = |(kind, word): &(u8, &str)| {
        let mut seed = vec![*kind];
        seed.extend(word.bytes());
        seed
    };
    words.iter().map(seed).collect()
}
