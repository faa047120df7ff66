//! The table of `pair`, row by row, and the property that no order of events breaks.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const A: LegIndex = LegIndex::ACTIVE;
const B: LegIndex = LegIndex::BACKUP;
const LEASE: u64 = 100;
const GONE: TakeoverCause = TakeoverCause::PeerGone;

fn claim(
    pair: &mut Pair,
    leg: LegIndex,
    incarnation: u64,
    at: u64,
) -> Result<Outcome, ClaimRefused> {
    held(pair, leg, incarnation, 0, at)
}

fn held(
    pair: &mut Pair,
    leg: LegIndex,
    incarnation: u64,
    held: u32,
    at: u64,
) -> Result<Outcome, ClaimRefused> {
    let incarnation = Incarnation(incarnation);
    pair.claim(
        Claim {
            leg,
            incarnation,
            held: Generation(held),
        },
        Now(at),
        LEASE,
    )
}

fn stands(pair: &Pair, generation: u32, active: LegIndex) {
    assert_eq!(pair.generation(), Generation(generation));
    assert_eq!(pair.role(active), Some(Role::Active));
    assert_eq!(pair.role(active.other()), Some(Role::Backup));
}

fn both_registered() -> Pair {
    let mut pair = Pair::default();
    assert_eq!(claim(&mut pair, A, 1, 0), Ok(Outcome::Raised));
    assert_eq!(claim(&mut pair, B, 2, 0), Ok(Outcome::Joined));
    stands(&pair, 1, A);
    pair
}

#[test]
fn first_registrations_share_generation_1_in_either_order() {
    let mut pair = Pair::default();
    assert_eq!(claim(&mut pair, B, 2, 0), Ok(Outcome::Raised));
    stands(&pair, 1, A);
    assert_eq!(claim(&mut pair, A, 1, 500), Ok(Outcome::Joined));
    stands(&pair, 1, A);
    both_registered();
}

#[test]
fn registering_again_within_the_lease_changes_nothing() {
    let mut pair = both_registered();
    assert_eq!(claim(&mut pair, A, 1, LEASE - 1), Ok(Outcome::Kept));
    stands(&pair, 1, A);
}

#[test]
fn registering_again_after_the_lease_makes_the_living_peer_active() {
    let mut pair = both_registered();
    assert!(pair.renew(B, Incarnation(2), Now(50), LEASE));
    assert_eq!(claim(&mut pair, A, 1, LEASE), Ok(Outcome::Raised));
    stands(&pair, 2, B);
}

#[test]
fn a_restarted_active_comes_back_as_backup() {
    let mut pair = both_registered();
    assert_eq!(claim(&mut pair, A, 3, 1), Ok(Outcome::Raised));
    stands(&pair, 2, B);
    assert_eq!(
        claim(&mut pair, A, 1, 2),
        Err(ClaimRefused::Replaced(Incarnation(1)))
    );
    assert!(!pair.renew(A, Incarnation(1), Now(2), LEASE));
}

#[test]
fn an_active_that_stepped_down_keeps_its_seat_and_one_that_is_gone_does_not() {
    for (cause, stays) in [(TakeoverCause::SteppedDown, true), (GONE, false)] {
        let mut pair = both_registered();
        let taken = pair.take_over(B, Incarnation(2), Generation(1), cause, Now(1));
        assert_eq!(taken, Ok(Outcome::Raised));
        stands(&pair, 2, B);
        assert_eq!(pair.renew(A, Incarnation(1), Now(2), LEASE), stays);
        assert_eq!(pair.is_alive(A, Now(2)), stays);
    }
}

#[test]
fn an_operator_appoints_whoever_lives_and_nobody_else() {
    let mut pair = both_registered();
    assert!(pair.renew(B, Incarnation(2), Now(60), LEASE));
    let late = Now(LEASE);
    assert_eq!(pair.appoint(A, late), Err(TakeoverRefused::NotSeated));
    assert_eq!(pair.appoint(B, late), Ok(Outcome::Raised));
    stands(&pair, 2, B);
    assert_eq!(pair.appoint(B, late), Ok(Outcome::Kept));
    stands(&pair, 2, B);
    assert!(
        !pair.renew(A, Incarnation(1), late, LEASE),
        "it registers anew"
    );
    assert_eq!(claim(&mut pair, A, 1, LEASE), Ok(Outcome::Joined));
    stands(&pair, 2, B);
}

#[test]
fn a_pinned_active_stays_active_when_it_is_restarted_and_pre_empts_nobody() {
    let mut pair = both_registered();
    pair.pin(Some(A));
    assert_eq!(claim(&mut pair, A, 3, 1), Ok(Outcome::Raised));
    stands(&pair, 2, A);
    // The other one became active by an operator: the pin does not fetch the role back.
    assert_eq!(pair.appoint(B, Now(2)), Ok(Outcome::Raised));
    assert_eq!(claim(&mut pair, A, 4, 3), Ok(Outcome::Raised));
    stands(&pair, 4, B);
}

#[test]
fn a_restarted_backup_does_not_unseat_the_active() {
    let mut pair = both_registered();
    assert_eq!(claim(&mut pair, B, 4, 1), Ok(Outcome::Raised));
    stands(&pair, 2, A);
}

#[test]
fn the_preferred_active_does_not_pre_empt() {
    let mut pair = both_registered();
    assert_eq!(claim(&mut pair, A, 3, 1), Ok(Outcome::Raised));
    for at in 2..5 {
        assert_eq!(claim(&mut pair, A, 3, at), Ok(Outcome::Kept));
        stands(&pair, 2, B);
    }
}

#[test]
fn when_nobody_is_alive_preferred_roles_apply_and_the_second_one_joins() {
    let mut pair = both_registered();
    assert_eq!(claim(&mut pair, A, 3, 1), Ok(Outcome::Raised));
    stands(&pair, 2, B);
    assert_eq!(claim(&mut pair, B, 5, 1_000), Ok(Outcome::Raised));
    stands(&pair, 3, A);
    assert!(
        !pair.renew(A, Incarnation(3), Now(1_001), LEASE),
        "its seat is vacant: register"
    );
    assert_eq!(claim(&mut pair, A, 6, 1_001), Ok(Outcome::Joined));
    stands(&pair, 3, A);
}

#[test]
fn a_lapse_alone_moves_no_role_and_a_late_renewal_is_no_registration() {
    let mut pair = both_registered();
    assert!(!pair.is_alive(A, Now(LEASE)));
    stands(&pair, 1, A);
    assert!(pair.renew(A, Incarnation(1), Now(LEASE), LEASE));
    stands(&pair, 1, A);
}

#[test]
fn a_graceful_leave_ends_the_lease_at_once() {
    let mut pair = both_registered();
    assert!(pair.leave(A, Incarnation(1)));
    assert!(!pair.is_alive(A, Now(1)));
    assert!(!pair.leave(A, Incarnation(9)));
    assert_eq!(claim(&mut pair, A, 3, 1), Ok(Outcome::Raised));
    stands(&pair, 2, B);
}

#[test]
fn a_generation_held_from_before_a_lost_store_is_exceeded() {
    let mut pair = Pair::default();
    assert_eq!(held(&mut pair, A, 1, 7, 0), Ok(Outcome::Raised));
    stands(&pair, 8, A);
    assert_eq!(held(&mut pair, B, 2, 7, 0), Ok(Outcome::Joined));
    stands(&pair, 8, A);
    assert_eq!(held(&mut pair, B, 2, 9, 1), Ok(Outcome::Raised));
    stands(&pair, 10, A);
}

#[test]
fn an_absurd_generation_cannot_use_the_numbers_up() {
    let mut pair = both_registered();
    assert!(matches!(
        held(&mut pair, A, 3, u32::MAX, 1),
        Err(ClaimRefused::Absurd { .. })
    ));
    stands(&pair, 1, A);
    assert_eq!(
        held(&mut pair, A, 3, 1 + HELD_JUMP_LIMIT, 1),
        Ok(Outcome::Raised)
    );
    assert!(held(&mut pair, A, 4, 4 + 2 * HELD_JUMP_LIMIT, 1).is_err());
}

#[test]
fn after_a_restart_the_holders_have_time_to_say_so() {
    let mut pair = both_registered();
    let saved = serde_json::to_string(&pair).unwrap();
    pair = serde_json::from_str(&saved).unwrap();
    assert!(!pair.is_alive(A, Now(0)));
    pair.presume_alive(Now(0), 3 * LEASE);
    assert!(pair.is_alive(A, Now(3 * LEASE - 1)) && !pair.is_alive(A, Now(3 * LEASE)));
    assert_eq!(claim(&mut pair, B, 7, 1), Ok(Outcome::Raised));
    stands(&pair, 2, A);
}

#[test]
fn a_backup_whose_active_is_gone_takes_over_once() {
    let mut pair = both_registered();
    let ask = |pair: &mut Pair, who, from, at| {
        pair.take_over(B, Incarnation(who), Generation(from), GONE, Now(at))
    };
    assert_eq!(ask(&mut pair, 2, 1, 1), Ok(Outcome::Raised));
    stands(&pair, 2, B);
    assert!(!pair.is_alive(A, Now(1)), "the old active holds nothing");
    assert_eq!(ask(&mut pair, 2, 1, 2), Ok(Outcome::Kept), "asked again");
    stands(&pair, 2, B);
    // The old active, or its successor, comes back as backup of that generation.
    assert!(!pair.renew(A, Incarnation(1), Now(2), LEASE));
    assert_eq!(claim(&mut pair, A, 1, 3), Ok(Outcome::Joined));
    stands(&pair, 2, B);
}

#[test]
fn a_takeover_by_somebody_else_or_from_another_generation_is_refused() {
    let mut pair = both_registered();
    let not_seated = Err(TakeoverRefused::NotSeated);
    let from = Generation(1);
    assert_eq!(
        pair.take_over(B, Incarnation(9), from, GONE, Now(1)),
        not_seated
    );
    let late = Now(LEASE + 1);
    assert_eq!(
        pair.take_over(B, Incarnation(2), from, GONE, late),
        not_seated
    );
    for from in [0, 2].map(Generation) {
        let ours = Generation(1);
        let refused = Err(TakeoverRefused::Generation { from, ours });
        assert_eq!(
            pair.take_over(B, Incarnation(2), from, GONE, Now(1)),
            refused
        );
    }
    stands(&pair, 1, A);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Claim {
        leg: bool,
        incarnation: u64,
        held: u32,
    },
    Renew {
        leg: bool,
        incarnation: u64,
    },
    Leave {
        leg: bool,
        incarnation: u64,
    },
    TakeOver {
        leg: bool,
        incarnation: u64,
        from: u32,
        gone: bool,
    },
    Appoint {
        leg: bool,
    },
    Pin(Option<bool>),
    Wait(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let who = || (any::<bool>(), 1..8_u64);
    prop_oneof![
        4 => (who(), prop_oneof![4 => Just(0), 1 => 0..20_u32])
            .prop_map(|((leg, incarnation), held)| Step::Claim { leg, incarnation, held }),
        3 => who().prop_map(|(leg, incarnation)| Step::Renew { leg, incarnation }),
        1 => who().prop_map(|(leg, incarnation)| Step::Leave { leg, incarnation }),
        2 => (who(), 0..4_u32, any::<bool>()).prop_map(|((leg, incarnation), back, gone)| {
            Step::TakeOver { leg, incarnation, from: back, gone }
        }),
        1 => any::<bool>().prop_map(|leg| Step::Appoint { leg }),
        1 => any::<Option<bool>>().prop_map(Step::Pin),
        2 => (1..LEASE).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// Whatever happens in whatever order: generations never go back, one generation has one active
    /// incarnation, and a replaced incarnation holds nothing again.
    #[test]
    fn authority_is_never_shared_and_never_returns(steps in prop::collection::vec(step(), 1..200)) {
        let (mut pair, mut now) = (Pair::default(), 0);
        let mut actives: BTreeMap<Generation, (LegIndex, Incarnation)> = BTreeMap::new();
        let mut seen: [Vec<Incarnation>; 2] = [Vec::new(), Vec::new()];
        for step in steps {
            let before = pair.generation();
            let leg = |second: bool| if second { B } else { A };
            match step {
                Step::Claim { leg: second, incarnation, held } => {
                    let (leg, incarnation) = (leg(second), Incarnation(incarnation));
                    let claim = Claim { leg, incarnation, held: Generation(held) };
                    let order = &mut seen[leg.index()];
                    match pair.claim(claim, Now(now), LEASE) {
                        Ok(_) => {
                            prop_assert!(pair.generation().0 >= held);
                            // The naive twin: the list of all who ever sat there, in order.
                            prop_assert!(
                                !order.contains(&incarnation) || order.last() == Some(&incarnation)
                            );
                            if order.last() != Some(&incarnation) {
                                order.push(incarnation);
                            }
                        }
                        Err(_) => prop_assert!(
                            order.contains(&incarnation) && order.last() != Some(&incarnation)
                        ),
                    }
                }
                Step::Renew { leg: second, incarnation } => {
                    let (leg, incarnation) = (leg(second), Incarnation(incarnation));
                    if pair.renew(leg, incarnation, Now(now), LEASE) {
                        prop_assert_eq!(seen[leg.index()].last(), Some(&incarnation));
                    }
                }
                Step::Leave { leg: second, incarnation } => {
                    if pair.leave(leg(second), Incarnation(incarnation)) {
                        prop_assert!(!pair.is_alive(leg(second), Now(now)));
                    }
                }
                Step::Appoint { leg: second } => {
                    let leg = leg(second);
                    let peer = pair.is_alive(leg.other(), Now(now));
                    let was = pair.role(leg);
                    if let Ok(outcome) = pair.appoint(leg, Now(now)) {
                        prop_assert_eq!(pair.role(leg), Some(Role::Active));
                        prop_assert_eq!(outcome == Outcome::Kept, was == Some(Role::Active));
                        // Who lives keeps its seat, and renews as backup.
                        prop_assert_eq!(pair.is_alive(leg.other(), Now(now)), peer);
                    }
                }
                Step::Pin(second) => pair.pin(second.map(leg)),
                Step::TakeOver { leg: second, incarnation, from, gone } => {
                    let (leg, incarnation) = (leg(second), Incarnation(incarnation));
                    let from = Generation(before.0.saturating_sub(from));
                    let cause = if gone { GONE } else { TakeoverCause::SteppedDown };
                    if pair.take_over(leg, incarnation, from, cause, Now(now)).is_ok() {
                        prop_assert!(pair.holds(leg, incarnation, Now(now)));
                        prop_assert_eq!(pair.role(leg), Some(Role::Active));
                    }
                }
                Step::Wait(duration) => now += duration,
                Step::Restart => {
                    pair = serde_json::from_str(&serde_json::to_string(&pair).unwrap()).unwrap();
                    now = 0;
                    pair.presume_alive(Now(now), LEASE);
                }
            }
            prop_assert!(pair.generation() >= before);
            let active = if pair.role(A) == Some(Role::Active) { A } else { B };
            if pair.is_joined(active) {
                let holder = (active, pair.incarnation(active).unwrap());
                let first = *actives.entry(pair.generation()).or_insert(holder);
                prop_assert_eq!(first, holder);
            }
            prop_assert!(pair.generation().0 == 0 || pair.role(A) != pair.role(B));
        }
    }
}
