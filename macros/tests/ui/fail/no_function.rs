//! Something else than a function.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE)]
struct Load;

trait Loads {
    #[memoize(cache = CACHE)]
    fn load(&self, id: u64) -> u64;
}

fn main() {}
