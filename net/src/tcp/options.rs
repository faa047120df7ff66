//! How fast is a dead peer noticed, and how much may one link hold?

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use socket2::{Socket, TcpKeepalive};

/// Settings of every link, made or accepted. `TCP_NODELAY` is always on: frames are small, and
/// each is somebody's waiting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LinkOptions {
    /// Longest frame, header included, in bytes; bounds the memory of a link. A longer one ends it.
    pub max_frame: usize,
    /// Most bytes that may wait to be sent.
    pub max_unsent: usize,
    /// The address that a connection is made from; `None`: the kernel chooses.
    pub local: Option<IpAddr>,
    /// How long a connection attempt may take.
    pub connect_timeout: Duration,
    /// How long sent data may stay unacknowledged before the link is given up
    /// (`TCP_USER_TIMEOUT`, tcp(7)).
    pub user_timeout: Duration,
    /// Probes on a silent link; `None` sends none.
    pub keepalive: Option<Keepalive>,
}

/// Probes of a silent link (tcp(7)): dead after `idle + interval × probes`. Whole seconds, as the
/// kernel takes no less.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Probes without an answer that end the link.
    pub probes: u32,
}

impl Default for LinkOptions {
    /// 64 KiB frames, 1 MiB unsent, 3 s to connect, dead peers noticed within 3 s.
    fn default() -> Self {
        Self {
            max_frame: 64 << 10,
            max_unsent: 1 << 20,
            local: None,
            connect_timeout: Duration::from_secs(3),
            user_timeout: Duration::from_secs(3),
            keepalive: Some(Keepalive {
                idle: Duration::from_secs(1),
                interval: Duration::from_secs(1),
                probes: 2,
            }),
        }
    }
}

impl LinkOptions {
    /// Sets a connected socket up and makes it non-blocking.
    pub(super) fn apply(&self, socket: &Socket) -> io::Result<()> {
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_user_timeout(Some(self.user_timeout))?;
        if let Some(Keepalive {
            idle,
            interval,
            probes,
        }) = self.keepalive
        {
            let keepalive = TcpKeepalive::new().with_time(idle);
            let keepalive = keepalive.with_interval(interval).with_retries(probes);
            socket.set_tcp_keepalive(&keepalive)?;
        }
        socket.set_nonblocking(true)
    }
}
