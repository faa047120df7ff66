//! With what does an adapter ask for its seat, and what does it go by while nobody answers?

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tracing::warn;
use twinfeed_control::{
    Assignment, Backoff, Client, ConfigDigest, Error, LinkState, OfferedStream, REQUEST_TIMEOUT,
    Register, Sid, StopFlag, Transport,
};
use twinfeed_wire::Incarnation;
use twinfeed_wire::link::Role;

use crate::config::{Config, PublishMode};
use crate::error::AdapterError;
use crate::grant::control_role;
use crate::link::driver::BoundLink;
use crate::present::Standing;
use crate::registration::{SHORTEST_DELAY, Seat, Verdict};
use crate::state::{Held, StateFile};

/// Takes the seat: from stream-admin, or while that is absent from what was remembered. Also says
/// whether stream-admin has verified it. `None` if a signal came first.
pub(crate) fn take_seat(
    seat: &Seat,
    held: Option<&Held>,
    no_wait: bool,
    stop: &StopFlag,
) -> Result<Option<(Assignment, bool)>, AdapterError> {
    let mut asking = Asking {
        remembers: held.is_some(),
        no_wait,
        undecided_until: Duration::ZERO,
        backoff: seat.backoff(),
    };
    let begun = Instant::now();
    loop {
        let error = match seat.attempt() {
            Ok(assignment) => return Ok(Some((assignment, true))),
            Err(error) => error,
        };
        match (asking.after(&error, begun.elapsed()), held) {
            (Next::Resume, Some(held)) => {
                let assignment = held.assignment.clone();
                let (generation, role) = (assignment.generation, assignment.role);
                warn!(%generation, %role, "{error}; resuming from the remembered grant, unverified");
                return Ok(Some((assignment, false)));
            }
            (Next::End | Next::Resume, _) => return Err(error.into()),
            (Next::Wait(delay), held) => {
                let retry_in_ms = delay.as_millis() as u64;
                match held {
                    Some(_) => warn!(retry_in_ms, "{error}; waiting, nothing is resumed yet"),
                    None => warn!(retry_in_ms, "{error}; nothing is remembered: waiting"),
                }
                if stop.wait(delay) {
                    return Ok(None);
                }
            }
        }
    }
}

/// An adapter that has no seat yet, and what a failed attempt means to it:
///
/// | | nothing is remembered | a grant is |
/// |---|---|---|
/// | the living peer converts differently, or the seat is another's | end | end |
/// | *undecided*: a peer that converted differently may still live | wait | wait |
/// | stream-admin is absent, or cannot serve | wait | resume, once nothing is undecided |
/// | any other refusal | end | resume, once nothing is undecided |
///
/// With `--no-wait`, every *wait* in the left column is an end, and so is what is absent or undecided in
/// the right one. What is remembered outlives a refusal, but not that what would be sent differs from what
/// a living peer sends under the same numbers; so while it is undecided whether one lives, an absence is
/// waited out as well, up to the moment at which stream-admin would have known.
#[derive(Debug)]
struct Asking {
    remembers: bool,
    no_wait: bool,
    /// Since the first attempt; what was told last.
    undecided_until: Duration,
    backoff: Backoff,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    End,
    Resume,
    Wait(Duration),
}

impl Asking {
    fn after(&mut self, error: &Error, now: Duration) -> Next {
        let undecided = matches!(error, Error::Undecided { .. });
        if let Error::Undecided { retry_in, .. } = error {
            self.undecided_until = now.saturating_add(*retry_in);
        }
        let passing = error.is_worth_retrying();
        let contradicted = matches!(error, Error::ConfigMismatch { .. });
        if contradicted
            || Verdict::of(error) == Verdict::Replaced
            || passing && self.no_wait
            || !passing && !self.remembers
        {
            return Next::End;
        }
        let left = self.undecided_until.saturating_sub(now);
        if self.remembers && !undecided && left.is_zero() {
            return Next::Resume;
        }
        let delay = self.backoff.next_delay();
        Next::Wait(match left.is_zero() {
            true => delay,
            false => delay.min(left.max(SHORTEST_DELAY)),
        })
    }
}

/// What was remembered, if it can be used.
pub(crate) fn held(state: &StateFile, config: &Config) -> Option<Held> {
    match state.load(&config.feed, control_role(config.role)) {
        Ok(held) => {
            held.filter(|held| held.covers(config.sources.iter().map(|source| Sid(source.sid.0))))
        }
        Err(error) => {
            warn!("{error}");
            None
        }
    }
}

pub(crate) fn client(config: &Config) -> Result<Client, AdapterError> {
    let admin = &config.stream_admin;
    let mut builder = Client::builder(&admin.url).timeout(REQUEST_TIMEOUT);
    if let Some(path) = &admin.token_file {
        builder = builder.token_file(path);
    }
    if let Some(path) = &admin.ca_file {
        builder = builder.ca_file(path);
    }
    Ok(builder.build()?)
}

pub(crate) fn register(
    config: &Config,
    incarnation: Incarnation,
    link: &BoundLink,
    source: SocketAddr,
    held: Option<&Held>,
) -> Register {
    let transport = |group: Option<[SocketAddr; 2]>| match (group, config.role) {
        (Some([group, _]), Role::Active) | (Some([_, group]), Role::Backup)
            if config.publish.mode == PublishMode::Multicast =>
        {
            Transport::Multicast {
                group,
                source: Some(source.ip()),
                interface: None,
            }
        }
        _ => Transport::Unicast { source },
    };
    let streams = config.sources.iter().map(|of| OfferedStream {
        sid: Sid(of.sid.0),
        transport: transport(of.group),
    });
    Register {
        feed: config.feed.clone(),
        preferred_role: control_role(config.role),
        incarnation: twinfeed_control::Incarnation(incarnation.0),
        config_digest: ConfigDigest(config.digest()),
        streams: streams.collect(),
        link_address: config
            .host
            .link_advertised
            .unwrap_or_else(|| link.local_addr()),
        operations_address: None,
        fills: None,
        snapshots: None,
        ring: None,
        generation_held: held.map(|held| held.assignment.generation),
        unverified: false,
    }
}

pub(crate) fn standing(config: &Config) -> Standing {
    Standing {
        generation: twinfeed_control::Generation(0),
        role: control_role(config.role),
        sync_threshold: config.pair.sync_threshold,
        transmit: config.pair.transmit,
        link: LinkState::Connecting,
        reason: "nobody was there yet".to_owned(),
        peer_lost: false,
        draining: false,
        unverified: false,
        admin_up: false,
        refusal: String::new(),
        outdated: String::new(),
    }
}

/// A number that no process had before, nor will have.
pub(crate) fn incarnation() -> Result<Incarnation, AdapterError> {
    use std::io::Read as _;
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(AdapterError::system("read /dev/urandom"))?;
    Ok(Incarnation(u64::from_le_bytes(bytes) | 1))
}

#[cfg(test)]
mod tests {
    use twinfeed_control::BACKOFF_CEILING;

    use super::*;

    fn asking(remembers: bool, no_wait: bool) -> Asking {
        Asking {
            remembers,
            no_wait,
            undecided_until: Duration::ZERO,
            backoff: Backoff::with_seed(1),
        }
    }

    fn words() -> (String, String) {
        ("m".to_owned(), "r".to_owned())
    }

    fn undecided(for_ms: u64) -> Error {
        let (message, remedy) = words();
        Error::Undecided {
            message,
            remedy,
            retry_in: ms(for_ms),
        }
    }

    fn absent() -> Error {
        let (url, cause) = words();
        Error::Unreachable { url, cause }
    }

    fn mismatch() -> Error {
        let (message, remedy) = words();
        Error::ConfigMismatch { message, remedy }
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn waits(next: Next) -> bool {
        matches!(next, Next::Wait(_))
    }

    #[test]
    fn an_absence_is_waited_out_or_bridged_by_what_is_remembered() {
        assert!(waits(asking(false, false).after(&absent(), ms(0))));
        assert_eq!(asking(true, false).after(&absent(), ms(0)), Next::Resume);
        for remembers in [false, true] {
            assert_eq!(asking(remembers, true).after(&absent(), ms(0)), Next::End);
        }
    }

    #[test]
    fn a_refusal_ends_what_remembers_nothing_and_a_contradiction_everything() {
        let (message, remedy) = words();
        let refused = Error::Unauthenticated { message, remedy };
        let (message, remedy) = words();
        let replaced = Error::Conflict { message, remedy };
        assert_eq!(asking(false, false).after(&refused, ms(0)), Next::End);
        assert_eq!(asking(true, false).after(&refused, ms(0)), Next::Resume);
        for remembers in [false, true] {
            for error in [&replaced, &mismatch()] {
                assert_eq!(asking(remembers, false).after(error, ms(0)), Next::End);
            }
        }
    }

    #[test]
    fn nothing_is_resumed_while_it_is_undecided_whether_a_peer_lives_that_converts_differently() {
        let mut asking = asking(true, false);
        // As long as stream-admin says so, and not only for as long as it said first.
        assert!(waits(asking.after(&undecided(7_000), ms(0))));
        assert!(waits(asking.after(&undecided(0), ms(7_000))));
        assert!(waits(asking.after(&undecided(7_000), ms(8_000))));
        // It went away again: up to the end that it named, and no longer.
        assert!(waits(asking.after(&absent(), ms(14_999))));
        assert_eq!(asking.after(&absent(), ms(15_000)), Next::Resume);
        assert_eq!(asking.after(&mismatch(), ms(15_000)), Next::End);
    }

    #[test]
    fn no_wait_for_a_decision_goes_beyond_it_and_none_is_a_spin() {
        let mut asking = asking(true, false);
        for left in [0, 1, 49, 51, 1_000, 60_000] {
            let Next::Wait(delay) = asking.after(&undecided(left), ms(5)) else {
                panic!("it does not wait at {left} ms");
            };
            assert!(delay >= SHORTEST_DELAY, "{left}: {delay:?}");
            assert!(
                left == 0 || delay <= ms(left).max(SHORTEST_DELAY),
                "{left}: {delay:?}"
            );
        }
        let Next::Wait(delay) = asking.after(&undecided(u64::MAX), ms(5)) else {
            panic!("it does not wait");
        };
        assert!(delay <= BACKOFF_CEILING, "it asks again before: {delay:?}");
        let mut hasty = self::asking(true, true);
        assert_eq!(hasty.after(&undecided(7_000), ms(0)), Next::End);
    }
}
