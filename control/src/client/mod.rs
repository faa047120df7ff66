//! How does a thread that may block talk to stream-admin?
//!
//! One method per request. No method retries by itself: a caller that wants to wait drives
//! [`Backoff`] and asks [`Error::is_worth_retrying`]. [`Watch`] is the exception, because a watch that
//! does not come back by itself is no watch.
//!
//! A token is never sent over plaintext beyond loopback, never follows a redirect, and never goes
//! through a proxy that the environment happens to name.

mod backoff;
mod error;
mod http;
mod secret;
pub mod sse;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

pub use backoff::{Backoff, StopFlag};
pub use error::Error;
pub use secret::Secret;
pub use watch::{Turn, Watch, WatchEvent, Watched};

use crate::{
    AdapterId, Affected, AffectedBy, Assignment, Confirm, EntitlementAnswer, EntitlementChange,
    FeedName, Grant, Incarnation, Order, OrderRecord, OrderReport, Receipt, ReceiptAccepted,
    Receipts, Register, Renew, RenewSubscription, Renewed, RoleChange, RoleOrder, Status,
    Subscribe, SubscriptionId, SubscriptionRenewed, SubscriptionStatus, TakeOver,
};
use http::Http;

/// A blocking client of one stream-admin; cheap to clone, every clone shares the connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: Http,
}

/// Collects what a [`Client`] needs to know; nothing is opened before [`ClientBuilder::build`].
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    base_url: String,
    token: Option<Secret>,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    timeout: Duration,
    silence: Duration,
}

impl ClientBuilder {
    /// The token to present.
    #[must_use]
    pub fn token(mut self, token: Secret) -> Self {
        self.token = Some(token);
        self
    }

    /// The file that holds the token, alone on its first line.
    #[must_use]
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.token_file = Some(path.into());
        self
    }

    /// A PEM file with the certificates to trust; without one, the public web's.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// How long one request may take, connection included; default 5 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long a watch may be silent before it counts as lost; default 5 s. The server says
    /// something every second.
    #[must_use]
    pub fn watch_silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Reads the files and checks that the token may travel.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] names the setting at fault: an URL that is none, a file that cannot
    /// be read, a token that would travel in plaintext.
    pub fn build(self) -> Result<Client, Error> {
        let token = match (self.token, &self.token_file) {
            (Some(token), _) => Some(token),
            (None, Some(path)) => Some(Secret::from_file(path)?),
            (None, None) => None,
        };
        let ca_file = self.ca_file.as_deref();
        let http = Http::new(&self.base_url, token, ca_file, self.timeout, self.silence)?;
        Ok(Client { http })
    }
}

impl Client {
    /// A client of the stream-admin at `base_url`, such as `http://127.0.0.1:7400`.
    #[must_use]
    pub fn builder(base_url: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            base_url: base_url.into(),
            token: None,
            token_file: None,
            ca_file: None,
            timeout: Duration::from_secs(5),
            silence: Duration::from_secs(5),
        }
    }

    /// Where it talks to.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.http.base_url()
    }

    /// Takes an adapter's seat.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when this incarnation was replaced, [`Error::ConfigMismatch`] when the living
    /// adapter of the other seat converts differently, [`Error::Undecided`] while that is not known, and
    /// all that any request can meet.
    pub fn register(&self, request: &Register) -> Result<Assignment, Error> {
        self.http.post("/v1/adapters/register", request)
    }

    /// Keeps an adapter's seat.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`]: replaced, stop. [`Error::UnknownId`]: register again.
    pub fn renew(&self, adapter: &AdapterId, request: &Renew) -> Result<Renewed, Error> {
        self.http
            .post(&format!("/v1/adapters/{adapter}/renew"), request)
    }

    /// Gives an adapter's seat back at a graceful end, so that nobody waits for the lease.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when a newer incarnation sits there.
    pub fn leave(&self, adapter: &AdapterId, incarnation: Incarnation) -> Result<(), Error> {
        self.http
            .delete(&format!("/v1/adapters/{adapter}?incarnation={incarnation}"))
    }

    /// Asks for the next generation as its active; asking again for the same one changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when somebody else sits there or another generation was granted meanwhile.
    pub fn take_over(&self, adapter: &AdapterId, request: &TakeOver) -> Result<Assignment, Error> {
        self.http
            .post(&format!("/v1/adapters/{adapter}/takeover"), request)
    }

    /// Says what became of an order; saying so again changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownId`] when stream-admin knows no such order, and all that any request can meet.
    pub fn report_order(&self, adapter: &AdapterId, report: &OrderReport) -> Result<(), Error> {
        self.http
            .post::<OrderRecord>(&format!("/v1/adapters/{adapter}/orders"), report)
            .map(drop)
    }

    /// Orders an administrative message, and waits for `wait_ms` of the order for what becomes of it.
    ///
    /// # Errors
    ///
    /// All that any request can meet; the message says which part of the order is wrong.
    pub fn order(&self, order: &Order) -> Result<OrderRecord, Error> {
        self.http.post("/v1/orders", order)
    }

    /// The orders of a feed that stream-admin remembers, newest first.
    ///
    /// # Errors
    ///
    /// All that any request can meet.
    pub fn orders(&self, feed: &FeedName) -> Result<Vec<OrderRecord>, Error> {
        self.http.get(&format!("/v1/orders?feed={feed}"))
    }

    /// Says which adapter is active, and waits for `wait_ms` of the order for what becomes of it.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when the pair is not fit for it; the message says what is missing.
    pub fn order_roles(&self, order: &RoleOrder) -> Result<RoleChange, Error> {
        self.http.post("/v1/roles", order)
    }

    /// The changes of a feed's roles that stream-admin remembers, newest first.
    ///
    /// # Errors
    ///
    /// All that any request can meet.
    pub fn role_changes(&self, feed: &FeedName) -> Result<Vec<RoleChange>, Error> {
        self.http.get(&format!("/v1/roles?feed={feed}"))
    }

    /// Follows an adapter's assignment until `stop`.
    #[must_use]
    pub fn watch_adapter(
        &self,
        adapter: &AdapterId,
        incarnation: Incarnation,
        backoff: Backoff,
        stop: StopFlag,
    ) -> Watch<Assignment> {
        let path = format!("/v1/adapters/{adapter}/watch?incarnation={incarnation}");
        Watch::new(self.http.clone(), path, backoff, stop)
    }

    /// Asks for both legs of a feed.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownFeed`], [`Error::NotEntitled`], and all that any request can meet.
    pub fn subscribe(&self, request: &Subscribe) -> Result<Grant, Error> {
        self.http.post("/v1/subscriptions", request)
    }

    /// Says which legs were heard (RM-3).
    ///
    /// # Errors
    ///
    /// [`Error::UnknownId`]: the subscription is gone, subscribe again.
    pub fn confirm(
        &self,
        subscription: &SubscriptionId,
        request: &Confirm,
    ) -> Result<SubscriptionRenewed, Error> {
        self.http.post(
            &format!("/v1/subscriptions/{subscription}/confirm"),
            request,
        )
    }

    /// Keeps a subscription.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownId`]: gone, subscribe again. [`Error::NotEntitled`]: closed, with the reason.
    pub fn renew_subscription(
        &self,
        subscription: &SubscriptionId,
        status: SubscriptionStatus,
    ) -> Result<SubscriptionRenewed, Error> {
        let request = RenewSubscription { status };
        self.http
            .post(&format!("/v1/subscriptions/{subscription}/renew"), &request)
    }

    /// Reports switches, oldest first; repeating a report changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownId`]: the subscription is gone.
    pub fn report_receipts(
        &self,
        subscription: &SubscriptionId,
        receipts: Vec<Receipt>,
    ) -> Result<ReceiptAccepted, Error> {
        let request = Receipts { receipts };
        self.http.post(
            &format!("/v1/subscriptions/{subscription}/receipts"),
            &request,
        )
    }

    /// Ends a subscription; ending one that is gone is no error.
    ///
    /// # Errors
    ///
    /// All that any request can meet.
    pub fn unsubscribe(&self, subscription: &SubscriptionId) -> Result<(), Error> {
        match self
            .http
            .delete(&format!("/v1/subscriptions/{subscription}"))
        {
            Err(Error::UnknownId { .. }) => Ok(()),
            other => other,
        }
    }

    /// Follows a subscription's legs until `stop`.
    #[must_use]
    pub fn watch_subscription(
        &self,
        subscription: &SubscriptionId,
        backoff: Backoff,
        stop: StopFlag,
    ) -> Watch<Grant> {
        let path = format!("/v1/subscriptions/{subscription}/watch");
        Watch::new(self.http.clone(), path, backoff, stop)
    }

    /// Takes a principal's access to a feed away (operators).
    ///
    /// # Errors
    ///
    /// [`Error::NotEntitled`] when the token is no operator's.
    pub fn revoke(&self, change: &EntitlementChange) -> Result<EntitlementAnswer, Error> {
        self.http.post("/v1/entitlements/revoke", change)
    }

    /// Gives a principal access to a feed (operators).
    ///
    /// # Errors
    ///
    /// [`Error::NotEntitled`] when the token is no operator's.
    pub fn grant(&self, change: &EntitlementChange) -> Result<EntitlementAnswer, Error> {
        self.http.post("/v1/entitlements/grant", change)
    }

    /// Who is affected (operators).
    ///
    /// # Errors
    ///
    /// [`Error::NotEntitled`] when the token is no operator's.
    pub fn affected(&self, by: &AffectedBy) -> Result<Affected, Error> {
        let query = match by {
            AffectedBy::Adapter(adapter) => format!("adapter={adapter}"),
            AffectedBy::Entitlement { principal, feed } => {
                format!("entitlement={principal}:{feed}")
            }
        };
        self.http.get(&format!("/v1/affected?{query}"))
    }

    /// Everything an operator sees.
    ///
    /// # Errors
    ///
    /// All that any request can meet.
    pub fn status(&self) -> Result<Status, Error> {
        self.http.get("/status.json")
    }

    /// Whether stream-admin answers and says that it is ready.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`], or [`Error::Server`] while it is not ready.
    pub fn ready(&self) -> Result<(), Error> {
        self.http.probe("/readyz")
    }
}
