//! Which of a session's messages can be had again?
//!
//! The latest ones, by number: for the request server and the SoupBinTCP servers alike.

use std::collections::VecDeque;

use crate::mold::Packer;
use crate::session::SessionId;

/// A session's latest messages.
#[derive(Clone, Debug)]
pub struct Kept {
    most: usize,
    session: Option<SessionId>,
    /// Number of the oldest one.
    first: u64,
    bytes: VecDeque<u8>,
    /// Bytes that were forgotten.
    gone: u64,
    /// Bytes up to the end of each message, those that were forgotten counted.
    ends: VecDeque<u64>,
}

impl Kept {
    /// Keeps `most` messages.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            session: None,
            first: 1,
            bytes: VecDeque::new(),
            gone: 0,
            ends: VecDeque::new(),
        }
    }

    /// Keeps a message; one of another session takes the place of all.
    pub fn keep(&mut self, session: SessionId, number: u64, message: &[u8]) {
        if self.session != Some(session) || number != self.next() {
            (self.session, self.first) = (Some(session), number);
            self.bytes.clear();
            self.ends.clear();
            self.gone = 0;
        }
        if self.ends.len() == self.most
            && let Some(end) = self.ends.pop_front()
        {
            self.bytes.drain(..self.place(end));
            (self.gone, self.first) = (end, self.first + 1);
        }
        self.bytes.extend(message);
        self.ends.push_back(self.gone + self.bytes.len() as u64);
    }

    /// Whose messages they are; `None` before the first one.
    pub const fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// Number of the oldest one.
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// The number behind the latest one.
    pub fn next(&self) -> u64 {
        self.first + self.ends.len() as u64
    }

    /// Adds a message's bytes to `out`; `false`: it is not kept.
    pub fn copy(&self, number: u64, out: &mut Vec<u8>) -> bool {
        let at = number.checked_sub(self.first).map(usize::try_from);
        let Some(Ok(at)) = at.filter(|_| number < self.next()) else {
            return false;
        };
        let from = match at {
            0 => 0,
            _ => self.place(self.ends[at - 1]),
        };
        out.extend(self.bytes.range(from..self.place(self.ends[at])));
        true
    }

    /// Where among the kept bytes so many lie in front.
    const fn place(&self, end: u64) -> usize {
        (end - self.gone) as usize
    }

    /// Packs `count` messages from `first` on, or as many as are kept and fit; `None` when that is none.
    pub fn pack<'p>(
        &self,
        session: SessionId,
        first: u64,
        count: u16,
        packer: &'p mut Packer,
    ) -> Option<(&'p [u8], u16)> {
        let skipped = usize::try_from(first.checked_sub(self.first)?).ok()?;
        if self.session != Some(session) || skipped >= self.ends.len() {
            return None;
        }
        let mut at = match skipped {
            0 => 0,
            _ => self.place(self.ends[skipped - 1]),
        };
        packer.begin(session, first);
        let mut message = Vec::new();
        for end in self.ends.range(skipped..).take(usize::from(count)) {
            let end = self.place(*end);
            message.clear();
            message.extend(self.bytes.range(at..end));
            if !packer.push(&message) {
                break;
            }
            at = end;
        }
        let count = packer.count();
        (count > 0).then(|| (packer.finish(), count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mold::HEADER_LEN;

    fn session(number: u64) -> SessionId {
        SessionId::numbered("S", number).unwrap()
    }

    fn numbers(packet: &[u8]) -> Vec<u8> {
        // Every message is one byte: its number.
        packet[HEADER_LEN..]
            .chunks(3)
            .map(|block| block[2])
            .collect()
    }

    #[test]
    fn the_latest_messages_of_the_session_are_given_again() {
        let (mut kept, mut packer) = (Kept::new(4), Packer::new(1_400));
        for number in 1..=6_u8 {
            kept.keep(session(1), u64::from(number), &[number]);
        }
        let mut given = |of, first, count| {
            let packed = kept.pack(session(of), first, count, &mut packer);
            packed.map(|(packet, count)| (numbers(packet), count))
        };
        assert_eq!(given(1, 3, 2), Some((vec![3, 4], 2)));
        assert_eq!(given(1, 5, 9), Some((vec![5, 6], 2)));
        assert_eq!(given(1, 2, 4), None, "2 is forgotten");
        assert_eq!(given(1, 7, 1), None, "not sent yet");
        assert_eq!(given(2, 3, 1), None, "another session");
    }

    #[test]
    fn an_answer_is_one_packet() {
        let (mut kept, mut packer) = (Kept::new(100), Packer::new(crate::mold::MIN_PAYLOAD));
        for number in 1..=60_u8 {
            kept.keep(session(1), u64::from(number), &[number]);
        }
        let (packet, count) = kept.pack(session(1), 1, 60, &mut packer).unwrap();
        assert_eq!((packet.len(), count), (HEADER_LEN + 36 * 3, 36));
    }

    #[test]
    fn another_session_takes_the_place() {
        let (mut kept, mut packer) = (Kept::new(4), Packer::new(1_400));
        kept.keep(session(1), 1, b"a");
        kept.keep(session(2), 1, b"b");
        assert!(kept.pack(session(1), 1, 1, &mut packer).is_none());
        assert!(kept.pack(session(2), 1, 1, &mut packer).is_some());
    }

    #[test]
    fn a_message_is_copied_by_its_number() {
        let mut kept = Kept::new(3);
        for (number, message) in (1..).zip([&b"a"[..], b"", b"bc", b"d"]) {
            kept.keep(session(1), number, message);
        }
        assert_eq!((kept.first(), kept.next()), (2, 5));
        let copied = |number| {
            let mut out = Vec::new();
            kept.copy(number, &mut out).then_some(out)
        };
        assert_eq!(copied(1), None, "forgotten");
        assert_eq!(copied(2), Some(Vec::new()));
        assert_eq!(copied(3), Some(b"bc".to_vec()));
        assert_eq!(copied(4), Some(b"d".to_vec()));
        assert_eq!(copied(5), None, "not sent yet");
    }
}
