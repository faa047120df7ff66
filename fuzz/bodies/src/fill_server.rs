//! What does an adapter give, whatever it sent before and whatever is asked of it?
//!
//! What is given was kept, and is marked as sent again; it is never more than the limits allow, at once and over time;
//! nobody hears of a request that he did not make, or twice of one that he did.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use twinfeed_protocol::Time;
use twinfeed_protocol::retain::{Answer, Asker, Retained, RetentionLimits, Server, ServerLimits};
use twinfeed_wire::fill::{
    Fill, FillRange, LONGEST_REQUEST, Reply, RequestHeader, Status, write_request,
};
use twinfeed_wire::{
    Adm, BodyKind, ContextId, Datagram, Dsn, Epoch, Flags, Generation, Header, Incarnation, Msn,
    Record, RecordFlags, Sid, StreamId, Writer, mark_retransmitted,
};

use crate::arbiter::body;
use crate::datagram;
use crate::heap;
use crate::input::Input;

const STREAM: StreamId = StreamId(10);
const SID: Sid = Sid(1);
/// Every bound is small, so that each is met.
const KEPT: RetentionLimits = RetentionLimits {
    messages: 256,
    bytes: 4_800,
    max_datagram: 1_200,
};
const GIVEN: ServerLimits = ServerLimits {
    clients: 3,
    moment: Duration::from_millis(1),
    answer: 3,
    client_rate: 1_000,
    total_rate: 2_000,
    burst: Duration::from_millis(5),
    waiting: 2,
};

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (Ok(mut retained), Ok(mut server)) = (Retained::new(&KEPT), Server::new(GIVEN)) else {
        unreachable!("the limits can be worked with")
    };
    let mut sender = Sender::default();
    let mut judge = Judge::default();
    let begin = Time(1_000_000_000);
    let (mut now, mut request) = (begin, 0);
    while !input.is_empty() {
        match input.byte() % 8 {
            0..=2 => keep(&mut retained, sender.datagram(&mut input), &mut judge),
            3 => {
                let mut raw = input.run().to_vec();
                datagram::put_right(&mut raw);
                keep(&mut retained, raw, &mut judge);
            }
            4 | 5 => {
                request += 1;
                let asker = Asker(usize::from(input.byte()) % GIVEN.clients);
                let (header, ranges) = wish(request, &mut input);
                let mut bytes = [0; LONGEST_REQUEST];
                let length = write_request(&mut bytes, &header, &ranges);
                // What cannot be read reaches no server.
                let Ok(Fill::Request(asked)) = Fill::parse(&bytes[..length]) else {
                    continue;
                };
                judge.open.insert((asker, request));
                server.ask(now, asker, &asked, &mut judge);
            }
            6 => {
                judge.at_once = GIVEN.waiting * GIVEN.answer as usize;
                let of = |header: &RequestHeader| (header.stream == STREAM).then_some(&retained);
                server.answer(now, of, &mut judge);
                judge.at_once = 0;
                judge.open.clear();
            }
            _ => now = now.after(Duration::from_micros(u64::from(input.word()))),
        }
        judge.has_kept_to_its_rates(now.since(begin));
    }
}

fn keep(retained: &mut Retained, mut bytes: Vec<u8>, judge: &mut Judge) {
    let before = heap::calls();
    retained.keep(&bytes);
    assert_eq!(heap::calls(), before, "to keep something allocates nothing");
    let (records, used) = retained.held();
    assert!(records <= KEPT.messages && used <= KEPT.bytes);
    if bytes.len() >= twinfeed_wire::HEADER_LENGTH {
        mark_retransmitted(&mut bytes);
        judge.kept.insert(bytes);
    }
}

/// A request of nearly anything.
fn wish(request: u64, input: &mut Input<'_>) -> (RequestHeader, Vec<FillRange>) {
    let shape = input.byte();
    let header = RequestHeader {
        sid: SID,
        stream: if shape & 3 == 3 { StreamId(77) } else { STREAM },
        request,
        epoch: Epoch(1 + u64::from(shape >> 7)),
        context: ContextId(1 + u64::from(shape >> 6 & 1)),
        datagrams: u32::from(input.byte() % 5),
    };
    let ranges = (0..1 + (shape >> 2 & 3)).map(|_| {
        let (from, more) = (input.number(), u64::from(input.byte() % 16));
        let until = from.saturating_add(more);
        match input.byte() % 4 {
            0 => FillRange::Messages {
                from: Adm(from),
                until: Adm(until),
            },
            part => FillRange::Records {
                from: (from, u16::from(part) - 1),
                until: (until, 0),
            },
        }
    });
    (header, ranges.collect())
}

/// What the adapter sends.
struct Sender {
    header: Header,
}

impl Default for Sender {
    fn default() -> Self {
        Self {
            header: Header {
                stream: STREAM,
                generation: Generation(1),
                incarnation: Incarnation(5),
                first_msn: Msn(1),
                sid: SID,
                epoch: Epoch(1),
                context: ContextId(1),
                first: 1,
                base_sseq: 1,
                ..Header::default()
            },
        }
    }
}

impl Sender {
    fn datagram(&mut self, input: &mut Input<'_>) -> Vec<u8> {
        let header = &mut self.header;
        header.dsn = Dsn(header.dsn.0 + 1);
        let change = input.byte();
        match change & 15 {
            0 => header.epoch = Epoch(3 - header.epoch.0),
            1 => header.context = ContextId(3 - header.context.0),
            2 => header.base_sseq = input.number(),
            3 => header.base_sseq = header.base_sseq.saturating_add(input.number()),
            _ => {}
        }
        let mut buffer = vec![0; KEPT.max_datagram];
        let mut writer = Writer::begin(&mut buffer, *header);
        let (mut sseq, mut adm) = (header.base_sseq, header.base_adm);
        for _ in 0..1 + (change >> 4 & 7) {
            let administrative = input.byte() & 15 == 0;
            let pushed = writer.push(&Record {
                kind: match administrative {
                    true => BodyKind::Administrative,
                    false => BodyKind::Dbn,
                },
                flags: RecordFlags::LAST,
                part: 0,
                sseq,
                prev: sseq.saturating_sub(1),
                adm,
                body: &body(sseq, 0),
            });
            match (pushed, administrative) {
                (Err(_), _) => break,
                (_, true) => adm = Adm(adm.0.saturating_add(1)),
                (_, false) => sseq = sseq.saturating_add(1),
            }
        }
        let length = writer.finish(header.dsn, header.flags, 0);
        (header.base_sseq, header.base_adm) = (sseq, adm);
        buffer.truncate(length);
        buffer
    }
}

/// Who listens to what the server gives.
#[derive(Default)]
struct Judge {
    /// Everything that was sent, marked as sent again.
    kept: HashSet<Vec<u8>>,
    /// Requests of which nothing was heard yet.
    open: BTreeSet<(Asker, u64)>,
    /// How many datagrams may come in one go.
    at_once: usize,
    given: [u64; GIVEN.clients],
}

impl Judge {
    /// A quota may be overdrawn by what waits for an answer at the same time.
    fn has_kept_to_its_rates(&self, passed: Duration) {
        let allowed = |rate: u32, askers: usize| {
            let earned = (passed + GIVEN.burst).as_secs_f64() * f64::from(rate);
            earned as u64 + (askers * GIVEN.waiting) as u64 * u64::from(GIVEN.answer)
        };
        for given in self.given {
            assert!(given <= allowed(GIVEN.client_rate, 1), "{given} to one");
        }
        let all: u64 = self.given.iter().sum();
        let most = allowed(GIVEN.total_rate, GIVEN.clients);
        assert!(all <= most, "{all} to all, more than {most}");
    }
}

impl Answer for Judge {
    fn datagram(&mut self, askers: &[Asker], bytes: &[u8]) {
        assert!(self.at_once > 0, "no more than one request may bring");
        self.at_once -= 1;
        assert!(self.kept.contains(bytes), "what is given was sent");
        let datagram = Datagram::parse(bytes);
        let marked = datagram.map(|it| it.header().flags.has(Flags::RETRANSMITTED));
        assert_eq!(marked, Ok(true));
        for asker in askers {
            let asked = self.open.iter().any(|(of, _)| of == asker);
            assert!(asked, "{asker:?} did not ask");
            self.given[asker.0] += 1;
        }
    }

    fn reply(&mut self, asker: Asker, reply: &Reply) {
        assert!(
            self.open.remove(&(asker, reply.request)),
            "{reply:?} to {asker:?}"
        );
        assert_eq!(reply.status == Status::Busy, reply.retry_after_us > 0);
    }
}
