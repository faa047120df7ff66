//! Which datagrams should the kernel not even keep?
//!
//! A receiver that gets the same by another way wants none of its copies: they would fill the buffer, and what is no copy would find no room. A
//! filter of the kernel's (`SO_ATTACH_FILTER`, socket(7)) compares eight bytes of each payload and drops what has them; the socket's count of
//! drops, which [`super::Datagram::kernel_drops`] is the difference of, has those, too.

use std::io;

use socket2::{SockFilter, Socket};

/// Bytes of the header in front of a payload, which a UDP socket's filter sees as well.
const UDP_HEADER: u32 = 8;

/// Drops datagrams whose payload has `bytes` at `at`. Shorter ones are dropped, too.
pub(super) fn refuse(socket: &Socket, at: u32, bytes: [u8; 8]) -> io::Result<()> {
    let [a, b, c, d, e, f, g, h] = bytes;
    // Words are loaded in network order.
    let words = [[a, b, c, d], [e, f, g, h]].map(u32::from_be_bytes);
    let load = |offset: u32| SockFilter::new(LOAD_WORD, 0, 0, UDP_HEADER + at + offset);
    socket.attach_filter(&[
        load(0),
        SockFilter::new(JUMP_IF_EQUAL, 0, 3, words[0]),
        load(4),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, words[1]),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

/// Drops none.
pub(super) fn refuse_nothing(socket: &Socket) -> io::Result<()> {
    socket.detach_filter()
}

/// Classic BPF (linux/filter.h): `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_RET | BPF_K`.
const LOAD_WORD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::super::{Receiver, ReceiverConfig};

    fn datagram(word: u64) -> [u8; 40] {
        let mut bytes = [7; 40];
        bytes[16..24].copy_from_slice(&word.to_le_bytes());
        bytes
    }

    /// What has come, and how many the kernel says that it dropped.
    fn taken(receiver: &mut Receiver) -> (Vec<u64>, u32) {
        let (mut words, mut dropped) = (Vec::new(), 0);
        loop {
            for datagram in receiver.receive().unwrap() {
                let word = datagram.bytes[16..24].try_into().unwrap();
                words.push(u64::from_le_bytes(word));
                dropped += datagram.kernel_drops;
            }
            if receiver.is_drained() {
                return (words, dropped);
            }
        }
    }

    #[test]
    fn what_is_refused_is_dropped_and_counted_and_everything_else_comes() {
        let config = ReceiverConfig::unicast("127.0.0.1:0".parse().unwrap()).merge_under_load();
        let mut receiver = Receiver::open(&config).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = receiver.local_addr();
        let send = |word: u64| assert_eq!(sender.send_to(&datagram(word), to).unwrap(), 40);
        let (one, other) = (0x0102_0304_0506_0708, 0x0102_0304_0506_0709);
        send(one);
        receiver.refuse(16, one.to_le_bytes()).unwrap();
        for _ in 0..10 {
            send(one);
            send(other);
        }
        let (words, dropped) = taken(&mut receiver);
        assert_eq!(words[0], one, "what was there before stays");
        assert_eq!(words[1..], [other; 10]);
        assert_eq!(dropped, 10);
        receiver.refuse_nothing().unwrap();
        send(one);
        assert_eq!(taken(&mut receiver), (vec![one], 0));
    }
}
