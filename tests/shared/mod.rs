//! Shared caches: namespaces of many types in one cache.

mod clears;
mod events;
mod identity;
mod limits;
mod surface;
mod weights;

use crate::support::{Gate, Ledger, bounded, eventually, ms};
use cacheado::testing::ManualClock;
use cacheado::{Equivalent, Namespace, ScopeFigure, SharedCache, ToKey};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const ACME: [(&str, &str); 1] = [("organization", "acme")];

fn cache(shards: usize) -> SharedCache {
    SharedCache::builder().shards(shards).max_capacity(100_000).build().expect("valid settings")
}

fn flush(cache: &SharedCache) {
    cache.flush().wait().expect("alive");
}

#[test]
fn two_namespaces_with_equal_keys_do_not_meet() {
    let cache = SharedCache::new();
    let names: Namespace<u64, String> = cache.namespace("names").expect("new");
    let nicks: Namespace<u64, String> = cache.namespace("nicks").expect("new");
    let ages: Namespace<u64, u8> = cache.namespace("ages").expect("new");
    names.insert(1, "Ada".into());
    ages.insert(1, 36);
    assert_eq!(names.get(&1).as_deref(), Some("Ada"));
    assert_eq!(ages.get(&1), Some(36));
    assert_eq!(nicks.get(&1), None);
    assert_eq!(nicks.get_or_load(&1, || "Countess".into()), "Countess");
    assert_eq!(ages.remove(&1), Some(36));
    assert_eq!(ages.get(&1), None);
    assert_eq!(pollster::block_on(ages.get_or_load_async(&1, async { 37 })), 37);
    assert_eq!(names.get(&1).as_deref(), Some("Ada"));
    flush(&cache);
    assert_eq!(cache.len(), 3);
}

/// The namespaces of a test that asks every way: integers in place, strings, what is in a box, and two
/// namespaces of the same types.
struct Many {
    cache: SharedCache,
    u64s: Namespace<u64, u64>,
    more_u64s: Namespace<u64, u64>,
    u32s: Namespace<u32, String>,
    texts: Namespace<String, u64>,
    pairs: Namespace<(u64, String), Vec<u8>>,
    bytes: Namespace<u8, ()>,
}

impl Many {
    fn new(shards: usize) -> Self {
        let cache = cache(shards);
        Self {
            u64s: cache.namespace("u64s").expect("new"),
            more_u64s: cache.namespace("more u64s").expect("new"),
            u32s: cache.namespace("u32s").expect("new"),
            texts: cache.namespace("texts").expect("new"),
            pairs: cache.namespace("pairs").expect("new"),
            bytes: cache.namespace("bytes").expect("new"),
            cache,
        }
    }

    /// Writes a value under a key of one of the namespaces.
    fn insert(&self, space: u8, key: u8, value: u8) {
        let (number, text) = (u64::from(key), key.to_string());
        match space {
            0 => self.u64s.insert(number, value.into()),
            1 => self.more_u64s.insert(number, value.into()),
            2 => self.u32s.insert(key.into(), value.to_string()),
            3 => self.texts.insert(text, value.into()),
            4 => self.pairs.insert((number, text), vec![value]),
            _ => self.bytes.insert(key, ()),
        }
    }

    fn remove(&self, space: u8, key: u8) {
        let (number, text) = (u64::from(key), key.to_string());
        match space {
            0 => drop(self.u64s.remove(&number)),
            1 => drop(self.more_u64s.remove(&number)),
            2 => drop(self.u32s.remove(&u32::from(key))),
            3 => drop(self.texts.remove(&text)),
            4 => drop(self.pairs.remove(&(number, text))),
            _ => drop(self.bytes.remove(&key)),
        }
    }

    fn clear(&self, space: u8) -> u64 {
        let reply = match space {
            0 => self.u64s.clear(),
            1 => self.more_u64s.clear(),
            2 => self.u32s.clear(),
            3 => self.texts.clear(),
            4 => self.pairs.clear(),
            _ => self.bytes.clear(),
        };
        reply.wait().expect("alive")
    }

    /// The value under a key, as `insert` has it.
    fn get(&self, space: u8, key: u8) -> Option<u8> {
        let (number, text) = (u64::from(key), key.to_string());
        match space {
            0 => self.u64s.get(&number).map(|v| v as u8),
            1 => self.more_u64s.get(&number).map(|v| v as u8),
            2 => self.u32s.get(&u32::from(key)).map(|v| v.parse().expect("a number")),
            3 => self.texts.get(&text).map(|v| v as u8),
            4 => self.pairs.get(&(number, text)).map(|v| v[0]),
            _ => self.bytes.get(&key).map(|()| 0),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against one map for each namespace, with few keys, so that every namespace has every key.
    #[test]
    fn namespaces_with_equal_keys_never_meet(
        steps in proptest::collection::vec((0..10u8, 0..6u8, 0..4u8, any::<u8>()), 1..200),
        shards in prop_oneof![Just(1usize), Just(3)],
    ) {
        let many = Many::new(shards);
        let mut oracle: HashMap<(u8, u8), u8> = HashMap::new();
        for (verb, space, key, value) in steps {
            let value = if space == 5 { 0 } else { value };
            match verb {
                0..=4 => {
                    many.insert(space, key, value);
                    oracle.insert((space, key), value);
                }
                5..=6 => {
                    many.remove(space, key);
                    oracle.remove(&(space, key));
                }
                7 => {
                    let before = oracle.len();
                    oracle.retain(|(of, _), _| *of != space);
                    prop_assert_eq!(many.clear(space), (before - oracle.len()) as u64);
                }
                _ => flush(&many.cache),
            }
            for space in 0..6 {
                for key in 0..4 {
                    prop_assert_eq!(many.get(space, key), oracle.get(&(space, key)).copied());
                }
            }
        }
        flush(&many.cache);
        prop_assert_eq!(many.cache.len(), oracle.len() as u64);
    }
}

#[test]
fn the_eviction_of_a_scope_reaches_all_namespaces() {
    for shards in [1, 4] {
        let cache = cache(shards);
        let names: Namespace<String, String> = cache.namespace("names").expect("new");
        let ages: Namespace<u64, u8> = cache.namespace("ages").expect("new");
        let acme = cache.scope(ACME).expect("valid");
        let (acme_names, acme_ages) =
            (names.scope(ACME).expect("valid"), acme.namespace::<u64, u8>("ages").expect("known"));
        let user_ages = acme_ages.scope([("user", 1)]).expect("valid");
        for i in 0..100 {
            acme_names.insert(i.to_string(), "Ada".into());
            acme_ages.insert(i, 36);
            user_ages.insert(i, 37);
            ages.insert(i, 40);
        }
        assert_eq!(acme_names.path().to_string(), "organization=acme");
        flush(&cache);
        assert_eq!((acme.len(), ages.len(), names.len()), (300, 300, 100));
        assert_eq!(cache.evict_scope(ACME).expect("valid").wait().expect("alive"), 300);
        assert_eq!((acme_names.get("1"), acme_ages.get(&1), user_ages.get(&1)), (None, None, None));
        assert_eq!(ages.get(&1), Some(40));
        flush(&cache);
        assert_eq!((acme.len(), ages.len(), names.len()), (0, 100, 0));
        acme_ages.insert(1, 38);
        assert_eq!((acme_ages.get(&1), acme.evict().wait().ok()), (Some(38), Some(1)));
    }
}

#[test]
fn a_scope_is_evicted_in_all_namespaces_while_tenants_write() {
    bounded(|| {
        let cache = cache(4);
        let views: [Namespace<u64, u64>; 3] =
            ["a", "b", "c"].map(|name| cache.namespace(name).expect("new"));
        let stop = Arc::new(AtomicU64::new(0));
        thread::scope(|scope| {
            for (tenant, views) in [views.clone(), views.clone()].into_iter().enumerate() {
                let stop = Arc::clone(&stop);
                scope.spawn(move || {
                    let mine = views.map(|v| v.scope([("organization", tenant)]).expect("valid"));
                    let mut i = 0;
                    while stop.load(Ordering::Relaxed) == 0 {
                        for view in &mine {
                            view.insert(i % 64, tenant as u64);
                            let found = view.get_or_load(&(i % 32), || tenant as u64);
                            assert_eq!(found, tenant as u64, "another tenant's value");
                        }
                        i += 1;
                    }
                });
            }
            for _ in 0..200 {
                let evicted = cache.evict_scope([("organization", 0)]).expect("valid");
                evicted.wait().expect("alive");
            }
            stop.store(1, Ordering::Relaxed);
        });
        let own = views.map(|view| view.scope([("organization", 0)]).expect("valid"));
        cache.evict_scope([("organization", 0)]).expect("valid").wait().expect("alive");
        for view in &own {
            assert!((0..64).all(|key| view.get(&key).is_none()));
        }
        flush(&cache);
        assert_eq!(cache.len(), own.iter().map(Namespace::len).sum::<u64>());
    });
}

#[test]
fn a_name_with_other_types_is_an_error_that_names_both() {
    let cache = SharedCache::new();
    let kept = cache.namespace::<u64, String>("names").expect("new");
    kept.insert(1, "Ada".into());
    let same = cache.namespace::<u64, String>("names").expect("the same types");
    assert_eq!(same.get(&1).as_deref(), Some("Ada"));
    let errors = [
        (cache.namespace::<u64, u8>("names").err(), "(u64, u8)"),
        (cache.namespace::<i64, String>("names").err(), "(i64, alloc::string::String)"),
        (cache.namespace::<String, u64>("names").err(), "(alloc::string::String, u64)"),
        (cache.namespace::<(u64,), String>("names").err(), "((u64,), alloc::string::String)"),
        (cache.namespace::<u64, Option<String>>("names").err(), "Option"),
    ];
    for (error, asked) in errors {
        let error = error.expect("other types");
        assert!(error.is_namespace_conflict());
        let text = error.to_string();
        for part in ["\"names\"", "(u64, alloc::string::String)", asked] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    let scope = cache.scope(ACME).expect("valid");
    assert!(scope.namespace::<u64, u8>("names").is_err(), "in a scope as in the cache");
    assert!(cache.namespace::<u64, u8>("").expect_err("no name").is_namespace_conflict());
}

#[test]
fn options_that_contradict_are_errors_that_name_both() {
    let cache = SharedCache::new();
    let asked = |most| cache.namespace_builder::<u64, u64>("few").max_items(most).build();
    asked(2).expect("new");
    asked(2).expect("the same");
    cache.namespace::<u64, u64>("few").expect("asks for no option");
    let text = asked(3).expect_err("another").to_string();
    assert!(text.contains("a max_items of 2, not a max_items of 3"), "{text}");
    let timed = cache.namespace_builder::<u64, u64>("few").time_to_live(ms(1)).build();
    let text = timed.expect_err("it has none").to_string();
    assert!(text.contains("no time_to_live, not a time_to_live of 1ms"), "{text}");
    assert!(asked(0).expect_err("zero").is_invalid_setting());
    let zero = cache.namespace_builder::<u64, u64>("zero").time_to_live(ms(0)).build();
    assert!(zero.expect_err("zero").is_invalid_setting());
}

#[test]
fn a_clear_is_seen_at_once_and_ends_what_began_before() {
    bounded(|| {
        for shards in [1, 4] {
            let cache = cache(shards);
            let names: Namespace<u64, String> = cache.namespace("names").expect("new");
            let acme = names.scope(ACME).expect("valid");
            let other: Namespace<u64, String> = cache.namespace("other").expect("new");
            for i in 0..5_000 {
                names.insert(i, "a".into());
                acme.insert(i, "b".into());
                other.insert(i, "c".into());
            }
            let loaded = names.get_or_load(&9_999, || {
                let cleared = names.clear();
                assert_eq!((names.get(&1), acme.get(&1)), (None, None));
                assert_eq!(cleared.wait().expect("alive"), 10_000);
                "late".into()
            });
            assert_eq!((loaded.as_str(), names.get(&9_999)), ("late", None));
            flush(&cache);
            assert_eq!((names.len(), other.len(), cache.len()), (0, 5_000, 5_000));
            names.insert(1, "d".into());
            assert_eq!((names.get(&1).as_deref(), acme.get(&1)), (Some("d"), None));
            assert_eq!((names.clear().wait().ok(), names.clear().wait().ok()), (Some(1), Some(0)));
        }
    });
}

#[test]
fn clears_and_writers_at_once_leave_nothing_behind() {
    bounded(|| {
        let cache = cache(4);
        let space: Namespace<u64, u64> = cache.namespace("space").expect("new");
        let stop = AtomicU64::new(0);
        thread::scope(|scope| {
            for writer in 0..2 {
                let (space, stop) = (&space, &stop);
                scope.spawn(move || {
                    let mut i = writer;
                    while stop.load(Ordering::Relaxed) == 0 {
                        space.insert(i % 512, i);
                        space.get_or_load(&(i % 700), || i);
                        i += 1;
                    }
                });
            }
            for _ in 0..300 {
                space.clear().wait().expect("alive");
            }
            stop.store(1, Ordering::Relaxed);
        });
        space.clear().wait().expect("alive");
        flush(&cache);
        assert_eq!((space.len(), cache.len()), (0, 0));
        assert!((0..700).all(|key| !space.contains_key(&key)));
    });
}

#[test]
fn each_namespace_counts_its_own_and_the_cache_counts_all() {
    let cache = cache(4);
    let a: Namespace<u64, u64> = cache.namespace("a").expect("new");
    let b: Namespace<String, u64> = cache.namespace("b").expect("new");
    let acme = b.scope(ACME).expect("valid");
    a.insert(1, 1);
    assert_eq!((a.get(&1), a.get(&2)), (Some(1), None));
    assert_eq!((acme.get_or_load("x", || 1), acme.get_or_load("x", || 2)), (1, 1));
    let failed = b.try_get_or_load("y", || Err(()));
    assert!(failed.is_err());
    assert_eq!((a.peek(&1), a.contains_key(&2)), (Some(1), false), "which count nothing");
    flush(&cache);
    let (a, b, all) = (a.stats(), b.stats(), cache.stats());
    assert_eq!((a.hits(), a.misses(), a.loads(), a.len()), (1, 1, 0, 1));
    assert_eq!((b.hits(), b.misses(), b.loads(), b.load_failures(), b.len()), (1, 2, 2, 1, 1));
    assert_eq!((all.hits(), all.misses(), all.loads(), all.len()), (2, 3, 2, 2));
    assert_eq!(all.load_failures(), 1);
    assert!((a.hit_ratio() - 0.5).abs() < f64::EPSILON);
    let scopes = cache.scopes().wait().expect("alive");
    let own = scopes.get(&acme.path()).expect("in use").own();
    assert_eq!((own.hits(), own.misses(), own.loads(), own.len()), (1, 1, 1, 1));
    let top = cache.top_scopes(1, ScopeFigure::Hits).wait().expect("alive");
    assert_eq!(top[0].path(), &acme.path());
}

#[test]
fn a_namespace_has_a_time_to_live_of_its_own() {
    let clock = ManualClock::new();
    let cache = SharedCache::builder().clock(clock.clock()).time_to_live(ms(10)).build();
    let cache = cache.expect("valid settings");
    let long: Namespace<u64, u64> = cache.namespace("long").expect("new");
    let short: Namespace<u64, u64> =
        cache.namespace_builder("short").time_to_live(ms(5)).build().expect("new");
    for view in [&long, &short] {
        view.insert(1, 1);
        view.get_or_load(&2, || 2);
        view.insert_with_ttl(3, 3, ms(20));
    }
    clock.advance(ms(5));
    assert_eq!([1, 2, 3].map(|key| short.get(&key)), [None, None, Some(3)]);
    assert_eq!([1, 2, 3].map(|key| long.get(&key)), [Some(1), Some(2), Some(3)]);
    clock.advance(ms(5));
    assert_eq!([1, 2, 3].map(|key| long.get(&key)), [None, None, Some(3)]);
}

#[derive(Hash)]
struct Borrowed<'a>(&'a str, u32);

impl Equivalent<(String, u32)> for Borrowed<'_> {
    fn equivalent(&self, key: &(String, u32)) -> bool {
        self.0 == key.0 && self.1 == key.1
    }
}

impl ToKey<(String, u32)> for Borrowed<'_> {
    fn to_key(&self) -> (String, u32) {
        (self.0.to_owned(), self.1)
    }
}

#[test]
fn a_key_is_looked_up_by_a_type_that_is_borrowed_in_parts() {
    let cache = SharedCache::new();
    let space: Namespace<(String, u32), u64> = cache.namespace("space").expect("new");
    assert_eq!(space.get(&Borrowed("a", 1)), None);
    assert_eq!(space.get_or_load(&Borrowed("a", 1), || 7), 7);
    assert_eq!(space.get(&("a".to_owned(), 1)), Some(7));
    let loaded = space.get_or_load_async(&Borrowed("a", 1), async { unreachable!("it is there") });
    assert_eq!(pollster::block_on(loaded), 7);
    assert_eq!(space.remove(&Borrowed("a", 1)), Some(7));
}

#[test]
fn values_are_freed_when_they_leave_and_with_the_cache() {
    bounded(|| {
        let ledger = Ledger::new();
        let cache = cache(2);
        let space = cache.namespace("space").expect("new");
        for i in 0..100u64 {
            space.insert(i, ledger.value(i));
        }
        space.insert(0, ledger.value(0));
        drop(space.remove(&1));
        flush(&cache);
        eventually("what left is freed", || ledger.live() == 99);
        space.clear().wait().expect("alive");
        eventually("what was cleared is freed", || ledger.live() == 0);
        space.insert(1, ledger.value(1));
        drop((space, cache));
        assert_eq!(ledger.live(), 0);
    });
}

#[test]
fn waiters_of_a_typed_load_get_a_value_each() {
    bounded(|| {
        let cache = cache(1);
        let space: Namespace<u64, Vec<u64>> = cache.namespace("space").expect("new");
        let gate = Gate::new();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    gate.arrive();
                    let mut value = space.get_or_load(&1, || {
                        gate.wait_for(8);
                        vec![1]
                    });
                    value.push(2);
                    assert_eq!(value, [1, 2]);
                });
            }
        });
        assert_eq!(space.get(&1), Some(vec![1]));
        assert_eq!(space.stats().loads(), 1);
    });
}

#[test]
fn a_refused_write_gives_key_and_value_back() {
    bounded(|| {
        let cache = SharedCache::builder().shards(1).backlog(1).build().expect("valid settings");
        let space: Namespace<String, Vec<u8>> = cache.namespace("space").expect("new");
        let mut refused = None;
        while refused.is_none() {
            refused = space.try_insert("k".into(), vec![1]).err();
        }
        let refused = refused.expect("the loop ended");
        assert!(refused.is_full());
        assert_eq!(refused.into_inner(), ("k".to_owned(), vec![1]));
    });
}
