//! Who calls?
//!
//! A bearer token, compared by its SHA-256 in constant time with every principal's. A token that came
//! in plaintext from beyond loopback is refused unheard: whoever sent it must take it for stolen.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use tracing::warn;
use twinfeed_control::ProblemCode;

use super::refusal::Refusal;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, ConfigError, Destinations, Kind, StatusAccess, TokenHash};
use crate::registry::Caller;

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether nobody in between can read along.
    pub encrypted: bool,
}

/// The principals, and how often tokens were wrong.
#[derive(Debug)]
pub struct Auth {
    principals: Vec<Principal>,
    failures: Mutex<HashMap<IpAddr, Failures>>,
    failures_per_minute: u32,
    counts: [AtomicU64; 4],
    clock: Clock,
}

#[derive(Clone, Debug)]
struct Principal {
    name: Arc<str>,
    kind: Kind,
    destinations: Destinations,
    hash: TokenHash,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    minute: u64,
    count: u32,
}

/// Why a caller was turned away; the label of `auth_failures_total`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    Missing,
    Wrong,
    Plaintext,
    Kind,
}

impl Failure {
    pub(crate) const ALL: [(Self, &'static str); 4] = [
        (Self::Missing, "missing"),
        (Self::Wrong, "wrong"),
        (Self::Plaintext, "plaintext"),
        (Self::Kind, "kind"),
    ];
}

impl Auth {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut principals = Vec::with_capacity(config.principals.len());
        for one in &config.principals {
            principals.push(Principal {
                name: one.name.as_str().into(),
                kind: one.kind,
                destinations: one.destinations,
                hash: one.token_hash()?,
            });
        }
        Ok(Self {
            principals,
            failures: Mutex::default(),
            failures_per_minute: config.limits.auth_failures_per_minute,
            counts: [const { AtomicU64::new(0) }; 4],
            clock: Clock::start(),
        })
    }

    pub(crate) fn count(&self, failure: Failure) -> u64 {
        self.counts[failure as usize].load(Ordering::Relaxed)
    }

    /// Looks at every principal, whichever matches, so that time tells nothing.
    fn find(&self, token: &str) -> Option<&Principal> {
        let hash = TokenHash::of(token);
        let mut found = None;
        for principal in &self.principals {
            if verify_slices_are_equal(&hash.0, &principal.hash.0).is_ok() {
                found = Some(principal);
            }
        }
        found
    }

    fn identify(&self, peer: Peer, header: Option<&str>) -> Result<Identified, Refusal> {
        let Some(header) = header else {
            return Err(self.fail(peer, Failure::Missing, "the request carries no token"));
        };
        if !peer.encrypted && !peer.address.ip().to_canonical().is_loopback() {
            let message = "the token came in plaintext from beyond loopback and was not looked at";
            return Err(self.fail(peer, Failure::Plaintext, message));
        }
        match header
            .strip_prefix("Bearer ")
            .and_then(|token| self.find(token.trim()))
        {
            Some(principal) => Ok(Identified {
                principal: principal.clone(),
                peer,
            }),
            None => Err(self.fail(peer, Failure::Wrong, "the token is nobody's")),
        }
    }

    fn fail(&self, peer: Peer, failure: Failure, message: &str) -> Refusal {
        self.counts[failure as usize].fetch_add(1, Ordering::Relaxed);
        let address = peer.address.ip();
        let limit = self.failures_per_minute;
        if self.failures_of(address) > limit {
            let message = format!("more than limits.auth_failures_per_minute = {limit}");
            return Refusal::new(ProblemCode::LimitReached, message, "wait a minute");
        }
        warn!(%address, message, "a caller was turned away");
        let remedy = match failure {
            Failure::Plaintext => "use https, and replace the token: it may have been read",
            Failure::Missing | Failure::Wrong | Failure::Kind => {
                "send \"authorization: Bearer <token>\" with a token that stream-admin is configured with"
            }
        };
        Refusal::new(ProblemCode::Unauthenticated, message, remedy)
    }

    /// Counts one more failure of an address in this minute.
    fn failures_of(&self, address: IpAddr) -> u32 {
        let minute = self.clock.now().0 / 60_000;
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= ADDRESSES_REMEMBERED && !failures.contains_key(&address) {
            failures.retain(|_, known| known.minute == minute);
            if failures.len() >= ADDRESSES_REMEMBERED {
                return u32::MAX;
            }
        }
        let known = failures
            .entry(address)
            .or_insert(Failures { minute, count: 0 });
        if known.minute != minute {
            *known = Failures { minute, count: 0 };
        }
        known.count = known.count.saturating_add(1);
        known.count
    }
}

/// How many addresses with wrong tokens are told apart; beyond it all are over the limit.
const ADDRESSES_REMEMBERED: usize = 4096;

/// An authenticated caller.
pub(crate) struct Identified {
    principal: Principal,
    peer: Peer,
}

impl Identified {
    pub(super) fn name(&self) -> &str {
        &self.principal.name
    }

    /// For the registry.
    pub(super) fn caller(&self) -> Caller<'_> {
        let own_address = self.principal.destinations == Destinations::OwnAddress;
        Caller {
            principal: &self.principal.name,
            operator: self.principal.kind == Kind::Operator,
            address: own_address.then(|| self.peer.address.ip()),
        }
    }

    /// Whether the caller is of a kind, or an operator.
    pub(super) fn require(&self, app: &App, kind: Kind) -> Result<(), Refusal> {
        if self.principal.kind == kind || self.principal.kind == Kind::Operator {
            return Ok(());
        }
        app.auth.counts[Failure::Kind as usize].fetch_add(1, Ordering::Relaxed);
        let (name, own) = (&self.principal.name, self.principal.kind.word());
        let message = format!(
            "{name} is a {own}; this takes a token of kind {}",
            kind.word()
        );
        Err(Refusal::new(
            ProblemCode::NotEntitled,
            message,
            "use such a token",
        ))
    }
}

impl FromRequestParts<Arc<App>> for Identified {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        app.auth.identify(peer(parts)?, bearer(parts))
    }
}

/// A caller that may read status and metrics.
pub(crate) struct Reader;

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let peer = peer(parts)?;
        let open = match app.config.status_access {
            StatusAccess::Open => true,
            StatusAccess::Token => false,
            // The host is looked at so that a page elsewhere cannot read along under its own name.
            StatusAccess::Loopback => {
                peer.address.ip().to_canonical().is_loopback() && names_loopback(parts)
            }
        };
        if !open {
            app.auth
                .identify(peer, bearer(parts))?
                .require(app, Kind::Operator)?;
        }
        Ok(Self)
    }
}

fn peer(parts: &Parts) -> Result<Peer, Refusal> {
    let info = parts
        .extensions
        .get::<ConnectInfo<Peer>>()
        .map(|info| info.0);
    info.ok_or_else(|| {
        let message = "the connection's other end is not known";
        Refusal::new(ProblemCode::Internal, message, "report it")
    })
}

fn bearer(parts: &Parts) -> Option<&str> {
    parts.headers.get(header::AUTHORIZATION)?.to_str().ok()
}

fn names_loopback(parts: &Parts) -> bool {
    let host = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let Some(host) = host else { return false };
    let bare = match host.parse::<SocketAddr>() {
        Ok(address) => return address.ip().is_loopback(),
        Err(_) => host.rsplit_once(':').map_or(host, |(bare, _)| bare),
    };
    bare == "localhost"
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth() -> Auth {
        let config = Config::parse(
            "[[principal]]\nname = \"desk\"\nkind = \"subscriber\"\ntoken_sha256 = \
             \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
        );
        Auth::new(&config.unwrap()).unwrap()
    }

    fn peer(address: &str, encrypted: bool) -> Peer {
        Peer {
            address: address.parse().unwrap(),
            encrypted,
        }
    }

    #[test]
    fn a_token_in_plaintext_from_beyond_loopback_is_refused_even_if_right() {
        let auth = auth();
        let known = |peer| auth.identify(peer, Some("Bearer test")).is_ok();
        assert!(known(peer("127.0.0.1:9", false)));
        assert!(known(peer("[::1]:9", false)));
        assert!(known(peer("[::ffff:127.0.0.1]:9", false)));
        assert!(known(peer("192.0.2.1:9", true)));
        assert!(!known(peer("192.0.2.1:9", false)));
        assert_eq!(auth.count(Failure::Plaintext), 1);
    }

    #[test]
    fn only_a_bearer_of_the_very_token_is_known() {
        let auth = auth();
        let here = peer("127.0.0.1:9", false);
        for wrong in [
            None,
            Some("test"),
            Some("Bearer tesT"),
            Some("Bearer "),
            Some("Basic test"),
        ] {
            assert!(auth.identify(here, wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(
            (auth.count(Failure::Missing), auth.count(Failure::Wrong)),
            (1, 4)
        );
    }
}
