//! Does every fault strike at its place, and at no other?

use std::net::{Ipv4Addr, UdpSocket};

use twinfeed_net::udp::{DestinationKey, Sender, SenderConfig};
use twinfeed_protocol::EpochStart;
use twinfeed_protocol::sequencer::{Body, Now, Numbering, Sequencer, SequencerConfig, Transmit};
use twinfeed_wire::link::{Answer, Settled};
use twinfeed_wire::{
    AdminId, AdminKind, Epoch, Generation, Incarnation, Msn, Sid, StoredAdmin, StreamId,
};

use super::*;

struct Last(Vec<u8>);

impl Transmit for Last {
    fn datagram(&mut self, bytes: &[u8]) {
        self.0 = bytes.to_vec();
    }
}

/// One datagram of a stream: a record and, with a number, the administrative message behind it.
fn datagram(message: Option<u64>) -> Vec<u8> {
    let config = SequencerConfig {
        stream: StreamId(1),
        sid: Sid(1),
        incarnation: Incarnation(1),
        max_datagram: 1_400,
        heartbeat: std::time::Duration::from_secs(1),
        history: 16,
    };
    let (now, mut last) = (Now::default(), Last(Vec::new()));
    let mut stream = Sequencer::new(config).unwrap();
    let start = EpochStart {
        epoch: Epoch(7),
        first: 1,
        complete: true,
        predecessor: Epoch::NONE,
    };
    stream.begin_epoch(now, start, &mut last);
    if let Some(number) = message {
        let numbering = Numbering {
            generation: Generation(1),
            inherited: Adm(0),
            adm: Adm(number),
        };
        stream.take_over(now, Msn(0), numbering, &mut last);
        let id = AdminId {
            generation: Generation(1),
            number: Adm(number),
        };
        let message = StoredAdmin::new(id, AdminKind::SourceStale, &[]).unwrap();
        assert!(stream.arm(Msn(2), message, true));
    }
    let body = Body {
        kind: BodyKind::Opaque,
        bytes: &[1],
    };
    stream.message(now, 1, 0, [body].into_iter(), &mut last);
    stream.flush(now, &mut last);
    last.0
}

fn answer(number: u64, verdict: Verdict) -> Frame {
    Frame::Answer(Answer {
        sid: Sid(1),
        generation: Generation(1),
        number: Adm(number),
        slot: Msn(2),
        processed: Msn(1),
        attempt: 1,
        verdict,
    })
}

fn commitment(number: u64) -> Frame {
    Frame::Settled(Settled {
        sid: Sid(1),
        generation: Generation(1),
        number: Adm(number),
        attempt: 2,
        slot: Msn(2),
        commit: true,
    })
}

/// Two destinations, of which nobody is sent to here.
fn everybody() -> Destinations {
    let sender = Sender::open(&SenderConfig::new((Ipv4Addr::LOCALHOST, 0).into())).unwrap();
    let mut all = sender.destinations(2).unwrap();
    for key in 0..2 {
        let somebody = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = somebody.local_addr().unwrap();
        all.insert(DestinationKey(key), address).unwrap();
    }
    all
}

/// What happens at the places.
#[derive(Clone, Copy, Debug)]
enum Step {
    Originates(u64),
    Capable(u64),
    Late(u64),
    /// This message's nearer slot is committed to.
    Commits(u64),
    /// This message's datagram leaves.
    Sent(u64),
    /// A datagram of records only leaves.
    Data,
}

use Step::{Capable, Commits, Data, Late, Originates, Sent};

/// After how many of the steps it is over.
fn dies_after(plan: &str, steps: &[Step]) -> Option<usize> {
    let (mut faults, all) = (Faults::new(plan.parse().unwrap()), everybody());
    for (count, step) in steps.iter().enumerate() {
        match *step {
            Originates(number) => faults.originates(Adm(number)),
            Capable(number) => drop(faults.is_deaf_to(&answer(number, Verdict::Capable))),
            Late(number) => drop(faults.is_deaf_to(&answer(number, Verdict::Late))),
            Sent(number) => {
                faults.reaches_only(&datagram(Some(number)), &all);
                faults.sent();
            }
            Commits(number) => faults.committed(&commitment(number)),
            Data => {
                faults.reaches_only(&datagram(None), &all);
                faults.sent();
            }
        }
        if faults.over {
            return Some(count + 1);
        }
    }
    None
}

#[test]
fn every_fault_strikes_at_its_place_and_spares_what_did_not_come_to_it_its_way() {
    type Row = (&'static str, &'static [Step], Option<usize>);
    let table: [Row; 22] = [
        ("announced", &[Originates(0), Data, Capable(0)], Some(3)),
        ("announced", &[Originates(0), Sent(0), Capable(0)], None),
        ("announced", &[Originates(0), Late(0), Capable(0)], None),
        ("announced,from=2", &[Originates(0), Capable(0)], None),
        (
            "announced,from=2",
            &[
                Originates(0),
                Capable(0),
                Sent(0),
                Originates(1),
                Capable(1),
            ],
            Some(5),
        ),
        // One that was refused is no message.
        (
            "announced,from=2",
            &[Originates(0), Originates(0), Capable(0)],
            None,
        ),
        ("sent", &[Originates(0), Capable(0), Sent(0)], Some(3)),
        ("sent", &[Originates(0), Sent(0), Data, Capable(0)], Some(4)),
        ("sent", &[Originates(0), Late(0), Sent(0)], None),
        ("one-told", &[Originates(0), Capable(0), Sent(0)], Some(3)),
        ("one-told", &[Originates(0), Sent(0), Capable(0)], None),
        (
            "committed",
            &[Originates(0), Capable(0), Commits(0), Sent(0)],
            Some(4),
        ),
        (
            "committed",
            &[Originates(0), Capable(0), Sent(0), Commits(0), Data],
            None,
        ),
        (
            "outstanding",
            &[
                Originates(0),
                Originates(1),
                Originates(2),
                Capable(0),
                Data,
                Capable(1),
                Capable(2),
            ],
            Some(7),
        ),
        (
            "outstanding",
            &[
                Originates(0),
                Originates(1),
                Capable(0),
                Capable(1),
                Sent(0),
                Originates(2),
                Capable(2),
            ],
            None,
        ),
        (
            "unanswered",
            &[Originates(0), Capable(0), Sent(0), Data, Data, Data],
            Some(6),
        ),
        (
            "unanswered",
            &[Originates(0), Sent(0), Data, Data, Data],
            None,
        ),
        (
            "unheard",
            &[Originates(0), Data, Sent(0), Data, Data, Data],
            Some(6),
        ),
        ("refused", &[Originates(0), Sent(0), Late(0)], Some(3)),
        (
            "refused",
            &[Originates(0), Sent(0), Capable(0), Late(0)],
            None,
        ),
        ("refused", &[Originates(0), Sent(0), Data, Data, Data], None),
        (
            "refused,from=3",
            &[Originates(0), Late(0), Originates(1), Late(1)],
            None,
        ),
    ];
    for (plan, steps, after) in table {
        assert_eq!(dies_after(plan, steps), after, "{plan} {steps:?}");
    }
}

#[test]
fn whom_a_message_reaches() {
    for (plan, answered, keys) in [
        ("sent", true, None),
        ("sent,lost", true, Some(1)),
        ("sent,lost", false, Some(1)),
        ("one-told", true, Some(0)),
        ("one-told", false, None),
        ("announced,lost", true, None),
    ] {
        let (mut faults, all) = (Faults::new(plan.parse().unwrap()), everybody());
        faults.originates(Adm(4));
        if answered {
            faults.is_deaf_to(&answer(4, Verdict::Capable));
        }
        assert!(faults.reaches_only(&datagram(None), &all).is_none());
        assert!(faults.reaches_only(&datagram(Some(3)), &all).is_none());
        let some = faults.reaches_only(&datagram(Some(4)), &all);
        let only = some.map(|some| some.iter().map(|(key, ..)| key.0).collect::<Vec<_>>());
        assert_eq!(only, keys.map(|key| vec![key]), "{plan} {answered}");
    }
}

#[test]
fn what_is_not_said_in_time_is_said_later_in_order_or_never() {
    let frame = |number| answer(number, Verdict::Far);
    for (plan, said_at_last) in [("sent", 1), ("unheard", 0), ("refused", 3)] {
        let mut faults = Faults::new(plan.parse().unwrap());
        assert_eq!(faults.said(frame(0)), [frame(0)], "{plan}");
        faults.originates(Adm(0));
        let at_once = faults.said(frame(1)).len() + faults.said(frame(2)).len();
        assert_eq!(at_once, if plan == "sent" { 2 } else { 0 }, "{plan}");
        let all = everybody();
        for bytes in [Some(0), None, None, None].map(datagram) {
            faults.reaches_only(&bytes, &all);
            faults.sent();
        }
        let said = faults.said(frame(3));
        assert_eq!(said.len(), said_at_last, "{plan}");
        assert!(
            said.iter()
                .rev()
                .zip([3, 2, 1])
                .all(|(it, number)| *it == frame(number))
        );
    }
}

#[test]
fn orders_are_gathered_for_what_needs_several() {
    let nameless = AdminId {
        generation: Generation(0),
        number: Adm(0),
    };
    let ordered = Ordered {
        ticket: 1,
        sid: Sid(1),
        message: StoredAdmin::new(nameless, AdminKind::SourceStale, &[]).unwrap(),
    };
    for (plan, counts) in [
        ("sent", [1, 1, 1, 1]),
        ("outstanding", [0, 0, 3, 0]),
        ("outstanding,from=2", [1, 0, 0, 3]),
    ] {
        let mut faults = Faults::new(plan.parse().unwrap());
        for (number, count) in (0..).zip(counts) {
            let carried_out = faults.gathered(ordered);
            assert_eq!(carried_out.len(), count, "{plan} {number}");
            for _ in carried_out {
                faults.originates(Adm(faults.originated));
            }
        }
    }
}

#[test]
fn a_wrong_plan_is_refused_and_what_is_wrong_is_named() {
    for (text, named) in [
        ("", "``"),
        ("killed", "`killed`"),
        ("sent,from=0", "`from=0`"),
        ("sent,from=x", "`from=x`"),
        ("sent,lost=2", "`lost=2`"),
        ("sent,,lost", "``"),
    ] {
        let fault = text.parse::<Plan>().unwrap_err();
        assert!(fault.contains(named), "{text}: {fault}");
    }
}
