//! How do other threads of the application see how a subscription is doing?

use std::sync::{Arc, Mutex, PoisonError};

use twinfeed_control::{FeedName, SubscriptionId};
use twinfeed_protocol::Leg;
use twinfeed_wire::Generation;

use crate::latest::Reader;
use crate::metrics::Snapshot;

/// What stream-admin has to do with the subscription at present. None of this decides whether records
/// flow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Administration {
    /// Nothing is granted yet; attempts go on.
    Connecting {
        /// Why the last one failed; empty before the first.
        reason: String,
    },
    /// The last grant of an earlier life is in force, because stream-admin cannot be reached.
    Unverified {
        /// Why it cannot.
        reason: String,
    },
    /// Granted, renewed and watched.
    Granted {
        /// Under this id.
        subscription: SubscriptionId,
        /// The pair's generation.
        generation: Generation,
        /// Which state of the feed.
        revision: u64,
        /// Legs that were granted and from which nothing was heard.
        silent: Vec<Leg>,
    },
    /// Granted, and stream-admin is away: data and switches go on.
    Away {
        /// What was noticed.
        reason: String,
    },
    /// Ended; it never opens again.
    Closed {
        /// Why.
        reason: String,
    },
}

impl Default for Administration {
    fn default() -> Self {
        Self::Connecting {
            reason: String::new(),
        }
    }
}

/// A view of one subscription that can be cloned and sent to any thread.
#[derive(Clone, Debug)]
pub struct Monitor {
    feed: FeedName,
    snapshot: Reader<Snapshot>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    administration: Administration,
    /// Something that went wrong without ending anything, newest last.
    trouble: Option<String>,
    /// Constraints that were changed and are not in force.
    kept: Option<String>,
    /// What stream-admin refuses at present, although records flow.
    refusal: Option<String>,
    /// Why the last attempt to fetch a snapshot failed.
    fetching: Option<String>,
    /// Why a leg of this host is not read from its ring.
    ring: Option<String>,
}

impl Monitor {
    pub(crate) fn new(feed: FeedName, snapshot: Reader<Snapshot>) -> Self {
        Self {
            feed,
            snapshot,
            shared: Arc::default(),
        }
    }

    /// The feed.
    #[must_use]
    pub const fn feed(&self) -> &FeedName {
        &self.feed
    }

    /// What was counted, at most 50 ms before the last poll.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.read()
    }

    /// How it stands with stream-admin.
    #[must_use]
    pub fn administration(&self) -> Administration {
        self.locked().administration.clone()
    }

    /// What went wrong last in the control half without ending anything (a group that cannot be joined, a
    /// state file that cannot be written, a constraint that was changed under way, a renewal that stream-admin
    /// refuses, a snapshot that no server gave, a ring that cannot be had); `None` once it is mended.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let shared = self.locked();
        let all = [
            &shared.refusal,
            &shared.trouble,
            &shared.kept,
            &shared.fetching,
            &shared.ring,
        ];
        let all: Vec<&str> = all.into_iter().filter_map(Option::as_deref).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Everything as one page of the OpenMetrics text format.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let mut text = String::new();
        self.snapshot
            .with(|snapshot| snapshot.write_metrics(self.feed.as_str(), &mut text));
        text.push_str("# EOF\n");
        text
    }

    /// `None` when records can be trusted to flow, or else why not: nothing granted, no leg heard, closed.
    #[must_use]
    pub fn unready(&self) -> Option<String> {
        let heard = |leg| self.snapshot.with(|snapshot| snapshot.is_heard(leg));
        match self.administration() {
            Administration::Connecting { reason } if reason.is_empty() => {
                Some("waiting for stream-admin".to_owned())
            }
            Administration::Connecting { reason } | Administration::Closed { reason } => {
                Some(reason)
            }
            Administration::Unverified { .. }
            | Administration::Granted { .. }
            | Administration::Away { .. } => {
                let any = Leg::BOTH.into_iter().any(heard);
                (!any).then(|| "no leg was heard yet".to_owned())
            }
        }
    }

    pub(crate) fn set(&self, administration: Administration) {
        self.locked().administration = administration;
    }

    pub(crate) fn set_kept(&self, kept: Option<String>) {
        self.locked().kept = kept;
    }

    pub(crate) fn set_trouble(&self, trouble: Option<String>) {
        self.locked().trouble = trouble;
    }

    pub(crate) fn set_fetching(&self, fetching: Option<String>) {
        self.locked().fetching = fetching.map(|it| format!("a snapshot: {it}"));
    }

    pub(crate) fn set_ring(&self, trouble: Option<String>) {
        self.locked().ring = trouble;
    }

    pub(crate) fn set_refusal(&self, refusal: Option<String>) {
        self.locked().refusal = refusal;
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
