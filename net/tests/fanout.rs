//! What a sender must get right towards many: everybody gets all, and a failure stays alone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::net::SocketAddr;
use std::os::fd::AsFd;

use common::{destinations, loopback, numbered, payloads, receive, receiver, sender, slices};
use twinfeed_net::udp::{DestinationKey, Receiver, ReceiverConfig, Sender, SenderConfig};

/// An address on which nobody listens any more.
fn dead(v6: bool) -> SocketAddr {
    receiver(v6).local_addr()
}

#[test]
fn a_dead_destination_delays_nobody_and_is_counted() {
    for v6 in [false, true] {
        for segment in [false, true] {
            let (mut first, mut last) = (receiver(v6), receiver(v6));
            let config = SenderConfig::new(loopback(v6)).segment(segment);
            let mut sender = Sender::open(&config).unwrap();
            let all = [first.local_addr(), dead(v6), last.local_addr()];
            let mut to = destinations(&sender, &all);
            let sent = numbered(100, 64);
            for one in sent.chunks(10) {
                sender.send(&slices(one)[..], &mut to);
            }
            assert_eq!(payloads(receive(&mut first, 100)), sent);
            assert_eq!(payloads(receive(&mut last, 100)), sent);
            sender.take_reports(&mut to);
            let counters = |key| to.counters(DestinationKey(key)).unwrap();
            assert!(
                counters(1).refused > 0,
                "v6 {v6} segment {segment}: {:?}",
                counters(1)
            );
            for key in [0, 2] {
                assert_eq!((counters(key).taken, counters(key).failed()), (100, 0));
            }
            assert_eq!(sender.counters().reported, counters(1).refused);
        }
    }
}

#[test]
fn a_report_about_another_destination_costs_nobody_a_datagram() {
    // With the dead one last, its report meets the first message of the next call: the live one's.
    let (mut live, mut sender) = (receiver(false), sender(false));
    let mut to = destinations(&sender, &[live.local_addr(), dead(false)]);
    let sent = numbered(50, 64);
    for one in &sent {
        sender.send(&[one.as_slice()][..], &mut to);
    }
    assert_eq!(payloads(receive(&mut live, 50)), sent);
    let counters = |key| to.counters(DestinationKey(key)).unwrap();
    assert_eq!((counters(0).taken, counters(0).failed()), (50, 0));
    assert!(counters(1).refused > 0, "{:?}", counters(1));
}

#[test]
fn more_messages_than_one_call_takes_reach_everybody_in_order() {
    let mut receivers: Vec<_> = (0..5).map(|_| receiver(false)).collect();
    let addresses: Vec<_> = receivers.iter().map(Receiver::local_addr).collect();
    for segment in [false, true] {
        let config = SenderConfig::new(loopback(false)).batch(7).segment(segment);
        let mut sender = Sender::open(&config).unwrap();
        let mut to = destinations(&sender, &addresses);
        let mut sent = numbered(30, 40);
        sent[11].truncate(9);
        assert_eq!(sender.send(&slices(&sent)[..], &mut to).taken, 150);
        for receiver in &mut receivers {
            assert_eq!(payloads(receive(receiver, 30)), sent, "segment {segment}");
        }
    }
}

#[test]
fn a_datagram_that_is_too_long_is_counted_and_the_rest_goes_on() {
    let (mut receiver, mut sender) = (receiver(false), sender(false));
    let mut to = destinations(&sender, &[receiver.local_addr()]);
    let monster = vec![0; 70_000];
    let sent = sender.send(&[&b"before"[..], &monster, b"behind"][..], &mut to);
    assert_eq!((sent.taken, sent.failed), (2, 1));
    assert_eq!(payloads(receive(&mut receiver, 2)), [b"before", b"behind"]);
    let counters = to.counters(DestinationKey(0)).unwrap();
    assert_eq!(
        (counters.taken, counters.too_long, counters.failed()),
        (2, 1, 1)
    );
}

#[test]
fn an_unreachable_destination_is_counted_at_once() {
    let (mut receiver, mut sender) = (receiver(false), sender(false));
    // A socket bound to loopback has no way out of it: the kernel refuses (EINVAL or similar).
    let foreign = "198.51.100.1:9".parse().unwrap();
    let mut to = destinations(&sender, &[foreign, receiver.local_addr()]);
    let sent = sender.send(&slices(&numbered(3, 64))[..], &mut to);
    assert_eq!((sent.taken, sent.failed), (3, 3));
    assert_eq!(receive(&mut receiver, 3).len(), 3);
    assert_eq!(to.counters(DestinationKey(0)).unwrap().failed(), 3);
    assert_eq!(to.counters(DestinationKey(1)).unwrap().failed(), 0);
    assert!(sender.segments() || sender.counters().segmentation_refused == 0);
}

#[test]
fn a_path_that_refuses_segmentation_gets_single_datagrams() {
    let (mut receiver, mut sender) = (receiver(false), sender(false));
    if !sender.segments() {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: this kernel does not cut messages (UDP_SEGMENT)\n"),
        );
        return;
    }
    // Without checksums the kernel refuses to cut (udp(7)), as it does for cards without offload.
    common::set_no_check(sender.as_fd());
    let mut to = destinations(&sender, &[receiver.local_addr()]);
    let sent = numbered(20, 64);
    assert_eq!(sender.send(&slices(&sent)[..], &mut to).taken, 20);
    assert_eq!(payloads(receive(&mut receiver, 20)), sent);
    assert!(!sender.segments());
    assert_eq!(sender.counters().segmentation_refused, 1);
    assert_eq!(to.counters(DestinationKey(0)).unwrap().failed(), 0);
    sender.send(&slices(&sent)[..], &mut to);
    assert_eq!(payloads(receive(&mut receiver, 20)), sent);
}

#[test]
fn a_lone_destination_is_sent_to_from_the_same_port_whoever_comes_and_goes() {
    for v6 in [false, true] {
        let (mut first, mut second) = (receiver(v6), receiver(v6));
        let mut sender = Sender::open(&SenderConfig::new(loopback(v6)).connect(true)).unwrap();
        let mut to = sender.destinations(2).unwrap();
        let sent = numbered(4, 64);
        let (one, rest) = (&sent[..1], &sent[1..]);
        for round in 0..3 {
            to.insert(DestinationKey(1), first.local_addr()).unwrap();
            for some in [one, rest, one] {
                sender.send(&slices(some)[..], &mut to);
            }
            to.insert(DestinationKey(2), second.local_addr()).unwrap();
            sender.send(&slices(one)[..], &mut to);
            to.remove(DestinationKey(1)).unwrap();
            sender.send(&slices(one)[..], &mut to);
            to.remove(DestinationKey(2)).unwrap();
            let (first, second) = (receive(&mut first, 6), receive(&mut second, 2));
            let from =
                |all: &[common::Owned]| all.iter().all(|it| it.source == sender.local_addr());
            assert!(from(&first) && from(&second), "v6 {v6} round {round}");
            let expected = [one, rest, one, one].concat();
            assert_eq!(payloads(first), expected, "v6 {v6} round {round}");
            assert_eq!(
                payloads(second),
                [one, one].concat(),
                "v6 {v6} round {round}"
            );
        }
        assert_eq!(sender.counters().failed, 0);
        // The port is nobody else's, and nothing is received on it.
        assert!(Sender::open(&SenderConfig::new(sender.local_addr()).connect(true)).is_err());
        let shared = Receiver::sharing(&sender, 8, 2_048).unwrap_err();
        assert!(shared.to_string().contains("connects"), "{shared}");
    }
}

#[test]
fn a_lone_destination_that_is_dead_is_counted_and_may_come_back() {
    for connect in [false, true] {
        let mut sender =
            Sender::open(&SenderConfig::new(loopback(false)).connect(connect)).unwrap();
        let address = dead(false);
        let mut to = destinations(&sender, &[address]);
        let sent = numbered(20, 64);
        for one in &sent {
            sender.send(&[one.as_slice()][..], &mut to);
        }
        let counters = to.counters(DestinationKey(0)).unwrap();
        assert!(counters.refused > 0, "{connect} {counters:?}");
        assert_eq!(sender.counters().reported, counters.refused, "{connect}");
        let mut back = Receiver::open(&ReceiverConfig::unicast(address)).unwrap();
        for one in &sent {
            sender.send(&[one.as_slice()][..], &mut to);
        }
        assert_eq!(payloads(receive(&mut back, 20)), sent, "{connect}");
    }
}

#[test]
fn nobody_to_send_to_is_no_call() {
    let mut sender = sender(false);
    let mut to = sender.destinations(1).unwrap();
    assert_eq!(sender.send(&[&b"x"[..]][..], &mut to).taken, 0);
    assert_eq!(sender.counters().calls, 0);
}

#[test]
fn a_clamped_buffer_is_reported_with_its_sysctl() {
    let asked = ReceiverConfig::MAX_BUFFER;
    let config = ReceiverConfig::unicast(loopback(false)).receive_buffer(asked);
    let report = Receiver::open(&config).unwrap().buffer();
    let limit = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    assert_eq!(report.granted, limit.min(asked));
    assert_eq!(report.is_clamped(), limit < asked);
    if report.is_clamped() {
        let text = report.to_string();
        assert!(
            text.contains(&format!("net.core.rmem_max={asked}")),
            "{text}"
        );
    }
    let modest = ReceiverConfig::unicast(loopback(false)).receive_buffer(8_192);
    let report = Receiver::open(&modest).unwrap().buffer();
    assert_eq!((report.is_clamped(), report.granted), (false, 8_192));
}
