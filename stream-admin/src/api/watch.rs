//! How does a watcher always have the whole truth?
//!
//! The document is drawn and sent at once, and again whenever it differs from the one sent before. A
//! slow watcher skips versions and never sees a stale one last: documents are drawn when they can be
//! sent, not queued.

use std::convert::Infallible;
use std::sync::Arc;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use twinfeed_control::{FeedName, Problem, ProblemCode, WatchEvent};

use super::refusal::Refusal;
use crate::app::App;
use crate::lease::Now;
use crate::registry::Registry;

struct Watching<T, D> {
    app: Arc<App>,
    draw: D,
    changes: watch::Receiver<()>,
    draining: watch::Receiver<bool>,
    sent: Option<T>,
    _permit: OwnedSemaphorePermit,
}

/// Serves the document that `draw` draws of a feed, until it is final or the server drains.
pub(super) async fn serve<T, D>(app: Arc<App>, feed: FeedName, draw: D) -> Result<Response, Refusal>
where
    T: WatchEvent + Serialize + Send + 'static,
    D: Fn(&Registry, Now) -> Result<T, Problem> + Clone + Send + Sync + 'static,
{
    let permit = app.watches.clone().try_acquire_owned().map_err(|_| {
        let limit = app.config.limits.watches;
        let message = format!("limits.watches = {limit} watches are open");
        Refusal::new(
            ProblemCode::LimitReached,
            message,
            "try again later, or raise the limit",
        )
    })?;
    let Some(changes) = app.changes(&feed) else {
        let message = format!("feed {feed} is not configured");
        return Err(Refusal::new(
            ProblemCode::UnknownFeed,
            message,
            "correct the feed's name",
        ));
    };
    // A refusal is an answer of its own, not an event; so the first drawing is tried here.
    let first = draw.clone();
    drop(
        app.volatile(move |registry, now| first(registry, now))
            .await?,
    );
    let interval = app.config.leases.watch_keepalive.0;
    let draining = app.draining();
    let watching = Watching {
        app,
        draw,
        changes,
        draining,
        sent: None,
        _permit: permit,
    };
    let stream = unfold(watching, |mut watching| async move {
        let document = watching.next().await?;
        let event = Event::default().id(document.revision().to_string());
        let event = event.json_data(&document).ok()?;
        watching.sent = Some(document);
        Some((Ok::<_, Infallible>(event), watching))
    });
    Ok(Sse::new(stream)
        .keep_alive(KeepAlive::new().interval(interval))
        .into_response())
}

impl<T, D> Watching<T, D>
where
    T: WatchEvent + Send + 'static,
    D: Fn(&Registry, Now) -> Result<T, Problem> + Clone + Send + Sync + 'static,
{
    /// The next document that differs; `None` once none can follow.
    async fn next(&mut self) -> Option<T> {
        if self.sent.as_ref().is_some_and(WatchEvent::is_final) {
            return None;
        }
        loop {
            // Marked as seen before drawing: a change in between makes the next round draw again.
            self.changes.borrow_and_update();
            if *self.draining.borrow() {
                return None;
            }
            let draw = self.draw.clone();
            let document = self
                .app
                .volatile(move |registry, now| draw(registry, now))
                .await
                .ok()?;
            if self.sent.as_ref() != Some(&document) {
                return Some(document);
            }
            tokio::select! {
                changed = self.changes.changed() => changed.ok()?,
                drained = self.draining.changed() => drained.ok()?,
            }
        }
    }
}
