//! Which sockets does a grant ask for, and who may send there?
//!
//! A leg that is pending keeps what it had: its adapter comes back with the same streams, and datagrams
//! of an adapter that stream-admin has lost sight of are as good as any.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use twinfeed_control::{Grant, Transport};
use twinfeed_protocol::Leg;

use super::{Ledger, beyond, streams};
use crate::builder::SLOT;
use crate::error::Error;
use crate::queue::Plan;
use crate::receive::{LegSocket, Senders, SocketKey, SocketSettings};

/// Most sockets of one subscription; with the one for fills, as many as one wait can name.
pub const MAX_SOCKETS: usize = twinfeed_net::wait::MAX_WAIT_SOCKETS - 1;

/// A socket that the poller has.
#[derive(Clone, Debug)]
pub(super) struct Known {
    key: SocketKey,
    leg: Leg,
    path: Path,
    senders: Senders,
}

/// How datagrams reach a socket.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Path {
    Unicast,
    Group {
        group: SocketAddr,
        source: Option<IpAddr>,
    },
}

impl Ledger {
    pub(super) fn plan_sockets(
        &mut self,
        grant: &Grant,
        settings: &SocketSettings,
        bound: &mut [Option<LegSocket>; 2],
        plan: &mut Plan,
    ) -> Result<(), Error> {
        let wanted = wanted(grant);
        let unicast = wanted.keys().any(|(_, path)| *path == Path::Unicast);
        if unicast && settings.max_datagram > SLOT {
            return Err(beyond(grant, "bytes in a datagram", SLOT));
        }
        if wanted.len() > MAX_SOCKETS {
            return Err(beyond(grant, "sockets", MAX_SOCKETS));
        }
        // Groups first: joining may fail, and a socket that was given away does not come back.
        let (unicast, groups): (Vec<_>, Vec<_>) = wanted
            .iter()
            .partition(|((_, path), _)| *path == Path::Unicast);
        for ((leg, path), senders) in groups.into_iter().chain(unicast) {
            let (leg, path) = (Leg::BOTH[*leg], *path);
            let known = self
                .sockets
                .iter_mut()
                .find(|known| known.leg == leg && known.path == path);
            match known {
                Some(known) if known.senders == *senders => {}
                Some(known) => {
                    known.senders = senders.clone();
                    plan.senders.push((known.key, senders.clone()));
                }
                None => {
                    let mut socket = self.open(leg, path, settings, bound)?;
                    socket.set_senders(senders.clone());
                    self.sockets.push(Known {
                        key: socket.key(),
                        leg,
                        path,
                        senders: senders.clone(),
                    });
                    plan.open.push(socket);
                }
            }
        }
        let speaks = |leg: Leg| wanted.keys().any(|(index, _)| *index == leg.index());
        self.sockets.retain(|known| {
            let keep = known.path == Path::Unicast
                || !speaks(known.leg)
                || wanted.contains_key(&(known.leg.index(), known.path));
            if !keep {
                plan.shut.push(known.key);
            }
            keep
        });
        Ok(())
    }

    fn open(
        &mut self,
        leg: Leg,
        path: Path,
        settings: &SocketSettings,
        unicast: &mut [Option<LegSocket>; 2],
    ) -> Result<LegSocket, Error> {
        match path {
            Path::Unicast => {
                let mut socket = unicast[leg.index()].take().ok_or_else(|| Error::Setting {
                    name: "interface",
                    cause: format!("the socket of leg {leg} was given away before"),
                    remedy: "open the subscription again",
                })?;
                socket.set_longest(settings.max_datagram);
                Ok(socket)
            }
            Path::Group { group, source } => {
                let key = SocketKey(FIRST_GROUP_KEY + self.keys);
                self.keys += 1;
                LegSocket::multicast(key, leg, group, source, settings)
            }
        }
    }
}

/// Sockets by leg and path, with everybody who may send there.
fn wanted(grant: &Grant) -> BTreeMap<(usize, Path), Senders> {
    let mut addresses: BTreeMap<(usize, Path), Vec<IpAddr>> = BTreeMap::new();
    for (leg, stream) in streams(grant) {
        let (path, sender) = match &stream.transport {
            Transport::Unicast { source } => (Path::Unicast, source.ip()),
            Transport::Multicast { group, source, .. } => {
                let path = Path::Group {
                    group: *group,
                    source: *source,
                };
                // The unspecified address admits everybody who sends to the group.
                (path, source.unwrap_or(UNSPECIFIED))
            }
        };
        addresses
            .entry((leg.index(), path))
            .or_default()
            .push(sender);
    }
    addresses
        .into_iter()
        .map(|(place, senders)| (place, Senders::of(senders)))
        .collect()
}

const UNSPECIFIED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// Keys 0 and 1 are the unicast sockets of leg 0 and leg 1.
const FIRST_GROUP_KEY: u32 = 2;
