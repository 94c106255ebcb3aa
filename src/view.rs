//! [`PinnedView`] and [`ScopedView`]: many reads under one pin, by reference. Layer: front.

use crate::front::Front;
use crate::scope::node::Node;
use crate::scope::place::Inner;
use crate::sync::reclaim::{self, Guard};
use equivalent::Equivalent;
use std::fmt;
use std::hash::Hash;

/// A cache as one thread reads it in place.
///
/// From [`CacheHandle::pin`](crate::CacheHandle::pin). Reads through it cost less than through the
/// handle, because the thread is pinned once for all of them, and give references, so nothing is
/// cloned. While it lives nothing that leaves any cache of the process is freed: each write meanwhile keeps its key, its
/// value and at most 128 bytes. Keep it for a batch of reads, not for the life of a thread, and do not wait while you
/// hold it. It is not `Send`.
pub struct PinnedView<'a, K, V> {
    front: &'a Front<K, V>,
    guard: Guard,
}

impl<'a, K, V> PinnedView<'a, K, V> {
    pub(crate) fn new(front: &'a Front<K, V>) -> Self {
        Self { front, guard: reclaim::pin() }
    }

    /// The value of a key. Never waits; counts a hit or a miss and refreshes recency, as
    /// [`CacheHandle::get`](crate::CacheHandle::get) does. The reference stays good until the view is
    /// dropped, even if the entry is replaced or evicted meanwhile.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.front.look(self.front.global(), key, self.guard.pinned()).map(|live| live.value())
    }
}

/// One scope of a cache as one thread reads it in place: what a [`PinnedView`] is to a whole cache.
///
/// From [`ScopedHandle::pin`](crate::ScopedHandle::pin).
pub struct ScopedView<'a, K, V> {
    front: &'a Front<K, V>,
    node: &'a Node,
    guard: Guard,
}

impl<'a, K, V> ScopedView<'a, K, V> {
    pub(crate) fn new(front: &'a Front<K, V>, node: &'a Node) -> Self {
        Self { front, node, guard: reclaim::pin() }
    }

    /// The value of a key of the scope, as [`PinnedView::get`].
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.front.look(Inner(self.node), key, self.guard.pinned()).map(|live| live.value())
    }
}

impl<K, V> fmt::Debug for ScopedView<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedView").finish_non_exhaustive()
    }
}

impl<K, V> fmt::Debug for PinnedView<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedView").finish_non_exhaustive()
    }
}
