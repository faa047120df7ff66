//! Which requests are there, and who may make them?
//!
//! Handlers are thin: authenticate, parse, call the registry, answer. What a request means stands in
//! `registry`, what it looks like in `twinfeed-control`, and what both are called for programmers of
//! other languages in `docs/openapi.json`.

mod adapters;
pub mod auth;
mod body;
mod operators;
mod orders;
mod pages;
mod refusal;
mod roles;
mod settled;
mod subscriptions;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, delete, get, post};

use crate::app::App;

/// The OpenAPI description, as committed and as served.
pub const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// One route; the description lists the same ones, and a test compares.
pub struct Route {
    /// In lower case, as in OpenAPI.
    pub method: &'static str,
    /// With `{id}` for the variable part.
    pub path: &'static str,
    handler: MethodRouter<Arc<App>>,
}

/// Every route that is served.
#[must_use]
pub fn routes() -> Vec<Route> {
    let post_ = |path, handler| Route {
        method: "post",
        path,
        handler,
    };
    let get_ = |path, handler| Route {
        method: "get",
        path,
        handler,
    };
    let delete_ = |path, handler| Route {
        method: "delete",
        path,
        handler,
    };
    vec![
        post_("/v1/adapters/register", post(adapters::register)),
        post_("/v1/adapters/{id}/renew", post(adapters::renew)),
        post_("/v1/adapters/{id}/takeover", post(adapters::take_over)),
        post_("/v1/adapters/{id}/orders", post(orders::report)),
        post_("/v1/orders", post(orders::order)),
        get_("/v1/orders", get(orders::orders)),
        post_("/v1/roles", post(roles::order)),
        get_("/v1/roles", get(roles::changes)),
        get_("/v1/adapters/{id}/watch", get(adapters::watch)),
        delete_("/v1/adapters/{id}", delete(adapters::leave)),
        post_("/v1/subscriptions", post(subscriptions::subscribe)),
        post_(
            "/v1/subscriptions/{id}/confirm",
            post(subscriptions::confirm),
        ),
        post_("/v1/subscriptions/{id}/renew", post(subscriptions::renew)),
        post_(
            "/v1/subscriptions/{id}/receipts",
            post(subscriptions::receipts),
        ),
        get_("/v1/subscriptions/{id}/watch", get(subscriptions::watch)),
        delete_("/v1/subscriptions/{id}", delete(subscriptions::unsubscribe)),
        post_("/v1/entitlements/revoke", post(operators::revoke)),
        post_("/v1/entitlements/grant", post(operators::grant)),
        get_("/v1/affected", get(operators::affected)),
        get_("/", get(pages::page)),
        get_("/status.json", get(pages::status)),
        get_("/metrics", get(pages::metrics)),
        get_("/livez", get(pages::livez)),
        get_("/readyz", get(pages::readyz)),
        get_("/openapi.json", get(pages::openapi)),
    ]
}

/// The service, ready to be given connections.
pub fn router(app: Arc<App>) -> Router {
    let limit = DefaultBodyLimit::max(app.config.limits.request_bytes);
    let router = routes().into_iter().fold(Router::new(), |router, route| {
        router.route(route.path, route.handler)
    });
    router
        .fallback(pages::no_such_path)
        .method_not_allowed_fallback(pages::no_such_method)
        .layer(limit)
        .with_state(app)
}
