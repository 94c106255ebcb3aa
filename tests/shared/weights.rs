//! Namespaces whose entries weigh more or less than one.

use super::{ACME, flush};
use crate::support::{bounded, on_each_shape};
use cacheado::{Error, Namespace, SharedCache};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn cache(shards: usize, capacity: u64) -> SharedCache {
    let builder = SharedCache::builder().shards(shards).max_capacity(capacity);
    builder.build().expect("valid settings")
}

/// Entries of this one weigh as much as their values say.
fn heavy(cache: &SharedCache, name: &str) -> Result<Namespace<u64, u32>, Error> {
    cache.namespace_builder(name).weigher(|_: &u64, value: &u32| *value).build()
}

#[test]
fn weights_and_counts_share_one_capacity() {
    on_each_shape(|shards| {
        let cache = cache(shards, 1_000);
        let heavy = heavy(&cache, "heavy").expect("new");
        let plain: Namespace<u64, u32> = cache.namespace("plain").expect("new");
        let acme = heavy.scope(ACME).expect("valid");
        let mut seed = 1u64;
        for round in 0..4_000u64 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let weight = (seed >> 33) as u32 % 40;
            heavy.insert(round % 70, weight);
            acme.insert(round % 60, weight + 1);
            plain.insert(round % 90, 1_000_000);
            if round % 200 == 0 {
                flush(&cache);
                let sum = |space: &Namespace<u64, u32>| -> u64 {
                    let entries = space.entries().wait().expect("alive");
                    entries.iter().map(|(_, weight)| u64::from(*weight)).sum()
                };
                let (own, below, others) = (sum(&heavy), sum(&acme), plain.len());
                assert!(own + below + others <= 1_000, "{own} {below} {others} in round {round}");
                assert_eq!(cache.weight(), own + below + others);
                assert_eq!(heavy.stats().weight(), own + below);
                assert_eq!(plain.stats().weight(), others);
                let scope = cache.scope(ACME).expect("valid").stats();
                assert_eq!(scope.own().weight(), below);
            }
        }
        assert!(heavy.stats().evictions() > 0);
        heavy.clear().wait().expect("alive");
        flush(&cache);
        assert_eq!((heavy.stats().weight(), cache.weight()), (0, plain.len()));
        heavy.insert(1, 900);
        flush(&cache);
        assert_eq!(heavy.stats().weight(), 900, "a clear does not end the weigher");
        assert!(cache.weight() <= 1_000);
    });
}

#[test]
fn what_is_too_heavy_or_panics_is_rejected_and_what_weighs_nothing_stays() {
    on_each_shape(|shards| {
        let cache = cache(shards, 100);
        let space: Namespace<String, Vec<u8>> = cache
            .namespace_builder("texts")
            .weigher(|key: &String, value: &Vec<u8>| {
                assert_ne!(key, "panic", "in this mood");
                value.len() as u32
            })
            .build()
            .expect("new");
        space.insert("a".into(), vec![0; 100]);
        flush(&cache);
        assert_eq!(space.get("a").map(|value| value.len()), Some(100), "as heavy as is allowed");
        space.insert("b".into(), vec![0; 101]);
        space.insert("panic".into(), vec![0]);
        flush(&cache);
        assert_eq!((space.get("b"), space.get("panic")), (None, None));
        assert_eq!((cache.stats().rejected(), cache.stats().panics()), (2, 1));
        assert!(space.get("a").is_some(), "nobody is evicted for what is not kept");
        for i in 0..500 {
            space.insert(i.to_string(), Vec::new());
        }
        flush(&cache);
        assert_eq!((space.len(), cache.weight()), (501, 100));
        space.insert("a".into(), vec![0; 101]);
        flush(&cache);
        assert_eq!(space.get("a"), None, "the older value does not come back");
        let loaded = space.get_or_load("c", || vec![0; 101]);
        flush(&cache);
        assert_eq!((loaded.len(), space.get("c")), (101, None));
        assert_eq!((space.len(), cache.weight(), cache.stats().rejected()), (500, 0, 4));
    });
}

#[test]
fn a_value_is_weighed_once_and_only_if_it_may_be_kept() {
    bounded(|| {
        let (cache, weighed) = (cache(1, 1_000), Arc::new(AtomicU64::new(0)));
        let count = Arc::clone(&weighed);
        let space: Namespace<u64, u64> = cache
            .namespace_builder("space")
            .max_items(10)
            .weigher(move |_: &u64, _: &u64| {
                count.fetch_add(1, Ordering::SeqCst);
                50
            })
            .build()
            .expect("new");
        for key in 0..30 {
            space.insert(key, key);
            flush(&cache);
            space.get(&key);
        }
        assert_eq!((space.len(), space.stats().weight()), (10, 500), "max_items counts entries");
        assert_eq!(weighed.load(Ordering::SeqCst), 30);
        space.get_or_load(&100, || {
            space.clear().wait().expect("alive");
            100
        });
        flush(&cache);
        assert_eq!((space.len(), weighed.load(Ordering::SeqCst)), (0, 30), "it came too late");
    });
}

#[test]
fn the_same_weigher_is_the_same_option_and_another_is_an_error() {
    let cache = cache(1, 100);
    heavy(&cache, "heavy").expect("new");
    heavy(&cache, "heavy").expect("the same closure");
    cache.namespace::<u64, u32>("heavy").expect("asks for no option");
    let other = cache.namespace_builder("heavy").weigher(|_: &u64, _: &u32| 2).build();
    let text = other.expect_err("another closure").to_string();
    let this = "the_same_weigher_is_the_same_option_and_another_is_an_error";
    assert!(text.contains("weights::heavy::{{closure}}") && text.contains(this), "{text}");
    cache.namespace::<u64, u32>("plain").expect("new");
    let text = heavy(&cache, "plain").expect_err("it has none").to_string();
    assert!(text.contains("no weigher"), "{text}");
    let unbounded = SharedCache::new();
    let error = heavy(&unbounded, "heavy").expect_err("weights of what?");
    assert!(error.is_invalid_setting() && error.to_string().contains("max_capacity"), "{error}");
}

/// Weights say nothing about how many entries there are: the order of use is kept for few as for many.
#[test]
fn of_few_heavy_entries_those_stay_that_are_read() {
    bounded(|| {
        let cache = cache(1, 1_000_000);
        let space = heavy(&cache, "heavy").expect("new");
        for key in 0..100 {
            space.insert(key, 10_000);
        }
        flush(&cache);
        for key in 100..1_000 {
            assert!((0..50).all(|key| space.get(&key).is_some()), "before {key}");
            space.insert(key, 10_000);
            flush(&cache);
            assert_eq!(space.len(), 100);
        }
    });
}
