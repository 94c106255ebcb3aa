//! Writers that outrun everybody, and a reader that does not let go.
//!
//! In processes of their own: whoever is pinned holds up what all caches of a process would free, and
//! tests beside these are pinned now and then.

use crate::processes::alone;
use crate::report::{Row, grouped, times};
use crate::support::{Counted, Ledger, bounded, builder, eventually, flush};
use cacheado::CacheHandle;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

const CAPACITY: u64 = 1_000;
const BACKLOG: u64 = 256;
const WRITERS: u64 = 4;
/// What each write of a storm may hold beside key and value while a reader keeps it from being freed.
const BYTES_A_WRITE: u64 = 64;
/// How many values may be alive at once while nobody stays pinned. Most of them are what was thrown away in the last few
/// milliseconds, or while the system did not run a writer in the middle of a write: a twentieth of a storm, where all of
/// it would be alive if nothing came back.
const ALIVE: u64 = 50_000;

/// Several threads write so many values while the highest number of live ones is watched.
fn storm(cache: &CacheHandle<u64, Counted>, ledger: &Ledger, writes: u64) -> u64 {
    let (done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                peak.fetch_max(ledger.live(), Ordering::SeqCst);
                thread::yield_now();
            }
        });
        let write = |writer| {
            for write in (writer..writes).step_by(WRITERS as usize) {
                cache.insert(write % (CAPACITY * 4), ledger.value(write));
            }
        };
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
        done.store(true, Ordering::SeqCst);
    });
    peak.into_inner().max(ledger.live())
}

fn small() -> CacheHandle<u64, Counted> {
    builder(1).max_capacity(CAPACITY).backlog(BACKLOG as usize).build().expect("valid")
}

#[test]
fn a_write_storm() {
    alone("memory::alone_a_write_storm", None, None);
}

#[test]
#[ignore = "needs a process of its own; `a_write_storm` starts it"]
fn alone_a_write_storm() {
    bounded(|| {
        let (ledger, cache, writes) = (Ledger::new(), small(), times(1_000_000));
        cache.insert(0, ledger.value(0));
        let held = cache.get(&0);
        let peak = storm(&cache, &ledger, writes);
        assert!(peak <= ALIVE, "{peak} values are alive at once");
        eventually("all but what the cache holds is given back", || {
            flush(&cache);
            ledger.live() <= CAPACITY + 1
        });
        let kept = ledger.live() - cache.len() - u64::from(held.is_some());
        drop((cache, held));
        eventually("no value is lost", || ledger.live() == 0);
        Row {
            fault: "a write storm of 4 threads, capacity 1,000 and backlog 256",
            injected: writes,
            lost: kept,
            outcome: format!("{} values alive at once (bound: {})", grouped(peak), grouped(ALIVE)),
        }
        .report(a_write_storm);
    });
}

#[test]
fn a_write_storm_under_a_stalled_pin() {
    alone("memory::alone_a_write_storm_under_a_stalled_pin", None, None);
}

#[test]
#[ignore = "needs a process of its own; `a_write_storm_under_a_stalled_pin` starts it"]
fn alone_a_write_storm_under_a_stalled_pin() {
    bounded(|| {
        let (ledger, cache, writes) = (Ledger::new(), small(), 1_000_000);
        cache.insert(0, ledger.value(77));
        let view = cache.pin();
        let seen = view.get(&0).expect("stored");
        let before = crate::ALLOCATOR.allocated();
        let peak = thread::scope(|scope| {
            let writer = scope.spawn(|| storm(&cache, &ledger, writes));
            writer.join().expect("no panic")
        });
        let held = (crate::ALLOCATOR.allocated() - before) as u64 / writes;
        let beside = held.saturating_sub(size_of::<(u64, Counted)>() as u64);
        assert!(beside <= BYTES_A_WRITE, "{beside} bytes a write are held");
        assert_eq!(peak, writes + 1, "a value that the reader might see is kept");
        assert_eq!(seen.id, 77, "the reference is good to the end");
        drop(view);
        eventually("all but what the cache holds is given back", || {
            flush(&cache);
            ledger.live() <= CAPACITY
        });
        let kept = ledger.live() - cache.len();
        drop(cache);
        eventually("no value is lost", || ledger.live() == 0);
        Row {
            fault: "a write storm of 4 threads while one reader stays pinned",
            injected: writes,
            lost: kept,
            outcome: format!(
                "each write is kept, with {beside} bytes beside key and value (bound: {BYTES_A_WRITE}); all given back \
                 when the reader goes"
            ),
        }
        .report(a_write_storm_under_a_stalled_pin);
    });
}
