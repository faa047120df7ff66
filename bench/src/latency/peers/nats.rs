//! NATS: publisher and subscriber at one server, core NATS over TCP.
//!
//! ```text
//!  publisher's process, one thread       server           subscriber's process, one thread
//!  due ─► publish ─► written ─── TCP ──► nats-server ───► TCP ─► read ─► next: how late?
//! ```
//!
//! Both clients run in the thread that uses them: no hand-over to another one. The subscriber's sleeps until the kernel wakes it, on the core that it shares with the server:
//! the publisher spins on the other one.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use async_nats::{Client, Subscriber as Subscription};
use futures_util::StreamExt;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use twinfeed_net::clock::monotonic_ns;

use super::super::publisher::{END, Publish};
use super::super::subscriber::{Subscribe, Told};
use super::super::{Heard, PATIENCE};
use super::{QUIET_NS, free_port, message};
use crate::error::Error;

const NAME: &str = "NATS";
const SUBJECT: &str = "twinfeed.bench";
/// What a subscriber says to itself, to know that it is heard.
const HELLO: [u8; 1] = [0];
/// How often [`END`] is said: a server drops what a slow subscriber does not take.
const ENDS: usize = 20;
/// Messages that wait for the application at most; what comes then is dropped (async-nats, `subscription_capacity`).
const WAITING: usize = 1 << 20;

/// A client in a runtime that runs when this thread lets it.
pub(crate) fn connect(door: &str) -> Result<(Runtime, Client), Error> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::peer(NAME, "a runtime"))?;
    let options = async_nats::ConnectOptions::new().subscription_capacity(WAITING);
    let begun = Instant::now();
    loop {
        // The server may not listen yet.
        match runtime.block_on(options.clone().connect(door)) {
            Ok(client) => return Ok((runtime, client)),
            Err(error) if begun.elapsed() > PATIENCE => {
                return Err(Error::peer(NAME, "the server")(error));
            }
            Err(_) => sleep(Duration::from_millis(10)),
        }
    }
}

/// The sending half.
pub(in super::super) struct Publisher {
    client: Client,
    runtime: Runtime,
}

impl Publisher {
    pub(in super::super) fn open(doors: &[String]) -> Result<Self, Error> {
        let (runtime, client) = connect(&doors.concat())?;
        Ok(Self { client, runtime })
    }

    /// Publishes, and lets the connection write it.
    fn publish(&self, message: Vec<u8>) {
        self.runtime.block_on(async {
            let _ = self.client.publish(SUBJECT, message.into()).await;
            yield_now().await;
        });
    }
}

impl Publish for Publisher {
    fn send(&mut self, number: u64, record: &[u8]) {
        self.publish(message(number, record));
    }

    fn wait(&mut self, left: u64) {
        if left > QUIET_NS {
            self.runtime.block_on(yield_now());
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        for _ in 0..ENDS {
            sleep(Duration::from_millis(2));
            self.publish(END.to_vec());
        }
        // Not flushed: the server ends with the subscriber, at the first that it hears.
        Ok(())
    }

    fn datagram(&self) -> Option<usize> {
        None
    }
}

/// The receiving half, and the server.
pub(in super::super) struct Subscriber {
    subscription: Subscription,
    runtime: Runtime,
    door: String,
    _client: Client,
    _server: Server,
}

impl Subscriber {
    pub(in super::super) fn open() -> Result<Self, Error> {
        let port = free_port()?;
        let server = Server::start(port)?;
        let door = format!("nats://127.0.0.1:{port}");
        let (runtime, client) = connect(&door)?;
        let subscription = runtime.block_on(async {
            let mut subscription = client
                .subscribe(SUBJECT)
                .await
                .map_err(Error::peer(NAME, "a subscription"))?;
            client
                .publish(SUBJECT, HELLO.to_vec().into())
                .await
                .map_err(Error::peer(NAME, "a first message"))?;
            match subscription.next().await {
                Some(_) => Ok(subscription),
                None => Err(Error::peer(NAME, "a first message")(
                    "the subscription ended",
                )),
            }
        })?;
        Ok(Self {
            subscription,
            runtime,
            door,
            _client: client,
            _server: server,
        })
    }
}

impl Subscribe for Subscriber {
    fn doors(&self) -> Result<Vec<String>, Error> {
        Ok(vec![self.door.clone()])
    }

    /// Everything until the end.
    fn turn(&mut self, told: &mut Told) -> Result<bool, Error> {
        self.runtime.block_on(async {
            while let Some(message) = self.subscription.next().await {
                if *message.payload == END {
                    break;
                }
                told.only(monotonic_ns(), &message.payload);
            }
        });
        Ok(true)
    }

    fn finish(&mut self, _heard: &mut Heard) {}
}

/// The server's process, which ends with this one.
pub(crate) struct Server(Child);

impl Server {
    pub(crate) fn start(port: u16) -> Result<Self, Error> {
        // Killed with the thread that started it, however that ends.
        let server = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "nats-server", "-a", "127.0.0.1"])
            .args(["-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        server
            .map(Self)
            .map_err(Error::peer(NAME, "setpriv, to start nats-server"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
