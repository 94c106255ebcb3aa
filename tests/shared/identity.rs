//! Who makes a namespace, how long it stays, and what keys of user types may do.

use super::{ACME, cache, flush};
use crate::support::{bounded, eventually, ms};
use cacheado::testing::ManualClock;
use cacheado::{Equivalent, Namespace, SharedCache, ToKey};
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

#[test]
fn threads_that_ask_for_the_same_name_get_the_same_namespace() {
    const THREADS: u64 = 4;
    bounded(|| {
        let (cache, start) = (cache(2), Barrier::new(THREADS as usize));
        for round in 0..200 {
            let name = format!("space {round}");
            thread::scope(|scope| {
                for me in 0..THREADS {
                    let (cache, start, name) = (&cache, &start, &name);
                    scope.spawn(move || {
                        start.wait();
                        let space: Namespace<u64, u64> = cache.namespace(name).expect("one type");
                        space.insert(me, me);
                        space.scope(ACME).expect("valid").insert(me, me);
                        start.wait();
                        assert!((0..THREADS).all(|key| space.get(&key) == Some(key)));
                    });
                }
            });
            let space: Namespace<u64, u64> = cache.namespace(&name).expect("known");
            flush(&cache);
            assert_eq!((space.len(), space.stats().hits()), (2 * THREADS, THREADS * THREADS));
            assert_eq!(space.clear().wait().ok(), Some(2 * THREADS));
        }
    });
}

#[test]
fn of_threads_that_ask_with_other_types_one_wins() {
    bounded(|| {
        let (cache, start) = (cache(1), Barrier::new(2));
        for round in 0..200 {
            let name = &format!("space {round}");
            let (numbers, texts) = thread::scope(|scope| {
                let texts = scope.spawn(|| {
                    start.wait();
                    cache.namespace::<u64, String>(name)
                });
                start.wait();
                let numbers = cache.namespace::<u64, u64>(name);
                (numbers, texts.join().expect("no panic"))
            });
            assert_ne!(numbers.is_ok(), texts.is_ok(), "one of the two");
            let refused = numbers.err().or(texts.err()).expect("the other");
            assert!(refused.is_namespace_conflict());
        }
    });
}

#[test]
fn a_namespace_outlives_the_handle_of_its_cache() {
    bounded(|| {
        let cache = cache(2);
        let names: Namespace<u64, u64> = cache.namespace("names").expect("new");
        let acme = cache.scope(ACME).expect("valid").namespace::<u64, u64>("names").expect("known");
        drop(cache);
        names.insert(1, 1);
        acme.insert(1, 2);
        names.flush().wait().expect("alive");
        assert_eq!((names.get(&1), acme.get(&1), names.len()), (Some(1), Some(2), 2));
        let cleared = names.clear();
        drop((names, acme));
        // The last handle went while the clear was under way: it is answered all the same.
        assert_eq!(cleared.wait().ok(), Some(2));
    });
}

#[test]
fn evictions_are_counted_alike_by_cache_scope_and_namespace() {
    bounded(|| {
        let clock = ManualClock::new();
        let builder = SharedCache::builder().shards(1).max_capacity(100).backlog(1_000);
        let cache = builder.clock(clock.clock()).build().expect("valid settings");
        let names: Namespace<u64, u64> = cache.namespace("names").expect("new");
        let acme = names.scope(ACME).expect("valid");
        let scope = cache.scope(ACME).expect("valid");
        for round in 0..20 {
            (0..100).for_each(|key| acme.insert_with_ttl(key, round, ms(5)));
            flush(&cache);
            // What has expired leaves as expired, though it is room that is wanted.
            clock.advance(ms(6));
            (100..190).for_each(|key| acme.insert(key + round, round));
            for key in 100..120 {
                acme.remove(&(key + round));
            }
            flush(&cache);
            let (all, own) = (cache.stats(), names.stats());
            assert_eq!(own.evictions(), all.evictions(), "{all:?}");
            assert_eq!(scope.stats().subtree().evictions(), all.evictions(), "{all:?}");
            assert_eq!((own.len(), scope.len()), (all.len(), all.len()));
        }
        assert!(cache.stats().evictions() > 0 && cache.stats().expirations() > 0);
    });
}

#[test]
fn the_figures_of_all_namespaces_add_up_to_the_caches() {
    bounded(|| {
        let cache = SharedCache::builder().shards(4).max_capacity(5_000).build().expect("valid");
        let spaces: Vec<Namespace<u64, u64>> =
            (0..8).map(|i| cache.namespace(&i.to_string()).expect("new")).collect();
        thread::scope(|scope| {
            for space in &spaces {
                scope.spawn(|| {
                    let acme = space.scope(ACME).expect("valid");
                    for i in 0..5_000 {
                        space.insert(i % 900, i);
                        acme.get(&(i % 300));
                        acme.get_or_load(&(i % 1_100), || i);
                        let _ = space.try_get_or_load(&(10_000 + i), || Err::<u64, _>(()));
                        space.remove(&(i % 450));
                    }
                });
            }
        });
        flush(&cache);
        let all = cache.stats();
        let sum = |figure: fn(&cacheado::Figures) -> u64| -> u64 {
            spaces.iter().map(|space| figure(&space.stats())).sum()
        };
        use cacheado::Figures as Own;
        assert_eq!((sum(Own::hits), sum(Own::misses)), (all.hits(), all.misses()));
        assert_eq!((sum(Own::loads), sum(Own::load_failures)), (all.loads(), all.load_failures()));
        assert_eq!((sum(Own::evictions), sum(Own::len)), (all.evictions(), all.len()));
        assert!(all.evictions() > 0 && all.len() <= 5_000, "{all:?}");
    });
}

/// Panics in whatever it was told to.
#[derive(Debug)]
struct Moody {
    id: u8,
    mood: &'static AtomicU8,
}

const HASH: u8 = 1;
const EQ: u8 = 2;
const CLONE: u8 = 3;
const DROP: u8 = 4;
const TO_KEY: u8 = 5;

impl Moody {
    fn may(&self, what: u8) {
        assert!(self.mood.load(Ordering::SeqCst) != what, "in this mood");
    }
}

impl Hash for Moody {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.may(HASH);
        self.id.hash(state);
    }
}

impl PartialEq for Moody {
    fn eq(&self, other: &Self) -> bool {
        self.may(EQ);
        self.id == other.id
    }
}

impl Eq for Moody {}

impl Clone for Moody {
    fn clone(&self) -> Self {
        self.may(CLONE);
        Self { ..*self }
    }
}

impl Drop for Moody {
    fn drop(&mut self) {
        // Only on a shard's thread: here the test's own values go, too.
        let on_shard = thread::current().name().is_some_and(|name| name.starts_with("cacheado-"));
        if on_shard {
            self.may(DROP);
        }
    }
}

struct Named<'a>(&'a Moody);

impl Hash for Named<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Equivalent<Moody> for Named<'_> {
    fn equivalent(&self, key: &Moody) -> bool {
        *self.0 == *key
    }
}

impl ToKey<Moody> for Named<'_> {
    fn to_key(&self) -> Moody {
        self.0.may(TO_KEY);
        Moody { ..*self.0 }
    }
}

#[test]
fn a_key_may_panic_in_whatever_it_does() {
    static MOOD: AtomicU8 = AtomicU8::new(0);
    let key = |id| Moody { id, mood: &MOOD };
    bounded(move || {
        let cache = cache(1);
        let space: Namespace<Moody, String> = cache.namespace("moody").expect("new");
        let other: Namespace<u8, String> = cache.namespace("other").expect("new");
        let acme = space.scope(ACME).expect("valid");
        other.insert(1, "other".into());
        let panics = |mood: u8, what: &dyn Fn()| {
            MOOD.store(mood, Ordering::SeqCst);
            let panicked = catch_unwind(AssertUnwindSafe(what)).is_err();
            MOOD.store(0, Ordering::SeqCst);
            panicked
        };
        space.insert(key(1), "one".into());
        flush(&cache);
        assert!(panics(HASH, &|| drop(space.get(&key(1)))));
        assert!(panics(HASH, &|| space.insert(key(2), "two".into())));
        assert!(panics(EQ, &|| drop(space.get(&key(1)))));
        assert!(panics(EQ, &|| drop(space.remove(&key(1)))));
        assert!(panics(TO_KEY, &|| drop(acme.get_or_load(&Named(&key(1)), String::new))));
        assert!(panics(CLONE, &|| drop(acme.get_or_load(&key(1), String::new))));
        MOOD.store(CLONE, Ordering::SeqCst);
        assert!(space.entries().wait().expect_err("a clone panicked").is_panic());
        MOOD.store(0, Ordering::SeqCst);
        assert_eq!(space.get(&key(1)).as_deref(), Some("one"));
        assert_eq!(acme.get_or_load(&Named(&key(1)), || "loaded".into()), "loaded");
        // In a fold: what cannot be told apart leaves rather than come back.
        MOOD.store(EQ, Ordering::SeqCst);
        space.insert(key(1), "new".into());
        flush(&cache);
        MOOD.store(0, Ordering::SeqCst);
        assert_ne!(space.get(&key(1)).as_deref(), Some("one"), "the older value is gone");
        let dropped = cache.stats().panics();
        MOOD.store(DROP, Ordering::SeqCst);
        assert_eq!(acme.clear().wait().expect("alive") + acme.len(), 2);
        eventually("destructors panicked", || cache.stats().panics() >= dropped + 2);
        MOOD.store(0, Ordering::SeqCst);
        space.insert(key(1), "again".into());
        assert_eq!(space.get(&key(1)).as_deref(), Some("again"));
        assert_eq!(other.get(&1).as_deref(), Some("other"));
        flush(&cache);
        assert_eq!((space.len(), other.len(), cache.len()), (1, 1, 2));
    });
}
