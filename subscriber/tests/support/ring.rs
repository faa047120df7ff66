//! An adapter's ring by hand: what a leg sends stands in it first.

use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;

use twinfeed_control::OfferedRing;
use twinfeed_net::ring::{Asked, RingConfig, RingOffer, RingWriter};

/// Who hands a ring out; dropping it ends that, and the ring stays.
#[derive(Debug)]
pub struct Offer {
    pub offered: OfferedRing,
    pub asked: Arc<AtomicU32>,
    over: Arc<AtomicBool>,
    answers: Option<JoinHandle<()>>,
}

/// A ring of so many slots under a name of its own, offered to everybody or nobody.
pub fn offer(incarnation: u64, slots: usize, admit: bool) -> (RingWriter, Offer) {
    let config = RingConfig::new(incarnation).slots(slots);
    let ring = RingWriter::create(&config).unwrap();
    let file = ring.as_fd().try_clone_to_owned().unwrap();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("@twinfeed-test/{}/{number}", std::process::id());
    let place = RingOffer::bind(&PathBuf::from(&name)).unwrap();
    let (over, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU32::new(0)),
    );
    let (ending, counting) = (Arc::clone(&over), Arc::clone(&asked));
    let answers = std::thread::spawn(move || {
        while !ending.load(Ordering::Relaxed) {
            match place.answer(file.as_fd(), |_| admit).unwrap() {
                None => std::thread::yield_now(),
                Some(Asked::Failed(peer)) => panic!("{peer:?} was not given the ring"),
                Some(_) => drop(counting.fetch_add(1, Ordering::Relaxed)),
            }
        }
    });
    let host = twinfeed_net::host::boot_id().unwrap();
    let offered = OfferedRing { host, name };
    let offer = Offer {
        offered,
        asked,
        over,
        answers: Some(answers),
    };
    (ring, offer)
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(answers) = self.answers.take() {
            let answered = answers.join();
            assert!(answered.is_ok() || std::thread::panicking());
        }
    }
}
