//! An operator orders an administrative message; the active adapter says what became of it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use tracing::info;
use twinfeed_control::{FeedName, Order, OrderOutcome, OrderRecord, OrderReport, Problem};

use super::adapters::adapter_id;
use super::auth::Identified;
use super::body::{Asked, Body};
use super::refusal::Refusal;
use super::settled::{to_its_end, until_settled};
use crate::app::App;
use crate::config::Kind;
use crate::registry::Registry;

pub(super) async fn order(
    State(app): State<Arc<App>>,
    who: Identified,
    Body(request): Body<Order>,
) -> Result<Json<OrderRecord>, Refusal> {
    who.require(&app, Kind::Operator)?;
    let done = to_its_end(async move {
        let told = request.clone();
        let answer = carry_out(&app, who.name().to_owned(), request).await;
        let outcome = match &answer {
            Ok(record) => serde_json::to_string(&record.outcome).unwrap_or_default(),
            Err(problem) => problem.message.clone(),
        };
        info!(
            target: "audit",
            operator = who.name(), action = told.message.word(), feed = %told.feed, sid = told.sid.0,
            key = told.key, outcome, "operator action"
        );
        answer
    });
    Ok(Json(done.await?))
}

async fn carry_out(
    app: &Arc<App>,
    operator: String,
    request: Order,
) -> Result<OrderRecord, Problem> {
    until_settled(
        app,
        request.feed.clone(),
        Duration::from_millis(request.wait_ms).min(LONGEST_WAIT),
        move |registry, now| registry.order(&operator, request, now),
        |record| (record.outcome == OrderOutcome::Pending).then_some(record.ticket),
        Registry::order_by_ticket,
    )
    .await
}

/// `?feed=<name>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    pub(super) feed: FeedName,
}

pub(super) async fn orders(
    State(app): State<Arc<App>>,
    who: Identified,
    Asked(Of { feed }): Asked<Of>,
) -> Result<Json<Vec<OrderRecord>>, Refusal> {
    who.require(&app, Kind::Operator)?;
    let answer = app.volatile(move |registry, _| registry.orders(&feed));
    Ok(Json(answer.await?))
}

pub(super) async fn report(
    State(app): State<Arc<App>>,
    who: Identified,
    Path(id): Path<String>,
    Body(report): Body<OrderReport>,
) -> Result<Json<OrderRecord>, Refusal> {
    who.require(&app, Kind::Adapter)?;
    let id = adapter_id(&id)?;
    let named = id.clone();
    let done = to_its_end(async move {
        let answer = app.change(
            move |registry| registry.feed_of_adapter(&named).ok(),
            move |registry, _| registry.report_order(&who.caller(), &id, report),
        );
        let record = answer.await?;
        let outcome = serde_json::to_string(&record.outcome).unwrap_or_default();
        info!(
            target: "audit",
            operator = record.operator, action = record.message.word(), feed = %record.feed,
            sid = record.sid.0, key = record.key, outcome, "order settled"
        );
        Ok(record)
    });
    Ok(Json(done.await?))
}

/// Longest time for which an answer to an order waits for the adapter.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
