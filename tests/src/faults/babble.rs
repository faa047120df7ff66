//! A sender that babbles on the groups of lines and streams: what it hears, it says again in every wrong way, beside noise
//! of its own. On the streams' groups it stands on the adapters' own hosts, so that its address is one that is believed.
//!
//! | on | what is said |
//! |---|---|
//! | lines and streams | noise of any length; real datagrams cut short, and said again |
//! | streams | one bit flipped; another version, another stream, a source number absurdly far ahead with a check that is right |
//! | lines | a session that nobody announced, a sequence absurdly far ahead |
//!
//! MoldUDP64 has no check of its own, so a flipped bit that passed the network's is a packet like any other; a line that is
//! told its `source` does not listen to strangers at all.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use twinfeed_harness::{Error, Seat};
use twinfeed_net::clock;
use twinfeed_wire::{Dsn, Flags, HEADER_LENGTH, restamp};

use super::{Evidence, Fault, MEANWHILE, Scene};
use crate::lab::{LINES, Lab, Namespace, STREAMS};
use twinfeed_harness::adapter;

/// It.
#[derive(Debug)]
pub(super) struct Babble;

impl Fault for Babble {
    fn strike(&mut self, scene: &mut Scene, turn: usize) -> Result<Vec<Evidence>, Error> {
        let lab = &scene.lab;
        let [active, backup] = &lab.adapters;
        let exchange = SocketAddr::new(lab.exchange.address().into(), ANY_PORT);
        let streams = scene.rig.files().adapters.map(|at| at.publish_from);
        let targets = [
            Target::new(lab, &lab.stranger, LINES[0], exchange)?,
            Target::new(lab, &lab.stranger, LINES[1], exchange)?,
            Target::new(lab, active, STREAMS[0], streams[0])?,
            Target::new(lab, backup, STREAMS[1], streams[1])?,
        ];
        let (before, refused_before) = (scene.statuses()?, refused_by_adapters(scene));
        let mut rng = fastrand::Rng::with_seed(turn as u64 + 1);
        let (mut said, mut packet) = (0, [0; LONGEST]);
        let until_ns = clock::monotonic_ns() + SPAN.as_nanos() as u64;
        while clock::monotonic_ns() < until_ns {
            let mut heard = false;
            for (place, target) in targets.iter().enumerate() {
                let Some(real) = target.hear(&mut packet)? else {
                    continue;
                };
                heard = true;
                let nonsense = match place < LINES.len() {
                    true => line_nonsense(&mut rng, real),
                    false => stream_nonsense(&mut rng, real),
                };
                target.say(&nonsense)?;
                said += 1;
            }
            if !heard {
                std::thread::sleep(REST);
            }
        }
        let after = scene.statuses()?;
        let both = after.iter().zip(&before);
        let refused = both
            .clone()
            .map(|(after, before)| after.refused - before.refused);
        let flow = both.map(|(after, before)| after.messages - before.messages);
        Ok(vec![
            Evidence::of("datagrams babbled", said),
            Evidence::of("refused by subscribers", refused.min().unwrap_or(0)),
            Evidence::of(
                "refused by adapters",
                refused_by_adapters(scene).saturating_sub(refused_before),
            ),
            Evidence::of(MEANWHILE, flow.min().unwrap_or(0)),
        ])
    }
}

/// Nonsense about a MoldUDP64 packet.
fn line_nonsense(rng: &mut fastrand::Rng, real: &[u8]) -> Vec<u8> {
    let mut bytes = real.to_vec();
    match rng.u64(..4) {
        0 => return common_nonsense(rng, real, UNCHECKED),
        // A session: ten letters (MoldUDP64 1.00).
        1 => bytes
            .iter_mut()
            .take(10)
            .for_each(|it| *it = b'A' + rng.u64(..26) as u8),
        // Its sequence stands behind it, big-endian.
        2 => {
            if let Some(sequence) = bytes.get_mut(10..18) {
                let absurd = ABSURD + rng.u64(..ABSURD << 20);
                sequence.copy_from_slice(&absurd.to_be_bytes());
            }
        }
        // Said again as it is.
        _ => {}
    }
    bytes
}

/// Nonsense about a datagram of a stream.
fn stream_nonsense(rng: &mut fastrand::Rng, real: &[u8]) -> Vec<u8> {
    let mut bytes = real.to_vec();
    if bytes.len() < HEADER_LENGTH {
        return bytes;
    }
    let dsn = u64::from_le_bytes(bytes[24..32].try_into().unwrap_or_default());
    match rng.u64(..5) {
        0 => return common_nonsense(rng, real, CHECKED),
        1 => bytes[2] = bytes[2].wrapping_add(1 + rng.u64(..254) as u8),
        2 => bytes[8..12].copy_from_slice(&(rng.u64(..1 << 32) as u32).to_le_bytes()),
        // One of long ago, which says now where nobody has ever been.
        3 => {
            let base = u64::from_le_bytes(bytes[80..88].try_into().unwrap_or_default());
            // Another number every time: what several say alike may be true.
            let absurd = base + ABSURD + rng.u64(..ABSURD << 20);
            bytes[80..88].copy_from_slice(&absurd.to_le_bytes());
            restamp(
                &mut bytes,
                Dsn(dsn.saturating_sub(LONG_AGO)),
                Flags::default(),
                0,
            );
            return bytes;
        }
        // Said again as it is.
        _ => return bytes,
    }
    restamp(&mut bytes, Dsn(dsn), Flags::default(), 0);
    bytes
}

/// Nonsense about anything: one of the first so many kinds.
fn common_nonsense(rng: &mut fastrand::Rng, real: &[u8], kinds: u64) -> Vec<u8> {
    let mut bytes = real.to_vec();
    let length = bytes.len() as u64;
    match rng.u64(..kinds) {
        0 => (0..rng.u64(..LONGEST as u64))
            .map(|_| rng.u64(..256) as u8)
            .collect(),
        1 => {
            bytes.truncate(rng.u64(..length.max(1)) as usize);
            bytes
        }
        _ => {
            let at = rng.u64(..length.max(1)) as usize;
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.u64(..8);
            }
            bytes
        }
    }
}

/// Packets of lines that were not taken for the source's, as both adapters count them; 0 while one does not answer.
fn refused_by_adapters(scene: &Scene) -> u64 {
    let of = |seat: Seat| {
        let at = scene.rig.files().adapters[seat.index()].operations;
        let status = adapter::status(at)?;
        status.counters.get("rejected_malformed_total").copied()
    };
    Seat::BOTH.into_iter().filter_map(of).sum()
}

/// A group that is babbled on.
struct Target {
    group: SocketAddr,
    /// Who is heard: not what was babbled.
    real: SocketAddr,
    ear: UdpSocket,
    mouth: UdpSocket,
}

impl Target {
    /// Hears the group at the stranger's, and speaks with the address of `host`.
    fn new(
        lab: &Lab,
        host: &Namespace,
        group: SocketAddr,
        real: SocketAddr,
    ) -> Result<Self, Error> {
        let IpAddr::V4(address) = group.ip() else {
            return Err(failed("join a group of")(ErrorKind::InvalidInput.into()));
        };
        let ear = on(&lab.stranger, || {
            let socket = UdpSocket::bind(group)?;
            socket.join_multicast_v4(&address, &lab.stranger.address())?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })?;
        let mouth = on(host, || {
            let socket = UdpSocket::bind((host.address(), 0))?;
            socket2::SockRef::from(&socket).set_multicast_if_v4(&host.address())?;
            socket.set_multicast_loop_v4(false)?;
            Ok(socket)
        })?;
        Ok(Self {
            group,
            real,
            ear,
            mouth,
        })
    }

    fn hear<'b>(&self, packet: &'b mut [u8]) -> Result<Option<&'b [u8]>, Error> {
        match self.ear.recv_from(packet) {
            Ok((length, from)) => {
                let port = [ANY_PORT, from.port()].contains(&self.real.port());
                let real = from.ip() == self.real.ip() && port;
                Ok(packet.get(..length).filter(|_| real))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(failed("hear")(error)),
        }
    }

    fn say(&self, nonsense: &[u8]) -> Result<(), Error> {
        let said = self.mouth.send_to(nonsense, self.group);
        said.map(drop).map_err(failed("say something to"))
    }
}

/// Opens a socket on a host: it stays there, whatever the thread that opened it does.
fn on(
    host: &Namespace,
    open: impl FnOnce() -> std::io::Result<UdpSocket> + Send,
) -> Result<UdpSocket, Error> {
    std::thread::scope(|scope| {
        let opened = scope.spawn(|| {
            host.enter()?;
            open().map_err(failed("open a socket of"))
        });
        let lost = |_| failed("enter the host of")(std::io::Error::other("its thread is gone"));
        opened.join().map_err(lost)?
    })
}

fn failed(action: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Process {
        action,
        process: "the babbler".to_owned(),
        source,
    }
}

/// Kinds of nonsense that show without a check.
const UNCHECKED: u64 = 2;
/// Those and a flipped bit.
const CHECKED: u64 = 3;
/// The exchange's is its kernel's choice.
const ANY_PORT: u16 = 0;
/// For how long.
const SPAN: Duration = Duration::from_millis(1_500);
/// While nobody says anything.
const REST: Duration = Duration::from_micros(200);
/// Longest datagram of an Ethernet, UDP payload.
const LONGEST: usize = 1_472;
/// Datagrams before; more than are told apart.
const LONG_AGO: u64 = 1_000;
/// Far beyond every window.
const ABSURD: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use twinfeed_wire::{Epoch, Header};

    use super::*;

    #[test]
    fn every_kind_of_nonsense_is_said() {
        let mut real = Header {
            dsn: Dsn(7),
            epoch: Epoch(7),
            base_sseq: 40,
            ..Header::default()
        }
        .to_bytes()
        .to_vec();
        restamp(&mut real, Dsn(7), Flags::HEARTBEAT, 1);
        let mut rng = fastrand::Rng::with_seed(1);
        let mut kinds = [0; 3];
        for _ in 0..1_000 {
            let said = stream_nonsense(&mut rng, &real);
            match Header::parse(&said) {
                Ok(_) if said == real => {}
                Ok(header) if header.base_sseq >= ABSURD => kinds[0] += 1,
                // Another stream; or a flipped bit, which the check finds that is not looked at here.
                Ok(_) => kinds[1] += 1,
                Err(_) => kinds[2] += 1,
            }
        }
        assert!(kinds.iter().all(|count| *count > 0), "{kinds:?}");
    }
}
