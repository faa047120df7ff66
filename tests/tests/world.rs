//! The promise, tried in small worlds.
use twinfeed_tests::world::{self, Plan};

#[test]
fn a_world_without_faults_delivers_everything() {
    let outcome = world::run(Plan::plain(1, 300), 300);
    for line in &outcome.trace {
        println!("{line}");
    }
    assert!(outcome.violations.is_empty(), "{:?}", outcome.violations);
}
