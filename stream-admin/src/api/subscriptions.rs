//! A subscriber gets both legs, says which it hears, reports, and ends.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use tracing::info;
use twinfeed_control::{
    Confirm, Grant, Problem, ProblemCode, ReceiptAccepted, Receipts, RenewSubscription, Subscribe,
    SubscriptionId, SubscriptionRenewed,
};

use super::auth::Identified;
use super::body::Body;
use super::refusal::Refusal;
use crate::app::App;
use crate::config::Kind;

pub(super) async fn subscribe(
    State(app): State<Arc<App>>,
    who: Identified,
    Body(request): Body<Subscribe>,
) -> Result<Json<Grant>, Refusal> {
    who.require(&app, Kind::Subscriber)?;
    let feed = request.feed.clone();
    let (principal, application) = (who.name().to_owned(), request.application.clone());
    let answer = app.change(
        move |_| Some(feed),
        move |registry, now| registry.subscribe(&who.caller(), request, now),
    );
    let grant = answer.await?;
    let (subscription, feed) = (&grant.subscription, &grant.feed);
    info!(%subscription, %feed, principal, application, "both legs brokered");
    Ok(Json(grant))
}

pub(super) async fn confirm(
    State(app): State<Arc<App>>,
    who: Identified,
    Path(id): Path<String>,
    Body(request): Body<Confirm>,
) -> Result<Json<SubscriptionRenewed>, Refusal> {
    who.require(&app, Kind::Subscriber)?;
    let id = subscription_id(&id)?;
    let answer =
        app.volatile(move |registry, now| registry.confirm(&who.caller(), &id, request, now));
    Ok(Json(answer.await?))
}

pub(super) async fn renew(
    State(app): State<Arc<App>>,
    who: Identified,
    Path(id): Path<String>,
    Body(request): Body<RenewSubscription>,
) -> Result<Json<SubscriptionRenewed>, Refusal> {
    who.require(&app, Kind::Subscriber)?;
    let id = subscription_id(&id)?;
    let answer = app.volatile(move |registry, now| {
        registry.renew_subscription(&who.caller(), &id, request, now)
    });
    Ok(Json(answer.await?))
}

pub(super) async fn receipts(
    State(app): State<Arc<App>>,
    who: Identified,
    Path(id): Path<String>,
    Body(request): Body<Receipts>,
) -> Result<Json<ReceiptAccepted>, Refusal> {
    who.require(&app, Kind::Subscriber)?;
    let id = subscription_id(&id)?;
    let named = id.clone();
    let answer = app.change(
        move |registry| registry.feed_of(&named),
        move |registry, _| registry.receipts(&who.caller(), &id, request.receipts),
    );
    Ok(Json(answer.await?))
}

pub(super) async fn unsubscribe(
    State(app): State<Arc<App>>,
    who: Identified,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    who.require(&app, Kind::Subscriber)?;
    let id = subscription_id(&id)?;
    let named = id.clone();
    let answer = app.change(
        move |registry| registry.feed_of(&named),
        move |registry, _| registry.unsubscribe(&who.caller(), &id),
    );
    answer.await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn watch(
    State(app): State<Arc<App>>,
    who: Identified,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    who.require(&app, Kind::Subscriber)?;
    let id = subscription_id(&id)?;
    let who = Arc::new(who);
    let (named, asking) = (id.clone(), who.clone());
    let grant = app.volatile(move |registry, now| registry.grant_of(&asking.caller(), &named, now));
    let feed = grant.await?.feed;
    let draw =
        move |registry: &crate::registry::Registry, now| registry.grant_of(&who.caller(), &id, now);
    super::watch::serve(app, feed, draw).await
}

fn subscription_id(text: &str) -> Result<SubscriptionId, Problem> {
    text.parse().map_err(|message| Problem {
        code: ProblemCode::UnknownId,
        message,
        remedy: "use the id of the grant".to_owned(),
        retry_in_ms: None,
    })
}
