//! What does the peer of a pair send?

use twinfeed_wire::link::{
    Answer, Content, ContextChunk, ContextEnd, ContextHead, ContextOver, ContextRequest,
    ContextTaken, Cut, FOR_GOOD, FRAME_BUFFER, Frame, Hello, Intent, OverReason, Placed, Report,
    Role, Settled, Verdict,
};
use twinfeed_wire::{Adm, ContextId, Epoch, Generation, Incarnation, Msn, RangeDigest, Sid};

use super::{noise, noises, stream};

fn every_frame() -> Vec<Frame> {
    let (sid, generation) = (Sid(1), Generation(1));
    let placed = Placed {
        msn: Msn(4),
        epoch: Epoch(2),
        context: ContextId(3),
        sseq: 9,
        adm: Adm(1),
        part: 0,
    };
    let head = ContextHead {
        sid,
        transfer: 7,
        format: ContextHead::ITCH50,
        version: 1,
        epoch: Epoch(2),
        context: ContextId(3),
        first: 1,
        predecessor: Epoch::NONE,
        next: 10,
    };
    let end = ContextEnd {
        sid,
        transfer: 7,
        chunks: 1,
        next: 10,
        prev: 9,
        orders: 1,
        check: 0,
    };
    let mut frames = vec![
        hello(Role::Backup),
        Frame::Beat {
            generation,
            role: Role::Active,
        },
        Frame::Report(Report {
            sid,
            generation,
            processed: Msn(4),
            cut: 1,
            synchronised: true,
            source_stale: false,
            last: Some(placed),
        }),
        Frame::CutRequest { sid, generation },
        Frame::Cut(Cut {
            sid,
            generation,
            number: 1,
            last: placed,
            behind: 0,
            adm: Adm(1),
            inherited: Adm(0),
        }),
        Frame::Answer(Answer {
            sid,
            generation,
            number: Adm(1),
            slot: Msn(9),
            processed: Msn(4),
            attempt: 1,
            verdict: Verdict::Capable,
        }),
        Frame::Settled(Settled {
            sid,
            generation,
            number: Adm(1),
            attempt: 1,
            slot: Msn(9),
            commit: true,
        }),
        Frame::StepDown {
            generation,
            deadline_us: 1_000,
        },
        Frame::Content(Content {
            sid,
            generation,
            epoch: Epoch(2),
            context: ContextId(3),
            digest: RangeDigest {
                range: 0,
                digest: 5,
            },
        }),
        Frame::ContextRequest(ContextRequest {
            sid,
            transfer: 7,
            epoch: Epoch(2),
            from: 5,
        }),
        Frame::ContextHead(head),
        Frame::ContextEnd(end.sealed(head.check())),
        Frame::ContextTaken(ContextTaken {
            sid,
            transfer: 7,
            chunks: 64,
        }),
        Frame::ContextOver(ContextOver {
            sid,
            transfer: 7,
            reason: OverReason::Busy,
        }),
        Frame::StepDown {
            generation,
            deadline_us: FOR_GOOD,
        },
        Frame::Goodbye,
    ];
    frames.extend(ContextChunk::new(sid, 7, 0, 10, &[4; 30]).map(Frame::ContextChunk));
    frames.extend(stream::messages().into_iter().map(|message| {
        Frame::Intent(Intent {
            sid,
            generation,
            epoch: Epoch(2),
            began: Msn(1),
            slot: Msn(9),
            attempt: 1,
            hold: false,
            message,
        })
    }));
    frames
}

fn hello(role: Role) -> Frame {
    Frame::Hello(Hello {
        feed_digest: 0,
        config_digest: 0,
        incarnation: Incarnation(5),
        generation: Generation(2),
        preferred_role: role,
        role,
    })
}

fn bytes(frame: &Frame) -> Vec<u8> {
    let mut buffer = [0; FRAME_BUFFER];
    let length = frame.emit(&mut buffer);
    buffer[..length].to_vec()
}

pub(super) fn frames() -> Vec<Vec<u8>> {
    every_frame().iter().map(bytes).collect()
}

/// As [`crate::link`] reads them: two connections, a hello that agrees, everything that can be said, a grant, an end.
pub(super) fn connections() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (preferred, other) in [(0, Role::Backup), (1, Role::Active)] {
        let mut script = vec![1, preferred, preferred, 0, 8];
        for connection in [0x11, 0x31] {
            said(&mut script, connection, &bytes(&hello(other)));
        }
        for frame in every_frame().iter().skip(1) {
            said(&mut script, 0x11, &bytes(frame));
        }
        script.extend([5, 0, 40, 6, 3, 0, 5, 0xFF, 0xFF, 4, 0, 0, 7]);
        said(&mut script, 0x11, b"GET / HTTP/1.1\r\n\r\n");
        seeds.push(script);
    }
    seeds.extend(noises(2, 200));
    seeds
}

fn said(script: &mut Vec<u8>, connection: u8, bytes: &[u8]) {
    script.extend([connection, u8::MAX]);
    script.extend((bytes.len() as u16).to_le_bytes());
    script.extend(bytes);
}

/// As [`crate::transfer`] reads them: a head, chunks of items, an end.
pub(super) fn transfers() -> Vec<Vec<u8>> {
    let mut seeds = noises(4, 300);
    for count in [1, 3] {
        let mut script = vec![0, 10];
        for chunk in 0..count {
            script.extend([0x09, 20]);
            script.extend(noise(chunk + 40, 80));
        }
        script.extend([6, 20, 9, 0]);
        seeds.push(script);
    }
    // Nothing is open: what the end says fits.
    seeds.push(vec![0, 10, 1, 1, 4, 20, 6, 20, 0, 0]);
    seeds
}
