//! Aeron: a message for each record, as fast as Aeron's own flow control lets them go.
//!
//! ```text
//!  publisher, one process                                  subscriber, one process
//!  offer, offer, … ─► driver's turn: full datagrams ─────► driver's turn ─► poll ─► first of its number: counts
//!                        ◄──── Aeron's own window ────────────┘
//!                        ◄──── "that was the last" ─────────────────────────────┘
//! ```
//!
//! A message is a record, whose first eight bytes are its number; Aeron puts as many of them into a datagram as its MTU holds. `--window` and `--batch`
//! are ours, and not Aeron's.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use twinfeed_net::clock::monotonic_ns;

use super::sides::{Credit, END, PATIENCE, Told, back};
use super::{Args, Heard};
use crate::aeron::{Media, Publications, Subscriptions, frame};
use crate::child::say;
use crate::error::Error;

/// Messages that are offered between two turns of the driver.
const OFFERS: usize = 64;
/// Fragments that one poll takes at most: all that a turn of the driver brings.
const FRAGMENTS: usize = 4_096;

/// Records of so many bytes that a datagram holds; `None` where there are no datagrams.
pub(super) fn together(media: Media, size: usize, mtu: usize) -> Option<usize> {
    matches!(media, Media::Udp { .. }).then(|| mtu / frame(size))
}

/// Offers for as long as is asked; returns how many records that was.
pub(super) fn publish(
    media: Media,
    doors: &[String],
    size: usize,
    args: &Args,
    mut credit: Credit,
) -> Result<u64, Error> {
    let door = |door: &String| match media {
        Media::Udp { .. } => format!("{door}|mtu={}", args.aeron_mtu),
        Media::Ipc => door.clone(),
    };
    let doors: Vec<String> = doors.iter().map(door).collect();
    let publications = Publications::open(media, &doors)?;
    let mut message = vec![7; size];
    let (begun, mut sent) = (Instant::now(), 0_u64);
    let mut there = true;
    while there && begun.elapsed() < Duration::from_millis(args.round_ms) {
        for _ in 0..OFFERS {
            message[..8].copy_from_slice(&(sent + 1).to_le_bytes());
            there = there && publications.offer(&message);
            sent += u64::from(there);
        }
        publications.turn_driver();
        publications.turn_client();
    }
    publications.offer(&END);
    let begun = Instant::now();
    while credit.look() < sent && begun.elapsed() < PATIENCE {
        publications.turn_driver();
        publications.turn_client();
    }
    Ok(sent)
}

/// Says its doors, hears until the end, says what it heard.
pub(super) fn subscribe(media: Media, to: SocketAddr) -> Result<(), Error> {
    let mut subscriptions = Subscriptions::open(media)?;
    say(&subscriptions.doors())?;
    let word: UdpSocket = back(to)?;
    let (mut told, begun, mut ended) = (Told::default(), Instant::now(), 0);
    while ended < subscriptions.copies() {
        let now = monotonic_ns();
        let before = told.heard.records;
        subscriptions.turn(FRAGMENTS, |message| match message.first_chunk() {
            Some(number) => told.copy(u64::from_le_bytes(*number), 1),
            None if message == END => ended += 1,
            None => told.heard.broken += 1,
        })?;
        if told.clock(now, before, &begun) {
            break;
        }
    }
    // Nobody has to ask for anything again.
    let all = u64::MAX.to_le_bytes();
    word.send(&all).map_err(Error::Socket)?;
    let heard: Heard = told.heard;
    say(&heard)
}
