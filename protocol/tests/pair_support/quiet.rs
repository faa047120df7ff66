//! What the cases of a quiet feed share: two ends with a message whose slot is not reached.

use twinfeed_protocol::pair::{Answer, Intent, PairLimits, Said};
use twinfeed_wire::Msn;

use super::{Act, End, carry, misplaced, synchronised, talk};

/// `admin_hold`, in ticks.
pub(crate) const PATIENCE: u64 = 5_000;
/// `slot_hold`, in ticks.
pub(crate) const HOLD: u64 = 500;
/// When the slot was agreed to.
pub(crate) const AGREED: u64 = 302;
/// When it is proposed at the earliest.
pub(crate) const DUE: u64 = AGREED + PATIENCE;

/// Both stand behind record 39, with `count` messages agreed to further on.
pub(crate) fn agreed(count: usize, acts: &[Act]) -> [End; 2] {
    let mut ends = synchronised(PairLimits::default(), acts, 20);
    for tick in [151, 301] {
        // As fast as a feed whose slots lie some records ahead.
        ends.iter_mut().for_each(|end| end.work(tick, acts, 10));
        talk(tick, &mut ends);
    }
    for _ in 0..count {
        assert!(ends[0].originate(AGREED));
    }
    talk(AGREED, &mut ends);
    assert!(ends.iter().all(|end| end.sequencer.armed() == count));
    assert!(ends.iter().all(End::is_protected));
    // Reports go on while nothing else does.
    for tick in (AGREED + 1_000..DUE).step_by(1_000) {
        ends.iter_mut().for_each(|end| end.settle(tick));
        talk(tick, &mut ends);
    }
    ends
}

/// The active has proposed the next slot, and the backup has accepted it; the answer is on its way.
pub(crate) fn holding(count: usize, acts: &[Act]) -> [End; 2] {
    let mut ends = agreed(count, acts);
    let [active, backup] = &mut ends;
    active.settle(DUE);
    carry(DUE, 0, active, backup);
    backup.hear(DUE);
    assert!(backup.pair.is_holding());
    ends
}

/// The held intent among what `end` has said.
pub(crate) fn proposal(end: &End) -> Option<Intent> {
    end.out.said.iter().find_map(|said| match said {
        Said::Intent(intent) if intent.hold => Some(**intent),
        _ => None,
    })
}

pub(crate) fn answer(end: &End) -> Option<Answer> {
    end.out.said.iter().rev().find_map(|said| match said {
        Said::Answer(answer) => Some(*answer),
        _ => None,
    })
}

pub(crate) fn settled(end: &End) -> Vec<bool> {
    let mut all = Vec::new();
    for said in &end.out.said {
        if let Said::Settled(settled) = said {
            all.push(settled.commit);
        }
    }
    all
}

pub(crate) fn hand_over(from: &mut End, to: &mut End, tick: u64) {
    carry(tick, 0, from, to);
    to.hear(tick);
}

pub(crate) fn first_slot(end: &End) -> Option<Msn> {
    end.sequencer.waiting().next().map(|(slot, _, _)| slot)
}

/// Both go on, and end up as one with every message at one place.
pub(crate) fn both_go_on(tick: u64, acts: &[Act], ends: &mut [End; 2]) {
    for step in 0..40 {
        let tick = tick + step * 1_000;
        for end in ends.iter_mut() {
            end.heedless = false;
            end.work(tick, acts, 20);
        }
        talk(tick, ends);
    }
    let [one, other] = &*ends;
    assert!(misplaced(one, other).is_empty());
    assert!(one.is_protected() && other.is_protected());
    assert_eq!(one.sequencer.adm(), other.sequencer.adm());
}
