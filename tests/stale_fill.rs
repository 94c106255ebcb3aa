//! A load that began before a write or an invalidation never brings its value back.

use crate::support::{Gate, Polled, cache, flush, on_each_shape};
use cacheado::CacheHandle;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

type Cache = CacheHandle<u64, u64>;
type Overtake = fn(&Cache);

/// What overtakes the load of key 1, and what the cache must say of that key afterwards.
const OVERTAKERS: [(&str, Overtake, Option<u64>); 7] = [
    ("insert", |cache| cache.insert(1, 50), Some(50)),
    ("try_insert", |cache| assert!(cache.try_insert(1, 50).is_ok()), Some(50)),
    ("insert_with_ttl", |cache| cache.insert_with_ttl(1, 50, Duration::MAX), Some(50)),
    ("insert_with_ttl of zero", |cache| cache.insert_with_ttl(1, 50, Duration::ZERO), None),
    ("remove", |cache| assert_eq!(cache.remove(&1), None), None),
    ("clear", |cache| assert_eq!(cache.clear().wait().expect("shards live"), 0), None),
    (
        "insert and remove",
        |cache| {
            cache.insert(1, 50);
            assert_eq!(cache.remove(&1), Some(50));
        },
        None,
    ),
];

#[test]
fn an_overtaken_load_answers_its_waiters_and_stores_nothing() {
    on_each_shape(|shards| {
        for (name, overtake, expected) in OVERTAKERS {
            for folds in 0..8 {
                let cache = cache::<u64, u64>(shards);
                let fold_if = |bit: u32| {
                    if folds & bit != 0 {
                        flush(&cache);
                    }
                };
                let (answer, answered) = oneshot::channel();
                let mut leader = Polled::new(
                    cache.get_or_load_async(&1, async { answered.await.expect("sent") }),
                );
                assert!(leader.is_pending());
                let mut waiter = Polled::new(cache.get_or_load_async(&1, pending()));
                assert!(waiter.is_pending());
                fold_if(1);
                overtake(&cache);
                assert_eq!(cache.get(&1), expected, "{name}, folds {folds:b}: at once");
                fold_if(2);
                answer.send(99).expect("waited for");
                assert_eq!(leader.ready(), 99, "{name}: the leader gets what it loaded");
                assert_eq!(waiter.ready(), 99, "{name}: so does who waited for it");
                assert_eq!(cache.get(&1), expected, "{name}, folds {folds:b}: when loaded");
                fold_if(4);
                flush(&cache);
                assert_eq!(cache.get(&1), expected, "{name}, folds {folds:b}: for ever");
                assert_eq!(cache.len(), u64::from(expected.is_some()), "{name}, folds {folds:b}");
            }
        }
    });
}

#[test]
fn an_overtaken_load_of_a_thread_stores_nothing() {
    on_each_shape(|shards| {
        for (name, overtake, expected) in OVERTAKERS {
            let cache = cache::<u64, u64>(shards);
            let gate = Gate::new();
            thread::scope(|scope| {
                let leader = scope.spawn(|| {
                    cache.get_or_load(&1, || {
                        gate.pass();
                        99
                    })
                });
                gate.wait_for(1);
                overtake(&cache);
                gate.open();
                assert_eq!(leader.join().expect("no panic"), 99, "{name}");
            });
            assert_eq!(cache.get(&1), expected, "{name}");
            flush(&cache);
            assert_eq!(cache.get(&1), expected, "{name}");
        }
    });
}

#[test]
fn nobody_joins_an_overtaken_load() {
    on_each_shape(|shards| {
        for (name, overtake, expected) in OVERTAKERS {
            for folded in [false, true] {
                let cache = cache::<u64, u64>(shards);
                let (answer, answered) = oneshot::channel();
                let mut old = Polled::new(
                    cache.get_or_load_async(&1, async { answered.await.expect("sent") }),
                );
                assert!(old.is_pending());
                overtake(&cache);
                if folded {
                    flush(&cache);
                }
                let fresh = Polled::new(cache.get_or_load_async(&1, async { 77 })).ready();
                assert_eq!(fresh, expected.unwrap_or(77), "{name}: a later caller gets later data");
                answer.send(99).expect("waited for");
                assert_eq!(old.ready(), 99, "{name}");
                assert_eq!(cache.get(&1), Some(fresh), "{name}");
                flush(&cache);
                assert_eq!(cache.get(&1), Some(fresh), "{name}");
            }
        }
    });
}

#[test]
fn an_overtaken_load_that_fails_harms_nobody() {
    on_each_shape(|shards| {
        for (name, overtake, expected) in OVERTAKERS {
            let cache = cache::<u64, u64>(shards);
            let (answer, answered) = oneshot::channel::<Result<u64, u8>>();
            let load = async { answered.await.expect("sent") };
            let mut leader = Polled::new(cache.try_get_or_load_async(&1, load));
            assert!(leader.is_pending());
            overtake(&cache);
            flush(&cache);
            answer.send(Err(3)).expect("waited for");
            assert_eq!(*leader.ready().expect_err("failed"), 3, "{name}");
            let dropped = Polled::new(cache.get_or_load_async(&1, pending())).is_pending();
            assert_eq!(dropped, expected.is_none(), "{name}");
            flush(&cache);
            assert_eq!(cache.get(&1), expected, "{name}");
        }
    });
}

#[test]
fn a_loader_that_writes_its_own_key_is_overtaken_by_that_write() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        let loaded = cache.get_or_load(&1, || {
            cache.insert(1, 7);
            8
        });
        assert_eq!((loaded, cache.get(&1)), (8, Some(7)));
        flush(&cache);
        assert_eq!(cache.get(&1), Some(7));
    });
}

#[test]
fn readers_never_see_data_older_than_the_last_finished_invalidation() {
    on_each_shape(|shards| {
        const ROUNDS: u64 = 3_000;
        let cache = cache::<u64, u64>(shards);
        // The source of truth and the version that every reader may rely on.
        let (truth, floor, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for reader in 0..3 {
                let (cache, truth, floor, done) = (&cache, &truth, &floor, &done);
                scope.spawn(move || {
                    let read = |_: ()| truth.load(Ordering::SeqCst);
                    while !done.load(Ordering::SeqCst) {
                        let least = floor.load(Ordering::SeqCst);
                        let seen = match reader {
                            0 => cache.get_or_load(&1, || read(())),
                            1 => {
                                pollster::block_on(cache.get_or_load_async(&1, async { read(()) }))
                            }
                            _ => cache.get(&1).unwrap_or(least),
                        };
                        assert!(seen >= least, "saw {seen} after {least} was announced");
                    }
                });
            }
            for version in 1..=ROUNDS {
                truth.store(version, Ordering::SeqCst);
                match version % 5 {
                    0 => drop(cache.clear().wait().expect("shards live")),
                    1 => cache.insert(1, version),
                    _ => drop(cache.remove(&1)),
                }
                floor.store(version, Ordering::SeqCst);
                if version % 3 == 0 {
                    thread::yield_now();
                }
            }
            done.store(true, Ordering::SeqCst);
        });
    });
}
