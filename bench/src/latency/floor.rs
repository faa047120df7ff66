//! The floor: bare sockets, both copies, of datagrams as long as the product's.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use socket2::SockRef;

use super::publisher::{END, Publish, addresses};
use super::subscriber::{BUFFER, Subscribe, Told};
use super::{Heard, product};
use crate::error::Error;

/// How often [`END`] is said.
const ENDS: usize = 20;

/// A socket for each copy.
#[derive(Debug)]
pub(crate) struct Publisher {
    sockets: Vec<UdpSocket>,
    to: Vec<SocketAddr>,
    datagram: Vec<u8>,
}

impl Publisher {
    pub(crate) fn open(to: &[String], size: usize) -> Result<Self, Error> {
        let to = addresses(to)?;
        let bare = |to: &SocketAddr| -> Result<UdpSocket, Error> {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Socket)?;
            socket.connect(to).map_err(Error::Socket)?;
            Ok(socket)
        };
        Ok(Self {
            sockets: to.iter().map(bare).collect::<Result<_, _>>()?,
            to,
            datagram: vec![0; product::datagram(size)],
        })
    }
}

impl Publish for Publisher {
    fn send(&mut self, number: u64, record: &[u8]) {
        self.datagram[..8].copy_from_slice(&number.to_le_bytes());
        self.datagram[8..16].copy_from_slice(&record[..8]);
        for socket in &self.sockets {
            // A full buffer is a drop, which the other side counts.
            let _ = socket.send(&self.datagram);
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        say_end(&self.to)
    }

    fn datagram(&self) -> Option<usize> {
        Some(self.datagram.len())
    }
}

/// Says [`END`] so often that one comes.
pub(super) fn say_end(to: &[SocketAddr]) -> Result<(), Error> {
    let last = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Socket)?;
    for _ in 0..ENDS {
        // What is behind the last record must not push it out of the buffer.
        std::thread::sleep(std::time::Duration::from_millis(2));
        for to in to {
            let _ = last.send_to(&END, to);
        }
    }
    Ok(())
}

/// All sockets in turn; the first of a number counts.
#[derive(Debug)]
pub(crate) struct Subscriber {
    sockets: Vec<UdpSocket>,
    buffer: [u8; 2_048],
}

impl Subscriber {
    pub(super) fn open() -> Result<Self, Error> {
        let open = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let sockets = [open(), open()].into_iter().collect::<Result<_, _>>();
        Self::over(sockets.map_err(Error::Socket)?)
    }

    /// One socket that is bound already.
    pub(crate) fn alone(socket: UdpSocket) -> Result<Self, Error> {
        Self::over(vec![socket])
    }

    fn over(sockets: Vec<UdpSocket>) -> Result<Self, Error> {
        for socket in &sockets {
            socket.set_nonblocking(true).map_err(Error::Socket)?;
            // As large as the other's; a refusal leaves what the kernel gives.
            let _ = SockRef::from(socket).set_recv_buffer_size(BUFFER);
        }
        Ok(Self {
            sockets,
            buffer: [0; 2_048],
        })
    }
}

impl Subscribe for Subscriber {
    fn doors(&self) -> Result<Vec<String>, Error> {
        let door = |socket: &UdpSocket| socket.local_addr().map(|address| address.to_string());
        let doors = self.sockets.iter().map(door).collect::<Result<_, _>>();
        doors.map_err(Error::Socket)
    }

    fn turn(&mut self, told: &mut Told) -> Result<bool, Error> {
        let mut ended = false;
        for socket in &self.sockets {
            let Ok(length) = socket.recv(&mut self.buffer) else {
                continue;
            };
            if self.buffer[..length] == END {
                ended = true;
                continue;
            }
            told.copy(&self.buffer[..length]);
        }
        Ok(ended)
    }

    fn finish(&mut self, _heard: &mut Heard) {}
}
