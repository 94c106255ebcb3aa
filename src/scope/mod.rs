//! Scopes: which entries belong together, and what ends all of them at once.
//!
//! 1. [`tree`]: the levels that there may be; configuration.
//! 2. [`path`]: the ids of one scope, checked against the levels.
//! 3. [`node`]: a scope at run time: its generation, its figures, and who uses it.
//! 4. [`trie`]: all nodes that are in use, found by path and by number.
//! 5. [`counts`], [`numbers`]: what nodes are made of.
//! 6. [`snapshot`]: the figures of all scopes at one moment.
//!
//! Every entry carries a [`ScopeStamp`]: the number of its scope and the sum of the generations on the
//! path to it, as it was when its write was issued or its load began. To end all that a scope and those
//! below it hold, its generation is raised: from then on the sum of everything older is too small.
//! Layer: scope; knows nothing of shards.

pub(crate) mod counts;
pub(crate) mod node;
pub(crate) mod numbers;
pub(crate) mod path;
pub(crate) mod snapshot;
pub(crate) mod tree;
pub(crate) mod trie;

/// The number of the global scope.
pub(crate) const GLOBAL: u32 = 0;

/// What an entry belongs to and when that was: the number of its scope and the sum of the generations on
/// the path to it, as they were when the write was issued or the load began. One word, so that an entry
/// stays small; of two stamps of a scope the later is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ScopeStamp(u64);

/// Room for the number of a scope; above it are 2^39 generations and a sign.
const SCOPE_BITS: u32 = 24;
const SCOPE: u64 = (1 << SCOPE_BITS) - 1;
const SIGN: u64 = 1 << 63;

impl ScopeStamp {
    #[inline]
    pub(crate) fn new(scope: u32, generation: u64) -> Self {
        debug_assert!(scope >> SCOPE_BITS == 0 && generation >> (63 - SCOPE_BITS) == 0);
        Self(generation << SCOPE_BITS | u64::from(scope))
    }

    /// The number of the scope.
    #[inline]
    pub(crate) fn scope(self) -> u32 {
        (self.0 & SCOPE) as u32
    }

    /// The sum of the generations on the path to the scope.
    #[inline]
    pub(crate) fn generation(self) -> u64 {
        self.0 >> SCOPE_BITS
    }

    /// Whether it is of the same scope as `now` and not older. One subtraction says both: of two numbers
    /// that differ the low bits of the difference are not zero.
    #[inline]
    pub(crate) fn is_of(self, now: Self) -> bool {
        self.0.wrapping_sub(now.0) & (SIGN | SCOPE) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{SCOPE_BITS, ScopeStamp};

    #[test]
    fn a_stamp_answers_for_its_scope_and_generation_or_later() {
        let last = (1 << SCOPE_BITS) - 1;
        for scope in [0, 1, 7, last] {
            for other in [0, 1, 7, last] {
                for (was, now) in [(0, 0), (3, 3), (3, 4), (4, 3), (0, (1 << 39) - 1)] {
                    let (stamp, now_stamp) =
                        (ScopeStamp::new(scope, was), ScopeStamp::new(other, now));
                    assert_eq!(stamp.is_of(now_stamp), scope == other && was >= now);
                    assert_eq!((stamp.scope(), stamp.generation()), (scope, was));
                }
            }
        }
    }
}
