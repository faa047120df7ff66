//! How does a test order a message, and learn what became of it?

use std::time::Duration;

use twinfeed_control::{Client, FeedName, MessagePlace, OrderOutcome};
use twinfeed_harness::{Error, Rig, notices};

use super::LIMIT;

/// An operator's connection to the stream-admin of a run.
#[derive(Clone, Debug)]
pub struct Operator {
    client: Client,
    feed: FeedName,
}

impl Operator {
    /// Of this run.
    ///
    /// # Errors
    /// When the operator's token cannot be read.
    pub fn of(rig: &Rig) -> Result<Self, Error> {
        Ok(Self {
            client: rig.operator(LIMIT)?,
            feed: rig.feed_name(),
        })
    }

    /// Orders a notice; the same text again is the same order. Waits for `wait` until something became of it.
    ///
    /// # Errors
    /// When stream-admin does not take it.
    pub fn order(
        &self,
        text: &str,
        wait: Duration,
    ) -> Result<OrderOutcome, twinfeed_control::Error> {
        let order = notices::order(self.feed.clone(), text, wait);
        self.client.order(&order).map(|record| record.outcome)
    }

    /// Has a notice placed, trying again with another text while nobody may place it; returns the text that was.
    ///
    /// # Errors
    /// What the last attempt ended with.
    pub fn place(&self, text: &str) -> Result<(String, MessagePlace), Error> {
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            let text = format!("{text}.{attempt}");
            match self.order(&text, WAIT) {
                Ok(OrderOutcome::Placed { place }) => return Ok((text, place)),
                Ok(other) => last = format!("{other:?}"),
                Err(error) => last = error.to_string(),
            }
            std::thread::sleep(PAUSE);
        }
        Err(Error::TimedOut {
            what: format!("{text} is placed"),
            waited: PAUSE * ATTEMPTS,
            state: last,
        })
    }
}

/// How long an order is waited for.
const WAIT: Duration = Duration::from_secs(10);
/// Most attempts to have a message placed.
const ATTEMPTS: u32 = 100;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(20);
