//! A `Result` by another name, without a choice.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

type AppResult<T> = Result<T, String>;

#[memoize(cache = CACHE)]
fn load(id: u64) -> AppResult<u64> {
    Ok(id)
}

#[memoize(cache = CACHE)]
fn pass<T: Clone + Eq + std::hash::Hash + Send + Sync + 'static>(value: T) -> AppResult<T> {
    Ok(value)
}

fn main() {}
