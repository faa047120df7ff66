//! A request or reply is read as it was written, and nothing else is read as one.
#![allow(
    clippy::unwrap_used,
    reason = "a frame that does not parse fails the test"
)]

use proptest::prelude::*;
use twinfeed_wire::fill::*;
use twinfeed_wire::{Adm, ContextId, Epoch, Sid, StreamId};

fn range() -> impl Strategy<Value = FillRange> {
    let records = (any::<u64>(), any::<u16>(), 1..1_000_u64, any::<u16>()).prop_map(
        |(sseq, part, more, until)| FillRange::Records {
            from: (sseq.min(u64::MAX - more), part),
            until: (sseq.min(u64::MAX - more) + more, until),
        },
    );
    let messages =
        (0..u64::MAX - 1_000, 1..1_000_u64).prop_map(|(from, more)| FillRange::Messages {
            from: Adm(from),
            until: Adm(from + more),
        });
    prop_oneof![records, messages]
}

fn header() -> impl Strategy<Value = RequestHeader> {
    let places = (any::<u64>(), any::<u64>(), any::<u32>());
    (any::<u32>(), any::<u32>(), any::<u64>(), places).prop_map(
        |(sid, stream, request, (epoch, context, datagrams))| RequestHeader {
            sid: Sid(sid),
            stream: StreamId(stream),
            request,
            epoch: Epoch(epoch),
            context: ContextId(context),
            datagrams,
        },
    )
}

fn written(header: &RequestHeader, ranges: &[FillRange]) -> Vec<u8> {
    let mut buffer = [0; LONGEST_REQUEST];
    let length = write_request(&mut buffer, header, ranges);
    buffer[..length].to_vec()
}

proptest! {
    #[test]
    fn a_request_is_read_as_it_was_written(
        header in header(),
        ranges in prop::collection::vec(range(), 1..=MOST_RANGES),
    ) {
        let bytes = written(&header, &ranges);
        prop_assert!(is_fill(&bytes));
        let Fill::Request(request) = Fill::parse(&bytes).unwrap() else { panic!("a reply") };
        prop_assert_eq!(*request.header(), header);
        prop_assert_eq!(request.ranges().collect::<Vec<_>>(), ranges);
    }

    #[test]
    fn a_reply_is_read_as_it_was_written(
        header in header(),
        status in prop_oneof![Just(Status::Sent), Just(Status::Busy), Just(Status::Refused)],
        (lacking, retry_after_us, sent) in any::<(u32, u32, u32)>(),
        (from, until) in any::<((u64, u16), (u64, u16))>(),
    ) {
        let reply = Reply {
            sid: header.sid,
            stream: header.stream,
            request: header.request,
            status,
            lacking,
            stretch: Stretch { from, until },
            retry_after_us,
            sent,
        };
        let bytes = write_reply(&reply);
        let Fill::Reply(read) = Fill::parse(&bytes).unwrap() else { panic!("a request") };
        prop_assert_eq!(read, reply);
    }

    #[test]
    fn a_byte_that_changed_is_noticed(
        header in header(),
        ranges in prop::collection::vec(range(), 1..4),
        at in any::<prop::sample::Index>(),
        change in 1..=u8::MAX,
    ) {
        let mut bytes = written(&header, &ranges);
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(Fill::parse(&bytes).is_err());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Fill::parse(&bytes);
    }
}

#[test]
fn what_is_empty_or_cut_is_refused() {
    let header = RequestHeader::default();
    let one = FillRange::Records {
        from: (7, 1),
        until: (7, 2),
    };
    let empty = FillRange::Records {
        from: (7, 1),
        until: (7, 1),
    };
    assert!(Fill::parse(&written(&header, &[one])).is_ok());
    let refused = |bytes: &[u8]| Fill::parse(bytes).map(|_| ()).unwrap_err();
    assert_eq!(refused(&written(&header, &[one, empty])), BadFill::Range);
    assert_eq!(refused(&written(&header, &[])), BadFill::Length(56));
    assert_eq!(refused(b"TR"), BadFill::Length(2));
    let cut = written(&header, &[one]);
    assert_eq!(refused(&cut[..cut.len() - 1]), BadFill::Check);
}

#[test]
fn two_askers_of_the_same_ask_the_same() {
    let one = RequestHeader {
        request: 1,
        epoch: Epoch(5),
        ..RequestHeader::default()
    };
    let other = RequestHeader { request: 2, ..one };
    let later = RequestHeader {
        epoch: Epoch(6),
        ..one
    };
    let range = FillRange::Messages {
        from: Adm(3),
        until: Adm(4),
    };
    let [one, other, later] = [one, other, later].map(|header| written(&header, &[range]));
    let read = |bytes| match Fill::parse(bytes).unwrap() {
        Fill::Request(request) => request,
        Fill::Reply(_) => panic!("a reply"),
    };
    assert!(read(&one).is_as(&read(&other)));
    assert_eq!(read(&one).digest(), read(&other).digest());
    assert!(!read(&one).is_as(&read(&later)));
    assert_ne!(read(&one).digest(), read(&later).digest());
}
