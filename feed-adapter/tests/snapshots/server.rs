//! Over a real socket: who is given a snapshot, who is refused, and who is hung up on.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use twinfeed_control::{Assignment, StopFlag, StreamAssignment};
use twinfeed_feed_adapter::Role;
use twinfeed_feed_adapter::config::{Config, Overrides};
use twinfeed_feed_adapter::snapshots::{BoundSnapshots, Giver, Lacking, SnapshotCounters};
use twinfeed_feed_adapter::tap::Tap;
use twinfeed_wire::record::MboMsg;
use twinfeed_wire::snapshot::{
    FRAME_HEADER_LENGTH, LONGEST_FRAME, NotBefore, Reason, Request, Snapshot, frame_length,
};
use twinfeed_wire::{Adm, ContextId, Epoch, Sid, StreamId};

use super::stream::{SID, STREAM, Stream, add};
use super::taker::{Taken, assert_same, take};

/// An adapter's two threads, and the data thread's end.
pub(crate) struct Rig {
    server: SocketAddr,
    pub(crate) giver: Giver,
    tap: Tap,
    stop: StopFlag,
    pub(crate) stream: Stream,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

impl Rig {
    /// From the beginning of an epoch.
    fn new(settings: &str) -> Self {
        let rig = Self::another(settings, Stream::new());
        rig.tap.keep(&rig.stream.heartbeat());
        rig
    }

    /// From where the stream stands.
    fn another(settings: &str, stream: Stream) -> Self {
        Self::beside(("", ""), settings, stream)
    }

    /// Whose line B has this server besides, as it is configured there and in a table.
    pub(crate) fn beside((at, table): (&str, &str), settings: &str, stream: Stream) -> Self {
        let text = format!(
            r#"
feed = "rig"
format = "itch50"
trading_day = "2019-12-30"
publisher_id = 2
max_open_orders = 1000000
[[source]]
sid = 1
type = "moldudp64"
line.A = {{ address = "127.0.0.1:0", source = "127.0.0.1" }}
line.B = {{ address = "127.0.0.1:0", source = "127.0.0.1"{at} }}
{table}
[snapshots]
{settings}
[stream_admin]
url = "http://127.0.0.1:1"
"#
        );
        let config = Config::parse(Role::Active, &text, &Overrides::default()).unwrap();
        let bound = BoundSnapshots::bind(&config).unwrap().unwrap();
        let (server, stop) = (bound.address(), StopFlag::new());
        let streams = [StreamAssignment {
            sid: twinfeed_control::Sid(SID.0),
            stream_id: twinfeed_control::StreamId(STREAM.0),
        }];
        let (giver, tap) = bound.start(&config, &streams, &stop).unwrap();
        giver.granted(&assignment());
        Self {
            server,
            giver,
            tap,
            stop,
            stream,
        }
    }

    pub(crate) fn tell(&mut self, record: &MboMsg) {
        self.stream.dbn(0, record);
        let bytes = self.stream.datagram();
        self.tap.keep(&bytes);
    }

    /// So many orders in ten books, followed.
    fn fill(&mut self, orders: u64) {
        for first in (0..orders).step_by(16) {
            for id in first..orders.min(first + 16) {
                let mut record = add((id % 10) as u32, id);
                record.price = (id as i64 % 1_000).into();
                self.stream.dbn(0, &record);
            }
            let bytes = self.stream.datagram();
            self.tap.keep(&bytes);
            if first % 16_000 == 0 {
                self.until(|of| of.follower.orders >= first);
            }
        }
        self.until(|of| of.follower.orders == orders);
        assert_eq!(self.giver.counters().follower.dropped, 0);
    }

    pub(crate) fn until(&self, holds: impl Fn(&SnapshotCounters) -> bool) -> SnapshotCounters {
        loop {
            let counters = self.giver.counters();
            if holds(&counters) {
                return counters;
            }
            std::thread::yield_now();
        }
    }

    fn request(&self) -> Request {
        Request {
            sid: SID,
            stream: STREAM,
            request: 9,
            fills: "127.0.0.1:4001".parse().unwrap(),
            not_before: NotBefore {
                epoch: self.stream.header.epoch,
                sseq: 1,
                part: 0,
                adm: Adm(0),
            },
            context: self.stream.header.context,
        }
    }

    /// One that was made for somebody before is not new enough.
    pub(crate) fn request_from_here(&self) -> Request {
        let mut request = self.request();
        request.not_before.sseq = self.stream.sseq + 1;
        request
    }

    pub(crate) fn ask(&self, request: &Request) -> TcpStream {
        let mut socket = TcpStream::connect(self.server).unwrap();
        say(&mut socket, request);
        socket
    }
}

fn assignment() -> Assignment {
    let json = serde_json::json!({
        "adapter": "rig.active", "incarnation": "7", "generation": 1, "role": "active",
        "lease_ms": 1000, "streams": [], "destinations": [], "revision": 1,
        "constraints": {"sources": [], "delivery": "exactly-once", "heartbeat_us": 10_000,
            "missed_heartbeats": 3, "sync_threshold": 20_000, "lag_messages": null, "lag_us": null,
            "reorder_hold_us": null, "reorder_hold_bytes": 1, "max_datagram": 1_472},
        "fill_clients": [
            {"subscription": "s1", "sids": "all", "address": "127.0.0.1:4001"},
            {"subscription": "s2", "sids": {"only": [2]}, "address": "127.0.0.1:4002"},
            {"subscription": "s3", "sids": "all", "address": "127.0.0.2:4003"},
            {"subscription": "s4", "sids": "all", "address": "127.0.0.1:4004"},
        ],
    });
    serde_json::from_value(json).unwrap()
}

fn say(socket: &mut TcpStream, request: &Request) {
    let mut frame = vec![0; LONGEST_FRAME];
    let length = Snapshot::Request(*request).emit(&mut frame);
    socket.write_all(&frame[..length]).unwrap();
}

/// Everything up to the end of one answer; `Err`: the reason of a refusal.
pub(crate) fn answer(socket: &mut TcpStream) -> Result<Taken, Reason> {
    let mut all = Vec::new();
    loop {
        let mut header = [0; FRAME_HEADER_LENGTH];
        socket.read_exact(&mut header).unwrap();
        let mut frame = header.to_vec();
        frame.resize(frame_length(&header).unwrap(), 0);
        socket
            .read_exact(&mut frame[FRAME_HEADER_LENGTH..])
            .unwrap();
        match Snapshot::parse(&frame).unwrap() {
            Snapshot::Refused(refused) => {
                assert_eq!(refused.request, 9);
                return Err(refused.reason);
            }
            Snapshot::End(_) => {
                all.extend(frame);
                return Ok(take(&all));
            }
            _ => all.extend(frame),
        }
    }
}

#[test]
fn who_may_ask_is_told_what_there_is_and_asks_again_on_the_same_connection() {
    let mut rig = Rig::new("turn = 7");
    rig.fill(100);
    let mut socket = rig.ask(&rig.request());
    let first = answer(&mut socket).unwrap();
    assert_eq!((first.end.orders, first.end.instruments), (100, 10));
    assert_eq!(first.end.cursor.next.sseq, 101);
    // From a place that was not reached yet: as soon as it is.
    let mut request = rig.request();
    request.not_before.sseq = 103;
    say(&mut socket, &request);
    rig.until(|of| of.follower.waiting == 1);
    rig.tell(&add(3, 5_000));
    rig.tell(&add(3, 5_001));
    let second = answer(&mut socket).unwrap();
    assert_eq!(second.end.cursor.next.sseq, 103);
    assert_eq!(second.end.orders, 102);
    rig.until(|of| (of.server.given, of.follower.made) == (2, 2));
}

#[test]
fn two_who_ask_for_the_same_are_given_one_spool() {
    let mut rig = Rig::new("keep = \"60m\"");
    rig.fill(1_000);
    let mut other = rig.request();
    other.fills = "127.0.0.1:4004".parse().unwrap();
    let mut sockets = [rig.ask(&rig.request()), rig.ask(&other)];
    let [one, other] = sockets.each_mut().map(|it| answer(it).unwrap());
    assert_eq!(one.end, other.end);
    let counters = rig.until(|of| of.server.given == 2 && of.follower.made > 0);
    assert_eq!((counters.follower.made, counters.follower.spools), (1, 1));
}

#[test]
fn who_may_not_ask_is_told_why() {
    let mut rig = Rig::new("wait = \"100ms\"");
    rig.fill(10);
    let refused = |rig: &Rig, change: &dyn Fn(&mut Request)| {
        let mut request = rig.request();
        change(&mut request);
        answer(&mut rig.ask(&request)).unwrap_err()
    };
    let from = |address: &'static str| move |of: &mut Request| of.fills = address.parse().unwrap();
    for address in [
        "127.0.0.1:4000",
        "127.0.0.1:4002",
        "127.0.0.2:4003",
        "[::1]:4001",
    ] {
        assert_eq!(
            refused(&rig, &from(address)),
            Reason::NotEntitled,
            "{address}"
        );
    }
    for wrong in [
        |of: &mut Request| of.stream = StreamId(18),
        |of: &mut Request| of.sid = Sid(2),
    ] {
        assert_eq!(refused(&rig, &wrong), Reason::NoSuchStream);
    }
    assert_eq!(
        refused(&rig, &|of| of.context = ContextId(51)),
        Reason::OtherContext
    );
    assert_eq!(
        refused(&rig, &|of| of.not_before.epoch = Epoch(6)),
        Reason::OtherContext
    );
    assert_eq!(refused(&rig, &|of| of.not_before.sseq = 100), Reason::Busy);
    let before = rig.request();
    rig.stream.begin(6, 60);
    rig.tell(&add(1, 1));
    assert_eq!(
        answer(&mut rig.ask(&before)).unwrap_err(),
        Reason::OtherContext
    );
    assert!(answer(&mut rig.ask(&rig.request())).is_ok());
    // A hole in its own output: with the next epoch it knows again.
    rig.stream.sseq += 1;
    rig.tell(&add(1, 2));
    let later = |of: &mut Request| of.not_before.sseq = 4;
    assert_eq!(refused(&rig, &later), Reason::Incomplete);
    rig.stream.begin(7, 70);
    rig.tell(&add(1, 1));
    assert!(answer(&mut rig.ask(&rig.request())).is_ok());
    let server = rig.until(|of| of.server.given == 2).server;
    assert_eq!(
        (
            server.unentitled,
            server.no_such_stream,
            server.other_context
        ),
        (4, 2, 3)
    );
    assert_eq!(
        (server.busy, server.incomplete, server.requests),
        (1, 1, 13)
    );
}

#[test]
fn who_is_entitled_no_more_is_hung_up_on() {
    let mut rig = Rig::new("");
    rig.fill(10);
    let mut request = rig.request();
    request.not_before.sseq = 1_000;
    let mut socket = rig.ask(&request);
    rig.until(|of| of.follower.waiting == 1);
    let mut none = assignment();
    none.fill_clients.clear();
    rig.giver.granted(&none);
    assert_eq!(socket.read(&mut [0]).unwrap(), 0);
    assert_eq!(
        answer(&mut rig.ask(&rig.request())).unwrap_err(),
        Reason::NotEntitled
    );
}

#[test]
fn who_does_not_read_is_hung_up_on_and_nobody_else_notices() {
    let mut rig =
        Rig::new("client_time = \"300ms\"\nkeep = \"0s\"\nqueue = 16384\nrate = 1073741824");
    rig.fill(600_000);
    let idle = rig.ask(&rig.request());
    let mut other = rig.request();
    other.fills = "127.0.0.1:4004".parse().unwrap();
    let taken = answer(&mut rig.ask(&other)).unwrap();
    assert_eq!(taken.end.orders, 600_000);
    rig.until(|of| (of.server.slow, of.server.given, of.follower.spools) == (1, 1, 0));
    drop(idle);
    rig.until(|of| of.server.connected == 0);
}

#[test]
fn who_is_gone_or_says_nonsense_is_forgotten() {
    let mut rig = Rig::new("wait = \"60s\"");
    rig.fill(10);
    drop(rig.ask(&rig.request()));
    drop(TcpStream::connect(rig.server).unwrap());
    let mut waits = rig.request();
    waits.not_before.sseq = 1_000;
    let gone = rig.ask(&waits);
    rig.until(|of| of.follower.waiting == 1);
    drop(gone);
    rig.until(|of| of.server.connected == 0);
    let nonsense: [&[u8]; 3] = [
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"TS\x01\x01\xff\xff\xff\xff0123456789abcdef",
        &[b'T', b'S', 1, 1, 72, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    ];
    for bytes in &nonsense[..2] {
        let mut socket = TcpStream::connect(rig.server).unwrap();
        socket.write_all(bytes).unwrap();
        assert!(matches!(socket.read(&mut [0; 64]), Ok(0) | Err(_)));
    }
    // A frame whose check does not fit, and more than one question at a time.
    let mut socket = TcpStream::connect(rig.server).unwrap();
    let mut frame = nonsense[2].to_vec();
    frame.resize(88, 0);
    socket.write_all(&frame).unwrap();
    assert!(matches!(socket.read(&mut [0; 64]), Ok(0) | Err(_)));
    let mut socket = rig.ask(&waits);
    rig.until(|of| of.server.connected == 1);
    say(&mut socket, &waits);
    assert!(matches!(socket.read(&mut [0; 64]), Ok(0) | Err(_)));
    let counters = rig.until(|of| of.server.connected == 0);
    assert_eq!(counters.server.malformed, 4);
}

#[test]
fn who_asks_again_from_elsewhere_takes_the_place_of_his_first_connection() {
    let mut rig = Rig::new("clients = 2");
    rig.fill(10);
    let mut waits = rig.request();
    waits.not_before.sseq = 1_000;
    let mut first = rig.ask(&waits);
    rig.until(|of| of.follower.waiting == 1);
    let mut second = rig.ask(&rig.request());
    assert!(answer(&mut second).is_ok());
    assert_eq!(first.read(&mut [0]).unwrap(), 0);
    // More than there is room for.
    let third = TcpStream::connect(rig.server).unwrap();
    rig.until(|of| of.server.connected == 2);
    let mut fourth = TcpStream::connect(rig.server).unwrap();
    assert!(matches!(fourth.read(&mut [0]), Ok(0) | Err(_)));
    assert_eq!(
        rig.until(|of| of.server.turned_away == 1).server.connected,
        2
    );
    drop(third);
}

/// The same grant, where the other adapter of the pair is asked there, if anywhere.
fn with_peer(snapshots: Option<SocketAddr>, alive: bool) -> Assignment {
    let peer = serde_json::json!({
        "adapter": "rig.backup", "incarnation": "8", "role": "backup", "config_digest": "0",
        "link_address": "127.0.0.1:1", "alive": alive, "snapshots": snapshots,
        "streams": [{"sid": SID.0, "stream_id": STREAM.0}],
    });
    Assignment {
        peer: Some(serde_json::from_value(peer).unwrap()),
        ..assignment()
    }
}

/// An adapter that was there from the beginning, and another process of its peer: it hears the same from here on.
fn pair(orders: u64, settings: &str) -> (Rig, Rig) {
    let mut first = Rig::new("");
    first.fill(orders);
    let second = Rig::another(settings, first.stream.clone());
    (first, second)
}

#[test]
fn what_began_in_mid_session_is_made_whole_by_the_other_adapter() {
    let (mut first, mut second) = pair(1_000, "");
    let lacking = |of: &Rig| of.giver.standing()[0].lacking;
    second.tell(&add(1, 1_000));
    first.tell(&add(1, 1_000));
    second.until(|of| of.follower.incomplete == 1 && of.follower.orders > 0);
    assert_eq!(lacking(&second), Some(Lacking::Beginning));
    assert_eq!(
        answer(&mut second.ask(&second.request())).unwrap_err(),
        Reason::Incomplete
    );
    // It is told of a peer that serves none, of one that is gone, of one that does not answer to it.
    second.giver.granted(&with_peer(None, true));
    second.giver.granted(&with_peer(Some(first.server), false));
    second.tell(&add(1, 1_001));
    first.tell(&add(1, 1_001));
    second.until(|of| of.follower.orders == 2);
    assert_eq!(second.giver.counters().peer.requests, 0);
    second.giver.granted(&with_peer(Some(first.server), true));
    second.until(|of| of.peer.failed > 0);
    let [trouble, of_source] = second.giver.standing()[0].trouble.clone();
    assert_eq!(of_source, None);
    assert_eq!(
        trouble.unwrap(),
        format!("{}: refuses a snapshot: not_entitled", first.server)
    );
    first.giver.granted(&with_peer(Some(second.server), true));
    let mut id = 1_002;
    loop {
        if second.giver.counters().peer.restored == 1 {
            break;
        }
        for of in [&mut first, &mut second] {
            of.tell(&add((id % 10) as u32, id));
        }
        id += 1;
        first.until(|of| of.follower.orders == id);
    }
    assert_eq!(lacking(&second), None);
    second.until(|of| of.follower.orders == id);
    let of = |of: &Rig| answer(&mut of.ask(&of.request_from_here())).unwrap();
    let (one, other) = (of(&first), of(&second));
    assert_same(&one.books, &other.books);
    assert_eq!(one.end.orders, id);
    assert_eq!(one.end.cursor, other.end.cursor);
    let standing = &second.giver.standing()[0];
    assert_eq!(
        (standing.asks, &standing.trouble),
        ([false; 2], &[None, None])
    );
}

#[test]
fn whoever_only_claims_to_be_the_other_adapter_is_refused() {
    let mut rig = Rig::new("");
    rig.fill(10);
    rig.giver
        .granted(&with_peer(Some("127.0.0.2:7007".parse().unwrap()), true));
    let mut request = rig.request();
    request.fills = "127.0.0.2:7007".parse().unwrap();
    assert_eq!(
        answer(&mut rig.ask(&request)).unwrap_err(),
        Reason::NotEntitled,
        "it comes from another host"
    );
}

#[test]
fn who_keeps_more_than_there_is_room_for_begins_again() {
    let (mut first, mut second) = pair(100, "kept_bytes = 65536\nqueue = 65536");
    first.giver.granted(&with_peer(Some(second.server), true));
    // It asks from a place to which the first one comes only behind all this.
    second.tell(&add(1, 100));
    let mut all = vec![(1, 100)];
    second.until(|of| of.follower.orders == 1);
    second.giver.granted(&with_peer(Some(first.server), true));
    second.until(|of| of.peer.asking == 1);
    for id in 101..3_000 {
        second.tell(&add((id % 10) as u32, id));
        all.push(((id % 10) as u32, id));
    }
    for (instrument, id) in all {
        first.tell(&add(instrument, id));
    }
    let counters = second.until(|of| of.peer.restored == 1);
    assert!(counters.peer.requests > 1, "{counters:?}");
    let of = |of: &Rig| answer(&mut of.ask(&of.request_from_here())).unwrap();
    assert_same(&of(&first).books, &of(&second).books);
}

#[test]
fn a_snapshot_that_is_here_is_taken_in_although_its_giver_is_gone() {
    // A frame of orders in a turn: the grant comes long before the last.
    let (mut first, mut second) = pair(300_000, "turn = 1\nqueue = 16384");
    second.tell(&add(1, 300_000));
    first.tell(&add(1, 300_000));
    first.giver.granted(&with_peer(Some(second.server), true));
    second.giver.granted(&with_peer(Some(first.server), true));
    second.until(|of| of.peer.taken == 1);
    second.giver.granted(&with_peer(Some(first.server), false));
    drop(first);
    let counters = second.until(|of| of.follower.incomplete == 0);
    assert_eq!(
        (counters.peer.restored, counters.follower.orders),
        (1, 300_001)
    );
}
