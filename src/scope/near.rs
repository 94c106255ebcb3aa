//! [`Near`]: all that a hit in a busy scope looks at, in one place, and the sum of its generations kept.
//!
//! A stamp is believed if it is the sum of all generations on the path. To add them up takes as many
//! pointers, so a busy scope keeps what was missing from the count of *all* evictions to its own stamp, when
//! it last added up: that count and what is kept make a stamp that is right, or too late if a scope elsewhere
//! was evicted meanwhile. Only then are the generations looked at. Why it is never too early: invariant
//! never-early (see `docs/concurrency.md`). Layer: scope.

use super::ScopeStamp;
use super::counts::Stripes;
use super::node::{Generation, sum_of};
use super::tree::LevelId;
use crate::stats::Caller;
use crate::sync::{AtomicU64, Ordering};
use std::sync::Arc;

/// The levels of the default tree and the global scope.
pub(super) const NEAR: usize = 4;

const PARITY: u64 = 1 << 63;
const ENDED: u64 = !PARITY & !(ScopeStamp::GENERATION - 1);

/// What there is for hits of a scope that is read much and no deeper than the default tree: it takes one
/// pointer and one question to reach it.
#[repr(C, align(64))]
pub(crate) struct Near {
    /// What is to be added to all evictions that have begun for a stamp of now.
    kept: AtomicU64,
    all: Arc<AllEvictions>,
    salt: u64,
    number: u32,
    level: LevelId,
    generations: [Generation; NEAR],
    stripes: Stripes,
}

/// The evictions of all scopes of a cache. They raise their generations one after another: whoever comes upon
/// one that is under way ends it first, so nobody waits. Apart from all else, because every hit in a busy scope reads it.
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

impl Near {
    pub(super) fn new(
        all: Arc<AllEvictions>,
        salt: u64,
        number: u32,
        level: LevelId,
        generations: [Generation; NEAR],
    ) -> Self {
        let kept = AtomicU64::new(0);
        let near =
            Self { kept, all, salt, number, level, generations, stripes: Stripes::default() };
        near.keep();
        near
    }

    #[inline]
    pub(super) fn salt(&self) -> u64 {
        self.salt
    }

    #[inline]
    pub(super) fn level(&self) -> LevelId {
        self.level
    }

    /// Whether something of this stamp answers for certain; if not, it may all the same, see [`keep`](Self::keep).
    /// To be asked after it was found, see [`Node::sum`](super::node::Node::sum).
    #[inline]
    pub(crate) fn holds(&self, stamp: ScopeStamp) -> bool {
        // Acquire: what was taken off of it has begun here, too [edge: kept-sum].
        let kept = self.kept.load(Ordering::Acquire);
        kept.wrapping_add(self.all.word()) == stamp.0
    }

    /// Adds the generations up: what answers now does so for certain until there is an eviction somewhere.
    pub(crate) fn keep(&self) {
        // In this order: whatever is taken off is in the sum, if it is on the path. What is in the sum and not taken
        // off makes it too late, until it is kept again.
        let ended = self.all.ended();
        let now = self.now();
        // Release: what is taken off has begun for who reads it [edge: kept-sum].
        self.kept.store(now.0.wrapping_sub(ended), Ordering::Release);
    }

    /// As of the node.
    #[inline]
    pub(super) fn now(&self) -> ScopeStamp {
        ScopeStamp::new(self.number, sum_of(&self.generations))
    }

    #[inline]
    pub(super) fn count(&self, lane: usize, what: Caller) {
        self.stripes.count(lane, what);
    }
}

impl AllEvictions {
    /// Evicts the scope of this number once, by raising its `generation`. `find` finds those of other scopes in use.
    pub(super) fn evict(
        &self,
        number: u32,
        generation: &AtomicU64,
        find: impl Fn(u32) -> Option<Generation>,
    ) -> Begun {
        loop {
            // Acquire: what the evictions before this one raised is raised [edge: eviction-ended].
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
            // Relaxed: a step in the word's history, which hands on what was released before it.
            let taken =
                self.0.compare_exchange(ended, under_way, Ordering::Relaxed, Ordering::Relaxed);
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
        // Release: who counts it as ended sees its generation [edge: eviction-ended]. Relaxed on failure: it has ended.
        let _ = self.0.compare_exchange(under_way, ended, Ordering::Release, Ordering::Relaxed);
    }

    /// How many there were, as a stamp counts; no such number while one is under way.
    #[inline]
    fn word(&self) -> u64 {
        // Relaxed: who learns that an eviction has returned does so through an edge of his own, and who finds an entry
        // through that of its stamp.
        self.0.load(Ordering::Relaxed)
    }

    /// How many have ended.
    fn ended(&self) -> u64 {
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

impl AsRef<Stripes> for Near {
    fn as_ref(&self) -> &Stripes {
        &self.stripes
    }
}
