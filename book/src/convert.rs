//! What is an order of a snapshot in a book, and the other way round?

use twinfeed_wire::snapshot;

use super::{Order, Side, Trust};

impl From<Order> for snapshot::Order {
    fn from(of: Order) -> Self {
        Self {
            id: of.id,
            side: match of.side {
                Side::Bid => snapshot::Side::Bid,
                Side::Ask => snapshot::Side::Ask,
            },
            price: of.price,
            size: of.size,
        }
    }
}

impl From<snapshot::Order> for Order {
    fn from(of: snapshot::Order) -> Self {
        Self {
            id: of.id,
            side: match of.side {
                snapshot::Side::Bid => Side::Bid,
                snapshot::Side::Ask => Side::Ask,
            },
            price: of.price,
            size: of.size,
        }
    }
}

impl From<Trust> for snapshot::Trust {
    fn from(of: Trust) -> Self {
        match of {
            Trust::Sound => Self::Sound,
            Trust::Suspect => Self::Suspect,
        }
    }
}

impl From<snapshot::Trust> for Trust {
    fn from(of: snapshot::Trust) -> Self {
        match of {
            snapshot::Trust::Sound => Self::Sound,
            snapshot::Trust::Suspect => Self::Suspect,
        }
    }
}
