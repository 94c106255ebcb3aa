//! Storms of evictions at all levels while others read, write and load, half of them in a plain cache and half
//! in the namespaces of a shared one: no value of another scope or namespace, none older than an eviction that
//! had returned before the read began, and no entry counted twice.

use crate::support::{bounded, builder, eventually, flush, on_each_shape};
use cacheado::{CacheHandle, Namespace, Reply, ScopedHandle, SharedCache, Stats};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

const ORGANIZATIONS: u64 = 2;
const USERS: u64 = 2;
const SESSIONS: u64 = 2;
const KEYS: u64 = 6;
const SPACES: u64 = 2;
const THREADS: u64 = 8;
const CALLS: u64 = 30_000;

/// Says whose it is, and its version: a time on the one clock of all threads by which it had been issued. That is known
/// once its write has returned, or within its loader.
#[derive(Clone, Debug)]
struct Value {
    whose: Whose,
    key: u64,
    version: Arc<AtomicU64>,
}

/// A namespace, and the path of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Whose {
    space: u64,
    organization: u64,
    user: u64,
    session: u64,
}

impl Whose {
    fn draw(dice: &mut Dice, spaces: u64) -> Self {
        let (space, organization) = (dice.roll(spaces), dice.roll(ORGANIZATIONS));
        Self { space, organization, user: dice.roll(USERS), session: dice.roll(SESSIONS) }
    }

    fn path(self) -> [(&'static str, u64); 3] {
        [("organization", self.organization), ("user", self.user), ("session", self.session)]
    }
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

/// For each scope and each namespace the time at which it was last evicted or cleared: taken before the call began, known
/// to others after it has returned.
#[derive(Default)]
struct Evicted {
    time: AtomicU64,
    all: AtomicU64,
    organizations: [AtomicU64; ORGANIZATIONS as usize],
    users: [[AtomicU64; USERS as usize]; ORGANIZATIONS as usize],
    sessions: [[[AtomicU64; SESSIONS as usize]; USERS as usize]; ORGANIZATIONS as usize],
    spaces: [AtomicU64; SPACES as usize],
}

impl Evicted {
    fn now(&self) -> u64 {
        self.time.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Those of the scopes on a path, from the top down.
    fn of(&self, whose: Whose) -> [&AtomicU64; 3] {
        let [organization, user, session] =
            [whose.organization, whose.user, whose.session].map(|id| id as usize);
        [
            &self.organizations[organization],
            &self.users[organization][user],
            &self.sessions[organization][user][session],
        ]
    }

    fn floor(&self, whose: Whose) -> u64 {
        let others = [&self.all, &self.spaces[whose.space as usize]];
        let cells = self.of(whose).into_iter().chain(others);
        cells.map(|cell| cell.load(Ordering::SeqCst)).max().unwrap_or(0)
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

    fn scope(&self, whose: Whose) -> Scope {
        match self {
            Self::Plain(cache) => Scope::Plain(cache.scope(whose.path()).expect("a right path")),
            Self::Shared(_, spaces) => {
                let space = &spaces[whose.space as usize];
                Scope::Space(space.scope(whose.path()).expect("a right path"))
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
    /// Entries that the thread's evictions and clears have counted, and that its removals have taken.
    taken: u64,
}

fn storm(cache: &Cache, evicted: &Evicted, seed: u64) -> Done {
    let (mut dice, mut done) = (Dice(seed), Done::default());
    let spaces = if matches!(cache, Cache::Plain(_)) { 1 } else { SPACES };
    for _ in 0..CALLS {
        let (whose, key) = (Whose::draw(&mut dice, spaces), dice.roll(KEYS));
        let own = cache.scope(whose);
        let floor = evicted.floor(whose);
        let value = |version| Value { whose, key, version: Arc::new(AtomicU64::new(version)) };
        let mut check = |seen: Option<Value>| {
            done.reads += 1;
            let Some(seen) = seen else { return false };
            assert_eq!((seen.whose, seen.key), (whose, key));
            let version = seen.version.load(Ordering::SeqCst);
            assert!(version >= floor, "{seen:?} was evicted at {floor}");
            true
        };
        match dice.roll(400) {
            level @ 0..3 => {
                let level = level as usize;
                let evict = || cache.evict(&whose.path()[..=level]);
                done.taken += evicted.note(evicted.of(whose)[level], evict);
            }
            3 => done.taken += evicted.note(&evicted.all, || cache.clear()),
            4 => {
                let time = evicted.now();
                if let Some(reply) = own.clear_space() {
                    evicted.spaces[whose.space as usize].fetch_max(time, Ordering::SeqCst);
                    done.taken += reply.wait().expect("shards live");
                }
            }
            5..60 => {
                let value = value(NOT_YET);
                let version = Arc::clone(&value.version);
                own.insert(key, value);
                version.store(evicted.now(), Ordering::SeqCst);
            }
            60..80 => done.taken += u64::from(check(own.remove(key))),
            80..120 => {
                check(Some(own.load(key, || value(evicted.now()))));
            }
            120..140 => {
                check(own.pinned(key));
            }
            _ => {
                check(own.get(key));
            }
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
        let taken: u64 = done.iter().skip(i).step_by(2).map(|done| done.taken).sum();
        let (stats, _) = cache.stats();
        let left = stats.evictions() + stats.expirations() + stats.invalidations();
        assert_eq!(stats.insertions() - left, stats.len(), "{stats:?}");
        // What came too late for an eviction that had ended it is counted by none.
        assert!(taken > 0 && taken <= stats.invalidations(), "{taken} of {stats:?}");
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

/// Four threads evict a scope, those above it and all at once: each entry is counted by one of them.
#[test]
fn evictions_that_overlap_count_each_entry_once() {
    on_each_shape(|shards| {
        let cache = builder::<u64, u64>(shards).build().expect("valid settings");
        let path = [("organization", 1), ("user", 1), ("session", 1)];
        let scopes: Vec<_> = (1..=3)
            .map(|level| cache.scope(path[..level].iter().copied()).expect("a right path"))
            .collect();
        let start = Barrier::new(4);
        for round in 0..CALLS / 100 {
            let each = 1 + round % 50;
            for (key, scope) in (0..each).flat_map(|key| scopes.iter().map(move |s| (key, s))) {
                scope.insert(key, round);
            }
            let counts: u64 = thread::scope(|threads| {
                let evict = |level| {
                    start.wait();
                    let scope: Option<&ScopedHandle<u64, u64>> = scopes.get(level);
                    let reply = scope.map_or_else(|| cache.clear(), ScopedHandle::evict);
                    reply.wait().expect("shards live")
                };
                let evictions = [0, 1, 2, 3].map(|level| threads.spawn(move || evict(level)));
                evictions.into_iter().map(|count| count.join().expect("no panic")).sum()
            });
            assert_eq!((counts, cache.len()), (3 * each, 0), "round {round}");
        }
    });
}

/// Eight threads, each in an organization of its own: whatever the others evict, each eviction counts what was there.
#[test]
fn each_eviction_counts_its_own_entries_while_others_evict() {
    on_each_shape(|shards| {
        let cache = builder::<u64, u64>(shards).backlog(256).build().expect("valid settings");
        thread::scope(|threads| {
            for organization in 0..THREADS {
                let cache = &cache;
                threads.spawn(move || count_own(cache, organization));
            }
        });
        flush(&cache);
        assert_eq!(cache.len(), 0);
    });
}

fn count_own(cache: &CacheHandle<u64, u64>, organization: u64) {
    let mut dice = Dice(organization + 1);
    // By user, session and key.
    let mut live = BTreeSet::new();
    let path =
        |user, session| [("organization", organization), ("user", user), ("session", session)];
    let evict = |live: &mut BTreeSet<_>, path: &[(&str, u64)]| {
        let is_below = |&(user, session, _): &(u64, u64, u64)| {
            [organization, user, session].iter().zip(path).all(|(own, (_, id))| own == id)
        };
        let reply = cache.evict_scope(path.iter().copied()).expect("a right path");
        let expected = live.iter().filter(|at| is_below(at)).count() as u64;
        live.retain(|at| !is_below(at));
        assert_eq!(reply.wait().expect("shards live"), expected, "{path:?}");
    };
    for _ in 0..CALLS / 10 {
        let (user, session, key) = (dice.roll(USERS), dice.roll(SESSIONS), dice.roll(KEYS));
        let (path, at) = (path(user, session), (user, session, key));
        let scope = cache.scope(path).expect("a right path");
        match dice.roll(20) {
            level @ 0..3 => evict(&mut live, &path[..=level as usize]),
            3..6 => assert_eq!(scope.remove(&key).is_some(), live.remove(&at)),
            6..8 => {
                scope.get_or_load(&key, || key);
                live.insert(at);
            }
            8..14 => {
                scope.insert(key, key);
                live.insert(at);
            }
            _ => assert_eq!(scope.get(&key).is_some(), live.contains(&at)),
        }
    }
    evict(&mut live, &path(0, 0)[..1]);
}
