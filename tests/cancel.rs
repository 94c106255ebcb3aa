//! Futures and replies dropped at every point where they can be: nothing is lost, nobody hangs.

use crate::support::{
    Counted, Ledger, Polled, Steps, StuckShard, builder, cache, eventually, flush, on_each_shape,
};
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

#[test]
fn a_future_that_was_never_polled_claims_nothing() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        drop(cache.get_or_load_async(&1, async { panic!("never polled") }));
        let idle = cache.get_or_load_async(&1, async { panic!("never polled") });
        assert_eq!(cache.get_or_load(&1, || 3), 3);
        assert_eq!(cache.stats().misses(), 1, "a future does nothing before its first poll");
        drop(idle);
    });
}

#[test]
fn a_leader_dropped_after_any_poll_hands_over() {
    on_each_shape(|shards| {
        let ledger = Ledger::new();
        let cache = builder::<u64, Counted>(shards).build().expect("valid");
        let mut key = 0;
        for round in 0..40 {
            for polls in 1..=5 {
                key += 1;
                let load = async {
                    let held = ledger.value(0);
                    Steps(5).await;
                    held
                };
                let mut leader = Polled::new(cache.get_or_load_async(&key, load));
                assert!((0..polls).all(|_| leader.is_pending()));
                let mut waiters: Vec<_> = (1..=8)
                    .map(|id| {
                        let ledger = &ledger;
                        let load = async move {
                            Steps(2).await;
                            ledger.value(100 + id)
                        };
                        Polled::new(cache.get_or_load_async(&key, load))
                    })
                    .collect();
                assert!(waiters.iter_mut().all(Polled::is_pending));
                if round % 2 == 0 {
                    flush(&cache);
                }
                drop(leader);
                assert!(
                    waiters.iter().any(|waiter| waiter.wakes() > 0),
                    "a waiter is told to lead"
                );
                let mut outcomes = waiters.into_iter().rev().map(|waiter| waiter.finish().id);
                let first = outcomes.next().expect("eight waiters");
                assert!(first > 100, "a waiter's own loader ran");
                assert!(outcomes.all(|id| id == first), "one of them led for all");
                assert_eq!(cache.get(&key).map(|value| value.id), Some(first));
            }
        }
        drop(cache);
        eventually("no value is lost", || ledger.live() == 0);
    });
}

#[test]
fn one_leader_after_the_other_may_go() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        let futures = (0..10).map(|caller| {
            Polled::new(cache.get_or_load_async(&1, async move {
                Steps(1).await;
                caller
            }))
        });
        let mut futures: Vec<_> = futures.collect();
        for _ in 0..9 {
            assert!(
                futures.iter_mut().all(Polled::is_pending),
                "each poll finds the leader or leads"
            );
            drop(futures.remove(0));
        }
        assert_eq!(futures.remove(0).finish(), 9);
        assert_eq!(cache.get(&1), Some(9));
    });
}

#[test]
fn a_thread_takes_over_from_a_dropped_task() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        for key in 0..100 {
            let mut leader = Polled::new(cache.get_or_load_async(&key, pending()));
            assert!(leader.is_pending());
            thread::scope(|scope| {
                let waiters: Vec<_> =
                    (0..3).map(|_| scope.spawn(|| cache.get_or_load(&key, || key + 1))).collect();
                thread::yield_now();
                drop(leader);
                for waiter in waiters {
                    assert_eq!(waiter.join().expect("no panic"), key + 1);
                }
            });
        }
    });
}

#[test]
fn dropped_waiters_harm_nobody() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        for round in 0..50 {
            let mut leader = Polled::new(cache.get_or_load_async(&round, async {
                Steps(3).await;
                5
            }));
            assert!(leader.is_pending());
            let mut waiters: Vec<_> =
                (0..8).map(|_| Polled::new(cache.get_or_load_async(&round, pending()))).collect();
            for polls in 0..8usize {
                assert!(waiters.iter_mut().take(polls).all(Polled::is_pending));
            }
            waiters.truncate((round % 7) as usize);
            assert_eq!(leader.finish(), 5);
            for waiter in &mut waiters {
                assert_eq!(waiter.ready(), 5);
            }
        }
    });
}

#[test]
fn a_waiter_polled_by_another_task_wakes_that_one() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        let mut leader = Polled::new(cache.get_or_load_async(&1, async {
            Steps(1).await;
            5
        }));
        assert!(leader.is_pending());
        let mut waiter = Box::pin(cache.get_or_load_async(&1, pending()));
        let mut first = Polled::new(std::future::poll_fn(|context| waiter.as_mut().poll(context)));
        assert!(first.is_pending());
        drop(first);
        let mut second = Polled::new(std::future::poll_fn(|context| waiter.as_mut().poll(context)));
        assert!(second.is_pending());
        assert_eq!(leader.ready(), 5);
        assert!(second.wakes() > 0, "the latest waker counts");
        assert_eq!(second.ready(), 5);
    });
}

#[test]
fn a_dropped_reply_does_not_cancel_its_command() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        for round in 0..100 {
            cache.insert(round, round);
            let mut cleared = Polled::new(cache.clear());
            if round % 2 == 0 {
                let _ = cleared.poll();
            }
            drop(cleared);
            drop(cache.flush());
            drop(cache.ready());
            drop(cache.entries());
            assert_eq!(cache.get(&round), None);
        }
        flush(&cache);
        assert_eq!((cache.len(), cache.stats().invalidations()), (0, 100));
    });
}

#[test]
fn replies_dropped_while_the_shard_is_stuck_harm_nobody() {
    on_each_shape(|shards| {
        let (gate, builder) = StuckShard::prepare(builder::<u64, u64>(shards));
        let cache = builder.build().expect("valid");
        let stuck = StuckShard::hold(&cache, gate, 1, 1);
        let mut replies: Vec<_> = (0..50).map(|_| Polled::new(cache.flush())).collect();
        assert!(replies.iter_mut().all(Polled::is_pending));
        replies.truncate(25);
        stuck.release();
        for reply in replies {
            reply.finish().expect("shards live");
        }
    });
}

#[test]
fn every_caller_is_answered_under_random_cancellation() {
    on_each_shape(|shards| {
        let cache = cache::<u64, u64>(shards);
        let (answered, cancelled) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for me in 0..4u64 {
                let (cache, answered, cancelled) = (&cache, &answered, &cancelled);
                scope.spawn(move || {
                    for round in 0..1_500u64 {
                        let (key, patience) = (round / 20, (round * 7 + me * 3) % 5);
                        let steps = (round + me) % 3;
                        let mut caller = Polled::new(cache.get_or_load_async(&key, async move {
                            Steps(steps as u32).await;
                            key
                        }));
                        let outcome = (0..patience).find_map(|_| match caller.poll() {
                            std::task::Poll::Ready(value) => Some(value),
                            std::task::Poll::Pending => None,
                        });
                        let value = outcome.or_else(|| (round % 2 == 0).then(|| caller.finish()));
                        assert_eq!(value.unwrap_or(key), key);
                        let count = if value.is_some() { answered } else { cancelled };
                        count.fetch_add(1, Ordering::SeqCst);
                        if round % 20 == 19 {
                            cache.remove(&key);
                        }
                    }
                });
            }
        });
        assert_eq!(answered.into_inner() + cancelled.into_inner(), 6_000);
        assert!((0..75).all(|key| cache.get_or_load(&key, || key) == key), "no key is stuck");
    });
}
