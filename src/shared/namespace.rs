//! [`Namespace`]: the typed view of a shared cache, one short method for each verb. Layer: front.

use super::erased::{AnyKey, AnyValue, Typed};
use super::events::NamespaceEvents;
use super::space::{Space, Spaces, Within};
use super::{SharedCache, SharedScope};
use crate::ask::ToKey;
use crate::error::{Error, TryInsertError};
use crate::handle::never;
use crate::load;
use crate::scope::node::Node;
use crate::scope::path::{ScopeId, Steps};
use crate::scope::snapshot::{Figures, ScopePath};
use crate::sync::reclaim::{self, Guard};
use crate::{Reply, ScopedHandle};
use equivalent::Equivalent;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// One namespace of a [`SharedCache`], in one scope.
///
/// From [`SharedCache::namespace`](crate::SharedCache::namespace), which gives it in the global scope, and
/// [`scope`](Self::scope). The verbs are those of [`CacheHandle`](crate::CacheHandle), on keys of this
/// namespace and this scope alone. What concerns all namespaces is not here but on the
/// [`cache`](Self::cache) and the [`shared_scope`](Self::shared_scope): a scope is evicted for all of them
/// together. Cheap to clone, to be shared and sent as a handle is; it keeps the cache running, and the scope
/// in use.
pub struct Namespace<K, V> {
    pub(crate) at: ScopedHandle<AnyKey, AnyValue>,
    space: Arc<Space>,
    spaces: Arc<Spaces>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Namespace<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(super) fn new(
        at: ScopedHandle<AnyKey, AnyValue>,
        space: Arc<Space>,
        spaces: Arc<Spaces>,
    ) -> Self {
        Self { at, space, spaces, types: PhantomData }
    }

    #[inline]
    pub(crate) fn place(&self) -> Within<'_> {
        self.lasting(None)
    }

    #[inline]
    fn lasting(&self, time_to_live: Option<Duration>) -> Within<'_> {
        Within { node: self.at.node(), space: &self.space, tag: self.space.tag(), time_to_live }
    }

    #[inline]
    fn ask<'q, Q: ?Sized>(&self, place: Within<'_>, key: &'q Q) -> Typed<'q, Q, K, V> {
        Typed::new(place.tag, key)
    }

    /// The value of a key in a scope below this view's, without a view of that scope: who only reads need
    /// not enter it. Counts no miss, and finds nothing where the path is wrong: who goes on says so.
    #[inline]
    pub(crate) fn hit_below<Q>(&self, path: &[(&str, ScopeId<'_>)], key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        let (front, base) = (self.at.front(), self.at.node());
        let path = path.iter().map(|(level, id)| (level, id));
        let steps = Steps::check(front.trie.tree(), base.level(), path).ok()?;
        let guard = reclaim::pin();
        let pinned = guard.pinned();
        let find = |node: &Node| {
            let place = Within { node, ..self.place() };
            let found = front.find(place, &self.ask(place, key), pinned)?;
            // After the entry was found: it may be of a scope that was given this one's number since.
            if node.has_ended() {
                return None;
            }
            Some(front.hit(place, found, pinned))
        };
        let live = front.trie.read(base, &steps, find)??;
        Some(live.value().view::<V>().clone())
    }

    /// The cache that this is a namespace of.
    #[must_use]
    pub fn cache(&self) -> SharedCache {
        SharedCache { handle: self.at.cache(), spaces: Arc::clone(&self.spaces) }
    }

    /// The scope that this view is of, of all namespaces: to evict it, and for its figures. That of the whole
    /// cache is one, too.
    #[must_use]
    pub fn shared_scope(&self) -> SharedScope {
        SharedScope { handle: self.at.clone(), spaces: Arc::clone(&self.spaces) }
    }

    /// The name of the namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        self.space.name()
    }

    /// This namespace in a scope below the one that this view is of. As
    /// [`CacheHandle::scope`](crate::CacheHandle::scope).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn scope<'i, L, I>(&self, path: impl IntoIterator<Item = (L, I)>) -> Result<Self, Error>
    where
        L: AsRef<str>,
        I: Into<ScopeId<'i>>,
    {
        let Self { at, space, spaces, .. } = self;
        Ok(Self::new(at.scope(path)?, Arc::clone(space), Arc::clone(spaces)))
    }

    /// As [`scope`](Self::scope), but of a scope that there is: none is made for who only looks.
    pub(crate) fn scope_if_any(&self, path: &[(&str, ScopeId<'_>)]) -> Result<Option<Self>, Error> {
        let (front, base) = (self.at.front(), self.at.node());
        let path = path.iter().map(|(level, id)| (level, id));
        let steps = Steps::check(front.trie.tree(), base.level(), path.clone())?;
        let is_there = front.trie.read(base, &steps, |_| ()).is_some();
        is_there.then(|| self.scope(path)).transpose()
    }

    /// The levels and ids of the scope that this view is of; none for the global scope.
    #[must_use]
    pub fn path(&self) -> ScopePath {
        self.at.path()
    }

    /// The level of the scope that this view is of; `global` for the global scope.
    #[must_use]
    pub fn level(&self) -> &str {
        self.at.level()
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
        let place = self.place();
        let read = |stored: &AnyValue| read(stored.view());
        self.at.front().read(place, &self.ask(place, key), read)
    }

    /// As [`CacheHandle::peek`](crate::CacheHandle::peek).
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        let place = self.place();
        reclaim::pinned(|pinned| {
            let found = self.at.front().find(place, &self.ask(place, key), pinned)?;
            Some(found.live.value().view::<V>().clone())
        })
    }

    /// As [`CacheHandle::contains_key`](crate::CacheHandle::contains_key).
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let place = self.place();
        reclaim::pinned(|pinned| {
            self.at.front().find(place, &self.ask(place, key), pinned).is_some()
        })
    }

    /// As [`CacheHandle::insert`](crate::CacheHandle::insert), with the time to live of the namespace.
    pub fn insert(&self, key: K, value: V) {
        let place = self.place();
        self.at.front().insert(place, AnyKey::new(place.tag, key), AnyValue::new(value), None);
    }

    /// As [`CacheHandle::insert_with_ttl`](crate::CacheHandle::insert_with_ttl).
    pub fn insert_with_ttl(&self, key: K, value: V, time_to_live: Duration) {
        let place = self.place();
        let (key, value) = (AnyKey::new(place.tag, key), AnyValue::new(value));
        self.at.front().insert_with_ttl(place, key, value, time_to_live);
    }

    /// As [`CacheHandle::try_insert`](crate::CacheHandle::try_insert).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_insert(&self, key: K, value: V) -> Result<(), TryInsertError<K, V>> {
        let place = self.place();
        let (key, value) = (AnyKey::new(place.tag, key), AnyValue::new(value));
        let refused = self.at.front().try_insert(place, key, value);
        refused.map_err(|refused| refused.map(AnyKey::into_key, AnyValue::into_value))
    }

    /// As [`CacheHandle::remove`](crate::CacheHandle::remove).
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        let read = |stored: &AnyValue| stored.view::<V>().clone();
        let place = self.place();
        self.at.front().remove(place, &self.ask(place, key), read)
    }

    /// As [`CacheHandle::get_or_load`](crate::CacheHandle::get_or_load).
    pub fn get_or_load<Q>(&self, key: &Q, loader: impl FnOnce() -> V) -> V
    where
        Q: ToKey<K> + ?Sized,
        V: Clone,
    {
        never(self.load(key, None, || Ok::<_, Infallible>(loader())))
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
        self.load(key, None, loader)
    }

    /// As [`try_get_or_load`](Self::try_get_or_load), with a time to live of what this call loads.
    #[inline]
    pub(crate) fn load<Q, E>(
        &self,
        key: &Q,
        time_to_live: Option<Duration>,
        loader: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, Arc<E>>
    where
        Q: ToKey<K> + ?Sized,
        V: Clone,
        E: Send + Sync + 'static,
    {
        let place = self.lasting(time_to_live);
        load::blocking(self.at.front(), place, self.ask(place, key), loader)
    }

    /// As [`CacheHandle::get_or_load_async`](crate::CacheHandle::get_or_load_async).
    pub async fn get_or_load_async<Q>(&self, key: &Q, loader: impl Future<Output = V>) -> V
    where
        Q: ToKey<K> + ?Sized,
        V: Clone,
    {
        never(self.load_async(key, None, async { Ok::<_, Infallible>(loader.await) }).await)
    }

    /// As [`CacheHandle::try_get_or_load_async`](crate::CacheHandle::try_get_or_load_async).
    ///
    /// # Errors
    ///
    /// As there.
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
        self.load_async(key, None, loader).await
    }

    /// As [`try_get_or_load_async`](Self::try_get_or_load_async), with a time to live of what this call
    /// loads.
    pub(crate) async fn load_async<Q, E>(
        &self,
        key: &Q,
        time_to_live: Option<Duration>,
        loader: impl Future<Output = Result<V, E>>,
    ) -> Result<V, Arc<E>>
    where
        Q: ToKey<K> + ?Sized,
        V: Clone,
        E: Send + Sync + 'static,
    {
        let place = self.lasting(time_to_live);
        load::awaiting(self.at.front(), place, self.ask(place, key), loader).await
    }

    /// Clones of all live entries of this namespace in this scope, but not in those below it, in no
    /// particular order, each shard's as of one moment.
    ///
    /// # Errors
    ///
    /// The reply's: [`Error::is_panic`] if a clone panicked.
    pub fn entries(&self) -> Reply<Vec<(K, V)>>
    where
        K: Clone,
        V: Clone,
    {
        let tag = self.space.tag();
        self.at.front().pick(self.at.node(), move |key, value| {
            let key: &K = key.get(tag)?;
            Some((key.clone(), value.view::<V>().clone()))
        })
    }

    /// Empties the namespace: in **all** scopes, whichever one this view is of; to empty one scope, evict
    /// that. Invisible to every reader when this returns, and loads and writes that were issued before are
    /// not stored. The reply says how many live entries that removed.
    pub fn clear(&self) -> Reply<u64> {
        self.spaces.clear(self.at.front(), &self.space)
    }

    /// A stream of what leaves the namespace, in **all** scopes, from now on. Otherwise as
    /// [`CacheHandle::events`](crate::CacheHandle::events): it holds as many events as the cache's
    /// [builder](crate::SharedCacheBuilder::event_capacity) says, and what does not fit is dropped and counted
    /// by the [cache](SharedCache::stats). It does not keep the cache running.
    #[must_use]
    pub fn events(&self) -> NamespaceEvents<K, V> {
        NamespaceEvents::of(self.at.front(), &self.space)
    }

    /// The figures of the namespace, in all scopes together.
    #[must_use]
    pub fn stats(&self) -> Figures {
        self.space.stats()
    }

    /// How many entries the namespace has in all scopes together, as of the shards' last folds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.space.len()
    }

    /// Whether the namespace has no entries in any scope, as of the shards' last folds.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As [`CacheHandle::pin`](crate::CacheHandle::pin).
    #[must_use]
    pub fn pin(&self) -> NamespaceView<'_, K, V> {
        NamespaceView { namespace: self, guard: reclaim::pin() }
    }

    /// As [`CacheHandle::flush`](crate::CacheHandle::flush): of the whole cache.
    pub fn flush(&self) -> Reply<()> {
        self.at.flush()
    }

    /// As [`CacheHandle::ready`](crate::CacheHandle::ready): of the whole cache.
    pub fn ready(&self) -> Reply<()> {
        self.at.ready()
    }
}

impl<K, V> Clone for Namespace<K, V> {
    fn clone(&self) -> Self {
        let Self { at, space, spaces, .. } = self;
        Self {
            at: at.clone(),
            space: Arc::clone(space),
            spaces: Arc::clone(spaces),
            types: PhantomData,
        }
    }
}

impl<K, V> fmt::Debug for Namespace<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace").field("name", &self.space.name()).finish_non_exhaustive()
    }
}

/// One namespace in one scope as one thread reads it in place: what a
/// [`PinnedView`](crate::PinnedView) is to a whole cache.
///
/// From [`Namespace::pin`].
pub struct NamespaceView<'a, K, V> {
    namespace: &'a Namespace<K, V>,
    guard: Guard,
}

impl<K, V> NamespaceView<'_, K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// The value of a key, as [`PinnedView::get`](crate::PinnedView::get).
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let Self { namespace, guard } = self;
        let place = namespace.place();
        let live = namespace.at.front().look(place, &namespace.ask(place, key), guard.pinned())?;
        Some(live.value().view())
    }
}

impl<K, V> fmt::Debug for NamespaceView<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamespaceView").finish_non_exhaustive()
    }
}
