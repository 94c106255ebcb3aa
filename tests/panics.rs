//! User code that panics: the caller gets its own panic, a shard survives and counts its own.

use crate::support::{
    Counted, Ledger, Told, bounded, builder, cache, eventually, flush, ms, on_each_shape, timed,
};
use cacheado::RemovalCause;
use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

#[derive(Clone, Copy, PartialEq)]
enum Fuse {
    None,
    Hash,
    Eq,
    Clone,
}

thread_local! {
    /// Which operation panics on this thread; other threads, the shards' among them, are not armed.
    static ARMED: Cell<Fuse> = const { Cell::new(Fuse::None) };
}

/// Unwinds without the noise of the panic hook.
fn burst() -> ! {
    resume_unwind(Box::new("by order of the test"))
}

fn burst_if(fuse: Fuse) {
    if ARMED.get() == fuse {
        burst();
    }
}

fn armed<R>(fuse: Fuse, call: impl FnOnce() -> R) -> std::thread::Result<R> {
    ARMED.set(fuse);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    ARMED.set(Fuse::None);
    outcome
}

#[derive(Debug)]
struct Key(u64);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        burst_if(Fuse::Hash);
        self.0.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        burst_if(Fuse::Eq);
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Clone for Key {
    fn clone(&self) -> Self {
        burst_if(Fuse::Clone);
        Self(self.0)
    }
}

#[derive(Debug)]
struct Value(Counted);

impl Clone for Value {
    fn clone(&self) -> Self {
        burst_if(Fuse::Clone);
        Self(self.0.clone())
    }
}

#[test]
fn a_panic_on_the_caller_is_the_callers_and_harms_nobody() {
    on_each_shape(|shards| {
        let ledger = Ledger::new();
        let cache = builder::<Key, Value>(shards).build().expect("valid");
        let value = |id| Value(ledger.value(id));
        for key in 0..10 {
            cache.insert(Key(key), value(key));
        }
        let mut burst = 0;
        for round in 0..100 {
            for fuse in [Fuse::Hash, Fuse::Eq, Fuse::Clone] {
                let key = Key(round % 20);
                let spare = (value(100), value(101));
                burst += u64::from(armed(fuse, || drop(cache.get(&key))).is_err());
                burst += u64::from(armed(fuse, || cache.read(&key, |value| value.0.id)).is_err());
                burst += u64::from(armed(fuse, || cache.contains_key(&key)).is_err());
                burst +=
                    u64::from(armed(fuse, || drop(cache.get_or_load(&key, || spare.0))).is_err());
                burst += u64::from(armed(fuse, || cache.insert(Key(round % 20), spare.1)).is_err());
                burst += u64::from(armed(fuse, || drop(cache.remove(&key))).is_err());
                cache.insert(Key(round % 20), value(round));
                assert_eq!(cache.get(&key).map(|value| value.0.id), Some(round), "it goes on");
            }
            if round % 10 == 0 {
                flush(&cache);
            }
        }
        assert!(burst >= 600, "every call hashes: {burst}");
        flush(&cache);
        assert_eq!(cache.stats().panics(), 0, "none of them was a shard's");
        assert!((0..20).all(|key| cache.get_or_load(&Key(key), || value(1)).0.id < 100));
        drop(cache);
        eventually("no value is lost", || ledger.live() == 0);
    });
}

#[test]
fn a_panic_in_a_readers_closure_lets_go_of_the_cache() {
    on_each_shape(|shards| {
        let ledger = Ledger::new();
        let cache = cache::<u64, Counted>(shards);
        cache.insert(1, ledger.value(1));
        flush(&cache);
        for _ in 0..100 {
            assert!(catch_unwind(AssertUnwindSafe(|| cache.read(&1, |_| burst()))).is_err());
        }
        cache.remove(&1);
        flush(&cache);
        eventually("nobody holds it any more", || ledger.live() == 0);
    });
}

#[test]
fn a_panicking_listener_is_counted_and_called_again() {
    on_each_shape(|shards| {
        let builder =
            builder::<u64, Counted>(shards).removal_listener(|key: &u64, _: &Counted, _| {
                if key % 2 == 0 {
                    burst();
                }
            });
        let (ledger, cache) = (Ledger::new(), builder.build().expect("valid"));
        let events = cache.events();
        for key in 0..1_000 {
            cache.insert(key, ledger.value(key));
        }
        flush(&cache);
        for key in 0..1_000 {
            assert_eq!(cache.remove(&key).map(|value| value.id), Some(key));
        }
        flush(&cache);
        assert_eq!(cache.stats().panics(), 500);
        eventually("the stream is not the listener's", || events.len() == 1_000);
        cache.insert(1, ledger.value(1));
        assert_eq!(cache.get(&1).map(|value| value.id), Some(1));
        drop((cache, events));
        eventually("no value is lost", || ledger.live() == 0);
    });
}

#[test]
fn a_panicking_weigher_is_counted_and_its_entry_not_kept() {
    on_each_shape(|shards| {
        let builder =
            builder::<u64, Counted>(shards).weigher(|key: &u64, _: &Counted| match key % 4 {
                0 => burst(),
                _ => 1,
            });
        let (ledger, cache) = (Ledger::new(), builder.build().expect("valid"));
        for key in 0..1_000 {
            cache.insert(key, ledger.value(key));
        }
        flush(&cache);
        assert_eq!(cache.stats().panics(), 250);
        assert_eq!((cache.len(), cache.weight()), (750, 750));
        assert!((0..1_000).all(|key| cache.get(&key).is_some() == (key % 4 != 0)));
        drop(cache);
        eventually("no value is lost", || ledger.live() == 0);
    });
}

/// Together with what it was to replace, which must not come back.
#[test]
fn a_value_that_a_panicking_weigher_rejects_leaves_as_too_heavy() {
    on_each_shape(|shards| {
        let told = Told::new();
        let weigher = |_: &u64, value: &u64| if value % 2 == 0 { burst() } else { 1 };
        let builder = told.listen(builder(shards)).weigher(weigher);
        let cache = builder.build().expect("valid");
        cache.insert(1, 11);
        flush(&cache);
        cache.insert(1, 12);
        flush(&cache);
        assert_eq!((cache.get(&1), cache.len()), (None, 0));
        let mut departed = told.take();
        departed.sort_unstable_by_key(|(_, value, _)| *value);
        let causes = [(1, 11, RemovalCause::Removed), (1, 12, RemovalCause::Capacity)];
        assert_eq!(departed, causes);
        let stats = cache.stats();
        assert_eq!((stats.rejected(), stats.evictions()), (1, 0), "{stats}");
        assert_eq!((stats.insertions(), stats.invalidations()), (1, 1), "{stats}");
    });
}

/// Panics when dropped, unless it is a clone: those are dropped by the test itself.
struct Bomb {
    live: Option<Counted>,
}

impl Clone for Bomb {
    fn clone(&self) -> Self {
        Self { live: None }
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.live.take().is_some_and(|value| value.id % 2 == 0) {
            burst();
        }
    }
}

#[test]
fn a_panicking_destructor_is_counted_and_loses_no_other() {
    on_each_shape(|shards| {
        let ledger = Ledger::new();
        let (clock, builder) = timed::<u64, Bomb>(shards);
        let cache = builder.max_capacity(300).build().expect("valid");
        let bomb = |id| Bomb { live: Some(ledger.value(id)) };
        for key in 0..1_000 {
            cache.insert(key, bomb(key));
        }
        for key in 990..1_000 {
            cache.insert(key, bomb(key));
            assert!(cache.remove(&key).is_some());
        }
        for key in 2_000..2_100 {
            cache.insert_with_ttl(key, bomb(key), ms(10));
        }
        flush(&cache);
        clock.advance(ms(50));
        let _ = cache.clear().wait().expect("shards live");
        eventually("all are dropped", || ledger.live() == 0);
        flush(&cache);
        assert_eq!(cache.stats().panics(), 500 + 5 + 50);
        cache.insert(1, bomb(1));
        flush(&cache);
        assert!(cache.contains_key(&1), "the shard lives");
        for key in 3_000..3_100 {
            cache.insert(key, bomb(key));
        }
        drop(cache);
        eventually("shutdown drops them too", || ledger.live() == 0);
    });
}

#[test]
fn a_panicking_destructor_in_a_dropped_stream_harms_no_shard() {
    on_each_shape(|shards| {
        let ledger = Ledger::new();
        let cache = builder::<u64, Bomb>(shards).build().expect("valid");
        let leave = |keys: std::ops::Range<u64>, id| {
            for key in keys {
                cache.insert(key, Bomb { live: Some(ledger.value(id)) });
            }
            let _ = cache.clear().wait().expect("shards live");
        };
        let events = cache.events();
        leave(0..1, 2);
        eventually("it is in the stream", || events.len() == 1);
        drop(events);
        // A shard learns that nobody listens when it has something to say.
        leave(0..1_000, 3);
        eventually("what was in the stream is dropped", || ledger.live() == 0);
        leave(0..1_000, 5);
        assert_eq!(cache.stats().panics(), 1, "the shards live");
    });
}

#[test]
fn a_panicking_key_comparison_on_the_shard_is_contained() {
    /// Equal by number; comparing on any thread but the test's own bursts while the fuse is lit.
    #[derive(Clone, Debug)]
    struct Fragile(u64, std::sync::Arc<std::sync::atomic::AtomicBool>);
    thread_local! {
        static SAFE: Cell<bool> = const { Cell::new(false) };
    }
    impl Hash for Fragile {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }
    impl PartialEq for Fragile {
        fn eq(&self, other: &Self) -> bool {
            if !SAFE.get() && self.1.load(std::sync::atomic::Ordering::SeqCst) {
                burst();
            }
            self.0 == other.0
        }
    }
    impl Eq for Fragile {}
    on_each_shape(|shards| {
        SAFE.set(true);
        let lit = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (ledger, cache) =
            (Ledger::new(), builder::<Fragile, Counted>(shards).build().expect("valid"));
        let key = |number| Fragile(number, std::sync::Arc::clone(&lit));
        for number in 0..100 {
            cache.insert(key(number), ledger.value(number));
        }
        flush(&cache);
        lit.store(true, std::sync::atomic::Ordering::SeqCst);
        for number in 0..100 {
            cache.insert(key(number), ledger.value(number + 1_000));
        }
        flush(&cache);
        lit.store(false, std::sync::atomic::Ordering::SeqCst);
        for number in 0..100 {
            let seen = cache.get(&key(number)).map(|value| value.id);
            assert!(seen.is_none_or(|id| id == number + 1_000), "never the older value: {seen:?}");
            cache.insert(key(number), ledger.value(number + 2_000));
            assert_eq!(cache.get(&key(number)).map(|value| value.id), Some(number + 2_000));
        }
        flush(&cache);
        assert!((0..100).all(|number| cache.get(&key(number)).map(|value| value.id) == Some(number + 2_000)));
        drop(cache);
        eventually("no value is lost", || ledger.live() == 0);
    });
}

#[test]
fn a_loader_that_panics_is_its_callers_and_not_a_shards() {
    bounded(|| {
        let cache = cache::<u64, u64>(1);
        for round in 0..100 {
            let outcome = catch_unwind(AssertUnwindSafe(|| cache.get_or_load(&1, || burst())));
            assert!(outcome.is_err(), "round {round}");
        }
        assert_eq!(cache.get_or_load(&1, || 1), 1, "the key is not stuck");
        flush(&cache);
        let stats = cache.stats();
        assert_eq!(
            (stats.panics(), stats.loads(), stats.load_failures()),
            (0, 101, 100),
            "{stats}"
        );
    });
}
