//! The same over TLS: a client that trusts the certificate gets through, one that does not gets nothing.

use crate::support::{Server, config, wish};
use twinfeed_control::{Client, Error, Secret};
use twinfeed_stream_admin::config::Tls;
use twinfeed_stream_admin::store::MemoryStore;

#[test]
fn a_trusted_certificate_carries_the_token_and_an_unknown_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();

    let mut config = config("");
    // Where the name in the certificate leads to.
    config.listen.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    config.tls = Some(Tls {
        certificate: certificate.clone(),
        key,
    });
    let server = Server::with(&config, MemoryStore::default());
    let url = format!("https://localhost:{}", server.address.port());
    let builder = Client::builder(url).token(Secret::new("desk-token").unwrap());

    let trusting = builder.clone().ca_file(&certificate).build().unwrap();
    assert_eq!(trusting.subscribe(&wish(7000)).unwrap().legs.len(), 2);
    let error = builder.build().unwrap().subscribe(&wish(7100)).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}
