//! Loaders that call the cache: for other keys as usual, for their own key without a deadlock.

use crate::support::{Polled, Steps, cache, flush, on_each_shape};
use cacheado::CacheHandle;
use std::sync::Arc;

type Cache = CacheHandle<u64, u64>;

#[test]
fn a_loader_may_load_other_keys() {
    on_each_shape(|shards| {
        fn fibonacci(cache: &Cache, n: u64) -> u64 {
            cache.get_or_load(&n, || {
                if n < 2 { n } else { fibonacci(cache, n - 1) + fibonacci(cache, n - 2) }
            })
        }
        let cache = cache(shards);
        assert_eq!(fibonacci(&cache, 80), 23_416_728_348_467_685);
        flush(&cache);
        assert_eq!((cache.stats().loads(), cache.len()), (81, 81));
    });
}

#[test]
fn a_loading_task_may_load_other_keys() {
    on_each_shape(|shards| {
        let cache: Cache = cache(shards);
        let inner = async {
            Steps(3).await;
            cache
                .get_or_load_async(&2, async {
                    Steps(2).await;
                    20
                })
                .await
        };
        let outer = async { inner.await + cache.get_or_load(&3, || 1) };
        assert_eq!(pollster::block_on(cache.get_or_load_async(&1, outer)), 21);
        assert_eq!((cache.get(&1), cache.get(&2), cache.get(&3)), (Some(21), Some(20), Some(1)));
    });
}

#[test]
fn a_loader_that_loads_its_own_key_runs_the_inner_one_uncached() {
    on_each_shape(|shards| {
        let cache: Cache = cache(shards);
        for key in 0..200 {
            let value = cache.get_or_load(&key, || cache.get_or_load(&key, || 1) + 1);
            assert_eq!(value, 2);
            assert_eq!(cache.get(&key), Some(2), "what the outer loader made is kept");
            let deep = cache.get_or_load(&(key + 1_000), || {
                cache.get_or_load(&(key + 1_000), || cache.get_or_load(&(key + 1_000), || 1) * 2)
                    * 2
            });
            assert_eq!(deep, 4);
        }
        flush(&cache);
        assert!((0..200).all(|key| cache.get(&key) == Some(2)));
    });
}

#[test]
fn a_fallible_loader_that_loads_its_own_key_gets_the_inner_error() {
    on_each_shape(|shards| {
        let cache: Cache = cache(shards);
        let outcome = cache.try_get_or_load(&1, || {
            let inner = cache.try_get_or_load(&1, || Err::<u64, _>("inner"));
            inner.map_err(|error: Arc<&str>| format!("outer after {error}"))
        });
        assert_eq!(*outcome.expect_err("failed"), "outer after inner");
        assert_eq!(cache.get_or_load(&1, || 5), 5, "the key is not stuck");
    });
}

#[test]
fn a_loading_task_that_loads_its_own_key_runs_the_inner_one_uncached() {
    on_each_shape(|shards| {
        let cache: Cache = cache(shards);
        for steps in 0..4 {
            let key = u64::from(steps);
            let inner = async {
                Steps(steps).await;
                1
            };
            let outer = async {
                Steps(steps).await;
                let value = cache.get_or_load_async(&key, inner).await;
                Steps(steps).await;
                value + 1
            };
            assert_eq!(pollster::block_on(cache.get_or_load_async(&key, outer)), 2);
            assert_eq!(cache.get(&key), Some(2));
        }
    });
}

#[test]
fn the_two_kinds_of_loader_may_nest() {
    on_each_shape(|shards| {
        let cache: Cache = cache(shards);
        let outer = async {
            Steps(1).await;
            cache.get_or_load(&1, || 1) + 1
        };
        assert_eq!(pollster::block_on(cache.get_or_load_async(&1, outer)), 2);
        let value = cache
            .get_or_load(&2, || pollster::block_on(cache.get_or_load_async(&2, async { 1 })) + 1);
        assert_eq!((value, cache.get(&1), cache.get(&2)), (2, Some(2), Some(2)));
    });
}

#[test]
fn a_cycle_of_two_keys_on_one_thread_ends() {
    on_each_shape(|shards| {
        let cache: Cache = cache(shards);
        for round in 0..200 {
            let (one, two) = (round * 2, round * 2 + 1);
            let value = cache.get_or_load(&one, || {
                cache.get_or_load(&two, || cache.get_or_load(&one, || 1) + 10) + 100
            });
            assert_eq!(value, 111);
            assert_eq!((cache.get(&one), cache.get(&two)), (Some(111), Some(11)));
        }
    });
}

#[test]
fn the_same_key_of_another_cache_is_another_key() {
    on_each_shape(|shards| {
        let (first, second): (Cache, Cache) = (cache(shards), cache(shards));
        let value = first.get_or_load(&1, || second.get_or_load(&1, || 5) + 1);
        assert_eq!(value, 6);
        assert_eq!((first.get(&1), second.get(&1)), (Some(6), Some(5)), "both are kept");
    });
}

#[test]
fn other_tasks_on_the_leaders_thread_still_join_its_load() {
    on_each_shape(|shards| {
        let cache: Cache = cache(shards);
        let mut leader = Polled::new(cache.get_or_load_async(&1, async {
            Steps(1).await;
            5
        }));
        assert!(leader.is_pending());
        let mut waiter = Polled::new(cache.get_or_load_async(&1, async { 6 }));
        assert!(waiter.is_pending(), "joins, though its thread has a loader of that key under way");
        assert_eq!((leader.ready(), waiter.ready()), (5, 5));
    });
}
