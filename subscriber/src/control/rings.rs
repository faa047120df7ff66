//! Which legs come from this host, and may they be read from their adapters' rings?
//!
//! A grant names the ring of an adapter that has one, and its host. Where that is this one, the ring is asked for, on the thread that may
//! block, and handed to the poller, which decides when to read it. What cannot be had is asked for again now and then; meanwhile, and
//! for ever, the leg comes by its sockets.

use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use twinfeed_control::{Grant, OfferedRing, Selection};
use twinfeed_net::host;
use twinfeed_net::ring::{RingReader, RingTake};
use twinfeed_net::wait::{Interest, wait};
use twinfeed_protocol::{Leg, Limits};
use twinfeed_wire::Sid;

use super::{Control, plan};
use crate::queue::{Command, ControlEnd, Plan};
use crate::ring::LegRing;

/// What is known of both legs' rings.
#[derive(Debug)]
pub(super) struct Rings {
    /// This host's boot, and the users whose rings are read; `None`: no ring is.
    here: Option<(String, Vec<u32>)>,
    legs: [Known; 2],
}

#[derive(Debug, Default)]
struct Known {
    /// What is granted, with the life of its adapter.
    offered: Option<(u64, OfferedRing)>,
    /// Whether the poller has it.
    told: bool,
    /// Not before then is it asked for again.
    again: Option<Instant>,
    trouble: Option<String>,
}

impl Rings {
    /// `users`: whose rings are read beside this process's own and root's; `None`: none is.
    pub(super) fn new(users: Option<Vec<u32>>) -> Self {
        let here = users.and_then(|mut users| {
            users.push(0);
            users.push(host::user().ok()?);
            Some((host::boot_id().ok()?, users))
        });
        Self {
            here,
            legs: Default::default(),
        }
    }

    /// Why a ring that is offered on this host cannot be had.
    fn trouble(&self) -> Option<String> {
        let of = |leg: Leg| {
            let trouble = self.legs[leg.index()].trouble.as_ref()?;
            Some(format!("the ring of leg {leg}: {trouble}"))
        };
        let all: Vec<String> = Leg::BOTH.into_iter().filter_map(of).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Makes the poller's rings what the grant says, as far as they can be had.
    fn tend(
        &mut self,
        grant: &Grant,
        (selection, limits): (&Selection, &Limits),
        end: &ControlEnd,
    ) {
        let Some((here, users)) = &self.here else {
            return;
        };
        for leg in Leg::BOTH {
            let known = &mut self.legs[leg.index()];
            let granted = grant.legs.iter().find(|it| plan::leg_of(it.leg) == leg);
            let offered = granted.and_then(|it| {
                let ring = it.ring.as_ref().filter(|ring| ring.host == *here)?;
                Some((it.incarnation?.0, ring.clone()))
            });
            if known.offered != offered {
                if known.told && !tell(end, leg, None) {
                    continue;
                }
                *known = Known {
                    offered,
                    ..Known::default()
                };
            }
            let Some((incarnation, ring)) = &known.offered else {
                continue;
            };
            let due = known.again.is_none_or(|at| at <= Instant::now());
            if known.told || !due || !end.has_room() {
                continue;
            }
            match take(ring, *incarnation, users) {
                Ok(reader) => {
                    let only = match selection {
                        Selection::All => None,
                        Selection::Only(sids) => Some(sids.iter().map(|sid| Sid(sid.0)).collect()),
                    };
                    let ring = LegRing::new(leg, reader, only, limits);
                    known.told = tell(end, leg, Some(ring));
                    known.trouble = None;
                }
                Err(why) => {
                    known.trouble = Some(format!("at {}: {why}", ring.name));
                    known.again = Some(Instant::now() + AGAIN);
                }
            }
        }
    }
}

/// Whether the poller had room to be told.
fn tell(end: &ControlEnd, leg: Leg, ring: Option<LegRing>) -> bool {
    let plan = Plan {
        rings: vec![(leg, ring)],
        ..Plan::default()
    };
    end.command(Command::Plan(Box::new(plan))).is_ok()
}

/// Asks for a ring, and opens it if it is the one that was granted.
fn take(ring: &OfferedRing, incarnation: u64, users: &[u32]) -> Result<RingReader, String> {
    let text = |error: twinfeed_net::ring::RingError| error.to_string();
    let asked = RingTake::ask(Path::new(&ring.name)).map_err(text)?;
    let user = asked.peer().map_err(text)?.user;
    if !users.contains(&user) {
        return Err(format!(
            "user {user} offers it, whom this application does not trust; `ring_users` says whom it does"
        ));
    }
    let begun = Instant::now();
    let file = loop {
        if let Some(file) = asked.poll().map_err(text)? {
            break file;
        }
        let left = ANSWER_WITHIN.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(format!(
                "the adapter did not answer within {ANSWER_WITHIN:?}"
            ));
        }
        let interest = [Interest::readable(asked.as_fd())];
        // Ready or not: the next look tells.
        let _ = wait(interest, Some(left)).map_err(|error| error.to_string())?;
    };
    let reader = RingReader::open(file.as_fd(), RingReader::DEFAULT_MOST_BYTES).map_err(text)?;
    if reader.incarnation() != incarnation {
        return Err("it is of another life of the adapter than the granted one".to_owned());
    }
    Ok(reader)
}

impl Control {
    /// Hands the poller what can be read from shared memory.
    pub(super) fn tend_rings(&mut self) {
        let Some(grant) = self.grant.as_ref().filter(|_| self.in_force) else {
            return;
        };
        let limits = Limits {
            // A lower one changes nothing: adapters send as they were configured.
            max_datagram: self.ledger.longest(),
            ..plan::limits(&grant.constraints, &self.settings.tuning)
        };
        let wants = (&self.settings.selection, &limits);
        self.rings.tend(grant, wants, &self.end);
        self.monitor.set_ring(self.rings.trouble());
    }
}

/// How long an adapter may take to hand its ring over.
const ANSWER_WITHIN: Duration = Duration::from_millis(250);
/// How long until a ring that could not be had is asked for again.
const AGAIN: Duration = Duration::from_secs(10);
