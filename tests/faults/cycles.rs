//! Loads that wait for themselves, or for each other.

use crate::report::{Row, times};
use crate::support::{Polled, Steps, bounded, builder, cache};
use cacheado::CacheHandle;
use std::future::poll_fn;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::thread;

type Cache = CacheHandle<u64, u64>;

#[test]
fn a_loader_loads_its_own_key() {
    bounded(|| {
        let cache: Cache = cache(2);
        let rounds = times(1_000);
        let mut answered = 0;
        for key in 0..rounds {
            let value = if key % 2 == 0 {
                cache.get_or_load(&key, || cache.get_or_load(&key, || 1) + 1)
            } else {
                let inner = cache.get_or_load_async(&key, async { 1 });
                let outer = cache.get_or_load_async(&key, async { inner.await + 1 });
                pollster::block_on(outer)
            };
            answered += u64::from(value == 2 && cache.get(&key) == Some(2));
        }
        Row {
            fault: "a loader loads its own key",
            injected: rounds,
            lost: rounds - answered,
            outcome: "the inner loader runs uncached".into(),
        }
        .report(a_loader_loads_its_own_key);
    });
}

/// A ring of loads, each of which loads the key of the next while its own is under way.
fn ring_of_threads(cache: &Cache, keys: &[u64]) -> u64 {
    let all_lead = Barrier::new(keys.len());
    thread::scope(|scope| {
        let threads: Vec<_> = (0..keys.len())
            .map(|me| {
                let (all_lead, next) = (&all_lead, keys[(me + 1) % keys.len()]);
                scope.spawn(move || {
                    cache.get_or_load(&keys[me], || {
                        all_lead.wait();
                        cache.get_or_load(&next, || 1) + 1
                    })
                })
            })
            .collect();
        threads.into_iter().map(|thread| u64::from(thread.join().expect("no panic") > 1)).sum()
    })
}

#[test]
fn loads_of_several_threads_wait_for_each_other() {
    bounded(|| {
        let cache: Cache = cache(2);
        // A thousand circles of two, and one of three after every four of them.
        let (rounds, mut key, mut asked, mut answered) = (times(1_250), 0, 0, 0);
        for round in 0..rounds {
            let length = if round % 5 == 4 { 3 } else { 2 };
            let keys: Vec<u64> = (key..key + length).collect();
            key += length;
            asked += length;
            answered += ring_of_threads(&cache, &keys);
            assert!(keys.iter().all(|key| cache.contains_key(key)), "each is stored");
        }
        Row {
            fault: "loads of 2 or 3 threads wait for each other in a circle",
            injected: rounds,
            lost: asked - answered,
            outcome: "who closes the circle runs its loader uncached".into(),
        }
        .report(loads_of_several_threads_wait_for_each_other);
    });
}

/// A load that first reports itself under way and then loads other keys at the same time.
async fn load_beside(cache: &Cache, key: u64, others: &[u64]) -> u64 {
    let loader = async {
        Steps(1).await;
        let mut inner: Vec<_> = others
            .iter()
            .map(|other| Box::pin(cache.get_or_load_async(other, async { 1 })))
            .collect();
        let mut sum = 1;
        poll_fn(|cx| {
            inner.retain_mut(|load| match load.as_mut().poll(cx) {
                Poll::Ready(value) => {
                    sum += value;
                    false
                }
                Poll::Pending => true,
            });
            if inner.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        sum
    };
    cache.get_or_load_async(&key, loader).await
}

#[test]
fn loads_of_several_tasks_wait_for_each_other() {
    bounded(|| {
        // Nobody waits for room, so each poll goes as far as the loads allow.
        let cache: Cache = builder(2).backlog(usize::MAX).build().expect("valid");
        let (rounds, mut asked, mut answered) = (times(1_000), 0, 0);
        for round in 0..rounds {
            // Each waits for both others at once: six waits, five circles.
            let keys: Vec<u64> = (round * 3..round * 3 + 3).collect();
            let others = |me: usize| [keys[(me + 1) % 3], keys[(me + 2) % 3]];
            let others = [others(0), others(1), others(2)];
            let mut tasks: Vec<_> =
                (0..3).map(|me| Polled::new(load_beside(&cache, keys[me], &others[me]))).collect();
            assert!(tasks.iter_mut().all(Polled::is_pending), "all lead");
            asked += 3;
            // So many polls suffice however they depend on each other; a deadlock needs for ever.
            for _ in 0..10 {
                tasks.retain_mut(|task| task.poll().is_pending());
            }
            answered += 3 - tasks.len() as u64;
        }
        Row {
            fault: "loads of 3 tasks wait for each other, each for both others",
            injected: rounds,
            lost: asked - answered,
            outcome: "who closes a circle runs its loader uncached".into(),
        }
        .report(loads_of_several_tasks_wait_for_each_other);
    });
}

#[test]
fn loads_of_two_caches_wait_for_each_other() {
    bounded(|| {
        let (first, second): (Cache, CacheHandle<String, String>) = (cache(1), cache(1));
        let (rounds, mut answered) = (times(1_000), 0);
        for round in 0..rounds {
            let (name, both_lead) = (round.to_string(), Barrier::new(2));
            thread::scope(|scope| {
                let one = scope.spawn(|| {
                    first.get_or_load(&round, || {
                        both_lead.wait();
                        second.get_or_load(&name, || "inner".into()).len() as u64
                    })
                });
                let two = second.get_or_load(&name, || {
                    both_lead.wait();
                    first.get_or_load(&round, || 7).to_string()
                });
                answered +=
                    u64::from(one.join().expect("no panic") > 0) + u64::from(!two.is_empty());
            });
        }
        Row {
            fault: "loads of 2 caches wait for each other",
            injected: rounds,
            lost: rounds * 2 - answered,
            outcome: "as within one cache".into(),
        }
        .report(loads_of_two_caches_wait_for_each_other);
    });
}

#[test]
fn a_chain_of_loads_that_is_no_circle_is_loaded_once() {
    bounded(|| {
        let cache: Cache = builder(1).backlog(usize::MAX).build().expect("valid");
        let loads = AtomicU64::new(0);
        let rounds = times(500);
        for round in 0..rounds {
            let (inner, outer) = (round * 3, [round * 3 + 1, round * 3 + 2]);
            let mut leader = Polled::new(cache.get_or_load_async(&inner, async {
                Steps(1).await;
                loads.fetch_add(1, Ordering::SeqCst);
                5
            }));
            assert!(leader.is_pending());
            let mut waiting: Vec<_> = outer
                .iter()
                .map(|key| Polled::new(load_beside(&cache, *key, std::slice::from_ref(&inner))))
                .collect();
            for _ in 0..2 {
                assert!(waiting.iter_mut().all(Polled::is_pending), "both wait for the inner load");
            }
            assert_eq!(leader.ready(), 5);
            assert!(waiting.iter_mut().all(|task| task.ready() == 6));
        }
        assert_eq!(loads.into_inner(), rounds, "nobody loaded it a second time");
    });
}
