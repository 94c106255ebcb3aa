//! [`Near`]: all that a hit in a busy scope looks at, in one place, and the sum of its generations kept.
//!
//! A stamp is believed if it is the sum of all generations on the path. To add them up takes as many
//! pointers, so a busy scope keeps what was missing from the count of *all* evictions to its own stamp, when
//! it last added up: that count and what is kept make a stamp that is right, or too late if a scope elsewhere
//! was evicted meanwhile. Only then are the generations looked at. Why it is never too early: invariant
//! never-early (see `docs/concurrency.md`). Layer: scope.

use super::ScopeStamp;
use super::counts::Stripes;
use super::evictions::AllEvictions;
use super::node::{Generation, sum_of};
use super::tree::LevelId;
use crate::stats::Caller;
use crate::sync::{AtomicU64, Ordering};
use std::sync::Arc;

/// The levels of the default tree and the global scope.
pub(super) const NEAR: usize = 4;

/// What there is for hits of a scope that is read much and no deeper than the default tree: it takes one
/// pointer and one question to reach it.
#[repr(C, align(64))]
pub(crate) struct Near {
    /// What is to be added to the count of all evictions for a stamp of now.
    kept: AtomicU64,
    all: Arc<AllEvictions>,
    salt: u64,
    number: u32,
    level: LevelId,
    generations: [Generation; NEAR],
    stripes: Stripes,
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

impl AsRef<Stripes> for Near {
    fn as_ref(&self) -> &Stripes {
        &self.stripes
    }
}
