//! A fold that cannot compare its keys, because `Eq` panics, and a remover beside it.

use super::{HELD, ROLE, Role, Stops};
use crate::support::{Counted, Gate, Ledger, PATIENCE, bounded, builder, eventually, flush};
use cacheado::{CacheHandle, RemovalCause};
use std::hash::{Hash, Hasher};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

/// Keys of one chain: where the shard compares 2 with 1 it panics, as often as it is told, and where it
/// compares 0 it stops.
#[derive(Clone)]
struct Odd(u64, Stops, Panics);

/// How many comparisons are still to panic.
#[derive(Clone, Default)]
struct Panics(Arc<AtomicU64>);

impl Panics {
    fn order(&self, panics: u64) {
        self.0.store(panics, Ordering::SeqCst);
    }

    fn is_due(&self) -> bool {
        let left = |left: u64| left.checked_sub(1);
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok()
    }
}

impl Hash for Odd {
    fn hash<H: Hasher>(&self, state: &mut H) {
        0_u64.hash(state);
    }
}

impl PartialEq for Odd {
    fn eq(&self, other: &Self) -> bool {
        if ROLE.get() == Role::Shard {
            match (self.0.min(other.0), self.0.max(other.0)) {
                (0, _) => self.1.shard.pass(),
                (1, 2) if self.2.is_due() => resume_unwind(Box::new("by order of the test")),
                _ => {}
            }
        }
        self.0 == other.0
    }
}

impl Eq for Odd {}

/// One shard that stops where it weighs a held value, and keys that it cannot always compare.
struct OddScene {
    cache: CacheHandle<Odd, Counted>,
    stops: Stops,
    panics: Panics,
    hold: Gate,
    ledger: Ledger,
    /// What the listener was told of values.
    told: Arc<Mutex<Vec<(u64, RemovalCause)>>>,
}

impl OddScene {
    fn set() -> Self {
        ROLE.set(Role::Test);
        let hold = Gate::new();
        let hold_on = hold.clone();
        let weigher = move |_: &Odd, value: &Counted| {
            if value.id == HELD {
                hold_on.pass();
            }
            1
        };
        let told: Arc<Mutex<Vec<_>>> = Arc::default();
        let noted = Arc::clone(&told);
        let listener = move |_: &Odd, value: &Counted, cause| {
            noted.lock().expect("no poison").push((value.id, cause));
        };
        let builder = builder(1).weigher(weigher).removal_listener(listener);
        let cache = builder.build().expect("valid");
        let (stops, panics, ledger) = (Stops::default(), Panics::default(), Ledger::new());
        Self { cache, stops, panics, hold, ledger, told }
    }

    fn key(&self, number: u64) -> Odd {
        Odd(number, self.stops.clone(), self.panics.clone())
    }

    fn insert(&self, number: u64, id: u64) {
        self.cache.insert(self.key(number), self.ledger.value(id));
    }

    fn ids<const N: usize>(&self, numbers: [u64; N]) -> [Option<u64>; N] {
        numbers.map(|number| self.cache.read(&self.key(number), |value| value.id))
    }

    /// What the listener was told since it was last asked, by value.
    fn told(&self) -> Vec<(u64, RemovalCause)> {
        let mut told = std::mem::take(&mut *self.told.lock().expect("no poison"));
        told.sort_unstable_by_key(|(id, _)| *id);
        told
    }

    /// Holds the shard until `hold` is opened: what is written meanwhile is folded together.
    fn hold(&self) {
        self.insert(9, HELD);
        drop(self.cache.flush());
        self.hold.wait_for(1);
    }

    /// Removes a key on a thread of its own; what it and a read after it found.
    fn remove_beside(&self, number: u64) -> Option<(Option<u64>, Option<u64>)> {
        let (tell, told) = mpsc::channel();
        let (cache, key) = (self.cache.clone(), self.key(number));
        let remover = thread::spawn(move || {
            ROLE.set(Role::Remover);
            let removed = cache.remove(&key).map(|value| value.id);
            let _ = tell.send((removed, cache.read(&key, |value| value.id)));
        });
        let seen = told.recv_timeout(PATIENCE / 6).ok();
        self.stops.open();
        remover.join().expect("no panic");
        seen
    }

    /// What came in has left or is there, every key is there once, and every value that is not there was
    /// dropped.
    fn audit(&self, writes: u64) {
        flush(&self.cache);
        let stats = self.cache.stats();
        let came = stats.insertions() + stats.updates() + stats.rejected();
        assert_eq!(came, writes, "{stats}");
        let left = stats.evictions() + stats.expirations() + stats.invalidations();
        assert_eq!(stats.insertions() - left, stats.len(), "{stats}");
        assert_eq!(stats.weight(), stats.len(), "{stats}");
        let answering = self.ids([0, 1, 2, 9]).iter().flatten().count();
        assert_eq!(stats.len(), answering as u64, "{stats}");
        eventually("no value is lost", || {
            flush(&self.cache);
            self.ledger.live() == stats.len()
        });
        for number in [0, 1, 2, 9] {
            self.cache.remove(&self.key(number));
        }
        flush(&self.cache);
        assert_eq!(self.ids([0, 1, 2, 9]), [None; 4], "nothing comes back from below");
        assert_eq!(self.cache.len(), 0);
        eventually("all values have gone", || {
            flush(&self.cache);
            self.ledger.live() == 0
        });
    }
}

impl Drop for OddScene {
    fn drop(&mut self) {
        self.stops.open();
        self.hold.open();
    }
}

/// Both while the fold stands and after it.
#[test]
fn a_value_whose_comparison_panicked_brings_no_older_one_back() {
    bounded(|| {
        for (is_resident, panics) in
            [(true, 1), (true, 2), (true, u64::MAX), (false, 1), (false, 2), (false, u64::MAX)]
        {
            eprintln!("older value resident: {is_resident}, panics: {panics}");
            let scene = OddScene::set();
            if is_resident {
                scene.insert(1, 10);
                flush(&scene.cache);
            }
            scene.hold();
            scene.insert(0, 0);
            if !is_resident {
                scene.insert(1, 10);
            }
            scene.insert(1, 11);
            scene.insert(2, 12);
            scene.panics.order(panics);
            scene.hold.open();
            let folded = scene.cache.flush();
            scene.stops.shard.wait_for(1);
            // The shard has let go of 1 for the sake of 2, and stands before 0.
            let seen = scene.remove_beside(1);
            assert_eq!(seen, Some((None, None)), "it has left, and is in nobody's way");
            folded.wait().expect("shards live");
            flush(&scene.cache);
            scene.panics.order(0);
            assert_eq!(scene.ids([0, 1, 2]), [Some(0), None, Some(12)]);
            let causes = [(10, RemovalCause::Removed), (11, RemovalCause::Capacity)];
            assert_eq!(scene.told(), causes, "the newest of 1 was not kept");
            let stats = scene.cache.stats();
            assert_eq!((stats.rejected(), stats.evictions()), (1, 0), "{stats}");
            assert!(stats.panics() > 0);
            scene.audit(5);
        }
    });
}

/// What becomes of residents if `Eq` panics where the newer value of one is to replace it.
#[test]
fn no_key_is_in_the_index_twice_though_its_comparison_panicked() {
    bounded(|| {
        for (both, panics, kept) in [
            // 2 is found all the same, so 1 is another key.
            (true, 1, Some(10)),
            (true, u64::MAX, Some(10)),
            // Asked again, `Eq` denies that 1 is 2.
            (false, 1, Some(10)),
            // It may be 2, for all that is known.
            (false, u64::MAX, None),
        ] {
            eprintln!("both resident: {both}, panics: {panics}");
            let scene = OddScene::set();
            scene.stops.open();
            scene.insert(1, 10);
            // One fold each, so that 1 is met first.
            flush(&scene.cache);
            if both {
                scene.insert(2, 11);
            }
            flush(&scene.cache);
            assert_eq!(scene.ids([1, 2]), [Some(10), both.then_some(11)]);
            scene.panics.order(panics);
            scene.insert(2, 12);
            flush(&scene.cache);
            scene.panics.order(0);
            assert_eq!(scene.ids([1, 2]), [kept, Some(12)]);
            let mut causes = Vec::new();
            if kept.is_none() {
                causes.push((10, RemovalCause::Removed));
            }
            if both {
                causes.push((11, RemovalCause::Replaced));
            }
            assert_eq!(scene.told(), causes);
            assert_eq!(scene.cache.remove(&scene.key(2)).map(|value| value.id), Some(12));
            flush(&scene.cache);
            assert_eq!(scene.ids([1, 2]), [kept, None]);
            assert!(scene.cache.stats().panics() > 0);
            scene.audit(2 + u64::from(both));
        }
    });
}
