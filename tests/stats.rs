//! Statistics: exact once folded, whatever the number of threads.

use crate::support::{builder, cache, flush, ms, on_each_shape, timed};
use std::thread;

#[test]
fn every_get_is_a_hit_or_a_miss() {
    on_each_shape(|shards| {
        const ROUNDS: u64 = 20_000;
        let cache = cache::<u64, u64>(shards);
        for key in 0..500 {
            cache.insert(key, key);
        }
        flush(&cache);
        let hits: u64 = thread::scope(|scope| {
            let reader = |me: u64| {
                let cache = &cache;
                move || {
                    let hit = |round: &u64| {
                        let key = (round * 17 + me) % 1_000;
                        match round % 3 {
                            0 => cache.get(&key).is_some(),
                            1 => cache.read(&key, |_| ()).is_some(),
                            _ => cache.pin().get(&key).is_some(),
                        }
                    };
                    (0..ROUNDS).filter(hit).count() as u64
                }
            };
            let readers: Vec<_> = (0..4).map(|me| scope.spawn(reader(me))).collect();
            readers.into_iter().map(|reader| reader.join().expect("no panic")).sum()
        });
        let stats = cache.stats();
        assert_eq!((stats.hits(), stats.misses()), (hits, 4 * ROUNDS - hits));
        assert_eq!(hits, 2 * ROUNDS, "half the keys are there");
        assert!((stats.hit_ratio() - 0.5).abs() < 1e-9, "{}", stats.hit_ratio());
    });
}

#[test]
fn counts_of_finished_threads_are_kept() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        cache.insert(1, 1);
        for round in 1..=50 {
            thread::scope(|scope| {
                scope.spawn(|| assert_eq!((cache.get(&1), cache.get(&2)), (Some(1), None)));
            });
            assert_eq!((cache.stats().hits(), cache.stats().misses()), (round, round));
        }
    });
}

#[test]
fn looking_without_touching_is_not_counted() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        cache.insert(1, 1);
        assert!(cache.contains_key(&1) && !cache.contains_key(&2));
        assert_eq!((cache.peek(&1), cache.peek(&2)), (Some(1), None));
        let _ = cache.entries().wait().expect("shards live");
        assert_eq!((cache.stats().hits(), cache.stats().misses()), (0, 0));
    });
}

#[test]
fn each_event_moves_its_own_counter() {
    on_each_shape(|shards| {
        let (clock, builder) = timed::<u64, u32>(shards);
        let cache = builder.max_capacity(100).weigher(|_, value| *value).build().expect("valid");
        cache.insert(1, 10);
        flush(&cache);
        cache.insert(1, 20);
        flush(&cache);
        assert_eq!((cache.stats().insertions(), cache.stats().updates()), (1, 1));
        assert_eq!((cache.stats().len(), cache.stats().weight()), (1, 20));
        cache.insert(2, 200);
        flush(&cache);
        assert_eq!(cache.stats().rejected(), 1);
        assert_eq!((cache.remove(&1), cache.remove(&1), cache.remove(&7)), (Some(20), None, None));
        flush(&cache);
        assert_eq!(cache.stats().invalidations(), 1);
        cache.insert_with_ttl(3, 5, ms(10));
        flush(&cache);
        clock.advance(ms(50));
        crate::support::eventually("expiry", || cache.stats().expirations() == 1);
        cache.insert(4, 60);
        flush(&cache);
        cache.insert(5, 60);
        flush(&cache);
        assert_eq!((cache.stats().evictions(), cache.len()), (1, 1));
        assert_eq!(cache.get_or_load(&6, || 1), 1);
        assert!(cache.try_get_or_load(&7, || Err::<u32, u8>(1)).is_err());
        assert_eq!(cache.clear().wait().expect("shards live"), 2);
        let stats = cache.stats();
        assert_eq!((stats.load_failures(), stats.invalidations()), (1, 3), "{stats}");
        assert_eq!((stats.hits(), stats.misses()), (0, 2), "a load is a miss: {stats}");
        assert_eq!((stats.len(), stats.weight(), stats.panics()), (0, 0, 0), "{stats}");
    });
}

#[test]
fn a_fresh_cache_has_a_hit_ratio() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        assert!(cache.stats().hit_ratio().abs() < f64::EPSILON, "no request, no division by zero");
        assert_eq!(cache.get(&1), None);
        assert!(cache.stats().hit_ratio().abs() < f64::EPSILON);
        cache.insert(1, 1);
        assert_eq!(cache.get(&1), Some(1));
        assert!((cache.stats().hit_ratio() - 0.5).abs() < 1e-9);
    });
}

#[test]
fn statistics_print_their_numbers() {
    on_each_shape(|shards| {
        let cache = builder::<u64, u64>(shards).build().expect("valid");
        (0..37).for_each(|key| cache.insert(key, key));
        assert_eq!((0..60).filter(|key| cache.get(key).is_some()).count(), 37);
        flush(&cache);
        let text = cache.stats().to_string();
        for word in ["hits", "misses", "loads", "evictions", "expirations"] {
            assert!(text.contains(word), "`{text}` lacks {word}");
        }
        assert!(text.contains("37") && text.contains("23"), "{text}");
        assert!(text.contains("61"), "the hit rate of 61.67 %: {text}");
        assert!(!format!("{:?}", cache.stats()).is_empty());
    });
}

#[test]
fn a_snapshot_does_not_move() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        cache.insert(1, 1);
        flush(&cache);
        let before = cache.stats();
        let copy = before;
        cache.insert(2, 2);
        let _ = cache.get(&2);
        flush(&cache);
        assert_eq!((before.hits(), before.insertions(), before.len()), (0, 1, 1));
        assert_eq!((copy.hits(), cache.stats().hits(), cache.stats().len()), (0, 1, 2));
    });
}
