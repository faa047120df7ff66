//! Does who joins with a snapshot end with what one has who was there from the start?
//!
//! A truth is written by chance: records in parts, numbers that carry nothing, administrative messages, takeovers, other contexts, other
//! epochs. The joiner hears it from some place on, with holes. Servers give snapshots of any place that they have reached, honest
//! or not, at any moment. The twin is naive: it walks the truth and pushes what is there.
#![allow(
    clippy::unwrap_used,
    reason = "a world that cannot be made fails the test"
)]

mod dice;
mod join_support;

use std::collections::BTreeMap;
use std::time::Duration;

use dice::{Dice, seeds};
use join_support::{SID, whole};
use twinfeed_protocol::join::{JoinCounters, JoinLimits, Joins};
use twinfeed_protocol::*;
use twinfeed_wire::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token {
    Record { part: u16, last: bool },
    Message,
    Reset,
    Context,
}

/// The truth: tokens, and where the stream stands in front of each and behind the last.
struct Truth {
    tokens: Vec<Token>,
    /// The place of each.
    places: Vec<Place>,
    at: Vec<Cursor>,
}

impl Truth {
    fn by(dice: &mut Dice) -> Self {
        let mut here = Cursor {
            next: Pos {
                sid: SID,
                epoch: Epoch(1),
                sseq: 1,
                part: 0,
            },
            last: 0,
            context: ContextId(1),
            complete: true,
            count: Some((Adm(0), Generation(1))),
            predecessor: Epoch::NONE,
        };
        let (mut tokens, mut places, mut at) = (Vec::new(), Vec::new(), vec![here]);
        let count = 20 + dice.below(120);
        let mut part = 0;
        for _ in 0..count {
            let whole = part == 0;
            let token = match dice.below(24) {
                0..=3 if whole => Token::Message,
                4 if whole && here.last > 0 => Token::Reset,
                5 if whole => Token::Context,
                _ => Token::Record {
                    part,
                    last: !dice.one_in(3),
                },
            };
            let (adm, generation) = here.count.unwrap();
            let mut place = here.place();
            match token {
                Token::Record { last, .. } => {
                    if whole && dice.one_in(4) {
                        place.sseq += dice.below(3);
                    }
                    here.last = place.sseq;
                    part = if last { 0 } else { part + 1 };
                    here.next.sseq = place.sseq + u64::from(last);
                    here.next.part = part;
                    if last && dice.one_in(30) {
                        here.count = Some((adm, Generation(generation.0 + 1)));
                    }
                }
                Token::Message => {
                    place = Place::start(here.last);
                    here.count = Some((Adm(adm.0 + 1), generation));
                }
                Token::Reset => {
                    here.predecessor = here.next.epoch;
                    here.next.epoch.0 += 1;
                    (here.next.sseq, here.last) = (1, 0);
                    here.context.0 += 100;
                    place = here.place();
                }
                Token::Context => here.context.0 += 1,
            }
            tokens.push(token);
            places.push(place);
            at.push(here);
        }
        Self { tokens, places, at }
    }

    fn len(&self) -> usize {
        self.tokens.len()
    }

    /// What is there in front of token `until`.
    fn life(&self, until: usize) -> Vec<u64> {
        let mut there = Vec::new();
        self.play(0, until, &[], &mut there);
        there
    }

    /// What tokens `from..until` do to a state, without those in holes.
    fn play(&self, from: usize, until: usize, holes: &[(usize, usize)], there: &mut Vec<u64>) {
        for index in from..until {
            let missing = holes.iter().any(|(from, to)| (*from..*to).contains(&index));
            match self.tokens[index] {
                Token::Reset => there.clear(),
                Token::Context => {}
                Token::Record { .. } | Token::Message if missing => {}
                Token::Record { .. } | Token::Message => there.push(index as u64),
            }
        }
    }

    /// The cursor of a snapshot of everything in front of token `until`; perhaps behind numbers that carried nothing, and in the
    /// numbering of either side.
    fn cursor(&self, until: usize, dice: &mut Dice) -> Cursor {
        let mut cursor = self.at[until];
        if let Some(Token::Record { part: 0, .. }) = self.tokens.get(until)
            && dice.one_in(2)
        {
            cursor.next.sseq = self.places[until].sseq;
        }
        cursor
    }
}

/// What the joiner's arbiter tells: an item, and the token behind it.
enum Heard {
    Token(usize),
    Join(usize),
    Gap(usize, usize),
    AdminGap(usize, usize),
}

/// What is heard from token `start` on, with holes.
fn heard(truth: &Truth, start: usize, dice: &mut Dice) -> (Vec<Heard>, Vec<(usize, usize)>) {
    let (mut heard, mut holes) = (vec![Heard::Join(start)], Vec::new());
    let mut index = start;
    while index < truth.len() {
        let hole = if index > start && dice.one_in(12) {
            1 + dice.below(6) as usize
        } else {
            0
        };
        let plain = |token: &Token| matches!(token, Token::Record { .. } | Token::Message);
        let until = truth.tokens.iter().enumerate().skip(index).take(hole);
        let until = until.take_while(|(_, token)| plain(token)).last();
        let Some((last, _)) = until else {
            heard.push(Heard::Token(index));
            index += 1;
            continue;
        };
        let until = last + 1;
        let missing = &truth.tokens[index..until];
        let kinds = [
            missing.iter().any(|it| matches!(it, Token::Record { .. })),
            missing.contains(&Token::Message),
        ];
        let mut told = vec![Heard::Gap(index, until), Heard::AdminGap(index, until)];
        if dice.one_in(2) {
            told.reverse();
        }
        for it in told {
            match it {
                Heard::Gap(..) if kinds[0] => heard.push(it),
                Heard::AdminGap(..) if kinds[1] => heard.push(it),
                _ => {}
            }
        }
        holes.push((index, until));
        index = until;
    }
    (heard, holes)
}

/// The application.
#[derive(Default)]
struct App {
    /// Tokens that have their effect in its state.
    there: Vec<u64>,
    cursors: Cursors,
    /// Where its state began: tokens in front of it that a snapshot told, or none.
    begun: Option<(Place, Epoch)>,
    snapshot: Option<usize>,
    /// A snapshot is being told.
    within: bool,
    /// Nothing may be told but a beginning.
    void: bool,
    gaps: Vec<(Epoch, Place, Place)>,
    admin_gaps: Vec<(Adm, Adm)>,
    restarts: u64,
    given_up: u64,
    last_was_record: bool,
}

impl Handler for App {
    fn record(&mut self, record: &Delivered<'_>) {
        assert!(
            !self.within && !self.void && self.begun.is_some(),
            "{}",
            record.pos
        );
        self.there
            .push(u64::from_le_bytes(record.body.try_into().unwrap()));
        self.cursors.record(record);
        self.last_was_record = true;
    }

    fn event(&mut self, event: &Event) {
        self.cursors.event(event);
        self.last_was_record = false;
        match *event {
            Event::JoinRestarted { .. } => {
                (self.void, self.within) = (true, false);
                self.restarts += 1;
            }
            Event::NoSnapshot { .. } => self.given_up += 1,
            Event::Discontinuity {
                cause: DiscontinuityCause::Join,
                at,
                epoch,
                ..
            } => {
                assert!(!self.within);
                self.there.clear();
                self.gaps.clear();
                self.admin_gaps.clear();
                (self.begun, self.snapshot, self.void) = (Some((at, epoch)), None, false);
            }
            Event::Discontinuity { .. } => assert!(!self.within && !self.void),
            Event::Reset { .. } => {
                assert!(!self.within && !self.void);
                self.there.clear();
            }
            Event::Gap {
                epoch, from, until, ..
            } => {
                assert!(!self.within && !self.void);
                self.gaps.push((epoch, from, until));
            }
            Event::AdministrativeGap { from, until, .. } => {
                assert!(!self.within && !self.void);
                self.admin_gaps.push((from, until));
            }
            _ => panic!("{event:?}"),
        }
    }

    fn snapshot(&mut self, sid: Sid, piece: &Piece<'_>) {
        self.cursors.snapshot(sid, piece);
        self.last_was_record = false;
        assert_eq!(sid, SID);
        match piece {
            Piece::Begin { cursor, .. } => {
                assert!(!self.within && !self.void);
                assert_eq!(self.begun, Some((cursor.place(), cursor.next.epoch)));
                assert!(self.cursors.get(SID).is_none());
                self.within = true;
            }
            Piece::Instrument { instrument, .. } => self.snapshot = Some(*instrument as usize),
            Piece::Orders(orders) => self.there.extend(orders.iter().map(|order| order.id)),
            Piece::End { cursor, .. } => {
                assert!(self.within);
                self.within = false;
                assert_eq!(self.cursors.get(SID), Some(cursor));
            }
            other => panic!("{other:?}"),
        }
    }
}

struct World {
    truth: Truth,
    heard: Vec<Heard>,
    holes: Vec<(usize, usize)>,
    start: usize,
    joins: Joins,
    app: App,
    /// Who hears the same without joining.
    early: Cursors,
    now: Time,
}

impl World {
    fn tell_item(&mut self, index: usize) {
        let Self {
            truth,
            joins,
            app,
            early,
            heard,
            now,
            ..
        } = self;
        let mut through = joins.through(*now, app);
        let mut event = |event: Event| {
            early.event(&event);
            through.event(&event);
        };
        match heard[index] {
            Heard::Join(start) => {
                let at = truth.places[start];
                let before = truth.at[start];
                event(Event::Discontinuity {
                    sid: SID,
                    epoch: before.next.epoch,
                    at,
                    context: before.context,
                    complete: true,
                    cause: DiscontinuityCause::Join,
                });
            }
            Heard::Gap(from, until) => {
                let record = |index: &usize| matches!(truth.tokens[*index], Token::Record { .. });
                let first = (from..until).find(record).unwrap();
                event(Event::Gap {
                    sid: SID,
                    epoch: truth.at[from].next.epoch,
                    from: truth.at[first].place(),
                    until: truth.at[until].place(),
                    cause: GapCause::LostOnEveryLeg,
                });
            }
            Heard::AdminGap(from, until) => {
                let (adm, _) = truth.at[from].count.unwrap();
                let (end, generation) = truth.at[until].count.unwrap();
                event(Event::AdministrativeGap {
                    sid: SID,
                    from: adm,
                    until: end,
                    numbering: Some(generation),
                });
            }
            Heard::Token(index) => {
                let (before, behind) = (truth.at[index], truth.at[index + 1]);
                let at = truth.places[index];
                match truth.tokens[index] {
                    Token::Reset => event(Event::Reset {
                        sid: SID,
                        epoch: behind.next.epoch,
                        at,
                        context: behind.context,
                        complete: true,
                        cause: ResetCause::Epoch {
                            from: before.next.epoch,
                            tail: Tail::Complete,
                        },
                    }),
                    Token::Context => event(Event::Discontinuity {
                        sid: SID,
                        epoch: behind.next.epoch,
                        at: behind.place(),
                        context: behind.context,
                        complete: true,
                        cause: DiscontinuityCause::Context {
                            from: before.context,
                        },
                    }),
                    token => {
                        let (adm, generation) = before.count.unwrap();
                        let (kind, last) = match token {
                            Token::Record { last, .. } => (BodyKind::Dbn, last),
                            _ => (BodyKind::Administrative, true),
                        };
                        let body = (index as u64).to_le_bytes();
                        let pos = Pos {
                            sseq: at.sseq,
                            part: at.part,
                            ..before.next
                        };
                        let record = Delivered {
                            kind,
                            next: behind.place(),
                            context: before.context,
                            numbering: Some(generation),
                            ..join_support::record(pos, last, adm.0, &body)
                        };
                        early.record(&record);
                        through.record(&record);
                    }
                }
            }
        }
    }

    /// The first token that is not in front of a place.
    fn token_at(&self, place: Place, epoch: Epoch) -> usize {
        (0..=self.truth.len())
            .find(|&index| {
                let at = self.truth.at[index];
                at.next.epoch == epoch && at.place() >= place
            })
            .unwrap()
    }
}

#[derive(Default)]
struct Met {
    joined: u64,
    restarted: u64,
    given_up: u64,
    covered: u64,
    clipped: u64,
    ahead: u64,
    refused: BTreeMap<&'static str, u64>,
    resumed_after_reset: u64,
}

fn world(seed: u64, met: &mut Met) {
    let mut dice = Dice(seed);
    let truth = Truth::by(&mut dice);
    let can_begin = |index: &usize| matches!(truth.tokens[*index], Token::Record { part: 0, .. });
    let begins: Vec<usize> = (0..truth.len()).filter(can_begin).collect();
    if begins.is_empty() {
        return;
    }
    let start = begins[dice.below(begins.len() as u64) as usize];
    let (heard, holes) = heard(&truth, start, &mut dice);
    let limits = JoinLimits {
        kept_items: if dice.one_in(3) {
            2 + dice.below(30) as usize
        } else {
            1 << 20
        },
        kept_bytes: 1 << 24,
        time: Duration::from_secs(1),
        ..JoinLimits::default()
    };
    let mut joins = Joins::new(limits);
    joins.add_source(SID, true);
    let early = Cursors::default();
    let app = App::default();
    let count = heard.len();
    let mut world = World {
        truth,
        heard,
        holes,
        start,
        joins,
        app,
        early,
        now: Time(1),
    };
    let honest = !dice.one_in(4);
    let patient = !dice.one_in(6);
    let budget = 1 + dice.below(8);
    let mut next = 0;
    // The token that is heard next: servers may be in front of it.
    let mut position = start;
    let (mut steps, mut after) = (0, 0);
    while next < count || world.joins.state(SID) != Some("live") || position < world.truth.len() {
        steps += 1;
        assert!(steps < 100_000, "seed {seed}: it does not end");
        match dice.below(4) {
            0 | 1 if next < count => {
                world.tell_item(next);
                position = match world.heard[next] {
                    Heard::Token(index) => index + 1,
                    Heard::Gap(_, until) | Heard::AdminGap(_, until) => until,
                    Heard::Join(start) => start,
                };
                next += 1;
            }
            2 => {
                let Some(wish) = world.joins.wishes().next() else {
                    continue;
                };
                let from = world.token_at(wish.from.place(), wish.from.next.epoch);
                let lead = dice.below(10) as usize;
                let reached = (position + lead).min(world.truth.len());
                let lowest = match dice.one_in(5) {
                    true => 0,
                    false => from.min(reached),
                };
                let until = lowest + dice.below((reached - lowest + 1) as u64) as usize;
                let mut cursor = world.truth.cursor(until, &mut dice);
                let mut lie = false;
                if !honest && dice.one_in(2) {
                    lie = true;
                    let (adm, generation) = cursor.count.unwrap();
                    match dice.below(5) {
                        0 => cursor.context.0 += 1_000,
                        1 => cursor.count = Some((Adm(adm.0 + 1_000), generation)),
                        2 => cursor.count = Some((adm, Generation(generation.0 + 1_000))),
                        3 => cursor.count = None,
                        _ => cursor.next.epoch.0 += 1_000,
                    }
                }
                let orders = match lie {
                    true => vec![999_999],
                    false => world.truth.life(until),
                };
                let whole = whole(&cursor, until as u32, &orders);
                world.joins.on_snapshot(SID, whole, &mut world.app);
                met.ahead += u64::from(world.joins.state(SID) == Some("ahead"));
            }
            _ => {
                let mut told = 0;
                while told < budget {
                    match world.joins.tell(world.now, &mut world.app) {
                        0 => break,
                        more => told += more as u64,
                    }
                }
                if !patient && dice.one_in(40) {
                    world.now = world.joins.next_deadline().unwrap_or(world.now);
                    world.joins.on_deadline(world.now, &mut world.app);
                }
            }
        }
        // What a snapshot waits for, or what would make one fit, is never heard once all was: that is no defect.
        after += usize::from(next == count);
        if after > 300
            && let Some(deadline) = world.joins.next_deadline()
        {
            world.now = deadline;
            world.joins.on_deadline(world.now, &mut world.app);
        }
    }
    judge(seed, &world, met);
}

fn judge(seed: u64, world: &World, met: &mut Met) {
    let World {
        truth,
        app,
        holes,
        start,
        joins,
        early,
        ..
    } = world;
    assert_eq!(joins.state(SID), Some("live"), "seed {seed}");
    let (place, epoch) = app.begun.expect("it began");
    let mut there = Vec::new();
    let from = match app.snapshot {
        Some(until) => {
            there = truth.life(until);
            until
        }
        None if app.restarts == 0 => *start,
        None => world.token_at(place, epoch),
    };
    // Without a snapshot it begins with what was heard behind the place that it was told; messages at that place came before.
    truth.play(from, truth.len(), holes, &mut there);
    if app.snapshot.is_some() || app.restarts == 0 {
        if app.there != there {
            for index in from.saturating_sub(4)..(from + 8).min(truth.len()) {
                println!(
                    "{index} {:?} {} {}",
                    truth.tokens[index], truth.places[index], truth.at[index]
                );
            }
            println!("holes {holes:?} start {start}");
        }
        assert_eq!(app.there, there, "seed {seed} from {from}");
    } else {
        let told = there.len().saturating_sub(app.there.len());
        assert_eq!(app.there, there[told..], "seed {seed} from {from}");
    }
    // Every token that is missing behind the beginning was declared, and nothing in front of it was.
    for (first, until) in holes {
        for index in (*first).max(from)..*until {
            let place = truth.places[index];
            let at = truth.at[index];
            let declared = match truth.tokens[index] {
                Token::Record { .. } => app.gaps.iter().any(|(epoch, from, until)| {
                    *epoch == at.next.epoch && (*from..*until).contains(&place)
                }),
                _ => {
                    let (adm, _) = at.count.unwrap();
                    app.admin_gaps
                        .iter()
                        .any(|(from, until)| (*from..*until).contains(&adm))
                }
            };
            assert!(
                declared || app.snapshot.is_none(),
                "seed {seed}: token {index} {:?} {place} {at} from {from} holes {holes:?} {:?} {:?}",
                truth.tokens[index],
                app.gaps,
                app.admin_gaps
            );
        }
    }
    for (of, from, until) in &app.gaps {
        assert!(
            from < until && (of != &epoch || *from >= place),
            "seed {seed} {:?} {place} {epoch} {:?}",
            app.gaps,
            app.snapshot
        );
    }
    if app.last_was_record {
        let (told, twin) = (app.cursors.get(SID).unwrap(), early.get(SID).unwrap());
        let same = (told.next, told.last, told.context, told.count);
        assert_eq!(
            same,
            (twin.next, twin.last, twin.context, twin.count),
            "seed {seed}"
        );
    }
    let JoinCounters {
        joined,
        restarted,
        given_up,
        covered,
        clipped,
        refused,
        ..
    } = joins.counters();
    met.joined += joined;
    met.restarted += restarted;
    met.given_up += given_up;
    met.covered += covered;
    met.clipped += clipped;
    for (reason, count) in Refusal::ALL.iter().zip(refused) {
        *met.refused.entry(reason.word()).or_default() += count;
    }
    met.resumed_after_reset += u64::from(app.snapshot.is_some() && epoch.0 > 1);
}

#[test]
fn who_joins_with_a_snapshot_has_what_one_has_who_was_there_from_the_start() {
    let mut met = Met::default();
    for seed in 0..seeds("TWINFEED_JOIN_SEEDS", 6_000) {
        world(seed, &mut met);
    }
    let happened = [
        ("joined", met.joined),
        ("restarted", met.restarted),
        ("given up", met.given_up),
        ("covered", met.covered),
        ("clipped", met.clipped),
        ("ahead", met.ahead),
        ("after a reset", met.resumed_after_reset),
    ];
    for (what, count) in happened {
        assert!(count > 50, "{what} hardly ever happened: {count}");
    }
    for reason in [
        "before",
        "epoch",
        "context",
        "count",
        "numbering",
        "uncounted",
    ] {
        assert!(met.refused[reason] > 20, "{reason}: {:?}", met.refused);
    }
}
