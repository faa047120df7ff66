//! A [`Problem`] as an HTTP answer.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use twinfeed_control::{Problem, ProblemCode};

/// A refusal on its way out.
#[derive(Debug)]
pub(crate) struct Refusal(Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl Refusal {
    pub(super) fn new(code: ProblemCode, message: impl Into<String>, remedy: &str) -> Self {
        Self(Problem {
            code,
            message: message.into(),
            remedy: remedy.to_owned(),
            retry_in_ms: None,
        })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = self.0.code;
        let status = StatusCode::from_u16(code.http_status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self.0)).into_response();
        if code == ProblemCode::Unauthenticated {
            let scheme = HeaderValue::from_static("Bearer realm=\"twinfeed\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
