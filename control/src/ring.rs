//! How does a subscriber on an adapter's own host learn that it need not take the network?

use serde::{Deserialize, Serialize};

/// Where an adapter hands out its ring: its whole leg, in shared memory that only it can write.
///
/// Everything in it travels by the leg's transport as well; a subscriber that cannot have it, for whatever reason, loses nothing.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OfferedRing {
    /// The host's name for its present boot, 1 to [`LONGEST_HOST`] visible ASCII characters; who has another one does not ask.
    pub host: String,
    /// Where that is: a path, or with a leading `@` the name of an abstract Unix socket; 1 to [`LONGEST_RING_NAME`] bytes.
    pub name: String,
}

/// Most characters of [`OfferedRing::host`].
pub const LONGEST_HOST: usize = 64;
/// Most bytes of [`OfferedRing::name`]: what fits the address of a Unix socket (unix(7), `sun_path`).
pub const LONGEST_RING_NAME: usize = 107;
