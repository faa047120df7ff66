//! Where does one frame of the pair link end?

use twinfeed_net::tcp::{FrameFault, Framing};
use twinfeed_wire::link::{FRAME_BUFFER, FRAME_HEADER_LENGTH, frame_length};

/// Tells a frame's length from its header.
#[derive(Clone, Copy, Debug)]
pub struct PairFrames;

/// Most bytes of one frame that a link gathers; a longer one ends it.
pub const LONGEST_LINK_FRAME: usize = 4_096;
const _: () = assert!(LONGEST_LINK_FRAME >= FRAME_BUFFER);

impl Framing for PairFrames {
    const HEADER: usize = FRAME_HEADER_LENGTH;

    fn frame_length(&self, header: &[u8]) -> Result<usize, FrameFault> {
        let header = header
            .first_chunk()
            .ok_or(FrameFault::Unknown("too short"))?;
        frame_length(header).map_err(|_| {
            FrameFault::Unknown("it is no pair link of this version; upgrade the older")
        })
    }
}
