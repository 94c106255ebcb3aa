//! [`CacheHandle`]: the front door, one short method for each verb. Layer: front.

use crate::ask::{Plain, ToKey};
use crate::error::{Error, TryInsertError};
use crate::front::{Front, top_of};
use crate::load;
use crate::removal::Removal;
use crate::scope::path::ScopeId;
use crate::scope::snapshot::{ScopeFigure, ScopeReport, ScopesSnapshot};
use crate::sync::reclaim;
use crate::{CacheBuilder, PinnedView, Reply, ScopedHandle, Stats};
use equivalent::Equivalent;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// A cache, as its users hold it.
///
/// Cheap to clone; all clones are the same cache. It can be shared and sent between threads and used
/// from synchronous and asynchronous code alike: reads and writes never wait for another thread (a
/// write waits only if its shard's backlog is full), and what takes a moment returns a [`Reply`].
/// When the last handle is dropped, the shard threads finish what was accepted and end; that drop waits
/// for them.
///
/// # Fork
///
/// A process that is forked off has the cache's memory but none of its threads. There hits, misses,
/// removals and loads go on, and no call hangs: writes and loaded values are kept until the
/// [`backlog`](CacheBuilder::backlog) is full (or 254 of them share a slot of it), and from then on an
/// `insert` only removes what its key had. [`try_insert`](Self::try_insert) and every [`Reply`] then say
/// `is_forked`. The figures of a scope are its own alone there, and nothing more comes out of a stream that was made
/// before the fork: do not wait for it. Nothing is evicted or freed, loads do not wait for each other, and dropping the
/// last handle waits for nobody. A cache that the child makes itself works, with the
/// provisos of `docs/reliability.md`.
///
/// ```
/// use cacheado::CacheHandle;
///
/// let cache = CacheHandle::new();
/// cache.insert("answer".to_string(), 42);
/// assert_eq!(cache.get("answer"), Some(42));
/// ```
pub struct CacheHandle<K, V> {
    front: Arc<Front<K, V>>,
}

impl<K, V> CacheHandle<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// A cache of at most 100,000 entries that live until they are evicted; every setting is the
    /// [builder](CacheHandle::builder)'s default.
    ///
    /// # Panics
    ///
    /// If a thread cannot be started; [`CacheBuilder::build`] returns that as an error.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build().expect("the default settings are valid and a thread can be started")
    }

    /// A cache to be configured.
    pub fn builder() -> CacheBuilder<K, V> {
        CacheBuilder::new()
    }

    pub(crate) fn front(&self) -> &Arc<Front<K, V>> {
        &self.front
    }

    pub(crate) fn from_front(front: Front<K, V>) -> Self {
        Self::of(Arc::new(front))
    }

    pub(crate) fn of(front: Arc<Front<K, V>>) -> Self {
        Self { front }
    }

    /// A clone of the value of a key, if it is there and has not expired.
    ///
    /// Takes no lock and never waits. Counts a hit or a miss and refreshes the entry's recency.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        self.front.read(self.front.global(), key, V::clone)
    }

    /// What `read` makes of the value of a key, without cloning it.
    ///
    /// As [`get`](Self::get). The thread is pinned while `read` runs: nothing that any thread could
    /// still be reading is freed meanwhile, so it should be short and not wait.
    #[inline]
    pub fn read<Q, R>(&self, key: &Q, read: impl FnOnce(&V) -> R) -> Option<R>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.front.read(self.front.global(), key, read)
    }

    /// As [`get`](Self::get), but counts nothing and leaves the entry's recency alone.
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        reclaim::pinned(|pinned| {
            let found = self.front.find(self.front.global(), key, pinned)?;
            Some(found.live.value().clone())
        })
    }

    /// Whether a key has a live value. Never waits, counts nothing, leaves recency alone.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        reclaim::pinned(|pinned| self.front.find(self.front.global(), key, pinned).is_some())
    }

    /// A view that pins the thread once for many reads and gives references.
    #[must_use]
    pub fn pin(&self) -> PinnedView<'_, K, V> {
        PinnedView::new(&self.front)
    }

    /// Stores a value under a key, with the cache's time to live. Every thread sees it when this
    /// returns; loads of the key that began before will not overwrite it.
    ///
    /// Waits only if the backlog of the key's shard is full, until it has room: in a task that must not
    /// block its thread, await [`ready`](Self::ready) before or use [`try_insert`](Self::try_insert).
    pub fn insert(&self, key: K, value: V) {
        self.front.insert(self.front.global(), key, value, None);
    }

    /// As [`insert`](Self::insert), with a time to live of its own. A zero one stores nothing and
    /// removes what the key had; a very long one is clamped to 584 years.
    pub fn insert_with_ttl(&self, key: K, value: V, time_to_live: Duration) {
        self.front.insert_with_ttl(self.front.global(), key, value, time_to_live);
    }

    /// As [`insert`](Self::insert), but never waits.
    ///
    /// # Errors
    ///
    /// Gives key and value back if the shard's backlog is full; the error says whether there will be room.
    pub fn try_insert(&self, key: K, value: V) -> Result<(), TryInsertError<K, V>> {
        self.front.try_insert(self.front.global(), key, value)
    }

    /// Takes a key's value out and returns a clone of it; `None` if there was none. Of several callers
    /// at once exactly one gets it. Overrides loads of the key that are in flight.
    ///
    /// Waits only as [`insert`](Self::insert) does.
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        self.front.remove(self.front.global(), key, V::clone)
    }

    /// The value of a key; if it has none, the one that `loader` makes, which is then stored.
    ///
    /// Of all callers at once, in threads and tasks, one runs its loader, on its own thread; the others
    /// wait for it. If that one panics, one of the others takes over. A value that was written, removed
    /// or cleared after the load began is not overwritten: the loaded value is returned but not stored.
    /// A loader that asks for its own key, or for one whose load waits for it in turn, runs the inner loader
    /// without storing its value; such circles are seen through the loaders of any caches, but not through
    /// other threads or tasks that a loader waits for.
    ///
    /// Blocks while another caller loads the key: in a task use
    /// [`get_or_load_async`](Self::get_or_load_async). Counts one hit or one miss.
    pub fn get_or_load<Q>(&self, key: &Q, loader: impl FnOnce() -> V) -> V
    where
        Q: ToKey<K> + ?Sized,
        V: Clone,
    {
        let loader = || Ok::<_, Infallible>(loader());
        never(load::blocking(&self.front, self.front.global(), Plain(key), loader))
    }

    /// As [`get_or_load`](Self::get_or_load), with a loader that may fail.
    ///
    /// # Errors
    ///
    /// The loader's error, the same one for all who waited for it. It is not stored: the next caller
    /// loads again. A caller whose error type is another one loads for itself.
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
        load::blocking(&self.front, self.front.global(), Plain(key), loader)
    }

    /// As [`get_or_load`](Self::get_or_load), for tasks of any executor. `loader` is polled only if this
    /// caller loads.
    ///
    /// Cancel-safe: if the future is dropped, at whatever point, one of those who wait takes over.
    pub async fn get_or_load_async<Q>(&self, key: &Q, loader: impl Future<Output = V>) -> V
    where
        Q: ToKey<K> + ?Sized,
        V: Clone,
    {
        let loader = async { Ok::<_, Infallible>(loader.await) };
        never(load::awaiting(&self.front, self.front.global(), Plain(key), loader).await)
    }

    /// As [`get_or_load_async`](Self::get_or_load_async), with a loader that may fail.
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
        load::awaiting(&self.front, self.front.global(), Plain(key), loader).await
    }

    /// Empties the cache, all scopes of it: invisible to every reader when this returns, and loads and writes that were
    /// issued before are not stored. The reply says how many live entries that removed, when they have
    /// left the store; their memory is given back when nobody reads them any more, some milliseconds later.
    pub fn clear(&self) -> Reply<u64> {
        self.front.evict(self.front.trie.root())
    }

    /// Resolves when everything that was submitted before is in place: the bound holds, `len`, `weight`
    /// and [`stats`](Self::stats) are exact, the listener has been called. An entry that has expired is
    /// still counted until its timer fires, up to about two milliseconds after its deadline; no reader
    /// sees it. Where an entry is heavier than a shard's share, other shards may evict a few entries more
    /// just after.
    pub fn flush(&self) -> Reply<()> {
        self.front.flush()
    }

    /// Resolves when every shard has room for writes.
    pub fn ready(&self) -> Reply<()> {
        self.front.all_ready()
    }

    /// Clones of all live entries of the global scope, in no particular order, each shard's as of one
    /// moment. Those of other scopes: [`ScopedHandle::entries`].
    ///
    /// # Errors
    ///
    /// The reply's: [`Error::is_panic`] if a clone panicked.
    pub fn entries(&self) -> Reply<Vec<(K, V)>>
    where
        K: Clone,
        V: Clone,
    {
        self.front.entries(self.front.trie.root())
    }

    /// A stream of what leaves the cache from now on (and perhaps of what has just left), each entry with
    /// its cause, once no reader can see it any more. Every call makes a stream of its own. A stream holds as many events as the
    /// [builder](CacheBuilder::event_capacity) says; what does not fit is dropped and counted, and the
    /// shard never waits for it. What is left in a stream that is dropped goes once every shard has
    /// had another entry leave: empty it first if that matters.
    #[must_use]
    pub fn events(&self) -> crossbeam_channel::Receiver<Arc<Removal<K, V>>> {
        self.front.events(None)
    }

    /// All counters at this moment; see [`Stats`] for what is exact when.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.front.stats()
    }

    /// How many entries there are in all scopes together, as of the shards' last folds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.stats().len()
    }

    /// Whether there are no entries, as of the shards' last folds.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sum of the entries' weights, as of the shards' last folds.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.stats().weight()
    }

    /// The most that all entries together may weigh; without a weigher, how many there may be.
    #[must_use]
    pub fn max_capacity(&self) -> u64 {
        self.front.max_capacity
    }

    /// A handle for one scope: the same verbs, on keys of its own. `path` says from the top down, for each
    /// level of the [`ScopeTree`](crate::ScopeTree) above it and its own, which one.
    ///
    /// Costs a look-up; keep the handle where many calls concern the same scope. A scope exists as long as
    /// there are entries in it or handles for it.
    ///
    /// ```
    /// use cacheado::CacheHandle;
    ///
    /// let cache = CacheHandle::new();
    /// let user = cache.scope([("organization", "acme"), ("user", "u42")])?;
    /// user.insert("name".to_string(), "Ada");
    /// assert_eq!((user.get("name"), cache.get("name")), (Some("Ada"), None));
    /// assert_eq!(cache.evict_scope([("organization", "acme")])?.wait()?, 1);
    /// assert_eq!(user.get("name"), None);
    /// # Ok::<(), cacheado::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_invalid_scope_path`] if a level is unknown, missing or misplaced or an id is empty: the text
    /// names it and what would be right. Nothing falls back to another scope. Besides,
    /// [`Error::is_too_many_scopes`] if there are 16,777,214 in use, and [`Error::is_forked`] in a forked child if the
    /// scope is not in use.
    pub fn scope<'i, L, I>(
        &self,
        path: impl IntoIterator<Item = (L, I)>,
    ) -> Result<ScopedHandle<K, V>, Error>
    where
        L: AsRef<str>,
        I: Into<ScopeId<'i>>,
    {
        ScopedHandle::below(&self.front, self.front.trie.root(), path)
    }

    /// Evicts a scope and all below it, as [`ScopedHandle::evict`] does. If nobody uses it there is
    /// nothing to evict, and the reply is zero.
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
        self.front.evict_below(self.front.trie.root(), path)
    }

    /// The figures of every scope in use, exact after a [`flush`](Self::flush) as [`stats`](Self::stats)
    /// is. Walks over all of them.
    pub fn scopes(&self) -> Reply<ScopesSnapshot> {
        self.front.scopes(self.stats())
    }

    /// The `n` scopes that have most of something themselves, the greatest first; the global scope is not
    /// among them. As [`scopes`](Self::scopes).
    pub fn top_scopes(&self, n: usize, by: ScopeFigure) -> Reply<Vec<ScopeReport>> {
        top_of(self.scopes(), n, by)
    }
}

/// The result of a loader that cannot fail.
pub(crate) fn never<V>(result: Result<V, Arc<Infallible>>) -> V {
    result.unwrap_or_else(|never| match *never {})
}

impl<K, V> Clone for CacheHandle<K, V> {
    fn clone(&self) -> Self {
        Self { front: Arc::clone(&self.front) }
    }
}

impl<K, V> Default for CacheHandle<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for CacheHandle<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheHandle")
            .field("max_capacity", &self.front.max_capacity)
            .finish_non_exhaustive()
    }
}
