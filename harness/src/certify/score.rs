//! What is sent when, on which line?
//!
//! A scenario writes a [`Score`] as a composer does: it makes parcels of messages, puts them on lines, whole, late,
//! twice, broken or not at all, and lets time pass. The score keeps the truth meanwhile: whatever no line carries whole
//! is not owed, without the scenario saying so.
//!
//! Equal scenario, seed and rate give equal scores, byte for byte and nanosecond for nanosecond.

use std::time::Duration;

use twinfeed_exchange::flow::{Flow, FlowConfig};
use twinfeed_exchange::mold::{self, Packer};
use twinfeed_exchange::rng::Rng;
use twinfeed_exchange::{LineId, SessionId};

use super::truth::{End, Fate, Life, Message, Truth};

/// Both lines.
pub const BOTH: &[LineId] = &LineId::ALL;
/// The two lines, one each.
pub const A: &[LineId] = &[LineId::A];
/// See [`A`].
pub const B: &[LineId] = &[LineId::B];

/// Time between packets without messages.
pub const HEARTBEAT: Duration = Duration::from_millis(50);
/// How many end-of-session packets a line sends.
const END_PACKETS: u32 = 3;
/// Time between them.
const END_INTERVAL: Duration = Duration::from_millis(10);
/// Most messages of a parcel.
const MOST_MESSAGES: u32 = 6;
/// Longest payload, bytes.
const MAX_PAYLOAD: usize = 1_400;
/// The market: small, so that its opening does not fill a scenario.
const MARKET: FlowConfig = FlowConfig {
    instruments: 4,
    orders_per_instrument: 32,
    opens_at_s: 34_200,
};
/// So many messages that no closing is ever reached.
const ENDLESS: u64 = 1 << 40;

/// What decides a score, beside the scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Decides content and where faults fall.
    pub seed: u64,
    /// Messages per second.
    pub rate: u64,
    /// How far the lines are apart, and how long a packet is overtaken, at most: the handler must bridge it.
    pub skew: Duration,
    /// Silence of both lines after which the handler calls the source stale.
    pub silence: Duration,
}

/// Messages that go into one packet.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Which life they belong to.
    life: usize,
    /// Number of the first one.
    pub first: u64,
    /// How many.
    pub count: u16,
    /// The packet.
    pub bytes: Vec<u8>,
}

/// A packet on its line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Timed {
    /// When, nanoseconds from the start.
    pub at_ns: u64,
    /// Where.
    pub line: LineId,
    /// What.
    pub bytes: Vec<u8>,
    /// What is particular about it; empty: nothing.
    pub note: &'static str,
}

/// What a scenario sends, and what is owed for it.
#[derive(Debug)]
pub struct Score {
    settings: Settings,
    /// Where faults fall.
    pub dice: Rng,
    flow: Flow,
    made: u64,
    packer: Packer,
    sessions: SessionNames,
    now_ns: u64,
    packets: Vec<Timed>,
    prelude: Vec<Vec<u8>>,
    truth: Truth,
}

/// Names of the sessions of one scenario.
#[derive(Clone, Debug)]
pub struct SessionNames {
    prefix: String,
    /// The scenario's place in the table.
    scenario: u64,
    seed: u64,
    used: u64,
}

impl SessionNames {
    /// Names of scenario number `scenario` of a run with this seed; `prefix` is at most one letter.
    #[must_use]
    pub fn new(prefix: &str, seed: u64, scenario: u64) -> Self {
        Self {
            prefix: prefix.to_owned(),
            scenario,
            seed,
            used: 0,
        }
    }

    /// The next one: prefix, five digits of the seed, two of the scenario, two that count.
    fn next(&mut self) -> SessionId {
        self.used += 1;
        let number = self.seed % 100_000 * 10_000 + self.scenario % 100 * 100 + self.used % 100;
        let plain = SessionId::numbered("C", number);
        let named = SessionId::numbered(&self.prefix, number).or(plain);
        named.expect("one letter and nine digits are a session's name")
    }
}

impl Score {
    /// A score that has begun a session from number 1.
    #[must_use]
    pub fn new(settings: Settings, sessions: SessionNames) -> Self {
        Self::starting_at(settings, sessions, 1)
    }

    /// The same, from another number.
    #[must_use]
    pub fn starting_at(settings: Settings, mut sessions: SessionNames, first: u64) -> Self {
        let seed = settings.seed ^ (sessions.scenario << 32);
        let session = sessions.next();
        let truth = Truth {
            lives: vec![Life::new(session, first)],
            silences: 0,
        };
        Self {
            dice: Rng::new(seed, 0x4345_5254),
            flow: Flow::new(MARKET, seed, 0, ENDLESS),
            made: 0,
            packer: Packer::new(MAX_PAYLOAD),
            sessions,
            now_ns: 0,
            packets: Vec::new(),
            prelude: Vec::new(),
            truth,
            settings,
        }
    }

    /// What was asked for.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The next parcel of a few messages. On no line yet: if that stays so, they are lost.
    pub fn parcel(&mut self) -> Parcel {
        let count = 1 + self.dice.below(MOST_MESSAGES);
        self.parcel_of(u64::from(count))
    }

    /// The next parcel of `count` messages, fewer if they do not fit one packet.
    pub fn parcel_of(&mut self, count: u64) -> Parcel {
        let gap_ns = 1_000_000_000 / self.settings.rate.max(1);
        let index = self.truth.lives.len() - 1;
        let life = &mut self.truth.lives[index];
        let first = life.next();
        self.packer.begin(life.session, first);
        for _ in 0..count.clamp(1, MOST_PER_PACKET) {
            // A nanosecond apart at least, so that no two messages are equal.
            self.made += 1;
            let message = self.flow.next(self.made * gap_ns.max(1));
            let pushed = self.packer.push(message);
            debug_assert!(pushed, "so many messages fit a packet");
            life.messages.push(Message {
                kind: message[0],
                timestamp: timestamp(message),
                fate: Fate::Lost,
            });
            self.now_ns += gap_ns;
        }
        Parcel {
            life: index,
            first,
            count: self.packer.count(),
            bytes: self.packer.finish().to_vec(),
        }
    }

    /// Puts a parcel on these lines, whole; which of two is first is left to the dice.
    pub fn send(&mut self, lines: &[LineId], parcel: &Parcel) {
        self.send_later(lines, parcel, Duration::ZERO);
    }

    /// The same, so much later.
    pub fn send_later(&mut self, lines: &[LineId], parcel: &Parcel, delay: Duration) {
        self.mark(parcel, Fate::Owed);
        self.raw(lines, &parcel.bytes, delay, "");
    }

    /// Puts a parcel on these lines once more: it was whole before.
    pub fn repeat(&mut self, lines: &[LineId], parcel: &Parcel, delay: Duration) {
        self.raw(lines, &parcel.bytes, delay, "repeated");
    }

    /// Puts bytes on these lines in which something of the parcel can be recognised, but not all.
    pub fn send_broken(
        &mut self,
        lines: &[LineId],
        parcel: &Parcel,
        bytes: &[u8],
        note: &'static str,
    ) {
        self.mark(parcel, Fate::Broken);
        self.raw(lines, bytes, Duration::ZERO, note);
    }

    /// Puts bytes on these lines that no handler may make anything of.
    pub fn noise(&mut self, lines: &[LineId], bytes: &[u8], note: &'static str) {
        self.raw(lines, bytes, Duration::ZERO, note);
    }

    /// So many parcels on both lines, without a fault.
    pub fn clean(&mut self, parcels: u32) {
        for _ in 0..parcels {
            let parcel = self.parcel();
            self.send(BOTH, &parcel);
        }
    }

    /// Lets time pass in which nothing is sent.
    pub fn rest(&mut self, span: Duration) {
        self.now_ns += span.as_nanos() as u64;
    }

    /// Lets time pass in which the lines say that they are alive.
    pub fn idle(&mut self, lines: &[LineId], span: Duration) {
        let until = self.now_ns + span.as_nanos() as u64;
        while self.now_ns < until {
            self.raw(lines, &self.heartbeat(), Duration::ZERO, "");
            self.now_ns += HEARTBEAT.as_nanos() as u64;
        }
    }

    /// Both lines fall silent for longer than the handler calls alive.
    pub fn silence(&mut self) {
        self.truth.silences += 1;
        self.rest(self.settings.silence * 3 / 2);
    }

    /// Ends the session on these lines.
    pub fn end_session(&mut self, lines: &[LineId]) {
        let life = self.life();
        let packet = mold::end_of_session(life.session, life.next());
        self.truth.lives.last_mut().expect(BEGUN).end = End::Said;
        for _ in 0..END_PACKETS {
            self.now_ns += END_INTERVAL.as_nanos() as u64;
            self.raw(lines, &packet, Duration::ZERO, "");
        }
    }

    /// Begins another session from number 1, which both lines announce.
    pub fn next_session(&mut self) {
        let session = self.sessions.next();
        self.begin(Life::new(session, 1));
    }

    /// Begins the same session again from `first`, as a restarted exchange would.
    pub fn begin_again(&mut self, first: u64) {
        let session = self.life().session;
        self.begin(Life::new(session, first));
    }

    /// A message of a session that nobody has begun, as a whole packet.
    pub fn foreign_packet(&mut self) -> Vec<u8> {
        let mut names = SessionNames {
            prefix: if self.sessions.prefix == "X" {
                "Y"
            } else {
                "X"
            }
            .to_owned(),
            used: self.sessions.used + u64::from(self.dice.below(90)),
            ..self.sessions.clone()
        };
        let next = self.life().next();
        self.packer.begin(names.next(), next);
        self.packer.push(b"S\0\0\0\0\0\0\0\0\0\x01O");
        self.packer.finish().to_vec()
    }

    /// What has been sent until now was sent before the handler started.
    pub fn handler_starts(&mut self) {
        for life in &mut self.truth.lives {
            life.messages
                .iter_mut()
                .for_each(|it| it.fate = Fate::Before);
        }
        let packets = std::mem::take(&mut self.packets);
        self.prelude.extend(packets.into_iter().map(|it| it.bytes));
        self.now_ns = 0;
    }

    /// The session at hand.
    #[must_use]
    pub fn life(&self) -> &Life {
        self.truth.lives.last().expect(BEGUN)
    }

    /// A packet that says what comes next.
    #[must_use]
    pub fn heartbeat(&self) -> Vec<u8> {
        let life = self.life();
        mold::heartbeat(life.session, life.next()).to_vec()
    }

    /// Nothing is added any more.
    #[must_use]
    pub fn finish(mut self) -> Script {
        // Stable: what is sent at one moment keeps its order.
        self.packets.sort_by_key(|packet| packet.at_ns);
        let life = self.life();
        let idle = match life.end {
            End::Said => mold::end_of_session(life.session, life.next()),
            End::Unsaid => mold::heartbeat(life.session, life.next()),
        };
        let first = &self.truth.lives[0];
        let heard = first
            .messages
            .iter()
            .take_while(|it| it.fate == Fate::Before);
        let next = first.first + heard.count() as u64;
        Script {
            announce: mold::heartbeat(first.session, next).to_vec(),
            idle: idle.to_vec(),
            prelude: self.prelude,
            packets: self.packets,
            truth: self.truth,
        }
    }

    fn begin(&mut self, life: Life) {
        self.truth.lives.push(life);
        self.idle(BOTH, HEARTBEAT * 4);
    }

    fn mark(&mut self, parcel: &Parcel, fate: Fate) {
        let life = &mut self.truth.lives[parcel.life];
        let from = life.index(parcel.first).unwrap_or(life.messages.len());
        for message in life.messages[from..].iter_mut().take(parcel.count.into()) {
            message.fate = message.fate.max(fate);
        }
    }

    fn raw(&mut self, lines: &[LineId], bytes: &[u8], delay: Duration, note: &'static str) {
        let at_ns = self.now_ns + delay.as_nanos() as u64;
        let mut lines = lines.to_vec();
        if lines.len() > 1 && self.dice.below(2) == 1 {
            lines.reverse();
        }
        for line in lines {
            self.packets.push(Timed {
                at_ns,
                line,
                bytes: bytes.to_vec(),
                note,
            });
        }
    }
}

/// A finished score.
#[derive(Clone, Debug)]
pub struct Script {
    /// Repeated until the handler is ready.
    pub announce: Vec<u8>,
    /// Sent before the handler is started, if it joins late.
    pub prelude: Vec<Vec<u8>>,
    /// Sent then, in order of time.
    pub packets: Vec<Timed>,
    /// Repeated behind the last one.
    pub idle: Vec<u8>,
    /// What is owed.
    pub truth: Truth,
}

impl Script {
    /// How long it takes.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_nanos(self.packets.last().map_or(0, |packet| packet.at_ns))
    }
}

/// ITCH 5.0: six bytes, big-endian, behind type, locate and tracking number.
fn timestamp(message: &[u8]) -> u64 {
    let bytes = message.get(5..11).unwrap_or_default();
    bytes
        .iter()
        .fold(0, |sum, &byte| (sum << 8) | u64::from(byte))
}

/// The longest ITCH 5.0 message (`I`, `R` and others below 51 bytes) with its length, so often in a payload.
const MOST_PER_PACKET: u64 = ((MAX_PAYLOAD - mold::HEADER_LEN) / 52) as u64;
const BEGUN: &str = "a score begins with a session";

#[cfg(test)]
mod tests {
    use super::*;

    fn score() -> Score {
        let settings = Settings {
            seed: 7,
            rate: 1_000,
            skew: Duration::from_millis(5),
            silence: Duration::from_secs(1),
        };
        Score::new(settings, SessionNames::new("C", 7, 3))
    }

    #[test]
    fn what_no_line_carries_whole_is_not_owed() {
        let mut score = score();
        let parcels: Vec<_> = (0..4).map(|_| score.parcel_of(2)).collect();
        score.send(A, &parcels[0]);
        score.send_broken(BOTH, &parcels[1], b"x", "broken");
        score.send_broken(A, &parcels[3], b"x", "broken");
        score.send_later(B, &parcels[3], Duration::from_millis(9));
        let script = score.finish();
        let runs: Vec<_> = script.truth.lives[0].runs().collect();
        let expected = [
            (1, 2, Fate::Owed),
            (3, 4, Fate::Broken),
            (5, 6, Fate::Lost),
            (7, 8, Fate::Owed),
        ];
        assert_eq!(runs, expected);
        assert_eq!(script.packets.len(), 5);
        assert_eq!(script.length(), Duration::from_millis(8 + 9));
        assert_eq!(&script.announce[10..], &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(&script.idle[10..], &[0, 0, 0, 0, 0, 0, 0, 9, 0, 0]);
    }

    #[test]
    fn a_late_handler_owes_nothing_of_what_was_sent_before() {
        let mut score = score();
        score.clean(3);
        score.handler_starts();
        score.clean(1);
        let next = score.life().next();
        let script = score.finish();
        let fates: Vec<_> = script.truth.lives[0].runs().map(|run| run.2).collect();
        assert_eq!(fates, [Fate::Before, Fate::Owed]);
        assert_eq!((script.prelude.len(), script.packets.len()), (6, 2));
        let announced = u64::from_be_bytes(script.announce[10..18].try_into().unwrap());
        assert!(announced > 1 && announced < next);
    }

    #[test]
    fn messages_tell_each_other_apart_and_sessions_are_named_by_seed_scenario_and_count() {
        let mut score = score();
        assert_eq!(score.life().name, "C000070301");
        score.clean(40);
        let mut times: Vec<_> = score
            .life()
            .messages
            .iter()
            .map(|it| it.timestamp)
            .collect();
        let all = times.len();
        times.dedup();
        assert_eq!(times.len(), all);
        score.next_session();
        assert_eq!(
            (score.life().name.as_str(), score.life().first),
            ("C000070302", 1)
        );
        score.begin_again(5);
        assert_eq!(
            (score.life().name.as_str(), score.life().first),
            ("C000070302", 5)
        );
    }
}
