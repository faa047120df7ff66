//! Are the promises kept on real hosts whose network, processes, disks and neighbours fail?
//!
//! ```text
//!                 ┌─ active ──┐                 subscriber-1  first-arrival
//!  exchange ═A,B══╡  ║ link   ╞══ streams ══►   subscriber-2  prefer-active
//!                 └─ backup ──┘                 subscriber-3  first-arrival, the one that is hurt
//!        stream-admin (TLS)        stranger
//!  each a host of its own ([`crate::lab`]); a fault is done to hosts, cables and processes
//! ```
//!
//! A [`Cell`] is a fault with what it owes its subscribers; a turn does it once: strike, see that it happened, mend, wait
//! until everything is whole again. Cells differ in what they need of the lab and share everything else ([`Scene`]). At
//! the end every record that every subscriber got is compared with what the exchange sent, by the judge that the
//! demonstration has; a fault that did not happen proves nothing and breaks the run.
//!
//! A new fault is one file here and a line in [`cells`].

mod babble;
mod builds;
mod burst;
pub mod cells;
mod descriptors;
mod disk;
mod kill;
mod link;
mod loss;
mod one_way;
mod scene;
mod slow;
pub mod soak;
mod stop;
pub mod table;
pub mod vitals;

use std::path::Path;

use twinfeed_control::StopFlag;
use twinfeed_harness::Error;
use twinfeed_harness::process::Program;

use crate::lab::Cage;
pub use cells::{CELLS, Cell, Owed};
pub use scene::{LIMIT, Scene};
pub use table::{HEAD, Row};

/// A fault.
pub trait Fault {
    /// Does it and mends it; returns what shows that it happened.
    ///
    /// # Errors
    /// When it cannot be done, or its effect does not come.
    fn strike(&mut self, scene: &mut Scene, turn: usize) -> Result<Vec<Evidence>, Error>;
}

/// Evidence that a fault was felt no more than it may be: what the least of the subscribers that it is not done to got.
pub const MEANWHILE: &str = "messages meanwhile";

/// What shows that a fault happened: so many of something, which must be more than none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Evidence {
    /// Of what.
    pub what: &'static str,
    /// How many.
    pub count: u64,
}

impl Evidence {
    /// So many of these.
    #[must_use]
    pub const fn of(what: &'static str, count: u64) -> Self {
        Self { what, count }
    }
}

/// Where runs take place.
#[derive(Debug)]
pub struct Setting<'a> {
    /// The cage.
    pub cage: &'a Cage,
    /// What every process is started from.
    pub program: &'a Program,
    /// Where a run's files are, in a folder of its own.
    pub directory: &'a Path,
    /// Ends every wait.
    pub stop: StopFlag,
}

/// Why a cell is not run, if it cannot be.
#[must_use]
pub fn skipped(cell: &Cell) -> Option<String> {
    let needs = cell.needs?;
    let unset = std::env::var_os(needs).is_none();
    unset.then(|| format!("skipped: cell {}: {needs} is not set", cell.name))
}

/// Does one fault `turns` times and judges what came out. `tell` hears of every turn.
///
/// # Errors
/// When the run does not come about; that a promise broke, or that it could not be seen through, stands in the row.
pub fn run(
    setting: &Setting<'_>,
    cell: &Cell,
    turns: usize,
    tell: &mut dyn FnMut(usize, &[Evidence]),
) -> Result<Row, Error> {
    let mut scene = Scene::start(setting, cell.name, cell.stage)?;
    let (mut row, mut fault) = (Row::new(*cell), (cell.fault)());
    for turn in 0..turns {
        let struck = fault
            .strike(&mut scene, turn)
            .and_then(|evidence| scene.until_whole().map(|()| evidence));
        match struck {
            Ok(evidence) => {
                tell(turn, &evidence);
                row.take_turn(turn, &evidence);
            }
            Err(error) => {
                row.broken.push(format!("turn {turn}: {error}"));
                break;
            }
        }
    }
    // After the last mend there must be something to lose.
    row.take_end(scene.finish(cell.owed)?);
    Ok(row)
}
