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

#[memoize(cache = CACHE)]
fn greet(name: std::borrow::Cow<'_, str>) -> usize {
    name.len()
}

#[memoize(cache = CACHE)]
fn count(buffer: Option<&mut Vec<u8>>) -> usize {
    buffer.map_or(0, |buffer| buffer.len())
}

#[memoize(cache = CACHE)]
fn total(prices: &[f64]) -> usize {
    prices.len()
}

#[memoize(cache = CACHE)]
fn area(side: &f32) -> u32 {
    side.to_bits()
}

fn main() {}
