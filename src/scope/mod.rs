//! Scopes: which entries belong together, and what ends all of them at once.
//!
//! Until the scope tree exists at run time there is one scope, the global one, and this is its node: a
//! generation. Every entry carries the generation of the moment in which its write was issued or its
//! load began, and answers readers only while that is current. Layer: scope; knows nothing of shards.

use crate::sync::tally::{AtomicU64, Ordering};
use std::sync::Arc;

/// The number of the global scope.
pub(crate) const GLOBAL: u32 = 0;

/// How often a scope has been cleared. Clones are the same generation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Generation(Arc<AtomicU64>);

impl Generation {
    /// The generation of what is written now.
    #[inline]
    pub(crate) fn current(&self) -> u64 {
        // Relaxed: who learns that a clear has returned learns so through an edge of its own, and then
        // coherence of this one variable shows it the new generation.
        self.0.load(Ordering::Relaxed)
    }

    /// Ends the current generation: what belongs to it is dead for every reader from now on. Returns
    /// the new one.
    pub(crate) fn end(&self) -> u64 {
        // Relaxed: see `current`.
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}
