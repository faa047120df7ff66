//! stream-admin as a double: an HTTP server that grants what the test says and writes down what it hears.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde::de::DeserializeOwned;
use twinfeed_control::{
    Confirm, Constraints, DeliveryClass, Generation, Grant, GrantedLeg, GrantedStream, LegIndex,
    LegState, Problem, ProblemCode, Receipt, ReceiptAccepted, Receipts, RenewSubscription, Role,
    Sid, StreamId, Subscribe, SubscriptionRenewed, SubscriptionState, SubscriptionStatus,
    TransmitMode, Transport,
};

/// How often a watch says something when nothing changed.
const SIGN_OF_LIFE: Duration = Duration::from_millis(20);

/// What the double was told and what it answers.
#[derive(Debug)]
pub struct State {
    pub grant: Grant,
    pub destinations: Option<[SocketAddr; 2]>,
    pub subscriptions: u32,
    pub confirms: Vec<Confirm>,
    pub statuses: Vec<SubscriptionStatus>,
    pub receipts: Vec<Receipt>,
    pub deleted: bool,
    /// Every subscription is refused with this.
    pub refuse: Option<ProblemCode>,
    /// Requests that name a subscription are answered with this.
    pub forget: bool,
    /// Requests that name a subscription are refused with this.
    pub refuse_named: Option<ProblemCode>,
    stopped: bool,
}

impl State {
    fn is_multicast(&self) -> bool {
        let mut streams = self.grant.legs.iter().flat_map(|leg| &leg.streams);
        streams.any(|stream| matches!(stream.transport, Transport::Multicast { .. }))
    }
}

/// The server; dropping it kills it as SIGKILL would.
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
    shared: Arc<(Mutex<State>, Condvar)>,
    accept: Option<std::thread::JoinHandle<()>>,
}

impl Broker {
    pub fn start(grant: Grant) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), grant)
    }

    pub fn start_at(address: SocketAddr, grant: Grant) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            grant,
            destinations: None,
            subscriptions: 0,
            confirms: Vec::new(),
            statuses: Vec::new(),
            receipts: Vec::new(),
            deleted: false,
            refuse: None,
            forget: false,
            refuse_named: None,
            stopped: false,
        };
        let shared = Arc::new((Mutex::new(state), Condvar::new()));
        let server = Arc::clone(&shared);
        let accept = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if server.0.lock().unwrap().stopped {
                    break;
                }
                let shared = Arc::clone(&server);
                std::thread::spawn(move || serve(stream.unwrap(), &shared));
            }
        });
        Self {
            address,
            shared,
            accept: Some(accept),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what is answered; a changed grant goes to every watch.
    pub fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.shared.0.lock().unwrap();
        let before = state.grant.clone();
        let result = change(&mut state);
        if state.grant != before {
            state.grant.revision += 1;
        }
        self.shared.1.notify_all();
        result
    }

    /// Waits until the state is as wanted.
    pub fn wait_until(&self, done: impl Fn(&State) -> bool) {
        let state = self.shared.0.lock().unwrap();
        let (state, timeout) = self
            .shared
            .1
            .wait_timeout_while(state, super::PATIENCE, |state| !done(state))
            .unwrap();
        assert!(!timeout.timed_out(), "never came to be: {state:?}");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.change(|state| state.stopped = true);
        let _ = TcpStream::connect(self.address);
        if let Some(accept) = self.accept.take() {
            accept.join().unwrap();
        }
    }
}

type Shared = (Mutex<State>, Condvar);

fn serve(mut stream: TcpStream, shared: &Shared) {
    let Some((line, body)) = read_request(&stream) else {
        return;
    };
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap().to_owned());
    let named = path.starts_with("/v1/subscriptions/");
    if named && shared.0.lock().unwrap().forget {
        return answer(&mut stream, 404, &problem(ProblemCode::UnknownId));
    }
    let refused = shared.0.lock().unwrap().refuse_named;
    if let (true, Some(code)) = (named, refused) {
        return answer(&mut stream, code.http_status(), &problem(code));
    }
    if method == "GET" && path.ends_with("/watch") {
        return watch(stream, shared);
    }
    let mut state = shared.0.lock().unwrap();
    match (method, path.rsplit('/').next().unwrap()) {
        ("POST", "subscriptions") => {
            if let Some(code) = state.refuse {
                return answer(&mut stream, code.http_status(), &problem(code));
            }
            let request: Subscribe = parse(&body);
            if request.destinations.is_some() && state.is_multicast() {
                return answer(&mut stream, 400, &problem(ProblemCode::BadRequest));
            }
            state.destinations = request.destinations;
            state.subscriptions += 1;
            state.grant.subscription = format!("s{}", state.subscriptions).parse().unwrap();
            answer(&mut stream, 200, &state.grant);
        }
        ("POST", "confirm") => {
            state.confirms.push(parse(&body));
            answer(&mut stream, 200, &renewed(&state));
        }
        ("POST", "renew") => {
            let request: RenewSubscription = parse(&body);
            state.statuses.push(request.status);
            answer(&mut stream, 200, &renewed(&state));
        }
        ("POST", "receipts") => {
            let request: Receipts = parse(&body);
            let accepted = request.receipts.len() as u64;
            state.receipts.extend(request.receipts);
            answer(&mut stream, 200, &ReceiptAccepted { accepted });
        }
        ("DELETE", _) => {
            state.deleted = true;
            answer(&mut stream, 200, &());
        }
        other => panic!("unexpected request {other:?}"),
    }
    shared.1.notify_all();
}

fn watch(mut stream: TcpStream, shared: &Shared) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let mut sent = None;
    if stream.write_all(head.as_bytes()).is_err() {
        return;
    }
    let mut state = shared.0.lock().unwrap();
    while !state.stopped && !state.forget && state.refuse_named.is_none() {
        let text = if sent == Some(state.grant.revision) {
            ":\n\n".to_owned()
        } else {
            sent = Some(state.grant.revision);
            format!("data: {}\n\n", serde_json::to_string(&state.grant).unwrap())
        };
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
        state = shared.1.wait_timeout(state, SIGN_OF_LIFE).unwrap().0;
    }
}

fn read_request(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).ok()? == 0 {
            return None;
        }
        if header == "\r\n" {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((line, body))
}

fn answer(stream: &mut TcpStream, status: u16, body: &impl serde::Serialize) {
    let body = serde_json::to_string(body).unwrap();
    let length = body.len();
    let head = format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n");
    let rest = format!("content-length: {length}\r\nconnection: close\r\n\r\n{body}");
    // A client that went away needs no answer.
    let _ = stream.write_all((head + &rest).as_bytes());
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> T {
    serde_json::from_slice(body).unwrap()
}

fn problem(code: ProblemCode) -> Problem {
    Problem {
        code,
        message: format!("refused: {code:?}"),
        remedy: "ask".to_owned(),
        retry_in_ms: None,
    }
}

fn renewed(state: &State) -> SubscriptionRenewed {
    SubscriptionRenewed {
        lease_ms: state.grant.lease_ms,
        generation: state.grant.generation,
        revision: state.grant.revision,
    }
}

/// Both legs of feed `itch`: source stream 1, streams 10 and 11, unicast from 127.0.0.1; heartbeats so
/// rare that silence is nobody's loss unless a test says so.
pub fn grant() -> Grant {
    let leg = |leg: LegIndex, role: Role| GrantedLeg {
        leg,
        preferred_role: role,
        role: Some(role),
        adapter: format!("itch.{role}").parse().unwrap(),
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
        subscription: "s0".parse().unwrap(),
        feed: "itch".parse().unwrap(),
        access: SubscriptionState::Open,
        generation: Generation(1),
        legs: vec![
            leg(LegIndex::ACTIVE, Role::Active),
            leg(LegIndex::BACKUP, Role::Backup),
        ],
        constraints: Constraints {
            sources: Vec::new(),
            delivery: DeliveryClass::ExactlyOnce,
            heartbeat_us: 60_000_000,
            missed_heartbeats: 3,
            sync_threshold: 64,
            lag_messages: None,
            lag_us: None,
            reorder_hold_us: None,
            reorder_hold_bytes: 1 << 20,
            max_datagram: 1_472,
            transmit: TransmitMode::Hot,
        },
        lease_ms: 300,
        revision: 1,
    }
}
