//! Every wrong setting is refused by its name, with what helps.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::loopback;
use twinfeed_net::Error;
use twinfeed_net::interface::{Interface, Selector};
use twinfeed_net::tcp::{LengthPrefix, Link, LinkOptions, Listener};
use twinfeed_net::udp::{Receiver, ReceiverConfig, Sender, SenderConfig};

fn refusal(config: &ReceiverConfig) -> Error {
    Receiver::open(config).unwrap_err()
}

/// The error's text has all of `parts`.
fn says(error: &Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let holder = common::receiver(false);
    let address = holder.local_addr();
    let error = refusal(&ReceiverConfig::unicast(address));
    assert!(matches!(error, Error::PortInUse { .. }));
    let port = format!("sport = :{}", address.port());
    says(&error, &[&address.to_string(), "in use", "ss -anp", &port]);
}

#[test]
fn a_tcp_port_in_use_is_named() {
    let holder = Listener::bind(loopback(false), LinkOptions::default()).unwrap();
    let error = Listener::bind(holder.local_addr(), LinkOptions::default()).unwrap_err();
    assert!(matches!(error, Error::PortInUse { .. }), "{error}");
}

#[test]
fn a_foreign_address_is_answered_with_our_own() {
    let error = refusal(&ReceiverConfig::unicast("198.51.100.7:0".parse().unwrap()));
    assert!(matches!(error, Error::AddressNotLocal { .. }));
    says(&error, &["198.51.100.7", "this host has lo (127.0.0.1"]);
    let sender = Sender::open(&SenderConfig::new("198.51.100.7:0".parse().unwrap())).unwrap_err();
    assert!(matches!(sender, Error::AddressNotLocal { .. }));
}

#[test]
fn an_unknown_interface_is_answered_with_those_there_are() {
    let group = "239.255.77.9:0".parse().unwrap();
    let nowhere: Selector = "nosuch0".parse().unwrap();
    let error = refusal(&ReceiverConfig::multicast(group, nowhere.clone()));
    says(&error, &["unknown interface `nosuch0`", "lo (127.0.0.1"]);
    let sender = SenderConfig::new(loopback(false)).interface(nowhere);
    assert!(matches!(
        Sender::open(&sender),
        Err(Error::InterfaceUnknown { .. })
    ));
}

#[test]
fn an_interface_that_cannot_is_refused_by_its_fault() {
    let group = "239.255.77.9:0".parse().unwrap();
    let cannot = |interface: &Interface| !(interface.up && interface.carries_multicast());
    let Some(interface) = Interface::all().unwrap().into_iter().find(cannot) else {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: every interface of this host is up and carries multicast\n"),
        );
        return;
    };
    let by_name = Selector::Name(interface.name.clone());
    let error = refusal(&ReceiverConfig::multicast(group, by_name));
    let remedy = if interface.up { "multicast on" } else { "up" };
    says(
        &error,
        &[
            &interface.name,
            &format!("ip link set dev {} {remedy}", interface.name),
        ],
    );
}

#[test]
fn an_interface_without_multicast_is_told_which_ones_do() {
    let error = Error::InterfaceWithoutMulticast {
        name: "tun0".to_owned(),
        capable: "eth0 (192.0.2.2)".to_owned(),
    };
    says(
        &error,
        &[
            "tun0",
            "MULTICAST",
            "ip link set dev tun0 multicast on",
            "eth0 (192.0.2.2)",
        ],
    );
}

#[test]
fn groups_and_hosts_are_not_taken_for_each_other() {
    let lo = Selector::Name("lo".to_owned());
    let host = ReceiverConfig::multicast("127.0.0.1:0".parse().unwrap(), lo.clone());
    says(
        &refusal(&host),
        &["127.0.0.1:0 is not a multicast group", "224.0.0.0/4"],
    );
    let group = ReceiverConfig::unicast("239.255.77.9:0".parse().unwrap());
    says(
        &refusal(&group),
        &["239.255.77.9:0 is a multicast group", "interface"],
    );
    let narrowed =
        ReceiverConfig::unicast(loopback(false)).from_source("127.0.0.2".parse().unwrap());
    says(
        &refusal(&narrowed),
        &["127.0.0.1:0", "source 127.0.0.2", "drop the source"],
    );
    let mixed = ReceiverConfig::multicast("232.1.1.1:0".parse().unwrap(), lo)
        .from_source("::1".parse().unwrap());
    says(
        &refusal(&mixed),
        &["232.1.1.1", "::1", "different families"],
    );
}

#[test]
fn numbers_are_refused_one_beyond_their_bounds() {
    let config = || ReceiverConfig::unicast(loopback(false));
    let table = [
        (config().batch(0), "batch = 0", true),
        (config().batch(1), "", false),
        (config().batch(ReceiverConfig::MAX_BATCH), "", false),
        (
            config().batch(ReceiverConfig::MAX_BATCH + 1),
            "batch = 1025",
            true,
        ),
        (config().slot(7), "slot = 7", true),
        (config().slot(8), "", false),
        (
            config().slot(ReceiverConfig::MAX_SLOT + 1),
            "slot = 65537",
            true,
        ),
        (config().receive_buffer(0), "receive_buffer = 0", true),
    ];
    for (config, text, refused) in table {
        match Receiver::open(&config) {
            Err(error) if refused => says(&error, &[text, "out of bounds; allowed: "]),
            Ok(_) if !refused => {}
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(common::sender(false).destinations(0).is_err());
    assert!(common::sender(false).destinations(4_097).is_err());
}

#[test]
fn nobody_listening_is_said_plainly() {
    let gone = Listener::bind(loopback(false), LinkOptions::default())
        .unwrap()
        .local_addr();
    let error = Link::connect(gone, LengthPrefix, &LinkOptions::default()).unwrap_err();
    says(
        &error,
        &[&format!("cannot connect to {gone}"), "is the peer started?"],
    );
}
