//! What a multicast receiver must get right: its own group, interface and source, and no other.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::net::{IpAddr, SocketAddr};

use common::{Owned, destinations, payloads, receive};
use twinfeed_net::interface::{Interface, Selector};
use twinfeed_net::udp::{Destinations, Receiver, ReceiverConfig, Sender, SenderConfig};

fn lo() -> Selector {
    Selector::Name("lo".to_owned())
}

/// A receiver of `group` on a port the kernel chooses (`port` 0), or on that port.
fn group(group: &str, port: u16) -> Receiver {
    let address = SocketAddr::new(group.parse().unwrap(), port);
    Receiver::open(&ReceiverConfig::multicast(address, lo())).unwrap()
}

fn sender_from(source: &str) -> Sender {
    let local = SocketAddr::new(source.parse().unwrap(), 0);
    Sender::open(&SenderConfig::new(local).interface(lo())).unwrap()
}

fn send(sender: &mut Sender, to: &Receiver, text: &str) {
    let mut to: Destinations = destinations(sender, &[to.local_addr()]);
    assert_eq!(sender.send(&[text.as_bytes()][..], &mut to).taken, 1);
}

#[test]
fn two_groups_on_one_port_never_mix() {
    let mut a = group("239.255.77.1", 0);
    let mut b = group("239.255.77.2", a.local_addr().port());
    let mut sender = sender_from("127.0.0.1");
    for number in 0..20 {
        send(&mut sender, &a, &format!("a{number}"));
        send(&mut sender, &b, &format!("b{number}"));
    }
    let all = |letter| {
        (0..20)
            .map(|n| format!("{letter}{n}").into_bytes())
            .collect::<Vec<_>>()
    };
    assert_eq!(payloads(receive(&mut a, 20)), all('a'));
    assert_eq!(payloads(receive(&mut b, 20)), all('b'));
    assert!(a.receive().unwrap().is_empty() && b.receive().unwrap().is_empty());
}

#[test]
fn every_receiver_of_a_group_gets_every_datagram() {
    let mut one = group("239.255.77.3", 0);
    let mut other = group("239.255.77.3", one.local_addr().port());
    let mut sender = sender_from("127.0.0.1");
    send(&mut sender, &one, "both");
    assert_eq!(payloads(receive(&mut one, 1)), [b"both"]);
    assert_eq!(payloads(receive(&mut other, 1)), [b"both"]);
}

#[test]
fn a_source_specific_receiver_never_sees_a_foreign_sender() {
    let address: SocketAddr = "232.1.77.4:0".parse().unwrap();
    let wanted: IpAddr = "127.0.0.1".parse().unwrap();
    let config = ReceiverConfig::multicast(address, lo()).from_source(wanted);
    let mut picky = Receiver::open(&config).unwrap();
    let mut open = group("232.1.77.4", picky.local_addr().port());
    let (mut friend, mut foreign) = (sender_from("127.0.0.1"), sender_from("127.0.0.2"));
    send(&mut foreign, &picky, "foreign");
    send(&mut friend, &picky, "friend");
    let text = |owned: Vec<Owned>| -> Vec<(String, IpAddr)> {
        let one = |it: Owned| (String::from_utf8(it.bytes).unwrap(), it.source.ip());
        owned.into_iter().map(one).collect()
    };
    let from_friend = ("friend".to_owned(), wanted);
    let from_foreign = ("foreign".to_owned(), "127.0.0.2".parse().unwrap());
    // The open one proves that the foreign datagram was on the wire before the other.
    assert_eq!(
        text(receive(&mut open, 2)),
        [from_foreign, from_friend.clone()]
    );
    assert_eq!(text(receive(&mut picky, 1)), [from_friend]);
    assert!(picky.receive().unwrap().is_empty());
}

#[test]
fn a_group_joined_elsewhere_on_the_host_is_not_heard() {
    let Some(other) = capable(false) else {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: no second interface that carries IPv4 multicast\n"),
        );
        return;
    };
    // Joined on another interface than the one it arrives on: without IP_MULTICAST_ALL = 0 the
    // membership of the second socket would open the first one as well.
    let address = SocketAddr::new("239.255.77.5".parse().unwrap(), 0);
    let elsewhere = ReceiverConfig::multicast(address, Selector::Index(other.index));
    let mut elsewhere = Receiver::open(&elsewhere).unwrap();
    let mut here = group("239.255.77.5", elsewhere.local_addr().port());
    let mut sender = sender_from("127.0.0.1");
    send(&mut sender, &here, "on lo");
    assert_eq!(payloads(receive(&mut here, 1)), [b"on lo"]);
    assert!(elsewhere.receive().unwrap().is_empty());
}

#[test]
fn groups_of_ipv6_are_joined_by_interface_and_keep_apart() {
    let Some(interface) = capable(true) else {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: no interface that carries IPv6 multicast\n"),
        );
        return;
    };
    let selector = Selector::Index(interface.index);
    // ff01 is of interface-local scope: nothing leaves the host.
    let open = |group: &str, port| {
        let address = SocketAddr::new(group.parse().unwrap(), port);
        Receiver::open(&ReceiverConfig::multicast(address, selector.clone())).unwrap()
    };
    let mut a = open("ff01::7701", 0);
    let mut b = open("ff01::7702", a.local_addr().port());
    let any = "[::]:0".parse().unwrap();
    let config = SenderConfig::new(any).interface(selector.clone()).hops(0);
    let mut sender = Sender::open(&config).unwrap();
    let mut to = destinations(&sender, &[b.local_addr(), a.local_addr()]);
    let sent = sender.send(&[&b"hello"[..]][..], &mut to);
    if sent.failed > 0 {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!(
                "skipped: {interface} refuses IPv6 multicast: {:?}\n",
                to.iter().next()
            ),
        );
        return;
    }
    assert_eq!(payloads(receive(&mut a, 1)), [b"hello"]);
    assert_eq!(payloads(receive(&mut b, 1)), [b"hello"]);
    let mut to_a = destinations(&sender, &[a.local_addr()]);
    sender.send(&[&b"only a"[..]][..], &mut to_a);
    assert_eq!(payloads(receive(&mut a, 1)), [b"only a"]);
    assert!(b.receive().unwrap().is_empty());
}

#[test]
fn a_sender_without_loop_back_is_not_heard_on_its_own_host() {
    let Some(interface) = capable(false) else {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: no interface but loopback that carries IPv4 multicast\n"),
        );
        return;
    };
    let selector = Selector::Index(interface.index);
    let address = SocketAddr::new("239.255.77.6".parse().unwrap(), 0);
    let config = ReceiverConfig::multicast(address, selector.clone());
    let mut receiver = Receiver::open(&config).unwrap();
    let any = "0.0.0.0:0".parse().unwrap();
    // No hops: nothing leaves the host.
    let config = SenderConfig::new(any).interface(selector).hops(0);
    let mut quiet = Sender::open(&config.clone().loop_back(false)).unwrap();
    let mut loud = Sender::open(&config).unwrap();
    send(&mut quiet, &receiver, "quiet");
    send(&mut loud, &receiver, "loud");
    assert_eq!(payloads(receive(&mut receiver, 1)), [b"loud"]);
    assert!(receiver.receive().unwrap().is_empty());
}

/// An interface other than loopback on which groups can be joined.
fn capable(v6: bool) -> Option<Interface> {
    Interface::all().unwrap().into_iter().find(|interface| {
        let family = |address: &IpAddr| address.is_ipv6() == v6;
        interface.up
            && interface.multicast
            && !interface.loopback
            && interface.addresses.iter().any(family)
    })
}
