//! Receivers that are not borrowed.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[derive(Clone)]
struct Service;

impl Service {
    #[memoize(cache = CACHE)]
    fn change(&mut self, id: u64) -> u64 {
        id
    }

    #[memoize(cache = CACHE)]
    fn consume(self, id: u64) -> u64 {
        id
    }

    #[memoize(cache = CACHE)]
    fn share(self: std::sync::Arc<Self>, id: u64) -> u64 {
        id
    }
}

fn main() {}
