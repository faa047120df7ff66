//! NATS: two publishers of one subject and a subscriber at one server, which is nobody's publisher and stays.
//!
//! Each client runs in the thread that uses it, and sleeps on its connection.

use async_nats::Client;
use futures_util::StreamExt;
use tokio::runtime::Runtime;

use super::publisher::{SIZE, Send};
use super::subscriber::Merge;
use crate::child::say;
use crate::error::Error;
use crate::latency::peers::free_port;
use crate::latency::peers::nats::{Server, connect};

const NAME: &str = "NATS";
const SUBJECT: &str = "twinfeed.bench";

pub(super) struct Publisher {
    client: Client,
    runtime: Runtime,
}

impl Publisher {
    pub(super) fn open(doors: &[String]) -> Result<Self, Error> {
        let (runtime, client) = connect(&doors.concat())?;
        Ok(Self { client, runtime })
    }
}

impl Send for Publisher {
    fn put(&mut self, message: &[u8; SIZE]) {
        let publish = self.client.publish(SUBJECT, message.to_vec().into());
        let _ = self.runtime.block_on(publish);
    }

    fn flush(&mut self) {
        let _ = self.runtime.block_on(self.client.flush());
    }
}

pub(super) fn hear(mut merge: Merge) -> Result<(), Error> {
    let port = free_port()?;
    let _server = Server::start(port)?;
    let door = format!("nats://127.0.0.1:{port}");
    let (runtime, client) = connect(&door)?;
    runtime.block_on(async {
        let subscription = client.subscribe(SUBJECT).await;
        let mut subscription = subscription.map_err(Error::peer(NAME, "a subscription"))?;
        client
            .flush()
            .await
            .map_err(Error::peer(NAME, "the subscription"))?;
        say(&[&door])?;
        while let Some(message) = subscription.next().await {
            merge.take(&message.payload);
        }
        Err(Error::peer(NAME, "the subscription")("it ended"))
    })
}
