//! What does one leg say about one source stream, and is it still saying it?
//!
//! What it says of itself is here: who sends, in which epochs it stands (one `View` each), what it holds,
//! whether it is alive. What follows from that is decided elsewhere.

use core::time::Duration;

use twinfeed_wire::{
    ContextId, Dsn, Epoch, Flags, Generation, Header, Heartbeat, Incarnation, Pos, Sid, StreamId,
};

use super::behind::CountedBehind;
use super::counters::LegStatus;
use super::flow::Known;
use super::hold::Hold;
use super::quarantine::Quarantine;
use super::view::View;
use crate::agreement::Told;
use crate::event::{LegState, Place};
use crate::health::{Health, Tally};
use crate::limits::Limits;
use crate::receipt::{Side, Trigger};
use crate::time::Time;

/// The other leg says that this leg's process is gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hint {
    pub(super) held: u64,
    pub(super) filled: u64,
}

/// What the header of a datagram says about its sender.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Admission {
    /// Newer than everything before.
    Newest,
    /// Overtaken by another: its records count, what it says about its sender does not.
    Late,
    /// Its dsn was seen before.
    Replayed,
    /// Its sender was replaced.
    Replaced,
}

/// Where a datagram that is believed stands among those of its leg that were.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Succession {
    /// Behind all of them.
    Next,
    /// One that was sent after it was believed before it.
    Overtaken,
    /// Behind all that were sent before it. Its process was replaced since, and of the next one nothing is believed yet.
    Outlived,
}

/// One leg of one source stream.
#[derive(Debug)]
pub(super) struct LegSide {
    pub(super) stream: Option<StreamId>,
    /// Who spoke last, if its next datagram may take a short way.
    pub(super) known: Option<Known>,
    /// Which view it is of, if it may as far as the datagram itself does not decide.
    pub(super) short: Option<usize>,
    pub(super) generation: Generation,
    pub(super) incarnation: Incarnation,
    retired: [Incarnation; RETIRED_INCARNATIONS],
    retired_at: usize,
    /// The first that was heard of this incarnation.
    first_dsn: Dsn,
    highest_dsn: Option<Dsn>,
    seen_dsns: u64,
    /// Highest dsn whose numbers were believed.
    believed_dsn: Option<Dsn>,
    /// The same of the incarnation before this one.
    outlived: (Incarnation, Option<Dsn>),
    missing_datagrams: u64,
    /// What it sent was left out, up to the next that is read.
    left_out: bool,
    /// Datagrams that the incarnations before this one numbered.
    sent_before: u64,
    pub(super) views: [Option<View>; KEPT_VIEWS],
    turns: u32,
    pub(super) hold: Hold,
    pub(super) quarantine: Quarantine,
    pub(super) state: LegState,
    pub(super) last_heard: Time,
    pub(super) live_since: Time,
    pub(super) heartbeat: Duration,
    pub(super) hint: Option<Hint>,
    pub(super) source_stale: bool,
    /// It says that it is silent on purpose.
    pub(super) standby: bool,
    /// What it counts, where its newest word is of an epoch that was left.
    pub(super) counted_behind: Option<CountedBehind>,
    pub(super) stepped_down: bool,
    /// Since when it is behind without having moved.
    pub(super) behind_since: Option<Time>,
    /// Where it stood when that was last looked at.
    pub(super) mark: Option<(Epoch, Place)>,
    /// The other leg's hold was full of what waited for this one: it must catch up before it is waited for
    /// again.
    pub(super) capped: bool,
    /// Since when it is behind by more than `lag_messages`.
    pub(super) far_since: Option<Time>,
    pub(super) offered: u64,
    pub(super) wins: u64,
    pub(super) duplicates: u64,
    /// Records that its adapter gave when it was asked for what is missing.
    pub(super) filled: u64,
    pub(super) lead_ns: u64,
    /// Longest silence of delivered records since this leg was last heard.
    pub(super) silence: Duration,
    /// `gap_messages` when this leg was last heard.
    pub(super) gaps_when_heard: u64,
    /// What it told of its ranges.
    pub(super) digests: Told,
    /// Its faults; what it sent and lost is added by [`LegSide::tally`].
    pub(super) faults: Tally,
    /// When it was heard last before the silence that was counted as late.
    pub(super) late_after: Option<Time>,
    /// Behind a pointer: no record looks at it.
    pub(super) health: Box<Health>,
}

/// Replaced incarnations remembered per leg and sid; an older one could only return after nine restarts.
const RETIRED_INCARNATIONS: usize = 8;
/// Epochs a leg may be ahead of the application; one more forces the oldest to be left.
const KEPT_VIEWS: usize = 4;

impl LegSide {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            stream: None,
            known: None,
            short: None,
            generation: Generation(0),
            incarnation: Incarnation(0),
            retired: [Incarnation(0); RETIRED_INCARNATIONS],
            retired_at: 0,
            first_dsn: Dsn(0),
            highest_dsn: None,
            seen_dsns: 0,
            believed_dsn: None,
            outlived: (Incarnation(0), None),
            missing_datagrams: 0,
            left_out: false,
            sent_before: 0,
            views: [None; KEPT_VIEWS],
            turns: 0,
            hold: Hold::new(limits),
            quarantine: Quarantine::new(limits),
            state: LegState::Unheard,
            last_heard: Time::ZERO,
            live_since: Time::ZERO,
            heartbeat: limits.heartbeat,
            hint: None,
            source_stale: false,
            standby: false,
            counted_behind: None,
            stepped_down: false,
            behind_since: None,
            mark: None,
            capped: false,
            far_since: None,
            offered: 0,
            wins: 0,
            duplicates: 0,
            filled: 0,
            lead_ns: 0,
            silence: Duration::ZERO,
            gaps_when_heard: 0,
            digests: Told::new(),
            faults: Tally::default(),
            late_after: None,
            health: Box::default(),
        }
    }

    /// Judges the sender of a datagram and notes its number.
    pub(super) fn admit(&mut self, header: &Header) -> Admission {
        if self.highest_dsn.is_none() || header.incarnation != self.incarnation {
            let older = header.generation.0 != 0 && header.generation < self.generation;
            let replaced = older || self.retired.contains(&header.incarnation);
            if self.highest_dsn.is_some() && replaced {
                return Admission::Replaced;
            }
            self.replace(header);
            return Admission::Newest;
        }
        let highest = self.highest_dsn.map_or(0, |dsn| dsn.0);
        if header.dsn.0 > highest {
            let ahead = header.dsn.0 - highest;
            self.seen_dsns = self
                .seen_dsns
                .checked_shl(ahead.min(64) as u32)
                .unwrap_or(0)
                | 1;
            // What was left out on this host the leg has not lost.
            if !core::mem::take(&mut self.left_out) {
                self.missing_datagrams = self.missing_datagrams.saturating_add(ahead - 1);
            }
            self.highest_dsn = Some(header.dsn);
            return Admission::Newest;
        }
        let behind = highest - header.dsn.0;
        if behind < 64 {
            let bit = 1 << behind;
            if self.seen_dsns & bit != 0 {
                return Admission::Replayed;
            }
            self.seen_dsns |= bit;
            self.missing_datagrams = self.missing_datagrams.saturating_sub(1);
        }
        Admission::Late
    }

    /// Notes that a datagram is believed, and where it stands: in the quarantine, too, what was overtaken stays overtaken.
    pub(super) fn believe(&mut self, header: &Header) -> Succession {
        let (furthest, follows) = if header.incarnation == self.incarnation {
            (&mut self.believed_dsn, Succession::Next)
        } else if header.incarnation == self.outlived.0 && self.believed_dsn.is_none() {
            (&mut self.outlived.1, Succession::Outlived)
        } else {
            return Succession::Overtaken;
        };
        if *furthest > Some(header.dsn) {
            return Succession::Overtaken;
        }
        *furthest = Some(header.dsn);
        follows
    }

    /// Whether a datagram of so many is the one behind the newest.
    #[inline]
    pub(super) fn follows(&self, dsn: Dsn) -> bool {
        self.highest_dsn
            .is_some_and(|highest| highest.0.checked_add(1) == Some(dsn.0))
    }

    /// Whether this came, or a later one of the same sender.
    pub(super) fn has_come(&self, header: &Header) -> bool {
        header.incarnation == self.incarnation && self.highest_dsn >= Some(header.dsn)
    }

    /// How often another life of its sender was heard.
    pub(super) fn replacements(&self) -> u64 {
        self.faults.restarts
    }

    /// Whose datagrams come, once one has.
    pub(super) fn speaker(&self) -> Option<Incarnation> {
        self.highest_dsn.map(|_| self.incarnation)
    }

    /// Whether this was the newest that came, and is believed.
    pub(super) fn was_next(&self, header: &Header) -> bool {
        let dsn = Some(header.dsn);
        header.incarnation == self.incarnation
            && self.highest_dsn == dsn
            && self.believed_dsn == dsn
    }

    /// Notes that the one behind the newest came, of the same sender, and is believed: what [`LegSide::admit`], [`LegSide::believe`] and
    /// hearing of it come to then.
    #[inline]
    pub(super) fn hear_next(&mut self, now: Time, gap_messages: u64) {
        self.seen_dsns = self.seen_dsns << 1 | 1;
        self.left_out = false;
        self.highest_dsn = self.highest_dsn.map(|dsn| Dsn(dsn.0.saturating_add(1)));
        self.believed_dsn = self.highest_dsn;
        self.last_heard = now;
        self.silence = Duration::ZERO;
        self.gaps_when_heard = gap_messages;
    }

    /// Which view is of `epoch`.
    #[inline]
    pub(super) fn place_of(&self, epoch: Epoch) -> Option<usize> {
        let is_of = |view: &Option<View>| view.as_ref().is_some_and(|view| view.epoch == epoch);
        self.views.iter().position(is_of)
    }

    fn replace(&mut self, header: &Header) {
        if self.highest_dsn.is_some() {
            self.retired[self.retired_at] = self.incarnation;
            self.retired_at = (self.retired_at + 1) % RETIRED_INCARNATIONS;
            // What the old process vouched for, the new one has not said; what it brought stays.
            self.views.iter_mut().flatten().for_each(View::unsay);
            self.sent_before = self.sent();
            self.faults.restarts += 1;
        }
        self.outlived = (self.incarnation, self.believed_dsn);
        self.left_out = false;
        self.incarnation = header.incarnation;
        self.quarantine.outlive();
        self.first_dsn = header.dsn;
        self.highest_dsn = Some(header.dsn);
        self.seen_dsns = 1;
        self.believed_dsn = None;
        self.hint = None;
        self.stepped_down = false;
        self.standby = false;
        self.counted_behind = None;
        self.behind_since = None;
        self.far_since = None;
        self.capped = false;
    }

    /// Datagrams that it numbered since it was first heard.
    fn sent(&self) -> u64 {
        let numbered = |highest: Dsn| (highest.0 - self.first_dsn.0).saturating_add(1);
        self.sent_before
            .saturating_add(self.highest_dsn.map_or(0, numbered))
    }

    /// What it has done so far, for its score.
    pub(super) fn tally(&self) -> Tally {
        Tally {
            sent: self.sent(),
            lost: self.missing_datagrams,
            ..self.faults
        }
    }

    /// The leg as it stands in `epoch`.
    pub(super) fn view(&self, epoch: Epoch) -> Option<&View> {
        self.views().find(|view| view.epoch == epoch)
    }

    pub(super) fn view_mut(&mut self, epoch: Epoch) -> Option<&mut View> {
        self.views
            .iter_mut()
            .flatten()
            .find(|view| view.epoch == epoch)
    }

    /// Forgets what the leg brought and claimed of the epoch before its source stepped back in it; it stands where it stands. A message
    /// in front of that is no less true.
    pub(super) fn step_back(&mut self, epoch: Epoch) {
        let transmits = self.transmits();
        if let Some(view) = self.view_mut(epoch)
            && !transmits
            && !view.stepped_back
        {
            // What it said is of the numbers before.
            view.unsay();
        }
        let view = self.view(epoch);
        let (turn, stands) = (view.map(|view| view.turn), view.and_then(View::stands));
        self.hold.drop_where(|entry| {
            let stays = entry.is_message() && Some(Place::start(entry.sseq)) < stands;
            Some(entry.turn) == turn && !stays
        });
        self.digests.forget(epoch);
        if let Some(view) = self.view_mut(epoch) {
            view.stepped_back = false;
        }
    }

    /// Forgets that the leg stepped back in `epoch`, once it stands where the application is, or beyond.
    pub(super) fn climb(&mut self, epoch: Epoch, reached: Place) {
        let view = self.view_mut(epoch).filter(|view| view.stepped_back);
        if let Some(view) = view {
            view.stepped_back = view.stands().is_none_or(|place| place < reached);
        }
    }

    /// Forgets what the leg brought and was not delivered, but for messages, which cost nobody time, and how far it claimed to be.
    pub(super) fn skip(&mut self) {
        self.hold.drop_where(|entry| !entry.is_message());
        self.quarantine.retain(|_| false);
        self.views.iter_mut().flatten().for_each(View::skip);
    }

    /// The furthest numbers of what is held or waits to be believed, with their epochs.
    pub(super) fn furthest_kept(&self) -> impl Iterator<Item = (Epoch, u64)> {
        let held = self.views().filter_map(|view| {
            let of = self.hold.iter().filter(|entry| entry.turn == view.turn);
            let records = of.filter(|entry| !entry.is_message());
            records.map(|entry| (view.epoch, entry.sseq)).max()
        });
        let waiting = self.quarantine.claims();
        let waiting = waiting.filter(|claim| !claim.heartbeat);
        held.chain(waiting.map(|claim| (claim.epoch, claim.sseq)))
    }

    /// Nobody looked at what the leg said until `now`: it was neither silent nor behind, and has lost nothing.
    pub(super) fn overlook(&mut self, now: Time) {
        self.last_heard = now;
        (self.behind_since, self.far_since) = (None, None);
        self.left_out = true;
    }

    /// Forgets how far the leg claimed to be in `epoch`.
    pub(super) fn disbelieve(&mut self, epoch: Epoch) {
        if let Some(view) = self.view_mut(epoch) {
            view.unsay();
        }
    }

    /// The leg as it stands in each epoch it is followed in.
    pub(super) fn views(&self) -> impl Iterator<Item = &View> {
        self.views.iter().flatten()
    }

    /// The leg as it stands in the epoch it speaks of now.
    pub(super) fn latest(&self) -> Option<&View> {
        self.views().max_by_key(|view| view.turn)
    }

    /// Whether the leg speaks, of nothing but what waits to be believed, and of this epoch, too: where it stands is not
    /// known yet. Whoever says nothing that can be believed in so much time is not waited for.
    pub(super) fn is_in_doubt(&self, epoch: Epoch, now: Time, limits: &Limits) -> bool {
        let mut waiting = self.quarantine.claims();
        self.transmits()
            && self.latest().is_none()
            && now < self.live_since.after(limits.lag_time)
            && waiting.any(|claim| claim.epoch == epoch)
    }

    /// Whether every view is taken, so that a further epoch has no place.
    pub(super) fn crowded(&self) -> bool {
        self.views.iter().all(Option::is_some)
    }

    /// Notes what the newest header says of the leg in its epoch, opening a view when it is new. Nothing
    /// happens when there is no place for another view.
    pub(super) fn refresh(&mut self, header: &Header) {
        self.generation = header.generation;
        self.source_stale = header.flags.has(Flags::SOURCE_STALE);
        if let Some(view) = self.view_mut(header.epoch) {
            view.refresh(header);
            return;
        }
        let turn = self.turns;
        if let Some(free) = self.views.iter_mut().find(|view| view.is_none()) {
            *free = Some(View::new(turn, header));
            self.turns += 1;
        }
    }

    /// The leg comes to the application's epoch, for which there is no room: all that it spoke of before lies behind, and
    /// is forgotten, unless it went on from there. Returns how many held records that were.
    pub(super) fn catch_up(&mut self, epoch: Epoch) -> u64 {
        if self.views().any(|view| view.predecessor == epoch) {
            return 0;
        }
        self.views = [None; KEPT_VIEWS];
        let dropped = self.hold.len() as u64;
        self.hold.clear();
        dropped
    }

    /// Forgets every epoch before `epoch`, or those that are `over` when the leg has not spoken of `epoch`,
    /// and what is held of them. Returns how many held records that were.
    pub(super) fn go_on_to(&mut self, epoch: Epoch, over: impl Fn(Epoch) -> bool) -> u64 {
        let turn = self.view(epoch).map(|view| view.turn);
        self.leave(|view| turn.map_or_else(|| over(view.epoch), |turn| view.turn < turn))
    }

    /// Forgets the epochs that are left, and what is held of them. Returns how many held records that were.
    pub(super) fn leave(&mut self, is_left: impl Fn(&View) -> bool) -> u64 {
        for view in &mut self.views {
            *view = view.filter(|view| !is_left(view));
        }
        let views = &self.views;
        let kept = |turn| views.iter().flatten().any(|view| view.turn == turn);
        self.hold.drop_where(|entry| !kept(entry.turn))
    }

    /// Notes how long the leg is silent at most.
    pub(super) fn note_interval(&mut self, heartbeat: &Heartbeat<'_>) {
        if heartbeat.beat.interval_us != 0 {
            self.heartbeat = Duration::from_micros(u64::from(heartbeat.beat.interval_us));
        }
    }

    /// How long the leg may be silent before it counts as lost, and what that would be called.
    pub(super) fn patience(&self, limits: &Limits) -> (Duration, Trigger) {
        match self.hint {
            // Half an interval more than a live leg ever stays silent.
            Some(_) => (self.heartbeat + self.heartbeat / 2, Trigger::TransportReset),
            None => (
                self.heartbeat * limits.missed_heartbeats,
                Trigger::HeartbeatSilence,
            ),
        }
    }

    /// How long the leg may be behind: what is configured, but never less than two of its heartbeats, for only
    /// those say that numbers carry nothing.
    pub(super) fn lag_time(&self, limits: &Limits) -> Duration {
        limits.lag_time.max(self.heartbeat * 2)
    }

    /// Where the leg stands, for a receipt.
    pub(super) fn side(&self, sid: Sid) -> Side {
        Side {
            stream: self.stream.unwrap_or_default(),
            generation: self.generation,
            pos: pos(sid, self.latest()),
        }
    }

    #[inline]
    pub(super) fn status(&self, sid: Sid) -> LegStatus {
        let latest = self.latest();
        LegStatus {
            state: self.state,
            stream: self.stream,
            generation: self.generation,
            incarnation: self.incarnation,
            next: pos(sid, latest),
            context: latest.map_or(ContextId(0), |view| view.context),
            complete: latest.is_some_and(|view| view.complete),
            offered: self.offered,
            wins: self.wins,
            duplicates: self.duplicates,
            filled: self.filled,
            missing_datagrams: self.missing_datagrams,
            held: self.hold.len(),
            lead: Duration::from_nanos(self.lead_ns),
            last_heard: self.last_heard,
            heartbeat: self.heartbeat,
            peer_lost: self.hint.is_some(),
            source_stale: self.source_stale,
            apart: false,
            standby: self.standby,
            health: self.health.score(),
            degraded: self.health.is_degraded(),
        }
    }
}

/// Where a leg stands that was last seen so.
#[inline]
fn pos(sid: Sid, latest: Option<&View>) -> Pos {
    latest.map_or(
        Pos {
            sid,
            ..Pos::default()
        },
        |view| Pos {
            sid,
            epoch: view.epoch,
            sseq: view.next.sseq,
            part: view.next.part,
        },
    )
}
