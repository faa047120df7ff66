//! The test vectors of `docs/wire-format.md` are the bytes this crate reads and writes.
//!
//! A vector is a fenced block that begins with ```` ```hex NAME ````; everything behind `;` on a line is
//! a comment.

#![allow(
    clippy::unwrap_used,
    reason = "a vector that does not parse fails the test"
)]

use std::collections::BTreeMap;

use twinfeed_wire::link::*;
use twinfeed_wire::*;
use xxhash_rust::xxh3::xxh3_64;

fn vectors() -> BTreeMap<String, Vec<u8>> {
    let text = include_str!("../../docs/wire-format.md");
    let mut vectors = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("```hex ") else {
            continue;
        };
        let mut bytes = Vec::new();
        for line in lines.by_ref().take_while(|line| !line.starts_with("```")) {
            let digits: Vec<u8> = line
                .split(';')
                .next()
                .unwrap_or("")
                .bytes()
                .filter(|byte| !byte.is_ascii_whitespace())
                .collect();
            for pair in digits.chunks(2) {
                let pair = std::str::from_utf8(pair).unwrap();
                bytes.push(u8::from_str_radix(pair, 16).unwrap());
            }
        }
        vectors.insert(name.to_owned(), bytes);
    }
    vectors
}

fn header() -> Header {
    Header {
        flags: Flags::INCOMPLETE,
        count: 2,
        stream: StreamId(0x11),
        generation: Generation(3),
        incarnation: Incarnation(0x0102_0304_0506_0708),
        dsn: Dsn(0x20),
        first_msn: Msn(0x30),
        sid: Sid(1),
        abandoned: 0,
        epoch: Epoch(0xe1e2_e3e4_e5e6_e7e8),
        context: ContextId(0xc1c2_c3c4_c5c6_c7c8),
        first: 1_000_001,
        predecessor: Epoch::NONE,
        base_sseq: 1_000_010,
        base_adm: Adm(2),
        sent_at: 1_577_716_200_000_000_500,
        received_at: 1_577_716_200_000_000_000,
    }
}

#[test]
fn data_datagram() {
    let expected = &vectors()["data"];
    let records = [
        Record {
            kind: BodyKind::Opaque,
            flags: RecordFlags(0),
            part: 0,
            sseq: 1_000_010,
            prev: 1_000_009,
            adm: Adm(2),
            body: b"first",
        },
        Record {
            kind: BodyKind::Opaque,
            flags: RecordFlags::LAST,
            part: 1,
            sseq: 1_000_010,
            prev: 1_000_009,
            adm: Adm(2),
            body: b"12345678",
        },
    ];
    let mut buffer = [0; DEFAULT_DATAGRAM];
    let mut writer = Writer::begin(&mut buffer, header());
    for record in &records {
        writer.push(record).unwrap();
    }
    let length = writer.finish(Dsn(0x20), Flags::INCOMPLETE, header().sent_at);
    assert_eq!(&buffer[..length], expected.as_slice());
    let datagram = Datagram::parse(expected).unwrap();
    assert_eq!(*datagram.header(), header());
    assert_eq!(datagram.records().collect::<Vec<_>>(), records);
}

#[test]
fn heartbeat_datagram() {
    let expected = &vectors()["heartbeat"];
    let beat = Beat {
        next_sseq: 1_000_012,
        prev: 1_000_010,
        predecessor_next: 0,
        predecessor_prev: 0,
        interval_us: 10_000,
        ended: true,
        inherited: Adm(1),
    };
    let digest = RangeDigest {
        range: 244,
        digest: 0xd1d2_d3d4_d5d6_d7d8,
    };
    let header = Header {
        flags: Flags::HEARTBEAT.with(Flags::PEER_LOST),
        count: 0,
        received_at: 0,
        base_sseq: 1_000_012,
        first_msn: Msn(0x32),
        dsn: Dsn(0x21),
        ..header()
    };
    let mut buffer = [0; DEFAULT_DATAGRAM];
    let length = write_heartbeat(&mut buffer, &header, &beat, &[digest]);
    assert_eq!(&buffer[..length], expected.as_slice());
    let datagram = Datagram::parse(expected).unwrap();
    assert_eq!(*datagram.header(), header);
    assert_eq!(datagram.heartbeat().unwrap().beat, beat);
    assert_eq!(
        datagram.heartbeat().unwrap().digests().collect::<Vec<_>>(),
        [digest]
    );
}

#[test]
fn administrative_datagram() {
    let expected = &vectors()["admin"];
    let id = AdminId {
        generation: Generation(4),
        number: Adm(2),
    };
    let opened = GenerationOpened {
        predecessor: Generation(3),
        reason: OpenReason::PeerLost,
        synchronised: true,
    };
    let message = StoredAdmin::generation_opened(id, opened);
    let records = [
        Record {
            kind: BodyKind::Administrative,
            flags: RecordFlags::LAST,
            part: 0,
            sseq: 1_000_010,
            prev: 1_000_010,
            adm: id.number,
            body: message.bytes(),
        },
        Record {
            kind: BodyKind::Opaque,
            flags: RecordFlags::LAST,
            part: 0,
            sseq: 1_000_011,
            prev: 1_000_010,
            adm: id.adm_behind(),
            body: b"12345678",
        },
    ];
    let header = Header {
        generation: Generation(4),
        dsn: Dsn(0x22),
        first_msn: Msn(0x32),
        received_at: 0,
        ..header()
    };
    let mut buffer = [0; DEFAULT_DATAGRAM];
    let mut writer = Writer::begin(&mut buffer, header);
    for record in &records {
        writer.push(record).unwrap();
    }
    let length = writer.finish(header.dsn, header.flags, header.sent_at);
    assert_eq!(&buffer[..length], expected.as_slice());
    let datagram = Datagram::parse(expected).unwrap();
    assert_eq!(*datagram.header(), header);
    let read: Vec<_> = datagram.records().collect();
    assert_eq!(read, records);
    let message = AdminMessage::of(&read[0]).unwrap();
    assert_eq!((message.id(), message.opened()), (id, Some(opened)));
}

#[test]
fn administrative_bodies() {
    let id = |generation, number| AdminId {
        generation: Generation(generation),
        number: Adm(number),
    };
    let notice = StoredAdmin::new(id(4, 3), AdminKind::OperatorNotice, "délai".as_bytes()).unwrap();
    let clear = StoredAdmin::clear_book(id(3, 0), &[7, 300, 65_537]).unwrap();
    for (name, message) in [("admin-clear-book", clear), ("admin-notice", notice)] {
        let expected = &vectors()[name];
        let mut buffer = [0xaa; LONGEST_ADMIN];
        let length = message.message().emit(&mut buffer);
        assert_eq!(&buffer[..length], expected.as_slice(), "{name}");
        assert_eq!(message.bytes(), expected.as_slice());
        assert_eq!(AdminMessage::parse(expected), Ok(message.message()));
    }
}

#[test]
fn link_frames() {
    let (sid, generation) = (Sid(1), Generation(3));
    let (epoch, context) = (
        Epoch(0xe1e2_e3e4_e5e6_e7e8),
        ContextId(0xc1c2_c3c4_c5c6_c7c8),
    );
    let id = AdminId {
        generation,
        number: Adm(2),
    };
    let place = |msn| Placed {
        msn: Msn(msn),
        epoch,
        context,
        sseq: 1_000_010,
        ..Placed::default()
    };
    let items = [
        &[1_u8][..],
        &17_u64.to_le_bytes(),
        &1_500_000_u32.to_le_bytes(),
        &100_u32.to_le_bytes(),
        &7_u16.to_le_bytes(),
        b"B",
        &[2],
        &18_u64.to_le_bytes(),
        &[3],
        &0_u16.to_le_bytes(),
        &0x80_u64.to_le_bytes(),
        &[4],
    ]
    .concat();
    let chunk = ContextChunk::new(sid, 5, 0, 1_000_009, &items).unwrap();
    let head = ContextHead {
        sid,
        transfer: 5,
        format: ContextHead::ITCH50,
        version: 1,
        epoch,
        context,
        first: 1,
        predecessor: Epoch(0),
        next: 1_000_008,
    };
    let end = ContextEnd {
        sid,
        transfer: 5,
        chunks: 1,
        next: 1_000_010,
        prev: 1_000_008,
        orders: 1,
        check: 0,
    };
    let frames = [
        (
            "link-hello",
            Frame::Hello(Hello {
                feed_digest: 0xf1f2_f3f4_f5f6_f7f8,
                config_digest: 0xa1a2_a3a4_a5a6_a7a8,
                incarnation: Incarnation(0x0102_0304_0506_0708),
                generation,
                preferred_role: Role::Active,
                role: Role::Backup,
            }),
        ),
        (
            "link-report",
            Frame::Report(Report {
                sid,
                generation,
                processed: Msn(50),
                cut: 7,
                synchronised: true,
                source_stale: true,
                last: Some(Placed {
                    adm: Adm(2),
                    ..place(50)
                }),
            }),
        ),
        ("link-cut-request", Frame::CutRequest { sid, generation }),
        (
            "link-cut",
            Frame::Cut(Cut {
                sid,
                generation,
                number: 7,
                last: Placed {
                    part: 1,
                    ..place(48)
                },
                behind: 2,
                adm: Adm(2),
                inherited: Adm(1),
            }),
        ),
        (
            "link-intent",
            Frame::Intent(Intent {
                sid,
                generation,
                epoch,
                began: Msn(40),
                slot: Msn(64),
                attempt: 2,
                hold: false,
                message: StoredAdmin::new(id, AdminKind::StepDown, b"maintenance").unwrap(),
            }),
        ),
        (
            "link-intent-hold",
            Frame::Intent(Intent {
                sid,
                generation,
                epoch,
                began: Msn(0),
                slot: Msn(52),
                attempt: 3,
                hold: true,
                message: StoredAdmin::new(id, AdminKind::StepDown, b"maintenance").unwrap(),
            }),
        ),
        (
            "link-answer",
            Frame::Answer(Answer {
                sid,
                generation,
                number: id.number,
                slot: Msn(64),
                processed: Msn(63),
                attempt: 2,
                verdict: Verdict::Capable,
            }),
        ),
        (
            "link-step-down",
            Frame::StepDown {
                generation,
                deadline_us: 250_000,
            },
        ),
        (
            "link-settled",
            Frame::Settled(Settled {
                sid,
                generation,
                number: id.number,
                attempt: 3,
                slot: Msn(52),
                commit: true,
            }),
        ),
        (
            "link-settled-not",
            Frame::Settled(Settled {
                sid,
                generation,
                number: id.number,
                attempt: 3,
                slot: Msn(52),
                commit: false,
            }),
        ),
        (
            "link-context-request",
            Frame::ContextRequest(ContextRequest {
                sid,
                transfer: 5,
                epoch,
                from: 1_000_010,
            }),
        ),
        ("link-context-head", Frame::ContextHead(head)),
        ("link-context-chunk", Frame::ContextChunk(chunk)),
        (
            "link-context-end",
            Frame::ContextEnd(end.sealed(chunk.fold(head.check()))),
        ),
        (
            "link-context-taken",
            Frame::ContextTaken(ContextTaken {
                sid,
                transfer: 5,
                chunks: 1,
            }),
        ),
        (
            "link-context-over",
            Frame::ContextOver(ContextOver {
                sid,
                transfer: 5,
                reason: OverReason::Incomplete,
            }),
        ),
        (
            "link-content",
            Frame::Content(Content {
                sid,
                generation,
                epoch,
                context,
                digest: RangeDigest {
                    range: 244,
                    digest: 0xd1d2_d3d4_d5d6_d7d8,
                },
            }),
        ),
    ];
    let vectors = vectors();
    let of_link = vectors.keys().filter(|name| name.starts_with("link-"));
    assert_eq!(of_link.count(), frames.len());
    for (name, frame) in frames {
        let expected = &vectors[name];
        let mut buffer = [0xaa; FRAME_BUFFER];
        let length = frame.emit(&mut buffer);
        assert_eq!(&buffer[..length], expected.as_slice(), "{name}");
        assert_eq!(Frame::parse(expected), Ok(frame));
    }
}

#[test]
fn refusals_name_the_culprit() {
    let good = &vectors()["data"];
    let damaged = |place: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[place] = value;
        Datagram::parse(&bytes).unwrap_err()
    };
    // A sender that is wrong rather than a byte that was changed on the way.
    let wrong = |place: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[place] = value;
        let check = xxh3_64(&bytes[120..]) ^ xxh3_64(&bytes[..112]).rotate_left(32);
        bytes[112..120].copy_from_slice(&check.to_le_bytes());
        Datagram::parse(&bytes).unwrap_err()
    };
    let odd = &good[..good.len() - 1];
    assert_eq!(
        Datagram::parse(&good[..120]).unwrap_err(),
        Malformed::Length(120)
    );
    assert_eq!(
        Datagram::parse(&good[..good.len() - 8]).unwrap_err(),
        Malformed::Check
    );
    assert_eq!(
        Datagram::parse(odd).unwrap_err(),
        Malformed::NotMultipleOfEight(odd.len())
    );
    assert_eq!(
        damaged(0, b'X'),
        Malformed::Magic(u16::from_le_bytes(*b"XF"))
    );
    assert_eq!(damaged(2, 9), Malformed::Version { theirs: 9, ours: 1 });
    assert_eq!(damaged(3, 15), Malformed::HeaderLength(15));
    assert_eq!(damaged(4, 0x40), Malformed::Sealed);
    assert_eq!(damaged(120, 1), Malformed::Reserved);
    for place in (5..120).chain(128..good.len()) {
        assert_eq!(
            damaged(place, good[place] ^ 0x10),
            Malformed::Check,
            "byte {place}"
        );
    }
    assert_eq!(wrong(6, 1), Malformed::TrailingBytes(24));
    assert_eq!(wrong(6, 3), Malformed::RecordOverrun(2));
    assert_eq!(wrong(128 + 16 + 7, 1), Malformed::Reserved);
    assert!(
        damaged(2, 9)
            .to_string()
            .contains("version 9, this receiver version 1")
    );
}

#[test]
fn fill_frames() {
    use twinfeed_wire::fill::*;
    let vectors = vectors();
    let header = RequestHeader {
        sid: Sid(1),
        stream: StreamId(0x11),
        request: 5,
        epoch: Epoch(0xe1e2_e3e4_e5e6_e7e8),
        context: ContextId(0xc1c2_c3c4_c5c6_c7c8),
        datagrams: 64,
    };
    let ranges = [
        FillRange::Records {
            from: (1_000_010, 1),
            until: (1_000_012, 0),
        },
        FillRange::Messages {
            from: Adm(2),
            until: Adm(3),
        },
    ];
    let mut buffer = [0; LONGEST_REQUEST];
    let length = write_request(&mut buffer, &header, &ranges);
    let sent = Reply {
        sid: Sid(1),
        stream: StreamId(0x11),
        request: 5,
        status: Status::Sent,
        lacking: 0b11,
        stretch: Stretch {
            from: (1_000_010, 1),
            until: (1_000_011, 2),
        },
        retry_after_us: 0,
        sent: 1,
    };
    let busy = Reply {
        request: 6,
        status: Status::Busy,
        lacking: 0,
        stretch: Stretch::default(),
        retry_after_us: 2_000,
        sent: 0,
        ..sent
    };
    let written = [
        buffer[..length].to_vec(),
        write_reply(&sent).to_vec(),
        write_reply(&busy).to_vec(),
    ];
    let expected = ["fill-request", "fill-reply", "fill-busy"].map(|name| vectors[name].clone());
    assert_eq!(written, expected);
}

/// One frame of every kind, as section 8 shows them.
fn snapshot_frames(of: impl FnOnce(&[(&str, snapshot::Snapshot<'_>)])) {
    use twinfeed_wire::record::*;
    use twinfeed_wire::snapshot::*;
    let epoch = Epoch(0xe1e2_e3e4_e5e6_e7e8);
    let context = ContextId(0xc1c2_c3c4_c5c6_c7c8);
    let request = Request {
        sid: Sid(1),
        stream: StreamId(0x11),
        request: 5,
        fills: "10.0.0.7:4001".parse().unwrap(),
        not_before: NotBefore {
            epoch,
            sseq: 1_000_010,
            part: 1,
            adm: Adm(2),
        },
        context,
    };
    let refused = Refused {
        sid: Sid(1),
        stream: StreamId(0x11),
        request: 5,
        reason: Reason::Busy,
        retry_after_us: 250_000,
    };
    let cursor = Cursor {
        next: Pos {
            sid: Sid(1),
            epoch,
            sseq: 1_000_013,
            part: 0,
        },
        last: 1_000_012,
        context,
        complete: true,
        count: Some((Adm(3), Generation(4))),
        predecessor: Epoch::NONE,
    };
    let begin = Begin {
        cursor: Cursor {
            next: Pos {
                sseq: 1_000_012,
                part: 1,
                ..cursor.next
            },
            count: None,
            ..cursor
        },
        stream: StreamId(0x11),
        instruments: 1,
        orders: 2,
    };
    let instrument = Instrument {
        id: 7,
        trust: Trust::Sound,
        orders: 2,
    };
    let orders = [
        Order {
            id: 9,
            side: Side::Bid,
            price: 101_500_000_000,
            size: 200,
        },
        Order {
            id: 8,
            side: Side::Ask,
            price: 101_600_000_000,
            size: 100,
        },
    ];
    let mut buffer = vec![0; LONGEST_FRAME];
    let length = write_orders(&mut buffer, 7, orders.into_iter());
    let orders = Snapshot::parse(&buffer[..length]).unwrap();
    let mut status = StatusMsg::default();
    status.hd.instrument_id = 7.into();
    let mut change = MboMsg {
        order_id: 9.into(),
        price: 101_500_000_000.into(),
        size: 200.into(),
        action: code::action::CANCEL,
        side: code::side::BID,
        ..MboMsg::default()
    };
    change.hd.instrument_id = 7.into();
    let id = AdminId {
        generation: Generation(4),
        number: Adm(2),
    };
    let message = AdminMessage::new(id, AdminKind::SourceStale, &[]).unwrap();
    let frames = [
        ("snapshot-request", Snapshot::Request(request)),
        ("snapshot-refused", Snapshot::Refused(refused)),
        ("snapshot-begin", Snapshot::Begin(begin)),
        ("snapshot-status", Snapshot::Status(&status)),
        ("snapshot-instrument", Snapshot::Instrument(instrument)),
        ("snapshot-orders", orders),
        ("snapshot-change", Snapshot::Change(&change)),
        ("snapshot-message", Snapshot::Message(message)),
    ];
    let mut digest = Digest::default();
    for (_, frame) in &frames[2..] {
        let mut buffer = vec![0; LONGEST_FRAME];
        let length = frame.emit(&mut buffer);
        digest.add(&buffer[..length]);
    }
    let end = Snapshot::End(End {
        cursor,
        trust: Trust::Sound,
        silent: true,
        instruments: 1,
        orders: 1,
        frames: digest.frames(),
        digest: digest.value(),
    });
    let frames: Vec<_> = frames.into_iter().chain([("snapshot-end", end)]).collect();
    of(&frames);
}

#[test]
fn frames_of_a_snapshot() {
    use twinfeed_wire::snapshot::*;
    let vectors = vectors();
    snapshot_frames(|frames| {
        for (name, frame) in frames {
            let mut buffer = vec![0; LONGEST_FRAME];
            let length = frame.emit(&mut buffer);
            assert_eq!(buffer[..length], vectors[*name], "{name}");
            assert_eq!(Snapshot::parse(&vectors[*name]), Ok(*frame), "{name}");
        }
    });
}
