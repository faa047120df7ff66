//! What does a newcomer see in half a minute?
//!
//! ```text
//!  all processes up ─► traffic ─► losses on both streams, on both lines ─► the active dies in mid-burst
//!    ─► restarted as backup ─► protected again, in the same session ─► the same with the other one ─► verdict
//! ```
//!
//! Around every death an operator puts three notices into the stream: before it, as it happens, and behind it.
//!
//! What is shown is real: separate processes, real signals, and a judge that compares every record with
//! what the exchange sent.

use std::time::Duration;

use rustix::process::Signal;
use twinfeed_control::{FeedStatus, MessagePlace, StopFlag};
use twinfeed_net::clock;

use crate::adapter;
use crate::error::Error;
use crate::files::Files;
use crate::judge::judge;
use crate::notices::{Notices, UnderWay};
use crate::probe::wire::Status;
use crate::process::Program;
use crate::rig::{READY_LIMIT, Rig, Seat};
use crate::run::Run;
use crate::summary::{Kill, Summary};

/// Window after a kill in which silence is measured.
pub const WINDOW: Duration = Duration::from_millis(250);
/// How far into a session an adapter dies.
const KILL_AFTER: Duration = Duration::from_millis(800);
/// What an adapter calls the messages that the exchange gave again.
const RECOVERED: &str = "recovered_messages_total";
/// Datagrams of 256 that the subscriber loses on both streams: one in twenty.
const LOST_OF_256: u16 = 13;
/// How long that lasts, and how long what was lost is given again at most.
const LOSSES: Duration = Duration::from_millis(300);
/// How long both lines into one adapter are cut: not so long that what waits behind the hole finds no room.
const LINES_CUT: Duration = Duration::from_millis(20);
/// Most notices before a death.
const MOST_NOTICES: u32 = 8;
/// How often the audience is told how things stand.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Hears how it goes.
pub trait Narrator {
    /// Something worth a line happened.
    fn say(&mut self, line: &str);
    /// How things stand; replaces what was told before.
    fn live(&mut self, line: &str);
}

/// Runs the demonstration.
///
/// Every process still runs when this returns: end them with [`Rig::leave`].
///
/// # Errors
/// When processes cannot be started or reached; a broken promise is in the summary.
pub fn demo(
    program: &Program,
    run: &Run,
    stop: &StopFlag,
    narrator: &mut dyn Narrator,
) -> Result<(Summary, Rig), Error> {
    narrator.live("starting stream-admin, exchange, two adapters, subscriber");
    let mut rig = Rig::start(program, run, stop)?;
    narrator.say(&format!(
        "all processes run, the pair is protected; status page: {}",
        rig.page()
    ));
    rig.open()?;
    let (mut kills, mut notices) = (Vec::new(), Notices::default());
    let mut recovered = [0; 2];
    for number in 1..=2 {
        lose(&mut rig, &mut recovered, narrator)?;
        agree(&mut rig, number, &mut notices, narrator)?;
        until_there_is_room(&mut rig, narrator)?;
        let session = rig.exchange().standing()?.opened;
        let (kill, meanwhile) = kill(&mut rig, number, narrator)?;
        kills.push(kill);
        notices.end(meanwhile)?;
        let behind = format!("behind death {number}");
        if let Some(place) = notices.give(&rig, &behind)? {
            narrator.say(&told(&behind, &place));
        }
        mend(&mut rig, session, narrator)?;
    }
    let calm = clock::monotonic_ns() + nanos(KILL_AFTER);
    watch(&mut rig, narrator, |_| Ok(clock::monotonic_ns() >= calm))?;
    narrator.live("comparing every record with what was sent");
    let (_, seen, sent) = rig.end()?;
    let verdict = judge(&sent, &Files::conversion(run)?, &seen)?;
    let mut summary = Summary::new(verdict, &seen, kills);
    let (notices, broken) = notices.judge(&seen.administrative);
    summary.notices = notices;
    summary.broken.extend(broken);
    summary.policy = run.policy.to_string();
    summary.rate = run.rate;
    summary.recovered = recovered;
    Ok((summary, rig))
}

/// Lets the subscriber lose the same on both streams, and an adapter the same on both lines.
fn lose(rig: &mut Rig, recovered: &mut [u64; 2], narrator: &mut dyn Narrator) -> Result<(), Error> {
    let counts = |rig: &Rig| {
        rig.files().adapters.map(|at| {
            let status = adapter::status(at.operations);
            let count = status.and_then(|it| it.counters.get(RECOVERED).copied());
            count.unwrap_or_default()
        })
    };
    let filled = |rig: &mut Rig| Ok::<u64, Error>(rig.probe().summary()?.filled.iter().sum());
    let before = (filled(rig)?, counts(rig));
    rig.probe().thin(LOST_OF_256)?;
    let mended_ns = clock::monotonic_ns() + nanos(LOSSES);
    watch(rig, narrator, |_| Ok(clock::monotonic_ns() >= mended_ns))?;
    rig.probe().thin(0)?;
    let seat = rig.active_seat()?.other();
    rig.cut_input(seat, true)?;
    std::thread::sleep(LINES_CUT);
    let mended_ns = rig.cut_input(seat, false)?;
    watch(rig, narrator, |_| {
        Ok(clock::monotonic_ns() >= mended_ns + nanos(LOSSES))
    })?;
    let given = filled(rig)?.saturating_sub(before.0);
    let after = counts(rig);
    let mut by_exchange = 0;
    for (at, sum) in recovered.iter_mut().enumerate() {
        let more = after[at].saturating_sub(before.1[at]);
        by_exchange += more;
        *sum += more;
    }
    narrator.say(&format!(
        "1 datagram in 20 lost on both streams at once: the adapters gave {} records again; both lines into {} cut for {}: the \
         exchange gave {} messages again",
        grouped(given),
        seat.binary(),
        micros(nanos(LINES_CUT)),
        grouped(by_exchange)
    ));
    Ok(())
}

/// Puts notices into the stream until the backup agrees to one. What a busy host made the active place alone
/// would be, by right, a discontinuity if that died right behind it.
fn agree(
    rig: &mut Rig,
    number: u32,
    notices: &mut Notices,
    narrator: &mut dyn Narrator,
) -> Result<(), Error> {
    for attempt in 1..=MOST_NOTICES {
        let text = format!("before death {number}, {attempt}");
        let place = notices.give(rig, &text)?;
        if let Some(place) = place {
            narrator.say(&told(&text, &place));
        }
        if place.is_some_and(|place| place.agreed) {
            break;
        }
        let again_ns = clock::monotonic_ns() + nanos(TELL_EVERY);
        watch(rig, narrator, |_| Ok(clock::monotonic_ns() >= again_ns))?;
    }
    Ok(())
}

/// Kills the active adapter in mid-burst and looks at what the subscriber felt.
fn kill(
    rig: &mut Rig,
    number: u32,
    narrator: &mut dyn Narrator,
) -> Result<(Kill, UnderWay), Error> {
    let seat = rig.active_seat()?;
    let at_ns = next_burst(rig)?;
    watch(rig, narrator, |_| {
        Ok(clock::monotonic_ns() + nanos(TELL_EVERY) >= at_ns)
    })?;
    let rest = Duration::from_nanos(at_ns.saturating_sub(clock::monotonic_ns()));
    std::thread::sleep(rest);
    let pid = rig.adapter(seat)?.id();
    let killed_ns = rig.signal(seat, Signal::KILL)?;
    let notice = Notices::begin(rig, &format!("at death {number}"))?;
    narrator.say(&format!(
        "killed {} (process {pid}) in mid-burst",
        seat.binary()
    ));
    let over_ns = killed_ns + nanos(WINDOW);
    watch(rig, narrator, |_| Ok(clock::monotonic_ns() > over_ns))?;
    let window = rig.probe().window(killed_ns, nanos(WINDOW))?;
    let kill = Kill::new(seat.binary(), seat.index(), killed_ns, &window);
    narrator.say(&format!(
        "  the subscriber went on with leg {}: next record after {}, longest silence {}",
        seat.other().index(),
        kill.failover_gap_ns.map_or("never".to_owned(), micros),
        micros(kill.stall_ns)
    ));
    for receipt in rig
        .probe()
        .summary()?
        .receipts
        .iter()
        .filter(|of| of.at_ns >= killed_ns)
    {
        narrator.say(&format!(
            "  receipt: leg {} left at number {}, trigger {}, {} held, {} filled, {} lost",
            receipt.from_leg,
            receipt.from_sseq,
            receipt.trigger,
            receipt.held,
            receipt.filled,
            receipt.gaps_left
        ));
    }
    Ok((kill, notice))
}

fn told(text: &str, place: &MessagePlace) -> String {
    let agreed = match place.agreed {
        true => format!("agreed by the backup at B = {}", place.processed),
        false => "by one adapter alone".to_owned(),
    };
    format!(
        "notice {text:?}: message {} of generation {} at slot A = {}, {agreed}",
        place.number, place.generation, place.slot
    )
}

/// Restarts the dead adapter and waits until the pair is protected again.
fn mend(rig: &mut Rig, session: u64, narrator: &mut dyn Narrator) -> Result<(), Error> {
    let dead = Seat::BOTH.into_iter().find(|seat| {
        rig.adapter(*seat)
            .is_ok_and(|process| process.ended().is_some())
    });
    let incarnations = |rig: &Rig| -> Result<Vec<_>, Error> {
        Ok(rig.feed()?.legs.iter().map(|leg| leg.incarnation).collect())
    };
    let before = incarnations(rig)?;
    if let Some(seat) = dead {
        rig.restart(seat)?;
        narrator.say(&format!(
            "restarted {}: what happened before it takes over from its peer",
            seat.binary()
        ));
    }
    let feed = until_protected(rig, narrator, |_, feed| {
        Ok(dead.is_none_or(|seat| {
            let at = seat.index();
            feed.legs.get(at).map(|leg| &leg.incarnation) != before.get(at)
        }))
    })?;
    let active = rig.active_seat()?;
    let when = match rig.exchange().standing()?.opened == session {
        true => "in the same session",
        false => "with the next session",
    };
    narrator.say(&format!(
        "protected again {when}: {} is active, {} is backup, generation {}",
        active.binary(),
        active.other().binary(),
        feed.pair.generation
    ));
    Ok(())
}

/// Waits for the next session if this one ends too soon for a death and what is to be seen of it.
fn until_there_is_room(rig: &mut Rig, narrator: &mut dyn Narrator) -> Result<(), Error> {
    let standing = rig.exchange().standing()?;
    let ends_ns = standing.opened_at_ns + nanos(rig.run().session);
    if clock::monotonic_ns() + nanos(KILL_AFTER + WINDOW * 2) < ends_ns {
        return Ok(());
    }
    let opened = standing.opened;
    until_protected(rig, narrator, |rig, _| {
        Ok(rig.exchange().standing()?.opened > opened)
    })
    .map(drop)
}

/// Waits until the pair is protected and what the caller waits for has come, no longer than until the next session is
/// well under way.
fn until_protected(
    rig: &mut Rig,
    narrator: &mut dyn Narrator,
    mut come: impl FnMut(&mut Rig, &FeedStatus) -> Result<bool, Error>,
) -> Result<FeedStatus, Error> {
    let limit = rig.run().session + rig.run().pause + READY_LIMIT;
    let until_ns = clock::monotonic_ns() + nanos(limit);
    let mut feed = rig.feed()?;
    watch(rig, narrator, |rig| {
        feed = rig.feed()?;
        let done = feed.pair.protected && come(rig, &feed)?;
        if !done && clock::monotonic_ns() > until_ns {
            return Err(Error::TimedOut {
                what: "the pair is protected again".to_owned(),
                waited: limit,
                state: format!("stream-admin says: {}", feed.pair.reason),
            });
        }
        Ok(done)
    })?;
    Ok(feed)
}

/// The middle of a burst that is far enough ahead, of a session that lasts long enough.
fn next_burst(rig: &mut Rig) -> Result<u64, Error> {
    let opened_ns = rig.exchange().standing()?.opened_at_ns;
    let since = clock::monotonic_ns().saturating_sub(opened_ns);
    let earliest = KILL_AFTER.max(Duration::from_nanos(since) + Duration::from_millis(50));
    Ok(opened_ns + nanos(rig.run().mid_burst(earliest)))
}

/// Tells how things stand until `done`.
fn watch(
    rig: &mut Rig,
    narrator: &mut dyn Narrator,
    mut done: impl FnMut(&mut Rig) -> Result<bool, Error>,
) -> Result<(), Error> {
    let mut tell_ns = 0;
    loop {
        if rig.stop_flag().is_stopped() {
            return Err(Error::Interrupted);
        }
        if done(rig)? {
            return Ok(());
        }
        let now_ns = clock::monotonic_ns();
        if now_ns >= tell_ns {
            tell_ns = now_ns + nanos(TELL_EVERY);
            let sessions = rig.exchange().standing()?.opened;
            let status = rig.probe().status()?;
            narrator.live(&live(sessions, &status));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn live(sessions: u64, status: &Status) -> String {
    format!(
        "session {sessions} · {} messages · legs {} / {} · {} duplicates dropped · {} lost · {} switches",
        grouped(status.messages),
        status.legs[0],
        status.legs[1],
        grouped(status.duplicates_dropped),
        status.declared_lost,
        status.switches
    )
}

/// A number with a comma between thousands.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let head = digits.len() % 3;
    let mut text = digits[..head].to_owned();
    for (index, digit) in digits[head..].chars().enumerate() {
        if index % 3 == 0 && !text.is_empty() {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time for people.
#[must_use]
pub fn micros(ns: u64) -> String {
    match ns {
        0..10_000_000 => format!("{} µs", grouped(ns / 1_000)),
        _ => format!("{} ms", grouped(ns / 1_000_000)),
    }
}

fn nanos(span: Duration) -> u64 {
    twinfeed_protocol::time::nanos(span)
}

const LOOK_EVERY: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(micros(1_234_999), "1,234 µs");
        assert_eq!(micros(12_000_000), "12 ms");
    }
}
