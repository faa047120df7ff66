//! No space for state, at stream-admin, both adapters and every subscriber at once, while roles are to change. What cannot
//! be written is not done, and says so; data needs no disk. With space, everything goes on by itself.

use std::time::Duration;

use twinfeed_control::{RoleAction, RoleOrder, RoleOutcome};
use twinfeed_harness::process::{Seen, until};
use twinfeed_harness::{Error, Seat, notices};

use super::{Evidence, Fault, LIMIT, Scene};
use crate::lab::SUBSCRIBERS;

/// It.
#[derive(Debug)]
pub(super) struct Full;

impl Fault for Full {
    fn strike(&mut self, scene: &mut Scene, turn: usize) -> Result<Vec<Evidence>, Error> {
        let taken = volume(scene)?.fill()?;
        // What the adapters remember changes with the roles, what stream-admin remembers grows with orders.
        hands_over(scene, &format!("full-{turn}"))?;
        let generation = scene.rig.feed()?.pair.generation;
        let refused = refused_orders(scene, turn)?;
        let again = hands_over(scene, &format!("full-{turn}-again"))?;
        let flow = scene.flows(SPAN, SUBSCRIBERS);
        let after = scene.rig.feed()?.pair.generation;
        volume(scene)?.free()?;
        let flow = flow?;
        // A generation that is not on the disk is none.
        if !again && after != generation {
            return Err(Error::Run {
                key: "disk-full",
                fault: format!("refused, and {after} follows {generation}"),
            });
        }
        let stop = scene.stop.clone();
        let mut attempt = 0;
        until("roles change again", LIMIT, &stop, || {
            attempt += 1;
            let key = format!("free-{turn}-{attempt}");
            Ok(match hands_over(scene, &key)? {
                true => Seen::Met(()),
                false => Seen::NotYet(format!("attempt {attempt}: {:?}", scene.rig.feed()?.pair)),
            })
        })?;
        Ok(vec![
            Evidence::of("bytes taken", taken),
            Evidence::of("orders refused", refused),
            Evidence::of("complaints of adapters", complaints(scene)?),
            Evidence::of("hand-overs later", 1),
            flow,
        ])
    }
}

fn volume(scene: &Scene) -> Result<&crate::lab::Volume, Error> {
    let missing = || Error::Run {
        key: "disk-full",
        fault: "the state has no file system of its own".to_owned(),
    };
    scene.volume.as_ref().ok_or_else(missing)
}

/// Orders a hand-over; whether it is done.
fn hands_over(scene: &Scene, key: &str) -> Result<bool, Error> {
    let order = RoleOrder {
        key: key.to_owned(),
        feed: scene.rig.feed_name(),
        action: RoleAction::HandOver { force: false },
        // Longer than a hand-over may take.
        wait_ms: 11_000,
    };
    let change = scene.rig.operator(LIMIT)?.order_roles(&order);
    Ok(match change {
        Ok(change) => matches!(change.outcome, RoleOutcome::Done { .. }),
        // Refused at once: nothing can be written down.
        Err(_) => false,
    })
}

/// Orders messages until stream-admin refuses one, because it cannot write it down.
fn refused_orders(scene: &Scene, turn: usize) -> Result<u64, Error> {
    let operator = scene.rig.operator(LIMIT)?;
    for number in 0..MOST_ORDERS {
        let text = format!("{turn}-{number}-{}", "x".repeat(LONG_TEXT));
        let order = notices::order(scene.rig.feed_name(), &text, Duration::ZERO);
        if operator.order(&order).is_err() {
            return Ok(1);
        }
    }
    Ok(0)
}

/// How often the adapters have said that there is no space.
fn complaints(scene: &Scene) -> Result<u64, Error> {
    let mut count = 0;
    for seat in Seat::BOTH {
        let path = scene.rig.files().path(&format!("{}.log", seat.binary()));
        let log = std::fs::read_to_string(&path).map_err(|source| Error::File {
            action: "read",
            path,
            source,
        })?;
        count += log.matches("No space left").count() as u64;
    }
    Ok(count)
}

/// Enough for a store to need another page of its file.
const MOST_ORDERS: usize = 400;
/// Bytes of a message, within what an adapter sends.
const LONG_TEXT: usize = 200;
/// Longer than a lease is renewed in.
const SPAN: Duration = Duration::from_secs(2);
