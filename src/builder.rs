//! [`CacheBuilder`]: settings become running shards, or an error that names the one that is wrong.
//! Layer: front.

use crate::clock::Clock;
use crate::error::Error;
use crate::front::Front;
use crate::handle::CacheHandle;
use crate::process::Process;
use crate::removal::RemovalCause;
use crate::scope::tree::ScopeTree;
use crate::scope::trie::Trie;
use crate::shard::Shard;
use crate::shard::budget::Capacity;
use crate::shard::departures::Listener;
use crate::shard::fold::{Settings, Weigher};
use crate::shard::groups::Grouping;
use crate::shard::worker::Worker;
use crate::stats::CallerCounts;
use crate::store::policy::tick_every;
use crate::sync::{hasher, thread};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const DEFAULT_CAPACITY: u64 = 100_000;
/// The default backlog is a quarter of the capacity, within these bounds.
const DEFAULT_BACKLOG: (u64, u64) = (32, 4096);
const DEFAULT_EVENTS: usize = 1024;
const MAX_SHARDS: usize = 1024;
/// A stream's memory is taken when it is made.
const MAX_EVENTS: usize = 1 << 20;
/// A cache smaller than this has one shard, so that its eviction order is that of all its entries.
const ONE_SHARD_BELOW: u64 = 4096;
/// An index for more entries than this grows as it fills; a smaller one is made at once.
const PRESIZED: u64 = 1 << 24;
/// The same of a shared cache, whose capacity may turn out to be one of weights.
const PRESIZED_SHARED: u64 = 1 << 20;

/// Settings of a cache to be.
///
/// From [`CacheHandle::builder`]. Each setter says its default; [`build`](Self::build) checks them all.
#[must_use = "settings do nothing until they are built"]
pub struct CacheBuilder<K, V> {
    max_capacity: Option<u64>,
    shards: Option<usize>,
    backlog: Option<usize>,
    weigher: Option<Weigher<K, V>>,
    time_to_live: Option<Duration>,
    time_to_idle: Option<Duration>,
    listener: Option<Listener<K, V>>,
    event_capacity: usize,
    clock: Clock,
    scopes: ScopeTree,
    grouping: Option<Grouping<K, V>>,
}

/// A cache and its shards' workers, in the order of the shards.
type Parts<K, V> = (Front<K, V>, Vec<Worker<K, V>>);

impl<K, V> CacheBuilder<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self {
            max_capacity: None,
            shards: None,
            backlog: None,
            weigher: None,
            time_to_live: None,
            time_to_idle: None,
            listener: None,
            event_capacity: DEFAULT_EVENTS,
            clock: Clock::system(),
            scopes: ScopeTree::default(),
            grouping: None,
        }
    }

    /// The most entries, or with a [`weigher`](Self::weigher) the most weight, that the cache keeps.
    /// The bound holds whenever the shards have caught up; in between, writes that wait for a shard (see
    /// [`backlog`](Self::backlog)) come on top. Default 100,000 entries; at least 1; `u64::MAX` is no bound.
    pub fn max_capacity(mut self, capacity: u64) -> Self {
        self.max_capacity = Some(capacity);
        self
    }

    /// How many shards, and so threads, the cache has: 1 to 1,024. Default: 1 for caches below 4,096,
    /// else half the machine's cores, at most 8.
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards);
        self
    }

    /// The most writes that may wait for a shard before writers wait in their turn; at least 1. Until it
    /// is folded a write is in the cache beside the capacity, so this is also by how many entries a
    /// shard may be over for a moment. Default: a quarter of the capacity, at least 32, at most 4,096.
    pub fn backlog(mut self, writes: usize) -> Self {
        self.backlog = Some(writes);
        self
    }

    /// How much an entry weighs; needs a [`max_capacity`](Self::max_capacity), which then is the most
    /// weight. Called once for each value that is kept, on a shard thread; if it panics the value is
    /// rejected. An entry heavier than the whole capacity is not kept; entries of weight 0 are kept
    /// without bound. Default: each entry weighs 1.
    pub fn weigher(mut self, weigher: impl Fn(&K, &V) -> u32 + Send + Sync + 'static) -> Self {
        self.weigher = Some(Arc::new(weigher));
        self
    }

    /// How long after it was written or loaded an entry expires. Default: never; not zero. Clamped to
    /// 584 years.
    pub fn time_to_live(mut self, duration: Duration) -> Self {
        self.time_to_live = Some(duration);
        self
    }

    /// How long after it was last read, or written, an entry expires. Default: never; not zero, not
    /// longer than the [`time_to_live`](Self::time_to_live).
    pub fn time_to_idle(mut self, duration: Duration) -> Self {
        self.time_to_idle = Some(duration);
        self
    }

    /// Called for every entry that leaves the cache, on its shard's thread: off the callers' threads, so
    /// it should be quick. It may use caches, and its writes find no backlog full, but it cannot
    /// wait for a [`Reply`](crate::Reply). Panics are
    /// caught and counted. A listener that owns a handle of its cache keeps it alive for ever.
    pub fn removal_listener(
        mut self,
        listener: impl Fn(&K, &V, RemovalCause) + Send + Sync + 'static,
    ) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// How many events a stream of [`events`](CacheHandle::events) holds. Default 1,024; at least 1, at
    /// most 1,048,576: the memory for them is taken when a stream is made.
    pub fn event_capacity(mut self, events: usize) -> Self {
        self.event_capacity = events;
        self
    }

    /// The levels of [scopes](CacheHandle::scope) that there may be. Default: `organization/user/session`.
    pub fn scopes(mut self, tree: ScopeTree) -> Self {
        self.scopes = tree;
        self
    }

    /// Whether it was said how much there may be in the cache.
    pub(crate) fn is_bounded(&self) -> bool {
        self.max_capacity.is_some()
    }

    /// Which entries belong together. Default: none.
    pub(crate) fn grouping(mut self, grouping: Grouping<K, V>) -> Self {
        self.grouping = Some(grouping);
        self
    }

    /// Where the cache reads the time. Default: the system's monotonic clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Starts the shards.
    ///
    /// # Errors
    ///
    /// If a setting is invalid or contradicts another ([`Error::is_invalid_setting`]; the text names it
    /// and what would be accepted), if there is no memory for the index of so large a cache
    /// ([`Error::is_out_of_memory`]), or if a thread cannot be started ([`Error::is_thread_start`]; those
    /// that had been started are stopped).
    pub fn build(self) -> Result<CacheHandle<K, V>, Error> {
        let (mut front, workers) = self.assemble()?;
        for (number, worker) in workers.into_iter().enumerate() {
            let name = format!("cacheado-{number}");
            // On failure the front is dropped, which stops the threads that have been started.
            let thread = thread::spawn(name.clone(), move || worker.run())
                .map_err(|source| Error::thread_start(name, source))?;
            front.shards[number].signal().bind(thread.thread().clone());
            front.threads.push(thread);
        }
        Ok(CacheHandle::from_front(front))
    }

    /// What is built, before any thread runs. Public to the crate for tests.
    pub(crate) fn assemble(self) -> Result<Parts<K, V>, Error> {
        self.check()?;
        let max_capacity = self.max_capacity.unwrap_or(DEFAULT_CAPACITY);
        let count = self.shards.unwrap_or_else(|| default_shards(max_capacity));
        let share = max_capacity / count as u64;
        // A little more than the share: shards lend each other room, and a fold is over for a moment.
        let presized = if self.grouping.is_some() { PRESIZED_SHARED } else { PRESIZED };
        let entries = (self.weigher.is_none() && max_capacity <= presized)
            .then(|| usize::try_from(share + share / 8 + 64).unwrap_or(usize::MAX));
        let backlog = self.backlog.unwrap_or_else(|| default_backlog(max_capacity));
        let shards: Option<Arc<[_]>> = (0..count).map(|_| Shard::new(entries, backlog)).collect();
        let shards = shards.ok_or_else(|| Error::out_of_memory(max_capacity))?;
        let hasher = hasher();
        let trie = Arc::new(Trie::new(self.scopes.clone(), hasher.clone()));
        let front = Front {
            shards: Arc::clone(&shards),
            generation: Arc::clone(trie.root().generation()),
            trie: Arc::clone(&trie),
            hasher,
            clock: self.clock.clone(),
            time_to_live: self.time_to_live,
            time_to_idle: self.time_to_idle,
            max_capacity,
            event_capacity: self.event_capacity,
            counts: CallerCounts::new(),
            threads: Vec::with_capacity(count),
            process: Process::current(),
        };
        let capacity = Arc::new(Capacity::new(max_capacity, count));
        let settings = || Settings {
            // Weights say nothing about how many entries there will be.
            tick_every: self.weigher.is_none().then(|| tick_every(share)),
            capacity: Arc::clone(&capacity),
            weigher: self.weigher.clone(),
            listener: self.listener.clone(),
            clock: self.clock.clone(),
            grouping: self.grouping.clone(),
            spare_processors: (processors() - 1).max(1),
        };
        let worker =
            |number| Worker::new(Arc::clone(&shards), number, Arc::clone(&trie), settings());
        Ok((front, (0..count).map(worker).collect()))
    }

    fn check(&self) -> Result<(), Error> {
        if self.max_capacity == Some(0) {
            return Err(Error::setting("max_capacity", 0, "at least 1"));
        }
        if let Some(shards) = self.shards.filter(|n| !(1..=MAX_SHARDS).contains(n)) {
            return Err(Error::setting("shards", shards, "at least 1 and at most 1024"));
        }
        if self.backlog == Some(0) {
            return Err(Error::setting("backlog", 0, "at least 1"));
        }
        if !(1..=MAX_EVENTS).contains(&self.event_capacity) {
            let accepted = "at least 1 and at most 1,048,576";
            return Err(Error::setting("event_capacity", self.event_capacity, accepted));
        }
        if self.weigher.is_some() && self.max_capacity.is_none() {
            let accepted = "a max_capacity, the most weight that all entries together may have";
            return Err(Error::setting("weigher", "without max_capacity", accepted));
        }
        if self.time_to_live == Some(Duration::ZERO) {
            return Err(Error::setting(
                "time_to_live",
                "zero",
                "a positive duration, or none for entries that stay",
            ));
        }
        if self.time_to_idle == Some(Duration::ZERO) {
            return Err(Error::setting(
                "time_to_idle",
                "zero",
                "a positive duration, or none for entries that stay",
            ));
        }
        match (self.time_to_idle, self.time_to_live) {
            (Some(idle), Some(live)) if idle > live => {
                let refused = format!("{idle:?}, longer than the time_to_live of {live:?}");
                Err(Error::setting(
                    "time_to_idle",
                    refused,
                    "at most the time_to_live, or it could never matter",
                ))
            }
            _ => Ok(()),
        }
    }
}

fn default_backlog(max_capacity: u64) -> usize {
    let (least, most) = DEFAULT_BACKLOG;
    (max_capacity / 4).clamp(least, most) as usize
}

fn default_shards(max_capacity: u64) -> usize {
    if max_capacity < ONE_SHARD_BELOW {
        return 1;
    }
    (processors() / 2).clamp(1, 8)
}

/// How many threads of this process can run at once.
fn processors() -> usize {
    // Kept, for the system may have to read files to tell.
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

impl<K, V> fmt::Debug for CacheBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("max_capacity", &self.max_capacity)
            .field("shards", &self.shards)
            .field("time_to_live", &self.time_to_live)
            .field("time_to_idle", &self.time_to_idle)
            .finish_non_exhaustive()
    }
}
