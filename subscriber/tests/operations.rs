//! What an operator reads of a subscriber.
#![cfg(feature = "operations")]
#![allow(clippy::unwrap_used, reason = "a scene that cannot be set fails")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use support::{Broker, Diary, LegDouble, broker, builder, open, poll_until};
use twinfeed_control::operations::OperationsConfig;
use twinfeed_subscriber::serve;

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn readiness_status_and_metrics_follow_the_legs() {
    let broker = Broker::start(broker::grant());
    let mut diary = Diary::default();
    let (mut poller, control) = open(&broker, builder(&broker), &mut diary);
    let monitor = control.monitor();
    let operations = serve(&OperationsConfig::default(), &monitor).unwrap();
    let address = operations.address();
    assert!(get(address, "/readyz").contains("no leg was heard yet"));
    let to = broker.change(|state| state.destinations.unwrap());
    let mut leg = LegDouble::new(0, to[0]);
    leg.begin();
    leg.send(1..4);
    poll_until(&mut poller, &mut diary, |_, _| {
        monitor.snapshot().arbiter.records == 3
    });
    assert!(get(address, "/readyz").starts_with("HTTP/1.1 200"));
    let status = get(address, "/status.json");
    assert!(status.contains("\"records\":3"), "{status}");
    assert!(status.contains("\"leg_health\":"), "{status}");
    let metrics = get(address, "/metrics");
    assert!(
        metrics.contains("twinfeed_records_total{feed=\"itch\"} 3\n"),
        "{metrics}"
    );
    for family in ["leg_health", "leg_degraded"] {
        let family = format!("# TYPE twinfeed_{family} gauge\n");
        assert!(metrics.contains(&family), "{metrics}");
    }
    assert!(metrics.ends_with("# EOF\n"));
}
