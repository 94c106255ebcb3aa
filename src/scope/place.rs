//! [`Place`]: who asks. A scope as reads and writes see it, by what it costs to be that one. Layer: scope.

use super::near::Near;
use super::node::{Generation, Node, generation};
use super::tree::LevelId;
use super::{GLOBAL, ScopeStamp};
use crate::stats::Caller;
use crate::sync::AtomicU64;
use std::time::Duration;

/// What tells the keys of one scope from those of all others.
pub(crate) trait Place: Copy {
    /// What is counted here need not be counted for the whole cache, too: that is a sum of such.
    const COUNTS_ALONE: bool = false;

    /// What does not hold here does not for certain. If that is not so, who meets such is in [`Doubt`].
    const IS_SURE: bool = true;

    /// What most places of the kind are, with less to do in a look-up; itself if there is no less.
    type Quick: Place;

    /// The same place as that, if it is one of them.
    fn quick(self) -> Option<Self::Quick>;

    /// Sees that no more doubts arise than must.
    fn refresh(self) {}

    /// What the hashes of the scope's keys differ by from those of the same keys elsewhere.
    fn salt(self) -> u64;

    /// The hash here of a key that has this one everywhere.
    #[inline]
    fn aim(self, hash: u64) -> u64 {
        hash ^ self.salt()
    }

    /// What a write or a load that begins now belongs to.
    fn now(self) -> ScopeStamp;

    fn level(self) -> LevelId;

    /// How long what is written here lives, if that depends on more than the level.
    #[inline]
    fn time_to_live(self) -> Option<Duration> {
        None
    }

    /// Whether what was issued here is not to be kept any more, whatever its stamp says.
    fn has_ended(self) -> bool {
        false
    }

    /// Counts one for the scope itself; whether the trie is to be told of it, see [`Node::count`].
    fn count(self, lane: usize, what: Caller) -> bool;

    /// Whether something of this stamp answers here and now. To be asked after it was found: then no sum
    /// here is below its own, see [`Node::sum`].
    #[inline]
    fn holds(self, stamp: ScopeStamp) -> bool {
        stamp == self.now()
    }
}

/// The global scope. What it would cost to be one of many is left out: it has no salt, its path is one
/// generation, and the cache counts for it.
#[derive(Clone, Copy)]
pub(crate) struct Global<'a>(&'a AtomicU64);

impl Global<'_> {
    #[inline]
    pub(crate) fn new(root: &Generation) -> Global<'_> {
        Global(root)
    }
}

impl Place for Global<'_> {
    type Quick = Self;

    #[inline]
    fn quick(self) -> Option<Self> {
        Some(self)
    }

    #[inline]
    fn salt(self) -> u64 {
        0
    }

    #[inline]
    fn now(self) -> ScopeStamp {
        ScopeStamp::new(GLOBAL, generation(self.0))
    }

    #[inline]
    fn level(self) -> LevelId {
        LevelId::GLOBAL
    }

    #[inline]
    fn count(self, _lane: usize, _what: Caller) -> bool {
        false
    }
}

/// Any scope below the global one.
#[derive(Clone, Copy)]
pub(crate) struct Inner<'a>(pub(crate) &'a Node);

/// A scope that is read much, and of which no more levels are above than the default tree has: a look-up of such
/// does not look at the others above it, and knows where to count. But what it does not hold it may only doubt.
#[derive(Clone, Copy)]
pub(crate) struct Busy<'a>(&'a Near);

/// A look-up has met something of which only another, in a place that is sure, can say if it is to be believed. What it
/// found before that does not count either.
pub(crate) struct Doubt;

impl<'a> Place for Inner<'a> {
    type Quick = Busy<'a>;

    #[inline]
    fn quick(self) -> Option<Busy<'a>> {
        self.0.as_near().map(Busy)
    }

    fn refresh(self) {
        if let Some(near) = self.0.as_near() {
            near.keep();
        }
    }

    #[inline]
    fn salt(self) -> u64 {
        self.0.salt()
    }

    #[inline]
    fn now(self) -> ScopeStamp {
        self.0.now()
    }

    #[inline]
    fn level(self) -> LevelId {
        self.0.level()
    }

    #[inline]
    fn count(self, lane: usize, what: Caller) -> bool {
        self.0.count(lane, what)
    }
}

impl Place for Busy<'_> {
    const IS_SURE: bool = false;

    type Quick = Self;

    #[inline]
    fn quick(self) -> Option<Self> {
        Some(self)
    }

    #[inline]
    fn salt(self) -> u64 {
        self.0.salt()
    }

    #[inline]
    fn now(self) -> ScopeStamp {
        self.0.now()
    }

    #[inline]
    fn level(self) -> LevelId {
        self.0.level()
    }

    #[inline]
    fn count(self, lane: usize, what: Caller) -> bool {
        self.0.count(lane, what);
        false
    }

    #[inline]
    fn holds(self, stamp: ScopeStamp) -> bool {
        self.0.holds(stamp)
    }
}
