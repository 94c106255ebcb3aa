//! The evictions of all scopes of a cache: one begins after the other, and nobody waits.
//!
//! To begin is to raise the generation of a scope. Who does so says it in one word first, and whoever finds one under way
//! there raises that generation himself, before he begins his own. Thus evictions have an order, which shards answer
//! them in, and one that is interrupted holds up nobody. Helping each other on with what is under way is from Herlihy,
//! Wait-free Synchronization (1991). Layer: scope.

use super::ScopeStamp;
use super::node::Generation;
use crate::sync::{AtomicU64, Ordering};

/// The evictions of all scopes of a cache. Apart from all else, because every hit in a busy scope reads it.
///
/// ```text
/// word: | parity | evictions that have ended, as a stamp counts (39 bits) | 1 + number of a scope, or 0 (24 bits) |
/// ```
///
/// The number is that of the scope whose eviction is under way, and the parity that of its generation before.
#[repr(align(64))]
pub(super) struct AllEvictions(AtomicU64);

/// An eviction that has begun.
pub(crate) struct Begun {
    /// Among all evictions of the cache, as a stamp counts.
    pub(crate) place: u64,
    /// Of its scope, from now on.
    pub(crate) generation: u64,
}

const PARITY: u64 = 1 << 63;
const ENDED: u64 = !PARITY & !(ScopeStamp::GENERATION - 1);

impl AllEvictions {
    /// Evicts the scope of this number once, by raising its `generation`. `find` finds those of other scopes in use.
    pub(super) fn evict(
        &self,
        number: u32,
        generation: &AtomicU64,
        find: impl Fn(u32) -> Option<Generation>,
    ) -> Begun {
        loop {
            // Acquire: what the evictions before this one raised is raised, and what came before one that is under way is
            // handed on with its end [edge: eviction-ended] [edge: eviction-under-way].
            let ended = self.0.load(Ordering::Acquire);
            if let Some(other) = number_in(ended) {
                if let Some(generation) = find(other) {
                    self.raise(&generation, ended);
                }
                continue;
            }
            // Relaxed: the word was read with an acquire, and nobody raises it before the exchange below has succeeded.
            let before = generation.load(Ordering::Relaxed);
            let under_way = ended | u64::from(number + 1) | parity(before);
            // Release: who ends it for this thread has what came before [edge: eviction-under-way]. Relaxed on failure: it
            // is read again.
            let taken =
                self.0.compare_exchange(ended, under_way, Ordering::Release, Ordering::Relaxed);
            if taken.is_ok() {
                self.raise(generation, under_way);
                let [place, generation] = [ended, before].map(|of| of + ScopeStamp::GENERATION);
                return Begun { place, generation };
            }
        }
    }

    /// Raises the generation that is to be raised, and says so, unless somebody else has.
    fn raise(&self, generation: &AtomicU64, under_way: u64) {
        // Acquire: the word is read after. Were it seen as it was before, the next eviction of the scope might be taken for
        // this one [edge: eviction-begun].
        let before = generation.load(Ordering::Acquire);
        // Relaxed: who has raised it since this eviction had seen the word change.
        let is_under_way = self.0.load(Ordering::Relaxed) == under_way;
        if is_under_way && parity(before) == under_way & PARITY {
            let raised = before + ScopeStamp::GENERATION;
            // Release: who sees the generation knows that the eviction has begun [edge: eviction-begun]. Relaxed on
            // failure: another has raised it, and this thread has seen it raised.
            let _ =
                generation.compare_exchange(before, raised, Ordering::Release, Ordering::Relaxed);
        }
        let ended = (under_way & ENDED) + ScopeStamp::GENERATION;
        // Release: who counts it as ended sees its generation [edge: eviction-ended]. Acquire: if another has ended it this
        // thread does, too [edge: eviction-ended].
        let _ = self.0.compare_exchange(under_way, ended, Ordering::Release, Ordering::Acquire);
    }

    /// How many there were, as a stamp counts; no such number while one is under way.
    #[inline]
    pub(super) fn word(&self) -> u64 {
        // Relaxed: who learns that an eviction has returned does so through an edge of his own, and who finds an entry
        // through that of its stamp.
        self.0.load(Ordering::Relaxed)
    }

    /// How many have ended.
    pub(super) fn ended(&self) -> u64 {
        // Acquire: their generations are seen [edge: eviction-ended].
        self.0.load(Ordering::Acquire) & ENDED
    }
}

/// The scope whose eviction is under way.
fn number_in(word: u64) -> Option<u32> {
    ((word & (ScopeStamp::GENERATION - 1)) as u32).checked_sub(1)
}

fn parity(generation: u64) -> u64 {
    if generation & ScopeStamp::GENERATION == 0 { 0 } else { PARITY }
}

impl Default for AllEvictions {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}
