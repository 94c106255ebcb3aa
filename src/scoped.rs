//! [`ScopedHandle`]: the front door of one scope. Layer: front.

pub(crate) mod events;

use self::events::ScopeEvents;
use crate::ask::{Plain, ToKey};
use crate::error::{Error, TryInsertError};
use crate::front::{Front, top_of};
use crate::handle::never;
use crate::load;
use crate::scope::node::Node;
use crate::scope::path::{ScopeId, Steps};
use crate::scope::place::Inner;
use crate::scope::snapshot::{ScopeFigure, ScopePath, ScopeReport, ScopeStats, ScopesSnapshot};
use crate::sync::reclaim;
use crate::{Reply, ScopedView};
use equivalent::Equivalent;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// One scope of a cache, as its users hold it.
///
/// From [`CacheHandle::scope`](crate::CacheHandle::scope) or [`scope`](Self::scope). The verbs are those of
/// [`CacheHandle`](crate::CacheHandle), on keys of this scope alone: neither those of the scopes above
/// it nor those of the scopes below it are seen through it. Cheap to clone, to be shared and sent as the
/// handle is; it keeps the cache running, and the scope in use.
pub struct ScopedHandle<K, V> {
    front: Arc<Front<K, V>>,
    node: Arc<Node>,
}

impl<K, V> ScopedHandle<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn below<'i, L, I>(
        front: &Arc<Front<K, V>>,
        base: &Arc<Node>,
        path: impl IntoIterator<Item = (L, I)>,
    ) -> Result<Self, Error>
    where
        L: AsRef<str>,
        I: Into<ScopeId<'i>>,
    {
        let trie = &front.trie;
        let steps = Steps::check(trie.tree(), base.level(), path)?;
        let node = if front.is_forked() {
            // To make one, a thread of the parent may have to be waited for, which is not there.
            trie.enter_known(base, &steps).ok_or_else(Error::forked)?
        } else {
            trie.enter(base, &steps, &mut |idle| front.probe(idle))?
        };
        Ok(Self { front: Arc::clone(front), node })
    }

    /// The global scope, for views that make a scope of it like any other.
    pub(crate) fn global(front: Arc<Front<K, V>>) -> Self {
        let node = Arc::clone(front.trie.root());
        let entered = node.enter();
        debug_assert!(entered, "it is always in use");
        Self { front, node }
    }

    #[inline]
    pub(crate) fn front(&self) -> &Front<K, V> {
        &self.front
    }

    /// A handle of the whole cache.
    pub(crate) fn cache(&self) -> crate::CacheHandle<K, V> {
        crate::CacheHandle::of(Arc::clone(&self.front))
    }

    #[inline]
    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    #[inline]
    fn place(&self) -> Inner<'_> {
        Inner(&self.node)
    }

    /// A handle for a scope below this one: `path` begins with a level directly below this one's.
    ///
    /// # Errors
    ///
    /// As [`CacheHandle::scope`](crate::CacheHandle::scope).
    pub fn scope<'i, L, I>(&self, path: impl IntoIterator<Item = (L, I)>) -> Result<Self, Error>
    where
        L: AsRef<str>,
        I: Into<ScopeId<'i>>,
    {
        Self::below(&self.front, &self.node, path)
    }

    /// The levels and ids that lead to this scope.
    #[must_use]
    pub fn path(&self) -> ScopePath {
        ScopePath::of(&self.front.trie, &self.node)
    }

    /// The level of this scope.
    #[must_use]
    pub fn level(&self) -> &str {
        self.front.trie.tree().name(self.node.level())
    }

    /// Evicts this scope and all below it. When this returns no reader on any thread sees anything of it,
    /// and writes and loads that were issued before are not stored, nor joined; however many entries there
    /// are, the caller does none of the work. The reply says how many live entries that removed, when
    /// they have left the store; who replaced, removed or outlived one has taken it from the
    /// count. So has the call of an insertion or a load that comes to its end only after that: what it brings is
    /// dropped. All evictions of a cache have an order: of two that overlap the one that began first counts what
    /// both would have removed.
    pub fn evict(&self) -> Reply<u64> {
        self.front.evict(&self.node)
    }

    /// Evicts a scope below this one and all below it, as [`evict`](Self::evict) does. If nobody uses it there is nothing
    /// to evict, and the reply is zero.
    ///
    /// # Errors
    ///
    /// As [`scope`](Self::scope).
    pub fn evict_scope<'i, L, I>(
        &self,
        path: impl IntoIterator<Item = (L, I)>,
    ) -> Result<Reply<u64>, Error>
    where
        L: AsRef<str>,
        I: Into<ScopeId<'i>>,
    {
        self.front.evict_below(&self.node, path)
    }

    /// The figures of this scope, and of it with all below it; exact after a [`flush`](Self::flush). Walks
    /// over the scopes in use: for those of each below it see [`scopes`](Self::scopes).
    #[must_use]
    pub fn stats(&self) -> ScopeStats {
        self.front.stats_of(&self.node)
    }

    /// How many entries there are in this scope and all below it, as of the shards' last folds. Walks over
    /// the scopes in use.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.front.len_of(&self.node)
    }

    /// The weight of all entries in this scope and all below it, as of the shards' last folds. Walks over the scopes in
    /// use.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.stats().subtree().weight()
    }

    /// The figures of this scope, which comes first, and of each in use below it; exact after a [`flush`](Self::flush). Walks
    /// over the scopes in use.
    pub fn scopes(&self) -> Reply<ScopesSnapshot> {
        self.front.scopes_below(&self.node)
    }

    /// The `n` scopes below this one that have most of something themselves, the greatest first. As [`scopes`](Self::scopes).
    pub fn top_scopes(&self, n: usize, by: ScopeFigure) -> Reply<Vec<ScopeReport>> {
        top_of(self.scopes(), n, by)
    }

    /// The most that all entries of the cache may weigh together: a scope has no bound of its own.
    #[must_use]
    pub fn max_capacity(&self) -> u64 {
        self.front.max_capacity
    }

    /// A stream of what leaves this scope, but not those below it, from now on: see
    /// [`CacheHandle::events`](crate::CacheHandle::events). The stream keeps the scope in use, but not the cache running.
    #[must_use]
    pub fn events(&self) -> ScopeEvents<K, V> {
        ScopeEvents::of(&self.front, &self.node)
    }

    /// Whether there are no entries in this scope and all below it, as of the shards' last folds.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As [`CacheHandle::get`](crate::CacheHandle::get).
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        self.read(key, V::clone)
    }

    /// As [`CacheHandle::read`](crate::CacheHandle::read).
    #[inline]
    pub fn read<Q, R>(&self, key: &Q, read: impl FnOnce(&V) -> R) -> Option<R>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.front.read(self.place(), key, read)
    }

    /// As [`CacheHandle::peek`](crate::CacheHandle::peek).
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        reclaim::pinned(|pinned| {
            let found = self.front.find(self.place(), key, pinned)?;
            Some(found.live.value().clone())
        })
    }

    /// As [`CacheHandle::contains_key`](crate::CacheHandle::contains_key).
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        reclaim::pinned(|pinned| self.front.find(self.place(), key, pinned).is_some())
    }

    /// As [`CacheHandle::pin`](crate::CacheHandle::pin).
    #[must_use]
    pub fn pin(&self) -> ScopedView<'_, K, V> {
        ScopedView::new(&self.front, &self.node)
    }

    /// As [`CacheHandle::insert`](crate::CacheHandle::insert), with the time to live of the scope's level.
    pub fn insert(&self, key: K, value: V) {
        self.front.insert(self.place(), key, value, None);
    }

    /// As [`CacheHandle::insert_with_ttl`](crate::CacheHandle::insert_with_ttl).
    pub fn insert_with_ttl(&self, key: K, value: V, time_to_live: Duration) {
        self.front.insert_with_ttl(self.place(), key, value, time_to_live);
    }

    /// As [`CacheHandle::try_insert`](crate::CacheHandle::try_insert).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_insert(&self, key: K, value: V) -> Result<(), TryInsertError<K, V>> {
        self.front.try_insert(self.place(), key, value)
    }

    /// As [`CacheHandle::remove`](crate::CacheHandle::remove).
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        self.front.remove(self.place(), key, V::clone)
    }

    /// As [`CacheHandle::get_or_load`](crate::CacheHandle::get_or_load): one loader of a key of this scope
    /// at a time. A value that was loaded while the scope was evicted is returned but not stored.
    pub fn get_or_load<Q>(&self, key: &Q, loader: impl FnOnce() -> V) -> V
    where
        Q: ToKey<K> + ?Sized,
        V: Clone,
    {
        let loader = || Ok::<_, Infallible>(loader());
        never(load::blocking(&self.front, self.place(), Plain(key), loader))
    }

    /// As [`CacheHandle::try_get_or_load`](crate::CacheHandle::try_get_or_load).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_get_or_load<Q, E>(
        &self,
        key: &Q,
        loader: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, Arc<E>>
    where
        Q: ToKey<K> + ?Sized,
        V: Clone,
        E: Send + Sync + 'static,
    {
        load::blocking(&self.front, self.place(), Plain(key), loader)
    }

    /// As [`CacheHandle::get_or_load_async`](crate::CacheHandle::get_or_load_async).
    pub async fn get_or_load_async<Q>(&self, key: &Q, loader: impl Future<Output = V>) -> V
    where
        Q: ToKey<K> + ?Sized,
        V: Clone,
    {
        let loader = async { Ok::<_, Infallible>(loader.await) };
        never(load::awaiting(&self.front, self.place(), Plain(key), loader).await)
    }

    /// As [`CacheHandle::try_get_or_load_async`](crate::CacheHandle::try_get_or_load_async).
    ///
    /// # Errors
    ///
    /// As [`try_get_or_load`](Self::try_get_or_load).
    pub async fn try_get_or_load_async<Q, E>(
        &self,
        key: &Q,
        loader: impl Future<Output = Result<V, E>>,
    ) -> Result<V, Arc<E>>
    where
        Q: ToKey<K> + ?Sized,
        V: Clone,
        E: Send + Sync + 'static,
    {
        load::awaiting(&self.front, self.place(), Plain(key), loader).await
    }

    /// Clones of all live entries of this scope, but not of those below it, in no particular order, each
    /// shard's as of one moment.
    ///
    /// # Errors
    ///
    /// The reply's: [`Error::is_panic`] if a clone panicked.
    pub fn entries(&self) -> Reply<Vec<(K, V)>>
    where
        K: Clone,
        V: Clone,
    {
        self.front.entries(&self.node)
    }

    /// As [`CacheHandle::flush`](crate::CacheHandle::flush): of the whole cache.
    pub fn flush(&self) -> Reply<()> {
        self.front.flush()
    }

    /// As [`CacheHandle::ready`](crate::CacheHandle::ready): of the whole cache.
    pub fn ready(&self) -> Reply<()> {
        self.front.all_ready()
    }
}

impl<K, V> Clone for ScopedHandle<K, V> {
    fn clone(&self) -> Self {
        let entered = self.node.enter();
        debug_assert!(entered, "this handle uses it");
        Self { front: Arc::clone(&self.front), node: Arc::clone(&self.node) }
    }
}

impl<K, V> Drop for ScopedHandle<K, V> {
    fn drop(&mut self) {
        self.front.trie.leave(&self.node, &mut |idle| self.front.probe(idle));
    }
}

impl<K, V> fmt::Debug for ScopedHandle<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = ScopePath::of(&self.front.trie, &self.node);
        f.debug_struct("ScopedHandle").field("path", &path).finish_non_exhaustive()
    }
}
