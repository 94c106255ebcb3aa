//! Loaders that panic, fail or are cancelled while eight callers wait.

use crate::report::{Row, times};
use crate::support::{Counted, Ledger, Polled, Steps, bounded, builder, eventually};
use cacheado::CacheHandle;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

type Cache = CacheHandle<u64, Counted>;
type Outcome = Result<Counted, Arc<&'static str>>;

const WAITERS: u64 = 8;

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Panic,
    Error,
    Cancel,
}

fn burst() -> ! {
    resume_unwind(Box::new("by order of the test"))
}

/// What came of many faults.
#[derive(Default)]
struct Tally {
    faults: u64,
    answered: u64,
    /// Loaders that ran in the place of one that failed.
    retried: u64,
}

impl Tally {
    #[track_caller]
    fn report<T>(self, fault: &'static str, outcome: &str, test: T) {
        let lost = self.faults * WAITERS - self.answered;
        Row { fault, injected: self.faults, lost, outcome: outcome.into() }.report(test);
    }
}

#[test]
fn a_loader_panics_and_tasks_wait() {
    bounded(|| {
        let tally = afflict_tasks(Fault::Panic);
        assert_eq!(tally.retried, tally.faults, "one of the waiters loads");
        let fault = "a loader panics, 8 tasks wait";
        let outcome = "its caller has the panic; one waiter loads, all 8 have its value";
        tally.report(fault, outcome, a_loader_panics_and_tasks_wait);
    });
}

#[test]
fn a_loader_fails_and_tasks_wait() {
    bounded(|| {
        let tally = afflict_tasks(Fault::Error);
        assert_eq!(tally.retried, 0, "the error is everybody's");
        let fault = "a loader returns an error, 8 tasks wait";
        let outcome = "all 8 have the same error; the next caller loads again";
        tally.report(fault, outcome, a_loader_fails_and_tasks_wait);
    });
}

#[test]
fn a_load_is_cancelled_and_tasks_wait() {
    bounded(|| {
        let tally = afflict_tasks(Fault::Cancel);
        assert_eq!(tally.retried, tally.faults, "one of the waiters loads");
        let fault = "a loading task is dropped, 8 tasks wait";
        let outcome = "one waiter loads, all 8 have its value";
        tally.report(fault, outcome, a_load_is_cancelled_and_tasks_wait);
    });
}

/// Each round: a leader that is under way, eight waiters, the fault.
fn afflict_tasks(fault: Fault) -> Tally {
    let (ledger, retried) = (Ledger::new(), AtomicU64::new(0));
    // Nobody waits for room, so each poll goes as far as the loads allow.
    let cache: Cache = builder(1).backlog(usize::MAX).build().expect("valid");
    let mut tally = Tally::default();
    for key in 0..times(10_000) {
        let mut leader = Polled::new(cache.try_get_or_load_async(&key, async {
            Steps(1).await;
            match fault {
                Fault::Panic => burst(),
                Fault::Error => Err("by order of the test"),
                Fault::Cancel => pending().await,
            }
        }));
        assert!(leader.is_pending());
        let mut waiters: Vec<_> = (0..WAITERS)
            .map(|_| {
                Polled::new(cache.try_get_or_load_async(&key, async {
                    Steps(1).await;
                    retried.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, &'static str>(ledger.value(key))
                }))
            })
            .collect();
        assert!(waiters.iter_mut().all(Polled::is_pending));
        match fault {
            Fault::Panic => assert!(catch_unwind(AssertUnwindSafe(|| leader.poll())).is_err()),
            Fault::Error => assert!(leader.ready().is_err()),
            Fault::Cancel => drop(leader),
        }
        tally.faults += 1;
        assert!(waiters.iter().all(|waiter| waiter.wakes() == 1), "each is told once");
        let mut outcomes = Vec::new();
        if fault == Fault::Error {
            outcomes.extend(waiters.iter_mut().map(Polled::ready));
        } else {
            assert!(waiters.iter_mut().all(Polled::is_pending), "one leads, the others join it");
            outcomes.extend(waiters.iter_mut().map(Polled::ready));
        }
        tally.answered += agreed(&outcomes);
        assert_eq!(cache.contains_key(&key), fault != Fault::Error);
        assert_eq!(cache.get_or_load(&key, || ledger.value(key)).id, key, "it goes on");
    }
    tally.retried = retried.into_inner();
    cache.flush().wait().expect("shards live");
    assert_eq!((cache.stats().panics(), cache.stats().load_failures()), (0, tally.faults));
    drop(cache);
    eventually("no value is lost", || ledger.live() == 0);
    tally
}

/// How many heard of the same load as the first.
fn agreed(outcomes: &[Outcome]) -> u64 {
    let same = |outcome: &&Outcome| match (outcome, &outcomes[0]) {
        (Ok(value), Ok(first)) => value == first,
        (Err(error), Err(first)) => Arc::ptr_eq(error, first),
        _ => false,
    };
    outcomes.iter().filter(same).count() as u64
}

#[test]
fn a_load_ends_badly_and_threads_wait() {
    bounded(|| {
        let mut all = Tally::default();
        for fault in [Fault::Panic, Fault::Error, Fault::Cancel] {
            let tally = afflict_threads(fault);
            // A thread that has counted its miss may still join too late for the error: then it loads.
            let least = if fault == Fault::Error { 0 } else { tally.faults };
            assert!(
                (least..=tally.faults).contains(&tally.retried),
                "loaded again by one, if at all"
            );
            all.faults += tally.faults;
            all.answered += tally.answered;
        }
        let fault = "a loader panics, fails or is cancelled, 8 threads wait";
        let outcome = "as for tasks; who joins too late for an error loads";
        all.report(fault, outcome, a_load_ends_badly_and_threads_wait);
    });
}

/// One round after the other, with eight threads that wait for a load before it ends badly.
fn afflict_threads(fault: Fault) -> Tally {
    let (ledger, rounds) = (Ledger::new(), times(2_000));
    let cache: Cache = builder(1).build().expect("valid");
    let (answered, retried) = (AtomicU64::new(0), AtomicU64::new(0));
    let step = Barrier::new(WAITERS as usize + 1);
    thread::scope(|scope| {
        for _ in 0..WAITERS {
            scope.spawn(|| {
                for key in 0..rounds {
                    step.wait();
                    let outcome = cache.try_get_or_load(&key, || {
                        retried.fetch_add(1, Ordering::Relaxed);
                        Ok::<_, &'static str>(ledger.value(key))
                    });
                    let right = match &outcome {
                        Ok(value) => value.id == key,
                        Err(_) => fault == Fault::Error,
                    };
                    answered.fetch_add(u64::from(right), Ordering::Relaxed);
                    step.wait();
                }
            });
        }
        for key in 0..rounds {
            // All who wait have counted their miss; the leader's is one more.
            let all_wait = || cache.stats().misses() >= (key + 1) * (WAITERS + 1);
            let mut leader = Polled::new(cache.try_get_or_load_async(&key, async {
                Steps(1).await;
                match fault {
                    Fault::Panic => burst(),
                    Fault::Error => Err("by order of the test"),
                    Fault::Cancel => pending().await,
                }
            }));
            assert!(leader.is_pending());
            step.wait();
            eventually("all wait", all_wait);
            let ended = catch_unwind(AssertUnwindSafe(|| leader.poll()));
            assert_eq!(ended.is_err(), fault == Fault::Panic);
            drop(leader);
            step.wait();
        }
    });
    cache.flush().wait().expect("shards live");
    drop(cache);
    eventually("no value is lost", || ledger.live() == 0);
    Tally { faults: rounds, answered: answered.into_inner(), retried: retried.into_inner() }
}
