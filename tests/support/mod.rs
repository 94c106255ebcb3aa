//! What the tests share: cache shapes, a watchdog, counted values, gates and hand-polled futures.

mod counted;
mod gate;
mod polled;

use cacheado::testing::ManualClock;
use cacheado::{CacheBuilder, CacheHandle, RemovalCause};
use std::hash::Hash;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use counted::{Counted, Ledger};
pub(crate) use gate::{Gate, StuckShard};
pub(crate) use polled::{Polled, Steps};

/// Longer than any healthy test takes: reaching it means that something hangs. ThreadSanitizer makes all some twenty times
/// slower.
pub(crate) const PATIENCE: Duration = Duration::from_secs(if cfg!(cache_tsan) { 600 } else { 60 });

/// Shard counts that every behaviour has to hold for.
const SHAPES: [usize; 2] = [1, 4];

/// Runs the test body with one shard and with several, each under the watchdog.
pub(crate) fn on_each_shape(body: impl Fn(usize) + Send + Sync + 'static) {
    let body = Arc::new(body);
    for shards in SHAPES {
        eprintln!("with {shards} shard(s)");
        let body = Arc::clone(&body);
        bounded(move || body(shards));
    }
}

/// Runs the body on a thread of its own and fails if it does not end: a hang is a failed test, not
/// a test run that never ends.
pub(crate) fn bounded(body: impl FnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel();
    let runner = thread::spawn(move || {
        body();
        let _ = ended.send(());
    });
    if end.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("the test hangs");
    }
    if let Err(panic) = runner.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Waits for something that a shard does in its own time. The limit only bounds a failure.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let limit = Instant::now() + PATIENCE / 3;
    while !condition() {
        assert!(Instant::now() < limit, "never happened: {what}");
        thread::yield_now();
        thread::park_timeout(Duration::from_micros(200));
    }
}

pub(crate) fn builder<K, V>(shards: usize) -> CacheBuilder<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    CacheHandle::builder().shards(shards).max_capacity(100_000)
}

pub(crate) fn cache<K, V>(shards: usize) -> CacheHandle<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    builder(shards).build().expect("valid settings")
}

/// A builder whose time stands still, with the clock that moves it.
pub(crate) fn timed<K, V>(shards: usize) -> (ManualClock, CacheBuilder<K, V>)
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    let clock = ManualClock::new();
    let builder = builder(shards).clock(clock.clock());
    (clock, builder)
}

pub(crate) fn flush<K, V>(cache: &CacheHandle<K, V>)
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    cache.flush().wait().expect("shards live");
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What a removal listener was told, in order.
#[derive(Debug)]
pub(crate) struct Told<K, V>(Arc<Mutex<Vec<(K, V, RemovalCause)>>>);

impl<K, V> Clone for Told<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Told<K, V>
where
    K: Clone + Send + Sync + Hash + Eq + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// The builder with a listener that notes everything here.
    pub(crate) fn listen(&self, builder: CacheBuilder<K, V>) -> CacheBuilder<K, V> {
        builder.removal_listener(self.listener())
    }

    /// A listener that notes everything here.
    pub(crate) fn listener(&self) -> impl Fn(&K, &V, RemovalCause) + Send + Sync + 'static {
        let told = self.clone();
        move |key, value, cause| {
            told.0.lock().expect("no poison").push((key.clone(), value.clone(), cause));
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.lock().expect("no poison").len() as u64
    }

    pub(crate) fn take(&self) -> Vec<(K, V, RemovalCause)> {
        std::mem::take(&mut *self.0.lock().expect("no poison"))
    }
}
