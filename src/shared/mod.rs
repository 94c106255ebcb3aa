//! [`SharedCache`]: one cache for keys and values of many types. Layer: front.
//!
//! 1. [`namespace`]: the typed view, with the verbs.
//! 2. [`erased`]: what the one core holds, and how typed callers see it.
//! 3. [`space`]: what all views of one namespace have in common.
//! 4. [`options`]: what a namespace has of its own.
//! 5. [`events`]: what has left it.
//! 6. [`builder`][]: settings.

pub(crate) mod builder;
pub(crate) mod erased;
pub(crate) mod events;
pub(crate) mod namespace;
mod options;
pub(crate) mod space;

use crate::error::Error;
use crate::front::{tallies, top_of};
use crate::scope::path::ScopeId;
use crate::scope::snapshot::{ScopeFigure, ScopePath, ScopeReport, ScopeStats, ScopesSnapshot};
use crate::{CacheHandle, Reply, ScopedHandle, Stats};
use builder::{NamespaceBuilder, SharedCacheBuilder};
use erased::{AnyKey, AnyValue};
use namespace::Namespace;
use space::{Spaces, Title};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// One cache for any number of functions and keys and values of any types: one capacity, one set of
/// shard threads, one tree of scopes.
///
/// What is read and written goes through a [`Namespace`], which has its types, its own keys and its own
/// figures. Cheap to clone; all clones are the same cache, and so are its namespaces: each keeps it running.
///
/// ```
/// use cacheado::SharedCache;
///
/// let cache = SharedCache::new();
/// let names = cache.namespace::<u64, String>("names")?;
/// let ages = cache.namespace::<u64, u8>("ages")?;
/// names.insert(1, "Ada".to_string());
/// ages.insert(1, 36);
/// assert_eq!((names.get(&1).as_deref(), ages.get(&1)), (Some("Ada"), Some(36)));
/// assert!(cache.namespace::<u64, u64>("ages").is_err());
/// # Ok::<(), cacheado::Error>(())
/// ```
#[derive(Clone)]
pub struct SharedCache {
    handle: CacheHandle<AnyKey, AnyValue>,
    spaces: Arc<Spaces>,
}

impl SharedCache {
    /// A cache of at most 100,000 entries; every setting is the [builder](Self::builder)'s default.
    ///
    /// # Panics
    ///
    /// If a thread cannot be started; [`SharedCacheBuilder::build`] returns that as an error.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build().expect("the default settings are valid and a thread can be started")
    }

    pub(crate) fn over(handle: CacheHandle<AnyKey, AnyValue>, spaces: Spaces) -> Self {
        let spaces = Arc::new(spaces.over(handle.front().shards.len()));
        Self { handle, spaces }
    }

    /// A cache to be configured.
    pub fn builder() -> SharedCacheBuilder {
        SharedCacheBuilder::new()
    }

    /// The namespace of this name, in the global scope; made if there is none. Costs a look-up: keep it
    /// where it is used often.
    ///
    /// A namespace stays as long as the cache, so let its name come from the program, not from its data:
    /// what is as numerous as data are [scopes](Self::scope).
    ///
    /// # Errors
    ///
    /// [`Error::is_namespace_conflict`] if there is one of the name with other types (the text names both),
    /// or the name is empty.
    pub fn namespace<K, V>(&self, name: &str) -> Result<Namespace<K, V>, Error>
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        self.namespace_builder(name).build()
    }

    /// A namespace with options of its own.
    pub fn namespace_builder<'a, K, V>(&'a self, name: &'a str) -> NamespaceBuilder<'a, K, V> {
        self.titled(Title::named(name))
    }

    pub(crate) fn titled<'a, K, V>(&'a self, title: Title<'a>) -> NamespaceBuilder<'a, K, V> {
        let at = ScopedHandle::global(Arc::clone(self.handle.front()));
        NamespaceBuilder::new(at, &self.spaces, title)
    }

    pub(crate) fn max_items_of(&self, title: Title<'_>) -> Option<u64> {
        self.spaces.max_items(title)
    }

    /// A scope, in which there are namespaces as there are in the cache. As [`CacheHandle::scope`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn scope<'i, L, I>(
        &self,
        path: impl IntoIterator<Item = (L, I)>,
    ) -> Result<SharedScope, Error>
    where
        L: AsRef<str>,
        I: Into<ScopeId<'i>>,
    {
        Ok(SharedScope { handle: self.handle.scope(path)?, spaces: Arc::clone(&self.spaces) })
    }

    /// Evicts a scope and all below it, in all namespaces. As [`CacheHandle::evict_scope`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn evict_scope<'i, L, I>(
        &self,
        path: impl IntoIterator<Item = (L, I)>,
    ) -> Result<Reply<u64>, Error>
    where
        L: AsRef<str>,
        I: Into<ScopeId<'i>>,
    {
        self.handle.evict_scope(path)
    }

    /// Empties the cache: all namespaces, all scopes. As [`CacheHandle::clear`].
    pub fn clear(&self) -> Reply<u64> {
        self.handle.clear()
    }

    /// As [`CacheHandle::flush`].
    pub fn flush(&self) -> Reply<()> {
        self.handle.flush()
    }

    /// As [`CacheHandle::ready`].
    pub fn ready(&self) -> Reply<()> {
        self.handle.ready()
    }

    /// All counters at this moment, of all namespaces and scopes together.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.spaces.stats(self.handle.stats())
    }

    /// How many entries there are in all namespaces and scopes together, as of the shards' last folds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.handle.len()
    }

    /// The sum of the entries' weights, as of the shards' last folds.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.handle.weight()
    }

    /// Whether there are no entries, as of the shards' last folds.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.handle.is_empty()
    }

    /// The most that all entries together may weigh; without weights, how many there may be.
    #[must_use]
    pub fn max_capacity(&self) -> u64 {
        self.handle.max_capacity()
    }

    /// The figures of every scope in use, all namespaces together. As [`CacheHandle::scopes`].
    pub fn scopes(&self) -> Reply<ScopesSnapshot> {
        self.handle.front().scopes(self.stats())
    }

    /// As [`CacheHandle::top_scopes`], all namespaces together.
    pub fn top_scopes(&self, n: usize, by: ScopeFigure) -> Reply<Vec<ScopeReport>> {
        top_of(self.scopes(), n, by)
    }
}

impl Default for SharedCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SharedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedCache")
            .field("max_capacity", &self.max_capacity())
            .finish_non_exhaustive()
    }
}

/// One scope of a shared cache, of all its namespaces.
///
/// From [`SharedCache::scope`] and [`Namespace::shared_scope`]. It keeps the cache running, and the scope in use.
#[derive(Clone)]
pub struct SharedScope {
    handle: ScopedHandle<AnyKey, AnyValue>,
    spaces: Arc<Spaces>,
}

impl SharedScope {
    /// The namespace of this name, in this scope. As [`SharedCache::namespace`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn namespace<K, V>(&self, name: &str) -> Result<Namespace<K, V>, Error>
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        self.namespace_builder(name).build()
    }

    /// A namespace with options of its own, in this scope.
    pub fn namespace_builder<'a, K, V>(&'a self, name: &'a str) -> NamespaceBuilder<'a, K, V> {
        NamespaceBuilder::new(self.handle.clone(), &self.spaces, Title::named(name))
    }

    /// A scope below this one. As [`ScopedHandle::scope`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn scope<'i, L, I>(&self, path: impl IntoIterator<Item = (L, I)>) -> Result<Self, Error>
    where
        L: AsRef<str>,
        I: Into<ScopeId<'i>>,
    {
        Ok(Self { handle: self.handle.scope(path)?, spaces: Arc::clone(&self.spaces) })
    }

    /// Evicts this scope and all below it, in all namespaces. As [`ScopedHandle::evict`].
    pub fn evict(&self) -> Reply<u64> {
        self.handle.evict()
    }

    /// Evicts a scope below this one and all below it, in all namespaces. As [`ScopedHandle::evict_scope`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn evict_scope<'i, L, I>(
        &self,
        path: impl IntoIterator<Item = (L, I)>,
    ) -> Result<Reply<u64>, Error>
    where
        L: AsRef<str>,
        I: Into<ScopeId<'i>>,
    {
        self.handle.evict_scope(path)
    }

    /// The levels and ids that lead to this scope.
    #[must_use]
    pub fn path(&self) -> ScopePath {
        self.handle.path()
    }

    /// The figures of this scope, all namespaces together. As [`ScopedHandle::stats`].
    #[must_use]
    pub fn stats(&self) -> ScopeStats {
        let Some(cache) = self.whole() else { return self.handle.stats() };
        let all = cache.scopes().wait();
        // Refused in a forked child.
        all.map_or_else(|_| ScopeStats::alone(tallies(cache.stats())), |all| all.first())
    }

    /// How many entries there are in this scope and all below it, in all namespaces. As
    /// [`ScopedHandle::len`].
    #[must_use]
    pub fn len(&self) -> u64 {
        self.whole().map_or_else(|| self.handle.len(), |cache| cache.len())
    }

    /// Whether there are no entries in this scope and all below it, in any namespace.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The weight of all entries in this scope and all below it, in all namespaces. As [`ScopedHandle::weight`].
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.stats().subtree().weight()
    }

    /// The figures of this scope, which comes first, and of each in use below it, all namespaces together. As
    /// [`ScopedHandle::scopes`].
    pub fn scopes(&self) -> Reply<ScopesSnapshot> {
        self.whole().map_or_else(|| self.handle.scopes(), |cache| cache.scopes())
    }

    /// As [`ScopedHandle::top_scopes`], all namespaces together.
    pub fn top_scopes(&self, n: usize, by: ScopeFigure) -> Reply<Vec<ScopeReport>> {
        top_of(self.scopes(), n, by)
    }

    /// The most that all entries of the cache may weigh together. As [`ScopedHandle::max_capacity`].
    #[must_use]
    pub fn max_capacity(&self) -> u64 {
        self.handle.max_capacity()
    }

    /// The cache, if this is its global scope: of that the shards count nothing apart.
    fn whole(&self) -> Option<SharedCache> {
        let cache =
            || SharedCache { handle: self.handle.cache(), spaces: Arc::clone(&self.spaces) };
        self.handle.node().parent().is_none().then(cache)
    }
}

impl fmt::Debug for SharedScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedScope").field("path", &self.path()).finish_non_exhaustive()
    }
}
