//! A stampede: a hundred callers of one endpoint at once, threads, tasks and both, and one call of it.
#![expect(clippy::print_stdout, reason = "printing is what an example is for")]

use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tokio::task::JoinSet;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);
static CALLS: AtomicU64 = AtomicU64::new(0);

const CALLERS: u64 = 100;
/// What the endpoint takes to answer.
const WORK: Duration = Duration::from_millis(50);

#[memoize(cache = CACHE, ttl = "300s", name = "api")]
fn expensive_api_call(endpoint: &str) -> String {
    CALLS.fetch_add(1, Ordering::Relaxed);
    thread::sleep(WORK);
    format!("the answer of {endpoint}")
}

/// The same for tasks; by its name it shares what is kept, and loads in flight, with the one for threads.
#[memoize(cache = CACHE, ttl = "300s", name = "api")]
async fn expensive_api_call_async(endpoint: &str) -> String {
    CALLS.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(WORK).await;
    format!("the answer of {endpoint}")
}

/// How often the endpoint was called for so many threads and tasks that wanted its answer at once.
async fn stampede(endpoint: &'static str, threads: u64, tasks: u64) -> u64 {
    let before = CALLS.load(Ordering::Relaxed);
    let threads: Vec<_> =
        (0..threads).map(|_| thread::spawn(move || expensive_api_call(endpoint))).collect();
    let tasks: JoinSet<_> = (0..tasks).map(|_| expensive_api_call_async(endpoint)).collect();
    let mut answers = tasks.join_all().await;
    answers.extend(threads.into_iter().map(|thread| thread.join().expect("no panic")));
    assert!(answers.iter().all(|answer| *answer == format!("the answer of {endpoint}")));
    assert_eq!(answers.len() as u64, CALLERS);
    CALLS.load(Ordering::Relaxed) - before
}

#[tokio::main]
async fn main() {
    for (endpoint, threads) in [("/threads", CALLERS), ("/tasks", 0), ("/both", CALLERS / 2)] {
        let calls = stampede(endpoint, threads, CALLERS - threads).await;
        assert_eq!(calls, 1, "{endpoint}");
        println!("{endpoint}: {CALLERS} callers, {calls} call");
    }
}
