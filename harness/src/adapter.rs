//! How does an adapter stand, by its own word?
//!
//! stream-admin hears from it once per third of a lease; here it is asked, as a scraper of metrics would.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use twinfeed_control::{AdapterStatus, PairState};

/// What an adapter says of its one stream.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// State of its end of the pair: `active`, `synchronised`.
    pub state: String,
    /// Whether both ends would place the next administrative message.
    pub protected: bool,
    /// Whether its conversion knows the whole session.
    pub good: bool,
    /// The epoch.
    pub epoch: String,
    /// What its end of the pair has counted.
    pub counters: Value,
}

impl Standing {
    /// What it says now; `None` while it does not answer.
    #[must_use]
    pub fn of(operations: SocketAddr) -> Option<Self> {
        let document = ask(operations)?;
        let stream = document.get("streams")?.get(0)?;
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pair = stream.get("pair")?;
        Some(Self {
            state: word(pair.get("state")?),
            protected: pair.get("protected")?.as_bool()?,
            good: stream.get("data")?.as_str()? == "good",
            epoch: word(stream.get("next_pos")?.get("epoch")?),
            counters: pair.get("counters")?.clone(),
        })
    }

    /// One of its counters.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).and_then(Value::as_u64).unwrap_or(0)
    }
}

/// Everything that an adapter says of itself now; `None` while it does not answer.
#[must_use]
pub fn status(operations: SocketAddr) -> Option<AdapterStatus> {
    let mut document = ask(operations)?;
    let fields = document.as_object_mut()?;
    // What it says of its process is no part of what it tells stream-admin.
    for of_process in [
        "unverified",
        "stream_admin_up",
        "session_servers",
        "snapshots",
    ] {
        fields.remove(of_process);
    }
    serde_json::from_value(document).ok()
}

/// The same as it is said, with what is of the process alone; `None` while it does not answer.
#[must_use]
pub fn document(operations: SocketAddr) -> Option<Value> {
    ask(operations)
}

/// Whether both adapters of a pair say now that they number alike, in every stream, and know the whole session.
///
/// # Errors
/// How they stand if not.
pub fn in_step(operations: [SocketAddr; 2]) -> Result<(), String> {
    let both = operations.map(status);
    let [Some(one), Some(other)] = &both else {
        return Err("an adapter does not answer".to_owned());
    };
    let stands = |status: &AdapterStatus, state| {
        let mut streams = status.streams.iter();
        !status.streams.is_empty()
            && streams.all(|it| it.complete && it.pair.protected && it.pair.state == state)
    };
    let paired = |active, backup| {
        stands(active, PairState::Active) && stands(backup, PairState::Synchronised)
    };
    match one.generation == other.generation && (paired(one, other) || paired(other, one)) {
        true => Ok(()),
        false => Err(format!("{:?} {:?}", one.streams, other.streams)),
    }
}

fn ask(operations: SocketAddr) -> Option<Value> {
    let mut stream = TcpStream::connect_timeout(&operations, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream
        .write_all(b"GET /status.json HTTP/1.1\r\nHost: adapter\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
