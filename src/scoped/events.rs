//! [`ScopeEvents`]: a stream of what leaves one scope. Layer: front.

use crate::front::Front;
use crate::removal::Removal;
use crate::scope::node::Node;
use crate::shard::streams::{Part, Which};
use crossbeam_channel::Receiver;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Weak};

/// A stream of what leaves one scope.
///
/// From [`ScopedHandle::events`](crate::ScopedHandle::events). It is read like the [`Receiver`] that it derefs to, and ends,
/// once it has been read to its end, when the cache has. It keeps the scope in use, but not the cache running. Cheap to
/// clone; clones are the same stream, and each event comes out of one of them. A clone of the receiver itself ends when
/// the shards have heard that the last of them was dropped. In a forked child nothing more comes out of an inherited
/// stream, nor does it end there.
///
/// ```
/// use cacheado::{CacheHandle, RemovalCause};
///
/// let cache = CacheHandle::new();
/// let acme = cache.scope([("organization", "acme")])?;
/// let events = acme.events();
/// acme.insert(1, "Ada");
/// cache.insert(1, "Alan");
/// acme.remove(&1);
/// cache.remove(&1);
/// let left = events.recv().expect("the cache runs");
/// assert_eq!((*left.key(), *left.value(), left.cause()), (1, "Ada", RemovalCause::Removed));
/// # Ok::<(), cacheado::Error>(())
/// ```
pub struct ScopeEvents<K, V> {
    events: Receiver<Arc<Removal<K, V>>>,
    /// By this the shards know that somebody reads. After the receiver: what is left in a stream goes on a
    /// shard's thread, where a panic is caught. Before the use, which tells the shards to look: as long as one takes
    /// somebody for a reader, no other scope has the number.
    reader: Arc<()>,
    place: Use<K, V>,
}

/// The use of a scope by a stream.
struct Use<K, V> {
    front: Weak<Front<K, V>>,
    node: Arc<Node>,
}

impl<K, V> ScopeEvents<K, V> {
    pub(super) fn of(front: &Arc<Front<K, V>>, node: &Arc<Node>) -> Self {
        let place = Use::of(Arc::downgrade(front), node);
        let reader = Arc::new(());
        let part = Part::new(Which::InScope(node.since()), &reader);
        Self { events: front.events(Some(part)), reader, place }
    }
}

impl<K, V> Use<K, V> {
    /// The caller uses the scope, too.
    fn of(front: Weak<Front<K, V>>, node: &Arc<Node>) -> Self {
        let entered = node.enter();
        debug_assert!(entered, "the caller uses it");
        Self { front, node: Arc::clone(node) }
    }
}

impl<K, V> Drop for Use<K, V> {
    fn drop(&mut self) {
        // Where the cache has gone nobody is left to end a scope.
        if let Some(front) = self.front.upgrade() {
            front.unsubscribe(&self.node);
            front.trie.leave(&self.node, &mut |idle| front.probe(idle));
        }
    }
}

impl<K, V> Deref for ScopeEvents<K, V> {
    type Target = Receiver<Arc<Removal<K, V>>>;

    fn deref(&self) -> &Self::Target {
        &self.events
    }
}

impl<K, V> Clone for ScopeEvents<K, V> {
    fn clone(&self) -> Self {
        let Self { events, reader, place } = self;
        let place = Use::of(Weak::clone(&place.front), &place.node);
        Self { events: events.clone(), reader: Arc::clone(reader), place }
    }
}

impl<K, V> fmt::Debug for ScopeEvents<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeEvents").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// What leaves a scope, as it leaves: waits for each event, until the stream has ended.
///
/// Of a [`ScopeEvents`] that goes into an iterator.
#[derive(Debug)]
pub struct ScopeEventsIter<K, V> {
    events: ScopeEvents<K, V>,
}

impl<K, V> Iterator for ScopeEventsIter<K, V> {
    type Item = Arc<Removal<K, V>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.events.recv().ok()
    }
}

impl<K, V> IntoIterator for ScopeEvents<K, V> {
    type Item = Arc<Removal<K, V>>;
    type IntoIter = ScopeEventsIter<K, V>;

    fn into_iter(self) -> Self::IntoIter {
        ScopeEventsIter { events: self }
    }
}

impl<'a, K, V> IntoIterator for &'a ScopeEvents<K, V> {
    type Item = Arc<Removal<K, V>>;
    type IntoIter = crossbeam_channel::Iter<'a, Self::Item>;

    /// The events as they come, until the stream has ended.
    fn into_iter(self) -> Self::IntoIter {
        self.events.iter()
    }
}
