//! A return type without a name.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE)]
fn load(id: u64) -> impl Iterator<Item = u64> {
    0..id
}

fn main() {}
