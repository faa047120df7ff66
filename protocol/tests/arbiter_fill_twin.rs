//! Whatever the network loses and servers do: what an honest adapter retains is delivered, and exactly the rest is
//! declared.
//!
//! The naive twin knows what was sent, what came on which leg, and what the honest server retains; it says which numbers the
//! application must get.
#![allow(clippy::unwrap_used, reason = "a case that does not hold fails")]

mod arbiter_kit;

use std::collections::BTreeSet;

use arbiter_kit::*;
use proptest::prelude::*;
use twinfeed_protocol::arbiter::Ask;
use twinfeed_protocol::retain::{Answer, Asker, Retained, RetentionLimits, Server, ServerLimits};
use twinfeed_protocol::*;
use twinfeed_wire::fill::{Fill, LONGEST_REQUEST, Reply, RequestHeader, write_reply};
use twinfeed_wire::*;

/// What the server that is not honest does with a request, by turns.
#[derive(Clone, Copy, Debug)]
enum Trick {
    Honest,
    Silent,
    Busy,
    Lacks,
    /// It says that it sent, and sends nothing.
    Nothing,
    /// It sends something from elsewhere.
    Elsewhere,
    OtherContext,
    OtherEpoch,
    Unmarked,
    Damaged,
    /// It answers, to another request.
    OtherRequest,
}

const TRICKS: [Trick; 11] = [
    Trick::Honest,
    Trick::Silent,
    Trick::Busy,
    Trick::Lacks,
    Trick::Nothing,
    Trick::Elsewhere,
    Trick::OtherContext,
    Trick::OtherEpoch,
    Trick::Unmarked,
    Trick::Damaged,
    Trick::OtherRequest,
];

#[derive(Clone, Debug)]
struct Plan {
    /// Per datagram: records in it, lost on leg 0, lost on leg 1, both.
    datagrams: Vec<(usize, bool, bool, bool)>,
    /// Which leg's adapter is honest.
    honest: Leg,
    tricks: Vec<Trick>,
    /// Datagrams of an answer that are lost on the way, in 16.
    answer_loss: Vec<bool>,
    /// The honest server has forgotten everything before this datagram.
    forgotten: usize,
    policy: Policy,
}

fn plan() -> impl Strategy<Value = Plan> {
    let datagram = (
        1..5_usize,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.15),
    );
    let tricks = prop::collection::vec(prop::sample::select(&TRICKS[..]), 1..12);
    (
        prop::collection::vec(datagram, 2..60),
        any::<bool>(),
        tricks,
        prop::collection::vec(prop::bool::weighted(0.15), 16),
        prop::option::weighted(0.3, 0..20_usize),
        any::<bool>(),
    )
        .prop_map(
            |(mut datagrams, zero, tricks, answer_loss, forgotten, prefer)| {
                // The application joins at the first, and both legs stand behind the last.
                datagrams[0] = (1, false, false, false);
                Plan {
                    datagrams,
                    honest: if zero { Leg::Zero } else { Leg::One },
                    tricks,
                    answer_loss,
                    forgotten: forgotten.unwrap_or(0),
                    policy: if prefer {
                        Policy::PreferActive
                    } else {
                        Policy::FirstArrival
                    },
                }
            },
        )
}

/// What a server sends.
#[derive(Default)]
struct Sent(Vec<Vec<u8>>);

impl Answer for Sent {
    fn datagram(&mut self, _: &[Asker], bytes: &[u8]) {
        self.0.push(bytes.to_vec());
    }

    fn reply(&mut self, _: Asker, reply: &Reply) {
        self.0.push(write_reply(reply).to_vec());
    }
}

struct World {
    kit: Kit,
    senders: [Sender; 2],
    kept: [Retained; 2],
    servers: [Server; 2],
    plan: Plan,
    tricks: usize,
    lost: usize,
}

impl World {
    fn new(plan: Plan) -> Self {
        let (mut kit, zero, one) = ordered(Limits {
            policy: plan.policy,
            ..Limits::default()
        });
        for leg in Leg::BOTH {
            kit.arbiter.set_fill_server(leg, true);
        }
        let limits = RetentionLimits {
            messages: 4_096,
            bytes: 1 << 20,
            max_datagram: DEFAULT_DATAGRAM,
        };
        Self {
            kit,
            senders: [zero, one],
            kept: [(); 2].map(|()| Retained::new(&limits).unwrap()),
            servers: [(); 2].map(|()| Server::new(ServerLimits::default()).unwrap()),
            plan,
            tricks: 0,
            lost: 0,
        }
    }

    fn serve(&mut self, ask: &Ask) {
        let mut buffer = [0; LONGEST_REQUEST];
        let length = ask.write(&mut buffer);
        let Fill::Request(request) = Fill::parse(&buffer[..length]).unwrap() else {
            panic!("a reply");
        };
        let at = ask.leg.index();
        let (server, kept, mut sent) = (&mut self.servers[at], &self.kept[at], Sent::default());
        server.ask(self.kit.now, Asker(0), &request, &mut sent);
        let of =
            |header: &RequestHeader| (header.stream == StreamId(10 + at as u32)).then_some(kept);
        server.answer(self.kit.now, of, &mut sent);
        let trick = match ask.leg == self.plan.honest {
            true => Trick::Honest,
            false => {
                self.tricks += 1;
                self.plan.tricks[self.tricks % self.plan.tricks.len()]
            }
        };
        let answer = self.twist(ask, trick, sent.0);
        for bytes in answer {
            self.lost += 1;
            if self.plan.answer_loss[self.lost % self.plan.answer_loss.len()] {
                continue;
            }
            let now = self.kit.now;
            self.kit
                .arbiter
                .on_fill(ask.leg, now, &bytes, &mut self.kit.log);
        }
    }

    fn twist(&mut self, ask: &Ask, trick: Trick, mut sent: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let mut liar = self.senders[ask.leg.index()];
        let marked = |mut bytes: Vec<u8>| {
            mark_retransmitted(&mut bytes);
            bytes
        };
        let mut reply = Reply {
            sid: SID,
            stream: ask.header().stream,
            request: ask.header().request,
            ..Reply::default()
        };
        match trick {
            Trick::Honest => sent,
            Trick::Silent => Vec::new(),
            Trick::Busy => {
                reply.status = fill::Status::Busy;
                reply.retry_after_us = 700;
                vec![write_reply(&reply).to_vec()]
            }
            Trick::Lacks => {
                reply.lacking = u32::MAX;
                vec![write_reply(&reply).to_vec()]
            }
            Trick::Nothing => vec![write_reply(&reply).to_vec()],
            Trick::Elsewhere => vec![marked(liar.records(&run(5_000..=5_003)))],
            Trick::OtherContext => {
                liar.header.context = ContextId(77);
                vec![marked(liar.records(&run(2..=9)))]
            }
            Trick::OtherEpoch => {
                liar.header.epoch = Epoch(77);
                vec![marked(liar.records(&run(2..=9)))]
            }
            Trick::Unmarked => vec![liar.records(&run(2..=9))],
            Trick::Damaged => {
                for bytes in &mut sent {
                    let last = bytes.len() - 1;
                    bytes[last] ^= 0x40;
                }
                sent
            }
            Trick::OtherRequest => {
                reply.request += 1;
                reply.lacking = u32::MAX;
                vec![write_reply(&reply).to_vec()]
            }
        }
    }

    fn step(&mut self, last: u64) {
        for sender in &mut self.senders {
            self.kit.beat(sender, last, last + 1);
        }
        self.kit.pass(ms(1));
        while let Some(ask) = self.kit.arbiter.poll_request() {
            self.serve(&ask);
        }
        self.kit.pass(ms(0));
    }
}

proptest! {
    #[test]
    fn what_an_honest_adapter_retains_is_delivered_and_the_rest_declared(plan in plan()) {
        let mut world = World::new(plan.clone());
        let (mut next, mut retained) = (1, BTreeSet::new());
        let mut came = BTreeSet::new();
        for (at, &(length, lost_zero, lost_one, lost_both)) in plan.datagrams.iter().enumerate() {
            let numbers = next..=next + length as u64 - 1;
            next += length as u64;
            for leg in Leg::BOTH {
                let bytes = world.senders[leg.index()].records(&run(numbers.clone()));
                if at >= plan.forgotten {
                    world.kept[leg.index()].keep(&bytes);
                    retained.extend(numbers.clone());
                }
                let lost = lost_both || [lost_zero, lost_one][leg.index()];
                if !lost {
                    came.extend(numbers.clone());
                    world.kit.give(leg, &bytes);
                }
            }
            if at % 7 == 6 {
                world.step(next - 1);
            }
        }
        // Each hole that nobody retains may be asked for as long as `repair_time`.
        let over = |told: &Told| match told {
            Told::Record(sseq, ..) => sseq + 1 == next,
            Told::Event(Event::Gap { until, .. }) => until.sseq == next,
            Told::Event(_) => false,
        };
        for _ in 0..20_000 {
            world.step(next - 1);
            if world.kit.log.0.iter().rev().take(8).any(over) {
                break;
            }
        }
        for _ in 0..20 {
            world.step(next - 1);
        }
        let told = world.kit.told();
        let (mut expected_next, mut missing) = (1, Vec::new());
        for it in &told {
            match it {
                Told::Record(sseq, ..) => {
                    prop_assert_eq!(*sseq, expected_next, "order, and once");
                    expected_next += 1;
                }
                Told::Event(Event::Gap { from, until, .. }) => {
                    prop_assert_eq!(from.sseq, expected_next);
                    missing.extend(from.sseq..until.sseq);
                    expected_next = until.sseq;
                }
                Told::Event(_) => {}
            }
        }
        prop_assert_eq!(expected_next, next, "up to the end");
        let within_reach: BTreeSet<u64> = retained.union(&came).copied().collect();
        let lost: Vec<u64> = (1..next).filter(|it| !within_reach.contains(it)).collect();
        prop_assert_eq!(missing, &lost[..]);
        // Who is busy for less than a step is asked at every step of the time that each of them is waited for.
        let steps = Limits::default().repair.repair_time.as_millis() as u64;
        let bound = 12 * (told.len() as u64 + 1) + steps * lost.len() as u64;
        prop_assert!(world.kit.arbiter.repairs().requests <= bound);
    }
}
