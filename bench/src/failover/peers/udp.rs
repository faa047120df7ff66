//! Bare sockets: the least that redundancy can be built on. Messages that are due together share datagrams, as the product's do.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;

use twinfeed_net::idle::{Idle, Idler};

use super::publisher::{SIZE, Send};
use super::subscriber::Merge;
use crate::child::say;
use crate::error::Error;

/// Messages of a datagram that fits an Ethernet frame.
const TOGETHER: usize = 1_400 / SIZE;
/// Bytes of kernel buffer that each socket asks for.
const BUFFER: usize = 4 << 20;
/// Datagrams of one socket in one turn.
const BATCH: usize = 64;

pub(super) struct Publisher {
    socket: UdpSocket,
    datagram: Vec<u8>,
}

impl Publisher {
    pub(super) fn open(leg: usize, doors: &[String]) -> Result<Self, Error> {
        let to: SocketAddr = doors[leg]
            .parse()
            .map_err(|error| Error::Subscriber(std::io::Error::other(error)))?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Socket)?;
        socket.connect(to).map_err(Error::Socket)?;
        let datagram = Vec::with_capacity(TOGETHER * SIZE);
        Ok(Self { socket, datagram })
    }
}

impl Send for Publisher {
    fn put(&mut self, message: &[u8; SIZE]) {
        self.datagram.extend_from_slice(message);
        if self.datagram.len() == TOGETHER * SIZE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.datagram.is_empty() {
            // A full buffer is a drop, which the bench counts.
            let _ = self.socket.send(&self.datagram);
            self.datagram.clear();
        }
    }
}

/// Both sockets in turn; sleeps on them when there is nothing, as the product does.
pub(super) fn hear(mut merge: Merge) -> Result<(), Error> {
    let open = || -> Result<UdpSocket, Error> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Socket)?;
        socket.set_nonblocking(true).map_err(Error::Socket)?;
        // A refusal leaves what the kernel gives.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(BUFFER);
        Ok(socket)
    };
    let sockets = [open()?, open()?];
    let door = |socket: &UdpSocket| socket.local_addr().map(|address| address.to_string());
    let doors: Result<Vec<_>, _> = sockets.iter().map(door).collect();
    say(&doors.map_err(Error::Socket)?)?;
    let (mut idler, mut buffer) = (Idler::new(Idle::default()), [0; 2_048]);
    loop {
        let mut work = 0;
        for socket in &sockets {
            for _ in 0..BATCH {
                let Ok(length) = socket.recv(&mut buffer) else {
                    break;
                };
                work += 1;
                for message in buffer[..length].as_chunks::<SIZE>().0 {
                    merge.take(message);
                }
            }
        }
        idler.idle(work, sockets.iter().map(UdpSocket::as_fd));
    }
}
