//! Scopes: which entries belong together, and what ends all of them at once.
//!
//! 1. [`tree`]: the levels that there may be; configuration.
//! 2. [`path`]: the ids of one scope, checked against the levels.
//! 3. [`node`]: a scope at run time: its generation, its figures, and who uses it.
//! 4. [`evictions`]: what raises generations, of one scope after the other.
//! 5. [`near`]: what a hit in a busy scope looks at of it, with the sum of its generations kept.
//! 6. [`place`]: a scope as who reads or writes there sees it.
//! 7. [`trie`]: all nodes that are in use, found by path and by number.
//! 8. [`trim`]: what makes its maps small again.
//! 9. [`counts`], [`numbers`]: what nodes are made of.
//! 10. [`snapshot`]: the figures of all scopes at one moment.
//!
//! Every entry carries a [`ScopeStamp`]: the number of its scope and the sum of the generations on the
//! path to it, as it was when its write was issued or its load began. To end all that a scope and those
//! below it hold, its generation is raised: from then on the sum of everything older is too small.
//! Layer: scope; knows nothing of shards.

pub(crate) mod counts;
mod estate;
pub(crate) mod evictions;
pub(crate) mod near;
pub(crate) mod node;
pub(crate) mod numbers;
pub(crate) mod path;
pub(crate) mod place;
pub(crate) mod snapshot;
pub(crate) mod tree;
pub(crate) mod trie;
pub(crate) mod trim;

/// The number of the global scope.
pub(crate) const GLOBAL: u32 = 0;

/// What an entry belongs to and when that was: the number of its scope and the sum of the generations on
/// the path to it, as they were when the write was issued or the load began. One word, so that an entry
/// stays small; of two stamps of a scope the later is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ScopeStamp(u64);

/// Room for the number of a scope; above it are 2^39 evictions.
const SCOPE_BITS: u32 = 24;
const SCOPE: u64 = (1 << SCOPE_BITS) - 1;

impl ScopeStamp {
    /// What one eviction adds to a generation: they are counted where they stand in a stamp.
    pub(crate) const GENERATION: u64 = 1 << SCOPE_BITS;

    #[inline]
    pub(crate) fn new(scope: u32, generation: u64) -> Self {
        let scope = u64::from(scope);
        debug_assert!(scope >> SCOPE_BITS == 0 && generation & SCOPE == 0);
        Self(generation + scope)
    }

    /// The number of the scope.
    #[inline]
    pub(crate) fn scope(self) -> u32 {
        (self.0 & SCOPE) as u32
    }

    /// The sum of the generations on the path to the scope.
    #[inline]
    pub(crate) fn generation(self) -> u64 {
        self.0 & !SCOPE
    }
}

#[cfg(test)]
mod tests {
    use super::{SCOPE_BITS, ScopeStamp};

    #[test]
    fn a_stamp_is_its_scope_and_its_generation() {
        let scopes = [0, 1, 7, (1 << SCOPE_BITS) - 1];
        let generations =
            [0, 2, 8, (1 << (64 - SCOPE_BITS)) - 2].map(|g| g * ScopeStamp::GENERATION);
        for (scope, generation) in scopes.into_iter().zip(generations.into_iter().rev()) {
            let stamp = ScopeStamp::new(scope, generation);
            assert_eq!((stamp.scope(), stamp.generation()), (scope, generation));
            assert!(ScopeStamp::new(scope, generation / 2) <= stamp, "the later is the greater");
        }
    }
}
