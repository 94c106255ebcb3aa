//! A namespace without a name.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE, name = "")]
fn load(id: u64) -> u64 {
    id
}

fn main() {}
