//! What a link must get right: whole frames, bounded memory, and the peer's end told at once.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::io::Write as _;
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::time::Duration;

use common::loopback;
use socket2::SockRef;
use twinfeed_net::tcp::{
    AtOnce, Closed, Flushed, FrameFault, LengthPrefix, Link, LinkOptions, Listener, Received,
};
use twinfeed_net::wait::{Interest, wait};

const HANG: Option<Duration> = Some(Duration::from_secs(20));

fn options() -> LinkOptions {
    LinkOptions {
        max_frame: 1_024,
        max_unsent: 1 << 20,
        ..LinkOptions::default()
    }
}

fn pair() -> (Link<LengthPrefix>, Link<LengthPrefix>) {
    let listener = Listener::bind(loopback(false), options()).unwrap();
    let near = Link::connect(listener.local_addr(), LengthPrefix, &options()).unwrap();
    common::ready(&listener);
    (near, listener.accept(LengthPrefix).unwrap().unwrap())
}

/// A link whose peer is a plain stream.
fn raw_peer() -> (TcpStream, Link<LengthPrefix>) {
    let listener = Listener::bind(loopback(false), options()).unwrap();
    let peer = TcpStream::connect(listener.local_addr()).unwrap();
    common::ready(&listener);
    (peer, listener.accept(LengthPrefix).unwrap().unwrap())
}

fn frame(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_le_bytes()[..], body].concat()
}

/// Waits until the link has said its end; frames before it.
fn until_closed(link: &mut Link<LengthPrefix>) -> (Vec<Vec<u8>>, Closed) {
    let mut frames = Vec::new();
    loop {
        match link.receive() {
            Received::Frame(frame) => frames.push(frame.to_vec()),
            Received::Closed(closed) => return (frames, closed),
            Received::Pending => common::ready(link),
        }
    }
}

#[test]
fn frames_arrive_whole_and_in_order_both_ways() {
    let (mut near, mut far) = pair();
    assert_eq!(far.receive(), Received::Pending);
    for body in [&b""[..], b"one", &[7; 1_020]] {
        assert_eq!(near.send(&frame(body)), Ok(Flushed::All));
    }
    assert_eq!(near.send(&frame(b"bye")), Ok(Flushed::All));
    common::ready(&far);
    assert_eq!(far.receive(), Received::Frame(&frame(b"")));
    assert_eq!(far.receive(), Received::Frame(&frame(b"one")));
    assert_eq!(far.send(&frame(b"answer")), Ok(Flushed::All));
    common::ready(&near);
    assert_eq!(near.receive(), Received::Frame(&frame(b"answer")));
    drop(near);
    let (rest, closed) = until_closed(&mut far);
    assert_eq!(rest, [frame(&[7; 1_020]), frame(b"bye")]);
    assert_eq!(closed, Closed::EndOfStream { amid_frame: false });
    assert!(closed.is_by_peer());
}

#[test]
fn a_peer_that_goes_wakes_the_waiting_thread() {
    let (near, mut far) = pair();
    // Dropped by another thread while this one waits: nothing but the end can wake it.
    let gone = std::thread::spawn(move || drop(near));
    let ready = wait([Interest::readable(far.as_fd())], HANG).unwrap();
    assert!(ready.contains(0) && ready.closed(0));
    assert_eq!(
        far.receive(),
        Received::Closed(Closed::EndOfStream { amid_frame: false })
    );
    gone.join().unwrap();
}

#[test]
fn a_reset_is_told_from_an_end() {
    let (peer, mut link) = raw_peer();
    // Closing with a zero linger resets, as the kernel does for a process that dies with data
    // unread.
    SockRef::from(&peer)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(peer);
    let (frames, closed) = until_closed(&mut link);
    assert_eq!((frames.len(), closed), (0, Closed::Reset));
    assert_eq!(link.closed(), Some(Closed::Reset));
    assert_eq!(link.send(&frame(b"x")), Ok(Flushed::Closed(Closed::Reset)));
}

#[test]
fn what_arrived_is_heard_although_sending_has_found_the_peer_gone() {
    let (mut peer, mut link) = raw_peer();
    peer.write_all(&frame(b"last words")).unwrap();
    SockRef::from(&peer)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(peer);
    // The kernel knows, and sending learns of it first.
    while link.send(&frame(b"x")) == Ok(Flushed::All) {
        common::ready(&link);
    }
    assert!(link.closed().is_some());
    let (frames, closed) = until_closed(&mut link);
    assert_eq!(frames, [frame(b"last words")]);
    assert!(closed.is_by_peer(), "{closed}");
    assert_eq!(link.receive(), Received::Closed(closed));
}

#[test]
fn a_frame_that_cannot_be_sent_at_once_is_never_sent() {
    let (mut near, mut far) = pair();
    assert_eq!(near.send_at_once(&frame(b"first")), AtOnce::Sent);
    // Nobody reads: the kernel takes what it can, and then nothing more.
    let body = [7; 1_000];
    while near.send(&frame(&body)) == Ok(Flushed::All) {}
    assert!(near.wants_to_write());
    assert_eq!(near.send_at_once(&frame(b"never")), AtOnce::NotSent);
    assert_eq!(near.closed(), None, "the link is as before");
    let mut heard = Vec::new();
    while near.wants_to_write() || heard.last() != Some(&frame(b"last")) {
        match far.receive() {
            Received::Frame(frame) => heard.push(frame.to_vec()),
            Received::Pending if near.flush() == Flushed::All && !heard.is_empty() => {
                if !heard.contains(&frame(b"last")) {
                    assert_eq!(near.send_at_once(&frame(b"last")), AtOnce::Sent);
                }
            }
            Received::Pending => {}
            Received::Closed(closed) => panic!("{closed}"),
        }
    }
    assert_eq!(heard[0], frame(b"first"));
    assert!(!heard.contains(&frame(b"never")));
    let bodies = heard.iter().filter(|it| **it == frame(&body)).count();
    assert_eq!(bodies, heard.len() - 2);
}

#[test]
fn what_the_kernel_has_no_room_for_is_not_sent_or_ends_the_link() {
    // One byte behind the other: some time the kernel is full within a frame, or between two.
    let (mut near, _far) = pair();
    let long = frame(&[7; 1_020]);
    let ended = loop {
        match near.send_at_once(&long) {
            AtOnce::Sent => {}
            ended => break ended,
        }
    };
    assert!(!near.wants_to_write(), "nothing is left to be sent");
    assert_eq!(near.closed().is_some(), ended == AtOnce::Torn, "{ended:?}");
    if ended == AtOnce::Torn {
        assert!(matches!(near.send(&frame(b"x")), Ok(Flushed::Closed(_))));
    }
}

#[test]
fn an_end_amid_a_frame_is_said() {
    let (mut peer, mut link) = raw_peer();
    peer.write_all(&frame(b"whole")).unwrap();
    peer.write_all(&frame(b"cut")[..5]).unwrap();
    drop(peer);
    let (frames, closed) = until_closed(&mut link);
    assert_eq!(frames, [frame(b"whole")]);
    assert_eq!(closed, Closed::EndOfStream { amid_frame: true });
}

#[test]
fn a_frame_beyond_the_limit_ends_the_link_for_good() {
    let (mut peer, mut link) = raw_peer();
    peer.write_all(&frame(b"fine")).unwrap();
    peer.write_all(&1_021_u32.to_le_bytes()).unwrap();
    let (frames, closed) = until_closed(&mut link);
    assert_eq!(frames, [frame(b"fine")]);
    let fault = FrameFault::TooLong {
        claimed: 1_025,
        limit: 1_024,
    };
    assert_eq!(closed, Closed::Malformed(fault));
    assert!(!closed.is_by_peer());
    assert_eq!(link.receive(), Received::Closed(closed));
    assert!(closed.to_string().contains("max_frame = 1024"), "{closed}");
}

#[test]
fn a_peer_that_does_not_read_fills_the_link_and_no_more() {
    let (mut near, mut far) = pair();
    let body = frame(&[3; 1_000]);
    let mut accepted = 0;
    let full = loop {
        match near.send(&body) {
            Ok(Flushed::All | Flushed::Pending) => accepted += 1,
            Ok(Flushed::Closed(closed)) => panic!("{closed}"),
            Err(full) => break full,
        }
    };
    assert_eq!(full.limit, options().max_unsent);
    assert!(full.waiting + body.len() > full.limit && near.wants_to_write());
    let mut received = 0;
    while received < accepted {
        let _ = near.flush();
        match far.receive() {
            Received::Frame(frame) => {
                assert_eq!(frame, body);
                received += 1;
            }
            Received::Pending => {
                let near = Interest::readable(near.as_fd()).or_writable(near.wants_to_write());
                let ready = wait([Interest::readable(far.as_fd()), near], HANG).unwrap();
                assert!(!ready.is_empty(), "{received} of {accepted}");
            }
            Received::Closed(closed) => panic!("{closed}"),
        }
    }
    assert_eq!(near.flush(), Flushed::All);
    assert!(!near.wants_to_write());
}

#[test]
fn nobody_waiting_is_none() {
    let listener = Listener::bind(loopback(true), options()).unwrap();
    assert!(listener.accept(LengthPrefix).unwrap().is_none());
}

#[test]
fn links_are_prompt_and_watchful() {
    let (near, far) = pair();
    for link in [&near, &far] {
        let socket = SockRef::from(link);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(
            socket.tcp_user_timeout().unwrap(),
            Some(options().user_timeout)
        );
        assert!(socket.nonblocking().unwrap());
    }
}

#[test]
fn a_link_comes_from_the_address_that_it_is_told_to() {
    let listener = Listener::bind(loopback(false), options()).unwrap();
    let local = "127.0.0.9".parse().unwrap();
    let options = LinkOptions {
        local: Some(local),
        ..options()
    };
    let _near = Link::connect(listener.local_addr(), LengthPrefix, &options).unwrap();
    common::ready(&listener);
    let far = listener.accept(LengthPrefix).unwrap().unwrap();
    assert_eq!(far.peer_addr().ip(), local);
}
