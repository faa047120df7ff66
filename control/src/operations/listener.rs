//! How many connections at a time, and how long may one do nothing?
//!
//! A connection holds a permit for its whole life; without a permit the next one waits in the kernel's
//! queue. A connection on which no byte moved in either direction for the idle timeout is closed, so
//! that nobody keeps permits by connecting and saying nothing.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// A TCP listener with a bound on connections and on their idleness.
#[derive(Debug)]
pub struct BoundedListener {
    socket: TcpListener,
    permits: Arc<Semaphore>,
    idle_timeout: Duration,
}

impl BoundedListener {
    /// At most `limit` connections at a time, each closed after `idle_timeout` without a byte.
    #[must_use]
    pub fn new(socket: TcpListener, limit: usize, idle_timeout: Duration) -> Self {
        let permits = Arc::new(Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            socket,
            permits,
            idle_timeout,
        }
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (BoundedStream, SocketAddr) {
        loop {
            let permit = self.permits.clone().acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    // Without it answers are late by an ACK; failing to set it costs only that.
                    drop(stream.set_nodelay(true));
                    return (BoundedStream::new(stream, permit, self.idle_timeout), peer);
                }
                // Out of descriptors, or the peer is gone again: neither is mended by haste.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// A connection that knows when it last moved a byte.
#[derive(Debug)]
pub struct BoundedStream {
    stream: TcpStream,
    idle_timeout: Duration,
    deadline: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl BoundedStream {
    fn new(stream: TcpStream, permit: OwnedSemaphorePermit, idle_timeout: Duration) -> Self {
        let deadline = Box::pin(tokio::time::sleep(idle_timeout));
        Self {
            stream,
            idle_timeout,
            deadline,
            _permit: permit,
        }
    }

    /// Passes `result` on; moves the deadline when something happened, fails when it has passed.
    fn judge<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(done) => {
                self.deadline
                    .as_mut()
                    .reset(Instant::now() + self.idle_timeout);
                Poll::Ready(done)
            }
            Poll::Pending => match self.deadline.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.judge(context, result)
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    fn with_runtime<F: Future>(work: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(work)
    }

    #[test]
    fn a_connection_that_says_nothing_is_closed() {
        with_runtime(async {
            let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut listener = BoundedListener::new(socket, 1, Duration::from_millis(10));
            let _peer = TcpStream::connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            let (mut stream, _) = listener.accept().await;
            let error = stream.read(&mut [0; 8]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn a_permit_is_free_once_its_connection_is() {
        with_runtime(async {
            let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut listener = BoundedListener::new(socket, 1, Duration::from_secs(60));
            let address = listener.local_addr().unwrap();
            let _first = TcpStream::connect(address).await.unwrap();
            let _second = TcpStream::connect(address).await.unwrap();
            let (held, _) = listener.accept().await;
            assert_eq!(listener.permits.available_permits(), 0);
            drop(held);
            let (_stream, _) = listener.accept().await;
        });
    }
}
