//! A fold that loses a race for an entry: whoever wins it, nothing is freed early, lost or told twice.
//!
//! The keys stop whoever compares them, so that each test places the winner between the fold's look at
//! an entry and its exchange.

mod comparisons;
mod loads;
mod removals;

use crate::support::{Counted, Gate};
use cacheado::CacheHandle;
use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::thread::{self, JoinHandle};

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

/// A value that stops whoever weighs it.
const HELD: u64 = 20;

fn remover(cache: &Cache, key: Key) -> JoinHandle<Option<u64>> {
    let cache = cache.clone();
    thread::spawn(move || {
        ROLE.set(Role::Remover);
        cache.remove(&key).map(|value| value.id)
    })
}
