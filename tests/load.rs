//! Loads: one loader per key at a time, and everybody who waits gets its outcome.

use crate::support::{Gate, Polled, bounded, cache, flush, ms, on_each_shape, timed};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use tokio::sync::oneshot;

#[test]
fn a_thousand_mixed_callers_load_once() {
    on_each_shape(|shards| {
        const THREADS: usize = 60;
        const TASKS: usize = 940;
        let cache = cache::<String, u64>(shards);
        let loads = Arc::new(AtomicU64::new(0));
        // The loader stands at the gate until every caller is under way.
        let gate = Gate::new();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("runtime");
        let load = {
            let (loads, gate) = (Arc::clone(&loads), gate.clone());
            move || {
                loads.fetch_add(1, Ordering::SeqCst);
                gate.wait_for(THREADS + TASKS);
                42
            }
        };
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (cache, gate, load) = (cache.clone(), gate.clone(), load.clone());
                let caller = async move {
                    gate.arrive();
                    // A task must not block its worker while others have yet to arrive.
                    let load = async { tokio::task::spawn_blocking(load).await.expect("no panic") };
                    cache.get_or_load_async("k", load).await
                };
                runtime.spawn(caller)
            })
            .collect();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    gate.arrive();
                    assert_eq!(cache.get_or_load("k", &load), 42);
                });
            }
        });
        for task in tasks {
            assert_eq!(runtime.block_on(task).expect("no panic"), 42);
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);
        assert_eq!(cache.get("k"), Some(42));
        flush(&cache);
        assert_eq!((cache.stats().loads(), cache.len()), (1, 1));
    });
}

#[test]
fn waiters_share_the_value_of_the_one_loader() {
    on_each_shape(|shards| {
        let cache = cache::<u64, String>(shards);
        let (answer, answered) = oneshot::channel();
        let mut leader =
            Polled::new(cache.get_or_load_async(&1, async { answered.await.expect("sent") }));
        assert!(leader.is_pending());
        let never = || cache.get_or_load_async(&1, async { panic!("a waiter does not load") });
        let mut waiters: Vec<_> = (0..8).map(|_| Polled::new(never())).collect();
        assert!(waiters.iter_mut().all(Polled::is_pending));
        assert_eq!(cache.get(&1), None, "a load in flight is a miss for those who do not wait");
        answer.send("one".to_owned()).expect("waited for");
        assert!(
            waiters.iter_mut().all(Polled::is_pending),
            "nothing is known before the leader runs on"
        );
        assert_eq!(leader.ready(), "one");
        for waiter in &mut waiters {
            assert!(waiter.wakes() > 0, "woken");
            assert_eq!(waiter.ready(), "one");
        }
        assert_eq!(cache.get(&1).as_deref(), Some("one"));
    });
}

#[test]
fn an_error_is_shared_by_all_who_waited_and_not_kept() {
    on_each_shape(|shards| {
        #[derive(Debug, PartialEq)]
        struct Refused(u64);
        let cache = cache::<u64, u64>(shards);
        let (answer, answered) = oneshot::channel();
        let load = async { answered.await.expect("sent") };
        let mut leader = Polled::new(cache.try_get_or_load_async::<_, Refused>(&1, load));
        assert!(leader.is_pending());
        let never = || {
            cache
                .try_get_or_load_async::<_, Refused>(&1, async { panic!("a waiter does not load") })
        };
        let mut waiters: Vec<_> = (0..8).map(|_| Polled::new(never())).collect();
        assert!(waiters.iter_mut().all(Polled::is_pending));
        answer.send(Err(Refused(7))).expect("waited for");
        let error = leader.ready().expect_err("refused");
        assert_eq!(*error, Refused(7));
        for waiter in &mut waiters {
            let shared = waiter.ready().expect_err("refused");
            assert!(Arc::ptr_eq(&error, &shared), "the very same error");
        }
        assert_eq!(cache.get(&1), None);
        assert_eq!(
            cache.try_get_or_load::<_, Refused>(&1, || Ok(5)),
            Ok(5),
            "the next caller loads"
        );
        flush(&cache);
        assert_eq!(
            (cache.stats().load_failures(), cache.stats().loads()),
            (1, 2),
            "{}",
            cache.stats()
        );
    });
}

#[test]
fn a_waiter_for_another_type_of_error_is_answered_too() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        let (answer, answered) = oneshot::channel();
        let load = async { answered.await.expect("sent") };
        let mut leader = Polled::new(cache.try_get_or_load_async::<_, String>(&1, load));
        assert!(leader.is_pending());
        let mut other = Polled::new(cache.try_get_or_load_async::<_, u8>(&1, async { Ok(2) }));
        let mut sure = Polled::new(cache.get_or_load_async(&1, async { 2 }));
        assert!(other.is_pending() && sure.is_pending());
        answer.send(Err("refused".to_owned())).expect("waited for");
        assert_eq!(*leader.ready().expect_err("refused"), "refused");
        // An error that one of them cannot express makes it load for itself.
        assert_eq!(other.finish(), Ok(2));
        assert_eq!(sure.finish(), 2);
    });
}

#[test]
fn when_the_leading_future_panics_a_waiter_leads() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        let (answer, answered) = oneshot::channel::<()>();
        let doomed = async {
            let _ = answered.await;
            panic!("the loader fails")
        };
        let mut leader = Polled::new(cache.get_or_load_async(&1, doomed));
        assert!(leader.is_pending());
        let loads = AtomicU64::new(0);
        let load = || async { loads.fetch_add(1, Ordering::SeqCst) + 10 };
        let waiters: Vec<_> = (0..8)
            .map(|_| {
                let mut waiter = Polled::new(cache.get_or_load_async(&1, load()));
                assert!(waiter.is_pending());
                waiter
            })
            .collect();
        drop(answer);
        let panic = catch_unwind(AssertUnwindSafe(|| leader.poll())).expect_err("its own panic");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"the loader fails"));
        drop(leader);
        for waiter in waiters {
            assert!(waiter.wakes() > 0, "woken");
            assert_eq!(waiter.finish(), 10);
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1, "one of them leads");
    });
}

#[test]
fn when_the_leading_thread_panics_a_waiter_leads() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        for key in 0..20 {
            let gate = Gate::new();
            let loads = AtomicU64::new(0);
            thread::scope(|scope| {
                let leader = scope.spawn(|| {
                    let doomed = || -> u64 {
                        gate.pass();
                        std::panic::resume_unwind(Box::new("the loader fails"))
                    };
                    catch_unwind(AssertUnwindSafe(|| cache.get_or_load(&key, doomed))).is_err()
                });
                gate.wait_for(1);
                let waiter = scope.spawn(|| {
                    cache.get_or_load(&key, || loads.fetch_add(1, Ordering::SeqCst) + 10)
                });
                let mut task =
                    Polled::new(cache.get_or_load_async(&key, async {
                        loads.fetch_add(1, Ordering::SeqCst) + 10
                    }));
                assert!(task.is_pending());
                gate.open();
                assert!(leader.join().expect("caught"), "the leader gets its own panic");
                assert_eq!(task.finish(), 10);
                assert_eq!(waiter.join().expect("no panic"), 10);
            });
            assert_eq!(loads.load(Ordering::SeqCst), 1);
        }
    });
}

#[test]
fn a_thread_waits_for_a_task() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        let (answer, answered) = oneshot::channel();
        let mut leader =
            Polled::new(cache.get_or_load_async(&1, async { answered.await.expect("sent") }));
        assert!(leader.is_pending());
        let gate = Gate::new();
        thread::scope(|scope| {
            let waiters: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        gate.arrive();
                        cache.get_or_load(&1, || panic!("a waiter does not load"))
                    })
                })
                .collect();
            gate.wait_for(4);
            answer.send(11).expect("waited for");
            assert_eq!(leader.ready(), 11);
            for waiter in waiters {
                assert_eq!(waiter.join().expect("no panic"), 11);
            }
        });
    });
}

#[test]
fn a_task_waits_for_a_thread() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        let gate = Gate::new();
        thread::scope(|scope| {
            let leader = scope.spawn(|| {
                cache.get_or_load(&1, || {
                    gate.pass();
                    11
                })
            });
            gate.wait_for(1);
            let mut waiter = Polled::new(cache.get_or_load_async(&1, pending()));
            assert!(waiter.is_pending());
            gate.open();
            assert_eq!(leader.join().expect("no panic"), 11);
            assert!(waiter.wakes() > 0, "woken");
            assert_eq!(waiter.ready(), 11);
        });
    });
}

#[test]
fn a_hit_runs_no_loader() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        cache.insert(1, 1);
        for _ in 0..2 {
            assert_eq!(cache.get_or_load(&1, || panic!("a hit does not load")), 1);
            assert_eq!(cache.try_get_or_load::<_, u8>(&1, || panic!("a hit does not load")), Ok(1));
            assert_eq!(Polled::new(cache.get_or_load_async(&1, pending())).ready(), 1);
            assert_eq!(
                Polled::new(cache.try_get_or_load_async::<_, u8>(&1, pending())).ready(),
                Ok(1)
            );
            flush(&cache);
        }
        let stats = cache.stats();
        assert_eq!((stats.hits(), stats.misses(), stats.loads()), (8, 0, 0));
    });
}

#[test]
fn loads_of_different_keys_do_not_wait_for_each_other() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        let mut stuck = Polled::new(cache.get_or_load_async(&0, pending()));
        assert!(stuck.is_pending());
        // Far more keys than the pending table has slots: many share the slot of the stuck one.
        for key in 1..5_000 {
            assert_eq!(cache.get_or_load(&key, || key), key);
            assert_eq!(cache.get(&key), Some(key));
        }
        flush(&cache);
        assert!((1..5_000).all(|key| cache.get(&key) == Some(key)));
        assert!(stuck.is_pending(), "an unfinished load outlives every fold");
        cache.insert(0, 9);
        assert_eq!(cache.get(&0), Some(9));
    });
}

#[test]
fn a_loaded_value_is_visible_to_every_thread_at_once() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        for key in 0..200 {
            assert_eq!(cache.get_or_load(&key, || key + 1), key + 1);
            thread::scope(|scope| {
                scope.spawn(|| assert_eq!(cache.get(&key), Some(key + 1)));
            });
            assert_eq!(cache.remove(&key), Some(key + 1));
            assert_eq!(cache.get(&key), None);
        }
    });
}

#[test]
fn a_sound_cache_loads_inside_a_runtime_of_one_thread() {
    bounded(|| {
        let (_, builder) = timed::<u64, u64>(1);
        let cache = builder.time_to_live(ms(10)).build().expect("valid");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let total: u64 = runtime.block_on(async {
            let callers = (0..100).map(|caller| {
                let cache = cache.clone();
                tokio::spawn(async move {
                    cache
                        .get_or_load_async(&(caller % 10), async {
                            tokio::task::yield_now().await;
                            1
                        })
                        .await
                })
            });
            let mut total = 0;
            for caller in callers.collect::<Vec<_>>() {
                total += caller.await.expect("no panic");
            }
            total
        });
        assert_eq!(total, 100);
        assert_eq!(cache.stats().loads(), 10);
    });
}
