//! Capacity: the bound is exact once folded, and who was used least recently goes first.

use crate::support::{Told, bounded, builder, cache, eventually, flush, on_each_shape};
use cacheado::{CacheHandle, RemovalCause};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn the_bound_is_exact_after_a_flush() {
    on_each_shape(|shards| {
        for capacity in [1, 7, 100, 5_000] {
            let cache = builder::<u64, u64>(shards).max_capacity(capacity).build().expect("valid");
            for key in 0..capacity * 3 {
                cache.insert(key, key);
            }
            flush(&cache);
            let held = cache.entries().wait().expect("shards live").len() as u64;
            assert_eq!(held, capacity, "not more than the capacity, and all of it");
            assert_eq!((cache.len(), cache.weight()), (held, held));
            assert_eq!(cache.stats().evictions(), capacity * 3 - held);
        }
    });
}

/// What the shards together are over is evicted once, though each of them sees all of it.
#[test]
fn shards_that_are_over_together_evict_no_more_than_they_must() {
    bounded(|| {
        for round in 0..1_000 {
            for weight in [1, 7] {
                let builder = builder(4).max_capacity(64).weigher(move |_, _| weight);
                let cache: CacheHandle<u64, u64> = builder.build().expect("valid");
                (0..500).for_each(|key| cache.insert(key, key));
                flush(&cache);
                assert_eq!(cache.len(), 64 / u64::from(weight), "round {round}, {weight} each");
            }
        }
    });
}

#[test]
fn weights_are_summed_and_bounded() {
    on_each_shape(|shards| {
        let builder = builder::<u64, u32>(shards).max_capacity(1_000);
        let cache = builder.weigher(|_, value| *value).build().expect("valid");
        let mut seed = 1u64;
        for round in 0..4_000u64 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            cache.insert(round % 150, 1 + (seed >> 33) as u32 % 40);
            if round % 200 == 0 {
                flush(&cache);
                let pairs = cache.entries().wait().expect("shards live");
                let held: u64 = pairs.iter().map(|(_, weight)| u64::from(*weight)).sum();
                assert!(held <= 1_000, "{held} in round {round}");
                assert_eq!((cache.weight(), cache.len()), (held, pairs.len() as u64));
            }
        }
    });
}

#[test]
fn an_entry_heavier_than_the_cache_is_rejected() {
    on_each_shape(|shards| {
        let told = Told::new();
        let builder = told.listen(builder::<u64, u32>(shards)).max_capacity(100);
        let cache = builder.weigher(|_, value| *value).build().expect("valid");
        cache.insert(1, 100);
        flush(&cache);
        assert_eq!(cache.get(&1), Some(100), "as heavy as the cache is allowed");
        cache.insert(2, 101);
        flush(&cache);
        assert_eq!((cache.get(&2), cache.stats().rejected()), (None, 1));
        assert_eq!(cache.get(&1), Some(100), "nobody is evicted for what is not kept");
        assert_eq!(told.take(), vec![(2, 101, RemovalCause::Capacity)]);
        cache.insert(1, u32::MAX);
        flush(&cache);
        assert_eq!(cache.get(&1), None, "the older value does not come back");
        assert_eq!((cache.len(), cache.weight(), cache.stats().rejected()), (0, 0, 2));
        let mut departed: Vec<u32> = told.take().into_iter().map(|(_, value, _)| value).collect();
        departed.sort_unstable();
        assert_eq!(departed, [100, u32::MAX]);
    });
}

#[test]
fn an_entry_heavier_than_a_shards_share_is_kept() {
    on_each_shape(|shards| {
        let builder = builder::<u64, u32>(shards).max_capacity(100);
        let cache = builder.weigher(|_, value| *value).build().expect("valid");
        for key in 0..20 {
            cache.insert(key, 90);
            flush(&cache);
            assert_eq!(cache.get(&key), Some(90), "key {key}");
            assert!(cache.weight() <= 100);
        }
        assert_eq!(cache.stats().rejected(), 0);
    });
}

#[test]
fn a_flush_comes_after_the_account_of_what_made_room() {
    on_each_shape(|shards| {
        for round in 0..50 {
            let told = Arc::new(AtomicU64::new(0));
            let count = Arc::clone(&told);
            let cache = builder::<u64, u32>(shards)
                .max_capacity(100)
                .weigher(|_, value| *value)
                .removal_listener(move |_, _, _| {
                    // Slow, so that another shard can see the room before the listener is through.
                    (0..20).for_each(|_| std::thread::yield_now());
                    count.fetch_add(1, Ordering::SeqCst);
                })
                .build()
                .expect("valid");
            (0..100).for_each(|key| cache.insert(key, 1));
            flush(&cache);
            cache.insert(1_000 + round, 60);
            flush(&cache);
            let stats = cache.stats();
            assert!(cache.weight() <= 100, "{stats:?}");
            // Shards that were asked for room at the same time may still be at it; what is counted was told.
            assert!(told.load(Ordering::SeqCst) >= stats.evictions(), "{stats:?}");
            assert!((60..=100).contains(&cache.weight()), "{stats:?}");
        }
    });
}

type Cache = CacheHandle<u64, u64>;

/// A cache of one shard with keys 0 to 9, written in that order, and no room for more.
fn full() -> Cache {
    let cache = builder::<u64, u64>(1).max_capacity(10).build().expect("valid");
    for key in 0..10 {
        cache.insert(key, key);
        flush(&cache);
    }
    cache
}

/// Which of the first ten keys have left after so many more were written.
fn evicted_by(cache: &Cache, more: u64) -> Vec<u64> {
    for key in 100..100 + more {
        cache.insert(key, key);
        flush(cache);
    }
    (0..10).filter(|key| !cache.contains_key(key)).collect()
}

#[test]
fn the_least_recently_written_goes_first() {
    bounded(|| {
        assert_eq!(evicted_by(&full(), 1), [0]);
        assert_eq!(evicted_by(&full(), 4), [0, 1, 2, 3]);
    });
}

#[test]
fn a_read_entry_outlives_one_that_was_not() {
    bounded(|| {
        let touches: [fn(&Cache, u64); 5] = [
            |cache, key| assert_eq!(cache.get(&key), Some(key)),
            |cache, key| assert_eq!(cache.read(&key, |value| *value), Some(key)),
            |cache, key| assert_eq!(cache.pin().get(&key), Some(&key)),
            |cache, key| assert_eq!(cache.get_or_load(&key, || 0), key),
            |cache, key| cache.insert(key, key),
        ];
        for touch in touches {
            let cache = full();
            for key in [0, 2, 4] {
                touch(&cache, key);
            }
            flush(&cache);
            assert_eq!(evicted_by(&cache, 4), [1, 3, 5, 6]);
        }
    });
}

#[test]
fn in_a_small_cache_a_replacement_is_a_use_like_any_other() {
    bounded(|| {
        let cache = builder::<u64, u64>(1).max_capacity(2).build().expect("valid");
        let insert = |key, value| {
            cache.insert(key, value);
            flush(&cache);
        };
        for round in 0..100 {
            let [read, replaced, new] = [3 * round, 3 * round + 1, 3 * round + 2];
            insert(read, 1);
            insert(replaced, 1);
            assert_eq!(cache.get(&read), Some(1));
            insert(replaced, 2);
            insert(new, 1);
            let left = [read, replaced, new].map(|key| cache.peek(&key));
            assert_eq!(left, [None, Some(2), Some(1)], "round {round}");
        }
    });
}

#[test]
fn who_comes_after_a_long_time_of_rewriting_stays_longer_than_what_was_there() {
    bounded(|| {
        let cache = builder::<u64, u64>(1).max_capacity(10_000).build().expect("valid");
        let write = |keys: &[u64]| {
            keys.iter().for_each(|&key| cache.insert(key, key));
            flush(&cache);
        };
        // A little more than fits: so a tick has most of its insertions before it.
        write(&(0..10_020).collect::<Vec<_>>());
        let there: Vec<u64> = (0..10_020).filter(|key| cache.get(key).is_some()).collect();
        write(&there);
        (20_000..20_200).for_each(|key| write(&[key]));
        let left = (20_000..20_200).filter(|key| cache.contains_key(key)).count();
        assert_eq!(left, 200, "new keys leave before old ones");
    });
}

#[test]
fn looking_without_touching_saves_nobody() {
    bounded(|| {
        let cache = full();
        assert_eq!(cache.peek(&0), Some(0));
        assert!(cache.contains_key(&1));
        assert_eq!(cache.entries().wait().expect("shards live").len(), 10);
        assert_eq!(evicted_by(&cache, 2), [0, 1]);
    });
}

#[test]
fn a_working_set_survives_a_scan() {
    bounded(|| {
        let cache = builder::<u64, u64>(1).max_capacity(1_000).build().expect("valid");
        for key in 0..1_000 {
            cache.insert(key, key);
        }
        flush(&cache);
        for round in 0..20 {
            assert!((0..500).all(|key| cache.get(&key) == Some(key)), "round {round}");
            for key in 0..400 {
                cache.insert(10_000 + round * 400 + key, 0);
            }
            flush(&cache);
        }
        assert_eq!(cache.len(), 1_000);
    });
}

#[test]
fn evicted_values_are_told_with_their_cause() {
    on_each_shape(|shards| {
        let told = Told::new();
        let cache =
            told.listen(builder::<u64, u64>(shards)).max_capacity(50).build().expect("valid");
        for key in 0..500 {
            cache.insert(key, key * 3);
        }
        flush(&cache);
        let departed = told.take();
        assert!(
            departed
                .iter()
                .all(|(key, value, cause)| (*value, *cause) == (key * 3, RemovalCause::Capacity))
        );
        let mut keys: Vec<u64> = departed.iter().map(|(key, ..)| *key).collect();
        keys.extend(cache.entries().wait().expect("shards live").into_iter().map(|(key, _)| key));
        keys.sort_unstable();
        assert_eq!(keys, (0..500).collect::<Vec<_>>(), "each key is kept or told");
    });
}

#[test]
fn removed_room_is_used_again() {
    on_each_shape(|shards| {
        let cache = cache::<u64, Vec<u64>>(shards);
        for round in 0..50 {
            for key in 0..100 {
                cache.insert(key, vec![round; 10]);
            }
            for key in 0..100 {
                assert_eq!(cache.remove(&key), Some(vec![round; 10]));
            }
        }
        flush(&cache);
        eventually("empty", || cache.is_empty() && cache.weight() == 0);
        assert_eq!(cache.stats().evictions(), 0);
    });
}
