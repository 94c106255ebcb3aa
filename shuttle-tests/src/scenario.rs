//! One execution: a cache with its shard threads, clients that do what a mix of verbs says, the books.

use crate::CacheHandle;
use crate::clients::{Stage, Verb};
use crate::history::{Event, Key};
use crate::testing::ManualClock;
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;
use std::sync::Arc;

/// What the clients of a search do. Each execution draws its own clients from it.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Its name.
    pub name: &'static str,
    /// The verbs, each as often as it is to weigh.
    pub verbs: &'static [Verb],
    /// The most keys.
    pub keys: Key,
    /// The most clients.
    pub clients: usize,
    /// The most calls of a client.
    pub calls: usize,
    /// Keys are in three scopes in turn: the global one, one below it, one below that.
    pub scoped: bool,
    /// Shards of the cache.
    pub shards: usize,
    /// Writes that may wait for a shard.
    pub backlog: usize,
    /// Keys that are there from the beginning and that nobody calls on: they fill the index, which
    /// begins with one bucket, until the clients' keys make it grow.
    pub bystanders: Key,
}

const FIRST_BYSTANDER: Key = 100;

/// Far more than the clients write: nothing is evicted.
const CAPACITY: u64 = 4_000;

/// Runs one execution and returns its history.
///
/// # Panics
///
/// If the cache counts what did not happen, or a value is lost, dropped twice or read too late.
#[must_use]
pub fn play(mix: &Mix) -> Vec<Event> {
    crate::sync::reset_oracles();
    let mut random = thread_rng();
    let keys = random.gen_range(1..=mix.keys);
    let cache = CacheHandle::builder()
        .max_capacity(CAPACITY)
        .shards(mix.shards)
        .backlog(mix.backlog)
        // An index for entries that weigh is not made for all of them at once.
        .weigher(|_, _| 1)
        .clock(ManualClock::new().clock())
        .build()
        .expect("the settings are valid");
    let stage =
        Stage::new(cache, mix.scoped, keys, FIRST_BYSTANDER..FIRST_BYSTANDER + mix.bystanders);
    let first = stage.client(0);
    stage.bystanders.clone().for_each(|key| first.act(Verb::Insert, key));
    let clients = random.gen_range(2..=mix.clients);
    let scripts: Vec<Vec<(Verb, Key)>> = (0..clients)
        .map(|_| {
            let calls = random.gen_range(1..=mix.calls);
            let mut call =
                || (mix.verbs[random.gen_range(0..mix.verbs.len())], random.gen_range(0..keys));
            (0..calls).map(|_| call()).collect()
        })
        .collect();
    let clients = scripts.into_iter().enumerate().map(|(number, script)| {
        let client = stage.client(number + 1);
        thread::spawn(move || script.into_iter().for_each(|(verb, key)| client.act(verb, key)))
    });
    let clients: Vec<_> = clients.collect();
    for client in clients {
        client.join().expect("no client panics");
    }
    drop(first);
    close(stage)
}

/// Reads what is left, checks the books and stops the shards.
fn close(stage: Stage) -> Vec<Event> {
    let judge = stage.client(0);
    judge.flush();
    stage.all_keys().for_each(|key| judge.get(key));
    drop(judge);
    let is_there = |key: &Key| match stage.scope(*key) {
        Some(scope) => scope.contains_key(key),
        None => stage.cache.contains_key(key),
    };
    let present = stage.all_keys().filter(is_there).count();
    let stats = stage.cache.stats();
    assert_eq!(stats.len(), present as u64, "after a flush the length is exact");
    assert_eq!(
        stats.insertions() - stats.invalidations(),
        stats.len(),
        "what came in left or is there"
    );
    let never = [stats.evictions(), stats.expirations(), stats.rejected(), stats.panics()];
    assert_eq!(never, [0; 4], "evictions, expirations, rejections, panics");
    let (log, books) = (stage.log.clone(), Arc::clone(&stage.books));
    drop(stage);
    books.audit();
    log.take()
}
