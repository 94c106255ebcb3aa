//! A level twice.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE, scope(user = id, user = id))]
fn load(id: u64) -> u64 {
    id
}

fn main() {}
