//! What of the session that is on is a client given?
//!
//! What is kept of it from the number that it asks for, then what comes. A number that is not kept any more, and one that is not
//! sent yet, become the nearest one that is had: the accepted login says which. The specification names no other answer.

use super::Login;
use super::server::{Next, Serving};
use crate::kept::Kept;
use crate::session::SessionId;

/// Which session is on, and whether it has ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Course {
    /// The session, and the number of its first message.
    on: Option<(SessionId, u64)>,
    /// The last one that ended, and the number behind its last message.
    over: Option<(SessionId, u64)>,
}

impl Course {
    /// This session is on from now.
    pub const fn begin(&mut self, session: SessionId, first: u64) {
        self.on = Some((session, first));
    }

    /// It has ended; `next` would have been its next number.
    pub const fn end(&mut self, session: SessionId, next: u64) {
        self.over = Some((session, next));
    }

    /// Together with what is kept.
    pub const fn given<'k>(&self, kept: &'k Kept) -> Given<'k> {
        Given {
            course: *self,
            kept,
        }
    }
}

/// A session that is on, and its messages.
#[derive(Clone, Copy, Debug)]
pub struct Given<'k> {
    course: Course,
    kept: &'k Kept,
}

impl Given<'_> {
    /// The numbers that are had of this session.
    fn had(&self, session: SessionId, first: u64) -> (u64, u64) {
        match self.kept.session() {
            Some(of) if of == session => (self.kept.first(), self.kept.next()),
            _ => (first, first),
        }
    }
}

impl Serving for Given<'_> {
    type Cursor = (SessionId, u64);

    fn admit(&self, login: &Login) -> Result<(SessionId, u64, Self::Cursor), u8> {
        let (on, first) = self.course.on.ok_or(b'S')?;
        let over = self.course.over.map(|(session, _)| session);
        // One that is over is given by name, until the next one has said something.
        let over = over.filter(|of| self.kept.session() == Some(*of));
        let is_named = |session: &SessionId| login.session == session.to_string();
        let session = match login.session.is_empty() || is_named(&on) {
            true => on,
            false => over.filter(is_named).ok_or(b'S')?,
        };
        let (first, next) = self.had(session, first);
        let from = match login.first {
            0 => next,
            asked => asked.clamp(first, next),
        };
        Ok((session, from, (session, from)))
    }

    fn next(&self, (session, next): &mut Self::Cursor, out: &mut Vec<u8>) -> Next {
        if self.course.over == Some((*session, *next)) {
            return Next::End;
        }
        let on = self.course.on.is_some_and(|(on, _)| on == *session);
        let kept = self.kept.session() == Some(*session);
        if kept && self.kept.copy(*next, out) {
            *next += 1;
            return Next::Message;
        }
        match on && (!kept || *next == self.kept.next()) {
            true => Next::Nothing,
            false => Next::Gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(number: u64) -> SessionId {
        SessionId::numbered("S", number).unwrap()
    }

    fn login(session: &str, first: u64) -> Login {
        Login {
            user: String::new(),
            password: String::new(),
            session: session.to_owned(),
            first,
        }
    }

    #[test]
    fn a_number_that_is_not_had_becomes_the_nearest_one() {
        let (mut course, mut kept) = (Course::default(), Kept::new(3));
        let from = |course: &Course, kept: &Kept, name: &str, first| {
            let begun = course.given(kept).admit(&login(name, first));
            begun.map(|(_, from, _)| from)
        };
        assert_eq!(from(&course, &kept, "", 1), Err(b'S'), "none is on");
        course.begin(session(1), 7);
        assert_eq!(from(&course, &kept, "", 1), Ok(7), "announced");
        for number in 7..=11 {
            kept.keep(session(1), number, b"m");
        }
        for (asked, given) in [(1, 9), (9, 9), (10, 10), (12, 12), (99, 12), (0, 12)] {
            assert_eq!(
                from(&course, &kept, "S000000001", asked),
                Ok(given),
                "{asked}"
            );
        }
        assert_eq!(from(&course, &kept, "S000000002", 9), Err(b'S'));
        course.begin(session(2), 1);
        assert_eq!(
            from(&course, &kept, "", 5),
            Ok(1),
            "nothing of it is kept yet"
        );
    }

    #[test]
    fn a_client_is_given_what_is_kept_and_then_the_end() {
        let (mut course, mut kept) = (Course::default(), Kept::new(3));
        course.begin(session(1), 1);
        kept.keep(session(1), 1, b"a");
        let (_, _, mut cursor) = course.given(&kept).admit(&login("", 1)).unwrap();
        let mut behind = cursor;
        let next = |course: &Course, kept: &Kept, cursor: &mut _| {
            let mut out = Vec::new();
            (course.given(kept).next(cursor, &mut out), out)
        };
        assert_eq!(
            next(&course, &kept, &mut cursor),
            (Next::Message, b"a".to_vec())
        );
        assert_eq!(
            next(&course, &kept, &mut cursor),
            (Next::Nothing, Vec::new())
        );
        for number in 2..=4 {
            kept.keep(session(1), number, b"b");
        }
        assert_eq!(
            next(&course, &kept, &mut behind).0,
            Next::Gone,
            "1 is forgotten"
        );
        course.end(session(1), 5);
        for _ in 2..=4 {
            assert_eq!(next(&course, &kept, &mut cursor).0, Next::Message);
        }
        assert_eq!(next(&course, &kept, &mut cursor).0, Next::End);
        // The next session does not turn an end into a loss.
        course.begin(session(2), 1);
        assert_eq!(next(&course, &kept, &mut cursor).0, Next::End);
        let late = |kept: &Kept| {
            let begun = course.given(kept).admit(&login("S000000001", 3));
            begun.map(|(session, from, _)| (session, from))
        };
        assert_eq!(late(&kept), Ok((session(1), 3)), "it is had, and named");
        kept.keep(session(2), 1, b"c");
        assert_eq!(late(&kept), Err(b'S'));
        assert_eq!(next(&course, &kept, &mut cursor).0, Next::End);
        assert_eq!(next(&course, &kept, &mut behind).0, Next::Gone);
    }
}
