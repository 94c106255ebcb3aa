//! Without a cache.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(ttl = "5m")]
fn load(id: u64) -> u64 {
    id
}

#[memoize(CACHE)]
fn unnamed(id: u64) -> u64 {
    id
}

fn main() {}
