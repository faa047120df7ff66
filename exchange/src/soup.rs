//! How does an exchange speak SoupBinTCP?
//!
//! ```text
//!  length u16 | type | payload        length: type and payload, big-endian
//!  A session [10] number [20]   J reason   S message   H   Z           to the client
//!  L user [6] password [10] session [10] number [20]   R   O           to the server
//! ```
//!
//! Numbers are ASCII digits behind spaces; a session's name stands behind spaces, user and password before them. Sequenced
//! messages carry no number: both ends count from the accepted login ("SoupBinTCP 3.00", 22 February 2017). [`server`] is who
//! speaks it, [`given`] what it gives of a session.

pub mod given;
pub mod server;

use crate::session::SessionId;

/// Length of a login packet's payload.
const LOGIN: usize = 46;
/// Most bytes that a client may send at a time: a client of market data has nothing to say but logins and heartbeats.
pub const LONGEST_REQUEST: usize = 1_024;

/// What a client says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// It logs in.
    Login(Login),
    /// It lives; or it says something that is no business of market data.
    Alive,
    /// It goes.
    Logout,
}

/// Who logs in, and for what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Login {
    /// Without its padding.
    pub user: String,
    /// Without its padding.
    pub password: String,
    /// Without its padding; empty: the session that is on.
    pub session: String,
    /// From which number on; 0: from what is generated next.
    pub first: u64,
}

/// Takes the first packet out of what a client has sent: it, and how many bytes it took. `None`: it is not all there.
///
/// # Errors
/// What is no packet of a client, or longer than one may be.
#[allow(
    clippy::result_unit_err,
    reason = "a malformed client is dropped, whatever it said"
)]
pub fn take(bytes: &[u8]) -> Result<Option<(Request, usize)>, ()> {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes(*length));
    if !(1..=LONGEST_REQUEST - 2).contains(&length) {
        return Err(());
    }
    let Some(packet) = rest.get(..length) else {
        return Ok(None);
    };
    let request = match (packet[0], &packet[1..]) {
        (b'L', payload) if payload.len() == LOGIN => Request::Login(login(payload).ok_or(())?),
        (b'R', []) | (b'U' | b'+', _) => Request::Alive,
        (b'O', []) => Request::Logout,
        _ => return Err(()),
    };
    Ok(Some((request, 2 + length)))
}

fn login(payload: &[u8]) -> Option<Login> {
    let text = |field: &[u8]| {
        let field = field.trim_ascii();
        let plain = field.iter().all(u8::is_ascii_graphic);
        plain.then(|| String::from_utf8_lossy(field).into_owned())
    };
    let number = text(&payload[26..])?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    Some(Login {
        user: text(&payload[..6])?,
        password: text(&payload[6..16])?,
        session: text(&payload[16..26])?,
        first: number.parse().ok().filter(|_| digits)?,
    })
}

/// The login is accepted: `next` is the number of the next message.
pub fn accepted(session: SessionId, next: u64, out: &mut Vec<u8>) {
    out.extend([0, 31, b'A']);
    out.extend(session.as_bytes());
    out.extend(format!("{next:>20}").bytes());
}

/// It is rejected: `A`, not authorised; `S`, no such session.
pub fn rejected(reason: u8, out: &mut Vec<u8>) {
    out.extend([0, 2, b'J', reason]);
}

/// A packet of this type; `payload` puts its bytes behind, at most 65,534.
pub fn packet(kind: u8, out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([0, 0, kind]);
    payload(out);
    // A message fits a MoldUDP64 packet, so its length fits here.
    let length = (out.len() - at - 2) as u16;
    out[at..at + 2].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_byte_by_byte() {
        let session = SessionId::numbered("S", 1).unwrap();
        let mut out = Vec::new();
        accepted(session, 1_203, &mut out);
        rejected(b'S', &mut out);
        packet(b'S', &mut out, |out| out.extend(b"abc"));
        packet(b'H', &mut out, |_| {});
        let text = b"\0\x1fAS000000001                1203\0\x02JS\0\x04Sabc\0\x01H";
        assert_eq!(out, text);
    }

    #[test]
    fn a_login_is_read_once_it_is_all_there() {
        let text = b"\0\x2fLTWIN  secret     S00000001                1203\0\x01R";
        assert_eq!(take(&text[..48]), Ok(None));
        let (request, length) = take(text).unwrap().unwrap();
        let login = Login {
            user: "TWIN".to_owned(),
            password: "secret".to_owned(),
            session: "S00000001".to_owned(),
            first: 1_203,
        };
        assert_eq!((request, length), (Request::Login(login), 49));
        assert_eq!(take(&text[49..]), Ok(Some((Request::Alive, 3))));
        assert_eq!(take(b"\0\x01O"), Ok(Some((Request::Logout, 3))));
        assert_eq!(take(b""), Ok(None));
    }

    #[test]
    fn what_no_client_says_is_refused() {
        let no_number = [&b"\0\x2fL"[..], &[b' '; 46]].concat();
        for wrong in [
            b"\0\0",
            &b"\0\x01L"[..],
            b"\xff\xff",
            b"\0\x02R ",
            &no_number,
        ] {
            assert_eq!(take(wrong), Err(()), "{wrong:?}");
        }
    }
}
