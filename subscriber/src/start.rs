//! Where does an application begin?

use twinfeed_protocol::Cursor;

/// Where an application begins in the source streams of a feed: see [`crate::Builder::from`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum From {
    /// Where the legs are: what rests since before is not known.
    #[default]
    Live,
    /// With a snapshot of what there is, and the stream behind it.
    Snapshot,
    /// Where an earlier run stood.
    Pos(Vec<Cursor>),
}
