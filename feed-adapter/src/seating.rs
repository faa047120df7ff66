//! With what does an adapter ask for its seat, and what does it go by while nobody answers?

use std::net::SocketAddr;
use std::time::Duration;

use tracing::warn;
use twinfeed_control::{
    Assignment, Client, ConfigDigest, LinkState, OfferedStream, REQUEST_TIMEOUT, Register, Sid,
    StopFlag, Transport,
};
use twinfeed_wire::Incarnation;
use twinfeed_wire::link::Role;

use crate::config::{Config, PublishMode};
use crate::error::AdapterError;
use crate::grant::control_role;
use crate::link::driver::BoundLink;
use crate::present::Standing;
use crate::registration::{FirstAttempt, Seat, Verdict};
use crate::state::{Held, StateFile};

/// Takes the seat: from stream-admin, or while that is absent from what was remembered. Also says
/// whether stream-admin has verified it. `None` if a signal came first.
pub(crate) fn take_seat(
    seat: &Seat,
    held: Option<Held>,
    no_wait: bool,
    stop: &StopFlag,
) -> Result<Option<(Assignment, bool)>, AdapterError> {
    let absent = match seat.attempt() {
        Ok(FirstAttempt::Seated(assignment)) => return Ok(Some((*assignment, true))),
        Ok(FirstAttempt::Absent(error)) if no_wait => return Err(error.into()),
        Ok(FirstAttempt::Absent(error)) => error,
        // What is remembered outlives a refusal, but not that the seat is somebody else's, nor that what
        // would be sent differs from what the living peer sends under the same numbers.
        Err(error @ twinfeed_control::Error::ConfigMismatch { .. }) => return Err(error.into()),
        Err(error) if held.is_some() && Verdict::of(&error) != Verdict::Replaced => error,
        Err(error) => return Err(error.into()),
    };
    if let Some(held) = held {
        let Assignment {
            generation, role, ..
        } = held.assignment;
        warn!(%generation, %role, "{absent}; resuming from the remembered grant, unverified");
        return Ok(Some((held.assignment, false)));
    }
    let told = |error: &twinfeed_control::Error, delay: Duration| {
        warn!(
            retry_in_ms = delay.as_millis() as u64,
            "{error}; nothing is remembered: waiting"
        );
    };
    Ok(seat.wait(stop, told)?.map(|assignment| (assignment, true)))
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
        link_address: link.local_addr(),
        operations_address: None,
        generation_held: held.map(|held| held.assignment.generation),
        unverified: false,
    }
}

pub(crate) fn standing(config: &Config) -> Standing {
    Standing {
        generation: twinfeed_control::Generation(0),
        role: control_role(config.role),
        sync_threshold: config.pair.sync_threshold,
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
