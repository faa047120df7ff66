//! The receiving side: a process with every subscriber's socket.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use socket2::{Domain, Protocol, Socket, Type};
use twinfeed_net::affinity;

use super::{Cell, Way};
use crate::child::say;
use crate::error::Error;
use crate::latency::rows::Heard;
use crate::latency::subscriber::{Subscribe, Told};
use crate::latency::{PATIENCE, floor, product};

/// The process: says its doors, hears until the end, says what each subscriber heard. Only those who are looked at say how late.
pub(super) fn run(what: &str) -> Result<(), Error> {
    let (cell, core): (Cell, usize) =
        serde_json::from_str(what).map_err(|error| Error::Subscriber(error.into()))?;
    affinity::pin(core).map_err(|error| Error::Subscriber(std::io::Error::other(error)))?;
    let group = group();
    match cell.way {
        Way::BareUnicast => hear(each(cell, |_| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Socket)?;
            floor::Subscriber::alone(socket)
        })?),
        Way::Unicast => hear(each(cell, |_| product::Subscriber::alone())?),
        Way::BareMulticast => hear(each(cell, |port| {
            let socket = join(SocketAddr::new(group.into(), port)).map_err(Error::Socket)?;
            floor::Subscriber::alone(socket)
        })?),
        Way::Multicast => hear(each(cell, |port| {
            product::Subscriber::join(SocketAddr::new(group.into(), port))
        })?),
    }
}

/// As many as are wanted; each is told the port of the first, which is told 0.
fn each<S: Subscribe>(cell: Cell, open: impl Fn(u16) -> Result<S, Error>) -> Result<Vec<S>, Error> {
    let first = open(0)?;
    let port = first.doors()?.first().and_then(|door| door.parse().ok());
    let port = port.map_or(0, |door: SocketAddr| door.port());
    let mut all = vec![first];
    for _ in 1..cell.subscribers {
        all.push(open(port)?);
    }
    Ok(all)
}

/// A group that no other process of this bench has, of the local scope (RFC 2365, section 6.1).
fn group() -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(239, 255, high, low)
}

/// A bare socket that hears a group on this host.
fn join(group: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&group.into())?;
    if let SocketAddr::V4(group) = group {
        socket.join_multicast_v4(group.ip(), &Ipv4Addr::LOCALHOST)?;
    }
    Ok(socket.into())
}

fn hear(all: Vec<impl Subscribe>) -> Result<(), Error> {
    let mut doors = Vec::new();
    for subscriber in &all {
        doors.extend(subscriber.doors()?);
    }
    // A group is one door.
    doors.dedup();
    say(&doors)?;
    let mut all: Vec<_> = all.into_iter().map(|it| (it, Told::new())).collect();
    take(&mut all)?;
    let watched = watched(all.len());
    let heard = |(at, (mut subscriber, told)): (usize, (_, Told))| -> Heard {
        let mut heard = told.finish();
        Subscribe::finish(&mut subscriber, &mut heard);
        if !watched.contains(&at) {
            heard.late.clear();
        }
        heard
    };
    let heard: Vec<Heard> = all.into_iter().enumerate().map(heard).collect();
    say(&heard)
}

/// Those who are looked at all the time: a list's first and last destination are the first and the last to have it. Of a group's sockets Linux fills
/// the newest last, and the one that was opened before it first (`__udp4_lib_mcast_deliver`).
fn watched(count: usize) -> Vec<usize> {
    let mut watched = vec![0, count.saturating_sub(2), count - 1];
    watched.dedup();
    watched
}

/// Takes turns until those who are looked at have heard the end; the others' turn is when all of those have a record, or none for long.
fn take<S: Subscribe>(all: &mut [(S, Told)]) -> Result<(), Error> {
    let watched = watched(all.len());
    let mut ended = vec![false; watched.len()];
    let (begun, mut emptied, mut turns) = (Instant::now(), 0, 0_u32);
    while ended.contains(&false) {
        for (at, ended) in watched.iter().zip(&mut ended) {
            let (subscriber, told) = &mut all[*at];
            *ended |= subscriber.turn(told)?;
        }
        turns = turns.wrapping_add(1);
        let last = watched.iter().map(|at| all[*at].1.last());
        let here = last.min().unwrap_or(0);
        if here > emptied || turns.is_multiple_of(IDLE_TURNS) {
            emptied = here;
            let others = all.iter_mut().enumerate();
            let mut others = others.filter(|(at, _)| !watched.contains(at));
            others.try_for_each(|(_, other)| empty(other))?;
            if here == 0 && begun.elapsed() > PATIENCE {
                return Ok(());
            }
        }
    }
    all.iter_mut().try_for_each(empty)
}

fn empty<S: Subscribe>((subscriber, told): &mut (S, Told)) -> Result<(), Error> {
    loop {
        let before = told.heard.records;
        subscriber.turn(told)?;
        if told.heard.records == before {
            return Ok(());
        }
    }
}

/// Turns of those between those of the others while no record comes.
const IDLE_TURNS: u32 = 65_536;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Hears so many records, each in a turn of its own behind so many empty turns, and then the end.
    struct Scripted(VecDeque<Option<u64>>);

    impl Scripted {
        fn new(records: u64, behind: usize) -> (Self, Told) {
            let empty = std::iter::repeat_n(None, behind);
            let turn = |number| empty.clone().chain([Some(number)]);
            (Self((1..=records).flat_map(turn).collect()), Told::new())
        }
    }

    impl Subscribe for Scripted {
        fn doors(&self) -> Result<Vec<String>, Error> {
            Ok(Vec::new())
        }

        fn turn(&mut self, told: &mut Told) -> Result<bool, Error> {
            if let Some(number) = self.0.pop_front().flatten() {
                told.record(number, &[0; 8]);
            }
            Ok(self.0.is_empty())
        }

        fn finish(&mut self, _heard: &mut Heard) {}
    }

    #[test]
    fn everybody_is_heard_to_the_end_whoever_is_slower() {
        for (first, last) in [(0, 0), (3, 0), (0, 3)] {
            let mut all = vec![
                Scripted::new(50, first),
                Scripted::new(50, 0),
                Scripted::new(50, 2),
                Scripted::new(50, last),
            ];
            take(&mut all).unwrap();
            let heard: Vec<u64> = all.iter().map(|(_, told)| told.heard.records).collect();
            assert_eq!(heard, [50; 4], "{first} {last}");
        }
    }

    #[test]
    fn of_up_to_three_all_are_looked_at() {
        for count in 1..=3 {
            assert_eq!(watched(count), Vec::from_iter(0..count));
            let mut all: Vec<_> = (0..count).map(|_| Scripted::new(5, 1)).collect();
            take(&mut all).unwrap();
            assert!(all.iter().all(|(_, told)| told.heard.records == 5));
        }
    }
}
