//! A listener that shakes hands beside the queue, so that one slow handshake keeps nobody waiting.
//!
//! ```text
//!   accept (bounded) ─► handshake (own task, bounded time) ─► ready ─► served
//! ```
//!
//! A connection holds its permit from the first moment, so handshakes count as connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tracing::debug;
use twinfeed_control::operations::BoundedListener;

use super::Connection;
use crate::api::auth::Peer;
use crate::config::Limits;

/// Connections that may be served at once.
#[derive(Debug)]
pub struct Doors {
    ready: mpsc::Receiver<(Connection, Peer)>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Doors {
    /// Takes over a bound socket; must be called within a runtime.
    ///
    /// # Errors
    ///
    /// The socket does not tell its address.
    pub fn new(socket: TcpListener, tls: Option<TlsAcceptor>, limits: &Limits) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let listener = BoundedListener::new(socket, limits.connections, limits.connection_idle.0);
        let (give, ready) = mpsc::channel(READY);
        let accepting = tokio::spawn(accept(listener, tls, limits.handshake.0, give));
        Ok(Self {
            ready,
            address,
            accepting,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Listener for Doors {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The accepting task ends only with this listener.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer {
            address: self.address,
            encrypted: false,
        })
    }
}

impl Connected<IncomingStream<'_, Doors>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Doors>) -> Self {
        *stream.remote_addr()
    }
}

async fn accept(
    mut listener: BoundedListener,
    tls: Option<TlsAcceptor>,
    handshake: Duration,
    give: mpsc::Sender<(Connection, Peer)>,
) {
    loop {
        let (stream, address) = listener.accept().await;
        let Some(tls) = tls.clone() else {
            let peer = Peer {
                address,
                encrypted: false,
            };
            if give
                .send((Connection::Plain(Box::new(stream)), peer))
                .await
                .is_err()
            {
                return;
            }
            continue;
        };
        let give = give.clone();
        tokio::spawn(async move {
            match tokio::time::timeout(handshake, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let peer = Peer {
                        address,
                        encrypted: true,
                    };
                    // Nobody to give it to: the server is gone, and so is the connection.
                    drop(give.send((Connection::Tls(Box::new(stream)), peer)).await);
                }
                Ok(Err(error)) => debug!(%address, %error, "no TLS handshake"),
                Err(_) => debug!(%address, "a TLS handshake took longer than limits.handshake"),
            }
        });
    }
}

/// Connections between handshake and service; a few, they pass at once.
const READY: usize = 16;
