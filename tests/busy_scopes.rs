//! Scopes that are read so much that look-ups go the short way, at every depth of the tree.

use crate::support::{builder, flush, on_each_shape};
use cacheado::{CacheHandle, ScopeTree};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

type Cache = CacheHandle<u64, u64>;
type Path = Vec<(String, u64)>;

/// More than it takes, of hits and of misses; a flush later the scope goes the short way.
const MUCH: u64 = 6_000;

/// A cache whose tree has one chain of so many levels, and the path to a scope of the last.
fn chain(levels: usize, shards: usize) -> (Cache, Path) {
    let names: Vec<String> = (0..levels).map(|level| format!("level{level}")).collect();
    let tree = ScopeTree::new([names.join("/")]).expect("valid levels");
    let cache = builder(shards).scopes(tree).build().expect("valid settings");
    (cache, names.into_iter().map(|name| (name, 1)).collect())
}

#[test]
fn a_busy_scope_sees_the_eviction_of_any_level_above_it() {
    on_each_shape(|shards| {
        for levels in 1..=9 {
            let (cache, path) = chain(levels, shards);
            let scope = cache.scope(path.clone()).expect("a right path");
            scope.insert(1, 1);
            flush(&cache);
            for _ in 0..MUCH {
                assert_eq!((scope.get(&1), scope.get(&2)), (Some(1), None));
            }
            flush(&cache);
            for depth in 1..=levels {
                let above = cache.scope(path[..depth].to_vec()).expect("a right path");
                let evicted = above.evict();
                let what = format!("{levels} levels, evicted the {depth}.");
                assert_eq!((scope.get(&1), scope.pin().get(&1).copied()), (None, None), "{what}");
                scope.insert(1, 1);
                assert_eq!(scope.get(&1), Some(1), "{what}");
                assert_eq!(evicted.wait().expect("shards live"), 1, "{what}");
                flush(&cache);
                assert_eq!(scope.get(&1), Some(1), "{what}");
            }
            let cleared = cache.clear();
            assert_eq!(scope.get(&1), None);
            assert_eq!(cleared.wait().expect("shards live"), 1);
            let (own, evictions) = (scope.stats().own(), levels as u64);
            assert_eq!(own.hits(), MUCH + 2 * evictions);
            assert_eq!(own.misses(), MUCH + 2 * evictions + 1);
        }
    });
}

#[test]
fn an_eviction_elsewhere_takes_nothing_from_a_busy_scope() {
    on_each_shape(|shards| {
        for levels in [1, 3, 6] {
            let (cache, path) = chain(levels, shards);
            let scope = cache.scope(path.clone()).expect("a right path");
            scope.insert(1, 1);
            flush(&cache);
            for _ in 0..MUCH {
                assert_eq!((scope.get(&1), scope.get(&2)), (Some(1), None));
            }
            flush(&cache);
            let elsewhere = cache.scope([("level0", 2)]).expect("a right path");
            let barrier = Barrier::new(3);
            let hits = thread::scope(|threads| {
                let readers = [(); 2].map(|()| {
                    threads.spawn(|| {
                        barrier.wait();
                        let mut hits = 0;
                        while elsewhere.evict().wait().is_ok() && hits < 8_000 {
                            assert_eq!((scope.get(&1), scope.get(&2)), (Some(1), None));
                            assert_eq!(scope.read(&1, |value| *value), Some(1));
                            assert_eq!(scope.pin().get(&1), Some(&1));
                            assert_eq!(scope.get_or_load(&1, || unreachable!("it is there")), 1);
                            hits += 4;
                        }
                        hits
                    })
                });
                barrier.wait();
                for key in 0..2_000 {
                    elsewhere.insert(key, key);
                    drop(elsewhere.evict());
                    assert_eq!(scope.get(&1), Some(1));
                }
                2_000 + readers.into_iter().map(|one| one.join().expect("no panic")).sum::<u64>()
            });
            assert_eq!(scope.stats().own().hits(), MUCH + hits);
            assert_eq!(scope.stats().own().misses(), MUCH + (hits - 2_000) / 4);
        }
    });
}

#[test]
fn each_read_is_counted_once_while_a_scope_becomes_busy_and_after_its_end() {
    on_each_shape(|shards| {
        for levels in [2, 3, 4, 6] {
            for threads in [2, 8, 90] {
                let (cache, path) = chain(levels, shards);
                let above = cache.scope(path[..levels - 1].to_vec()).expect("a right path");
                let mut total = 0;
                for round in 0..2 {
                    let mut path = path.clone();
                    path[levels - 1].1 = round;
                    let scope = cache.scope(path.clone()).expect("a right path");
                    scope.insert(1, 1);
                    let each = 4 * (MUCH / threads);
                    read_from(threads, each, &scope);
                    total += threads * each / 2;
                    let own = scope.stats().own();
                    let expected = threads * each / 2;
                    assert_eq!((own.hits(), own.misses()), (expected, expected));
                    drop(scope);
                    cache.evict_scope(path).expect("a right path").wait().expect("shards live");
                    flush(&cache);
                    let subtree = above.stats().subtree();
                    assert_eq!((subtree.hits(), subtree.misses()), (total, total));
                    let all = cache.stats();
                    assert_eq!((all.hits(), all.misses()), (total, total));
                }
            }
        }
    });
}

/// A sum over a subtree is between what had been read before and what was read after, whatever ends meanwhile.
#[test]
fn a_sum_misses_no_scope_that_ends_and_has_none_twice() {
    const SESSIONS: u64 = 3_000;
    on_each_shape(|shards| {
        let (cache, path) = chain(3, shards);
        let above = cache.scope(path[..1].to_vec()).expect("a right path");
        let [begun, done] = [(); 2].map(|()| AtomicU64::new(0));
        thread::scope(|threads| {
            for thread in 0..2 {
                let (cache, begun, done) = (&cache, &begun, &done);
                let mut path = path.clone();
                threads.spawn(move || {
                    for number in 0..SESSIONS {
                        // Users end, too.
                        (path[1].1, path[2].1) = (number / 4, 2 * number + thread);
                        let session = cache.scope(path.clone()).expect("a right path");
                        begun.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(session.get(&1), None);
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            while done.load(Ordering::SeqCst) < 2 * SESSIONS {
                let least = done.load(Ordering::SeqCst);
                let sums = [
                    above.stats().subtree(),
                    cache
                        .scopes()
                        .wait()
                        .expect("at once")
                        .get(&above.path())
                        .expect("in use")
                        .subtree(),
                ];
                let most = begun.load(Ordering::SeqCst);
                for sum in sums {
                    assert!((least..=most).contains(&sum.misses()), "{least} {sum:?} {most}");
                }
            }
        });
        assert_eq!(above.stats().subtree().misses(), 2 * SESSIONS);
    });
}

/// Reads of every kind, half of them hits, by many threads that begin at once.
fn read_from(threads: u64, each: u64, scope: &cacheado::ScopedHandle<u64, u64>) {
    let barrier = Barrier::new(threads as usize);
    thread::scope(|threads_of_test| {
        for thread in 0..threads {
            let barrier = &barrier;
            threads_of_test.spawn(move || {
                barrier.wait();
                for i in 0..each {
                    match (i + thread) % 4 {
                        0 => assert_eq!(scope.get(&1), Some(1)),
                        1 => assert_eq!(scope.pin().get(&2), None),
                        2 => assert_eq!(scope.get_or_load(&1, || unreachable!("it is there")), 1),
                        _ => assert_eq!(scope.read(&2, |value| *value), None),
                    }
                }
            });
        }
    });
}
