//! An operator's order is answered when nothing more is to come of it, or when the wait is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use twinfeed_control::{FeedName, Problem};

use crate::app::App;
use crate::lease::Now;
use crate::registry::Registry;

/// Gives the order, then looks at what it left whenever the feed changes, as long as `open` says by which number.
pub(super) async fn until_settled<T: Send + 'static>(
    app: &Arc<App>,
    feed: FeedName,
    wait: Duration,
    order: impl FnOnce(&mut Registry, Now) -> Result<T, Problem> + Send + 'static,
    open: impl Fn(&T) -> Option<u64>,
    look: fn(&Registry, &FeedName, u64) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let deadline = Instant::now() + wait;
    // Before the order: no change after it is missed.
    let changes = app.changes(&feed);
    let backup = feed.clone();
    let mut left = app.change(move |_| Some(backup), order).await?;
    let Some(mut changes) = changes else {
        return Ok(left);
    };
    while let Some(number) = open(&left) {
        match timeout_at(deadline, changes.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => break,
        }
        let feed = feed.clone();
        left = app
            .volatile(move |registry, _| look(registry, &feed, number))
            .await?;
    }
    Ok(left)
}
