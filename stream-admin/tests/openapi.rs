//! The OpenAPI description is made from the types that parse and write the JSON, committed for readers,
//! and served. `TWINFEED_BLESS=1 cargo test -p twinfeed-stream-admin --test openapi` writes it anew.

use std::path::PathBuf;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use twinfeed_control::{
    Affected, Assignment, Confirm, EntitlementAnswer, EntitlementChange, Grant, Order, OrderRecord,
    OrderReport, Problem, ReceiptAccepted, Receipts, Register, Renew, RenewSubscription, Renewed,
    RoleChange, RoleOrder, Status, Subscribe, SubscriptionRenewed, TakeOver,
};
use twinfeed_stream_admin::api::{OPENAPI, routes};

type Draw = fn(&mut SchemaGenerator) -> Value;

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

/// What a route answers with.
#[derive(Clone, Copy)]
enum Answer {
    Json(Draw),
    /// Server-sent events, each with a document of this kind as its data.
    Events(Draw),
    Text(&'static str),
    Nothing,
}

struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    /// Which kind of principal; none: no token.
    who: Option<&'static str>,
    query: &'static [(&'static str, bool, &'static str)],
    request: Option<Draw>,
    answer: Answer,
}

const INCARNATION: &[(&str, bool, &str)] =
    &[("incarnation", true, "Who asks, 16 hexadecimal digits")];

const FEED: &[(&str, bool, &str)] = &[("feed", true, "Of which feed")];

fn operations() -> Vec<Operation> {
    let post = |path, who, summary, request: Draw, answer| Operation {
        method: "post",
        path,
        summary,
        who: Some(who),
        query: &[],
        request: Some(request),
        answer,
    };
    let get = |path, who, summary, query, answer| Operation {
        method: "get",
        path,
        summary,
        who,
        query,
        request: None,
        answer,
    };
    let (adapter, subscriber, operator) = ("adapter", "subscriber", "operator");
    vec![
        post(
            "/v1/adapters/register",
            adapter,
            "Take an adapter's seat",
            schema::<Register>,
            Answer::Json(schema::<Assignment>),
        ),
        post(
            "/v1/adapters/{id}/renew",
            adapter,
            "Keep the seat and report",
            schema::<Renew>,
            Answer::Json(schema::<Renewed>),
        ),
        post(
            "/v1/adapters/{id}/takeover",
            adapter,
            "Take the generation over from an active that is gone or has stepped down",
            schema::<TakeOver>,
            Answer::Json(schema::<Assignment>),
        ),
        post(
            "/v1/adapters/{id}/orders",
            adapter,
            "Say what became of an order",
            schema::<OrderReport>,
            Answer::Json(schema::<OrderRecord>),
        ),
        post(
            "/v1/orders",
            operator,
            "Order an administrative message",
            schema::<Order>,
            Answer::Json(schema::<OrderRecord>),
        ),
        get(
            "/v1/orders",
            Some(operator),
            "The orders of a feed, newest first",
            FEED,
            Answer::Json(schema::<Vec<OrderRecord>>),
        ),
        post(
            "/v1/roles",
            operator,
            "Hand the active role over, take it, pin it",
            schema::<RoleOrder>,
            Answer::Json(schema::<RoleChange>),
        ),
        get(
            "/v1/roles",
            Some(operator),
            "Who became active when and why, newest first",
            FEED,
            Answer::Json(schema::<Vec<RoleChange>>),
        ),
        get(
            "/v1/adapters/{id}/watch",
            Some(adapter),
            "Follow the assignment",
            INCARNATION,
            Answer::Events(schema::<Assignment>),
        ),
        Operation {
            method: "delete",
            path: "/v1/adapters/{id}",
            summary: "Give the seat back",
            who: Some(adapter),
            query: INCARNATION,
            request: None,
            answer: Answer::Nothing,
        },
        post(
            "/v1/subscriptions",
            subscriber,
            "Ask for both legs of a feed",
            schema::<Subscribe>,
            Answer::Json(schema::<Grant>),
        ),
        post(
            "/v1/subscriptions/{id}/confirm",
            subscriber,
            "Say which legs were heard",
            schema::<Confirm>,
            Answer::Json(schema::<SubscriptionRenewed>),
        ),
        post(
            "/v1/subscriptions/{id}/renew",
            subscriber,
            "Keep the subscription and report",
            schema::<RenewSubscription>,
            Answer::Json(schema::<SubscriptionRenewed>),
        ),
        post(
            "/v1/subscriptions/{id}/receipts",
            subscriber,
            "Report switches",
            schema::<Receipts>,
            Answer::Json(schema::<ReceiptAccepted>),
        ),
        get(
            "/v1/subscriptions/{id}/watch",
            Some(subscriber),
            "Follow both legs",
            &[],
            Answer::Events(schema::<Grant>),
        ),
        Operation {
            method: "delete",
            path: "/v1/subscriptions/{id}",
            summary: "End the subscription",
            who: Some(subscriber),
            query: &[],
            request: None,
            answer: Answer::Nothing,
        },
        post(
            "/v1/entitlements/revoke",
            operator,
            "Take a principal's access to a feed away",
            schema::<EntitlementChange>,
            Answer::Json(schema::<EntitlementAnswer>),
        ),
        post(
            "/v1/entitlements/grant",
            operator,
            "Give a principal access to a feed",
            schema::<EntitlementChange>,
            Answer::Json(schema::<EntitlementAnswer>),
        ),
        get(
            "/v1/affected",
            Some(operator),
            "Who is affected; exactly one of the two queries",
            &[
                ("adapter", false, "An adapter's id"),
                ("entitlement", false, "<principal>:<feed>"),
            ],
            Answer::Json(schema::<Affected>),
        ),
        get("/", None, "The status page", &[], Answer::Text("text/html")),
        get(
            "/status.json",
            Some("operator, or from loopback as status_access says"),
            "Everything an operator sees",
            &[],
            Answer::Json(schema::<Status>),
        ),
        get(
            "/metrics",
            Some("operator, or from loopback as status_access says"),
            "For a scraper",
            &[],
            Answer::Text("application/openmetrics-text"),
        ),
        get(
            "/livez",
            None,
            "200 while the process serves",
            &[],
            Answer::Text("text/plain"),
        ),
        get(
            "/readyz",
            None,
            "200, or 503 and why not",
            &[],
            Answer::Text("text/plain"),
        ),
        get(
            "/openapi.json",
            None,
            "This description",
            &[],
            Answer::Text("application/json"),
        ),
    ]
}

fn describe() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for operation in operations() {
        let entry = paths.entry(operation.path).or_insert_with(|| json!({}));
        entry[operation.method] = describe_operation(&operation, &mut generator);
    }
    let problem = schema::<Problem>(&mut generator);
    let mut schemas = generator.take_definitions(true);
    schemas.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Twinfeed stream administration",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0 OR MIT" },
            "description": "Brokers both legs of a feed. Every refusal is a Problem: a code for \
                programs, a message that names the culprit, a remedy. 64-bit names (incarnation, \
                epoch, context id, digest) are hexadecimal strings. Requests refuse unknown \
                fields; readers of answers must ignore them.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": { "Refusal": {
                "description": "Refused",
                "content": { "application/json": { "schema": problem } },
            } },
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn describe_operation(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut parameters = Vec::new();
    if operation.path.contains("{id}") {
        parameters.push(json!({
            "name": "id", "in": "path", "required": true, "schema": { "type": "string" },
        }));
    }
    for (name, required, description) in operation.query {
        parameters.push(json!({
            "name": name, "in": "query", "required": required, "description": description,
            "schema": { "type": "string" },
        }));
    }
    let (status, answer) = match operation.answer {
        Answer::Json(draw) => (
            "200",
            json!({
                "description": "Done",
                "content": { "application/json": { "schema": draw(generator) } },
            }),
        ),
        Answer::Events(draw) => (
            "200",
            json!({
                "description": "Server-sent events: at once and after every change, the whole document \
                    as JSON in the event's data, its revision as the event's id. Comments say that the \
                    watch is alive.",
                "content": { "text/event-stream": { "schema": draw(generator) } },
            }),
        ),
        Answer::Text(kind) => (
            "200",
            json!({
                "description": "Text",
                "content": { kind: { "schema": { "type": "string" } } },
            }),
        ),
        Answer::Nothing => ("204", json!({ "description": "Done" })),
    };
    let mut described = json!({
        "summary": operation.summary,
        "responses": { status: answer, "default": { "$ref": "#/components/responses/Refusal" } },
    });
    if !parameters.is_empty() {
        described["parameters"] = Value::Array(parameters);
    }
    if let Some(request) = operation.request {
        described["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": request(generator) } },
        });
    }
    if let Some(who) = operation.who {
        described["description"] = json!(format!("Token of kind: {who}."));
        described["security"] = json!([{ "token": [] }]);
    }
    described
}

#[test]
fn the_committed_description_is_the_one_that_the_types_give() {
    let fresh = describe();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    if std::env::var_os("TWINFEED_BLESS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&fresh).unwrap() + "\n").unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    let parsed: Value = serde_json::from_str(&committed).unwrap();
    assert!(
        parsed == fresh,
        "docs/openapi.json is old: run this test with TWINFEED_BLESS=1"
    );
    assert!(
        OPENAPI == committed,
        "the served description is not the committed one"
    );
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    let mut served: Vec<_> = routes()
        .iter()
        .map(|route| (route.path, route.method))
        .collect();
    let mut described: Vec<_> = operations()
        .iter()
        .map(|operation| (operation.path, operation.method))
        .collect();
    served.sort_unstable();
    described.sort_unstable();
    assert_eq!(served, described);
}
