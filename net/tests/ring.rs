//! A ring between two that have nothing in common but a name: made, asked for, refused, opened, read, lapped, and left.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use twinfeed_net::ring::{
    Asked, Published, RingConfig, RingError, RingOffer, RingReader, RingTake, RingWriter, TooLong,
};
use twinfeed_net::udp::Outbox;
use twinfeed_net::wait::{Interest, wait};

const MOST: u64 = RingReader::DEFAULT_MOST_BYTES;
/// Ends a test that would otherwise hang; no test depends on how long something takes.
const HANG: Duration = Duration::from_secs(20);

fn ring(slots: usize, longest: usize) -> RingWriter {
    RingWriter::create(&RingConfig::new(7).slots(slots).longest(longest)).unwrap()
}

fn open(writer: &RingWriter) -> RingReader {
    RingReader::open(writer.as_fd(), MOST).unwrap()
}

fn received(reader: &mut RingReader) -> Vec<(Vec<u8>, u64)> {
    std::iter::from_fn(|| {
        let datagram = reader.receive().unwrap()?;
        Some((datagram.bytes.to_vec(), datagram.lost))
    })
    .collect()
}

/// An abstract name that nobody else has.
fn name(test: &str) -> PathBuf {
    format!("@twinfeed-{test}-{}", std::process::id()).into()
}

#[test]
fn every_reader_reads_every_datagram_and_then_that_it_is_over() {
    let mut writer = ring(8, 64);
    let mut readers = [open(&writer), open(&writer)];
    let mut outbox = Outbox::new(3, 256);
    for datagram in [&b"first"[..], &[2; 64], &[3; 65]] {
        outbox.push(datagram).unwrap();
    }
    let (taken, too_long) = (2, 1);
    assert_eq!(writer.publish(&outbox), Published { taken, too_long });
    let refused = TooLong {
        length: 65,
        longest: 64,
    };
    assert_eq!(writer.push(&[0; 65]), Err(refused));
    assert_eq!((writer.written(), writer.incarnation()), (2, 7));
    for reader in &mut readers {
        let expected = [(b"first".to_vec(), 0), (vec![2; 64], 0)];
        assert_eq!(received(reader), expected);
        assert!(!reader.is_closed());
        assert_eq!((reader.incarnation(), reader.counters().bytes), (7, 69));
    }
    writer.push(b"last").unwrap();
    drop(writer);
    for reader in &mut readers {
        assert!(reader.is_closed());
        assert_eq!(received(reader), [(b"last".to_vec(), 0)]);
    }
}

#[test]
fn what_is_handed_out_is_aligned_and_is_the_readers_own() {
    let mut writer = ring(4, 64);
    let mut reader = open(&writer);
    writer.push(&[1; 20]).unwrap();
    let datagram = reader.receive().unwrap().unwrap();
    assert_eq!(datagram.bytes.as_ptr().align_offset(8), 0);
    (0..100).for_each(|_| writer.push(&[2; 20]).unwrap());
    assert_eq!(datagram.bytes, [1; 20]);
    assert_eq!(reader.receive().unwrap().unwrap().lost, 98);
    let counters = reader.counters();
    assert_eq!(
        (counters.datagrams, counters.lost, counters.laps),
        (2, 98, 1)
    );
}

#[test]
fn sizes_out_of_bounds_are_refused_by_name() {
    let refusal = |slots, longest| {
        let config = RingConfig::new(1).slots(slots).longest(longest);
        RingWriter::create(&config).unwrap_err().to_string()
    };
    assert!(refusal(2, 64).contains("ring slots = 2 is out of bounds"));
    assert!(refusal(1 << 21, 64).contains("ring slots"));
    assert!(refusal(6, 64).contains("ring slots = 6 is not a power of two"));
    assert!(refusal(4, 65_537).contains("ring longest"));
    assert_eq!(ring(4, 0).longest(), 8);
    assert_eq!(ring(4, 9).longest(), 16);
}

#[test]
fn a_file_that_is_no_ring_or_not_sealed_or_too_large_is_not_opened() {
    let refusal = |file: &dyn AsFd, most| RingReader::open(file.as_fd(), most).unwrap_err();
    let ordinary = File::open("/proc/self/exe").unwrap();
    assert!(matches!(refusal(&ordinary, MOST), RingError::NoRing));
    let (pipe, _other) = std::io::pipe().unwrap();
    assert!(matches!(refusal(&pipe, MOST), RingError::NoRing));
    let writer = ring(8, 64);
    let bytes = u64::try_from(512 * 8 + 8 * 3 * 64).unwrap();
    let most = bytes - 1;
    let too_large = refusal(&writer, most);
    assert!(
        matches!(too_large, RingError::TooLarge { bytes: b, most: m } if (b, m) == (bytes, most)),
        "{too_large}"
    );
    assert!(RingReader::open(writer.as_fd(), bytes).is_ok());
}

#[test]
fn nobody_who_has_the_file_can_write_into_it_or_cut_it() {
    use std::io::Write as _;
    use std::os::unix::fs::FileExt as _;

    let mut writer = ring(4, 64);
    let file = File::from(writer.as_fd().try_clone_to_owned().unwrap());
    assert!((&file).write(&[1]).is_err());
    assert!(file.write_at(&[1], 4_096).is_err());
    assert!(file.set_len(0).is_err() && file.set_len(1 << 20).is_err());
    let mut reader = open(&writer);
    writer.push(b"still").unwrap();
    assert_eq!(received(&mut reader), [(b"still".to_vec(), 0)]);
}

fn settled(take: &RingTake) -> Result<OwnedFd, RingError> {
    let deadline = std::time::Instant::now() + HANG;
    loop {
        match take.poll() {
            Ok(Some(file)) => return Ok(file),
            Err(error) => return Err(error),
            Ok(None) => {
                assert!(std::time::Instant::now() < deadline, "nothing came");
                let _ = wait([Interest::readable(take.as_fd())], Some(HANG)).unwrap();
            }
        }
    }
}

#[test]
fn who_asks_is_given_the_ring_or_refused_by_user() {
    let (mut writer, name) = (ring(8, 64), name("asks"));
    assert!(RingTake::ask(&name).is_err(), "nobody offers");
    let offer = RingOffer::bind(&name).unwrap();
    assert!(RingOffer::bind(&name).is_err(), "the name is taken");
    assert_eq!(offer.answer(writer.as_fd(), |_| true).unwrap(), None);

    let take = RingTake::ask(&name).unwrap();
    assert!(take.poll().unwrap().is_none());
    let offers = take.peer().unwrap();
    let mut asked = None;
    let answer = offer.answer(writer.as_fd(), |peer| {
        asked = Some(*peer);
        true
    });
    let asked = asked.unwrap();
    assert_eq!(answer.unwrap(), Some(Asked::Given(asked)));
    assert_eq!(asked.process, std::process::id().cast_signed());
    assert_eq!(offers, asked, "both are this process");
    let file = settled(&take).unwrap();
    let mut reader = RingReader::open(file.as_fd(), MOST).unwrap();
    drop((file, take));
    writer.push(b"here").unwrap();
    assert_eq!(received(&mut reader), [(b"here".to_vec(), 0)]);

    let take = RingTake::ask(&name).unwrap();
    let answer = offer.answer(writer.as_fd(), |peer| peer.user != asked.user);
    assert_eq!(answer.unwrap(), Some(Asked::Refused(asked)));
    assert!(matches!(settled(&take), Err(RingError::Refused)));
}

#[test]
fn who_asks_and_is_gone_fails_alone() {
    let (writer, name) = (ring(8, 64), name("gone"));
    let offer = RingOffer::bind(&name).unwrap();
    drop(RingTake::ask(&name).unwrap());
    let take = RingTake::ask(&name).unwrap();
    let answer = offer.answer(writer.as_fd(), |_| true).unwrap();
    assert!(matches!(answer, Some(Asked::Failed(_))), "{answer:?}");
    let answer = offer.answer(writer.as_fd(), |_| true).unwrap();
    assert!(matches!(answer, Some(Asked::Given(_))), "{answer:?}");
    assert!(settled(&take).is_ok());
}

#[test]
fn asking_does_not_wait_where_too_many_ask() {
    let name = name("many");
    let offer = RingOffer::bind(&name).unwrap();
    let mut asking = Vec::new();
    let refused = loop {
        match RingTake::ask(&name) {
            Ok(take) => asking.push(take),
            Err(error) => break error,
        }
        assert!(asking.len() < 10_000, "the backlog has an end");
    };
    assert!(refused.to_string().contains("cannot ask for the ring"));
    drop(offer);
    assert!(matches!(settled(&asking[0]), Err(RingError::Refused)));
}

#[test]
fn who_says_something_else_or_hands_nothing_over_offers_no_ring() {
    use std::io::Write as _;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener};

    let path = name("liar");
    let bare = path.to_str().unwrap().strip_prefix('@').unwrap();
    let liar = UnixListener::bind_addr(&SocketAddr::from_abstract_name(bare).unwrap()).unwrap();
    for said in [&b"TWINRING"[..], b"else", b"TWINRINGTWINRING"] {
        let take = RingTake::ask(&path).unwrap();
        liar.accept().unwrap().0.write_all(said).unwrap();
        assert!(matches!(settled(&take), Err(RingError::NoRing)));
    }
}

#[test]
fn a_path_serves_as_well_as_a_name() {
    let path = std::env::temp_dir().join(format!("twinfeed-ring-{}", std::process::id()));
    let (writer, offer) = (ring(4, 8), RingOffer::bind(&path).unwrap());
    let take = RingTake::ask(&path).unwrap();
    offer.answer(writer.as_fd(), |_| true).unwrap();
    let file = settled(&take);
    std::fs::remove_file(&path).unwrap();
    assert!(RingReader::open(file.unwrap().as_fd(), MOST).is_ok());
    assert!(RingTake::ask(&path).is_err());
    assert!(RingTake::ask(Path::new("@")).is_err());
}

/// The other process of the next test: this program again, told by these.
const ROLE: &str = "TWINFEED_RING_TEST_READS_AT";
const STRESS: u64 = 400_000;

/// Datagram `number`: as many words as it says, each of which says it.
fn numbered(number: u64, into: &mut Vec<u8>) {
    into.clear();
    let words = 1 + number % 8;
    (0..words).for_each(|_| into.extend(number.to_ne_bytes()));
}

#[test]
fn another_process_reads_whole_datagrams_and_counts_the_rest() {
    if let Some(name) = std::env::var_os(ROLE) {
        read_elsewhere(Path::new(&name));
        return;
    }
    let (mut writer, name) = (ring(64, 64), name("stress"));
    let offer = RingOffer::bind(&name).unwrap();
    let mut others: Vec<_> = (0..2)
        .map(|_| {
            std::process::Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "another_process_reads_whole_datagrams_and_counts_the_rest",
                ])
                .env(ROLE, &name)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    // Each asks once more when it has opened what it was given.
    let mut given = 0;
    while given < 2 * others.len() {
        let _ = wait([Interest::readable(offer.as_fd())], Some(HANG)).unwrap();
        let answer = offer.answer(writer.as_fd(), |_| true).unwrap();
        given += usize::from(matches!(answer, Some(Asked::Given(_))));
    }
    let mut datagram = Vec::new();
    for number in 0..STRESS {
        numbered(number, &mut datagram);
        writer.push(&datagram).unwrap();
        // Some of it slowly enough to be kept up with, some not.
        if number % 1_000 < 20 {
            std::thread::yield_now();
        }
    }
    drop(writer);
    for other in &mut others {
        assert!(other.wait().unwrap().success());
    }
}

fn read_elsewhere(name: &Path) {
    let file = settled(&RingTake::ask(name).unwrap()).unwrap();
    let mut reader = RingReader::open(file.as_fd(), MOST).unwrap();
    settled(&RingTake::ask(name).unwrap()).unwrap();
    let (mut expected, mut last, mut closed) = (Vec::new(), None, false);
    loop {
        let Some(datagram) = reader.receive().unwrap() else {
            if closed {
                break;
            }
            closed = reader.is_closed();
            std::thread::yield_now();
            continue;
        };
        let number = u64::from_ne_bytes(*datagram.bytes.first_chunk().unwrap());
        numbered(number, &mut expected);
        assert_eq!(datagram.bytes, expected, "torn");
        let due = last.map_or(0, |last: u64| last + 1) + datagram.lost;
        assert_eq!(number, due, "lost {}", datagram.lost);
        last = Some(number);
    }
    assert_eq!(last, Some(STRESS - 1));
}
