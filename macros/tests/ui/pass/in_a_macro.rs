//! The attribute in a macro of the user's, which hands it expressions.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

macro_rules! memoized {
    ($name:ident, $cache:expr, $ttl:expr, $most:expr) => {
        #[memoize(cache = $cache, ttl = $ttl, max_items = $most)]
        fn $name(id: u64) -> u64 {
            id
        }
    };
}

memoized!(by_a_macro, CACHE, "5m", 10);

fn main() {
    assert_eq!(by_a_macro(1), 1);
}
