//! What does stream-admin do with HTTP requests?
//!
//! The service as it is served, without its sockets: every request has an answer that is no failure of the server's, every
//! refusal names code and remedy, and afterwards the status document is whole and a server that starts from the same
//! store finds everything that was written.

use std::cell::LazyCell;
use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode, header};
use axum::response::Response;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use twinfeed_control::{Problem, Status};
use twinfeed_stream_admin::App;
use twinfeed_stream_admin::api::auth::Peer;
use twinfeed_stream_admin::api::router;
use twinfeed_stream_admin::config::{Config, TokenHash};
use twinfeed_stream_admin::registry::record::Record;
use twinfeed_stream_admin::store::{MemoryStore, Store as _};

use crate::input::Input;

pub(crate) fn run(bytes: &[u8]) {
    RUNTIME.with(|runtime| runtime.block_on(serve(Input::new(bytes))));
}

thread_local! {
    static RUNTIME: LazyCell<Runtime> = LazyCell::new(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .max_blocking_threads(1)
            .build();
        match runtime {
            Ok(runtime) => runtime,
            Err(error) => panic!("no runtime: {error}"),
        }
    });
}

async fn serve(mut input: Input<'_>) {
    let store = MemoryStore::default();
    let app = start(&store);
    for _ in 0..MOST_REQUESTS {
        if input.is_empty() {
            break;
        }
        let route = &ROUTES[usize::from(input.byte()) % ROUTES.len()];
        let principal = input.pick(PRINCIPALS);
        let place = input.byte();
        let path = route.1.replace("{id}", &id(place));
        let query = if place & 0x80 == 0 {
            ""
        } else {
            input.pick(QUERIES)
        };
        let body = input.run().to_vec();
        let answer = ask(&app, &route.0, &format!("{path}{query}"), principal, body).await;
        judge(route.1, answer).await;
    }
    let answer = ask(&app, &Method::GET, "/status.json", "ops", Vec::new()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let status = read(answer).await;
    assert!(
        serde_json::from_slice::<Status>(&status).is_ok(),
        "the status is whole"
    );
    let answer = ask(&app, &Method::GET, "/metrics", "ops", Vec::new()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    drop(app);
    start(&store);
}

/// Most requests of one input.
const MOST_REQUESTS: usize = 24;

fn start(store: &MemoryStore) -> std::sync::Arc<App> {
    match App::start(config(), Box::new(store.clone())) {
        Ok(app) => app,
        Err(error) => panic!("it does not start: {error}"),
    }
}

pub(crate) fn config() -> Config {
    let principal = |name: &str, kind: &str, feeds: &str| {
        let hash: String = TokenHash::of(name)
            .0
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!(
            "[[principal]]\nname = \"{name}\"\nkind = \"{kind}\"\nfeeds = {feeds}\ntoken_sha256 = \"{hash}\"\n"
        )
    };
    let text = [
        "state = \"memory\"\n[limits]\nsubscriptions = 8\nreceipts_per_feed = 8\norders_per_feed = 8\n\
         role_changes_per_feed = 8\nclosed_subscriptions_per_feed = 4\n"
            .to_owned(),
        principal("desk", "subscriber", "[\"itch\"]"),
        principal("feeder", "adapter", "\"all\""),
        principal("ops", "operator", "[]"),
        "[[feed]]\nname = \"itch\"\n".to_owned(),
    ];
    match Config::parse(&text.concat()) {
        Ok(config) => config,
        Err(error) => panic!("{error}"),
    }
}

async fn ask(
    app: &std::sync::Arc<App>,
    method: &Method,
    path: &str,
    principal: &str,
    body: Vec<u8>,
) -> Response {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {principal}"))
        .header(header::CONTENT_TYPE, "application/json");
    let Ok(mut request) = request.body(Body::from(body)) else {
        panic!("{path} is no path");
    };
    let address = SocketAddr::from(([127, 0, 0, 1], 9));
    let peer = Peer {
        address,
        encrypted: false,
    };
    request.extensions_mut().insert(ConnectInfo(peer));
    match router(app.clone()).oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

/// Requests one by one and their answers, for seeds.
pub(crate) struct Conversation {
    store: MemoryStore,
    app: std::sync::Arc<App>,
    /// Bodies of the answers, in order.
    pub(crate) answers: Vec<Vec<u8>>,
}

impl Conversation {
    pub(crate) fn begin() -> Self {
        let store = MemoryStore::default();
        let app = RUNTIME.with(|runtime| runtime.block_on(async { start(&store) }));
        Self {
            store,
            app,
            answers: Vec::new(),
        }
    }

    pub(crate) fn ask(&mut self, method: &Method, path: &str, place: u8, who: &str, body: &[u8]) {
        let path = path.replace("{id}", &id(place));
        let answer = RUNTIME.with(|runtime| {
            runtime.block_on(async {
                let answer = ask(&self.app, method, &path, who, body.to_vec()).await;
                (answer.status(), read(answer).await)
            })
        });
        let (status, body) = answer;
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        self.answers.push(body);
    }

    /// What is in the store now.
    pub(crate) fn records(mut self) -> Vec<Record> {
        match self.store.load() {
            Ok(records) => records,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn judge(path: &str, answer: Response) {
    let status = answer.status();
    // Unavailable is an answer: of an order that nobody could carry out now.
    let may_come = !status.is_server_error() || status == StatusCode::SERVICE_UNAVAILABLE;
    assert!(may_come, "{path}: {status}");
    if status.is_success() && path.ends_with("/watch") {
        return; // without an end
    }
    let bytes = read(answer).await;
    if !status.is_success() {
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => assert!(!problem.message.is_empty(), "{path}: {status}"),
            Err(error) => panic!("{path}: {status} without a reason: {error}"),
        }
    }
}

async fn read(answer: Response) -> Vec<u8> {
    match axum::body::to_bytes(answer.into_body(), 1 << 20).await {
        Ok(bytes) => bytes.to_vec(),
        Err(error) => panic!("an answer does not end: {error}"),
    }
}

fn id(place: u8) -> String {
    match place & 0x7F {
        0..=63 => ["itch.active", "itch.backup"][usize::from(place & 1)].to_owned(),
        64..=95 => format!("s{}", place & 7),
        other => ["", "%00", "itch.", "s18446744073709551616", "..%2F"][usize::from(other) % 5]
            .to_owned(),
    }
}

const PRINCIPALS: &[&str] = &["ops", "desk", "feeder", "nobody"];
const QUERIES: &[&str] = &[
    "?incarnation=0000000000000001",
    "?incarnation=zz",
    "?feed=itch",
    "?feed=",
    "?adapter=itch.active",
    "?principal=desk&feed=itch",
    "?%",
];

/// Every route that takes something, and one that there is not.
pub(crate) static ROUTES: &[(Method, &str)] = &[
    (Method::POST, "/v1/adapters/register"),
    (Method::POST, "/v1/adapters/{id}/renew"),
    (Method::POST, "/v1/adapters/{id}/takeover"),
    (Method::POST, "/v1/adapters/{id}/orders"),
    (Method::DELETE, "/v1/adapters/{id}"),
    (Method::GET, "/v1/adapters/{id}/watch"),
    (Method::POST, "/v1/orders"),
    (Method::GET, "/v1/orders"),
    (Method::POST, "/v1/roles"),
    (Method::GET, "/v1/roles"),
    (Method::POST, "/v1/subscriptions"),
    (Method::POST, "/v1/subscriptions/{id}/confirm"),
    (Method::POST, "/v1/subscriptions/{id}/renew"),
    (Method::POST, "/v1/subscriptions/{id}/receipts"),
    (Method::GET, "/v1/subscriptions/{id}/watch"),
    (Method::DELETE, "/v1/subscriptions/{id}"),
    (Method::POST, "/v1/entitlements/revoke"),
    (Method::POST, "/v1/entitlements/grant"),
    (Method::GET, "/v1/affected"),
    (Method::GET, "/"),
    (Method::PUT, "/v1/orders"),
    (Method::GET, "/v2/nothing"),
];
