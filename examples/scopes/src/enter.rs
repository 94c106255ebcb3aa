//! What it costs to find a scope that is in use, and how much of that is the map that the scopes are found in: what
//! another map, or a trie of own nodes, could save at most.

use crate::{median, quantile, say, session};
use cacheado::{CacheHandle, Error};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, Barrier, PoisonError, RwLock};
use std::thread;
use std::time::Instant;

const USERS: u64 = 100;
const SESSIONS: u64 = 10_000;
const LOOK_UPS: usize = 20_000;
const ROUNDS: usize = 60;

type Hasher = ahash::RandomState;

/// The obvious trie: each node has its children in a map behind a lock.
#[derive(Default)]
struct Node {
    children: RwLock<HashMap<String, Arc<Node>, Hasher>>,
}

impl Node {
    fn child(&self, id: &str) -> Option<Arc<Node>> {
        self.children.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn make(&self, id: &str) -> Arc<Node> {
        let mut children = self.children.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(children.entry(id.to_owned()).or_default())
    }
}

/// What finds the scope of a session, each in its own way.
struct Finders {
    cache: CacheHandle<u64, u64>,
    papaya: papaya::HashMap<u64, Arc<u64>, Hasher>,
    locked: RwLock<HashMap<u64, Arc<u64>, Hasher>>,
    trie: Node,
}

pub(crate) fn run() -> Result<(), Error> {
    let finders = Finders {
        cache: CacheHandle::builder().max_capacity(SESSIONS * 2).build()?,
        papaya: papaya::HashMap::with_hasher(Hasher::new()),
        locked: RwLock::default(),
        trie: Node::default(),
    };
    let mut held = Vec::new();
    for number in 0..SESSIONS {
        held.push(session(&finders.cache, "acme", number % USERS, number)?);
        finders.papaya.pin().insert(number, Arc::new(number));
        finders
            .locked
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(number, Arc::new(number));
        let user = finders.trie.make("acme").make(&(number % USERS).to_string());
        user.make(&number.to_string());
    }
    say(&format!(
        "Finding one of {SESSIONS} scopes three levels down: nanoseconds each; median of rounds (middle half)"
    ));
    say(
        "threads  a handle, and its end  papaya alone        one map, one lock   trie, a lock a node",
    );
    for threads in [1, 2] {
        let mut times = [const { Vec::new() }; 4];
        for _ in 0..ROUNDS {
            let rows = [
                time(threads, |number| {
                    session(&finders.cache, "acme", number % USERS, number).is_ok()
                }),
                time(threads, |number| finders.papaya.pin().get(&number).cloned().is_some()),
                time(threads, |number| {
                    let map = finders.locked.read().unwrap_or_else(PoisonError::into_inner);
                    map.get(&number).cloned().is_some()
                }),
                time(threads, |number| {
                    let user = finders
                        .trie
                        .child("acme")
                        .and_then(|a| a.child(&(number % USERS).to_string()));
                    user.and_then(|user| user.child(&number.to_string())).is_some()
                }),
            ];
            times.iter_mut().zip(rows).for_each(|(all, one)| all.push(one));
        }
        let shown = times.map(|all| {
            let (low, high) = (quantile(&all, 1), quantile(&all, 3));
            format!("{:<19}", format!("{:.0} ({low:.0} - {high:.0})", median(&all)))
        });
        say(&format!(
            "{threads:<8} {:<22} {}",
            shown[0].trim_end(),
            shown[1..].join(" ").trim_end()
        ));
    }
    drop(held);
    Ok(())
}

/// Nanoseconds on the wall for each of the look-ups of one thread, all threads at once.
fn time(threads: u64, find: impl Fn(u64) -> bool + Sync) -> f64 {
    let start = Barrier::new(threads as usize);
    let work = |seed| {
        let draws: Vec<u64> = SmallRng::seed_from_u64(seed)
            .random_iter::<u64>()
            .map(|drawn| drawn % SESSIONS)
            .take(LOOK_UPS)
            .collect();
        start.wait();
        let began = Instant::now();
        assert!(black_box(draws.iter().all(|number| find(*number))), "all are in use");
        began.elapsed().as_nanos() as f64 / LOOK_UPS as f64
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|seed| scope.spawn(move || work(seed))).collect();
        let times = threads.into_iter().map(|thread| thread.join().expect("no look-up panics"));
        times.sum::<f64>()
    }) / threads as f64
}
