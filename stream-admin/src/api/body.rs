//! A JSON body or a query, or a refusal that names what is wrong with it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;
use twinfeed_control::ProblemCode;

use super::refusal::Refusal;
use crate::app::App;

/// The parsed body of a request.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        let bytes = Bytes::from_request(request, app)
            .await
            .map_err(|rejection| {
                if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
                    let limit = app.config.limits.request_bytes;
                    let message =
                        format!("the request is longer than limits.request_bytes = {limit}");
                    return Refusal::new(
                        ProblemCode::TooLarge,
                        message,
                        "send less, or raise the limit",
                    );
                }
                let message = "the request's body did not arrive whole";
                Refusal::new(ProblemCode::BadRequest, message, "send it again")
            })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let message = format!("the request's body is not what this path takes: {error}");
            Refusal::new(ProblemCode::BadRequest, message, "see /openapi.json")
        })
    }
}

/// The parsed query of a request.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<App>> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        match Query::from_request_parts(parts, app).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => {
                let message = format!("the query is not what this path takes: {rejection}");
                Err(Refusal::new(
                    ProblemCode::BadRequest,
                    message,
                    "see /openapi.json",
                ))
            }
        }
    }
}
