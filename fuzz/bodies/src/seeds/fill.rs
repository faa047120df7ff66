//! What do a subscriber and an adapter say to each other on the fill socket?

use twinfeed_wire::fill::{
    FillRange, LONGEST_REQUEST, MOST_RANGES, Reply, RequestHeader, Status, Stretch, write_reply,
    write_request,
};
use twinfeed_wire::{Adm, ContextId, Epoch, Sid, StreamId};

/// Requests of one range of each kind and of as many as there may be; replies of every status.
pub(super) fn frames() -> Vec<Vec<u8>> {
    let header = RequestHeader {
        sid: Sid(1),
        stream: StreamId(10),
        request: 7,
        epoch: Epoch(9),
        context: ContextId(3),
        datagrams: 64,
    };
    let records = FillRange::Records {
        from: (5, 1),
        until: (9, 0),
    };
    let messages = FillRange::Messages {
        from: Adm(2),
        until: Adm(4),
    };
    let mut frames = Vec::new();
    for ranges in [&[records][..], &[messages], &[records; MOST_RANGES]] {
        let mut buffer = [0; LONGEST_REQUEST];
        let length = write_request(&mut buffer, &header, ranges);
        frames.push(buffer[..length].to_vec());
    }
    for status in [Status::Sent, Status::Busy, Status::Refused] {
        let reply = Reply {
            sid: header.sid,
            stream: header.stream,
            request: header.request,
            status,
            lacking: 1,
            stretch: Stretch {
                from: (5, 1),
                until: (7, 0),
            },
            retry_after_us: 200,
            sent: 2,
        };
        frames.push(write_reply(&reply).to_vec());
    }
    frames
}
