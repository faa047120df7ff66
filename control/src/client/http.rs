//! How does one JSON request travel, and may the token travel with it?

use std::io::{BufReader, Read};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig};

use super::{Error, Secret};

/// Longest answer that is read, in bytes; a status document of thousands of subscriptions fits.
const ANSWER_LIMIT: u64 = 64 << 20;

#[derive(Clone)]
pub(super) struct Http {
    agent: Agent,
    base_url: Arc<str>,
    bearer: Option<Arc<str>>,
    silence: Duration,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http")
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

impl Http {
    pub(super) fn new(
        base_url: &str,
        token: Option<Secret>,
        ca_file: Option<&Path>,
        timeout: Duration,
        silence: Duration,
    ) -> Result<Self, Error> {
        let base_url = base_url.trim_end_matches('/');
        check_url(base_url, token.is_some())?;
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("twinfeed/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls_config(ca_file)?)
            .build();
        Ok(Self {
            agent: Agent::new_with_config(config),
            base_url: base_url.into(),
            bearer: token.map(|token| format!("Bearer {}", token.expose()).into()),
            silence,
        })
    }

    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(super) const fn silence(&self) -> Duration {
        self.silence
    }

    pub(super) fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, Error> {
        let url = self.url(path);
        let bytes = serde_json::to_vec(body).map_err(|error| Error::Answer {
            url: url.clone(),
            cause: format!("the request cannot be written as JSON: {error}"),
        })?;
        let mut request = self
            .agent
            .post(&url)
            .header("content-type", "application/json");
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", &**bearer);
        }
        self.answer(&url, request.send(&bytes[..]))
    }

    pub(super) fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, Error> {
        let url = self.url(path);
        let mut request = self.agent.get(&url);
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", &**bearer);
        }
        self.answer(&url, request.call())
    }

    pub(super) fn delete(&self, path: &str) -> Result<(), Error> {
        let url = self.url(path);
        let mut request = self.agent.delete(&url);
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", &**bearer);
        }
        self.bytes(&url, request.call()).map(drop)
    }

    pub(super) fn probe(&self, path: &str) -> Result<(), Error> {
        let url = self.url(path);
        let answer = self.agent.get(&url).call();
        self.bytes(&url, answer).map(drop)
    }

    /// Opens a stream of events: no limit on its whole length, one on each silence.
    pub(super) fn stream(&self, path: &str) -> Result<BufReader<Box<dyn Read + Send>>, Error> {
        let url = self.url(path);
        let mut request = self.agent.get(&url).header("accept", "text/event-stream");
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", &**bearer);
        }
        let request = request
            .config()
            .timeout_global(None)
            .timeout_connect(Some(self.silence))
            .timeout_recv_response(Some(self.silence))
            .timeout_per_read(Some(self.silence))
            .build();
        let response = request.call().map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            let reader = response.into_body().into_reader();
            return Ok(BufReader::new(Box::new(reader)));
        }
        self.bytes(&url, Ok(response)).and_then(|_| {
            Err(Error::Answer {
                url: url.clone(),
                cause: "no event stream".to_owned(),
            })
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    fn unreachable(&self, error: &ureq::Error) -> Error {
        Error::Unreachable {
            url: self.base_url.to_string(),
            cause: error.to_string(),
        }
    }

    fn answer<A: DeserializeOwned>(&self, url: &str, answer: Answer) -> Result<A, Error> {
        let bytes = self.bytes(url, answer)?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Answer {
            url: url.to_owned(),
            cause: error.to_string(),
        })
    }

    fn bytes(&self, url: &str, answer: Answer) -> Result<Vec<u8>, Error> {
        let mut response = answer.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = response
            .body_mut()
            .with_config()
            .limit(ANSWER_LIMIT)
            .read_to_vec();
        let bytes = match body {
            Ok(bytes) => bytes,
            Err(ureq::Error::BodyExceedsLimit(limit)) => {
                let cause = format!("the answer is longer than {limit} bytes");
                return Err(Error::Answer {
                    url: url.to_owned(),
                    cause,
                });
            }
            Err(error) => return Err(self.unreachable(&error)),
        };
        if status.is_success() {
            Ok(bytes)
        } else {
            Err(Error::from_refusal(status.as_u16(), &bytes))
        }
    }
}

type Answer = Result<Response<ureq::Body>, ureq::Error>;

/// Refuses what is no HTTP URL, and a token that would travel readable for others.
fn check_url(base_url: &str, with_token: bool) -> Result<(), Error> {
    let wrong = |cause: &str, remedy| Error::Configuration {
        culprit: format!("stream-admin address {base_url:?}"),
        cause: cause.to_owned(),
        remedy,
    };
    let uri: ureq::http::Uri = base_url
        .parse()
        .map_err(|_| wrong("it is no URL", "write it as https://host:port"))?;
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("https") if !host.is_empty() => Ok(()),
        Some("http") if !host.is_empty() && (!with_token || is_loopback(host)) => Ok(()),
        Some("http") if !host.is_empty() => Err(wrong(
            "a token would travel there in plaintext",
            "use https, or a loopback address",
        )),
        _ => Err(wrong(
            "it is no http or https URL",
            "write it as https://host:port",
        )),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn tls_config(ca_file: Option<&Path>) -> Result<TlsConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut builder = TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
    if let Some(path) = ca_file {
        builder = builder.root_certs(read_certificates(path)?);
    }
    Ok(builder.build())
}

fn read_certificates(path: &Path) -> Result<RootCerts, Error> {
    let wrong = |cause: String| Error::Configuration {
        culprit: format!("certificate file {}", path.display()),
        cause,
        remedy: "give a PEM file with the certificates to trust",
    };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let mut certificates = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(wrong(error.to_string())),
        }
    }
    if certificates.is_empty() {
        return Err(wrong("it holds no certificate".to_owned()));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_travels_in_plaintext_on_loopback_only() {
        for (url, with_token, allowed) in [
            ("http://127.0.0.1:7400", true, true),
            ("http://127.9.9.9:7400", true, true),
            ("http://[::1]:7400", true, true),
            ("http://localhost:7400", true, true),
            ("https://admin.example:7400", true, true),
            ("http://admin.example:7400", true, false),
            ("http://10.0.0.1:7400", true, false),
            ("http://localhost.example:7400", true, false),
            ("http://10.0.0.1:7400", false, true),
            ("ftp://127.0.0.1", false, false),
            ("127.0.0.1:7400", false, false),
            ("", false, false),
        ] {
            assert_eq!(
                check_url(url, with_token).is_ok(),
                allowed,
                "{url} {with_token}"
            );
        }
    }
}
