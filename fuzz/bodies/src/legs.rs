//! Does an application get what two honest legs bring, and in which order?
//!
//! The source is whole messages 1, 2, 3, … Each leg sends runs of them in any order, some never, some often. While the
//! clock stands still nothing is given up, so the twin is plain: what arrived, from the first delivered on, as far as it
//! is contiguous.

use std::collections::BTreeSet;

use twinfeed_protocol::{Arbiter, Delivered, Event, Handler, Leg, Limits, OrderingClass, Time};
use twinfeed_wire::{
    BodyKind, ContextId, Dsn, Epoch, Generation, Header, Incarnation, Msn, Record, RecordFlags,
    Sid, Writer,
};

use crate::arbiter::{TINY, body, stream};
use crate::input::Input;

const SID: Sid = Sid(1);
/// Enough that none is met while fewer than this many messages are sent.
const MESSAGES: u64 = 64;
const LIMITS: Limits = Limits {
    held_records: 256,
    held_bytes: 1 << 16,
    ..TINY
};

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let Ok(mut arbiter) = Arbiter::new(LIMITS) else {
        unreachable!("the limits can be worked with")
    };
    arbiter.add_source(SID, OrderingClass::Ordered);
    for leg in Leg::BOTH {
        arbiter.set_stream(SID, leg, stream(SID, leg));
    }
    let (mut told, mut arrived) = (Vec::new(), BTreeSet::new());
    let (mut dsn, mut msn) = ([0; 2], [1; 2]);
    let mut next = None;
    while !input.is_empty() {
        let leg = input.pick(&Leg::BOTH);
        let first = 1 + u64::from(input.byte()) % MESSAGES;
        let last = (first + u64::from(input.byte() % 8)).min(MESSAGES);
        dsn[leg.index()] += 1;
        let header = Header {
            stream: stream(SID, leg),
            generation: Generation(1),
            incarnation: Incarnation(100 + leg.index() as u64),
            first_msn: Msn(msn[leg.index()]),
            sid: SID,
            epoch: Epoch(1),
            context: ContextId(1),
            first: 1,
            base_sseq: first,
            ..Header::default()
        };
        msn[leg.index()] += last + 1 - first;
        let datagram = datagram(header, first..=last, Dsn(dsn[leg.index()]));
        arrived.extend(first..=last);
        let from = *next.get_or_insert(first);
        let expected: Vec<u64> = (from..).take_while(|sseq| arrived.contains(sseq)).collect();
        next = Some(from + expected.len() as u64);
        arbiter.on_datagram(leg, Time(1_000_000_000), &datagram, &mut Told(&mut told));
        assert_eq!(told, expected);
        told.clear();
    }
}

fn datagram(header: Header, numbers: std::ops::RangeInclusive<u64>, dsn: Dsn) -> Vec<u8> {
    let mut buffer = vec![0; LIMITS.max_datagram];
    let mut writer = Writer::begin(&mut buffer, header);
    for sseq in numbers {
        let pushed = writer.push(&Record {
            kind: BodyKind::Dbn,
            flags: RecordFlags::LAST,
            part: 0,
            sseq,
            prev: sseq - 1,
            adm: header.base_adm,
            body: &body(sseq, 0),
        });
        assert_eq!(pushed, Ok(()), "eight short records fit");
    }
    let length = writer.finish(dsn, header.flags, 0);
    buffer.truncate(length);
    buffer
}

struct Told<'t>(&'t mut Vec<u64>);

impl Handler for Told<'_> {
    fn record(&mut self, record: &Delivered<'_>) {
        assert!(*record.body == body(record.pos.sseq, record.pos.part));
        self.0.push(record.pos.sseq);
    }

    fn event(&mut self, event: &Event) {
        let fits = matches!(
            event,
            Event::Discontinuity { .. }
                | Event::Recovered { .. }
                | Event::Leg { .. }
                | Event::Live { .. }
        );
        assert!(fits, "while the clock stands still: {event:?}");
    }
}
