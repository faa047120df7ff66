//! How does a filter get from any thread to the one that polls?

use std::sync::Arc;

use twinfeed_net::sync::ArrayQueue;

use super::Filter;

/// Changes the filter of one subscription from any thread. Made by [`crate::Control::filter_switch`].
///
/// The next poll puts the filter in force, between two records. Of several that were set before it, the last one is.
#[derive(Clone, Debug)]
pub struct FilterSwitch(Arc<ArrayQueue<Filter>>);

impl FilterSwitch {
    /// Wants this from the next poll on.
    pub fn set(&self, filter: Filter) {
        drop(self.0.force_push(filter));
    }
}

/// The poller's end.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox(Arc<ArrayQueue<Filter>>);

impl Mailbox {
    /// With nothing in it.
    pub(crate) fn new() -> Self {
        Self(Arc::new(ArrayQueue::new(1)))
    }

    /// The other end.
    pub(crate) fn switch(&self) -> FilterSwitch {
        FilterSwitch(Arc::clone(&self.0))
    }

    /// The filter that was set since the last call.
    pub(crate) fn take(&self) -> Option<Filter> {
        self.0.pop()
    }
}

#[cfg(all(test, not(twinfeed_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_filter_is_the_one() {
        let mailbox = Mailbox::new();
        let switch = mailbox.switch();
        assert_eq!(mailbox.take(), None);
        switch.set(Filter::none());
        switch.clone().set(Filter::all());
        assert_eq!(mailbox.take(), Some(Filter::all()));
        assert_eq!(mailbox.take(), None);
    }
}
