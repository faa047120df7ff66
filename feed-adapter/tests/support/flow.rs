//! Order flow without sense: references are few, so that they meet, and nothing keeps a message from being about an order
//! that is gone, or never was.

use proptest::prelude::*;

/// One message, in short.
pub(crate) type Step = (u8, u8, u8);

/// Up to so many messages.
pub(crate) fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 0..most)
}

/// The message that source number `sseq` is.
pub(crate) fn message(sseq: u64, (kind, which, shares): Step) -> Vec<u8> {
    let reference = |which: u8| u64::from(which) * 0x1_0000_0001;
    let letter = match kind {
        0..90 => b'A',
        90..120 => b'F',
        120..150 => b'E',
        150..165 => b'C',
        165..185 => b'X',
        185..215 => b'D',
        215..235 => b'U',
        235..250 => b'R',
        250.. => b'P',
    };
    let mut bytes = vec![letter];
    bytes.extend(u16::from(which % 7).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(&(34_200_000_000_000 + sseq).to_be_bytes()[2..]);
    if letter != b'R' {
        bytes.extend(reference(which).to_be_bytes());
    }
    let (few, side) = (u32::from(shares), if shares % 2 == 0 { b'B' } else { b'S' });
    match letter {
        b'A' | b'F' | b'P' => {
            bytes.push(side);
            bytes.extend((few * 3).to_be_bytes());
            bytes.extend(b"AAPL    ");
            bytes.extend((1_000_000 + few * 100).to_be_bytes());
            match letter {
                b'F' => bytes.extend(b"MMID"),
                b'P' => bytes.extend(sseq.to_be_bytes()),
                _ => {}
            }
        }
        b'E' => {
            bytes.extend(few.to_be_bytes());
            bytes.extend(sseq.to_be_bytes());
        }
        b'C' => {
            bytes.extend(few.to_be_bytes());
            bytes.extend(sseq.to_be_bytes());
            bytes.push(b'Y');
            bytes.extend(999_900_u32.to_be_bytes());
        }
        b'X' => bytes.extend(few.to_be_bytes()),
        b'D' => {}
        b'U' => {
            bytes.extend(reference(which.wrapping_add(shares)).to_be_bytes());
            bytes.extend((few + 1).to_be_bytes());
            bytes.extend((1_000_000 + few).to_be_bytes());
        }
        _ => {
            bytes.extend(b"AAPL    QN");
            bytes.extend(100_u32.to_be_bytes());
            bytes.extend(b"NCZ PNN1N");
            bytes.extend(0_u32.to_be_bytes());
            bytes.push(b'N');
        }
    }
    bytes
}
