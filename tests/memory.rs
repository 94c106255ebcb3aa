//! What a cache took for entries and scopes it gives back when they have gone. A test program of its own, because
//! the allocator counts for the whole process.

use cacheado::{CacheHandle, ScopeId, ScopedHandle};
use cap::Cap;
use std::alloc::System;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// One test at a time, for they share the count.
static ALONE: Mutex<()> = Mutex::new(());

const MANY: u64 = 100_000;
const PATIENCE: Duration = Duration::from_secs(60);

type Cache = CacheHandle<u64, u64>;

fn cache() -> Cache {
    let cache = Cache::builder().max_capacity(u64::MAX).shards(2).build().expect("valid");
    (0..1_000).for_each(|key| cache.insert(key, key));
    cache.flush().wait().expect("alive");
    cache
}

fn session(cache: &Cache, number: u64) -> ScopedHandle<u64, u64> {
    let path = [
        ("organization", ScopeId::from("acme")),
        ("user", ScopeId::from(number % 100)),
        ("session", ScopeId::from(number)),
    ];
    cache.scope(path).expect("valid")
}

/// Waits until no more than `most` bytes are allocated: entries and scopes are freed some turns after they left.
fn falls_to(cache: &Cache, most: usize) {
    let late = Instant::now() + PATIENCE;
    while ALLOCATOR.allocated() > most {
        assert!(Instant::now() < late, "{} bytes are left of {most}", ALLOCATOR.allocated());
        cache.flush().wait().expect("alive");
        std::thread::yield_now();
    }
}

/// Waits for the same while nothing is asked of the shards.
fn falls_by_itself_to(most: usize) {
    let late = Instant::now() + PATIENCE;
    while ALLOCATOR.allocated() > most {
        assert!(Instant::now() < late, "{} bytes are left of {most}", ALLOCATOR.allocated());
        std::thread::yield_now();
    }
}

#[test]
fn an_evicted_scope_gives_its_memory_back() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = cache();
    let before = ALLOCATOR.allocated();
    let scope = session(&cache, 1);
    (0..MANY).for_each(|key| scope.insert(key, key));
    cache.flush().wait().expect("alive");
    let took = ALLOCATOR.allocated() - before;
    assert!(took > 40 * MANY as usize, "that many entries took {took} bytes");
    assert_eq!(scope.evict().wait().expect("alive"), MANY);
    // Of the tables of each shard, one spare segment; and an index that is not halved to the last.
    falls_to(&cache, before + took / 20);
    assert_eq!(cache.len(), 1_000);
}

#[test]
fn sessions_that_were_there_at_once_give_their_memory_back() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = cache();
    let before = ALLOCATOR.allocated();
    let sessions: Vec<_> = (0..MANY).map(|number| session(&cache, number)).collect();
    sessions.iter().zip(0..).for_each(|(session, key)| session.insert(key, key));
    cache.flush().wait().expect("alive");
    let took = ALLOCATOR.allocated() - before;
    sessions.into_iter().for_each(|session| drop(session.evict()));
    falls_to(&cache, before + took / 20);
    assert_eq!(cache.len(), 1_000);
}

/// When fewer than 57,344 entries are left the index begins to be halved, from 2 MiB to 1. The last removal comes soon
/// after, so the shard has to do the rest by itself.
#[test]
fn a_shard_that_rests_keeps_no_second_table_of_its_index() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    const LEFT: u64 = 57_000;
    let filled = |entries| {
        let settings = Cache::builder().max_capacity(u64::MAX).shards(1);
        let cache = settings.build().expect("valid");
        (0..entries).for_each(|key| cache.insert(key, key));
        cache.flush().wait().expect("alive");
        cache
    };
    let before = ALLOCATOR.allocated();
    let small = filled(LEFT);
    let takes = ALLOCATOR.allocated() - before;
    drop(small);
    let before = ALLOCATOR.allocated();
    let cache = filled(MANY);
    (LEFT..MANY).for_each(|key| assert_eq!(cache.remove(&key), Some(key)));
    cache.flush().wait().expect("alive");
    // One table more would be a fifth of this and more.
    falls_by_itself_to(before + takes + takes / 10);
    assert_eq!(cache.len(), LEFT);
}

#[test]
fn what_is_kept_for_the_next_writes_is_given_back_as_the_cache_rests() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = cache();
    let before = ALLOCATOR.allocated();
    for round in 0..200 {
        (0..1_000).for_each(|key| cache.insert(key, round));
    }
    cache.flush().wait().expect("alive");
    // The two rings that hold the memory of entries between writes stay, empty; they are pointers.
    let most = before + 2 * 4096 * size_of::<usize>() + 20_000;
    falls_by_itself_to(most);
}
