//! What a person, a scraper and a supervisor read.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use twinfeed_control::operations::METRICS_CONTENT_TYPE;
use twinfeed_control::{ProblemCode, Status};

use super::auth::Reader;
use super::refusal::Refusal;
use crate::app::App;
use crate::{metrics, page};

/// The page is the same for everybody; what it shows it asks `/status.json` for.
pub(super) async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, page::POLICY),
    ];
    (headers, page::HTML).into_response()
}

pub(super) async fn status(
    State(app): State<Arc<App>>,
    _: Reader,
) -> Result<Json<Status>, Refusal> {
    Ok(Json(app.status().await?.0))
}

pub(super) async fn metrics(State(app): State<Arc<App>>, _: Reader) -> Result<Response, Refusal> {
    let (status, counts) = app.status().await?;
    let text = metrics::encode(&status, &counts, &app.auth);
    Ok(([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], text).into_response())
}

pub(super) async fn livez() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    let server = app.status().await?.0.server;
    if server.ready {
        return Ok("ready\n".into_response());
    }
    Ok((StatusCode::SERVICE_UNAVAILABLE, server.reason + "\n").into_response())
}

pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], super::OPENAPI).into_response()
}

pub(super) async fn no_such_path() -> Refusal {
    Refusal::new(
        ProblemCode::UnknownPath,
        "there is no such path",
        "see /openapi.json",
    )
}

pub(super) async fn no_such_method() -> Response {
    let refusal = Refusal::new(
        ProblemCode::BadRequest,
        "this path takes another method",
        "see /openapi.json",
    );
    let mut response = refusal.into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}
