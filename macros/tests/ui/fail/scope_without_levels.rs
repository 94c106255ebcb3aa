//! A scope without levels.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE, scope())]
fn load(id: u64) -> u64 {
    id
}

#[memoize(cache = CACHE, scope = id)]
fn load_more(id: u64) -> u64 {
    id
}

fn main() {}
