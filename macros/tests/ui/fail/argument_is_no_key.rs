//! Arguments that are no keys.
use cacheado::{SharedCache, memoize};
use std::sync::LazyLock;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);

#[memoize(cache = CACHE)]
fn scale(factor: f64) -> u64 {
    factor as u64
}

#[memoize(cache = CACHE)]
fn fill(buffer: &mut Vec<u8>) -> usize {
    buffer.len()
}

#[memoize(cache = CACHE)]
fn join(names: &[&str]) -> String {
    names.concat()
}

#[memoize(cache = CACHE, key = (factors))]
fn sum(factors: Vec<(u8, f32)>) -> u64 {
    factors.len() as u64
}

fn main() {}
