//! Returns never.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE)]
fn load(id: u64) -> ! {
    panic!("{id}")
}

fn main() {}
