//! The end: the last handle stops the threads, everything is answered, told and dropped once.

use crate::support::{
    Counted, Gate, Ledger, Polled, StuckShard, Told, bounded, builder, eventually, flush, ms,
    on_each_shape, timed,
};
use cacheado::CacheHandle;
use crossbeam_channel::RecvTimeoutError;
use std::future::pending;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

#[test]
fn queued_writes_are_dropped_exactly_once() {
    on_each_shape(|shards| {
        for round in 0..200 {
            let ledger = Ledger::new();
            let cache = builder::<u64, Counted>(shards).max_capacity(50).build().expect("valid");
            thread::scope(|scope| {
                for me in 0..2 {
                    let (cache, ledger) = (cache.clone(), &ledger);
                    scope.spawn(move || {
                        for key in 0..(round % 40) * 3 {
                            cache.insert(key * 2 + me, ledger.value(key));
                            if key % 3 == 0 {
                                cache.remove(&(key * 2 + me));
                            }
                        }
                    });
                }
            });
            drop(cache);
            eventually("all are dropped", || ledger.live() == 0);
        }
    });
}

#[test]
fn a_stuck_shard_delays_the_end_and_loses_nothing() {
    on_each_shape(|shards| {
        let ledger = Ledger::new();
        let (gate, builder) = StuckShard::prepare(builder::<u64, Counted>(shards));
        let cache = builder.build().expect("valid");
        let stuck = StuckShard::hold(&cache, gate, 0, ledger.value(0));
        for key in 0..500 {
            cache.insert(key, ledger.value(key));
        }
        let replies: Vec<_> = (0..10).map(|_| cache.flush()).collect();
        // Dropping the last handle may wait for the shard, so it must not be this thread's.
        let dropper = thread::spawn(move || drop(cache));
        stuck.release();
        dropper.join().expect("no panic");
        for reply in replies {
            reply.wait().expect("answered, though the handle has gone");
        }
        eventually("all are dropped", || ledger.live() == 0);
    });
}

#[test]
fn replies_outlive_the_handle() {
    on_each_shape(|shards| {
        for round in 0..200 {
            let cache = builder::<u64, u64>(shards).build().expect("valid");
            (0..round % 50).for_each(|key| cache.insert(key, key));
            let entries = (round % 3 == 0).then(|| cache.entries());
            // A clear shows at once, so it would empty a snapshot that is still to be taken.
            let cleared = (round % 3 == 1).then(|| cache.clear());
            let mut flushed = Polled::new(cache.flush());
            let open = round % 2 == 1 || flushed.is_pending();
            drop(cache);
            if open {
                flushed.finish().expect("answered");
            }
            let pairs = entries.map(|entries| entries.wait().expect("answered").len() as u64);
            assert!(pairs.is_none_or(|pairs| pairs == round % 50), "{pairs:?} in round {round}");
            let cleared = cleared.map(|cleared| cleared.wait().expect("answered"));
            assert!(
                cleared.is_none_or(|cleared| cleared == round % 50),
                "{cleared:?} in round {round}"
            );
        }
    });
}

#[test]
fn handles_dropped_by_many_threads_at_once_end_the_cache_once() {
    on_each_shape(|shards| {
        for _ in 0..100 {
            let ledger = Ledger::new();
            let cache = builder::<u64, Counted>(shards).build().expect("valid");
            let threads: Vec<_> = (0..4)
                .map(|me| {
                    let (cache, ledger) = (cache.clone(), ledger.clone());
                    thread::spawn(move || {
                        (0..20).for_each(|key| cache.insert(key, ledger.value(me)));
                        let reply = cache.flush();
                        drop(cache);
                        reply.wait().expect("answered");
                    })
                })
                .collect();
            drop(cache);
            threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
            eventually("all are dropped", || ledger.live() == 0);
        }
    });
}

#[test]
fn what_is_still_stored_at_the_end_has_not_departed() {
    on_each_shape(|shards| {
        let told = Told::new();
        let cache = told.listen(builder::<u64, u64>(shards)).build().expect("valid");
        let events = cache.events();
        for key in 0..300 {
            cache.insert(key, key);
        }
        assert_eq!(cache.remove(&1), Some(1));
        drop(cache);
        let limit = Duration::from_secs(30);
        let seen: Vec<u64> = std::iter::from_fn(|| events.recv_timeout(limit).ok())
            .map(|event| *event.key())
            .collect();
        assert_eq!(
            events.recv_timeout(limit).err(),
            Some(RecvTimeoutError::Disconnected),
            "the stream ends"
        );
        let listened: Vec<u64> = told.take().into_iter().map(|(key, ..)| key).collect();
        assert_eq!(listened, seen);
        assert!(seen.is_empty() || seen == [1], "only the removed entry may be told: {seen:?}");
    });
}

#[test]
fn events_outlive_the_cache() {
    on_each_shape(|shards| {
        let ledger = Ledger::new();
        let cache = builder::<u64, Counted>(shards).build().expect("valid");
        let events = cache.events();
        for key in 0..50 {
            cache.insert(key, ledger.value(key));
            flush(&cache);
            cache.remove(&key);
        }
        flush(&cache);
        drop(cache);
        eventually("the events keep their values", || ledger.live() == 50);
        let mut keys: Vec<u64> = events.iter().map(|event| event.value().id).collect();
        keys.sort_unstable();
        assert_eq!(keys, (0..50).collect::<Vec<_>>());
        eventually("and then nobody does", || ledger.live() == 0);
    });
}

/// A value that holds a handle to the cache it is stored in.
struct Holder {
    _cache: CacheHandle<u64, Arc<Holder>>,
    _value: Counted,
}

#[test]
fn the_last_handle_may_go_on_a_shard_thread_with_a_value() {
    on_each_shape(|shards| {
        let ledger = Ledger::new();
        let (clock, builder) = timed::<u64, Arc<Holder>>(shards);
        let cache = builder.build().expect("valid");
        for key in 0..20 {
            let holder = Holder { _cache: cache.clone(), _value: ledger.value(key) };
            cache.insert_with_ttl(key, Arc::new(holder), ms(1_000 + key));
        }
        flush(&cache);
        drop(cache);
        assert_eq!(ledger.live(), 20, "the values keep their own cache alive");
        clock.advance(ms(5_000));
        eventually("the cache ends by itself", || ledger.live() == 0);
    });
}

#[test]
fn the_last_handle_may_go_on_a_shard_thread_in_the_listener() {
    on_each_shape(|shards| {
        let ledger = Ledger::new();
        let slot: Arc<Mutex<Option<CacheHandle<u64, Counted>>>> = Arc::default();
        let inner = Arc::downgrade(&slot);
        let (clock, builder) = timed::<u64, Counted>(shards);
        let builder = builder.removal_listener(move |_: &u64, _: &Counted, _| {
            let slot = Weak::upgrade(&inner);
            let last = slot.and_then(|slot| slot.lock().expect("no poison").take());
            if let Some(cache) = last {
                cache.insert(1_000, cache.get(&1).expect("stored"));
                drop(cache);
            }
        });
        let cache = builder.build().expect("valid");
        cache.insert_with_ttl(0, ledger.value(0), ms(10));
        (1..50).for_each(|key| cache.insert(key, ledger.value(key)));
        flush(&cache);
        *slot.lock().expect("no poison") = Some(cache);
        clock.advance(ms(100));
        eventually("all are dropped", || ledger.live() == 0);
        assert!(slot.lock().expect("no poison").is_none());
    });
}

#[test]
fn a_load_may_outlast_all_other_handles() {
    on_each_shape(|shards| {
        for _ in 0..50 {
            let ledger = Ledger::new();
            let gate = Gate::new();
            let cache = builder::<u64, Counted>(shards).build().expect("valid");
            let leader = thread::spawn({
                let (cache, gate, ledger) = (cache.clone(), gate.clone(), ledger.clone());
                move || {
                    cache
                        .get_or_load(&1, || {
                            gate.pass();
                            ledger.value(9)
                        })
                        .id
                }
            });
            gate.wait_for(1);
            let cancelled = {
                let cache = cache.clone();
                let mut waiter =
                    Polled::new(async move { cache.get_or_load_async(&1, pending()).await.id });
                waiter.is_pending()
            };
            assert!(cancelled);
            drop(cache);
            gate.open();
            assert_eq!(leader.join().expect("no panic"), 9);
            eventually("all are dropped", || ledger.live() == 0);
        }
    });
}

#[cfg(target_os = "linux")]
mod threads {
    use super::*;
    use std::process::Command;

    fn count() -> usize {
        std::fs::read_dir("/proc/self/task").expect("procfs").count()
    }

    /// Runs an ignored test of this binary in a process of its own, where no other test starts threads.
    fn alone(test: &str) {
        let binary = std::env::current_exe().expect("this binary");
        let outcome =
            Command::new(binary).args([test, "--exact", "--ignored", "--test-threads=1"]).output();
        let output = outcome.expect("started");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("1 passed"), "{text}");
    }

    #[test]
    fn none_is_left_behind() {
        alone("shutdown::threads::alone_none_is_left_behind");
    }

    #[test]
    #[ignore = "needs a process of its own; `none_is_left_behind` starts it"]
    fn alone_none_is_left_behind() {
        bounded(|| {
            let before = count();
            for shards in [1, 4] {
                let caches: Vec<_> =
                    (0..5).map(|_| builder::<u64, u64>(shards).build().expect("valid")).collect();
                assert_eq!(count(), before + 5 * shards, "a thread for each shard");
                for cache in &caches {
                    (0..1_000).for_each(|key| cache.insert(key, key));
                }
                drop(caches);
                eventually("every thread ends", || count() == before);
            }
        });
    }

    #[test]
    fn none_is_left_behind_by_a_cache_that_ends_itself() {
        alone("shutdown::threads::alone_a_cache_that_ends_itself");
    }

    #[test]
    #[ignore = "needs a process of its own; `none_is_left_behind_by_a_cache_that_ends_itself` starts it"]
    fn alone_a_cache_that_ends_itself() {
        bounded(|| {
            let before = count();
            let ledger = Ledger::new();
            let (clock, builder) = timed::<u64, Arc<Holder>>(4);
            let cache = builder.build().expect("valid");
            let holder = Holder { _cache: cache.clone(), _value: ledger.value(1) };
            cache.insert_with_ttl(1, Arc::new(holder), ms(10));
            drop(cache);
            clock.advance(ms(100));
            eventually("every thread ends", || count() == before);
            assert_eq!(ledger.live(), 0);
        });
    }

    #[test]
    fn none_is_left_behind_by_a_refused_cache() {
        alone("shutdown::threads::alone_a_refused_cache");
    }

    #[test]
    #[ignore = "needs a process of its own; `none_is_left_behind_by_a_refused_cache` starts it"]
    fn alone_a_refused_cache() {
        bounded(|| {
            let before = count();
            for _ in 0..20 {
                assert!(
                    CacheHandle::<u64, u64>::builder().shards(4).max_capacity(0).build().is_err()
                );
            }
            eventually("no thread was started, or all have ended", || count() == before);
        });
    }
}
