//! What does the market look like after everything that was sent?
//!
//! ```text
//!  every message sent ─► Image ─► S … R … H … Y … A, F (what is open, with what is left of it) ─► G (next number)
//! ```
//!
//! Follows the exchange's own output, generated or recorded, and gives it again as a snapshot in the manner of Nasdaq's
//! GLIMPSE 5.0: TotalView-ITCH 5.0 messages of the state, then a snapshot message that names the number with which the live
//! feed goes on ("Nasdaq GLIMPSE 5.0", sections 2 and 1.1 to 1.7). The layout of that last message, `G` and 20 ASCII digits behind
//! spaces, is from memory of that document: its text could not be read here. Operational halts (1.8) and RPII (1.6) are left out.

use std::collections::{BTreeMap, HashMap};

use crate::content::Messages;
use crate::session::SessionId;
use crate::soup::Login;
use crate::soup::server::{Next, Serving};

/// The state of one session.
#[derive(Clone, Debug, Default)]
pub struct Image {
    session: Option<SessionId>,
    /// The number of the next message.
    next: u64,
    event: Option<Box<[u8]>>,
    directory: BTreeMap<u16, Box<[u8]>>,
    trading: BTreeMap<u16, Box<[u8]>>,
    short_sale: BTreeMap<u16, Box<[u8]>>,
    orders: HashMap<u64, Order>,
    /// How many orders were ever added.
    added: u64,
}

#[derive(Clone, Debug)]
struct Order {
    rank: u64,
    /// Its Add message, with what is left of it.
    add: Vec<u8>,
}

impl Image {
    /// A session begins, and `first` is the number of its first message.
    pub fn begin(&mut self, session: SessionId, first: u64) {
        *self = Self {
            session: Some(session),
            next: first,
            ..Self::default()
        };
    }

    /// This message was sent. What it says of orders that are not known changes nothing.
    pub fn follow(&mut self, number: u64, message: &[u8]) {
        self.next = number + 1;
        let locate = message
            .get(1..3)
            .map(|at| u16::from_be_bytes([at[0], at[1]]));
        let (Some(kind), Some(locate)) = (message.first(), locate) else {
            return;
        };
        let latest = || Box::from(message);
        match kind {
            b'S' => self.event = Some(latest()),
            b'R' => drop(self.directory.insert(locate, latest())),
            b'H' => drop(self.trading.insert(locate, latest())),
            b'Y' => drop(self.short_sale.insert(locate, latest())),
            b'A' | b'F' => self.add(message.to_vec()),
            b'E' | b'C' | b'X' => self.reduce(message),
            b'D' => drop(reference(message, 11).and_then(|of| self.orders.remove(&of))),
            b'U' => self.replace(message),
            _ => {}
        }
    }

    fn add(&mut self, add: Vec<u8>) {
        if let Some(of) = reference(&add, 11).filter(|_| add.len() >= 36) {
            self.added += 1;
            let rank = self.added;
            self.orders.insert(of, Order { rank, add });
        }
    }

    fn reduce(&mut self, message: &[u8]) {
        let (Some(of), Some(by)) = (reference(message, 11), shares(message, 19)) else {
            return;
        };
        let Some(order) = self.orders.get_mut(&of) else {
            return;
        };
        let left = shares(&order.add, 20).unwrap_or(0).saturating_sub(by);
        match left {
            0 => drop(self.orders.remove(&of)),
            _ => order.add[20..24].copy_from_slice(&left.to_be_bytes()),
        }
    }

    /// Side, stock and attribution carry over (TotalView-ITCH 5.0, Order Replace).
    fn replace(&mut self, message: &[u8]) {
        let old = reference(message, 11).and_then(|of| self.orders.remove(&of));
        let (Some(Order { mut add, .. }), 35) = (old, message.len()) else {
            return;
        };
        add[3..11].copy_from_slice(&message[3..11]);
        add[11..19].copy_from_slice(&message[19..27]);
        add[20..24].copy_from_slice(&message[27..31]);
        add[32..36].copy_from_slice(&message[31..35]);
        self.add(add);
    }

    /// Everything that is to be said of it now, the snapshot message last.
    pub fn spin(&self) -> Messages {
        let mut orders: Vec<&Order> = self.orders.values().collect();
        orders.sort_unstable_by_key(|order| order.rank);
        let tables = [&self.directory, &self.trading, &self.short_sale];
        let tables = tables.into_iter().flat_map(BTreeMap::values);
        let mut messages = Messages::default();
        for message in self.event.iter().chain(tables) {
            messages.push(message);
        }
        for order in orders {
            messages.push(&order.add);
        }
        messages.push(format!("G{:>20}", self.next).as_bytes());
        messages
    }
}

/// A snapshot that a client is given, and what it has had of it.
#[derive(Debug)]
pub struct Spinning {
    messages: Messages,
    given: usize,
}

impl Serving for Image {
    type Cursor = Spinning;

    fn admit(&self, login: &Login) -> Result<(SessionId, u64, Spinning), u8> {
        let session = self.session.ok_or(b'S')?;
        let named = login.session.is_empty() || login.session == session.to_string();
        // "GLIMPSE users must login to SoupBinTCP for sequence 1", section 2.
        if !named || login.first != 1 {
            return Err(b'S');
        }
        let messages = self.spin();
        Ok((session, 1, Spinning { messages, given: 0 }))
    }

    fn next(&self, cursor: &mut Spinning, out: &mut Vec<u8>) -> Next {
        let Some(message) = cursor.messages.get(cursor.given) else {
            return Next::End;
        };
        out.extend(message);
        cursor.given += 1;
        Next::Message
    }
}

fn reference(message: &[u8], at: usize) -> Option<u64> {
    let bytes = message.get(at..)?.first_chunk()?;
    Some(u64::from_be_bytes(*bytes))
}

fn shares(message: &[u8], at: usize) -> Option<u32> {
    let bytes = message.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Flow, FlowConfig};

    fn session() -> SessionId {
        SessionId::numbered("S", 1).unwrap()
    }

    /// What a naive reader makes of messages: open orders, and shares and price of each.
    fn book(messages: impl Iterator<Item = Vec<u8>>) -> BTreeMap<u64, (u32, u32, Vec<u8>)> {
        let mut open = BTreeMap::new();
        for message in messages {
            let of = |at| reference(&message, at).unwrap();
            match message[0] {
                b'A' | b'F' => {
                    let (left, price) = (shares(&message, 20), shares(&message, 32));
                    let rest = [
                        &message[1..3],
                        &message[19..20],
                        &message[24..32],
                        &message[36..],
                    ];
                    open.insert(of(11), (left.unwrap(), price.unwrap(), rest.concat()));
                }
                b'E' | b'C' | b'X' => {
                    let order: &mut (u32, u32, Vec<u8>) = open.get_mut(&of(11)).unwrap();
                    order.0 -= shares(&message, 19).unwrap();
                    if order.0 == 0 {
                        open.remove(&of(11));
                    }
                }
                b'D' => drop(open.remove(&of(11)).unwrap()),
                b'U' => {
                    let (_, _, rest) = open.remove(&of(11)).unwrap();
                    let (left, price) = (shares(&message, 27), shares(&message, 31));
                    open.insert(of(19), (left.unwrap(), price.unwrap(), rest));
                }
                _ => {}
            }
        }
        open
    }

    #[test]
    fn a_snapshot_at_any_message_is_the_book_of_one_who_was_there() {
        let config = FlowConfig {
            instruments: 5,
            orders_per_instrument: 8,
            ..FlowConfig::default()
        };
        let (mut flow, mut image) = (Flow::new(config, 7, 0, 4_000), Image::default());
        image.begin(session(), 11);
        let mut sent = Vec::new();
        for number in 11..4_000 {
            let message = flow.next(number * 1_000).to_vec();
            image.follow(number, &message);
            sent.push(message);
            if number % 397 != 0 {
                continue;
            }
            let spun = image.spin();
            let spun: Vec<Vec<u8>> = (0..spun.len())
                .map(|at| spun.get(at).unwrap().to_vec())
                .collect();
            let (last, state) = spun.split_last().unwrap();
            assert_eq!(*last, format!("G{:>20}", number + 1).into_bytes());
            let there = book(sent.iter().cloned());
            assert!(!there.is_empty(), "{number}: nothing is open");
            assert_eq!(book(state.iter().cloned()), there, "{number}");
            assert_eq!(state.iter().filter(|message| message[0] == b'R').count(), 5);
        }
    }

    #[test]
    fn a_login_for_anything_but_the_beginning_is_refused() {
        let mut image = Image::default();
        let login = |session: &str, first| Login {
            user: String::new(),
            password: String::new(),
            session: session.to_owned(),
            first,
        };
        assert_eq!(image.admitted(&login("", 1)), Err(b'S'), "no session is on");
        image.begin(session(), 1);
        assert_eq!(image.admitted(&login("", 1)), Ok(1));
        assert_eq!(image.admitted(&login("S000000001", 1)), Ok(1));
        assert_eq!(image.admitted(&login("", 2)), Err(b'S'));
        assert_eq!(image.admitted(&login("S000000002", 1)), Err(b'S'));
    }

    impl Image {
        fn admitted(&self, login: &Login) -> Result<u64, u8> {
            Serving::admit(self, login).map(|(_, first, _)| first)
        }
    }
}
