//! What counts as known, and what does not.

use twinfeed_book::{Trust, View};
use twinfeed_feed_adapter::snapshots::{Bounds, Follower, Lacking};
use twinfeed_protocol::Time;
use twinfeed_protocol::join::Whole;
use twinfeed_wire::snapshot;
use twinfeed_wire::{Adm, AdminKind, ContextId, Generation};

use super::stream::{BOUNDS, SID, STREAM, Stream, add, definition, follow, follower};
use super::taker::{assert_same, snapshot, whole};

fn trusts(follower: &Follower) -> Vec<Trust> {
    follower.books().books(SID).map(View::trust).collect()
}

#[test]
fn what_begins_with_its_epoch_is_whole_and_has_a_cursor() {
    let (mut stream, mut follower) = (Stream::new(), follower());
    assert_eq!(
        (follower.lacking(), follower.cursor()),
        (Some(Lacking::Nothing), None)
    );
    assert!(!follower.walk());
    follow(&mut follower, &stream.heartbeat());
    assert_eq!(follower.lacking(), None);
    stream.dbn(0, &add(7, 1));
    stream.admin(AdminKind::OperatorNotice, b"hello");
    stream.dbn(3, &add(8, 2));
    follow(&mut follower, &stream.datagram());
    assert_eq!(follower.lacking(), None);
    let cursor = follower.cursor().unwrap();
    assert_eq!(
        cursor.to_string(),
        "1/0000000000000005/6.0<5/0000000000000032/1@1/0000000000000000"
    );
    // Numbers that carry nothing are vouched for by a heartbeat.
    stream.sseq += 4;
    follow(&mut follower, &stream.heartbeat());
    let cursor = follower.cursor().unwrap();
    assert_eq!((cursor.next.sseq, cursor.last), (10, 5));
    assert_eq!(trusts(&follower), [Trust::Sound; 2]);
    assert_eq!(follower.books().expected(SID), Trust::Sound);
    let taken = snapshot(&mut follower, 1);
    assert_eq!(taken.end.cursor, cursor.into());
    assert_eq!(taken.end.trust, snapshot::Trust::Sound);
    assert_eq!(taken.begin.stream, STREAM);
    assert_same(&taken.books, follower.books());
}

#[test]
fn what_is_said_again_changes_nothing() {
    let (mut stream, mut follower) = (Stream::new(), follower());
    let mut said = vec![stream.heartbeat()];
    for id in 1..6 {
        stream.dbn(0, &add(7, id));
        stream.admin(AdminKind::SourceStale, &[]);
        said.push(stream.datagram());
    }
    said.iter().for_each(|bytes| follow(&mut follower, bytes));
    let (cursor, before) = (follower.cursor(), follower.books().clone());
    // As when a standby ends: records, messages, and the beginning of the epoch.
    said.iter().for_each(|bytes| follow(&mut follower, bytes));
    assert_eq!((follower.cursor(), follower.lacking()), (cursor, None));
    assert_same(follower.books(), &before);
    // Also of an epoch that is over, in front of the one at hand.
    stream.begin(6, 60);
    let mut later = vec![stream.heartbeat()];
    stream.dbn(0, &add(9, 1));
    later.push(stream.datagram());
    later.iter().for_each(|bytes| follow(&mut follower, bytes));
    let (cursor, before) = (follower.cursor(), follower.books().clone());
    assert_eq!(cursor.unwrap().predecessor.0, 5);
    let all = said.iter().chain(&later);
    all.for_each(|bytes| follow(&mut follower, bytes));
    assert_eq!((follower.cursor(), follower.lacking()), (cursor, None));
    assert_same(follower.books(), &before);
    assert_eq!(follower.books().orders(SID), 1);
}

#[test]
fn what_began_in_mid_epoch_or_missed_something_is_not_whole_until_the_next_epoch() {
    let begun_late = |stream: &mut Stream| {
        stream.sseq = 9;
        Lacking::Beginning
    };
    let without_past = |stream: &mut Stream| {
        stream.incomplete(51);
        Lacking::Beginning
    };
    let with_hole = |stream: &mut Stream| {
        stream.dbn(0, &add(7, 1));
        Lacking::Missed
    };
    type Case<'a> = &'a dyn Fn(&mut Stream) -> Lacking;
    let cases: [Case<'_>; 3] = [&begun_late, &without_past, &with_hole];
    for case in cases {
        let (mut stream, mut follower) = (Stream::new(), follower());
        let lacking = case(&mut stream);
        if lacking == Lacking::Missed {
            follow(&mut follower, &stream.datagram());
            stream.sseq += 1;
            stream.header.flags = twinfeed_wire::Flags(0);
        }
        stream.dbn(0, &add(7, 2));
        follow(&mut follower, &stream.datagram());
        assert_eq!(follower.lacking(), Some(lacking));
        assert!(!follower.walk());
        stream.header.flags = twinfeed_wire::Flags(0);
        stream.begin(6, 60);
        stream.dbn(0, &add(7, 3));
        follow(&mut follower, &stream.datagram());
        assert_eq!(
            (follower.lacking(), follower.books().orders(SID)),
            (None, 1)
        );
        assert!(follower.walk());
    }
}

#[test]
fn another_context_leaves_doubt_and_is_still_whole() {
    let (mut stream, mut follower) = (Stream::new(), follower());
    stream.dbn(0, &add(7, 1));
    follow(&mut follower, &stream.datagram());
    // Numbers were given up: the next record follows them, in a context that lacks them.
    stream.sseq += 3;
    stream.incomplete(51);
    stream.dbn(0, &add(8, 2));
    follow(&mut follower, &stream.datagram());
    assert_eq!(follower.lacking(), None);
    assert_eq!(trusts(&follower), [Trust::Suspect; 2]);
    let taken = snapshot(&mut follower, 1);
    assert!(!taken.end.cursor.complete);
    assert_eq!(taken.end.cursor.context.0, 51);
    assert_eq!(taken.end.trust, snapshot::Trust::Suspect);
    assert_same(&taken.books, follower.books());
}

#[test]
fn messages_that_did_not_come_are_doubt_where_there_is_a_book() {
    let (mut stream, mut follower) = (Stream::new(), follower());
    follow(&mut follower, &stream.heartbeat());
    // The numbering of the peer is taken over before anything rests.
    stream.header.generation = Generation(3);
    stream.adm = 4;
    stream.dbn(0, &add(7, 1));
    follow(&mut follower, &stream.datagram());
    assert_eq!(trusts(&follower), [Trust::Sound]);
    let count = follower.cursor().unwrap().count;
    assert_eq!(count, Some((Adm(4), Generation(3))));
    stream.adm = 6;
    stream.dbn(0, &add(7, 2));
    follow(&mut follower, &stream.datagram());
    assert_eq!(
        (trusts(&follower), follower.lacking()),
        (vec![Trust::Suspect], None)
    );
    assert_eq!(follower.cursor().unwrap().count.unwrap().0, Adm(6));
}

#[test]
fn more_than_there_is_room_for_is_not_whole() {
    let bounds = Bounds {
        orders: 2,
        instruments: 2,
        ..BOUNDS
    };
    let (mut stream, mut few) = (Stream::new(), Follower::new(SID, STREAM, bounds));
    for id in 1..=2 {
        stream.dbn(0, &add(id, u64::from(id)));
        stream.dbn(0, &definition(id, 1));
    }
    follow(&mut few, &stream.datagram());
    assert_eq!(few.lacking(), None);
    let mut other = stream.clone();
    stream.dbn(0, &add(1, 3));
    follow(&mut few, &stream.datagram());
    assert_eq!(few.lacking(), Some(Lacking::Full));
    other.begin(6, 60);
    other.dbn(0, &definition(1, 1));
    follow(&mut few, &other.datagram());
    assert_eq!(few.lacking(), None);
    for id in 2..4 {
        other.dbn(0, &definition(id, 1));
        follow(&mut few, &other.datagram());
    }
    assert_eq!(few.lacking(), Some(Lacking::Full));
}

/// One that was there from the beginning of so many orders, and one that begins behind them.
fn late(orders: u64, bounds: Bounds) -> (Follower, Follower) {
    let (mut stream, mut first) = (Stream::new(), follower());
    for id in 1..=orders {
        stream.dbn(0, &add(7, id));
        follow(&mut first, &stream.datagram());
    }
    let mut second = Follower::new(SID, STREAM, bounds);
    stream.dbn(0, &add(7, orders + 1));
    let next = stream.datagram();
    follow(&mut first, &next);
    follow(&mut second, &next);
    assert_eq!(second.lacking(), Some(Lacking::Beginning));
    (first, second)
}

/// A snapshot of all that it knows.
fn given_by(first: &mut Follower) -> Whole {
    assert!(first.walk());
    whole(&first.step(usize::MAX).unwrap())
}

#[test]
fn what_is_given_and_finds_no_room_is_not_whole() {
    for (most, lacking) in [(21, None), (20, Some(Lacking::Full))] {
        let bounds = Bounds {
            orders: most,
            ..BOUNDS
        };
        let (mut first, mut second) = late(20, bounds);
        assert!(second.ask(Time(1)));
        let wish = second.wish().unwrap();
        assert!(second.on_snapshot(wish.serial, given_by(&mut first)));
        while second.restore(1, Time(1)) > 0 {}
        assert_eq!((second.lacking(), second.restored()), (lacking, 1));
        assert!(!second.is_asking() && !second.ask(Time(1)));
        assert_eq!(second.walk(), lacking.is_none());
    }
}

#[test]
fn what_differs_from_the_active_takes_nothing_of_it() {
    let (mut first, mut second) = late(3, BOUNDS);
    assert!(second.ask(Time(1)));
    let wish = second.wish().unwrap();
    second.differs();
    assert_eq!(second.lacking(), Some(Lacking::Differs));
    assert!(!second.is_asking() && !second.ask(Time(1)));
    assert!(!second.on_snapshot(wish.serial, given_by(&mut first)));
    assert_eq!(second.lacking(), Some(Lacking::Differs));
}

/// What was administered, and whether it was heard, before the source's account is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Administered {
    Nothing,
    Notice,
    Cleared,
    ClearedBefore,
    InTheEpochBefore,
    InTheEpochBeforeAndAHeartbeat,
    ClearedMeanwhile,
    Missed,
    Silent,
}

#[test]
fn what_the_source_gives_is_sound_unless_operators_may_have_cleared_a_book() {
    use Administered::{
        Cleared, ClearedBefore, ClearedMeanwhile, InTheEpochBefore, InTheEpochBeforeAndAHeartbeat,
        Missed, Nothing, Notice, Silent,
    };
    for what in [
        Nothing,
        Notice,
        Cleared,
        ClearedBefore,
        InTheEpochBefore,
        InTheEpochBeforeAndAHeartbeat,
        ClearedMeanwhile,
        Missed,
        Silent,
    ] {
        // The source's account is that of a follower that hears notices in place of whatever was administered: as many.
        let (mut said, mut own, mut account) = (Stream::new(), Stream::new(), follower());
        let mut second = follower();
        let administer = |kind: AdminKind, own: &mut Stream, said: &mut Stream| {
            own.admin(AdminKind::OperatorNotice, b"it");
            said.admin(kind, &[]);
        };
        let tell = |own: &mut Stream, account: &mut Follower| {
            own.dbn(0, &add(7, own.sseq + 1));
            follow(account, &own.datagram());
        };
        if matches!(what, InTheEpochBefore | InTheEpochBeforeAndAHeartbeat) {
            administer(AdminKind::ClearBook, &mut own, &mut said);
            follow(&mut second, &said.datagram());
            for stream in [&mut own, &mut said] {
                stream.begin(6, 60);
            }
        }
        tell(&mut own, &mut account);
        if what == ClearedBefore {
            administer(AdminKind::ClearBook, &mut own, &mut said);
            let _ = said.datagram();
            follow(&mut account, &own.datagram());
        }
        // The second one hears from the second number on.
        said.sseq = 1;
        tell(&mut own, &mut account);
        match what {
            InTheEpochBeforeAndAHeartbeat => {
                (said.sseq, said.last) = (2, 2);
                follow(&mut second, &said.heartbeat());
            }
            _ => {
                said.dbn(0, &add(7, 2));
                follow(&mut second, &said.datagram());
            }
        }
        assert_eq!(second.lacking(), Some(Lacking::Beginning), "{what:?}");
        match what {
            Nothing | ClearedBefore | InTheEpochBefore | InTheEpochBeforeAndAHeartbeat => {}
            ClearedMeanwhile => {
                // It is kept, and then nobody is asked any more: of what was kept nothing is told.
                assert!(second.want(Time(1)));
                administer(AdminKind::ClearBook, &mut own, &mut said);
            }
            Notice => administer(AdminKind::OperatorNotice, &mut own, &mut said),
            Cleared => administer(AdminKind::ClearBook, &mut own, &mut said),
            Silent => administer(AdminKind::SourceStale, &mut own, &mut said),
            Missed => {
                second.missed();
                tell(&mut own, &mut account);
                said.dbn(0, &add(7, 3));
                follow(&mut second, &said.datagram());
            }
        }
        if matches!(what, Notice | Cleared | ClearedMeanwhile | Silent) {
            follow(&mut second, &said.datagram());
            follow(&mut account, &own.datagram());
        }
        second.leave();
        assert!(second.want(Time(1)));
        let wish = second.wish().unwrap();
        let orders = account.books().orders(SID);
        assert!(!second.on_sources_snapshot(wish.serial + 1, given_by(&mut account)));
        assert!(second.on_sources_snapshot(wish.serial, given_by(&mut account)));
        while second.restore(1, Time(1)) > 0 {}
        assert_eq!((second.lacking(), second.restored()), (None, 1), "{what:?}");
        assert!(second.is_of_source());
        assert_eq!(second.books().orders(SID), orders);
        let trust = match what {
            Nothing | Notice | Silent => Trust::Sound,
            // Of messages in front of the first that came nobody says in which epoch they were.
            Cleared
            | ClearedBefore
            | ClearedMeanwhile
            | InTheEpochBefore
            | InTheEpochBeforeAndAHeartbeat
            | Missed => Trust::Suspect,
        };
        assert_eq!(trusts(&second), [trust], "{what:?}");
        assert_eq!(second.books().is_silent(SID), what == Silent);
        // What is administered from here on is heard.
        said.admin(AdminKind::ClearBook, &[]);
        follow(&mut second, &said.datagram());
        assert_eq!((second.lacking(), second.books().orders(SID)), (None, 0));
    }
}

#[test]
fn in_a_context_that_does_not_reach_back_the_source_is_asked_and_the_other_adapter_is_not() {
    let (mut stream, mut second) = (Stream::new(), follower());
    (stream.sseq, stream.last) = (5, 5);
    stream.incomplete(51);
    stream.dbn(0, &add(7, 1));
    follow(&mut second, &stream.datagram());
    assert_eq!(second.lacking(), Some(Lacking::Beginning));
    assert!(!second.ask(Time(1)) && !second.is_asking());
    assert!(second.want(Time(1)) && second.is_asking());
    let wish = second.wish().unwrap();
    assert_eq!((wish.from.next.sseq, wish.from.complete), (7, false));
    // It is told, and then the conversion learns the whole epoch: so is what rests to be learnt.
    let mut account = follower();
    let mut whole = Stream::new();
    whole.header.context = stream.header.context;
    whole.dbn(5, &add(7, 1));
    follow(&mut account, &whole.datagram());
    assert!(second.on_sources_snapshot(wish.serial, given_by(&mut account)));
    while second.restore(1, Time(1)) > 0 {}
    assert_eq!(
        (second.lacking(), trusts(&second)),
        (None, vec![Trust::Sound])
    );
    (stream.header.flags, stream.header.context) = (Stream::new().header.flags, ContextId(52));
    stream.dbn(0, &add(7, 2));
    follow(&mut second, &stream.datagram());
    assert_eq!(second.lacking(), Some(Lacking::Beginning));
    assert_eq!(trusts(&second), [Trust::Suspect]);
    assert!(second.ask(Time(1)));
    // It lacks nothing, so that nobody is asked.
    let (_, mut whole) = (second, follower());
    follow(&mut whole, &Stream::new().heartbeat());
    assert!(!whole.want(Time(1)) && whole.wish().is_none());
}
