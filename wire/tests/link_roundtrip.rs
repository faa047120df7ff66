//! `emit(parse(b)) == b`, for administrative messages and frames of the pair link, made and damaged.

#![allow(clippy::unwrap_used, reason = "what is refused fails the test")]

use proptest::prelude::*;
use twinfeed_wire::link::*;
use twinfeed_wire::*;

prop_compose! {
    fn ids()(generation in any::<u32>(), number in any::<u64>()) -> AdminId {
        AdminId { generation: Generation(generation), number: Adm(number) }
    }
}

fn messages() -> impl Strategy<Value = StoredAdmin> {
    let opened = (
        any::<u32>(),
        any::<u8>().prop_map(OpenReason::from_code),
        any::<bool>(),
    )
        .prop_map(|(predecessor, reason, synchronised)| GenerationOpened {
            predecessor: Generation(predecessor),
            reason,
            synchronised,
        });
    let text = (5..=8_u16, "\\PC{0,250}");
    let other = (
        prop_oneof![9..=u16::MAX, Just(0)],
        prop::collection::vec(any::<u8>(), 0..=MOST_ADMIN_PAYLOAD),
    );
    prop_oneof![
        (ids(), opened).prop_map(|(id, opened)| StoredAdmin::generation_opened(id, opened)),
        (
            ids(),
            prop::collection::vec(any::<u32>(), 0..=MOST_INSTRUMENTS)
        )
            .prop_map(|(id, instruments)| StoredAdmin::clear_book(id, &instruments).unwrap()),
        (ids(), 3..=4_u16).prop_map(|(id, code)| {
            StoredAdmin::new(id, AdminKind::from_code(code), &[]).unwrap()
        }),
        (ids(), text).prop_map(|(id, (code, text))| {
            StoredAdmin::new(id, AdminKind::from_code(code), text.as_bytes()).unwrap()
        }),
        (ids(), other).prop_map(|(id, (code, payload))| {
            StoredAdmin::new(id, AdminKind::Unknown(code), &payload).unwrap()
        }),
    ]
}

prop_compose! {
    fn places(least: u64)(
        msn in least.., numbers in any::<[u64; 4]>(),
        part in prop_oneof![any::<u32>(), Just(Placed::ADMINISTRATIVE)],
    ) -> Placed {
        Placed {
            msn: Msn(msn),
            epoch: Epoch(numbers[0]),
            context: ContextId(numbers[1]),
            sseq: numbers[2],
            adm: Adm(numbers[3]),
            part,
        }
    }
}

prop_compose! {
    fn reports()(
        small in any::<[u32; 3]>(), processed: u64, flags in any::<[bool; 2]>(),
        last in prop::option::of(places(1)),
    ) -> Report {
        Report {
            sid: Sid(small[0]),
            generation: Generation(small[1]),
            processed: Msn(processed),
            cut: small[2],
            synchronised: flags[0],
            source_stale: flags[1],
            last,
        }
    }
}

prop_compose! {
    fn cuts()(
        small in any::<[u32; 3]>(), last in places(0), numbers in any::<[u64; 3]>(),
    ) -> Cut {
        Cut {
            sid: Sid(small[0]),
            generation: Generation(small[1]),
            number: small[2],
            last,
            behind: numbers[0],
            adm: Adm(numbers[1]),
            inherited: Adm(numbers[2]),
        }
    }
}

fn roles() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Active), Just(Role::Backup)]
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Capable),
        Just(Verdict::Late),
        Just(Verdict::Far),
        Just(Verdict::Unsynchronised)
    ]
}

fn contexts() -> impl Strategy<Value = Frame> {
    let of = any::<[u32; 2]>().prop_map(|[sid, transfer]| (Sid(sid), transfer));
    let numbers = any::<[u64; 5]>();
    let reasons = prop_oneof![
        (0..OverReason::ALL.len()).prop_map(|at| OverReason::ALL[at]),
        (200..=u8::MAX).prop_map(OverReason::Other),
    ];
    let items = prop::collection::vec(any::<u8>(), 0..=LONGEST_CHUNK);
    prop_oneof![
        (of.clone(), numbers).prop_map(|((sid, transfer), it)| {
            let (epoch, from) = (Epoch(it[0]), it[1]);
            Frame::ContextRequest(ContextRequest {
                sid,
                transfer,
                epoch,
                from,
            })
        }),
        (of.clone(), any::<[u16; 2]>(), numbers).prop_map(
            |((sid, transfer), [format, version], it)| {
                Frame::ContextHead(ContextHead {
                    sid,
                    transfer,
                    format,
                    version,
                    epoch: Epoch(it[0]),
                    context: ContextId(it[1]),
                    first: it[2],
                    predecessor: Epoch(it[3]),
                    next: it[4],
                })
            }
        ),
        (of.clone(), any::<u32>(), any::<u64>(), items).prop_map(
            |((sid, transfer), index, next, items)| {
                let chunk = ContextChunk::new(sid, transfer, index, next, &items);
                Frame::ContextChunk(chunk.unwrap())
            }
        ),
        (of.clone(), any::<u32>(), numbers).prop_map(|((sid, transfer), chunks, it)| {
            let [next, prev, orders, check, _] = it;
            Frame::ContextEnd(ContextEnd {
                sid,
                transfer,
                chunks,
                next,
                prev,
                orders,
                check,
            })
        }),
        (of.clone(), any::<u32>()).prop_map(|((sid, transfer), chunks)| {
            Frame::ContextTaken(ContextTaken {
                sid,
                transfer,
                chunks,
            })
        }),
        (of, reasons).prop_map(|((sid, transfer), reason)| {
            Frame::ContextOver(ContextOver {
                sid,
                transfer,
                reason,
            })
        }),
    ]
}

fn frames() -> impl Strategy<Value = Frame> {
    let hello = (any::<[u64; 3]>(), any::<u32>(), roles(), roles());
    let slots = (any::<u32>(), any::<u64>(), any::<u64>(), any::<u8>());
    prop_oneof![
        hello.prop_map(|(digests, generation, preferred_role, role)| {
            Frame::Hello(Hello {
                feed_digest: digests[0],
                config_digest: digests[1],
                incarnation: Incarnation(digests[2]),
                generation: Generation(generation),
                preferred_role,
                role,
            })
        }),
        (any::<u32>(), roles()).prop_map(|(generation, role)| Frame::Beat {
            generation: Generation(generation),
            role,
        }),
        Just(Frame::Goodbye),
        reports().prop_map(Frame::Report),
        any::<[u32; 2]>().prop_map(|[sid, generation]| Frame::CutRequest {
            sid: Sid(sid),
            generation: Generation(generation),
        }),
        cuts().prop_map(Frame::Cut),
        (slots, any::<(u32, u64)>(), any::<bool>(), messages()).prop_map(
            |((sid, slot, epoch, attempt), (generation, began), hold, message)| {
                Frame::Intent(Intent {
                    sid: Sid(sid),
                    generation: Generation(generation),
                    epoch: Epoch(epoch),
                    began: Msn(began),
                    slot: Msn(slot),
                    attempt,
                    hold,
                    message,
                })
            }
        ),
        (slots, ids(), verdicts()).prop_map(|((sid, slot, processed, attempt), id, verdict)| {
            Frame::Answer(Answer {
                sid: Sid(sid),
                generation: id.generation,
                number: id.number,
                slot: Msn(slot),
                processed: Msn(processed),
                attempt,
                verdict,
            })
        }),
        any::<[u32; 2]>().prop_map(|[generation, deadline_us]| Frame::StepDown {
            generation: Generation(generation),
            deadline_us,
        }),
        (
            any::<u32>(),
            any::<u64>(),
            any::<u8>(),
            ids(),
            any::<bool>()
        )
            .prop_map(|(sid, slot, attempt, id, commit)| {
                Frame::Settled(Settled {
                    sid: Sid(sid),
                    generation: id.generation,
                    number: id.number,
                    attempt,
                    slot: Msn(slot),
                    commit,
                })
            }),
        (any::<[u32; 2]>(), any::<[u64; 4]>()).prop_map(|([sid, generation], numbers)| {
            Frame::Content(Content {
                sid: Sid(sid),
                generation: Generation(generation),
                epoch: Epoch(numbers[0]),
                context: ContextId(numbers[1]),
                digest: RangeDigest {
                    range: numbers[2],
                    digest: numbers[3],
                },
            })
        }),
        contexts(),
    ]
}

fn emit(frame: &Frame) -> Vec<u8> {
    let mut buffer = [0xaa; FRAME_BUFFER];
    let length = frame.emit(&mut buffer);
    buffer[..length].to_vec()
}

fn emit_message(message: &AdminMessage<'_>) -> Vec<u8> {
    let mut buffer = [0xbb; LONGEST_ADMIN];
    let length = message.emit(&mut buffer);
    buffer[..length].to_vec()
}

fn claimed(bytes: &[u8]) -> Result<usize, BadFrame> {
    frame_length(bytes.first_chunk().unwrap())
}

proptest! {
    #[test]
    fn a_damaged_chunk_is_refused_or_not_sound(
        items in prop::collection::vec(any::<u8>(), 0..=LONGEST_CHUNK),
        place in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        let chunk = ContextChunk::new(Sid(1), 2, 3, 4, &items).unwrap();
        prop_assert!(chunk.is_sound());
        let mut bytes = emit(&Frame::ContextChunk(chunk));
        let place = FRAME_HEADER_LENGTH + place.index(bytes.len() - FRAME_HEADER_LENGTH);
        bytes[place] ^= 1 << bit;
        if let Ok(Frame::ContextChunk(read)) = Frame::parse(&bytes) {
            prop_assert!(!read.is_sound());
            prop_assert_eq!(emit(&Frame::ContextChunk(read)), bytes, "read literally");
        }
    }

    #[test]
    fn a_message_that_is_written_is_read(stored in messages()) {
        let bytes = emit_message(&stored.message());
        prop_assert_eq!(bytes.len() % 8, 0);
        prop_assert_eq!(stored.bytes(), &bytes[..]);
        let read = AdminMessage::parse(&bytes).unwrap();
        prop_assert_eq!(read, stored.message());
        prop_assert_eq!(StoredAdmin::from(read), stored);
        // Exactly one accessor answers, or none: never a payload read as another kind's.
        let answers = [read.opened().is_some(), read.instruments().is_some(), read.text().is_some()];
        let readable = !matches!(
            read.kind(),
            AdminKind::SourceStale | AdminKind::SourceRestored | AdminKind::Unknown(_)
        );
        prop_assert_eq!(answers.iter().filter(|answer| **answer).count(), usize::from(readable));
    }

    #[test]
    fn a_message_of_another_length_is_refused(stored in messages(), longer in 1..20_usize) {
        let mut bytes = stored.bytes().to_vec();
        for short in 0..bytes.len() {
            prop_assert!(AdminMessage::parse(&bytes[..short]).is_err(), "cut at {short}");
        }
        bytes.resize(bytes.len() + longer, 0);
        prop_assert_eq!(AdminMessage::parse(&bytes), Err(BadAdmin::Length(bytes.len())));
    }

    /// A length whose padding differs by nothing but zeros may still be a message; it is then read
    /// literally.
    #[test]
    fn a_flipped_payload_length_is_refused_or_read_literally(stored in messages(), bit in 0..16_u8) {
        let mut bytes = stored.bytes().to_vec();
        let length = stored.message().payload().len() as u16 ^ (1 << bit);
        bytes[14..16].copy_from_slice(&length.to_le_bytes());
        match AdminMessage::parse(&bytes) {
            Ok(read) => {
                prop_assert!(bit < 3, "the body's length is another");
                prop_assert_eq!(emit_message(&read), bytes);
            }
            Err(_) => prop_assert!(AdminMessage::parse(stored.bytes()).is_ok()),
        }
    }

    #[test]
    fn a_damaged_message_is_refused_or_read_literally(
        stored in messages(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = stored.bytes().to_vec();
        for (place, value) in hits {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(read) = AdminMessage::parse(&bytes) {
            prop_assert_eq!(emit_message(&read), &bytes[..]);
            let stored = StoredAdmin::from(read);
            prop_assert_eq!(stored.bytes(), &bytes[..]);
        }
    }

    #[test]
    fn a_frame_that_is_written_is_read(frame in frames()) {
        let bytes = emit(&frame);
        prop_assert_eq!(claimed(&bytes), Ok(bytes.len()));
        let read = Frame::parse(&bytes).unwrap();
        prop_assert_eq!(read, frame);
        prop_assert_eq!(emit(&read), bytes);
    }

    #[test]
    fn a_frame_of_another_length_is_refused(
        frame in frames(), longer in 1..20_usize, bit in 0..32_u8,
    ) {
        let mut bytes = emit(&frame);
        for short in 0..bytes.len() {
            prop_assert!(Frame::parse(&bytes[..short]).is_err(), "cut at {short}");
        }
        let payload = (bytes.len() - FRAME_HEADER_LENGTH) as u32;
        // The length alone, then the length with as many bytes as it claims.
        let flipped = payload ^ (1 << bit);
        bytes[4..8].copy_from_slice(&flipped.to_le_bytes());
        prop_assert!(Frame::parse(&bytes).is_err());
        for length in [flipped, payload + longer as u32] {
            bytes[4..8].copy_from_slice(&length.to_le_bytes());
            match claimed(&bytes) {
                Ok(whole) => {
                    let mut other = bytes.clone();
                    other.resize(whole, 0);
                    prop_assert!(Frame::parse(&other).is_err(), "{length} for {payload}");
                }
                Err(error) => prop_assert_eq!(error, BadFrame::Length(length)),
            }
        }
    }

    #[test]
    fn a_damaged_frame_is_refused_or_read_literally(
        frame in frames(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = emit(&frame);
        for (place, value) in hits {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(read) = Frame::parse(&bytes) {
            prop_assert_eq!(emit(&read), bytes);
        }
    }

    #[test]
    fn noise_behind_a_frame_header_never_panics(
        kind in 0..18_u8, payload in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut bytes = b"TL\x01".to_vec();
        bytes.push(kind);
        bytes.extend((payload.len() as u32).to_le_bytes());
        bytes.extend(payload);
        match Frame::parse(&bytes) {
            Ok(read) => prop_assert_eq!(emit(&read), bytes),
            Err(error) => prop_assert!((1..=17).contains(&kind) || error == BadFrame::Kind(kind)),
        }
    }
}

#[test]
fn what_a_frame_may_not_say_is_refused_by_name() {
    let with = |frame: Frame, place: usize, value: u8| {
        let mut bytes = emit(&frame);
        bytes[FRAME_HEADER_LENGTH + place] = value;
        Frame::parse(&bytes).unwrap_err()
    };
    let report = Frame::Report(Report::default());
    assert_eq!(with(report, 20, 4), BadFrame::Reserved);
    assert_eq!(with(report, 23, 1), BadFrame::Reserved);
    // A record without a number, of epoch 1.
    assert_eq!(with(report, 32, 1), BadFrame::Position);
    assert_eq!(with(report, 71, 1), BadFrame::Reserved);
    let cut = Frame::Cut(Cut::default());
    assert_eq!(with(cut, 12, 1), BadFrame::Reserved);
    assert_eq!(with(cut, 60, 1), BadFrame::Reserved);
    let id = AdminId {
        generation: Generation(1),
        number: Adm(0),
    };
    let answer = Frame::Answer(Answer {
        sid: Sid(1),
        generation: Generation(1),
        number: Adm(0),
        slot: Msn(2),
        processed: Msn(1),
        attempt: 1,
        verdict: Verdict::Late,
    });
    assert_eq!(with(answer, 33, 0), BadFrame::Verdict(0));
    assert_eq!(with(answer, 33, 5), BadFrame::Verdict(5));
    assert_eq!(with(answer, 34, 1), BadFrame::Reserved);
    let intent = Frame::Intent(Intent {
        sid: Sid(1),
        generation: Generation(1),
        epoch: Epoch(7),
        began: Msn(1),
        slot: Msn(2),
        attempt: 1,
        hold: false,
        message: StoredAdmin::new(id, AdminKind::OperatorNotice, b"a").unwrap(),
    });
    assert_eq!(with(intent, 33, 2), BadFrame::Reserved);
    assert_eq!(with(intent, 34, 1), BadFrame::Reserved);
    let text = BadAdmin::Payload(AdminKind::OperatorNotice);
    assert_eq!(with(intent, 56, 0xff), BadFrame::Admin(text));
    assert_eq!(with(intent, 57, 1), BadFrame::Admin(BadAdmin::Reserved));
    assert_eq!(with(intent, 54, 9), BadFrame::Admin(BadAdmin::Length(24)));
    let settled = Frame::Settled(Settled {
        sid: Sid(1),
        generation: Generation(1),
        number: Adm(0),
        attempt: 1,
        slot: Msn(2),
        commit: true,
    });
    assert_eq!(with(settled, 25, 2), BadFrame::Reserved);
    assert_eq!(with(settled, 31, 1), BadFrame::Reserved);
}
