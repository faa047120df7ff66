//! What are subscribers told when a source falls silent, and when it speaks again?
//!
//! ```text
//!                both legs say *stale*, for a hold                    placed
//!  not stale ──────────────────────────────────────► order on its way ──────► stale
//!      ▲                                                                         │
//!      └───── placed ◄─ order on its way ◄─ a leg hears it, for a hold ──────────┘
//! ```
//!
//! One leg's silence is that leg's status, so two words make a source stale. One makes it restored, whatever the other
//! leg says or whether it is there: what one adapter hears the source has said, and subscribers get it. An epoch that has
//! ended, and a source that has not opened, are neither.
//!
//! Each word is an order like an operator's, one at a time and source. What became of it decides: *refused* is ordered
//! again after a pause. *Unknown* is known by the numbers: a message was inherited if its number is below what the next
//! active counts as inherited, and else nobody knows it any more (a subscriber that does was told of a discontinuity), so
//! it is ordered again if it is still true. The same test takes back what an earlier generation had placed alone.
//!
//! An operator's own *stale* or *restored* counts as told, and is contradicted only after the adapters have agreed to it.

use std::collections::{BTreeSet, VecDeque};

use twinfeed_control::{
    BY_ITSELF, DataState, FeedName, Generation, LegIndex, Order, OrderOutcome, OrderRecord,
    OrderedMessage, PairState, Role, Sid,
};

use super::Registry;
use super::feed::Feed;
use super::orders::{next_ticket, pending};
use super::record::{SourceOrder, SourceRecord, SourceWord};
use crate::lease::Now;

/// What is told of one source.
#[derive(Clone, Debug)]
pub(super) struct Source {
    record: SourceRecord,
    /// When orders were given that were not refused, within the last minute, oldest first.
    given: VecDeque<Now>,
    /// Orders in a row that were refused.
    failures: u32,
    not_before: Now,
    /// Whether it is counted that the minute's messages are used up.
    held_back: bool,
}

/// What is to be done about a source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    /// The message on its way stands in the stream, with this number.
    Placed(u64),
    /// The active did not place it.
    Refused,
    /// It is gone with its generation.
    Lost,
    /// A generation has begun in which so many older numbers are valid.
    Inherit(Generation, u64),
    /// The adapters say what an operator had told.
    Confirm,
    /// There is something to tell.
    Tell(SourceWord),
    /// There is, and the minute's messages are used up.
    HoldBack {
        /// Whether it is *stale*.
        stale: bool,
    },
}

/// How the active counts a stream's administrative messages.
struct Opened {
    /// How many of older generations are valid.
    inherited: u64,
    /// The number that the next one gets.
    next: u64,
}

impl Registry {
    /// Feeds with something to tell of a source, or to learn of what was told ([`Registry::tell_of_sources`]): it must
    /// reach the disk.
    #[must_use]
    pub fn feeds_with_source_news(&self, now: Now) -> Vec<FeedName> {
        let limit = self.settings.limits.source_reports_per_minute;
        let feeds = self.feeds.iter();
        let news = feeds.filter(|(_, feed)| feed.source_news(limit, now).is_some());
        news.map(|(name, _)| name.clone()).collect()
    }

    /// Orders what is to be told of a feed's sources.
    pub fn tell_of_sources(&mut self, name: &FeedName, now: Now) {
        let limit = self.settings.limits.source_reports_per_minute;
        let news = |registry: &Self| registry.feeds.get(name)?.source_news(limit, now);
        while let Some((sid, step)) = news(&*self) {
            match step {
                Step::Tell(word) => self.order_source_word(name, sid, word, now),
                step => self.learn_of_source(name, sid, step, now),
            }
        }
    }

    /// Orders that this server gave by itself, in order; for the audit log.
    #[must_use]
    pub fn take_order_events(&mut self) -> Vec<OrderRecord> {
        std::mem::take(&mut self.order_events)
    }

    /// What an operator told of a source stands in its stream.
    pub(super) fn note_operators_word(&mut self, order: &OrderRecord) {
        let stale = match order.message {
            OrderedMessage::SourceStale => true,
            OrderedMessage::SourceRestored => false,
            _ => return,
        };
        let OrderOutcome::Placed { place } = &order.outcome else {
            return;
        };
        let Some(feed) = self.feeds.get_mut(&order.feed) else {
            return;
        };
        let sources = feed.sources.entry(order.sid);
        let source = sources.or_insert_with(|| Source::new(order.sid));
        let known = source.record.ordered;
        let ours = known.is_some_and(|it| it.ticket == order.ticket);
        // What an earlier generation numbered cannot be compared any more.
        if ours || order.generation < source.record.generation {
            return;
        }
        source.note(SourceWord {
            stale,
            generation: order.generation,
            number: place.number,
            by_operator: true,
        });
        self.save_feed(&order.feed);
    }

    fn order_source_word(&mut self, name: &FeedName, sid: Sid, word: SourceWord, now: Now) {
        let Some(feed) = self.feeds.get(name) else {
            return;
        };
        let request = Order {
            key: format!("{BY_ITSELF}.{}", next_ticket(&feed.orders)),
            feed: name.clone(),
            sid,
            message: match word.stale {
                true => OrderedMessage::SourceStale,
                false => OrderedMessage::SourceRestored,
            },
            wait_ms: 0,
        };
        let given = self.give_order(BY_ITSELF, request, now);
        let Some(feed) = self.feeds.get_mut(name) else {
            return;
        };
        let source = feed.sources.entry(sid);
        let source = source.or_insert_with(|| Source::new(sid));
        match given {
            Ok(record) => {
                let ticket = record.ticket;
                source.order(SourceOrder { ticket, word }, now);
                self.order_events.push(record);
                self.save_feed(name);
            }
            // Nothing was ordered: the same again, later.
            Err(_) => source.fail(now),
        }
    }

    fn learn_of_source(&mut self, name: &FeedName, sid: Sid, step: Step, now: Now) {
        let Some(feed) = self.feeds.get_mut(name) else {
            return;
        };
        let Some(source) = feed.sources.get_mut(&sid) else {
            return;
        };
        let counted = match step {
            Step::Placed(number) => source.settle(Some(number)),
            Step::Lost => source.settle(None),
            Step::Refused => {
                source.fail(now);
                source.settle(None)
            }
            Step::Inherit(generation, inherited) => {
                source.inherit(generation, inherited);
                None
            }
            Step::Confirm => {
                source.confirm();
                None
            }
            Step::HoldBack { stale } => {
                source.held_back = true;
                Some((kind(stale), "held-back"))
            }
            Step::Tell(_) => None,
        };
        if let Some(counted) = counted {
            *feed.source_counts.entry(counted).or_default() += 1;
        }
        self.save_feed(name);
    }
}

impl Feed {
    /// The first source about which something is to be done, and what.
    fn source_news(&self, limit: usize, now: Now) -> Option<(Sid, Step)> {
        if !self.settings.source_reports {
            return None;
        }
        let sids: BTreeSet<Sid> = self.streams.keys().map(|(_, sid)| *sid).collect();
        let step = |sid| Some((sid, self.source_step(sid, limit, now)?));
        sids.into_iter().find_map(step)
    }

    fn source_step(&self, sid: Sid, limit: usize, now: Now) -> Option<Step> {
        let source = self.sources.get(&sid);
        if let Some(ordered) = source.and_then(|it| it.record.ordered) {
            return self.settled(sid, &ordered, now);
        }
        let told = source.and_then(|it| it.record.told.last().copied());
        let generation = self.pair.generation();
        if told.is_some() && source.is_some_and(|it| it.record.generation < generation) {
            let opened = self.opened(sid, now)?;
            return Some(Step::Inherit(generation, opened.inherited));
        }
        let stale = self.is_source_stale(sid, now)?;
        match told {
            Some(told) if told.stale == stale => told.by_operator.then_some(Step::Confirm),
            Some(told) if told.by_operator => None,
            None if !stale => None,
            Some(_) | None => self.to_tell(sid, stale, limit, now),
        }
    }

    /// `Some(true)`: both legs have said for a hold that it is stale; `Some(false)`: one has heard it for a hold.
    fn is_source_stale(&self, sid: Sid, now: Now) -> Option<bool> {
        let hold_ms = self.settings.source_hold_ms;
        let words = LegIndex::BOTH.map(|leg| self.says(leg, sid, now));
        if let [Some(one), Some(two)] = words
            && (one.data, two.data) == (DataState::Stale, DataState::Stale)
        {
            return (one.together_ms(two) >= hold_ms).then_some(true);
        }
        let mut heard = words.into_iter().flatten().filter(|word| word.hears());
        heard
            .any(|word| word.lasted_ms() >= hold_ms)
            .then_some(false)
    }

    /// The message, if it may be ordered now: one at a time, not while the generation is handed over, not too often.
    fn to_tell(&self, sid: Sid, stale: bool, limit: usize, now: Now) -> Option<Step> {
        let source = self.sources.get(&sid);
        let opened = self.opened(sid, now)?;
        let others = pending(&self.orders).any(|order| order.sid == sid);
        if others || self.handover.is_some() || source.is_some_and(|it| now < it.not_before) {
            return None;
        }
        if source.is_some_and(|it| it.given_within_a_minute(now) >= limit) {
            let uncounted = source.is_some_and(|it| !it.held_back);
            return uncounted.then_some(Step::HoldBack { stale });
        }
        Some(Step::Tell(SourceWord {
            stale,
            generation: self.pair.generation(),
            number: opened.next,
            by_operator: false,
        }))
    }

    /// What became of an order; `None` while nobody can say.
    fn settled(&self, sid: Sid, ordered: &SourceOrder, now: Now) -> Option<Step> {
        let mut orders = self.orders.iter();
        let known = orders.find(|order| order.ticket == ordered.ticket);
        match known.map(|order| &order.outcome) {
            Some(OrderOutcome::Pending) => None,
            Some(OrderOutcome::Placed { place }) => Some(Step::Placed(place.number)),
            Some(OrderOutcome::Refused { .. }) => Some(Step::Refused),
            Some(OrderOutcome::Unknown { .. }) | None => {
                let Opened { inherited, next } = self.opened(sid, now)?;
                let SourceWord {
                    generation, number, ..
                } = ordered.word;
                let later = self.pair.generation() > generation;
                let counted = if later { inherited } else { next };
                Some(match number < counted {
                    true => Step::Placed(number),
                    false => Step::Lost,
                })
            }
        }
    }

    /// How the active counts, once it acts under the generation at hand and its source has begun an epoch.
    fn opened(&self, sid: Sid, now: Now) -> Option<Opened> {
        let report = self.seat(self.living_active(now)?)?.last_report()?;
        let generation = self.pair.generation();
        let stream = report.streams.iter().find(|stream| stream.sid == sid)?;
        let acts = (report.generation, report.role) == (generation, Role::Active)
            && stream.pair.state == PairState::Active;
        if !acts || report.draining || stream.next_pos.epoch.0 == 0 {
            return None;
        }
        // What was placed since that report was made.
        let ours = self.orders.iter();
        let ours = ours.filter(|order| (order.sid, order.generation) == (sid, generation));
        let placed = ours.filter_map(|order| match &order.outcome {
            OrderOutcome::Placed { place } => Some(place.number.saturating_add(1)),
            _ => None,
        });
        let reported = stream.adm.saturating_add(stream.pair.waiting);
        Some(Opened {
            inherited: stream.pair.inherited,
            next: placed.max().unwrap_or(0).max(reported),
        })
    }
}

impl Source {
    fn new(sid: Sid) -> Self {
        Self::restored(SourceRecord {
            sid,
            generation: Generation(0),
            told: Vec::new(),
            ordered: None,
        })
    }

    /// As it was saved.
    pub(super) const fn restored(record: SourceRecord) -> Self {
        Self {
            record,
            given: VecDeque::new(),
            failures: 0,
            not_before: Now(0),
            held_back: false,
        }
    }

    /// What is saved of it.
    pub(super) const fn record(&self) -> &SourceRecord {
        &self.record
    }

    fn given_within_a_minute(&self, now: Now) -> usize {
        let recent = self.given.iter().filter(|at| now.since(**at) < MINUTE_MS);
        recent.count()
    }

    fn order(&mut self, order: SourceOrder, now: Now) {
        self.given.retain(|at| now.since(*at) < MINUTE_MS);
        self.given.push_back(now);
        self.held_back = false;
        self.record.ordered = Some(order);
    }

    /// The order on its way left a message of this number, or none. What is to be counted of it.
    fn settle(&mut self, number: Option<u64>) -> Option<(&'static str, &'static str)> {
        let SourceOrder { word, .. } = self.record.ordered.take()?;
        let Some(number) = number else {
            self.given.pop_back();
            return Some((kind(word.stale), "not-placed"));
        };
        self.failures = 0;
        self.note(SourceWord { number, ..word });
        Some((kind(word.stale), "placed"))
    }

    fn note(&mut self, word: SourceWord) {
        let told = &mut self.record.told;
        let place = told.partition_point(|known| known.number < word.number);
        told.insert(place, word);
        let surplus = told.len().saturating_sub(WORDS_KEPT);
        told.drain(..surplus);
    }

    fn inherit(&mut self, generation: Generation, inherited: u64) {
        self.record.generation = generation;
        let valid = |it: &SourceWord| it.generation == generation || it.number < inherited;
        self.record.told.retain(valid);
    }

    fn confirm(&mut self) {
        if let Some(last) = self.record.told.last_mut() {
            last.by_operator = false;
        }
    }

    fn fail(&mut self, now: Now) {
        let pause_ms = FIRST_PAUSE_MS << self.failures.min(MOST_DOUBLINGS);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Now(now.0.saturating_add(pause_ms));
    }
}

const fn kind(stale: bool) -> &'static str {
    if stale { "stale" } else { "restored" }
}

/// The span within which messages are bounded.
const MINUTE_MS: u64 = 60_000;
/// After the first order that was refused.
const FIRST_PAUSE_MS: u64 = 1_000;
/// How often that is doubled: 32 s is the longest pause.
const MOST_DOUBLINGS: u32 = 5;
/// Words kept per source. Only those that a later generation might not inherit are needed, and the one before them.
const WORDS_KEPT: usize = 8;

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
