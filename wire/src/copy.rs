//! How are short bytes copied without a call?

/// Copies `from` to `to`, which is as long. What has 32 to 64 bytes, as nearly every body has, is covered by two pieces of a fixed
/// length, which cost less than a call.
///
/// # Panics
/// When the lengths differ.
#[inline(always)]
pub fn copy(to: &mut [u8], from: &[u8]) {
    assert!(to.len() == from.len(), "a copy is as long");
    if from.len() <= 2 * PIECE
        && let (Some(front), Some(back)) = (from.first_chunk::<PIECE>(), from.last_chunk::<PIECE>())
        && let Some(room) = to.first_chunk_mut()
    {
        *room = *front;
        if let Some(room) = to.last_chunk_mut() {
            *room = *back;
        }
    } else {
        to.copy_from_slice(from);
    }
}

/// Bytes that are copied together.
const PIECE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_any_length_are_copied() {
        let from: [u8; 200] = core::array::from_fn(|index| index as u8 + 1);
        for length in 0..=from.len() {
            let mut to = [0; 201];
            copy(&mut to[..length], &from[..length]);
            assert_eq!(to[..length], from[..length]);
            assert!(to[length..].iter().all(|byte| *byte == 0), "{length}");
        }
    }
}
