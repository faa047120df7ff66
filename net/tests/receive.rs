//! What a receiver must get right on its own: order, truth about cuts and losses, times.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{destinations, loopback, numbered, payloads, receive, receiver, sender, slices};
use twinfeed_net::clock::Reading;
use twinfeed_net::udp::{
    ClockOrigin, Outbox, Receiver, ReceiverConfig, Sender, SenderConfig, Timestamps,
};

#[test]
fn batches_keep_the_order_in_both_families() {
    for v6 in [false, true] {
        let (mut receiver, mut sender) = (receiver(v6), sender(v6));
        let mut to = destinations(&sender, &[receiver.local_addr()]);
        let sent = numbered(150, 24);
        assert_eq!(sender.send(&slices(&sent)[..], &mut to).taken, 150);
        let received = receive(&mut receiver, 150);
        assert!(
            received
                .iter()
                .all(|datagram| datagram.source == sender.local_addr())
        );
        assert_eq!(payloads(received), sent, "v6 {v6}");
        let counters = receiver.counters();
        assert_eq!((counters.datagrams, counters.bytes), (150, 150 * 24));
        assert_eq!((counters.truncated, counters.abandoned), (0, 0));
    }
}

#[test]
fn an_empty_socket_is_an_empty_batch() {
    let mut receiver = receiver(false);
    assert!(receiver.receive().unwrap().is_empty());
    assert_eq!(receiver.counters().empty_calls, 1);
}

#[test]
fn payloads_begin_at_aligned_addresses() {
    let config = ReceiverConfig::unicast(loopback(false)).slot(41);
    let mut receiver = Receiver::open(&config).unwrap();
    let mut sender = sender(false);
    let mut to = destinations(&sender, &[receiver.local_addr()]);
    sender.send(&[&b"a"[..], b"bb", b"ccc"][..], &mut to);
    common::ready(&receiver);
    let mut seen = 0;
    for datagram in receiver.receive().unwrap() {
        assert_eq!(datagram.bytes.as_ptr().align_offset(8), 0);
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn a_datagram_is_marked_as_cut_one_byte_beyond_the_slot_and_not_before() {
    let mut receiver = Receiver::open(&ReceiverConfig::unicast(loopback(false)).slot(64)).unwrap();
    let mut sender = sender(false);
    let mut to = destinations(&sender, &[receiver.local_addr()]);
    sender.send(&[&[1; 64][..], &[2; 65], &[3; 64]][..], &mut to);
    let received = receive(&mut receiver, 3);
    let cut: Vec<_> = received.iter().map(|datagram| datagram.truncated).collect();
    assert_eq!(cut, [false, true, false]);
    assert!(received.iter().all(|datagram| datagram.bytes.len() == 64));
    assert_eq!(receiver.counters().truncated, 1);
}

#[test]
fn an_overrun_is_told_with_the_first_datagram_after_it() {
    let config = ReceiverConfig::unicast(loopback(false)).receive_buffer(4_096);
    let mut receiver = Receiver::open(&config).unwrap();
    let mut sender = Sender::open(&SenderConfig::new(loopback(false)).segment(false)).unwrap();
    let mut to = destinations(&sender, &[receiver.local_addr()]);
    let sent = numbered(200, 512);
    sender.send(&slices(&sent)[..], &mut to);
    let dropped = receiver.kernel_drops_now().unwrap();
    assert!(dropped > 0, "200 datagrams of 512 bytes fit into 4 KiB");
    let kept = receive(&mut receiver, 200 - dropped as usize);
    assert!(
        kept.iter().all(|datagram| datagram.kernel_drops == 0),
        "drops came after these"
    );
    assert_eq!(
        receiver.counters().kernel_drops,
        0,
        "no later datagram has told yet"
    );

    sender.send(&[&b"after"[..], b"that"][..], &mut to);
    let after = receive(&mut receiver, 2);
    assert_eq!((after[0].kernel_drops, after[1].kernel_drops), (dropped, 0));
    assert_eq!(receiver.counters().kernel_drops, u64::from(dropped));
}

#[test]
fn one_that_comes_alone_is_taken_as_it_came() {
    for v6 in [false, true] {
        let config = ReceiverConfig::unicast(loopback(v6))
            .slot(64)
            .timestamps(Timestamps::Off);
        let mut receiver = Receiver::open(&config).unwrap();
        let mut sender = sender(v6);
        let mut to = destinations(&sender, &[receiver.local_addr()]);
        let mut alone = 0;
        for length in [8_usize, 64, 65, 1, 0, 2_000, 63] {
            let sent = vec![length as u8; length];
            sender.send(&[sent.as_slice()][..], &mut to);
            let received = receive(&mut receiver, 1).remove(0);
            assert_eq!(received.bytes, sent[..length.min(64)], "v6 {v6}");
            assert_eq!(received.truncated, length > 64, "v6 {v6} {length}");
            assert_eq!(received.source, sender.local_addr());
            // Taken alone, nobody knows what is behind it.
            alone += u32::from(!receiver.is_drained());
            assert!(receiver.receive().unwrap().is_empty() && receiver.is_drained());
        }
        assert!(alone > 4, "{alone}");
    }
}

#[test]
fn an_overrun_after_a_lull_is_told_with_the_first_datagram_after_it() {
    let config = ReceiverConfig::unicast(loopback(false))
        .receive_buffer(16_384)
        .timestamps(Timestamps::Off);
    let mut receiver = Receiver::open(&config).unwrap();
    let mut sender = Sender::open(&SenderConfig::new(loopback(false)).segment(false)).unwrap();
    let mut to = destinations(&sender, &[receiver.local_addr()]);
    let (mut before, mut alone) = (0, 0);
    for round in 0..20 {
        for _ in 0..3 {
            sender.send(&[&b"lull"[..]][..], &mut to);
            receive(&mut receiver, 1);
            alone += u32::from(!receiver.is_drained());
            assert!(receiver.receive().unwrap().is_empty());
        }
        sender.send(&slices(&numbered(200, 512))[..], &mut to);
        let dropped = receiver.kernel_drops_now().unwrap() - before;
        before += dropped;
        assert!(dropped > 0, "200 datagrams of 512 bytes fit into 16 KiB");
        let kept = receive(&mut receiver, 200 - dropped as usize);
        assert!(kept.iter().all(|datagram| datagram.kernel_drops == 0));
        assert!(receiver.receive().unwrap().is_empty());
        sender.send(&[&b"after"[..]][..], &mut to);
        assert_eq!(
            receive(&mut receiver, 1)[0].kernel_drops,
            dropped,
            "round {round}"
        );
    }
    assert!(alone > 20, "{alone}: the short way was not walked");
}

#[test]
fn what_a_caller_leaves_in_a_batch_is_counted() {
    let (mut receiver, mut sender) = (receiver(false), sender(false));
    let mut to = destinations(&sender, &[receiver.local_addr()]);
    sender.send(&[&b"a"[..], b"bb", b"ccc"][..], &mut to);
    common::ready(&receiver);
    assert_eq!(receiver.receive().unwrap().next().unwrap().bytes, b"a");
    assert_eq!(receiver.counters().abandoned, 2);
    assert!(receiver.receive().unwrap().is_empty());
}

#[test]
fn times_say_whose_clock_they_are() {
    let table = [
        (Timestamps::Off, None),
        (Timestamps::User, Some(ClockOrigin::User)),
        (Timestamps::Kernel, Some(ClockOrigin::Kernel)),
        // The loopback interface has no card: what comes is the kernel's, and says so.
        (Timestamps::Hardware, Some(ClockOrigin::Kernel)),
    ];
    for (asked, origin) in table {
        let config = ReceiverConfig::unicast(loopback(false)).timestamps(asked);
        let mut receiver = Receiver::open(&config).unwrap();
        let mut sender = sender(false);
        let mut to = destinations(&sender, &[receiver.local_addr()]);
        let before = Reading::now().realtime_ns;
        sender.send(&[&b"a"[..]][..], &mut to);
        common::ready(&receiver);
        let received = receiver.receive().unwrap().next().unwrap().received;
        assert_eq!(received.map(|stamp| stamp.origin), origin, "{asked:?}");
        if let Some(stamp) = received {
            let after = Reading::now().realtime_ns;
            assert!((before..=after).contains(&stamp.ns), "{asked:?}");
        }
    }
}

#[test]
fn merged_datagrams_come_out_as_they_went_in() {
    let config = ReceiverConfig::unicast(loopback(false)).merge(true);
    let Ok(mut receiver) = Receiver::open(&config) else {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: this kernel does not merge datagrams (UDP_GRO)\n"),
        );
        return;
    };
    let mut sender = sender(false);
    if !sender.segments() {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: this kernel does not cut messages (UDP_SEGMENT)\n"),
        );
        return;
    }
    let mut to = destinations(&sender, &[receiver.local_addr()]);
    let mut sent = numbered(40, 1_472);
    sent.push(vec![9; 100]);
    sent.push(vec![8; 2_000]);
    assert_eq!(sender.send(&slices(&sent)[..], &mut to).taken, sent.len());
    let received = receive(&mut receiver, sent.len());
    assert!(received.iter().all(|datagram| !datagram.truncated));
    assert_eq!(payloads(received), sent);
    assert!(sender.counters().calls < 3, "{:?}", sender.counters());
}

#[test]
fn what_comes_in_bursts_comes_out_as_it_went_in_merged_or_not() {
    let config = ReceiverConfig::unicast(loopback(false))
        .receive_buffer(4 << 20)
        .timestamps(Timestamps::Off)
        .merge_under_load();
    let mut receiver = Receiver::open(&config).unwrap();
    let mut sender = sender(false);
    let mut to = destinations(&sender, &[receiver.local_addr()]);
    let (mut fewest, mut alone) = (u64::MAX, 0);
    for round in 0..6 {
        for burst in [1, 60, 3, 120, 1, 60, 60] {
            let mut sent = numbered(burst, 1_472);
            sent.push(vec![round; 8]);
            assert_eq!(sender.send(&slices(&sent)[..], &mut to).taken, sent.len());
            let before = receiver.counters().calls;
            assert_eq!(
                payloads(receive(&mut receiver, sent.len())),
                sent,
                "{round} {burst}"
            );
            if burst == 60 {
                fewest = fewest.min(receiver.counters().calls - before);
            }
            sender.send(&[&b"alone"[..]][..], &mut to);
            assert_eq!(payloads(receive(&mut receiver, 1)), [b"alone"]);
            alone += u32::from(!receiver.is_drained());
        }
    }
    assert!(
        alone > 0,
        "{alone}: before the first backlog nothing is merged"
    );
    if sender.segments() {
        assert_eq!(fewest, 1, "61 datagrams of a backlog are two messages");
    }
    assert_eq!(receiver.counters().kernel_drops, 0);
}

#[test]
fn a_batch_left_amid_a_merged_message_counts_it() {
    let config = ReceiverConfig::unicast(loopback(false)).merge(true);
    let Ok(mut receiver) = Receiver::open(&config) else {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: this kernel does not merge datagrams (UDP_GRO)\n"),
        );
        return;
    };
    let mut sender = sender(false);
    let mut to = destinations(&sender, &[receiver.local_addr()]);
    sender.send(&slices(&numbered(4, 64))[..], &mut to);
    common::ready(&receiver);
    let mut batch = receiver.receive().unwrap();
    assert!(batch.next().is_some());
    drop(batch);
    assert!(receiver.counters().abandoned > 0);
}

#[test]
fn an_outbox_goes_out_as_it_was_filled() {
    let (mut receiver, mut sender) = (receiver(false), sender(false));
    let mut to = destinations(&sender, &[receiver.local_addr()]);
    let mut outbox = Outbox::new(3, 256);
    for text in ["one", "three", "seventeen"] {
        outbox.push(text.as_bytes()).unwrap();
    }
    assert_eq!(sender.send(&outbox, &mut to).taken, 3);
    let received = payloads(receive(&mut receiver, 3));
    assert_eq!(received, [&b"one"[..], b"three", b"seventeen"]);
}
