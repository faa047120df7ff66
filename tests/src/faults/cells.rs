//! Which faults are tried, and what is owed under each?

use super::Fault;
use super::{babble, builds, burst, descriptors, disk, kill, link, loss, one_way, slow, stop};
use crate::lab::Streams;

/// What a subscriber is owed while this goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Owed {
    /// To all three: every message, once, in order.
    Everything,
    /// To the third: every message, or a gap that names it; to the others everything.
    ToldOfGaps,
}

/// What a cell needs of the lab.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stage {
    /// How the adapters' streams travel.
    pub streams: Streams,
    /// Receive buffer of the third subscriber, bytes; `None`: the library's default.
    pub third_buffer: Option<usize>,
    /// Size of the file system that state is written to, MiB; `None`: the run's own.
    pub state_mebibytes: Option<u32>,
}

/// Whether a soak does a fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Soaks {
    /// It wants a lab of its own.
    Never,
    /// It ends a process, and with it a life that is looked at.
    Seldom,
    /// As all others.
    Often,
}

/// A fault, and what is owed under it.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// Its name in tables and on the command line.
    pub name: &'static str,
    /// What is done, in words.
    pub what: &'static str,
    /// What is owed meanwhile.
    pub owed: Owed,
    /// Where.
    pub stage: Stage,
    /// A variable of the environment without which it cannot be done.
    pub needs: Option<&'static str>,
    /// Whether a soak does it too.
    pub soaks: Soaks,
    /// It.
    pub fault: fn() -> Box<dyn Fault>,
}

const UNICAST: Stage = Stage {
    streams: Streams::Unicast,
    third_buffer: None,
    state_mebibytes: None,
};
const MULTICAST: Stage = Stage {
    streams: Streams::Multicast,
    ..UNICAST
};
/// Of a soak.
pub const SOAK: Stage = MULTICAST;
const SLOW: Stage = Stage {
    // Fewer than a pause of a second and a half brings.
    third_buffer: Some(64 << 10),
    ..UNICAST
};
const SMALL_DISK: Stage = Stage {
    // stream-admin's store takes one and a half of it.
    state_mebibytes: Some(8),
    ..UNICAST
};

const fn cell(
    name: &'static str,
    what: &'static str,
    owed: Owed,
    stage: Stage,
    fault: fn() -> Box<dyn Fault>,
) -> Cell {
    Cell {
        name,
        what,
        owed,
        stage,
        needs: None,
        soaks: Soaks::Often,
        fault,
    }
}

/// All.
pub const CELLS: [Cell; 19] = [
    cell(
        "loss-leg",
        "a third of one leg's datagrams lost at every subscriber, for a second",
        Owed::Everything,
        UNICAST,
        || Box::new(loss::Loss::of_a_leg()),
    ),
    cell(
        "loss-line",
        "a third of one line's packets lost at both adapters, for a second",
        Owed::Everything,
        MULTICAST,
        || Box::new(loss::Loss::of_a_line()),
    ),
    cell(
        "burst-leg",
        "all of one leg lost at every subscriber, for 300 ms",
        Owed::Everything,
        MULTICAST,
        || Box::new(burst::Burst::of_a_leg()),
    ),
    cell(
        "burst-both",
        "all of both legs lost at one subscriber, for 100 ms",
        Owed::ToldOfGaps,
        UNICAST,
        || Box::new(burst::Burst::of_both_legs()),
    ),
    cell(
        "one-way-link",
        "the pair link deaf in one direction, for two seconds",
        Owed::Everything,
        UNICAST,
        || Box::new(one_way::OneWay::of_the_link()),
    ),
    cell(
        "one-way-admin",
        "the active deaf to stream-admin for longer than its lease",
        Owed::Everything,
        UNICAST,
        || Box::new(one_way::OneWay::of_administration()),
    ),
    cell(
        "link-active",
        "the active's cable pulled, for a second and a half",
        Owed::Everything,
        UNICAST,
        || Box::new(link::Unplugged::active()),
    ),
    cell(
        "link-subscriber",
        "a subscriber's cable pulled, for 200 ms",
        Owed::ToldOfGaps,
        MULTICAST,
        || Box::new(link::Unplugged::subscriber()),
    ),
    cell(
        "link-admin",
        "stream-admin's cable pulled for longer than a lease",
        Owed::Everything,
        UNICAST,
        || Box::new(link::Unplugged::stream_admin()),
    ),
    Cell {
        soaks: Soaks::Seldom,
        ..cell(
            "kill-active",
            "SIGKILL of the active",
            Owed::Everything,
            UNICAST,
            || Box::new(kill::Kill::active()),
        )
    },
    Cell {
        soaks: Soaks::Seldom,
        ..cell(
            "kill-backup",
            "SIGKILL of the backup",
            Owed::Everything,
            MULTICAST,
            || Box::new(kill::Kill::backup()),
        )
    },
    Cell {
        soaks: Soaks::Seldom,
        ..cell(
            "kill-admin",
            "SIGKILL of stream-admin, and of the active while it is away",
            Owed::Everything,
            UNICAST,
            || Box::new(kill::Kill::stream_admin()),
        )
    },
    cell(
        "stop-active",
        "SIGSTOP of the active for longer than its lease, then SIGCONT",
        Owed::Everything,
        UNICAST,
        || Box::new(stop::Stopped::active()),
    ),
    cell(
        "stop-backup",
        "SIGSTOP of the backup for a second and a half, then SIGCONT",
        Owed::Everything,
        MULTICAST,
        || Box::new(stop::Stopped::backup()),
    ),
    Cell {
        soaks: Soaks::Never,
        ..cell(
            "disk-full",
            "no space for any state while roles are to change",
            Owed::Everything,
            SMALL_DISK,
            || Box::new(disk::Full),
        )
    },
    cell(
        "descriptors",
        "no descriptor left in both adapters and stream-admin, with connections flooding in",
        Owed::Everything,
        UNICAST,
        || Box::new(descriptors::Exhausted),
    ),
    Cell {
        soaks: Soaks::Never,
        ..cell(
            "slow",
            "a subscriber that does not poll for a second and a half",
            Owed::ToldOfGaps,
            SLOW,
            || Box::new(slow::Slow),
        )
    },
    cell(
        "babble",
        "foreign, cut, flipped, echoed and absurd datagrams on the groups of lines and streams",
        Owed::Everything,
        MULTICAST,
        || Box::new(babble::Babble),
    ),
    Cell {
        needs: Some(builds::OTHER_BUILD),
        soaks: Soaks::Never,
        ..cell(
            "builds",
            "another build rolled in, half and whole, and out again",
            Owed::Everything,
            UNICAST,
            || Box::new(builds::Mixed::default()),
        )
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_a_name_of_its_own() {
        let mut names: Vec<_> = CELLS.iter().map(|cell| cell.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CELLS.len());
    }
}
