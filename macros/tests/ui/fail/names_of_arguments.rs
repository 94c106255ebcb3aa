//! Arguments whose names say too little.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE, key = id)]
fn sum(id: u64, id: u64) -> u64 {
    id
}

#[memoize(cache = CACHE)]
fn load(load_uncached: fn(u64) -> u64, id: u64) -> u64 {
    load_uncached(id)
}

fn main() {}
