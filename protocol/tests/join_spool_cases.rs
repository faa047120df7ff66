//! Which answers are taken for a snapshot?
#![allow(
    clippy::unwrap_used,
    reason = "a snapshot that cannot be made fails the test"
)]

mod join_support;

use join_support::{SID, cursor, frames};
use twinfeed_protocol::Piece;
use twinfeed_protocol::join::{BadSpool, Spool, Step, Whole};
use twinfeed_wire::snapshot::{End, LONGEST_FRAME, Reason, Refused, Snapshot};
use twinfeed_wire::*;

fn take(frames: &[Vec<u8>], bound: usize) -> Result<Option<Whole>, BadSpool> {
    let mut spool = Spool::new(SID, bound);
    for frame in frames {
        match spool.push(frame)? {
            Step::More => {}
            Step::Whole(whole) => return Ok(Some(whole)),
            Step::Refused(refused) => panic!("{refused:?}"),
        }
    }
    Ok(None)
}

fn sound() -> Vec<Vec<u8>> {
    frames(&cursor(1, 9, 0, 8, 2), 4, &[1, 2, 3, 4, 5])
}

/// The frames with another end.
fn ended(change: impl FnOnce(&mut End)) -> Vec<Vec<u8>> {
    let mut frames = sound();
    let last = frames.pop().unwrap();
    let Ok(Snapshot::End(mut end)) = Snapshot::parse(&last) else {
        panic!("the last frame is an end");
    };
    change(&mut end);
    let mut buffer = vec![0; LONGEST_FRAME];
    let length = Snapshot::End(end).emit(&mut buffer);
    frames.push(buffer[..length].to_vec());
    frames
}

#[test]
fn a_whole_snapshot_is_told_as_it_was_said() {
    let mut whole = take(&sound(), 1 << 20).unwrap().unwrap();
    assert_eq!(whole.cursor(), cursor(1, 9, 0, 8, 2));
    let mut words = Vec::new();
    while let Some(piece) = whole.next_piece() {
        words.push(match piece {
            Piece::Begin {
                instruments,
                orders,
                ..
            } => format!("begin {instruments} {orders}"),
            Piece::Instrument { instrument, .. } => format!("book {instrument}"),
            Piece::Orders(orders) => {
                format!("{:?}", orders.iter().map(|it| it.id).collect::<Vec<_>>())
            }
            Piece::End { .. } => "end".to_owned(),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(words, ["begin 1 5", "book 4", "[1, 2, 3]", "[4, 5]", "end"]);
    assert!(whole.next_piece().is_none());
}

#[test]
fn a_torn_snapshot_is_none_wherever_it_is_torn() {
    let frames = sound();
    for count in 0..frames.len() {
        assert!(take(&frames[..count], 1 << 20).unwrap().is_none());
    }
}

#[test]
fn a_frame_that_is_missing_twice_there_or_elsewhere_is_noticed() {
    let sound = sound();
    for at in 0..sound.len() - 1 {
        let mut without = sound.clone();
        without.remove(at);
        assert!(take(&without, 1 << 20).is_err(), "without {at}");
        let mut twice = sound.clone();
        twice.insert(at, sound[at].clone());
        assert!(take(&twice, 1 << 20).is_err(), "{at} twice");
        let mut swapped = sound.clone();
        swapped.swap(at, at + 1);
        assert!(
            !matches!(take(&swapped, 1 << 20), Ok(Some(_))),
            "{at} after the next"
        );
    }
}

#[test]
fn an_end_that_lies_is_noticed() {
    let of = |bad: &BadSpool| bad.word();
    for (expected, frames) in [
        ("count", ended(|end| end.frames += 1)),
        ("count", ended(|end| end.instruments += 1)),
        ("digest", ended(|end| end.digest ^= 1)),
        ("torn", ended(|end| end.cursor.next.sseq -= 1)),
        ("torn", ended(|end| end.cursor.next.epoch.0 += 1)),
        ("torn", ended(|end| end.cursor.context.0 += 1)),
    ] {
        let error = take(&frames, 1 << 20).unwrap_err();
        assert_eq!(of(&error), expected, "{error}");
    }
    assert!(
        take(&ended(|end| end.cursor.next.sseq += 5), 1 << 20)
            .unwrap()
            .is_some()
    );
}

#[test]
fn every_flipped_bit_is_noticed() {
    let sound = sound();
    for at in 0..sound.len() {
        for bit in 0..sound[at].len() * 8 {
            let mut frames = sound.clone();
            frames[at][bit / 8] ^= 1 << (bit % 8);
            assert!(
                !matches!(take(&frames, 1 << 20), Ok(Some(_))),
                "frame {at} bit {bit}"
            );
        }
    }
}

#[test]
fn the_bound_holds_to_the_byte() {
    let sound = sound();
    let bytes: usize = sound[..sound.len() - 1].iter().map(Vec::len).sum();
    assert!(take(&sound, bytes).unwrap().is_some());
    let error = take(&sound, bytes - 1).unwrap_err();
    assert_eq!(error, BadSpool::TooLong(bytes - 1));
    assert!(error.to_string().contains("snapshot_bytes"));
}

#[test]
fn a_refusal_is_one_and_a_snapshot_of_another_source_stream_is_none() {
    let mut buffer = vec![0; LONGEST_FRAME];
    let refused = Refused {
        sid: SID,
        stream: StreamId(1),
        request: 1,
        reason: Reason::Incomplete,
        retry_after_us: 7,
    };
    let length = Snapshot::Refused(refused).emit(&mut buffer);
    let mut spool = Spool::new(SID, 1 << 20);
    let step = spool.push(&buffer[..length]).unwrap();
    assert!(matches!(step, Step::Refused(it) if it == refused));
    let mut other = Spool::new(Sid(8), 1 << 20);
    let error = other.push(&sound()[0]).unwrap_err();
    assert_eq!(error, BadSpool::Foreign(SID));
}
