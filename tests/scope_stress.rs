//! Storms of evictions at all levels while others read, write and load, half of them in a plain cache and half
//! in the namespaces of a shared one: no value of another scope or namespace, none older than an eviction that
//! had returned before the read began, and no entry counted twice.

use crate::support::{bounded, builder, eventually, flush};
use cacheado::{CacheHandle, Namespace, Reply, ScopedHandle, SharedCache, Stats};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

const ORGANIZATIONS: u64 = 2;
const USERS: u64 = 3;
const KEYS: u64 = 6;
const SPACES: u64 = 2;
const THREADS: u64 = 8;
const CALLS: u64 = 30_000;

/// Says whose it is, and a time on the one clock of all threads by which it had been issued: that is known once
/// its write has returned, or within its loader.
#[derive(Clone, Debug)]
struct Value {
    space: u64,
    organization: u64,
    user: u64,
    key: u64,
    issued: Arc<AtomicU64>,
}

const NOT_YET: u64 = u64::MAX;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// For each organization, each user of it and each namespace, the time at which it was last evicted or
/// cleared: taken before the call began, known to others after it has returned.
#[derive(Default)]
struct Evicted {
    time: AtomicU64,
    all: AtomicU64,
    organizations: [AtomicU64; ORGANIZATIONS as usize],
    users: [[AtomicU64; USERS as usize]; ORGANIZATIONS as usize],
    spaces: [AtomicU64; SPACES as usize],
}

impl Evicted {
    fn now(&self) -> u64 {
        self.time.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn floor(&self, space: u64, organization: u64, user: u64) -> u64 {
        let organization = organization as usize;
        let user = &self.users[organization][user as usize];
        let space = &self.spaces[space as usize];
        let cells = [&self.all, &self.organizations[organization], user, space];
        cells.map(|cell| cell.load(Ordering::SeqCst)).into_iter().max().unwrap_or(0)
    }

    /// Calls what evicts, notes when, and waits for its count.
    fn note(&self, cell: &AtomicU64, evict: impl FnOnce() -> Reply<u64>) -> u64 {
        let time = self.now();
        let reply = evict();
        cell.fetch_max(time, Ordering::SeqCst);
        reply.wait().expect("shards live")
    }
}

/// A cache with all its scopes.
enum Cache {
    Plain(CacheHandle<u64, Value>),
    Shared(SharedCache, [Namespace<u64, Value>; SPACES as usize]),
}

/// One scope of it; of a shared cache one namespace in that.
enum Scope {
    Plain(ScopedHandle<u64, Value>),
    Space(Namespace<u64, Value>),
}

impl Cache {
    fn plain(shards: usize) -> Self {
        Self::Plain(builder(shards).backlog(256).build().expect("valid"))
    }

    fn shared(shards: usize) -> Self {
        let builder = SharedCache::builder().shards(shards).max_capacity(100_000).backlog(256);
        let cache = builder.build().expect("valid");
        let spaces = ["even", "odd"].map(|name| cache.namespace(name).expect("new"));
        Self::Shared(cache, spaces)
    }

    fn scope(&self, space: u64, organization: u64, user: u64) -> Scope {
        let path = [("organization", organization), ("user", user)];
        match self {
            Self::Plain(cache) => Scope::Plain(cache.scope(path).expect("a right path")),
            Self::Shared(_, spaces) => {
                Scope::Space(spaces[space as usize].scope(path).expect("a right path"))
            }
        }
    }

    fn evict(&self, path: &[(&str, u64)]) -> Reply<u64> {
        let path = path.iter().copied();
        match self {
            Self::Plain(cache) => cache.evict_scope(path).expect("a right path"),
            Self::Shared(cache, _) => cache.evict_scope(path).expect("a right path"),
        }
    }

    fn clear(&self) -> Reply<u64> {
        match self {
            Self::Plain(cache) => cache.clear(),
            Self::Shared(cache, _) => cache.clear(),
        }
    }

    /// Figures of the cache at rest, and the number of scopes in use but the global one.
    fn stats(&self) -> (Stats, usize) {
        let (stats, scopes) = match self {
            Self::Plain(cache) => {
                flush(cache);
                (cache.stats(), cache.scopes())
            }
            Self::Shared(cache, _) => {
                cache.flush().wait().expect("shards live");
                (cache.stats(), cache.scopes())
            }
        };
        (stats, scopes.wait().expect("at once").reports().len() - 1)
    }
}

impl Scope {
    fn insert(&self, key: u64, value: Value) {
        match self {
            Self::Plain(scope) => scope.insert(key, value),
            Self::Space(space) => space.insert(key, value),
        }
    }

    fn remove(&self, key: u64) -> Option<Value> {
        match self {
            Self::Plain(scope) => scope.remove(&key),
            Self::Space(space) => space.remove(&key),
        }
    }

    fn load(&self, key: u64, loader: impl FnOnce() -> Value) -> Value {
        match self {
            Self::Plain(scope) => scope.get_or_load(&key, loader),
            Self::Space(space) => space.get_or_load(&key, loader),
        }
    }

    fn pinned(&self, key: u64) -> Option<Value> {
        match self {
            Self::Plain(scope) => scope.pin().get(&key).cloned(),
            Self::Space(space) => space.pin().get(&key).cloned(),
        }
    }

    fn get(&self, key: u64) -> Option<Value> {
        match self {
            Self::Plain(scope) => scope.get(&key),
            Self::Space(space) => space.get(&key),
        }
    }

    /// Clears the namespace, in all scopes.
    fn clear_space(&self) -> Option<Reply<u64>> {
        match self {
            Self::Plain(_) => None,
            Self::Space(space) => Some(space.clear()),
        }
    }
}

/// What one thread did.
#[derive(Default)]
struct Done {
    reads: u64,
    evicted: u64,
}

fn storm(cache: &Cache, evicted: &Evicted, seed: u64) -> Done {
    let (mut dice, mut done) = (Dice(seed), Done::default());
    for _ in 0..CALLS {
        let (organization, user, key) =
            (dice.roll(ORGANIZATIONS), dice.roll(USERS), dice.roll(KEYS));
        let space = if matches!(cache, Cache::Plain(_)) { 0 } else { dice.roll(SPACES) };
        let own = cache.scope(space, organization, user);
        let floor = evicted.floor(space, organization, user);
        let value = |issued| {
            let issued = Arc::new(AtomicU64::new(issued));
            Value { space, organization, user, key, issued }
        };
        let mut check = |seen: Option<Value>| {
            done.reads += 1;
            let Some(seen) = seen else { return };
            let whose = (seen.space, seen.organization, seen.user, seen.key);
            assert_eq!(whose, (space, organization, user, key));
            let issued = seen.issued.load(Ordering::SeqCst);
            assert!(issued >= floor, "{seen:?} was evicted at {floor}");
        };
        let path = [("organization", organization), ("user", user)];
        let of_organization = &evicted.organizations[organization as usize];
        let of_user = &evicted.users[organization as usize][user as usize];
        match dice.roll(400) {
            0 => done.evicted += evicted.note(of_user, || cache.evict(&path)),
            1 => done.evicted += evicted.note(of_organization, || cache.evict(&path[..1])),
            2 => done.evicted += evicted.note(&evicted.all, || cache.clear()),
            3 => {
                let time = evicted.now();
                if let Some(reply) = own.clear_space() {
                    evicted.spaces[space as usize].fetch_max(time, Ordering::SeqCst);
                    done.evicted += reply.wait().expect("shards live");
                }
            }
            4..60 => {
                let value = value(NOT_YET);
                let issued = Arc::clone(&value.issued);
                own.insert(key, value);
                issued.store(evicted.now(), Ordering::SeqCst);
            }
            60..80 => check(own.remove(key)),
            80..120 => check(Some(own.load(key, || value(evicted.now())))),
            120..140 => check(own.pinned(key)),
            _ => check(own.get(key)),
        }
    }
    done
}

/// One storm in each of two caches at once; how often was read.
fn storms(shards: usize, round: u64) -> u64 {
    let caches = [Cache::plain(shards), Cache::shared(shards)];
    let times = [Evicted::default(), Evicted::default()];
    let done: Vec<Done> = thread::scope(|threads| {
        let run = |i: u64| {
            let (cache, times) = (&caches[i as usize % 2], &times[i as usize % 2]);
            let seed = (round * THREADS + i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            threads.spawn(move || storm(cache, times, seed))
        };
        let storms: Vec<_> = (0..THREADS).map(run).collect();
        storms.into_iter().map(|storm| storm.join().expect("no panic")).collect()
    });
    for (i, cache) in caches.iter().enumerate() {
        let counted: u64 = done.iter().skip(i).step_by(2).map(|done| done.evicted).sum();
        let (stats, _) = cache.stats();
        let left = stats.evictions() + stats.expirations() + stats.invalidations();
        assert_eq!(stats.insertions() - left, stats.len(), "{stats:?}");
        assert!(counted > 0 && counted <= stats.invalidations(), "{counted} of {stats:?}");
        if let Cache::Shared(_, spaces) = cache {
            assert_eq!(spaces.iter().map(Namespace::len).sum::<u64>(), stats.len());
        }
        let rest = cache.clear().wait().expect("shards live");
        assert_eq!(rest, stats.len(), "what is there is what is counted");
        eventually("no scope is left", || cache.stats().1 == 0);
    }
    done.iter().map(|done| done.reads).sum()
}

/// Until `STRESS_READS` values were asked for, once with one shard and once with several if that is not set.
#[test]
fn nothing_evicted_is_seen_and_nothing_of_another_scope_or_namespace() {
    let wanted: u64 =
        std::env::var("STRESS_READS").map_or(0, |text| text.parse().expect("a number"));
    let (begun, reads) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut round = 0;
    while round < 2 || reads.load(Ordering::Relaxed) < wanted {
        let reads = Arc::clone(&reads);
        bounded(move || {
            reads.fetch_add(storms([1, 4][round as usize % 2], round), Ordering::Relaxed);
        });
        round += 1;
    }
    eprintln!("{reads:?} reads in {round} storms, {:.1?}", begun.elapsed());
}
