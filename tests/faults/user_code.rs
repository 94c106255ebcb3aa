//! User code that panics where the cache calls it: `Hash`, `Eq`, `Clone`, `Drop`, weigher, listener.

use crate::report::{Row, times};
use crate::support::{Counted, Ledger, bounded, builder, eventually, flush};
use cacheado::{CacheBuilder, CacheHandle};
use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What panics, on whose thread.
#[derive(Clone, Copy, PartialEq)]
#[repr(u64)]
enum Fuse {
    None,
    Hash,
    Eq,
    EqOnShard,
    Clone,
    CloneOnShard,
    Drop,
    Weigher,
    Listener,
}

thread_local! {
    /// Whether this is the test's own thread; all others are shards.
    static CALLER: Cell<bool> = const { Cell::new(false) };
}

/// The fuse that is lit and how often it went off.
#[derive(Clone, Debug)]
struct Fuses(Arc<[AtomicU64; 2]>);

impl Fuses {
    fn light(&self, fuse: Fuse) {
        self.0[0].store(fuse as u64, Ordering::SeqCst);
    }

    fn burst_if(&self, fuse: Fuse) {
        if self.0[0].load(Ordering::SeqCst) == fuse as u64 {
            self.0[1].fetch_add(1, Ordering::SeqCst);
            resume_unwind(Box::new("by order of the test"));
        }
    }

    fn bursts(&self) -> u64 {
        self.0[1].load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct Key(u64, Fuses);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.1.burst_if(Fuse::Hash);
        self.0.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.1.burst_if(if CALLER.get() { Fuse::Eq } else { Fuse::EqOnShard });
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Clone for Key {
    fn clone(&self) -> Self {
        Self(self.0, self.1.clone())
    }
}

#[derive(Debug)]
struct Value(Counted, Fuses);

impl Clone for Value {
    fn clone(&self) -> Self {
        self.1.burst_if(if CALLER.get() { Fuse::Clone } else { Fuse::CloneOnShard });
        Self(self.0.clone(), self.1.clone())
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        if !CALLER.get() {
            self.1.burst_if(Fuse::Drop);
        }
    }
}

type Builder = CacheBuilder<Key, Value>;

/// A cache whose keys and values carry the fuses.
struct Rig {
    cache: CacheHandle<Key, Value>,
    fuses: Fuses,
    ledger: Ledger,
    /// Panics that came out of a call.
    came_back: u64,
}

impl Rig {
    fn new(configure: impl FnOnce(Builder, Fuses) -> Builder) -> Self {
        CALLER.set(true);
        let fuses = Fuses(Arc::default());
        let cache = configure(builder(1), fuses.clone()).build().expect("valid");
        Self { cache, fuses, ledger: Ledger::new(), came_back: 0 }
    }

    fn key(&self, id: u64) -> Key {
        Key(id, self.fuses.clone())
    }

    fn value(&self, id: u64) -> Value {
        Value(self.ledger.value(id), self.fuses.clone())
    }

    fn insert(&self, id: u64) {
        self.cache.insert(self.key(id), self.value(id));
    }

    /// A call whose own panic is expected while the fuse is lit.
    fn call(&mut self, fuse: Fuse, call: impl FnOnce(&Self)) {
        self.fuses.light(fuse);
        let outcome = catch_unwind(AssertUnwindSafe(|| call(self)));
        self.fuses.light(Fuse::None);
        self.came_back += u64::from(outcome.is_err());
    }

    /// Judges the end: every panic was somebody's, the cache goes on, no value is lost.
    fn end(self, fault: &'static str, outcome: &str, whose: Whose) -> Row {
        self.fuses.light(Fuse::None);
        flush(&self.cache);
        let (injected, caught) = (self.fuses.bursts(), self.cache.stats().panics());
        match whose {
            Whose::Callers => assert_eq!((self.came_back, caught), (injected, 0)),
            Whose::Shards => assert_eq!((self.came_back, caught), (0, injected)),
            Whose::Both => assert_eq!(self.came_back + caught, injected),
        }
        for id in 0..100 {
            self.insert(id);
            assert_eq!(self.cache.get(&self.key(id)).map(|value| value.0.id), Some(id));
        }
        flush(&self.cache);
        assert!((0..100).all(|id| self.cache.contains_key(&self.key(id))), "the shard lives");
        let Self { cache, ledger, .. } = self;
        drop(cache);
        eventually("no value is lost", || ledger.live() == 0);
        Row { fault, injected, lost: ledger.live(), outcome: outcome.into() }
    }
}

enum Whose {
    Callers,
    Shards,
    Both,
}

const SHARDS: &str = "caught on the shard thread and counted; the shard goes on";

#[test]
fn hash_panics() {
    bounded(|| {
        let mut rig = Rig::new(|builder, _| builder);
        (0..50).for_each(|id| rig.insert(id));
        for round in 0..times(250) {
            let id = round % 100;
            rig.call(Fuse::Hash, |rig| rig.insert(id));
            rig.call(Fuse::Hash, |rig| drop(rig.cache.get(&rig.key(id))));
            rig.call(Fuse::Hash, |rig| drop(rig.cache.remove(&rig.key(id))));
            rig.call(Fuse::Hash, |rig| {
                drop(rig.cache.get_or_load(&rig.key(id), || rig.value(id)));
            });
        }
        let outcome = "the caller has its panic; nothing is stored or removed";
        assert!((0..50).all(|id| rig.cache.contains_key(&rig.key(id))), "nothing was removed");
        assert!((50..100).all(|id| !rig.cache.contains_key(&rig.key(id))), "nothing was stored");
        rig.end("`Hash` panics", outcome, Whose::Callers).report(hash_panics);
    });
}

#[test]
fn eq_panics() {
    bounded(|| {
        let mut rig = Rig::new(|builder, _| builder);
        let half = times(500);
        let mut newest = 0;
        while rig.fuses.bursts() < half {
            newest += 1;
            rig.insert(1);
            flush(&rig.cache);
            rig.fuses.light(Fuse::EqOnShard);
            rig.cache.insert(rig.key(1), rig.value(newest));
            flush(&rig.cache);
            rig.fuses.light(Fuse::None);
            let seen = rig.cache.get(&rig.key(1)).map(|value| value.0.id);
            assert!(seen.is_none_or(|id| id == newest), "never the older value");
        }
        rig.insert(1);
        for _ in 0..half {
            rig.call(Fuse::Eq, |rig| drop(rig.cache.get(&rig.key(1))));
        }
        let outcome = "in a call: the caller has it; in a fold: caught, and the older value leaves";
        rig.end("`Eq` panics", outcome, Whose::Both).report(eq_panics);
    });
}

#[test]
fn clone_panics() {
    bounded(|| {
        let mut rig = Rig::new(|builder, _| builder);
        let half = times(500);
        rig.insert(1);
        for _ in 0..half {
            rig.call(Fuse::Clone, |rig| drop(rig.cache.get(&rig.key(1))));
        }
        flush(&rig.cache);
        for _ in 0..half {
            rig.fuses.light(Fuse::CloneOnShard);
            let refused = rig.cache.entries().wait().err();
            rig.fuses.light(Fuse::None);
            assert!(refused.is_some_and(|error| error.is_panic()), "the asker is told");
        }
        let outcome = "in `get`: the caller has it; in `entries`: the reply is an error";
        rig.end("`Clone` panics", outcome, Whose::Both).report(clone_panics);
    });
}

#[test]
fn drop_panics() {
    bounded(|| {
        let rig = Rig::new(|builder, _| builder);
        rig.fuses.light(Fuse::Drop);
        for round in 0..=times(1_000) {
            rig.insert(round % 10);
        }
        (0..9).for_each(|id| drop(rig.cache.remove(&rig.key(id))));
        let injected = times(1_000);
        eventually("all that left are dropped", || rig.fuses.bursts() >= injected);
        rig.end("`Drop` of a value panics", SHARDS, Whose::Shards).report(drop_panics);
    });
}

#[test]
fn the_weigher_panics() {
    bounded(|| {
        let rig = Rig::new(|builder, fuses| {
            builder.weigher(move |_: &Key, _: &Value| {
                fuses.burst_if(Fuse::Weigher);
                1
            })
        });
        rig.fuses.light(Fuse::Weigher);
        (0..times(1_000)).for_each(|id| rig.insert(id));
        flush(&rig.cache);
        assert_eq!((rig.cache.len(), rig.cache.stats().rejected()), (0, times(1_000)));
        let outcome = "caught and counted; the value is rejected";
        rig.end("the weigher panics", outcome, Whose::Shards).report(the_weigher_panics);
    });
}

#[test]
fn the_listener_panics() {
    bounded(|| {
        let rig = Rig::new(|builder, fuses| {
            builder.removal_listener(move |_: &Key, _: &Value, _| {
                fuses.burst_if(Fuse::Listener);
            })
        });
        rig.fuses.light(Fuse::Listener);
        (0..=times(1_000)).for_each(|_| rig.insert(1));
        flush(&rig.cache);
        rig.end("the listener panics", SHARDS, Whose::Shards).report(the_listener_panics);
    });
}
