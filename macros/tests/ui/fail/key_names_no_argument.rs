//! A part of the key that is no argument.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE, key = (id, name))]
fn load(id: u64) -> u64 {
    id
}

fn main() {}
