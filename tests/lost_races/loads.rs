//! A fold wants to supersede a load in flight, and somebody else takes it first.

use super::{Cache, Key, ROLE, Role, Stops, remover};
use crate::support::{Counted, Ledger, Polled, builder, eventually, flush, on_each_shape};
use cacheado::Reply;
use std::future::{Future, pending};
use std::pin::Pin;
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

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
