//! Verbs: what each says, and that what one thread did every thread sees.

use crate::support::{
    Counted, Ledger, StuckShard, bounded, builder, cache, eventually, flush, on_each_shape,
};
use cacheado::CacheHandle;
use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const THREADS: u64 = 4;

#[test]
fn a_write_is_visible_to_every_thread_at_once() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        let step = Barrier::new(THREADS as usize);
        thread::scope(|scope| {
            for me in 0..THREADS {
                let (cache, step) = (&cache, &step);
                scope.spawn(move || {
                    for round in 0..300 {
                        if round % THREADS == me {
                            cache.insert(round % 7, round);
                        }
                        step.wait();
                        assert_eq!(cache.get(&(round % 7)), Some(round), "insert, round {round}");
                        step.wait();
                        if round % THREADS == me {
                            assert_eq!(cache.remove(&(round % 7)), Some(round));
                        }
                        step.wait();
                        assert_eq!(cache.get(&(round % 7)), None, "remove, round {round}");
                        step.wait();
                    }
                });
            }
        });
    });
}

#[test]
fn operations_of_one_thread_keep_their_order() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        for round in 0..2_000 {
            let key = round % 3;
            cache.insert(key, round);
            cache.insert(key, round + 1);
            assert_eq!(cache.get(&key), Some(round + 1));
            assert_eq!(cache.remove(&key), Some(round + 1));
            assert_eq!(cache.remove(&key), None);
            assert!(!cache.contains_key(&key));
            cache.insert(key, round + 2);
            assert_eq!(cache.peek(&key), Some(round + 2));
            if round % 50 == 0 {
                flush(&cache);
                assert_eq!(cache.get(&key), Some(round + 2), "the fold changes no answer");
            }
        }
    });
}

#[test]
fn a_removed_value_goes_to_exactly_one_remover() {
    on_each_shape(|shards| {
        const ROUNDS: u64 = 300;
        const KEYS: u64 = 64;
        let cache = cache::<u64, u64>(shards);
        // Two removers walk the same keys side by side, so that they meet at some of them.
        let (step, started) = (Barrier::new(2), AtomicU64::new(0));
        let race = |me: u64| {
            let mut taken = Vec::new();
            for round in 0..ROUNDS {
                if me == 0 {
                    (0..KEYS).for_each(|key| cache.insert(key, round * KEYS + key));
                }
                if me == 0 && round % 3 == 0 {
                    flush(&cache);
                }
                step.wait();
                // A barrier lets one go well before the other.
                started.fetch_add(1, Ordering::SeqCst);
                while started.load(Ordering::SeqCst) < 2 * (round + 1) {
                    std::hint::spin_loop();
                }
                taken.extend((0..KEYS).filter_map(|key| cache.remove(&key)));
                step.wait();
            }
            taken
        };
        let mut all: Vec<u64> = thread::scope(|scope| {
            let other = scope.spawn(|| race(1));
            let mut all = race(0);
            all.extend(other.join().expect("no panic"));
            all
        });
        all.sort_unstable();
        assert_eq!(all, (0..ROUNDS * KEYS).collect::<Vec<_>>(), "every value once");
        flush(&cache);
        assert_eq!(cache.stats().invalidations(), ROUNDS * KEYS);
    });
}

#[test]
fn look_ups_take_any_equivalent_key() {
    on_each_shape(|shards| {
        let cache = cache::<String, u32>(shards);
        cache.insert("one".to_owned(), 1);
        for _ in 0..2 {
            assert_eq!(cache.get("one"), Some(1));
            assert_eq!(cache.peek("one"), Some(1));
            assert_eq!(cache.read("one", |value| value + 1), Some(2));
            assert_eq!(cache.pin().get("one"), Some(&1));
            assert!(cache.contains_key("one"));
            assert_eq!(cache.get(&"one".to_owned()), Some(1));
            assert_eq!(cache.get("on"), None);
            flush(&cache);
        }
        assert_eq!(cache.get_or_load("two", || 2), 2);
        assert_eq!(cache.remove("one"), Some(1));
        assert_eq!(cache.get("one"), None);
        assert_eq!(cache.get("two"), Some(2));
    });
}

#[test]
fn keys_of_any_shape_are_kept_apart() {
    on_each_shape(|shards| {
        let cache = cache::<Vec<u8>, usize>(shards);
        let keys: Vec<Vec<u8>> = (0..300).map(|length| vec![0; length]).collect();
        for key in &keys {
            cache.insert(key.clone(), key.len());
        }
        flush(&cache);
        for key in &keys {
            assert_eq!(cache.get(key.as_slice()), Some(key.len()));
        }
        assert_eq!(cache.len(), 300);
    });
}

#[test]
fn read_needs_no_clone() {
    struct Opaque(u64);
    on_each_shape(|shards| {
        let cache = cache::<u64, Opaque>(shards);
        cache.insert(1, Opaque(10));
        assert_eq!(cache.read(&1, |value| value.0), Some(10));
        flush(&cache);
        assert_eq!(cache.read(&1, |value| value.0 * 2), Some(20));
        assert_eq!(cache.read(&2, |value| value.0), None);
        assert_eq!(cache.pin().get(&1).map(|value| value.0), Some(10));
    });
}

#[test]
fn a_pinned_view_follows_the_cache_and_keeps_what_it_showed() {
    on_each_shape(|shards| {
        let ledger = Ledger::new();
        let cache = builder::<u64, Counted>(shards).max_capacity(10_000).build().expect("valid");
        cache.insert(1, ledger.value(1));
        flush(&cache);
        let view = cache.pin();
        let shown = view.get(&1).expect("stored");
        for id in 2..3_000 {
            cache.insert(1, ledger.value(id));
            cache.insert(id, ledger.value(id));
        }
        flush(&cache);
        assert_eq!(shown.id, 1, "a value on show is not dropped");
        assert_eq!(view.get(&1).map(|value| value.id), Some(2_999), "the view is no snapshot");
        cache.insert(1, ledger.value(7));
        assert_eq!(view.get(&1).map(|value| value.id), Some(7));
        assert_eq!(view.get(&99_999).map(|value| value.id), None);
        drop(view);
        flush(&cache);
        eventually("replaced values are dropped", || ledger.live() == cache.len());
    });
}

#[test]
fn entries_are_the_live_pairs() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        let mut expected = BTreeMap::new();
        for key in 0..500 {
            cache.insert(key, key * 2);
            expected.insert(key, key * 2);
        }
        for key in (0..500).step_by(3) {
            cache.remove(&key);
            expected.remove(&key);
        }
        let pairs = cache.entries().wait().expect("shards live");
        assert_eq!(pairs.len(), expected.len(), "no key twice");
        assert_eq!(pairs.into_iter().collect::<BTreeMap<_, _>>(), expected);
    });
}

#[test]
fn clear_removes_everything_that_was_there_and_counts_it() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        for key in 0..1_000 {
            cache.insert(key, key);
        }
        assert_eq!(cache.clear().wait().expect("shards live"), 1_000);
        assert!((0..1_000).all(|key| cache.get(&key).is_none()));
        assert_eq!(cache.clear().wait().expect("shards live"), 0);
        cache.insert(1, 1);
        flush(&cache);
        assert_eq!((cache.len(), cache.is_empty(), cache.get(&1)), (1, false, Some(1)));
    });
}

#[test]
fn handles_are_one_cache() {
    on_each_shape(|shards| {
        let first = cache::<u64, u64>(shards);
        let second = first.clone();
        let third = thread::spawn({
            let first = first.clone();
            move || {
                first.insert(3, 3);
                first
            }
        });
        second.insert(1, 1);
        let third = third.join().expect("no panic");
        drop(first);
        assert_eq!((second.get(&3), third.get(&1)), (Some(3), Some(1)));
    });
}

#[test]
fn the_defaults_are_a_working_cache() {
    bounded(|| {
        let cache = CacheHandle::<String, String>::new();
        assert_eq!(cache.max_capacity(), 100_000);
        assert!(cache.is_empty());
        cache.insert("k".to_owned(), "v".to_owned());
        assert_eq!(cache.get("k").as_deref(), Some("v"));
        flush(&cache);
        assert_eq!((cache.len(), cache.weight()), (1, 1));
    });
}

#[test]
fn reads_and_removes_do_not_wait_for_a_stuck_shard() {
    on_each_shape(|shards| {
        let (gate, builder) = StuckShard::prepare(builder::<u64, u64>(shards));
        let cache = builder.build().expect("valid");
        for key in 0..200 {
            cache.insert(key, key);
        }
        let stuck = StuckShard::hold(&cache, gate, 1_000, 0);
        for key in 0..200 {
            assert_eq!(cache.get(&key), Some(key));
            assert_eq!(cache.pin().get(&key), Some(&key));
            assert_eq!(cache.read(&key, |value| *value), Some(key));
        }
        for key in 0..10 {
            cache.insert(key, key + 1);
            assert_eq!(cache.get(&key), Some(key + 1), "a write is read before it is folded");
        }
        assert_eq!(cache.remove(&11), Some(11));
        assert_eq!(cache.get(&11), None);
        assert_eq!(cache.get_or_load(&5_000, || 5), 5);
        assert_eq!(cache.get(&5_000), Some(5));
        assert!(cache.stats().hits() >= 600, "statistics do not wait either");
        stuck.release();
        flush(&cache);
        assert_eq!(cache.len(), 201, "200, the stuck key and the loaded one, less the removed");
    });
}
