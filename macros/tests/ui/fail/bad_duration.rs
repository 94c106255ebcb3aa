//! Durations that are none.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE, ttl = "5 minuets")]
fn load(id: u64) -> u64 {
    id
}

#[memoize(cache = CACHE, ttl = 300)]
fn load_more(id: u64) -> u64 {
    id
}

#[memoize(cache = CACHE, ttl = "0s")]
fn load_never(id: u64) -> u64 {
    id
}

fn main() {}
