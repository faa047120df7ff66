//! CycloneDDS with exclusive ownership: the stronger publisher alone is heard, and the other one when the stronger one's lease has run out.
//!
//! Nothing is merged: there is one copy, and what was sent between the death and the end of the lease is lost. Both processes become a program in C (`bench/dds`), as the
//! binding that a Rust program would need is one of `unsafe`, and its types are what Cyclone's compiler makes of IDL.

use std::os::unix::process::{CommandExt as _, parent_id};
use std::process::Command;
use std::time::Duration;

use super::Flow;
use crate::error::Error;

const NAME: &str = "CycloneDDS";
const PROGRAM: &str = "twinfeed-bench-dds";
/// After which a silent owner is none any more.
pub(super) const LEASES: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(100)];
/// Loopback alone, without multicast, several processes at one address.
const CONFIGURATION: &str = "<CycloneDDS><Domain id='any'>\
    <General><Interfaces><NetworkInterface name='lo' multicast='false'/></Interfaces>\
    <AllowMulticast>false</AllowMulticast></General>\
    <Discovery><ParticipantIndex>auto</ParticipantIndex>\
    <Peers><Peer address='127.0.0.1'/></Peers></Discovery>\
    </Domain></CycloneDDS>";
/// Domains to choose from: those with ports (DDSI-RTPS 2.5, 9.6.1.1) end with 232.
const DOMAINS: u32 = 230;

pub(super) fn hear(lease: Duration, ledger: &str) -> Error {
    become_program("subscriber", lease, &[ledger.to_owned()])
}

pub(super) fn send(lease: Duration, leg: usize, flow: Flow) -> Error {
    let (factor, period, length) = flow.burst.unwrap_or_default();
    let numbers = [
        leg as u64,
        flow.begin_ns,
        flow.rate,
        factor.into(),
        period,
        length,
    ];
    become_program(
        "publisher",
        lease,
        &numbers.map(|number| number.to_string()),
    )
}

/// Returns only when it cannot be done.
fn become_program(role: &str, lease: Duration, args: &[String]) -> Error {
    // All processes of a stage have one parent.
    let domain = 1 + parent_id() % DOMAINS;
    let program = std::env::current_exe().map(|this| this.with_file_name(PROGRAM));
    let error = match program {
        Ok(program) => Command::new(program)
            .args([role, &domain.to_string(), &lease.as_nanos().to_string()])
            .args(args)
            .env("CYCLONEDDS_URI", CONFIGURATION)
            .exec(),
        Err(error) => error,
    };
    Error::peer(NAME, "twinfeed-bench-dds, which bench/dds/build makes")(error)
}
