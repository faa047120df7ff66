//! Certificate and key, from files, or a sentence about which of them is wrong.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::{ConfigError, Tls};

/// What shakes hands as this server.
///
/// # Errors
///
/// [`ConfigError`] with the file at fault.
pub fn acceptor(tls: &Tls) -> Result<TlsAcceptor, ConfigError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&tls.certificate)
        .map_err(|error| wrong("tls.certificate", &tls.certificate, &error))?
        .collect();
    let certificates =
        certificates.map_err(|error| wrong("tls.certificate", &tls.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|error| wrong("tls.key", &tls.key, &error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("tls", &tls.certificate, &error))?;
    let mut config = builder
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| wrong("tls", &tls.certificate, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn wrong(key: &str, path: &Path, error: &dyn std::fmt::Display) -> ConfigError {
    ConfigError {
        place: key.to_owned(),
        cause: format!("{}: {error}", path.display()),
        remedy: "give PEM files of a certificate and its private key, readable by this user".into(),
    }
}
