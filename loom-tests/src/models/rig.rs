//! The rig: how a model is searched, a cache of one shard that is stepped by hand, tracked values.
#![expect(unsafe_code, reason = "loom's cells are how a model shows a race, and give raw pointers")]

use crate::CacheHandle;
use crate::clock::Clock;
use crate::front::Front;
use crate::process::Process;
use crate::scope::ScopeStamp;
use crate::scope::node::Node;
use crate::scope::place::{Global, Place};
use crate::scope::tree::ScopeTree;
use crate::scope::trie::Trie;
use crate::shard::Shard;
use crate::shard::budget::Capacity;
use crate::shard::entry::{Expiry, Validity};
use crate::shard::fold::Settings;
use crate::shard::groups::Grouping;
use crate::shard::hash::KeyHash;
use crate::shard::worker::{Next, Worker};
use crate::stats::{CallerCounts, Stats};
use crate::sync::tally::{AtomicU64, Ordering};
use loom::cell::UnsafeCell;
use loom::thread::JoinHandle;
use std::future::{Future, poll_fn};
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Switches of threads after which an execution counts as one that never ends.
const MAX_BRANCHES: usize = 4_000;

/// Searches all interleavings of `model` up to the preemption bound (`LOOM_MAX_PREEMPTIONS`, default 2; with `MODEL_DEEP` 3
/// for a model of up to three threads) and prints how many there were. There is no other bound: the search is complete or fails.
pub(super) fn search(name: &str, threads: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    if threads <= 3 && std::env::var_os("MODEL_DEEP").is_some() {
        builder.preemption_bound = Some(3);
    }
    let bound = *builder.preemption_bound.get_or_insert(2);
    builder.max_threads = threads;
    builder.max_branches = MAX_BRANCHES;
    builder.max_duration = None;
    builder.max_permutations = None;
    let interleavings = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&interleavings);
    let start = Instant::now();
    builder.check(move || {
        crate::sync::reset_oracles();
        counter.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let (count, time) = (interleavings.load(Ordering::Relaxed), start.elapsed().as_secs_f64());
    eprintln!(
        "searched {name} threads {threads} bound {bound} interleavings {count} seconds {time:.2}"
    );
}

/// A cache of one shard whose thread is whoever holds the worker.
pub(super) struct Rig<V, K = u8> {
    pub(super) cache: CacheHandle<K, V>,
    shards: Arc<[Shard<K, V>]>,
    trie: Arc<Trie>,
    clock: Clock,
}

impl<V, K> Clone for Rig<V, K> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            shards: Arc::clone(&self.shards),
            trie: Arc::clone(&self.trie),
            clock: self.clock.clone(),
        }
    }
}

/// Seeds, so that every execution routes alike.
pub(super) fn hasher() -> ahash::RandomState {
    ahash::RandomState::with_seeds(1, 2, 3, 4)
}

impl<V: Send + Sync + 'static, K: Hash + Eq + Send + Sync + 'static> Rig<V, K> {
    /// A cache that holds at most `capacity` entries, and its shard.
    pub(super) fn new(capacity: u64) -> (Self, Worker<K, V>) {
        Self::grouped(capacity, None)
    }

    /// As `new`, with keys that say which group they are of.
    pub(super) fn grouped(capacity: u64, grouping: Option<Grouping<K, V>>) -> (Self, Worker<K, V>) {
        let clock = Clock::manual(Arc::new(AtomicU64::new(0)));
        let shards: Arc<[_]> = Arc::new([Shard::new(None, 4096).expect("little memory")]);
        let trie = Arc::new(Trie::new(ScopeTree::default(), hasher()));
        let front = Front {
            shards: Arc::clone(&shards),
            generation: Arc::clone(trie.root().generation()),
            trie: Arc::clone(&trie),
            hasher: hasher(),
            clock: clock.clone(),
            time_to_live: None,
            time_to_idle: None,
            max_capacity: capacity,
            event_capacity: 1,
            counts: CallerCounts::new(),
            threads: Vec::new(),
            process: Process::current(),
        };
        let settings = settings(Capacity::new(capacity, 1), clock.clone(), grouping);
        let worker = Worker::new(Arc::clone(&shards), 0, Arc::clone(&trie), settings);
        (Self { cache: CacheHandle::from_front(front), shards, trie, clock }, worker)
    }

    pub(super) fn shard(&self) -> &Shard<K, V> {
        &self.shards[0]
    }

    pub(super) fn hash(&self, key: &K) -> KeyHash {
        KeyHash(hasher().hash_one(key))
    }

    pub(super) fn validity(&self) -> Validity<'_, impl Place> {
        Validity::new(&self.clock, Global::new(self.trie.root().generation()))
    }

    /// The global scope.
    pub(super) fn root(&self) -> Arc<Node> {
        Arc::clone(self.trie.root())
    }

    /// What a load that begins now belongs to.
    pub(super) fn stamp(&self) -> ScopeStamp {
        self.trie.root().now()
    }

    /// How a loaded value is stored.
    pub(super) fn forever(&self) -> Expiry {
        Expiry::NEVER
    }

    /// Runs `contender` on a thread of its own with a handle of its own.
    pub(super) fn spawn<R: 'static>(
        &self,
        contender: impl FnOnce(&Self) -> R + 'static,
    ) -> JoinHandle<R> {
        let rig = self.clone();
        loom::thread::spawn(move || contender(&rig))
    }
}

/// What a shard of a model is told.
pub(super) fn settings<K, V>(
    capacity: Capacity,
    clock: Clock,
    grouping: Option<Grouping<K, V>>,
) -> Settings<K, V> {
    Settings {
        tick_every: Some(1),
        capacity: Arc::new(capacity),
        weigher: None,
        listener: None,
        clock,
        grouping,
        spare_processors: 1,
    }
}

/// Steps the shard on a thread of its own; joining gives it back.
pub(super) fn turns<K: Eq + 'static, V: 'static>(
    mut worker: Worker<K, V>,
    count: usize,
) -> JoinHandle<Worker<K, V>> {
    loom::thread::spawn(move || {
        settle(&mut worker, count);
        worker
    })
}

/// Steps the shard `count` times.
pub(super) fn settle<K: Eq, V>(worker: &mut Worker<K, V>, count: usize) {
    for _ in 0..count {
        assert!(!matches!(worker.turn(), Next::End), "nobody has stopped the shard");
    }
}

/// A call of a load that has been polled, and has to be polled again.
pub(super) type Load = Pin<Box<dyn Future<Output = u32>>>;

/// Has a load claimed, or joined, by the current thread: whoever polls it again brings it to its end.
pub(super) fn begun(call: impl Future<Output = u32> + 'static) -> Load {
    let mut load: Load = Box::pin(call);
    assert!(poll(&mut load).is_pending(), "it waits, for its own loader or for another's");
    load
}

pub(super) fn poll(load: &mut Load) -> Poll<u32> {
    load.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// A loader that is not done before it is polled again.
pub(super) fn later<T>(make: impl FnOnce() -> T) -> impl Future<Output = T> {
    let (mut make, mut begun) = (Some(make), false);
    poll_fn(move |_| {
        if std::mem::replace(&mut begun, true) {
            Poll::Ready(make.take().expect("not polled after its end")())
        } else {
            Poll::Pending
        }
    })
}

/// What became of the values of one execution.
#[derive(Clone, Default)]
pub(super) struct Ledger(Arc<Books>);

#[derive(Default)]
struct Books {
    made: AtomicU32,
    dropped: AtomicU32,
}

impl Ledger {
    pub(super) fn value(&self, number: u32) -> Tracked {
        self.0.made.fetch_add(1, Ordering::Relaxed);
        Tracked { cell: written(number), ledger: self.clone() }
    }

    /// Values that were made and not dropped.
    pub(super) fn alive(&self) -> u32 {
        let dropped = self.0.dropped.load(Ordering::Relaxed);
        self.0.made.load(Ordering::Relaxed).checked_sub(dropped).expect("nothing is dropped twice")
    }
}

/// A cell that its maker has written: loom overlooks the making of a cell that is the first thing a
/// thread does, but not a write.
fn written<T>(content: T) -> UnsafeCell<T> {
    let cell = UnsafeCell::new(content);
    cell.with_mut(|_| ());
    cell
}

/// A value whose every access loom sees: reading it without an edge from its making, or while it is
/// dropped, fails the model.
pub(super) struct Tracked {
    cell: UnsafeCell<u32>,
    ledger: Ledger,
}

/// What a dropped value shows.
const DEAD: u32 = u32::MAX;

impl Tracked {
    pub(super) fn number(&self) -> u32 {
        // SAFETY: loom checks that nobody writes meanwhile.
        let number = self.cell.with(|number| unsafe { *number });
        assert_ne!(number, DEAD, "a value is read after it was dropped");
        number
    }
}

// SAFETY: the cell is written only by `Drop`, and loom checks that this is exclusive.
unsafe impl Sync for Tracked {}

impl Clone for Tracked {
    fn clone(&self) -> Self {
        self.ledger.value(self.number())
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        // SAFETY: loom checks that nobody reads or writes meanwhile.
        let last = self.cell.with_mut(|number| unsafe { std::mem::replace(&mut *number, DEAD) });
        assert_ne!(last, DEAD, "a value is dropped twice");
        self.ledger.0.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// A key that loom sees, too: comparing it without an edge from its making fails the model.
pub(super) struct Key(UnsafeCell<u8>);

impl Key {
    pub(super) fn new(number: u8) -> Self {
        Self(written(number))
    }

    fn number(&self) -> u8 {
        // SAFETY: nobody writes it, and loom checks that it was made before.
        self.0.with(|number| unsafe { *number })
    }
}

// SAFETY: the cell is never written.
unsafe impl Sync for Key {}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.number() == other.number()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number().hash(state);
    }
}

/// The number of a key's value, read in place.
pub(super) fn get(rig: &Rig<Tracked>, key: u8) -> Option<u32> {
    rig.cache.read(&key, Tracked::number)
}

/// Removes a key and reads the number of what it had.
pub(super) fn remove(rig: &Rig<Tracked>, key: u8) -> Option<u32> {
    rig.cache.remove(&key).map(|value| value.number())
}

/// Steps the shard until everything is folded and freed that can be, and checks the books: what was
/// made and is not in the cache has been dropped, and what came in has left or is there.
pub(super) fn audit<K>(rig: &Rig<Tracked, K>, worker: &mut Worker<K, Tracked>, ledger: &Ledger)
where
    K: Hash + Eq + Send + Sync + 'static,
{
    settle(worker, 3);
    balance(&rig.cache.stats(), ledger);
    assert_eq!(rig.shard().signal().backlog(), 0, "every submit was folded and counted once");
}

/// Checks the books of a cache that is at rest.
pub(super) fn balance(stats: &Stats, ledger: &Ledger) {
    // The shard catches what unwinds from a destructor, so what loom says there arrives as a count.
    assert_eq!(stats.panics(), 0, "no value was dropped while somebody read it, or twice");
    assert_eq!(
        u64::from(ledger.alive()),
        stats.len(),
        "every value is in the cache or was dropped once"
    );
    let left = stats.evictions() + stats.expirations() + stats.invalidations();
    assert_eq!(stats.insertions() - left, stats.len(), "what came in and has not left is there");
}
