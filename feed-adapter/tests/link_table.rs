//! What does the pair link do in every state at every event?
//!
//! The table is committed as `tables/link.md`; this test walks it and compares. After a change that is
//! meant, write it anew with `TWINFEED_WRITE_TABLES=1`.
#![allow(clippy::unwrap_used, reason = "a test's helpers panic as its tests do")]

use std::fmt::Write as _;
use std::time::Duration;

use twinfeed_feed_adapter::Role;
use twinfeed_feed_adapter::link::rules::{
    Connection, DownCause, Ending, Heard, LinkLimits, LinkRules, LinkState, Notice, Orders, Refusal,
};
use twinfeed_protocol::Time;
use twinfeed_wire::link::{
    Answer, ContextChunk, ContextEnd, ContextHead, ContextOver, ContextRequest, ContextTaken, Cut,
    Frame, Hello, Intent, OverReason, Report, Settled, Verdict,
};
use twinfeed_wire::{
    Adm, AdminId, AdminKind, ContextId, Epoch, Generation, Incarnation, Msn, Sid, StoredAdmin,
};

const BEAT: Duration = Duration::from_millis(100);
const LIMITS: LinkLimits = LinkLimits {
    beat: BEAT,
    missed_beats: 3,
};
const ID: AdminId = AdminId {
    generation: Generation(1),
    number: Adm(0),
};

const REQUEST: ContextRequest = ContextRequest {
    sid: Sid(1),
    transfer: 1,
    epoch: Epoch(7),
    from: 5,
};

fn hello(role: Role, incarnation: u64) -> Hello {
    Hello {
        feed_digest: 1,
        config_digest: 2,
        incarnation: Incarnation(incarnation),
        generation: Generation(1),
        preferred_role: role,
        role,
    }
}

#[derive(Default)]
struct Log(
    Vec<String>,
    /// Whether nothing is taken.
    bool,
);

impl Orders for Log {
    fn send(&mut self, on: Connection, frame: Frame) {
        let word = match frame {
            Frame::Hello(_) => "hello",
            Frame::Beat { .. } => "beat",
            Frame::Goodbye => "goodbye",
            Frame::StepDown { .. } => "step-down",
            other => panic!("the link's rules never send {other:?}"),
        };
        self.0.push(format!("send {word} on {}", on.0));
    }
    fn close(&mut self, connection: Connection) {
        self.0.push(format!("close {}", connection.0));
    }
    fn hear(&mut self, heard: Heard) -> bool {
        self.0.push(match heard {
            Heard::Up => "hear up".to_owned(),
            Heard::Down { gone: true } => "hear down, gone".to_owned(),
            Heard::Down { gone: false } => "hear down".to_owned(),
            Heard::Said(Frame::Report(_)) => "hear report".to_owned(),
            Heard::Said(Frame::CutRequest { .. }) => "hear cut request".to_owned(),
            Heard::Said(Frame::Cut(_)) => "hear cut".to_owned(),
            Heard::Said(Frame::Intent(_)) => "hear intent".to_owned(),
            Heard::Said(Frame::Answer(_)) => "hear answer".to_owned(),
            Heard::Said(Frame::StepDown { .. }) => "hear step-down".to_owned(),
            Heard::Said(Frame::Settled(_)) => "hear settled".to_owned(),
            Heard::Said(Frame::Content(_)) => "hear content".to_owned(),
            Heard::Superseded(by) => format!("hear superseded by {by}"),
            Heard::Said(Frame::ContextRequest(_)) => "hear context request".to_owned(),
            Heard::Said(Frame::ContextHead(_)) => "hear context head".to_owned(),
            Heard::Said(Frame::ContextChunk(_)) => "hear context chunk".to_owned(),
            Heard::Said(Frame::ContextEnd(_)) => "hear context end".to_owned(),
            Heard::Said(Frame::ContextTaken(_)) => "hear context taken".to_owned(),
            Heard::Said(Frame::ContextOver(_)) => "hear context over".to_owned(),
            Heard::Said(own) => panic!("{own:?} is the link's own business"),
        });
        !self.1
    }
    fn tell(&mut self, notice: Notice) {
        self.0.push(match notice {
            Notice::Paired(_) => "PAIRED".to_owned(),
            Notice::PeerLost => "PEER LOST".to_owned(),
            Notice::PeerLeft => "PEER LEFT".to_owned(),
            Notice::Down(cause) => match cause {
                DownCause::Silence => "DOWN silence".to_owned(),
                DownCause::Network => "DOWN network".to_owned(),
                DownCause::Nonsense => "DOWN nonsense".to_owned(),
                DownCause::Overrun => "DOWN overrun".to_owned(),
            },
            Notice::Refused(refusal) => match refusal {
                Refusal::Feed => "REFUSED feed".to_owned(),
                Refusal::Config { .. } => "REFUSED config".to_owned(),
                Refusal::SameRole(_) => "REFUSED same role".to_owned(),
                Refusal::Ourselves => "REFUSED ourselves".to_owned(),
                Refusal::Replaced(_) => "REFUSED replaced".to_owned(),
                Refusal::Frame(_) => "REFUSED frame".to_owned(),
            },
        });
    }
}

/// The active seat's rules, in each state that is worth a column. Connection 1 is the one at hand.
fn states() -> Vec<(&'static str, LinkRules)> {
    let new = || LinkRules::new(hello(Role::Active, 7), LIMITS);
    let mut out = Log::default();
    let (now, peer) = (Time(1), Frame::Hello(hello(Role::Backup, 8)));
    let mut greeting = new();
    greeting.on_open(now, Connection(1), true, &mut out);
    let mut paired = new();
    paired.on_open(now, Connection(1), true, &mut out);
    paired.on_frame(now, Connection(1), peer, &mut out);
    let mut doubly = new();
    for (name, ours) in [(1, true), (2, false)] {
        doubly.on_open(now, Connection(name), ours, &mut out);
        doubly.on_frame(now, Connection(name), peer, &mut out);
    }
    let mut lost = new();
    lost.on_open(now, Connection(9), true, &mut out);
    lost.on_frame(now, Connection(9), peer, &mut out);
    lost.on_end(Connection(9), Ending::ByPeer, &mut out);
    lost.on_open(now, Connection(1), true, &mut out);
    vec![
        ("apart", new()),
        ("greeting", greeting),
        ("paired", paired),
        ("paired twice", doubly),
        ("lost, greeting", lost),
    ]
}

type Event = (&'static str, fn(&mut LinkRules, &mut Log));

fn frame(rules: &mut LinkRules, frame: Frame, out: &mut Log) {
    rules.on_frame(Time(2), Connection(1), frame, out);
}

const EVENTS: &[Event] = &[
    ("opens 5", |rules, out| {
        rules.on_open(Time(2), Connection(5), false, out);
    }),
    ("hello agrees", |rules, out| {
        frame(rules, Frame::Hello(hello(Role::Backup, 8)), out);
    }),
    ("hello of a newer peer", |rules, out| {
        rules.on_open(Time(2), Connection(5), false, out);
        let newer = Frame::Hello(hello(Role::Backup, 10));
        rules.on_frame(Time(2), Connection(5), newer, out);
    }),
    ("hello, other feed", |rules, out| {
        frame(
            rules,
            Frame::Hello(Hello {
                feed_digest: 0,
                ..hello(Role::Backup, 8)
            }),
            out,
        );
    }),
    ("hello, other config", |rules, out| {
        frame(
            rules,
            Frame::Hello(Hello {
                config_digest: 0,
                ..hello(Role::Backup, 8)
            }),
            out,
        );
    }),
    ("hello, same role", |rules, out| {
        frame(rules, Frame::Hello(hello(Role::Active, 8)), out);
    }),
    ("hello of ourselves", |rules, out| {
        frame(rules, Frame::Hello(hello(Role::Active, 7)), out);
    }),
    ("beat", |rules, out| {
        frame(
            rules,
            Frame::Beat {
                generation: Generation(1),
                role: Role::Backup,
            },
            out,
        );
    }),
    ("beat of a later active", |rules, out| {
        frame(
            rules,
            Frame::Beat {
                generation: Generation(2),
                role: Role::Active,
            },
            out,
        );
    }),
    ("hello of a later active", |rules, out| {
        let later = Hello {
            generation: Generation(2),
            role: Role::Active,
            ..hello(Role::Backup, 8)
        };
        frame(rules, Frame::Hello(later), out);
    }),
    ("report", |rules, out| {
        frame(rules, Frame::Report(Report::default()), out);
    }),
    ("cut request", |rules, out| {
        let (sid, generation) = (Sid(1), Generation(1));
        frame(rules, Frame::CutRequest { sid, generation }, out);
    }),
    ("cut", |rules, out| {
        frame(rules, Frame::Cut(Cut::default()), out);
    }),
    ("intent", |rules, out| {
        let intent = Intent {
            sid: Sid(1),
            generation: Generation(1),
            epoch: Epoch(7),
            began: Msn(0),
            slot: Msn(9),
            attempt: 1,
            hold: false,
            message: StoredAdmin::new(ID, AdminKind::SourceStale, &[]).unwrap(),
        };
        frame(rules, Frame::Intent(intent), out);
    }),
    ("answer", |rules, out| {
        let answer = Answer {
            sid: Sid(1),
            generation: Generation(1),
            number: ID.number,
            slot: Msn(9),
            processed: Msn(8),
            attempt: 1,
            verdict: Verdict::Capable,
        };
        frame(rules, Frame::Answer(answer), out);
    }),
    ("step-down", |rules, out| {
        let (generation, deadline_us) = (Generation(1), 1_000_000);
        frame(
            rules,
            Frame::StepDown {
                generation,
                deadline_us,
            },
            out,
        );
    }),
    ("settled", |rules, out| {
        let settled = Settled {
            sid: Sid(1),
            generation: Generation(1),
            number: ID.number,
            attempt: 1,
            slot: Msn(9),
            commit: true,
        };
        frame(rules, Frame::Settled(settled), out);
    }),
    ("context request", |rules, out| {
        frame(rules, Frame::ContextRequest(REQUEST), out);
    }),
    ("context head", |rules, out| {
        let head = ContextHead {
            sid: REQUEST.sid,
            transfer: REQUEST.transfer,
            format: ContextHead::ITCH50,
            version: 1,
            epoch: REQUEST.epoch,
            context: ContextId(9),
            first: 1,
            predecessor: Epoch(0),
            next: 5,
        };
        frame(rules, Frame::ContextHead(head), out);
    }),
    ("context chunk", |rules, out| {
        let chunk = ContextChunk::new(REQUEST.sid, REQUEST.transfer, 0, 5, &[]);
        frame(rules, Frame::ContextChunk(chunk.unwrap()), out);
    }),
    ("context end", |rules, out| {
        let end = ContextEnd {
            sid: REQUEST.sid,
            transfer: REQUEST.transfer,
            chunks: 1,
            next: 5,
            prev: 4,
            orders: 0,
            check: 0,
        };
        frame(rules, Frame::ContextEnd(end), out);
    }),
    ("context taken", |rules, out| {
        let taken = ContextTaken {
            sid: REQUEST.sid,
            transfer: REQUEST.transfer,
            chunks: 1,
        };
        frame(rules, Frame::ContextTaken(taken), out);
    }),
    ("context over", |rules, out| {
        let over = ContextOver {
            sid: REQUEST.sid,
            transfer: REQUEST.transfer,
            reason: OverReason::Busy,
        };
        frame(rules, Frame::ContextOver(over), out);
    }),
    ("goodbye", |rules, out| frame(rules, Frame::Goodbye, out)),
    ("steps down for good, goodbye", |rules, out| {
        let (generation, deadline_us) = (Generation(1), u32::MAX);
        frame(
            rules,
            Frame::StepDown {
                generation,
                deadline_us,
            },
            out,
        );
        frame(rules, Frame::Goodbye, out);
    }),
    ("report, not taken", |rules, out| {
        out.1 = true;
        frame(rules, Frame::Report(Report::default()), out);
    }),
    ("nothing more can be said", |rules, out| {
        rules.on_overrun(out);
    }),
    ("peer's end closes", |rules, out| {
        rules.on_end(Connection(1), Ending::ByPeer, out);
    }),
    ("no answer", |rules, out| {
        rules.on_end(Connection(1), Ending::Network, out);
    }),
    ("no frame", |rules, out| {
        rules.on_end(Connection(1), Ending::Nonsense, out);
    }),
    ("beat is due", |rules, out| {
        rules.on_deadline(Time(1).after(BEAT), out);
    }),
    ("silence", |rules, out| {
        rules.on_deadline(Time(1).after(3 * BEAT), out);
    }),
    ("grant", |rules, out| {
        rules.on_grant(Generation(2), Role::Backup, out);
    }),
    ("leave", |rules, out| rules.on_leave(out)),
];

fn table() -> String {
    let mut text = String::from(
        "# The pair link, state by event\n\n\
         The active seat's end. Capitals: what others are told. Behind the arrow: the state after it.\n\n",
    );
    let columns = states().len();
    let names: Vec<_> = states().into_iter().map(|(name, _)| name).collect();
    writeln!(text, "| event | {} |", names.join(" | ")).unwrap();
    writeln!(text, "|---|{}", "---|".repeat(columns)).unwrap();
    for (name, event) in EVENTS {
        let cells = states().into_iter().map(|(_, mut rules)| {
            let mut out = Log::default();
            event(&mut rules, &mut out);
            let state = match rules.state() {
                LinkState::Apart => "apart",
                LinkState::Paired => "paired",
                LinkState::Lost => "lost",
            };
            let done = if out.0.is_empty() {
                "–".to_owned()
            } else {
                out.0.join(", ")
            };
            format!("{done} → {state}")
        });
        writeln!(
            text,
            "| {name} | {} |",
            cells.collect::<Vec<_>>().join(" | ")
        )
        .unwrap();
    }
    text
}

#[test]
fn the_committed_table_is_what_the_rules_do() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tables/link.md");
    let now = table();
    if std::env::var_os("TWINFEED_WRITE_TABLES").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), now);
}

#[test]
fn a_peer_is_lost_with_its_last_connection_only() {
    let mut out = Log::default();
    let (_, mut rules) = states().remove(3);
    rules.on_end(Connection(1), Ending::ByPeer, &mut out);
    assert_eq!(rules.state(), LinkState::Paired);
    // What was said on it may be lost: the ends begin to talk anew.
    assert_eq!(std::mem::take(&mut out.0), ["hear down", "hear up"]);
    assert_eq!(rules.voice(), Some(Connection(2)));
    rules.on_end(Connection(2), Ending::ByPeer, &mut out);
    assert_eq!(rules.state(), LinkState::Lost);
    assert_eq!(out.0, ["PEER LOST", "hear down, gone"]);
}

#[test]
fn the_backup_takes_back_its_own_of_two_connections() {
    let mut out = Log::default();
    let mut rules = LinkRules::new(hello(Role::Backup, 8), LIMITS);
    let peer = Frame::Hello(hello(Role::Active, 7));
    for (name, ours) in [(1, true), (2, false)] {
        rules.on_open(Time(1), Connection(name), ours, &mut out);
        rules.on_frame(Time(1), Connection(name), peer, &mut out);
    }
    assert_eq!(
        out.0,
        [
            "send hello on 1",
            "PAIRED",
            "hear up",
            "send hello on 2",
            "send goodbye on 1",
            "close 1",
            "hear down",
            "hear up",
        ]
    );
    assert_eq!(rules.state(), LinkState::Paired);
}

#[test]
fn what_is_said_where_the_voice_is_not_moves_the_voice() {
    let mut out = Log::default();
    let (_, mut rules) = states().remove(3);
    assert_eq!(rules.voice(), Some(Connection(1)));
    let report = Frame::Report(Report::default());
    rules.on_frame(Time(2), Connection(2), report, &mut out);
    assert_eq!(rules.voice(), Some(Connection(2)));
    assert_eq!(out.0, ["hear down", "hear up", "hear report"]);
}

#[test]
fn a_replaced_incarnation_never_returns() {
    let mut out = Log::default();
    let (_, mut rules) = states().remove(2);
    for (name, incarnation) in [(2, 10), (3, 8)] {
        rules.on_open(Time(2), Connection(name), false, &mut out);
        let peer = Frame::Hello(hello(Role::Backup, incarnation));
        rules.on_frame(Time(2), Connection(name), peer, &mut out);
    }
    assert_eq!(
        out.0,
        [
            "send hello on 2",
            "send goodbye on 1",
            "close 1",
            "PAIRED",
            "hear down",
            "hear up",
            "send hello on 3",
            "REFUSED replaced",
            "close 3"
        ]
    );
}

#[test]
fn the_limit_of_connections_is_kept_at_the_edge_and_one_beyond() {
    let mut out = Log::default();
    let mut rules = LinkRules::new(hello(Role::Active, 7), LIMITS);
    for name in 1..=5 {
        rules.on_open(Time(1), Connection(name), false, &mut out);
    }
    assert_eq!(out.0[3..], ["send hello on 4", "close 5"]);
}
