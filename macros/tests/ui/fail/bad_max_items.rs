//! Limits that are none.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE, max_items = 0)]
fn load(id: u64) -> u64 {
    id
}

#[memoize(cache = CACHE, max_items = "many")]
fn load_more(id: u64) -> u64 {
    id
}

fn main() {}
