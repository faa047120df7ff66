//! An operator's order is answered when nothing more is to come of it, or when the wait is over; what it did is in the
//! audit log, also when who gave it has hung up by then.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use twinfeed_control::{FeedName, Problem};

use crate::app::{App, internal};
use crate::lease::Now;
use crate::registry::Registry;

/// Runs a request to its end, its line in the audit log included. A handler itself ends wherever it is once its caller
/// hangs up.
///
/// # Errors
///
/// Those of the request; `internal` when it panicked.
pub(super) async fn to_its_end<T: Send + 'static>(
    request: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    tokio::spawn(request)
        .await
        .unwrap_or_else(|_| Err(internal()))
}

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

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::channel;

    use super::*;

    #[tokio::test]
    async fn what_was_begun_is_done_although_its_caller_is_gone() {
        let (begins, begun) = channel();
        let (go, gone) = channel();
        let (does, done) = channel();
        let caller = tokio::spawn(to_its_end(async move {
            begins.send(()).unwrap();
            gone.await.unwrap();
            does.send(()).unwrap();
            Ok(())
        }));
        begun.await.unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        go.send(()).unwrap();
        done.await.unwrap();
    }
}
