//! How does a subscriber show its health to an operator?

use std::io;

use twinfeed_control::operations::{Operations, OperationsConfig, Readiness, Surfaces};

use crate::monitor::{Administration, Monitor};

/// Serves `/metrics`, `/livez`, `/readyz` and `/status.json` of one subscription on a thread of their own.
///
/// # Errors
/// The address cannot be bound; the message names it.
pub fn serve(config: &OperationsConfig, monitor: &Monitor) -> io::Result<Operations> {
    let (metrics, readiness, status) = (monitor.clone(), monitor.clone(), monitor.clone());
    let surfaces = Surfaces {
        metrics: Box::new(move || metrics.metrics_text()),
        readiness: Box::new(move || match readiness.unready() {
            None => Readiness::Ready,
            Some(reason) => Readiness::NotReady(reason),
        }),
        status: Box::new(move || document(&status)),
    };
    Operations::start(config, surfaces)
}

fn document(monitor: &Monitor) -> serde_json::Value {
    let snapshot = monitor.snapshot();
    let (state, reason) = words(&monitor.administration());
    let sources: Vec<_> = snapshot
        .sources
        .iter()
        .map(|source| {
            let legs = source.legs.each_ref().map(|leg| {
                leg.as_ref().map(|leg| {
                    serde_json::json!({
                        "state": leg.state.word(),
                        "next": leg.next.to_string(),
                        "complete": leg.complete,
                        "first_arrivals": leg.wins,
                        "duplicates": leg.duplicates,
                        "leg_health": leg.health,
                        "degraded": leg.degraded,
                    })
                })
            });
            serde_json::json!({ "sid": source.sid.0, "legs": legs })
        })
        .collect();
    serde_json::json!({
        "feed": monitor.feed().as_str(),
        "administration": { "state": state, "reason": reason },
        "trouble": monitor.trouble(),
        "records": snapshot.arbiter.records,
        "duplicates": snapshot.arbiter.duplicates,
        "lost": snapshot.arbiter.gap_messages,
        "gaps": snapshot.arbiter.gaps,
        "switches": snapshot.arbiter.switches,
        "kernel_drops": snapshot.kernel_drops(),
        "rings": snapshot.received.map(|leg| leg.ring.word()),
        "sources": sources,
    })
}

fn words(administration: &Administration) -> (&'static str, String) {
    match administration {
        Administration::Connecting { reason } => ("connecting", reason.clone()),
        Administration::Unverified { reason } => ("unverified", reason.clone()),
        Administration::Granted { silent, .. } if silent.is_empty() => ("granted", String::new()),
        Administration::Granted { silent, .. } => {
            let legs: Vec<String> = silent.iter().map(|leg| format!("leg {leg}")).collect();
            (
                "granted",
                format!("nothing heard of {}", legs.join(" and ")),
            )
        }
        Administration::Away { reason } => ("away", reason.clone()),
        Administration::Closed { reason } => ("closed", reason.clone()),
    }
}
