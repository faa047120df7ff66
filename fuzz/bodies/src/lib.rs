//! What must hold of every byte entrance, whatever arrives there?
//!
//! ```text
//!  bytes ─► Target::run ─► panics, or the heap grows beyond Target::heap: a finding
//!             ▲    ▲
//!   cargo fuzz     cargo test: every file under fuzz/corpus and fuzz/regressions, once
//! ```
//!
//! One function of bytes per entrance, `fn(&[u8])`; [`TARGETS`] names them all. A function asserts more than that
//! nothing panics: that what is read is read back alike, that a naive twin reads the same, that what comes out is in
//! order and bounded. Nothing here knows libFuzzer, a clock or a random number: one input, one outcome.
//!
//! A new entrance is one file here, one line in [`TARGETS`], one seed in [`seeds`] and one file in `fuzz_targets`.

mod answers;
mod arbiter;
mod binaryfile;
mod configuration;
mod datagram;
mod documents;
mod fill;
mod fill_server;
pub mod heap;
mod input;
mod itch50;
mod joining;
mod legs;
mod lines;
mod link;
mod moldudp64;
mod pair;
mod pcap;
mod requests;
mod saved;
pub mod seeds;
mod snapshot;
mod soup;
mod store;
mod tape;
mod transfer;
mod words;

/// One byte entrance.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name: of its corpus' folder, its libFuzzer binary, its regressions' folder.
    pub name: &'static str,
    /// Which bytes of which peer or file it stands for.
    pub entrance: &'static str,
    /// Takes bytes in and panics when something does not hold.
    pub run: fn(&[u8]),
    /// Most bytes of heap that one input may hold at a time, its own length apart.
    pub heap: usize,
}

/// Every entrance.
pub const TARGETS: &[Target] = &[
    Target {
        name: "datagram",
        entrance: "a datagram of a stream, as the subscriber's view reads it",
        run: datagram::run,
        heap: 1 << 20,
    },
    Target {
        name: "arbiter",
        entrance: "datagrams, heartbeats and control of two legs, in any order",
        run: arbiter::run,
        heap: 4 << 20,
    },
    Target {
        name: "legs",
        entrance: "two honest legs that lose, double and reorder, against a naive twin",
        run: legs::run,
        heap: 4 << 20,
    },
    Target {
        name: "fill_frame",
        entrance: "one frame of the fill socket, as either side reads it",
        run: fill::run,
        heap: 1 << 20,
    },
    Target {
        name: "fill_requests",
        entrance: "requests of subscribers to an adapter that retains anything",
        run: fill_server::run,
        heap: 1 << 20,
    },
    Target {
        name: "fill_answers",
        entrance: "what comes back from adapters that were asked, between what two legs say",
        run: arbiter::answered,
        heap: 4 << 20,
    },
    Target {
        name: "snapshot_frame",
        entrance: "one frame of a snapshot, as either side reads it",
        run: snapshot::run,
        heap: 1 << 20,
    },
    Target {
        name: "joining",
        entrance: "answers of snapshot servers, between what an arbiter decides",
        run: joining::run,
        heap: 4 << 20,
    },
    Target {
        name: "moldudp64",
        entrance: "a packet of an exchange's line",
        run: moldudp64::run,
        heap: 1 << 20,
    },
    Target {
        name: "soup",
        entrance: "a SoupBinTCP server's bytes, cut anywhere",
        run: soup::run,
        heap: 1 << 20,
    },
    Target {
        name: "lines",
        entrance: "packets of lines A and B, in any order",
        run: lines::run,
        heap: 4 << 20,
    },
    Target {
        name: "itch50",
        entrance: "messages of TotalView-ITCH 5.0",
        run: itch50::run,
        heap: 4 << 20,
    },
    Target {
        name: "binaryfile",
        entrance: "a Nasdaq BinaryFILE, read in pieces",
        run: binaryfile::run,
        heap: 1 << 20,
    },
    Target {
        name: "pcap",
        entrance: "a capture, pcap or pcapng, read in pieces",
        run: pcap::run,
        heap: 3 * twinfeed_feed_adapter::source::pcap::LONGEST_BLOCK,
    },
    Target {
        name: "link_frame",
        entrance: "one frame of the pair link",
        run: link::frame,
        heap: 1 << 20,
    },
    Target {
        name: "link",
        entrance: "the pair link's bytes on up to five connections, cut anywhere",
        run: link::run,
        heap: 1 << 20,
    },
    Target {
        name: "pair",
        entrance: "what a peer says of its numbering, in any order",
        run: pair::run,
        heap: 4 << 20,
    },
    Target {
        name: "transfer",
        entrance: "a context that a peer hands over",
        run: transfer::run,
        heap: 4 << 20,
    },
    Target {
        name: "documents",
        entrance: "JSON of the control plane, requests and answers alike",
        run: documents::run,
        heap: 8 << 20,
    },
    Target {
        name: "requests",
        entrance: "HTTP requests to stream-admin: paths, tokens, bodies",
        run: requests::run,
        heap: 16 << 20,
    },
    Target {
        name: "answers",
        entrance: "server-sent events and refusals, as adapters and subscribers read them",
        run: answers::run,
        heap: 1 << 20,
    },
    Target {
        name: "store",
        entrance: "values of stream-admin's database, read at its start",
        run: store::run,
        heap: 16 << 20,
    },
    Target {
        name: "saved",
        entrance: "the grants that adapter and subscriber saved, read at their start",
        run: saved::run,
        heap: 1 << 20,
    },
    Target {
        name: "configuration",
        entrance: "configuration files of every program",
        run: configuration::run,
        heap: 16 << 20,
    },
    Target {
        name: "words",
        entrance: "words of the command line: times, days, names, commands",
        run: words::run,
        heap: 1 << 20,
    },
];

/// Runs one input under the target's bound of heap.
///
/// # Panics
/// When something does not hold: that is the point.
pub fn run(target: &Target, bytes: &[u8]) {
    let peak = heap::peak(|| (target.run)(bytes));
    let bound = target.heap + HEAP_PER_BYTE * bytes.len();
    assert!(
        peak <= bound,
        "{}: {} bytes of input held {peak} bytes of heap, more than {bound}",
        target.name,
        bytes.len()
    );
}

/// The target of this name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn target(name: &str) -> &'static Target {
    let found = TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("there is no target {name}"))
}

/// What a parsed document may hold per byte of its text: a JSON array of one-digit numbers is the worst.
const HEAP_PER_BYTE: usize = 256;
