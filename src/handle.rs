//! [`CacheHandle`]: the front door, one short method for each verb. Layer: front.

use crate::error::{Error, Refusal, TryInsertError};
use crate::front::Front;
use crate::load;
use crate::removal::Removal;
use crate::shard::Shard;
use crate::shard::command::Command;
use crate::shard::entry::Entry;
use crate::shard::hash::KeyHash;
use crate::shard::pending::Draft;
use crate::sync::reclaim;
use crate::{CacheBuilder, PinnedView, Reply, Stats};
use equivalent::Equivalent;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
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
/// [`backlog`](CacheBuilder::backlog) is full (or 127 of them share a slot of it), and from then on an
/// `insert` only removes what its key had. [`try_insert`](Self::try_insert) and every [`Reply`] then say
/// `is_forked`. Nothing is evicted or freed, loads do not wait for each other, and dropping the
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

    pub(crate) fn from_front(front: Front<K, V>) -> Self {
        Self { front: Arc::new(front) }
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
        self.read(key, V::clone)
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
        let pinned = reclaim::pin();
        self.front.look(key, &pinned).map(|live| read(live.value()))
    }

    /// As [`get`](Self::get), but counts nothing and leaves the entry's recency alone.
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        let pinned = reclaim::pin();
        self.front.peek(key, &pinned).map(|live| live.value().clone())
    }

    /// Whether a key has a live value. Never waits, counts nothing, leaves recency alone.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let pinned = reclaim::pin();
        self.front.peek(key, &pinned).is_some()
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
        self.write(key, value, None);
    }

    /// As [`insert`](Self::insert), with a time to live of its own. A zero one stores nothing and
    /// removes what the key had; a very long one is clamped to 584 years.
    pub fn insert_with_ttl(&self, key: K, value: V, time_to_live: Duration) {
        if time_to_live.is_zero() {
            self.discard(&key);
        } else {
            self.write(key, value, Some(time_to_live));
        }
    }

    /// As [`insert`](Self::insert), but never waits.
    ///
    /// # Errors
    ///
    /// Gives key and value back if the shard's backlog is full; the error says whether there will be room.
    pub fn try_insert(&self, key: K, value: V) -> Result<(), TryInsertError<K, V>> {
        let (hash, shard, draft) = self.front.draft(key, value, None);
        shard.offer(hash, draft).map_err(|draft| {
            let (key, value) = Entry::take_back(draft);
            let why = match () {
                () if shard.is_closed() => Refusal::Closed,
                () if self.front.is_forked() => Refusal::Forked,
                () => Refusal::Full,
            };
            TryInsertError::new(key, value, why)
        })
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
        self.take(key, V::clone)
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
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        V: Clone,
    {
        never(load::blocking::<K, V, Q, Infallible>(&self.front, key, || Ok(loader())))
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
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        V: Clone,
        E: Send + Sync + 'static,
    {
        load::blocking(&self.front, key, loader)
    }

    /// As [`get_or_load`](Self::get_or_load), for tasks of any executor. `loader` is polled only if this
    /// caller loads.
    ///
    /// Cancel-safe: if the future is dropped, at whatever point, one of those who wait takes over.
    pub async fn get_or_load_async<Q>(&self, key: &Q, loader: impl Future<Output = V>) -> V
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        V: Clone,
    {
        never(
            load::awaiting::<K, V, Q, Infallible>(&self.front, key, async { Ok(loader.await) })
                .await,
        )
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
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        V: Clone,
        E: Send + Sync + 'static,
    {
        load::awaiting(&self.front, key, loader).await
    }

    /// Empties the cache: invisible to every reader when this returns, and loads and writes that were
    /// issued before are not stored. The reply says how many live entries that removed, when their
    /// memory has been reclaimed.
    pub fn clear(&self) -> Reply<u64> {
        let generation = self.front.generation.end();
        self.front.ask_all(|a, b| a + b, |answer| Command::Clear { generation, answer })
    }

    /// Resolves when everything that was submitted before is in place: the bound holds, `len`, `weight`
    /// and [`stats`](Self::stats) are exact, the listener has been called. An entry that has expired is
    /// still counted until its timer fires, up to about two milliseconds after its deadline; no reader
    /// sees it. Where an entry is heavier than a shard's share, other shards may evict a few entries more
    /// just after.
    pub fn flush(&self) -> Reply<()> {
        self.front.ask_all(|(), ()| (), Command::Flush)
    }

    /// Resolves when every shard has room for writes.
    pub fn ready(&self) -> Reply<()> {
        self.front.ask_all(|(), ()| (), Command::Ready)
    }

    /// Clones of all live entries, in no particular order, each shard's as of one moment.
    ///
    /// # Errors
    ///
    /// The reply's: [`Error::is_panic`] if a clone panicked.
    pub fn entries(&self) -> Reply<Vec<(K, V)>>
    where
        K: Clone,
        V: Clone,
    {
        let join = |mut all: Vec<_>, more: Vec<_>| {
            all.extend(more);
            all
        };
        self.front.ask_all(join, |answer| {
            Command::Visit(Box::new(|residents| {
                let clones = catch_unwind(AssertUnwindSafe(|| {
                    residents.map(|(key, value)| (key.clone(), value.clone())).collect()
                }));
                match clones {
                    Ok(entries) => answer.answer(Ok(entries)),
                    Err(payload) => {
                        answer.answer(Err(Error::panicked("the Clone of a key or value")));
                        resume_unwind(payload);
                    }
                }
            }))
        })
    }

    /// A stream of what leaves the cache from now on (and perhaps of what has just left), each entry with
    /// its cause, once no reader can see it any more. Every call makes a stream of its own. A stream holds as many events as the
    /// [builder](CacheBuilder::event_capacity) says; what does not fit is dropped and counted, and the
    /// shard never waits for it.
    #[must_use]
    pub fn events(&self) -> crossbeam_channel::Receiver<Arc<Removal<K, V>>> {
        let (sender, receiver) = crossbeam_channel::bounded(self.front.event_capacity);
        // In a forked child the stream ends at once.
        if !self.front.is_forked() {
            for shard in &*self.front.shards {
                shard.send(Command::Subscribe(sender.clone()));
            }
        }
        receiver
    }

    /// All counters at this moment; see [`Stats`] for what is exact when.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let shards = self.front.shards.iter().map(Shard::published_counts);
        Stats {
            callers: self.front.counts.sum(),
            shards: shards.fold(Default::default(), |sum, counts| counts.plus(sum)),
        }
    }

    /// How many entries there are, as of the shards' last folds.
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

    fn write(&self, key: K, value: V, time_to_live: Option<Duration>) {
        let (hash, shard, draft) = self.front.draft(key, value, time_to_live);
        if let Err(draft) = shard.offer(hash, draft) {
            self.write_when_ready(hash, shard, draft);
        }
    }

    #[cold]
    fn write_when_ready(&self, hash: KeyHash, shard: &Shard<K, V>, mut draft: Draft<Entry<K, V>>) {
        while self.front.ready(shard).wait().is_ok() {
            match shard.offer(hash, draft) {
                Ok(()) => return,
                Err(back) => draft = back,
            }
        }
        // The shard has died or is the parent's: the value is dropped, as an evicted one would be, and
        // so is the older one, which would be read as if this write had never been.
        let (key, _value) = Entry::take_back(draft);
        let pinned = reclaim::pin();
        shard.remove(hash, |k| *k == key, self.front.validity(), &pinned);
    }

    fn discard(&self, key: &K) {
        self.take(key, |_| ());
    }

    fn take<Q, R>(&self, key: &Q, read: impl FnOnce(&V) -> R) -> Option<R>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let (hash, shard) = self.front.route(key);
        if !shard.has_room() && !crate::shard_thread::is_current() {
            // An error means that the shard has died or is the parent's: readers see the removal all the same.
            let _ = self.front.ready(shard).wait();
        }
        let pinned = reclaim::pin();
        let taken = shard.remove(hash, |k| key.equivalent(k), self.front.validity(), &pinned)?;
        Some(read(taken.value()))
    }
}

fn never<V>(result: Result<V, Arc<Infallible>>) -> V {
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
