//! No descriptor left in both adapters and in stream-admin, while connections flood in that nobody can accept, and roles
//! are to change. What is open goes on; what is new waits, and is served when there are descriptors again.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use twinfeed_harness::{Error, Seat};

use super::{Evidence, Fault, LIMIT, Scene};
use crate::lab::SUBSCRIBERS;
use crate::lab::limit::Limit;
use twinfeed_harness::adapter;

/// It.
#[derive(Debug)]
pub(super) struct Exhausted;

impl Fault for Exhausted {
    fn strike(&mut self, scene: &mut Scene, _: usize) -> Result<Vec<Evidence>, Error> {
        let mut pids = Vec::new();
        for seat in Seat::BOTH {
            pids.push(scene.rig.adapter(seat)?.id());
        }
        let administration = scene.rig.stream_admin();
        pids.extend(administration.map(|process| process.id()));
        let limits = pids
            .iter()
            .map(|pid| Limit::lower(*pid))
            .collect::<Result<Vec<_>, _>>()?;
        let files = scene.rig.files();
        let operations = files.adapters.map(|at| at.operations);
        let flood = operations.into_iter().chain([files.stream_admin]);
        let flood: Vec<TcpStream> = flood.flat_map(connections).collect();
        // With a connection that was open before; whatever becomes of it.
        let _ = scene.rig.hand_over();
        let flow = scene.flows(SPAN, SUBSCRIBERS)?;
        let unanswered = operations
            .iter()
            .filter(|at| adapter::status(**at).is_none())
            .count();
        let refused = scene.rig.operator(PATIENCE)?.status().is_err();
        drop(flood);
        drop(limits);
        // Somebody who comes now is served.
        scene.rig.operator(LIMIT)?.status()?;
        Ok(vec![
            Evidence::of("adapters without an answer", unanswered as u64),
            Evidence::of("refusals of stream-admin", u64::from(refused)),
            flow,
        ])
    }
}

/// So many as the kernel accepts for them.
fn connections(to: SocketAddr) -> impl Iterator<Item = TcpStream> {
    (0..FLOOD).map_while(move |_| TcpStream::connect_timeout(&to, PATIENCE).ok())
}

/// Connections to each.
const FLOOD: usize = 32;
/// For an answer that does not come.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longer than a lease is renewed in.
const SPAN: Duration = Duration::from_secs(2);
