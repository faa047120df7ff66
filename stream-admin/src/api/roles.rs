//! An operator says which adapter is active; both adapters and the registry bring it about.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use tracing::info;
use twinfeed_control::{Problem, RoleCause, RoleChange, RoleOrder, RoleOutcome};

use super::auth::Identified;
use super::body::{Asked, Body};
use super::orders::Of;
use super::refusal::Refusal;
use super::settled::{to_its_end, until_settled};
use crate::app::App;
use crate::config::Kind;
use crate::registry::Registry;

pub(super) async fn order(
    State(app): State<Arc<App>>,
    who: Identified,
    Body(request): Body<RoleOrder>,
) -> Result<Json<RoleChange>, Refusal> {
    who.require(&app, Kind::Operator)?;
    let done = to_its_end(async move {
        let told = request.clone();
        let answer = carry_out(&app, who.name().to_owned(), request).await;
        let outcome = match &answer {
            Ok(change) => serde_json::to_string(&change.outcome).unwrap_or_default(),
            Err(problem) => problem.message.clone(),
        };
        let action = serde_json::to_string(&told.action).unwrap_or_default();
        info!(
            target: "audit",
            operator = who.name(), action, feed = %told.feed, key = told.key, outcome, "operator action"
        );
        answer
    });
    Ok(Json(done.await?))
}

async fn carry_out(
    app: &Arc<App>,
    operator: String,
    request: RoleOrder,
) -> Result<RoleChange, Problem> {
    until_settled(
        app,
        request.feed.clone(),
        Duration::from_millis(request.wait_ms).min(LONGEST_WAIT),
        move |registry, now| registry.order_roles(&operator, request, now),
        |change| (!is_told(change)).then_some(change.number),
        Registry::role_change,
    )
    .await
}

/// Whether nothing more is to come: the new active has said how its generation began.
fn is_told(change: &RoleChange) -> bool {
    match change.outcome {
        RoleOutcome::Pending => false,
        RoleOutcome::Refused { .. } => true,
        RoleOutcome::Done { seamless, .. } => {
            seamless.is_some() || matches!(change.cause, RoleCause::Pin | RoleCause::Unpin)
        }
    }
}

pub(super) async fn changes(
    State(app): State<Arc<App>>,
    who: Identified,
    Asked(Of { feed }): Asked<Of>,
) -> Result<Json<Vec<RoleChange>>, Refusal> {
    who.require(&app, Kind::Operator)?;
    let answer = app.volatile(move |registry, _| registry.role_changes(&feed));
    Ok(Json(answer.await?))
}

/// Longest time for which an answer waits for the outcome.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
