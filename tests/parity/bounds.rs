//! Rows about what ends an entry: time, room, and the limit of a namespace.

use crate::support::{eventually, ms};
use crate::{flush, timed_cache};
use cacheado::{CacheHandle, SharedCache, memoize};
use std::time::Duration;

#[test]
fn row_ttl() {
    let (clock, cache) = timed_cache();
    let keys = cache.namespace::<u64, u64>("keys").expect("new");
    for key in 1..=100 {
        keys.insert_with_ttl(key, key, ms(key));
    }
    for now in 1..=100 {
        clock.advance(ms(1));
        let live: Vec<u64> = (1..=100).filter(|key| keys.contains_key(key)).collect();
        assert_eq!(live, (now + 1..=100).collect::<Vec<_>>(), "after {now} ms");
    }
}

#[test]
fn row_lru_max_size() {
    let cache: CacheHandle<u64, u64> =
        CacheHandle::builder().max_capacity(3).build().expect("valid");
    let insert = |key| {
        cache.insert(key, key);
        cache.flush().wait().expect("shards live");
    };
    (1..=3).for_each(insert);
    assert_eq!(cache.get(&1), Some(1));
    insert(4);
    let kept = [1, 2, 3, 4].map(|key| cache.contains_key(&key));
    assert_eq!(kept, [true, false, true, true], "2 was used least recently");

    for key in 5..1_000 {
        insert(key);
        assert_eq!(cache.len(), 3);
    }
    assert_eq!(cache.stats().evictions(), 996);
}

#[memoize(cache = cache, key = n, max_items = 2)]
fn limited(cache: &SharedCache, n: u64) -> u64 {
    n
}

#[memoize(cache = cache, key = n)]
fn unlimited(cache: &SharedCache, n: u64) -> u64 {
    n
}

#[test]
fn row_max_items_per_function() {
    let (_, cache) = timed_cache();
    for n in 0..10 {
        limited(&cache, n);
        unlimited(&cache, n);
    }
    flush(&cache);
    let of = |namespace: cacheado::Namespace<u64, u64>| namespace.stats();
    let limited = of(limited_namespace(&cache).expect("valid"));
    let unlimited = of(unlimited_namespace(&cache).expect("valid"));
    assert_eq!((limited.len(), limited.evictions()), (2, 8));
    assert_eq!((unlimited.len(), unlimited.evictions(), cache.len()), (10, 0, 12));
}

/// Nobody reads or writes after the deadline, and the entries leave memory.
#[test]
fn row_background_clean_up() {
    let (clock, cache) = timed_cache();
    let keys = cache.namespace::<u64, u64>("keys").expect("new");
    for key in 0..1_000 {
        keys.insert_with_ttl(key, key, Duration::from_secs(60));
    }
    keys.insert(1_000, 0);
    flush(&cache);
    assert_eq!(cache.len(), 1_001);
    clock.advance(Duration::from_secs(61));
    eventually("all that has expired leaves", || cache.len() == 1);
    assert_eq!(cache.stats().expirations(), 1_000);
}
