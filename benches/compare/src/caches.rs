//! Every cache behind one surface: ours, its peers, and a map as a bound that is no cache.
//!
//! Each is built as its documentation suggests, for a known capacity. Where a peer hashes with a slow
//! default (SipHash in moka, mini-moka and papaya, XxHash64 in foyer) it gets `ahash`, so that hashes are
//! not what is compared; quick_cache and TinyUFO keep their own, which are fast.

use ahash::RandomState;
use cacheado::{CacheHandle, ScopedHandle};
use clap::ValueEnum;
use mini_moka::sync::ConcurrentCacheExt;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Who is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Peer {
    /// Ours.
    Cacheado,
    /// `quick_cache::sync::Cache`.
    QuickCache,
    /// `moka::sync::Cache`.
    Moka,
    /// `mini_moka::sync::Cache`.
    MiniMoka,
    /// `foyer_memory::Cache`, with its default policy.
    Foyer,
    /// `tinyufo::TinyUfo`.
    Tinyufo,
    /// `papaya::HashMap`: no cache, it evicts nothing. A bound.
    Papaya,
}

impl Peer {
    /// All, ours first and the bound last.
    pub const ALL: [Self; 7] = [
        Self::Cacheado,
        Self::QuickCache,
        Self::Moka,
        Self::MiniMoka,
        Self::Foyer,
        Self::Tinyufo,
        Self::Papaya,
    ];

    /// The name on the command line and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cacheado => "cacheado",
            Self::QuickCache => "quick_cache",
            Self::Moka => "moka",
            Self::MiniMoka => "mini_moka",
            Self::Foyer => "foyer",
            Self::Tinyufo => "tinyufo",
            Self::Papaya => "papaya",
        }
    }

    /// Whether it counts when the best of the others is looked for.
    #[must_use]
    pub fn is_rival(self) -> bool {
        !matches!(self, Self::Cacheado | Self::Papaya)
    }

    /// Makes an empty one and hands it to `visit`; `None` if it cannot keep entries like that.
    pub fn with<V: Value, R>(
        self,
        capacity: u64,
        life: Life,
        visit: impl Visit<V, Output = R>,
    ) -> Option<R> {
        Some(match self {
            Self::Cacheado if life == Life::ToLiveInAScope => {
                visit.visit(OursInAScope::open(capacity, life)?)
            }
            Self::Cacheado => visit.visit(Ours::open(capacity, life)?),
            Self::QuickCache => visit.visit(QuickCache::open(capacity, life)?),
            Self::Moka => visit.visit(Moka::open(capacity, life)?),
            Self::MiniMoka => visit.visit(MiniMoka::open(capacity, life)?),
            Self::Foyer => visit.visit(Foyer::open(capacity, life)?),
            Self::Tinyufo => visit.visit(TinyUfo::open(capacity, life)?),
            Self::Papaya => visit.visit(Papaya::open(capacity, life)?),
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How long entries are kept that are not evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Life {
    /// For ever.
    ForEver,
    /// For an hour after their writing.
    ToLive,
    /// For an hour after their writing, all in one scope.
    ToLiveInAScope,
    /// For an hour after their writing, or after their last use.
    ToLiveAndIdle,
}

/// So long that nothing falls due while it is measured.
const AN_HOUR: Duration = Duration::from_secs(3600);

impl Life {
    /// The name on the command line and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ForEver => "for_ever",
            Self::ToLive => "to_live",
            Self::ToLiveInAScope => "to_live_in_a_scope",
            Self::ToLiveAndIdle => "to_live_and_idle",
        }
    }
}

/// What is done with a cache, compiled for each kind.
pub trait Visit<V> {
    /// What comes of it.
    type Output;

    /// Does it.
    fn visit(self, cache: impl Cache<V> + 'static) -> Self::Output;
}

/// A cached value that says which key it belongs to.
pub trait Value: Clone + Send + Sync + 'static {
    /// How many bytes it allocates for itself.
    const ALLOCATED: usize;

    /// The value of a key.
    fn of(key: u64) -> Self;
    /// The key that it was made for. Reads the value, as a user would.
    fn key(&self) -> u64;
}

impl Value for u64 {
    const ALLOCATED: usize = 0;

    fn of(key: u64) -> Self {
        key
    }

    fn key(&self) -> u64 {
        *self
    }
}

impl Value for Arc<[u8; 64]> {
    // The two counters, and what it holds.
    const ALLOCATED: usize = size_of::<(usize, usize, [u8; 64])>();

    fn of(key: u64) -> Self {
        let mut bytes = [0; 64];
        bytes[..8].copy_from_slice(&key.to_le_bytes());
        Arc::new(bytes)
    }

    fn key(&self) -> u64 {
        let (first, _) = self.split_first_chunk().expect("there are 64 bytes");
        u64::from_le_bytes(*first)
    }
}

/// The surface that is compared.
pub trait Cache<V>: Send + Sync {
    /// The value of a key.
    fn get(&self, key: u64) -> Option<V>;

    /// Stores a value.
    fn insert(&self, key: u64, value: V);

    /// The value of a key, made and stored if it is missing: by the cache's own call if it has one that
    /// can be used without an executor, else a `get` and an `insert`.
    fn load(&self, key: u64, make: impl FnOnce() -> V) -> V
    where
        V: Clone,
    {
        self.get(key).unwrap_or_else(|| {
            let value = make();
            self.insert(key, value.clone());
            value
        })
    }

    /// Returns when work that was put off has been done.
    fn settle(&self) {}
}

/// How one is made.
trait Open: Sized {
    /// `None` if it cannot keep entries like that.
    fn open(capacity: u64, life: Life) -> Option<Self>;
}

struct Ours<V>(CacheHandle<u64, V>);

impl<V: Value> Open for Ours<V> {
    fn open(capacity: u64, life: Life) -> Option<Self> {
        let builder = CacheHandle::builder().max_capacity(capacity);
        let builder = match life {
            Life::ForEver => builder,
            Life::ToLive | Life::ToLiveInAScope => builder.time_to_live(AN_HOUR),
            Life::ToLiveAndIdle => builder.time_to_live(AN_HOUR).time_to_idle(AN_HOUR),
        };
        Some(Self(builder.build().expect("the settings are valid and a thread can be started")))
    }
}

impl<V: Value> Cache<V> for Ours<V> {
    fn get(&self, key: u64) -> Option<V> {
        self.0.get(&key)
    }

    fn insert(&self, key: u64, value: V) {
        self.0.insert(key, value);
    }

    fn load(&self, key: u64, make: impl FnOnce() -> V) -> V {
        self.0.get_or_load(&key, make)
    }

    fn settle(&self) {
        self.0.flush().wait().expect("the shards run");
    }
}

/// With all entries in one scope, three levels down.
struct OursInAScope<V>(Ours<V>, ScopedHandle<u64, V>);

impl<V: Value> Open for OursInAScope<V> {
    fn open(capacity: u64, life: Life) -> Option<Self> {
        let ours = Ours::open(capacity, life)?;
        let path = [("organization", 1), ("user", 1), ("session", 1)];
        let scope = ours.0.scope(path).expect("a right path");
        Some(Self(ours, scope))
    }
}

impl<V: Value> Cache<V> for OursInAScope<V> {
    fn get(&self, key: u64) -> Option<V> {
        self.1.get(&key)
    }

    fn insert(&self, key: u64, value: V) {
        self.1.insert(key, value);
    }

    fn settle(&self) {
        self.0.settle();
    }
}

struct QuickCache<V>(quick_cache::sync::Cache<u64, V>);

impl<V: Value> Open for QuickCache<V> {
    fn open(capacity: u64, life: Life) -> Option<Self> {
        let cache = || Self(quick_cache::sync::Cache::new(count(capacity)));
        (life == Life::ForEver).then(cache)
    }
}

impl<V: Value> Cache<V> for QuickCache<V> {
    fn get(&self, key: u64) -> Option<V> {
        self.0.get(&key)
    }

    fn insert(&self, key: u64, value: V) {
        self.0.insert(key, value);
    }

    fn load(&self, key: u64, make: impl FnOnce() -> V) -> V {
        let loaded = self.0.get_or_insert_with(&key, || Ok::<_, Infallible>(make()));
        loaded.unwrap_or_else(|never| match never {})
    }
}

struct Moka<V>(moka::sync::Cache<u64, V, RandomState>);

impl<V: Value> Open for Moka<V> {
    fn open(capacity: u64, life: Life) -> Option<Self> {
        let builder = moka::sync::Cache::builder().max_capacity(capacity);
        let builder = match life {
            Life::ForEver => builder,
            Life::ToLive => builder.time_to_live(AN_HOUR),
            Life::ToLiveAndIdle => builder.time_to_live(AN_HOUR).time_to_idle(AN_HOUR),
            Life::ToLiveInAScope => return None,
        };
        Some(Self(builder.build_with_hasher(RandomState::new())))
    }
}

impl<V: Value> Cache<V> for Moka<V> {
    fn get(&self, key: u64) -> Option<V> {
        self.0.get(&key)
    }

    fn insert(&self, key: u64, value: V) {
        self.0.insert(key, value);
    }

    fn load(&self, key: u64, make: impl FnOnce() -> V) -> V {
        self.0.get_with(key, make)
    }

    fn settle(&self) {
        self.0.run_pending_tasks();
    }
}

struct MiniMoka<V>(mini_moka::sync::Cache<u64, V, RandomState>);

impl<V: Value> Open for MiniMoka<V> {
    fn open(capacity: u64, life: Life) -> Option<Self> {
        let builder = mini_moka::sync::Cache::builder().max_capacity(capacity);
        let builder = match life {
            Life::ForEver => builder,
            Life::ToLive => builder.time_to_live(AN_HOUR),
            Life::ToLiveAndIdle => builder.time_to_live(AN_HOUR).time_to_idle(AN_HOUR),
            Life::ToLiveInAScope => return None,
        };
        Some(Self(builder.build_with_hasher(RandomState::new())))
    }
}

impl<V: Value> Cache<V> for MiniMoka<V> {
    fn get(&self, key: u64) -> Option<V> {
        self.0.get(&key)
    }

    fn insert(&self, key: u64, value: V) {
        self.0.insert(key, value);
    }

    fn settle(&self) {
        self.0.sync();
    }
}

struct Foyer<V: Value>(foyer_memory::Cache<u64, V, RandomState>);

impl<V: Value> Open for Foyer<V> {
    fn open(capacity: u64, life: Life) -> Option<Self> {
        let builder = || foyer_memory::CacheBuilder::new(count(capacity));
        let build = || Self(builder().with_hash_builder(RandomState::new()).build());
        (life == Life::ForEver).then(build)
    }
}

impl<V: Value> Cache<V> for Foyer<V> {
    fn get(&self, key: u64) -> Option<V> {
        self.0.get(&key).map(|entry| entry.value().clone())
    }

    fn insert(&self, key: u64, value: V) {
        self.0.insert(key, value);
    }
}

struct TinyUfo<V>(tinyufo::TinyUfo<u64, V>);

impl<V: Value> Open for TinyUfo<V> {
    fn open(capacity: u64, life: Life) -> Option<Self> {
        let cache = || Self(tinyufo::TinyUfo::new(count(capacity), count(capacity)));
        (life == Life::ForEver).then(cache)
    }
}

impl<V: Value> Cache<V> for TinyUfo<V> {
    fn get(&self, key: u64) -> Option<V> {
        self.0.get(&key)
    }

    fn insert(&self, key: u64, value: V) {
        self.0.put(key, value, 1);
    }
}

struct Papaya<V>(papaya::HashMap<u64, V, RandomState>);

impl<V: Value> Open for Papaya<V> {
    fn open(_capacity: u64, life: Life) -> Option<Self> {
        let map = || Self(papaya::HashMap::with_hasher(RandomState::new()));
        (life == Life::ForEver).then(map)
    }
}

impl<V: Value> Cache<V> for Papaya<V> {
    fn get(&self, key: u64) -> Option<V> {
        self.0.pin().get(&key).cloned()
    }

    fn insert(&self, key: u64, value: V) {
        self.0.pin().insert(key, value);
    }

    fn load(&self, key: u64, make: impl FnOnce() -> V) -> V {
        self.0.pin().get_or_insert_with(key, make).clone()
    }
}

fn count(capacity: u64) -> usize {
    usize::try_from(capacity).expect("a capacity that fits into memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Use;

    impl<V: Value> Visit<V> for Use {
        type Output = (u64, u64);

        /// How many of 1,000 keys answer with their value, and how many of 2,000 were loaded then.
        fn visit(self, cache: impl Cache<V> + 'static) -> Self::Output {
            (0..1_000).for_each(|key| cache.insert(key, V::of(key)));
            cache.settle();
            let right = |&key: &u64| cache.get(key).is_some_and(|value| value.key() == key);
            let found = (0..1_000).filter(right).count() as u64;
            let mut loaded = 0;
            for key in 0..2_000 {
                let value = cache.load(key, || {
                    loaded += 1;
                    V::of(key)
                });
                assert_eq!(value.key(), key);
            }
            (found, loaded)
        }
    }

    #[test]
    fn every_cache_finds_what_it_was_given_and_loads_the_rest() {
        for peer in Peer::ALL {
            assert_eq!(
                peer.with::<u64, _>(10_000, Life::ForEver, Use),
                Some((1_000, 1_000)),
                "{peer}"
            );
            let found = peer.with::<Arc<[u8; 64]>, _>(10_000, Life::ForEver, Use);
            assert_eq!(found, Some((1_000, 1_000)), "{peer}");
        }
    }

    #[test]
    fn only_some_expire_entries() {
        let can = |life: Life| {
            let found = |peer: &Peer| {
                let found = peer.with::<u64, _>(10_000, life, Use);
                assert!(found.is_none_or(|found| found == (1_000, 1_000)), "{peer}: {found:?}");
                found.is_some()
            };
            Peer::ALL.into_iter().filter(found).collect::<Vec<_>>()
        };
        let expiring = [Peer::Cacheado, Peer::Moka, Peer::MiniMoka];
        assert_eq!(can(Life::ToLive), expiring);
        assert_eq!(can(Life::ToLiveAndIdle), expiring);
        assert_eq!(can(Life::ToLiveInAScope), [Peer::Cacheado]);
    }
}
