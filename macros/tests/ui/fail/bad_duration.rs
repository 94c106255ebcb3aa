//! Durations that are none.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE, ttl = "5 minuets")]
fn load(id: u64) -> u64 {
    id
}

#[memoize(cache = CACHE, ttl = 300)]
fn load_more(id: u64) -> u64 {
    id
}

#[memoize(cache = CACHE, ttl = "0s")]
fn load_never(id: u64) -> u64 {
    id
}

#[memoize(cache = CACHE, ttl = "300")]
fn load_unitless(id: u64) -> u64 {
    id
}

#[memoize(cache = CACHE, ttl = "1h30")]
fn load_half(id: u64) -> u64 {
    id
}

#[memoize(cache = CACHE, ttl = "")]
fn load_empty(id: u64) -> u64 {
    id
}

#[memoize(cache = CACHE, ttl = "-5m")]
fn load_backward(id: u64) -> u64 {
    id
}

#[memoize(cache = CACHE, ttl = "999999999999999999999years")]
fn load_forever(id: u64) -> u64 {
    id
}

fn main() {}
