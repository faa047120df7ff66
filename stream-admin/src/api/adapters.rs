//! An adapter takes its seat, keeps it, leaves it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tracing::info;
use twinfeed_control::{
    AdapterId, Assignment, Incarnation, Problem, ProblemCode, Register, Renew, Renewed, TakeOver,
};

use super::auth::Identified;
use super::body::{Asked, Body};
use super::refusal::Refusal;
use crate::app::App;
use crate::config::Kind;

/// `?incarnation=<16 hexadecimal digits>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Who {
    incarnation: Incarnation,
}

pub(super) async fn register(
    State(app): State<Arc<App>>,
    who: Identified,
    Body(request): Body<Register>,
) -> Result<Json<Assignment>, Refusal> {
    who.require(&app, Kind::Adapter)?;
    let feed = request.feed.clone();
    let unverified = request.unverified;
    let answer = app.change(
        move |_| Some(feed),
        move |registry, now| registry.register(&who.caller(), request, now),
    );
    let (assignment, outcome) = answer.await?;
    let (adapter, incarnation) = (&assignment.adapter, assignment.incarnation);
    let (generation, role) = (assignment.generation.0, assignment.role.word());
    info!(%adapter, %incarnation, generation, role, ?outcome, unverified, "adapter registered");
    Ok(Json(assignment))
}

pub(super) async fn renew(
    State(app): State<Arc<App>>,
    who: Identified,
    Path(id): Path<String>,
    Body(request): Body<Renew>,
) -> Result<Json<Renewed>, Refusal> {
    who.require(&app, Kind::Adapter)?;
    let id = adapter_id(&id)?;
    let answer =
        app.volatile(move |registry, now| registry.renew(&who.caller(), &id, request, now));
    Ok(Json(answer.await?))
}

pub(super) async fn take_over(
    State(app): State<Arc<App>>,
    who: Identified,
    Path(id): Path<String>,
    Body(request): Body<TakeOver>,
) -> Result<Json<Assignment>, Refusal> {
    who.require(&app, Kind::Adapter)?;
    let id = adapter_id(&id)?;
    let (named, from, cause) = (id.clone(), request.from.0, request.cause);
    let answer = app.change(
        move |registry| registry.feed_of_adapter(&named).ok(),
        move |registry, now| registry.take_over(&who.caller(), &id, &request, now),
    );
    let (assignment, outcome) = answer.await?;
    let (adapter, generation) = (&assignment.adapter, assignment.generation.0);
    info!(%adapter, from, generation, ?outcome, %cause, "takeover");
    Ok(Json(assignment))
}

pub(super) async fn leave(
    State(app): State<Arc<App>>,
    who: Identified,
    Path(id): Path<String>,
    Asked(Who { incarnation }): Asked<Who>,
) -> Result<StatusCode, Refusal> {
    who.require(&app, Kind::Adapter)?;
    let id = adapter_id(&id)?;
    info!(adapter = %id, %incarnation, "adapter leaves");
    let left =
        app.volatile(move |registry, now| registry.leave(&who.caller(), &id, incarnation, now));
    left.await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn watch(
    State(app): State<Arc<App>>,
    who: Identified,
    Path(id): Path<String>,
    Asked(Who { incarnation }): Asked<Who>,
) -> Result<Response, Refusal> {
    who.require(&app, Kind::Adapter)?;
    let id = adapter_id(&id)?;
    let named = id.clone();
    let feed = app
        .volatile(move |registry, _| registry.feed_of_adapter(&named))
        .await?;
    let who = Arc::new(who);
    let draw = move |registry: &crate::registry::Registry, now| {
        registry.assignment(&who.caller(), &id, incarnation, now)
    };
    super::watch::serve(app, feed, draw).await
}

pub(super) fn adapter_id(text: &str) -> Result<AdapterId, Problem> {
    text.parse().map_err(|message| Problem {
        code: ProblemCode::UnknownId,
        message,
        remedy: "use the id of the registration's answer".to_owned(),
        retry_in_ms: None,
    })
}
