//! A fold that loses a race for an entry: whoever wins it, nothing is freed early, lost or told twice.
//!
//! The keys stop whoever compares them, so that each test places the winner between the fold's look at
//! an entry and its exchange.

use crate::support::{
    Counted, Gate, Ledger, PATIENCE, Polled, Told, bounded, builder, eventually, flush, ms,
    on_each_shape, timed,
};
use cacheado::testing::ManualClock;
use cacheado::{CacheHandle, RemovalCause, Reply};
use std::cell::Cell;
use std::future::{Future, pending};
use std::hash::{Hash, Hasher};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

/// On whose behalf a thread compares keys.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// What every thread is that the test has not told otherwise.
    Shard,
    Remover,
    Test,
}

thread_local! {
    static ROLE: Cell<Role> = const { Cell::new(Role::Shard) };
}

/// Where keys stop who compares them.
#[derive(Clone, Default)]
struct Stops {
    shard: Gate,
    remover: Gate,
}

impl Stops {
    fn open(&self) {
        self.shard.open();
        self.remover.open();
    }
}

#[derive(Clone)]
struct Key(u64, Stops);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        match ROLE.get() {
            Role::Shard => self.1.shard.pass(),
            Role::Remover => self.1.remover.pass(),
            Role::Test => {}
        }
        self.0 == other.0
    }
}

impl Eq for Key {}

type Cache = CacheHandle<Key, Counted>;
type Load = Polled<Pin<Box<dyn Future<Output = Counted>>>>;

const WRITTEN: u64 = 10;
const LOADED: u64 = 99;

/// A load and one that waits for it, a newer write of the same key, and the fold that found both: it
/// stands between its look at the load and its attempt to supersede it.
struct Scene {
    cache: Cache,
    stops: Stops,
    ledger: Ledger,
    leader: Option<Load>,
    waiter: Load,
    answer: Option<oneshot::Sender<Counted>>,
    /// Stands between its look at the load, before the write came, and its attempt to supersede it.
    remover: Option<JoinHandle<Option<u64>>>,
    cleared: Option<Reply<u64>>,
}

impl Scene {
    fn set(shards: usize, with_remover: bool) -> Self {
        ROLE.set(Role::Test);
        let (stops, ledger) = (Stops::default(), Ledger::new());
        let cache: Cache = builder(shards).build().expect("valid");
        let key = Key(1, stops.clone());
        let (answer, answered) = oneshot::channel();
        let mut leader = load(&cache, &key, async { answered.await.expect("sent") });
        assert!(leader.is_pending());
        let mut waiter = load(&cache, &key, pending());
        assert!(waiter.is_pending());
        let mut scene = Self {
            cache,
            stops,
            ledger,
            leader: Some(leader),
            waiter,
            answer: Some(answer),
            remover: None,
            cleared: None,
        };
        if with_remover {
            scene.remover = Some(remover(&scene.cache, key.clone()));
            scene.stops.remover.wait_for(1);
        }
        scene.cache.insert(key, scene.ledger.value(WRITTEN));
        drop(scene.cache.flush());
        scene.stops.shard.wait_for(1);
        scene
    }

    fn key(&self, number: u64) -> Key {
        Key(number, self.stops.clone())
    }

    fn get(&self) -> Option<u64> {
        self.cache.read(&self.key(1), |value| value.id)
    }

    fn remove(&mut self) -> Option<u64> {
        self.stops.remover.open();
        self.remover.take().expect("a remover stands").join().expect("no panic")
    }

    /// Ends the load with its value.
    fn end(&mut self) {
        let answer = self.answer.take().expect("not ended");
        answer.send(self.ledger.value(LOADED)).expect("waited for");
        assert_eq!(self.leader.take().expect("not ended").ready().id, LOADED);
    }

    /// Returns when the fold is done and what it retired has been freed.
    fn fold(&self) {
        self.stops.shard.open();
        flush(&self.cache);
        // What is retired later is freed later.
        let later = Ledger::new();
        for id in 0..2 {
            self.cache.insert(self.key(2), later.value(id));
            flush(&self.cache);
        }
        eventually("the shard frees what it retired", || {
            flush(&self.cache);
            later.live() == 1
        });
        assert_eq!(self.cache.remove(&self.key(2)).map(|value| value.id), Some(1));
        flush(&self.cache);
    }

    /// What came in has left or is there, and every value that is not there was dropped.
    fn audit(&self) {
        let stats = self.cache.stats();
        let left = stats.evictions() + stats.expirations() + stats.invalidations();
        assert_eq!(stats.insertions() - left, stats.len(), "{stats}");
        assert_eq!(stats.panics(), 0, "{stats}");
        eventually("no value is lost", || {
            flush(&self.cache);
            self.ledger.live() == stats.len()
        });
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stops.open();
        if thread::panicking() {
            // Its load may have been freed under it: it must not touch that.
            std::mem::forget(self.leader.take());
        }
    }
}

fn load(cache: &Cache, key: &Key, loader: impl Future<Output = Counted> + 'static) -> Load {
    let (cache, key) = (cache.clone(), key.clone());
    Polled::new(Box::pin(async move { cache.get_or_load_async(&key, loader).await }))
}

fn remover(cache: &Cache, key: Key) -> JoinHandle<Option<u64>> {
    let cache = cache.clone();
    thread::spawn(move || {
        ROLE.set(Role::Remover);
        cache.remove(&key).map(|value| value.id)
    })
}

/// Who takes a load from a fold that wants to supersede it.
struct Winner {
    name: &'static str,
    removes: bool,
    wins: fn(&mut Scene),
    /// What the waiter hears.
    heard: u64,
    /// What the key has in the end.
    kept: Option<u64>,
}

const WINNERS: [Winner; 6] = [
    Winner {
        name: "a remover that supersedes it",
        removes: true,
        wins: |scene| assert_eq!(scene.remove(), None),
        heard: LOADED,
        kept: Some(WRITTEN),
    },
    Winner {
        name: "a remover that supersedes it, and then its leader",
        removes: true,
        wins: |scene| {
            assert_eq!(scene.remove(), None);
            scene.end();
        },
        heard: LOADED,
        kept: Some(WRITTEN),
    },
    Winner {
        name: "its leader with a value",
        removes: false,
        wins: Scene::end,
        heard: LOADED,
        kept: Some(WRITTEN),
    },
    Winner {
        name: "its leader with a value, and then a remover that takes it",
        removes: true,
        wins: |scene| {
            scene.end();
            assert_eq!(scene.remove(), Some(LOADED));
        },
        heard: LOADED,
        kept: Some(WRITTEN),
    },
    Winner {
        name: "its leader, cancelled",
        removes: false,
        wins: |scene| drop(scene.leader.take()),
        heard: WRITTEN,
        kept: Some(WRITTEN),
    },
    Winner {
        name: "its leader, after a clear",
        removes: false,
        wins: |scene| {
            scene.cleared = Some(scene.cache.clear());
            scene.end();
        },
        heard: LOADED,
        kept: None,
    },
];

#[test]
fn a_load_stays_its_leaders_whoever_keeps_a_fold_from_superseding_it() {
    on_each_shape(|shards| {
        for winner in WINNERS {
            eprintln!("{}", winner.name);
            let mut scene = Scene::set(shards, winner.removes);
            (winner.wins)(&mut scene);
            scene.fold();
            if scene.leader.is_some() {
                assert!(scene.waiter.is_pending(), "the load is in flight as long as its leader");
                assert_eq!(scene.get(), winner.kept);
                scene.end();
            }
            assert_eq!(scene.waiter.ready().id, winner.heard);
            assert_eq!(scene.get(), winner.kept);
            flush(&scene.cache);
            assert_eq!(scene.get(), winner.kept);
            if let Some(cleared) = scene.cleared.take() {
                assert_eq!(cleared.wait().expect("shards live"), 1, "the write was cleared");
            }
            assert_eq!(scene.cache.len(), u64::from(winner.kept.is_some()));
            scene.audit();
        }
    });
}

/// A removal that comes between what a fold knows of an entry and its attempt to take it.
struct Removal {
    name: &'static str,
    /// What of the removed value the fold thinks when it goes on.
    id: u64,
    expires: bool,
}

const HELD: u64 = 20;
const HEAVY: u64 = 21;

const REMOVALS: [Removal; 3] = [
    Removal { name: "an entry that is to be kept", id: HELD, expires: false },
    Removal { name: "an entry that is too heavy", id: HEAVY, expires: false },
    Removal { name: "an entry that has expired", id: HELD, expires: true },
];

/// One shard whose weigher stops at held values, and who was told what.
fn weighing() -> (ManualClock, Gate, Told<u64, u64>, CacheHandle<u64, u64>) {
    let (told, gate) = (Told::new(), Gate::new());
    let (clock, builder) = timed(1);
    let stop = gate.clone();
    let weigher = move |_: &u64, id: &u64| {
        if [HELD, HEAVY].contains(id) {
            stop.pass();
        }
        if *id == HEAVY { u32::MAX } else { 1 }
    };
    let cache = told.listen(builder).weigher(weigher).build().expect("valid");
    (clock, gate, told, cache)
}

#[test]
fn an_entry_that_is_removed_while_it_is_weighed_departs_once_as_removed() {
    bounded(|| {
        for removal in REMOVALS {
            eprintln!("{}", removal.name);
            let (clock, gate, told, cache) = weighing();
            cache.insert_with_ttl(1, removal.id, ms(10));
            let folded = cache.flush();
            gate.wait_for(1);
            let removed = cache.remove(&1);
            if removal.expires {
                clock.advance(ms(20));
            }
            gate.open();
            folded.wait().expect("shards live");
            flush(&cache);
            assert_eq!((removed, cache.get(&1), cache.len()), (Some(removal.id), None, 0));
            assert_eq!(told.take(), vec![(1, removal.id, RemovalCause::Removed)]);
            let stats = cache.stats();
            assert_eq!((stats.insertions(), stats.invalidations()), (1, 1), "{stats}");
            assert_eq!((stats.rejected(), stats.expirations()), (0, 0), "{stats}");
        }
    });
}

/// The older value of a key is removed while the shard is about to take it for a newer one's sake.
#[test]
fn an_older_value_that_is_removed_first_is_not_replaced() {
    bounded(|| {
        for is_resident in [false, true] {
            ROLE.set(Role::Test);
            let (stops, hold, ledger) = (Stops::default(), Gate::new(), Ledger::new());
            let hold_on = hold.clone();
            let weigher = move |_: &Key, value: &Counted| {
                if value.id == HELD {
                    hold_on.pass();
                }
                1
            };
            let cache: Cache = builder(1).weigher(weigher).build().expect("valid");
            let key = Key(1, stops.clone());
            if !is_resident {
                // So that it takes both values in one fold.
                cache.insert(Key(2, stops.clone()), ledger.value(HELD));
                drop(cache.flush());
                hold.wait_for(1);
            }
            cache.insert(key.clone(), ledger.value(1));
            if is_resident {
                flush(&cache);
            }
            let remover = remover(&cache, key.clone());
            stops.remover.wait_for(1);
            cache.insert(key.clone(), ledger.value(2));
            hold.open();
            let folded = cache.flush();
            stops.shard.wait_for(1);
            stops.remover.open();
            let removed = remover.join().expect("no panic");
            stops.open();
            folded.wait().expect("shards live");
            flush(&cache);
            assert_eq!(removed, Some(1), "resident: {is_resident}");
            assert_eq!(cache.read(&key, |value| value.id), Some(2));
            let (stats, others) = (cache.stats(), u64::from(!is_resident));
            assert_eq!((stats.insertions(), stats.updates()), (2 + others, 0), "{stats}");
            assert_eq!((stats.invalidations(), stats.len()), (1, 1 + others), "{stats}");
            eventually("no value is lost", || {
                flush(&cache);
                ledger.live() == stats.len()
            });
        }
    });
}

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
        let cache = builder(1).weigher(weigher).build().expect("valid");
        let (stops, panics, ledger) = (Stops::default(), Panics::default(), Ledger::new());
        Self { cache, stops, panics, hold, ledger }
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
            assert!(scene.cache.stats().panics() > 0);
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
            assert_eq!(scene.cache.remove(&scene.key(2)).map(|value| value.id), Some(12));
            flush(&scene.cache);
            assert_eq!(scene.ids([1, 2]), [kept, None]);
            assert!(scene.cache.stats().panics() > 0);
            scene.audit(2 + u64::from(both));
        }
    });
}
