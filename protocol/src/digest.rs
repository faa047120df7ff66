//! How do two adapters find out that they mean the same, without talking?
//!
//! Three digests, all XXH3 (64 bit), normative in `docs/wire-format.md`, section 5. A digest that comes
//! out as 0 becomes 1, so that 0 can mean "none".
//!
//! - of an epoch's key: which life of the source's numbering;
//! - of a context: what the conversion remembers, by (epoch, first, abandoned ranges), and whether that is a snapshot's;
//! - of a range's content: what was sent under 4,096 numbers.

use core::ops::Range;

use twinfeed_wire::{
    BodyKind, ContextId, DIGEST_RANGE, Epoch, MOST_DIGESTS, RangeDigest, RecordFlags,
};
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed};

mod joined;

/// The epoch of a key: source content and the configured trading day, nothing else.
#[must_use]
pub fn epoch(key: &[u8]) -> Epoch {
    Epoch(never_zero(xxh3_64(key)))
}

/// The epoch of a MoldUDP64 session: `session` as on the wire (10 bytes), `trading_day` as 8 ASCII digits.
#[must_use]
pub fn mold_epoch(session: &[u8; 10], trading_day: &[u8; 8]) -> Epoch {
    let mut key = [0; 22];
    key[..4].copy_from_slice(b"mold");
    key[4..14].copy_from_slice(session);
    key[14..].copy_from_slice(trading_day);
    epoch(&key)
}

/// What a conversion remembers, as far as it matters to whoever merges two of them.
#[derive(Clone)]
pub struct Context {
    /// Everything but the last abandoned range.
    settled: Xxh3,
    /// The last abandoned range: it may still grow.
    last: Option<Range<u64>>,
    abandoned: u64,
}

impl Context {
    /// The context of a conversion that began with number `first` of `epoch`.
    #[must_use]
    pub fn new(epoch: Epoch, first: u64) -> Self {
        let mut settled = Xxh3::new();
        settled.update(&epoch.0.to_le_bytes());
        settled.update(&first.to_le_bytes());
        Self {
            settled,
            last: None,
            abandoned: 0,
        }
    }

    /// The context of a conversion that remembers what the source's own snapshot says of everything from number `first` of
    /// `epoch` on. Of which moment the snapshot was is not in it: whoever has converted what follows one remembers what
    /// a later one says.
    #[must_use]
    pub fn of_snapshot(epoch: Epoch, first: u64) -> Self {
        let mut context = Self::new(epoch, first);
        context.settled.update(b"snapshot");
        context
    }

    /// The numbers of `range` will never be converted. Ranges come in rising order; one that touches the
    /// one before makes it longer, so that it does not matter in how many steps a hole was given up.
    pub fn abandon(&mut self, range: Range<u64>) {
        self.abandoned = self
            .abandoned
            .saturating_add(range.end.saturating_sub(range.start));
        match &mut self.last {
            Some(last) if last.end == range.start => last.end = range.end,
            last => {
                if let Some(settled) = last.replace(range) {
                    update(&mut self.settled, &settled);
                }
            }
        }
    }

    /// How many numbers were abandoned.
    #[must_use]
    pub const fn abandoned(&self) -> u64 {
        self.abandoned
    }

    /// The digest that goes on the wire.
    #[must_use]
    pub fn id(&self) -> ContextId {
        let digest = match &self.last {
            None => self.settled.digest(),
            Some(last) => {
                let mut hasher = self.settled.clone();
                update(&mut hasher, last);
                hasher.digest()
            }
        };
        ContextId(never_zero(digest))
    }
}

impl core::fmt::Debug for Context {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Context")
            .field("id", &self.id())
            .field("abandoned", &self.abandoned)
            .finish()
    }
}

/// What one record adds to the digest of its range; additions wrap, so their order does not matter.
/// `None`: administrative messages and unknown kinds stand outside.
#[inline(always)]
#[must_use]
pub fn of_record(
    sseq: u64,
    part: u16,
    kind: BodyKind,
    flags: RecordFlags,
    body: &[u8],
) -> Option<u64> {
    match kind {
        BodyKind::Dbn | BodyKind::Opaque => {}
        BodyKind::Administrative | BodyKind::Unknown(_) => return None,
    }
    let seed = sseq.wrapping_mul(1 << 16).wrapping_add(u64::from(part));
    let front = [kind.code(), flags.0];
    Some(joined::digest(front, body, seed).unwrap_or_else(|| of_any_length(front, body, seed)))
}

/// The digest of `front` and `body` together.
#[inline(never)]
fn of_any_length(front: [u8; 2], body: &[u8], seed: u64) -> u64 {
    // One call over a small copy is several times faster than a hasher fed in two steps.
    if body.len() <= SHORTEST {
        return in_one_call::<{ 2 + SHORTEST }>(front, body, seed);
    }
    if body.len() <= SHORT {
        return in_one_call::<{ 2 + SHORT }>(front, body, seed);
    }
    let mut hasher = Xxh3::with_seed(seed);
    hasher.update(&front);
    hasher.update(body);
    hasher.digest()
}

/// The digest of `front` and `body` together, which fit `N` bytes.
#[inline(always)]
fn in_one_call<const N: usize>(front: [u8; 2], body: &[u8], seed: u64) -> u64 {
    let mut bytes = [0; N];
    bytes[..2].copy_from_slice(&front);
    bytes[2..2 + body.len()].copy_from_slice(body);
    xxh3_64_with_seed(&bytes[..2 + body.len()], seed)
}

/// The content digests of one sender's or receiver's whole ranges, newest [`MOST_DIGESTS`] kept.
#[derive(Clone, Debug)]
pub struct Ranges {
    /// The range under way.
    range: u64,
    /// Sum over its records so far.
    sum: u64,
    /// Whether the range under way is covered from its first number, or from the first one converted.
    whole: bool,
    finished: [RangeDigest; MOST_DIGESTS],
    count: usize,
}

impl Ranges {
    /// Begins in the range that `first` lies in.
    #[must_use]
    pub const fn starting_at(first: u64) -> Self {
        Self {
            range: first / DIGEST_RANGE,
            sum: 0,
            whole: true,
            finished: [RangeDigest {
                range: 0,
                digest: 0,
            }; MOST_DIGESTS],
            count: 0,
        }
    }

    /// Begins with `next`, in front of which somebody else has converted: the range that it cuts is not reported.
    #[must_use]
    pub const fn going_on_at(next: u64) -> Self {
        Self {
            whole: next.is_multiple_of(DIGEST_RANGE),
            ..Self::starting_at(next)
        }
    }

    /// Adds digests of records of one number, together; that number lies at or beyond every `next` that was passed.
    #[inline]
    pub fn add(&mut self, sseq: u64, digest: u64) {
        self.pass(sseq);
        self.sum = self.sum.wrapping_add(digest);
    }

    /// No record below `next` is still to come: finishes the ranges that lie below it.
    #[inline]
    pub fn pass(&mut self, next: u64) {
        let range = next / DIGEST_RANGE;
        if range > self.range {
            self.leave_for(range);
        }
    }

    fn leave_for(&mut self, range: u64) {
        self.finish();
        // Only the newest are kept: whoever jumps over more ranges than that need not visit them.
        let skipped = self.range + 1;
        for empty in skipped.max(range.saturating_sub(MOST_DIGESTS as u64))..range {
            self.range = empty;
            self.finish();
        }
        self.range = range;
    }

    /// The epoch ended at `next`: the range under way is as whole as it will ever be.
    pub fn end(&mut self, next: u64) {
        self.pass(next);
        if !next.is_multiple_of(DIGEST_RANGE) {
            self.finish();
            self.range += 1;
        }
    }

    /// The newest finished ranges, oldest first.
    #[must_use]
    pub fn finished(&self) -> &[RangeDigest] {
        &self.finished[..self.count]
    }

    fn finish(&mut self) {
        if !core::mem::replace(&mut self.whole, true) {
            self.sum = 0;
            return;
        }
        if self.count == MOST_DIGESTS {
            self.finished.copy_within(1.., 0);
            self.count -= 1;
        }
        self.finished[self.count] = RangeDigest {
            range: self.range,
            digest: never_zero(self.sum),
        };
        self.count += 1;
        self.sum = 0;
    }
}

fn update(hasher: &mut Xxh3, range: &Range<u64>) {
    hasher.update(&range.start.to_le_bytes());
    hasher.update(&range.end.to_le_bytes());
}

const fn never_zero(digest: u64) -> u64 {
    if digest == 0 { 1 } else { digest }
}

/// Bodies up to this length are digested in one call: all DBN records of the data path.
const SHORT: usize = 384;
/// Bodies up to this length need little room for it: statuses, short messages.
const SHORTEST: usize = 94;
