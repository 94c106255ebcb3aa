//! The hash of a key, and which of its bits decide what. Layer: shard.

/// The keyed 64-bit hash of a key.
///
/// ```text
/// 63 ........ 42 ........ 32 | 31 ........... 11 | 10 .. 3 | 2 .. 0
///  shard (high bits decide)  |  home bucket      |  tag    | unused
///          pending slot      |  (high bits decide)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash(pub(crate) u64);

impl KeyHash {
    /// Which of `shards` owns the key. A multiplication instead of a division: the high bits decide.
    #[inline]
    pub(crate) fn shard(self, shards: usize) -> usize {
        // Cannot truncate: the product's high half is below `shards`.
        (((self.0 >> 32) * shards as u64) >> 32) as usize
    }

    /// The bits that the shard keeps of the hash: enough for its bucket and its tag. Leaves
    /// [`FREE_BITS`] zero.
    #[inline]
    pub(crate) fn local(self) -> u32 {
        self.0 as u32 & !FREE_BITS
    }

    /// Which of the pending table's slots is the key's; `slots` is a power of two.
    #[inline]
    pub(crate) fn slot(self, slots: usize) -> usize {
        (self.0 >> 32) as usize & (slots - 1)
    }
}

/// The bits that a local hash leaves to whoever keeps it.
pub(super) const FREE_BITS: u32 = 0b111;

/// The one in every tag byte of a control word.
const ONES: u64 = 0x0001_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

/// The tag byte of a local hash.
#[inline]
pub(crate) fn tag(local: u32) -> u8 {
    (local >> FREE_BITS.count_ones()) as u8
}

/// The home bucket of a local hash among `buckets`, so below that.
#[inline]
pub(crate) fn home(local: u32, buckets: usize) -> usize {
    ((u64::from(local) * buckets as u64) >> 32) as usize
}

/// The tag of a hash in every tag byte.
#[inline]
pub(super) fn tags(hash: u32) -> u64 {
    ONES * u64::from(tag(hash))
}

/// The high bit of every tag byte of `control` that equals that of `tags`, and perhaps of some that do not: the
/// classic zero-byte test, whose false positives the key comparison sorts out.
#[inline]
pub(super) fn matching(control: u64, tags: u64) -> u64 {
    let differing = control ^ tags;
    differing.wrapping_sub(ONES) & !differing & HIGHS
}

#[cfg(test)]
mod tests {
    use super::{HIGHS, ONES, matching};

    #[test]
    fn a_control_word_finds_every_tag_it_holds() {
        for cell in 0..7 {
            for tag in 0..=255_u8 {
                let control = u64::from(tag) << (8 * cell) | 0xff << 56;
                assert_ne!(matching(control, ONES * u64::from(tag)) & 0x80 << (8 * cell), 0);
            }
        }
        assert_eq!(matching(0, ONES) & HIGHS, 0);
    }
}
