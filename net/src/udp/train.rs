//! Which neighbouring datagrams can go to the kernel as one message?
//!
//! With `UDP_SEGMENT` (udp(7)) one message is cut into datagrams of one length; the last may be
//! shorter. One pass through the network stack then serves many datagrams.
//!
//! ```text
//! lengths   8 8 8 5 │ 8 8 │ 9 │ 0 │ 8
//! trains    cut 8   │cut 8│ – │ – │ –      (– : alone, nothing to cut)
//! ```

use std::ops::Range;

/// Neighbouring datagrams that form one message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Train {
    /// Their places.
    pub(super) run: Range<usize>,
    /// Length at which the kernel cuts; `None` for a datagram alone.
    pub(super) cut: Option<u16>,
}

/// Most datagrams in one train: `UDP_MAX_SEGMENTS` of kernels before 6.9; later ones take more.
const MAX_SEGMENTS: usize = 64;
/// Most bytes in one train: a UDP payload over IPv4 with room for IP options.
const MAX_BYTES: usize = 65_000;

/// Cuts datagrams of `lengths` into trains, in order, and puts them into `trains`.
pub(super) fn couple(lengths: impl Iterator<Item = usize>, trains: &mut Vec<Train>) {
    trains.clear();
    // Length of the current train's datagrams, and its bytes; zero takes no more.
    let (mut length, mut bytes) = (0, 0);
    for (place, next) in lengths.enumerate() {
        let fits = next > 0 && next <= length && bytes + next <= MAX_BYTES;
        match trains.last_mut() {
            Some(train) if fits && train.run.len() < MAX_SEGMENTS => {
                train.run.end = place + 1;
                train.cut = u16::try_from(length).ok();
                bytes += next;
                if next < length {
                    length = 0;
                }
            }
            _ => {
                trains.push(alone(place));
                (length, bytes) = (next, next);
            }
        }
    }
}

/// Every datagram alone.
pub(super) fn uncouple(count: usize, trains: &mut Vec<Train>) {
    trains.clear();
    trains.extend((0..count).map(alone));
}

fn alone(place: usize) -> Train {
    Train {
        run: place..place + 1,
        cut: None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trains(lengths: &[usize]) -> Vec<(usize, Option<u16>)> {
        let mut trains = Vec::new();
        couple(lengths.iter().copied(), &mut trains);
        trains
            .iter()
            .map(|train| (train.run.len(), train.cut))
            .collect()
    }

    #[test]
    fn the_picture_holds() {
        let expected = [(4, Some(8)), (2, Some(8)), (1, None), (1, None), (1, None)];
        assert_eq!(trains(&[8, 8, 8, 5, 8, 8, 9, 0, 8]), expected);
    }

    #[test]
    fn limits_hold_at_the_edge_and_one_beyond() {
        assert_eq!(trains(&[8; MAX_SEGMENTS]), [(MAX_SEGMENTS, Some(8))]);
        assert_eq!(
            trains(&[8; MAX_SEGMENTS + 1]),
            [(MAX_SEGMENTS, Some(8)), (1, None)]
        );
        assert_eq!(trains(&[32_500; 2]), [(2, Some(32_500))]);
        assert_eq!(trains(&[32_501; 2]), [(1, None), (1, None)]);
        assert_eq!(trains(&[]), []);
    }

    proptest! {
        /// Cutting each train as the kernel does gives back the datagrams, in order.
        #[test]
        fn the_kernel_cuts_trains_back_into_the_same_datagrams(
            lengths in prop::collection::vec(prop_oneof![Just(0), Just(8), Just(1_472), 0..70_000_usize], 0..300)
        ) {
            let mut trains = Vec::new();
            couple(lengths.iter().copied(), &mut trains);
            let mut cut_again = Vec::new();
            for train in &trains {
                let total: usize = lengths[train.run.clone()].iter().sum();
                prop_assert!(train.run.len() <= MAX_SEGMENTS);
                prop_assert!(train.run.len() == 1 || total <= MAX_BYTES);
                prop_assert_eq!(train.cut.is_some(), train.run.len() > 1);
                let mut left = total;
                loop {
                    let step = train.cut.map_or(left, usize::from).min(left);
                    cut_again.push(step);
                    left -= step;
                    if left == 0 { break }
                }
            }
            prop_assert_eq!(cut_again, lengths);
        }
    }
}
