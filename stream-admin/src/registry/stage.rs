//! A pair of adapters that say of their sources what a test writes down, one letter a report.
//!
//! ```text
//!  g good   s stale   i incomplete   e ended   u unknown, not opened   x stale, not opened   - gone
//! ```
//!
//! A turn is ten milliseconds, by default: both adapters report, then the driver does what it does as time passes, then the active
//! carries out what was ordered. What it placed is what a test sees: `S`, `R`, or `.` for nothing.

use std::collections::BTreeMap;

use serde_json::json;
use twinfeed_control::{
    AdapterId, AdapterStatus, Assignment, FeedName, Generation, Incarnation, MessagePlace,
    OrderOutcome, OrderReport, OrderedMessage, PendingOrder, Renew, Role, RoleAction, RoleOrder,
    TakeOver, TakeoverCause,
};

use super::Registry;
use super::record::Record;
use super::settings::FeedSettings;
use super::tests::{ADAPTER, feed_settings, offer, saved, started_as};
use crate::lease::Now;

/// What the active makes of an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    Placed,
    Refused,
    /// It has not said yet, and has placed nothing.
    Silence,
}

/// Two seats, the registry, and what was placed in the streams of sids 1 and 2.
pub(super) struct Stage {
    pub(super) registry: Registry,
    settings: FeedSettings,
    disk: BTreeMap<String, Record>,
    /// Milliseconds.
    pub(super) now: u64,
    /// From turn to turn.
    pub(super) step: u64,
    incarnations: [u64; 2],
    gone: [bool; 2],
    /// How the active counts administrative messages of each sid, and what of it was inherited.
    pub(super) adm: [u64; 2],
    pub(super) inherited: [u64; 2],
    pub(super) answer: Answer,
    /// Whether the backup is synchronised.
    pub(super) synchronised: bool,
    last_ticket: u64,
}

impl Stage {
    /// Both sit, leg 0 active.
    pub(super) fn new(change: impl FnOnce(&mut FeedSettings)) -> Self {
        let mut settings = feed_settings();
        change(&mut settings);
        let mut stage = Self {
            registry: started_as(Vec::new(), settings.clone(), Now(0)),
            settings,
            disk: BTreeMap::new(),
            now: 0,
            step: 10,
            incarnations: [1, 2],
            gone: [false; 2],
            adm: [0; 2],
            inherited: [0; 2],
            answer: Answer::Placed,
            synchronised: true,
            last_ticket: 0,
        };
        stage.sit(0, 1);
        stage.sit(1, 2);
        stage
    }

    pub(super) fn sit(&mut self, leg: usize, incarnation: u64) {
        (self.incarnations[leg], self.gone[leg]) = (incarnation, false);
        let offered = offer([Role::Active, Role::Backup][leg], incarnation);
        let now = Now(self.now);
        let _ = self.registry.register(&ADAPTER, offered, now).unwrap();
    }

    /// A leg becomes active: the old one stepped down, or, with `forced`, by an operator's word. It inherits what was placed.
    pub(super) fn take_over(&mut self, leg: usize, forced: bool) {
        let (id, now) = (self.id(leg), Now(self.now));
        if forced {
            let action = RoleAction::TakeOver { adapter: Some(id) };
            let order = RoleOrder {
                key: format!("forced-{now:?}"),
                feed: self.feed(),
                action,
                wait_ms: 0,
            };
            self.registry.order_roles("ops", order, now).unwrap();
        } else {
            let request = TakeOver {
                incarnation: Incarnation(self.incarnations[leg]),
                from: self.assignment(leg).generation,
                cause: TakeoverCause::SteppedDown,
            };
            let _ = self
                .registry
                .take_over(&ADAPTER, &id, &request, now)
                .unwrap();
        }
        self.inherited = self.adm;
    }

    /// stream-admin ends and is started with what it had written.
    pub(super) fn restart(&mut self) {
        saved(&mut self.registry, &mut self.disk);
        let disk = self.disk.values().cloned().collect();
        self.registry = started_as(disk, self.settings.clone(), Now(self.now));
    }

    /// What each leg says of sid 1, and that sid 2 is good.
    pub(super) fn turn(&mut self, says: [char; 2]) -> char {
        self.turn_of_both(says, ['g', 'g'])
    }

    /// What each leg says of sid 1 and of sid 2.
    pub(super) fn turn_of_both(&mut self, one: [char; 2], two: [char; 2]) -> char {
        self.now += self.step;
        for leg in [0, 1] {
            self.report(leg, [one[leg], two[leg]]);
        }
        self.act();
        saved(&mut self.registry, &mut self.disk);
        self.carry_out()
    }

    /// Turn by turn.
    pub(super) fn play(&mut self, one: &str, two: &str) -> String {
        assert_eq!(one.len(), two.len());
        let turns = one.chars().zip(two.chars());
        turns.map(|(one, two)| self.turn([one, two])).collect()
    }

    /// The same letters of both legs for so many milliseconds; the times at which something was placed.
    pub(super) fn stay(&mut self, says: [char; 2], ms: u64) -> Vec<(u64, char)> {
        let mut placed = Vec::new();
        for _ in 0..ms / self.step {
            match self.turn(says) {
                '.' => {}
                word => placed.push((self.now, word)),
            }
        }
        placed
    }

    /// What the driver does as time passes.
    fn act(&mut self) {
        let now = Now(self.now);
        self.registry.tick(now);
        for name in self.registry.feeds_with_source_news(now) {
            self.registry.tell_of_sources(&name, now);
            assert!(
                self.registry.feeds_with_source_news(now).is_empty(),
                "what is to be done at one moment is done at once"
            );
        }
        for name in self.registry.feeds_with_lost_sources(now) {
            self.registry.hand_over_lost_source(&name, now);
        }
    }

    fn report(&mut self, leg: usize, says: [char; 2]) {
        let (id, now) = (self.id(leg), Now(self.now));
        let incarnation = Incarnation(self.incarnations[leg]);
        self.gone[leg] = says[0] == '-';
        if self.gone[leg] {
            drop(self.registry.leave(&ADAPTER, &id, incarnation, now));
            return;
        }
        let status = self.status(&self.assignment(leg), says);
        let renew = Renew {
            incarnation,
            status,
        };
        self.registry.renew(&ADAPTER, &id, renew, now).unwrap();
    }

    fn status(&self, seat: &Assignment, says: [char; 2]) -> AdapterStatus {
        let active = seat.role == Role::Active;
        let stream = |place: usize| {
            let (data, opened) = match says[place] {
                'g' => ("good", true),
                's' => ("stale", true),
                'i' => ("incomplete", true),
                'e' => ("ended", true),
                'u' => ("unknown", false),
                'x' => ("stale", false),
                other => panic!("{other}"),
            };
            let state = match (active, self.synchronised) {
                (true, _) => "active",
                (false, true) => "synchronised",
                (false, false) => "resyncing",
            };
            let (sid, epoch) = (place + 1, u64::from(opened) * 3);
            let context = if data == "incomplete" { 5 } else { 4 };
            json!({"sid": sid, "sending": opened, "next_msn": 5, "context_id": format!("{context:016x}"),
                "next_pos": {"sid": sid, "epoch": format!("{epoch:016x}"), "sseq": 10, "part": 0},
                "complete": data != "incomplete", "data": data, "adm": self.adm[place],
                "pair": {"state": state, "reason": "", "protected": true, "waiting": 0, "counters": {},
                    "inherited": self.inherited[place], "seamless": active, "lacks_nothing": !active}})
        };
        serde_json::from_value(json!({"generation": seat.generation, "role": seat.role,
            "sync_threshold": 64, "link": "up", "streams": [stream(0), stream(1)]}))
        .unwrap()
    }

    /// The active carries out what it finds, oldest first.
    fn carry_out(&mut self) -> char {
        let mut placed = '.';
        for leg in [0, 1]
            .into_iter()
            .filter(|leg| !self.gone[*leg])
            .collect::<Vec<_>>()
        {
            for order in self.assignment(leg).orders {
                let fresh = order.ticket > self.last_ticket;
                if !fresh || self.answer == Answer::Silence {
                    continue;
                }
                self.last_ticket = order.ticket;
                if self.answer == Answer::Placed {
                    placed = letter(&order.message);
                }
                self.settle(leg, &order);
            }
        }
        placed
    }

    fn settle(&mut self, leg: usize, order: &PendingOrder) {
        let outcome = match self.answer {
            Answer::Placed => {
                let count = &mut self.adm[order.sid.0 as usize - 1];
                *count += 1;
                placed_at(order.generation, *count - 1)
            }
            Answer::Refused | Answer::Silence => OrderOutcome::Refused {
                reason: "no authority".to_owned(),
            },
        };
        self.say(leg, order.ticket, outcome);
    }

    /// An adapter says what became of an order.
    pub(super) fn say(&mut self, leg: usize, ticket: u64, outcome: OrderOutcome) {
        let report = OrderReport {
            incarnation: Incarnation(self.incarnations[leg]),
            ticket,
            outcome,
        };
        let id = self.id(leg);
        let _ = self.registry.report_order(&ADAPTER, &id, report).unwrap();
    }

    pub(super) fn assignment(&self, leg: usize) -> Assignment {
        let incarnation = Incarnation(self.incarnations[leg]);
        let asked = self
            .registry
            .assignment(&ADAPTER, &self.id(leg), incarnation, Now(self.now));
        asked.unwrap()
    }

    pub(super) fn id(&self, leg: usize) -> AdapterId {
        ["itch.active", "itch.backup"][leg].parse().unwrap()
    }

    pub(super) fn feed(&self) -> FeedName {
        self.settings.name.clone()
    }

    /// How often a message about a source was counted.
    pub(super) fn counted(&self, kind: &'static str, outcome: &'static str) -> u64 {
        let counts = &self.registry.counts()[0].source_reports;
        counts.get(&(kind, outcome)).copied().unwrap_or(0)
    }
}

/// An outcome: number `number` of the stream, under this generation.
pub(super) fn placed_at(generation: Generation, number: u64) -> OrderOutcome {
    let place = MessagePlace {
        generation,
        number,
        slot: 7,
        processed: 6,
        sseq: 6,
        attempts: 1,
        agreed: true,
    };
    OrderOutcome::Placed { place }
}

fn letter(message: &OrderedMessage) -> char {
    match message {
        OrderedMessage::SourceStale => 'S',
        OrderedMessage::SourceRestored => 'R',
        _ => 'n',
    }
}
