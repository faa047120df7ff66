//! Which administrative messages wait for their slot?
//!
//! ```text
//!  next msn ──►      slot 104: number 7      slot 104: number 8      slot 260: number 9
//!                    placed in order of number, each at its slot or, where a source message
//!                    straddles it, at the first place between messages behind it
//! ```
//!
//! Who announced them and who agreed is not known here; what stands here will be placed.

use std::collections::VecDeque;

use twinfeed_wire::{Adm, Msn, StoredAdmin};

/// Most administrative messages of one stream that wait for their slots.
pub const MOST_ARMED: usize = 16;

/// One that waits.
#[derive(Clone, Debug)]
pub(super) struct Armed {
    pub(super) slot: Msn,
    pub(super) message: StoredAdmin,
    /// Whether the peer is known to place it at the same slot.
    pub(super) agreed: bool,
}

/// Those that wait, in order of number.
#[derive(Debug)]
pub(super) struct Agenda {
    armed: VecDeque<Armed>,
    /// Slot of the first one, [`NEVER`] without any: looked at for every message.
    next: Msn,
}

/// A slot that no numbering reaches.
const NEVER: Msn = Msn(u64::MAX);

impl Agenda {
    pub(super) fn new() -> Self {
        Self {
            armed: VecDeque::with_capacity(MOST_ARMED),
            next: NEVER,
        }
    }

    /// Appends one; `false` when [`MOST_ARMED`] wait. Its slot is never before the one of the number before.
    pub(super) fn push(&mut self, armed: Armed) -> bool {
        if self.armed.len() >= MOST_ARMED {
            return false;
        }
        self.armed.push_back(armed);
        self.settle();
        true
    }

    /// Moves the one with `number` to another slot. `false`: it does not wait any more.
    pub(super) fn reschedule(&mut self, number: Adm, slot: Msn, agreed: bool) -> bool {
        let Some(armed) = self.find(number) else {
            return false;
        };
        (armed.slot, armed.agreed) = (slot, agreed);
        self.settle();
        true
    }

    /// Notes that the peer places `number` at the same slot; `false`: it does not wait any more.
    pub(super) fn agree(&mut self, number: Adm) -> bool {
        self.find(number).is_some_and(|armed| {
            armed.agreed = true;
            true
        })
    }

    /// The numbering may not be the peer's any more: nothing is known to be placed there too.
    pub(super) fn doubt(&mut self) {
        for armed in &mut self.armed {
            armed.agreed = false;
        }
    }

    /// Slot of the first that waits; beyond every number without any.
    pub(super) const fn next(&self) -> Msn {
        self.next
    }

    /// Takes the first, whatever its slot.
    pub(super) fn take(&mut self) -> Option<Armed> {
        let armed = self.armed.pop_front();
        self.settle();
        armed
    }

    /// Where `number` waits.
    pub(super) fn slot(&self, number: Adm) -> Option<Msn> {
        let armed = self.armed.iter().find(|it| it.message.number() == number);
        armed.map(|armed| armed.slot)
    }

    /// Slot of the last that waits.
    pub(super) fn last_slot(&self) -> Option<Msn> {
        self.armed.back().map(|armed| armed.slot)
    }

    pub(super) fn len(&self) -> usize {
        self.armed.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Armed> {
        self.armed.iter()
    }

    /// Forgets all; returns how many.
    pub(super) fn clear(&mut self) -> usize {
        let dropped = self.armed.len();
        self.armed.clear();
        self.settle();
        dropped
    }

    /// Another numbering: what was `from` counts as `to`, and every slot keeps its distance.
    pub(super) fn renumber(&mut self, from: Msn, to: Msn) {
        for armed in &mut self.armed {
            armed.slot = Msn(to.0.saturating_add(armed.slot.0.saturating_sub(from.0)));
        }
        self.settle();
    }

    fn find(&mut self, number: Adm) -> Option<&mut Armed> {
        let mut armed = self.armed.iter_mut();
        armed.find(|it| it.message.number() == number)
    }

    fn settle(&mut self) {
        self.next = self.armed.front().map_or(NEVER, |armed| armed.slot);
    }
}
