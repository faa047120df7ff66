//! Does every stream say of itself what is true?
//!
//! Each process numbers the datagrams of a stream one by one, and its records too: neither a heartbeat (RM-12) nor a
//! source message that converts to nothing (RM-10) takes the number of a record. Complete is the context of whoever
//! converted the epoch from its first number on, without a hole (RM-9a).
//!
//! Where a numbering begins anew is known: with another process, with another generation, with a numbering that a backup
//! takes over, and behind what a backup withholds.

use std::collections::BTreeMap;

use twinfeed_protocol::Leg;
use twinfeed_wire::{Adm, BodyKind, Datagram, Dsn, Epoch, Flags, Generation, Incarnation, Msn};
use twinfeed_wire::{Header, Sid};

use super::witness::Judgement;
use crate::world::exchange::Life;

/// Where every stream stands.
#[derive(Debug, Default)]
pub struct Streams {
    at: BTreeMap<(usize, Sid), At>,
}

/// Where one stream stands, as its datagrams say.
#[derive(Clone, Copy, Debug)]
pub struct At {
    incarnation: Incarnation,
    dsn: Dsn,
    /// Of its last datagram.
    pub epoch: Epoch,
    generation: Generation,
    /// The number of the next record, and how many administrative messages stand before it; not known where a numbering
    /// begins.
    pub next: Option<(Msn, Adm)>,
    /// Its last datagram said that it withholds records.
    silent: bool,
    /// How often it took over another numbering among the records that it withheld: sent after all, they show where.
    withheld: u32,
}

impl Streams {
    /// The adapter of `leg` sends a datagram; `life`: the source's own account of that epoch.
    ///
    /// # Errors
    /// What is not true of it.
    pub fn note(&mut self, leg: Leg, datagram: &Datagram<'_>, life: Option<&Life>) -> Judgement {
        let header = datagram.header();
        let name = || format!("adapter {leg} sid {}", header.sid);
        let whole = life.is_some_and(|life| header.first == life.first) && header.abandoned == 0;
        if header.is_complete() && !whole {
            return Err(format!(
                "{} calls a context complete that began with {} and lacks {}",
                name(),
                header.first,
                header.abandoned
            ));
        }
        let key = (leg.index(), header.sid);
        let before = self.at.get(&key);
        let before = before.filter(|at| at.incarnation == header.incarnation);
        if let Some(at) = before.filter(|at| at.dsn.0 + 1 != header.dsn.0) {
            return Err(format!(
                "{}: datagram {} behind {}",
                name(),
                header.dsn,
                at.dsn
            ));
        }
        let known = before.filter(|at| at.generation == header.generation);
        let next = known.and_then(|at| at.next);
        // What is withheld is of whatever generation it was converted under.
        let mut withheld = before.map_or(0, |at| at.withheld);
        if let Some((msn, _)) = next.filter(|(msn, _)| *msn != header.first_msn) {
            if withheld == 0 {
                return Err(format!(
                    "{}: msn {} in datagram {}, {msn} is the next",
                    name(),
                    header.first_msn,
                    header.dsn
                ));
            }
            withheld -= 1;
        }
        let silent = header.flags.has(Flags::STANDBY);
        let at = At {
            incarnation: header.incarnation,
            dsn: header.dsn,
            epoch: header.epoch,
            generation: header.generation,
            next: (!silent).then(|| behind(header, datagram)),
            silent,
            withheld,
        };
        self.at.insert(key, at);
        Ok(())
    }

    /// The adapter of `leg` takes over another numbering.
    pub fn note_renumbered(&mut self, leg: Leg, sid: Sid) {
        if let Some(at) = self.at.get_mut(&(leg.index(), sid)) {
            at.next = None;
            at.withheld += u32::from(at.silent);
        }
    }

    /// The process of `leg` is gone.
    pub fn note_death(&mut self, leg: Leg) {
        self.at.retain(|&(index, _), _| index != leg.index());
    }

    /// Where the stream of a leg stands.
    #[must_use]
    pub fn at(&self, leg: Leg, sid: Sid) -> Option<At> {
        self.at.get(&(leg.index(), sid)).copied()
    }
}

/// What follows the records of a datagram.
fn behind(header: &Header, datagram: &Datagram<'_>) -> (Msn, Adm) {
    let (mut msn, mut adm) = (header.first_msn, header.base_adm);
    for record in datagram.records() {
        let itself = u64::from(record.kind == BodyKind::Administrative);
        (msn, adm) = (msn.plus(1), Adm(record.adm.0 + itself));
    }
    (msn, adm)
}
