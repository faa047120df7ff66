//! What does an adapter that sits in its seat make of stream-admin's answers?
#![allow(clippy::unwrap_used, reason = "a test's helpers panic as its tests do")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam::channel::{Receiver, unbounded};
use serde_json::{Value, json};
use twinfeed_control::{
    AdapterStatus, Assignment, Client, Generation, LinkState, Register, Role, Sid, StopFlag,
};
use twinfeed_feed_adapter::changes::changes;
use twinfeed_feed_adapter::registration::{Learnt, Seat, Verdict};

/// How long a piece of news may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers to renewals and registrations in their order; the last one of each is repeated.
#[derive(Default)]
struct Script {
    renew: Vec<(u16, Value)>,
    register: Vec<(u16, Value)>,
    watches: usize,
}

fn refusal(status: u16, code: &str, message: &str) -> (u16, Value) {
    (
        status,
        json!({"code": code, "message": message, "remedy": "mend it"}),
    )
}

fn renewed() -> (u16, Value) {
    let body = json!({"lease_ms": 15, "generation": 1, "role": "active", "revision": 1});
    (200, body)
}

fn assignment(revision: u64) -> Value {
    json!({"adapter": "f.active", "incarnation": "7", "generation": 1, "role": "active",
        "lease_ms": 15, "streams": [{"sid": 1, "stream_id": 17}], "destinations": [],
        "constraints": {"sources": [], "delivery": "exactly-once", "heartbeat_us": 10000,
            "missed_heartbeats": 3, "sync_threshold": 20000, "lag_messages": null, "lag_us": null,
            "reorder_hold_us": null, "reorder_hold_bytes": 1, "max_datagram": 1472},
        "revision": revision})
}

fn serve(script: Script) -> (SocketAddr, Arc<Mutex<Script>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = Arc::new(Mutex::new(script));
    let shared = script.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap(), &shared);
        }
    });
    (address, script)
}

fn answer(mut stream: TcpStream, script: &Mutex<Script>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut length) = (String::new(), 0);
    if reader.read_line(&mut line).is_err() {
        return;
    }
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap_or(0) <= 2 {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let _ = reader.read_exact(&mut vec![0; length]);
    let mut script = script.lock().unwrap();
    let next = |answers: &mut Vec<(u16, Value)>| match answers.len() {
        0 => refusal(503, "unavailable", "no answer is scripted"),
        1 => answers[0].clone(),
        _ => answers.remove(0),
    };
    let (status, body) = match line.split(' ').nth(1).unwrap_or_default() {
        path if path.ends_with("/renew") => next(&mut script.renew),
        path if path.ends_with("/register") => next(&mut script.register),
        _ => {
            script.watches += 1;
            refusal(401, "unauthenticated", "nobody's token")
        }
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all((head + &body).as_bytes());
}

fn keep(address: SocketAddr) -> (Receiver<Learnt>, StopFlag) {
    let seated: Assignment = serde_json::from_value(assignment(5)).unwrap();
    assert_eq!(seated.streams[0].sid, Sid(1));
    keep_from(address, Some(seated))
}

/// Keeps the seat; without `seated`, as a process does that resumed alone.
fn keep_from(address: SocketAddr, seated: Option<Assignment>) -> (Receiver<Learnt>, StopFlag) {
    keep_saying(address, seated, status)
}

fn keep_saying(
    address: SocketAddr,
    seated: Option<Assignment>,
    status: impl Fn() -> AdapterStatus + Send + 'static,
) -> (Receiver<Learnt>, StopFlag) {
    let client = Client::builder(format!("http://{address}"))
        .build()
        .unwrap();
    let request = Register {
        feed: "f".parse().unwrap(),
        preferred_role: Role::Active,
        incarnation: twinfeed_control::Incarnation(7),
        config_digest: twinfeed_control::ConfigDigest(1),
        streams: Vec::new(),
        link_address: address,
        operations_address: None,
        fills: None,
        snapshots: None,
        ring: None,
        generation_held: None,
        unverified: false,
    };
    let (learning, learnt) = unbounded();
    let stop = StopFlag::new();
    Seat::new(client, request)
        .keep(seated, status, stop.clone(), (learning, changes().0))
        .unwrap();
    (learnt, stop)
}

fn status() -> AdapterStatus {
    AdapterStatus {
        transmit: twinfeed_control::TransmitMode::Hot,
        generation: Generation(1),
        role: Role::Active,
        sync_threshold: 1,
        link: LinkState::Connecting,
        reason: String::new(),
        peer_lost: false,
        draining: false,
        kernel_drops: 0,
        streams: Vec::new(),
        lines: Vec::new(),
        counters: Default::default(),
    }
}

/// The next news other than a renewal, in a word or two.
fn next(learnt: &Receiver<Learnt>) -> String {
    loop {
        match learnt.recv_timeout(PATIENCE).unwrap() {
            Learnt::Renewed(..) | Learnt::Changed(_) => {}
            Learnt::Registered { forgotten, .. } => return format!("registered {forgotten}"),
            Learnt::Lost(error) => return format!("lost {error}"),
            Learnt::Found => return "found".to_owned(),
            Learnt::Replaced(error) => return format!("replaced {error}"),
            Learnt::Mismatched(error) => return format!("mismatched {error}"),
        }
    }
}

#[test]
fn refusals_are_told_once_per_reason_and_waited_out_and_only_a_replacement_ends() {
    let feed = || refusal(404, "unknown-feed", "no feed f");
    let token = || refusal(401, "unauthenticated", "nobody's token");
    let script = Script {
        renew: vec![
            renewed(),
            feed(),
            token(),
            feed(),
            token(),
            refusal(400, "bad-request", "what?"),
            (200, json!("another version")),
            renewed(),
            feed(),
            refusal(404, "unknown-id", "who?"),
            refusal(409, "conflict", "incarnation 7 was replaced"),
        ],
        register: vec![
            refusal(403, "not-entitled", "not yours"),
            refusal(403, "not-entitled", "not yours"),
            refusal(422, "implausible", "generation 4000000000?"),
            (200, assignment(1)),
        ],
        watches: 0,
    };
    let (address, script) = serve(script);
    let (learnt, _stop) = keep(address);
    assert_eq!(next(&learnt), "lost no feed f; mend it");
    assert_eq!(next(&learnt), "lost nobody's token; mend it");
    assert!(next(&learnt).contains("what?"));
    assert!(next(&learnt).contains("something else than stream-admin"));
    assert_eq!(next(&learnt), "found");
    assert_eq!(next(&learnt), "lost no feed f; mend it");
    assert_eq!(next(&learnt), "lost not yours; mend it");
    assert_eq!(next(&learnt), "lost generation 4000000000?; mend it");
    assert_eq!(next(&learnt), "found");
    assert_eq!(next(&learnt), "registered true");
    assert_eq!(
        next(&learnt),
        "replaced incarnation 7 was replaced; mend it"
    );
    let rest: Vec<_> = learnt.iter().collect();
    assert!(rest.is_empty(), "every thread has ended: {rest:?}");
    assert!(script.lock().unwrap().watches >= 2, "it is watched again");
}

/// What it says of its one source: silent from the second time on that it is asked.
fn falls_silent() -> impl Fn() -> AdapterStatus + Send + 'static {
    let asked = AtomicU32::new(0);
    move || {
        let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        let stream = json!({"sid": 1, "sending": true, "next_msn": 5, "context_id": "4",
            "next_pos": {"sid": 1, "epoch": "3", "sseq": 10, "part": 0}, "complete": true,
            "data": if first { "good" } else { "stale" }});
        AdapterStatus {
            streams: vec![serde_json::from_value(stream).unwrap()],
            ..status()
        }
    }
}

#[test]
fn a_source_that_falls_silent_is_reported_long_before_the_lease_is_to_be_renewed() {
    let (address, _) = serve(Script {
        renew: vec![renewed()],
        ..Script::default()
    });
    let mut seated = assignment(1);
    // A third of it is many times the test's patience.
    seated["lease_ms"] = json!(3_600_000);
    let seated = serde_json::from_value(seated).unwrap();
    let (learnt, stop) = keep_saying(address, Some(seated), falls_silent());
    let renewed = std::iter::from_fn(|| learnt.recv_timeout(PATIENCE).ok());
    let mut renewed = renewed.filter(|news| matches!(news, Learnt::Renewed(..)));
    assert!(renewed.next().is_some());
    stop.stop();
}

fn undecided() -> (u16, Value) {
    let (status, mut body) = refusal(503, "undecided", "not known yet");
    body["retry_in_ms"] = json!(100);
    (status, body)
}

fn mismatch() -> (u16, Value) {
    refusal(409, "config-mismatch", "digest 1, but the peer has 2")
}

#[test]
fn who_sat_before_goes_on_when_its_peer_converts_differently() {
    let script = Script {
        renew: vec![refusal(404, "unknown-id", "who?"), renewed()],
        register: vec![mismatch(), mismatch(), (200, assignment(1))],
        watches: 0,
    };
    let (learnt, _stop) = keep(serve(script).0);
    assert_eq!(next(&learnt), "lost digest 1, but the peer has 2; mend it");
    assert_eq!(next(&learnt), "found");
    assert_eq!(next(&learnt), "registered true");
}

#[test]
fn who_resumed_alone_ends_when_its_peer_converts_differently_and_goes_on_once_it_sat() {
    let (address, _) = serve(Script {
        register: vec![undecided(), mismatch()],
        ..Script::default()
    });
    let (learnt, _stop) = keep_from(address, None);
    assert_eq!(
        next(&learnt),
        "mismatched digest 1, but the peer has 2; mend it"
    );
    assert!(learnt.iter().next().is_none(), "its thread has ended");

    let (address, _) = serve(Script {
        renew: vec![refusal(404, "unknown-id", "who?")],
        register: vec![(200, assignment(1)), mismatch()],
        watches: 0,
    });
    let (learnt, _stop) = keep_from(address, None);
    assert_eq!(next(&learnt), "found");
    assert_eq!(next(&learnt), "registered false");
    assert_eq!(next(&learnt), "lost digest 1, but the peer has 2; mend it");
}

#[test]
fn every_answer_has_its_verdict() {
    use twinfeed_control::Error;
    let (message, remedy) = (String::new(), String::new());
    let with = |make: fn(String, String) -> Error| make(message.clone(), remedy.clone());
    let table = [
        (
            with(|message, remedy| Error::UnknownId { message, remedy }),
            Verdict::Forgotten,
        ),
        (
            with(|message, remedy| Error::Conflict { message, remedy }),
            Verdict::Replaced,
        ),
        (
            with(|message, remedy| Error::ConfigMismatch { message, remedy }),
            Verdict::GoOn,
        ),
        (
            with(|message, remedy| Error::Undecided {
                message,
                remedy,
                retry_in: Duration::ZERO,
            }),
            Verdict::GoOn,
        ),
        (
            with(|message, remedy| Error::Implausible { message, remedy }),
            Verdict::GoOn,
        ),
        (
            with(|message, remedy| Error::UnknownFeed { message, remedy }),
            Verdict::GoOn,
        ),
        (
            with(|message, remedy| Error::Unauthenticated { message, remedy }),
            Verdict::GoOn,
        ),
        (
            with(|message, remedy| Error::NotEntitled { message, remedy }),
            Verdict::GoOn,
        ),
        (
            with(|message, remedy| Error::LimitReached { message, remedy }),
            Verdict::GoOn,
        ),
        (
            with(|url, cause| Error::Unreachable { url, cause }),
            Verdict::GoOn,
        ),
        (
            with(|url, cause| Error::Answer { url, cause }),
            Verdict::GoOn,
        ),
    ];
    for (error, verdict) in table {
        assert_eq!(Verdict::of(&error), verdict, "{error:?}");
    }
}
