//! Quick start: a function whose results are kept, so that the second call does not run it.
#![expect(clippy::print_stdout, reason = "printing is what an example is for")]

use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);
static RUNS: AtomicU64 = AtomicU64::new(0);

/// What the work of the calculation takes here.
const WORK: Duration = Duration::from_millis(200);

#[memoize(cache = CACHE, ttl = "300s")]
fn expensive_calculation(x: u64, y: u64) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    thread::sleep(WORK);
    x * y
}

fn timed<T>(call: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (call(), start.elapsed())
}

fn main() {
    let (result, first) = timed(|| expensive_calculation(10, 20));
    assert_eq!(result, 200);
    assert!(first >= WORK);

    let again = (0..100).map(|_| timed(|| expensive_calculation(10, 20)));
    let (result, hit) = again.min_by_key(|(_, took)| *took).expect("a hundred calls");
    assert_eq!(result, 200);
    assert!(hit < Duration::from_millis(1), "a hit takes {hit:?}");
    assert_eq!(RUNS.load(Ordering::Relaxed), 1);

    assert_eq!(expensive_calculation(20, 10), 200);
    assert_eq!(RUNS.load(Ordering::Relaxed), 2, "other arguments are another key");
    println!("10 x 20 = {result}: {first:?} the first time, {hit:?} from the cache");
}
