//! How does this adapter give subscribers what they missed, without its live stream noticing?
//!
//! ```text
//!  data thread ─► Tap ─► bounded queue of buffers ─► thread `fills` ─► Retained, one per stream
//!                        (full: not retained, counted)      ▲
//!                                      requests, UDP ───────┘──► Server ─► datagrams again, replies
//! ```
//!
//! The data thread copies what it sends, or withholds, into a buffer that is free; with none free it goes on. Everything
//! else happens in a thread of its own, on a socket of its own. Who may ask is what stream-admin says: open subscriptions,
//! by the address from which they said they would ask; others are counted and get no answer.

mod answer;
mod thread;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use twinfeed_control::{Assignment, Selection, StopFlag, StreamAssignment};
use twinfeed_net::udp::{Receiver, Sender, SenderConfig};
use twinfeed_protocol::retain::{RetentionCounters, ServerCounters};

use crate::config::Config;
use crate::error::AdapterError;
use crate::lock::lock;
use crate::tap::{Tap, tap};

/// What is counted of fills.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FillCounters {
    /// What was asked and answered.
    pub server: ServerCounters,
    /// What was retained, over all streams.
    pub retention: RetentionCounters,
    /// Records that are retained at present.
    pub messages: u64,
    /// Bytes that are retained at present.
    pub bytes: u64,
    /// Datagrams that were not retained, for this thread did not keep up.
    pub dropped: u64,
    /// Requests from addresses that are not entitled.
    pub unentitled: u64,
    /// Frames that are none.
    pub malformed: u64,
}

/// Somebody who may ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Client {
    address: SocketAddr,
    sids: Selection,
}

/// The fill thread, as other threads see it.
#[derive(Clone, Debug)]
pub struct Fills {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Who may ask, until the thread has taken it.
    clients: Mutex<Option<Vec<Client>>>,
    counters: Mutex<FillCounters>,
}

/// The socket, bound before stream-admin is told of it.
#[derive(Debug)]
pub struct BoundFills {
    sender: Sender,
    receiver: Receiver,
}

impl BoundFills {
    /// Binds the socket on which this adapter is asked; `None` if it serves no fills.
    ///
    /// # Errors
    /// Names the setting at fault.
    pub fn bind(config: &Config) -> Result<Option<Self>, AdapterError> {
        if !config.fills.enabled {
            return Ok(None);
        }
        let failed = AdapterError::socket("fills_from");
        let setup = SenderConfig::new(config.host.fills_from);
        let sender = Sender::open(&setup).map_err(failed)?;
        let failed = AdapterError::socket("fills_from");
        let receiver = Receiver::sharing(&sender, thread::BATCH, thread::SLOT).map_err(failed)?;
        Ok(Some(Self { sender, receiver }))
    }

    /// Where this adapter is asked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.sender.local_addr()
    }

    /// Starts the thread; what goes through the tap is retained under these streams' numbers.
    ///
    /// # Errors
    /// If a limit or the thread cannot be had.
    pub fn start(
        self,
        config: &Config,
        streams: &[StreamAssignment],
        stop: StopFlag,
    ) -> Result<(Fills, Tap), AdapterError> {
        let (tap, tapped) = tap(config.fills.queue, config.publish.max_datagram);
        let fills = Fills {
            shared: Arc::default(),
        };
        let thread = thread::FillThread::new(
            config,
            streams,
            (self.sender, self.receiver),
            tapped,
            fills.clone(),
        )?;
        std::thread::Builder::new()
            .name("fills".to_owned())
            .spawn(move || thread.run(&stop))
            .map_err(AdapterError::system("start the thread for fills"))?;
        Ok((fills, tap))
    }
}

impl Fills {
    /// What stream-admin granted.
    pub fn granted(&self, assignment: &Assignment) {
        let clients = assignment.fill_clients.iter().map(|to| Client {
            address: to.address,
            sids: to.sids.clone(),
        });
        let clients = Some(clients.collect());
        *lock(&self.shared.clients) = clients;
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> FillCounters {
        *lock(&self.shared.counters)
    }

    fn take_clients(&self) -> Option<Vec<Client>> {
        lock(&self.shared.clients).take()
    }

    fn show(&self, counters: FillCounters) {
        *lock(&self.shared.counters) = counters;
    }
}
