//! An operator takes access away, gives it, and asks who would notice. Each action is one line of the
//! audit log (target `audit`), whatever became of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tracing::info;
use twinfeed_control::{Affected, EntitlementAnswer, EntitlementChange, FeedName, ProblemCode};

use super::adapters::adapter_id;
use super::auth::Identified;
use super::body::{Asked, Body};
use super::refusal::Refusal;
use super::settled::to_its_end;
use crate::app::App;
use crate::config::Kind;

pub(super) async fn revoke(
    app: State<Arc<App>>,
    who: Identified,
    change: Body<EntitlementChange>,
) -> Result<Json<EntitlementAnswer>, Refusal> {
    entitle(app, who, change, false).await
}

pub(super) async fn grant(
    app: State<Arc<App>>,
    who: Identified,
    change: Body<EntitlementChange>,
) -> Result<Json<EntitlementAnswer>, Refusal> {
    entitle(app, who, change, true).await
}

async fn entitle(
    State(app): State<Arc<App>>,
    who: Identified,
    Body(change): Body<EntitlementChange>,
    entitled: bool,
) -> Result<Json<EntitlementAnswer>, Refusal> {
    who.require(&app, Kind::Operator)?;
    let feed = change.feed.clone();
    let done = to_its_end(async move {
        let told = change.clone();
        let answer = app.change(
            move |_| Some(feed),
            move |registry, _| registry.entitle(change, entitled),
        );
        let answer = answer.await;
        let action = if entitled { "grant" } else { "revoke" };
        let outcome = match &answer {
            Ok(done) => format!(
                "changed={} closed={}",
                done.changed, done.closed_subscriptions
            ),
            Err(problem) => problem.message.clone(),
        };
        info!(
            target: "audit",
            operator = who.name(), action, principal = told.principal, feed = %told.feed,
            reason = told.reason, outcome, "operator action"
        );
        answer
    });
    Ok(Json(done.await?))
}

/// `?adapter=<id>` or `?entitlement=<principal>:<feed>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct By {
    #[serde(default)]
    adapter: Option<String>,
    #[serde(default)]
    entitlement: Option<String>,
}

pub(super) async fn affected(
    State(app): State<Arc<App>>,
    who: Identified,
    Asked(by): Asked<By>,
) -> Result<Json<Affected>, Refusal> {
    who.require(&app, Kind::Operator)?;
    let answer = match (by.adapter, by.entitlement) {
        (Some(id), None) => {
            let id = adapter_id(&id)?;
            let ask = move |registry: &mut crate::registry::Registry, _| {
                registry.affected_by_adapter(&who.caller(), &id)
            };
            app.volatile(ask).await
        }
        (None, Some(entitlement)) => {
            let (principal, feed) = parse(&entitlement)?;
            app.volatile(move |registry, _| registry.affected_by_entitlement(&principal, &feed))
                .await
        }
        _ => return Err(ask_one()),
    };
    Ok(Json(answer?))
}

fn parse(entitlement: &str) -> Result<(String, FeedName), Refusal> {
    let (principal, feed) = entitlement.split_once(':').ok_or_else(ask_one)?;
    Ok((principal.to_owned(), feed.parse().map_err(|_| ask_one())?))
}

fn ask_one() -> Refusal {
    let message = "the question is ?adapter=<id> or ?entitlement=<principal>:<feed>";
    Refusal::new(
        ProblemCode::BadRequest,
        message,
        "ask exactly one of the two",
    )
}
